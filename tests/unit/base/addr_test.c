/* SPDX-License-Identifier: MIT */
#include "base/addr.h"
#include "base/rnd.h"
#include "base/units.h"
#include "tests/test.h"

#include <errno.h>

/* Goal:   text becomes an address and becomes the same text again.
 * Method: both families, the shortest and longest forms; random IPv4.
 * Spec:   RFC 4291 2.2, RFC 5952 4
 */
TEST(addr_text_round_trip)
{
        static const char *const text[] = {
                "0.0.0.0", "10.77.0.2", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:2:3:4",
                "2001:db8:1111:2222:3333:4444:5555:6666",
        };
        char buf[IP_ADDR_TEXT_MAX];
        struct ip_addr a;
        struct rnd r;

        for (uint32_t i = 0; i < ARRAY_LEN(text); i++) {
                REQUIRE(ip_addr_parse(&a, text[i]) == 0);
                EXPECT_EQ(ip_addr_is_v4(&a), strchr(text[i], ':') == NULL);
                EXPECT_STR(ip_addr_text(buf, &a), text[i]);
        }
        rnd_seed(&r, 1);
        for (int round = 0; round < 1000; round++) {
                uint32_t v4 = (uint32_t)rnd_u64(&r);
                struct ip_addr in = ip_addr_v4(v4);
                REQUIRE(ip_addr_parse(&a, ip_addr_text(buf, &in)) == 0);
                EXPECT(ip_addr_eq(&a, &in));
                EXPECT_EQ(ip_addr_to_v4(&a), v4);
        }
        memset(&a, 0xff, sizeof a);
        ip_addr_text(buf, &a);
        EXPECT_STR(buf, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

/* Goal:   an IPv4 address is the IPv4-mapped IPv6 address.
 * Method: parse both spellings.
 * Spec:   RFC 4291 2.5.5.2
 */
TEST(addr_v4_is_mapped)
{
        struct ip_addr a, b;

        REQUIRE(ip_addr_parse(&a, "10.0.0.1") == 0 && ip_addr_parse(&b, "::ffff:10.0.0.1") == 0);
        EXPECT(ip_addr_eq(&a, &b));
        EXPECT_MEM(&a, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
}

/* Goal:   what is no address is refused and changes nothing.
 * Method: misspellings that a lenient parser would take.
 * Spec:   base/addr.h
 */
TEST(addr_bad_text)
{
        static const char *const bad[] = {
                "", " ", "10", "10.0.0", "10.0.0.", "10.0.0.256", "10.0.0.1.2", "10.0.0.1 ", " 10.0.0.1", "010.0.0.1x",
                "10.0.0.-1", "0x0a.0.0.1", "10.0.0.1/24", ":", ":::", "1::2::3", "12345::", "g::1", "1:2:3:4:5:6:7",
                "1:2:3:4:5:6:7:8:9", "::1%lo", "[::1]", "localhost", "2001:db8:1111:2222:3333:4444:5555:6666:7777:8888",
        };
        struct ip_addr a, before;

        memset(&a, 0x5a, sizeof a);
        before = a;
        for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
                if (ip_addr_parse(&a, bad[i]) != -EINVAL)
                        test_fail(__FILE__, __LINE__, "taken for an address: \"%s\"", bad[i]);
                EXPECT(ip_addr_eq(&a, &before));
        }
}

/* Goal:   the classes of addresses are told apart, also at their edges.
 * Method: the first and last of each, and their neighbours.
 * Spec:   RFC 1122 3.2.1.3, RFC 4291 2.7
 */
TEST(addr_classes)
{
        static const struct {
                const char *text;
                bool        any, multicast, broadcast;
        } want[] = {
                { "0.0.0.0", 1, 0, 0 },         { "::", 1, 0, 0 },              { "0.0.0.1", 0, 0, 0 },
                { "1.0.0.0", 0, 0, 0 },         { "::1", 0, 0, 0 },             { "1::", 0, 0, 0 },
                { "223.255.255.255", 0, 0, 0 }, { "224.0.0.0", 0, 1, 0 },       { "239.255.255.255", 0, 1, 0 },
                { "240.0.0.0", 0, 0, 0 },       { "255.255.255.255", 0, 0, 1 }, { "255.255.255.254", 0, 0, 0 },
                { "ff02::1", 0, 1, 0 },         { "fe80::1", 0, 0, 0 },         { "::fffe:0:0", 0, 0, 0 },
                { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 1, 0 },
        };

        for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
                struct ip_addr a;
                REQUIRE(ip_addr_parse(&a, want[i].text) == 0);
                if (ip_addr_is_any(&a) != want[i].any || ip_addr_is_multicast(&a) != want[i].multicast ||
                    ip_addr_is_limited_broadcast(&a) != want[i].broadcast)
                        test_fail(__FILE__, __LINE__, "%s is in the wrong class", want[i].text);
        }
}

/* Goal:   prefixes are read with and without length, and written as they were.
 * Method: the usual ones; host bits are kept.
 * Spec:   base/addr.h
 */
TEST(prefix_text_round_trip)
{
        static const struct {
                const char *in, *out;
                uint32_t    len;
        } want[] = {
                { "10.77.0.2/24", "10.77.0.2/24", 96 + 24 }, { "0.0.0.0/0", "0.0.0.0/0", 96 },
                { "10.0.0.1", "10.0.0.1/32", 128 },          { "10.0.0.1/32", "10.0.0.1/32", 128 },
                { "::/0", "::/0", 0 },                       { "2001:db8::1", "2001:db8::1/128", 128 },
                { "2001:db8:1111:2222:3333:4444:5555:6666/128", "2001:db8:1111:2222:3333:4444:5555:6666/128", 128 },
        };
        char buf[IP_PREFIX_TEXT_MAX];

        for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
                struct ip_prefix p;
                REQUIRE(ip_prefix_parse(&p, want[i].in) == 0);
                EXPECT_EQ(p.len, want[i].len);
                EXPECT_STR(ip_prefix_text(buf, &p), want[i].out);
        }
}

