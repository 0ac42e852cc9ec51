/* SPDX-License-Identifier: MIT */
/* base/hash.h - SipHash: keyed, so that nobody outside can choose collisions
 *
 * SipHash-c-d after Aumasson and Bernstein, over whole 64-bit words and in one
 * case half of another (all that we hash has a fixed size).  hash_flow() with 1-3 rounds serves hash tables;
 * hash_secret() with 2-4 rounds serves what an attacker must not predict:
 * initial sequence numbers (RFC 6528), ports (RFC 6056), timestamp offsets.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct hash_key {
        uint64_t k[2];
};

static inline uint64_t hash_rotl(uint64_t x, int b) { return (x << b) | (x >> (64 - b)); }

#define HASH_ROUND(v0, v1, v2, v3)                                      \
        do {                                                            \
                v0 += v1; v1 = hash_rotl(v1, 13); v1 ^= v0;             \
                v0 = hash_rotl(v0, 32);                                 \
                v2 += v3; v3 = hash_rotl(v3, 16); v3 ^= v2;             \
                v0 += v3; v3 = hash_rotl(v3, 21); v3 ^= v0;             \
                v2 += v1; v1 = hash_rotl(v1, 17); v1 ^= v2;             \
                v2 = hash_rotl(v2, 32);                                 \
        } while (0)

/* @octets: as long is the input; @cnt whole words of it and, if any are left, @rest. */
static inline __attribute__((always_inline)) uint64_t
hash_sip(const struct hash_key *key, const uint64_t *word, size_t cnt, uint32_t rest, uint64_t octets, int c, int d)
{
        uint64_t v0 = key->k[0] ^ 0x736f6d6570736575u;
        uint64_t v1 = key->k[1] ^ 0x646f72616e646f6du;
        uint64_t v2 = key->k[0] ^ 0x6c7967656e657261u;
        uint64_t v3 = key->k[1] ^ 0x7465646279746573u;
        uint64_t last = octets << 56 | rest;

        _Pragma("GCC unroll 6")
        for (size_t i = 0; i <= cnt; i++) {
                uint64_t m = i < cnt ? word[i] : last;
                v3 ^= m;
                for (int r = 0; r < c; r++)
                        HASH_ROUND(v0, v1, v2, v3);
                v0 ^= m;
        }
        v2 ^= 0xff;
        for (int r = 0; r < d; r++)
                HASH_ROUND(v0, v1, v2, v3);
        return v0 ^ v1 ^ v2 ^ v3;
}

static inline uint64_t hash_flow(const struct hash_key *key, const uint64_t *word, size_t cnt)
{
        return hash_sip(key, word, cnt, 0, cnt * 8, 1, 3);
}

/* The same of 12 octets, an IPv4 tuple: the last four stand beside the length, as SipHash has it. */
static inline uint64_t hash_flow12(const struct hash_key *key, uint64_t first, uint32_t rest)
{
        return hash_sip(key, &first, 1, rest, 12, 1, 3);
}

static inline uint64_t hash_secret(const struct hash_key *key, const uint64_t *word, size_t cnt)
{
        return hash_sip(key, word, cnt, 0, cnt * 8, 2, 4);
}

/* A key of its own for each purpose, from one 256-bit seed.  @label: distinct per purpose. */
static inline struct hash_key hash_key_derive(const uint64_t seed[4], uint64_t label)
{
        struct hash_key a = { { seed[0], seed[1] } };
        uint64_t in[3] = { label, seed[2], seed[3] };
        struct hash_key out;
        out.k[0] = hash_secret(&a, in, 3);
        in[0] = ~label;
        out.k[1] = hash_secret(&a, in, 3);
        return out;
}
