/* SPDX-License-Identifier: MIT */
/* tools/sparse.c - The sparse client's phases: who is begun with, and when; see sparse.h */
#include "tools/sparse_priv.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { WINDOW_DEFAULT = 1024, ARP_AGAIN_MS = 100, LARGE_PKTS = 16 };

/* ---- open and close ---- */

void sparse_conf_default(struct sparse_conf *conf)
{
        *conf = (struct sparse_conf){
                .server = 0x0a400001, .port = 7000, .gateway = 0x0a400002, .net = 0x0a800000, .seed = 1,
        };
}

static size_t busy_bytes(const struct sparse *s) { return ((size_t)s->conf.conns + 63) / 64 * 8; }

static bool take_memory(struct sparse *s)
{
        const struct sparse_conf *c = &s->conf;

        s->busy = mem_map(busy_bytes(s), MEM_SMALL);
        if (!s->busy)
                return false;
        memset(s->busy, 0, busy_bytes(s));              /* touched now: not to be taken for the server's later */
        if (c->remember) {
                s->server_isn = mem_map((size_t)c->conns * sizeof *s->server_isn, MEM_HUGE);
                if (!s->server_isn)
                        return false;
                memset(s->server_isn, 0, (size_t)c->conns * sizeof *s->server_isn);
        }
        return true;
}

static int open_device(struct sparse *s, char *err, size_t err_len)
{
        struct netdev_conf nc = {
                .mtu = s->conf.mtu, .queue_cnt = 1, .offload = NETDEV_ALL_OFFLOADS, .seed = s->conf.seed,
        };
        int rc = netdev_open(&s->dev, s->conf.dev, &nc, err, err_len);

        if (rc < 0)
                return rc;
        rc = netdev_queue_open(&s->queue, s->dev, 0, &s->pool, &s->counters);
        if (rc < 0) {
                snprintf(err, err_len, "%s: its queue cannot be used: %s", s->conf.dev, strerror(-rc));
                netdev_close(s->dev);
                return rc;
        }
        s->csum_partial = s->dev->caps.offload & NETDEV_TX_CSUM;
        return 0;
}

struct sparse *sparse_open(const struct sparse_conf *conf, char *err, size_t err_len)
{
        struct sparse *s = calloc(1, sizeof *s);

        if (!s) {
                snprintf(err, err_len, "no memory");
                return NULL;
        }
        s->conf = *conf;
        if (!s->conf.window)
                s->conf.window = WINDOW_DEFAULT;
        s->key = sparse_mix(conf->seed + 0x9e3779b97f4a7c15u);
        s->retry_at = UINT64_MAX;
        s->held = true;
        atomic_init(&s->done, true);
        pthread_mutex_init(&s->order_lock, NULL);
        if (!take_memory(s) || pkt_pool_init(&s->pool, s->conf.window + 4 * SPARSE_BURST, LARGE_PKTS, MEM_SMALL) < 0) {
                snprintf(err, err_len, "no memory for a client of %u connections", conf->conns);
                goto failed;
        }
        if (open_device(s, err, err_len) < 0) {
                pkt_pool_fini(&s->pool);
                goto failed;
        }
        sparse_wire_init(s);
        return s;

failed:
        mem_unmap(s->busy, busy_bytes(s), MEM_SMALL);
        mem_unmap(s->server_isn, (size_t)conf->conns * sizeof *s->server_isn, MEM_HUGE);
        free(s);
        return NULL;
}

void sparse_close(struct sparse *s)
{
        if (!s)
                return;
        for (uint32_t k = 0; k < s->out_cnt; k++)
                pkt_give(&s->pool, s->out[k]);
        netdev_queue_close(&s->queue);
        netdev_close(s->dev);
        pkt_pool_fini(&s->pool);
        pthread_mutex_destroy(&s->order_lock);
        mem_unmap(s->busy, busy_bytes(s), MEM_SMALL);
        mem_unmap(s->server_isn, (size_t)s->conf.conns * sizeof *s->server_isn, MEM_HUGE);
        free(s);
}

/* ---- orders ---- */

