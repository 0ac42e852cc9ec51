/* SPDX-License-Identifier: MIT */
/* tcp/timewait.c - TIME-WAIT as a 64-octet record
 *
 * When both FINs are done, the connection is given back and this record keeps
 * the tuple for 2 MSL (RFC 9293 3.6, MUST-13): it acknowledges a repeated FIN,
 * ignores RSTs (RFC 1337), and lets a new SYN through early when timestamps or
 * sequence numbers show that it is new (RFC 6191, RFC 9293 MAY-2).
 *
 * All records last equally long, so one FIFO is their timer.
 */
#include "tcp/engine.h"

/* Records of every FIFO have these two behind their flow_id. */
struct link {
        struct flow_id id;
        uint32_t       next, prev;
};
static_assert(offsetof(struct tcp_half, next) == offsetof(struct link, next), "fifo_push() works on both");
static_assert(offsetof(struct tcp_wait, next) == offsetof(struct link, next), "fifo_push() works on both");

void fifo_push(struct tcp_fifo *f, struct slab *s, uint32_t idx)
{
        struct link *l = slab_at(s, idx);
        l->next = 0;
        l->prev = f->tail;
        if (f->tail)
                ((struct link *)slab_at(s, f->tail))->next = idx;
        else
                f->head = idx;
        f->tail = idx;
        f->cnt++;
}

void fifo_remove(struct tcp_fifo *f, struct slab *s, uint32_t idx)
{
        struct link *l = slab_at(s, idx);
        if (l->prev)
                ((struct link *)slab_at(s, l->prev))->next = l->next;
        else
                f->head = l->next;
        if (l->next)
                ((struct link *)slab_at(s, l->next))->prev = l->prev;
        else
                f->tail = l->prev;
        f->cnt--;
}

static struct tcp_wait *wait_at(const struct tcp *t, uint32_t i) { return slab_at(&t->waits, i); }

static void wait_drop(struct tcp *t, uint32_t idx)
{
        struct tcp_wait *w = wait_at(t, idx);
        struct flow_key key;
        flow_ref ref = flow_ref_of(FLOW_WAIT, w->wide, idx);

        flow_key_of(&t->flows, ref, &key);
        flow_remove(&t->flows, flow_hash(&t->flows, &key), ref);
        t->ports.users[w->id.lport]--;
        fifo_remove(&t->wait_fifo, &t->waits, idx);
        slab_give(&t->waits, idx);
}

static void wait_restart(struct tcp *t, struct tcp_wait *w, uint64_t now_ns)
{
        w->due = tick_of_ns(now_ns) + ticks_from_ns(t->conf.time_wait_ns) + 1;
}

void wait_begin(struct tcp *t, struct tcp_conn *c, uint64_t now_ns)
{
        struct flow_key key;
        flow_ref from = conn_ref(t, c);
        flow_key_of(&t->flows, from, &key);

        uint32_t idx = slab_take(&t->waits);
        if (!idx && t->wait_fifo.head) {                /* the memory budget: the oldest has waited longest */
                count(t->counters, CNT_TCP_TW_EVICTED);
                wait_drop(t, t->wait_fifo.head);
                idx = slab_take(&t->waits);
        }
        if (!idx)
                return;
        struct tcp_wait *w = wait_at(t, idx);
        *w = (struct tcp_wait){
                .snd_nxt = c->snd_nxt,
                .rcv_nxt = c->rcv_nxt,
                .rcv_wnd = conn_rcv_wnd(c),
                .ts_recent = c->ts_recent,
                .ts_offset = c->ts_offset,
                .ts = !!(c->flags & TF_TS),
                .wide = !!(c->flags & TF_WIDE),
                .rcv_wscale = c->flags & TF_WSCALE ? (uint8_t)rcv_wscale(c) : 0,
                .tos = conn_opts(t, c)->tos,
                .ttl = conn_opts(t, c)->ttl,
        };
        wait_restart(t, w, now_ns);
        flow_ref to = flow_id_set(&t->waits, FLOW_WAIT, idx, &key);
        flow_replace(&t->flows, flow_hash(&t->flows, &key), from, to);
        c->flags &= ~(uint32_t)TF_IN_TABLE;             /* the tuple, and its count of users, went on */
        fifo_push(&t->wait_fifo, &t->waits, idx);
        count(t->counters, CNT_TCP_TW_STARTED);
}

