/* SPDX-License-Identifier: MIT */
/* dev/fault_lane.h - A bad road: one direction of one queue of fault:
 *
 *      put ─► lost? ─► flipped? ─► copied? ─► rate ─► delay ─► │ │ │ │ │ ─► due
 *                                        └► late ──────┘       FIFO, each with a time
 *
 * Due times never decrease along the FIFO: jitter lengthens gaps, and a frame
 * made late waits aside and joins behind those that passed it.  So holding
 * 100,000 frames costs no more a frame than holding one.
 *
 * Each kind of fault draws from a stream of random numbers of its own, so
 * asking for duplicates as well does not change which frames are lost.
 * Everything held is bounded, and given back by fault_lane_fini().
 */
#pragma once
#include "base/counters.h"
#include "base/rnd.h"
#include "dev/fault_conf.h"
#include "pkt/pkt.h"

enum fault_kind {
        FAULT_KIND_LOSS, FAULT_KIND_DUP, FAULT_KIND_REORDER, FAULT_KIND_CORRUPT, FAULT_KIND_JITTER,
        FAULT_KIND_CNT
};

enum {
        FAULT_HOLD_MAX  = 1 << 16,      /* frames in the FIFO: 20 ms of 64-octet frames at 1 Gbit/s is 39,000 */
        FAULT_LATE_MAX  = 16,           /* frames held aside at once; more are not reordered */
        FAULT_LATE_PKTS = 8,            /* a late frame lets 1 to this many pass... */
        FAULT_LATE_MS   = 5,            /* ...or this much time */
};

struct fault_held {
        struct pkt *p;
        uint64_t    due_ns;
};

struct fault_late {
        struct pkt *p;                  /* NULL: the place is free */
        uint64_t    after;              /* joins behind this frame */
        uint64_t    due_ns;             /* joins at the latest then */
};

struct fault_lane {
        const struct fault_conf *conf;
        struct pkt_pool   *pool;
        struct counters   *counters;
        struct rnd         rnd[FAULT_KIND_CNT];
        struct fault_held *held;        /* FAULT_HOLD_MAX, a ring */
        uint32_t           head, tail;  /* never reduced; tail: next to leave */
        struct fault_late  late[FAULT_LATE_MAX];
        uint32_t           late_cnt;
        uint64_t           frame_cnt;   /* frames that went on in order */
        uint64_t           last_due_ns;
        uint64_t           busy_until_ns;
        uint64_t          *departs_ns;  /* queue_pkts, a ring: when each frame leaves the rate's queue */
        uint64_t           depart_cnt;
};

/* 0 or -ENOMEM.  @seed: a lane's own. */
int  fault_lane_init(struct fault_lane *l, const struct fault_conf *conf, uint64_t seed, struct pkt_pool *pool,
                     struct counters *counters);
void fault_lane_fini(struct fault_lane *l);

/* A frame enters; it is the lane's now. */
void fault_lane_put(struct fault_lane *l, struct pkt *p, uint64_t now_ns);

/* Collect up to @max frames that are due into @pkts, oldest first, and leave
 * them in; fault_lane_pop() takes the first @cnt out. */
uint32_t fault_lane_due(struct fault_lane *l, struct pkt *pkts[], uint32_t max, uint64_t now_ns);
void     fault_lane_pop(struct fault_lane *l, uint32_t cnt);

/* When the next frame comes due; TIME_NEVER for none. */
uint64_t fault_lane_deadline(const struct fault_lane *l);
