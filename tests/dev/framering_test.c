/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "dev/framering.h"
#include "tests/dev/dev_rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { RING = 1 << 18 };

struct ring_rig {
        struct framering_shared *sh;    /* from the heap, so that the sanitizer guards both its ends */
        struct framering         tx, rx;
        struct pkt_pool          pool;
        struct counters          counters;
        struct netdev_queue      q;
};

static const struct framering_limits LIMITS = { .marks = PKT_CSUM_PARTIAL | PKT_GSO, .len_max = 1518 };

static void ring_open(struct ring_rig *r)
{
        *r = (struct ring_rig){ 0 };
        r->sh = aligned_alloc(64, framering_bytes(RING));
        memset(r->sh, 0, framering_bytes(RING));
        REQUIRE(pkt_pool_init(&r->pool, 1000, 40, false) == 0);
        r->q = (struct netdev_queue){ .pool = &r->pool, .counters = &r->counters };
        framering_attach_tx(&r->tx, r->sh, RING);
        framering_attach_rx(&r->rx, r->sh, RING);
}

static void ring_close(struct ring_rig *r)
{
        test_saw(&r->counters);
        EXPECT_EQ(r->pool.small.used, 0);
        EXPECT_EQ(r->pool.large.used, 0);
        pkt_pool_fini(&r->pool);
        free(r->sh);
}

static uint32_t take_all(struct ring_rig *r)
{
        struct pkt *pkts[32];
        uint32_t n, cnt = 0;

        while ((n = framering_rx(&r->rx, &r->q, &LIMITS, pkts, 32))) {
                REQUIRE(n <= 32);
                for (uint32_t i = 0; i < n; i++) {
                        struct pkt *p = pkts[i];
                        EXPECT(p->len >= 1 && p->len <= PKT_LARGE_ROOM && p->data + p->len <= pkt_end(p));
                        EXPECT(!(p->marks & ~LIMITS.marks));
                        if (p->marks & PKT_CSUM_PARTIAL)
                                EXPECT_LE(p->csum_start + p->csum_offset + 2, p->len);
                        if (p->marks & PKT_GSO)
                                EXPECT(p->gso_size && p->marks & PKT_CSUM_PARTIAL);
                        pkt_give(&r->pool, p);
                }
                cnt += n;
        }
        return cnt;
}

static bool put_one(struct ring_rig *r, uint32_t len, uint32_t number)
{
        struct pkt *p = pkt_take(&r->pool, len);
        REQUIRE(p);
        p->len = len;
        frame_fill(p->data, len, number);
        bool ok = framering_tx(&r->tx, &p, 1) == 1;
        pkt_give(&r->pool, p);
        return ok;
}

/* Goal:   frames of all sizes come out as they went in, many times round the ring.
 * Method: random sizes and fill levels against a count, indices begun just below their wrap.
 * Spec:   dev/framering.h
 */
TEST(framering_keeps_frames_whole)
{
        struct ring_rig r;
        struct rnd rnd;
        uint32_t in = 0, out = 0, lens[1024];

        ring_open(&r);
        rnd_seed(&rnd, 3);
        atomic_store(&r.sh->head, UINT32_MAX - 15 - 64 * 1024);
        framering_attach_tx(&r.tx, r.sh, RING);
        framering_attach_rx(&r.rx, r.sh, RING);
        for (int round = 0; round < 4000; round++) {
                while (in - out < 200 && rnd_below(&rnd, 8)) {
                        uint32_t len = rnd_below(&rnd, 10) ? 22 + rnd_below(&rnd, 1490) : 1518;
                        if (!put_one(&r, len, in))
                                break;
                        lens[in++ % 1024] = len;
                }
                struct pkt *pkts[16];
                uint32_t n = framering_rx(&r.rx, &r.q, &LIMITS, pkts, rnd_below(&rnd, 16));
                for (uint32_t i = 0; i < n; i++, out++) {
                        EXPECT_EQ(pkts[i]->len, lens[out % 1024]);
                        EXPECT(frame_ok(pkts[i]->data, pkts[i]->len, out));
                        pkt_give(&r.pool, pkts[i]);
                }
        }
        out += take_all(&r);
        EXPECT_EQ(in, out);
        EXPECT_GT(in, 5000);
        EXPECT_EQ(r.counters.drop[DROP_RX_RECORD], 0);
        ring_close(&r);
}

