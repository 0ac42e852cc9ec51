/* SPDX-License-Identifier: MIT */
/* tests/api/parity_conn.c - From socket() to close() */
#include "tests/api/parity.h"

void parity_fresh(void)
{
        struct sockaddr_in sin;
        socklen_t len = sizeof sin;
        char buf[8];
        int fd = tcp(SOCK_NONBLOCK), n = -1;

        section("a fresh socket");
        obs_ready("ready", fd);
        OBS(recv(fd, buf, 8, 0));
        OBS(send(fd, buf, 8, 0));
        OBS(send(fd, buf, 8, MSG_NOSIGNAL));
        OBS(write(fd, buf, 8));
        OBS(getpeername(fd, (struct sockaddr *)&sin, &len));
        OBS(getsockname(fd, (struct sockaddr *)&sin, &len));
        printf("%d %d %d %u\n", sin.sin_family, sin.sin_port, sin.sin_addr.s_addr, len);
        OBS(accept(fd, NULL, NULL));
        OBS(ioctl(fd, FIONREAD, &n));
        OBS(n);
        OBS(ioctl(fd, SIOCOUTQ, &n));
        OBS(n);
        obs_error("SO_ERROR", fd);
        OBS(shutdown(fd, SHUT_RD));
        obs_ready("after SHUT_RD", fd);
        OBS(recv(fd, buf, 8, 0));
        OBS(shutdown(fd, SHUT_WR));
        obs_ready("after SHUT_WR", fd);
        OBS(shutdown(fd, 3));
        OBS(close(fd));
        OBS(close(fd));
        OBS(fcntl(fd, F_GETFL));
}

void parity_names(void)
{
        struct sockaddr_in sin = self(0), other;
        struct sockaddr_storage big;
        socklen_t len;
        int a, b, fd = tcp(0), fd2 = tcp(0), fd3 = tcp(0);

        section("bind and names");
        OBS(bind(fd, (struct sockaddr *)&sin, 8));
        OBS(bind(fd, (struct sockaddr *)&sin, 1000));
        OBS(bind(fd, NULL, sizeof sin));
        sin.sin_family = AF_INET6;
        OBS(bind(fd, (struct sockaddr *)&sin, sizeof sin));
        sin.sin_family = AF_UNSPEC;
        OBS(bind(fd, (struct sockaddr *)&sin, sizeof sin));
        sin.sin_family = AF_INET;
        inet_pton(AF_INET, "192.0.2.77", &sin.sin_addr);
        OBS(bind(fd, (struct sockaddr *)&sin, sizeof sin));
        sin = self(0);
        OBS(bind(fd, (struct sockaddr *)&sin, sizeof sin));
        OBS(bind(fd, (struct sockaddr *)&sin, sizeof sin));
        obs_ready("bound", fd);
        sin = self(port_of(fd));
        OBS(bind(fd2, (struct sockaddr *)&sin, sizeof sin));
        other = sin;
        other.sin_addr.s_addr = INADDR_ANY;
        OBS(bind(fd2, (struct sockaddr *)&other, sizeof other));
        OBS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, 4));
        OBS(setsockopt(fd2, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, 4));
        OBS(setsockopt(fd3, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, 4));
        OBS(bind(fd2, (struct sockaddr *)&sin, sizeof sin));
        OBS(listen(fd2, 5));
        OBS(bind(fd3, (struct sockaddr *)&sin, sizeof sin));
        OBS(listen(fd, 5));
        close(fd2);
        OBS(listen(fd, 5));
        OBS(listen(fd, -1));
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        close(fd);
        close(fd3);

        fd = tcp(0);
        fd2 = tcp(0);
        sin = self(0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, 4);
        setsockopt(fd2, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, 4);
        OBS(bind(fd, (struct sockaddr *)&sin, sizeof sin));
        OBS(listen(fd, 5));
        sin = self(port_of(fd));
        OBS(bind(fd2, (struct sockaddr *)&sin, sizeof sin));
        OBS(listen(fd2, 5));
        close(fd);
        close(fd2);

        pair(&a, &b);
        len = 4;
        memset(&big, 0x55, sizeof big);
        OBS(getsockname(a, (struct sockaddr *)&big, &len));
        printf("len %u octet 4 %x\n", len, ((unsigned char *)&big)[4]);
        len = sizeof big;
        OBS(getpeername(b, (struct sockaddr *)&big, &len));
        printf("len %u same port %d zero %d\n", len, ntohs(((struct sockaddr_in *)&big)->sin_port) == port_of(a),
               ((unsigned char *)&big)[15]);
        OBS(getsockname(a, (struct sockaddr *)&big, NULL));
        len = (socklen_t)-1;
        OBS(getsockname(a, (struct sockaddr *)&big, &len));
        sin = self(0);
        OBS(bind(a, (struct sockaddr *)&sin, sizeof sin));
        OBS(listen(a, 5));
        OBS(accept(a, NULL, NULL));
        close(a);
        close(b);
}

