/* SPDX-License-Identifier: MIT */
/* tcp/conn.c - The calls of the sockets: RFC 9293 3.10.1 to 3.10.6 */
#include "tcp/cc.h"

#include <errno.h>

/* ---- options, shared by those who have the same ---- */

static struct tcp_optset *optset_at(const struct tcp *t, uint32_t i) { return slab_at(&t->optsets, i); }

uint32_t optset_share(struct tcp *t, uint32_t set)
{
        if (set)
                optset_at(t, set)->refs++;
        return set;
}

/* Where a set with these contents is remembered, if it is. */
static uint32_t *optset_seat(struct tcp *t, const struct tcp_opts *opts)
{
        uint64_t h = 0;
        for (size_t i = 0; i < sizeof *opts; i += 4) {
                uint32_t w;
                memcpy(&w, (const uint8_t *)opts + i, 4);
                h = (h ^ w) * 0x9e3779b97f4a7c15u;
        }
        return &t->optset_seen[h >> 56];
}
static_assert(OPTSETS_SEEN == 256 && sizeof(struct tcp_opts) % 4 == 0, "optset_seat() takes 8 bits and whole words");

void optset_drop(struct tcp *t, uint32_t set)
{
        if (!set || --optset_at(t, set)->refs)
                return;
        uint32_t *seat = optset_seat(t, &optset_at(t, set)->opts);
        if (*seat == set)
                *seat = 0;
        slab_give(&t->optsets, set);
}

uint32_t optset_new(struct tcp *t, const struct tcp_opts *opts)
{
        if (memcmp(opts, &t->conf.opts, sizeof *opts) == 0)
                return 0;
        /* Programs set the same options on all their sockets: one set serves them all. */
        uint32_t *seat = optset_seat(t, opts);
        if (*seat && memcmp(&optset_at(t, *seat)->opts, opts, sizeof *opts) == 0)
                return optset_share(t, *seat);
        uint32_t set = slab_take(&t->optsets);
        if (!set)
                return UINT32_MAX;
        *optset_at(t, set) = (struct tcp_optset){ .opts = *opts, .refs = 1 };
        *seat = set;
        return set;
}

void conn_opts_apply(struct tcp *t, struct tcp_conn *c)
{
        const struct tcp_opts *o = conn_opts(t, c);
        c->flags &= ~(uint32_t)(TF_NODELAY | TF_QUICKACK | TF_KEEPALIVE);
        c->flags |= (o->nodelay ? TF_NODELAY : 0) | (o->quickack ? TF_QUICKACK : 0) | (o->keepalive ? TF_KEEPALIVE : 0);
}

void tcp_opts_get(const struct tcp *t, uint32_t conn, struct tcp_opts *opts)
{
        struct tcp_conn room;
        *opts = *conn_opts(t, rest_look(t, conn, &room));
}

int tcp_opts_set(struct tcp *t, uint32_t conn, const struct tcp_opts *opts, uint64_t now_ns)
{
        struct tcp_conn *c = conn_at(t, conn);

        if (memcmp(opts, conn_opts(t, c), sizeof *opts) == 0)
                return 0;
        uint32_t set = optset_new(t, opts);
        if (set == UINT32_MAX)
                return -ENOBUFS;
        optset_drop(t, c->opts);
        c->opts = set;
        conn_opts_apply(t, c);
        if (c->state != TCP_CLOSED) {
                timers_rearm(t, c);                     /* keepalive may just have begun */
                if (c->flight)
                        conn_pull(t, c);                /* and Nagle may just have ended */
        }
        return 0;
}

/* ---- 3.10.1 OPEN, active ---- */

