/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "base/seq.h"
#include "base/units.h"
#include "tests/test.h"

static const uint32_t corner[] = { 0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 12345 };

/* Goal:   order holds across the wrap.
 * Method: around each corner of the circle, distances up to 2^31 - 1 both ways.
 * Spec:   RFC 9293 3.4
 */
TEST(seq_order_across_the_wrap)
{
        static const uint32_t ahead[] = { 1, 2, 1000, 0x3fffffff, 0x7fffffff };

        for (uint32_t i = 0; i < ARRAY_LEN(corner); i++) {
                tcp_seq a = seq_of(corner[i]);
                EXPECT(seq_eq(a, a) && seq_le(a, a) && seq_ge(a, a) && !seq_lt(a, a) && !seq_gt(a, a));
                EXPECT_EQ(seq_diff(a, a), 0);
                for (uint32_t k = 0; k < ARRAY_LEN(ahead); k++) {
                        tcp_seq b = seq_add(a, ahead[k]);
                        EXPECT(seq_lt(a, b) && seq_le(a, b) && !seq_gt(a, b) && !seq_ge(a, b) && !seq_eq(a, b));
                        EXPECT(seq_gt(b, a) && seq_ge(b, a) && !seq_lt(b, a) && !seq_le(b, a));
                        EXPECT_EQ(seq_diff(b, a), (int32_t)ahead[k]);
                        EXPECT_EQ(seq_diff(a, b), -(int32_t)ahead[k]);
                        EXPECT(seq_eq(seq_max(a, b), b) && seq_eq(seq_max(b, a), b));
                        EXPECT(seq_eq(seq_min(a, b), a) && seq_eq(seq_min(b, a), a));
                        EXPECT(seq_eq(seq_sub(b, ahead[k]), a));
                }
        }
}

/* Goal:   seq_in() is the half-open range, also where it wraps and where it is empty.
 * Method: the edges of ranges at each corner; random ones against 64-bit arithmetic.
 * Spec:   RFC 9293 3.4
 */
TEST(seq_in_a_window)
{
        struct rnd r;

        for (uint32_t i = 0; i < ARRAY_LEN(corner); i++) {
                tcp_seq from = seq_of(corner[i]);
                EXPECT(!seq_in(from, from, 0));
                EXPECT(seq_in(from, from, 1));
                EXPECT(!seq_in(seq_add(from, 1), from, 1));
                EXPECT(!seq_in(seq_sub(from, 1), from, 1000));
                EXPECT(seq_in(seq_add(from, 999), from, 1000));
                EXPECT(!seq_in(seq_add(from, 1000), from, 1000));
        }
        rnd_seed(&r, 1);
        for (int round = 0; round < 10000; round++) {
                uint32_t from = (uint32_t)rnd_u64(&r), len = rnd_below(&r, 1u << rnd_below(&r, 32));
                uint32_t away = rnd_below(&r, 2) ? rnd_below(&r, len + 1) : (uint32_t)rnd_u64(&r);
                EXPECT_EQ(seq_in(seq_of(from + away), seq_of(from), len), away < len);
        }
}
