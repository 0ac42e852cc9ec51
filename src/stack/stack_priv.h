/* SPDX-License-Identifier: MIT */
/* stack/stack_priv.h - A stack: its shards, and what they have in common
 *
 *      stack.c         start and stop
 *      stack_iface.c   devices, addresses, routes
 *      stack_thread.c  which thread works on which shard
 *      stack_stats.c   the counters of all
 *
 * What changes while the stack runs belongs to one shard, but for three things
 * that are for control alone: who is bound where (flow/ports.h), who listens
 * (listeners.h), and the bells (doorbell.h).
 */
#pragma once
#include "millrace/millrace.h"
#include "stack/doorbell.h"
#include "stack/listeners.h"
#include "stack/shard.h"

#include <stdatomic.h>

/* Aligned, and so its size too: no two shards write to one cache line. */
struct member {
        _Alignas(64) struct shard shard;
        struct listeners_peer     peer;
        struct doorbell           bell;
        _Atomic bool              owned;        /* a thread is attached */
};

struct mr_stack {
        int               nr;           /* 0..STACKS_MAX - 1, alone in this process; -1: none yet */
        struct mr_conf    conf;
        struct member    *members;
        uint32_t          member_cnt;   /* those that are ready */
        struct netdev    *dev[MR_IFACE_MAX];
        uint32_t          dev_cnt;
        uint64_t          seed[4];
        struct ports_all  ports;        /* this and the next: of several shards */
        struct listeners  listeners;
};

static inline bool stack_has_several(const struct mr_stack *st) { return st->conf.shards > 1; }

/* The stack and shard of this thread; NULL: none. */
extern _Thread_local struct mr_stack *stack_current;
extern _Thread_local struct member   *stack_member;

/* Open the devices and give every shard its queues, addresses and routes.  0 or a negative errno, with a line
 * in @err. */
int stack_interfaces_add(struct mr_stack *st, char *err, size_t err_len);

/* This thread and its shard part. */
void stack_detach(void);
