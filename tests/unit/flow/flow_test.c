/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "base/units.h"
#include "flow/flow.h"
#include "tests/test.h"

#include <errno.h>

enum { POOL = 12000, MANY = 60000 };

/* The model: an array of keys, each with the reference that the table should know; 0: none. */
struct entry {
        struct flow_key key;
        flow_ref        ref;
};

struct world {
        struct slab       slab[FLOW_KIND_CNT];
        struct flow_table table;
        struct rnd        rnd;
        struct entry      entry[POOL];
        uint32_t          cnt;
};

static void world_init(struct world *w, uint64_t seed, uint32_t cap)
{
        *w = (struct world){ 0 };
        rnd_seed(&w->rnd, seed);
        REQUIRE(flow_table_init(&w->table, cap, (struct hash_key){ { seed, 2 } }, false) == 0);
        for (int kind = FLOW_CONN; kind < FLOW_KIND_CNT; kind++) {
                struct slab *s = &w->slab[kind];
                REQUIRE(slab_init(s, "records", sizeof(struct flow_id), sizeof(struct flow_wide), MANY, false) == 0);
                w->table.slab[kind] = s;
        }
}

static void world_fini(struct world *w)
{
        flow_table_fini(&w->table);
        for (int kind = FLOW_CONN; kind < FLOW_KIND_CNT; kind++)
                slab_fini(&w->slab[kind]);
}

static uint32_t hash_of(const struct world *w, const struct flow_key *key) { return flow_hash(&w->table, key); }

/* The @n-th of many keys that differ in few fields; a third are IPv6, differing in one octet anywhere. */
static struct flow_key nth_key(uint32_t n)
{
        struct flow_key k = {
                .laddr = ip_addr_v4(0x0a000001 + (n & 1)), .raddr = ip_addr_v4(0x0a010000 + (n >> 2 & 63)),
                .lport = (uint16_t)(80 + (n >> 1 & 1)),    .rport = (uint16_t)(n >> 8),
        };
        ASSERT(n < 1u << 24);
        if (n % 3 == 0)
                k.raddr.octet[n % 10] = (uint8_t)(1 + n % 4);
        if (n % 6 == 1)
                k.laddr.octet[0] = 0x20;
        return k;
}

static bool key_eq(const struct flow_key *a, const struct flow_key *b)
{
        return ip_addr_eq(&a->laddr, &b->laddr) && ip_addr_eq(&a->raddr, &b->raddr) && a->lport == b->lport &&
               a->rport == b->rport;
}

/* Keys whose hash, of which only the bits of @mask count, is less than @below: as one who knew the
 * secret would choose them. */
static void draw_pool(struct world *w, uint32_t cnt, uint32_t mask, uint32_t below)
{
        for (uint32_t i = 0, n = 0; i < cnt; n++) {
                struct flow_key key = nth_key(n);
                if ((hash_of(w, &key) & mask) < below)
                        w->entry[i++] = (struct entry){ .key = key };
        }
}

static enum flow_kind draw_kind(struct world *w) { return (enum flow_kind)(FLOW_CONN + rnd_below(&w->rnd, 3)); }

static flow_ref record_make(struct world *w, enum flow_kind kind, const struct flow_key *key)
{
        uint32_t idx = slab_take(&w->slab[kind]);
        REQUIRE(idx != 0);
        return flow_id_set(&w->slab[kind], kind, idx, key);
}

static void record_free(struct world *w, flow_ref ref) { slab_give(&w->slab[flow_ref_kind(ref)], flow_ref_idx(ref)); }

/* Are all buckets full that a flow with this hash may live in? */
static bool chain_is_full(const struct world *w, uint32_t hash)
{
        uint32_t home = flow_home(&w->table, hash);
        for (uint32_t at = home; at < home + FLOW_CHAIN_MAX; at++)
                for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++)
                        if (!w->table.bucket[at].ref[i])
                                return false;
        return true;
}

static void entry_insert(struct world *w, struct entry *e)
{
        uint32_t hash = hash_of(w, &e->key);
        uint64_t rehashed = w->table.rehashed;
        flow_ref ref = record_make(w, draw_kind(w), &e->key);
        int rc = flow_insert(&w->table, hash, ref);

        EXPECT_LE(w->table.rehashed - rehashed, FLOW_CHAIN_MAX * FLOW_BUCKET_SLOTS);
        if (rc == 0) {
                e->ref = ref;
                w->cnt++;
                return;
        }
        EXPECT_EQ(rc, -ENOSPC);
        EXPECT(w->cnt == w->table.cap || chain_is_full(w, hash));
        record_free(w, ref);
}

