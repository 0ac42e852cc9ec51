/* SPDX-License-Identifier: MIT */
/* tools/bench_bytes.c - `millrace bench bytes`: resident memory of an idle established connection */
#include "tools/bench.h"
#include "tools/c10m.h"
#include "tools/herd.h"

struct work {
        const struct mr_conf *conf;
        uint32_t              cnt;
};

/* Octets a connection and end. */
static void measure(const void *arg, void *result)
{
        const struct work *w = arg;
        struct mr_conf conf = *w->conf;
        static struct herd herd;

        herd_conf(&conf, w->cnt);
        conf.log = MR_LOG_WARN;
        cmd_up(&conf);
        herd_init(&herd, w->cnt);
        uint64_t before = c10m_rss();
        herd_open(&herd);
        if (herd_failed(&herd))
                cmd_die("only %u of %u connections came about", herd.opened, w->cnt);
        *(double *)result = (double)(c10m_rss() - before) / (2.0 * w->cnt);
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        uint64_t conns = 0;
        bool json = false;
        const struct cmd_opt opts[] = {
                { "conns", CMD_NUMBER, &conns, 0, 50000000, "so many connections; 0: 100,000 and 1,000,000" },
                { "json", CMD_FLAG, &json, 0, 0, "print the result as JSON" },
                { 0 },
        };

        cmd_begin(&bench_bytes, argc, argv, opts, &conf);
        const uint64_t sizes[] = { conns ? conns : 100000, 1000000 };
        bench_table_begin("bytes",
                          "resident octets of an idle established connection, an end, all in: connection,\n"
                          "socket, descriptor, epoll registration, share of the flow table", json);
        for (uint32_t i = 0; i < (conns ? 1 : 2); i++) {
                struct work w = { &conf, (uint32_t)sizes[i] };
                double per_end;
                if (!bench_apart(measure, &w, &per_end, sizeof per_end))
                        return 1;
                bench_row();
                bench_num("connections", (double)sizes[i], 0);
                bench_num("bytes", per_end, 1);
                bench_num("reach", 256, 0);
                bench_num("then", 128, 0);
        }
        bench_table_end();
        return 0;
}

const struct cmd bench_bytes = {
        .name = "bench bytes",
        .args = "[--conns N] [--json]",
        .summary = "resident memory of an idle established connection",
        .run = run,
};
