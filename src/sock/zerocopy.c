/* SPDX-License-Identifier: MIT */
/* sock/zerocopy.c - mr_recv_borrow() and its family: buffers instead of copies
 *
 * Which buffers, and what bounds them, is the engine's (tcp/loan.c).  Here is
 * what the calls have in common with recv() and send(): descriptors, waiting,
 * pending errors, flags.
 */
#include "sock/sock_priv.h"

#include <limits.h>

/* 0, or why the call can't be meant. */
static int check_flags(int flags, int known)
{
        return flags & ~(known | MSG_DONTWAIT | MSG_NOSIGNAL) ? -EINVAL : 0;
}

/* ---- receiving ---- */

/* As recv(), which waits for SO_RCVLOWAT octets; but what is lent may be what keeps more from coming. */
static bool is_enough(const struct socks *ss, const struct sock *s, uint32_t avail, uint32_t enough)
{
        struct tcp_held held;

        if (avail >= enough || io_recv_is_over(ss, s))
                return true;
        tcp_held(ss->tcp, s->conn, &held);
        return held.lent_cnt != 0;
}

static int borrow_try(struct socks *ss, struct sock *s, struct tcp_loan *loans, int max, uint32_t enough)
{
        if (s->kind == KIND_LISTENER)
                return -ENOTCONN;
        uint32_t avail = s->conn ? tcp_recv_avail(ss->tcp, s->conn) : 0;
        if (!avail) {
                int rc = (int)io_recv_empty(ss, s);
                return rc == -EAGAIN ? tcp_borrow(ss->tcp, s->conn, loans, max) : rc;
        }
        return is_enough(ss, s, avail, enough) ? tcp_borrow(ss->tcp, s->conn, loans, max) : -EAGAIN;
}

int sock_recv_borrow(struct socks *ss, int fd, struct tcp_loan *loans, int max, int flags)
{
        struct sock *s;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if (max <= 0 || check_flags(flags, 0) < 0)
                return -EINVAL;
        if (!loans)
                return -EFAULT;
        SOCK_WAIT w = sock_wait_of(ss, s, SOCK_DIR_RCV, flags & MSG_DONTWAIT);
        for (;;) {
                rc = borrow_try(ss, s, loans, max, w.nonblock ? 1 : sock_rcvlowat(ss, s));
                if (rc != -EAGAIN)
                        return rc;
                int waited = sock_wait(ss, &w);
                if (waited < 0) {               /* what there is will do */
                        rc = w.nonblock ? waited : borrow_try(ss, s, loans, max, 1);
                        return rc == -EAGAIN ? waited : rc;
                }
                rc = sock_get(ss, fd, &s);
                if (rc < 0)
                        return rc;
        }
}

int sock_loan_return(struct socks *ss, struct tcp_loan *loans, int cnt)
{
        int rc = 0;

        if (cnt < 0)
                return -EINVAL;
        if (cnt && !loans)
                return -EFAULT;
        for (int i = 0; i < cnt; i++) {
                if (tcp_loan_return(ss->tcp, &loans[i]) < 0)
                        rc = -EINVAL;
                else
                        loans[i] = (struct tcp_loan){ 0 };
        }
        return rc;
}

/* ---- sending ---- */

/* A call that sends, on its way. */
struct offer {
        int              flags;
        size_t           want;          /* reserve: octets, and where they go */
        void            *room;
        struct tcp_loan *loan;          /* send a loan; NULL: reserve */
};

static bool holds_back(const struct sock *s, int flags) { return flags & MSG_MORE || s->flags & SOCKF_CORK; }

static ssize_t offer_try(struct socks *ss, struct sock *s, struct offer *o)
{
        ssize_t n;

        if (s->kind != KIND_TCP || !s->conn || s->flags & SOCKF_SHUT_WR)
                return io_send_error(ss, s);
        if (o->loan)
                n = tcp_send_loan(ss->tcp, s->conn, o->loan, holds_back(s, o->flags), sock_now(ss));
        else
                n = tcp_send_reserve(ss->tcp, s->conn, o->want, &o->room, sock_now(ss));
        return n == -EPIPE ? io_send_error(ss, s) : n;
}

static ssize_t offer(struct socks *ss, int fd, struct sock *s, struct offer *o)
{
        SOCK_WAIT w = sock_wait_of(ss, s, SOCK_DIR_SND, o->flags & MSG_DONTWAIT);

        for (;;) {
                ssize_t n = offer_try(ss, s, o);
                if (n != -EAGAIN)
                        return n;
                n = sock_wait(ss, &w);
                if (n == 0)
                        n = sock_get(ss, fd, &s);
                if (n < 0)
                        return n;
        }
}

ssize_t sock_send_reserve(struct socks *ss, int fd, size_t want, struct iovec *room, int flags)
{
        struct offer o = { .flags = flags, .want = want };
        struct sock *s;

        ssize_t n = sock_get(ss, fd, &s);
        if (n < 0)
                return n;
        if (want == 0 || check_flags(flags, 0) < 0)
                return -EINVAL;
        if (!room)
                return -EFAULT;
        n = offer(ss, fd, s, &o);
        if (n > 0)
                *room = (struct iovec){ .iov_base = o.room, .iov_len = (size_t)n };
        return n;
}

ssize_t sock_send_commit(struct socks *ss, int fd, size_t len, int flags)
{
        struct tcp_note note;
        struct sock *s;

        ssize_t n = sock_get(ss, fd, &s);
        if (n < 0)
                return n;
        if (s->kind != KIND_TCP || !s->conn || check_flags(flags, MSG_MORE) < 0)
                return -EINVAL;
        n = tcp_send_commit(ss->tcp, s->conn, len, holds_back(s, flags), sock_now(ss), &note);
        if (note.events)
                socks_note(ss, &note);
        return n == -EPIPE ? io_send_error(ss, s) : n;
}

ssize_t sock_send_loan(struct socks *ss, int fd, struct tcp_loan *loan, int flags)
{
        struct offer o = { .flags = flags, .loan = loan };
        struct sock *s;

        ssize_t n = sock_get(ss, fd, &s);
        if (n < 0)
                return n;
        if (check_flags(flags, MSG_MORE) < 0)
                return -EINVAL;
        if (!loan)
                return -EFAULT;
        n = offer(ss, fd, s, &o);
        if (n > 0)
                *loan = (struct tcp_loan){ 0 };
        return n;
}
