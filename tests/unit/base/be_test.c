/* SPDX-License-Identifier: MIT */
#include "base/be.h"
#include "base/rnd.h"
#include "tests/test.h"

struct odd {
        uint8_t before;
        be16    two;
        be32    four;
        be64    eight;
};

/* Goal:   the most significant octet comes first in memory.
 * Method: known values, at odd addresses.
 * Spec:   base/be.h
 */
TEST(be_octet_order)
{
        struct odd o = { 0, be16_put(0x0102), be32_put(0x03040506), be64_put(0x0708090a0b0c0d0e) };
        uint8_t buf[5] = { 0 };

        EXPECT_EQ(sizeof o, 15);
        EXPECT_MEM(&o, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e", 15);
        be16_to(buf + 1, 0xa1b2);
        EXPECT_MEM(buf, "\x00\xa1\xb2\x00\x00", 5);
        be32_to(buf + 1, 0xa1b2c3d4);
        EXPECT_MEM(buf, "\x00\xa1\xb2\xc3\xd4", 5);
        EXPECT_EQ(be16_at(buf + 1), 0xa1b2);
        EXPECT_EQ(be32_at(buf + 1), 0xa1b2c3d4);
}

/* Goal:   get undoes put, for every 16-bit value and many wider ones.
 * Method: random values.
 * Spec:   base/be.h
 */
TEST(be_round_trip)
{
        struct rnd r;

        for (uint32_t v = 0; v <= UINT16_MAX; v++)
                REQUIRE(be16_get(be16_put((uint16_t)v)) == v);
        rnd_seed(&r, 1);
        for (int round = 0; round < 10000; round++) {
                uint64_t v = rnd_u64(&r);
                REQUIRE(be32_get(be32_put((uint32_t)v)) == (uint32_t)v);
                REQUIRE(be64_get(be64_put(v)) == v);
        }
}
