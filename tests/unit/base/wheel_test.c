/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "base/wheel.h"
#include "tests/test.h"

enum { TIMERS = 1000 };

/* Goal:   a timer fires at its tick, never before it, and once.
 * Method: 100,000 random arms, re-arms, cancels and jumps of the clock, with
 *         the tick counter wrapping early on.
 * Spec:   base/wheel.h
 */
TEST(wheel_fires_on_time)
{
        static struct wheel_node nodes[TIMERS + 1];
        static tick asked[TIMERS + 1];
        static bool armed[TIMERS + 1];
        struct wheel w;
        struct rnd r;
        tick now = 0u - 3000u;

        rnd_seed(&r, 1);
        wheel_init(&w, now, nodes, sizeof nodes[0]);
        for (int step = 0; step < 100000; step++) {
                uint32_t id = 1 + rnd_below(&r, TIMERS);
                wheel_cancel(&w, id);
                armed[id] = false;
                if (rnd_below(&r, 4)) {
                        asked[id] = now + 1 + rnd_below(&r, 1u << rnd_below(&r, 25));
                        wheel_arm(&w, id, asked[id]);
                        armed[id] = true;
                }

                tick before = wheel_next(&w);
                now += rnd_below(&r, 1u << rnd_below(&r, 14));
                uint32_t budget = UINT32_MAX, due;
                while ((due = wheel_expire(&w, now, &budget))) {
                        REQUIRE(armed[due]);
                        REQUIRE(!tick_before(now, asked[due]));
                        REQUIRE(!tick_before(asked[due], before));
                        armed[due] = false;
                }
                if (step % 64 == 0)
                        for (uint32_t i = 1; i <= TIMERS; i++)
                                REQUIRE(!armed[i] || tick_before(now, asked[i]));
        }
}

/* Goal:   moving a deadline away leaves the wheel untouched; moving it nearer works.
 * Method: look at the node.
 * Spec:   base/wheel.h, lazy arming
 */
TEST(wheel_arms_lazily)
{
        struct wheel_node nodes[3] = { 0 };
        struct wheel w;
        uint32_t budget = 100;

        wheel_init(&w, 0, nodes, sizeof nodes[0]);
        wheel_arm(&w, 1, 100);
        wheel_arm(&w, 1, 5000);
        EXPECT_EQ(nodes[1].at, 100);
        wheel_arm(&w, 1, 50);
        EXPECT_EQ(nodes[1].at, 50);
        EXPECT_EQ(w.armed, 1);
        EXPECT_EQ(wheel_expire(&w, 49, &budget), 0);
        EXPECT_EQ(wheel_expire(&w, 50, &budget), 1);
        EXPECT_EQ(w.armed, 0);
}

/* Goal:   a call does bounded work when everything is due at once.
 * Method: 1,000 timers in one far slot, a budget of 10 moves a call.
 * Spec:   architecture: every turn is bounded
 */
TEST(wheel_work_is_bounded)
{
        static struct wheel_node nodes[TIMERS + 1];
        struct wheel w;
        int calls = 0, fired = 0;

        wheel_init(&w, 0, nodes, sizeof nodes[0]);
        for (uint32_t i = 1; i <= TIMERS; i++)
                wheel_arm(&w, i, 100000);
        while (fired < TIMERS && calls < 10000) {
                uint32_t budget = 10;
                while (wheel_expire(&w, 100000, &budget))
                        fired++;
                calls++;
        }
        EXPECT_EQ(fired, TIMERS);
        EXPECT_GE(calls, TIMERS / 10);
        EXPECT_LE(calls, TIMERS / 10 * WHEEL_LEVELS + 1);
}
