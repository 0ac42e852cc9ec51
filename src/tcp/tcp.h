/* SPDX-License-Identifier: MIT */
/* tcp/tcp.h - The TCP engine, as the sockets and the shard see it
 *
 * The engine is pure: no I/O, no clock, no sockets.  Segments, calls and the
 * passing of time go in; it answers with a note (what the owner of the
 * connection should know) and is pulled for the next segment to send.
 *
 *      tcp_input()      a segment arrived         -> struct tcp_note
 *      tcp_expire()     a timer came due          -> struct tcp_note
 *      tcp_poll_send()  what shall be sent next?  -> a packet, its addresses
 *
 * One engine belongs to one shard.  Connections are named by 32-bit indices.
 *
 * LIFE OF A CONNECTION AND WHO OWNS IT
 *
 *   connect   tcp_connect() makes it; its owner (a socket's index) is told by notes.
 *   accept    a SYN makes a half-open record (64 octets, half.c) or none at all
 *             (syncookie.c); the ACK of our SYN-ACK makes the connection, which waits in
 *             the listener's accept queue without an owner until tcp_accept() gives it one.
 *   owned     an owned connection is never freed by the engine, whatever happens on
 *             the wire: in CLOSED it keeps its error and its unread data.
 *   close     tcp_close() takes the owner away.  From then on the engine finishes
 *             alone (an orphan) and frees it; the index must not be used again.
 *   TIME-WAIT is not a connection but a 32-octet record (timewait.c).
 *
 * Errors are negative errno, as Linux gives them.  Durations are ns.
 */
#pragma once
#include "base/counters.h"
#include "base/seq.h"
#include "base/units.h"
#include "flow/flow.h"
#include "flow/ports.h"
#include "pkt/pkt.h"
#include "wire/tcp.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tcp;                             /* in tcp/engine.h */

/* RFC 9293 3.3.2 */
enum tcp_state {
        TCP_CLOSED,
        TCP_LISTEN,                     /* only in reports: a listener is not a connection */
        TCP_SYN_SENT,
        TCP_SYN_RECEIVED,
        TCP_ESTABLISHED,
        TCP_FIN_WAIT_1,
        TCP_FIN_WAIT_2,
        TCP_CLOSE_WAIT,
        TCP_CLOSING,
        TCP_LAST_ACK,
        TCP_TIME_WAIT,                  /* only in reports */
        TCP_STATE_CNT
};
extern const char *const tcp_state_names[TCP_STATE_CNT];       /* "ESTABLISHED" */

/* What can be set for one connection or listener (accepted connections inherit it). */
struct tcp_opts {
        uint32_t rcvbuf, sndbuf;        /* octets */
        uint32_t keepidle_s, keepintvl_s;
        uint32_t user_timeout_ms;       /* RFC 9293 3.9.1, RFC 5482; 0: by retries */
        uint16_t maxseg;                /* TCP_MAXSEG: most MSS to offer and to use; 0: by the path */
        uint8_t  keepcnt;
        uint8_t  syn_retries;
        uint8_t  tos, ttl;              /* ttl 0: the stack's default */
        bool     keepalive;
        bool     nodelay;               /* no Nagle (RFC 9293 3.7.4) */
        bool     quickack;
        uint8_t  spare[3];
};

/* When a SYN is answered without a record of it (syncookie.c); as enum mr_syncookies. */
enum tcp_syncookies {
        TCP_SYNCOOKIES_NEVER,
        TCP_SYNCOOKIES_AUTO,            /* when there is no record for it */
        TCP_SYNCOOKIES_ALWAYS,
};

