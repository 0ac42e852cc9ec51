/* SPDX-License-Identifier: MIT */
/* tcp/listen.c - Listeners, the two ways of a passive open, accept queues
 *
 *      SYN ──┬─► half-open record (half.c) ────ACK──┬─► connection in the accept
 *            └─► nothing: a cookie (syncookie.c) ───┘   queue ──► tcp_accept()
 *
 * WHO GETS A RECORD.  As long as there are records, everybody; a listener no
 * more than its backlog, as in Linux, and never the last quarter of all while
 * others listen too: a flood at one of them leaves room for the rest.  Beyond
 * that a SYN is answered by a cookie.  Where those are switched off, one of
 * the records is given up instead: the oldest of those repeated most often,
 * of the same listener if it is that one's share which is used up.
 *
 * The backlog bounds the accept queue too: while it is full, SYNs are ignored,
 * and so is the ACK that would establish one more, so that the peer's or our
 * retransmission tries again later.  The same when there is no room for a
 * connection: no use in a SYN-ACK that nobody could stand by.
 */
#include "tcp/engine.h"

#include <errno.h>

enum { BACKLOG_MIN = 8 };               /* half-open connections that the smallest backlog allows */

const struct tcp_opts *listener_opts(const struct tcp *t, const struct tcp_listener *l)
{
        return l->opts ? &((const struct tcp_optset *)slab_at(&t->optsets, l->opts))->opts : &t->conf.opts;
}

static bool accept_queue_full(const struct tcp_listener *l) { return l->queue_len > l->backlog; }

/* Could a connection be established now?  DROP_NONE, or why not. */
static enum drop no_room(struct tcp *t, const struct tcp_listener *l)
{
        if (accept_queue_full(l)) {
                count(t->counters, CNT_TCP_ACCEPT_OVERFLOWS);
                return DROP_TCP_ACCEPT_FULL;
        }
        return t->conns.used >= t->conns.cap ? DROP_TCP_NO_CONN : DROP_NONE;
}

/* ---- RFC 9293 3.10.7.2 third: SYN ---- */

static uint8_t wscale_of(const struct tcp *t, uint32_t listener)
{
        return t->conf.window_scaling ? conn_offer_wscale(listener_opts(t, listener_at(t, listener))->rcvbuf) : 0;
}

static uint16_t mss_default(const struct flow_key *key)
{
        enum { MSS_DEFAULT_V6 = 1220 };                 /* RFC 9293 MUST-15 */
        return ip_addr_is_v4(&key->raddr) ? TCP_MSS_DEFAULT : MSS_DEFAULT_V6;
}

static void offer_make(const struct tcp *t, uint32_t listener, const struct tcp_seg *seg, const struct flow_key *key,
                       uint64_t secret, uint64_t now_ns, struct tcp_offer *o)
{
        *o = (struct tcp_offer){
                .irs = seg->seq,
                .iss = secret_isn(secret, now_ns),
                .ts_offset = secret_ts_offset(secret),
                .peer_mss = seg->has & TCP_HAS_MSS ? seg->mss : mss_default(key),
        };
        if (seg->has & TCP_HAS_TS && t->conf.timestamps) {
                o->has |= TCP_HAS_TS;
                o->ts_recent = seg->ts_val;
        }
        if (seg->has & TCP_HAS_WSCALE && t->conf.window_scaling) {
                o->has |= TCP_HAS_WSCALE;
                o->peer_wscale = seg->wscale;
                o->rcv_wscale = wscale_of(t, listener);
        }
}

void listen_syn_ack(struct tcp *t, uint32_t listener, const struct tcp_offer *o, const struct flow_key *key,
                    uint32_t ts_ms)
{
        const struct tcp_opts *opts = listener_opts(t, listener_at(t, listener));
        struct tcp_seg seg = {
                .seq = o->iss,
                .ack = seq_add(o->irs, 1),
                .flags = TCP_SYN | TCP_ACK,
                .window = (uint16_t)u32_min(opts->rcvbuf, 65535),
                .has = TCP_HAS_MSS | o->has,
                .mss = conn_offer_mss(t, &key->raddr, opts),
                .wscale = o->rcv_wscale,
                .ts_val = ts_ms + o->ts_offset,
                .ts_ecr = o->ts_recent,
        };
        reply_push(t, key, &seg, opts->tos, opts->ttl);
}