/* Goal:   whatever a hostile writer leaves in the ring, nothing is read outside of it, nothing leaks, nothing hangs.
 * Method: random indices and records, some of them nearly right; the sanitizer watches the ring's ends.
 *         Then an honest writer takes over and its frames pass.
 * Spec:   dev/framering.h, Trust
 */
TEST(framering_survives_a_hostile_writer)
{
        struct ring_rig r;
        struct rnd rnd;

        ring_open(&r);
        for (uint32_t seed = 0; seed < 3000; seed++) {
                test_note("seed %u", seed);
                rnd_seed(&rnd, seed);
                uint32_t span = rnd_below(&rnd, 2) ? RING : 4096;
                if (seed % 2) {                 /* where reading on would leave the ring */
                        atomic_store(&r.sh->head, (uint32_t)0 - 16 * (1 + rnd_below(&rnd, 60)));
                        framering_attach_rx(&r.rx, r.sh, RING);
                        span = 1024;
                }
                for (int i = 0; i < 300; i++) {
                        uint32_t at = (r.rx.pos + rnd_below(&rnd, span)) & (RING - 1) & ~15u;
                        struct record rec = {
                                .len = rnd_below(&rnd, 3) ? rnd_below(&rnd, 3000) : (uint32_t)rnd_u64(&rnd),
                                .marks = (uint16_t)(rnd_below(&rnd, 4) ? 0 : rnd_u64(&rnd) >> rnd_below(&rnd, 64)),
                                .gso_size = (uint16_t)rnd_u64(&rnd),
                                .csum_start = (uint16_t)rnd_u64(&rnd),
                                .csum_offset = (uint16_t)rnd_u64(&rnd),
                        };
                        if (!rnd_below(&rnd, 10))
                                rec.len = RECORD_WRAP;
                        memcpy(r.sh->data + at, &rec, sizeof rec);
                }
                uint32_t jump = rnd_below(&rnd, 4) ? rnd_below(&rnd, RING + 64) : (uint32_t)rnd_u64(&rnd);
                if (rnd_below(&rnd, 4))
                        jump &= ~15u;
                atomic_store(&r.sh->head, r.rx.pos + jump);
                take_all(&r);
        }
        EXPECT_GT(r.counters.drop[DROP_RX_RECORD], 1000);
        EXPECT_GT(r.counters.drop[DROP_RX_OVERSIZE], 10);

        framering_attach_tx(&r.tx, r.sh, RING);
        take_all(&r);
        for (uint32_t i = 0; i < 2000; i++) {
                EXPECT(put_one(&r, 1000, i));
                EXPECT_EQ(take_all(&r), 1);
        }
        ring_close(&r);
}

/* Goal:   a reader that lies about tail makes the ring full at most, and an honest one mends it.
 * Method: random tails while sending.
 * Spec:   dev/framering.h, Trust
 */
TEST(framering_survives_a_hostile_reader)
{
        struct ring_rig r;
        struct rnd rnd;

        ring_open(&r);
        rnd_seed(&rnd, 9);
        for (uint32_t i = 0; i < 20000; i++) {
                atomic_store(&r.sh->tail, (uint32_t)rnd_u64(&rnd));
                put_one(&r, 22 + rnd_below(&rnd, 1490), i);
        }
        framering_attach_tx(&r.tx, r.sh, RING);
        atomic_store(&r.sh->tail, r.tx.pos + 16);       /* ahead of what was sent */
        EXPECT(!put_one(&r, 100, 1));
        framering_attach_rx(&r.rx, r.sh, RING);
        EXPECT(put_one(&r, 1000, 1));
        EXPECT_EQ(take_all(&r), 1);
        ring_close(&r);
}

/* Goal:   each kind of untrue record is refused for its own reason.
 * Method: one record each.
 * Spec:   dev/framering.h; drops.def
 */
