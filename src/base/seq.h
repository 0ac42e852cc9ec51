/* SPDX-License-Identifier: MIT */
/* base/seq.h - TCP sequence numbers
 *
 * Sequence numbers live on a circle of 2^32 (RFC 9293 3.4), so `<` on them is
 * wrong.  As a one-member struct `<` does not compile; seq_lt() is right.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct { uint32_t raw; } tcp_seq;

static inline tcp_seq seq_of(uint32_t raw) { return (tcp_seq){ raw }; }
static inline tcp_seq seq_add(tcp_seq a, uint32_t n) { return (tcp_seq){ a.raw + n }; }
static inline tcp_seq seq_sub(tcp_seq a, uint32_t n) { return (tcp_seq){ a.raw - n }; }

/* How far is @a ahead of @b; negative when behind.  Meaningful within 2^31. */
static inline int32_t seq_diff(tcp_seq a, tcp_seq b) { return (int32_t)(a.raw - b.raw); }

static inline bool seq_eq(tcp_seq a, tcp_seq b) { return a.raw == b.raw; }
static inline bool seq_lt(tcp_seq a, tcp_seq b) { return seq_diff(a, b) < 0; }
static inline bool seq_le(tcp_seq a, tcp_seq b) { return seq_diff(a, b) <= 0; }
static inline bool seq_gt(tcp_seq a, tcp_seq b) { return seq_diff(a, b) > 0; }
static inline bool seq_ge(tcp_seq a, tcp_seq b) { return seq_diff(a, b) >= 0; }
static inline tcp_seq seq_max(tcp_seq a, tcp_seq b) { return seq_gt(a, b) ? a : b; }
static inline tcp_seq seq_min(tcp_seq a, tcp_seq b) { return seq_lt(a, b) ? a : b; }

/* Is @s in [@from, @from + @len)?  False for an empty range. */
static inline bool seq_in(tcp_seq s, tcp_seq from, uint32_t len) { return s.raw - from.raw < len; }
