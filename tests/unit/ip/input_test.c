/* SPDX-License-Identifier: MIT */
#include "tests/unit/ip/ip_world.h"

static struct frame f;

/* Goal:   a TCP segment comes out as it went in, without padding, with what IP knows of it.
 * Method: one with IP options and Ethernet padding; one with TTL 0.
 * Spec:   ip/ip.h, ip_input(); RFC 1122 3.2.1.7 (TTL is no reason to drop)
 */
TEST(input_tcp)
{
        static const uint8_t seg[24] = "24 octets of TCP, say...";
        struct world *w = world_new(NULL);
        struct ip_addr src = A("192.0.2.7"), dst = A("10.77.0.2");

        uint8_t *h = make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", seg, sizeof seg);
        h[1] = 0xb9;
        h[8] = 0;
        fix_ip4(h);
        memset(f.b + f.len, 0xee, 20);
        f.len += 20;
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.kind, IP_RX_TCP);
        EXPECT_EQ(w->rx.proto, TCP);
        EXPECT_EQ(w->rx.ttl, 0);
        EXPECT_EQ(w->rx.tos, 0xb9);
        EXPECT_EQ(w->rx.iface, 0);
        EXPECT_EQ(w->rx.hdr_len, 20);
        EXPECT(ip_addr_eq(&w->rx.src, &src) && ip_addr_eq(&w->rx.dst, &dst) && !w->rx.broadcast);
        EXPECT_EQ(w->seg_len, sizeof seg);
        EXPECT_MEM(w->seg, seg, sizeof seg);

        /* NOP NOP END and padding: 4 octets of options */
        make_eth(&f, OUR_MAC, PEER_MAC, 0x800);
        h = put_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", "\1\1\0\0payload!", 12);
        h[0] = 0x46;
        fix_ip4(h);
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.hdr_len, 24);
        EXPECT_EQ(w->seg_len, 8);
        EXPECT_MEM(w->seg, "payload!", 8);
        world_end(w);
}

/* Goal:   marks and offsets of an offloaded frame survive.
 * Method: a large PKT_CSUM_PARTIAL | PKT_GSO frame, as a TAP device gives it.
 * Spec:   pkt/pkt.h
 */
TEST(input_offloaded)
{
        struct world *w = world_new(NULL);
        struct ip_rx rx;

        make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 60000);
        struct pkt *p = pkt_take(&w->pool, f.len);
        REQUIRE(p);
        memcpy(p->data, f.b, f.len);
        p->len = f.len;
        p->marks = PKT_CSUM_PARTIAL | PKT_GSO;
        p->gso_size = 1448;
        p->csum_start = 34;
        p->csum_offset = 16;
        EXPECT_EQ(ip_input(&w->ip, p, w->now, &rx), DROP_NONE);
        EXPECT_EQ(rx.kind, IP_RX_TCP);
        EXPECT_EQ(p->marks, PKT_CSUM_PARTIAL | PKT_GSO | PKT_RX_IP4);
        EXPECT_EQ(p->csum_start, 0);
        EXPECT_EQ(p->l4, 34);
        EXPECT_EQ(p->len, 60000);
        pkt_give(&w->pool, p);
        world_end(w);
}

static void expect_ip(struct world *w, const char *src, const char *dst, enum drop want)
{
        make_ip4(&f, TCP, src, dst, NULL, 40);
        EXPECT_EQ(give(w, &f, 0), want);
}

/* Goal:   what is wrong with an Ethernet or IPv4 header is found, and named.
 * Method: one frame for each reason.
 * Spec:   base/drops.def, Ethernet and IP
 */