/* Half-open records that @l may have. */
static uint32_t half_share(const struct tcp *t, const struct tcp_listener *l)
{
        uint32_t all = t->halves.cap - (t->listeners.used > 1 ? t->halves.cap / 4 : 0);
        return u32_min(u32_max(l->backlog, BACKLOG_MIN), all);
}

static bool wants_cookie(const struct tcp *t, bool room)
{
        return t->conf.syncookies == TCP_SYNCOOKIES_ALWAYS || (t->conf.syncookies == TCP_SYNCOOKIES_AUTO && !room);
}

static enum drop syn_input(struct tcp *t, uint32_t listener, const struct tcp_arrival *a, const tcp_seq *iss_min)
{
        const struct tcp_listener *l = listener_at(t, listener);
        struct tcp_offer o;

        enum drop why = no_room(t, l);
        if (why != DROP_NONE)
                return why;
        if (pkt_pool_low(t->pool, POOL_PART_SYN))
                return DROP_TCP_SYN_NO_MEM;
        uint64_t secret = tuple_secret(t, a->key);
        offer_make(t, listener, a->seg, a->key, secret, a->now_ns, &o);

        bool mine = l->half_cnt < half_share(t, l), room = mine && t->halves.used < t->halves.cap;
        if (iss_min) {                                  /* TIME-WAIT's: a cookie might not be beyond its numbers */
                o.iss = seq_max(o.iss, *iss_min);
        } else if (wants_cookie(t, room)) {
                if (cookie_fits(&o, a->key)) {
                        cookie_send(t, listener, &o, a->key, secret, a->now_ns);
                        return DROP_NONE;
                }
                if (!room)                              /* nobody shall be able to push the others out */
                        return DROP_TCP_SYN_FULL;
        }
        if (!room && !half_evict(t, mine ? 0 : listener))
                return DROP_TCP_SYN_FULL;
        return half_make(t, listener, &o, a);
}

/* ---- second: ACK ---- */

/* What the handshake has agreed on. */
static void take_over(struct tcp *t, struct tcp_conn *c, const struct tcp_offer *o, const struct tcp_seg *seg)
{
        c->snd_una = c->snd_nxt = seq_add(o->iss, 1);
        c->rcv_nxt = c->rcv_acked = seq_add(o->irs, 1);
        c->rcv_adv = seq_add(c->rcv_nxt, u32_min(conn_opts(t, c)->rcvbuf, 65535));
        c->ts_recent = o->ts_recent;
        c->ts_offset = o->ts_offset;
        if (o->has & TCP_HAS_TS)
                c->flags |= TF_TS;
        if (o->has & TCP_HAS_WSCALE) {
                c->flags |= TF_WSCALE;
                c->wscales = (uint8_t)(o->peer_wscale | o->rcv_wscale << 4);
        }
        c->snd_wnd = c->snd_wnd_max = (uint32_t)seg->window << (c->flags & TF_WSCALE ? snd_wscale(c) : 0);
        c->snd_wl1 = seg->seq;
        c->snd_wl2 = seg->ack;
}

static void accept_queue_push(struct tcp *t, struct tcp_listener *l, struct tcp_conn *c)
{
        uint32_t idx = c->self;

        c->flags |= TF_IN_ACCEPTQ;
        c->accept_next = 0;                             /* nobody owns it yet */
        if (l->queue_tail)
                conn_at(t, l->queue_tail)->accept_next = idx;
        else
                l->queue_head = idx;
        l->queue_tail = idx;
        l->queue_len++;
}

/* The tuple is the connection's: it goes on from the record, or is new. */
static bool take_tuple(struct tcp *t, struct tcp_conn *c, flow_ref half, const struct tcp_arrival *a)
{
        if (half) {
                flow_replace(&t->flows, a->hash, half, conn_ref(t, c));
                half_promoted(t, flow_ref_idx(half));
        } else {
                if (flow_insert(&t->flows, a->hash, conn_ref(t, c)) < 0)
                        return false;
                t->ports.users[a->key->lport]++;
        }
        c->flags |= TF_IN_TABLE;
        return true;
}

