/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "tests/unit/ip/ip_world.h"

enum { FRAMES = 150000 };

static struct frame f;

static void make_any(struct rnd *r)
{
        static const char *const addr[] = { "10.77.0.9", "10.77.0.2", "10.77.0.10", "10.64.1.1", "8.8.8.8",
                                            "10.77.0.255", "0.0.0.0", "10.77.0.11", "10.77.0.1" };
        const char *src = addr[rnd_below(r, ARRAY_LEN(addr))];
        const char *dst = rnd_below(r, 3) ? "10.77.0.2" : addr[rnd_below(r, ARRAY_LEN(addr))];
        uint32_t len = rnd_below(r, 8) ? rnd_below(r, 100) : rnd_below(r, 1460);

        switch (rnd_below(r, 6)) {
        case 0: make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, src, NO_MAC, dst); break;
        case 1: make_arp(&f, OUR_MAC, ARP_REP, PEER_MAC, src, OUR_MAC, dst); break;
        case 2: make_echo(&f, src, dst, len); break;
        case 3: make_udp(&f, src, dst, len, rnd_below(r, 2)); break;
        case 4: make_ip4(&f, TCP, src, dst, NULL, len); break;
        default: {
                uint8_t *h = make_ip4(&f, ICMP, src, dst, NULL, 48);
                h[20] = (uint8_t)(3 + rnd_below(r, 10));
                memcpy(h + 28, h, 20);
                memcpy(h + 28 + 12, h + 16, 4);
                h[28 + 9] = TCP;
                fill_sum(h + 22, h + 20, 48, 0);
        }
        }
}

/* Change some octets; mend the sums half of the time, so that more than the sums is tried. */
static void mutate(struct rnd *r)
{
        for (uint32_t n = rnd_below(r, 4); n; n--)
                f.b[rnd_below(r, rnd_below(r, 2) ? u32_min(f.len, 44) : f.len)] = (uint8_t)rnd_u64(r);
        if (rnd_below(r, 8) == 0)
                f.len = rnd_below(r, f.len + 1);
        if (rnd_below(r, 8) == 0)
                f.len += rnd_below(r, 40);
        uint32_t ihl = (f.b[14] & 15) * 4u;
        if (rnd_below(r, 2) || f.len < 14 + ihl || ihl < 20)
                return;
        fix_ip4(f.b + 14);
        if (f.b[23] == ICMP && f.len >= 14 + ihl + 8)
                fill_sum(f.b + 14 + ihl + 2, f.b + 14 + ihl, f.len - 14 - ihl, 0);
}

/* Goal:   no frame whatever crashes, leaks or makes anything grow without bound.
 * Method: 150,000 frames, most of them broken in a few octets, some packets of our own
 *         in between, time passing; small tables; every packet is back in the end.
 *         Each frame is handed in at the very end of its buffer, where the sanitizer sees a read beyond it.
 * Spec:   base/drops.def: everything dropped has its reason
 */
