/* SPDX-License-Identifier: MIT */
#include "tests/unit/ip/ip_world.h"
#include "wire/icmp.h"

static struct frame f;

static void arp(struct world *w, uint32_t op, struct mac_addr sha, const char *spa, const char *tpa, enum drop want)
{
        make_arp(&f, op == ARP_REQ ? ALL_MAC : OUR_MAC, op, sha, spa, op == ARP_REQ ? NO_MAC : OUR_MAC, tpa);
        EXPECT_EQ(give(w, &f, 0), want);
}

static int state_of(struct world *w, const char *addr)
{
        struct neigh *n = neigh_of(w, addr);
        return n ? n->state : -1;
}

/* Goal:   a packet to a stranger waits, is sent in order once he has answered, and so are later ones.
 * Method: two packets, an answer, one more.
 * Spec:   RFC 826; RFC 1122 2.3.2.2
 */
TEST(neigh_resolves_and_releases)
{
        struct world *w = world_new(NULL);

        EXPECT_EQ(send_to(w, "10.77.0.9", 100), DROP_NONE);
        EXPECT_EQ(send_to(w, "10.77.0.9", 101), DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.9"));
        EXPECT(!taken(w, 0, &f));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_INCOMPLETE);

        arp(w, ARP_REP, PEER_MAC, "10.77.0.9", "10.77.0.2", DROP_NONE);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, PEER_MAC, "10.77.0.2", "10.77.0.9"));
        EXPECT_EQ(f.len, 14 + 20 + 100);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, PEER_MAC, "10.77.0.2", "10.77.0.9"));
        EXPECT_EQ(f.len, 14 + 20 + 101);
        EXPECT_EQ(send_to(w, "10.77.0.9", 102), DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, PEER_MAC, "10.77.0.2", "10.77.0.9"));
        EXPECT(!taken(w, 0, &f));
        EXPECT_EQ(w->cnt.cnt[CNT_NEIGH_RESOLVED], 1);
        EXPECT_EQ(w->cnt.cnt[CNT_ARP_REQUESTS_SENT], 3);        /* two of them announcements */
        world_end(w);
}

/* Goal:   of many packets for one stranger the newest wait; the others are counted.
 * Method: room for three, ten packets of different length, then an answer.
 * Spec:   RFC 1122 2.3.2.2: keep at least the latest
 */
TEST(neigh_queue_keeps_the_newest)
{
        struct ip_conf conf = ip_conf_default();
        conf.neigh.hold_each = 3;
        struct world *w = world_new(&conf);

        for (uint32_t i = 0; i < 10; i++)
                EXPECT_EQ(send_to(w, "10.77.0.9", 100 + i), DROP_NONE);
        EXPECT_EQ(w->cnt.drop[DROP_NEIGH_QUEUE], 7);
        EXPECT_EQ(w->ip.neigh.held, 3);
        world_hush(w);
        arp(w, ARP_REP, PEER_MAC, "10.77.0.9", "10.77.0.2", DROP_NONE);
        for (uint32_t i = 7; i < 10; i++) {
                EXPECT(taken(w, 0, &f));
                EXPECT_EQ(f.len, 34 + 100 + i);
        }
        EXPECT_EQ(w->ip.neigh.held, 0);
        world_end(w);
}

/* Goal:   a silent neighbour is asked three times, a second apart, then its packets
 *         are given up and the shard learns whose they were.
 * Method: packets through a gateway to two destinations, and time.
 * Spec:   RFC 1122 2.3.2.1, 2.4; ip/ip.h, ip_next_failure()
 */
