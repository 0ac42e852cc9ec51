/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "flow/ports.h"
#include "tests/test.h"

#include <errno.h>

static struct ip_addr any(void) { return ip_addr_v4(0); }
static struct ip_addr host(uint32_t n) { return ip_addr_v4(0x0a000000 + n); }

static struct ports *ports_new(uint16_t min, uint16_t max)
{
        static struct ports p;
        REQUIRE(ports_init(&p, 1000, min, max, (struct hash_key){ { 1, 2 } }) == 0);
        return &p;
}

static uint32_t bound(struct ports *p, struct ip_addr addr, uint16_t port, uint8_t flags)
{
        uint32_t idx = 0;
        EXPECT_EQ(ports_bind(p, &addr, port, flags, &idx), 0);
        return idx;
}

/* Goal:   the listener of the very address comes before the one of any address; another port's never.
 * Method: listeners on 10.0.0.1:80, any:80 and any:81; keys to both addresses and to a third port.
 * Spec:   flow/ports.h, ports_find_listener(). */
TEST(ports_listener_choice)
{
        struct ports *p = ports_new(40000, 50000);
        struct flow_key key = { .laddr = host(1), .raddr = host(9), .lport = 80, .rport = 1234 };

        EXPECT_EQ(ports_find_listener(p, &key, 0), 0);
        uint32_t a = bound(p, host(1), 80, BINDING_REUSEPORT), b = bound(p, any(), 80, BINDING_REUSEPORT);
        uint32_t c = bound(p, any(), 81, 0);
        EXPECT_EQ(ports_find_listener(p, &key, 0), 0);  /* bound is not listening */
        EXPECT_EQ(ports_listen(p, b, 22), 0);
        EXPECT_EQ(ports_find_listener(p, &key, 0), 22);
        EXPECT_EQ(ports_listen(p, a, 11), 0);
        EXPECT_EQ(ports_listen(p, c, 33), 0);
        EXPECT_EQ(ports_find_listener(p, &key, 0), 11);
        key.laddr = host(2);
        EXPECT_EQ(ports_find_listener(p, &key, 0), 22);
        key.lport = 81;
        EXPECT_EQ(ports_find_listener(p, &key, 0), 33);
        key.lport = 82;
        EXPECT_EQ(ports_find_listener(p, &key, 0), 0);
        ports_unbind(p, a);
        key = (struct flow_key){ .laddr = host(1), .raddr = host(9), .lport = 80 };
        EXPECT_EQ(ports_find_listener(p, &key, 0), 22);
        ports_unbind(p, b);
        EXPECT_EQ(ports_find_listener(p, &key, 0), 0);
        ports_unbind(p, c);
        EXPECT_EQ(p->bindings.used, 0);
        ports_fini(p);
}

/* Goal:   listeners that share a port by SO_REUSEPORT share the connections about evenly, each hash one of them.
 * Method: four listeners, 4,000 hashes.
 * Spec:   socket(7) SO_REUSEPORT. */
TEST(ports_reuseport_shares)
{
        struct ports *p = ports_new(40000, 50000);
        struct flow_key key = { .laddr = host(1), .raddr = host(9), .lport = 80 };
        uint32_t idx[4], cnt[5] = { 0 };
        struct rnd r;

        rnd_seed(&r, 1);
        for (uint32_t i = 0; i < 4; i++) {
                idx[i] = bound(p, any(), 80, BINDING_REUSEPORT);
                EXPECT_EQ(ports_listen(p, idx[i], i + 1), 0);
        }
        for (int i = 0; i < 4000; i++) {
                uint32_t hash = (uint32_t)rnd_u64(&r), l = ports_find_listener(p, &key, hash);
                EXPECT(l >= 1 && l <= 4);
                EXPECT_EQ(l, ports_find_listener(p, &key, hash));
                cnt[l]++;
        }
        for (int i = 1; i <= 4; i++)
                EXPECT(cnt[i] > 850 && cnt[i] < 1150);
        for (int i = 0; i < 4; i++)
                ports_unbind(p, idx[i]);
        ports_fini(p);
}

/* What flow/ports.h says, told again in the simplest words. */
static bool naive_conflict(const struct binding *have, const struct binding *want)
{
        bool same = ip_addr_eq(&have->addr, &want->addr) || ip_addr_is_any(&have->addr) || ip_addr_is_any(&want->addr);
        if (have->port != want->port || !same)
                return false;
        if (have->flags & BINDING_REUSEPORT && want->flags & BINDING_REUSEPORT)
                return false;
        return !(have->flags & BINDING_REUSEADDR && want->flags & BINDING_REUSEADDR && !have->listener);
}

/* Goal:   bindings conflict exactly as the rules say.
 * Method: 100,000 random claims and releases of few ports and addresses against a list.
 * Spec:   flow/ports.h; socket(7). */
