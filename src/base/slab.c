/* SPDX-License-Identifier: MIT */
#include "base/slab.h"
#include "base/asan.h"

#include <errno.h>
#include <string.h>

int slab_init(struct slab *s, const char *name, uint32_t size, uint32_t twin_size, uint32_t cap, enum mem_pages pages)
{
        ASSERT(size % 4 == 0 && twin_size % 4 == 0);
        *s = (struct slab){ .size = size, .twin_size = twin_size, .cap = cap, .fresh = 1, .name = name, .pages = pages,
                            .recip = UINT64_MAX / size + 1 };

        if ((unsigned __int128)((uint64_t)cap + 1) * size * size >> 64)
                return -ENOMEM;
        s->base = mem_map(((uint64_t)cap + 1) * size, pages);
        if (!s->base)
                return -ENOMEM;
        if (twin_size) {
                s->twin = mem_map(((uint64_t)cap + 1) * twin_size, MEM_SMALL);
                if (!s->twin) {
                        slab_fini(s);
                        return -ENOMEM;
                }
        }
        asan_poison(s->base, ((uint64_t)cap + 1) * size);
        return 0;
}

void slab_fini(struct slab *s)
{
        if (s->base)
                asan_unpoison(s->base, ((uint64_t)s->cap + 1) * s->size);
        mem_unmap(s->base, ((uint64_t)s->cap + 1) * s->size, s->pages);
        mem_unmap(s->twin, ((uint64_t)s->cap + 1) * s->twin_size, MEM_SMALL);
        *s = (struct slab){ 0 };
}

uint32_t slab_take(struct slab *s)
{
        uint32_t idx = s->free_head;

        if (idx) {
                uint8_t *rec = slab_at(s, idx);
                asan_unpoison(rec, s->size);
                memcpy(&s->free_head, rec, 4);
        } else if (s->fresh <= s->cap) {
                idx = s->fresh++;
                asan_unpoison(slab_at(s, idx), s->size);
        } else {
                return 0;
        }
        s->used++;
        return idx;
}

void slab_give(struct slab *s, uint32_t idx)
{
        ASSERT(idx != 0 && idx < s->fresh && s->used > 0);

        uint8_t *rec = slab_at(s, idx);
        memcpy(rec, &s->free_head, 4);
        asan_poison(rec, s->size);
        s->free_head = idx;
        s->used--;
}

void slab_take_at(struct slab *s, uint32_t idx)
{
        ASSERT(idx != 0 && idx <= s->cap && s->used < s->cap);
        for (; s->fresh <= idx; s->fresh++)
                asan_unpoison(slab_at(s, s->fresh), 8);
        asan_unpoison(slab_at(s, idx), s->size);
        s->used++;
}

void slab_give_at(struct slab *s, uint32_t idx)
{
        ASSERT(idx != 0 && idx < s->fresh && s->used > 0);
        asan_poison((uint8_t *)slab_at(s, idx) + 8, s->size - 8);
        s->used--;
}

uint64_t slab_bytes(const struct slab *s)
{
        return (uint64_t)s->fresh * s->size;
}
