/* SPDX-License-Identifier: MIT */
/* tcp/timewait.c - TIME-WAIT as a 32-octet record
 *
 * When both FINs are done, the connection is given back and this record keeps
 * the tuple for 2 MSL (RFC 9293 3.6, MUST-13): it acknowledges a repeated FIN,
 * ignores RSTs (RFC 1337), and lets a new SYN through early when timestamps or
 * sequence numbers show that it is new (RFC 6191, RFC 9293 MAY-2).
 *
 * THE RING.  All records last equally long, so they end in the order in which
 * they began.  The slab is that order: it is used as a ring, a record's index
 * is its place in the line, and nothing is linked.
 *
 *      1 ........ head ─────────── cnt slots ──────────► end ........ span
 *                 oldest           . = ended early       youngest
 *
 * A record that ends early (a new SYN) leaves an empty slot, which is free when
 * the head comes to it.  A record that begins anew (its FIN came again) moves
 * to the end.  When the ring is full the head becomes the hand of a clock:
 * empty slots are used again, and a record that the hand passes over is the
 * youngest from then on.  When few slots are empty the ring grows, up to
 * max_wait.  Both only mean that a record is looked at late, by 2 MSL at most.
 * None ends before its time, but the oldest when there is no slot for a new
 * one: TCP_TW_EVICTED.  All steps are O(1), the hand's on average.
 *
 * Not kept: the offset of our timestamps, which is made of the tuple, and the
 * TTL of the socket: as in Linux the stack's default answers.
 */
#include "tcp/engine.h"

enum wait_flag {
        WAIT_LIVE = 1 << 0,             /* not set: the slot is empty */
        WAIT_WIDE = 1 << 1,
        WAIT_TS   = 1 << 2,             /* timestamps agreed on */
};

enum { SPAN_MIN = 1024 };

static struct tcp_wait *wait_at(const struct tcp *t, uint32_t i) { return slab_at(&t->waits, i); }

static flow_ref wait_ref(const struct tcp *t, uint32_t idx)
{
        return flow_ref_of(FLOW_WAIT, wait_at(t, idx)->flags & WAIT_WIDE, idx);
}

/* ---- the ring ---- */

static void head_next(struct tcp_wait_ring *r) { r->head = r->head == r->span ? 1 : r->head + 1; }

/* The slot is empty from now on. */
static void wait_forget(struct tcp *t, uint32_t idx)
{
        wait_at(t, idx)->flags = 0;
        t->wait_ring.live--;
}

static void wait_end(struct tcp *t, uint32_t idx)
{
        struct flow_key key;
        flow_ref ref = wait_ref(t, idx);

        flow_key_of(&t->flows, ref, &key);
        flow_remove(&t->flows, flow_hash(&t->flows, &key), ref);
        t->ports.users[key.lport]--;
        wait_forget(t, idx);
}

static bool head_is_over(const struct tcp *t, tick now)
{
        const struct tcp_wait *w = wait_at(t, t->wait_ring.head);
        return !(w->flags & WAIT_LIVE) || !tick_before(now, w->due);
}

/* The slot at the head is free, whatever it held. */
static void head_leave(struct tcp *t)
{
        struct tcp_wait_ring *r = &t->wait_ring;

        if (wait_at(t, r->head)->flags & WAIT_LIVE)
                wait_end(t, r->head);
        head_next(r);
        if (--r->cnt == 0)
                r->head = 1;                            /* the slots that were used last are used again */
}

/* More slots.  What was young is now before what was old, and thus the old is looked at late, once. */
static bool ring_grow(struct tcp *t)
{
        struct tcp_wait_ring *r = &t->wait_ring;

        if (r->span == t->waits.cap)
                return false;
        r->head = 1;
        r->span = r->span > t->waits.cap / 2 ? t->waits.cap : u32_min(u32_max(r->span * 2, SPAN_MIN), t->waits.cap);
        return true;
}

/* The ring is full: the hand looks for a slot that is empty, or whose time is over.  Only where one
 * in eight is, so that eight looks find one on average; else records would be passed over in vain,
 * and the oldest not be the one that ends. */
static bool ring_reuse(struct tcp *t, uint64_t now_ns)
{
        enum { LOOKS = 256 };                           /* where all live it is given up after a microsecond */
        struct tcp_wait_ring *r = &t->wait_ring;

        if (r->span - r->live < u32_max(r->span / 8, 1))
                return false;
        for (int i = 0; i < LOOKS; i++, head_next(r))
                if (head_is_over(t, tick_of_ns(now_ns))) {
                        head_leave(t);
                        return true;
                }
        return false;
}

/* The slot behind the youngest record; 0: there are none at all. */
static uint32_t slot_take(struct tcp *t, uint64_t now_ns)
{
        struct tcp_wait_ring *r = &t->wait_ring;

        if (r->cnt == r->span && !ring_reuse(t, now_ns) && !ring_grow(t)) {
                if (r->span == 0)
                        return 0;
                if (!head_is_over(t, tick_of_ns(now_ns)))
                        count(t->counters, CNT_TCP_TW_EVICTED); /* the memory budget: the oldest has waited longest */
                head_leave(t);
        }
        uint32_t idx = r->head + r->cnt++;
        if (idx > r->span)
                idx -= r->span;
        if (idx > t->waits.used) {                      /* never used before: slots are taken in order and kept */
                uint32_t taken = slab_take(&t->waits);
                ASSERT(taken == idx);
        }
        r->live++;
        return idx;
}

static tick due_at(const struct tcp *t, uint64_t now_ns)
{
        return tick_of_ns(now_ns) + ticks_from_ns(t->conf.time_wait_ns) + 1;
}

/* ---- begin ---- */

