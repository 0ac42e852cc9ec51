/* SPDX-License-Identifier: MIT */
/* base/asan.h - Tells AddressSanitizer which records of a slab are free
 *
 * So a use after free inside our own slabs is found like one on the heap.
 * Without the sanitizer these are nothing.
 */
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define MR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MR_ASAN 1
#endif
#endif

#ifdef MR_ASAN
#include <sanitizer/asan_interface.h>
#define asan_poison(p, n)   __asan_poison_memory_region((p), (n))
#define asan_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define asan_poison(p, n)   ((void)(p), (void)(n))
#define asan_unpoison(p, n) ((void)(p), (void)(n))
#endif
