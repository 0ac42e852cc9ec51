/* SPDX-License-Identifier: MIT */
#include "tests/dev/dev_rig.h"

#include <stdlib.h>

enum { LEN = 200 };

/* Send @cnt frames a step of @step_ns apart through @name (a decorated loop:),
 * and write down in @order which come back, until nothing comes any more. */
static uint32_t run(struct end *e, const char *name, uint32_t cnt, uint64_t step_ns, uint32_t *order, uint32_t max)
{
        uint32_t got = 0, idle = 0;

        REQUIRE(end_open(e, name, 0, NETDEV_ALL_OFFLOADS) == 0);
        for (uint32_t i = 0; i < cnt || idle < 100; i++) {
                struct pkt *pkts[32];
                if (i < cnt)
                        EXPECT(end_send(e, LEN, i));
                uint32_t n = netdev_rx(&e->q, pkts, 32, e->now_ns);
                for (uint32_t k = 0; k < n; k++, got++) {
                        if (got < max)
                                order[got] = frame_number(pkts[k]->data);
                        EXPECT_EQ(pkts[k]->len, LEN);
                        pkt_give(&e->pool, pkts[k]);
                }
                idle = n || i < cnt ? 0 : idle + 1;
                e->now_ns += i < cnt ? step_ns : US(100);
        }
        return got;
}

enum { N = 20000 };

static uint32_t seen[2 * N], again[2 * N];

/* Goal:   the same seed gives the same outcome, another seed another.
 * Method: everything at once, three runs.
 * Spec:   dev/fault.c
 */
TEST(fault_is_its_seed)
{
        static const char all[] = "fault:loss=1%,dup=1%,reorder=2%,corrupt=0%,delay=1ms,jitter=200us,seed=5,loop:";
        struct end e;

        uint32_t a = run(&e, all, N, US(10), seen, 2 * N);
        end_close(&e);
        uint32_t b = run(&e, all, N, US(10), again, 2 * N);
        end_close(&e);
        EXPECT_EQ(a, b);
        EXPECT_MEM(seen, again, a * sizeof *seen);
        uint32_t c = run(&e, "fault:loss=1%,dup=1%,reorder=2%,delay=1ms,jitter=200us,seed=6,loop:", N, US(10),
                         again, 2 * N);
        end_close(&e);
        EXPECT(c != a || memcmp(seen, again, a * sizeof *seen) != 0);
}

/* Goal:   loss is close to what was asked for, counted, and the rest is in order.
 * Method: 20,000 frames one way at 0.5 % to 50 %; within four standard deviations.
 * Spec:   docs/devices.md
 */
TEST(fault_loses_as_asked)
{
        static const struct { const char *name; double rate; double sigma; } try[] = {
                { "fault:loss=0.5%,dir=tx,loop:", 0.005, 0.0005 }, { "fault:loss=5%,dir=rx,loop:", 0.05, 0.00154 },
                { "fault:loss=50%,dir=tx,loop:", 0.5, 0.0035 },
        };

        for (size_t i = 0; i < ARRAY_LEN(try); i++) {
                struct end e;
                uint32_t got = run(&e, try[i].name, N, US(1), seen, 2 * N);
                EXPECT_LE(abs((int)(N - got) - (int)(N * try[i].rate)), (int)(4 * try[i].sigma * N));
                EXPECT_EQ(e.counters.drop[DROP_FAULT_LOSS], N - got);
                for (uint32_t k = 1; k < got; k++)
                        EXPECT_LT(seen[k - 1], seen[k]);
                end_close(&e);
        }
        struct end e;
        EXPECT_EQ(run(&e, "fault:loss=100%,loop:", 100, US(1), seen, 2 * N), 0);
        end_close(&e);
}

/* Goal:   asking for one more fault does not change which frames another hits.
 * Method: loss alone, and loss with duplicates: the same frames are missing.
 * Spec:   dev/fault_lane.h
 */
TEST(fault_kinds_are_independent)
{
        static bool alone[N], with[N];
        struct end e;

        uint32_t a = run(&e, "fault:loss=3%,seed=1,dir=tx,loop:", N, US(1), seen, 2 * N);
        end_close(&e);
        uint32_t b = run(&e, "fault:loss=3%,dup=10%,jitter=1ms,seed=1,dir=tx,loop:", N, US(1), again, 2 * N);
        end_close(&e);
        EXPECT_GT(b, a);
        for (uint32_t i = 0; i < a; i++)
                alone[seen[i]] = true;
        for (uint32_t i = 0; i < b; i++)
                with[again[i]] = true;
        EXPECT_MEM(alone, with, sizeof alone);
}

