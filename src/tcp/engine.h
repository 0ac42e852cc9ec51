/* SPDX-License-Identifier: MIT */
/* tcp/engine.h - Inside the TCP engine: its parts, and who does what
 *
 * Only files of tcp/ include this; everybody else uses tcp.h.
 *
 * The connection is a container of small parts, each with a file of its own:
 *
 *      input.c      RFC 9293 3.10.7, a segment step by step, in the order of the RFC
 *      fast.c       the same for the segment that was expected, in one go
 *      ack.c        its fifth step: what an acknowledgment means
 *      output.c     what to say next, pulled by the shard
 *      sendq.c      octets to send and not yet acknowledged    (struct tcp_flight)
 *      recvq.c      octets received, in order and out of order (struct tcp_recvq)
 *      loan.c       buffers in the hands of the program        (struct tcp_account)
 *      rtt.c        RFC 6298: round-trip time and RTO
 *      loss.c       duplicate ACKs, fast retransmit and NewReno (RFC 5681, 6582), RTO
 *      cc.h         congestion control behind five functions; cc_reno.c is the first
 *      timers.c     one wheel node a connection, several deadlines
 *      listen.c     listeners, passive opens, accept queues
 *      half.c       a passive open between SYN and ACK     (struct tcp_half)
 *      syncookie.c  the same without a record
 *      timewait.c   2 MSL as a small record
 *      reply.c      answers that need no connection: RST, challenge ACK
 *      isn.c        what an attacker must not guess (RFC 6528, timestamp offsets)
 *      rest.c       a silent connection in 64 octets       (struct tcp_rest)
 *      conn.c       open, close, options: the calls of the sockets
 *
 * WHAT AN IDLE CONNECTION COSTS: struct tcp_rest, 64 octets, one cache line.
 * While something happens it also has a struct tcp_conn, 128 octets: the first
 * line is what the next segment needs (rest.c).  What matters only while data
 * flows hangs on that by index and is given back: tcp_flight while octets are
 * unacknowledged, tcp_recvq while octets wait to be read.  A tcp_optset is had
 * by those whose options differ from the defaults, and shared with siblings.
 */
#pragma once
#include "base/rnd.h"
#include "base/wheel.h"
#include "tcp/records.h"
#include "tcp/tcp.h"

#include <errno.h>

struct tcp {
        struct tcp_conf   conf;
        struct tcp_env    env;
        struct pkt_pool  *pool;
        struct counters  *counters;
        struct slab       conns, awake, halves, waits, flights, recvqs, optsets, listeners;
        struct slab       accounts, lent;               /* loan.c */
        struct flow_table flows;
        struct ports      ports;
        struct wheel      wheel;
        uint64_t          now_ns;                       /* of the last tcp_expire() */
        struct rnd        rnd;
        struct hash_key   isn_key, cookie_key;
        uint32_t          out_head, out_tail;           /* connections with something to say */
        uint32_t          out_quota;                    /* segments the head may still send before its turn ends */
        struct tcp_fifo   half_fifo[HALF_LEVELS];       /* by retries: each level has one timeout */
        struct tcp_wait_ring wait_ring;
        uint32_t          owed[OWED_MAX];               /* who owes an ACK and is not in the wheel for it (timers.c) */
        uint32_t          owed_head, owed_tail;         /* run on without end: the place is modulo OWED_MAX */
        uint32_t          owed_mark[2];                 /* the tail at the end of the last turn and of the one before */
        uint32_t          quiet_head, quiet_cnt;        /* who may have fallen silent in this turn (rest.c) */
        uint32_t          optset_seen[OPTSETS_SEEN];    /* sets to share, by a hash of their contents; 0: none */
        uint32_t          probed_at;                    /* flows.removed at the last tcp_rx_probe() */
        uint32_t          abort_at;                     /* tcp_abort_all() has done the buckets before */
        uint64_t          loan_number;                  /* of the last loan */
        uint32_t          held[2];                      /* buffers in the hands of the program: small, large */
        bool              starved;                      /* the last poll found no packet buffer */
        uint64_t          challenge_refill_ns;          /* token bucket, RFC 5961 7 */
        uint32_t          challenge_tokens;
        struct {
                flow_ref who;
                tick     at;
        }                 answer[ANSWER_SLOTS];         /* who was told last, see answer_allowed() */
        uint32_t          reply_head, reply_cnt;
        bool              reply_last;                   /* the last segment was a reply: a connection is next */
        struct tcp_reply  reply[REPLY_MAX];
};

