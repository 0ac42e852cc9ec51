/* SPDX-License-Identifier: MIT */
/* tools/cmd_bench.c - `millrace bench NAME`: a table of benchmarks; their definitions: docs/benchmarks.md */
#include "stack/conf_near.h"
#include "tools/bench.h"

#include <string.h>

static const struct cmd *const benches[] = {
        &bench_rxpath,
        &bench_pps,
        &bench_cps,
        &bench_rtt,
        &bench_bulk,
        &bench_bytes,
        NULL,
};

/* "rxpath" of "bench rxpath" */
static const char *name_of(const struct cmd *b) { return strchr(b->name, ' ') + 1; }

static void list(void)
{
        printf("Usage: millrace bench NAME [OPTIONS]\n\nBenchmarks:\n");
        for (const struct cmd *const *b = benches; *b; b++)
                printf("  %-8s %s\n", name_of(*b), (*b)->summary);
        printf("\n  millrace bench NAME --help    its options\n\n"
               "Each prints its figures beside the ones to reach, and the ones to reach then;\n"
               "docs/benchmarks.md says what is counted.\n");
}

static int run(int argc, char **argv)
{
        const char *word = argc > 1 ? argv[1] : "--help";
        struct conf_near near;

        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
                list();
                return 0;
        }
        conf_near_begin(&near, word, strlen(word));
        for (const struct cmd *const *b = benches; *b; b++) {
                if (strcmp(word, name_of(*b)) == 0)
                        return (*b)->run(argc - 1, argv + 1);
                conf_near_offer(&near, name_of(*b));
        }
        if (near.best)
                cmd_die("bench %s: no such benchmark; did you mean %s?", word, near.best);
        cmd_die("bench %s: no such benchmark; `millrace bench` lists them", word);
}

const struct cmd cmd_bench = {
        .name = "bench",
        .args = "NAME [OPTIONS]",
        .summary = "measure: `millrace bench` lists what",
        .run = run,
};
