/* SPDX-License-Identifier: MIT */
/* tools/bench_sparse.c - The clients of `pps` and `cps` that keep nothing of their connections (sparse.h)
 *
 * A client with sockets costs as much as the server that is to be measured,
 * and at millions of connections both miss the same caches.  This one works
 * out its answers from the packets, so the server is what is measured.
 */
#include "tools/bench_duo.h"
#include "tools/sparse.h"

#define SERVER  0x0a000001u             /* as bench_duo_up() has it */
#define GATEWAY 0x0a000002u
#define NET     0x0a800000u

static uint64_t now_ns(void) { return (uint64_t)(bench_now_s() * 1e9); }

static struct sparse *open_client(const struct bench_duo *d, uint32_t numbers, uint32_t window)
{
        struct sparse_conf conf;
        char err[256];

        sparse_conf_default(&conf);
        conf.dev = d->device;
        conf.conns = numbers;
        conf.server = SERVER;
        conf.port = BENCH_PORT;
        conf.gateway = GATEWAY;
        conf.net = NET;
        conf.window = window;
        conf.shuffle = true;
        conf.remember = true;
        struct sparse *s = sparse_open(&conf, err, sizeof err);
        if (!s)
                cmd_die("%s", err);
        return s;
}

/* What must not happen while we measure. */
static void check(const struct sparse *s)
{
        struct sparse_counts n;

        sparse_counts(s, &n);
        if (n.wrong || n.odd || n.reset)
                cmd_die("the client saw %llu wrong octets, %llu answers out of place, %llu resets",
                        (unsigned long long)n.wrong, (unsigned long long)n.odd, (unsigned long long)n.reset);
}

static void until_done(struct sparse *s)
{
        do {
                sparse_turn(s, now_ns());
        } while (!sparse_done(s));
}

/* For @seconds.  With @again the phase is begun anew each time all have been through. */
static void turn_for(struct sparse *s, const struct bench_duo *d, double seconds, bool again)
{
        uint64_t until_ns = now_ns() + (uint64_t)(seconds * 1e9), at_ns;

        do {
                at_ns = now_ns();
                sparse_turn(s, at_ns);
                if (again && sparse_done(s))
                        sparse_phase(s, SPARSE_TALK, d->conns, BENCH_MSG, 0);
        } while (at_ns < until_ns);
}

static void measure_phase(struct bench_duo *d, struct sparse *s, bool again)
{
        turn_for(s, d, d->seconds / 4, again);
        bench_phase_set(d, PHASE_MEASURE);
        turn_for(s, d, d->seconds, again);
        bench_phase_set(d, PHASE_DONE);
        check(s);
}

void bench_sparse_talk(struct bench_duo *d)
{
        /* Few connections never stop; of many a window is under way, in random order. */
        bool waves = d->conns > d->window;

        bench_phase_wait(d, PHASE_LISTENING);
        struct sparse *s = open_client(d, d->conns, d->window);
        sparse_phase(s, SPARSE_CONNECT, d->conns, 0, 0);
        until_done(s);
        sparse_phase(s, waves ? SPARSE_TALK : SPARSE_TALK_ON, d->conns, BENCH_MSG, 0);
        measure_phase(d, s, waves);
        sparse_close(s);
}

void bench_sparse_cycle(struct bench_duo *d)
{
        enum { NUMBERS = 1000000 };

        bench_phase_wait(d, PHASE_LISTENING);
        struct sparse *s = open_client(d, NUMBERS, d->window);
        sparse_phase(s, SPARSE_CYCLE, NUMBERS, BENCH_MSG, 0);
        measure_phase(d, s, false);
        sparse_close(s);
}
