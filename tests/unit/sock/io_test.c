/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "tests/unit/sock/rig.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

/* Goal:   the flags of recv() do what recv(2) says. */
TEST(sock_recv_flags)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        char buf[16] = "";
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, n;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send(a, fa, "0123456789", 10, 0), 10);
        EXPECT_EQ(sock_recv(b, fb, buf, 4, MSG_PEEK), 4);
        EXPECT_EQ(sock_recv(b, fb, buf, 16, MSG_PEEK | MSG_WAITALL), 10);      /* non-blocking: what there is */
        EXPECT_MEM(buf, "0123456789", 10);
        EXPECT_EQ(sock_ioctl(b, fb, FIONREAD, &n), 0);
        EXPECT_EQ(n, 10);
        EXPECT_EQ(sock_recv(b, fb, NULL, 3, MSG_TRUNC), 3);
        EXPECT_EQ(sock_recv(b, fb, buf, 2, 0), 2);
        EXPECT_MEM(buf, "34", 2);
        EXPECT_EQ(sock_recv(b, fb, buf, 1, MSG_OOB), -EINVAL);
        EXPECT_EQ(sock_recv(b, fb, buf, 1, MSG_ERRQUEUE), -EAGAIN);
        EXPECT_EQ(sock_recv(b, fb, NULL, 1, 0), -EFAULT);
        EXPECT_EQ(sock_recv(b, fb, buf, 0, 0), 0);
        EXPECT_EQ(sock_recv(b, fb, buf, 16, MSG_WAITALL), 5);
        EXPECT_EQ(sock_recv(b, fb, buf, 0, 0), -EAGAIN);
        EXPECT_EQ(sock_send(a, fa, "", 0, 0), 0);
        EXPECT_EQ(sock_send(a, fa, NULL, 1, 0), -EFAULT);
        EXPECT_EQ(sock_send(a, fa, "x", 1, MSG_OOB), -EOPNOTSUPP);
        rig_free(rig);
}

/* Goal:   what is read before the end of a reset connection is not lost, the error comes once, then the end.
 * Spec:   Linux's tcp_recvmsg_locked(): queue, then error, then 0.
 */
TEST(sock_recv_around_reset)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct linger l = { .l_onoff = 1 };
        char buf[16];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_send(a, fa, "abc", 3, 0), 3);
        rig_run(rig, MS(100));
        sock_setsockopt(a, fa, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        sock_close(a, fa);
        rig_pump(rig);
        EXPECT_EQ(sock_recv(b, fb, buf, 16, 0), 3);
        EXPECT_EQ(sock_recv(b, fb, buf, 16, 0), -ECONNRESET);
        EXPECT_EQ(sock_recv(b, fb, buf, 16, 0), 0);
        EXPECT_EQ(sock_send(b, fb, buf, 1, 0), -EPIPE);

        rig_pair(rig, lfd, &fa, &fb);
        sock_setsockopt(a, fa, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        sock_close(a, fa);
        rig_pump(rig);
        EXPECT_EQ(sock_send(b, fb, buf, 1, 0), -ECONNRESET);
        EXPECT_EQ(sock_send(b, fb, buf, 1, 0), -EPIPE);
        EXPECT_EQ(sock_recv(b, fb, buf, 16, 0), 0);
        rig_free(rig);
}

/* Goal:   a sender is held when the buffer is full, and woken when there is room again.
 * Method: fill it up; EPOLLOUT must be off, and come back (edge-triggered) when the peer reads.
 */
TEST(sock_send_until_full)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        static char chunk[100000], sink[100000];
        struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, ep = sock_epoll_create(a, 0), queued;
        size_t sent = 0, got = 0;
        ssize_t n;

        rig_pair(rig, lfd, &fa, &fb);
        for (int i = 0; i < 300 && (n = sock_send(a, fa, chunk, sizeof chunk, 0)) > 0; i++)
                sent += (size_t)n;
        REQUIRE(n == -EAGAIN);
        EXPECT_EQ(sock_ioctl(a, fa, SIOCOUTQ, &queued), 0);
        EXPECT_GT(queued, 0);
        EXPECT_EQ(sock_epoll_ctl(a, ep, EPOLL_CTL_ADD, fa, &ev), 0);
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 0);
        for (int i = 0; i < 100000 && got < sent; i++) {
                n = sock_recv(b, fb, sink, sizeof sink, 0);
                if (n > 0)
                        got += (size_t)n;
                else
                        rig_run(rig, MS(10));
        }
        EXPECT_EQ(got, sent);
        rig_run(rig, MS(300));
        EXPECT_EQ(sock_epoll_wait(a, ep, &ev, 1, 0), 1);
        EXPECT_EQ(ev.events, EPOLLOUT);
        EXPECT_EQ(sock_ioctl(a, fa, SIOCOUTQ, &queued), 0);
        EXPECT_EQ(queued, 0);
        rig_free(rig);
}

/* Goal:   octets come out as they went in, whatever the calls and their iovecs.
 * Method: random writev/send/sendmsg on one side, random readv/recv/recvmsg with peeks on
 *         the other; the stream is a function of the position, so one octet tells.
 */
static uint8_t octet_at(uint64_t pos) { return (uint8_t)(pos * 167 + (pos >> 8)); }

static size_t random_iov(struct rnd *rnd, uint8_t *mem, struct iovec *iov, size_t *cnt)
{
        size_t total = 0;
        *cnt = 1 + rnd_below(rnd, 40);
        for (size_t i = 0; i < *cnt; i++) {
                size_t len = rnd_chance(rnd, 200000) ? 0 : rnd_below(rnd, 900);
                iov[i] = (struct iovec){ .iov_base = mem + total, .iov_len = len };
                total += len;
        }
        return total;
}

