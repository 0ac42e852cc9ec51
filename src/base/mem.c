/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "base/units.h"

#include <stdint.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

void *mem_map(size_t bytes, bool huge)
{
        size_t slack = huge ? HUGE_PAGE : 0;
        size_t size = ALIGN_UP(bytes, huge ? HUGE_PAGE : 4096);
        uint8_t *base = mmap(NULL, size + slack, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
                return NULL;
        if (!huge)
                return base;

        uint8_t *aligned = (uint8_t *)ALIGN_UP((uintptr_t)base, HUGE_PAGE);
        size_t front = (size_t)(aligned - base);
        if (front)
                munmap(base, front);
        if (slack - front)
                munmap(aligned + size, slack - front);
        madvise(aligned, size, MADV_HUGEPAGE);
        return aligned;
}

void mem_unmap(void *base, size_t bytes, bool huge)
{
        if (base)
                munmap(base, ALIGN_UP(bytes, huge ? HUGE_PAGE : 4096));
}
