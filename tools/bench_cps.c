/* SPDX-License-Identifier: MIT */
/* tools/bench_cps.c - `millrace bench cps`: connections a second, from connect to close
 *
 * connect, a request of 64 octets, an answer of 64 octets, close.  The server
 * is an ordinary program on one core.  The client, on the other core, is the one
 * of bench_sparse.c, or this one with sockets.  It has a window of connections
 * in their lives at once and closes first, so TIME-WAIT is the client's.
 */
#include "tools/bench_duo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 5000000 };

/* ---- the client ---- */

struct slot {
        int      fd;
        uint32_t awaited;               /* octets of the answer; 0: not yet connected */
};

struct visitors {
        struct bench_duo *d;
        struct slot      *slot;
        uint32_t          next;         /* connections begun so far */
        int               ep;
};

static void begin(struct visitors *v, uint32_t n)
{
        v->slot[n] = (struct slot){ .fd = bench_connect(v->d, v->next++ % NUMBERS) };
        bench_watch(v->d->net, v->ep, EPOLL_CTL_ADD, v->slot[n].fd, EPOLLIN | EPOLLOUT | EPOLLET, n);
}

static void ask(struct visitors *v, uint32_t n)
{
        static const uint8_t request[BENCH_MSG] = "GET / HTTP/1.1";

        if (v->d->net->send(v->slot[n].fd, request, BENCH_MSG, MSG_NOSIGNAL) != BENCH_MSG)
                cmd_die("connection %u: sending %d octets: %s", v->next, BENCH_MSG, strerror(errno));
        v->slot[n].awaited = BENCH_MSG;
}

static void step(void *arg, uint32_t n, uint32_t events)
{
        struct visitors *v = arg;
        struct slot *s = &v->slot[n];
        uint8_t buf[BENCH_MSG];

        if (events & (EPOLLERR | EPOLLHUP))
                cmd_die("connection %u did not come about", v->next);
        if (s->awaited == 0 && events & EPOLLOUT)
                ask(v, n);
        if (!(events & EPOLLIN))
                return;
        ssize_t got = v->d->net->recv(s->fd, buf, sizeof buf, 0);
        if (got < 0 && errno == EAGAIN)
                return;
        if (got <= 0 || got > s->awaited)
                cmd_die("the answer is wrong or has ended");
        s->awaited -= (uint32_t)got;
        if (s->awaited == 0) {
                v->d->net->close(s->fd);
                begin(v, n);
        }
}

static void visit_for(void *arg, double seconds)
{
        struct visitors *v = arg;
        bench_events_for(v->d, v->ep, seconds, step, v);
}

static void client(struct bench_duo *d)
{
        struct visitors v = { .d = d, .slot = calloc(d->conns, sizeof *v.slot) };

        if (!v.slot)
                cmd_die("no memory for %u connections", d->conns);
        bench_duo_up(d, false);
        bench_phase_wait(d, PHASE_LISTENING);
        v.ep = d->net->epoll_create1(0);
        for (uint32_t n = 0; n < d->conns; n++)
                begin(&v, n);
        bench_measure(d, visit_for, &v);
}

/* ---- the figure ---- */

enum { CONNS_PER_S, FRAMES_PER_CONN, CYCLES, BUSY, CORE };

static void measure(struct bench_duo *d, double out[BENCH_VALUES])
{
        if (d->one_thread) {
                bench_turns(d, true, &out[CYCLES], &out[FRAMES_PER_CONN]);
                out[CONNS_PER_S] = out[BUSY] = out[CORE] = NAN;
                return;
        }
        bench_duo_run(d, bench_echo_server, d->sparse ? bench_sparse_cycle : client);
        const double *s = d->shared->server;
        out[CONNS_PER_S] = s[ECHO_CLOSED] / s[ECHO_SECONDS];
        out[FRAMES_PER_CONN] = s[ECHO_FRAMES] / s[ECHO_CLOSED];
        out[CYCLES] = s[ECHO_CYCLES] / s[ECHO_CLOSED];
        out[BUSY] = 100 * s[ECHO_BUSY];
        out[CORE] = 100 * s[ECHO_CORE];
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        struct bench_opts bo = { .seconds_text = "1" };
        const char *over_text = "loop", *client_text = "sparse";
        uint64_t window = 128;
        bool vs_kernel = false, one_thread = false;
        const struct cmd_opt opts[] = {
                { "window", CMD_NUMBER, &window, 1, 10000, "connections in their lives at once" },
                { "client", CMD_TEXT, &client_text, 0, 0, "sparse (keeps nothing of connections) or sockets" },
                { "one-thread", CMD_FLAG, &one_thread, 0, 0, "client and server take turns, the server's are timed" },
                { "over", CMD_TEXT, &over_text, 0, 0, "two threads joined by loop, or two processes by shm" },
                { "vs-kernel", CMD_FLAG, &vs_kernel, 0, 0, "do the same over the kernel's sockets, in turns" },
                BENCH_OPTS(bo),
                { 0 },
        };
        double ours[BENCH_VALUES], kernel[BENCH_VALUES];

        cmd_begin(&bench_cps, argc, argv, opts, &conf);
        bench_opts_read(&bo);
        bench_no_device(&conf);
        struct bench_duo d = {
                .conf = &conf, .over = bench_over(over_text), .conns = (uint32_t)window,
                .window = (uint32_t)window, .seconds = bo.seconds,
                .sparse = bench_client_is_sparse(client_text), .one_thread = one_thread,
        };
        if (!bench_rounds(&d, vs_kernel, measure, ours, kernel))
                return 1;
        bench_table_begin("cps",
                          "connections a second: connect, 64 octets, 64 octets back, close; the server on one core",
                          bo.json);
        bench_row();
        bench_num("window", (double)window, 0);
        bench_num("conns/s", ours[CONNS_PER_S], 0);
        bench_num("reach", 600000, 0);
        bench_num("then", 1000000, 0);
        bench_num("packets/conn", ours[FRAMES_PER_CONN], 1);
        bench_num("cycles/conn", ours[CYCLES], 0);
        bench_num("server busy %", ours[BUSY], 0);
        bench_num("of its core %", ours[CORE], 0);
        bench_num("if all busy/s", bench_tsc_hz() / ours[CYCLES], 0);
        bench_num("kernel conns/s", kernel[CONNS_PER_S], 0);
        bench_num("ratio", ours[CONNS_PER_S] / kernel[CONNS_PER_S], 2);
        bench_probe_note();
        bench_table_end();
        return 0;
}

const struct cmd bench_cps = {
        .name = "bench cps",
        .args = "[--window 128] [--client sparse] [--over loop] [--vs-kernel] [--seconds 1] [--json]",
        .summary = "connections a second: connect, request, response, close; server on one core",
        .run = run,
};
