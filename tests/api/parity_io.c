/* SPDX-License-Identifier: MIT */
/* tests/api/parity_io.c - The send and receive family; calls on what is no socket */
#include "tests/api/parity.h"

static void peeks(int a, int b)
{
        char buf[64] = "";
        int n;

        section("flags of recv");
        OBS(recv(b, buf, 64, 0));
        OBS(recv(b, buf, 0, 0));
        OBS(read(b, buf, 0));
        OBS(send(a, "0123456789", 10, 0));
        settle();
        OBS(recv(b, buf, 4, MSG_PEEK));
        OBS(recv(b, buf, 64, MSG_PEEK));
        OBS(recv(b, buf, 64, MSG_PEEK | MSG_WAITALL));
        OBS(recv(b, buf, 0, 0));
        OBS(ioctl(b, FIONREAD, &n));
        OBS(n);
        OBS(recv(b, NULL, 4, MSG_TRUNC));
        OBS(recv(b, buf, 1, 0));
        printf("%c\n", buf[0]);
        OBS(recv(b, buf, 2, MSG_TRUNC | MSG_PEEK));
        OBS(recv(b, buf, 1, MSG_OOB));
        OBS(recv(b, buf, 1, MSG_ERRQUEUE));
        OBS(recv(b, buf, 64, MSG_WAITALL));
        OBS(recv(b, buf, 64, MSG_WAITALL));
        OBS(recv(b, buf, 64, MSG_DONTWAIT));
        OBS(send(a, "", 0, 0));
        settle();
        OBS(recv(b, buf, 64, 0));
}

static void vectors(int a, int b)
{
        char x[4] = "", y[4] = "", control[64];
        struct iovec out[3] = { { (char[]){ "ab" }, 2 }, { NULL, 0 }, { (char[]){ "cdef" }, 4 } };
        struct iovec in[2] = { { x, 3 }, { y, 3 } };
        struct sockaddr_in name = { 0 };
        struct msghdr msg = { .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = in, .msg_iovlen = 2,
                              .msg_control = control, .msg_controllen = sizeof control, .msg_flags = 99 };
        struct msghdr omsg = { .msg_iov = out, .msg_iovlen = 3 };

        section("vectors and messages");
        OBS(writev(a, out, 3));
        settle();
        OBS(readv(b, in, 2));
        printf("%.3s %.3s\n", x, y);
        OBS(sendmsg(a, &omsg, 0));
        settle();
        OBS(recvmsg(b, &msg, 0));
        printf("namelen %u controllen %zu flags %d\n", msg.msg_namelen, msg.msg_controllen, msg.msg_flags);
        OBS(writev(a, out, -1));
        OBS(writev(a, out, 2000));
        OBS(writev(a, out, 0));
        OBS(readv(b, in, 0));
        omsg.msg_iovlen = 2000;
        OBS(sendmsg(a, &omsg, 0));
        omsg.msg_iovlen = 0;
        OBS(sendmsg(a, &omsg, 0));
        OBS(sendmsg(a, NULL, 0));
        msg.msg_iovlen = 2000;
        OBS(recvmsg(b, &msg, 0));
}

static void addresses(int a, int b)
{
        struct sockaddr_in sin = self(9), from = { 0 };
        socklen_t len = sizeof from;
        char buf[8];

        section("sendto and recvfrom");
        OBS(sendto(a, "x", 1, 0, (struct sockaddr *)&sin, sizeof sin));
        OBS(sendto(a, "x", 1, 0, (struct sockaddr *)&sin, 1000));
        OBS(sendto(a, "x", 1, 0, NULL, 0));
        settle();
        OBS(recvfrom(b, buf, 1, 0, (struct sockaddr *)&from, &len));
        printf("len %u\n", len);
        OBS(recvfrom(b, buf, 1, 0, NULL, NULL));
}

static void full(int a, int b)
{
        static char chunk[1 << 16];
        int ep = epoll_create1(0), queued = 0;
        ssize_t n;

        section("a full buffer");
        ctl(ep, EPOLL_CTL_ADD, a, EPOLLOUT | EPOLLET);
        obs_epoll("at first", ep);
        for (int i = 0; i < 2000; i++) {
                n = send(a, chunk, sizeof chunk, 0);
                if (n < 0) {
                        settle();
                        if (send(a, chunk, sizeof chunk, 0) < 0)
                                break;
                }
        }
        OBS(send(a, chunk, sizeof chunk, 0));
        OBS(send(a, chunk, sizeof chunk, MSG_DONTWAIT | MSG_MORE));
        obs_ready("full", a);
        ioctl(a, SIOCOUTQ, &queued);
        OBS(queued > 0);
        obs_epoll("full", ep);
        for (int i = 0; i < 100; i++) {
                while (recv(b, chunk, sizeof chunk, 0) > 0)
                        continue;
                settle();
                ioctl(a, SIOCOUTQ, &queued);
                if (queued == 0)
                        break;
        }
        OBS(queued);
        obs_epoll("drained", ep);
        obs_epoll("drained, again", ep);
        obs_ready("drained", a);
        close(ep);
}