int tcp_connect(struct tcp *t, const struct flow_key *want, const struct tcp_opts *opts, uint32_t owner, uint64_t now_ns,
                uint32_t *conn)
{
        struct flow_key key = *want;
        int rc;

        if (key.lport == 0 && (rc = ports_choose(&t->ports, &t->flows, &key, t->env.is_mine, t->env.arg)) < 0)
                return rc;
        if (want->lport && t->env.is_mine && !t->env.is_mine(t->env.arg, &key))
                return -EADDRNOTAVAIL;                  /* the answers would come to another shard */
        uint32_t hash = flow_hash(&t->flows, &key);
        if (flow_find(&t->flows, hash, &key))
                return -EADDRNOTAVAIL;                  /* as Linux: this very tuple is in use */

        uint32_t set = opts ? optset_new(t, opts) : 0;
        if (set == UINT32_MAX)
                return -ENOBUFS;
        struct tcp_conn *c = conn_new(t, &key, set, now_ns);
        if (!c) {
                optset_drop(t, set);
                return -ENOBUFS;
        }
        if (flow_insert(&t->flows, hash, conn_ref(t, c)) < 0) {
                conn_free(t, c);
                return -ENOBUFS;
        }
        c->state = TCP_SYN_SENT;
        c->owner = rest_at(t, c->self)->owner = owner;
        c->flags |= (t->conf.timestamps ? TF_TS : 0) | (t->conf.window_scaling ? TF_WSCALE : 0);
        if (t->conf.window_scaling)
                c->wscales = (uint8_t)(conn_offer_wscale(conn_opts(t, c)->rcvbuf) << 4);
        uint64_t secret = tuple_secret(t, &key);
        c->snd_una = c->snd_nxt = secret_isn(secret, now_ns);
        c->ts_offset = secret_ts_offset(secret);
        c->mss = TCP_MSS_DEFAULT;
        struct tcp_flight *f = flight_attach(t, c);
        ASSERT(f);                                      /* there are as many as connections */
        f->syn = true;

        t->ports.users[key.lport]++;
        c->flags |= TF_IN_TABLE;
        count(t->counters, CNT_TCP_ACTIVE_OPENS);
        conn_pull(t, c);
        *conn = c->self;
        return 0;
}

/* ---- 3.10.2 SEND ---- */

uint32_t send_free(const struct tcp *t, const struct tcp_conn *c)
{
        const struct tcp_flight *f = flight_at(t, c);
        uint32_t used = (f ? f->len : 0) + conn_reserved(t, c), size = conn_opts(t, c)->sndbuf;
        return size > used ? size - used : 0;
}

static uint32_t queued(const struct tcp *t, const struct tcp_conn *c)
{
        const struct tcp_flight *f = flight_at(t, c);
        return f ? f->len : 0;
}

bool send_room(const struct tcp *t, const struct tcp_conn *c)
{
        return sendq_may_grow(t, flight_at(t, c)) && send_free(t, c) >= queued(t, c) / 2 && send_free(t, c) > 0;
}

/* Something is in the send queue that was not. */
static inline void was_queued(struct tcp *t, struct tcp_conn *c, bool was_idle, bool more, bool all, uint64_t now_ns)
{
        tick silent = tick_of_ns(now_ns) - c->last_rx;
        if (was_idle && silent > ticks_from_ns(t->conf.rto_min_ns) && silent > ticks_from_ns(rto_ns(t, c)))
                cc_reno.restart(t, c);                  /* RFC 5681 4.1 */
        c->flags = more ? c->flags | TF_MORE : c->flags & ~(uint32_t)TF_MORE;
        if (!all || !send_room(t, c))
                c->flags |= TF_WND_FULL;                /* whoever asks now hears "no room" */
        conn_pull(t, c);
}

ssize_t tcp_send(struct tcp *t, uint32_t conn, const struct iovec *iov, size_t iov_cnt, bool more, uint64_t now_ns)
{
        struct tcp_conn *c = conn_at(t, conn);

        int rc = conn_may_send(c);
        if (rc < 0)
                return rc;
        size_t want = 0;
        for (size_t i = 0; i < iov_cnt; i++)
                want += iov[i].iov_len;
        if (want == 0) {                                /* nothing more, but what was held back may go */
                if (!more && c->flags & TF_MORE) {
                        c->flags &= ~(uint32_t)TF_MORE;
                        conn_pull(t, c);
                }
                return 0;
        }
        uint32_t room = send_free(t, c);
        if (room == 0) {
                c->flags |= TF_WND_FULL;
                return -EAGAIN;
        }
        bool was_idle = !c->flight;
        struct tcp_flight *f = flight_attach(t, c);
        ASSERT(f);
        uint32_t done = sendq_append(t, f, iov, iov_cnt, room);
        if (done == 0) {                                /* others hold the packet buffers */
                c->flags |= TF_WND_FULL;
                if (f->len == 0 && was_idle) {
                        flight_detach(t, c);
                        timers_wait_for_pool(t, c, now_ns);
                }
                return -EAGAIN;
        }
        was_queued(t, c, was_idle, more, done == want, now_ns);
        return done;
}

