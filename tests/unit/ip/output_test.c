/* SPDX-License-Identifier: MIT */
#include "tests/unit/ip/ip_world.h"

static struct frame f;

static struct pkt *segment(struct world *w, uint32_t len)
{
        struct pkt *p = pkt_take(&w->pool, len);
        REQUIRE(p);
        for (uint32_t i = 0; i < len; i++)
                p->data[i] = (uint8_t)(i * 5);
        p->len = len;
        return p;
}

static enum drop out(struct world *w, struct pkt *p, const char *src, const char *dst, uint8_t tos, uint8_t ttl)
{
        struct ip_addr s = A(src), d = A(dst);
        return ip_output(&w->ip, p, &s, &d, TCP, tos, ttl, w->now);
}

/* Goal:   the header says what it was told, octet for octet.
 * Method: a segment with TOS and TTL given, and one with the default.
 * Spec:   RFC 791 3.1; RFC 6864 4.1 (DF, ID 0)
 */
TEST(output_header)
{
        static const uint8_t want[10] = { 0x45, 0xb8, 0x00, 0x78, 0, 0, 0x40, 0, 0x21, 6 };
        struct world *w = world_new(NULL);

        world_meet(w, "10.77.0.9", PEER_MAC);
        EXPECT_EQ(out(w, segment(w, 100), "10.77.0.2", "10.77.0.9", 0xb8, 0x21), DROP_NONE);
        REQUIRE(taken(w, 0, &f));
        EXPECT(is_ip4(&f, PEER_MAC, "10.77.0.2", "10.77.0.9"));
        EXPECT_MEM(f.b + 14, want, sizeof want);
        for (uint32_t i = 0; i < 100; i++)
                EXPECT_EQ(f.b[34 + i], (uint8_t)(i * 5));
        EXPECT_EQ(out(w, segment(w, 100), "10.77.0.2", "10.77.0.9", 0, 0), DROP_NONE);
        REQUIRE(taken(w, 0, &f));
        EXPECT_EQ(f.b[22], 64);
        world_end(w);
}

/* Goal:   what can't be sent is dropped with its reason and freed.
 * Method: no route; larger than the MTU by one; IPv6; a super-segment beyond 64 KB.
 * Spec:   ip/ip.h, ip_output()
 */
TEST(output_reasons)
{
        struct world *w = world_new(NULL);

        world_meet(w, "10.77.0.9", PEER_MAC);
        EXPECT_EQ(out(w, segment(w, 40), "10.77.0.2", "8.8.8.8", 0, 0), DROP_IP_NO_ROUTE);
        EXPECT_EQ(out(w, segment(w, 40), "2001:db8::1", "2001:db8::2", 0, 0), DROP_IP_NO_ROUTE);
        EXPECT_EQ(out(w, segment(w, 1480), "10.77.0.2", "10.77.0.9", 0, 0), DROP_NONE);
        EXPECT_EQ(out(w, segment(w, 1481), "10.77.0.2", "10.77.0.9", 0, 0), DROP_IP_TOO_BIG);
        EXPECT_EQ(w->cnt.drop[DROP_IP_NO_ROUTE], 2);
        EXPECT_EQ(w->cnt.drop[DROP_IP_TOO_BIG], 1);

        struct pkt *p = segment(w, 65515);
        p->marks = PKT_GSO | PKT_CSUM_PARTIAL;
        p->gso_size = 1460;
        p->csum_offset = 16;
        EXPECT_EQ(out(w, p, "10.77.0.2", "10.77.0.9", 0, 0), DROP_NONE);
        world_hush(w);
        p = segment(w, 65516);
        p->marks = PKT_GSO;
        EXPECT_EQ(out(w, p, "10.77.0.2", "10.77.0.9", 0, 0), DROP_IP_TOO_BIG);
        world_end(w);
}

/* Goal:   a super-segment leaves with marks intact and the checksum where it is said to be.
 * Method: look at the packet in tx.
 * Spec:   pkt/pkt.h, PKT_CSUM_PARTIAL and PKT_GSO
 */
