/* SPDX-License-Identifier: MIT */
#include "tests/unit/ip/ip_world.h"

static struct frame f, g;

/* Goal:   pings of every size are answered octet for octet.
 * Method: payloads from 0 to the MTU, and 60,000 on a link that takes it; odd ones too.
 * Spec:   RFC 1122 3.2.2.6
 */
TEST(icmp_echo)
{
        static const uint32_t size[] = { 0, 1, 7, 56, 57, 548, 1471, 1472, 60000 };
        struct world *w = world_new(NULL);
        struct ip_prefix p = P("10.88.0.2/24");

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 65535, 0, 0) == 1);
        REQUIRE(ip_local_add(&w->ip, 1, &p, false) == 0);
        world_run(w, SEC(5));
        world_hush(w);
        make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, "10.88.0.9", NO_MAC, "10.88.0.2");
        EXPECT_EQ(give(w, &f, 1), DROP_NONE);
        world_hush(w);
        for (uint32_t i = 0; i < ARRAY_LEN(size); i++) {
                make_echo(&f, "10.88.0.9", "10.88.0.2", size[i]);
                f.b[15] = 0x10;
                fix_ip4(f.b + 14);
                EXPECT_EQ(give(w, &f, 1), DROP_NONE);
                REQUIRE(taken(w, 1, &g));
                EXPECT(is_ip4(&g, PEER_MAC, "10.88.0.2", "10.88.0.9"));
                EXPECT_EQ(g.len, f.len);
                EXPECT_EQ(g.b[15], 0x10);
                EXPECT_EQ(g.b[22], 64);
                EXPECT_EQ(g.b[34], 0);
                EXPECT_EQ(naive_sum(g.b + 34, 8 + size[i], 0), 0xffff);
                EXPECT_MEM(g.b + 38, f.b + 38, 4 + size[i]);
        }
        EXPECT_EQ(w->cnt.cnt[CNT_ICMP_ECHOES], ARRAY_LEN(size));
        world_end(w);
}

/* Goal:   echoes to broadcast addresses, broken ones, replies and other types get no answer.
 * Method: one of each.
 * Spec:   RFC 1122 3.2.2, 3.2.2.6; base/drops.def
 */
TEST(icmp_reasons)
{
        static const uint8_t others[] = { 0, 1, 2, 4, 5, 9, 10, 13, 14, 15, 17, 30, 255 };
        struct world *w = world_new(NULL);

        world_meet(w, "10.77.0.9", PEER_MAC);
        make_echo(&f, "10.77.0.9", "10.77.0.255", 56);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_BROADCAST);
        make_echo(&f, "10.77.0.9", "255.255.255.255", 56);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_BROADCAST);
        make_echo(&f, "10.77.0.9", "10.77.0.2", 56);
        f.b[60] ^= 1;
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_CHECKSUM);
        make_ip4(&f, ICMP, "10.77.0.9", "10.77.0.2", NULL, 7);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_SHORT);
        make_ip4(&f, ICMP, "10.77.0.9", "10.77.0.2", NULL, 0);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_SHORT);
        for (uint32_t i = 0; i < sizeof others; i++) {
                make_echo(&f, "10.77.0.9", "10.77.0.2", 56);
                f.b[34] = others[i];
                fill_sum(f.b + 36, f.b + 34, 64, 0);
                EXPECT_EQ(give(w, &f, 0), DROP_ICMP_TYPE);
        }
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}

/* Goal:   echo replies keep to their rate.
 * Method: 50 requests at once with a burst of 10 and 100 a second allowed; then a second later.
 * Spec:   ip/ip.h, struct ip_conf
 */
TEST(icmp_echo_rate)
{
        struct ip_conf conf = ip_conf_default();
        conf.echo_per_s = 100;
        conf.echo_burst = 10;
        struct world *w = world_new(&conf);

        world_meet(w, "10.77.0.9", PEER_MAC);
        make_echo(&f, "10.77.0.9", "10.77.0.2", 56);
        for (int i = 0; i < 50; i++)
                EXPECT_EQ(give(w, &f, 0), i < 10 ? DROP_NONE : DROP_ICMP_RATE);
        EXPECT_EQ(frames_ready(w), 10);
        world_run(w, SEC(1));
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        world_end(w);
}

/* Is @e an ICMP destination unreachable of this code that quotes @about rightly? */
static void expect_unreachable(const struct frame *e, uint32_t code, const struct frame *about)
{
        uint32_t quoted = u32_min(about->len - 14, 576 - 28);

        EXPECT(is_ip4(e, PEER_MAC, "10.77.0.2", "10.77.0.9"));
        EXPECT_EQ(e->b[23], ICMP);
        EXPECT_EQ(e->b[15], 0xc0);
        EXPECT_EQ(e->b[34], 3);
        EXPECT_EQ(e->b[35], code);
        EXPECT_EQ(naive_sum(e->b + 34, e->len - 34, 0), 0xffff);
        EXPECT_EQ(e->len, 34 + 8 + quoted);
        EXPECT_MEM(e->b + 42, about->b + 14, quoted);
}

