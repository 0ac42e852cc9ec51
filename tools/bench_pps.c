/* SPDX-License-Identifier: MIT */
/* tools/bench_pps.c - `millrace bench pps`: echoes of 64 octets a second over N connections
 *
 * The server is an ordinary program: epoll_wait(), recv(), send(), on one core.
 * The client, on the other core, is the one of bench_sparse.c, or this one with
 * sockets: it keeps a window of messages under way; when an answer is whole,
 * another connection, chosen at random, sends the next.
 */
#include "base/rnd.h"
#include "tools/bench_duo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the client ---- */

struct crowd {
        struct bench_duo *d;
        int              *fd;
        uint8_t          *awaited;      /* octets of the answer still to come; 0: the connection is idle */
        struct rnd        rnd;
        int               ep;
};

static void ask(struct crowd *c, uint32_t n)
{
        static const uint8_t message[BENCH_MSG] = "the quick brown fox jumps over the lazy dog, and then once more";

        if (c->d->net->send(c->fd[n], message, BENCH_MSG, MSG_NOSIGNAL) != BENCH_MSG)
                cmd_die("connection %u: sending %d octets: %s", n, BENCH_MSG, strerror(errno));
        c->awaited[n] = BENCH_MSG;
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

static void take_answer(void *arg, uint32_t n, uint32_t events)
{
        struct crowd *c = arg;
        uint8_t buf[BENCH_MSG];
        ssize_t got = c->d->net->recv(c->fd[n], buf, sizeof buf, 0);

        if (got < 0 && errno == EAGAIN)
                return;
        if (got <= 0 || got > c->awaited[n])
                cmd_die("connection %u: the answer is wrong or has ended", n);
        c->awaited[n] = (uint8_t)(c->awaited[n] - got);
        if (c->awaited[n])
                return;
        ask_next(c, n);
}

static void talk_for(void *arg, double seconds)
{
        struct crowd *c = arg;
        bench_events_for(c->d, c->ep, seconds, take_answer, c);
}

static void client(struct bench_duo *d)
{
        struct crowd c = { .d = d, .awaited = calloc(d->conns, 1) };

        if (!c.awaited)
                cmd_die("no memory for %u connections", d->conns);
        bench_duo_up(d, false);
        bench_phase_wait(d, PHASE_LISTENING);
        c.ep = d->net->epoll_create1(0);
        c.fd = bench_connect_all(d, c.ep);
        rnd_seed(&c.rnd, 1);
        for (uint32_t i = 0; i < d->window && i < d->conns && !bench_given_up(d); i++)
                ask(&c, i);
        bench_measure(d, talk_for, &c);
}

/* ---- the figure ---- */

enum { ECHOES_PER_S, FRAMES_PER_S, CYCLES, BUSY, CORE };

static void measure(struct bench_duo *d, double out[BENCH_VALUES])
{
        if (d->one_thread) {
                double frames;
                bench_turns(d, false, &out[CYCLES], &frames);
                out[ECHOES_PER_S] = out[FRAMES_PER_S] = out[BUSY] = out[CORE] = NAN;
                return;
        }
        bench_duo_run(d, bench_echo_server, d->sparse ? bench_sparse_talk : client);
        const double *s = d->shared->server;
        out[ECHOES_PER_S] = s[ECHO_MESSAGES] / s[ECHO_SECONDS];
        out[FRAMES_PER_S] = s[ECHO_FRAMES] / s[ECHO_SECONDS];
        out[CYCLES] = s[ECHO_CYCLES] / s[ECHO_MESSAGES];
        out[BUSY] = 100 * s[ECHO_BUSY];
        out[CORE] = 100 * s[ECHO_CORE];
}

static bool row(const struct bench_duo *d, bool vs_kernel)
{
        double ours[BENCH_VALUES], kernel[BENCH_VALUES];
        bool many = d->conns >= 100000;

        if (!bench_rounds(d, vs_kernel, measure, ours, kernel))
                return false;
        bench_row();
        bench_num("conns", d->conns, 0);
        bench_num("echoes/s", ours[ECHOES_PER_S], 0);
        bench_num("packets/s", ours[FRAMES_PER_S], 0);
        bench_num("reach", many ? 1e6 : 3e6, 0);
        bench_num("then", many ? 2e6 : 5e6, 0);
        bench_num("cycles/echo", ours[CYCLES], 0);
        bench_num("server busy %", ours[BUSY], 0);
        bench_num("of its core %", ours[CORE], 0);
        bench_num("if all busy/s", bench_tsc_hz() / ours[CYCLES], 0);
        bench_num("kernel echoes/s", kernel[ECHOES_PER_S], 0);
        bench_num("ratio", ours[ECHOES_PER_S] / kernel[ECHOES_PER_S], 2);
        return true;
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        struct bench_opts bo = { .seconds_text = "1" };
        const char *conns_text = "64,1k", *over_text = "loop", *client_text = "sparse";
        uint64_t conns[BENCH_LIST_MAX], window = 1024;
        bool vs_kernel = false, one_thread = false;
        const struct cmd_opt opts[] = {
                { "conns", CMD_TEXT, &conns_text, 0, 0, "connections, a list" },
                { "window", CMD_NUMBER, &window, 1, 1000000, "most messages under way, of random connections" },
                { "client", CMD_TEXT, &client_text, 0, 0, "sparse (keeps nothing of connections) or sockets" },
                { "one-thread", CMD_FLAG, &one_thread, 0, 0, "client and server take turns, the server's are timed" },
                { "over", CMD_TEXT, &over_text, 0, 0, "two threads joined by loop, or two processes by shm" },
                { "vs-kernel", CMD_FLAG, &vs_kernel, 0, 0, "do the same over the kernel's sockets, in turns" },
                BENCH_OPTS(bo),
                { 0 },
        };

        cmd_begin(&bench_pps, argc, argv, opts, &conf);
        bench_opts_read(&bo);
        bench_no_device(&conf);
        uint32_t cnt = bench_list("conns", conns_text, conns, 50000000);
        struct bench_duo d = {
                .conf = &conf, .over = bench_over(over_text), .seconds = bo.seconds, .window = (uint32_t)window,
                .sparse = bench_client_is_sparse(client_text), .one_thread = one_thread,
        };

        bench_table_begin("pps", "echoes of 64 octets a second; the server on one core: epoll_wait, recv, send",
                          bo.json);
        for (uint32_t i = 0; i < cnt; i++) {
                d.conns = (uint32_t)conns[i];
                if (!row(&d, vs_kernel))
                        return 1;
        }
        bench_probe_note();
        bench_table_end();
        return 0;
}

const struct cmd bench_pps = {
        .name = "bench pps",
        .args = "[--conns 64,1k] [--client sparse] [--over loop] [--vs-kernel] [--seconds 1] [--json]",
        .summary = "echoes of 64 octets a second over N connections, server on one core",
        .run = run,
};
