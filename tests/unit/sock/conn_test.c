/* SPDX-License-Identifier: MIT */
#include "tests/unit/sock/rig.h"

#include <fcntl.h>

/* Goal:   a connection from connect() to both FINs, data both ways.
 * Method: blocking calls on A, non-blocking ones on B.
 */
TEST(sock_connect_talk_close)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct sockaddr_in sin;
        socklen_t len = sizeof sin;
        char buf[16];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;

        EXPECT_EQ(sock_accept(b, lfd, NULL, NULL, 0), -EAGAIN);
        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_getpeername(a, fa, (struct sockaddr *)&sin, &len), 0);
        EXPECT_EQ(ntohs(sin.sin_port), RIG_PORT);
        EXPECT_EQ(ntohl(sin.sin_addr.s_addr), 0x0a000002);
        EXPECT_EQ(sock_send(a, fa, "hello", 5, 0), 5);
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), 5);    /* the look that finds nothing runs a turn */
        EXPECT_MEM(buf, "hello", 5);
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), -EAGAIN);
        EXPECT_EQ(sock_shutdown(a, fa, SHUT_WR), 0);
        EXPECT_EQ(sock_send(a, fa, "x", 1, 0), -EPIPE);
        rig_pump(rig);
        EXPECT_EQ(sock_recv(b, fb, buf, sizeof buf, 0), 0);
        EXPECT_EQ(sock_send(b, fb, "bye", 3, 0), 3);
        EXPECT_EQ(sock_close(b, fb), 0);
        EXPECT_EQ(sock_close(b, fb), -EBADF);
        rig_pump(rig);
        EXPECT_EQ(sock_recv(a, fa, buf, sizeof buf, 0), 3);
        EXPECT_EQ(sock_recv(a, fa, buf, sizeof buf, 0), 0);
        EXPECT_EQ(sock_shutdown(a, fa, SHUT_RDWR), -ENOTCONN);
        rig_free(rig);
}

/* Goal:   connect() answers as Linux's in each stage, blocking or not.
 * Spec:   connect(2); Linux's __inet_stream_connect().
 */