/* Goal:   datagrams for nobody and unknown protocols are answered by the right error.
 * Method: small and large ones; the quote is compared; with UDP sockets there the datagram is handed out.
 * Spec:   RFC 1122 3.2.2.1; RFC 1812 4.3.2.3, 4.3.2.5
 */
TEST(icmp_unreachable)
{
        struct world *w = world_new(NULL);

        world_meet(w, "10.77.0.9", PEER_MAC);
        for (uint32_t len = 0; len <= 1472; len += 184) {
                make_udp(&f, "10.77.0.9", "10.77.0.2", len, len % 3);
                EXPECT_EQ(give(w, &f, 0), DROP_UDP_NO_PORT);
                REQUIRE(taken(w, 0, &g));
                expect_unreachable(&g, 3, &f);
        }
        make_ip4(&f, 132, "10.77.0.9", "10.77.0.2", NULL, 100);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_PROTO);
        REQUIRE(taken(w, 0, &g));
        expect_unreachable(&g, 2, &f);
        EXPECT_EQ(w->cnt.cnt[CNT_ICMP_ERRORS_SENT], 10);
        world_end(w);

        struct ip_conf conf = ip_conf_default();
        conf.udp = true;
        w = world_new(&conf);
        make_udp(&f, "10.77.0.9", "10.77.0.255", 100, true);
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.kind, IP_RX_UDP);
        EXPECT(w->rx.broadcast);
        EXPECT_EQ(w->seg_len, 108);
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}

/* Goal:   broken datagrams are dropped in silence.
 * Method: lengths that lie, a wrong checksum, one bit each; and none at all, which is allowed.
 * Spec:   RFC 768; RFC 1122 4.1.3.4
 */
TEST(udp_reasons)
{
        struct world *w = world_new(NULL);

        world_meet(w, "10.77.0.9", PEER_MAC);
        make_ip4(&f, UDP, "10.77.0.9", "10.77.0.2", NULL, 7);
        EXPECT_EQ(give(w, &f, 0), DROP_UDP_SHORT);
        make_udp(&f, "10.77.0.9", "10.77.0.2", 20, false);
        f.b[39] = 29;
        EXPECT_EQ(give(w, &f, 0), DROP_UDP_SHORT);
        f.b[39] = 7;
        EXPECT_EQ(give(w, &f, 0), DROP_UDP_SHORT);
        make_udp(&f, "10.77.0.9", "10.77.0.2", 21, true);
        for (uint32_t bit = 0; bit < 8 * 29; bit++) {
                uint32_t at = 34 + bit / 8;
                if (at == 38 || at == 39)
                        continue;               /* the length: above */
                f.b[at] ^= (uint8_t)(1 << bit % 8);
                EXPECT_EQ(give(w, &f, 0), DROP_UDP_CHECKSUM);
                f.b[at] ^= (uint8_t)(1 << bit % 8);
        }
        EXPECT_EQ(frames_ready(w), 0);
        EXPECT_EQ(give(w, &f, 0), DROP_UDP_NO_PORT);
        EXPECT_EQ(frames_ready(w), 1);
        world_end(w);
}

/* Goal:   no error about broadcasts, fragments, ICMP errors, bad sources; and no more than configured.
 * Method: what would otherwise be answered, in each of these forms; then a flood.
 * Spec:   RFC 1122 3.2.2; RFC 1812 4.3.2.7, 4.3.2.8
 */
TEST(icmp_errors_are_held_back)
{
        struct world *w = world_new(NULL);
        uint8_t *h;

        world_meet(w, "10.77.0.9", PEER_MAC);
        make_udp(&f, "10.77.0.9", "10.77.0.255", 20, true);
        EXPECT_EQ(give(w, &f, 0), DROP_UDP_NO_PORT);
        make_udp(&f, "10.77.0.9", "255.255.255.255", 20, true);
        EXPECT_EQ(give(w, &f, 0), DROP_UDP_NO_PORT);
        make_ip4(&f, 132, "10.77.0.9", "10.77.0.255", NULL, 20);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_PROTO);
        make_udp(&f, "10.77.0.9", "10.77.0.2", 20, true);
        memcpy(f.b, ALL_MAC.octet, 6);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_LINK_BCAST);
        make_udp(&f, "10.77.0.9", "10.77.0.2", 20, true);
        h = f.b + 14;
        h[6] = 0x20;
        fix_ip4(h);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_FRAGMENT);
        make_udp(&f, "10.77.0.255", "10.77.0.2", 20, false);
        EXPECT_EQ(give(w, &f, 0), DROP_IP_SRC);
        EXPECT_EQ(frames_ready(w), 0);

        /* About an ICMP message: an error never, an echo request would be. */
        for (int type = 3; type <= 8; type += 5) {
                struct pkt *p = pkt_take(&w->pool, 100);
                struct ip_rx rx = { .proto = ICMP, .hdr_len = 20, .src = A("10.77.0.9"), .dst = A("10.77.0.2") };
                REQUIRE(p);
                memset(p->data, 0, 100);
                p->len = 100;
                p->data[20] = (uint8_t)type;
                pkt_pull(p, 20);
                EXPECT_EQ(ip_icmp_unreachable(&w->ip, p, &rx, 3, w->now), type == 8);
                pkt_give(&w->pool, p);
        }
        world_hush(w);

        world_run(w, SEC(1));
        make_udp(&f, "10.77.0.9", "10.77.0.2", 20, true);
        for (int i = 0; i < 500; i++)
                EXPECT_EQ(give(w, &f, 0), DROP_UDP_NO_PORT);
        EXPECT_EQ(frames_ready(w), 50);
        world_hush(w);
        for (int i = 0; i < 1000; i++) {
                world_run(w, MS(1) / 2);
                give(w, &f, 0);
        }
        EXPECT_GE(frames_ready(w), 499);
        EXPECT_LE(frames_ready(w), 501);
        world_end(w);
}

