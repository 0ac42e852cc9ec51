/* SPDX-License-Identifier: MIT */
/* base/be.h - Big-endian numbers as types
 *
 * A number on the wire is a struct of octets: it has alignment 1, so a wire
 * header made of these may be laid over any buffer, and it cannot be added,
 * compared or assigned to a host number by mistake: that does not compile.
 * be16_get() and friends are one load and one byte swap at -O2.
 */
#pragma once
#include <assert.h>
#include <stdint.h>
#include <string.h>

typedef struct { uint8_t octet[2]; } be16;
typedef struct { uint8_t octet[4]; } be32;
typedef struct { uint8_t octet[8]; } be64;

static inline uint16_t be16_get(be16 v)
{
        uint16_t raw;
        memcpy(&raw, v.octet, sizeof raw);
        return __builtin_bswap16(raw);
}

static inline uint32_t be32_get(be32 v)
{
        uint32_t raw;
        memcpy(&raw, v.octet, sizeof raw);
        return __builtin_bswap32(raw);
}

static inline uint64_t be64_get(be64 v)
{
        uint64_t raw;
        memcpy(&raw, v.octet, sizeof raw);
        return __builtin_bswap64(raw);
}

static inline be16 be16_put(uint16_t host)
{
        be16 v;
        uint16_t raw = __builtin_bswap16(host);
        memcpy(v.octet, &raw, sizeof raw);
        return v;
}

static inline be32 be32_put(uint32_t host)
{
        be32 v;
        uint32_t raw = __builtin_bswap32(host);
        memcpy(v.octet, &raw, sizeof raw);
        return v;
}

static inline be64 be64_put(uint64_t host)
{
        be64 v;
        uint64_t raw = __builtin_bswap64(host);
        memcpy(v.octet, &raw, sizeof raw);
        return v;
}

/* Unaligned reads and writes at an octet pointer, for options and the like. */
static inline uint16_t be16_at(const uint8_t *p) { be16 v; memcpy(&v, p, 2); return be16_get(v); }
static inline uint32_t be32_at(const uint8_t *p) { be32 v; memcpy(&v, p, 4); return be32_get(v); }
static inline void be16_to(uint8_t *p, uint16_t host) { be16 v = be16_put(host); memcpy(p, &v, 2); }
static inline void be32_to(uint8_t *p, uint32_t host) { be32 v = be32_put(host); memcpy(p, &v, 4); }

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "be.h swaps always: little-endian hosts only");
static_assert(_Alignof(be32) == 1 && sizeof(be32) == 4, "may be laid over any buffer");
