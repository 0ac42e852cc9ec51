/* SPDX-License-Identifier: MIT */
/* tools/bench.h - What the benchmarks share: the clock, cores, percentiles, tables
 *
 * A benchmark is a row of the table in cmd_bench.c and a file bench_NAME.c.
 * Its definition is part of the product: docs/benchmarks.md.
 */
#pragma once
#include "tools/cmd.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <x86intrin.h>

/* Their names are "bench rxpath" and so on: as typed, for the usage line. */
extern const struct cmd bench_rxpath, bench_pps, bench_cps, bench_rtt, bench_bulk, bench_bytes;

/* ---- options that all have ---- */

struct bench_opts {
        const char *seconds_text;
        double      seconds;            /* how long each figure is measured */
        bool        json;
};
#define BENCH_OPTS(o)                                                                                          \
        { "seconds", CMD_TEXT, &(o).seconds_text, 0, 0, "measure each figure for so long" },                   \
        { "json", CMD_FLAG, &(o).json, 0, 0, "print the result as JSON" }

/* Checks and fills in what was typed, or ends the program. */
void bench_opts_read(struct bench_opts *o);

/* "1,1k,10M" into numbers; ends the program on a mistake.  Returns how many. */
enum { BENCH_LIST_MAX = 16 };
uint32_t bench_list(const char *option, const char *text, uint64_t out[BENCH_LIST_MAX], uint64_t max);

/* ---- time ---- */

/* The time stamp counter, after all loads before it are done, and before all instructions behind it. */
static inline uint64_t bench_tsc(void)
{
        unsigned core;
        uint64_t at = __rdtscp(&core);
        _mm_lfence();
        return at;
}

double bench_tsc_hz(void);              /* measured once, which takes 20 ms */
double bench_now_s(void);               /* monotonic */

/* ---- cores ---- */

/* Bind the calling thread to the @n-th core that this process may use (modulo how many there are). */
void bench_pin(uint32_t n);
uint32_t bench_cores(void);

/* Nanoseconds for a cache line to go from core 0 to core 1 and back: what no message can beat. */
double bench_cacheline_ns(void);

/* ---- samples ---- */

struct bench_samples {
        uint32_t *value;
        uint64_t  cnt, cap;
};

void bench_samples_init(struct bench_samples *s, uint64_t cap);
void bench_samples_fini(struct bench_samples *s);
static inline bool bench_samples_full(const struct bench_samples *s) { return s->cnt == s->cap; }
static inline void bench_samples_add(struct bench_samples *s, uint64_t v)
{
        if (s->cnt < s->cap)
                s->value[s->cnt++] = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}
void bench_samples_sort(struct bench_samples *s);
/* Of sorted samples: @part 0.5 is the median, 1 the largest.  0 when there are none. */
double bench_percentile(const struct bench_samples *s, double part);

/* ---- a process of its own ---- */

/* Run @work in a child, so that nothing is left over from the one before, and take over the
 * @size octets of *@result that it filled in.  False: it failed and has said why. */
bool bench_apart(void (*work)(const void *arg, void *result), const void *arg, void *result, size_t size);

/* ---- results: one table, for people or as JSON ---- */

/* A head is also the key of the JSON: "cycles median" is "cycles_median". */
void bench_table_begin(const char *name, const char *title, bool json);
void bench_row(void);
void bench_text(const char *head, const char *text);
void bench_num(const char *head, double value, int decimals);          /* NAN: not measured */
/* A line below the table. */
__attribute__((format(printf, 1, 2))) void bench_note(const char *fmt, ...);
void bench_table_end(void);
