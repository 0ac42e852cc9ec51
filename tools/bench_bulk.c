/* SPDX-License-Identifier: MIT */
/* tools/bench_bulk.c - `millrace bench bulk`: gigabits of data a second, one way
 *
 * The client writes as much as its sockets take, the server reads and counts.
 * With segmentation offload frames of 64 KB pass between the two; without, frames
 * of the MTU.  Checksums are left to the device in both cases.
 *
 * With --zero-copy both work in the stack's buffers, and touch every cache line
 * of them once: data that nobody looks at would be faster than any program.
 */
#include "tools/bench_duo.h"

#include <millrace/zerocopy.h>

#include <errno.h>

enum { LOANS = 192, LINE_OCTETS = 64 };
enum { WRITE_OCTETS = 256 << 10, READ_OCTETS = 256 << 10, EVENTS_MAX = 128 };

/* Indices of bench_shared.server */
enum { OCTETS, SECONDS, CYCLES, BUSY, CORE };

/* ---- the server ---- */

static bool zero_copy;

static bool in_place(const struct bench_net *net) { return zero_copy && net == &bench_net_millrace; }

static volatile uint8_t nowhere;

static void look_at(const uint8_t *data, uint32_t len)
{
        uint8_t sum = 0;
        for (uint32_t i = 0; i < len; i += LINE_OCTETS)
                sum = (uint8_t)(sum + data[i]);
        nowhere = sum;
}

/* As mr_recv(): octets; 0 the end; -1 and errno. */
static ssize_t read_in_place(int fd)
{
        struct mr_loan loan[LOANS];
        int cnt = mr_recv_borrow(fd, loan, LOANS, 0);
        ssize_t octets = 0;

        if (cnt <= 0)
                return cnt;
        for (int i = 0; i < cnt; i++) {
                look_at(loan[i].data, loan[i].len);
                octets += loan[i].len;
        }
        mr_loan_return(loan, cnt);
        return octets;
}

static uint64_t drain(const struct bench_net *net, int fd)
{
        static uint8_t buf[READ_OCTETS];
        ssize_t n = in_place(net) ? read_in_place(fd) : net->recv(fd, buf, sizeof buf, 0);

        if (n > 0)
                return (uint64_t)n;
        if (n == 0 || errno != EAGAIN)
                net->close(fd);
        return 0;
}

static void server(struct bench_duo *d)
{
        struct epoll_event evs[EVENTS_MAX];
        struct bench_busy busy = { 0 };
        uint32_t phase, before = PHASE_LISTENING;
        uint64_t octets = 0;
        double *out = d->shared->server;
        int ep;

        bench_duo_up(d, true);
        int listener = bench_listen(d->net, &ep);
        bench_phase_set(d, PHASE_LISTENING);
        while ((phase = bench_phase(d)) != PHASE_DONE) {
                if (phase != before) {
                        before = phase;
                        octets = 0;
                        bench_busy_begin(&busy, d);
                }
                int cnt = d->net->epoll_wait(ep, evs, EVENTS_MAX, 0);
                for (int i = 0; i < cnt; i++) {
                        if (evs[i].data.u64 == BENCH_LISTENER)
                                bench_accept(d->net, listener, ep);
                        else
                                octets += drain(d->net, (int)evs[i].data.u64);
                }
                if (phase == PHASE_MEASURE)
                        bench_busy_turn(&busy, cnt);
        }
        bench_busy_end(&busy);
        out[OCTETS] = (double)octets;
        out[SECONDS] = (double)(busy.at - busy.began) / bench_tsc_hz();
        out[CYCLES] = bench_busy_cycles(&busy);
        out[BUSY] = bench_busy_share(&busy);
        out[CORE] = bench_busy_core(&busy);
}

/* ---- the client ---- */

struct writer {
        const struct bench_duo *d;
        int                    *fd;
        int                     ep;
};

/* As mr_send() of WRITE_OCTETS. */
static ssize_t write_in_place(int fd)
{
        struct iovec room;
        ssize_t n = 1, octets = 0;

        while (octets < WRITE_OCTETS && n > 0) {
                n = mr_send_reserve(fd, (size_t)(WRITE_OCTETS - octets), &room, MSG_NOSIGNAL);
                for (ssize_t i = 0; i < n; i += LINE_OCTETS)
                        ((uint8_t *)room.iov_base)[i] = (uint8_t)i;
                if (n > 0 && mr_send_commit(fd, (size_t)n, MSG_NOSIGNAL) == n)
                        octets += n;
        }
        return octets ? octets : n;
}

static ssize_t write_some(const struct bench_net *net, int fd)
{
        static const uint8_t data[WRITE_OCTETS];
        ssize_t n = in_place(net) ? write_in_place(fd) : net->send(fd, data, sizeof data, MSG_NOSIGNAL);

        if (n < 0 && in_place(net) && errno == ENOBUFS)         /* all that may be lent out is: as an ordinary one */
                n = net->send(fd, data, sizeof data, MSG_NOSIGNAL);
        return n;
}

