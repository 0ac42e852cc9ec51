/* SPDX-License-Identifier: MIT */
/* tcp/listen.c - Listeners, half-open records, accept queues
 *
 *      SYN ──► half-open record (64 octets) ──ACK──► connection in the accept
 *              │ SYN-ACK again after 1, 2, 4... s    queue ──► tcp_accept()
 *              ▼
 *              forgotten after synack_retries
 *
 * A record that has been repeated k times waits in FIFO k, where all wait
 * equally long: no timer wheel.  When records run out, the oldest of those
 * repeated most often is given up for the new one: the first step of shedding.
 *
 * The backlog bounds the accept queue, as in Linux: while it is full, SYNs are
 * ignored and the ACK that would establish one more is too, so the peer's or
 * our retransmission tries again later.
 */
#include "tcp/engine.h"

#include <errno.h>

enum { SYN_AGAIN_MS = 500 };            /* a repeated SYN is answered so often at most, as Linux answers what is out of order */

static struct tcp_half *half_at(const struct tcp *t, uint32_t i) { return slab_at(&t->halves, i); }

/* ---- half-open records ---- */

void half_drop(struct tcp *t, uint32_t idx)
{
        struct tcp_half *h = half_at(t, idx);
        struct flow_key key;
        flow_ref ref = flow_ref_of(FLOW_HALF, h->wide, idx);

        flow_key_of(&t->flows, ref, &key);
        flow_remove(&t->flows, flow_hash(&t->flows, &key), ref);
        t->ports.users[h->id.lport]--;
        fifo_remove(&t->half_fifo[h->retries], &t->halves, idx);
        listener_at(t, h->listener)->half_cnt--;
        slab_give(&t->halves, idx);
}

static const struct tcp_opts *listener_opts(const struct tcp *t, const struct tcp_listener *l)
{
        return l->opts ? &((const struct tcp_optset *)slab_at(&t->optsets, l->opts))->opts : &t->conf.opts;
}

static void half_schedule(struct tcp *t, uint32_t idx, uint64_t now_ns)
{
        struct tcp_half *h = half_at(t, idx);
        h->due = tick_of_ns(now_ns) + ticks_from_ns(SEC(1) << h->retries) + 1;  /* RFC 6298 2.1, 5.5 */
        fifo_push(&t->half_fifo[h->retries], &t->halves, idx);
}

static void half_send_syn_ack(struct tcp *t, const struct tcp_half *h, const struct flow_key *key, uint64_t now_ns)
{
        const struct tcp_listener *l = listener_at(t, h->listener);
        const struct tcp_opts *o = listener_opts(t, l);
        struct tcp_seg seg = {
                .seq = h->iss,
                .ack = seq_add(h->irs, 1),
                .flags = TCP_SYN | TCP_ACK,
                .window = (uint16_t)u32_min(o->rcvbuf, 65535),
                .has = TCP_HAS_MSS | h->has,
                .mss = conn_offer_mss(t, &key->raddr, o),
                .wscale = h->rcv_wscale,
        };
        if (h->has & TCP_HAS_TS) {
                seg.ts_val = ms_of_ns(now_ns) + h->ts_offset;
                seg.ts_ecr = h->ts_recent;
        }
        reply_push(t, key, &seg, o->tos, o->ttl);
}

/* A free record; the longest tried one is given up if there is none. */
static uint32_t half_take(struct tcp *t)
{
        uint32_t idx = slab_take(&t->halves);
        for (int level = HALF_LEVELS - 1; !idx && level >= 0; level--) {
                if (!t->half_fifo[level].head)
                        continue;
                count(t->counters, CNT_TCP_SYN_EVICTED);
                count_drop(t->counters, DROP_TCP_SYN_FULL);
                half_drop(t, t->half_fifo[level].head);
                idx = slab_take(&t->halves);
        }
        return idx;
}

static bool accept_queue_full(const struct tcp_listener *l) { return l->queue_len > l->backlog; }