/* Goal:   duplicates come, right behind the first; nothing else changes.
 * Method: 10 % of 20,000.
 * Spec:   docs/devices.md
 */
TEST(fault_duplicates)
{
        struct end e;
        uint32_t got = run(&e, "fault:dup=10%,dir=tx,loop:", N, US(1), seen, 2 * N), twins = 0;

        for (uint32_t k = 1; k < got; k++) {
                EXPECT(seen[k] == seen[k - 1] || seen[k] == seen[k - 1] + 1);
                twins += seen[k] == seen[k - 1];
        }
        EXPECT_EQ(got, N + twins);
        EXPECT_LT(abs((int)twins - N / 10), 170);
        end_close(&e);
}

/* Goal:   reordering loses nothing, moves frames by no more than it says, and does it without traffic as well.
 * Method: 5 % of 20,000; then a single frame, which must come by itself.
 * Spec:   dev/fault_lane.h
 */
TEST(fault_reorders)
{
        static uint8_t times[N];
        struct end e;
        uint32_t got = run(&e, "fault:reorder=5%,dir=tx,loop:", N, US(1), seen, 2 * N), early = 0;

        EXPECT_EQ(got, N);
        for (uint32_t k = 0; k < got; k++)
                times[seen[k]]++;
        for (uint32_t k = 0; k < N; k++)
                EXPECT_EQ(times[k], 1);
        for (uint32_t k = 1; k < got; k++)
                early += seen[k] < seen[k - 1];
        EXPECT_GT(early, N / 20 - N / 100);
        EXPECT_LT(early, N / 20 + N / 100);
        end_close(&e);

        REQUIRE(end_open(&e, "fault:reorder=100%,dir=tx,loop:", 0, 0) == 0);
        struct pkt *p;
        EXPECT(end_send(&e, LEN, 1));
        EXPECT_EQ(netdev_rx(&e.q, &p, 1, e.now_ns), 0);
        uint64_t due = e.dev->ops->deadline(&e.q);
        EXPECT_EQ(due, e.now_ns + MS(5));
        EXPECT_EQ(netdev_rx(&e.q, &p, 1, due), 1);
        pkt_give(&e.pool, p);
        end_close(&e);
}

/* Goal:   corruption flips exactly one bit.
 * Method: compare each frame with what was sent.
 * Spec:   docs/devices.md
 */
TEST(fault_flips_one_bit)
{
        struct end e;
        uint32_t first = 0;

        REQUIRE(end_open(&e, "fault:corrupt=100%,dir=tx,loop:", 0, 0) == 0);
        for (uint32_t i = 0; i < 500; i++) {
                uint8_t want[LEN];
                struct pkt *p;
                uint32_t bits = 0;
                frame_fill(want, LEN, i);
                EXPECT(end_send(&e, LEN, i));
                REQUIRE(netdev_rx(&e.q, &p, 1, e.now_ns) == 1);
                for (uint32_t k = 0; k < LEN; k++) {
                        bits += (uint32_t)__builtin_popcount(p->data[k] ^ want[k]);
                        first += k < LEN / 2 && p->data[k] != want[k];
                }
                EXPECT_EQ(bits, 1);
                pkt_give(&e.pool, p);
        }
        EXPECT_GT(first, 200);          /* anywhere in the frame */
        EXPECT_LT(first, 300);
        end_close(&e);
}

/* Goal:   a delayed frame comes at its time, deadline() names that time, and the shard may sleep till then.
 * Method: one frame, each way 20 ms.
 * Spec:   dev/netdev.h, deadline
 */