void conn_send_pkt(struct tcp *t, struct tcp_conn *c, struct pkt *p, bool more, uint64_t now_ns)
{
        bool was_idle = !c->flight;
        struct tcp_flight *f = flight_attach(t, c);
        ASSERT(f);
        sendq_add(t, f, p);
        was_queued(t, c, was_idle, more, true, now_ns);
}

/* ---- 3.10.4 CLOSE, 3.10.5 ABORT ---- */

static void queue_fin(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_flight *f = flight_attach(t, c);
        ASSERT(f);
        c->flags = (c->flags | TF_FIN_QUEUED) & ~(uint32_t)TF_MORE;
        conn_pull(t, c);
}

static void close_sending(struct tcp *t, struct tcp_conn *c)
{
        switch (c->state) {
        case TCP_SYN_RECEIVED:                          /* FIN-WAIT-1 when established */
                queue_fin(t, c);
                break;
        case TCP_ESTABLISHED:
                queue_fin(t, c);
                c->state = TCP_FIN_WAIT_1;
                break;
        case TCP_CLOSE_WAIT:
                queue_fin(t, c);
                c->state = TCP_LAST_ACK;
                break;
        default:
                break;
        }
}

int tcp_shutdown_send(struct tcp *t, uint32_t conn, uint64_t now_ns)
{
        struct tcp_conn *c = conn_at(t, conn);
        struct tcp_note nobody = { 0 };

        if (c->state == TCP_CLOSED)
                return -ENOTCONN;
        if (c->state == TCP_SYN_SENT)
                conn_closed(t, c, &nobody);             /* as Linux: the open is given up */
        else
                close_sending(t, c);
        return 0;
}

void tcp_shutdown_recv(struct tcp *t, uint32_t conn)
{
        conn_at(t, conn)->flags |= TF_RCV_SHUT;
}

/* The connection is gone at once; the peer hears of it if @rst. */
static void drop_conn(struct tcp *t, struct tcp_conn *c, bool rst)
{
        if (rst) {
                c->snd_nxt = conn_snd_max(t, c);
                c->flags |= TF_RST;
                conn_pull(t, c);
        }
        c->flags &= ~(uint32_t)TF_IN_ACCEPTQ;
        conn_free(t, c);
}

void tcp_close(struct tcp *t, uint32_t conn, uint64_t now_ns)
{
        struct tcp_conn *c = conn_at(t, conn);

        if (c->state == TCP_CLOSED || c->state == TCP_SYN_SENT) {
                conn_free(t, c);
                return;
        }
        if (recvq_len(t, c)) {                          /* RFC 2525 2.17: the peer must know that data was lost */
                count(t->counters, CNT_TCP_ABORT_ON_CLOSE);
                drop_conn(t, c, true);
                return;
        }
        c->flags |= TF_ORPHAN;
        c->owner = 0;
        account_leave(t, c);
        close_sending(t, c);
        if (c->state == TCP_FIN_WAIT_2)
                timers_set(t, c, TIMER_FIN_WAIT_2, t->conf.fin_wait2_ns, now_ns);
}

void tcp_abort(struct tcp *t, uint32_t conn, uint64_t now_ns)
{
        struct tcp_conn *c = conn_at(t, conn);
        /* 3.10.5: in CLOSING and LAST-ACK both sides have said all they had to say. */
        bool rst = c->state >= TCP_SYN_RECEIVED && c->state != TCP_CLOSING && c->state != TCP_LAST_ACK;
        drop_conn(t, c, rst);
}

