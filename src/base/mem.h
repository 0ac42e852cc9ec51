/* SPDX-License-Identifier: MIT */
/* base/mem.h - Big pieces of address space, committed as they are touched
 *
 * Slabs, pools and tables reserve their full size at start and cost memory
 * only for what has been used.  Huge pages halve the cost of a cache miss at
 * millions of connections (fewer TLB misses); they are asked for by madvise(),
 * so a system without them still works.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory, page aligned (2 MiB aligned when @huge); NULL when there is none. */
void *mem_map(size_t bytes, bool huge);

/* Give back what mem_map() gave, with the same @bytes and @huge.  NULL is allowed. */
void mem_unmap(void *base, size_t bytes, bool huge);
