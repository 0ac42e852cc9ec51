/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "exact.h"

/* Goal:   what is written is read back, for every length of body.
 * Method: random messages with bodies of 0..200 octets.
 * Spec:   RFC 792
 */
TEST(icmp_round_trip)
{
        struct rnd r;

        rnd_seed(&r, 1);
        for (uint32_t body = 0; body <= 200; body++) {
                struct icmp_msg in = { .type = (uint8_t)rnd_u64(&r), .code = (uint8_t)rnd_u64(&r),
                                       .rest = (uint32_t)rnd_u64(&r) }, out;
                uint8_t buf[ICMP_HDR_LEN + 200];
                uint32_t len = ICMP_HDR_LEN + body;

                for (uint32_t i = 0; i < body; i++)
                        buf[ICMP_HDR_LEN + i] = (uint8_t)rnd_u64(&r);
                EXPECT_EQ(icmp_emit(buf, &in, len), ICMP_HDR_LEN);
                uint8_t *copy = exact_copy(buf, len);
                REQUIRE(icmp_parse(&out, copy, len) == DROP_NONE);
                EXPECT(out.type == in.type && out.code == in.code && out.rest == in.rest);
                copy[len - 1] ^= 1;
                EXPECT_EQ(icmp_parse(&out, copy, len), DROP_ICMP_CHECKSUM);
                for (uint32_t cut = 0; cut < ICMP_HDR_LEN; cut++)
                        EXPECT_EQ(icmp_parse(&out, copy, cut), DROP_ICMP_SHORT);
                free(copy);
        }
}

/* Goal:   the four octets of "rest" are read as each type means them.
 * Method: an echo request as `ping` sends it, and one value for the others.
 * Spec:   RFC 792, RFC 1191 4
 */
TEST(icmp_fields)
{
        const uint8_t ping[] = { 8, 0, 0xe5, 0xca, 0x12, 0x34, 0x00, 0x01 };
        struct icmp_msg m;
        uint8_t buf[8];

        REQUIRE(icmp_parse(&m, ping, sizeof ping) == DROP_NONE);
        EXPECT_EQ(m.type, ICMP_ECHO_REQUEST);
        EXPECT_EQ(icmp_id(&m), 0x1234);
        EXPECT_EQ(icmp_seq(&m), 1);
        EXPECT_EQ(icmp_id_seq(0x1234, 1), m.rest);
        icmp_emit(buf, &m, 8);
        EXPECT_MEM(buf, ping, 8);

        m.rest = 0xab0005dc;
        EXPECT_EQ(icmp_mtu(&m), 1500);
        EXPECT_EQ(icmp_pointer(&m), 0xab);
        EXPECT(icmp_is_error(ICMP_UNREACHABLE) && icmp_is_error(ICMP_TIME_EXCEEDED));
        EXPECT(!icmp_is_error(ICMP_ECHO_REQUEST) && !icmp_is_error(ICMP_ECHO_REPLY));
}

/* A quoted TCP packet; @extra octets of IP options.  Returns its length: header and 8. */
static uint32_t quoted(uint8_t *buf, uint32_t extra)
{
        struct ip4_hdr h = { .src = ip_addr_v4(0x0a4d0002), .dst = ip_addr_v4(0x0a4d0001), .total_len = 1500,
                             .dont_frag = true, .ttl = 1, .proto = IP_PROTO_TCP };

        ip4_emit(buf, &h);
        buf[0] = (uint8_t)(0x45 + extra / 4);
        memset(buf + IP4_HDR_LEN, 1, extra);
        be16_to(buf + IP4_HDR_LEN + extra, 80);
        be16_to(buf + IP4_HDR_LEN + extra + 2, 40000);
        be32_to(buf + IP4_HDR_LEN + extra + 4, 0xdeadbeef);
        return IP4_HDR_LEN + extra + ICMP_QUOTE_L4;
}

/* Goal:   a quote is understood although it is cut, and no more is believed than is there.
 * Method: with and without IP options; every truncation; a later fragment.
 * Spec:   RFC 792, RFC 1122 3.2.2
 */
TEST(icmp_quote)
{
        uint8_t buf[80];
        struct icmp_quote q;

        for (uint32_t extra = 0; extra <= 40; extra += 40) {
                uint32_t full = quoted(buf, extra);
                for (uint32_t len = 0; len <= full; len++) {
                        uint8_t *copy = exact_copy(buf, len);
                        enum drop why = icmp_quote_parse(&q, copy, len);
                        free(copy);
                        EXPECT_EQ(why, len < IP4_HDR_LEN + extra ? DROP_ICMP_SHORT : DROP_NONE);
                        if (why == DROP_NONE)
                                EXPECT_EQ(q.has_l4, len == full);
                }
                EXPECT_EQ(ip_addr_to_v4(&q.src), 0x0a4d0002);
                EXPECT_EQ(ip_addr_to_v4(&q.dst), 0x0a4d0001);
                EXPECT_EQ(q.total_len, 1500);
                EXPECT_EQ(q.proto, IP_PROTO_TCP);
                EXPECT_EQ(q.src_port, 80);
                EXPECT_EQ(q.dst_port, 40000);
                EXPECT_EQ(q.seq.raw, 0xdeadbeef);
        }

        uint32_t full = quoted(buf, 0);
        be16_to(buf + 6, 185);
        EXPECT_EQ(icmp_quote_parse(&q, buf, full), DROP_NONE);
        EXPECT(!q.has_l4);
        buf[0] = 0x65;
        EXPECT_EQ(icmp_quote_parse(&q, buf, full), DROP_ICMP_SHORT);
        buf[0] = 0x44;
        EXPECT_EQ(icmp_quote_parse(&q, buf, full), DROP_ICMP_SHORT);
}

static void parse_quote(const uint8_t *buf, uint32_t len)
{
        struct icmp_quote q;
        struct icmp_msg m;

        if (icmp_quote_parse(&q, buf, len) == DROP_NONE && q.has_l4)
                EXPECT(len >= 28);
        (void)icmp_parse(&m, buf, len);
}

/* Goal:   no quote makes the parser read outside of it.
 * Method: every truncation and every single-octet change.
 * Spec:   tests/unit/wire/exact.h
 */
TEST(icmp_hostile)
{
        uint8_t buf[80];

        exact_hurt(buf, quoted(buf, 0), parse_quote);
        exact_hurt(buf, quoted(buf, 24), parse_quote);
}
