/* SPDX-License-Identifier: MIT */
/* sock/ready.h - The ready list of an epoll instance
 *
 * First in, first out, of references to items, and any item can leave from the
 * middle.  The references stand in chunks of one cache line: so those to come
 * are known, and their sockets can be loaded all at once instead of one after
 * the other.
 *
 *      head ─► [next|. . a b c d . f g ...] ─► [next|h i . k . . . .] ◄─ tail
 *
 * An item knows its place and leaves a hole there: a list never names one that
 * has left, and no other item is touched.  A place is the number of its word,
 * counted from that of chunk 0.  When more than half of a list is holes it is
 * written anew; so its memory is bounded by its items, and leaving costs O(1) in
 * the long run.
 *
 * While cnt is 0 the list holds at most one chunk, and tail is the first place
 * in it (0: no chunk).  Else head is the place of the first item.
 */
#pragma once
#include "sock/sock_priv.h"

enum { READY_WORDS = 16, READY_HOLES_MIN = 32 };

struct ready_chunk {
        uint32_t word[READY_WORDS];             /* [0]: the next chunk; else item_ref, 0: a hole */
};

/* Chunks that @items in @instances need at most: twice the items, the holes that are always
 * allowed, and one begun and one not yet passed. */
static inline uint64_t ready_chunks_max(uint64_t items, uint64_t instances)
{
        return 2 * items / (READY_WORDS - 1) + instances * (READY_HOLES_MIN / (READY_WORDS - 1) + 3);
}

/* What stands at @at. */
static inline uint32_t *ready_word(const struct socks *ss, ready_pos at)
{
        return (uint32_t *)(void *)ss->epolls.chunks.base + at;
}

/* A new chunk at the tail: its first place. */
ready_pos ready_grow(struct socks *ss, struct epoll *ep);
/* The item at @at leaves. */
void ready_remove(struct socks *ss, struct epoll *ep, ready_pos at);
/* The first @cnt items leave, and there are so many; they still have to be told. */
void ready_take(struct socks *ss, struct epoll *ep, item_ref *refs, uint32_t cnt);
/* Give back everything.  The items are not told. */
void ready_free(struct socks *ss, struct epoll *ep);

/* Where the item stands from now on. */
static inline ready_pos ready_push(struct socks *ss, struct epoll *ep, item_ref ref)
{
        ready_pos at = ep->tail;

        if (at % READY_WORDS == 0)
                at = ready_grow(ss, ep);
        *ready_word(ss, at) = ref;
        ep->tail = at + 1;
        if (ep->cnt++ == 0)
                ep->head = at;
        return at;
}

static inline item_ref ready_first(const struct socks *ss, const struct epoll *ep) { return *ready_word(ss, ep->head); }