static void entry_remove(struct world *w, struct entry *e)
{
        flow_remove(&w->table, hash_of(w, &e->key), e->ref);
        record_free(w, e->ref);
        e->ref = 0;
        w->cnt--;
}

/* Half-open -> connection -> TIME-WAIT */
static void entry_replace(struct world *w, struct entry *e)
{
        flow_ref to = record_make(w, draw_kind(w), &e->key);
        flow_replace(&w->table, hash_of(w, &e->key), e->ref, to);
        record_free(w, e->ref);
        e->ref = to;
}

/* @fill of 8 steps with a key that is not there insert it, @drain of 8 with one that is there remove it. */
static void one_step(struct world *w, uint32_t pool, uint32_t fill, uint32_t drain)
{
        struct entry *e = &w->entry[rnd_below(&w->rnd, pool)];
        struct flow_key back;

        EXPECT_EQ(flow_find(&w->table, hash_of(w, &e->key), &e->key), e->ref);
        if (!e->ref) {
                if (rnd_below(&w->rnd, 8) < fill)
                        entry_insert(w, e);
        } else {
                flow_key_of(&w->table, e->ref, &back);
                EXPECT(key_eq(&back, &e->key));
                if (rnd_below(&w->rnd, 8) < drain)
                        entry_remove(w, e);
                else
                        entry_replace(w, e);
        }
        EXPECT_EQ(w->table.used, w->cnt);
}

static void remove_all(struct world *w)
{
        for (uint32_t i = 0; i < POOL; i++)
                if (w->entry[i].ref)
                        entry_remove(w, &w->entry[i]);
        EXPECT_EQ(w->table.used, 0);
        flow_check(&w->table);
        /* No trace of those away is left, so no look-up walks on. */
        for (uint32_t b = 0; b < flow_bucket_cnt(&w->table); b++)
                EXPECT_EQ(w->table.bucket[b].away + w->table.bucket[b].passed, 0);
}

/* Goal:   the table answers as the model does, for IPv4 and IPv6 keys, whatever the order of operations,
 *         through doublings and back to nothing.
 * Method: random insertions, removals, replacements and look-ups of 12,000 keys: of any hash, and of hashes
 *         that share homes, so that buckets overflow into each other while they are split.  First more come
 *         than go, then fewer.
 * Spec:   flow/flow.h, flow_grow.c. */
TEST(flow_against_a_model)
{
        static struct world w;
        static const struct {
                uint32_t mask, below, pool;
        } kinds[] = { { 0, 1, POOL }, { 511, 200, POOL }, { 511, 320, POOL }, { 1023, 300, POOL }, { 31, 1, 3500 } };

        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
                world_init(&w, 1 + k, POOL);
                draw_pool(&w, kinds[k].pool, kinds[k].mask, kinds[k].below);
                for (uint32_t i = 0; i < 60000; i++) {
                        bool more = i < 40000;
                        one_step(&w, kinds[k].pool, more ? 6 : 2, more ? 1 : 6);
                        if (i % 2000 == 0)
                                flow_check(&w.table);
                }
                if (k == 0)
                        EXPECT_GE(w.table.low + 1, 1024);
                remove_all(&w);
                world_fini(&w);
        }
}

static flow_ref insert_nth(struct world *w, uint32_t i)
{
        struct flow_key key = nth_key(i);
        flow_ref ref = record_make(w, FLOW_CONN, &key);
        EXPECT_EQ(flow_insert(&w->table, hash_of(w, &key), ref), 0);
        return ref;
}

/* Goal:   a table for many grows with its flows: never overloaded, never much work at once, little in all.
 * Method: insert 60,000; after each one look at the load, the records that growing has looked at, and the
 *         size; look at everything around each doubling.  Then find all.
 * Spec:   flow/flow_grow.c. */