struct tcp_conf {
        uint32_t max_conns;             /* connections, 1..2^29-2 */
        uint32_t max_half;              /* half-open records */
        uint32_t max_wait;              /* TIME-WAIT records */
        uint32_t max_listeners;
        uint64_t time_wait_ns;          /* 2 MSL; Linux: 60 s */
        uint64_t fin_wait2_ns;          /* an orphan waits so long for the peer's FIN; Linux: 60 s */
        uint64_t rto_min_ns;            /* Linux: 200 ms */
        uint64_t rto_max_ns;            /* Linux: 120 s */
        uint64_t delack_ns;             /* RFC 9293 MUST-40: below 500 ms; 40 ms */
        uint32_t synack_retries;        /* 5 */
        uint32_t retries2;              /* give up an established connection: 15, about 924 s as in Linux */
        uint32_t orphan_retries;        /* give up an orphan: 8 */
        uint32_t initial_window_segs;   /* RFC 6928: 10 */
        uint32_t challenge_acks_per_s;  /* RFC 5961 7: 1000 */
        enum tcp_syncookies syncookies;
        uint16_t port_min, port_max;    /* ephemeral ports */
        bool     window_scaling;        /* RFC 7323 2 */
        bool     timestamps;            /* RFC 7323 3 */
        enum mem_pages huge_pages;
        bool     fast_path;             /* take expected segments the short way (fast.c); else all the long one */
        struct tcp_opts opts;           /* defaults of new sockets */
};
void tcp_conf_default(struct tcp_conf *conf);

/* What the path to a peer allows; the engine asks once a connection. */
struct tcp_path {
        uint32_t mtu;                   /* octets of IP packet */
        bool     csum;                  /* device finishes PKT_CSUM_PARTIAL */
        bool     tso;                   /* device cuts PKT_GSO */
};

/* What the engine asks of the world around it. */
struct tcp_env {
        void (*path)(void *arg, const struct ip_addr *raddr, struct tcp_path *out);
        void  *arg;
        /* Do the packets of this flow come to this shard?  NULL: all do. */
        bool (*is_mine)(void *arg, const struct flow_key *key);
};

/* What the owner of a connection should know.  Bits. */
enum tcp_event {
        TCP_EV_CONNECTED = 1 << 0,      /* the handshake that connect() began is done */
        TCP_EV_READABLE  = 1 << 1,      /* data arrived in order */
        TCP_EV_WRITABLE  = 1 << 2,      /* room in the send queue again */
        TCP_EV_RDHUP     = 1 << 3,      /* the peer's FIN arrived: no more data after what is queued */
        TCP_EV_CLOSED    = 1 << 4,      /* both directions are done, or reset: state is CLOSED */
        TCP_EV_ERROR     = 1 << 5,      /* tcp_error() has an errno */
        TCP_EV_ACCEPT    = 1 << 6,      /* note.owner is a listener's: a connection can be accepted */
};

struct tcp_note {
        uint32_t events;                /* enum tcp_event; 0: nobody needs to know */
        uint32_t owner;                 /* as given to tcp_connect(), tcp_accept() or tcp_listen() */
};

/* 0 or -ENOMEM; all memory is reserved here.  @seed: secrets are derived from it. */
int  tcp_init(struct tcp *t, const struct tcp_conf *conf, const struct tcp_env *env, struct pkt_pool *pool,
              struct counters *counters, const uint64_t seed[4], uint64_t now_ns);
void tcp_fini(struct tcp *t);
size_t tcp_sizeof(void);                /* of struct tcp, which only tcp/ looks into */

/* Octets of a record, for who plans memory; busy: what a connection has besides while data flows both ways. */
struct tcp_octets {
        uint32_t conn, half, wait, busy;
};
void tcp_octets(struct tcp_octets *out);

struct flow_table *tcp_flows(struct tcp *t);
struct ports      *tcp_ports(struct tcp *t);

/* ---- from the wire and the clock: called by the shard ---- */

/* A segment of a burst.  The burst goes through the engine in passes, so that what each segment needs
 * of the memory is on its way before it is used. */
struct tcp_rx {
        struct pkt     *p;              /* as tcp_input() takes it */
        struct flow_key key;
        uint32_t        hash;           /* flow_hash() of key */
        flow_ref        ref;            /* by tcp_rx_probe(): the flow that it probably is, 0: unknown */
        struct tcp_seg  seg;
};

/* Find the flows of a burst whose buckets flow_prefetch() has begun to load, and begin to load their records. */
void tcp_rx_probe(struct tcp *t, struct tcp_rx rx[], uint32_t cnt);
/* Begin to load what the record of @rx refers to.  Returns its owner if it has one, for the same purpose: a hint. */
uint32_t tcp_rx_prefetch(const struct tcp *t, const struct tcp_rx *rx);

