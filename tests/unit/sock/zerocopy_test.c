/* SPDX-License-Identifier: MIT */
#include "tests/unit/sock/rig.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { LOANS = 64 };

static struct tcp_usage usage(const struct rig_host *h)
{
        struct tcp_usage use;
        tcp_usage(h->tcp, &use);
        return use;
}

/* All that can be borrowed now, returned at once; octets. */
static uint64_t drain(struct socks *ss, int fd)
{
        struct tcp_loan loan[LOANS];
        uint64_t got = 0;
        int n;

        while ((n = sock_recv_borrow(ss, fd, loan, LOANS, 0)) > 0) {
                for (int i = 0; i < n; i++)
                        got += loan[i].len;
                EXPECT_EQ(sock_loan_return(ss, loan, n), 0);
        }
        return got;
}

static ssize_t send_in_place(struct socks *ss, int fd, const char *text)
{
        struct iovec room;
        ssize_t n = sock_send_reserve(ss, fd, strlen(text), &room, 0);
        if (n < 0)
                return n;
        REQUIRE((size_t)n == strlen(text) && room.iov_len == (size_t)n);
        memcpy(room.iov_base, text, room.iov_len);
        return sock_send_commit(ss, fd, room.iov_len, 0);
}

/* Goal:   octets are borrowed in order, between ordinary reads, and stay what they are until returned.
 * Method: two segments with a read of a part before; more arrives while they are lent; the end of the stream.
 */
TEST(zerocopy_borrow_in_order)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        static char chunk[1400], buf[2000];
        struct tcp_loan loan[4], more[4];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_recv_borrow(b, fb, loan, 4, 0), -EAGAIN);
        for (char c = 'a'; c <= 'b'; c++) {
                memset(chunk, c, sizeof chunk);
                EXPECT_EQ(sock_send(a, fa, chunk, sizeof chunk, 0), sizeof chunk);
                rig_pump(rig);
        }
        EXPECT_EQ(sock_recv(b, fb, buf, 400, 0), 400);
        REQUIRE(sock_recv_borrow(b, fb, loan, 1, 0) == 1);
        EXPECT_EQ(loan[0].len, 1000);
        REQUIRE(sock_recv_borrow(b, fb, loan + 1, 3, MSG_DONTWAIT) == 1);
        EXPECT_EQ(loan[1].len, 1400);
        EXPECT_EQ(sock_recv_borrow(b, fb, more, 4, 0), -EAGAIN);
        EXPECT_EQ(usage(&rig->host[1]).lent, 2);

        EXPECT_EQ(sock_send(a, fa, "later", 5, 0), 5);
        rig_pump(rig);
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), 5);
        EXPECT_MEM(buf, "later", 5);
        for (int i = 0; i < 1000; i++)
                EXPECT_EQ(((char *)loan[0].data)[i], 'a');
        for (int i = 0; i < 1400; i++)
                EXPECT_EQ(((char *)loan[1].data)[i], 'b');
        memset(loan[0].data, 'x', loan[0].len);         /* the program may work in it */
        EXPECT_EQ(sock_loan_return(b, loan, 2), 0);
        EXPECT_EQ(loan[0].number, 0);
        EXPECT_EQ(usage(&rig->host[1]).accounts, 0);

        sock_shutdown(a, fa, SHUT_WR);
        rig_pump(rig);
        EXPECT_EQ(sock_recv_borrow(b, fb, loan, 4, 0), 0);
        rig_free(rig);
}

/* Goal:   every misuse is answered by its errno and damages nothing.
 * Method: loans invented, changed, returned twice or to another shard; reservations never made, too long, doubled. */