TEST(input_header_reasons)
{
        struct world *w = world_new(NULL);
        uint8_t *h;

        make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
        f.len = 13;
        EXPECT_EQ(give(w, &f, 0), DROP_ETH_SHORT);
        f.len = 0;
        EXPECT_EQ(give(w, &f, 0), DROP_ETH_SHORT);
        make_eth(&f, PEER_MAC, PEER_MAC, 0x800);
        put_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_ETH_NOT_OURS);
        make_eth(&f, (struct mac_addr){ { 1, 0, 0x5e, 0, 0, 1 } }, PEER_MAC, 0x800);
        put_ip4(&f, TCP, "192.0.2.7", "224.0.0.1", NULL, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_ETH_NOT_OURS);
        make_eth(&f, OUR_MAC, PEER_MAC, 0x86dd);
        EXPECT_EQ(give(w, &f, 0), DROP_ETH_TYPE);
        make_eth(&f, OUR_MAC, PEER_MAC, 100);
        EXPECT_EQ(give(w, &f, 0), DROP_ETH_TYPE);

        make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 0);
        f.len--;
        EXPECT_EQ(give(w, &f, 0), DROP_IP_SHORT);
        h = make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
        h[0] = 0x65;
        EXPECT_EQ(give(w, &f, 0), DROP_IP_VERSION);
        h[0] = 0x44;
        EXPECT_EQ(give(w, &f, 0), DROP_IP_HDR_LEN);
        h = make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
        f.len--;
        EXPECT_EQ(give(w, &f, 0), DROP_IP_TOTAL_LEN);
        h = make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
        h[8]--;
        EXPECT_EQ(give(w, &f, 0), DROP_IP_CHECKSUM);
        h = make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", "\x83\x04\x04\x00payload!", 12);
        h[0] = 0x46;
        fix_ip4(h);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_OPTION);

        for (uint32_t frag = 0; frag < 3; frag++) {
                static const uint16_t field[] = { 0x2000, 0x2010, 0x0010 };
                h = make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
                h[6] = (uint8_t)(field[frag] >> 8);
                h[7] = (uint8_t)field[frag];
                fix_ip4(h);
                EXPECT_EQ(give(w, &f, 0), DROP_IP_FRAGMENT);
        }
        expect_ip(w, "192.0.2.7", "10.77.0.3", DROP_IP_NOT_OURS);
        expect_ip(w, "192.0.2.7", "10.77.0.0", DROP_IP_NOT_OURS);
        expect_ip(w, "192.0.2.7", "224.0.0.1", DROP_IP_NOT_OURS);
        expect_ip(w, "192.0.2.7", "10.77.0.255", DROP_TCP_BROADCAST);
        expect_ip(w, "192.0.2.7", "255.255.255.255", DROP_TCP_BROADCAST);
        make_eth(&f, ALL_MAC, PEER_MAC, 0x800);
        put_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_LINK_BCAST);
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}

/* Goal:   only one host, and another one than us, can be a source.
 * Method: each kind of address; our own from our own MAC, with and without a reflecting link.
 * Spec:   RFC 1122 3.2.1.3
 */
TEST(input_source_reasons)
{
        struct world *w = world_new(NULL);
        static const char *const bad[] = { "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.5", "239.1.1.1",
                                           "255.255.255.255", "10.77.0.255", "10.77.0.2" };

        for (uint32_t i = 0; i < ARRAY_LEN(bad); i++)
                expect_ip(w, bad[i], "10.77.0.2", DROP_IP_SRC);
        expect_ip(w, "240.0.0.1", "10.77.0.2", DROP_NONE);
        make_eth(&f, OUR_MAC, OUR_MAC, 0x800);
        put_ip4(&f, TCP, "10.77.0.2", "10.77.0.2", NULL, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_SRC);
        EXPECT_EQ(w->cnt.drop[DROP_IP_SRC], ARRAY_LEN(bad) + 1);
        world_end(w);

        w = world_empty(NULL);
        struct ip_prefix p = P("10.77.0.2/24"), lo = P("127.0.0.1/8");
        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, IP_IFACE_REFLECTS) == 0);
        REQUIRE(ip_local_add(&w->ip, 0, &p, false) == 0);
        REQUIRE(ip_local_add(&w->ip, 0, &lo, false) == 0);
        make_eth(&f, OUR_MAC, OUR_MAC, 0x800);
        put_ip4(&f, TCP, "10.77.0.2", "10.77.0.2", NULL, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.kind, IP_RX_TCP);
        make_eth(&f, OUR_MAC, OUR_MAC, 0x800);
        put_ip4(&f, TCP, "127.0.0.1", "127.0.0.1", NULL, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        make_eth(&f, OUR_MAC, OUR_MAC, 0x800);
        put_ip4(&f, TCP, "224.0.0.1", "10.77.0.2", NULL, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_SRC);
        expect_ip(w, "10.77.0.2", "10.77.0.2", DROP_IP_SRC);    /* not from our MAC */
        world_end(w);
}

/* Goal:   ARP that makes no sense is dropped with its reason, and teaches nothing.
 * Method: one of each kind.
 * Spec:   RFC 826, packet reception; base/drops.def
 */
