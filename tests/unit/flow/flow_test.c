/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "flow/flow.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>

enum { CAP = 2000, FLOWS_MAX = CAP };

/* The naive table: a list. */
struct entry {
        struct flow_key key;
        flow_ref        ref;
};

struct world {
        struct slab       slab[FLOW_KIND_CNT];
        struct flow_table table;
        struct rnd        rnd;
        uint32_t          hash_mask;    /* few bits: everything falls into few buckets */
        struct entry      entry[FLOWS_MAX];
        uint32_t          cnt;
};

static void world_init(struct world *w, uint64_t seed, uint32_t hash_mask)
{
        *w = (struct world){ .hash_mask = hash_mask };
        rnd_seed(&w->rnd, seed);
        REQUIRE(flow_table_init(&w->table, CAP, (struct hash_key){ { seed, 2 } }, false) == 0);
        for (int kind = FLOW_CONN; kind < FLOW_KIND_CNT; kind++) {
                struct slab *s = &w->slab[kind];
                REQUIRE(slab_init(s, "records", sizeof(struct flow_id), sizeof(struct flow_wide), CAP, false) == 0);
                w->table.slab[kind] = s;
        }
}

static void world_fini(struct world *w)
{
        flow_table_fini(&w->table);
        for (int kind = FLOW_CONN; kind < FLOW_KIND_CNT; kind++)
                slab_fini(&w->slab[kind]);
}

static uint32_t hash_of(const struct world *w, const struct flow_key *key)
{
        return flow_hash(&w->table, key) & w->hash_mask;
}

/* Few addresses and ports, so that keys differ in one field and present ones are drawn often. */
static struct flow_key draw_key(struct world *w)
{
        struct flow_key k = {
                .laddr = ip_addr_v4(0x0a000001 + rnd_below(&w->rnd, 2)),
                .raddr = ip_addr_v4(0x0a010000 + rnd_below(&w->rnd, 16)),
                .lport = (uint16_t)(80 + rnd_below(&w->rnd, 2)), .rport = (uint16_t)(1000 + rnd_below(&w->rnd, 64)),
        };
        if (rnd_below(&w->rnd, 3) == 0)                 /* IPv6, differing in one octet anywhere */
                k.raddr.octet[rnd_below(&w->rnd, 10)] = (uint8_t)(1 + rnd_below(&w->rnd, 4));
        if (rnd_below(&w->rnd, 6) == 0)
                k.laddr.octet[0] = 0x20;
        return k;
}

static bool key_eq(const struct flow_key *a, const struct flow_key *b)
{
        return ip_addr_eq(&a->laddr, &b->laddr) && ip_addr_eq(&a->raddr, &b->raddr) && a->lport == b->lport &&
               a->rport == b->rport;
}

static struct entry *naive_find(struct world *w, const struct flow_key *key)
{
        for (uint32_t i = 0; i < w->cnt; i++)
                if (key_eq(&w->entry[i].key, key))
                        return &w->entry[i];
        return NULL;
}

static enum flow_kind draw_kind(struct world *w) { return (enum flow_kind)(FLOW_CONN + rnd_below(&w->rnd, 3)); }

static flow_ref record_make(struct world *w, enum flow_kind kind, const struct flow_key *key)
{
        uint32_t idx = slab_take(&w->slab[kind]);
        REQUIRE(idx != 0);
        return flow_id_set(&w->slab[kind], kind, idx, key);
}

static void record_free(struct world *w, flow_ref ref) { slab_give(&w->slab[flow_ref_kind(ref)], flow_ref_idx(ref)); }

static void one_step(struct world *w)
{
        struct flow_key key = draw_key(w), back;
        uint32_t hash = hash_of(w, &key);
        struct entry *e = naive_find(w, &key);
        flow_ref found = flow_find(&w->table, hash, &key);

        EXPECT_EQ(found, e ? e->ref : 0);
        if (!e) {
                if (w->cnt == CAP || rnd_below(&w->rnd, 8) == 0)
                        return;
                flow_ref ref = record_make(w, draw_kind(w), &key);
                EXPECT_EQ(flow_insert(&w->table, hash, ref), 0);
                w->entry[w->cnt++] = (struct entry){ key, ref };
                return;
        }
        flow_key_of(&w->table, e->ref, &back);
        EXPECT(key_eq(&back, &key));
        if (rnd_below(&w->rnd, 3) == 0) {               /* half-open -> connection -> TIME-WAIT */
                flow_ref to = record_make(w, draw_kind(w), &key);
                flow_replace(&w->table, hash, e->ref, to);
                record_free(w, e->ref);
                e->ref = to;
        } else {
                flow_remove(&w->table, hash, e->ref);
                record_free(w, e->ref);
                *e = w->entry[--w->cnt];
        }
        EXPECT_EQ(w->table.used, w->cnt);
}

