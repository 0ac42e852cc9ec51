/* SPDX-License-Identifier: MIT */
/* tools/cmd_bench.c - `millrace bench NAME`: figures, by definitions of docs/benchmarks.md */
#include "tools/herd.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- bytes: resident memory of an idle established connection ---- */

/* One size in a process of its own, so that nothing is left over from the one before.
 * Returns octets a connection and end; negative on failure, of which that process has told. */
static double bytes_of(const struct mr_conf *base, uint32_t cnt)
{
        int fds[2];
        double per_end = -1;

        if (pipe(fds) < 0)
                cmd_die("no pipe: %s", strerror(errno));
        fflush(NULL);
        pid_t pid = fork();
        if (pid < 0)
                cmd_die("no process: %s", strerror(errno));
        if (pid == 0) {
                struct mr_conf conf = *base;
                static struct herd herd;

                herd_conf(&conf, cnt);
                conf.log = MR_LOG_WARN;
                cmd_up(&conf);
                herd_init(&herd, cnt, 64);
                uint64_t before = herd_rss();
                herd_open(&herd);
                if (herd_failed(&herd))
                        cmd_die("only %u of %u connections came about", herd.opened, cnt);
                per_end = (double)(herd_rss() - before) / (2.0 * cnt);
                if (write(fds[1], &per_end, sizeof per_end) != sizeof per_end)
                        _exit(1);
                _exit(0);
        }
        close(fds[1]);
        if (read(fds[0], &per_end, sizeof per_end) != sizeof per_end)
                per_end = -1;
        close(fds[0]);
        waitpid(pid, NULL, 0);
        return per_end;
}

static int bench_bytes(const struct mr_conf *conf, uint64_t conns, bool json)
{
        const uint32_t usual[] = { 100000, 1000000 };
        const uint32_t asked[] = { (uint32_t)conns };
        const uint32_t *sizes = conns ? asked : usual;
        uint32_t cnt = conns ? 1 : 2;
        double per_end[2];

        for (uint32_t i = 0; i < cnt; i++) {
                per_end[i] = bytes_of(conf, sizes[i]);
                if (per_end[i] < 0)
                        return 1;
        }
        if (!json)
                printf("resident octets of an idle established connection, an end (budget: 256)\n"
                       "all in: connection, socket, descriptor, epoll registration, share of the flow table\n\n");
        for (uint32_t i = 0; i < cnt; i++) {
                char text[CMD_TEXT_MAX];
                if (json)
                        printf("%s{\"connections\": %u, \"bytes\": %.1f}%s", i ? ", " : "[", sizes[i], per_end[i],
                               i + 1 == cnt ? "]\n" : "");
                else
                        printf("  %12s connections   %.1f octets\n", cmd_count_text(text, sizes[i]), per_end[i]);
        }
        return 0;
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        uint64_t conns = 0;
        bool json = false;
        const struct cmd_opt opts[] = {
                { "conns", CMD_NUMBER, &conns, 0, 50000000, "measure at this many connections; 0: at 100,000 and 1,000,000" },
                { "json", CMD_FLAG, &json, 0, 0, "print the result as JSON" },
                { 0 },
        };

        if (argc > 1 && strcmp(argv[1], "--help") != 0) {
                if (strcmp(argv[1], "bytes") != 0)
                        cmd_die("bench %s: no such benchmark; there is `bytes`", argv[1]);
                argv++;
                argc--;
        } else if (argc == 1) {
                cmd_die("which benchmark?  There is `bytes`");
        }
        cmd_begin(&cmd_bench, argc, argv, opts, &conf);
        return bench_bytes(&conf, conns, json);
}

const struct cmd cmd_bench = {
        .name = "bench",
        .args = "bytes [--conns N] [--json]",
        .summary = "measure: `bytes` a connection",
        .run = run,
};
