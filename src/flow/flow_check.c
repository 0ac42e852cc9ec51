/* SPDX-License-Identifier: MIT */
/* flow/flow_check.c - What must always be true of a flow table; for tests */
#include "flow/flow_priv.h"

/* What the last buckets should count, by number modulo FLOW_CHAIN_MAX. */
struct counts {
        struct {
                uint32_t away, passed;
        } of[FLOW_CHAIN_MAX];
};

static void check_flow(const struct flow_table *t, uint32_t at, uint32_t slot, struct counts *c)
{
        const struct flow_bucket *b = &t->bucket[at];
        struct flow_key key;

        flow_key_of(t, b->ref[slot], &key);
        uint32_t hash = flow_hash(t, &key), home = flow_home(t, hash);
        ASSERT(b->tag[slot] == flow_tag(hash));
        ASSERT(home <= at && at - home < FLOW_CHAIN_MAX);
        ASSERT(flow_find(t, hash, &key) == b->ref[slot]);
        c->of[home % FLOW_CHAIN_MAX].away += home != at;
        for (uint32_t p = home; p < at; p++)
                c->of[p % FLOW_CHAIN_MAX].passed++;
}

void flow_check(const struct flow_table *t)
{
        struct counts c = { 0 };
        uint32_t used = 0, last = flow_bucket_cnt(t);

        ASSERT(t->split <= t->low && t->low + 1 <= t->bucket_max && t->used <= t->cap);
        for (uint32_t at = 0; at < last + FLOW_CHAIN_MAX; at++) {
                /* Nobody from here on can be of the bucket whose place in the ring is needed. */
                uint32_t place = at % FLOW_CHAIN_MAX;
                if (at >= FLOW_CHAIN_MAX) {
                        ASSERT(t->bucket[at - FLOW_CHAIN_MAX].away == c.of[place].away);
                        ASSERT(t->bucket[at - FLOW_CHAIN_MAX].passed == c.of[place].passed);
                }
                c.of[place].away = c.of[place].passed = 0;
                for (uint32_t i = 0; at < last && i < FLOW_BUCKET_SLOTS; i++) {
                        if (!t->bucket[at].ref[i])
                                continue;
                        used++;
                        check_flow(t, at, i, &c);
                }
        }
        ASSERT(used == t->used);
}
