/* SPDX-License-Identifier: MIT */
/* tcp/half.c - Half-open records: from SYN to ACK in 64 octets
 *
 * A record that has been repeated k times waits in FIFO k, where all wait
 * equally long: no timer wheel.  SYN-ACK goes out again after 1, 2, 4... s, and
 * the record is forgotten after synack_retries.
 *
 * Who gets a record, and who gives one up when they run out: listen.c.
 */
#include "tcp/engine.h"

/* A repeated SYN is answered so often at most, as Linux answers what is out of order. */
enum { SYN_AGAIN_MS = 500 };

static struct tcp_half *half_at(const struct tcp *t, uint32_t i) { return slab_at(&t->halves, i); }

static flow_ref half_ref(const struct tcp *t, uint32_t idx)
{
        return flow_ref_of(FLOW_HALF, half_at(t, idx)->wide, idx);
}

/* ---- first in, first out ---- */

static void fifo_push(struct tcp *t, struct tcp_fifo *f, uint32_t idx)
{
        struct tcp_half *h = half_at(t, idx);
        h->next = 0;
        h->prev = f->tail;
        if (f->tail)
                half_at(t, f->tail)->next = idx;
        else
                f->head = idx;
        f->tail = idx;
        f->cnt++;
}

static void fifo_remove(struct tcp *t, struct tcp_fifo *f, uint32_t idx)
{
        struct tcp_half *h = half_at(t, idx);
        if (h->prev)
                half_at(t, h->prev)->next = h->next;
        else
                f->head = h->next;
        if (h->next)
                half_at(t, h->next)->prev = h->prev;
        else
                f->tail = h->prev;
        f->cnt--;
}

static void half_schedule(struct tcp *t, uint32_t idx, uint64_t now_ns)
{
        struct tcp_half *h = half_at(t, idx);
        h->due = tick_of_ns(now_ns) + ticks_from_ns(SEC(1) << h->retries) + 1;  /* RFC 6298 2.1, 5.5 */
        fifo_push(t, &t->half_fifo[h->retries], idx);
}

/* ---- begin and end ---- */

static void half_send_syn_ack(struct tcp *t, const struct tcp_half *h, const struct flow_key *key, uint64_t now_ns)
{
        listen_syn_ack(t, h->listener, &h->offer, key, ms_of_ns(now_ns));
}

enum drop half_make(struct tcp *t, uint32_t listener, const struct tcp_offer *o, const struct tcp_arrival *a)
{
        uint32_t idx = slab_take(&t->halves);
        if (!idx)
                return DROP_TCP_SYN_FULL;

        struct tcp_half *h = half_at(t, idx);
        *h = (struct tcp_half){ .offer = *o, .listener = listener, .sent_ms = ms_of_ns(a->now_ns) };
        flow_ref ref = flow_id_set(&t->halves, FLOW_HALF, idx, a->key);
        if (flow_insert(&t->flows, a->hash, ref) < 0) {
                slab_give(&t->halves, idx);
                return DROP_TCP_SYN_FULL;
        }
        h->wide = !!(ref & FLOW_WIDE_BIT);
        t->ports.users[a->key->lport]++;
        listener_at(t, listener)->half_cnt++;
        half_schedule(t, idx, a->now_ns);
        half_send_syn_ack(t, h, a->key, a->now_ns);
        return DROP_NONE;
}

void half_promoted(struct tcp *t, uint32_t idx)
{
        struct tcp_half *h = half_at(t, idx);

        fifo_remove(t, &t->half_fifo[h->retries], idx);
        listener_at(t, h->listener)->half_cnt--;
        slab_give(&t->halves, idx);
}

static void half_drop(struct tcp *t, uint32_t idx)
{
        struct flow_key key;

        flow_key_of(&t->flows, half_ref(t, idx), &key);
        flow_remove(&t->flows, flow_hash(&t->flows, &key), half_ref(t, idx));
        t->ports.users[key.lport]--;
        half_promoted(t, idx);
}

bool half_evict(struct tcp *t, uint32_t listener)
{
        int looks = 64;

        for (int level = HALF_LEVELS - 1; level >= 0; level--)
                for (uint32_t i = t->half_fifo[level].head; i && looks > 0; i = half_at(t, i)->next, looks--)
                        if (!listener || half_at(t, i)->listener == listener) {
                                count(t->counters, CNT_TCP_SYN_EVICTED);
                                count_drop(t->counters, DROP_TCP_SYN_FULL);
                                half_drop(t, i);
                                return true;
                        }
        return false;
}

void half_forget(struct tcp *t, uint32_t listener)
{
        const uint32_t *left = listener ? &listener_at(t, listener)->half_cnt : &t->halves.used;

        for (int level = 0; level < HALF_LEVELS; level++)
                for (uint32_t i = t->half_fifo[level].head, next; i && *left; i = next) {
                        next = half_at(t, i)->next;
                        if (!listener || half_at(t, i)->listener == listener)
                                half_drop(t, i);
                }
}

/* ---- a segment ---- */

