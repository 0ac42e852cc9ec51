/* SPDX-License-Identifier: MIT */
/* tests/sim/hunt_test.c - Random networks, random applications
 *
 * The suite runs a fixed number of seeds; HUNT=N runs so many, from SEED=... on.
 */
#include "tests/sim/app.h"

#include <sys/wait.h>
#include <unistd.h>

#ifdef MR_CHECK_SLOW
enum { SEEDS = 200 };
#else
enum { SEEDS = 1200 };
#endif
enum { CALLS_MAX = 8 };
#define HUNT_TIME_MAX SEC(2 * 3600)

static uint32_t pick(struct rnd *r, const uint32_t *from, size_t cnt) { return from[rnd_below(r, (uint32_t)cnt)]; }
#define PICK(r, ...) pick(r, (const uint32_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const uint32_t[]){ __VA_ARGS__ })))

/* What both ends do: two runs that did the same have seen the same frames at the same times. */
struct trace {
        bool     fast_path;
        uint64_t digest, frames, expected;      /* expected: segments that took the fast path */
};

static uint64_t trace_frame(void *arg, struct sim_view *v)
{
        struct trace *t = arg;
        uint64_t h = t->digest ^ v->now_ns ^ (uint64_t)v->lane << 63;

        for (uint32_t i = 0; i < v->len; i++)
                h = (h ^ v->frame[i]) * 0x100000001b3u;
        t->digest = h;
        t->frames++;
        return SIM_PASS;
}

static void draw_host(struct rnd *r, struct shard_conf *sc, const struct trace *trace)
{
        sim_conf_default(sc);
        sc->tcp.fast_path = trace->fast_path;
        sc->pkts_small = PICK(r, 64, 256, 1024, 4096);
        sc->pkts_large = PICK(r, 4, 16, 64);
        sc->tcp.timestamps = rnd_below(r, 3) > 0;
        sc->tcp.window_scaling = rnd_below(r, 3) > 0;
        sc->tcp.opts.rcvbuf = PICK(r, 2048, 5000, 20000, 65535, 512 * 1024);
        sc->tcp.opts.sndbuf = PICK(r, 4096, 20000, 65536, 256 * 1024);
        sc->tcp.opts.maxseg = (uint16_t)PICK(r, 0, 0, 0, 100, 536);
        sc->tcp.opts.syn_retries = 20;
        sc->tcp.synack_retries = 7;
        sc->tcp.retries2 = 60;
        sc->tcp.orphan_retries = 30;
        sc->tcp.rto_max_ns = SEC(20);
        sc->socks.opts = sc->tcp.opts;
}

static struct sim_link_conf draw_link(struct rnd *r)
{
        struct sim_link_conf c = {
                .delay_ns = PICK(r, 0, 100000, MS(1), MS(10), MS(150)),
                .mtu = PICK(r, 576, 1500, 1500, 1500, 9000),
                .offload = PICK(r, 0, 0, NETDEV_TX_CSUM, NETDEV_TX_CSUM | NETDEV_TSO),
        };
        if (rnd_below(r, 2)) {
                c.bits_per_s = PICK(r, 1000000, 10000000, 1000000000);
                c.queue_octets = PICK(r, 20000, 100000, 1000000);
                c.pushback = rnd_below(r, 2);
        }
        if (rnd_below(r, 3)) {
                c.loss_ppm = PICK(r, 0, 1000, 20000, 100000);
                c.dup_ppm = PICK(r, 0, 0, 20000, 200000);
                c.corrupt_ppm = PICK(r, 0, 0, 20000);
                c.reorder_ppm = PICK(r, 0, 10000, 300000);
                c.reorder_ns = PICK(r, MS(1), MS(20), MS(100));
        }
        return c;
}

