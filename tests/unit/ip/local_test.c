/* SPDX-License-Identifier: MIT */
#include "tests/unit/ip/ip_world.h"

#include <errno.h>

static int local(struct world *w, uint32_t iface, const char *prefix, bool whole)
{
        struct ip_prefix p = P(prefix);
        return ip_local_add(&w->ip, iface, &p, whole);
}

static bool ours(struct world *w, const char *addr)
{
        struct ip_addr a = A(addr);
        return ip_is_local(&w->ip, &a);
}

static bool bcast(struct world *w, const char *addr)
{
        struct ip_addr a = A(addr);
        return ip_is_broadcast(&w->ip, &a);
}

static int route(struct world *w, const char *dst, const char *gateway, uint32_t iface)
{
        struct ip_prefix d = P(dst);
        struct ip_addr g = A(gateway ? gateway : "0.0.0.0");
        return ip_route_add(&w->ip, &d, gateway ? &g : NULL, iface);
}

static const char *source(struct world *w, const char *dst)
{
        static char text[IP_ADDR_TEXT_MAX];
        struct ip_addr d = A(dst), s;
        int err = ip_source_for(&w->ip, &d, &s);
        return err == -ENETUNREACH ? "no route" : err == -EADDRNOTAVAIL ? "no address" : ip_addr_text(text, &s);
}

/* Goal:   addresses that no host may have are refused, with nothing left behind.
 * Method: one of each kind; then their links must have no route.
 * Spec:   RFC 1122 3.2.1.3; RFC 3021
 */
TEST(local_refuses_what_is_no_host)
{
        struct world *w = world_empty(NULL);
        struct ip_addr probe = A("10.9.0.1");
        struct ip_hop hop;

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, 0) == 0);
        EXPECT_EQ(local(w, 1, "10.1.0.1/24", false), -EINVAL);
        EXPECT_EQ(local(w, 0, "0.0.0.0/8", false), -EINVAL);
        EXPECT_EQ(local(w, 0, "0.1.2.3/24", false), -EINVAL);
        EXPECT_EQ(local(w, 0, "224.0.0.1/24", false), -EINVAL);
        EXPECT_EQ(local(w, 0, "255.255.255.255/32", false), -EINVAL);
        EXPECT_EQ(local(w, 0, "10.9.0.255/24", false), -EINVAL);
        EXPECT_EQ(local(w, 0, "10.9.0.0/24", false), -EINVAL);
        EXPECT_EQ(local(w, 0, "192.0.0.0/1", true), -EINVAL);
        EXPECT_EQ(local(w, 0, "ff02::1/64", false), -EINVAL);
        EXPECT(!ip_route_find(&w->ip, &probe, &hop));
        EXPECT_EQ(w->ip.local.slab.used, 0);

        EXPECT_EQ(local(w, 0, "10.9.0.1/24", false), 0);
        EXPECT(ip_route_find(&w->ip, &probe, &hop));
        EXPECT_EQ(local(w, 0, "10.9.0.1/24", false), -EEXIST);
        EXPECT_EQ(local(w, 0, "10.9.0.1/16", false), -EEXIST);
        EXPECT_EQ(local(w, 0, "10.9.0.255/16", false), -EINVAL);        /* broadcast of the /24 */
        EXPECT_EQ(local(w, 0, "10.9.0.2/24", false), 0);
        EXPECT_EQ(local(w, 0, "10.8.0.0/31", false), 0);
        EXPECT_EQ(local(w, 0, "10.8.0.255/32", false), 0);
        EXPECT_EQ(local(w, 0, "2001:db8::1/64", false), 0);
        EXPECT(ours(w, "10.9.0.1") && ours(w, "10.9.0.2") && ours(w, "10.8.0.0") && ours(w, "2001:db8::1"));
        EXPECT(!ours(w, "10.9.0.3") && !ours(w, "10.8.0.1") && !ours(w, "2001:db8::2"));
        EXPECT(bcast(w, "10.9.0.255") && bcast(w, "255.255.255.255"));
        EXPECT(!bcast(w, "10.8.0.1") && !bcast(w, "10.8.0.255") && !bcast(w, "10.9.0.1"));
        world_end(w);
}