TEST(ports_conflicts_against_a_list)
{
        enum { MAX = 200 };
        struct ports *p = ports_new(40000, 50000);
        static uint32_t have[MAX];
        uint32_t cnt = 0;
        struct rnd r;

        rnd_seed(&r, 1);
        for (int step = 0; step < 100000; step++) {
                if (cnt && rnd_below(&r, 2)) {
                        uint32_t i = rnd_below(&r, cnt);
                        ports_unbind(p, have[i]);
                        have[i] = have[--cnt];
                        continue;
                }
                struct binding want = {
                        .addr = rnd_below(&r, 3) ? host(rnd_below(&r, 3)) : any(),
                        .port = (uint16_t)(80 + rnd_below(&r, 8)), .flags = (uint8_t)rnd_below(&r, 4),
                };
                bool may = cnt < MAX;
                for (uint32_t i = 0; i < cnt; i++)
                        may &= !naive_conflict(ports_binding(p, have[i]), &want);
                uint32_t idx;
                if (cnt == MAX)
                        continue;
                EXPECT_EQ(ports_bind(p, &want.addr, want.port, want.flags, &idx), may ? 0 : -EADDRINUSE);
                if (!may)
                        continue;
                have[cnt++] = idx;
                if (rnd_below(&r, 3) == 0) {
                        int rc = ports_listen(p, idx, 7);
                        EXPECT(rc == 0 || rc == -EADDRINUSE);
                }
        }
        while (cnt)
                ports_unbind(p, have[--cnt]);
        for (uint32_t port = 0; port < 65536; port++)
                EXPECT_EQ(p->chain[port], 0);
        ports_fini(p);
}

/* Goal:   binding port 0 gives each port of the range once, and then says that there is none.
 * Method: a range of ten ports.
 * Spec:   RFC 6056 3; bind(2) EADDRINUSE. */
TEST(ports_ephemeral_range)
{
        struct ports *p = ports_new(40000, 40009);
        uint32_t idx[10], seen = 0, more;
        struct ip_addr a = any();

        for (int i = 0; i < 10; i++) {
                idx[i] = bound(p, any(), 0, 0);
                uint16_t port = ports_binding(p, idx[i])->port;
                EXPECT(port >= 40000 && port <= 40009);
                seen |= 1u << (port - 40000);
        }
        EXPECT_EQ(seen, 1023);
        EXPECT_EQ(ports_bind(p, &a, 0, 0, &more), -EADDRINUSE);
        ports_unbind(p, idx[3]);
        EXPECT_EQ(ports_bind(p, &a, 0, 0, &idx[3]), 0);
        for (int i = 0; i < 10; i++)
                ports_unbind(p, idx[i]);
        ports_fini(p);
}

/* Goal:   ports to different destinations begin at different places, and to one destination do not repeat soon.
 * Method: first choices for 256 destinations; 1,000 choices for one.
 * Spec:   RFC 6056 3.3.4. */
TEST(ports_choice_is_hard_to_guess)
{
        struct ports *p = ports_new(32768, 60999);
        struct flow_table t;
        static uint8_t seen[65536];
        uint32_t repeats = 0, steps_of_one = 0;
        uint16_t last = 0;

        REQUIRE(flow_table_init(&t, 10, (struct hash_key){ { 5, 6 } }, false) == 0);
        for (uint32_t i = 0; i < 256; i++) {
                struct flow_key key = { .laddr = host(1), .raddr = host(100 + i), .rport = 80 };
                EXPECT_EQ(ports_choose(p, &t, &key, NULL, NULL), 0);
                steps_of_one += key.lport == last + 1;
                last = key.lport;
        }
        EXPECT_LT(steps_of_one, 5);
        for (uint32_t i = 0; i < 1000; i++) {
                struct flow_key key = { .laddr = host(1), .raddr = host(7), .rport = 80 };
                EXPECT_EQ(ports_choose(p, &t, &key, NULL, NULL), 0);
                repeats += seen[key.lport]++;
        }
        EXPECT_EQ(repeats, 0);
        flow_table_fini(&t);
        ports_fini(p);
}

/* ---- several shards ---- */

enum { SHARDS = 2 };
static struct ports_all all;
static struct ports     shard[SHARDS];

static void all_new(void)
{
        REQUIRE(ports_all_init(&all, 1000, 40000, 40009, (struct hash_key){ { 3, 4 } }) == 0);
        for (int i = 0; i < SHARDS; i++) {
                REQUIRE(ports_init(&shard[i], 1000, 40000, 40009, (struct hash_key){ { 1, 2 } }) == 0);
                ports_all_join(&all, &shard[i]);
        }
}

static void all_free(void)
{
        for (int i = 0; i < SHARDS; i++) {
                EXPECT_EQ(shard[i].bindings.used, 0);
                ports_fini(&shard[i]);
        }
        EXPECT_EQ(all.claims.bindings.used, 0);
        ports_all_fini(&all);
}

/* Goal:   a claim on one shard stands in the way of one on another, as on the same shard.
 * Method: bind, listen, unlisten, REUSEADDR, REUSEPORT, a flow that another shard has; port 0 on both.
 * Spec:   flow/ports.h
 */