TEST(neigh_failure_is_told)
{
        struct world *w = world_new(NULL);
        struct ip_prefix all = P("0.0.0.0/0");
        struct ip_addr gw = A("10.77.0.1"), a = A("8.8.8.8"), b = A("9.9.9.9");
        struct ip_icmp_error lost;
        uint32_t asked = 0;

        EXPECT_EQ(ip_route_add(&w->ip, &all, &gw, 0), 0);
        send_to(w, "8.8.8.8", 50);
        send_to(w, "8.8.8.8", 51);
        send_to(w, "9.9.9.9", 52);
        for (int tenth = 0; tenth < 29; tenth++) {
                world_run(w, MS(100));
                while (taken(w, 0, &f)) {
                        EXPECT(is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.1"));
                        asked++;
                }
                EXPECT_EQ(asked, 1 + (tenth + 1) / 10);
        }
        EXPECT(!ip_next_failure(&w->ip, &lost));
        world_run(w, MS(200));
        EXPECT_EQ(asked, 3);
        EXPECT_EQ(frames_ready(w), 0);
        EXPECT(ip_next_failure(&w->ip, &lost) && ip_addr_eq(&lost.remote, &a) && lost.type == ICMP_UNREACHABLE);
        EXPECT(ip_next_failure(&w->ip, &lost) && ip_addr_eq(&lost.remote, &a));
        EXPECT(ip_next_failure(&w->ip, &lost) && ip_addr_eq(&lost.remote, &b) && lost.code == ICMP_UNREACHABLE_HOST);
        EXPECT(!ip_next_failure(&w->ip, &lost));
        EXPECT_EQ(w->cnt.drop[DROP_NEIGH_FAILED], 3);
        EXPECT_EQ(w->cnt.cnt[CNT_NEIGH_FAILED], 1);
        EXPECT_EQ(w->ip.neigh.slab.used, 0);
        EXPECT_EQ(ip_next_deadline(&w->ip, w->now), TIME_NEVER);

        send_to(w, "8.8.8.8", 50);              /* asks anew */
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.1"));
        world_end(w);
}

/* Goal:   many failures at once are remembered up to a bound and no further.
 * Method: 200 silent neighbours.
 * Spec:   ip/ip.h, IP_FAILURES
 */
TEST(neigh_failures_are_bounded)
{
        struct world *w = world_new(NULL);
        struct ip_icmp_error lost;
        uint32_t told = 0;
        char text[32];

        for (int i = 0; i < 200; i++) {
                snprintf(text, sizeof text, "10.77.0.%d", 10 + i);
                send_to(w, text, 50);
        }
        world_hush(w);
        world_run(w, SEC(4));
        while (ip_next_failure(&w->ip, &lost))
                told++;
        EXPECT_EQ(told, IP_FAILURES);
        EXPECT_EQ(w->cnt.cnt[CNT_NEIGH_FAILED], 200);
        world_end(w);
}

/* Goal:   a neighbour ages: fresh for 30 s, then stale; a stale one is used at once
 *         and probed after 5 s, by unicast; an answer makes it fresh again.
 * Method: the whole circle in virtual time.
 * Spec:   RFC 4861 7.3.2; RFC 1122 2.3.2.1 (unicast poll)
 */
TEST(neigh_ages_and_is_probed)
{
        struct world *w = world_new(NULL);

        world_meet(w, "10.77.0.9", PEER_MAC);
        world_run(w, SEC(29));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        world_run(w, SEC(2));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_STALE);
        world_run(w, SEC(500));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_STALE);
        EXPECT_EQ(frames_ready(w), 0);

        send_to(w, "10.77.0.9", 40);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, PEER_MAC, "10.77.0.2", "10.77.0.9"));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_DELAY);
        world_run(w, MS(4900));
        EXPECT_EQ(frames_ready(w), 0);
        world_run(w, MS(200));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_PROBE);
        EXPECT(taken(w, 0, &f) && is_arp(&f, PEER_MAC, ARP_REQ, "10.77.0.2", "10.77.0.9"));
        send_to(w, "10.77.0.9", 40);            /* still used */
        EXPECT(taken(w, 0, &f) && is_ip4(&f, PEER_MAC, "10.77.0.2", "10.77.0.9"));
        arp(w, ARP_REP, PEER_MAC, "10.77.0.9", "10.77.0.2", DROP_NONE);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        world_run(w, SEC(29));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}

/* Goal:   a neighbour that stops answering is given up after three probes and asked for by broadcast again.
 * Method: age it, use it, be silent.
 * Spec:   RFC 4861 7.3.3
 */
TEST(neigh_that_went_away)
{
        struct world *w = world_new(NULL);
        uint32_t probes = 0;

        world_meet(w, "10.77.0.9", PEER_MAC);
        world_run(w, SEC(31));
        send_to(w, "10.77.0.9", 40);
        world_hush(w);
        world_run(w, MS(8100));
        while (taken(w, 0, &f))
                probes += is_arp(&f, PEER_MAC, ARP_REQ, "10.77.0.2", "10.77.0.9");
        EXPECT_EQ(probes, 3);
        EXPECT_EQ(state_of(w, "10.77.0.9"), -1);
        send_to(w, "10.77.0.9", 40);
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.9"));
        world_end(w);
}

/* Goal:   progress of the upper layer keeps a neighbour fresh without any probe.
 * Method: confirm every 10 s for ten minutes; confirm a stale and a probed one.
 * Spec:   RFC 4861 7.3.1; ip/ip.h, ip_neigh_confirm()
 */