TEST(fault_delays)
{
        struct end e;
        struct pkt *p;

        REQUIRE(end_open(&e, "fault:delay=20ms,loop:", 0, 0) == 0);
        uint64_t begin = e.now_ns;
        EXPECT(e.dev->ops->deadline(&e.q) == TIME_NEVER);
        EXPECT(end_send(&e, LEN, 1));
        EXPECT_EQ(e.dev->ops->deadline(&e.q), begin + MS(20));
        EXPECT(e.dev->ops->sleep_begin(&e.q));
        e.dev->ops->sleep_end(&e.q);
        EXPECT_EQ(netdev_rx(&e.q, &p, 1, begin + MS(20) - 1), 0);
        EXPECT_EQ(netdev_rx(&e.q, &p, 1, begin + MS(20)), 0);           /* out; now on its way back */
        EXPECT_EQ(e.dev->ops->deadline(&e.q), begin + MS(40));
        EXPECT_EQ(netdev_rx(&e.q, &p, 1, begin + MS(40) - 1), 0);
        EXPECT_EQ(netdev_rx(&e.q, &p, 1, begin + MS(40)), 1);
        pkt_give(&e.pool, p);
        EXPECT(e.dev->ops->deadline(&e.q) == TIME_NEVER);
        end_close(&e);
}

/* Goal:   jitter spreads arrivals over its range and keeps the order.
 * Method: frames 1 ms apart with 0 to 500 us of jitter, arrival times seen in steps of 10 us.
 * Spec:   docs/devices.md
 */
TEST(fault_jitters)
{
        struct end e;
        uint64_t least = UINT64_MAX, most = 0;

        REQUIRE(end_open(&e, "fault:delay=1ms,jitter=500us,dir=tx,loop:", 0, 0) == 0);
        for (uint32_t i = 0; i < 500; i++) {
                uint64_t sent = e.now_ns, late = 0;
                struct pkt *p = NULL;
                EXPECT(end_send(&e, LEN, i));
                while (!netdev_rx(&e.q, &p, 1, e.now_ns += US(10)))
                        late = e.now_ns - sent;
                least = u64_min(least, late);
                most = u64_max(most, late);
                EXPECT_EQ(frame_number(p->data), i);
                pkt_give(&e.pool, p);
        }
        EXPECT_GE(least, US(990));
        EXPECT_LT(least, US(1050));
        EXPECT_GT(most, US(1450));
        EXPECT_LE(most, US(1500));
        end_close(&e);
}

/* Goal:   rate= lets frames pass at that rate, queue= bounds those that wait, the others are counted.
 * Method: 30 frames of 1,250 octets at once into 10 Mbit/s (1 ms each) with room for 10.
 * Spec:   docs/devices.md
 */
TEST(fault_keeps_the_rate)
{
        struct end e;
        uint32_t got = 0;

        REQUIRE(end_open(&e, "fault:rate=10mbit,queue=10,dir=tx,loop:", 0, 0) == 0);
        for (uint32_t i = 0; i < 30; i++)
                EXPECT(end_send(&e, 1250, i));
        EXPECT_EQ(e.counters.drop[DROP_FAULT_QUEUE], 20);
        for (uint64_t ms = 1; ms <= 12; ms++) {
                struct pkt *p;
                EXPECT_EQ(netdev_rx(&e.q, &p, 1, e.now_ns + MS(ms) - 1), 0);
                if (!netdev_rx(&e.q, &p, 1, e.now_ns + MS(ms)))
                        continue;
                EXPECT_EQ(frame_number(p->data), got++);
                pkt_give(&e.pool, p);
        }
        EXPECT_EQ(got, 10);
        e.now_ns += MS(20);
        EXPECT(end_send(&e, 1250, 99));         /* there is room again */
        EXPECT_EQ(e.dev->ops->deadline(&e.q), e.now_ns + MS(1));
        end_close(&e);                          /* held: given back */
}

/* Goal:   a full device behind a fault is still full in front, and no frame is lost by it.
 * Method: send into loop: until it takes no more, then take all out.
 * Spec:   dev/netdev.h, tx_burst
 */
TEST(fault_passes_back_pressure)
{
        struct end e;
        uint32_t sent = 0, got = 0, n;
        struct pkt *pkts[32];

        REQUIRE(end_open(&e, "fault:dir=tx,loop:", 0, 0) == 0);
        while (sent < RIG_SMALL && end_send(&e, LEN, sent))
                sent++;
        EXPECT_LT(sent, RIG_SMALL);
        while ((n = netdev_rx(&e.q, pkts, 32, e.now_ns)))
                for (uint32_t i = 0; i < n; i++) {
                        EXPECT_EQ(frame_number(pkts[i]->data), got++);
                        pkt_give(&e.pool, pkts[i]);
                }
        EXPECT_EQ(got, sent);
        end_close(&e);
}
