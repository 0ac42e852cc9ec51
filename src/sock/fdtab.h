/* SPDX-License-Identifier: MIT */
/* sock/fdtab.h - Descriptor numbers: which are free
 *
 * POSIX wants the lowest free number each time.  A tree of 64-bit words finds
 * it in as many steps as the tree is high: a bit says "this number is taken"
 * at the bottom, "all 64 below are taken" above.
 *
 *      full[2]   1 word       ┌───────────────┐      128 Mi numbers: 5 levels,
 *      full[1]   64 words     └┬──┬──┬────────┘      17 MB of bits when all
 *      full[0]   4,096 words   └──┴──┴ ...           are in use, 0 at start
 *
 * Knows nothing of sockets, nor do they need a table that leads to them: number
 * n stands for the record with the index n + 1.  Memory is committed as numbers
 * are first used.
 */
#pragma once
#include <stdint.h>

enum { FDTAB_LEVELS = 5, FDTAB_CAP_MAX = 1 << 27 };

struct fdtab {
        uint64_t *full[FDTAB_LEVELS];           /* [0]: one bit a number */
        uint32_t  levels;
        uint32_t  cap;                          /* numbers 0..cap - 1 */
        uint32_t  used;
};

/* @cap: 1..FDTAB_CAP_MAX.  0, or -ENOMEM with nothing held. */
int  fdtab_init(struct fdtab *t, uint32_t cap);
void fdtab_fini(struct fdtab *t);

/* The lowest free number, now taken; or -EMFILE. */
int32_t fdtab_take(struct fdtab *t);
/* @n must be taken. */
void     fdtab_give(struct fdtab *t, uint32_t n);

/* The index that @n stands for, n + 1; 0 when it is free or out of range. */
static inline uint32_t fdtab_get(const struct fdtab *t, uint32_t n)
{
        return n < t->cap && t->full[0][n / 64] >> n % 64 & 1 ? n + 1 : 0;
}
