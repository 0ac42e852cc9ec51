/* SPDX-License-Identifier: MIT */
/* base/mem.h - Big pieces of address space, committed as they are touched
 *
 * Slabs, pools and tables reserve their full size at start and cost memory
 * only for what has been used.  Pages of 2 MB halve the cost of a cache miss
 * at millions of connections (fewer misses of the TLB).  There are two kinds:
 *
 *      reserved      the operator has set them aside (sysctl vm.nr_hugepages);
 *                    a piece gets them if there are enough for all of it, and
 *                    then takes them at once, so that no touch can fail later
 *      transparent   made by the kernel as the piece is touched (madvise), if
 *                    it is allowed to and finds room
 *
 * A page of 2 MB is taken for the first octet that is touched.  So that few
 * connections cost little, MEM_AUTO uses small pages for pieces under 4 MB and
 * for the first 2 MB of larger ones.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mem_pages {
        MEM_SMALL,                      /* 4 KB */
        MEM_HUGE,                       /* 2 MB from the first octet on: reserved, else transparent, else 4 KB */
        MEM_AUTO,                       /* 2 MB where it pays: reserved ones for 256 MB or more, see above */
        MEM_SPARSE,                     /* the same without reserved ones: sized for the worst case, mostly untouched */
};

/* Zeroed memory, page aligned (2 MB aligned with MEM_HUGE); NULL when there is none. */
void *mem_map(size_t bytes, enum mem_pages pages);

/* Give back what mem_map() gave, with the same @bytes and @pages.  NULL is allowed. */
void mem_unmap(void *base, size_t bytes, enum mem_pages pages);

/* Octets of address space, of the whole process, for which 2 MB pages were wanted, by what was got. */
struct mem_tally {
        uint64_t reserved, transparent, small;
        uint64_t refused;               /* of the latter two: reserved ones were asked for first */
};
void mem_tally(struct mem_tally *out);
