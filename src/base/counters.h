/* SPDX-License-Identifier: MIT */
/* base/counters.h - What happened, counted
 *
 * One writer (the shard), plain uint64_t, summed by whoever reads.  Like the
 * drop reasons, one list (counters.def) makes enum, name and help.
 */
#pragma once
#include "base/drop.h"

#include <stdint.h>

enum counter {
#define COUNTER(name, help) CNT_##name,
#include "base/counters.def"
#undef COUNTER
        CNT_CNT
};

struct counter_info {
        const char *name;               /* "TCP_RTO" */
        const char *help;
};
extern const struct counter_info counter_infos[CNT_CNT];

struct counters {
        uint64_t cnt[CNT_CNT];
        uint64_t drop[DROP_CNT];        /* [DROP_NONE] counts deliveries */
};

static inline void count(struct counters *c, enum counter which) { c->cnt[which]++; }
static inline void count_add(struct counters *c, enum counter which, uint64_t n) { c->cnt[which] += n; }
static inline void count_drop(struct counters *c, enum drop why) { c->drop[why]++; }