/* ---- engine.c ---- */
/* With the size known to the compiler: a shift, where slab_at() multiplies. */
static inline struct tcp_rest *rest_at(const struct tcp *t, uint32_t conn) { return (struct tcp_rest *)t->conns.base + conn; }
/* 0: it is at rest. */
static inline uint32_t rest_awake(const struct tcp_rest *r) { return r->awake & REST_AWAKE ? r->awake & ~REST_AWAKE : 0; }
static inline struct tcp_conn *awake_at(const struct tcp *t, uint32_t i) { return (struct tcp_conn *)t->awake.base + i; }
static inline uint32_t awake_idx(const struct tcp *t, const struct tcp_conn *c)
{
        return (uint32_t)(c - (const struct tcp_conn *)t->awake.base);
}

/* ---- rest.c ---- */
struct tcp_conn *rest_wake(struct tcp *t, uint32_t conn);
/* Reads without waking: what it has in @room if it is at rest.  Not to be changed. */
const struct tcp_conn *rest_look(const struct tcp *t, uint32_t conn, struct tcp_conn *room);
/* @c may be silent: lay it down at the end of the turn's timers if it still is. */
void rest_soon(struct tcp *t, struct tcp_conn *c);
void rest_turn(struct tcp *t);
/* Is there nothing that it waits for, or that waits for it? */
bool rest_is_silent(const struct tcp *t, const struct tcp_conn *c);
uint16_t rest_round_down(uint32_t v);
uint16_t rest_round_up(uint32_t v);
uint32_t rest_value(uint16_t packed);

/* Connection @conn, woken.  True until the end of the turn's timers, or until another one is woken. */
static inline struct tcp_conn *conn_at(struct tcp *t, uint32_t conn)
{
        uint32_t awake = rest_awake(rest_at(t, conn));
        return awake ? awake_at(t, awake) : rest_wake(t, conn);
}
static inline uint32_t conn_flags(const struct tcp *t, uint32_t conn)
{
        const struct tcp_rest *r = rest_at(t, conn);
        uint32_t awake = rest_awake(r);
        return awake ? awake_at(t, awake)->flags : r->flags;
}
/* Begin to load a busy one, by its index among those; 0 is harmless. */
static inline void awake_prefetch(const struct tcp *t, uint32_t i)
{
        const uint8_t *c = (const uint8_t *)awake_at(t, i);
        __builtin_prefetch(c);
        __builtin_prefetch(c + 64);
}
static inline struct tcp_flight *flight_at(const struct tcp *t, const struct tcp_conn *c)
{
        return c->flight ? slab_at(&t->flights, c->flight) : NULL;
}
static inline struct tcp_recvq *recvq_at(const struct tcp *t, const struct tcp_conn *c)
{
        return c->recvq ? slab_at(&t->recvqs, c->recvq) : NULL;
}
static inline struct tcp_account *account_at(const struct tcp *t, const struct tcp_conn *c)
{
        return c->account ? slab_at(&t->accounts, c->account) : NULL;
}
static inline struct tcp_listener *listener_at(const struct tcp *t, uint32_t i) { return slab_at(&t->listeners, i); }
static inline uint32_t snd_wscale(const struct tcp_conn *c) { return c->wscales & 15; }
static inline uint32_t rcv_wscale(const struct tcp_conn *c) { return c->wscales >> 4; }
static inline flow_ref conn_ref(const struct tcp *t, const struct tcp_conn *c)
{
        return flow_ref_of(FLOW_CONN, c->flags & TF_WIDE, c->self);
}
/* RFC 9293 RCV.WND: octets that we have offered and that have not come. */
static inline uint32_t conn_rcv_wnd(const struct tcp_conn *c)
{
        return seq_lt(c->rcv_adv, c->rcv_nxt) ? 0 : (uint32_t)seq_diff(c->rcv_adv, c->rcv_nxt);
}
/* May octets be queued?  0; -EPIPE no more; -EAGAIN not yet connected. */
static inline int conn_may_send(const struct tcp_conn *c)
{
        if (c->state == TCP_CLOSED || c->flags & TF_FIN_QUEUED)
                return -EPIPE;
        return c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED ? -EAGAIN : 0;
}
/* Milliseconds, the unit of our timestamps (RFC 7323 5.4: 1 ms to 1 s). */
static inline uint32_t ms_of_ns(uint64_t ns) { return (uint32_t)(ns / 1000000u); }

