/* SPDX-License-Identifier: MIT */
#include "base/hash.h"
#include "base/rnd.h"
#include "tests/test.h"

/* The key of the published vectors: octets 00 01 02 ... 0f. */
static const struct hash_key KEY = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };

/* Goal:   SipHash-2-4 gives the published results.
 * Method: the vectors for inputs 00 01 02 ... of 0, 8, 16, 24 and 56 octets.
 * Spec:   Aumasson and Bernstein, SipHash, appendix A and its reference vectors
 */
TEST(hash_secret_published_vectors)
{
        const uint64_t word[] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x1716151413121110, 0x1f1e1d1c1b1a1918,
                                  0x2726252423222120, 0x2f2e2d2c2b2a2928, 0x3736353433323130 };

        EXPECT(hash_secret(&KEY, word, 0) == 0x726fdb47dd0e0e31);
        EXPECT(hash_secret(&KEY, word, 1) == 0x93f5f5799a932462);
        EXPECT(hash_secret(&KEY, word, 2) == 0x3f2acc7f57c29bdb);
        EXPECT(hash_secret(&KEY, word, 3) == 0xb8ad50c6f649af94);
        EXPECT(hash_secret(&KEY, word, 7) == 0xb78dbfaf3a8d83bd);
}

/* Goal:   the hash of 12 octets is SipHash-1-3 of 12 octets.
 * Method: the same rounds written down once more for the words 0706050403020100 and 0b0a0908 with length 12, and
 *         that all parts of the input count.
 * Spec:   Aumasson and Bernstein, SipHash, 2.2: the last word holds the rest and the length
 */
TEST(hash_flow12_is_siphash)
{
        uint64_t v[4] = { KEY.k[0] ^ 0x736f6d6570736575, KEY.k[1] ^ 0x646f72616e646f6d, KEY.k[0] ^ 0x6c7967656e657261,
                          KEY.k[1] ^ 0x7465646279746573 };
        const uint64_t m[2] = { 0x0706050403020100, 0x0c0000000b0a0908 };

        for (int i = 0; i < 2; i++) {
                v[3] ^= m[i];
                HASH_ROUND(v[0], v[1], v[2], v[3]);
                v[0] ^= m[i];
        }
        v[2] ^= 0xff;
        for (int i = 0; i < 3; i++)
                HASH_ROUND(v[0], v[1], v[2], v[3]);
        uint64_t want = v[0] ^ v[1] ^ v[2] ^ v[3];
        EXPECT(hash_flow12(&KEY, 0x0706050403020100, 0x0b0a0908) == want);
        for (uint32_t bit = 0; bit < 64; bit++)
                EXPECT(hash_flow12(&KEY, 0x0706050403020100 ^ 1ull << bit, 0x0b0a0908) != want);
        for (uint32_t bit = 0; bit < 32; bit++)
                EXPECT(hash_flow12(&KEY, 0x0706050403020100, 0x0b0a0908 ^ 1u << bit) != want);
}

/* Goal:   each bit of input and key changes about half of the hash.
 * Method: flip each bit of 1,000 random keys and inputs of three words; count.
 *         The mean of 448,000 coin-tosses of 64 lies within 0.1 of 32.
 * Spec:   base/hash.h
 */
TEST(hash_flow_avalanche)
{
        struct rnd r;
        uint64_t flips = 0, tosses = 0;
        uint32_t fewest = 64;

        rnd_seed(&r, 1);
        for (int round = 0; round < 1000; round++) {
                uint64_t in[5];
                for (int i = 0; i < 5; i++)
                        in[i] = rnd_u64(&r);
                struct hash_key key = { { in[3], in[4] } };
                uint64_t before = hash_flow(&key, in, 3);
                for (uint32_t bit = 0; bit < 5 * 64; bit++) {
                        in[bit / 64] ^= 1ull << bit % 64;
                        struct hash_key other = { { in[3], in[4] } };
                        uint32_t cnt = (uint32_t)__builtin_popcountll(before ^ hash_flow(&other, in, 3));
                        flips += cnt;
                        tosses++;
                        fewest = cnt < fewest ? cnt : fewest;
                        in[bit / 64] ^= 1ull << bit % 64;
                }
        }
        EXPECT_GT(flips * 10, tosses * 319);
        EXPECT_LT(flips * 10, tosses * 321);
        EXPECT_GT(fewest, 8);
}

/* Goal:   the addresses and ports of real flows spread evenly over buckets.
 * Method: 65,536 flows that differ in client port and address alone, over 4,096
 *         buckets by the low and by the high bits; chi-square within 6 sigma.
 * Spec:   base/hash.h
 */
TEST(hash_flow_spreads_like_chance)
{
        enum { FLOWS = 65536, BUCKETS = 4096 };
        static uint32_t low[BUCKETS], high[BUCKETS];
        double chi_low = 0, chi_high = 0, expected = (double)FLOWS / BUCKETS;

        for (uint64_t i = 0; i < FLOWS; i++) {
                uint64_t word[2] = { 0x0a4d000200500000 | (1024 + i % 256), 0x0a400000 + i / 256 };
                uint64_t h = hash_flow(&KEY, word, 2);
                low[h % BUCKETS]++;
                high[h >> 52]++;
        }
        for (int b = 0; b < BUCKETS; b++) {
                chi_low += (low[b] - expected) * (low[b] - expected) / expected;
                chi_high += (high[b] - expected) * (high[b] - expected) / expected;
        }
        /* Mean 4095, standard deviation sqrt(2 * 4095) = 90.5. */
        EXPECT(chi_low > 4095 - 543 && chi_low < 4095 + 543);
        EXPECT(chi_high > 4095 - 543 && chi_high < 4095 + 543);
}

/* Goal:   keys derived for two purposes, or from two seeds, have nothing in common.
 * Method: all pairs of a few labels and of seeds one bit apart.
 * Spec:   base/hash.h
 */
TEST(hash_key_derive_separates)
{
        uint64_t seed[4] = { 1, 2, 3, 4 };
        struct hash_key a = hash_key_derive(seed, 1), b = hash_key_derive(seed, 2), again = hash_key_derive(seed, 1);

        EXPECT(a.k[0] == again.k[0] && a.k[1] == again.k[1]);
        EXPECT(a.k[0] != b.k[0] && a.k[1] != b.k[1] && a.k[0] != a.k[1]);
        for (int bit = 0; bit < 256; bit++) {
                seed[bit / 64] ^= 1ull << bit % 64;
                struct hash_key c = hash_key_derive(seed, 1);
                EXPECT(c.k[0] != a.k[0] && c.k[1] != a.k[1]);
                seed[bit / 64] ^= 1ull << bit % 64;
        }
}