static void half_make(struct tcp *t, uint32_t listener, const struct tcp_seg *seg, const struct flow_key *key,
                      uint32_t hash, uint32_t idx, const tcp_seq *iss_min, uint64_t now_ns)
{
        struct tcp_half *h = half_at(t, idx);
        uint8_t has = 0;

        if (seg->has & TCP_HAS_TS && t->conf.timestamps)
                has |= TCP_HAS_TS;
        if (seg->has & TCP_HAS_WSCALE && t->conf.window_scaling)
                has |= TCP_HAS_WSCALE;
        tcp_seq iss = isn_make(t, key, now_ns);
        *h = (struct tcp_half){
                .irs = seg->seq,
                .iss = iss_min && seq_lt(iss, *iss_min) ? *iss_min : iss,
                .ts_recent = seg->has & TCP_HAS_TS ? seg->ts_val : 0,
                .ts_offset = ts_offset_make(t, key),
                .listener = listener,
                .sent_ms = ms_of_ns(now_ns),
                .peer_mss = seg->has & TCP_HAS_MSS ? seg->mss : TCP_MSS_DEFAULT,
                .peer_wnd = seg->window,
                .peer_wscale = seg->has & TCP_HAS_WSCALE ? seg->wscale : 0,
                .rcv_wscale = conn_offer_wscale(listener_opts(t, listener_at(t, listener))->rcvbuf),
                .has = has,
        };
        flow_ref ref = flow_id_set(&t->halves, FLOW_HALF, idx, key);
        h->wide = !!(ref & FLOW_WIDE_BIT);
        flow_insert(&t->flows, hash, ref);              /* has room: sized for every record there can be */
        t->ports.users[key->lport]++;
        listener_at(t, listener)->half_cnt++;
        half_schedule(t, idx, now_ns);
        half_send_syn_ack(t, h, key, now_ns);
}

/* RFC 9293 3.10.7.2 */
enum drop listen_input(struct tcp *t, uint32_t listener, const struct tcp_seg *seg, const struct flow_key *key,
                       uint32_t hash, uint32_t text_len, const tcp_seq *iss_min, uint64_t now_ns)
{
        if (seg->flags & TCP_RST)                       /* first */
                return DROP_TCP_RST_NO_FLOW;
        if (seg->flags & TCP_ACK) {                     /* second */
                reply_rst_to(t, key, seg, text_len);
                return DROP_TCP_NO_LISTEN_SYN;
        }
        if (!(seg->flags & TCP_SYN) || seg->flags & TCP_FIN)    /* third, fourth; SYN with FIN is nobody's */
                return DROP_TCP_NO_LISTEN_SYN;

        if (accept_queue_full(listener_at(t, listener))) {
                count(t->counters, CNT_TCP_ACCEPT_OVERFLOWS);
                return DROP_TCP_ACCEPT_FULL;
        }
        uint32_t idx = half_take(t);
        if (!idx)
                return DROP_TCP_SYN_FULL;
        half_make(t, listener, seg, key, hash, idx, iss_min, now_ns);
        return DROP_NONE;
}

/* ---- from half-open to established ---- */

/* What the handshake has agreed on. */
static void take_over(struct tcp *t, struct tcp_conn *c, const struct tcp_half *h, const struct tcp_seg *seg, uint64_t now_ns)
{
        c->snd_una = c->snd_nxt = seq_add(h->iss, 1);
        c->rcv_nxt = c->rcv_acked = seq_add(h->irs, 1);
        c->rcv_adv = seq_add(c->rcv_nxt, u32_min(conn_opts(t, c)->rcvbuf, 65535));
        c->ts_recent = h->ts_recent;
        c->ts_offset = h->ts_offset;
        if (h->has & TCP_HAS_TS)
                c->flags |= TF_TS;
        if (h->has & TCP_HAS_WSCALE) {
                c->flags |= TF_WSCALE;
                c->wscales = (uint8_t)(h->peer_wscale | h->rcv_wscale << 4);
        }
        if (h->retries || h->resent)                    /* RFC 6298 3, Karn: which one was answered? */
                c->flags |= TF_SYN_RETRIED;
        else
                rtt_sample(c, u32_max((ms_of_ns(now_ns) - h->sent_ms) * 1000, 500));
        c->snd_wnd = c->snd_wnd_max = (uint32_t)seg->window << (c->flags & TF_WSCALE ? snd_wscale(c) : 0);
        c->snd_wl1 = seg->seq;
        c->snd_wl2 = seg->ack;
}

static void accept_queue_push(struct tcp *t, struct tcp_listener *l, struct tcp_conn *c)
{
        uint32_t idx = conn_idx(t, c);

        c->flags |= TF_IN_ACCEPTQ;
        c->accept_next = 0;                             /* nobody owns it yet */
        if (l->queue_tail)
                conn_at(t, l->queue_tail)->accept_next = idx;
        else
                l->queue_head = idx;
        l->queue_tail = idx;
        l->queue_len++;
}