TEST(hostile_frames)
{
        struct ip_conf conf = ip_conf_default();
        struct rnd r;
        char dst[32];

        conf.neigh.max = 16;
        conf.neigh.hold_total = 20;
        conf.arp_per_s = 50;
        struct world *w = world_new(&conf);
        struct ip_prefix all = P("0.0.0.0/0"), whole = P("10.64.0.0/16");
        struct ip_addr gw = A("10.77.0.1");
        struct ip_icmp_error lost;

        log_set_level(LOG_ERROR);
        REQUIRE(ip_route_add(&w->ip, &all, &gw, 0) == 0);
        REQUIRE(ip_local_add(&w->ip, 0, &whole, true) == 0);
        rnd_seed(&r, 99);
        test_note("seed 99");
        for (int i = 0; i < FRAMES; i++) {
                make_any(&r);
                mutate(&r);
                struct pkt *p = pkt_take(&w->pool, f.len);
                REQUIRE(p);
                p->data = pkt_end(p) - f.len;
                memcpy(p->data, f.b, f.len);
                p->len = f.len;
                enum drop why = ip_input(&w->ip, p, w->now, &w->rx);
                REQUIRE(why < DROP_CNT);
                if (w->rx.kind == IP_RX_TCP) {
                        REQUIRE(p->len <= f.len && p->data + p->len <= pkt_end(p));
                        pkt_give(&w->pool, p);
                }
                if (rnd_below(&r, 16) == 0) {
                        snprintf(dst, sizeof dst, "10.77.0.%u", 3 + rnd_below(&r, 100));
                        send_to(w, dst, 40);
                }
                if (rnd_below(&r, 4) == 0) {
                        w->now += MS(rnd_below(&r, 400));
                        ip_timers(&w->ip, w->now, rnd_below(&r, 20));
                }
                REQUIRE(w->ip.neigh.slab.used <= 16 && w->ip.neigh.held <= 20);
                REQUIRE(frames_ready(w) <= 64);
                world_hush(w);
                while (ip_next_failure(&w->ip, &lost))
                        ;
        }
        REQUIRE(w->pool.small.used == w->ip.neigh.held);
        world_run(w, SEC(60));
        EXPECT_EQ(w->ip.neigh.held, 0);

        /* The mixture was worth it: most reasons of this layer have been met. */
        static const enum drop met[] = {
                DROP_ETH_SHORT, DROP_ETH_NOT_OURS, DROP_ETH_TYPE, DROP_ARP_SHORT, DROP_ARP_BAD, DROP_ARP_NOT_OURS,
                DROP_ARP_CONFLICT, DROP_ARP_UNASKED, DROP_IP_SHORT, DROP_IP_VERSION, DROP_IP_HDR_LEN,
                DROP_IP_TOTAL_LEN, DROP_IP_CHECKSUM, DROP_IP_OPTION, DROP_IP_SRC, DROP_IP_NOT_OURS, DROP_IP_FRAGMENT,
                DROP_IP_PROTO, DROP_NEIGH_QUEUE, DROP_NEIGH_FAILED, DROP_ICMP_SHORT, DROP_ICMP_CHECKSUM,
                DROP_ICMP_TYPE, DROP_ICMP_NO_FLOW, DROP_ICMP_BROADCAST, DROP_UDP_SHORT, DROP_UDP_CHECKSUM,
                DROP_UDP_NO_PORT, DROP_TCP_BROADCAST,
        };
        for (uint32_t i = 0; i < ARRAY_LEN(met); i++)
                if (!w->cnt.drop[met[i]])
                        test_fail(__FILE__, __LINE__, "no frame was dropped for %s", drop_infos[met[i]].name);
        EXPECT_GT(w->cnt.cnt[CNT_ICMP_ECHOES], 1000);
        EXPECT_GT(w->cnt.cnt[CNT_ARP_REPLIES_SENT], 1000);
        world_end(w);
}

/* Goal:   an empty pool costs packets, not the stack.
 * Method: all packets taken; then whatever would need one.
 * Spec:   pkt/pkt.h: an empty pool is a counted drop
 */
TEST(hostile_empty_pool)
{
        struct world *w = world_new(NULL);
        static struct pkt *all[POOL_SMALL];
        uint32_t cnt = 0;

        world_meet(w, "10.77.0.9", PEER_MAC);
        world_run(w, SEC(31));
        send_to(w, "10.77.0.9", 40);
        world_hush(w);
        make_udp(&f, "10.77.0.9", "10.77.0.2", 20, false);
        struct pkt *p = pkt_take(&w->pool, f.len);
        REQUIRE(p);
        memcpy(p->data, f.b, f.len);
        p->len = f.len;
        while (cnt < POOL_SMALL && (all[cnt] = pkt_take(&w->pool, 100)))
                cnt++;
        world_run(w, SEC(6));                   /* a probe would be due */
        EXPECT_GT(w->cnt.drop[DROP_NO_PKT], 0);
        EXPECT_EQ(ip_input(&w->ip, p, w->now, &w->rx), DROP_UDP_NO_PORT);
        EXPECT_EQ(frames_ready(w), 0);
        while (cnt)
                pkt_give(&w->pool, all[--cnt]);
        world_run(w, MS(200));
        EXPECT(taken(w, 0, &f) && is_arp(&f, PEER_MAC, ARP_REQ, "10.77.0.2", "10.77.0.9"));
        world_end(w);
}