static void hunt_one(uint64_t seed, struct trace *trace)
{
        struct sim *sim = sim_new(seed);
        struct rnd *r = sim_rnd(sim);
        struct shard_conf sc;
        struct call call[CALLS_MAX];

        /* Now and then the wheel's ticks wrap while we run: 32 bits of 2^20 ns. */
        if (rnd_below(r, 4) == 0)
                sim_begin_at(sim, (1ull << (32 + WHEEL_TICK_SHIFT)) - rnd_u64(r) % SEC(20));
        uint64_t begin_ns = sim_now(sim);
        draw_host(r, &sc, trace);
        struct sim_host *a = sim_host(sim, &sc);
        draw_host(r, &sc, trace);
        struct sim_host *b = sim_host(sim, &sc);
        struct sim_link_conf lc = draw_link(r), back = draw_link(r);
        back.mtu = lc.mtu;
        back.offload = lc.offload;
        struct sim_link *l = sim_link(a, b, &lc);
        sim_lane_set(l, SIM_BA, &back);
        sim_hook_set(l, trace_frame, trace);

        uint32_t calls = 1 + rnd_below(r, CALLS_MAX);
        uint32_t octets_max = lc.bits_per_s == 1000000 || back.bits_per_s == 1000000 ? 50000 : 300000;
        for (uint32_t i = 0; i < calls; i++)
                call_init(&call[i], r, a, b, (uint16_t)(1000 + i), sim_now(sim), octets_max);
        uint64_t cut_at = rnd_below(r, 4) ? TIME_NEVER : sim_now(sim) + rnd_u64(r) % SEC(20);
        uint64_t heal_at = TIME_NEVER, cut_ns = rnd_u64(r) % SEC(30);

        uint64_t end_ns = sim_now(sim) + HUNT_TIME_MAX;
        bool done = false;
        while (!done && sim_now(sim) < end_ns) {
                uint64_t wake = end_ns, now = sim_now(sim);
                if (now >= cut_at) {
                        sim_link_cut(l);
                        cut_at = TIME_NEVER;
                        heal_at = now + cut_ns;
                }
                if (now >= heal_at) {
                        sim_link_heal(l);
                        heal_at = TIME_NEVER;
                }
                done = true;
                for (uint32_t i = 0; i < calls; i++) {
                        wake = u64_min(wake, call_step(&call[i], now));
                        done &= call_is_done(&call[i]);
                }
                if (!done)
                        sim_step(sim, u64_min(wake, u64_min(cut_at, heal_at)));
        }
        for (uint32_t i = 0; i < calls; i++)
                call_judge(&call[i]);
        if (!done || getenv("VERBOSE")) {
                for (uint32_t i = 0; i < calls; i++)
                        call_print(&call[i]);
                printf("  virtual time %llu ms\n", (unsigned long long)((sim_now(sim) - begin_ns) / 1000000));
        }
        trace->expected = CNT(a, TCP_EXPECTED) + CNT(b, TCP_EXPECTED);
        sim_free(sim);
}

/* In a process of its own, so that one failure does not hide the others. */
static bool hunt_apart(uint64_t seed)
{
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                alarm(50);
                test_note("%s", "");
                hunt_one(seed, &(struct trace){ .fast_path = MR_FAST_PATH });
                test_stop();
        }
        int status = 0;
        waitpid(pid, &status, 0);
        if (status == 0)
                return true;
        printf("  repeat: HUNT=1 SEED=%llu build/sim -1 hunt_random_networks_and_applications\n",
               (unsigned long long)seed);
        return false;
}

/* Goal:   whatever the network and the applications do, every octet arrives once and in order, or the
 *         connection fails with an errno that fits; nothing waits for ever; all memory comes back.
 * Method: random links (loss, duplication, reordering, corruption, rate, cuts), random buffer sizes,
 *         MTUs and offloads, one to eight connections of random applications, judged by app.c's oracle.
 * Spec:   RFC 9293 3.8. */
TEST(hunt_random_networks_and_applications)
{
        const char *n = getenv("HUNT");
        uint64_t seed = sim_seed(__func__, 1), cnt = n ? strtoull(n, NULL, 0) : SEEDS;
        uint32_t failed = 0;

        if (cnt == 1) {
                hunt_one(seed, &(struct trace){ .fast_path = MR_FAST_PATH });
                return;
        }
        for (uint64_t i = 0; i < cnt && failed < 5; i++)
                failed += !hunt_apart(seed + i);
        EXPECT_EQ(failed, 0);
}

/* Goal:   the fast path is a short cut and nothing else: without it every frame is the same, at the same time.
 * Method: random networks and applications twice, with and without, and a digest of all frames with their times.
 * Spec:   RFC 9293 3.10.7.4, which both ways must keep. */
TEST(hunt_the_fast_path_changes_no_frame)
{
        const char *n = getenv("HUNT");
        uint64_t seed = sim_seed(__func__, 1), cnt = n ? strtoull(n, NULL, 0) : SEEDS / 10;
        uint64_t expected = 0, frames = 0;

        for (uint64_t i = 0; i < cnt; i++) {
                struct trace with = { .fast_path = true }, without = { .fast_path = false };

                hunt_one(seed + i, &with);
                hunt_one(seed + i, &without);
                test_note("repeat: HUNT=1 SEED=%llu", (unsigned long long)(seed + i));
                REQUIRE(with.frames == without.frames && with.digest == without.digest);
                EXPECT_EQ(without.expected, 0);
                expected += with.expected;
                frames += with.frames;
        }
        EXPECT_GT(expected, frames / 50);       /* it was not for want of expected segments */
}