static void refused(void)
{
        int lfd = listener();
        struct sockaddr_in closed = self(port_of(lfd));
        char buf[8];
        int fd;

        close(lfd);
        section("a refused connection");
        fd = tcp(0);
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        obs_ready("blocking, after", fd);
        obs_error("SO_ERROR", fd);
        OBS(send(fd, buf, 1, MSG_NOSIGNAL));
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        close(fd);

        fd = tcp(SOCK_NONBLOCK);
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        settle();
        obs_ready("non-blocking, after", fd);
        obs_error("SO_ERROR", fd);
        obs_error("SO_ERROR again", fd);
        obs_ready("error taken", fd);
        OBS(recv(fd, buf, 1, 0));
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        settle();
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        settle();
        OBS(recv(fd, buf, 1, 0));
        OBS(recv(fd, buf, 1, 0));
        OBS(send(fd, buf, 1, 0));
        close(fd);

        fd = tcp(SOCK_NONBLOCK);
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        settle();
        OBS(send(fd, buf, 1, 0));
        OBS(send(fd, buf, 1, 0));
        OBS(shutdown(fd, SHUT_RDWR));
        OBS(connect(fd, (struct sockaddr *)&closed, sizeof closed));
        close(fd);
}

static void accepted(void)
{
        int lfd = listener(), fd = tcp(SOCK_NONBLOCK), n;
        struct sockaddr_in sin = self(port_of(lfd)), from, unspec = { .sin_family = AF_UNSPEC };
        socklen_t len = sizeof from;
        char buf[8];

        section("connect and accept");
        obs_ready("listener", lfd);
        OBS(accept(lfd, NULL, NULL));
        OBS(accept4(lfd, NULL, NULL, 1));
        OBS(recv(lfd, buf, 8, 0));
        OBS(send(lfd, buf, 8, 0));
        OBS(ioctl(lfd, FIONREAD, &n));
        OBS(ioctl(lfd, SIOCOUTQ, &n));
        OBS(getpeername(lfd, (struct sockaddr *)&from, &len));
        OBS(connect(lfd, (struct sockaddr *)&sin, sizeof sin));
        OBS(connect(fd, (struct sockaddr *)&sin, 1));
        OBS(connect(fd, (struct sockaddr *)&sin, 8));
        OBS(connect(fd, NULL, sizeof sin));
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        settle();
        obs_ready("connected", fd);
        obs_ready("listener", lfd);
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        n = accept(lfd, (struct sockaddr *)&from, &len);
        printf("accepted %d, len %u, from the connected one %d\n", n >= 0, len, ntohs(from.sin_port) == port_of(fd));
        printf("flags %o\n", (unsigned)fcntl(n, F_GETFL));
        obs_ready("accepted", n);
        obs_ready("listener", lfd);
        OBS(connect(fd, (struct sockaddr *)&unspec, sizeof unspec));
        settle();
        obs_ready("disconnected", fd);
        obs_ready("its peer", n);
        OBS(recv(fd, buf, 8, 0));
        OBS(recv(fd, buf, 8, 0));
        OBS(recv(n, buf, 8, 0));
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        settle();
        OBS(connect(fd, (struct sockaddr *)&sin, sizeof sin));
        close(n);
        OBS(shutdown(lfd, SHUT_WR));
        obs_ready("listener shut for writing", lfd);
        OBS(shutdown(lfd, SHUT_RD));
        settle();
        obs_ready("listener shut for reading", lfd);
        obs_ready("who was in its queue", fd);
        OBS(accept(lfd, NULL, NULL));
        OBS(listen(lfd, 5));
        close(fd);
        close(lfd);
}