TEST(sock_streams_with_iovecs)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        static uint8_t mem[40 * 900];
        struct iovec iov[40];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;
        uint64_t sent = 0, got = 0;
        struct rnd rnd;
        size_t cnt;

        rnd_seed(&rnd, 7);
        rig_pair(rig, lfd, &fa, &fb);
        for (int step = 0; step < 3000; step++) {
                size_t total = random_iov(&rnd, mem, iov, &cnt);
                struct msghdr msg = { .msg_iov = iov, .msg_iovlen = cnt };
                ssize_t n;
                if (rnd_chance(&rnd, 500000)) {
                        for (size_t i = 0; i < total; i++)
                                mem[i] = octet_at(sent + i);
                        int more = rnd_chance(&rnd, 200000) ? MSG_MORE : 0;
                        n = rnd_chance(&rnd, 500000) ? sock_writev(a, fa, iov, (int)cnt)
                                                     : sock_sendmsg(a, fa, &msg, more);
                        REQUIRE(n == -EAGAIN || (n >= 0 && (size_t)n <= total));
                        sent += n > 0 ? (uint64_t)n : 0;
                } else {
                        bool peek = rnd_chance(&rnd, 200000);
                        n = !peek && rnd_chance(&rnd, 500000) ? sock_readv(b, fb, iov, (int)cnt)
                                                              : sock_recvmsg(b, fb, &msg, peek ? MSG_PEEK : 0);
                        REQUIRE(n == -EAGAIN || (n >= 0 && (size_t)n <= total));
                        for (ssize_t i = 0; i < n; i++)
                                REQUIRE(mem[i] == octet_at(got + (uint64_t)i));
                        got += n > 0 && !peek ? (uint64_t)n : 0;
                }
                if (rnd_chance(&rnd, 300000))
                        rig_run(rig, MS(1));
        }
        EXPECT_GT(got, 1000000);
        EXPECT_LE(got, sent);
        rig_free(rig);
}

/* Goal:   a corked stream goes out when the cork is taken out, not before.
 * Spec:   tcp(7), TCP_CORK.
 */
TEST(sock_cork)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, on = 1, off = 0;
        char buf[8];

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_setsockopt(a, fa, IPPROTO_TCP, 3 /* TCP_CORK */, &on, sizeof on), 0);
        EXPECT_EQ(sock_send(a, fa, "ab", 2, 0), 2);
        EXPECT_EQ(sock_recv(b, fb, buf, 8, 0), -EAGAIN);
        EXPECT_EQ(sock_setsockopt(a, fa, IPPROTO_TCP, 3, &off, sizeof off), 0);
        EXPECT_EQ(sock_recv(b, fb, buf, 8, 0), 2);
        rig_free(rig);
}

/* Goal:   poll(2) reports, waits and refuses as on Linux. */
TEST(sock_poll_calls)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;

        rig_pair(rig, lfd, &fa, &fb);
        struct pollfd p[4] = {
                { .fd = fb, .events = POLLIN }, { .fd = lfd, .events = POLLIN },
                { .fd = 0, .events = POLLIN },  { .fd = -1 },
        };
        EXPECT_EQ(sock_poll(b, p, 2, 0), 0);
        uint64_t begin_ns = rig->now_ns;
        EXPECT_EQ(sock_poll(b, p, 2, MS(30)), 0);
        EXPECT_GE(rig->now_ns - begin_ns, MS(30));
        EXPECT_EQ(sock_poll(b, p, 4, TIME_NEVER), 1);
        EXPECT_EQ(p[2].revents, POLLNVAL);
        EXPECT_EQ(p[3].revents, 0);
        sock_send(a, fa, "x", 1, 0);
        EXPECT_EQ(sock_poll(b, p, 2, TIME_NEVER), 1);
        EXPECT_EQ(p[0].revents, POLLIN);
        EXPECT_EQ(sock_poll(b, NULL, 1, 0), -EFAULT);
        EXPECT_EQ(sock_poll(b, p, 1000, 0), -EINVAL);
        rig_free(rig);
}

/* Goal:   EAGAIN costs a turn to those who poll, and none to those who live by epoll.
 * Method: count the turns.
 */
TEST(sock_turns_are_few)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, ep = sock_epoll_create(b, 0);
        char buf[8];

        rig_pair(rig, lfd, &fa, &fb);
        uint32_t before = rig->turns;
        EXPECT_EQ(sock_recv(b, fb, buf, 8, 0), -EAGAIN);
        EXPECT_EQ(rig->turns - before, 1);
        EXPECT_EQ(sock_epoll_ctl(b, ep, EPOLL_CTL_ADD, fb, &ev), 0);
        EXPECT_EQ(sock_send(a, fa, "x", 1, 0), 1);
        before = rig->turns;
        EXPECT_EQ(sock_epoll_wait(b, ep, &ev, 1, TIME_NEVER), 1);
        EXPECT_EQ(sock_recv(b, fb, buf, 8, 0), 1);
        EXPECT_EQ(sock_recv(b, fb, buf, 8, 0), -EAGAIN);
        EXPECT_EQ(rig->turns - before, 1);
        for (int i = 0; i < 3; i++)
                sock_recv(b, fb, buf, 8, 0);
        EXPECT_EQ(rig->turns - before, 3);
        rig_free(rig);
}