TEST(ports_of_shards_conflict)
{
        struct ip_addr a = any(), h = host(1);
        uint32_t other, idx[10];

        all_new();
        uint32_t mine = bound(&shard[0], host(1), 80, 0);
        EXPECT_EQ(ports_bind(&shard[1], &a, 80, 0, &other), -EADDRINUSE);
        EXPECT_EQ(ports_bind(&shard[1], &a, 80, BINDING_REUSEADDR | BINDING_REUSEPORT, &other), -EADDRINUSE);
        ports_set_flags(&shard[0], mine, BINDING_REUSEADDR);
        other = bound(&shard[1], any(), 80, BINDING_REUSEADDR);
        EXPECT_EQ(ports_listen(&shard[0], mine, 5), 0);
        EXPECT_EQ(ports_listen(&shard[1], other, 6), -EADDRINUSE);
        ports_unlisten(&shard[0], mine);
        EXPECT_EQ(ports_listen(&shard[1], other, 6), 0);
        ports_unbind(&shard[0], mine);
        ports_unbind(&shard[1], other);

        mine = bound(&shard[0], any(), 80, BINDING_REUSEPORT);
        other = bound(&shard[1], any(), 80, BINDING_REUSEPORT);
        EXPECT_EQ(ports_listen(&shard[0], mine, 5), 0);
        EXPECT_EQ(ports_listen(&shard[1], other, 6), 0);
        ports_unbind(&shard[0], mine);
        ports_unbind(&shard[1], other);

        shard[0].users[80] = 1;
        EXPECT_EQ(ports_bind(&shard[1], &h, 80, 0, &other), -EADDRINUSE);
        other = bound(&shard[1], host(1), 80, BINDING_REUSEADDR);
        shard[0].users[80] = 0;
        ports_unbind(&shard[1], other);

        for (int i = 0; i < 10; i++)
                idx[i] = bound(&shard[i % 2], any(), 0, 0);
        EXPECT_EQ(ports_bind(&shard[0], &a, 0, 0, &other), -EADDRINUSE);
        for (int i = 0; i < 10; i++)
                ports_unbind(&shard[i % 2], idx[i]);
        all_free();
}

/* Goal:   the replica of another shard's listener hears what no listener of the shard's own does.
 * Method: a replica alone; then an own listener on any address; then one on the very address, on the other shard.
 * Spec:   flow/ports.h
 */
TEST(ports_replicas_hear_last)
{
        struct flow_key key = { .laddr = host(1), .raddr = host(9), .lport = 80, .rport = 1234 };
        struct ip_addr a = any(), h = host(1);
        uint32_t replica, exact;

        all_new();
        EXPECT_EQ(ports_replica(&shard[1], &a, 80, BINDING_REUSEPORT, &replica), 0);
        EXPECT_EQ(ports_listen(&shard[1], replica, 7), 0);
        for (uint32_t hash = 0; hash < 8; hash++)
                EXPECT_EQ(ports_find_listener(&shard[1], &key, hash << 29), 7);
        uint32_t own = bound(&shard[1], any(), 80, BINDING_REUSEPORT);
        EXPECT_EQ(ports_listen(&shard[1], own, 8), 0);
        for (uint32_t hash = 0; hash < 8; hash++)
                EXPECT_EQ(ports_find_listener(&shard[1], &key, hash << 29), 8);
        EXPECT_EQ(ports_replica(&shard[1], &h, 80, BINDING_REUSEPORT, &exact), 0);
        EXPECT_EQ(ports_listen(&shard[1], exact, 9), 0);
        EXPECT_EQ(ports_find_listener(&shard[1], &key, 0), 9);
        ports_unbind(&shard[1], own);
        ports_unbind(&shard[1], exact);
        EXPECT_EQ(ports_find_listener(&shard[1], &key, 0), 7);
        ports_unbind(&shard[1], replica);
        all_free();
}

static bool odd(void *arg, const struct flow_key *key)
{
        ++*(int *)arg;
        return key->lport & 1;
}

/* Goal:   a port for a connection is one whose answers come here, and when there is none, none is given.
 * Method: a shard that hears odd ports.
 * Spec:   flow/ports.h, ports_choose()
 */
TEST(ports_choice_is_mine)
{
        struct ports *p = ports_new(40000, 40009);
        struct flow_table t;
        int asked = 0;

        REQUIRE(flow_table_init(&t, 10, (struct hash_key){ { 5, 6 } }, false) == 0);
        for (uint32_t i = 0; i < 100; i++) {
                struct flow_key key = { .laddr = host(1), .raddr = host(i), .rport = 80 };
                EXPECT_EQ(ports_choose(p, &t, &key, odd, &asked), 0);
                EXPECT_EQ(key.lport & 1, 1);
        }
        ports_fini(p);
        p = ports_new(40000, 40000);
        struct flow_key key = { .laddr = host(1), .raddr = host(1), .rport = 80 };
        EXPECT_EQ(ports_choose(p, &t, &key, odd, &asked), -EADDRNOTAVAIL);
        EXPECT_EQ(key.lport, 0);
        flow_table_fini(&t);
        ports_fini(p);
}