/**
 * tcp_input_expected() - Process segments that were expected, the short way (fast.c)
 * @rx:   @cnt segments of a burst, all probed
 * @note: filled in unless 0 is returned
 *
 * Takes the first, and with it those behind it that go on where it ends: the same flow, in order, with
 * the same acknowledgment and window.
 *
 * Return: segments taken, each as if by tcp_input() with DROP_NONE; 0: the first is not an expected one,
 * nothing has changed
 */
uint32_t tcp_input_expected(struct tcp *t, struct tcp_rx rx[], uint32_t cnt, uint64_t now_ns, struct tcp_note *note);

/**
 * tcp_input() - Process one segment by RFC 9293 3.10.7
 * @p:    data at the TCP header, len to the end of the IP payload.  Taken: the engine keeps or frees it.
 * @seg:  the parsed header; its checksum has been verified
 * @key:  from our side: laddr is the packet's destination
 * @hash: flow_hash() of @key
 * @note: filled in, always
 *
 * Return: DROP_NONE if the segment was used; else why not (already counted nowhere)
 */
enum drop tcp_input(struct tcp *t, struct pkt *p, const struct tcp_seg *seg, const struct flow_key *key, uint32_t hash,
                    uint64_t now_ns, struct tcp_note *note);

/* An ICMP error quoted a segment of ours (RFC 9293 3.9.2.2, RFC 5927): @key from
 * our side, @seq the quoted sequence number, @err the errno it stands for,
 * @hard if it ends a connection that is being opened. */
enum drop tcp_icmp_error(struct tcp *t, const struct flow_key *key, tcp_seq seq, int err, bool hard,
                         struct tcp_note *note);

/* A router could not forward a segment of ours (RFC 1191): from now on this connection's fit
 * into @mtu octets of IP packet; 0: the router did not say. */
enum drop tcp_icmp_too_big(struct tcp *t, const struct flow_key *key, tcp_seq seq, uint32_t mtu);

/* Handle one timer that has come due.  False: no more up to now, or @budget (decremented) used up. */
bool tcp_expire(struct tcp *t, uint64_t now_ns, uint32_t *budget, struct tcp_note *note);
/* The engine has nothing to do by itself before this time. */
uint64_t tcp_next_deadline(struct tcp *t);

struct tcp_tx {
        struct ip_addr laddr, raddr;
        uint8_t        tos, ttl;
};

/**
 * tcp_poll_send() - The next segment to send, if there is one
 *
 * Return: a packet with data at the TCP header, checksum complete or
 * PKT_CSUM_PARTIAL, PKT_GSO if the path allows; *@tx says where to.  NULL:
 * nothing to say now, or no buffer (then the engine stays pending).
 */
struct pkt *tcp_poll_send(struct tcp *t, uint64_t now_ns, struct tcp_tx *tx);
bool tcp_send_pending(const struct tcp *t);

/* ---- from the sockets ---- */

/**
 * tcp_connect() - Active open (RFC 9293 3.10.1)
 * @key:     complete but for lport, which is chosen when 0
 * @binding: the socket's own, 0 if it has none (then a port is chosen without one)
 * @opts:    may be NULL: defaults
 *
 * Return: 0 and *@conn; -EADDRNOTAVAIL no port, or with @key->lport given: the tuple is taken, or its
 *         answers would come to another shard; -ENOBUFS
 */
int tcp_connect(struct tcp *t, const struct flow_key *key, const struct tcp_opts *opts, uint32_t owner,
                uint64_t now_ns, uint32_t *conn);

/* Begin to listen on a binding of tcp_ports().  @opts may be NULL.
 * 0 and *@listener; -EADDRINUSE; -ENOBUFS. */
int  tcp_listen(struct tcp *t, uint32_t binding, uint32_t backlog, const struct tcp_opts *opts, uint32_t owner,
                uint32_t *listener);
void tcp_listen_backlog(struct tcp *t, uint32_t listener, uint32_t backlog);
void tcp_listen_opts(struct tcp *t, uint32_t listener, const struct tcp_opts *opts);
/* Stop: half-open ones are forgotten, those in the accept queue are reset.  The binding stays. */
void tcp_unlisten(struct tcp *t, uint32_t listener, uint64_t now_ns);
uint32_t tcp_accept_queue_len(const struct tcp *t, uint32_t listener);
/* The oldest established connection, now owned; 0: none. */
uint32_t tcp_accept(struct tcp *t, uint32_t listener, uint32_t owner);

