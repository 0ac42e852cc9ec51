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
 *      ┌ 12 tags of 8 bits ┬ overflow (u32) ┬ 12 references of 32 bits ┐
 *
 * A flow lives in its home bucket or, when that is full, in the next one with
 * room; every bucket that it passed over counts it in `overflow`, so a lookup
 * goes on only when somebody did, and removal leaves no tombstones.  A lookup
 * misses the cache once for the bucket and once for the record.
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

enum { FLOW_BUCKET_SLOTS = 12 };

struct flow_bucket {
        uint8_t  tag[FLOW_BUCKET_SLOTS];        /* of the hash; looked at only where ref is not 0 */
        uint32_t overflow;                      /* flows that wanted this bucket and live further on */
        flow_ref ref[FLOW_BUCKET_SLOTS];        /* 0: free */
};
static_assert(sizeof(struct flow_bucket) == 64, "a bucket is one cache line");

struct flow_table {
        struct flow_bucket *bucket;
        uint32_t            mask;               /* buckets - 1 */
        uint32_t            cap;                /* most flows */
        uint32_t            used;
        struct hash_key     key;
        struct slab        *slab[FLOW_KIND_CNT];        /* where the records of each kind are */
        bool                huge;
};

/* Room for @cap flows, 75 % of all slots at most.  @slab: see above.  0 or -ENOMEM. */
int  flow_table_init(struct flow_table *t, uint32_t cap, struct hash_key key, bool huge);
void flow_table_fini(struct flow_table *t);

uint32_t flow_hash(const struct flow_table *t, const struct flow_key *key);

/* Fills the flow_id (and the twin) of record @idx; returns the reference to it. */
flow_ref flow_id_set(struct slab *s, enum flow_kind kind, uint32_t idx, const struct flow_key *key);
/* The key that flow_id_set() was given. */
void flow_key_of(const struct flow_table *t, flow_ref ref, struct flow_key *key);

/* The flow, or 0.  @hash is flow_hash(key). */
flow_ref flow_find(const struct flow_table *t, uint32_t hash, const struct flow_key *key);

/* 0, or -ENOSPC.  The flow must not be in the table; its record's id is set. */
int  flow_insert(struct flow_table *t, uint32_t hash, flow_ref ref);
void flow_remove(struct flow_table *t, uint32_t hash, flow_ref ref);
/* The same tuple goes on as another record (half-open -> connection -> TIME-WAIT). */
void flow_replace(struct flow_table *t, uint32_t hash, flow_ref from, flow_ref to);

/* The two early passes of a burst: start the load of the bucket; then of the
 * records whose tag fits. */
static inline const struct flow_bucket *flow_home(const struct flow_table *t, uint32_t hash)
{
        return &t->bucket[(hash >> 8) & t->mask];
}
static inline void flow_prefetch(const struct flow_table *t, uint32_t hash)
{
        __builtin_prefetch(flow_home(t, hash));
}
void flow_prefetch_records(const struct flow_table *t, uint32_t hash);