TEST(input_arp_reasons)
{
        struct world *w = world_new(NULL);
        static const char *const bad[] = { "127.0.0.1", "224.0.0.5", "255.255.255.255", "10.77.0.255", "0.0.0.9" };

        make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, "10.77.0.9", NO_MAC, "10.77.0.2");
        f.len--;
        EXPECT_EQ(give(w, &f, 0), DROP_ARP_SHORT);
        for (uint32_t at = 14; at < 22; at++) {         /* types, lengths, operation */
                make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, "10.77.0.9", NO_MAC, "10.77.0.2");
                f.b[at] ^= 0x40;
                EXPECT_EQ(give(w, &f, 0), DROP_ARP_BAD);
        }
        for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
                make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, bad[i], NO_MAC, "10.77.0.2");
                EXPECT_EQ(give(w, &f, 0), DROP_ARP_BAD);
        }
        make_arp(&f, OUR_MAC, ARP_REP, PEER_MAC, "0.0.0.0", OUR_MAC, "10.77.0.2");
        EXPECT_EQ(give(w, &f, 0), DROP_ARP_BAD);
        make_arp(&f, ALL_MAC, ARP_REQ, ALL_MAC, "10.77.0.9", NO_MAC, "10.77.0.2");
        EXPECT_EQ(give(w, &f, 0), DROP_ARP_BAD);
        make_arp(&f, ALL_MAC, ARP_REQ, NO_MAC, "10.77.0.9", NO_MAC, "10.77.0.2");
        EXPECT_EQ(give(w, &f, 0), DROP_ARP_BAD);
        EXPECT_EQ(w->ip.neigh.slab.used, 0);
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}

/* A tag of @tci behind the addresses of a frame that has none. */
static void tag(struct frame *x, uint32_t tpid, uint32_t tci)
{
        memmove(x->b + 16, x->b + 12, x->len - 12);
        x->b[12] = (uint8_t)(tpid >> 8);
        x->b[13] = (uint8_t)tpid;
        x->b[14] = (uint8_t)(tci >> 8);
        x->b[15] = (uint8_t)tci;
        x->len += 4;
}

/* Goal:   a link with a VLAN hears and says its own tag alone; one without reads priority tags.
 * Method: the same segment with every sort of tag on both links; an echo request on the tagged link.
 * Spec:   IEEE 802.1Q 6.9
 */
TEST(input_vlan)
{
        struct world *w = world_new(NULL);
        struct ip_prefix p = P("10.88.0.2/24");
        static const struct {
                uint32_t  tpid, tci;
                enum drop plain, vlan7;
        } c[] = {
                { 0,      0,      DROP_NONE,     DROP_ETH_VLAN },
                { 0x8100, 0,      DROP_NONE,     DROP_ETH_VLAN },
                { 0x8100, 0xe000, DROP_NONE,     DROP_ETH_VLAN },
                { 0x8100, 7,      DROP_ETH_VLAN, DROP_NONE },
                { 0x8100, 0xa007, DROP_ETH_VLAN, DROP_NONE },
                { 0x8100, 8,      DROP_ETH_VLAN, DROP_ETH_VLAN },
                { 0x88a8, 0,      DROP_ETH_VLAN, DROP_ETH_VLAN },
                { 0x88a8, 7,      DROP_ETH_VLAN, DROP_ETH_VLAN },
        };

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 7, 0) == 1);
        REQUIRE(ip_local_add(&w->ip, 1, &p, false) == 0);
        world_run(w, SEC(5));
        EXPECT_EQ(w->ip.tx[1].cnt, 2);
        EXPECT(taken(w, 1, &f) && f.len == 46 && get32(f.b + 12) == 0x81000007 && get16(f.b + 16) == 0x806);
        world_hush(w);
        for (uint32_t i = 0; i < ARRAY_LEN(c); i++) {
                make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
                if (c[i].tpid)
                        tag(&f, c[i].tpid, c[i].tci);
                EXPECT_EQ(give(w, &f, 0), c[i].plain);
                EXPECT_EQ(give(w, &f, 1), c[i].vlan7);
        }
        make_ip4(&f, TCP, "192.0.2.7", "10.77.0.2", NULL, 40);
        tag(&f, 0x8100, 9);
        tag(&f, 0x8100, 7);
        EXPECT_EQ(give(w, &f, 1), DROP_ETH_TYPE);       /* a tag in a tag */
        f.len = 17;
        EXPECT_EQ(give(w, &f, 1), DROP_ETH_SHORT);

        make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, "10.88.0.9", NO_MAC, "10.88.0.2");
        tag(&f, 0x8100, 7);
        EXPECT_EQ(give(w, &f, 1), DROP_NONE);
        EXPECT(taken(w, 1, &f) && f.len == 46 && get32(f.b + 12) == 0x81000007);
        make_echo(&f, "10.88.0.9", "10.88.0.2", 56);
        tag(&f, 0x8100, 7);
        EXPECT_EQ(give(w, &f, 1), DROP_NONE);
        EXPECT(taken(w, 1, &f) && f.len == 18 + 20 + 64 && get32(f.b + 12) == 0x81000007 && f.b[18 + 20] == 0);
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}