/* A connection, cleared, with its id set; not in the flow table. NULL: none left. */
struct tcp_conn *conn_new(struct tcp *t, const struct flow_key *key, uint32_t opts, uint64_t now_ns);
/* Leave the flow table; the tuple is free. */
void conn_unlink(struct tcp *t, struct tcp_conn *c);
/* To CLOSED: leaves the flow table, drops what was to be sent, keeps what can be read and the error. */
void conn_closed(struct tcp *t, struct tcp_conn *c, struct tcp_note *note);
/* The same, then frees it if nobody owns it. */
void conn_finish(struct tcp *t, struct tcp_conn *c, struct tcp_note *note);
void conn_free(struct tcp *t, struct tcp_conn *c);
/* The record of one with TF_FREE is given back if no list names it any more. */
void conn_reap(struct tcp *t, struct tcp_conn *c);
/* Ends with an error for the owner. */
void conn_fail(struct tcp *t, struct tcp_conn *c, int err, struct tcp_note *note);
/* Onto the output list. */
void conn_pull(struct tcp *t, struct tcp_conn *c);
const struct tcp_opts *conn_opts(const struct tcp *t, const struct tcp_conn *c);
/* Take over path limits and the peer's MSS: sets mss and the TX flags. */
void conn_set_path(struct tcp *t, struct tcp_conn *c, const struct ip_addr *raddr, uint16_t peer_mss);
/* The handshake is done, whoever began it; the options it agreed on are set.  @peer_mss: as they offered. */
void conn_established(struct tcp *t, struct tcp_conn *c, uint16_t peer_mss);
/* The MSS to put into our SYN: from the path to @raddr and TCP_MAXSEG. */
uint16_t conn_offer_mss(struct tcp *t, const struct ip_addr *raddr, const struct tcp_opts *opts);
uint8_t  conn_offer_wscale(uint32_t rcvbuf);
static inline void note_add(struct tcp_note *note, const struct tcp_conn *c, uint32_t events)
{
        if (!(c->flags & (TF_ORPHAN | TF_IN_ACCEPTQ))) {
                note->events |= events;
                note->owner = c->owner;
        }
}

/* ---- optset (conn.c) ---- */
uint32_t optset_share(struct tcp *t, uint32_t set);
void     optset_drop(struct tcp *t, uint32_t set);
/* A set equal to @opts: 0 (the defaults), or a new one; UINT32_MAX: none left. */
uint32_t optset_new(struct tcp *t, const struct tcp_opts *opts);
void     conn_opts_apply(struct tcp *t, struct tcp_conn *c);

