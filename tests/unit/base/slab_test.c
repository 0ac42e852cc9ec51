/* SPDX-License-Identifier: MIT */
#include "base/asan.h"
#include "base/rnd.h"
#include "base/slab.h"
#include "base/units.h"
#include "tests/test.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAP = 100 };

/* Goal:   indices are 1..cap, each once; the slab says when it is full.
 * Method: take all, look at each, one too many.
 * Spec:   base/slab.h
 */
TEST(slab_indices_and_exhaustion)
{
        bool seen[CAP + 1] = { false };
        struct slab s;

        REQUIRE(slab_init(&s, "records", 12, 0, CAP, MEM_SMALL) == 0);
        EXPECT_EQ(s.used, 0);
        for (int i = 0; i < CAP; i++) {
                uint32_t idx = slab_take(&s);
                REQUIRE(idx >= 1 && idx <= CAP);
                EXPECT(!seen[idx]);
                seen[idx] = true;
                memset(slab_at(&s, idx), (int)idx, 12);
        }
        EXPECT_EQ(slab_take(&s), 0);
        EXPECT_EQ(s.used, CAP);
        for (uint32_t idx = 1; idx <= CAP; idx++) {
                const uint8_t *rec = slab_at(&s, idx);
                EXPECT(rec[0] == (uint8_t)idx && rec[11] == (uint8_t)idx);
                EXPECT_EQ(slab_idx(&s, rec), idx);
                EXPECT_EQ(slab_idx(&s, rec + 11), idx);
        }
        slab_give(&s, 42);
        EXPECT_EQ(slab_take(&s), 42);
        EXPECT_EQ(slab_take(&s), 0);
        slab_fini(&s);
}

/* Goal:   given-back records are used again, last first, before fresh ones.
 * Method: a few by hand; then random takes and gives against a list of what is out.
 * Spec:   base/slab.h
 */
TEST(slab_reuse)
{
        uint32_t out[CAP], cnt = 0;
        bool is_out[CAP + 1] = { false };
        struct slab s;
        struct rnd r;

        REQUIRE(slab_init(&s, "records", 4, 0, CAP, MEM_SMALL) == 0);
        EXPECT_EQ(slab_take(&s), 1);
        EXPECT_EQ(slab_take(&s), 2);
        EXPECT_EQ(slab_take(&s), 3);
        slab_give(&s, 1);
        slab_give(&s, 3);
        slab_give(&s, 2);
        EXPECT_EQ(slab_take(&s), 2);
        EXPECT_EQ(slab_take(&s), 3);
        EXPECT_EQ(slab_take(&s), 1);
        EXPECT_EQ(slab_take(&s), 4);
        EXPECT_EQ(slab_bytes(&s), 5 * 4);
        for (uint32_t idx = 1; idx <= 4; idx++)
                slab_give(&s, idx);
        EXPECT_EQ(s.used, 0);
        EXPECT_EQ(slab_bytes(&s), 5 * 4);

        rnd_seed(&r, 1);
        for (int round = 0; round < 20000; round++) {
                if (rnd_below(&r, 2)) {
                        uint32_t idx = slab_take(&s);
                        EXPECT_EQ(idx == 0, cnt == CAP);
                        if (!idx)
                                continue;
                        REQUIRE(!is_out[idx]);
                        is_out[idx] = true;
                        out[cnt++] = idx;
                } else if (cnt) {
                        uint32_t k = rnd_below(&r, cnt);
                        slab_give(&s, out[k]);
                        is_out[out[k]] = false;
                        out[k] = out[--cnt];
                }
                EXPECT_EQ(s.used, cnt);
        }
        slab_fini(&s);
}

/* Goal:   an index comes back from every octet of its record, whatever the size: the multiplication by
 *         the reciprocal divides exactly.
 * Method: sizes with and without odd factors, the largest included; indices at both ends of large slabs.
 *         Nothing is touched.
 * Spec:   base/slab.h, slab_idx()
 */