static void ack_from(struct tcp *t, const struct tcp_wait *w, const struct flow_key *key, uint64_t now_ns)
{
        struct tcp_seg seg = {
                .seq = w->snd_nxt,
                .ack = w->rcv_nxt,
                .flags = TCP_ACK,
                .window = (uint16_t)u32_min(w->rcv_wnd >> w->rcv_wscale, 65535),
        };
        if (w->ts) {
                seg.has = TCP_HAS_TS;
                seg.ts_val = ms_of_ns(now_ns) + w->ts_offset;
                seg.ts_ecr = w->ts_recent;
        }
        reply_push(t, key, &seg, w->tos, w->ttl);
}

void wait_ack(struct tcp *t, struct tcp_conn *c, uint64_t now_ns)
{
        struct flow_key key;
        flow_key_of(&t->flows, conn_ref(t, c), &key);
        flow_ref ref = flow_find(&t->flows, flow_hash(&t->flows, &key), &key);
        if (flow_ref_kind(ref) == FLOW_WAIT)
                ack_from(t, wait_at(t, flow_ref_idx(ref)), &key, now_ns);
}

/* RFC 6191 2 and RFC 9293 3.6.1: is this SYN surely of a new incarnation? */
static bool syn_is_new(const struct tcp_wait *w, const struct tcp_seg *seg)
{
        if (w->ts && seg->has & TCP_HAS_TS && seg->ts_val != w->ts_recent)
                return (int32_t)(seg->ts_val - w->ts_recent) > 0;
        return seq_gt(seg->seq, w->rcv_nxt);
}

enum drop wait_input(struct tcp *t, uint32_t idx, const struct tcp_seg *seg, uint32_t text_len,
                     const struct flow_key *key, uint32_t hash, uint64_t now_ns, bool *reopen, tcp_seq *iss_min)
{
        struct tcp_wait *w = wait_at(t, idx);
        bool is_syn = (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
        enum { ISS_STEP = 65535 + 2 };

        *reopen = false;
        if (is_syn && syn_is_new(w, seg) && ports_find_listener(&t->ports, key, hash)) {
                *iss_min = seq_add(w->snd_nxt, ISS_STEP);       /* beyond every number of the old incarnation */
                *reopen = true;
                count(t->counters, CNT_TCP_TW_RECYCLED);
                wait_drop(t, idx);
                return DROP_NONE;
        }
        if (seg->flags & TCP_RST)
                return DROP_TCP_TIME_WAIT;              /* RFC 1337 3, (F1): TIME-WAIT cannot be assassinated */
        /* RFC 9293 3.10.7.4 eighth, TIME-WAIT: acknowledge the FIN again and wait 2 MSL anew; an
         * unacceptable segment is acknowledged too, within the limit. */
        bool fin_again = seg->flags & TCP_FIN && seq_eq(seq_add(seg->seq, text_len + 1), w->rcv_nxt);
        if (fin_again) {
                if (w->ts && seg->has & TCP_HAS_TS && (int32_t)(seg->ts_val - w->ts_recent) > 0)
                        w->ts_recent = seg->ts_val;
                wait_restart(t, w, now_ns);
                fifo_remove(&t->wait_fifo, &t->waits, idx);
                fifo_push(&t->wait_fifo, &t->waits, idx);
                ack_from(t, w, key, now_ns);
        } else if ((text_len || seg->flags & (TCP_SYN | TCP_FIN) || !seq_eq(seg->seq, w->rcv_nxt)) &&
                   challenge_allowed(t, flow_ref_of(FLOW_WAIT, w->wide, idx), now_ns)) {
                ack_from(t, w, key, now_ns);
        }
        return DROP_TCP_TIME_WAIT;
}

bool wait_next(const struct tcp *t, tick *at)
{
        if (!t->wait_fifo.head)
                return false;
        *at = wait_at(t, t->wait_fifo.head)->due;
        return true;
}

bool wait_expire(struct tcp *t, uint64_t now_ns)
{
        tick at;
        if (!wait_next(t, &at) || tick_before(tick_of_ns(now_ns), at))
                return false;
        wait_drop(t, t->wait_fifo.head);
        return true;
}