/**
 * tcp_send() - Queue octets
 * @more: more will follow at once: hold a partial segment back (MSG_MORE)
 *
 * Return: octets taken, at least 1 (0 only if asked for 0); -EAGAIN no room or not yet
 * connected (WRITABLE will be noted), be it for its own limit or for want of packet buffers; -EPIPE sending is shut down or the connection is closed (the
 * pending error of tcp_error_take() goes first); -ENOTCONN never connected
 */
ssize_t tcp_send(struct tcp *t, uint32_t conn, const struct iovec *iov, size_t iov_cnt, bool more, uint64_t now_ns);

/**
 * tcp_recv() - Take octets that arrived in order
 * @peek: leave them in the queue
 * @iov:  may be NULL with @discard octets to throw away instead (MSG_TRUNC)
 *
 * Return: octets; 0 end of stream; -EAGAIN nothing yet; -ENOTCONN never connected
 */
ssize_t tcp_recv(struct tcp *t, uint32_t conn, const struct iovec *iov, size_t iov_cnt, size_t discard, bool peek,
                 uint64_t now_ns);

/* ---- without copying: loan.c ---- */

/* Octets of a received packet, lent to the program, who may also change them. */
struct tcp_loan {
        void    *data;
        uint32_t len;
        uint32_t buffer;                /* the rest tells which loan it is */
        uint64_t number;
};

/**
 * tcp_borrow() - Take octets that arrived in order, and the buffers they are in
 * @loans: filled in, at most @max (1 or more), in order
 *
 * Lent octets count as unread for the window.  The loans outlive the connection.
 *
 * Return: loans; 0 end of stream; -EAGAIN nothing yet; -ENOBUFS so much is lent, of this connection
 * or of all, that some must be returned first (tcp_recv() goes on)
 */
int tcp_borrow(struct tcp *t, uint32_t conn, struct tcp_loan *loans, int max);
/* 0; -EINVAL it is no loan of this engine, or was returned already. */
int tcp_loan_return(struct tcp *t, const struct tcp_loan *loan);

/**
 * tcp_send_reserve() - Room for octets to send, which the program writes itself
 * @want: 1 or more; the room may be smaller
 *
 * It counts as queued, until tcp_send_commit().  While it is not committed tcp_send() is not in its way: what
 * that takes goes first.
 *
 * Return: octets of *@room, at least 1; -EBUSY there is a reservation already; -ENOBUFS no buffer that could
 * be reserved (tcp_send() may still go on); else as tcp_send()
 */
ssize_t tcp_send_reserve(struct tcp *t, uint32_t conn, size_t want, void **room, uint64_t now_ns);
/* Send the first @len octets of what is reserved; 0: let go of it.  Returns @len, of which nothing is refused;
 * -EPIPE as tcp_send(), and the reservation is gone; -EINVAL nothing is reserved, or less.  @note: filled in, always. */
ssize_t tcp_send_commit(struct tcp *t, uint32_t conn, size_t len, bool more, uint64_t now_ns, struct tcp_note *note);

/* Send what is lent, by whatever connection, as it stands, and all of it, even if it is longer than what the
 * send buffer has room for; then it is as if returned.  Returns its octets; -EINVAL as tcp_loan_return(); else as
 * tcp_send(), and it is still lent. */
ssize_t tcp_send_loan(struct tcp *t, uint32_t conn, const struct tcp_loan *loan, bool more, uint64_t now_ns);

/* Of one connection. */
struct tcp_held {
        uint32_t lent_bytes, lent_cnt, reserved_bytes;
};
void tcp_held(const struct tcp *t, uint32_t conn, struct tcp_held *out);

/* Send FIN after what is queued (RFC 9293 3.10.4 CLOSE, the sending half).
 * 0, or -ENOTCONN. */
int  tcp_shutdown_send(struct tcp *t, uint32_t conn, uint64_t now_ns);
/* SHUT_RD: from now on an empty queue reads as the end of the stream.  As in Linux the peer is
 * told nothing, and what still arrives can be read. */
void tcp_shutdown_recv(struct tcp *t, uint32_t conn);

