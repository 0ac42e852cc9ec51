/* SPDX-License-Identifier: MIT */
/* flow/flow_priv.h - What flow.c, flow_grow.c and flow_check.c share */
#pragma once
#include "flow/flow.h"

/* The index is made of the lowest bits of the hash, the tag of the highest. */
static inline uint8_t flow_tag(uint32_t hash) { return (uint8_t)(hash >> 24); }

/* Buckets, a power of two, that a table for @cap flows has in the end. */
uint32_t flow_buckets_for(uint32_t cap);
/* N is @buckets, none of them split. */
void flow_level_set(struct flow_table *t, uint32_t buckets);
/* Split one bucket. */
void flow_grow(struct flow_table *t);

/* Into bucket @home or the next with room.  False: FLOW_CHAIN_MAX are full. */
bool flow_place(struct flow_table *t, uint32_t home, uint8_t tag, flow_ref ref);
/* Out of slot @slot of bucket @at: what flow_place() did is undone. */
void flow_lift(struct flow_table *t, uint32_t home, uint32_t at, uint32_t slot);

/* flow_hash() of the key in @ref's record. */
static inline uint32_t flow_hash_of(const struct flow_table *t, flow_ref ref)
{
        struct flow_key key;
        flow_key_of(t, ref, &key);
        return flow_hash(t, &key);
}