void sparse_phase(struct sparse *s, enum sparse_what what, uint32_t cnt, uint32_t msg, uint64_t rate)
{
        pthread_mutex_lock(&s->order_lock);
        s->ordered = (struct sparse_wave){ .what = what, .cnt = u32_min(cnt, s->conf.conns), .msg = msg, .rate = rate };
        atomic_fetch_add_explicit(&s->order_nr, 1, memory_order_release);
        pthread_mutex_unlock(&s->order_lock);
}

static void take_order(struct sparse *s)
{
        uint32_t taken = atomic_load_explicit(&s->taken_nr, memory_order_relaxed);

        if (atomic_load_explicit(&s->order_nr, memory_order_relaxed) == taken)
                return;
        pthread_mutex_lock(&s->order_lock);
        uint32_t nr = atomic_load_explicit(&s->order_nr, memory_order_relaxed);
        struct sparse_wave w = s->ordered;
        pthread_mutex_unlock(&s->order_lock);
        atomic_store_explicit(&s->done, false, memory_order_relaxed);
        atomic_store_explicit(&s->taken_nr, nr, memory_order_release);
        s->held = w.what == SPARSE_HOLD;
        if (s->held)                                    /* what has begun goes on by the rules of its phase */
                return;
        if (s->wave.what == SPARSE_TALK)
                s->base += s->wave.msg;
        if (s->wave.what == SPARSE_CLOSE)
                s->base = 0;
        if (w.what == SPARSE_CONNECT || w.what == SPARSE_CYCLE || w.what == SPARSE_CYCLE_ONCE) {
                s->base = 0;
                s->uneven = false;
        }
        s->uneven |= w.what == SPARSE_TALK_ON;
        if (s->uneven && w.what != SPARSE_TALK_ON)
                w.msg = s->wave.msg;                    /* the unit of which the streams are multiples */
        s->wave = w;
        s->next = 0;
        s->begun = 0;
        s->began_ns = s->moved_ns = s->now_ns;
        s->retry_at = UINT64_MAX;
        for (s->half_bits = 1; (1ull << 2 * s->half_bits) < w.cnt; s->half_bits++)
                continue;
}

bool sparse_done(const struct sparse *s)
{
        return atomic_load_explicit(&s->taken_nr, memory_order_acquire) ==
               atomic_load_explicit(&s->order_nr, memory_order_relaxed) &&
               atomic_load_explicit(&s->done, memory_order_acquire);
}

/* ---- who is next ---- */

/* A permutation of the numbers below wave.cnt: a small Feistel network over the next power
 * of four, gone through again until the result is among them. */
static uint32_t shuffled(const struct sparse *s, uint32_t n)
{
        uint32_t bits = s->half_bits, mask = (1u << bits) - 1;

        do {
                uint32_t l = n >> bits, r = n & mask;
                for (uint32_t round = 0; round < 3; round++) {
                        uint32_t f = (r + round * 0x1000193u + (uint32_t)s->key) * 0x9e3779b1u;
                        uint32_t swap = l ^ (f >> 7 ^ f >> 19);
                        l = r;
                        r = swap & mask;
                }
                n = l << bits | r;
        } while (n >= s->wave.cnt);
        return n;
}

bool sparse_finish(struct sparse *s, uint32_t i)
{
        uint64_t bit = 1ull << i % 64;

        if (!(s->busy[i / 64] & bit))
                return false;
        s->busy[i / 64] &= ~bit;
        s->n.under_way--;
        return true;
}

static bool begin(struct sparse *s, uint32_t i)
{
        struct pkt *p = pkt_take(&s->pool, 0);

        if (!p)
                return false;
        sparse_start(s, p, i);
        return true;
}

/* How many may be begun now? */
static uint32_t allowance(const struct sparse *s)
{
        uint64_t most = s->conf.window > s->n.under_way ? s->conf.window - s->n.under_way : 0;

        if (s->wave.what == SPARSE_TALK_ON)
                most = UINT32_MAX;
        if (s->wave.rate) {
                uint64_t due = (uint64_t)((double)(s->now_ns - s->began_ns) * 1e-9 * (double)s->wave.rate) + 1;
                most = u64_min(most, due > s->begun ? due - s->begun : 0);
        }
        return (uint32_t)u64_min(most, SPARSE_BURST);
}