TEST(zerocopy_misuse)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct epoll_event ev = { 0 };
        struct tcp_loan loan, copy, bad[3] = { { .buffer = 1, .number = 1 }, { .buffer = UINT32_MAX, .number = 2 } };
        struct iovec room;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, ep = sock_epoll_create(a, 0);
        int fresh = sock_open(a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        EXPECT_EQ(sock_loan_return(b, bad, 3), -EINVAL);
        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send(a, fa, "abc", 3, 0), 3);
        rig_pump(rig);
        EXPECT_EQ(sock_recv_borrow(b, -1, &loan, 1, 0), -EBADF);
        EXPECT_EQ(sock_recv_borrow(a, ep, &loan, 1, 0), -ENOTSOCK);
        EXPECT_EQ(sock_recv_borrow(b, lfd, &loan, 1, 0), -ENOTCONN);
        EXPECT_EQ(sock_recv_borrow(a, fresh, &loan, 1, 0), -ENOTCONN);
        EXPECT_EQ(sock_recv_borrow(b, fb, &loan, 0, 0), -EINVAL);
        EXPECT_EQ(sock_recv_borrow(b, fb, &loan, -1, 0), -EINVAL);
        EXPECT_EQ(sock_recv_borrow(b, fb, &loan, 1, MSG_PEEK), -EINVAL);
        EXPECT_EQ(sock_recv_borrow(b, fb, NULL, 1, 0), -EFAULT);
        REQUIRE(sock_recv_borrow(b, fb, &loan, 1, 0) == 1);
        EXPECT_EQ(sock_loan_return(a, &loan, 1), -EINVAL);              /* not the shard that lent it */
        EXPECT_EQ(sock_loan_return(b, &loan, -1), -EINVAL);
        EXPECT_EQ(sock_loan_return(b, NULL, 1), -EFAULT);
        copy = loan;
        copy.number++;
        EXPECT_EQ(sock_loan_return(b, &copy, 1), -EINVAL);
        copy = loan;
        copy.buffer++;
        EXPECT_EQ(sock_loan_return(b, &copy, 1), -EINVAL);
        copy = loan;
        bad[1] = loan;
        EXPECT_EQ(sock_loan_return(b, bad, 3), -EINVAL);                /* the good one of them is taken */
        EXPECT_EQ(bad[1].number, 0);
        EXPECT_EQ(usage(&rig->host[1]).lent, 0);
        EXPECT_EQ(sock_loan_return(b, &copy, 1), -EINVAL);              /* the second time */
        EXPECT_EQ(sock_send_loan(b, fb, &copy, 0), -EINVAL);
        /* Nor is it another one, when the same buffer is lent again. */
        EXPECT_EQ(sock_send(a, fa, "def", 3, 0), 3);
        rig_pump(rig);
        REQUIRE(sock_recv_borrow(b, fb, &loan, 1, 0) == 1);
        copy.buffer = loan.buffer;
        EXPECT_EQ(sock_loan_return(b, &copy, 1), -EINVAL);
        EXPECT_MEM(loan.data, "def", 3);
        EXPECT_EQ(sock_loan_return(b, &loan, 1), 0);

        EXPECT_EQ(sock_send_commit(a, fa, 0, 0), -EINVAL);
        EXPECT_EQ(sock_send_commit(a, fresh, 0, 0), -EINVAL);
        EXPECT_EQ(sock_send_commit(a, -1, 0, 0), -EBADF);
        EXPECT_EQ(sock_send_reserve(a, fa, 0, &room, 0), -EINVAL);
        EXPECT_EQ(sock_send_reserve(a, fa, 1, &room, MSG_OOB), -EINVAL);
        EXPECT_EQ(sock_send_reserve(a, fa, 1, NULL, 0), -EFAULT);
        EXPECT_EQ(sock_send_reserve(a, fresh, 1, &room, 0), -EPIPE);
        EXPECT_EQ(sock_send_reserve(b, lfd, 1, &room, 0), -EPIPE);
        EXPECT_EQ(sock_send_reserve(a, ep, 1, &room, 0), -ENOTSOCK);
        EXPECT_EQ(sock_send_reserve(a, fa, 10, &room, 0), 10);
        EXPECT_EQ(sock_send_reserve(a, fa, 10, &room, 0), -EBUSY);
        EXPECT_EQ(sock_send_commit(a, fa, 11, 0), -EINVAL);
        EXPECT_EQ(sock_send_commit(a, fa, SIZE_MAX, 0), -EINVAL);
        EXPECT_EQ(sock_send_commit(a, fa, 1, MSG_OOB), -EINVAL);
        EXPECT_EQ(sock_send_commit(a, fa, 0, 0), 0);
        EXPECT_EQ(sock_send_commit(a, fa, 0, 0), -EINVAL);
        EXPECT_EQ(usage(&rig->host[0]).held, 0);
        EXPECT_EQ(sock_epoll_ctl(a, ep, EPOLL_CTL_ADD, fa, &ev), 0);
        rig_free(rig);
}

/* Goal:   what is written in place arrives, in the order of commit and send; MSG_MORE holds back.
 * Method: reserve, send in between (goes first), commit less than reserved. */
