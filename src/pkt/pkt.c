/* SPDX-License-Identifier: MIT */
#include "pkt/pkt.h"

#include <errno.h>

int pkt_pool_init(struct pkt_pool *pool, uint32_t small_cnt, uint32_t large_cnt, enum mem_pages pages)
{
        if (slab_init(&pool->small, "small packets", PKT_SMALL_SIZE, 0, small_cnt, pages) < 0)
                return -ENOMEM;
        if (slab_init(&pool->large, "large packets", PKT_LARGE_SIZE, 0, large_cnt, pages) < 0) {
                slab_fini(&pool->small);
                return -ENOMEM;
        }
        return 0;
}

void pkt_pool_fini(struct pkt_pool *pool)
{
        slab_fini(&pool->large);
        slab_fini(&pool->small);
}

struct pkt *pkt_take(struct pkt_pool *pool, uint32_t len)
{
        bool large = len > PKT_SMALL_ROOM;
        struct slab *s = large ? &pool->large : &pool->small;

        if (len > PKT_LARGE_ROOM)
                return NULL;
        uint32_t idx = slab_take(s);
        if (!idx)
                return NULL;

        struct pkt *p = slab_at(s, idx);
        *p = (struct pkt){ .idx = idx, .large = large };
        p->data = pkt_buf(p) + PKT_HEADROOM;
        return p;
}

void pkt_give(struct pkt_pool *pool, struct pkt *p)
{
        slab_give(p->large ? &pool->large : &pool->small, p->idx);
}

void pkt_list_give(struct pkt_pool *pool, struct pkt_list *list)
{
        pkt_give_chain(pool, list->head);
        *list = (struct pkt_list){ 0 };
}

void pkt_give_chain(struct pkt_pool *pool, struct pkt *p)
{
        for (struct pkt *next; p; p = next) {
                next = p->next;
                pkt_give(pool, p);
        }
}
