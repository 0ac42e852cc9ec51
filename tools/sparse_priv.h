/* SPDX-License-Identifier: MIT */
/* tools/sparse_priv.h - What sparse.c (phases), sparse_answer.c (TCP) and sparse_wire.c (frames) share */
#pragma once
#include "tools/sparse.h"

#include "base/counters.h"
#include "base/units.h"
#include "dev/netdev.h"
#include "wire/eth.h"
#include "wire/ip4.h"
#include "wire/tcp.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
        SPARSE_BURST    = 64,
        SPARSE_HDR_LEN  = ETH_HDR_LEN + IP4_HDR_LEN + TCP_HDR_MIN + TCP_TS_LEN,
        SPARSE_PORT_MIN = 65536 - SPARSE_PORTS,
        SPARSE_COUNTS   = sizeof(struct sparse_counts) / sizeof(uint64_t),
};

struct sparse_wave {
        enum sparse_what what;
        uint32_t         cnt;
        uint32_t         msg;
        uint64_t         rate;          /* a second; 0: no limit */
};

struct sparse {
        struct sparse_conf   conf;
        struct netdev       *dev;
        struct netdev_queue  queue;
        struct pkt_pool      pool;
        struct counters      counters;
        bool                 csum_partial;              /* the device finishes checksums */
        bool                 peer_known;                /* ARP has told the server's MAC */
        struct mac_addr      peer;
        uint64_t             asked_ns;                  /* last ARP request; 0: none */
        uint64_t             key;                       /* of ISNs and contents */
        uint64_t             now_ns;
        uint32_t             now_ts;                    /* our TSval, in ms */
        uint8_t              header[SPARSE_HDR_LEN];    /* what is the same in all segments */
        uint64_t             header_sum;                /* of its IP part */

        /* the phase */
        struct sparse_wave   wave;                      /* never HOLD, but at first */
        bool                 held;
        uint32_t             base;                      /* octets that each connection had sent at its begin */
        bool                 uneven;                    /* TALK_ON: no longer the same for all */
        uint32_t             next;                      /* the next to begin with, before shuffling */
        uint32_t             half_bits;                 /* of the shuffle */
        uint64_t             begun;                     /* in this phase, for the rate */
        uint64_t             began_ns;
        uint64_t             moved_ns;                  /* when a segment came last, or all was said again */
        uint64_t             retry_at;                  /* word of busy where the next retry looks; UINT64_MAX: none */
        uint64_t            *busy;
        uint32_t            *server_isn;                /* with remember */

        struct pkt          *out[2 * SPARSE_BURST];
        uint32_t             out_cnt;
        struct sparse_counts n;

        /* from and to other threads */
        _Atomic uint64_t     shown[SPARSE_COUNTS];
        pthread_mutex_t      order_lock;
        struct sparse_wave   ordered;
        _Atomic uint32_t     order_nr, taken_nr;        /* equal: no order waits */
        _Atomic bool         done;
};

/* One segment to be written. */
struct sparse_out {
        uint32_t i;
        uint8_t  flags;
        uint32_t seq, ack, ts_ecr;
        uint32_t at, len;               /* position and octets of text */
};

static inline uint64_t sparse_mix(uint64_t x)
{
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        return x ^ x >> 31;
}

/* All that is secret of a connection: ISN and contents come from it. */
static inline uint64_t sparse_key(const struct sparse *s, uint32_t i)
{
        return sparse_mix(s->key + i * 0x9e3779b97f4a7c15u);
}
static inline uint32_t sparse_isn(const struct sparse *s, uint32_t i) { return (uint32_t)(sparse_key(s, i) >> 32); }

static inline bool sparse_busy(const struct sparse *s, uint32_t i) { return s->busy[i / 64] >> i % 64 & 1; }

/* sparse.c: its turn is over; false: it was before. */
bool sparse_finish(struct sparse *s, uint32_t i);

/* sparse_answer.c */
void sparse_answer(struct sparse *s, struct pkt *p, uint32_t i, const struct tcp_seg *seg, const uint8_t *text,
                   uint32_t len);
/* Begin with @i, into the fresh packet @p: SYN, poke or message, as the phase wants. */
void sparse_start(struct sparse *s, struct pkt *p, uint32_t i);

/* sparse_wire.c */
void sparse_wire_init(struct sparse *s);
/* Takes @p: answers it by sparse_answer(), or gives it back. */
void sparse_wire_in(struct sparse *s, struct pkt *p);
/* Writes @o over whatever @p holds and queues it. */
void sparse_wire_out(struct sparse *s, struct pkt *p, const struct sparse_out *o);
void sparse_wire_ask(struct sparse *s);
/* How many of the @len octets differ from what connection @i sends at @at. */
uint32_t sparse_wire_differ(const struct sparse *s, uint32_t i, uint32_t at, const uint8_t *text, uint32_t len);