/* The round trip, if it is known which SYN-ACK was answered (RFC 6298 3, Karn). */
static uint32_t rtt_of(const struct tcp_half *h, uint64_t now_ns)
{
        enum { RTT_LEAST_US = 500 };                    /* half of what the clock of a record shows */
        if (h->retries || h->resent)
                return RTT_AMBIGUOUS;
        return u32_max((ms_of_ns(now_ns) - h->sent_ms) * 1000, RTT_LEAST_US);
}

/* The same SYN again: our answer was lost. */
static enum drop syn_again(struct tcp *t, struct tcp_half *h, const struct tcp_arrival *a)
{
        uint32_t now_ms = ms_of_ns(a->now_ns);

        if (h->resent && now_ms - h->answered_ms < SYN_AGAIN_MS)
                return DROP_TCP_RATE;
        h->resent = true;
        h->answered_ms = now_ms;
        if (h->offer.has & TCP_HAS_TS && a->seg->has & TCP_HAS_TS)
                h->offer.ts_recent = a->seg->ts_val;
        half_send_syn_ack(t, h, a->key, a->now_ns);
        return DROP_NONE;
}

static void challenge(struct tcp *t, uint32_t idx, const struct tcp_arrival *a)
{
        if (challenge_allowed(t, half_ref(t, idx), a->now_ns))
                half_send_syn_ack(t, half_at(t, idx), a->key, a->now_ns);
}

enum drop half_input(struct tcp *t, uint32_t idx, const struct tcp_arrival *a)
{
        struct tcp_half *h = half_at(t, idx);
        const struct tcp_offer *o = &h->offer;
        const struct tcp_seg *seg = a->seg;
        tcp_seq rcv_nxt = seq_add(o->irs, 1);

        if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && seq_eq(seg->seq, o->irs))
                return syn_again(t, h, a);
        if (o->has & TCP_HAS_TS && seg->has & TCP_HAS_TS && !(seg->flags & TCP_RST) &&
            (int32_t)(seg->ts_val - o->ts_recent) < 0)
                return DROP_TCP_PAWS;                                           /* RFC 7323 5.3 */
        if (!seq_in(seg->seq, rcv_nxt, 65535)) {                                /* first */
                if (!(seg->flags & TCP_RST))
                        challenge(t, idx, a);
                return DROP_TCP_SEQ;
        }
        if (seg->flags & TCP_RST) {                                             /* second, RFC 5961 3.2 */
                if (!seq_eq(seg->seq, rcv_nxt))
                        return DROP_TCP_RST_SEQ;
                count(t->counters, CNT_TCP_OPEN_FAILS);
                half_drop(t, idx);
                return DROP_NONE;
        }
        if (seg->flags & TCP_SYN) {                                             /* fourth, RFC 5961 4.2 */
                challenge(t, idx, a);
                return DROP_TCP_SYN_IN_CONN;
        }
        if (!(seg->flags & TCP_ACK))                                            /* fifth */
                return DROP_TCP_NO_ACK;
        if (!seq_eq(seg->ack, seq_add(o->iss, 1))) {
                /* Its first SYN may have been answered by a cookie, before there was a record for the second. */
                enum drop why = listen_cookie(t, h->listener, half_ref(t, idx), a);
                if (why != DROP_TCP_NO_LISTEN_SYN && why != DROP_TCP_BAD_COOKIE)
                        return why;
                reply_rst_to(t, a->key, seg, a->p->len);
                return DROP_TCP_BAD_ACK;
        }
        return listen_establish(t, h->listener, half_ref(t, idx), o, rtt_of(h, a->now_ns), a);
}

/* ---- time ---- */

bool half_next(const struct tcp *t, tick *at)
{
        bool any = false;

        if (t->halves.used == 0)
                return false;
        for (int level = 0; level < HALF_LEVELS; level++) {
                uint32_t head = t->half_fifo[level].head;
                if (head && (!any || tick_before(half_at(t, head)->due, *at))) {
                        *at = half_at(t, head)->due;
                        any = true;
                }
        }
        return any;
}

static void half_again(struct tcp *t, uint32_t idx, uint64_t now_ns)
{
        struct tcp_half *h = half_at(t, idx);
        struct flow_key key;

        if (h->retries >= t->conf.synack_retries || h->retries + 1 >= HALF_LEVELS) {
                count(t->counters, CNT_TCP_OPEN_FAILS);
                half_drop(t, idx);
                return;
        }
        flow_key_of(&t->flows, half_ref(t, idx), &key);
        fifo_remove(t, &t->half_fifo[h->retries], idx);
        h->retries++;
        count(t->counters, CNT_TCP_SYN_RETRANS);
        half_schedule(t, idx, now_ns);
        half_send_syn_ack(t, h, &key, now_ns);
}

bool half_expire(struct tcp *t, uint64_t now_ns)
{
        tick now = tick_of_ns(now_ns);

        if (t->halves.used == 0)
                return false;
        for (int level = 0; level < HALF_LEVELS; level++) {
                uint32_t idx = t->half_fifo[level].head;
                if (idx && !tick_before(now, half_at(t, idx)->due)) {
                        half_again(t, idx, now_ns);
                        return true;
                }
        }
        return false;
}