enum drop listen_establish(struct tcp *t, uint32_t listener, flow_ref half, const struct tcp_offer *offer,
                           uint32_t rtt_us, const struct tcp_arrival *a)
{
        struct tcp_listener *l = listener_at(t, listener);
        struct tcp_offer o = *offer;                    /* the record that it lies in goes */

        enum drop why = no_room(t, l);
        if (why != DROP_NONE)
                return why;
        struct tcp_conn *c = conn_new(t, a->key, optset_share(t, l->opts), a->now_ns);
        if (!c) {
                optset_drop(t, l->opts);
                return DROP_TCP_NO_CONN;
        }
        take_over(t, c, &o, a->seg);
        if (!take_tuple(t, c, half, a)) {
                conn_free(t, c);
                return DROP_TCP_NO_CONN;
        }
        if (rtt_us == RTT_AMBIGUOUS)
                c->flags |= TF_SYN_RETRIED;
        else if (rtt_us)
                rtt_sample(c, rtt_us);
        conn_established(t, c, o.peer_mss);
        accept_queue_push(t, l, c);
        count(t->counters, CNT_TCP_PASSIVE_OPENS);

        why = conn_input(t, c, a->p, a->seg, a->now_ns, a->note, a->kept);
        *a->note = (struct tcp_note){ .events = TCP_EV_ACCEPT, .owner = l->owner };
        return why;
}

enum drop listen_cookie(struct tcp *t, uint32_t listener, flow_ref half, const struct tcp_arrival *a)
{
        struct tcp_offer o;
        uint32_t rtt_us;

        if (!cookie_awaited(t, listener, a->now_ns))
                return DROP_TCP_NO_LISTEN_SYN;
        /* Silently: what the peer says next may bring a cookie no more, and shall not be answered by RST. */
        enum drop why = no_room(t, listener_at(t, listener));
        if (why != DROP_NONE)
                return why;
        if (!cookie_check(t, a, wscale_of(t, listener), &o, &rtt_us)) {
                count(t->counters, CNT_TCP_SYNCOOKIES_FAILED);
                return DROP_TCP_BAD_COOKIE;
        }
        count(t->counters, CNT_TCP_SYNCOOKIES_RCVD);
        return listen_establish(t, listener, half, &o, rtt_us, a);
}

/* RFC 9293 3.10.7.2 */
enum drop listen_input(struct tcp *t, uint32_t listener, const struct tcp_arrival *a, const tcp_seq *iss_min)
{
        uint8_t flags = a->seg->flags;

        if (flags & TCP_RST)                            /* first */
                return DROP_TCP_RST_NO_FLOW;
        if (flags & TCP_ACK) {                          /* second */
                enum drop why = flags & TCP_SYN ? DROP_TCP_NO_LISTEN_SYN : listen_cookie(t, listener, 0, a);
                if (why == DROP_TCP_NO_LISTEN_SYN || why == DROP_TCP_BAD_COOKIE)
                        reply_rst_to(t, a->key, a->seg, a->p->len);
                return why;
        }
        if (!(flags & TCP_SYN) || flags & TCP_FIN)      /* third, fourth; SYN with FIN is nobody's */
                return DROP_TCP_NO_LISTEN_SYN;
        return syn_input(t, listener, a, iss_min);
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
        *listener_at(t, idx) = (struct tcp_listener){
                .owner = owner, .binding = binding, .backlog = backlog, .opts = set,
        };
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

        ports_unlisten(&t->ports, l->binding);
        for (uint32_t c; (c = tcp_accept(t, listener, 0));)
                tcp_abort(t, c, now_ns);
        half_forget(t, listener);
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
                        ports_unlisten(&t->ports, b);
                        l->queue_head = l->queue_tail = l->queue_len = 0;
                }
        half_forget(t, 0);
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
        c->owner = rest_at(t, idx)->owner = owner;
        rest_soon(t, c);
        return idx;
}