/* Goal:   whole prefixes of several lengths are ours to their last address and no further.
 * Method: the addresses at the edges; a link's broadcast address inside a whole prefix.
 * Spec:   ip/ip.h, ip_local_add()
 */
TEST(local_whole_prefixes)
{
        struct world *w = world_empty(NULL);
        struct ip_hop hop;
        struct ip_addr a = A("10.64.3.4");

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, 0) == 0);
        EXPECT_EQ(local(w, 0, "10.64.0.0/16", true), 0);
        EXPECT_EQ(local(w, 0, "10.64.0.0/16", true), -EEXIST);
        EXPECT_EQ(local(w, 0, "192.0.2.64/26", true), 0);
        EXPECT_EQ(local(w, 0, "2001:db8:5::/48", true), 0);
        EXPECT(ours(w, "10.64.0.0") && ours(w, "10.64.0.1") && ours(w, "10.64.255.255") && ours(w, "10.64.77.255"));
        EXPECT(!ours(w, "10.63.255.255") && !ours(w, "10.65.0.0"));
        EXPECT(ours(w, "192.0.2.64") && ours(w, "192.0.2.127") && !ours(w, "192.0.2.63") && !ours(w, "192.0.2.128"));
        EXPECT(ours(w, "2001:db8:5:ffff::1") && !ours(w, "2001:db8:6::1"));
        EXPECT(!ip_route_find(&w->ip, &a, &hop));
        EXPECT_EQ(local(w, 0, "10.64.8.1/24", false), 0);
        EXPECT(ours(w, "10.64.8.1") && ours(w, "10.64.8.77"));
        EXPECT(bcast(w, "10.64.8.255") && !ours(w, "10.64.8.255"));
        world_end(w);
}

/* Goal:   many addresses, and a bound.
 * Method: 5,000 single addresses with room for 5,000.
 * Spec:   ip/ip.h, locals_max
 */
TEST(local_many_and_no_more)
{
        struct ip_conf conf = ip_conf_default();
        conf.locals_max = 5000;
        struct world *w = world_empty(&conf);
        struct ip_prefix p = { .len = 128 };
        uint32_t right = 0;

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, IP_IFACE_REFLECTS) == 0);
        for (uint32_t i = 0; i < 5000; i++) {
                p.addr = ip_addr_v4(0x0a000000 + i * 3 + 1);
                REQUIRE(ip_local_add(&w->ip, 0, &p, false) == 0);
        }
        p.addr = ip_addr_v4(0x0b000001);
        EXPECT_EQ(ip_local_add(&w->ip, 0, &p, false), -ENOSPC);
        for (uint32_t i = 0; i < 15000; i++) {
                p.addr = ip_addr_v4(0x0a000000 + i);
                right += ip_is_local(&w->ip, &p.addr) == (i % 3 == 1);
        }
        EXPECT_EQ(right, 15000);
        world_end(w);
}

/* Goal:   routes are refused when they can't work, and found by longest prefix.
 * Method: one of each error; a gateway in another link; next hop and MTU of the answers.
 * Spec:   ip/ip.h, ip_route_add(); RFC 1122 3.3.1
 */
