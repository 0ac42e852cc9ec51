/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "tcp/engine.h"
#include "tests/test.h"

/* Goal:   what a connection at rest keeps in 16 bits is within 0.1 % of what it was, and on the right side.
 * Method: all small values, the edges of all powers of two, random ones; exact where 11 bits suffice.
 * Spec:   tcp/rest.c. */
TEST(rest_rounding)
{
        struct rnd r;
        rnd_seed(&r, 1);

        for (uint32_t i = 0; i < 2000000; i++) {
                uint32_t v = i < 5000 ? i : i < 5000 + 32 * 9 ? (1u << (i - 5000) / 9) + (i - 5000) % 9 - 4 : (uint32_t)rnd_u64(&r) >> i % 32;
                if (v > 1u << 31)
                        v >>= 1;
                uint32_t down = rest_value(rest_round_down(v)), up = rest_value(rest_round_up(v));
                REQUIRE(down <= v && v <= up);
                REQUIRE(v - down <= v / 1024 && up - v <= v / 1024);
                REQUIRE(v >= 2048 || (down == v && up == v));
                REQUIRE(rest_value(rest_round_up(up)) == up);   /* again and again does not add up */
        }
        EXPECT_GT(rest_value(rest_round_down(UINT32_MAX)), 0xffe00000u - 1);
}
