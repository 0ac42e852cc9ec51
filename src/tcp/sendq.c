/* SPDX-License-Identifier: MIT */
/* tcp/sendq.c - Octets to send, kept until they are acknowledged
 *
 * A queue of packet buffers filled from the front of their room; queue offset
 * 0 is the first octet not acknowledged.  Segments are copied out of it, so a
 * retransmission may cut the octets differently from the first time.
 *
 *      head ─► [ooooooo] ─► [oooooooooooo] ─► [ooooo....] ◄─ tail
 *              0        ▲ at_begin                       len
 *                       at: where the last copy ended, so that sending
 *                       straight on does not walk the queue from its head
 */
#include "tcp/engine.h"

struct tcp_flight *flight_attach(struct tcp *t, struct tcp_conn *c)
{
        if (c->flight)
                return flight_at(t, c);
        uint32_t idx = slab_take(&t->flights);
        if (!idx)
                return NULL;
        c->flight = idx;
        struct tcp_flight *f = flight_at(t, c);
        *f = (struct tcp_flight){ .snd_max = c->snd_nxt, .snd_sml = c->snd_una, .recover = seq_sub(c->snd_una, 1) };
        return f;
}

void flight_detach(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_flight *f = flight_at(t, c);
        if (!f)
                return;
        pkt_give_chain(t->pool, f->head);
        slab_give(&t->flights, c->flight);
        c->flight = 0;
}

bool sendq_may_grow(const struct tcp *t, const struct tcp_flight *f)
{
        if (f && f->tail)
                return pkt_tailroom(f->tail) || !pkt_pool_low(t->pool, POOL_PART_SEND);
        return !pkt_pool_low(t->pool, POOL_PART_FIRST);
}

/* A writer who brings so much is served with a large buffer, if those are plenty: fewer pieces to copy
 * from.  A large buffer that is not full holds what 35 small ones would. */
static uint32_t buffer_size(const struct tcp *t, size_t left)
{
        const struct slab *large = &t->pool->large;
        return left >= PKT_LARGE_ROOM / 2 && large->used < large->cap / 2 ? PKT_LARGE_ROOM : 1;
}

/* The buffer to fill on with @left octets: the last one if it has room, or a new one behind it. */
static struct pkt *sendq_tail(struct tcp *t, struct tcp_flight *f, size_t left)
{
        if (f->tail && pkt_tailroom(f->tail))
                return f->tail;
        struct pkt *p = sendq_may_grow(t, f) ? pkt_take(t->pool, buffer_size(t, left)) : NULL;
        if (!p)
                return NULL;
        p->data = pkt_buf(p);
        if (f->tail)
                f->tail->next = p;
        else
                f->head = p;
        f->tail = p;
        return p;
}

/* Returns octets taken: up to @max, fewer if the pool runs dry. */
uint32_t sendq_append(struct tcp *t, struct tcp_flight *f, const struct iovec *iov, size_t cnt, uint32_t max)
{
        uint32_t done = 0;

        for (size_t i = 0; i < cnt && done < max; i++) {
                const uint8_t *from = iov[i].iov_base;
                size_t left = u64_min(iov[i].iov_len, max - done);
                while (left) {
                        struct pkt *p = sendq_tail(t, f, left);
                        if (!p)
                                return done;
                        uint32_t n = (uint32_t)u64_min(left, pkt_tailroom(p));
                        memcpy(p->data + p->len, from, n);
                        p->len += n;
                        f->len += n;
                        from += n;
                        left -= n;
                        done += n;
                }
        }
        return done;
}

/* So that octets by the handful don't hold a buffer each: who fills less than an eighth of one is copied. */
static bool is_thin(const struct pkt *p) { return p->len < (uint32_t)(pkt_end(p) - pkt_buf(p)) / 8; }

void sendq_add(struct tcp *t, struct tcp_flight *f, struct pkt *p)
{
        if (is_thin(p)) {
                struct iovec iov = { .iov_base = p->data, .iov_len = p->len };
                pkt_pull(p, sendq_append(t, f, &iov, 1, p->len));
                if (p->len == 0) {
                        pkt_give(t->pool, p);
                        return;
                }
        }
        p->next = NULL;
        if (f->tail)
                f->tail->next = p;
        else
                f->head = p;
        f->tail = p;
        f->len += p->len;
}

void sendq_acked(struct tcp *t, struct tcp_flight *f, uint32_t octets)
{
        ASSERT(octets <= f->len);
        f->len -= octets;
        if (f->at_begin >= octets) {
                f->at_begin -= octets;
        } else {
                f->at = NULL;
                f->at_begin = 0;
        }
        while (octets) {
                struct pkt *p = f->head;
                ASSERT(p);                              /* the buffers hold f->len octets */
                if (octets < p->len) {
                        /* The cursor, if it stands here, keeps its offset 0: the buffer shrinks with the queue. */
                        pkt_pull(p, octets);
                        break;
                }
                octets -= p->len;
                f->head = p->next;
                if (!f->head)
                        f->tail = NULL;
                if (f->at == p) {
                        f->at = NULL;
                        f->at_begin = 0;
                }
                pkt_give(t->pool, p);
        }
}

void sendq_copy(struct tcp_flight *f, uint32_t from, uint8_t *out, uint32_t len)
{
        ASSERT(from + len <= f->len);
        if (!f->at || from < f->at_begin) {
                f->at = f->head;
                f->at_begin = 0;
        }
        while (len) {
                while (from - f->at_begin >= f->at->len) {
                        f->at_begin += f->at->len;
                        f->at = f->at->next;
                }
                uint32_t skip = from - f->at_begin;
                uint32_t n = u32_min(len, f->at->len - skip);
                memcpy(out, f->at->data + skip, n);
                out += n;
                from += n;
                len -= n;
        }
}