static void ack_from(struct tcp *t, const struct tcp_wait *w, const struct flow_key *key, uint32_t ts_offset,
                     uint64_t now_ns)
{
        struct tcp_seg seg = { .seq = w->snd_nxt, .ack = w->rcv_nxt, .flags = TCP_ACK, .window = w->window };

        if (w->flags & WAIT_TS) {
                seg.has = TCP_HAS_TS;
                seg.ts_val = ms_of_ns(now_ns) + ts_offset;
                seg.ts_ecr = w->ts_recent;
        }
        reply_push(t, key, &seg, w->tos, 0);
}

void wait_begin(struct tcp *t, struct tcp_conn *c, uint64_t now_ns)
{
        uint32_t idx = slot_take(t, now_ns);
        if (!idx)
                return;

        struct flow_key key;
        flow_ref from = conn_ref(t, c);
        flow_key_of(&t->flows, from, &key);
        struct tcp_wait *w = wait_at(t, idx);
        *w = (struct tcp_wait){
                .snd_nxt = c->snd_nxt,
                .rcv_nxt = c->rcv_nxt,
                .ts_recent = c->ts_recent,
                .due = due_at(t, now_ns),
                .window = (uint16_t)u32_min(conn_rcv_wnd(c) >> (c->flags & TF_WSCALE ? rcv_wscale(c) : 0), 65535),
                .tos = conn_opts(t, c)->tos,
                .flags = WAIT_LIVE | (c->flags & TF_WIDE ? WAIT_WIDE : 0) | (c->flags & TF_TS ? WAIT_TS : 0),
        };
        flow_ref to = flow_id_set(&t->waits, FLOW_WAIT, idx, &key);
        flow_replace(&t->flows, flow_hash(&t->flows, &key), from, to);
        c->flags &= ~(uint32_t)TF_IN_TABLE;             /* the tuple, and its count of users, went on */
        count(t->counters, CNT_TCP_TW_STARTED);
        if (c->flags & TF_ACK_NOW)                      /* for the FIN that came just now */
                ack_from(t, w, &key, c->ts_offset, now_ns);
}

/* ---- a segment ---- */

/* RFC 6191 2 and RFC 9293 3.6.1: is this SYN surely of a new incarnation? */
static bool syn_is_new(const struct tcp_wait *w, const struct tcp_seg *seg)
{
        if (w->flags & WAIT_TS && seg->has & TCP_HAS_TS && seg->ts_val != w->ts_recent)
                return (int32_t)(seg->ts_val - w->ts_recent) > 0;
        return seq_gt(seg->seq, w->rcv_nxt);
}

/* 2 MSL begin anew: the record goes to the end of the line.  Not for a small part of that time, or
 * whoever repeats a FIN quickly would turn the ring. */
static void wait_again(struct tcp *t, uint32_t idx, const struct flow_key *key, uint32_t hash, uint64_t now_ns)
{
        struct tcp_wait w = *wait_at(t, idx);
        flow_ref from = wait_ref(t, idx);
        tick due = due_at(t, now_ns);

        if (due - w.due < ticks_from_ns(t->conf.time_wait_ns) / 64)
                return;
        w.due = due;
        wait_forget(t, idx);
        uint32_t to = slot_take(t, now_ns);
        *wait_at(t, to) = w;
        flow_replace(&t->flows, hash, from, flow_id_set(&t->waits, FLOW_WAIT, to, key));
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
                flow_remove(&t->flows, hash, wait_ref(t, idx));
                t->ports.users[key->lport]--;
                wait_forget(t, idx);
                return DROP_NONE;
        }
        if (seg->flags & TCP_RST)
                return DROP_TCP_TIME_WAIT;              /* RFC 1337 3, (F1): TIME-WAIT cannot be assassinated */
        /* RFC 9293 3.10.7.4 eighth, TIME-WAIT: acknowledge the FIN again and wait 2 MSL anew; an
         * unacceptable segment is acknowledged too, within the limit. */
        bool fin_again = seg->flags & TCP_FIN && seq_eq(seq_add(seg->seq, text_len + 1), w->rcv_nxt);
        if (fin_again) {
                if (w->flags & WAIT_TS && seg->has & TCP_HAS_TS && (int32_t)(seg->ts_val - w->ts_recent) > 0)
                        w->ts_recent = seg->ts_val;
                ack_from(t, w, key, ts_offset_make(t, key), now_ns);
                wait_again(t, idx, key, hash, now_ns);
        } else if ((text_len || seg->flags & (TCP_SYN | TCP_FIN) || !seq_eq(seg->seq, w->rcv_nxt)) &&
                   challenge_allowed(t, wait_ref(t, idx), now_ns)) {
                ack_from(t, w, key, ts_offset_make(t, key), now_ns);
        }
        return DROP_TCP_TIME_WAIT;
}

/* ---- time ---- */

bool wait_next(const struct tcp *t, tick *at)
{
        if (t->wait_ring.cnt == 0)
                return false;
        *at = wait_at(t, t->wait_ring.head)->due;
        return true;
}

bool wait_expire(struct tcp *t, uint64_t now_ns)
{
        tick at;

        if (!wait_next(t, &at) || tick_before(tick_of_ns(now_ns), at))
                return false;
        head_leave(t);
        return true;
}

uint32_t wait_check(const struct tcp *t)
{
        const struct tcp_wait_ring *r = &t->wait_ring;
        uint32_t live = 0;

        ASSERT(r->cnt <= r->span && r->span <= t->waits.cap && (r->cnt == 0 || r->head - 1 < r->span));
        for (uint32_t i = 0; i < r->cnt; i++) {
                uint32_t idx = r->head + i;
                live += wait_at(t, idx > r->span ? idx - r->span : idx)->flags & WAIT_LIVE;
        }
        ASSERT(live == r->live);
        return live;
}
