/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "base/units.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23          /* Linux 5.14 */
#endif

enum { PAGE = 4096, HUGE_PAGE = 2 << 20, MAP_HUGE_2MB_ = 21 << 26 /* linux/mman.h */ };

#define AUTO_MIN      MiB(4)
#define RESERVED_MIN  MiB(256)          /* with MEM_AUTO; who reserved pages may have meant them for another program */

static atomic_uint_fast64_t got_reserved, got_transparent, got_small, got_refused;

static bool wants_huge(size_t bytes, enum mem_pages pages)
{
        return pages == MEM_HUGE || (pages != MEM_SMALL && bytes >= AUTO_MIN);
}

static size_t size_of(size_t bytes, enum mem_pages pages)
{
        return ALIGN_UP(bytes, wants_huge(bytes, pages) ? HUGE_PAGE : PAGE);
}

static void *map(size_t size, int flags)
{
        void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
        return base == MAP_FAILED ? NULL : base;
}

/* Without MAP_NORESERVE the kernel sets the pages aside now or says no.  It may still have to refuse one
 * later (a limit of a control group), which would end the process; so all are taken here. */
static void *map_reserved(size_t size)
{
        void *base = map(size, MAP_HUGETLB | MAP_HUGE_2MB_);

        if (base && madvise(base, size, MADV_POPULATE_WRITE) < 0) {
                munmap(base, size);
                return NULL;
        }
        return base;
}

static void *map_aligned(size_t size)
{
        uint8_t *base = map(size + HUGE_PAGE, MAP_NORESERVE);
        if (!base)
                return NULL;

        uint8_t *aligned = (uint8_t *)ALIGN_UP((uintptr_t)base, HUGE_PAGE);
        size_t front = (size_t)(aligned - base);
        if (front)
                munmap(base, front);
        munmap(aligned + size, HUGE_PAGE - front);
        return aligned;
}

/* "always [madvise] never": the word in brackets holds. */
static bool transparent_allowed(void)
{
        char text[64] = "";
        FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

        if (!f)
                return false;
        bool read = fgets(text, sizeof text, f);
        fclose(f);
        return read && !strstr(text, "[never]");
}

static bool make_transparent(uint8_t *base, size_t size, enum mem_pages pages)
{
        size_t first = pages == MEM_HUGE ? 0 : HUGE_PAGE;

        if (first)
                madvise(base, first, MADV_NOHUGEPAGE);
        return transparent_allowed() && madvise(base + first, size - first, MADV_HUGEPAGE) == 0;
}

static bool may_take_reserved(size_t size, enum mem_pages pages)
{
        return pages == MEM_HUGE || (pages == MEM_AUTO && size >= RESERVED_MIN);
}

void *mem_map(size_t bytes, enum mem_pages pages)
{
        size_t size = size_of(bytes, pages);
        void *base;

        if (size < bytes || size + HUGE_PAGE < size)
                return NULL;
        if (!wants_huge(bytes, pages))
                return map(size, MAP_NORESERVE);
        if (may_take_reserved(size, pages)) {
                if ((base = map_reserved(size)) != NULL) {
                        got_reserved += size;
                        return base;
                }
                got_refused += size;
        }
        base = map_aligned(size);
        if (base)
                *(make_transparent(base, size, pages) ? &got_transparent : &got_small) += size;
        return base;
}

void mem_unmap(void *base, size_t bytes, enum mem_pages pages)
{
        if (base)
                munmap(base, size_of(bytes, pages));
}

void mem_tally(struct mem_tally *out)
{
        *out = (struct mem_tally){ .reserved = got_reserved, .transparent = got_transparent, .small = got_small,
                                   .refused = got_refused };
}
