/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "wire/ip4.h"
#include "exact.h"

/* A header with @opt_len octets of options, a multiple of 4, and a right checksum. */
static uint32_t with_options(uint8_t *buf, const uint8_t *opt, uint32_t opt_len)
{
        uint32_t hdr_len = IP4_HDR_LEN + opt_len;
        struct ip4_hdr h = { .src = ip_addr_v4(0x0a000001), .dst = ip_addr_v4(0x0a000002),
                             .total_len = (uint16_t)hdr_len, .ttl = 64, .proto = IP_PROTO_TCP };

        ip4_emit(buf, &h);
        memcpy(buf + IP4_HDR_LEN, opt, opt_len);
        buf[0] = (uint8_t)(0x40 | hdr_len / 4);
        csum_store(buf + 10, 0);
        csum_store(buf + 10, (uint16_t)~csum_fold(csum_add(0, buf, hdr_len)));
        return hdr_len;
}

static enum drop parse_options(const char *opt, uint32_t opt_len)
{
        uint8_t buf[IP4_HDR_LEN_MAX], padded[40] = { 0 };
        struct ip4_hdr h;

        memcpy(padded, opt, opt_len);
        uint32_t len = with_options(buf, padded, (opt_len + 3) / 4 * 4);
        uint8_t *copy = exact_copy(buf, len);
        enum drop why = ip4_parse(&h, copy, len);
        free(copy);
        return why;
}

/* Goal:   what is written is read back, and its checksum is right.
 * Method: random headers; random padding of the frame behind.
 * Spec:   RFC 791 3.1
 */
TEST(ip4_round_trip)
{
        struct rnd r;

        rnd_seed(&r, 1);
        for (int round = 0; round < 20000; round++) {
                struct ip4_hdr in = {
                        .src = ip_addr_v4((uint32_t)rnd_u64(&r)), .dst = ip_addr_v4((uint32_t)rnd_u64(&r)),
                        .total_len = (uint16_t)(20 + rnd_below(&r, 65516)), .id = (uint16_t)rnd_u64(&r),
                        .frag_offset = (uint16_t)(rnd_below(&r, 8192) * 8), .more_frags = rnd_below(&r, 2),
                        .dont_frag = rnd_below(&r, 2), .proto = (uint8_t)rnd_u64(&r), .ttl = (uint8_t)rnd_u64(&r),
                        .tos = (uint8_t)rnd_u64(&r),
                }, out;
                uint8_t buf[IP4_HDR_LEN];

                EXPECT_EQ(ip4_emit(buf, &in), IP4_HDR_LEN);
                REQUIRE(ip4_parse(&out, buf, in.total_len + rnd_below(&r, 47)) == DROP_NONE);
                EXPECT_EQ(out.hdr_len, 20);
                EXPECT(ip_addr_eq(&out.src, &in.src) && ip_addr_eq(&out.dst, &in.dst));
                EXPECT_EQ(out.total_len, in.total_len);
                EXPECT_EQ(out.id, in.id);
                EXPECT_EQ(out.frag_offset, in.frag_offset);
                EXPECT_EQ(out.more_frags, in.more_frags);
                EXPECT_EQ(out.dont_frag, in.dont_frag);
                EXPECT_EQ(out.proto, in.proto);
                EXPECT_EQ(out.ttl, in.ttl);
                EXPECT_EQ(out.tos, in.tos);
                EXPECT_EQ(ip4_is_fragment(&out), in.more_frags || in.frag_offset != 0);
        }
}

/* Goal:   the octets are those of the standard, checksum included.
 * Method: a header whose octets and checksum (0xb861) were worked out by hand.
 * Spec:   RFC 791 3.1
 */
TEST(ip4_octets)
{
        const uint8_t octets[] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                   0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };
        struct ip4_hdr h = { .src = ip_addr_v4(0xc0a80001), .dst = ip_addr_v4(0xc0a800c7), .total_len = 115,
                             .dont_frag = true, .ttl = 64, .proto = IP_PROTO_UDP };
        uint8_t buf[IP4_HDR_LEN];

        ip4_emit(buf, &h);
        EXPECT_MEM(buf, octets, sizeof octets);
}

/* Goal:   each lie of a header has its reason.
 * Method: one change each to a good header.
 * Spec:   RFC 791 3.1, RFC 1122 3.2.1.1 and 3.2.1.2
 */