/* An ICMP error from a router about a packet of ours. */
static void make_error(struct frame *e, uint32_t type, uint32_t code, uint32_t rest, const struct frame *about,
                       uint32_t quoted)
{
        uint8_t *h = make_ip4(e, ICMP, "10.1.1.1", "10.77.0.2", NULL, 8 + quoted);

        h[20] = (uint8_t)type;
        h[21] = (uint8_t)code;
        for (int i = 0; i < 4; i++)
                h[24 + i] = (uint8_t)(rest >> (24 - 8 * i));
        memcpy(h + 28, about->b + 14, quoted);
        fill_sum(h + 22, h + 20, 8 + quoted, 0);
}

/* Goal:   an ICMP error about a TCP segment comes out as a claim with ports, sequence number and MTU.
 * Method: each type; quotes cut short, of other protocols, of other hosts, of later fragments.
 * Spec:   RFC 1122 3.2.2.1, 4.2.3.9; RFC 1191 4; RFC 5927 4.1
 */
TEST(icmp_errors_received)
{
        static const uint8_t tcp[20] = { 0x13, 0x88, 0x00, 0x50, 0xde, 0xad, 0xbe, 0xef };
        struct world *w = world_new(NULL);
        struct frame *about = &g;
        struct ip_addr us = A("10.77.0.2"), peer = A("8.8.8.8");

        make_ip4(about, TCP, "10.77.0.2", "8.8.8.8", tcp, sizeof tcp);
        make_error(&f, 3, 4, 1400, about, 28);
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.kind, IP_RX_ICMP_ERROR);
        EXPECT(ip_addr_eq(&w->rx.icmp.local, &us) && ip_addr_eq(&w->rx.icmp.remote, &peer));
        EXPECT_EQ(w->rx.icmp.local_port, 5000);
        EXPECT_EQ(w->rx.icmp.remote_port, 80);
        EXPECT_EQ(w->rx.icmp.seq.raw, 0xdeadbeef);
        EXPECT_EQ(w->rx.icmp.type, 3);
        EXPECT_EQ(w->rx.icmp.code, 4);
        EXPECT_EQ(w->rx.icmp.mtu, 1400);
        make_error(&f, 11, 0, 1400, about, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.kind, IP_RX_ICMP_ERROR);
        EXPECT_EQ(w->rx.icmp.type, 11);
        EXPECT_EQ(w->rx.icmp.mtu, 0);
        make_error(&f, 12, 0, 0, about, 40);
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        EXPECT_EQ(w->rx.kind, IP_RX_ICMP_ERROR);

        make_error(&f, 3, 1, 0, about, 27);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_NO_FLOW);
        make_error(&f, 3, 1, 0, about, 19);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_SHORT);
        make_error(&f, 3, 1, 0, about, 0);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_SHORT);
        make_ip4(about, TCP, "10.77.0.3", "8.8.8.8", tcp, sizeof tcp);
        make_error(&f, 3, 1, 0, about, 28);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_NO_FLOW);
        make_ip4(about, UDP, "10.77.0.2", "8.8.8.8", tcp, sizeof tcp);
        make_error(&f, 3, 3, 0, about, 28);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_NO_FLOW);
        make_ip4(about, TCP, "10.77.0.2", "8.8.8.8", tcp, sizeof tcp);
        about->b[14 + 7] = 1;
        make_error(&f, 3, 1, 0, about, 28);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_NO_FLOW);
        about->b[14 + 7] = 0;
        make_error(&f, 3, 1, 0, about, 28);
        f.b[33] = 255;                          /* to the broadcast address */
        fix_ip4(f.b + 14);
        EXPECT_EQ(give(w, &f, 0), DROP_ICMP_BROADCAST);
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}