TEST(route_rules)
{
        static const struct mac_addr other = { { 2, 0, 0, 0, 0, 2 } };
        struct world *w = world_empty(NULL);
        struct ip_addr a, gw = A("10.0.0.254");
        struct ip_hop hop;

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, 0) == 0);
        REQUIRE(ip_iface_add(&w->ip, &other, 9000, 0, 0) == 1);
        EXPECT_EQ(local(w, 0, "10.0.0.1/24", false), 0);
        EXPECT_EQ(local(w, 1, "10.1.0.1/24", false), 0);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.0.0.254", 2), -EINVAL);
        EXPECT_EQ(route(w, "0.0.0.0/0", "2001:db8::1", 0), -EINVAL);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.0.0.1", 0), -EINVAL);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.0.0.255", 0), -EINVAL);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.2.0.1", 0), -ENETUNREACH);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.0.0.254", 1), -ENETUNREACH);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.0.0.254", 0), 0);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.0.0.253", 0), -EEXIST);
        EXPECT_EQ(route(w, "172.16.0.0/12", "10.1.0.254", 1), 0);
        EXPECT_EQ(route(w, "172.16.5.0/24", NULL, 0), 0);
        EXPECT_EQ(route(w, "2001:db8::/32", NULL, 1), 0);

        a = A("8.8.8.8");
        EXPECT(ip_route_find(&w->ip, &a, &hop) && hop.gateway && hop.iface == 0 && ip_addr_eq(&hop.next_hop, &gw));
        a = A("172.17.0.1");
        EXPECT(ip_route_find(&w->ip, &a, &hop) && hop.gateway && hop.iface == 1 && hop.mtu == 9000);
        EXPECT_EQ(ip_path_mtu(&w->ip, &a), 9000);
        a = A("172.16.5.1");
        EXPECT(ip_route_find(&w->ip, &a, &hop) && !hop.gateway && hop.iface == 0 && ip_addr_eq(&hop.next_hop, &a));
        EXPECT_EQ(ip_path_mtu(&w->ip, &a), 1500);
        a = A("2001:db8::9");
        EXPECT(ip_route_find(&w->ip, &a, &hop) && hop.iface == 1);
        a = A("2001:db9::9");
        EXPECT(!ip_route_find(&w->ip, &a, &hop));
        EXPECT_EQ(ip_path_mtu(&w->ip, &a), 0);
        a = A("10.1.0.1");
        EXPECT_EQ(ip_path_mtu(&w->ip, &a), 9000);
        world_end(w);
}

/* Goal:   connections start from an address that the peer can answer to.
 * Method: two links with several addresses, a whole prefix alone, an address not yet usable.
 * Spec:   RFC 1122 3.3.4.3; ip/ip.h, ip_source_for()
 */
TEST(local_source_selection)
{
        static const struct mac_addr other = { { 2, 0, 0, 0, 0, 2 } };
        struct world *w = world_empty(NULL);

        for (int i = 0; i < 3; i++)
                REQUIRE(ip_iface_add(&w->ip, i ? &other : &OUR_MAC, 1500, 0, 0) == i);
        EXPECT_STR(source(w, "10.0.0.9"), "no route");
        EXPECT_EQ(route(w, "198.51.100.0/24", NULL, 2), 0);
        EXPECT_STR(source(w, "198.51.100.1"), "no address");
        EXPECT_EQ(local(w, 0, "10.0.0.1/24", false), 0);
        EXPECT_EQ(local(w, 0, "10.0.9.1/24", false), 0);
        EXPECT_EQ(local(w, 1, "10.64.0.0/16", true), 0);
        EXPECT_EQ(route(w, "203.0.113.0/24", NULL, 1), 0);
        EXPECT_EQ(route(w, "0.0.0.0/0", "10.0.9.254", 0), 0);
        EXPECT_STR(source(w, "10.0.0.9"), "10.0.0.1");
        EXPECT_STR(source(w, "10.0.9.9"), "10.0.9.1");
        EXPECT_STR(source(w, "8.8.8.8"), "10.0.9.1");           /* the gateway's link */
        EXPECT_STR(source(w, "203.0.113.5"), "10.64.0.1");
        EXPECT_STR(source(w, "198.51.100.1"), "10.0.0.1");      /* an interface without addresses */
        EXPECT_STR(source(w, "10.64.7.7"), "10.64.7.7");
        EXPECT_STR(source(w, "10.0.0.1"), "10.0.0.1");
        world_end(w);
}

/* Goal:   interfaces are refused when they make no sense or are too many.
 * Method: one of each error, then seventeen.
 * Spec:   ip/ip.h, ip_iface_add()
 */
TEST(iface_rules)
{
        struct world *w = world_empty(NULL);

        EXPECT_EQ(ip_iface_add(&w->ip, &OUR_MAC, 67, 0, 0), -EINVAL);
        EXPECT_EQ(ip_iface_add(&w->ip, &OUR_MAC, 65536, 0, 0), -EINVAL);
        EXPECT_EQ(ip_iface_add(&w->ip, &OUR_MAC, 1500, 4095, 0), -EINVAL);
        EXPECT_EQ(ip_iface_add(&w->ip, &ALL_MAC, 1500, 0, 0), -EINVAL);
        for (int i = 0; i < IP_IFACES; i++)
                EXPECT_EQ(ip_iface_add(&w->ip, &OUR_MAC, 1500, (uint16_t)i, 0), i);
        EXPECT_EQ(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, 0), -ENOSPC);
        world_end(w);
}