/* The record becomes a connection and waits to be accepted.  NULL: none is free, the record stays. */
static struct tcp_conn *promote(struct tcp *t, uint32_t idx, const struct flow_key *key, uint32_t hash,
                                const struct tcp_seg *seg, uint64_t now_ns)
{
        struct tcp_half *h = half_at(t, idx);
        struct tcp_listener *l = listener_at(t, h->listener);

        struct tcp_conn *c = conn_new(t, key, optset_share(t, l->opts), now_ns);
        if (!c) {
                optset_drop(t, l->opts);
                return NULL;
        }
        take_over(t, c, h, seg, now_ns);
        conn_established(t, c, h->peer_mss);

        /* The tuple goes from the record to the connection. */
        flow_replace(&t->flows, hash, flow_ref_of(FLOW_HALF, h->wide, idx), conn_ref(t, c));
        c->flags |= TF_IN_TABLE;
        fifo_remove(&t->half_fifo[h->retries], &t->halves, idx);
        l->half_cnt--;
        slab_give(&t->halves, idx);

        accept_queue_push(t, l, c);
        count(t->counters, CNT_TCP_PASSIVE_OPENS);
        return c;
}

/* RFC 9293 3.10.7.4 for SYN-RECEIVED after a passive open. */
enum drop half_input(struct tcp *t, uint32_t idx, struct pkt *p, const struct tcp_seg *seg, const struct flow_key *key,
                     uint32_t hash, uint64_t now_ns, struct tcp_note *note, bool *kept)
{
        struct tcp_half *h = half_at(t, idx);
        struct tcp_listener *l = listener_at(t, h->listener);
        tcp_seq rcv_nxt = seq_add(h->irs, 1);

        /* The same SYN again: our answer was lost. */
        if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && seq_eq(seg->seq, h->irs)) {
                if (h->resent && ms_of_ns(now_ns) - h->answered_ms < SYN_AGAIN_MS)
                        return DROP_TCP_RATE;
                h->resent = true;
                h->answered_ms = ms_of_ns(now_ns);
                if (h->has & TCP_HAS_TS && seg->has & TCP_HAS_TS)
                        h->ts_recent = seg->ts_val;
                half_send_syn_ack(t, h, key, now_ns);
                return DROP_NONE;
        }
        if (h->has & TCP_HAS_TS && seg->has & TCP_HAS_TS && !(seg->flags & TCP_RST) &&
            (int32_t)(seg->ts_val - h->ts_recent) < 0)
                return DROP_TCP_PAWS;                                           /* RFC 7323 5.3 */
        if (!seq_in(seg->seq, rcv_nxt, 65535)) {                                /* first */
                if (!(seg->flags & TCP_RST) && challenge_allowed(t, flow_ref_of(FLOW_HALF, h->wide, idx), now_ns))
                        half_send_syn_ack(t, h, key, now_ns);
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
                if (challenge_allowed(t, flow_ref_of(FLOW_HALF, h->wide, idx), now_ns))
                        half_send_syn_ack(t, h, key, now_ns);
                return DROP_TCP_SYN_IN_CONN;
        }
        if (!(seg->flags & TCP_ACK))                                            /* fifth */
                return DROP_TCP_NO_ACK;
        if (!seq_eq(seg->ack, seq_add(h->iss, 1))) {
                reply_rst_to(t, key, seg, p->len);
                return DROP_TCP_BAD_ACK;
        }
        if (accept_queue_full(l)) {
                count(t->counters, CNT_TCP_ACCEPT_OVERFLOWS);
                return DROP_TCP_ACCEPT_FULL;
        }
        struct tcp_conn *c = promote(t, idx, key, hash, seg, now_ns);
        if (!c)
                return DROP_TCP_NO_CONN;
        enum drop why = conn_input(t, c, p, seg, now_ns, note, kept);
        *note = (struct tcp_note){ .events = TCP_EV_ACCEPT, .owner = l->owner };
        return why;
}

/* ---- timers ---- */

bool half_next(const struct tcp *t, tick *at)
{
        bool any = false;
        for (int level = 0; level < HALF_LEVELS; level++) {
                uint32_t head = t->half_fifo[level].head;
                if (head && (!any || tick_before(half_at(t, head)->due, *at))) {
                        *at = half_at(t, head)->due;
                        any = true;
                }
        }
        return any;
}