TEST(flow_grows_with_its_flows)
{
        static struct world w;
        uint64_t before = 0;
        uint32_t long_ones = 0;

        world_init(&w, 1, 1000000);
        EXPECT_EQ(flow_table_bytes(&w.table), 32768);
        for (uint32_t i = 0; i < MANY; i++) {
                uint32_t split = w.table.split;
                EXPECT_EQ(flow_ref_idx(insert_nth(&w, i)), i + 1);
                EXPECT_LE(w.table.rehashed - before, FLOW_CHAIN_MAX * FLOW_BUCKET_SLOTS);
                long_ones += w.table.rehashed - before > 4 * FLOW_BUCKET_SLOTS;
                before = w.table.rehashed;
                EXPECT_LE((uint64_t)w.table.used, (uint64_t)(w.table.low + 1) * 10);      /* 83 % */
                if (i >= 3000)
                        EXPECT_LE(flow_table_bytes(&w.table), (uint64_t)i * 15);
                if (i % 5000 == 0 || (split && !w.table.split) || w.table.split == 1)
                        flow_check(&w.table);
        }
        EXPECT_LE(long_ones, MANY / 50);
        EXPECT_LE(w.table.rehashed, 2ull * MANY);
        for (uint32_t i = 0; i < MANY; i++) {
                struct flow_key key = nth_key(i);
                EXPECT_EQ(flow_ref_idx(flow_find(&w.table, hash_of(&w, &key), &key)), i + 1);
        }
        flow_check(&w.table);
        world_fini(&w);
}

/* Goal:   one who knew the secret key and aimed all flows at one bucket would fill that bucket's chain
 *         and no more: the rest of the table lives and grows, and work stays bounded.
 * Method: 3,100 keys whose hashes agree in 12 bits, then 20,000 of any hash.
 * Spec:   flow/flow.h, FLOW_CHAIN_MAX. */
TEST(flow_aimed_at_one_bucket)
{
        enum { AIMED = 3100, OTHERS = 20000 };
        static struct world w;

        world_init(&w, 3, 100000);
        draw_pool(&w, AIMED, 0xfff, 1);
        for (uint32_t i = 0; i < AIMED; i++)
                entry_insert(&w, &w.entry[i]);
        EXPECT_EQ(w.cnt, FLOW_CHAIN_MAX * FLOW_BUCKET_SLOTS);
        for (uint32_t i = 0; i < OTHERS; i++) {
                struct flow_key key = nth_key(i);
                flow_ref ref = record_make(&w, FLOW_CONN, &key);
                uint64_t rehashed = w.table.rehashed;
                int rc = flow_insert(&w.table, hash_of(&w, &key), ref);
                EXPECT(rc == 0 || chain_is_full(&w, hash_of(&w, &key)));
                EXPECT_LE(w.table.rehashed - rehashed, FLOW_CHAIN_MAX * FLOW_BUCKET_SLOTS);
                if (i % 2000 == 0)
                        flow_check(&w.table);
        }
        EXPECT_GE(w.table.used, FLOW_CHAIN_MAX * FLOW_BUCKET_SLOTS + OTHERS - 3000);
        EXPECT_GE(w.table.low + 1, 2048);
        for (uint32_t i = 0; i < AIMED; i++)
                EXPECT_EQ(flow_find(&w.table, hash_of(&w, &w.entry[i].key), &w.entry[i].key), w.entry[i].ref);
        flow_check(&w.table);
        world_fini(&w);
}

/* Goal:   the table takes as many flows as it was made for, 85 % of its slots, and refuses the next.
 * Method: fill one that never grows, and one that does.
 * Spec:   flow/flow.h, flow_insert(). */
TEST(flow_full)
{
        static struct world w;
        static const uint32_t caps[] = { 512 * 12 * 85 / 100, 2048 * 12 * 85 / 100, 22000 };
        static const uint32_t buckets[] = { 512, 2048, 4096 };

        for (size_t k = 0; k < ARRAY_LEN(caps); k++) {
                world_init(&w, 1, caps[k]);
                for (uint32_t i = 0; i < caps[k]; i++)
                        insert_nth(&w, i);
                EXPECT_EQ(flow_insert(&w.table, 1, flow_ref_of(FLOW_CONN, false, 1)), -ENOSPC);
                EXPECT_EQ(w.table.low + 1, buckets[k]);
                for (uint32_t i = 0; i < caps[k]; i++) {
                        struct flow_key key = nth_key(i);
                        EXPECT_EQ(flow_ref_idx(flow_find(&w.table, hash_of(&w, &key), &key)), i + 1);
                }
                flow_check(&w.table);
                world_fini(&w);
        }
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