TEST(zerocopy_reserve_and_send)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct iovec room;
        char buf[100];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, queued;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send_reserve(a, fa, 100, &room, 0), 100);
        memset(room.iov_base, '#', room.iov_len);
        memcpy(room.iov_base, "second ", 7);
        EXPECT_EQ(sock_send(a, fa, "first ", 6, 0), 6);
        EXPECT_EQ(sock_send_commit(a, fa, 7, MSG_MORE), 7);
        EXPECT_EQ(send_in_place(a, fa, "third"), 5);
        EXPECT_EQ(sock_ioctl(a, fa, SIOCOUTQ, &queued), 0);
        EXPECT_EQ(queued, 18);
        rig_pump(rig);
        rig_run(rig, MS(1));
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), 18);
        EXPECT_MEM(buf, "first second third", 18);

        EXPECT_EQ(sock_send_reserve(a, fa, 4, &room, 0), 4);
        memcpy(room.iov_base, "held", 4);
        EXPECT_EQ(sock_send_commit(a, fa, 4, MSG_MORE), 4);
        rig_pump(rig);
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), -EAGAIN);
        EXPECT_EQ(send_in_place(a, fa, "."), 1);
        rig_pump(rig);
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), 5);

        /* Large ones, where they are worth it. */
        EXPECT_GT(sock_send_reserve(a, fa, 60000, &room, 0), 59999);
        EXPECT_EQ(rig->pool.large.used, 1);
        EXPECT_EQ(sock_send_commit(a, fa, 50, 0), 50);
        EXPECT_EQ(rig->pool.large.used, 0);             /* and not for 50 octets */
        EXPECT_EQ(sock_send_reserve(a, fa, 60000, &room, 0), 60000);
        EXPECT_EQ(sock_send_commit(a, fa, 60000, 0), 60000);
        rig_run(rig, MS(10));
        EXPECT_EQ(drain(b, fb), 60050);
        rig_run(rig, MS(100));
        EXPECT_EQ(rig->pool.small.used + rig->pool.large.used, 0);
        rig_free(rig);
}

/* Goal:   a reservation counts as queued, and EPOLLOUT tells when there is room.
 * Method: reserve nearly all of SO_SNDBUF; a send gets the rest and then EAGAIN; edge-triggered EPOLLOUT comes with
 *         the release, and once more when a full buffer is acknowledged. */
TEST(zerocopy_reserve_counts)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        static char chunk[100000];
        struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
        struct iovec room;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, ep = sock_epoll_create(a, 0), size = 20000;
        ssize_t n = 0;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_setsockopt(a, fa, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
        EXPECT_EQ(sock_epoll_ctl(a, ep, EPOLL_CTL_ADD, fa, &ev), 0);
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 1);
        EXPECT_EQ(sock_send_reserve(a, fa, (size_t)size, &room, 0), size);
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 0);
        EXPECT_EQ(sock_send_commit(a, fa, 0, 0), 0);
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 1);        /* nothing else but the release can have told */
        EXPECT_EQ(sock_send_reserve(a, fa, (size_t)size - 1000, &room, 0), size - 1000);
        EXPECT_EQ(rig->pool.large.used, 1);
        EXPECT_EQ(sock_send(a, fa, chunk, 5000, 0), 1000);
        EXPECT_EQ(sock_send(a, fa, chunk, 1, 0), -EAGAIN);
        rig_run(rig, MS(10));
        EXPECT_EQ(sock_send_commit(a, fa, 0, 0), 0);
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 1);
        EXPECT_EQ(ev.events, EPOLLOUT);

        for (int rest = 0; rest < 3; rest++) {                  /* until the peer's buffer is full too */
                while ((n = sock_send_reserve(a, fa, sizeof chunk, &room, 0)) > 0)
                        EXPECT_EQ(sock_send_commit(a, fa, (size_t)n, 0), n);
                EXPECT_EQ(n, -EAGAIN);
                rig_run(rig, MS(50));
        }
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 0);
        for (int i = 0; i < 100 && drain(b, fb); i++)
                rig_run(rig, MS(300));
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 1);
        EXPECT_EQ(ev.events, EPOLLOUT);
        rig_free(rig);
}

/* Goal:   blocking calls wait as recv() and send() do: SO_RCVTIMEO, a signal, SO_RCVLOWAT.
 * Method: nothing to borrow with a timeout; room that comes while the call waits. */