/* ---- sendq.c ---- */
struct tcp_flight *flight_attach(struct tcp *t, struct tcp_conn *c);    /* the one it has, or new; NULL: none left */
void     flight_detach(struct tcp *t, struct tcp_conn *c);              /* frees everything queued */
/* Is there a packet buffer for another octet?  @f may be NULL: nothing is queued yet. */
bool     sendq_may_grow(const struct tcp *t, const struct tcp_flight *f);
uint32_t sendq_append(struct tcp *t, struct tcp_flight *f, const struct iovec *iov, size_t cnt, uint32_t max);
void     sendq_acked(struct tcp *t, struct tcp_flight *f, uint32_t octets);
/* Queue @p itself, data and len being the octets.  Takes @p. */
void     sendq_add(struct tcp *t, struct tcp_flight *f, struct pkt *p);
void     sendq_copy(struct tcp_flight *f, uint32_t from, uint8_t *out, uint32_t len);
static inline tcp_seq conn_snd_max(const struct tcp *t, const struct tcp_conn *c)
{
        const struct tcp_flight *f = flight_at(t, c);
        return f ? f->snd_max : c->snd_nxt;
}

/* ---- conn.c ---- */
/* Room enough to tell a writer of it. */
bool     send_room(const struct tcp *t, const struct tcp_conn *c);
/* Octets that the send buffer has room for. */
uint32_t send_free(const struct tcp *t, const struct tcp_conn *c);
/* Send the octets of @p, which is taken; conn_may_send() has said 0. */
void     conn_send_pkt(struct tcp *t, struct tcp_conn *c, struct pkt *p, bool more, uint64_t now_ns);

/* ---- recvq.c ---- */
uint32_t recvq_len(const struct tcp *t, const struct tcp_conn *c);
/* Take segment text that begins at or before and ends after rcv_nxt, or beyond it.
 * Takes @p.  Advances rcv_nxt.  *@fin: a FIN that came early is now next. */
enum drop recvq_add(struct tcp *t, struct tcp_conn *c, struct pkt *p, tcp_seq seq, bool *advanced, bool *fin);
/* The same for text that begins at rcv_nxt when nothing is out of order and there is room. */
void     recvq_append(struct tcp *t, struct tcp_conn *c, struct pkt *p);
bool     recvq_note_early_fin(struct tcp *t, struct tcp_conn *c, tcp_seq fin);
void     recvq_drop(struct tcp *t, struct tcp_conn *c);
void     recvq_drop_ooo(struct tcp *t, struct tcp_conn *c);
/* The first buffer in order, which leaves the queue; the queue is not empty. */
struct pkt *recvq_pop(struct tcp *t, struct tcp_conn *c);
/* What recv() says of a queue in which nothing is in order: 0 the end of the stream; -EAGAIN. */
ssize_t  recvq_nothing(const struct tcp_conn *c);
/* Reading, or what comes to the same, has made room: tell the peer if that is news to it. */
void     recvq_after_read(struct tcp *t, struct tcp_conn *c);
/* The window to offer now (RFC 9293 3.8.6.2.2): updates rcv_adv. Returns octets. */
uint32_t recvq_window(struct tcp *t, struct tcp_conn *c);
/* Has reading opened the window so far that the peer should hear of it? */
bool     recvq_window_opened(const struct tcp *t, const struct tcp_conn *c);

/* ---- loan.c ---- */
int      loans_init(struct tcp *t);                                     /* 0 or -ENOMEM */
void     loans_fini(struct tcp *t);
/* The connection ends: what is reserved is given back, what is lent stays so. */
void     account_leave(struct tcp *t, struct tcp_conn *c);
/* Octets of the connection that are lent; that are reserved. */
static inline uint32_t conn_lent(const struct tcp *t, const struct tcp_conn *c)
{
        return c->account ? account_at(t, c)->lent_len : 0;
}
static inline uint32_t conn_reserved(const struct tcp *t, const struct tcp_conn *c)
{
        return c->account ? account_at(t, c)->room_len : 0;
}

/* ---- ack.c, loss.c, rtt.c ---- */
enum drop ack_process(struct tcp *t, struct tcp_conn *c, const struct tcp_seg *seg, uint32_t text_len, uint64_t now_ns,
                      struct tcp_note *note);
/* SND.UNA moves to seg->ack, which is beyond it and not beyond what was sent.  Returns octets of
 * the queue that are gone.  May detach @f. */
