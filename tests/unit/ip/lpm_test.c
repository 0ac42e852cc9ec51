/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "ip/bucket.h"
#include "ip/lpm.h"
#include "tests/test.h"

enum { PREFIXES = 2000, LOOKUPS = 20000 };

static struct {
        struct ip_prefix p;
        bool             in;
} list[PREFIXES];

/* Few distinct octets, so that prefixes nest and addresses hit. */
static struct ip_addr random_addr(struct rnd *r, bool v4)
{
        struct ip_addr a = v4 ? ip_addr_v4(0) : (struct ip_addr){ { 0x20, 1 } };

        for (int i = v4 ? 12 : 2; i < 16; i++)
                a.octet[i] = (uint8_t)(rnd_below(r, 3) * 85);
        return a;
}

static bool same_prefix(const struct ip_prefix *a, const struct ip_prefix *b)
{
        return a->len == b->len && ip_prefix_has(a, &b->addr);
}

/* What a list and patience would find: index + 1. */
static uint32_t naive_match(const struct ip_addr *a)
{
        uint32_t best = 0;

        for (uint32_t i = 0; i < PREFIXES; i++) {
                if (!list[i].in || !ip_prefix_has(&list[i].p, a))
                        continue;
                if (ip_addr_is_v4(a) != ip_addr_is_v4(&list[i].p.addr))
                        continue;
                if (!best || list[i].p.len > list[best - 1].p.len)
                        best = i + 1;
        }
        return best;
}

/* Goal:   the longest prefix wins, in both families, while prefixes come and go.
 * Method: 2,000 random prefixes, some added twice, half of them taken out again;
 *         each answer is compared with that of a list.
 * Spec:   ip/lpm.h; RFC 1812 5.2.4.3
 */
TEST(lpm_agrees_with_a_list)
{
        struct lpm m;
        struct rnd r;
        uint32_t refused = 0, hits = 0;

        rnd_seed(&r, 7);
        lpm_init(&m);
        for (uint32_t i = 0; i < PREFIXES; i++) {
                bool v4 = rnd_below(&r, 2);
                list[i].p.addr = random_addr(&r, v4);
                list[i].p.len = (uint8_t)(v4 ? 96 + rnd_below(&r, 33) : rnd_below(&r, 129));
                bool there = false;
                for (uint32_t j = 0; j < i; j++)
                        there |= list[j].in && same_prefix(&list[i].p, &list[j].p);
                EXPECT_EQ(lpm_add(&m, &list[i].p, i + 1), there ? -17 : 0);
                list[i].in = !there;
                refused += there;
        }
        EXPECT_GT(refused, 0);
        for (int round = 0; round < 2; round++) {
                for (uint32_t i = 0; i < LOOKUPS; i++) {
                        struct ip_addr a = random_addr(&r, i & 1);
                        uint32_t want = naive_match(&a);
                        hits += want != 0;
                        REQUIRE(lpm_match(&m, &a) == want);
                }
                for (uint32_t i = 0; i < PREFIXES; i++) {
                        if (!list[i].in || rnd_below(&r, 2))
                                continue;
                        lpm_del(&m, &list[i].p);
                        list[i].in = false;
                        EXPECT_EQ(lpm_get(&m, &list[i].p), 0);
                }
        }
        EXPECT_GT(hits, LOOKUPS / 2);
        lpm_fini(&m);
}

/* Goal:   the default route of one family does not catch the other.
 * Method: ::/0 alone, then 0.0.0.0/0 too; one address of each family.
 * Spec:   ip/lpm.h
 */
TEST(lpm_keeps_families_apart)
{
        struct lpm m;
        struct ip_prefix p;
        struct ip_addr v4 = ip_addr_v4(0x0a000001), v6;

        lpm_init(&m);
        EXPECT_EQ(lpm_match(&m, &v4), 0);
        ip_addr_parse(&v6, "2001:db8::1");
        ip_prefix_parse(&p, "::/0");
        EXPECT_EQ(lpm_add(&m, &p, 6), 0);
        EXPECT_EQ(lpm_match(&m, &v4), 0);
        EXPECT_EQ(lpm_match(&m, &v6), 6);
        ip_prefix_parse(&p, "0.0.0.0/0");
        EXPECT_EQ(lpm_add(&m, &p, 4), 0);
        EXPECT_EQ(lpm_match(&m, &v4), 4);
        EXPECT_EQ(lpm_match(&m, &v6), 6);
        lpm_fini(&m);
}

/* Goal:   a bucket gives its burst at once, then its rate, whatever the rhythm of asking.
 * Method: virtual time in uneven steps over ten seconds.
 * Spec:   ip/bucket.h
 */
TEST(bucket_keeps_its_rate)
{
        struct bucket b;
        struct rnd r;
        uint64_t now = SEC(5), end = now + SEC(10);
        uint32_t got = 0;

        bucket_init(&b, 300, 20, now);
        for (int i = 0; i < 100; i++)
                got += bucket_take(&b, now);
        EXPECT_EQ(got, 20);
        rnd_seed(&r, 3);
        for (got = 0; now < end; now += rnd_below(&r, 1000000))
                got += bucket_take(&b, now);
        EXPECT_GE(got, 2999);
        EXPECT_LE(got, 3001);
        bucket_init(&b, 0, 20, now);
        EXPECT(!bucket_take(&b, now + SEC(100)));
}
