/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "tests/unit/ip/ip_world.h"

static struct frame f;
static uint32_t log_lines;

static void count_lines(void *arg, enum log_level level, const char *line) { log_lines++; }

static struct world *fresh(bool dad, uint32_t flags)
{
        struct ip_conf conf = ip_conf_default();
        conf.dad = dad;
        struct world *w = world_empty(&conf);
        struct ip_prefix p = P("10.77.0.2/24");

        log_set_sink(count_lines, NULL);
        log_lines = 0;
        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, flags) == 0);
        REQUIRE(ip_local_add(&w->ip, 0, &p, false) == 0);
        return w;
}

static bool usable(struct world *w)
{
        struct ip_addr a = A("10.77.0.2");
        return ip_is_local(&w->ip, &a);
}

static void rival(struct world *w, const char *spa, const char *tpa)
{
        make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, spa, NO_MAC, tpa);
        EXPECT_EQ(give(w, &f, 0), DROP_ARP_CONFLICT);
}

/* Goal:   a new address is announced twice, two seconds apart, and usable at once.
 * Method: look at the wire in virtual time.  A link that reflects and a whole prefix stay silent.
 * Spec:   RFC 5227 2.3
 */
TEST(acd_announces)
{
        struct world *w = fresh(false, 0);

        EXPECT(usable(w));
        EXPECT_LE(ip_next_deadline(&w->ip, w->now), w->now + MS(3));
        world_run(w, MS(10));
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.2"));
        world_run(w, MS(1900));
        EXPECT_EQ(frames_ready(w), 0);
        world_run(w, MS(200));
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.2"));
        EXPECT_EQ(ip_next_deadline(&w->ip, w->now), TIME_NEVER);

        struct ip_prefix whole = P("10.64.0.0/16"), v6 = P("2001:db8::1/64");
        EXPECT_EQ(ip_local_add(&w->ip, 0, &whole, true), 0);
        EXPECT_EQ(ip_local_add(&w->ip, 0, &v6, false), 0);
        world_run(w, SEC(10));
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);

        w = fresh(false, IP_IFACE_REFLECTS);
        world_run(w, SEC(10));
        EXPECT_EQ(frames_ready(w), 0);
        world_end(w);
}

/* Goal:   with dad, three probes go out 1 to 2 s apart, and the address is nobody's until
 *         2 s after the last; then it is announced.
 * Method: virtual time; nobody objects.  Meanwhile the address is neither answered for nor a source.
 * Spec:   RFC 5227 2.1.1, 2.3
 */
TEST(acd_probes_first)
{
        struct world *w = fresh(true, 0);
        uint64_t start = w->now, last = 0;
        uint32_t probes = 0;
        struct ip_addr peer = A("10.77.0.9"), src;

        while (!usable(w) && w->now < start + SEC(10)) {
                world_run(w, MS(10));
                if (!usable(w)) {
                        make_arp(&f, ALL_MAC, ARP_REQ, PEER_MAC, "10.77.0.9", NO_MAC, "10.77.0.2");
                        EXPECT_EQ(give(w, &f, 0), DROP_ARP_NOT_OURS);
                        EXPECT_LT(ip_source_for(&w->ip, &peer, &src), 0);
                }
                while (taken(w, 0, &f)) {
                        if (usable(w)) {
                                EXPECT(is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.2"));
                                continue;
                        }
                        EXPECT(is_arp(&f, ALL_MAC, ARP_REQ, "0.0.0.0", "10.77.0.2"));
                        EXPECT(probes++ ? w->now - last >= MS(990) && w->now - last <= MS(2020)
                                        : w->now - start <= MS(1020));
                        last = w->now;
                }
        }
        EXPECT_EQ(probes, 3);
        EXPECT(usable(w));
        EXPECT_GE(w->now - last, MS(1990));
        EXPECT_LE(w->now - last, MS(2020));
        EXPECT_EQ(ip_source_for(&w->ip, &peer, &src), 0);
        world_run(w, MS(2100));
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.2"));
        world_end(w);
}

/* Goal:   an address that is taken, or that another host probes for as well, is not used;
 *         it is tried again after a minute.
 * Method: a sender with our address while we probe; then a probe for it; then silence.
 * Spec:   RFC 5227 2.1.1
 */
TEST(acd_conflict_while_probing)
{
        for (int way = 0; way < 2; way++) {
                struct world *w = fresh(true, 0);

                world_run(w, MS(1500));
                world_hush(w);
                if (way == 0)
                        rival(w, "10.77.0.2", "10.77.0.9");
                else
                        rival(w, "0.0.0.0", "10.77.0.2");
                EXPECT_EQ(log_lines, 1);
                EXPECT_EQ(w->cnt.cnt[CNT_ARP_CONFLICTS], 1);
                rival(w, "10.77.0.2", "10.77.0.9");
                EXPECT_EQ(w->cnt.cnt[CNT_ARP_CONFLICTS], 2);
                EXPECT_EQ(log_lines, 1);
                EXPECT_EQ(frames_ready(w), 0);
                world_run(w, SEC(59));
                EXPECT(!usable(w));
                EXPECT_EQ(frames_ready(w), 0);
                world_run(w, SEC(12));
                EXPECT(usable(w));
                EXPECT_EQ(frames_ready(w), 5);
                world_end(w);
        }
}

/* Goal:   a conflict in use is counted each time, defended once in ten seconds, logged once
 *         a minute, and the address kept.
 * Method: a rival every 100 ms for two minutes.
 * Spec:   RFC 5227 2.4 (c)
 */
TEST(acd_defends)
{
        struct world *w = fresh(false, 0);
        uint32_t defences = 0;

        world_run(w, SEC(5));
        world_hush(w);
        for (int i = 0; i < 1200; i++) {
                rival(w, "10.77.0.2", i % 2 ? "10.77.0.2" : "10.77.0.77");
                while (taken(w, 0, &f)) {
                        EXPECT(is_arp(&f, ALL_MAC, ARP_REQ, "10.77.0.2", "10.77.0.2"));
                        defences++;
                }
                world_run(w, MS(100));
        }
        EXPECT_EQ(w->cnt.cnt[CNT_ARP_CONFLICTS], 1200);
        EXPECT_EQ(defences, 12);
        EXPECT_EQ(log_lines, 2);
        EXPECT(usable(w));
        EXPECT_EQ(w->ip.neigh.slab.used, 0);
        world_end(w);
}

/* Goal:   our own frames that come back are no conflict; whole prefixes are defended too.
 * Method: our announcement, echoed; a host inside a prefix that is all ours.
 * Spec:   RFC 5227 2.4: a hardware address that is not one of the host's own
 */
TEST(acd_self_and_whole)
{
        struct world *w = fresh(false, 0);
        struct ip_prefix whole = P("10.64.0.0/16");

        EXPECT_EQ(ip_local_add(&w->ip, 0, &whole, true), 0);
        world_run(w, SEC(5));
        world_hush(w);
        make_arp(&f, ALL_MAC, ARP_REQ, OUR_MAC, "10.77.0.2", NO_MAC, "10.77.0.2");
        EXPECT_EQ(give(w, &f, 0), DROP_ARP_NOT_OURS);
        EXPECT_EQ(w->cnt.cnt[CNT_ARP_CONFLICTS], 0);
        rival(w, "10.64.3.4", "10.64.3.4");
        EXPECT(taken(w, 0, &f) && is_arp(&f, ALL_MAC, ARP_REQ, "10.64.3.4", "10.64.3.4"));
        world_end(w);
}