TEST(neigh_confirmed_from_above)
{
        struct world *w = world_new(NULL);
        struct ip_addr peer = A("10.77.0.9"), stranger = A("10.77.0.44"), nowhere = A("1.2.3.4");

        world_meet(w, "10.77.0.9", PEER_MAC);
        for (int i = 0; i < 60; i++) {
                world_run(w, SEC(10));
                EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
                send_to(w, "10.77.0.9", 40);
                ip_neigh_confirm(&w->ip, &peer, w->now);
                EXPECT_EQ(frames_ready(w), 1);
                world_hush(w);
        }
        world_run(w, SEC(31));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_STALE);
        ip_neigh_confirm(&w->ip, &peer, w->now);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        world_run(w, SEC(31));
        send_to(w, "10.77.0.9", 40);
        world_run(w, SEC(6));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_PROBE);
        ip_neigh_confirm(&w->ip, &peer, w->now);
        world_hush(w);
        world_run(w, SEC(20));
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        EXPECT_EQ(frames_ready(w), 0);

        ip_neigh_confirm(&w->ip, &stranger, w->now);
        ip_neigh_confirm(&w->ip, &nowhere, w->now);
        EXPECT_EQ(state_of(w, "10.77.0.44"), -1);
        send_to(w, "10.77.0.44", 40);
        ip_neigh_confirm(&w->ip, &stranger, w->now);
        EXPECT_EQ(state_of(w, "10.77.0.44"), NEIGH_INCOMPLETE);
        world_end(w);
}

/* Goal:   who asks for us is answered and remembered; who is not on our link is answered only.
 * Method: requests for our address, another's address and from elsewhere.
 * Spec:   RFC 826, packet reception (merge)
 */
TEST(arp_request_for_us)
{
        struct world *w = world_new(NULL);

        arp(w, ARP_REQ, PEER_MAC, "10.77.0.9", "10.77.0.2", DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_arp(&f, PEER_MAC, ARP_REP, "10.77.0.2", "10.77.0.9"));
        EXPECT_MEM(f.b + 32, PEER_MAC.octet, 6);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_STALE);
        EXPECT_EQ(w->cnt.cnt[CNT_ARP_REPLIES_SENT], 1);

        arp(w, ARP_REQ, PEER_MAC, "10.77.0.8", "10.77.0.3", DROP_ARP_NOT_OURS);
        EXPECT_EQ(state_of(w, "10.77.0.8"), -1);
        EXPECT_EQ(frames_ready(w), 0);
        arp(w, ARP_REQ, PEER_MAC, "10.99.0.8", "10.77.0.2", DROP_NONE);
        EXPECT_EQ(frames_ready(w), 1);
        EXPECT_EQ(w->ip.neigh.slab.used, 1);
        world_hush(w);
        arp(w, ARP_REQ, PEER_MAC, "0.0.0.0", "10.77.0.2", DROP_NONE);  /* an RFC 5227 probe */
        EXPECT(taken(w, 0, &f) && is_arp(&f, PEER_MAC, ARP_REP, "10.77.0.2", "0.0.0.0"));
        EXPECT_EQ(w->ip.neigh.slab.used, 1);

        struct ip_prefix whole = P("10.64.0.0/16");
        EXPECT_EQ(ip_local_add(&w->ip, 0, &whole, true), 0);
        arp(w, ARP_REQ, PEER_MAC, "10.77.0.9", "10.64.200.7", DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_arp(&f, PEER_MAC, ARP_REP, "10.64.200.7", "10.77.0.9"));
        world_end(w);
}

/* Goal:   unasked announcements change what is there and create nothing; a new MAC
 *         address is used at once but does not count as confirmed.
 * Method: gratuitous requests and replies, known and unknown senders; a request from one we wait for.
 * Spec:   RFC 826; RFC 5227 3
 */
TEST(arp_gratuitous)
{
        static const struct mac_addr mac2 = { { 2, 0, 0, 0, 0, 0x22 } };
        struct world *w = world_new(NULL);

        arp(w, ARP_REQ, PEER_MAC, "10.77.0.9", "10.77.0.9", DROP_ARP_NOT_OURS);
        arp(w, ARP_REP, PEER_MAC, "10.77.0.9", "10.77.0.9", DROP_ARP_NOT_OURS);
        arp(w, ARP_REP, PEER_MAC, "10.77.0.9", "10.77.0.2", DROP_ARP_UNASKED);
        EXPECT_EQ(w->ip.neigh.slab.used, 0);

        world_meet(w, "10.77.0.9", PEER_MAC);
        arp(w, ARP_REQ, PEER_MAC, "10.77.0.9", "10.77.0.9", DROP_NONE);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        arp(w, ARP_REQ, mac2, "10.77.0.9", "10.77.0.9", DROP_NONE);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_STALE);
        send_to(w, "10.77.0.9", 40);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, mac2, "10.77.0.2", "10.77.0.9"));
        arp(w, ARP_REP, PEER_MAC, "10.77.0.9", "10.77.0.2", DROP_NONE); /* nobody asked: believed, not confirmed */
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_STALE);

        send_to(w, "10.77.0.10", 40);
        world_hush(w);
        arp(w, ARP_REQ, mac2, "10.77.0.10", "10.77.0.2", DROP_NONE);
        EXPECT(taken(w, 0, &f) && is_ip4(&f, mac2, "10.77.0.2", "10.77.0.10"));
        EXPECT(taken(w, 0, &f) && is_arp(&f, mac2, ARP_REP, "10.77.0.2", "10.77.0.10"));
        EXPECT_EQ(state_of(w, "10.77.0.10"), NEIGH_DELAY);
        world_end(w);
}

