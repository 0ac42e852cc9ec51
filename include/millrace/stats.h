/* SPDX-License-Identifier: MIT */
/* millrace/stats.h - What the stack counted
 *
 * Every dropped packet has a reason, and every reason is a counter.  Values
 * are those of the calling thread's stack, of all its shards together, from its
 * start.  Each shard counts for itself, without a lock; who reads while they
 * work sees each counter as it was a moment ago, and not all of the same moment.
 */
#pragma once
#include <millrace/export.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many counters there are, drop reasons included. */
MR_API uint32_t mr_counter_cnt(void);

/* Counter @i of 0..mr_counter_cnt()-1: its name ("TCP_RTO"; of a drop reason, which
 * come last, "TCP_CHECKSUM"), one line of help, and its value.  Each pointer may be NULL.
 * 0; -EINVAL no such counter.  Without a stack the value is 0. */
MR_API int mr_counter_get(uint32_t i, const char **name, const char **help, uint64_t *value);

/* Print all that are not zero, for people; or all, as one JSON object.  Names in lower
 * case, "drop_" in front of drop reasons. */
MR_API void mr_stats_print(FILE *out, bool json);

#ifdef __cplusplus
}
#endif
