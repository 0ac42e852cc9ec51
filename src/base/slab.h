/* SPDX-License-Identifier: MIT */
/* base/slab.h - Records of one size, named by 32-bit indices
 *
 * A slab reserves address space for all its records at start; memory is
 * committed as records are first used, so an empty slab costs nothing.
 * Index 0 is never given out: it means "none".  Free records are linked
 * through their first four octets, last freed first used.
 *
 * A slab may have a twin: a second area with a record of another size under
 * the same index, touched only by those who need it (the addresses of IPv6
 * flows; an IPv4-only stack never pays for them).
 *
 *      base ─► [0 unused][1][2][3]...[cap]      twin ─► [0][1][2]...[cap]
 */
#pragma once
#include "base/check.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct slab {
        uint8_t    *base;
        uint8_t    *twin;
        uint32_t    size;               /* octets a record, a multiple of 4 */
        uint32_t    twin_size;
        uint32_t    cap;                /* most records alive at once; indices 1..cap */
        uint32_t    free_head;          /* 0: none was given back yet */
        uint32_t    fresh;              /* lowest index never used so far */
        uint32_t    used;               /* records alive now */
        enum mem_pages pages;
        uint64_t    recip;              /* 2^64 / size, rounded up: see slab_idx() */
        const char *name;               /* for messages: "connections" */
};

/* 0, or -ENOMEM with nothing held.  @twin_size 0: no twin. */
int  slab_init(struct slab *s, const char *name, uint32_t size, uint32_t twin_size, uint32_t cap, enum mem_pages pages);
void slab_fini(struct slab *s);

/* An index in 1..cap, or 0 when all are in use.  The record is not cleared. */
uint32_t slab_take(struct slab *s);
void     slab_give(struct slab *s, uint32_t idx);

/* The same for an owner that chooses the indices itself, and then always.  The first 8 octets of a free
 * record below fresh may be read, and are as they were left. */
void slab_take_at(struct slab *s, uint32_t idx);
void slab_give_at(struct slab *s, uint32_t idx);

/* Octets of memory that the records used so far occupy (the high-water mark). */
uint64_t slab_bytes(const struct slab *s);

static inline void *slab_at(const struct slab *s, uint32_t idx)
{
        return s->base + (uint64_t)idx * s->size;
}

static inline void *slab_twin(const struct slab *s, uint32_t idx)
{
        return s->twin + (uint64_t)idx * s->twin_size;
}

/* The index of a record, of which @rec may be any octet.  A multiplication by the reciprocal: dividing takes ten
 * times as long.  Exact, because at * size is less than 2^64 (slab_init() sees to that). */
static inline uint32_t slab_idx(const struct slab *s, const void *rec)
{
        uint64_t at = (uint64_t)((const uint8_t *)rec - s->base);
        return (uint32_t)(((unsigned __int128)at * s->recip) >> 64);
}