/* Goal:   what is no prefix is refused and changes nothing.
 * Method: misspellings that a lenient parser would take.
 * Spec:   base/addr.h
 */
TEST(prefix_bad_text)
{
        static const char *const bad[] = {
                "", "/", "/24", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/8 ",
                "10.0.0.0/8x", "10.0.0.0/0x8", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10.0.0.0/4294967304", "::/129",
                "::/1000", "10.0.0/8", "2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999/64",
        };
        struct ip_prefix p, before;

        memset(&p, 0x5a, sizeof p);
        before = p;
        for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
                if (ip_prefix_parse(&p, bad[i]) != -EINVAL)
                        test_fail(__FILE__, __LINE__, "taken for a prefix: \"%s\"", bad[i]);
                EXPECT_MEM(&p, &before, sizeof p);
        }
}

/* Goal:   membership looks at the first len bits and no other.
 * Method: every length 0..128 of a random prefix; flip each bit of a member.
 * Spec:   base/addr.h
 */
TEST(prefix_has)
{
        struct ip_prefix p;
        struct rnd r;

        rnd_seed(&r, 1);
        for (uint32_t len = 0; len <= 128; len++) {
                for (uint32_t i = 0; i < 16; i++)
                        p.addr.octet[i] = (uint8_t)rnd_u64(&r);
                p.len = (uint8_t)len;
                EXPECT(ip_prefix_has(&p, &p.addr));
                for (uint32_t bit = 0; bit < 128; bit++) {
                        struct ip_addr a = p.addr;
                        a.octet[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
                        EXPECT_EQ(ip_prefix_has(&p, &a), bit >= len);
                }
        }

        struct ip_addr v6;
        REQUIRE(ip_prefix_parse(&p, "0.0.0.0/0") == 0 && ip_addr_parse(&v6, "2001:db8::1") == 0);
        EXPECT(!ip_prefix_has(&p, &v6));
}

/* Goal:   MAC addresses are read and written; what is none is refused.
 * Method: good and bad spellings.
 * Spec:   base/addr.h
 */
TEST(mac_text_round_trip)
{
        static const char *const bad[] = {
                "", "00", "00:11:22:33:44", "00:11:22:33:44:", "00:11:22:33:44:5g", "00:11:22:33:44:55:66",
                "00-11-22-33-44-55", "00:11:22:33:44:555", "001:1:22:33:44:55", "00:11:22:33:44:55 ",
                " 00:11:22:33:44:55", "00: 1:22:33:44:55", "-1:11:22:33:44:55", "+1:11:22:33:44:55",
                "0x:11:22:33:44:55", "001122334455",
        };
        char buf[MAC_TEXT_MAX];
        struct mac_addr m, before;

        REQUIRE(mac_parse(&m, "02:00:5e:aA:Bb:ff") == 0);
        EXPECT_MEM(&m, "\x02\x00\x5e\xaa\xbb\xff", 6);
        EXPECT_STR(mac_text(buf, &m), "02:00:5e:aa:bb:ff");
        EXPECT(!mac_is_multicast(&m) && mac_is_multicast(&MAC_BROADCAST));
        before = m;
        for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
                if (mac_parse(&m, bad[i]) != -EINVAL)
                        test_fail(__FILE__, __LINE__, "taken for a MAC address: \"%s\"", bad[i]);
                EXPECT(mac_eq(&m, &before));
        }
}
