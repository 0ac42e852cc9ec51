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

uint64_t bench_now_ns(void) { return (uint64_t)(bench_now_s() * 1e9); }

struct sparse *bench_sparse_open(const struct bench_duo *d, uint32_t numbers)
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
        conf.window = d->window;
        conf.shuffle = true;
        conf.remember = true;
        struct sparse *s = sparse_open(&conf, err, sizeof err);
        if (!s)
                cmd_die("%s", err);
        return s;
}

void bench_sparse_check(const struct sparse *s)
{
        struct sparse_counts n;

        sparse_counts(s, &n);
        if (n.wrong || n.odd || n.reset)
                cmd_die("the client saw %llu wrong octets, %llu answers out of place, %llu resets",
                        (unsigned long long)n.wrong, (unsigned long long)n.odd, (unsigned long long)n.reset);
}

/* All go through the phase once. */
static void once(const struct bench_duo *d, struct sparse *s, enum sparse_what what)
{
        sparse_phase(s, what, d->conns, BENCH_MSG, 0);
        do {
                sparse_turn(s, bench_now_ns());
        } while (!sparse_done(s) && !bench_given_up(d));
}

struct phase {
        const struct bench_duo *d;
        struct sparse          *s;
        bool                    again;  /* begin it anew each time all have been through */
};

static void turn_for(void *arg, double seconds)
{
        struct phase *p = arg;
        double until_s = bench_now_s() + seconds;

        while (bench_goes_on(p->d, until_s)) {
                sparse_turn(p->s, bench_now_ns());
                if (p->again && sparse_done(p->s))
                        sparse_phase(p->s, SPARSE_TALK, p->d->conns, BENCH_MSG, 0);
        }
}

static void measure(struct bench_duo *d, struct sparse *s, bool again)
{
        struct phase p = { d, s, again };

        if (bench_measure(d, turn_for, &p))
                bench_sparse_check(s);
        sparse_close(s);
}

void bench_sparse_talk(struct bench_duo *d)
{
        /* Few connections never stop; of many a window is under way, in random order. */
        bool waves = d->conns > d->window;

        bench_phase_wait(d, PHASE_LISTENING);
        struct sparse *s = bench_sparse_open(d, d->conns);
        once(d, s, SPARSE_CONNECT);
        if (waves)                              /* the first message is answered differently: by an ACK of its own */
                once(d, s, SPARSE_TALK);
        sparse_phase(s, waves ? SPARSE_TALK : SPARSE_TALK_ON, d->conns, BENCH_MSG, 0);
        measure(d, s, waves);
}

void bench_sparse_cycle(struct bench_duo *d)
{
        bench_phase_wait(d, PHASE_LISTENING);
        struct sparse *s = bench_sparse_open(d, BENCH_NUMBERS);
        sparse_phase(s, SPARSE_CYCLE, BENCH_NUMBERS, BENCH_MSG, 0);
        measure(d, s, false);
}
