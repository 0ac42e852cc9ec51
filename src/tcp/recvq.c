/* SPDX-License-Identifier: MIT */
/* tcp/recvq.c - Octets received: in order for the reader, out of order kept aside
 *
 * In-order data is the received packets themselves, linked.  A segment that
 * fits behind the one before it is copied there and its buffer is free again
 * at once: a peer that sends single octets cannot make each of them hold a
 * buffer of 2 KB.
 *
 * Out-of-order segments are kept sorted and without overlap (RFC 9293 SHLD-31);
 * what came first wins.  Their number is bounded by the receive buffer, and
 * when packet buffers get scarce they are the first to be given up: the peer
 * must keep them anyway until they are acknowledged.
 */
#include "tcp/engine.h"

#include <errno.h>

enum { OOO_BUFFERS_MIN = 64 };

static struct tcp_recvq *recvq_attach(struct tcp *t, struct tcp_conn *c)
{
        if (c->recvq)
                return recvq_at(t, c);
        uint32_t idx = slab_take(&t->recvqs);
        if (!idx)
                return NULL;
        c->recvq = idx;
        struct tcp_recvq *q = recvq_at(t, c);
        *q = (struct tcp_recvq){ 0 };
        return q;
}

/* An empty queue is given back. */
static void recvq_settle(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_recvq *q = recvq_at(t, c);
        if (q && !q->head && !q->ooo && !q->fin_early) {
                slab_give(&t->recvqs, c->recvq);
                c->recvq = 0;
        }
}

void recvq_drop_ooo(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_recvq *q = recvq_at(t, c);
        if (!q)
                return;
        count_add(t->counters, CNT_TCP_OOO_PRUNED, q->ooo_cnt);
        pkt_give_chain(t->pool, q->ooo);
        q->ooo = q->ooo_tail = NULL;
        q->ooo_cnt = q->ooo_len = 0;
        q->fin_early = false;
        recvq_settle(t, c);
}

void recvq_drop(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_recvq *q = recvq_at(t, c);
        if (!q)
                return;
        pkt_give_chain(t->pool, q->head);
        q->head = q->tail = NULL;
        q->len = 0;
        recvq_drop_ooo(t, c);
}

uint32_t recvq_len(const struct tcp *t, const struct tcp_conn *c)
{
        const struct tcp_recvq *q = recvq_at(t, c);
        return q ? q->len : 0;
}

static tcp_seq pkt_seq(const struct pkt *p) { return seq_of(p->seq); }
static tcp_seq pkt_seq_end(const struct pkt *p) { return seq_of(p->seq + p->len); }

static bool fits_behind(const struct pkt *tail, const struct pkt *p) { return tail && p->len <= pkt_tailroom(tail); }

/* Copy @p behind @tail if it fits there; then @p is free. */
static bool coalesce(struct tcp *t, struct pkt *tail, struct pkt *p)
{
        if (!fits_behind(tail, p))
                return false;
        memcpy(tail->data + tail->len, p->data, p->len);
        tail->len += p->len;
        pkt_give(t->pool, p);
        count(t->counters, CNT_TCP_RCV_COALESCED);
        return true;
}

/* @p begins at rcv_nxt. */
static void append(struct tcp *t, struct tcp_conn *c, struct tcp_recvq *q, struct pkt *p)
{
        uint32_t len = p->len;

        c->rcv_nxt = seq_add(c->rcv_nxt, len);
        count_add(t->counters, CNT_TCP_BYTES_RCVD, len);
        q->len += len;
        if (coalesce(t, q->tail, p))
                return;
        p->next = NULL;
        if (q->tail)
                q->tail->next = p;
        else
                q->head = p;
        q->tail = p;
}

void recvq_append(struct tcp *t, struct tcp_conn *c, struct pkt *p)
{
        struct tcp_recvq *q = recvq_attach(t, c);
        ASSERT(q);                                      /* there are as many as connections */
        p->seq = c->rcv_nxt.raw;
        append(t, c, q, p);
}

/* What was kept aside and now follows on. */
static void append_ooo(struct tcp *t, struct tcp_conn *c, struct tcp_recvq *q)
{
        while (q->ooo && seq_le(pkt_seq(q->ooo), c->rcv_nxt)) {
                struct pkt *p = q->ooo;
                q->ooo = p->next;
                if (!q->ooo)
                        q->ooo_tail = NULL;
                q->ooo_cnt--;
                q->ooo_len -= p->len;
                uint32_t old = c->rcv_nxt.raw - p->seq;
                if (old >= p->len) {
                        pkt_give(t->pool, p);
                        continue;
                }
                pkt_pull(p, old);
                append(t, c, q, p);
        }
}

