/* SPDX-License-Identifier: MIT */
/* tcp/records.h - What the engine keeps: one record a thing, each of a size that is asserted
 *
 *      tcp_rest      a connection, all the time        tcp_half      a passive open between SYN and ACK
 *      tcp_conn      a busy one                        tcp_wait      TIME-WAIT
 *      tcp_flight    while octets are unacknowledged   tcp_listener
 *      tcp_recvq     while octets are unread           tcp_optset    options, shared by those who have the same
 *
 * Records lie in slabs and name each other by 32-bit indices, 0 for none.
 * Only files of tcp/ include this, by engine.h.
 */
#pragma once
#include "base/wheel.h"
#include "tcp/tcp.h"

enum tcp_flag {
        TF_OUT          = 1 << 0,       /* on the engine's output list */
        TF_ACK_NOW      = 1 << 1,       /* an ACK is due in this burst */
        TF_DELACK       = 1 << 2,       /* an ACK is owed; t_delack is when at the latest */
        TF_FIN_QUEUED   = 1 << 3,       /* FIN follows the last octet of the send queue */
        TF_FIN_SENT     = 1 << 4,       /* it has been sent at least once */
        TF_FIN_RCVD     = 1 << 5,       /* the peer's FIN is in sequence */
        TF_REXMIT_ONE   = 1 << 6,       /* send the segment at SND.UNA again, whatever the windows say */
        TF_PROBE        = 1 << 7,       /* send a zero-window probe (RFC 9293 3.8.6.1) */
        TF_KEEP_PROBE   = 1 << 8,       /* send a keepalive probe (RFC 9293 3.8.4) */
        TF_SWS_OVERRIDE = 1 << 9,       /* the override timer says: send what fits (RFC 9293 3.8.6.2.1 (4)) */
        TF_RST          = 1 << 10,      /* send RST and be gone */
        TF_TS           = 1 << 11,      /* timestamps agreed on (RFC 7323 3.2) */
        TF_WSCALE       = 1 << 12,      /* window scaling agreed on (RFC 7323 2.2) */
        TF_OWED         = 1 << 13,      /* in the ring of those that owe an ACK, see timers.c */
        TF_ORPHAN       = 1 << 14,      /* close() was called: no owner will come again */
        TF_IN_ACCEPTQ   = 1 << 15,      /* waits to be accepted; nobody owns it yet */
        TF_RCV_SHUT     = 1 << 16,      /* SHUT_RD: an empty queue reads as the end of the stream */
        TF_PINGPONG     = 1 << 17,      /* request and answer alternate: delay ACKs, an answer will carry them */
        TF_TX_CSUM      = 1 << 18,      /* path: the device finishes checksums */
        TF_TX_TSO       = 1 << 19,      /* path: the device cuts segments */
        TF_MORE         = 1 << 20,      /* MSG_MORE: hold the partial segment back */
        TF_NODELAY      = 1 << 21,      /* copies of options that the data path asks for */
        TF_QUICKACK     = 1 << 22,
        TF_KEEPALIVE    = 1 << 23,
        TF_WND_FULL     = 1 << 24,      /* the sender was told "no room": tell WRITABLE when there is */
        TF_WIDE         = 1 << 25,      /* IPv6: reference with FLOW_WIDE_BIT */
        TF_IN_TABLE     = 1 << 26,      /* the flow table knows it */
        TF_SYN_RETRIED  = 1 << 27,      /* our SYN or SYN-ACK went out more than once */
        TF_QUIET        = 1 << 29,      /* on the list of those that may be silent, see rest.c */
        TF_FREE         = 1 << 28,      /* ended while on a list or in the ring: freed when it has left them */
};

/* What t_rexmit is the deadline of. */
enum tcp_timer {
        TIMER_NONE,
        TIMER_RTO,                      /* RFC 6298 5 */
        TIMER_PERSIST,                  /* RFC 9293 3.8.6.1, and the override of 3.8.6.2.1 */
        TIMER_FIN_WAIT_2,               /* an orphan waits for FIN no longer than this */
        TIMER_POOL,                     /* a writer waits for packet buffers that others hold */
};

/* What is kept of a connection.  Its index is the connection's name outside. */
struct tcp_rest {
        struct flow_id id;              /* must be first: flow/ reads it */
        uint32_t  awake;                /* REST_AWAKE | index of its tcp_conn; or it is at rest, this is MAX.SND.WND, */
        tcp_seq   snd_una, rcv_nxt;     /* and what follows is true */
        uint32_t  ts_recent, ts_offset;
        uint32_t  flags;
        tick      last_rx;
        uint32_t  owner;                /* while awake: of the last rest, a hint */
        uint32_t  opts;
        uint16_t  mss;
        uint8_t   wscales;
        uint8_t   state : 4;
        uint8_t   quickacks : 4;
        uint16_t  snd_wnd;              /* as on the wire: shifted unless REST_UNSCALED */
        uint16_t  cwnd, ssthresh, srtt, rttvar, rcv_wnd;        /* by rest_round_*() */
};
static_assert(sizeof(struct tcp_rest) == 64, "a connection at rest is one cache line");
#define REST_AWAKE    0x80000000u
#define REST_UNSCALED 0x40000000u       /* the window comes from a SYN (RFC 7323 2.2) */

