/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "exact.h"

static struct mac_addr random_mac(struct rnd *r)
{
        struct mac_addr m;
        uint64_t bits = rnd_u64(r);
        memcpy(&m, &bits, sizeof m);
        return m;
}

/* Goal:   what is written is read back.
 * Method: random headers, plain and with either tag.
 * Spec:   IEEE 802.3 3.1.1, IEEE 802.1Q 9.6
 */
TEST(eth_round_trip)
{
        struct rnd r;

        rnd_seed(&r, 1);
        for (int round = 0; round < 5000; round++) {
                struct eth_hdr in = {
                        .dst = random_mac(&r), .src = random_mac(&r), .type = (uint16_t)rnd_u64(&r),
                        .tagged = rnd_below(&r, 2), .service = rnd_below(&r, 2), .pcp = (uint8_t)rnd_below(&r, 8),
                        .dei = rnd_below(&r, 2), .vlan = (uint16_t)rnd_below(&r, 4096),
                };
                if (in.type == ETH_TYPE_VLAN || in.type == ETH_TYPE_SERVICE)
                        in.type = ETH_TYPE_IP4;
                struct eth_hdr out;
                uint8_t buf[ETH_HDR_LEN_MAX];
                uint32_t len = eth_emit(buf, &in);

                REQUIRE(eth_parse(&out, buf, len) == DROP_NONE);
                EXPECT_EQ(out.hdr_len, len);
                EXPECT_EQ(len, in.tagged ? 18 : 14);
                EXPECT(mac_eq(&out.dst, &in.dst) && mac_eq(&out.src, &in.src));
                EXPECT_EQ(out.type, in.type);
                EXPECT_EQ(out.tagged, in.tagged);
                if (in.tagged) {
                        EXPECT_EQ(out.service, in.service);
                        EXPECT_EQ(out.pcp, in.pcp);
                        EXPECT_EQ(out.dei, in.dei);
                        EXPECT_EQ(out.vlan, in.vlan);
                }
        }
}

/* Goal:   the octets are the standard's, and a second tag is not followed.
 * Method: one frame written out by hand.
 * Spec:   IEEE 802.1Q 9.6
 */
TEST(eth_tag_octets)
{
        const uint8_t frame[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0x00, 0xb0, 0x2a, 0x81, 0x00 };
        struct eth_hdr h;
        uint8_t buf[18];

        REQUIRE(eth_parse(&h, frame, sizeof frame) == DROP_NONE);
        EXPECT_EQ(h.dst.octet[0], 1);
        EXPECT_EQ(h.src.octet[5], 12);
        EXPECT_EQ(h.pcp, 5);
        EXPECT_EQ(h.dei, 1);
        EXPECT_EQ(h.vlan, 42);
        EXPECT_EQ(h.type, ETH_TYPE_VLAN);
        EXPECT_EQ(h.hdr_len, 18);
        EXPECT_EQ(eth_emit(buf, &h), 18);
        EXPECT_MEM(buf, frame, 18);
}

/* Goal:   a frame too short for its header is dropped for that reason.
 * Method: every length below the header's, plain and tagged.
 * Spec:   IEEE 802.3 3.1.1
 */
TEST(eth_short)
{
        uint8_t frame[18] = { 0 };
        struct eth_hdr h;

        for (uint32_t len = 0; len < 14; len++)
                EXPECT_EQ(eth_parse(&h, frame, len), DROP_ETH_SHORT);
        EXPECT_EQ(eth_parse(&h, frame, 14), DROP_NONE);
        be16_to(frame + 12, ETH_TYPE_VLAN);
        for (uint32_t len = 14; len < 18; len++)
                EXPECT_EQ(eth_parse(&h, frame, len), DROP_ETH_SHORT);
        EXPECT_EQ(eth_parse(&h, frame, 18), DROP_NONE);
}

