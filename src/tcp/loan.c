/* SPDX-License-Identifier: MIT */
/* tcp/loan.c - Buffers in the hands of the program: received ones lent, others reserved to be written
 *
 * Who wants no copy gets the packet buffers themselves:
 *
 *      receive queue ──tcp_borrow()──► lent ──tcp_loan_return()──► pool
 *                                        └────tcp_send_loan()────► send queue
 *      pool ──tcp_send_reserve()──► reserved ──tcp_send_commit()──► send queue, or pool
 *
 * A connection with such buffers has a struct tcp_account and stays awake.
 *
 * WHAT BOUNDS IT.  Octets that are lent count as unread for the window that we
 * offer, so who borrows and does not return stops its peer; no connection is
 * lent more than its receive buffer and one piece (then ENOBUFS).  Octets reserved count as
 * queued to send.  And of all small buffers, and of all large ones, no more
 * than 1/POOL_PART_HELD are in the hands of the program, however few octets
 * are in them: the rest stays for those who copy.
 *
 * WHO IS TRUSTED.  The program writes where it was told to, as everywhere in C.
 * What it says of its loans is checked: each has a number that no other one
 * ever has, kept beside the pool where the program does not write.  The
 * numbers of an engine begin anywhere, so another shard's loan is not taken
 * for one of ours.
 *
 * WHEN A CONNECTION ENDS what is lent stays lent; only the window is nobody's
 * business any more.  A reserved buffer stays reserved while its socket is
 * open, for the program may be writing into it when the RST comes; it goes
 * with close().
 */
#include "tcp/engine.h"

int loans_init(struct tcp *t)
{
        /* An account has a buffer at least.  Large buffers come first among the lent, so that the numbers in use
         * are low ones. */
        uint32_t bufs = t->pool->small.cap + t->pool->large.cap;

        t->loan_number = rnd_u64(&t->rnd) >> 1;         /* 2^63 loans until it would come to 0 */
        if (slab_init(&t->accounts, "accounts", sizeof(struct tcp_account), 0, bufs, MEM_SMALL) < 0 ||
            slab_init(&t->lent, "lent buffers", sizeof(struct tcp_lent), 0, bufs, MEM_SMALL) < 0)
                return -ENOMEM;
        return 0;
}

void loans_fini(struct tcp *t)
{
        slab_fini(&t->lent);
        slab_fini(&t->accounts);
}

/* ---- accounts ---- */

static struct tcp_account *account_attach(struct tcp *t, struct tcp_conn *c)
{
        if (!c->account) {
                c->account = slab_take(&t->accounts);
                ASSERT(c->account);                     /* there are as many as buffers, and the caller has one */
                *account_at(t, c) = (struct tcp_account){ .conn = c->self };
        }
        return account_at(t, c);
}

/* A connection without buffers outside may rest again. */
static void account_settle(struct tcp *t, struct tcp_conn *c)
{
        const struct tcp_account *a = account_at(t, c);

        if (!a || a->lent_cnt || a->room)
                return;
        slab_give(&t->accounts, c->account);
        c->account = 0;
        rest_soon(t, c);
}

static bool may_hold(const struct tcp *t, bool large)
{
        return t->held[large] < (large ? t->pool->large.cap : t->pool->small.cap) / POOL_PART_HELD;
}

static struct pkt *take_room(struct tcp_account *a)
{
        struct pkt *p = a->room;
        a->room = NULL;
        a->room_len = 0;
        return p;
}

static void room_give(struct tcp *t, struct tcp_account *a)
{
        struct pkt *p = take_room(a);
        if (!p)
                return;
        t->held[p->large]--;
        pkt_give(t->pool, p);
}

void account_leave(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_account *a = account_at(t, c);

        if (!a)
                return;
        room_give(t, a);
        a->conn = 0;
        if (!a->lent_cnt)
                slab_give(&t->accounts, c->account);
        c->account = 0;
}

/* ---- what is lent ---- */

static uint32_t lent_idx(const struct tcp *t, const struct pkt *p)
{
        return p->large ? p->idx : t->pool->large.cap + p->idx;
}

static struct pkt *lent_pkt(const struct tcp *t, uint32_t idx)
{
        uint32_t larges = t->pool->large.cap;
        return idx <= larges ? slab_at(&t->pool->large, idx) : slab_at(&t->pool->small, idx - larges);
}

static struct tcp_loan lend(struct tcp *t, struct tcp_conn *c, struct tcp_account *a, struct pkt *p)
{
        uint32_t idx = lent_idx(t, p);
        struct tcp_lent *l = slab_at(&t->lent, idx);

        slab_take_at(&t->lent, idx);
        *l = (struct tcp_lent){ .number = ++t->loan_number, .account = c->account };
        t->held[p->large]++;
        a->lent_cnt++;
        a->lent_len += p->len;
        return (struct tcp_loan){ .data = p->data, .len = p->len, .buffer = idx, .number = l->number };
}

/* NULL: it is not one of ours, or was returned already. */
static struct tcp_lent *lent_find(const struct tcp *t, const struct tcp_loan *loan)
{
        if (loan->buffer == 0 || loan->buffer >= t->lent.fresh || loan->number == 0)
                return NULL;
        struct tcp_lent *l = slab_at(&t->lent, loan->buffer);
        return l->number == loan->number ? l : NULL;
}

/* The buffer is not lent any more, and the caller's. */
static struct pkt *lent_end(struct tcp *t, struct tcp_lent *l, uint32_t idx)
{
        struct pkt *p = lent_pkt(t, idx);
        struct tcp_account *a = slab_at(&t->accounts, l->account);
        uint32_t account = l->account;