uint32_t ack_new(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, const struct tcp_seg *seg, uint64_t now_ns);
/* RFC 9293 3.10.7.4: SND.WND is updated by the newest segment only.  Has it changed? */
bool ack_window(struct tcp *t, struct tcp_conn *c, const struct tcp_seg *seg);
void loss_on_dup_ack(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f);
void loss_on_ack(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, uint32_t acked);
void loss_on_rto(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f);
void rtt_sample(struct tcp_conn *c, uint64_t rtt_us);
uint64_t rto_ns(const struct tcp *t, const struct tcp_conn *c);         /* backoff included */

/* ---- timers.c ---- */
void timers_rearm(struct tcp *t, struct tcp_conn *c);                   /* the wheel node to the earliest deadline */
void timers_set(struct tcp *t, struct tcp_conn *c, enum tcp_timer kind, uint64_t in_ns, uint64_t now_ns);
void timers_stop(struct tcp_conn *c, enum tcp_timer kind);
/* Look again soon whether a writer without anything in flight has room. */
void timers_wait_for_pool(struct tcp *t, struct tcp_conn *c, uint64_t now_ns);
void timers_delack(struct tcp *t, struct tcp_conn *c, uint64_t now_ns);

/* ---- output.c ---- */
struct pkt *output_segment(struct tcp *t, const struct flow_key *key, struct tcp_seg *seg, struct pkt *p, bool csum);

/* ---- reply.c ---- */
void reply_push(struct tcp *t, const struct flow_key *key, const struct tcp_seg *seg, uint8_t tos, uint8_t ttl);
void reply_rst_to(struct tcp *t, const struct flow_key *key, const struct tcp_seg *seg, uint32_t text_len);
/* May @who be sent another ACK for a segment that says nothing new? */
bool answer_allowed(struct tcp *t, flow_ref who, uint64_t now_ns);
/* The same, for what a stranger can provoke too: within the limit for all. */
bool challenge_allowed(struct tcp *t, flow_ref who, uint64_t now_ns);
enum drop challenge_ack(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, enum drop why);

/* ---- isn.c ---- */
/* A keyed hash of the tuple, of which both numbers below are made. */
uint64_t tuple_secret(const struct tcp *t, const struct flow_key *key);
/* RFC 6528 3, RFC 9293 MUST-8, SHLD-1: ISN = M + F(tuple, secret), M ticks every 4 us. */
static inline tcp_seq secret_isn(uint64_t secret, uint64_t now_ns)
{
        return seq_of((uint32_t)(now_ns / 4000) + (uint32_t)secret);
}
/* RFC 7323 5.4, 7.1: an offset per connection hides how long the machine is up; made of the
 * tuple, so that a new connection of the same tuple goes on monotonically (RFC 6191). */
static inline uint32_t secret_ts_offset(uint64_t secret) { return (uint32_t)(secret >> 32); }
uint32_t ts_offset_make(const struct tcp *t, const struct flow_key *key);

/* ---- input.c ---- */
enum drop conn_input(struct tcp *t, struct tcp_conn *c, struct pkt *p, const struct tcp_seg *seg, uint64_t now_ns,
                     struct tcp_note *note, bool *kept);

/* RFC 7323 4.3: an acceptable segment's timestamp becomes TS.Recent, if it is its turn. */
void timestamp_take(struct tcp_conn *c, const struct tcp_seg *seg);
/* Text of @text_len octets has arrived: acknowledge it now or soon (RFC 9293 3.8.6.3). */
void text_acknowledge(struct tcp *t, struct tcp_conn *c, uint32_t text_len, bool in_order, bool gap_before, uint64_t now_ns);

/* A segment that begins or ends a handshake, and what becomes of it: as in tcp_input(). */
struct tcp_arrival {
        struct pkt            *p;               /* data: the text */
        const struct tcp_seg  *seg;
        const struct flow_key *key;
        uint32_t               hash;
        uint64_t               now_ns;
        struct tcp_note       *note;
        bool                  *kept;            /* the receive queue has taken p */
};