static void accept_addresses(void)
{
        int lfd = listener(), fd = tcp(0), n;
        struct sockaddr_in sin = self(port_of(lfd)), from;
        socklen_t len = 3;

        section("accept's address");
        connect(fd, (struct sockaddr *)&sin, sizeof sin);
        settle();
        memset(&from, 0, sizeof from);
        n = accept(lfd, (struct sockaddr *)&from, &len);
        printf("accepted %d, len %u, family %d, port octet %d\n", n >= 0, len, from.sin_family,
               ((unsigned char *)&from)[3]);
        close(n);
        close(fd);
        close(lfd);
}

void parity_connect(void)
{
        refused();
        accepted();
        accept_addresses();
}

void parity_close(void)
{
        char buf[64];
        int a, b, n;

        section("the peer's FIN");
        pair(&a, &b);
        send(a, "bye", 3, 0);
        close(a);
        settle();
        obs_ready("data and FIN", b);
        OBS(ioctl(b, FIONREAD, &n));
        OBS(n);
        OBS(recv(b, buf, 64, 0));
        obs_ready("FIN", b);
        OBS(recv(b, buf, 64, 0));
        OBS(recv(b, buf, 64, MSG_PEEK));
        OBS(send(b, buf, 5, 0));
        settle();
        obs_ready("sent to who is gone", b);
        OBS(recv(b, buf, 64, 0));
        OBS(send(b, buf, 5, 0));
        OBS(send(b, buf, 5, 0));
        obs_error("SO_ERROR", b);
        close(b);

        section("both FINs");
        pair(&a, &b);
        shutdown(a, SHUT_WR);
        settle();
        shutdown(b, SHUT_WR);
        settle();
        obs_ready("who went first", a);
        obs_ready("who went last", b);
        OBS(recv(a, buf, 64, 0));
        OBS(recv(b, buf, 64, 0));
        OBS(send(b, buf, 1, 0));
        OBS(shutdown(a, SHUT_RD));
        OBS(shutdown(b, SHUT_RD));
        OBS(connect(b, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET }, 16));
        obs_error("SO_ERROR", b);
        close(a);
        close(b);

        section("the peer's RST");
        pair(&a, &b);
        reset(a);
        obs_ready("reset", b);
        OBS(recv(b, buf, 64, 0));
        OBS(recv(b, buf, 64, 0));
        OBS(send(b, buf, 1, 0));
        obs_ready("told", b);
        close(b);
        pair(&a, &b);
        send(a, "abc", 3, 0);
        settle();
        reset(a);
        obs_ready("reset with data", b);
        OBS(recv(b, buf, 64, 0));
        OBS(recv(b, buf, 64, 0));
        OBS(recv(b, buf, 64, 0));
        close(b);
        pair(&a, &b);
        reset(a);
        OBS(send(b, buf, 1, MSG_NOSIGNAL));
        OBS(send(b, buf, 1, MSG_NOSIGNAL));
        OBS(getpeername(b, (struct sockaddr *)&(struct sockaddr_in){ 0 }, &(socklen_t){ 16 }));
        close(b);

        section("close with unread data resets");
        pair(&a, &b);
        send(a, "abc", 3, 0);
        settle();
        close(b);
        settle();
        obs_ready("the sender", a);
        obs_error("SO_ERROR", a);
        close(a);
}

void parity_shutdown(void)
{
        char buf[64];
        int a, b;

        section("half-close");
        pair(&a, &b);
        OBS(shutdown(a, SHUT_WR));
        settle();
        obs_ready("shut for writing", a);
        obs_ready("its peer", b);
        OBS(send(a, buf, 1, 0));
        OBS(shutdown(a, SHUT_WR));
        OBS(send(b, "answer", 6, 0));
        settle();
        OBS(recv(a, buf, 64, 0));
        OBS(recv(a, buf, 64, 0));
        OBS(close(b));
        settle();
        obs_ready("after the peer's FIN", a);
        close(a);

        section("shut for reading");
        pair(&a, &b);
        OBS(shutdown(a, SHUT_RD));
        settle();
        obs_ready("shut for reading", a);
        obs_ready("its peer", b);
        OBS(recv(a, buf, 64, 0));
        OBS(send(a, "x", 1, 0));
        settle();
        OBS(recv(b, buf, 64, 0));
        OBS(shutdown(a, SHUT_WR));
        obs_ready("shut both ways", a);
        close(a);
        close(b);

        section("shut both ways at once");
        pair(&a, &b);
        OBS(shutdown(a, SHUT_RDWR));
        settle();
        obs_ready("shut", a);
        obs_ready("its peer", b);
        OBS(shutdown(a, 77));
        close(a);
        close(b);
}
