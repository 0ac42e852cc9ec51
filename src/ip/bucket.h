/* SPDX-License-Identifier: MIT */
/* ip/bucket.h - A token bucket: so many a second, so many at once
 *
 * The bucket holds time instead of tokens: it earns one nanosecond a
 * nanosecond, up to @full_ns, and a token costs 1 s / rate.  So there is no
 * division and no rounding on the way.
 */
#pragma once
#include "base/units.h"

#include <stdbool.h>
#include <stdint.h>

struct bucket {
        uint64_t cost_ns;               /* of a token; 0: nothing is allowed */
        uint64_t full_ns;               /* most that is saved up */
        uint64_t have_ns;
        uint64_t last_ns;               /* when have_ns was true */
};

/* @per_s: 0 allows nothing, otherwise at most 10^9; @burst: at least 1 is taken. */
static inline void bucket_init(struct bucket *b, uint32_t per_s, uint32_t burst, uint64_t now_ns)
{
        uint64_t cost_ns = per_s ? u64_max(SEC(1) / per_s, 1) : 0;
        uint64_t full_ns = cost_ns * u32_max(burst, 1);
        *b = (struct bucket){ .cost_ns = cost_ns, .full_ns = full_ns, .have_ns = full_ns, .last_ns = now_ns };
}

/* Take one token if there is one. */
static inline bool bucket_take(struct bucket *b, uint64_t now_ns)
{
        if (now_ns > b->last_ns) {
                b->have_ns = u64_min(b->full_ns, b->have_ns + (now_ns - b->last_ns));
                b->last_ns = now_ns;
        }
        if (!b->cost_ns || b->have_ns < b->cost_ns)
                return false;
        b->have_ns -= b->cost_ns;
        return true;
}
