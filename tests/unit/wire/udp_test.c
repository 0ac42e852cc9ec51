/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "wire/udp.h"
#include "exact.h"

/* Goal:   what is written is read back; the checksum over both families is right.
 * Method: random datagrams of 0..300 octets of data.
 * Spec:   RFC 768, RFC 8200 8.1
 */
TEST(udp_round_trip)
{
        struct ip_addr v6_src = { { 0x20, 1, 0x0d, 0xb8, [15] = 1 } }, v6_dst = { { 0x20, 1, 0x0d, 0xb8, [15] = 2 } };
        struct ip_addr v4_src = ip_addr_v4(0x0a4d0001), v4_dst = ip_addr_v4(0x0a4d0002);
        struct rnd r;

        rnd_seed(&r, 1);
        for (uint32_t data = 0; data <= 300; data++) {
                const struct ip_addr *src = data % 2 ? &v6_src : &v4_src, *dst = data % 2 ? &v6_dst : &v4_dst;
                struct udp_hdr in = { .src_port = (uint16_t)rnd_u64(&r), .dst_port = (uint16_t)rnd_u64(&r),
                                      .len = (uint16_t)(UDP_HDR_LEN + data) }, out;
                uint8_t buf[UDP_HDR_LEN + 300];

                for (uint32_t i = 0; i < data; i++)
                        buf[UDP_HDR_LEN + i] = (uint8_t)rnd_u64(&r);
                EXPECT_EQ(udp_emit(buf, &in), UDP_HDR_LEN);
                REQUIRE(udp_parse(&out, buf, in.len) == DROP_NONE);
                EXPECT(!out.has_csum);
                udp_csum_fill(buf, in.len, src, dst);
                REQUIRE(udp_parse(&out, buf, in.len) == DROP_NONE);
                EXPECT(out.has_csum);
                EXPECT_EQ(csum_transport(src, dst, IP_PROTO_UDP, buf, out.len), CSUM_RIGHT);
                EXPECT_EQ(out.src_port, in.src_port);
                EXPECT_EQ(out.dst_port, in.dst_port);
                EXPECT_EQ(out.len, in.len);
        }
}

/* Goal:   a checksum that comes out as zero is sent as all ones.
 * Method: choose the one data word for which it does.
 * Spec:   RFC 768
 */
TEST(udp_checksum_of_zero)
{
        struct ip_addr src = ip_addr_v4(0x0a4d0001), dst = ip_addr_v4(0x0a4d0002);
        struct udp_hdr h = { .src_port = 53, .dst_port = 53, .len = 10 };
        uint8_t buf[10] = { 0 };

        udp_emit(buf, &h);
        csum_store(buf + 8, (uint16_t)~csum_transport(&src, &dst, IP_PROTO_UDP, buf, 10));
        udp_csum_fill(buf, 10, &src, &dst);
        EXPECT_EQ(csum_load(buf + UDP_CSUM_OFFSET), 0xffff);
        EXPECT_EQ(csum_transport(&src, &dst, IP_PROTO_UDP, buf, 10), CSUM_RIGHT);
}

static void parse_datagram(const uint8_t *buf, uint32_t len)
{
        struct udp_hdr h;

        if (udp_parse(&h, buf, len) == DROP_NONE)
                EXPECT(h.len >= UDP_HDR_LEN && h.len <= len);
}

/* Goal:   a length that lies is dropped; no datagram makes the parser read outside.
 * Method: every truncation and every single-octet change; lengths by hand.
 * Spec:   RFC 768
 */
TEST(udp_drops)
{
        struct udp_hdr h = { .src_port = 1, .dst_port = 2, .len = 12 }, out;
        uint8_t buf[16] = { 0 };

        udp_emit(buf, &h);
        for (uint32_t len = 0; len < 12; len++)
                EXPECT_EQ(udp_parse(&out, buf, len), DROP_UDP_SHORT);
        EXPECT_EQ(udp_parse(&out, buf, 16), DROP_NONE);
        for (uint16_t lie = 0; lie < 8; lie++) {
                be16_to(buf + 4, lie);
                EXPECT_EQ(udp_parse(&out, buf, 16), DROP_UDP_SHORT);
        }
        be16_to(buf + 4, 17);
        EXPECT_EQ(udp_parse(&out, buf, 16), DROP_UDP_SHORT);
        be16_to(buf + 4, 12);
        exact_hurt(buf, 12, parse_datagram);
}