static void blocking(int a, int b)
{
        struct timeval tv = { .tv_usec = 50000 };
        struct sockaddr_in sin;
        char buf[16];
        int lfd, fd;

        section("waiting");
        fcntl(b, F_SETFL, 0);
        OBS(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
        OBS(recv(b, buf, 8, 0));
        OBS(recv(b, buf, 8, MSG_DONTWAIT));
        send(a, "12345", 5, 0);
        OBS(recv(b, buf, 8, MSG_PEEK | MSG_WAITALL));
        OBS(recv(b, buf, 8, MSG_WAITALL));
        OBS(setsockopt(b, SOL_SOCKET, SO_RCVLOWAT, &(int){ 4 }, 4));
        send(a, "12", 2, 0);
        settle();
        obs_ready("below the low-water mark", b);
        OBS(recv(b, buf, 8, 0));
        send(a, "1234", 4, 0);
        settle();
        obs_ready("at the low-water mark", b);
        OBS(recv(b, buf, 8, 0));
        lfd = listener();
        fcntl(lfd, F_SETFL, 0);
        setsockopt(lfd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        OBS(accept(lfd, NULL, NULL));
        sin = self(port_of(lfd));
        fd = tcp(0);
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        int got = accept(lfd, NULL, NULL);
        OBS(got >= 0);
        OBS(recv(got, buf, 1, 0));                              /* the listener's timeout is inherited */
        close(got);
        close(fd);
        close(lfd);
}

void parity_io(void)
{
        int a, b;

        pair(&a, &b);
        peeks(a, b);
        vectors(a, b);
        addresses(a, b);
        blocking(a, b);
        close(a);
        close(b);
        pair(&a, &b);
        full(a, b);
        section("sending nothing, or urgently");
        OBS(send(a, NULL, 0, 0));
        close(a);
        close(b);
}

static void every_call(int fd)
{
        struct epoll_event ev = { 0 };
        struct sockaddr_in sin = self(0);
        socklen_t len = sizeof sin;
        char buf[8];
        struct iovec iov = { buf, 8 };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        int n;

        OBS(bind(fd, (struct sockaddr *)&sin, sizeof sin));
        OBS(listen(fd, 1));
        OBS(accept(fd, NULL, NULL));
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        OBS(shutdown(fd, SHUT_RD));
        OBS(shutdown(fd, 9));
        OBS(send(fd, buf, 1, 0));
        OBS(recv(fd, buf, 1, 0));
        OBS(sendmsg(fd, &msg, 0));
        OBS(recvmsg(fd, &msg, 0));
        OBS(read(fd, buf, 1));
        OBS(write(fd, buf, 1));
        OBS(readv(fd, &iov, 1));
        OBS(writev(fd, &iov, 1));
        OBS(getsockname(fd, (struct sockaddr *)&sin, &len));
        OBS(getpeername(fd, (struct sockaddr *)&sin, &len));
        OBS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &n, &len));
        OBS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &n, 4));
        OBS(epoll_wait(fd, &ev, 1, 0));
        OBS(epoll_ctl(fd, EPOLL_CTL_DEL, fd, NULL));
        obs_ready("poll", fd);
}

void parity_bad(void)
{
        section("no descriptor");
        every_call(-1);
        every_call(1 << 29);
        section("an epoll instance is no socket");
        int ep = epoll_create1(EPOLL_CLOEXEC);
        every_call(ep);
        OBS(fcntl(ep, F_GETFD));
        close(ep);

        section("socket");
        OBS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
        OBS(socket(AF_INET, SOCK_SEQPACKET, 0));
        OBS(socket(AF_INET, 0, 0));
        OBS(socket(AF_INET, 15, 0));
        OBS(socket(AF_INET, SOCK_STREAM | 0x100000, 0));
        OBS(socket(AF_INET, SOCK_STREAM, 100000));
        OBS(socket(AF_INET, SOCK_STREAM, -1));
        OBS(socket(999, SOCK_STREAM, 0));
        OBS(epoll_create1(3));
        OBS(poll(NULL, 1, 0));
}
