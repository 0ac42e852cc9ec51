/* SPDX-License-Identifier: MIT */
/* flow/flow.h - Who owns this packet: address and port tuple -> flow reference
 *
 * The table knows where a flow's record is and that the record begins with a
 * flow_id; it looks no further.  A reference is 32 bits:
 *
 *      31 30 │ 29   │ 28 ............... 0
 *      kind  │ wide │ index in the slab of that kind
 *
 * A flow_id is 12 octets and holds an IPv4 tuple completely.  For a wide
 * (IPv6) flow it holds a fold of the addresses, and the full ones lie in the
 * slab's twin under the same index: IPv6 costs 32 octets more, IPv4 nothing.
 *
 * The table is open, in buckets of one cache line:
 *
 *      ┌ 12 tags of 8 bits ┬ away ┬ passed ┬ 12 references of 32 bits ┐
 *
 * A flow lives in its home bucket or, when that is full, in the next one with
 * room.  The home counts it in `away`, and every bucket that it passed over,
 * the home included, in `passed`; so a lookup leaves the home only when one of
 * its flows did and goes on only where somebody did, and removal leaves no
 * tombstones.  A lookup misses the cache once for the bucket and once for the
 * record.
 *
 * The table begins small and grows in place, a bucket at a time, so that few
 * flows cost little and nobody ever waits for a big copy (linear hashing,
 * Litwin 1980): see flow_grow.c.
 *
 * The hash is keyed (base/hash.h): an attacker cannot aim at a bucket.
 */
#pragma once
#include "base/addr.h"
#include "base/hash.h"
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* Which flow, in full; how everybody outside the tables names one. */
struct flow_key {
        struct ip_addr laddr, raddr;    /* ours, theirs */
        uint16_t       lport, rport;
};

/* Which flow, as records hold it.  Always the first member of a record. */
struct flow_id {
        uint32_t laddr, raddr;          /* IPv4 in host order, or a fold of the IPv6 address */
        uint16_t lport, rport;
};

/* The twin of a wide flow's record. */
struct flow_wide {
        struct ip_addr laddr, raddr;
};

typedef uint32_t flow_ref;              /* 0: none */

enum flow_kind {
        FLOW_NONE,
        FLOW_CONN,                      /* a tcp_conn */
        FLOW_HALF,                      /* a tcp_half: SYN received, not yet established */
        FLOW_WAIT,                      /* a tcp_wait: TIME-WAIT */
        FLOW_KIND_CNT
};

#define FLOW_WIDE_BIT 0x20000000u
enum { FLOW_IDX_MASK = 0x1fffffff };

static inline flow_ref flow_ref_of(enum flow_kind kind, bool wide, uint32_t idx)
{
        return (uint32_t)kind << 30 | (wide ? FLOW_WIDE_BIT : 0) | idx;
}
static inline enum flow_kind flow_ref_kind(flow_ref ref) { return (enum flow_kind)(ref >> 30); }
static inline uint32_t flow_ref_idx(flow_ref ref) { return ref & FLOW_IDX_MASK; }

enum {
        FLOW_BUCKET_SLOTS = 12,
        FLOW_BUCKETS_MIN  = 512,        /* a table begins with 32 KB */
        FLOW_CHAIN_MAX    = 256,        /* a flow lives in one of so many buckets from its home on */
};
static_assert(FLOW_CHAIN_MAX < FLOW_BUCKETS_MIN, "a bucket that is split and what moves out of it are apart");

struct flow_bucket {
        uint8_t  tag[FLOW_BUCKET_SLOTS];        /* top bits of the hash; looked at only where ref is not 0 */
        uint16_t away;                          /* flows at home here that live further on */
        uint16_t passed;                        /* flows that found no room here and live further on */
        flow_ref ref[FLOW_BUCKET_SLOTS];        /* 0: free */
};
static_assert(sizeof(struct flow_bucket) == 64, "a bucket is one cache line");

struct flow_table {
        struct flow_bucket *bucket;
        uint32_t            low;                /* N - 1; N is a power of two */
        uint32_t            split;              /* so many buckets have been split already */
        uint32_t            grow_at;            /* from so many flows on each insertion splits a bucket */
        uint32_t            bucket_max;         /* N will never be more */
        uint32_t            cap;                /* most flows */
        uint32_t            used;
        struct hash_key     key;
        struct slab        *slab[FLOW_KIND_CNT];        /* where the records of each kind are */
        uint32_t            removed;            /* counts removals and replacements: what flow_probe() said before may be void */
        uint64_t            rehashed;           /* records that growing has looked at */
        enum mem_pages      pages;
};

/* Room for @cap flows: address space now, memory as it grows.  The caller sets @slab afterwards.  0 or -ENOMEM. */
int  flow_table_init(struct flow_table *t, uint32_t cap, struct hash_key key, enum mem_pages pages);
void flow_table_fini(struct flow_table *t);

/* Every flow is in one of the buckets 0..flow_bucket_cnt() - 1. */
static inline uint32_t flow_bucket_cnt(const struct flow_table *t)
{
        return t->low + 1 + t->split + FLOW_CHAIN_MAX;
}
/* Octets of memory it takes now, and would take with @cap flows. */
uint64_t flow_table_bytes(const struct flow_table *t);
uint64_t flow_table_bytes_max(uint32_t cap);

/* Walk everything and assert what must always hold: each flow can be found, and `away` and `passed`
 * count what they should (flow_check.c). */
void flow_check(const struct flow_table *t);

uint32_t flow_hash(const struct flow_table *t, const struct flow_key *key);

/* Fills the flow_id (and the twin) of record @idx; returns the reference to it. */
flow_ref flow_id_set(struct slab *s, enum flow_kind kind, uint32_t idx, const struct flow_key *key);
/* The key that flow_id_set() was given. */
void flow_key_of(const struct flow_table *t, flow_ref ref, struct flow_key *key);

/* The flow, or 0.  @hash is flow_hash(key). */
flow_ref flow_find(const struct flow_table *t, uint32_t hash, const struct flow_key *key);

/* 0, or -ENOSPC: @cap flows are in the table, or all FLOW_CHAIN_MAX buckets are full, which does not
 * happen to who does not know the key.  The flow must not be in the table; its record's id is set. */
int  flow_insert(struct flow_table *t, uint32_t hash, flow_ref ref);
void flow_remove(struct flow_table *t, uint32_t hash, flow_ref ref);
/* The same tuple goes on as another record (half-open -> connection -> TIME-WAIT). */
void flow_replace(struct flow_table *t, uint32_t hash, flow_ref from, flow_ref to);

/* A burst is looked up in passes, so that the misses of all its packets overlap: flow_prefetch() starts
 * the load of the bucket; flow_probe() looks into it, starts the load of the record that the flow
 * probably has, and names it; and flow_is() tells whether it is the one (else ask flow_find()).  A
 * reference is void once t->removed has changed. */
static inline uint32_t flow_home(const struct flow_table *t, uint32_t hash)
{
        uint32_t at = hash & t->low;
        return at + (at < t->split ? hash & (t->low + 1) : 0);
}
static inline void flow_prefetch(const struct flow_table *t, uint32_t hash)
{
        __builtin_prefetch(&t->bucket[flow_home(t, hash)]);
}
flow_ref flow_probe(const struct flow_table *t, uint32_t hash);         /* 0: none in its home bucket */
bool     flow_is(const struct flow_table *t, flow_ref ref, const struct flow_key *key);
