/* SPDX-License-Identifier: MIT */
/* wire/csum.c - Adding up octets, fast
 *
 * Four sums run side by side, 32 octets a step, because a single chain of
 * add-with-carry would wait for its own carry.  Each step is a load-add and an
 * add of the carry, which compilers make of `s += w; s += s < w`.
 */
#include "wire/csum.h"

static inline uint64_t word_at(const uint8_t *p)
{
        uint64_t w;
        memcpy(&w, p, sizeof w);
        return w;
}

/* The last 0 to 7 octets as a word, zeros behind. */
static inline uint64_t tail_at(const uint8_t *p, uint32_t len)
{
        uint64_t w = 0;
        uint32_t at = 0;

        if (len & 4) {
                uint32_t four;
                memcpy(&four, p, 4);
                w = four;
                at = 4;
        }
        if (len & 2) {
                uint16_t two;
                memcpy(&two, p + at, 2);
                w |= (uint64_t)two << (at * 8);
                at += 2;
        }
        if (len & 1)
                w |= (uint64_t)p[at] << (at * 8);
        return w;
}

uint64_t csum_add(uint64_t sum, const void *p, uint32_t len)
{
        const uint8_t *at = p;
        uint64_t a = sum, b = 0, c = 0, d = 0;

        for (; len >= 32; len -= 32, at += 32) {
                a = csum_join(a, word_at(at));
                b = csum_join(b, word_at(at + 8));
                c = csum_join(c, word_at(at + 16));
                d = csum_join(d, word_at(at + 24));
        }
        for (; len >= 8; len -= 8, at += 8)
                a = csum_join(a, word_at(at));
        b = csum_join(b, tail_at(at, len));
        return csum_join(csum_join(a, b), csum_join(c, d));
}
