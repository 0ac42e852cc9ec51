/* SPDX-License-Identifier: MIT */
/* flow/flow_grow.c - The table grows while it is used
 *
 * THEORY OF OPERATION
 *
 * Linear hashing: there are N buckets, a power of two, and those before
 * `split` have been split already.  The home of a flow is
 *
 *      h & (N - 1), or h & (2N - 1) when the former is less than `split`
 *
 *      0        split          N          N + split        2 N
 *      ├─ split ─┼─ not yet ────┼─ new half ─┼─ (nothing yet) ┤
 *
 * Splitting bucket b moves those of its flows whose hash has the bit N to
 * bucket b + N.  The hash is not stored, it is computed again from the key in
 * the flow's record: a miss of the cache for each, so their loads begin one
 * insertion ahead.  When all are split N doubles, and none is split.
 *
 * How fast.  From 9 N flows on (75 % of N buckets) each insertion splits one
 * bucket.  N insertions later, at most 10 N flows (83 %), the sweep is over
 * and the load is half of that.  So an insertion does a bounded amount of
 * work: usually it looks at the flows of one bucket, and never of more than
 * FLOW_CHAIN_MAX.
 *
 * A chain goes on to the next bucket in memory and does not wrap: behind the
 * last there are FLOW_CHAIN_MAX to spare.  The address space of all that the
 * table may need is reserved from the start, so buckets never move.
 *
 * The last doubling is put off: where the table is as large as it will be,
 * 85 % of it are filled.  At such a load most flows still live at home, but
 * runs of full buckets get long, and FLOW_CHAIN_MAX must be longer: the chance
 * of a run shrinks by 14 % a bucket (12 ln(1 / 0.85) - 12 * 0.15 = 0.15).
 *
 * The table does not shrink: what was once needed is soon needed again.
 */
#include "base/units.h"
#include "flow/flow_priv.h"

enum { FULL_PERCENT = 85, GROW_SLOTS = FLOW_BUCKET_SLOTS * 3 / 4 };

uint32_t flow_buckets_for(uint32_t cap)
{
        uint64_t buckets = FLOW_BUCKETS_MIN;
        while (buckets * FLOW_BUCKET_SLOTS * FULL_PERCENT / 100 < cap)
                buckets *= 2;
        return (uint32_t)buckets;
}

uint64_t flow_table_bytes_max(uint32_t cap)
{
        return ((uint64_t)flow_buckets_for(cap) + FLOW_CHAIN_MAX) * sizeof(struct flow_bucket);
}

uint64_t flow_table_bytes(const struct flow_table *t)
{
        return ((uint64_t)t->low + 1 + t->split) * sizeof(struct flow_bucket);
}

void flow_level_set(struct flow_table *t, uint32_t buckets)
{
        t->low = buckets - 1;
        t->split = 0;
        t->grow_at = buckets < t->bucket_max ? buckets * GROW_SLOTS : UINT32_MAX;
}

/* Is there room for @need flows in the buckets that one at home in @home may live in? */
static bool has_room(const struct flow_table *t, uint32_t home, uint32_t need)
{
        uint32_t room = 0;

        for (uint32_t at = home; at < home + FLOW_CHAIN_MAX && room < need; at++)
                for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++)
                        room += !t->bucket[at].ref[i];
        return room >= need;
}

/* How many buckets from @home on hold flows that are at home there, at most. */
static uint32_t reach(const struct flow_table *t, uint32_t home)
{
        uint32_t len = 1;

        if (t->bucket[home].away)
                while (len < FLOW_CHAIN_MAX && t->bucket[home + len - 1].passed)
                        len++;
        return len;
}

/* Begin the loads that the next split will wait for, and those of the buckets after it. */
static void load_ahead(const struct flow_table *t)
{
        for (uint32_t at = t->split; at < t->split + reach(t, t->split); at++)
                for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++) {
                        flow_ref ref = t->bucket[at].ref[i];
                        if (ref)
                                __builtin_prefetch(slab_at(t->slab[flow_ref_kind(ref)], flow_ref_idx(ref)));
                }
        __builtin_prefetch(&t->bucket[t->split + 2]);
        __builtin_prefetch(&t->bucket[t->split + 1 + t->low]);
}

/* The flows at home in @home that live in bucket @at: to the new bucket, or as near to @home as
 * there is room now.  All hashes first: what is still on its way from memory comes at the same time. */
static void split_bucket(struct flow_table *t, uint32_t home, uint32_t at)
{
        struct flow_bucket *b = &t->bucket[at];
        uint32_t hash[FLOW_BUCKET_SLOTS], n = t->low + 1;

        for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++)
                if (b->ref[i])
                        hash[i] = flow_hash_of(t, b->ref[i]);
        for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++) {
                flow_ref ref = b->ref[i];
                if (!ref)
                        continue;
                t->rehashed++;
                if ((hash[i] & t->low) != home || (at == home && !(hash[i] & n)))
                        continue;
                flow_lift(t, home, at, i);
                bool placed = flow_place(t, home + (hash[i] & n), flow_tag(hash[i]), ref);
                ASSERT(placed);
        }
}

void flow_grow(struct flow_table *t)
{
        uint32_t home = t->split, end = home + reach(t, home);

        /* Should there be no room for what may come, the next insertion looks again. */
        if (!has_room(t, home + t->low + 1, FLOW_BUCKET_SLOTS + t->bucket[home].away))
                return;
        split_bucket(t, home, home);
        for (uint32_t at = home + 1; t->bucket[home].away && at < end; at++)
                split_bucket(t, home, at);
        if (++t->split > t->low)
                flow_level_set(t, 2 * (t->low + 1));
        load_ahead(t);
}
