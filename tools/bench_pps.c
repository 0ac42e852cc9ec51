/* SPDX-License-Identifier: MIT */
/* tools/bench_pps.c - `millrace bench pps`: echoes of 64 octets a second over N connections
 *
 * The server is an ordinary program: epoll_wait(), recv(), send(), on one core.
 * The client, on the other core, keeps a window of messages under way; when an
 * answer is whole, another connection, chosen at random, sends the next.
 */
#include "base/rnd.h"
#include "tools/bench_duo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OCTETS = 64, EVENTS_MAX = 256, READ_MAX = 4096, ROUNDS = 3 };

/* Indices of bench_shared.server and .client */
enum { SERVER_ECHOES, SERVER_BUSY, SERVER_CYCLES, SERVER_FRAMES, SERVER_CORE };
enum { CLIENT_ECHOES, CLIENT_SECONDS };

struct settings {
        uint32_t window;                /* messages under way */
};

/* ---- the server ---- */

/* True: a message was echoed. */
static bool echo(const struct bench_net *net, int fd)
{
        uint8_t buf[READ_MAX];
        ssize_t n = net->recv(fd, buf, sizeof buf, 0);

        if (n > 0)
                return net->send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
        if (n == 0 || errno != EAGAIN)
                net->close(fd);
        return false;
}

static void server(struct bench_duo *d)
{
        struct epoll_event evs[EVENTS_MAX];
        struct bench_busy busy = { 0 };
        uint64_t echoes = 0;
        uint32_t phase, before = PHASE_LISTENING;
        int ep;

        bench_duo_up(d, true);
        int listener = bench_listen(d->net, &ep);
        bench_phase_set(d, PHASE_LISTENING);
        while ((phase = bench_phase(d)) != PHASE_DONE) {
                if (phase != before) {
                        before = phase;
                        echoes = 0;
                        bench_busy_begin(&busy, d);
                }
                int cnt = d->net->epoll_wait(ep, evs, EVENTS_MAX, 0);
                for (int i = 0; i < cnt; i++) {
                        if (evs[i].data.u64 == BENCH_LISTENER)
                                bench_accept(d->net, listener, ep);
                        else
                                echoes += echo(d->net, (int)evs[i].data.u64);
                }
                if (phase == PHASE_MEASURE)
                        bench_busy_turn(&busy, cnt);
        }
        bench_busy_end(&busy);
        d->shared->server[SERVER_CORE] = bench_busy_core(&busy);
        d->shared->server[SERVER_ECHOES] = (double)echoes;
        d->shared->server[SERVER_BUSY] = bench_busy_share(&busy);
        d->shared->server[SERVER_CYCLES] = bench_busy_cycles(&busy);
        d->shared->server[SERVER_FRAMES] = (double)(busy.frames - busy.frames_began);
        bench_duo_down(d);
}

/* ---- the client ---- */

struct crowd {
        struct bench_duo *d;
        int              *fd;
        uint8_t          *awaited;      /* octets of the answer still to come; 0: the connection is idle */
        struct rnd        rnd;
        uint64_t          answers;
        int               ep;
};

static void ask(struct crowd *c, uint32_t n)
{
        static const uint8_t message[OCTETS] = "the quick brown fox jumps over the lazy dog, and then once more";

        if (c->d->net->send(c->fd[n], message, OCTETS, MSG_NOSIGNAL) != OCTETS)
                cmd_die("connection %u: sending %d octets: %s", n, OCTETS, strerror(errno));
        c->awaited[n] = OCTETS;
}

/* Another one at random; when those tried are busy, the one that has just become idle. */
static void ask_next(struct crowd *c, uint32_t idle)
{
        enum { TRIES = 4 };

        for (int i = 0; i < TRIES; i++) {
                uint32_t n = rnd_below(&c->rnd, c->d->conns);
                if (c->awaited[n] == 0) {
                        ask(c, n);
                        return;
                }
        }
        ask(c, idle);
}

static void take_answer(struct crowd *c, uint32_t n)
{
        uint8_t buf[OCTETS];
        ssize_t got = c->d->net->recv(c->fd[n], buf, sizeof buf, 0);

        if (got < 0 && errno == EAGAIN)
                return;
        if (got <= 0 || got > c->awaited[n])
                cmd_die("connection %u: the answer is wrong or has ended", n);
        c->awaited[n] = (uint8_t)(c->awaited[n] - got);
        if (c->awaited[n])
                return;
        c->answers++;
        ask_next(c, n);
}

static void talk_for(struct crowd *c, double seconds)
{
        enum { LOOK_EVERY = 64 };
        struct epoll_event evs[EVENTS_MAX];
        double until_s = bench_now_s() + seconds;

        for (uint32_t i = 0; i % LOOK_EVERY || bench_now_s() < until_s; i++) {
                int cnt = c->d->net->epoll_wait(c->ep, evs, EVENTS_MAX, 0);
                for (int k = 0; k < cnt; k++)
                        take_answer(c, (uint32_t)evs[k].data.u64);
        }
}