/* Goal:   a flood of requests from made-up hosts neither grows the cache nor takes
 *         from it a neighbour in use, one that is being asked, or the gateway.
 * Method: room for 64; 20,000 strangers.
 * Spec:   ip/neigh.h
 */
TEST(arp_flood_is_bounded)
{
        struct ip_conf conf = ip_conf_default();
        conf.neigh.max = 64;
        struct world *w = world_new(&conf);
        struct ip_prefix link = P("10.80.0.2/16"), all = P("0.0.0.0/0");
        struct ip_addr gw = A("10.77.0.1");
        char text[32];

        EXPECT_EQ(ip_local_add(&w->ip, 0, &link, false), 0);
        EXPECT_EQ(ip_route_add(&w->ip, &all, &gw, 0), 0);
        send_to(w, "8.8.8.8", 40);
        arp(w, ARP_REP, PEER_MAC, "10.77.0.1", "10.77.0.2", DROP_NONE);
        world_meet(w, "10.77.0.9", PEER_MAC);
        send_to(w, "10.77.0.10", 40);
        for (uint32_t i = 0; i < 20000; i++) {
                snprintf(text, sizeof text, "10.80.%u.%u", 1 + i / 200, 1 + i % 200);
                make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, text, NO_MAC, "10.77.0.2");
                EXPECT_EQ(give(w, &f, 0), DROP_NONE);
                world_hush(w);
        }
        EXPECT_EQ(w->ip.neigh.slab.used, 64);
        EXPECT_EQ(w->cnt.cnt[CNT_NEIGH_EVICTED], 20000 - 61);
        EXPECT_EQ(state_of(w, "10.77.0.1"), NEIGH_REACHABLE);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        EXPECT_EQ(state_of(w, "10.77.0.10"), NEIGH_INCOMPLETE);

        /* Nothing stale is left: a stranger is answered but not remembered. */
        for (uint32_t i = 0; i < 61; i++) {
                snprintf(text, sizeof text, "10.77.0.%u", 20 + i);
                send_to(w, text, 40);
        }
        world_hush(w);
        arp(w, ARP_REQ, PEER_MAC, "10.80.250.1", "10.77.0.2", DROP_ARP_FLOOD);
        EXPECT_EQ(frames_ready(w), 1);
        EXPECT_EQ(state_of(w, "10.80.250.1"), -1);
        world_end(w);
}

/* Goal:   when the cache is full, what is asked for longest gives way to what is asked for now,
 *         before any living neighbour; the gateway stays to the end.
 * Method: room for 8; scans of a link by ourselves.
 * Spec:   ip/neigh.h, order of giving up
 */
TEST(neigh_eviction_order)
{
        struct ip_conf conf = ip_conf_default();
        conf.neigh.max = 8;
        struct world *w = world_new(&conf);
        struct ip_prefix all = P("0.0.0.0/0");
        struct ip_addr gw = A("10.77.0.1");
        char text[32];

        EXPECT_EQ(ip_route_add(&w->ip, &all, &gw, 0), 0);
        send_to(w, "8.8.8.8", 40);
        arp(w, ARP_REP, PEER_MAC, "10.77.0.1", "10.77.0.2", DROP_NONE);
        world_meet(w, "10.77.0.9", PEER_MAC);
        for (uint32_t i = 0; i < 100; i++) {
                snprintf(text, sizeof text, "10.77.0.%u", 20 + i);
                EXPECT_EQ(send_to(w, text, 40), DROP_NONE);
        }
        EXPECT_EQ(w->ip.neigh.slab.used, 8);
        EXPECT_EQ(w->cnt.drop[DROP_NEIGH_QUEUE], 94);
        EXPECT_EQ(w->ip.neigh.held, 6);
        EXPECT_EQ(state_of(w, "10.77.0.9"), NEIGH_REACHABLE);
        EXPECT_EQ(state_of(w, "10.77.0.119"), NEIGH_INCOMPLETE);
        EXPECT_EQ(state_of(w, "10.77.0.113"), -1);
        world_hush(w);

        /* All alive: then the one confirmed longest ago, but never the gateway. */
        for (uint32_t i = 0; i < 20; i++) {
                snprintf(text, sizeof text, "10.77.0.%u", 150 + i);
                world_meet(w, text, PEER_MAC);
        }
        EXPECT_EQ(state_of(w, "10.77.0.9"), -1);
        EXPECT_EQ(state_of(w, "10.77.0.1"), NEIGH_REACHABLE);
        EXPECT_EQ(state_of(w, "10.77.0.169"), NEIGH_REACHABLE);
        world_end(w);
}

