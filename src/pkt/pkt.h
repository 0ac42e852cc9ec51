/* SPDX-License-Identifier: MIT */
/* pkt/pkt.h - The packet buffer
 *
 * One contiguous buffer a packet, descriptor in front, room for headers next:
 *
 *      struct pkt │ headroom │ data ............ │ tailroom
 *      ▲          ▲          ▲                   ▲         ▲
 *      p          pkt_buf()  p->data             data+len  pkt_end()
 *
 * Two sizes: small (a frame of MTU 1500) and large (a 64 KB frame of a device
 * with segmentation offload, or a jumbo frame).  Both come from a pool that
 * reserves all of its memory at start and never grows: an empty pool is a
 * counted drop, DROP_NO_PKT, not an allocation.
 *
 * Ownership: a packet has one owner, who frees it or hands it on.  There are
 * no references: data kept by TCP's queues is the packet itself.
 * Threads: a pool belongs to one shard.
 */
#pragma once
#include "base/check.h"
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pkt_mark {
        PKT_CSUM_OK      = 1 << 0,      /* rx: the transport checksum is known to be right */
        PKT_CSUM_PARTIAL = 1 << 1,      /* tx: the field at csum_start + csum_offset holds the folded
                                         *     pseudo header sum; whoever sends it on a wire finishes it.
                                         * rx: peer on the same machine left it so: trust the data */
        PKT_GSO          = 1 << 2,      /* a super-segment: cut to gso_size octets of payload a frame */
        PKT_RX_IP4       = 1 << 3,      /* what parsing found; set by the receive path */
};

enum {
        PKT_SMALL_SIZE = 31 * 64,       /* descriptor included; an odd number of cache lines, so that the same */
        PKT_LARGE_SIZE = 1089 * 64,     /* places of many buffers do not all fall into the same few cache sets */
        PKT_HEADROOM   = 128,           /* Ethernet + VLAN + IPv6 + TCP with options, and a device's own header */
};

struct pkt {
        struct pkt *next;               /* for the owner's lists */
        uint8_t    *data;               /* first octet of what is looked at now */
        uint32_t    len;                /* octets from data */
        uint32_t    idx;                /* in the pool's slab */
        uint16_t    marks;              /* enum pkt_mark */
        uint16_t    gso_size;           /* with PKT_GSO: payload octets a segment */
        uint16_t    csum_start;         /* with PKT_CSUM_PARTIAL: from data, in octets */
        uint16_t    csum_offset;        /* from csum_start */
        uint8_t     large;              /* which pool it came from */
        uint8_t     iface;              /* interface it came in by, or goes out by */
        uint16_t    l4;                 /* rx: octets from the frame's start to the transport header */
        uint32_t    seq;                /* TCP's queues: sequence number of data[0] (raw) */
        uint8_t     spare[24];
};
static_assert(sizeof(struct pkt) == 64, "the descriptor is one cache line");

struct pkt_pool {
        struct slab small;
        struct slab large;
};

/* A FIFO of packets, linked by next. */
struct pkt_list {
        struct pkt *head, *tail;
        uint32_t    cnt;
};

/* 0 or -ENOMEM. */
int  pkt_pool_init(struct pkt_pool *pool, uint32_t small_cnt, uint32_t large_cnt, enum mem_pages pages);
void pkt_pool_fini(struct pkt_pool *pool);

/* An empty packet (len 0, PKT_HEADROOM octets in front) with room for @len
 * octets behind, or NULL.  Takes a small one where that fits. */
struct pkt *pkt_take(struct pkt_pool *pool, uint32_t len);
void        pkt_give(struct pkt_pool *pool, struct pkt *p);
void        pkt_list_give(struct pkt_pool *pool, struct pkt_list *list);
/* Give back @p and all that are linked behind it by next; NULL: none. */
void        pkt_give_chain(struct pkt_pool *pool, struct pkt *p);

/* Are fewer than 1/@part of the small packets free?  Whoever keeps packets asks before
 * it takes another, and the more dispensable it is the larger its share must be:
 * what the last part holds is for packets that pass through, so that the
 * acknowledgments that free all others can always be received. */
static inline bool pkt_pool_low(const struct pkt_pool *pool, uint32_t part)
{
        return pool->small.cap - pool->small.used <= pool->small.cap / part;
}

static inline uint8_t *pkt_buf(const struct pkt *p) { return (uint8_t *)(uintptr_t)(p + 1); }
static inline uint8_t *pkt_end(const struct pkt *p)
{
        return (uint8_t *)(uintptr_t)p + (p->large ? PKT_LARGE_SIZE : PKT_SMALL_SIZE);
}
static inline uint32_t pkt_headroom(const struct pkt *p) { return (uint32_t)(p->data - pkt_buf(p)); }
static inline uint32_t pkt_tailroom(const struct pkt *p) { return (uint32_t)(pkt_end(p) - p->data) - p->len; }

/* Most octets that a small packet holds behind its headroom. */
enum { PKT_SMALL_ROOM = PKT_SMALL_SIZE - 64 - PKT_HEADROOM,
       PKT_LARGE_ROOM = PKT_LARGE_SIZE - 64 - PKT_HEADROOM };

/* Grow at the front; the new octets are not written.  Returns the new data. */
static inline uint8_t *pkt_push(struct pkt *p, uint32_t n)
{
        ASSERT(pkt_headroom(p) >= n);
        p->data -= n;
        p->len += n;
        p->csum_start = (uint16_t)(p->csum_start + n);
        return p->data;
}

/* Shrink at the front. */
static inline void pkt_pull(struct pkt *p, uint32_t n)
{
        ASSERT(p->len >= n);
        p->data += n;
        p->len -= n;
        p->csum_start = (uint16_t)(p->csum_start - n);
}

/* Cut to @len octets at the back. */
static inline void pkt_trim(struct pkt *p, uint32_t len)
{
        ASSERT(p->len >= len);
        p->len = len;
}

static inline void pkt_list_push(struct pkt_list *l, struct pkt *p)
{
        p->next = NULL;
        if (l->tail)
                l->tail->next = p;
        else
                l->head = p;
        l->tail = p;
        l->cnt++;
}

static inline struct pkt *pkt_list_pop(struct pkt_list *l)
{
        struct pkt *p = l->head;
        if (p) {
                l->head = p->next;
                if (!l->head)
                        l->tail = NULL;
                l->cnt--;
        }
        return p;
}