static bool ooo_has_room(const struct tcp *t, const struct tcp_conn *c, const struct tcp_recvq *q)
{
        return q->ooo_cnt < u32_max(OOO_BUFFERS_MIN, conn_opts(t, c)->rcvbuf / 1024) &&
               !pkt_pool_low(t->pool, POOL_PART_OOO);
}

/* Into its place among those kept aside; overlap with earlier arrivals is cut off @p. */
static enum drop insert_ooo(struct tcp *t, struct tcp_conn *c, struct tcp_recvq *q, struct pkt *p)
{
        struct pkt *prev = NULL, *next = q->ooo;

        if (q->ooo_tail && seq_ge(pkt_seq(p), pkt_seq(q->ooo_tail))) {
                prev = q->ooo_tail;
                next = NULL;
        } else {
                while (next && seq_le(pkt_seq(next), pkt_seq(p))) {
                        prev = next;
                        next = next->next;
                }
        }
        if (prev && seq_lt(pkt_seq(p), pkt_seq_end(prev))) {
                uint32_t old = pkt_seq_end(prev).raw - p->seq;
                if (old >= p->len) {
                        pkt_give(t->pool, p);
                        return DROP_TCP_DUP_DATA;
                }
                pkt_pull(p, old);
                p->seq += old;
        }
        /* Later ones that @p covers wholly go; one that it covers in part keeps its part. */
        while (next && seq_le(pkt_seq_end(next), pkt_seq_end(p))) {
                struct pkt *gone = next;
                next = next->next;
                q->ooo_cnt--;
                q->ooo_len -= gone->len;
                if (q->ooo_tail == gone)
                        q->ooo_tail = prev;
                pkt_give(t->pool, gone);
        }
        if (next && seq_lt(pkt_seq(next), pkt_seq_end(p)))
                pkt_trim(p, next->seq - p->seq);

        if (prev)
                prev->next = next;
        else
                q->ooo = next;
        count(t->counters, CNT_TCP_OOO_QUEUED);
        q->ooo_len += p->len;
        if (prev && seq_eq(pkt_seq_end(prev), pkt_seq(p)) && coalesce(t, prev, p))
                return DROP_NONE;
        p->next = next;
        if (prev)
                prev->next = p;
        else
                q->ooo = p;
        if (!next)
                q->ooo_tail = p;
        q->ooo_cnt++;
        return DROP_NONE;
}

/* Rounding the offered window up, to what can be written and to what a rest remembers (rest.c), gives a
 * few octets beyond the buffer each time: here it ends. */
static uint32_t most_kept(const struct tcp *t, const struct tcp_conn *c)
{
        uint32_t size = conn_opts(t, c)->rcvbuf;
        return size + size / 1024 + (1u << rcv_wscale(c));
}

enum drop recvq_add(struct tcp *t, struct tcp_conn *c, struct pkt *p, tcp_seq seq, bool *advanced, bool *fin)
{
        struct tcp_recvq *q = recvq_attach(t, c);
        enum drop drop = DROP_NONE;

        *advanced = *fin = false;
        if (!q) {
                pkt_give(t->pool, p);
                return DROP_TCP_NO_MEM;
        }
        p->seq = seq.raw;
        if (seq_gt(seq, c->rcv_nxt)) {
                if (ooo_has_room(t, c, q)) {
                        drop = insert_ooo(t, c, q, p);
                } else {
                        pkt_give(t->pool, p);
                        drop = DROP_TCP_OOO_FULL;
                }
        } else if (q->len >= most_kept(t, c)) {
                pkt_give(t->pool, p);
                drop = DROP_TCP_NO_WINDOW;
        } else if (pkt_pool_low(t->pool, q->head ? POOL_PART_RECV : POOL_PART_FIRST) && !fits_behind(q->tail, p)) {
                pkt_give(t->pool, p);
                drop = DROP_TCP_NO_MEM;
        } else {
                pkt_pull(p, c->rcv_nxt.raw - seq.raw);
                append(t, c, q, p);
                append_ooo(t, c, q);
                *advanced = true;
                if (q->fin_early && seq_eq(q->fin, c->rcv_nxt)) {
                        q->fin_early = false;
                        *fin = true;
                }
        }
        recvq_settle(t, c);
        return drop;
}

bool recvq_note_early_fin(struct tcp *t, struct tcp_conn *c, tcp_seq fin)
{
        struct tcp_recvq *q = recvq_attach(t, c);
        if (!q)
                return false;
        q->fin_early = true;
        q->fin = fin;
        return true;
}

/* ---- the window we offer ---- */