static void client(struct bench_duo *d)
{
        const struct settings *s = d->arg;
        struct crowd c = { .d = d, .awaited = calloc(d->conns, 1) };

        bench_duo_up(d, false);
        bench_phase_wait(d, PHASE_LISTENING);
        c.ep = d->net->epoll_create1(0);
        c.fd = bench_connect_all(d, c.ep);
        rnd_seed(&c.rnd, 1);
        for (uint32_t i = 0; i < s->window && i < d->conns; i++)
                ask(&c, i);
        talk_for(&c, d->seconds / 4);

        c.answers = 0;
        double began_s = bench_now_s();
        bench_phase_set(d, PHASE_MEASURE);
        talk_for(&c, d->seconds);
        bench_phase_set(d, PHASE_DONE);
        d->shared->client[CLIENT_SECONDS] = bench_now_s() - began_s;
        d->shared->client[CLIENT_ECHOES] = (double)c.answers;
        bench_duo_down(d);
}

/* ---- the figure ---- */

struct result {
        double echoes_per_s, frames_per_s, cycles, busy, core;
};

static void measure(const void *arg, void *out)
{
        struct bench_duo d = *(const struct bench_duo *)arg;

        bench_duo_run(&d, server, client);
        const double *s = d.shared->server, *c = d.shared->client;
        *(struct result *)out = (struct result){
                .echoes_per_s = c[CLIENT_ECHOES] / c[CLIENT_SECONDS], .frames_per_s = s[SERVER_FRAMES] / c[CLIENT_SECONDS],
                .cycles = s[SERVER_CYCLES] / s[SERVER_ECHOES], .busy = s[SERVER_BUSY],
                .core = s[SERVER_CORE],
        };
}

static int compare(const void *a, const void *b)
{
        double x = ((const struct result *)a)->echoes_per_s, y = ((const struct result *)b)->echoes_per_s;
        return (x > y) - (x < y);
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        struct bench_opts bo = { .seconds_text = "1" };
        const char *conns_text = "64,1k", *over_text = "loop";
        uint64_t conns[BENCH_LIST_MAX], window = 0;
        bool vs_kernel = false;
        const struct cmd_opt opts[] = {
                { "conns", CMD_TEXT, &conns_text, 0, 0, "connections, a list" },
                { "window", CMD_NUMBER, &window, 0, 1000000, "messages under way at once; 0: one a connection, up to 512" },
                { "over", CMD_TEXT, &over_text, 0, 0, "two threads joined by loop, or two processes by shm" },
                { "vs-kernel", CMD_FLAG, &vs_kernel, 0, 0, "do the same over the kernel's sockets, in turns" },
                BENCH_OPTS(bo),
                { 0 },
        };

        cmd_begin(&bench_pps, argc, argv, opts, &conf);
        bench_opts_read(&bo);
        uint32_t cnt = bench_list("conns", conns_text, conns, 50000000), rounds = vs_kernel ? ROUNDS : 1;
        bench_table_begin("pps", "echoes of 64 octets a second; the server on one core: epoll_wait, recv, send", bo.json);
        for (uint32_t i = 0; i < cnt; i++) {
                struct settings s = { .window = window ? (uint32_t)window : 512 };
                struct bench_duo ours = {
                        .conf = &conf, .over = bench_over(over_text), .conns = (uint32_t)conns[i],
                        .seconds = bo.seconds / rounds, .arg = &s,
                };
                struct bench_duo kernels = ours;
                struct result res[ROUNDS], kernel[ROUNDS];
                bool with_kernel = vs_kernel && bench_kernel_holds(conns[i]);

                kernels.over = BENCH_KERNEL;
                for (uint32_t k = 0; k < rounds; k++) {
                        if (!bench_apart(measure, &ours, &res[k], sizeof res[k]))
                                return 1;
                        if (with_kernel && !bench_apart(measure, &kernels, &kernel[k], sizeof kernel[k]))
                                return 1;
                }
                qsort(res, rounds, sizeof *res, compare);
                qsort(kernel, with_kernel ? rounds : 0, sizeof *kernel, compare);
                const struct result *mid = &res[rounds / 2];
                double kernel_per_s = with_kernel ? kernel[rounds / 2].echoes_per_s : NAN;
                bool many = conns[i] >= 100000;
                bench_row();
                bench_num("conns", (double)conns[i], 0);
                bench_num("echoes/s", mid->echoes_per_s, 0);
                bench_num("packets/s", mid->frames_per_s, 0);
                bench_num("server cycles", mid->cycles, 0);
                bench_num("server busy %", 100 * mid->busy, 0);
                bench_num("of its core %", 100 * mid->core, 0);
                bench_num("one core's echoes/s", bench_tsc_hz() / mid->cycles, 0);
                bench_num("reach", many ? 1e6 : 3e6, 0);
                bench_num("then", many ? 2e6 : 5e6, 0);
                bench_num("kernel echoes/s", kernel_per_s, 0);
                bench_num("ratio", mid->echoes_per_s / kernel_per_s, 2);
        }
        bench_note("a cache line goes from one core to the other and back in %.0f ns", bench_cacheline_ns());
        bench_table_end();
        return 0;
}

const struct cmd bench_pps = {
        .name = "bench pps",
        .args = "[--conns 64,1k] [--over loop] [--vs-kernel] [--seconds 1] [--json]",
        .summary = "echoes of 64 octets a second over N connections, server on one core",
        .run = run,
};
