/* SPDX-License-Identifier: MIT */
/* base/units.h - Durations are uint64_t nanoseconds, sizes are octets
 *
 * `now_ns` is monotonic and comes from outside (shard->env): nothing below
 * stack/ reads a clock.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define NS(n)  ((uint64_t)(n))
#define US(n)  ((uint64_t)(n) * 1000u)
#define MS(n)  ((uint64_t)(n) * 1000000u)
#define SEC(n) ((uint64_t)(n) * 1000000000u)

#define TIME_NEVER UINT64_MAX

#define KiB(n) ((uint64_t)(n) << 10)
#define MiB(n) ((uint64_t)(n) << 20)
#define GiB(n) ((uint64_t)(n) << 30)

#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(n, to)   (((n) + (to) - 1) / (to) * (to))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline uint64_t u64_min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t u64_max(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline uint32_t u32_min(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint32_t u32_max(uint32_t a, uint32_t b) { return a > b ? a : b; }