/* Goal:   the table answers as a list would, for IPv4 and IPv6 keys, whatever the order of operations.
 * Method: hundreds of thousands of random insertions, removals, replacements and look-ups, with the whole
 *         hash, and with hashes of which only few bits differ so that buckets overflow into each other.
 * Spec:   flow/flow.h. */
TEST(flow_against_a_list)
{
        static struct world w;
        static const uint32_t masks[] = { 0xffffffff, 0x00000fff, 0x000001ff, 0xff };

        for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
                world_init(&w, 1 + m, masks[m]);
                for (uint32_t i = 0; i < (m ? 60000 : 300000); i++)
                        one_step(&w);
                while (w.cnt) {
                        struct entry *e = &w.entry[--w.cnt];
                        flow_remove(&w.table, hash_of(&w, &e->key), e->ref);
                        record_free(&w, e->ref);
                }
                EXPECT_EQ(w.table.used, 0);
                /* No trace of the overflow is left, so no look-up walks on. */
                for (uint32_t b = 0; b <= w.table.mask; b++)
                        EXPECT_EQ(w.table.bucket[b].overflow, 0);
                world_fini(&w);
        }
}

/* Goal:   the table takes as many flows as it was made for and refuses the next.
 * Method: fill it.
 * Spec:   flow/flow.h, flow_insert(). */
TEST(flow_full)
{
        static struct world w;
        struct flow_key key = { .laddr = ip_addr_v4(1), .raddr = ip_addr_v4(2), .lport = 3 };

        world_init(&w, 1, 0xffffffff);
        for (uint32_t i = 0; i < CAP; i++) {
                key.rport = (uint16_t)i;
                EXPECT_EQ(flow_insert(&w.table, flow_hash(&w.table, &key), record_make(&w, FLOW_CONN, &key)), 0);
        }
        key.rport = CAP;
        EXPECT_EQ(flow_insert(&w.table, flow_hash(&w.table, &key), flow_ref_of(FLOW_CONN, false, 1)), -ENOSPC);
        for (uint32_t i = 0; i < CAP; i++) {
                key.rport = (uint16_t)i;
                EXPECT_EQ(flow_ref_idx(flow_find(&w.table, flow_hash(&w.table, &key), &key)), i + 1);
        }
        world_fini(&w);
}

/* Goal:   the hash depends on each field and on the key, and spreads flows evenly.
 * Method: 65,536 ports of one pair of hosts over 256 slots; single bits changed.
 * Spec:   architecture 6: no collisions on demand. */
TEST(flow_hash_spreads)
{
        struct flow_table t, other;
        struct flow_key key = { .laddr = ip_addr_v4(0x0a000001), .raddr = ip_addr_v4(0x0a000002), .lport = 80 };
        static uint32_t cnt[256];

        REQUIRE(flow_table_init(&t, 100, (struct hash_key){ { 1, 2 } }, false) == 0);
        REQUIRE(flow_table_init(&other, 100, (struct hash_key){ { 1, 3 } }, false) == 0);
        memset(cnt, 0, sizeof cnt);
        for (uint32_t port = 0; port < 65536; port++) {
                key.rport = (uint16_t)port;
                cnt[flow_hash(&t, &key) >> 24]++;
        }
        for (int i = 0; i < 256; i++) {
                EXPECT_GT(cnt[i], 256 - 6 * 16);        /* six standard deviations */
                EXPECT_LT(cnt[i], 256 + 6 * 16);
        }
        uint32_t h = flow_hash(&t, &key);
        EXPECT_NE(h, flow_hash(&other, &key));
        for (uint32_t bit = 0; bit < 8 * 16; bit++) {
                struct flow_key k = key;
                k.raddr.octet[bit / 8] ^= (uint8_t)(1u << bit % 8);
                EXPECT_NE(h, flow_hash(&t, &k));
                k = key;
                k.laddr.octet[bit / 8] ^= (uint8_t)(1u << bit % 8);
                EXPECT_NE(h, flow_hash(&t, &k));
        }
        flow_table_fini(&t);
        flow_table_fini(&other);
}