static void write_for(void *arg, double seconds)
{
        struct epoll_event evs[EVENTS_MAX];
        const struct writer *w = arg;
        double until_s = bench_now_s() + seconds;

        while (bench_goes_on(w->d, until_s)) {
                int cnt = w->d->net->epoll_wait(w->ep, evs, EVENTS_MAX, 0);
                for (int i = 0; i < cnt; i++) {
                        int fd = w->fd[evs[i].data.u64];
                        if (write_some(w->d->net, fd) < 0 && errno != EAGAIN)
                                cmd_die("a connection has ended");
                }
        }
}

static void client(struct bench_duo *d)
{
        bench_duo_up(d, false);
        bench_phase_wait(d, PHASE_LISTENING);
        struct writer w = { .d = d, .ep = d->net->epoll_create1(0) };
        w.fd = bench_connect_all(d, w.ep);
        for (uint32_t n = 0; n < d->conns && !bench_given_up(d); n++)
                bench_watch(d->net, w.ep, EPOLL_CTL_MOD, w.fd[n], EPOLLOUT, n);
        bench_measure(d, write_for, &w);
}

/* ---- the figure ---- */

enum { GBITS, CYCLES_PER_KB, BUSY_PERCENT, CORE_PERCENT };

static void measure(struct bench_duo *d, double out[BENCH_VALUES])
{
        bench_duo_run(d, server, client);
        const double *s = d->shared->server;
        out[GBITS] = s[OCTETS] * 8e-9 / s[SECONDS];
        out[CYCLES_PER_KB] = s[CYCLES] / s[OCTETS] * 1024;
        out[BUSY_PERCENT] = 100 * s[BUSY];
        out[CORE_PERCENT] = 100 * s[CORE];
}

struct kind {
        const char *frames, *options;
        double      reach, then;        /* of one flow */
};

static bool row(struct bench_duo *d, const struct kind *k, bool vs_kernel)
{
        double ours[BENCH_VALUES], kernel[BENCH_VALUES];

        d->options = k->options;
        if (!bench_rounds(d, vs_kernel, measure, ours, kernel))
                return false;
        bench_row();
        bench_num("flows", d->conns, 0);
        bench_text("frames", k->frames);
        bench_num("Gbit/s", ours[GBITS], 2);
        bench_num("reach", d->conns == 1 ? k->reach : NAN, 0);
        bench_num("then", d->conns == 1 ? k->then : NAN, 0);
        bench_num("cycles/KB", ours[CYCLES_PER_KB], 0);
        bench_num("server busy %", ours[BUSY_PERCENT], 0);
        bench_num("of its core %", ours[CORE_PERCENT], 0);
        bench_num("kernel Gbit/s", kernel[GBITS], 2);
        bench_num("ratio", ours[GBITS] / kernel[GBITS], 2);
        return true;
}

static int run(int argc, char **argv)
{
        static const struct kind kinds[] = {
                { "MTU 1500", "mtu=1500 offload=checksum", 30, 60 },
                { "MTU 9000", "mtu=9000 offload=checksum", NAN, NAN },
                { "MTU 1500, 64 KB by offload", "mtu=1500", 60, 120 },
                { "MTU 9000, 64 KB by offload", "mtu=9000", 60, 120 },
        };
        static struct mr_conf conf;
        struct bench_opts bo = { .seconds_text = "1" };
        const char *flows_text = "1,64", *over_text = "loop";
        uint64_t flows[BENCH_LIST_MAX];
        bool vs_kernel = false;
        const struct cmd_opt opts[] = {
                { "flows", CMD_TEXT, &flows_text, 0, 0, "connections that carry data at once, a list" },
                { "over", CMD_TEXT, &over_text, 0, 0, "two threads joined by loop, or two processes by shm" },
                { "vs-kernel", CMD_FLAG, &vs_kernel, 0, 0, "do the same over the kernel's sockets, in turns" },
                { "zero-copy", CMD_FLAG, &zero_copy, 0, 0, "read and write in the stack's own buffers" },
                BENCH_OPTS(bo),
                { 0 },
        };

        cmd_begin(&bench_bulk, argc, argv, opts, &conf);
        bench_opts_read(&bo);
        bench_no_device(&conf);
        uint32_t cnt = bench_list("flows", flows_text, flows, 10000);
        struct bench_duo d = { .conf = &conf, .over = bench_over(over_text), .seconds = bo.seconds };

        bench_table_begin("bulk", zero_copy ? "gigabits of data a second, one way, in place; each end on one core"
                                            : "gigabits of data a second, one way; each end on one core", bo.json);
        for (uint32_t i = 0; i < cnt; i++) {
                d.conns = (uint32_t)flows[i];
                for (uint32_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
                        if (!row(&d, &kinds[k], vs_kernel))
                                return 1;
        }
        bench_probe_note();
        bench_table_end();
        return 0;
}

const struct cmd bench_bulk = {
        .name = "bench bulk",
        .args = "[--flows 1,64] [--over loop] [--vs-kernel] [--zero-copy] [--seconds 1] [--json]",
        .summary = "gigabits a second, MTU 1500 and 9000, with and without segmentation offload",
        .run = run,
};