TEST(framering_refuses_untrue_records)
{
        static const struct { struct record rec; uint32_t head; enum drop why; } try[] = {
                { { .len = 100, .marks = PKT_CSUM_OK }, 128, DROP_RX_RECORD },
                { { .len = 100, .marks = PKT_CSUM_PARTIAL, .csum_start = 90, .csum_offset = 9 }, 128, DROP_RX_RECORD },
                { { .len = 100, .marks = PKT_GSO, .gso_size = 10 }, 128, DROP_RX_RECORD },
                { { .len = 100, .marks = PKT_GSO | PKT_CSUM_PARTIAL }, 128, DROP_RX_RECORD },
                { { .len = 1519 }, 1536, DROP_RX_OVERSIZE },
                { { .len = 0 }, 16, DROP_RX_RECORD },
                { { .len = PKT_LARGE_ROOM + 1 }, RING, DROP_RX_RECORD },
                { { .len = 100 }, 112, DROP_RX_RECORD },                /* more than was published */
                { { .len = 100 }, 120, DROP_RX_RECORD },                /* an index between records */
                { { .len = 100 }, RING + 128, DROP_RX_RECORD },         /* more than the ring holds */
                { { .len = RECORD_WRAP }, 4096, DROP_RX_RECORD },       /* less in the ring than to its end */
        };

        for (size_t i = 0; i < ARRAY_LEN(try); i++) {
                struct ring_rig r;
                test_note("row %zu", i);
                ring_open(&r);
                memcpy(r.sh->data, &try[i].rec, sizeof try[i].rec);
                atomic_store(&r.sh->head, try[i].head);
                EXPECT_EQ(take_all(&r), 0);
                EXPECT_EQ(r.counters.drop[try[i].why], 1);
                EXPECT_EQ(atomic_load(&r.sh->tail), try[i].head & ~15u);
                ring_close(&r);
        }
}

/* Goal:   a wrap marker that leads beyond what was published is untrue, even where an old record lies.
 * Method: an honest frame at the start of the ring, then such a marker behind it.
 * Spec:   dev/framering.h
 */
TEST(framering_refuses_an_early_wrap)
{
        struct ring_rig r;
        struct record wrap = { .len = RECORD_WRAP };

        ring_open(&r);
        EXPECT(put_one(&r, 100, 1));
        EXPECT_EQ(take_all(&r), 1);
        memcpy(r.sh->data + 128, &wrap, sizeof wrap);
        atomic_store(&r.sh->head, 256);
        EXPECT_EQ(take_all(&r), 0);
        EXPECT_EQ(r.counters.drop[DROP_RX_RECORD], 1);
        ring_close(&r);
}

enum { THREAD_FRAMES = 200000 };

static void *writer(void *arg)
{
        struct ring_rig *r = arg;
        struct pkt_pool pool;
        struct pkt *pkts[32];

        REQUIRE(pkt_pool_init(&pool, 32, 0, false) == 0);
        for (int i = 0; i < 32; i++)
                pkts[i] = pkt_take(&pool, 200);
        for (uint32_t number = 0; number < THREAD_FRAMES;) {
                uint32_t cnt = u32_min(1 + number % 32, THREAD_FRAMES - number);
                for (uint32_t i = 0; i < cnt; i++) {
                        pkts[i]->len = 22 + (number + i) % 100;
                        frame_fill(pkts[i]->data, pkts[i]->len, number + i);
                }
                uint32_t n = framering_tx(&r->tx, pkts, cnt);
                number += n;
                if (n < cnt)
                        sched_yield();
        }
        for (int i = 0; i < 32; i++)
                pkt_give(&pool, pkts[i]);
        pkt_pool_fini(&pool);
        return NULL;
}

/* Goal:   two threads pass frames without losing or mixing any.
 * Method: one writes, one reads and checks, in bursts of changing size.
 * Spec:   dev/framering.h
 */
TEST(framering_between_threads)
{
        struct ring_rig r;
        pthread_t thread;
        uint32_t seen = 0;

        ring_open(&r);
        REQUIRE(pthread_create(&thread, NULL, writer, &r) == 0);
        while (seen < THREAD_FRAMES) {
                struct pkt *pkts[64];
                uint32_t n = framering_rx(&r.rx, &r.q, &LIMITS, pkts, 1 + seen % 64);
                if (!n)
                        sched_yield();
                for (uint32_t i = 0; i < n; i++, seen++) {
                        EXPECT_EQ(pkts[i]->len, 22 + seen % 100);
                        EXPECT(frame_ok(pkts[i]->data, pkts[i]->len, seen));
                        pkt_give(&r.pool, pkts[i]);
                }
        }
        pthread_join(thread, NULL);
        EXPECT_EQ(r.counters.drop[DROP_RX_RECORD], 0);
        ring_close(&r);
}
