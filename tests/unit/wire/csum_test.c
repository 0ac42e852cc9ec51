/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "wire/csum.h"
#include "wire/ip_proto.h"
#include "exact.h"

enum { LEN_MAX = 3000 };

/* The checksum as RFC 1071 4.1 says it, 16 bits at a time, big-endian. */
static uint16_t naive(const uint8_t *p, uint32_t len)
{
        uint32_t sum = 0;

        for (uint32_t i = 0; i < len; i++) {
                sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
                sum = (sum & 0xffff) + (sum >> 16);
        }
        return (uint16_t)sum;
}

/* The folded sum as a number. */
static uint16_t host(uint16_t raw)
{
        uint8_t octets[2];
        csum_store(octets, raw);
        return be16_at(octets);
}

static void fill(struct rnd *r, uint8_t *p, uint32_t len)
{
        for (uint32_t i = 0; i < len; i++)
                p[i] = (uint8_t)rnd_u64(r);
}

/* Goal:   the published example comes out.
 * Method: its eight octets; 0x2ddf0 there, folded 0xddf2.
 * Spec:   RFC 1071 3
 */
TEST(csum_of_the_rfc_1071_example)
{
        const uint8_t octets[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
        uint8_t field[2];

        EXPECT_EQ(host(csum_fold(csum_add(0, octets, 8))), 0xddf2);
        csum_store(field, csum_fold(csum_add(0, octets, 8)));
        EXPECT_EQ(field[0], 0xdd);
        EXPECT_EQ(field[1], 0xf2);
}

/* Goal:   every length and alignment gives what the plain algorithm gives.
 * Method: lengths 0..3000 at offsets 0..8 in turn, random octets, each from a
 *         block of its own size, against naive().
 * Spec:   RFC 1071 4.1
 */
TEST(csum_equals_the_plain_algorithm)
{
        static uint8_t octets[LEN_MAX];
        struct rnd r;

        rnd_seed(&r, 2);
        fill(&r, octets, sizeof octets);
        for (uint32_t len = 0; len <= LEN_MAX; len++) {
                uint32_t off = len % 9;
                uint8_t *block = malloc(off + len + !(off + len));
                REQUIRE(block);
                memcpy(block + off, octets, len);
                uint16_t got = host(csum_fold(csum_add(0, block + off, len)));
                free(block);
                if (got != naive(octets, len))
                        test_fail(__FILE__, __LINE__, "length %u at offset %u", len, off);
        }
}

/* Goal:   no carry is lost, at 64 bits or in the fold.
 * Method: all ones, of every length; running sums near 2^64; pieces of even
 *         length against the whole.
 * Spec:   RFC 1071 2 (A)
 */
TEST(csum_keeps_every_carry)
{
        static uint8_t octets[LEN_MAX];
        struct rnd r;

        memset(octets, 0xff, sizeof octets);
        for (uint32_t len = 2; len <= LEN_MAX; len++)
                EXPECT_EQ(host(csum_fold(csum_add(0, octets, len))), naive(octets, len));
        EXPECT_EQ(csum_fold(csum_add(UINT64_MAX, octets, 64)), 0xffff);
        EXPECT_EQ(csum_fold(csum_add(UINT64_MAX - 1, octets, 64)), csum_fold(UINT64_MAX - 1));
        EXPECT_EQ(csum_fold(0), 0);
        EXPECT_EQ(csum_fold(UINT64_MAX), 0xffff);
        EXPECT_EQ(csum_fold(0xffff0001ffff0001u), 2);

        rnd_seed(&r, 3);
        for (int round = 0; round < 2000; round++) {
                uint32_t len = rnd_below(&r, LEN_MAX);
                uint32_t cut = rnd_below(&r, len / 2 + 1) * 2;
                fill(&r, octets, len);
                uint64_t sum = csum_add(csum_add(0, octets, cut), octets + cut, len - cut);
                EXPECT_EQ(host(csum_fold(sum)), naive(octets, len));
        }
}

/* Goal:   the pseudo header of both families is what the RFCs draw.
 * Method: lay it out octet by octet and sum that with naive().
 * Spec:   RFC 9293 3.1, RFC 8200 8.1
 */
TEST(csum_pseudo_header_of_both_families)
{
        struct rnd r;

        rnd_seed(&r, 4);
        for (int round = 0; round < 1000; round++) {
                uint8_t drawn[40] = { 0 };
                uint32_t len = rnd_below(&r, round % 2 ? 65536 : 1 << 20);
                uint8_t proto = (uint8_t)rnd_u64(&r);
                struct ip_addr src = ip_addr_v4((uint32_t)rnd_u64(&r)), dst = ip_addr_v4((uint32_t)rnd_u64(&r));
                if (round % 2) {
                        memcpy(drawn, src.octet + 12, 4);
                        memcpy(drawn + 4, dst.octet + 12, 4);
                        drawn[9] = proto;
                        be16_to(drawn + 10, (uint16_t)len);
                } else {
                        fill(&r, src.octet, 16);
                        fill(&r, dst.octet, 16);
                        memcpy(drawn, src.octet, 16);
                        memcpy(drawn + 16, dst.octet, 16);
                        be32_to(drawn + 32, len);
                        drawn[39] = proto;
                }
                EXPECT_EQ(host(csum_fold(csum_pseudo(&src, &dst, proto, len))), naive(drawn, sizeof drawn));
        }
}

/* Goal:   a checksum that was written is found right, and any changed bit is found.
 * Method: write one over a random segment, flip each bit in turn.
 * Spec:   RFC 1071 1 (3)
 */
TEST(csum_transport_finds_every_flipped_bit)
{
        struct ip_addr src = ip_addr_v4(0x0a4d0001), dst = ip_addr_v4(0x0a4d0002);
        uint8_t seg[77];
        struct rnd r;

        rnd_seed(&r, 5);
        fill(&r, seg, sizeof seg);
        csum_store(seg + 16, 0);
        csum_store(seg + 16, (uint16_t)~csum_transport(&src, &dst, IP_PROTO_TCP, seg, sizeof seg));
        EXPECT_EQ(csum_transport(&src, &dst, IP_PROTO_TCP, seg, sizeof seg), CSUM_RIGHT);
        for (uint32_t bit = 0; bit < sizeof seg * 8; bit++) {
                seg[bit / 8] ^= (uint8_t)(1 << bit % 8);
                EXPECT_NE(csum_transport(&src, &dst, IP_PROTO_TCP, seg, sizeof seg), CSUM_RIGHT);
                seg[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

/* Goal:   changing a checksum equals taking it anew.
 * Method: random headers, random and extreme new words, both widths; the case
 *         of RFC 1624 4 among them, where equation 2 would fail.
 * Spec:   RFC 1624 3
 */
TEST(csum_update_equals_recomputation)
{
        static const uint32_t extreme[] = { 0, 0xffffffff, 0xffff, 0xffff0000, 1 };
        uint8_t hdr[20];
        struct rnd r;

        rnd_seed(&r, 6);
        for (int round = 0; round < 20000; round++) {
                fill(&r, hdr, sizeof hdr);
                hdr[0] = 0x45;
                csum_store(hdr + 10, 0);
                csum_store(hdr + 10, (uint16_t)~csum_fold(csum_add(0, hdr, 20)));

                uint32_t new_word = rnd_below(&r, 2) ? (uint32_t)rnd_u64(&r) : extreme[rnd_below(&r, 5)];
                bool wide = rnd_below(&r, 2);
                be32 old32, new32 = be32_put(new_word);
                be16 old16, new16 = be16_put((uint16_t)new_word);
                memcpy(&old32, hdr + 12, 4);
                memcpy(&old16, hdr + 12, 2);
                if (wide) {
                        memcpy(hdr + 12, &new32, 4);
                        csum_update32(hdr + 10, old32, new32);
                } else {
                        memcpy(hdr + 12, &new16, 2);
                        csum_update16(hdr + 10, old16, new16);
                }
                uint16_t updated = csum_load(hdr + 10);
                csum_store(hdr + 10, 0);
                EXPECT_EQ(updated, (uint16_t)~csum_fold(csum_add(0, hdr, 20)));
        }

        uint8_t field[2] = { 0xdd, 0x2f };
        csum_update16(field, be16_put(0x5555), be16_put(0x3285));
        EXPECT_EQ(be16_at(field), 0x0000);
}