TEST(sock_connect_answers)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss;
        struct sockaddr_in sin = rig_sin(0x0a000002, RIG_PORT), closed = rig_sin(0x0a000002, 81);
        struct sockaddr_in nowhere = rig_sin(0x0b000001, 80), unspec = { .sin_family = AF_UNSPEC };
        int err, fd;
        socklen_t len = sizeof err;

        rig_listen(&rig->host[1], RIG_PORT);
        fd = sock_open(a, AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(sock_connect(a, fd, SA(&closed), sizeof sin), -ECONNREFUSED);
        EXPECT_EQ(sock_connect(a, fd, SA(&nowhere), sizeof sin), -ENETUNREACH);
        EXPECT_EQ(sock_connect(a, fd, SA(&sin), 8), -EINVAL);
        EXPECT_EQ(sock_connect(a, fd, SA(&sin), sizeof sin), 0);
        EXPECT_EQ(sock_connect(a, fd, SA(&sin), sizeof sin), -EISCONN);
        EXPECT_EQ(sock_connect(a, fd, SA(&unspec), sizeof unspec), 0);
        EXPECT_EQ(sock_getsockopt(a, fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
        EXPECT_EQ(err, ECONNRESET);
        EXPECT_EQ(sock_connect(a, fd, SA(&sin), sizeof sin), 0);

        fd = sock_open(a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        rig->cut = true;
        EXPECT_EQ(sock_connect(a, fd, SA(&closed), sizeof sin), -EINPROGRESS);
        EXPECT_EQ(sock_connect(a, fd, SA(&closed), sizeof sin), -EALREADY);
        EXPECT_EQ(sock_send(a, fd, "x", 1, 0), -EAGAIN);
        EXPECT_EQ(sock_getpeername(a, fd, (struct sockaddr *)&sin, &len), -ENOTCONN);
        rig->cut = false;
        rig_run(rig, SEC(2));
        EXPECT_EQ(sock_connect(a, fd, SA(&closed), sizeof sin), -ECONNREFUSED);
        EXPECT_EQ(sock_connect(a, fd, SA(&closed), sizeof sin), -EINPROGRESS);
        rig_pump(rig);
        EXPECT_EQ(sock_getsockopt(a, fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
        EXPECT_EQ(err, ECONNREFUSED);
        EXPECT_EQ(sock_connect(a, fd, SA(&closed), sizeof sin), -ECONNABORTED);
        rig_free(rig);
}

/* Goal:   a connection attempt that nobody answers ends with ETIMEDOUT after Linux's
 *         1+2+4+...+64 s; SO_SNDTIMEO ends the wait for it, not the attempt.
 * Spec:   RFC 9293 MUST-23 (at least 3 minutes are only for SYN... R2), tcp(7) tcp_syn_retries.
 */
TEST(sock_connect_timeouts)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss;
        struct sockaddr_in sin = rig_sin(0x0a000002, RIG_PORT);
        struct timeval tv = { .tv_sec = 3 };
        int fd = sock_open(a, AF_INET, SOCK_STREAM, 0);

        rig->cut = true;
        EXPECT_EQ(sock_setsockopt(a, fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv), 0);
        uint64_t begin_ns = rig->now_ns;
        EXPECT_EQ(sock_connect(a, fd, SA(&sin), sizeof sin), -EINPROGRESS);
        EXPECT_GE(rig->now_ns - begin_ns, SEC(3));
        EXPECT_LT(rig->now_ns - begin_ns, MS(3100));
        EXPECT_EQ(sock_connect(a, fd, SA(&sin), sizeof sin), -EALREADY);
        tv.tv_sec = 0;
        EXPECT_EQ(sock_setsockopt(a, fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv), 0);
        EXPECT_EQ(sock_connect(a, fd, SA(&sin), sizeof sin), -ETIMEDOUT);
        EXPECT_GE(rig->now_ns - begin_ns, SEC(120));
        EXPECT_LT(rig->now_ns - begin_ns, SEC(140));
        rig_free(rig);
}

/* Goal:   a blocking call waits as long as it was told, and a signal ends it. */
TEST(sock_blocking_waits)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct timeval tv = { .tv_usec = 250000 };
        char buf[8];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_fcntl(a, fa, F_SETFL, 0), 0);
        EXPECT_EQ(sock_setsockopt(a, fa, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
        uint64_t begin_ns = rig->now_ns;
        EXPECT_EQ(sock_recv(a, fa, buf, 1, 0), -EAGAIN);
        EXPECT_GE(rig->now_ns - begin_ns, MS(250));
        EXPECT_LT(rig->now_ns - begin_ns, MS(260));

        rig->interrupts = 1;
        EXPECT_EQ(sock_recv(a, fa, buf, 1, 0), -EINTR);
        EXPECT_EQ(sock_send(b, fb, "abc", 3, 0), 3);
        begin_ns = rig->now_ns;
        EXPECT_EQ(sock_recv(a, fa, buf, 8, MSG_WAITALL), 3);    /* time is up: what there is */
        EXPECT_GE(rig->now_ns - begin_ns, MS(250));

        EXPECT_EQ(sock_fcntl(b, lfd, F_SETFL, 0), 0);
        EXPECT_EQ(sock_setsockopt(b, lfd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
        EXPECT_EQ(sock_accept(b, lfd, NULL, NULL, 0), -EAGAIN);
        rig_free(rig);
}

/* Goal:   SO_LINGER: 0 resets; more waits until the peer has all, or no longer than told. */
TEST(sock_linger)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct linger l = { .l_onoff = 1 };
        char buf[8];
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb;

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_setsockopt(a, fa, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
        EXPECT_EQ(sock_close(a, fa), 0);
        rig_pump(rig);
        EXPECT_EQ(sock_recv(b, fb, buf, 1, 0), -ECONNRESET);
        EXPECT_EQ(sock_recv(b, fb, buf, 1, 0), 0);

        l.l_linger = 5;
        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_setsockopt(a, fa, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
        EXPECT_EQ(sock_send(a, fa, "x", 1, 0), 1);
        EXPECT_EQ(sock_close(a, fa), 0);
        EXPECT_EQ(sock_recv(b, fb, buf, 8, 0), 1);             /* it has arrived */

        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(sock_setsockopt(a, fa, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
        rig->cut = true;
        EXPECT_EQ(sock_send(a, fa, "x", 1, 0), 1);
        uint64_t begin_ns = rig->now_ns;
        EXPECT_EQ(sock_close(a, fa), 0);
        EXPECT_GE(rig->now_ns - begin_ns, SEC(5));
        EXPECT_LT(rig->now_ns - begin_ns, MS(5100));
        rig_free(rig);
}

/* Goal:   running out of descriptors is EMFILE, and nothing is lost by it. */
TEST(sock_out_of_descriptors)
{
        struct rig *rig = rig_new_of(3);
        struct socks *a = &rig->host[0].ss, *b = &rig->host[1].ss;
        struct sockaddr_in sin = rig_sin(0x0a000002, RIG_PORT);
        int lfd = rig_listen(&rig->host[1], RIG_PORT), spare[2];

        for (int i = 0; i < 2; i++)
                spare[i] = sock_open(b, AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(sock_open(b, AF_INET, SOCK_STREAM, 0), -EMFILE);
        EXPECT_EQ(sock_epoll_create(b, 0), -EMFILE);
        int fa = sock_open(a, AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(sock_connect(a, fa, SA(&sin), sizeof sin), 0);
        rig_pump(rig);
        EXPECT_EQ(sock_accept(b, lfd, NULL, NULL, 0), -EMFILE);
        EXPECT_EQ(sock_close(b, spare[0]), 0);
        EXPECT_EQ(sock_accept(b, lfd, NULL, NULL, 0), spare[0]);
        rig_free(rig);
}

/* Goal:   descriptors of several shards never collide, and a wrong one is EBADF.
 * Method: four shards' numbering by a stride; foreign numbers are refused.
 */
TEST(sock_descriptor_numbers)
{
        struct rig *rig = rig_new();
        struct socks_conf conf = { .max_socks = 10 };
        struct socks ss;

        socks_conf_default(&conf);
        conf.fd_stride = 3;                             /* becomes 4 */
        conf.fd_shard = 2;
        REQUIRE(socks_init(&ss, &conf, rig->host[0].tcp, &rig->host[0].ss.env) == 0);
        EXPECT_EQ(sock_open(&ss, AF_INET, SOCK_STREAM, 0), FD_BASE_DEFAULT + 2);
        EXPECT_EQ(sock_open(&ss, AF_INET, SOCK_STREAM, 0), FD_BASE_DEFAULT + 6);
        EXPECT_EQ(sock_close(&ss, FD_BASE_DEFAULT + 2), 0);
        static const int bad[] = { -1, 0, 3, FD_BASE_DEFAULT, FD_BASE_DEFAULT + 1, FD_BASE_DEFAULT + 2,
                                   FD_BASE_DEFAULT + 3, FD_BASE_DEFAULT + 42, INT32_MAX };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                EXPECT_EQ(sock_close(&ss, bad[i]), -EBADF);
        EXPECT_EQ(sock_close(&ss, FD_BASE_DEFAULT + 6), 0);
        socks_fini(&ss);

        conf.max_socks = 1u << 27;
        conf.fd_stride = 16;
        EXPECT_EQ(socks_init(&ss, &conf, rig->host[0].tcp, &rig->host[0].ss.env), -EINVAL);
        rig_free(rig);
}

/* Goal:   what the connection holds is not held twice, and comes back when the connection goes.
 * Method: options and an address set before connect(); the record of the socket is gone with the
 *         connection, and there again after connect() to AF_UNSPEC.
 */
TEST(sock_options_move_into_the_connection)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss;
        struct sockaddr_in sin = rig_sin(0x0a000001, 0), to = rig_sin(0x0a000002, RIG_PORT);
        struct sockaddr unspec = { .sa_family = AF_UNSPEC };
        socklen_t len = sizeof sin, int_len = sizeof(int);
        int one = 1, got = 0;

        rig_listen(&rig->host[1], RIG_PORT);
        int fd = sock_open(a, AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(sock_setsockopt(a, fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one), 0);
        EXPECT_EQ(sock_setsockopt(a, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one), 0);
        EXPECT_EQ(sock_bind(a, fd, SA(&sin), sizeof sin), 0);
        EXPECT_EQ(a->exts.used, 1);
        EXPECT_EQ(sock_connect(a, fd, SA(&to), sizeof to), 0);
        EXPECT_EQ(a->exts.used, 0);
        EXPECT_EQ(sock_getsockopt(a, fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &got, &int_len), 0);
        EXPECT_EQ(got, 1);
        EXPECT_EQ(sock_connect(a, fd, &unspec, sizeof unspec), 0);
        memset(&sin, 0, sizeof sin);
        EXPECT_EQ(sock_getsockname(a, fd, (struct sockaddr *)&sin, &len), 0);
        EXPECT_EQ(ntohl(sin.sin_addr.s_addr), 0x0a000001);
        EXPECT_EQ(sin.sin_port, 0);
        got = 0;
        EXPECT_EQ(sock_getsockopt(a, fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &got, &int_len), 0);
        EXPECT_EQ(got, 1);
        EXPECT_EQ(sock_connect(a, fd, SA(&to), sizeof to), 0);
        EXPECT_EQ(a->exts.used, 0);
        rig_free(rig);
}

static int lingering_fd, lingering_turns;

/* What a signal handler may do while close() lingers. */
static int linger_turn(void *arg, uint64_t deadline_ns)
{
        struct socks *ss = &((struct rig_host *)arg)->ss;

        lingering_turns++;
        EXPECT_EQ(sock_send(ss, lingering_fd, "x", 1, 0), -EBADF);
        EXPECT_EQ(sock_close(ss, lingering_fd), -EBADF);
        int fd = sock_open(ss, AF_INET, SOCK_STREAM, 0);
        EXPECT_GE(fd, 0);
        EXPECT_NE(fd, lingering_fd);
        EXPECT_EQ(sock_close(ss, fd), 0);
        return rig_turn(arg, deadline_ns);
}

/* Goal:   a socket whose close() lingers is closed for everybody else, and its number is not given out. */
TEST(sock_lingers_out_of_sight)
{
        struct rig *rig = rig_new();
        struct socks *a = &rig->host[0].ss;
        struct linger l = { .l_onoff = 1, .l_linger = 2 };
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fb;

        rig_pair(rig, lfd, &lingering_fd, &fb);
        EXPECT_EQ(sock_setsockopt(a, lingering_fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
        EXPECT_EQ(sock_send(a, lingering_fd, "bye", 3, 0), 3);
        rig->cut = true;                                        /* nobody acknowledges: it lasts */
        a->env.turn = linger_turn;
        EXPECT_EQ(sock_close(a, lingering_fd), 0);
        a->env.turn = rig_turn;
        EXPECT_GT(lingering_turns, 1);
        int fd = sock_open(a, AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(fd, lingering_fd);
        rig_free(rig);
}
