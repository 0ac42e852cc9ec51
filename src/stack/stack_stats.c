/* SPDX-License-Identifier: MIT */
/* stack/stack_stats.c - What all shards have counted, together */
#include "millrace/stats.h"
#include "stack/stack_priv.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

uint32_t mr_counter_cnt(void)
{
        return CNT_CNT + DROP_CNT - 1;                  /* DROP_NONE is no drop */
}

/* Each counter is written by its shard alone, without a thought for readers: on the machines that
 * we know a 64-bit load finds one value or the next, never half of each. */
__attribute__((no_sanitize("thread"))) static uint64_t peek(const volatile uint64_t *value) { return *value; }

static uint64_t value_of(const struct counters *c, uint32_t i)
{
        return i >= CNT_CNT ? peek(&c->drop[i - CNT_CNT + 1]) : peek(&c->cnt[i]);
}

static uint64_t sum(const struct mr_stack *st, uint32_t i)
{
        uint64_t all = 0;

        for (uint32_t m = 0; st && m < st->member_cnt; m++) {
                uint64_t one = value_of(&st->members[m].shard.counters, i);
                all = i == CNT_TURN_NS_MAX ? u64_max(all, one) : all + one;
        }
        return all;
}

int mr_counter_get(uint32_t i, const char **name, const char **help, uint64_t *value)
{
        bool is_drop = i >= CNT_CNT;
        uint32_t why = i - CNT_CNT + 1;

        if (i >= mr_counter_cnt())
                return -EINVAL;
        if (name)
                *name = is_drop ? drop_infos[why].name : counter_infos[i].name;
        if (help)
                *help = is_drop ? drop_infos[why].what : counter_infos[i].help;
        if (value)
                *value = sum(stack_current, i);
        return 0;
}

static void print_name(FILE *out, const char *name, bool is_drop)
{
        if (is_drop)
                fputs("drop_", out);
        for (; *name; name++)
                fputc(tolower((unsigned char)*name), out);
}

void mr_stats_print(FILE *out, bool json)
{
        const char *name, *help;
        uint64_t value;

        if (json)
                fputc('{', out);
        for (uint32_t i = 0; mr_counter_get(i, &name, &help, &value) == 0; i++) {
                if (json) {
                        fputs(i ? ", \"" : "\"", out);
                        print_name(out, name, i >= CNT_CNT);
                        fprintf(out, "\": %" PRIu64, value);
                } else if (value) {
                        fprintf(out, "%14" PRIu64 "  ", value);
                        print_name(out, name, i >= CNT_CNT);
                        fprintf(out, " (%s)\n", help);
                }
        }
        if (json)
                fputs("}\n", out);
}