/* A connection while something happens. */
struct tcp_conn {
        /* line 1: the next segment */
        uint32_t  self;                 /* index of its tcp_rest, and its name outside */
        uint32_t  quiet_next;           /* of those that may be silent (rest.c) */
        uint32_t  account;              /* buffers that the program has in its hands (loan.c), 0: none */
        uint8_t   state;                /* enum tcp_state */
        uint8_t   wscales;              /* low nibble: what we shift theirs by; high: what they shift ours by */
        uint16_t  mss;                  /* most payload octets a segment we send (options deducted) */
        tcp_seq   snd_una, snd_nxt;
        uint32_t  snd_wnd;              /* octets, scaled */
        tcp_seq   snd_wl1, snd_wl2;
        tcp_seq   rcv_nxt;
        tcp_seq   rcv_adv;              /* right edge of the window we have offered */
        tcp_seq   rcv_acked;            /* RFC 7323 Last.ACK.sent */
        uint32_t  flags;                /* enum tcp_flag */
        uint32_t  ts_recent;
        uint32_t  ts_offset;            /* our TSval is ms + this */
        uint32_t  snd_wnd_max;          /* RFC 9293 MAX.SND.WND */
        /* line 2 */
        struct wheel_node timer;
        tick      t_rexmit, t_delack;   /* deadlines; valid by timer_kind and TF_DELACK */
        tick      last_rx;              /* when the last acceptable segment came: keepalive, RFC 7323 5.5 */
        uint32_t  cwnd, ssthresh;       /* octets */
        uint32_t  srtt_us8;             /* smoothed RTT in 1/8 us; 0: no sample yet */
        uint32_t  rttvar_us4;           /* in 1/4 us */
        uint32_t  flight, recvq;        /* attached parts, 0: none */
        uint32_t  out_next;             /* output list */
        union {
                uint32_t owner;         /* socket */
                uint32_t accept_next;   /* while TF_IN_ACCEPTQ: the next in the listener's queue */
        };
        uint32_t  opts;                 /* tcp_optset, 0: the defaults */
        uint8_t   timer_kind : 4;       /* enum tcp_timer */
        uint8_t   quickacks  : 4;       /* so many ACKs not to delay: a peer in slow start waits for each */
        uint8_t   backoff;              /* times the RTO was doubled */
        uint8_t   probes;               /* keepalive or window probes unanswered */
        uint8_t   error;                /* errno for the owner, 0: none */
};
static_assert(sizeof(struct tcp_conn) == 128, "a busy connection is two cache lines");
static_assert(offsetof(struct tcp_conn, timer) == 64, "the first line ends before the timer");

/* Attached while octets (or SYN, FIN) wait to be acknowledged. */
struct tcp_flight {
        struct pkt *head, *tail;        /* octets from SND.UNA (or behind our unacknowledged SYN) on */
        struct pkt *at;                 /* cursor: buffer that holds octet at_off of the queue... */
        uint32_t    at_begin;           /* ...and the queue offset of its first octet */
        uint32_t    len;                /* octets in the queue */
        tcp_seq     snd_max;            /* highest sequence number ever sent, plus 1 */
        tcp_seq     snd_sml;            /* end of the last small segment (Minshall's Nagle) */
        tcp_seq     recover;            /* RFC 6582 */
        tcp_seq     rtt_seq;            /* an ACK beyond this ends the timing begun at rtt_start_ns */
        uint64_t    rtt_start_ns;       /* 0: nothing is timed */
        tick        stuck_since;        /* no progress since: user timeout */
        uint32_t    cwnd_acked;         /* octets acknowledged since cwnd last grew (RFC 3465) */
        uint32_t    retrans;            /* segments retransmitted, for reports */
        uint8_t     dup_acks;
        bool        in_recovery;        /* RFC 6582 fast recovery */
        bool        syn;                /* our SYN is not acknowledged: it takes the first number */
        uint8_t     spare;
};