static uint32_t room(const struct tcp *t, const struct tcp_conn *c)
{
        uint32_t size = conn_opts(t, c)->rcvbuf, used = recvq_len(t, c) + conn_lent(t, c);
        uint32_t most = c->flags & TF_WSCALE ? 65535u << rcv_wscale(c) : 65535;
        return u32_min(size > used ? size - used : 0, most);
}

/* RFC 9293 3.8.6.2.2, MUST-39: the right edge moves only by a worthwhile step,
 * min(1/2 RCV.BUFF, MSS), and never back (SHLD-14). */
uint32_t recvq_window(struct tcp *t, struct tcp_conn *c)
{
        uint32_t offered = conn_rcv_wnd(c);
        uint32_t can = room(t, c);
        uint32_t step = u32_min(conn_opts(t, c)->rcvbuf / 2, c->mss);

        if (can >= offered + step || (can > offered && offered == 0 && !recvq_len(t, c)))
                offered = can;
        c->rcv_adv = seq_add(c->rcv_nxt, offered);
        return offered;
}

/* Linux's rule: worth an ACK of its own when the window at least doubles. */
bool recvq_window_opened(const struct tcp *t, const struct tcp_conn *c)
{
        uint32_t offered = conn_rcv_wnd(c);
        uint32_t step = u32_min(conn_opts(t, c)->rcvbuf / 2, c->mss);
        uint32_t can = room(t, c);
        return can >= offered + step && can / 2 >= offered;
}

/* ---- reading ---- */

ssize_t recvq_nothing(const struct tcp_conn *c)
{
        if (c->flags & (TF_FIN_RCVD | TF_RCV_SHUT) || c->state == TCP_CLOSED)
                return 0;
        return -EAGAIN;
}

void recvq_after_read(struct tcp *t, struct tcp_conn *c)
{
        recvq_settle(t, c);
        if (c->state >= TCP_ESTABLISHED && !(c->flags & TF_FIN_RCVD) && recvq_window_opened(t, c)) {
                c->flags |= TF_ACK_NOW;
                conn_pull(t, c);
        } else if (!c->recvq && !c->flight && !(c->flags & (TF_OUT | TF_OWED | TF_DELACK))) {
                rest_soon(t, c);
        }
}

struct pkt *recvq_pop(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_recvq *q = recvq_at(t, c);
        struct pkt *p = q->head;

        q->len -= p->len;
        q->head = p->next;
        if (!q->head)
                q->tail = NULL;
        recvq_settle(t, c);
        return p;
}

/* The usual case: one buffer is all there is, and the reader takes all of it. */
static ssize_t recv_whole(struct tcp *t, struct tcp_conn *c, struct tcp_recvq *q, void *to)
{
        struct pkt *p = q->head;
        uint32_t len = p->len;

        memcpy(to, p->data, len);
        q->head = q->tail = NULL;
        q->len = 0;
        pkt_give(t->pool, p);
        recvq_after_read(t, c);
        return len;
}

ssize_t tcp_recv(struct tcp *t, uint32_t conn, const struct iovec *iov, size_t iov_cnt, size_t discard, bool peek,
                 uint64_t now_ns)
{
        struct tcp_conn room;
        if (!rest_awake(rest_at(t, conn)))              /* nothing to read: no reason to wake */
                return recvq_nothing(rest_look(t, conn, &room));

        struct tcp_conn *c = conn_at(t, conn);
        struct tcp_recvq *q = recvq_at(t, c);
        size_t done = 0, i = 0, filled = 0;

        if (!q || !q->len)
                return recvq_nothing(c);
        if (iov_cnt == 1 && iov && !peek && q->head == q->tail && q->len <= iov->iov_len)
                return recv_whole(t, c, q, iov->iov_base);
        for (struct pkt *p = q->head; p;) {
                uint32_t n = p->len, taken = 0;
                while (taken < n && (iov ? i < iov_cnt : discard > done)) {
                        size_t space = iov ? iov[i].iov_len - filled : discard - done;
                        uint32_t part = (uint32_t)u64_min(space, n - taken);
                        if (iov) {
                                memcpy((uint8_t *)iov[i].iov_base + filled, p->data + taken, part);
                                filled += part;
                                if (filled == iov[i].iov_len) {
                                        i++;
                                        filled = 0;
                                }
                        }
                        taken += part;
                        done += part;
                }
                struct pkt *next = p->next;
                if (!peek) {
                        q->len -= taken;
                        pkt_pull(p, taken);
                        if (p->len == 0) {
                                q->head = next;
                                if (!next)
                                        q->tail = NULL;
                                pkt_give(t->pool, p);
                        }
                }
                if (taken < n)
                        break;
                p = next;
        }
        if (!peek)
                recvq_after_read(t, c);
        return (ssize_t)done;
}