TEST(ip4_drops)
{
        struct ip4_hdr h = { .src = ip_addr_v4(1), .dst = ip_addr_v4(2), .total_len = 40, .ttl = 1 }, out;
        uint8_t buf[40] = { 0 };

        ip4_emit(buf, &h);
        EXPECT_EQ(ip4_parse(&out, buf, 40), DROP_NONE);
        for (uint32_t len = 0; len < 20; len++)
                EXPECT_EQ(ip4_parse(&out, buf, len), DROP_IP_SHORT);
        for (uint32_t len = 20; len < 40; len++)
                EXPECT_EQ(ip4_parse(&out, buf, len), DROP_IP_TOTAL_LEN);

        buf[0] = 0x65;
        EXPECT_EQ(ip4_parse(&out, buf, 40), DROP_IP_VERSION);
        buf[0] = 0x44;
        EXPECT_EQ(ip4_parse(&out, buf, 40), DROP_IP_HDR_LEN);
        buf[0] = 0x4f;
        EXPECT_EQ(ip4_parse(&out, buf, 40), DROP_IP_HDR_LEN);
        buf[0] = 0x45;

        be16_to(buf + 2, 19);
        EXPECT_EQ(ip4_parse(&out, buf, 40), DROP_IP_TOTAL_LEN);
        be16_to(buf + 2, 40);
        for (uint32_t bit = 8 * 8; bit < 20 * 8; bit++) {
                buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
                EXPECT_EQ(ip4_parse(&out, buf, 40), DROP_IP_CHECKSUM);
                buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

/* Goal:   good options are passed over, bad ones and source routes are a reason to drop.
 * Method: option areas by hand, with right checksums.
 * Spec:   RFC 791 3.1, RFC 7126 4.3 and 4.4
 */
TEST(ip4_options)
{
        EXPECT_EQ(parse_options("\x94\x04\x00\x00", 4), DROP_NONE);             /* router alert */
        EXPECT_EQ(parse_options("\x01\x01\x01\x00", 4), DROP_NONE);             /* NOPs, end */
        EXPECT_EQ(parse_options("\x00\x83\x00\xff", 4), DROP_NONE);             /* nothing counts behind the end */
        EXPECT_EQ(parse_options("\x07\x07\x04\x00\x00\x00\x00", 7), DROP_NONE); /* record route */
        EXPECT_EQ(parse_options("\x07\x00\x04\x00", 4), DROP_IP_OPTION);        /* length 0 must not hang */
        EXPECT_EQ(parse_options("\x07\x01\x04\x00", 4), DROP_IP_OPTION);
        EXPECT_EQ(parse_options("\x07\x05\x04\x00", 4), DROP_IP_OPTION);        /* beyond the header */
        EXPECT_EQ(parse_options("\x01\x01\x01\x07", 4), DROP_IP_OPTION);        /* no room for a length */
        EXPECT_EQ(parse_options("\x83\x07\x04\x0a\x00\x00\x01", 7), DROP_IP_OPTION);
        EXPECT_EQ(parse_options("\x01\x89\x03\x04", 4), DROP_IP_OPTION);

        uint8_t buf[IP4_HDR_LEN_MAX];
        struct ip4_hdr h;
        uint32_t len = with_options(buf, (const uint8_t *)"\x94\x04\x00\x00", 4);
        REQUIRE(ip4_parse(&h, buf, len) == DROP_NONE);
        EXPECT_EQ(h.hdr_len, 24);
        buf[22] ^= 1;
        EXPECT_EQ(ip4_parse(&h, buf, len), DROP_IP_CHECKSUM);
}

static void parse_packet(const uint8_t *buf, uint32_t len)
{
        struct ip4_hdr h;

        if (ip4_parse(&h, buf, len) == DROP_NONE)
                EXPECT(h.hdr_len >= 20 && h.hdr_len <= h.total_len && h.total_len <= len);
        if (len >= IP4_HDR_LEN)
                (void)ip4_options_check(buf + IP4_HDR_LEN, len - IP4_HDR_LEN);
}

/* Goal:   no packet makes the parser read outside of it.
 * Method: every truncation and every single-octet change of a header with 40
 *         octets of options; the option walk also without its checksum's guard.
 * Spec:   tests/unit/wire/exact.h
 */
TEST(ip4_hostile)
{
        uint8_t opt[40], buf[IP4_HDR_LEN_MAX];

        memset(opt, 1, sizeof opt);
        memcpy(opt + 3, "\x44\x0c\x05\x00", 4);
        memcpy(opt + 20, "\x07\x13\x04", 3);
        exact_hurt(buf, with_options(buf, opt, sizeof opt), parse_packet);
        exact_hurt(buf, with_options(buf, opt, 0), parse_packet);
}
