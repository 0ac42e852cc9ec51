/* SPDX-License-Identifier: MIT */
#include "base/asan.h"
#include "base/mem.h"
#include "base/units.h"
#include "tests/test.h"

#include <stdlib.h>

static const char *const names[] = { [MEM_SMALL] = "small", [MEM_HUGE] = "huge", [MEM_AUTO] = "auto",
                                     [MEM_SPARSE] = "sparse" };

/* Goal:   memory comes zeroed and aligned, whatever the pages, and is given back.
 * Method: odd sizes; first and last octet.
 * Spec:   base/mem.h
 */
TEST(mem_map_and_unmap)
{
        static const size_t bytes[] = { 1, 4096, 4097, 3 << 20, (5 << 20) + 1 };

        for (uint32_t i = 0; i < ARRAY_LEN(bytes) * ARRAY_LEN(names); i++) {
                size_t n = bytes[i / ARRAY_LEN(names)];
                enum mem_pages pages = (enum mem_pages)(i % ARRAY_LEN(names));
                test_note("%zu octets, %s", n, names[pages]);
                uint8_t *p = mem_map(n, pages);
                REQUIRE(p);
                EXPECT_EQ((uintptr_t)p % (pages == MEM_HUGE ? 2 << 20 : 4096), 0);
                EXPECT_EQ(p[0], 0);
                EXPECT_EQ(p[n - 1], 0);
                p[0] = p[n - 1] = 1;
                mem_unmap(p, n, pages);
        }
        for (int pages = MEM_SMALL; pages <= MEM_SPARSE; pages++) {
                EXPECT(mem_map((size_t)1 << 62, (enum mem_pages)pages) == NULL);
                EXPECT(mem_map(SIZE_MAX - 100, (enum mem_pages)pages) == NULL);
                mem_unmap(NULL, 4096, (enum mem_pages)pages);
        }
}

/* A number of /proc/meminfo or /proc/self/status, in KB or as it is; 0 when it is not there. */
static uint64_t proc_number(const char *path, const char *name)
{
        char line[256];
        uint64_t n = 0;
        FILE *f = fopen(path, "r");

        while (f && fgets(line, sizeof line, f))
                if (strncmp(line, name, strlen(name)) == 0)
                        n = strtoull(line + strlen(name), NULL, 10);
        if (f)
                fclose(f);
        return n;
}

static uint64_t resident_kb(void) { return proc_number("/proc/self/status", "VmRSS:"); }

/* Goal:   few octets of a large piece cost little unless huge pages were insisted on.
 * Method: touch one octet in each of the first 100 pages of 64 MB; then, far behind, one more, which may
 *         take 2 MB.
 * Spec:   base/mem.h
 */
TEST(mem_auto_costs_little_at_first)
{
#ifdef MR_ASAN
        test_skip("the sanitizer's shadow counts too");
#endif
        for (int pages = MEM_SMALL; pages <= MEM_SPARSE; pages++) {
                if (pages == MEM_HUGE)
                        continue;
                test_note("%s", names[pages]);
                uint8_t *p = mem_map(MiB(64), (enum mem_pages)pages);
                REQUIRE(p);
                uint64_t before = resident_kb();
                for (uint32_t i = 0; i < 100; i++)
                        p[i * 4096] = 1;
                EXPECT_LE(resident_kb() - before, 1000);
                p[MiB(50)] = 1;
                EXPECT_LE(resident_kb() - before, 1000 + 2048);
                mem_unmap(p, MiB(64), (enum mem_pages)pages);
        }
}

/* Goal:   the tally says what was got, and what is asked for small is not in it.
 * Method: a piece of each kind.  What the machine has decides which kind is got, not how much.
 * Spec:   base/mem.h
 */
TEST(mem_tally_adds_up)
{
        struct mem_tally before, after;

        mem_tally(&before);
        REQUIRE(mem_map(MiB(8), MEM_SMALL) && mem_map(MiB(1), MEM_AUTO));
        mem_tally(&after);
        EXPECT_MEM(&before, &after, sizeof before);
        REQUIRE(mem_map(MiB(8), MEM_AUTO) && mem_map(MiB(1), MEM_HUGE));
        mem_tally(&after);
        EXPECT_EQ(after.reserved + after.transparent + after.small, MiB(8) + MiB(2));
}

/* Goal:   reserved pages are taken when there are enough for the whole piece, all at once, and never half.
 * Method: where the machine has some: one page; one more than there are; the count is as before at the end.
 * Spec:   base/mem.h
 */
TEST(mem_takes_reserved_pages)
{
        uint64_t pages = proc_number("/proc/meminfo", "HugePages_Free:");
        struct mem_tally tally;

        if (pages == 0 || proc_number("/proc/meminfo", "Hugepagesize:") != 2048)
                test_skip("no pages are reserved; sysctl vm.nr_hugepages=16 changes that");
        uint8_t *one = mem_map(MiB(1), MEM_HUGE);
        REQUIRE(one);
        mem_tally(&tally);
        EXPECT_EQ(tally.reserved, MiB(2));
        EXPECT_EQ(proc_number("/proc/meminfo", "HugePages_Free:"), pages - 1);
        mem_unmap(one, MiB(1), MEM_HUGE);
        uint8_t *more = mem_map((pages + 1) * MiB(2), MEM_HUGE);
        REQUIRE(more);
        mem_tally(&tally);
        EXPECT_EQ(tally.reserved, MiB(2));
        EXPECT_EQ(proc_number("/proc/meminfo", "HugePages_Free:"), pages);
        mem_unmap(more, (pages + 1) * MiB(2), MEM_HUGE);
}
