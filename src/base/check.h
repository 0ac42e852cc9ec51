/* SPDX-License-Identifier: MIT */
/* base/check.h - Assertions about ourselves
 *
 * ASSERT() stays on in release builds: it guards the edges of modules and is
 * never about what came from the network or from the application.
 * CHECK_SLOW() walks whole structures; it is on in tests (-DMR_CHECK_SLOW).
 */
#pragma once

_Noreturn void check_failed(const char *expr, const char *file, int line, const char *func);

#define ASSERT(cond) \
        (__builtin_expect(!!(cond), 1) ? (void)0 : check_failed(#cond, __FILE__, __LINE__, __func__))

#ifdef MR_CHECK_SLOW
#define CHECK_SLOW(cond) ASSERT(cond)
#else
#define CHECK_SLOW(cond) ((void)sizeof(cond))
#endif