TEST(output_super_segment)
{
        struct world *w = world_new(NULL);

        world_meet(w, "10.77.0.9", PEER_MAC);
        struct pkt *p = segment(w, 30000);
        p->marks = PKT_GSO | PKT_CSUM_PARTIAL;
        p->gso_size = 1460;
        p->csum_start = 0;
        p->csum_offset = 16;
        EXPECT_EQ(out(w, p, "10.77.0.2", "10.77.0.9", 0, 0), DROP_NONE);
        p = pkt_list_pop(&w->ip.tx[0]);
        REQUIRE(p);
        EXPECT_EQ(p->marks, PKT_GSO | PKT_CSUM_PARTIAL);
        EXPECT_EQ(p->gso_size, 1460);
        EXPECT_EQ(p->csum_start, 34);
        EXPECT_EQ(get16(p->data + 16), 30020);
        pkt_give(&w->pool, p);
        world_end(w);
}

/* Goal:   packets to ourselves go out and come back without ARP.
 * Method: between two of our addresses, and inside a whole prefix; the frame is handed in again.
 * Spec:   ip/ip.h, ip_output() and IP_IFACE_REFLECTS
 */
TEST(output_to_self)
{
        struct world *w = world_empty(NULL);
        struct ip_prefix p = P("10.77.0.2/24"), q = P("10.64.0.0/16");

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 65535, 0, IP_IFACE_REFLECTS) == 0);
        REQUIRE(ip_local_add(&w->ip, 0, &p, false) == 0);
        REQUIRE(ip_local_add(&w->ip, 0, &q, true) == 0);
        EXPECT_EQ(out(w, segment(w, 500), "10.77.0.2", "10.64.9.9", 0, 0), DROP_NONE);
        REQUIRE(taken(w, 0, &f));
        EXPECT(is_ip4(&f, OUR_MAC, "10.77.0.2", "10.64.9.9"));
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.kind, IP_RX_TCP);
        EXPECT_EQ(w->seg_len, 500);
        EXPECT_EQ(out(w, segment(w, 500), "10.64.9.9", "10.64.9.9", 0, 0), DROP_NONE);
        REQUIRE(taken(w, 0, &f));
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(frames_ready(w), 0);
        EXPECT_EQ(w->ip.neigh.slab.used, 0);
        world_end(w);
}

/* Goal:   broadcast and multicast go to the right MAC address on the right link.
 * Method: two links; each kind of destination, from addresses of both.
 * Spec:   RFC 1122 3.2.1.3; RFC 1112 6.4
 */
TEST(output_broadcast)
{
        static const struct mac_addr group = { { 1, 0, 0x5e, 0x01, 2, 3 } };
        struct world *w = world_new(NULL);
        struct ip_prefix p = P("10.88.0.2/24");

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, 0) == 1);
        REQUIRE(ip_local_add(&w->ip, 1, &p, false) == 0);
        world_run(w, SEC(5));
        world_hush(w);
        EXPECT_EQ(out(w, segment(w, 40), "10.77.0.2", "10.88.0.255", 0, 0), DROP_NONE);
        EXPECT(taken(w, 1, &f) && is_ip4(&f, ALL_MAC, "10.77.0.2", "10.88.0.255"));
        for (int i = 0; i < 2; i++) {
                const char *src = i ? "10.88.0.2" : "10.77.0.2";
                EXPECT_EQ(out(w, segment(w, 40), src, "255.255.255.255", 0, 0), DROP_NONE);
                EXPECT(taken(w, (uint32_t)i, &f) && is_ip4(&f, ALL_MAC, src, "255.255.255.255"));
                EXPECT_EQ(out(w, segment(w, 40), src, "239.129.2.3", 0, 0), DROP_NONE);
                EXPECT(taken(w, (uint32_t)i, &f) && is_ip4(&f, group, src, "239.129.2.3"));
        }
        world_end(w);
}

/* Goal:   what is kept about destinations follows every change: a new route, a new address,
 *         a neighbour with a new MAC address, an evicted neighbour.
 * Method: send before and after each.
 * Spec:   ip/output.c
 */