/* Nothing comes into the table while this goes on, so what is behind the cursor stays empty of connections. */
bool tcp_abort_all(struct tcp *t, uint64_t now_ns)
{
        enum { ABORT_MAX = 1024 };
        uint32_t end = flow_bucket_cnt(&t->flows), aborted = 0;

        if (t->abort_at == 0)
                listen_forget_all(t);                   /* or new connections would come while the RSTs go out */
        for (; t->abort_at < end && aborted < ABORT_MAX; t->abort_at++)
                for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++) {
                        flow_ref ref = t->flows.bucket[t->abort_at].ref[i];
                        if (flow_ref_kind(ref) != FLOW_CONN)
                                continue;
                        tcp_abort(t, flow_ref_idx(ref), now_ns);
                        aborted++;
                }
        return t->abort_at < end;
}

/* ---- 3.10.6 STATUS ---- */

enum tcp_state tcp_state_of(const struct tcp *t, uint32_t conn)
{
        const struct tcp_rest *r = rest_at(t, conn);
        uint32_t awake = rest_awake(r);
        return (enum tcp_state)(awake ? awake_at(t, awake)->state : r->state);
}

void tcp_key_of(const struct tcp *t, uint32_t conn, struct flow_key *key)
{
        flow_key_of(&t->flows, flow_ref_of(FLOW_CONN, conn_flags(t, conn) & TF_WIDE, conn), key);
}

int tcp_error(const struct tcp *t, uint32_t conn)
{
        uint32_t awake = rest_awake(rest_at(t, conn));
        return awake ? awake_at(t, awake)->error : 0;
}

int tcp_error_take(struct tcp *t, uint32_t conn)
{
        int err = tcp_error(t, conn);
        if (err)
                conn_at(t, conn)->error = 0;
        return err;
}

uint32_t tcp_recv_avail(const struct tcp *t, uint32_t conn)
{
        uint32_t awake = rest_awake(rest_at(t, conn));
        return awake ? recvq_len(t, awake_at(t, awake)) : 0;
}

bool tcp_recv_eof(const struct tcp *t, uint32_t conn)
{
        return conn_flags(t, conn) & (TF_FIN_RCVD | TF_RCV_SHUT) || tcp_state_of(t, conn) == TCP_CLOSED;
}

uint32_t tcp_send_queued(const struct tcp *t, uint32_t conn)
{
        uint32_t awake = rest_awake(rest_at(t, conn));
        return awake ? queued(t, awake_at(t, awake)) : 0;
}

static uint32_t unsent(const struct tcp *t, const struct tcp_conn *c)
{
        const struct tcp_flight *f = flight_at(t, c);
        if (!f || f->syn)
                return f ? f->len : 0;
        uint32_t sent = (uint32_t)seq_diff(f->snd_max, c->snd_una);
        return f->len > sent ? f->len - sent : 0;
}

uint32_t tcp_send_unsent(const struct tcp *t, uint32_t conn)
{
        uint32_t awake = rest_awake(rest_at(t, conn));
        return awake ? unsent(t, awake_at(t, awake)) : 0;
}

void tcp_report(const struct tcp *t, uint32_t conn, struct tcp_report *out)
{
        struct tcp_conn room;
        const struct tcp_conn *c = rest_look(t, conn, &room);
        const struct tcp_flight *f = flight_at(t, c);

        *out = (struct tcp_report){
                .state = (enum tcp_state)c->state,
                .rto_ns = rto_ns(t, c),
                .srtt_ns = US(c->srtt_us8 >> 3),
                .rttvar_ns = US(c->rttvar_us4 >> 2),
                .snd_mss = c->mss,
                .rcv_mss = c->mss,
                .cwnd_bytes = c->cwnd,
                .ssthresh_bytes = c->ssthresh,
                .snd_wnd = c->snd_wnd,
                .rcv_wnd = conn_rcv_wnd(c),
                .unacked_bytes = f ? (uint32_t)seq_diff(f->snd_max, c->snd_una) : 0,
                .unsent_bytes = unsent(t, c),
                .rcvq_bytes = recvq_len(t, c),
                .retrans_total = f ? f->retrans : 0,
                .backoff = c->backoff,
                .probes = c->probes,
                .snd_wscale = (uint8_t)snd_wscale(c),
                .rcv_wscale = (uint8_t)rcv_wscale(c),
                .timestamps = c->flags & TF_TS,
                .wscale = c->flags & TF_WSCALE,
                .in_recovery = f && f->in_recovery,
        };
}