TEST(zerocopy_waits)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct timeval tv = { .tv_usec = 50000 };
        struct tcp_loan loan[4];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, lowat = 10;

        rig_pair(rig, lfd, &fa, &fb);
        sock_fcntl(b, fb, F_SETFL, 0);
        sock_setsockopt(b, fb, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        uint64_t began_ns = rig->now_ns;
        EXPECT_EQ(sock_recv_borrow(b, fb, loan, 4, 0), -EAGAIN);
        EXPECT_GT(rig->now_ns, began_ns + MS(49));
        began_ns = rig->now_ns;
        EXPECT_EQ(sock_recv_borrow(b, fb, loan, 4, MSG_DONTWAIT), -EAGAIN);
        EXPECT_LT(rig->now_ns, began_ns + MS(1));
        rig->interrupts = 1;
        EXPECT_EQ(sock_recv_borrow(b, fb, loan, 4, 0), -EINTR);
        EXPECT_EQ(sock_send(a, fa, "abc", 3, 0), 3);            /* goes out with the next turn */
        REQUIRE(sock_recv_borrow(b, fb, loan, 4, 0) == 1);
        EXPECT_EQ(loan[0].len, 3);
        EXPECT_EQ(sock_loan_return(b, loan, 1), 0);

        sock_setsockopt(b, fb, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat);
        EXPECT_EQ(sock_send(a, fa, "abc", 3, 0), 3);
        began_ns = rig->now_ns;
        REQUIRE(sock_recv_borrow(b, fb, loan, 4, 0) == 1);      /* when time is up what there is will do */
        EXPECT_GT(rig->now_ns, began_ns + MS(49));
        EXPECT_EQ(sock_send(a, fa, "def", 3, 0), 3);
        rig_pump(rig);
        began_ns = rig->now_ns;
        REQUIRE(sock_recv_borrow(b, fb, loan + 1, 3, 0) == 1);  /* with a loan out nothing is waited for */
        EXPECT_LT(rig->now_ns, began_ns + MS(1));
        EXPECT_EQ(sock_loan_return(b, loan, 2), 0);
        rig_free(rig);
}

/* Goal:   no more is lent of a connection than its receive buffer and a piece, whatever lies in its queue.
 * Method: fill the queue, then make SO_RCVBUF smaller. */
TEST(zerocopy_rcvbuf_bounds_loans)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        static char chunk[50000], buf[1000];
        struct tcp_loan loan[LOANS];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, size = 2000, n;
        uint32_t lent = 0;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send(a, fa, chunk, sizeof chunk, 0), sizeof chunk);
        rig_run(rig, MS(100));
        EXPECT_EQ(sock_ioctl(b, fb, FIONREAD, &n), 0);
        EXPECT_EQ(n, sizeof chunk);
        EXPECT_EQ(sock_setsockopt(b, fb, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
        n = sock_recv_borrow(b, fb, loan, LOANS, 0);
        for (int i = 0; i < n; i++)
                lent += loan[i].len;
        EXPECT_GT(lent, size - 1);
        EXPECT_LT(lent, 5000);
        EXPECT_EQ(sock_recv_borrow(b, fb, loan + n, 1, 0), -ENOBUFS);
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), sizeof buf);
        EXPECT_EQ(sock_loan_return(b, loan, n), 0);
        EXPECT_EQ(lent + sizeof buf + drain(b, fb), sizeof chunk);
        rig_free(rig);
}

/* Goal:   loans outlive close and reset; a reservation can be written to after a reset, and goes with close.
 * Method: close, reset and shutdown on either side of a loan and of a reservation. */
