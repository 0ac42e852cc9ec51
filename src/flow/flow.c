/* SPDX-License-Identifier: MIT */
#include "flow/flow_priv.h"
#include "base/mem.h"

#include <errno.h>

/* Twelve tags are compared in one step; the compiler makes it a vector compare. */
static uint32_t tags_equal(const struct flow_bucket *b, uint8_t tag)
{
        uint64_t lo, spread = tag * 0x0101010101010101u;
        uint32_t hi;
        memcpy(&lo, b->tag, 8);
        memcpy(&hi, b->tag + 8, 4);

        /* A zero octet after the xor is a hit; the classic test may also mark
         * an octet 0x01 above a hit, which the comparison of keys sorts out. */
        uint64_t x = lo ^ spread;
        uint64_t y = (uint64_t)hi ^ (spread & 0xffffffffu);
        uint64_t hit_lo = (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
        uint64_t hit_hi = (y - 0x01010101u) & ~y & 0x80808080u;
        uint32_t bits = 0;
        for (; hit_lo; hit_lo &= hit_lo - 1)
                bits |= 1u << (__builtin_ctzll(hit_lo) / 8);
        for (; hit_hi; hit_hi &= hit_hi - 1)
                bits |= 256u << (__builtin_ctzll(hit_hi) / 8);
        return bits;
}

static uint32_t fold(const struct ip_addr *a)
{
        uint64_t hi, lo;
        memcpy(&hi, a->octet, 8);
        memcpy(&lo, a->octet + 8, 8);
        uint64_t x = (hi ^ (lo * 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
        return (uint32_t)(x >> 32);
}

static bool key_is_wide(const struct flow_key *key)
{
        return !ip_addr_is_v4(&key->laddr) || !ip_addr_is_v4(&key->raddr);
}

/* A flow_id as two words, put together in registers: one that is written in pieces and read as a whole
 * right after would wait for the store buffer with every packet. */
struct id_words {
        uint64_t addrs;
        uint32_t ports;
};
static_assert(sizeof(struct flow_id) == 12 && offsetof(struct flow_id, lport) == 8, "as id_words_of() has it");

static inline struct id_words id_words_of(const struct flow_key *key, bool wide)
{
        uint32_t laddr = wide ? fold(&key->laddr) : ip_addr_to_v4(&key->laddr);
        uint32_t raddr = wide ? fold(&key->raddr) : ip_addr_to_v4(&key->raddr);

        return (struct id_words){ (uint64_t)raddr << 32 | laddr, (uint32_t)key->rport << 16 | key->lport };
}

int flow_table_init(struct flow_table *t, uint32_t cap, struct hash_key key, enum mem_pages pages)
{
        *t = (struct flow_table){ .cap = cap, .key = key, .pages = pages, .bucket_max = flow_buckets_for(cap) };
        flow_level_set(t, FLOW_BUCKETS_MIN);
        t->bucket = mem_map(flow_table_bytes_max(cap), pages);
        return t->bucket ? 0 : -ENOMEM;
}

void flow_table_fini(struct flow_table *t)
{
        mem_unmap(t->bucket, flow_table_bytes_max(t->cap), t->pages);
        *t = (struct flow_table){ 0 };
}

uint32_t flow_hash(const struct flow_table *t, const struct flow_key *key)
{
        uint32_t ports = (uint32_t)key->lport << 16 | key->rport;

        if (!key_is_wide(key))
                return (uint32_t)hash_flow12(&t->key, (uint64_t)ip_addr_to_v4(&key->laddr) << 32 | ip_addr_to_v4(&key->raddr),
                                             ports);
        uint64_t word[5];
        memcpy(word, &key->laddr, 16);
        memcpy(word + 2, &key->raddr, 16);
        word[4] = ports;
        return (uint32_t)hash_flow(&t->key, word, 5);
}

flow_ref flow_id_set(struct slab *s, enum flow_kind kind, uint32_t idx, const struct flow_key *key)
{
        bool wide = key_is_wide(key);
        struct id_words id = id_words_of(key, wide);
        uint8_t *rec = slab_at(s, idx);

        memcpy(rec, &id.addrs, 8);
        memcpy(rec + 8, &id.ports, 4);
        if (wide)
                *(struct flow_wide *)slab_twin(s, idx) = (struct flow_wide){ key->laddr, key->raddr };
        return flow_ref_of(kind, wide, idx);
}

void flow_key_of(const struct flow_table *t, flow_ref ref, struct flow_key *key)
{
        const struct slab *s = t->slab[flow_ref_kind(ref)];
        const struct flow_id *id = slab_at(s, flow_ref_idx(ref));

        key->lport = id->lport;
        key->rport = id->rport;
        if (ref & FLOW_WIDE_BIT) {
                const struct flow_wide *wide = slab_twin(s, flow_ref_idx(ref));
                key->laddr = wide->laddr;
                key->raddr = wide->raddr;
        } else {
                key->laddr = ip_addr_v4(id->laddr);
                key->raddr = ip_addr_v4(id->raddr);
        }
}

static inline bool record_is(const struct flow_table *t, flow_ref ref, struct id_words id, const struct flow_key *key,
                             bool wide)
{
        const struct slab *s = t->slab[flow_ref_kind(ref)];
        const uint8_t *rec = slab_at(s, flow_ref_idx(ref));
        struct id_words have;

        memcpy(&have.addrs, rec, 8);
        memcpy(&have.ports, rec + 8, 4);
        if (!!(ref & FLOW_WIDE_BIT) != wide || have.addrs != id.addrs || have.ports != id.ports)
                return false;
        if (!wide)
                return true;
        const struct flow_wide *full = slab_twin(s, flow_ref_idx(ref));
        return ip_addr_eq(&full->laddr, &key->laddr) && ip_addr_eq(&full->raddr, &key->raddr);
}

flow_ref flow_find(const struct flow_table *t, uint32_t hash, const struct flow_key *key)
{
        bool wide = key_is_wide(key);
        struct id_words id = id_words_of(key, wide);

        const struct flow_bucket *b = &t->bucket[flow_home(t, hash)];
        uint32_t more = b->away;

        for (;; more = (++b)->passed) {
                for (uint32_t hits = tags_equal(b, flow_tag(hash)); hits; hits &= hits - 1) {
                        flow_ref ref = b->ref[__builtin_ctz(hits)];
                        if (ref && record_is(t, ref, id, key, wide))
                                return ref;
                }
                if (!more)
                        return 0;
        }
}

flow_ref flow_probe(const struct flow_table *t, uint32_t hash)
{
        const struct flow_bucket *b = &t->bucket[flow_home(t, hash)];

        for (uint32_t hits = tags_equal(b, flow_tag(hash)); hits; hits &= hits - 1) {
                flow_ref ref = b->ref[__builtin_ctz(hits)];
                if (!ref)
                        continue;
                __builtin_prefetch(slab_at(t->slab[flow_ref_kind(ref)], flow_ref_idx(ref)));
                return ref;
        }
        return 0;
}

bool flow_is(const struct flow_table *t, flow_ref ref, const struct flow_key *key)
{
        bool wide = key_is_wide(key);
        struct id_words id = id_words_of(key, wide);
        return record_is(t, ref, id, key, wide);
}

static bool put(struct flow_bucket *b, uint8_t tag, flow_ref ref)
{
        for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++)
                if (!b->ref[i]) {
                        b->tag[i] = tag;
                        b->ref[i] = ref;
                        return true;
                }
        return false;
}

bool flow_place(struct flow_table *t, uint32_t home, uint8_t tag, flow_ref ref)
{
        struct flow_bucket *first = &t->bucket[home], *b = first;

        while (!put(b, tag, ref))
                if (++b == first + FLOW_CHAIN_MAX)
                        return false;
        first->away += b != first;
        while (b-- > first)
                b->passed++;
        return true;
}

void flow_lift(struct flow_table *t, uint32_t home, uint32_t at, uint32_t slot)
{
        t->bucket[at].ref[slot] = 0;
        t->bucket[home].away -= at != home;
        while (at-- > home)
                t->bucket[at].passed--;
}

int flow_insert(struct flow_table *t, uint32_t hash, flow_ref ref)
{
        if (t->used >= t->cap)
                return -ENOSPC;
        if (t->used >= t->grow_at)
                flow_grow(t);
        if (!flow_place(t, flow_home(t, hash), flow_tag(hash), ref))
                return -ENOSPC;
        t->used++;
        return 0;
}

static uint32_t slot_in(const struct flow_bucket *b, flow_ref ref)
{
        uint32_t i = 0;
        while (i < FLOW_BUCKET_SLOTS && b->ref[i] != ref)
                i++;
        return i;
}

/* The bucket where @ref is, and which slot of it. */
static uint32_t bucket_of(const struct flow_table *t, uint32_t hash, flow_ref ref, uint32_t *slot)
{
        uint32_t at = flow_home(t, hash);

        while ((*slot = slot_in(&t->bucket[at], ref)) == FLOW_BUCKET_SLOTS)
                ASSERT(t->bucket[at++].passed > 0);
        return at;
}

void flow_remove(struct flow_table *t, uint32_t hash, flow_ref ref)
{
        uint32_t slot, at = bucket_of(t, hash, ref, &slot);
        flow_lift(t, flow_home(t, hash), at, slot);
        t->used--;
        t->removed++;
}

void flow_replace(struct flow_table *t, uint32_t hash, flow_ref from, flow_ref to)
{
        uint32_t slot, at = bucket_of(t, hash, from, &slot);
        t->bucket[at].ref[slot] = to;
        t->removed++;
}