/* Goal:   what is written is read back, and is the packet of the RFC.
 * Method: random packets; the fixed octets by hand.
 * Spec:   RFC 826, packet format
 */
TEST(arp_round_trip)
{
        const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0 };
        struct rnd r;

        rnd_seed(&r, 2);
        for (int round = 0; round < 5000; round++) {
                struct arp_pkt in = {
                        .op = round % 2 ? ARP_REQUEST : ARP_REPLY, .sha = random_mac(&r), .tha = random_mac(&r),
                        .spa = ip_addr_v4((uint32_t)rnd_u64(&r)), .tpa = ip_addr_v4((uint32_t)rnd_u64(&r)),
                }, out;
                uint8_t buf[ARP_LEN];

                EXPECT_EQ(arp_emit(buf, &in), ARP_LEN);
                EXPECT_MEM(buf, head, sizeof head);
                EXPECT_MEM(buf + 8, &in.sha, 6);
                EXPECT_MEM(buf + 24, in.tpa.octet + 12, 4);
                REQUIRE(arp_parse(&out, buf, ARP_LEN) == DROP_NONE);
                EXPECT_EQ(out.op, in.op);
                EXPECT(mac_eq(&out.sha, &in.sha) && mac_eq(&out.tha, &in.tha));
                EXPECT(ip_addr_eq(&out.spa, &in.spa) && ip_addr_eq(&out.tpa, &in.tpa));
        }
}

/* Goal:   each way to be wrong has its reason.
 * Method: change one octet of a good packet; cut it.
 * Spec:   RFC 826, packet reception
 */
TEST(arp_drops)
{
        struct arp_pkt arp = { .op = ARP_REQUEST, .spa = ip_addr_v4(1), .tpa = ip_addr_v4(2) };
        uint8_t good[ARP_LEN], bad[ARP_LEN];

        arp_emit(good, &arp);
        for (uint32_t len = 0; len < ARP_LEN; len++)
                EXPECT_EQ(arp_parse(&arp, good, len), DROP_ARP_SHORT);
        for (uint32_t at = 0; at < 8; at++) {
                memcpy(bad, good, ARP_LEN);
                bad[at] ^= 0x40;
                EXPECT_EQ(arp_parse(&arp, bad, ARP_LEN), DROP_ARP_BAD);
        }
        be16_to(good + 6, 0);
        EXPECT_EQ(arp_parse(&arp, good, ARP_LEN), DROP_ARP_BAD);
        be16_to(good + 6, 3);
        EXPECT_EQ(arp_parse(&arp, good, ARP_LEN), DROP_ARP_BAD);
}

static void parse_frame(const uint8_t *buf, uint32_t len)
{
        struct eth_hdr h;
        struct arp_pkt arp;

        if (eth_parse(&h, buf, len) != DROP_NONE)
                return;
        EXPECT(h.hdr_len <= len);
        if (h.type == ETH_TYPE_ARP && arp_parse(&arp, buf + h.hdr_len, len - h.hdr_len) == DROP_NONE)
                EXPECT(arp.op == ARP_REQUEST || arp.op == ARP_REPLY);
}

/* Goal:   no frame makes the parsers read outside of it.
 * Method: every truncation and every single-octet change of a tagged ARP frame.
 * Spec:   tests/unit/wire/exact.h
 */
TEST(eth_arp_hostile)
{
        struct eth_hdr h = { .type = ETH_TYPE_ARP, .tagged = true };
        struct arp_pkt arp = { .op = ARP_REPLY, .spa = ip_addr_v4(1), .tpa = ip_addr_v4(2) };
        uint8_t frame[ETH_HDR_LEN_MAX + ARP_LEN];
        uint32_t len = eth_emit(frame, &h);

        len += arp_emit(frame + len, &arp);
        exact_hurt(frame, len, parse_frame);
        h.tagged = false;
        len = eth_emit(frame, &h);
        len += arp_emit(frame + len, &arp);
        exact_hurt(frame, len, parse_frame);
}
