/* SPDX-License-Identifier: MIT */
#include "sock/fdtab.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdbool.h>

enum { WORD_BITS = 64, WORD_SHIFT = 6 };

/* One word more than needed, always partly empty: a search in a full table
 * ends there, at a number >= cap, and not beyond the memory. */
static uint64_t level_words(uint32_t cap, uint32_t level)
{
        return ((uint64_t)cap >> (WORD_SHIFT * (level + 1))) + 1;
}

int fdtab_init(struct fdtab *t, uint32_t cap)
{
        ASSERT(cap >= 1 && cap <= FDTAB_CAP_MAX);
        *t = (struct fdtab){ .cap = cap };

        do {
                uint64_t words = level_words(cap, t->levels);
                t->full[t->levels] = mem_map(words * sizeof(uint64_t), MEM_SMALL);
                if (!t->full[t->levels]) {
                        fdtab_fini(t);
                        return -ENOMEM;
                }
        } while (level_words(cap, t->levels++) > 1);
        return 0;
}

void fdtab_fini(struct fdtab *t)
{
        for (uint32_t l = 0; l < FDTAB_LEVELS; l++)
                mem_unmap(t->full[l], level_words(t->cap, l) * sizeof(uint64_t), MEM_SMALL);
        *t = (struct fdtab){ 0 };
}

static uint32_t lowest_free(const struct fdtab *t)
{
        uint32_t n = 0;
        for (uint32_t l = t->levels; l-- > 0;) {
                uint64_t word = t->full[l][n];
                if (word == UINT64_MAX)
                        return t->cap;
                n = n << WORD_SHIFT | (uint32_t)__builtin_ctzll(~word);
        }
        return n;
}

int32_t fdtab_take(struct fdtab *t)
{
        uint32_t n = lowest_free(t);
        if (n >= t->cap)
                return -EMFILE;

        t->used++;
        for (uint32_t l = 0, bit = n; l < t->levels; l++, bit >>= WORD_SHIFT) {
                uint64_t *word = &t->full[l][bit >> WORD_SHIFT];
                *word |= 1ull << (bit % WORD_BITS);
                if (*word != UINT64_MAX)
                        break;
        }
        return (int32_t)n;
}

void fdtab_give(struct fdtab *t, uint32_t n)
{
        ASSERT(fdtab_get(t, n) != 0);
        t->used--;
        for (uint32_t l = 0, bit = n; l < t->levels; l++, bit >>= WORD_SHIFT) {
                uint64_t *word = &t->full[l][bit >> WORD_SHIFT];
                bool was_full = *word == UINT64_MAX;
                *word &= ~(1ull << (bit % WORD_BITS));
                if (!was_full)
                        break;
        }
}
