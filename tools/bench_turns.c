/* SPDX-License-Identifier: MIT */
/* tools/bench_turns.c - Client and server in one thread; only the server is timed
 *
 * The client's turn ends when it has answered all that came and begun all that
 * it may.  The server's turn ends when it has nothing left to do: it is what
 * an ordinary program does with a window of requests that wait for it.  The
 * device is a pair of rings, as between two threads, but what lies in them is
 * in this core's cache.
 */
#include "tools/bench_duo.h"
#include "tools/sparse.h"

enum { SAMPLES_MAX = 1000000, FRACTION = 16 /* of a cycle, in the samples */ };

struct pair {
        struct bench_duo    *d;
        struct bench_echo    server;
        struct sparse       *client;
        struct bench_samples samples;
        bool                 cycle, waves;
        uint64_t             began_cnt, began_frames;
        uint64_t             took, took_cnt;    /* since the last sample */
};

static uint64_t served(const struct pair *p) { return p->cycle ? p->server.closed : p->server.messages; }

static void client_turn(struct pair *p)
{
        while (sparse_turn(p->client, bench_now_ns()))
                continue;
        if (p->waves && sparse_done(p->client))
                sparse_phase(p->client, SPARSE_TALK, p->d->conns, BENCH_MSG, 0);
}

static void server_turn(struct pair *p)
{
        uint64_t before = served(p), frames, began = bench_tsc();
        int events;

        do {
                frames = bench_frames_moved();
                events = bench_echo_turn(&p->server);
        } while (events || bench_frames_moved() != frames);
        p->took += bench_tsc() - began;
        p->took_cnt += served(p) - before;
        /* Connections that began together go through their lives in step: a sample holds whole lives. */
        if (p->took_cnt >= (p->cycle ? 2 * p->d->window : 1)) {
                bench_samples_add(&p->samples, p->took * FRACTION / p->took_cnt);
                p->took = p->took_cnt = 0;
        }
}

static void turns_for(void *arg, double seconds)
{
        struct pair *p = arg;
        double until_s = bench_now_s() + seconds;

        p->samples.cnt = 0;
        p->took = p->took_cnt = 0;
        p->began_cnt = served(p);
        p->began_frames = bench_frames_moved();
        while (bench_goes_on(p->d, until_s) && !bench_samples_full(&p->samples)) {
                client_turn(p);
                server_turn(p);
        }
}

/* All connections go through the phase once. */
static void once(struct pair *p, enum sparse_what what)
{
        sparse_phase(p->client, what, p->d->conns, BENCH_MSG, 0);
        do {
                client_turn(p);
                server_turn(p);
        } while (!sparse_done(p->client) && !bench_given_up(p->d));
}

void bench_turns(struct bench_duo *d, bool cycle, double *cycles, double *frames)
{
        struct pair p = { .d = d, .cycle = cycle };

        bench_duo_prepare(d);
        bench_pin(0);
        bench_samples_init(&p.samples, SAMPLES_MAX);
        bench_echo_open(&p.server, d);
        p.client = bench_sparse_open(d, cycle ? BENCH_NUMBERS : d->conns);
        if (cycle) {
                sparse_phase(p.client, SPARSE_CYCLE, BENCH_NUMBERS, BENCH_MSG, 0);
        } else {
                once(&p, SPARSE_CONNECT);
                bool waves = d->conns > d->window;
                if (waves)                      /* as in bench_sparse_talk() */
                        once(&p, SPARSE_TALK);
                p.waves = waves;
                sparse_phase(p.client, waves ? SPARSE_TALK : SPARSE_TALK_ON, d->conns, BENCH_MSG, 0);
        }
        if (bench_measure(d, turns_for, &p))
                bench_sparse_check(p.client);
        bench_samples_sort(&p.samples);
        *cycles = bench_percentile(&p.samples, 0.5) / FRACTION;
        *frames = (double)(bench_frames_moved() - p.began_frames) / (double)(served(&p) - p.began_cnt);
        bench_samples_fini(&p.samples);
        sparse_close(p.client);
}
