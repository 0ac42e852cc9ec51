/* SPDX-License-Identifier: MIT */
/* tools/bench_echo.c - The server of `pps` and `cps`: an ordinary program that sends back what it gets */
#include "tools/bench_duo.h"

#include <errno.h>

enum { EVENTS_MAX = 256, READ_MAX = 4096 };

static void serve(struct bench_echo *e, int fd)
{
        uint8_t buf[READ_MAX];
        ssize_t n = e->net->recv(fd, buf, sizeof buf, 0);

        if (n > 0) {
                if (e->net->send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n)
                        e->messages++;
        } else if (n == 0 || errno != EAGAIN) {
                e->net->close(fd);
                e->closed++;
        }
}

static void report(double *out, const struct bench_echo *e, struct bench_busy *busy)
{
        bench_busy_end(busy);
        out[ECHO_MESSAGES] = (double)e->messages;
        out[ECHO_CLOSED] = (double)e->closed;
        out[ECHO_FRAMES] = (double)(busy->frames - busy->frames_began);
        out[ECHO_CYCLES] = bench_busy_cycles(busy);
        out[ECHO_BUSY] = bench_busy_share(busy);
        out[ECHO_CORE] = bench_busy_core(busy);
        out[ECHO_SECONDS] = (double)(busy->at - busy->began) / bench_tsc_hz();
}

void bench_echo_open(struct bench_echo *e, struct bench_duo *d)
{
        *e = (struct bench_echo){ .net = d->net };
        bench_duo_up(d, true);
        e->listener = bench_listen(d->net, &e->ep);
        bench_phase_set(d, PHASE_LISTENING);
}

int bench_echo_turn(struct bench_echo *e)
{
        struct epoll_event evs[EVENTS_MAX];
        int cnt = e->net->epoll_wait(e->ep, evs, EVENTS_MAX, 0);

        for (int i = 0; i < cnt; i++) {
                if (evs[i].data.u64 == BENCH_LISTENER)
                        bench_accept(e->net, e->listener, e->ep);
                else
                        serve(e, (int)evs[i].data.u64);
        }
        return cnt;
}

void bench_echo_server(struct bench_duo *d)
{
        struct bench_echo e;
        struct bench_busy busy = { 0 };
        uint32_t phase, before = PHASE_LISTENING;

        bench_echo_open(&e, d);
        while ((phase = bench_phase(d)) != PHASE_DONE) {
                if (phase != before) {
                        before = phase;
                        e.messages = e.closed = 0;
                        bench_busy_begin(&busy, d);
                }
                int cnt = bench_echo_turn(&e);
                if (phase == PHASE_MEASURE)
                        bench_busy_turn(&busy, cnt);
        }
        report(d->shared->server, &e, &busy);
}