static void begin_more(struct sparse *s)
{
        for (uint32_t left = allowance(s); left > 0; left--) {
                if (s->next >= s->wave.cnt) {
                        if (s->wave.what != SPARSE_CYCLE)
                                return;
                        s->next = 0;
                }
                uint32_t i = s->conf.shuffle ? shuffled(s, s->next) : s->next;
                if (sparse_busy(s, i))                  /* CYCLE has come round to one that is not through */
                        return;
                if (!begin(s, i))
                        return;
                s->next++;
                s->begun++;
                s->busy[i / 64] |= 1ull << i % 64;
                s->n.under_way++;
        }
}

/* Nothing has come for long: begin again with those under way, some each turn. */
static void begin_again(struct sparse *s)
{
        uint64_t words = busy_bytes(s) / 8;
        uint32_t left = SPARSE_BURST;

        if (s->retry_at == UINT64_MAX) {
                if (s->n.under_way == 0 || s->now_ns - s->moved_ns < SPARSE_RETRY_NS)
                        return;
                s->retry_at = 0;
        }
        for (; s->retry_at < words; s->retry_at++) {
                uint64_t word = s->busy[s->retry_at];
                if ((uint32_t)__builtin_popcountll(word) > left)
                        return;
                for (; word; word &= word - 1) {
                        if (!begin(s, (uint32_t)(s->retry_at * 64) + (uint32_t)__builtin_ctzll(word)))
                                return;
                        s->n.retried++;
                        left--;
                }
        }
        s->retry_at = UINT64_MAX;
        s->moved_ns = s->now_ns;
}

/* ---- a turn ---- */

static uint32_t flush(struct sparse *s)
{
        if (s->out_cnt == 0)
                return 0;
        uint32_t sent = netdev_tx(&s->queue, s->out, s->out_cnt, s->now_ns);
        s->out_cnt -= sent;
        s->n.tx_frames += sent;
        memmove(s->out, s->out + sent, s->out_cnt * sizeof *s->out);
        return sent;
}

static bool is_over(const struct sparse *s)
{
        if (s->held)
                return s->n.under_way == 0;
        switch (s->wave.what) {
        case SPARSE_CYCLE:
        case SPARSE_TALK_ON:
                return false;
        default:
                return s->next >= s->wave.cnt && s->n.under_way == 0;
        }
}

static void publish(struct sparse *s)
{
        const uint64_t *from = (const uint64_t *)&s->n;

        s->n.dropped = 0;
        for (uint32_t why = DROP_NONE + 1; why < DROP_CNT; why++)
                s->n.dropped += s->counters.drop[why];
        for (uint32_t k = 0; k < SPARSE_COUNTS; k++)
                atomic_store_explicit(&s->shown[k], from[k], memory_order_relaxed);
}

uint32_t sparse_turn(struct sparse *s, uint64_t now_ns)
{
        struct pkt *in[SPARSE_BURST];
        uint32_t moved;

        s->now_ns = now_ns;
        s->now_ts = (uint32_t)(now_ns / 1000000);
        take_order(s);
        moved = flush(s);
        if (s->out_cnt <= SPARSE_BURST) {               /* else no room for the answers: the server must read first */
                uint32_t cnt = netdev_rx(&s->queue, in, SPARSE_BURST, now_ns);
                for (uint32_t k = 0; k < cnt; k++)
                        sparse_wire_in(s, in[k]);
                s->n.rx_frames += cnt;
                moved += cnt + flush(s);
        }
        if (!s->peer_known && (!s->asked_ns || now_ns - s->asked_ns > MS(ARP_AGAIN_MS)) && s->out_cnt == 0) {
                s->asked_ns = now_ns;
                sparse_wire_ask(s);
        }
        if (s->peer_known && s->out_cnt == 0) {
                if (!s->held)
                        begin_more(s);
                if (s->out_cnt == 0)
                        begin_again(s);
        }
        moved += flush(s);
        if (moved)
                publish(s);
        atomic_store_explicit(&s->done, is_over(s), memory_order_release);
        return moved;
}

/* ---- asked from outside ---- */

void sparse_counts(const struct sparse *s, struct sparse_counts *out)
{
        uint64_t *to = (uint64_t *)out;
        for (uint32_t k = 0; k < SPARSE_COUNTS; k++)
                to[k] = atomic_load_explicit(&s->shown[k], memory_order_relaxed);
}

uint32_t sparse_pkts_used(const struct sparse *s) { return s->pool.small.used + s->pool.large.used; }
