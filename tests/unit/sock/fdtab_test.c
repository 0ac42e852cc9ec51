/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "sock/fdtab.h"
#include "tests/test.h"

#include <errno.h>

/* Goal:   the lowest free number each time, whatever the order of taking and giving.
 * Method: a random walk beside an array searched from its beginning, for
 *         capacities around the powers of 64 where a level is added.
 * Spec:   POSIX.1-2017 2.14 (file descriptor allocation).
 */
static void walk(uint32_t cap, uint64_t seed)
{
        static bool ref[5000];
        struct fdtab t;
        struct rnd rnd;
        uint32_t used = 0;

        test_note("cap %u seed %llu", cap, (unsigned long long)seed);
        REQUIRE(cap <= 5000 && fdtab_init(&t, cap) == 0);
        memset(ref, 0, sizeof ref);
        rnd_seed(&rnd, seed);
        for (uint32_t i = 0; i < 6 * cap + 200; i++) {
                uint32_t phase = i / (cap + 20) % 3;            /* grow, stay, shrink */
                if (rnd_below(&rnd, 10) < (phase == 0 ? 9u : phase == 1 ? 5u : 2u)) {
                        uint32_t lowest = 0;
                        while (lowest < cap && ref[lowest])
                                lowest++;
                        int32_t got = fdtab_take(&t);
                        REQUIRE(got == (lowest < cap ? (int32_t)lowest : -EMFILE));
                        if (got >= 0) {
                                ref[got] = true;
                                used++;
                        }
                } else {
                        uint32_t n = rnd_below(&rnd, cap);
                        REQUIRE(fdtab_get(&t, n) == (ref[n] ? n + 1 : 0));
                        if (ref[n]) {
                                fdtab_give(&t, n);
                                ref[n] = false;
                                used--;
                        }
                }
                REQUIRE(t.used == used);
        }
        EXPECT_EQ(fdtab_get(&t, cap), 0);
        EXPECT_EQ(fdtab_get(&t, UINT32_MAX), 0);
        fdtab_fini(&t);
}

TEST(fdtab_gives_the_lowest_number)
{
        static const uint32_t caps[] = { 1, 2, 63, 64, 65, 127, 128, 1000, 4095, 4096, 4097 };
        for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
                walk(caps[i], i + 1);
}

/* Goal:   the largest table works and costs nothing before it is used.
 * Method: 2^27 numbers reserved; 300,000 taken, all given, the first comes again.
 */
TEST(fdtab_of_full_size)
{
        struct fdtab t;
        REQUIRE(fdtab_init(&t, FDTAB_CAP_MAX) == 0);
        for (uint32_t i = 0; i < 300000; i++)
                REQUIRE(fdtab_take(&t) == (int32_t)i);
        for (uint32_t i = 300000; i-- > 0;) {
                REQUIRE(fdtab_get(&t, i) == i + 1);
                fdtab_give(&t, i);
        }
        EXPECT_EQ(t.used, 0);
        EXPECT_EQ(fdtab_take(&t), 0);
        fdtab_fini(&t);
}
