/* SPDX-License-Identifier: MIT */
#include "sock/ready.h"

static uint32_t chunk_of(ready_pos at) { return at / READY_WORDS; }
static uint32_t *next_of(const struct socks *ss, uint32_t chunk) { return ready_word(ss, chunk * READY_WORDS); }
static uint32_t tail_chunk(const struct epoll *ep) { return chunk_of(ep->tail - 1); }

/* The place behind @at, in a list that goes on there. */
static ready_pos behind(const struct socks *ss, ready_pos at)
{
        return (at + 1) % READY_WORDS ? at + 1 : *next_of(ss, chunk_of(at)) * READY_WORDS + 1;
}

/* The place of the next item behind @at, and there is one; chunks on the way are given back. */
static ready_pos pass(struct socks *ss, struct epoll *ep, ready_pos at)
{
        for (;;) {
                ready_pos next = behind(ss, at);
                if (next != at + 1)
                        slab_give(&ss->epolls.chunks, chunk_of(at));
                if (*ready_word(ss, next))
                        return next;
                ep->holes--;
                at = next;
        }
}

/* Give back chunks from @first up to, and without, @end. */
static void give_chunks(struct socks *ss, uint32_t first, uint32_t end)
{
        while (first != end) {
                uint32_t next = *next_of(ss, first);
                slab_give(&ss->epolls.chunks, first);
                first = next;
        }
}

/* Of a list without items only the last chunk stays, for those to come. */
static void settle(struct socks *ss, struct epoll *ep)
{
        uint32_t last = tail_chunk(ep);

        give_chunks(ss, chunk_of(ep->head), last);
        ep->tail = last * READY_WORDS + 1;
        ep->holes = 0;
}

/* Write the list anew, without its holes. */
static void compact(struct socks *ss, struct epoll *ep)
{
        ready_pos from = ep->head, to = from, last = from;

        for (uint32_t left = ep->cnt; left; from = behind(ss, from)) {
                item_ref ref = *ready_word(ss, from);
                if (!ref)
                        continue;
                left--;
                last = to;
                *ready_word(ss, to) = ref;
                epoll_item_at(ss, ref)->ready = to;
                to = behind(ss, to);
        }
        give_chunks(ss, *next_of(ss, chunk_of(last)), 0);
        *next_of(ss, chunk_of(last)) = 0;
        ep->tail = last + 1;
        ep->holes = 0;
}

ready_pos ready_grow(struct socks *ss, struct epoll *ep)
{
        uint32_t chunk = slab_take(&ss->epolls.chunks);

        ASSERT(chunk != 0);                             /* there are enough for every item, see ready_chunks_max() */
        *next_of(ss, chunk) = 0;
        if (ep->tail)
                *next_of(ss, tail_chunk(ep)) = chunk;
        return chunk * READY_WORDS + 1;
}

void ready_remove(struct socks *ss, struct epoll *ep, ready_pos at)
{
        *ready_word(ss, at) = 0;
        if (--ep->cnt == 0)
                settle(ss, ep);
        else if (at == ep->head)
                ep->head = pass(ss, ep, at);
        else if (++ep->holes > ep->cnt + READY_HOLES_MIN)
                compact(ss, ep);
}

void ready_take(struct socks *ss, struct epoll *ep, item_ref *refs, uint32_t cnt)
{
        ready_pos at = ep->head;

        ASSERT(cnt != 0 && cnt <= ep->cnt);
        ep->cnt -= cnt;
        for (*refs++ = *ready_word(ss, at); --cnt; *refs++ = *ready_word(ss, at)) {
                if ((at + 1) % READY_WORDS && *ready_word(ss, at + 1))
                        at++;                           /* as nearly always */
                else
                        at = pass(ss, ep, at);
        }
        ep->head = at;
        if (ep->cnt)
                ep->head = pass(ss, ep, at);
        else
                settle(ss, ep);
}

void ready_free(struct socks *ss, struct epoll *ep)
{
        if (ep->tail)
                give_chunks(ss, ep->cnt ? chunk_of(ep->head) : tail_chunk(ep), 0);
        ep->head = ep->tail = 0;
        ep->cnt = ep->holes = 0;
}