/* Goal:   with nothing but gateways in the cache a new neighbour is refused, and counted.
 * Method: room for 2, two gateways.
 * Spec:   ip/ip.h, ip_output()
 */
TEST(neigh_full_of_gateways)
{
        struct ip_conf conf = ip_conf_default();
        conf.neigh.max = 2;
        struct world *w = world_new(&conf);
        struct ip_prefix one = P("1.0.0.0/8"), two = P("2.0.0.0/8");
        struct ip_addr g1 = A("10.77.0.101"), g2 = A("10.77.0.102");

        EXPECT_EQ(ip_route_add(&w->ip, &one, &g1, 0), 0);
        EXPECT_EQ(ip_route_add(&w->ip, &two, &g2, 0), 0);
        send_to(w, "1.1.1.1", 40);
        send_to(w, "2.2.2.2", 40);
        EXPECT_EQ(send_to(w, "10.77.0.9", 40), DROP_NEIGH_FULL);
        EXPECT_EQ(w->cnt.drop[DROP_NEIGH_FULL], 1);
        world_end(w);
}

/* Goal:   packets that wait for anybody are bounded in all; the longest waiting gives way.
 * Method: room for 10 packets; 40 strangers with one each, then two for one.
 * Spec:   ip/neigh.h, neigh_hold()
 */
TEST(neigh_total_queue_is_bounded)
{
        struct ip_conf conf = ip_conf_default();
        conf.neigh.hold_total = 10;
        struct world *w = world_new(&conf);
        char text[32];

        for (uint32_t i = 0; i < 40; i++) {
                snprintf(text, sizeof text, "10.77.0.%u", 20 + i);
                EXPECT_EQ(send_to(w, text, 40), DROP_NONE);
                EXPECT_LE(w->ip.neigh.held, 10);
        }
        EXPECT_EQ(w->cnt.drop[DROP_NEIGH_QUEUE], 30);
        EXPECT_EQ(w->ip.neigh.slab.used, 10);
        EXPECT_EQ(send_to(w, text, 41), DROP_NONE);     /* its own oldest goes */
        EXPECT_EQ(w->ip.neigh.slab.used, 10);
        EXPECT_EQ(w->ip.neigh.held, 10);
        world_end(w);

        conf.neigh.hold_total = 0;
        w = world_new(&conf);
        EXPECT_EQ(send_to(w, "10.77.0.20", 40), DROP_NEIGH_QUEUE);
        world_end(w);
}

/* Goal:   our own requests keep to their rate, and every neighbour is asked in the end.
 * Method: 100 strangers at once with 10 requests a second allowed; nobody answers, then count.
 * Spec:   RFC 1122 2.3.2.1: ARP flooding prevention
 */
TEST(arp_requests_are_rate_limited)
{
        struct ip_conf conf = ip_conf_default();
        conf.arp_per_s = 10;
        conf.arp_burst = 5;
        struct world *w = world_new(&conf);
        uint32_t asked = 0;
        bool seen[256] = { false };
        char text[32];

        for (uint32_t i = 0; i < 100; i++) {
                snprintf(text, sizeof text, "10.77.0.%u", 20 + i);
                send_to(w, text, 40);
        }
        EXPECT_LE(frames_ready(w), 5);
        for (int s = 0; s < 60; s++) {
                uint32_t before = asked;
                while (taken(w, 0, &f)) {
                        seen[f.b[41]] = true;
                        asked++;
                }
                EXPECT_LE(asked - before, 11 + 5);
                world_run(w, SEC(1));
        }
        EXPECT_EQ(asked, 300);
        for (uint32_t i = 0; i < 100; i++)
                EXPECT(seen[20 + i]);
        EXPECT_EQ(w->ip.neigh.slab.used, 0);
        world_end(w);
}