/* Attached while octets wait to be read or to be put in order. */
struct tcp_recvq {
        struct pkt *head, *tail;        /* in order */
        struct pkt *ooo, *ooo_tail;     /* beyond a gap: ascending, not overlapping */
        uint32_t    len;                /* octets in order, unread */
        uint32_t    ooo_cnt;            /* buffers in ooo */
        uint32_t    ooo_len;            /* octets in ooo */
        tcp_seq     fin;                /* sequence number of a FIN that came early */
        bool        fin_early;
        uint8_t     dup_acks;           /* ACKs owed besides the one of TF_ACK_NOW, see text_acknowledge() */
        uint8_t     spare[2];
};

/* Attached while the program has buffers of the connection in its hands; outlives it while some are lent (loan.c). */
struct tcp_account {
        uint32_t    conn;               /* 0: the connection is gone */
        uint32_t    lent_len;           /* octets received and lent */
        uint32_t    lent_cnt;           /* buffers they are in */
        uint32_t    room_len;           /* octets reserved to be written by the program... */
        struct pkt *room;               /* ...from the front of this buffer; NULL: none */
};

/* A buffer that is lent.  The first 8 octets are read of free ones too. */
struct tcp_lent {
        uint64_t    number;             /* of the loan; 0: it is not lent */
        uint32_t    account;
        uint32_t    spare;
};

/* A set of options, shared by all connections that have the same (listener and children). */
struct tcp_optset {
        struct tcp_opts opts;
        uint32_t        refs;
};

/* What the two SYNs of a passive open have agreed on. */
struct tcp_offer {
        tcp_seq  irs, iss;
        uint32_t ts_recent, ts_offset;
        uint16_t peer_mss;              /* their MSS option, or the default */
        uint8_t  has;                   /* TCP_HAS_*: what the SYN offered and we accept */
        uint8_t  peer_wscale, rcv_wscale;
        uint8_t  spare[3];
};

/* A passive open between SYN and ACK (half.c). */
struct tcp_half {
        struct flow_id id;
        uint32_t  next, prev;           /* in the FIFO of its retry level */
        struct tcp_offer offer;
        uint32_t  listener;
        tick      due;                  /* when SYN-ACK is sent again */
        uint32_t  sent_ms;              /* time of the first SYN-ACK: RTT sample if never repeated */
        uint32_t  answered_ms;          /* when a repeated SYN was answered last */
        uint8_t   retries;              /* also its FIFO */
        uint8_t   wide;
        bool      resent;               /* SYN-ACK went out more than once: no RTT sample (Karn) */
        uint8_t   spare;
};
static_assert(sizeof(struct tcp_half) == 64, "a half-open connection costs 64 octets");

/* TIME-WAIT (timewait.c). */
struct tcp_wait {
        struct flow_id id;
        tcp_seq   snd_nxt, rcv_nxt;
        uint32_t  ts_recent;
        tick      due;
        uint16_t  window;               /* as on the wire */
        uint8_t   tos;
        uint8_t   flags;                /* enum wait_flag */
};
static_assert(sizeof(struct tcp_wait) == 32, "TIME-WAIT costs 32 octets");

/* The order of the records is that of their indices, which are used in a ring. */
struct tcp_wait_ring {
        uint32_t head;                  /* the oldest */
        uint32_t cnt;                   /* slots from there on, empty ones among them */
        uint32_t span;                  /* the ring is slots 1..span */
        uint32_t live;                  /* records */
};

struct tcp_listener {
        uint32_t owner, binding;
        uint32_t backlog;
        uint32_t queue_head, queue_tail, queue_len;     /* connections to accept, by accept_next */
        uint32_t half_cnt;
        uint32_t opts;
        uint64_t cookie_ns;             /* when the last SYN cookie was sent; 0: never */
};

enum { HALF_LEVELS = 8, REPLY_MAX = 1024, ANSWER_SLOTS = 256, OWED_MAX = 1024, OPTSETS_SEEN = 256, TCP_MSS_DEFAULT = 536 /* RFC 9293 MUST-15, IPv4 */ };

/* Shares of the packet pool (see pkt_pool_low()): when free buffers get fewer, first nothing is
 * kept out of order, then no more is queued to send, then no more to read; but a queue that is
 * empty gets one even then, so that who holds many (a reader that does not read, a peer that
 * acknowledges nothing) slows the others down and does not stop them. */
enum { POOL_PART_OOO = 4, POOL_PART_SYN = 8, POOL_PART_SEND = 8, POOL_PART_RECV = 16, POOL_PART_FIRST = 32 };
/* And no more than this part, of the small ones and of the large, is ever in the hands of the program (loan.c). */
enum { POOL_PART_HELD = 4 };

/* First in, first out, of half-open records. */
struct tcp_fifo {
        uint32_t head, tail, cnt;
};

/* A segment to send on behalf of nobody. */
struct tcp_reply {
        struct flow_key key;
        struct tcp_seg  seg;
        uint8_t         tos, ttl;       /* ttl 0: the stack's default */
};
