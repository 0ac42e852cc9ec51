/* SPDX-License-Identifier: MIT */
/* base/rnd.h - Random numbers that come from a seed
 *
 * xoshiro256** (Blackman and Vigna, public domain algorithm): fast, and the
 * same seed gives the same run.  Not for secrets: those are derived by
 * hash_key_derive() from the seed that the shard was given.
 */
#pragma once
#include <stdint.h>

struct rnd {
        uint64_t s[4];
};

static inline uint64_t rnd_splitmix(uint64_t *x)
{
        uint64_t z = (*x += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static inline void rnd_seed(struct rnd *r, uint64_t seed)
{
        for (int i = 0; i < 4; i++)
                r->s[i] = rnd_splitmix(&seed);
}

static inline uint64_t rnd_u64(struct rnd *r)
{
        uint64_t *s = r->s;
        uint64_t five = s[1] * 5;
        uint64_t result = ((five << 7) | (five >> 57)) * 9;
        uint64_t t = s[1] << 17;

        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = (s[3] << 45) | (s[3] >> 19);
        return result;
}

/* Uniform in [0, @n); 0 when @n is 0. */
static inline uint32_t rnd_below(struct rnd *r, uint32_t n)
{
        return (uint32_t)(((rnd_u64(r) >> 32) * n) >> 32);
}

/* True with probability @ppm parts per million. */
static inline int rnd_chance(struct rnd *r, uint32_t ppm)
{
        return rnd_below(r, 1000000) < ppm;
}