        l->number = 0;
        slab_give_at(&t->lent, idx);
        t->held[p->large]--;
        a->lent_cnt--;
        a->lent_len -= p->len;
        if (a->conn) {
                struct tcp_conn *c = conn_at(t, a->conn);
                account_settle(t, c);
                recvq_after_read(t, c);
        } else if (!a->lent_cnt) {
                slab_give(&t->accounts, account);
        }
        return p;
}

int tcp_borrow(struct tcp *t, uint32_t conn, struct tcp_loan *loans, int max)
{
        struct tcp_conn *c = conn_at(t, conn);
        uint32_t most = conn_opts(t, c)->rcvbuf;
        const struct tcp_recvq *q;
        int n = 0;

        if (!recvq_len(t, c)) {
                int rc = (int)recvq_nothing(c);
                return rc == -EAGAIN && conn_lent(t, c) >= most ? -ENOBUFS : rc;
        }
        while (n < max && conn_lent(t, c) < most && (q = recvq_at(t, c)) && q->head && may_hold(t, q->head->large)) {
                struct tcp_account *a = account_attach(t, c);
                loans[n++] = lend(t, c, a, recvq_pop(t, c));
        }
        return n ? n : -ENOBUFS;
}

int tcp_loan_return(struct tcp *t, const struct tcp_loan *loan)
{
        struct tcp_lent *l = lent_find(t, loan);

        if (!l)
                return -EINVAL;
        pkt_give(t->pool, lent_end(t, l, loan->buffer));
        return 0;
}

/* ---- what is reserved ---- */

/* A writer hears "no room". */
static int no_room(struct tcp *t, struct tcp_conn *c, uint64_t now_ns)
{
        c->flags |= TF_WND_FULL;
        if (!c->flight)
                timers_wait_for_pool(t, c, now_ns);
        return -EAGAIN;
}

/* The reservation may have been what a writer waits for. */
static void tell_room(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, struct tcp_note *note)
{
        if (send_room(t, c)) {
                c->flags &= ~(uint32_t)TF_WND_FULL;
                timers_stop(c, TIMER_POOL);
                note_add(note, c, TCP_EV_WRITABLE);
        } else if (!c->flight && c->state != TCP_CLOSED) {
                timers_wait_for_pool(t, c, now_ns);
        }
}

/* A buffer for @len octets, or for as many as there is one.  A large one is for those who fill a good part of it. */
static struct pkt *room_take(struct tcp *t, size_t len)
{
        const struct slab *large = &t->pool->large;
        struct pkt *p = NULL;

        if (len >= PKT_LARGE_ROOM / 4 && large->used < large->cap / 2 && may_hold(t, true))
                p = pkt_take(t->pool, PKT_LARGE_ROOM);
        if (!p && may_hold(t, false) && !pkt_pool_low(t->pool, POOL_PART_SEND))
                p = pkt_take(t->pool, 1);
        if (p)
                p->data = pkt_buf(p);
        return p;
}

ssize_t tcp_send_reserve(struct tcp *t, uint32_t conn, size_t want, void **room, uint64_t now_ns)
{
        struct tcp_conn *c = conn_at(t, conn);
        int rc = conn_may_send(c);

        if (c->account && account_at(t, c)->room)
                return -EBUSY;
        if (rc < 0)
                return rc;
        uint32_t len = (uint32_t)u64_min(want, send_free(t, c));
        if (len == 0 || !sendq_may_grow(t, flight_at(t, c)))
                return no_room(t, c, now_ns);
        struct pkt *p = room_take(t, len);
        if (!p)
                return -ENOBUFS;
        t->held[p->large]++;
        struct tcp_account *a = account_attach(t, c);
        a->room = p;
        a->room_len = u32_min(len, pkt_tailroom(p));
        if (!send_room(t, c))
                no_room(t, c, now_ns);                  /* whoever asks now hears it */
        *room = p->data;
        return a->room_len;
}

ssize_t tcp_send_commit(struct tcp *t, uint32_t conn, size_t len, bool more, uint64_t now_ns, struct tcp_note *note)
{
        struct tcp_conn *c = conn_at(t, conn);
        struct tcp_account *a = account_at(t, c);
        int rc = len ? conn_may_send(c) : 0;

        *note = (struct tcp_note){ 0 };
        if (!a || !a->room || len > a->room_len)
                return -EINVAL;
        if (len == 0 || rc < 0) {
                room_give(t, a);
        } else {
                struct pkt *p = take_room(a);
                t->held[p->large]--;
                p->len = (uint32_t)len;
                conn_send_pkt(t, c, p, more, now_ns);
        }
        if (c->flags & TF_WND_FULL)
                tell_room(t, c, now_ns, note);
        account_settle(t, c);
        return rc < 0 ? rc : (ssize_t)len;
}

ssize_t tcp_send_loan(struct tcp *t, uint32_t conn, const struct tcp_loan *loan, bool more, uint64_t now_ns)
{
        struct tcp_conn *c = conn_at(t, conn);
        struct tcp_lent *l = lent_find(t, loan);
        int rc = conn_may_send(c);

        if (!l)
                return -EINVAL;
        if (rc < 0)
                return rc;
        if (!send_free(t, c))
                return no_room(t, c, now_ns);
        struct pkt *p = lent_end(t, l, loan->buffer);
        uint32_t len = p->len;
        conn_send_pkt(t, conn_at(t, conn), p, more, now_ns);
        return len;
}

void tcp_held(const struct tcp *t, uint32_t conn, struct tcp_held *out)
{
        struct tcp_conn room;
        const struct tcp_conn *c = rest_look(t, conn, &room);
        const struct tcp_account *a = account_at(t, c);

        *out = a ? (struct tcp_held){ a->lent_len, a->lent_cnt, a->room_len } : (struct tcp_held){ 0 };
}