TEST(slab_idx_is_exact)
{
        static const uint32_t sizes[] = { 4, 12, 20, 56, 60, 64, 72, 128, 196, 2048, 68 * 1024 };
        static const uint32_t caps[] = { 10, 65537, 100000000 };

        for (size_t i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(caps); i++) {
                uint32_t size = sizes[i / ARRAY_LEN(caps)], cap = caps[i % ARRAY_LEN(caps)];
                struct slab s;
#ifdef MR_ASAN                          /* it keeps a shadow of an eighth of all that is reserved */
                cap = u32_min(cap, 65537);
#endif
                REQUIRE(slab_init(&s, "records", size, 0, cap, MEM_SMALL) == 0);
                for (uint32_t k = 0; k < 4000; k++) {
                        uint32_t idx = k < 2000 ? k % (cap + 1) : cap - k % cap;
                        const uint8_t *rec = slab_at(&s, idx);
                        EXPECT_EQ(slab_idx(&s, rec), idx);
                        EXPECT_EQ(slab_idx(&s, rec + size - 1), idx);
                }
                slab_fini(&s);
        }
}

/* Goal:   a twin is a second record under the same index, and its own memory.
 * Method: fill both of each, compare.
 * Spec:   base/slab.h
 */
TEST(slab_twin_of_each_record)
{
        struct slab s;

        REQUIRE(slab_init(&s, "records", 8, 20, CAP, MEM_HUGE) == 0);
        for (uint32_t i = 1; i <= CAP; i++) {
                REQUIRE(slab_take(&s) == i);
                memset(slab_at(&s, i), (int)i, 8);
                memset(slab_twin(&s, i), (int)~i, 20);
        }
        for (uint32_t i = 1; i <= CAP; i++) {
                const uint8_t *rec = slab_at(&s, i), *twin = slab_twin(&s, i);
                EXPECT(rec[0] == (uint8_t)i && rec[7] == (uint8_t)i);
                EXPECT(twin[0] == (uint8_t)~i && twin[19] == (uint8_t)~i);
        }
        slab_fini(&s);
        EXPECT(s.base == NULL && s.twin == NULL);
}

/* Goal:   a slab that cannot be had is an error with nothing held, and a large
 *         one costs nothing before it is used.
 * Method: more than the address space; then 64 GiB, of which one record is touched.
 * Spec:   base/slab.h
 */
TEST(slab_reserves_without_cost)
{
        struct slab s;

        EXPECT_EQ(slab_init(&s, "too much", UINT32_MAX / 4 * 4, 0, UINT32_MAX - 1, MEM_SMALL), -ENOMEM);
        EXPECT(s.base == NULL);
        EXPECT_EQ(slab_init(&s, "too much", 4, 1u << 31, 1u << 20, MEM_SMALL), -ENOMEM);
        EXPECT(s.base == NULL && s.twin == NULL);
#ifndef MR_ASAN                         /* it keeps a shadow of an eighth of all that is reserved */
        REQUIRE(slab_init(&s, "much", 64, 0, 1u << 30, MEM_SMALL) == 0);
        uint32_t idx = slab_take(&s);
        memset(slab_at(&s, idx), 1, 64);
        slab_fini(&s);
#endif
}

/* Run @act in a process of its own; true if it was ended by a signal or a sanitizer. */
static bool dies(void (*act)(void))
{
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                if (!freopen("/dev/null", "w", stderr))
                        _exit(0);
                act();
                _exit(0);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void give_zero(void)
{
        struct slab s;
        slab_init(&s, "records", 8, 0, CAP, MEM_SMALL);
        slab_take(&s);
        slab_give(&s, 0);
}

static void give_never_taken(void)
{
        struct slab s;
        slab_init(&s, "records", 8, 0, CAP, MEM_SMALL);
        slab_take(&s);
        slab_give(&s, 2);
}

static void give_too_often(void)
{
        struct slab s;
        slab_init(&s, "records", 8, 0, CAP, MEM_SMALL);
        uint32_t idx = slab_take(&s);
        slab_give(&s, idx);
        slab_give(&s, idx);
}

/* Goal:   giving back what is not out is found at once.
 * Method: index 0, an index never taken, the only one twice; each in a process of its own.
 * Spec:   base/check.h
 */
TEST(slab_misuse_is_found)
{
        EXPECT(dies(give_zero));
        EXPECT(dies(give_never_taken));
        EXPECT(dies(give_too_often));
}

#ifdef MR_ASAN
static void use_after_give(void)
{
        struct slab s;
        slab_init(&s, "records", 64, 0, CAP, MEM_SMALL);
        uint32_t idx = slab_take(&s);
        volatile uint8_t *rec = slab_at(&s, idx);
        slab_give(&s, idx);
        rec[32] = 1;
}

/* Goal:   AddressSanitizer finds a use of a record that was given back.
 * Method: write to one, in a process of its own.
 * Spec:   base/asan.h
 */
TEST(slab_use_after_give_is_found)
{
        EXPECT(dies(use_after_give));
}
#endif