/* The owner is gone (close(2)): FIN after what is queued, or RST when unread data is
 * thrown away (RFC 9293 SHLD-3 and RFC 2525 2.17, as Linux). */
void tcp_close(struct tcp *t, uint32_t conn, uint64_t now_ns);
/* RST now, if the peer knows of us (RFC 9293 3.10.5; SO_LINGER with 0). Owner gone too. */
void tcp_abort(struct tcp *t, uint32_t conn, uint64_t now_ns);

/* Abort every connection, whoever owns it, about a thousand a call: the engine is about to stop.  Between the calls
 * RSTs are to be sent, so that those at rest do not all wake at once.  No listener hears any more after the first
 * one, and nobody may connect.  Indices are void afterwards.  True: there may be more. */
bool tcp_abort_all(struct tcp *t, uint64_t now_ns);

enum tcp_state tcp_state_of(const struct tcp *t, uint32_t conn);
void     tcp_key_of(const struct tcp *t, uint32_t conn, struct flow_key *key);
int      tcp_error(const struct tcp *t, uint32_t conn);                /* pending errno (positive) or 0 */
int      tcp_error_take(struct tcp *t, uint32_t conn);                 /* same, and clear it (SO_ERROR) */
uint32_t tcp_recv_avail(const struct tcp *t, uint32_t conn);           /* octets in order (FIONREAD) */
bool     tcp_recv_eof(const struct tcp *t, uint32_t conn);             /* peer's FIN arrived or no more can */
uint32_t tcp_send_queued(const struct tcp *t, uint32_t conn);          /* octets not yet acknowledged (SIOCOUTQ) */
uint32_t tcp_send_unsent(const struct tcp *t, uint32_t conn);          /* octets not yet sent (SIOCOUTQNSD) */

/* What can be done with a connection now.  Bits. */
enum tcp_ready {
        TCP_READY_READ    = 1 << 0,     /* octets in order */
        TCP_READY_WRITE   = 1 << 1,     /* room to send is worth reporting: a third free, as Linux */
        TCP_READY_EOF     = 1 << 2,     /* tcp_recv_eof() */
        TCP_READY_SHUT    = 1 << 3,     /* no more sends: SHUT_WR done, or closed */
        TCP_READY_ERROR   = 1 << 4,     /* tcp_error() has one */
        TCP_READY_CLOSED  = 1 << 5,
        TCP_READY_OPENING = 1 << 6,     /* SYN-SENT or SYN-RECEIVED */
};
/* All of it in one look (ready.c).  READ and WRITE only if @want has them: they may cost a cache miss. */
uint32_t tcp_ready(const struct tcp *t, uint32_t conn, uint32_t want);
/* Begin to load what tcp_ready() looks at. */
void     tcp_prefetch(const struct tcp *t, uint32_t conn);

void     tcp_opts_get(const struct tcp *t, uint32_t conn, struct tcp_opts *opts);
/* Takes effect at once where it can; connections share equal sets. 0 or -ENOBUFS. */
int      tcp_opts_set(struct tcp *t, uint32_t conn, const struct tcp_opts *opts, uint64_t now_ns);

/* What `TCP_INFO` tells (Linux's struct tcp_info is filled from it by sock/). */
struct tcp_report {
        enum tcp_state state;
        uint64_t rto_ns, srtt_ns, rttvar_ns;
        uint32_t snd_mss, rcv_mss;
        uint32_t cwnd_bytes, ssthresh_bytes, snd_wnd, rcv_wnd;
        uint32_t unacked_bytes, unsent_bytes, rcvq_bytes;
        uint32_t retrans_total;
        uint8_t  backoff, probes, snd_wscale, rcv_wscale;
        bool     timestamps, wscale, sack, in_recovery;
};
void tcp_report(const struct tcp *t, uint32_t conn, struct tcp_report *out);

/* ---- for tests and the simulator ---- */

/* Walk everything and assert what must always hold between two calls (check.c). */
void tcp_check(const struct tcp *t);

/* Records in use. */
struct tcp_usage {
        uint32_t conns, awake, halves, waits, flights, recvqs, optsets, listeners;
        uint32_t timers;                /* armed */
        uint32_t accounts, lent, held;  /* loan.c: of connections; buffers lent; those and reserved ones */
};
void tcp_usage(const struct tcp *t, struct tcp_usage *out);
