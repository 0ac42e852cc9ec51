/* SPDX-License-Identifier: MIT */
/* sock/fdtab.h - Descriptor numbers: which are free, and what they stand for
 *
 * POSIX wants the lowest free number each time.  A tree of 64-bit words finds
 * it in as many steps as the tree is high: a bit says "this number is taken"
 * at the bottom, "all 64 below are taken" above.
 *
 *      full[2]   1 word       ┌───────────────┐      128 Mi numbers: 5 levels,
 *      full[1]   64 words     └┬──┬──┬────────┘      17 MB of bits when all
 *      full[0]   4,096 words   └──┴──┴ ...           are in use, 0 at start
 *
 * Knows nothing of sockets: a number stands for a 32-bit value that is not 0.
 * Memory is committed as numbers are first used.
 */
#pragma once
#include <stdint.h>

enum { FDTAB_LEVELS = 5, FDTAB_CAP_MAX = 1 << 27 };

struct fdtab {
        uint32_t *value;                        /* 0: free */
        uint64_t *full[FDTAB_LEVELS];           /* [0]: one bit a number */
        uint32_t  levels;
        uint32_t  cap;                          /* numbers 0..cap - 1 */
        uint32_t  used;
};

/* @cap: 1..FDTAB_CAP_MAX.  0, or -ENOMEM with nothing held. */
int  fdtab_init(struct fdtab *t, uint32_t cap);
void fdtab_fini(struct fdtab *t);

/* Let the lowest free number stand for @value (not 0).  The number, or -EMFILE. */
int32_t fdtab_take(struct fdtab *t, uint32_t value);
/* @n must be taken. */
void     fdtab_give(struct fdtab *t, uint32_t n);

/* What @n stands for; 0 when it is free or out of range. */
static inline uint32_t fdtab_get(const struct fdtab *t, uint32_t n)
{
        return n < t->cap ? t->value[n] : 0;
}
