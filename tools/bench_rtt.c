/* SPDX-License-Identifier: MIT */
/* tools/bench_rtt.c - `millrace bench rtt`: 64 octets there and back, one at a time
 *
 * Both ends spin in recv().  Every round trip is kept, so the percentiles and
 * the maximum are of all of them.  What the machine itself needs to take a
 * cache line there and back stands below: nothing can be faster than that.
 */
#include "tools/bench_duo.h"

#include <errno.h>

enum { OCTETS = 64, SAMPLES_MAX = 8000000, WARM = 2000 };

/* Take @len octets.  False: the other end has finished. */
static bool take(const struct bench_duo *d, int fd, uint8_t *buf, size_t len)
{
        for (size_t at = 0; at < len;) {
                ssize_t n = d->net->recv(fd, buf + at, len - at, MSG_DONTWAIT);
                if (n > 0)
                        at += (size_t)n;
                else if (n == 0 || errno != EAGAIN || bench_phase(d) == PHASE_DONE)
                        return false;
        }
        return true;
}

static void server(struct bench_duo *d)
{
        uint8_t buf[OCTETS];
        int ep, fd = -1;

        bench_duo_up(d, true);
        int listener = bench_listen(d->net, &ep);
        bench_phase_set(d, PHASE_LISTENING);
        while (fd < 0 && bench_phase(d) != PHASE_DONE)
                fd = d->net->accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        while (take(d, fd, buf, sizeof buf))
                d->net->send(fd, buf, sizeof buf, MSG_NOSIGNAL);
}

/* Cycles for one message and its answer. */
static uint64_t ping(const struct bench_duo *d, int fd)
{
        uint8_t buf[OCTETS] = "ping";
        uint64_t began = bench_tsc();

        bool answered = d->net->send(fd, buf, sizeof buf, MSG_NOSIGNAL) == sizeof buf && take(d, fd, buf, sizeof buf);
        if (!answered && !bench_given_up(d))
                cmd_die("the connection has ended");
        return bench_tsc() - began;
}

enum { P50, P99, P999, MAX, COUNT };

static void client(struct bench_duo *d)
{
        struct bench_samples samples;
        double us = 1e6 / bench_tsc_hz(), *out = d->shared->client;

        bench_samples_init(&samples, SAMPLES_MAX);
        bench_duo_up(d, false);
        bench_phase_wait(d, PHASE_LISTENING);
        int ep = d->net->epoll_create1(0);
        int fd = bench_connect_all(d, ep)[0];
        if (fd >= 0)
                bench_watch(d->net, ep, EPOLL_CTL_DEL, fd, 0, 0);
        for (int i = 0; i < WARM && !bench_given_up(d); i++)
                ping(d, fd);
        double until_s = bench_now_s() + d->seconds;
        while (bench_goes_on(d, until_s) && !bench_samples_full(&samples))
                bench_samples_add(&samples, ping(d, fd));
        bench_phase_set(d, PHASE_DONE);

        bench_samples_sort(&samples);
        out[P50] = bench_percentile(&samples, 0.5) * us;
        out[P99] = bench_percentile(&samples, 0.99) * us;
        out[P999] = bench_percentile(&samples, 0.999) * us;
        out[MAX] = bench_percentile(&samples, 1) * us;
        out[COUNT] = (double)samples.cnt;
        bench_samples_fini(&samples);
}

static void measure(struct bench_duo *d, double out[BENCH_VALUES])
{
        bench_duo_run(d, server, client);
        for (int i = 0; i <= COUNT; i++)
                out[i] = d->shared->client[i];
}

static bool rows(const struct bench_duo *d, bool vs_kernel, const char *over)
{
        static const struct { const char *name; double reach, then; } figures[] = {
                [P50] = { "p50", 1, 0.6 }, [P99] = { "p99", 3, 1 }, [P999] = { "p99.9", 10, 5 },
                [MAX] = { "max", NAN, NAN },
        };
        double ours[BENCH_VALUES], kernel[BENCH_VALUES];

        if (!bench_rounds(d, vs_kernel, measure, ours, kernel))
                return false;
        for (int i = P50; i <= MAX; i++) {
                bench_row();
                bench_text("over", over);
                bench_text("figure", figures[i].name);
                bench_num("us", ours[i], 2);
                bench_num("reach", figures[i].reach, 1);
                bench_num("then", figures[i].then, 1);
                bench_num("kernel us", kernel[i], 2);
                bench_num("ratio", ours[i] / kernel[i], 3);
        }
        return true;
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        struct bench_opts bo = { .seconds_text = "1" };
        const char *over_text = "both";
        bool vs_kernel = false;
        const struct cmd_opt opts[] = {
                { "over", CMD_TEXT, &over_text, 0, 0, "two threads joined by loop, two processes by shm, or both" },
                { "vs-kernel", CMD_FLAG, &vs_kernel, 0, 0, "do the same over the kernel's sockets, in turns" },
                BENCH_OPTS(bo),
                { 0 },
        };

        cmd_begin(&bench_rtt, argc, argv, opts, &conf);
        bench_opts_read(&bo);
        bench_no_device(&conf);
        struct bench_duo d = { .conf = &conf, .conns = 1, .seconds = bo.seconds };
        bool both = over_text[0] == 'b' && over_text[1] == 'o';

        bench_table_begin("rtt", "microseconds for 64 octets there and back, one at a time; both ends spin", bo.json);
        for (int i = 0; i < (both ? 2 : 1); i++) {
                const char *over = both ? (i ? "loop" : "shm") : over_text;
                d.over = bench_over(over);
                if (!rows(&d, vs_kernel, over))
                        return 1;
        }
        bench_probe_note();
        bench_table_end();
        return 0;
}

const struct cmd bench_rtt = {
        .name = "bench rtt",
        .args = "[--over both] [--vs-kernel] [--seconds 1] [--json]",
        .summary = "round trip of 64 octets: p50, p99, p99.9, max",
        .run = run,
};