bool half_expire(struct tcp *t, uint64_t now_ns)
{
        tick now = tick_of_ns(now_ns);

        for (int level = 0; level < HALF_LEVELS; level++) {
                uint32_t idx = t->half_fifo[level].head;
                if (!idx || tick_before(now, half_at(t, idx)->due))
                        continue;
                struct tcp_half *h = half_at(t, idx);
                if (h->retries >= t->conf.synack_retries || h->retries + 1 >= HALF_LEVELS) {
                        count(t->counters, CNT_TCP_OPEN_FAILS);
                        half_drop(t, idx);
                        return true;
                }
                struct flow_key key;
                flow_key_of(&t->flows, flow_ref_of(FLOW_HALF, h->wide, idx), &key);
                fifo_remove(&t->half_fifo[h->retries], &t->halves, idx);
                h->retries++;
                count(t->counters, CNT_TCP_SYN_RETRANS);
                half_schedule(t, idx, now_ns);
                half_send_syn_ack(t, h, &key, now_ns);
                return true;
        }
        return false;
}

/* ---- the sockets' side ---- */

int tcp_listen(struct tcp *t, uint32_t binding, uint32_t backlog, const struct tcp_opts *opts, uint32_t owner,
               uint32_t *listener)
{
        uint32_t set = opts ? optset_new(t, opts) : 0;
        if (set == UINT32_MAX)
                return -ENOBUFS;
        uint32_t idx = slab_take(&t->listeners);
        if (!idx) {
                optset_drop(t, set);
                return -ENOBUFS;
        }
        int rc = ports_listen(&t->ports, binding, idx);
        if (rc < 0) {
                optset_drop(t, set);
                slab_give(&t->listeners, idx);
                return rc;
        }
        *listener_at(t, idx) = (struct tcp_listener){ .owner = owner, .binding = binding, .backlog = backlog, .opts = set };
        *listener = idx;
        return 0;
}

void tcp_listen_backlog(struct tcp *t, uint32_t listener, uint32_t backlog)
{
        listener_at(t, listener)->backlog = backlog;
}

void tcp_listen_opts(struct tcp *t, uint32_t listener, const struct tcp_opts *opts)
{
        struct tcp_listener *l = listener_at(t, listener);
        uint32_t set = optset_new(t, opts);
        if (set == UINT32_MAX)
                return;
        optset_drop(t, l->opts);
        l->opts = set;
}

void tcp_unlisten(struct tcp *t, uint32_t listener, uint64_t now_ns)
{
        struct tcp_listener *l = listener_at(t, listener);

        ports_binding(&t->ports, l->binding)->listener = 0;
        for (uint32_t c; (c = tcp_accept(t, listener, 0));)
                tcp_abort(t, c, now_ns);
        for (int level = 0; level < HALF_LEVELS && l->half_cnt; level++)
                for (uint32_t i = t->half_fifo[level].head, next; i; i = next) {
                        next = half_at(t, i)->next;
                        if (half_at(t, i)->listener == listener)
                                half_drop(t, i);
                }
        optset_drop(t, l->opts);
        slab_give(&t->listeners, listener);
}

void listen_forget_all(struct tcp *t)
{
        for (uint32_t port = 0; port < PORT_CNT; port++)
                for (uint32_t b = t->ports.chain[port]; b; b = ports_binding(&t->ports, b)->next) {
                        uint32_t idx = ports_binding(&t->ports, b)->listener;
                        if (!idx)
                                continue;
                        struct tcp_listener *l = listener_at(t, idx);
                        ports_binding(&t->ports, b)->listener = 0;
                        l->queue_head = l->queue_tail = l->queue_len = 0;
                }
        for (int level = 0; level < HALF_LEVELS; level++)
                while (t->half_fifo[level].head)
                        half_drop(t, t->half_fifo[level].head);
}

uint32_t tcp_accept_queue_len(const struct tcp *t, uint32_t listener) { return listener_at(t, listener)->queue_len; }

uint32_t tcp_accept(struct tcp *t, uint32_t listener, uint32_t owner)
{
        struct tcp_listener *l = listener_at(t, listener);
        uint32_t idx = l->queue_head;
        if (!idx)
                return 0;

        struct tcp_conn *c = conn_at(t, idx);
        l->queue_head = c->accept_next;
        if (!l->queue_head)
                l->queue_tail = 0;
        l->queue_len--;
        c->flags &= ~(uint32_t)TF_IN_ACCEPTQ;
        c->accept_next = 0;
        c->owner = owner;
        return idx;
}