TEST(output_follows_changes)
{
        static const struct mac_addr mac1 = { { 2, 0, 0, 0, 0, 0x11 } }, mac2 = { { 2, 0, 0, 0, 0, 0x22 } };
        struct ip_conf conf = ip_conf_default();
        conf.neigh.max = 3;
        struct world *w = world_new(&conf);
        struct ip_prefix all = P("0.0.0.0/0"), host = P("8.8.8.8/32");
        struct ip_addr g1 = A("10.77.0.101"), g2 = A("10.77.0.102");

        EXPECT_EQ(send_to(w, "8.8.8.8", 40), DROP_IP_NO_ROUTE);
        EXPECT_EQ(ip_route_add(&w->ip, &all, &g1, 0), 0);
        world_meet(w, "10.77.0.101", mac1);
        world_meet(w, "10.77.0.102", mac2);
        EXPECT_EQ(send_to(w, "8.8.8.8", 40), DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, mac1, "10.77.0.2", "8.8.8.8"));
        EXPECT_EQ(ip_route_add(&w->ip, &host, &g2, 0), 0);
        EXPECT_EQ(send_to(w, "8.8.8.8", 40), DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, mac2, "10.77.0.2", "8.8.8.8"));
        make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, "10.77.0.102", NO_MAC, "10.77.0.102");
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(send_to(w, "8.8.8.8", 40), DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, PEER_MAC, "10.77.0.2", "8.8.8.8"));

        world_meet(w, "10.77.0.9", mac1);
        EXPECT_EQ(send_to(w, "10.77.0.9", 40), DROP_NONE);
        world_meet(w, "10.77.0.10", mac2);      /* pushes .9 out */
        world_hush(w);
        EXPECT_EQ(send_to(w, "10.77.0.9", 40), DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.9"));

        struct ip_prefix mine = P("8.8.8.8/32");
        EXPECT_EQ(ip_local_add(&w->ip, 0, &mine, false), 0);
        EXPECT_EQ(send_to(w, "8.8.8.8", 40), DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, OUR_MAC, "10.77.0.2", "8.8.8.8"));
        world_end(w);
}

/* Goal:   an echo request that a device put at the very start of its buffer is answered all the same.
 * Method: no headroom at all, from an untagged link to be answered on a tagged one; and a full buffer.
 * Spec:   ip/output.c, make_headroom()
 */
TEST(output_without_headroom)
{
        struct world *w = world_empty(NULL);
        struct ip_prefix a = P("10.77.0.2/24"), b = P("10.88.0.2/24");
        struct ip_rx rx;

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, 0) == 0);
        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 65535, 7, 0) == 1);
        REQUIRE(ip_local_add(&w->ip, 0, &a, false) == 0);
        REQUIRE(ip_local_add(&w->ip, 1, &b, false) == 0);
        world_run(w, SEC(5));
        world_hush(w);
        for (int full = 0; full < 2; full++) {
                uint32_t room = PKT_SMALL_SIZE - 64;
                make_echo(&f, "10.88.0.9", "10.77.0.2", full ? room - 42 : 56);
                struct pkt *p = pkt_take(&w->pool, 100);
                REQUIRE(p);
                p->data = pkt_buf(p);
                p->len = f.len;
                memcpy(p->data, f.b, f.len);
                EXPECT_EQ(ip_input(&w->ip, p, w->now, &rx), DROP_NONE);
                EXPECT_EQ(w->cnt.drop[DROP_NO_PKT], full);
        }
        world_hush(w);
        memset(&f, 0, sizeof f);
        make_eth(&f, OUR_MAC, PEER_MAC, 0x8100);
        put16(&f, 7);
        put16(&f, 0x806);
        put_arp(&f, ARP_REP, PEER_MAC, "10.88.0.9", OUR_MAC, "10.88.0.2");
        EXPECT_EQ(give(w, &f, 1), DROP_NONE);
        REQUIRE(taken(w, 1, &f));
        EXPECT_EQ(f.len, 18 + 20 + 64);
        EXPECT_EQ(naive_sum(f.b + 38, 64, 0), 0xffff);
        world_end(w);
}