TEST(zerocopy_ends)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct linger l = { .l_onoff = 1 };
        struct tcp_loan loan[3];
        struct iovec room;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;

        /* The borrower closes: what is lent was read, so the end is an orderly one. */
        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send(a, fa, "one", 3, 0), 3);
        rig_pump(rig);
        REQUIRE(sock_recv_borrow(b, fb, &loan[0], 1, 0) == 1);
        EXPECT_EQ(sock_send_reserve(b, fb, 5, &room, 0), 5);
        EXPECT_EQ(sock_close(b, fb), 0);
        EXPECT_EQ(usage(&rig->host[1]).held, 1);                /* the loan alone */
        rig_pump(rig);
        EXPECT_EQ(sock_recv_borrow(a, fa, loan + 1, 1, 0), 0);
        EXPECT_EQ(sock_close(a, fa), 0);

        /* The peer resets while one is lent and one is reserved. */
        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send(a, fa, "two", 3, 0), 3);
        rig_pump(rig);
        REQUIRE(sock_recv_borrow(b, fb, &loan[1], 1, 0) == 1);
        EXPECT_EQ(sock_send_reserve(b, fb, 1000, &room, 0), 1000);
        sock_setsockopt(a, fa, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        EXPECT_EQ(sock_close(a, fa), 0);
        rig_pump(rig);
        memset(room.iov_base, 'x', room.iov_len);
        EXPECT_EQ(sock_send_commit(b, fb, 1000, 0), -ECONNRESET);
        EXPECT_EQ(sock_send_commit(b, fb, 1000, 0), -EINVAL);
        EXPECT_EQ(sock_send_reserve(b, fb, 1000, &room, 0), -EPIPE);
        EXPECT_EQ(sock_recv_borrow(b, fb, loan + 2, 1, 0), 0);
        EXPECT_EQ(sock_close(b, fb), 0);

        /* SHUT_WR between reserve and commit; and the release is still allowed. */
        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send_reserve(a, fa, 10, &room, 0), 10);
        EXPECT_EQ(sock_shutdown(a, fa, SHUT_WR), 0);
        EXPECT_EQ(sock_send_commit(a, fa, 10, 0), -EPIPE);
        EXPECT_EQ(sock_send_reserve(b, fb, 10, &room, 0), 10);
        EXPECT_EQ(sock_shutdown(b, fb, SHUT_WR), 0);
        EXPECT_EQ(sock_send_commit(b, fb, 0, 0), 0);
        EXPECT_EQ(sock_close(a, fa) | sock_close(b, fb), 0);

        rig_run(rig, SEC(200));
        EXPECT_EQ(usage(&rig->host[1]).lent, 2);
        EXPECT_EQ(usage(&rig->host[1]).conns, 0);
        EXPECT_MEM(loan[0].data, "one", 3);
        EXPECT_MEM(loan[1].data, "two", 3);
        EXPECT_EQ(sock_loan_return(b, loan, 2), 0);
        EXPECT_EQ(usage(&rig->host[1]).accounts, 0);
        rig_free(rig);
}

/* Goal:   a borrowed buffer is sent on by another connection, or by its own, without a copy.
 * Method: A sends to B, B forwards on the same and on a second connection back to A. */
TEST(zerocopy_send_loan)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        static char chunk[1400], buf[4000];
        struct tcp_loan loan[2], copy;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, ga, gb;

        rig_pair(rig, lfd, &fa, &fb);
        rig_pair(rig, lfd, &ga, &gb);
        for (int i = 0; i < 1400; i++)
                chunk[i] = (char)(i * 7);
        EXPECT_EQ(sock_send(a, fa, chunk, 1400, 0), 1400);
        rig_pump(rig);
        REQUIRE(sock_recv_borrow(b, fb, loan, 2, 0) == 1);
        copy = loan[0];
        EXPECT_EQ(sock_send_loan(b, gb, loan, 0), 1400);
        EXPECT_EQ(sock_send_loan(b, gb, &copy, 0), -EINVAL);
        EXPECT_EQ(loan[0].number, 0);
        EXPECT_EQ(sock_send(a, fa, "few", 3, 0), 3);            /* so few that they are copied */
        rig_pump(rig);
        REQUIRE(sock_recv_borrow(b, fb, loan, 2, 0) == 1);
        EXPECT_EQ(sock_send_loan(b, gb, loan, 0), 3);
        EXPECT_EQ(sock_send(a, fa, "back", 4, 0), 4);
        rig_run(rig, MS(50));
        REQUIRE(sock_recv_borrow(b, fb, loan, 2, 0) == 1);
        EXPECT_EQ(sock_send_loan(b, fb, loan, 0), 4);
        rig_run(rig, MS(50));
        EXPECT_EQ(sock_recv(a, ga, buf, sizeof buf, 0), 1403);
        EXPECT_MEM(buf, chunk, 1400);
        EXPECT_MEM(buf + 1400, "few", 3);
        EXPECT_EQ(sock_recv(a, fa, buf, sizeof buf, 0), 4);
        rig_run(rig, MS(200));
        EXPECT_EQ(usage(&rig->host[1]).accounts, 0);
        EXPECT_EQ(rig->pool.small.used, 0);

        /* A connection that can't send leaves the loan where it is. */
        EXPECT_EQ(sock_send(a, fa, "last", 4, 0), 4);
        rig_pump(rig);
        REQUIRE(sock_recv_borrow(b, fb, loan, 2, 0) == 1);
        EXPECT_EQ(sock_shutdown(b, gb, SHUT_WR), 0);
        EXPECT_EQ(sock_send_loan(b, gb, loan, 0), -EPIPE);
        EXPECT_EQ(sock_loan_return(b, loan, 1), 0);
        rig_free(rig);
}