/* ---- listen.c ---- */
/* @iss_min: the tuple leaves TIME-WAIT, and our numbers begin no lower; or NULL. */
enum drop listen_input(struct tcp *t, uint32_t listener, const struct tcp_arrival *a, const tcp_seq *iss_min);
/* The handshake of @half, or of nobody's (0), is done: a connection waits to be accepted.  @rtt_us: 0: unknown. */
enum { RTT_AMBIGUOUS = UINT32_MAX };    /* our SYN-ACK was repeated: TF_SYN_RETRIED */
enum drop listen_establish(struct tcp *t, uint32_t listener, flow_ref half, const struct tcp_offer *offer,
                           uint32_t rtt_us, const struct tcp_arrival *a);
/* The same, if @a is the ACK of a cookie; DROP_TCP_NO_LISTEN_SYN, DROP_TCP_BAD_COOKIE: it is not. */
enum drop listen_cookie(struct tcp *t, uint32_t listener, flow_ref half, const struct tcp_arrival *a);
/* @ts_ms: our clock, before the offset. */
void listen_syn_ack(struct tcp *t, uint32_t listener, const struct tcp_offer *o, const struct flow_key *key,
                    uint32_t ts_ms);
const struct tcp_opts *listener_opts(const struct tcp *t, const struct tcp_listener *l);
/* No listener hears any more, half-open records are gone; their connections are the caller's to end. */
void listen_forget_all(struct tcp *t);

/* ---- half.c ---- */
/* Make a record and answer the SYN. */
enum drop half_make(struct tcp *t, uint32_t listener, const struct tcp_offer *o, const struct tcp_arrival *a);
/* RFC 9293 3.10.7.4 for SYN-RECEIVED after a passive open. */
enum drop half_input(struct tcp *t, uint32_t half, const struct tcp_arrival *a);
/* Its tuple is a connection's now. */
void half_promoted(struct tcp *t, uint32_t half);
/* Give up the oldest of the records that were repeated most often, of @listener (0: of anybody).
 * False: none was found with reasonable effort. */
bool half_evict(struct tcp *t, uint32_t listener);
/* Give up all of @listener, 0: all. */
void half_forget(struct tcp *t, uint32_t listener);
bool half_expire(struct tcp *t, uint64_t now_ns);
/* When the first one comes due; false: there are none. */
bool half_next(const struct tcp *t, tick *at);

/* ---- syncookie.c ---- */
/* Can a cookie hold this offer? */
bool cookie_fits(const struct tcp_offer *o, const struct flow_key *key);
/* Answer a SYN and keep nothing of it.  @secret: tuple_secret(). */
void cookie_send(struct tcp *t, uint32_t listener, struct tcp_offer *o, const struct flow_key *key, uint64_t secret,
                 uint64_t now_ns);
/* Has this listener sent cookies of late, so that an ACK of nobody's may be one's answer? */
bool cookie_awaited(const struct tcp *t, uint32_t listener, uint64_t now_ns);
/* Is it?  Then *@o is as it was.  @rcv_wscale: what we would offer now; *@rtt_us: 0: unknown. */
bool cookie_check(const struct tcp *t, const struct tcp_arrival *a, uint8_t rcv_wscale, struct tcp_offer *o,
                  uint32_t *rtt_us);

/* ---- timewait.c ---- */
/* @c leaves for TIME-WAIT: its tuple goes on as a record, which acknowledges the FIN if @c still has to. */
void wait_begin(struct tcp *t, struct tcp_conn *c, uint64_t now_ns);
/* *@reopen: a SYN that may open the tuple again; the record is gone. */
enum drop wait_input(struct tcp *t, uint32_t wait, const struct tcp_seg *seg, uint32_t text_len,
                     const struct flow_key *key, uint32_t hash, uint64_t now_ns, bool *reopen, tcp_seq *iss_min);
bool wait_expire(struct tcp *t, uint64_t now_ns);
bool wait_next(const struct tcp *t, tick *at);
/* For check.c: the ring is as it should be.  Returns the records alive. */
uint32_t wait_check(const struct tcp *t);
