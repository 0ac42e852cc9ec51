/* SPDX-License-Identifier: MIT */
/* base/wheel.h - A hashed hierarchical timer wheel (Varghese and Lauck, 1987)
 *
 * Time is in ticks of 2^20 ns (1.05 ms), a uint32_t that wraps; only
 * differences matter.  Five levels of 64 slots reach 2^30 ticks (13 days).
 *
 *      level 0   64 slots of 1 tick           level 2   64 slots of 4,096 ticks
 *      level 1   64 slots of 64 ticks         ...
 *
 * A timer is a wheel_node inside somebody's record, named by the record's
 * 32-bit index.  One word of bits a level tells which slots are in use, so
 * looking for the next expiry never walks empty slots.
 *
 * Arming is lazy: a node that sits in an earlier slot than asked for stays
 * there, fires early, and its owner arms it again.  So moving a deadline
 * away - what every ACK does to the retransmission timer - does not touch
 * the wheel at all.
 *
 * wheel_expire() hands out one node a call and moves a bounded number, so a
 * turn of the shard stays bounded when a million timers fall into one slot.
 */
#pragma once
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t tick;                  /* compare with tick_before(), it wraps */

enum {
        WHEEL_TICK_SHIFT = 20,          /* ns >> 20 = ticks */
        WHEEL_LEVELS     = 5,
        WHEEL_SLOT_BITS  = 6,
        WHEEL_SLOTS      = 1 << WHEEL_SLOT_BITS,
        WHEEL_TICKS_MAX  = (1 << (WHEEL_LEVELS * WHEEL_SLOT_BITS)) - 1,
};

struct wheel_node {
        uint32_t next;                  /* index, 0: last */
        uint32_t prev;                  /* index, or WHEEL_IN_SLOT | slot number; 0: not armed */
        tick     at;                    /* when it will fire */
};

struct wheel {
        uint8_t *nodes;                 /* node of record i is at nodes + i * stride */
        uint32_t stride;
        tick     now;                   /* everything up to here has been handed out... */
        int32_t  stage;                 /* ...but for levels stage..0 of this very tick; -1: none */
        uint32_t armed;                 /* nodes in the wheel */
        uint64_t used[WHEEL_LEVELS];    /* bit per slot */
        uint32_t head[WHEEL_LEVELS * WHEEL_SLOTS];
};

static inline tick tick_of_ns(uint64_t ns) { return (tick)(ns >> WHEEL_TICK_SHIFT); }
/* Rounds up: a timer never fires early because of the unit. */
static inline tick ticks_from_ns(uint64_t ns) { return (tick)((ns + ((1u << WHEEL_TICK_SHIFT) - 1)) >> WHEEL_TICK_SHIFT); }
static inline bool tick_before(tick a, tick b) { return (int32_t)(a - b) < 0; }

/* @first_node: the wheel_node of record 0; @stride: octets from record to record. */
void wheel_init(struct wheel *w, tick now, void *first_node, uint32_t stride);

/* Fire record @id at @at or, if it is armed for an earlier tick, then (see above).
 * An @at that has passed fires at the next tick. */
void wheel_arm(struct wheel *w, uint32_t id, tick at);

/* Harmless if it is not armed. */
void wheel_cancel(struct wheel *w, uint32_t id);

/* A record whose time has come, no longer armed; 0 when there is none up to
 * @now or when *@budget (node moves) is used up. */
uint32_t wheel_expire(struct wheel *w, tick now, uint32_t *budget);

/* After wheel_expire(): the record that it will probably hand out next, 0 if it cannot tell. */
static inline uint32_t wheel_peek(const struct wheel *w)
{
        uint32_t level = (uint32_t)w->stage;
        return w->stage < 0 ? 0 : w->head[level * WHEEL_SLOTS + ((w->now >> (level * WHEEL_SLOT_BITS)) & (WHEEL_SLOTS - 1))];
}

/* Is there nothing for wheel_expire() to look at up to @now? */
static inline bool wheel_is_done(const struct wheel *w, tick now) { return w->stage < 0 && !tick_before(w->now, now); }

/* No node fires before this tick; @now + WHEEL_TICKS_MAX when none is armed. */
tick wheel_next(const struct wheel *w);

static inline struct wheel_node *wheel_node_at(const struct wheel *w, uint32_t id)
{
        return (struct wheel_node *)(void *)(w->nodes + (uint64_t)id * w->stride);
}

/* Clears a node in a record that has just been taken. */
static inline void wheel_node_init(struct wheel_node *n) { *n = (struct wheel_node){ 0 }; }
static inline bool wheel_node_armed(const struct wheel_node *n) { return n->prev != 0; }
