/* SPDX-License-Identifier: MIT */
/* tests/api/parity_epoll.c - What epoll reports, and when */
#include "tests/api/parity.h"

#define ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

static void level_and_edge(uint32_t mode, const char *name)
{
        char buf[64];
        int a, b, ep = epoll_create1(0);

        section(name);
        pair(&a, &b);
        OBS(ctl(ep, EPOLL_CTL_ADD, b, ALL | mode));
        obs_epoll("added", ep);
        obs_epoll("again", ep);
        send(a, "abc", 3, 0);
        settle();
        obs_epoll("data", ep);
        obs_epoll("again", ep);
        send(a, "d", 1, 0);
        settle();
        obs_epoll("more data", ep);
        recv(b, buf, 1, 0);
        obs_epoll("partly read", ep);
        recv(b, buf, 64, 0);
        obs_epoll("read", ep);
        OBS(ctl(ep, EPOLL_CTL_MOD, b, ALL | mode));
        obs_epoll("modified", ep);
        obs_epoll("again", ep);
        send(a, "x", 1, 0);
        shutdown(a, SHUT_WR);
        settle();
        obs_epoll("data and FIN", ep);
        obs_epoll("again", ep);
        recv(b, buf, 64, 0);
        obs_epoll("read", ep);
        shutdown(b, SHUT_WR);
        settle();
        obs_epoll("both FINs", ep);
        obs_epoll("again", ep);
        OBS(ctl(ep, EPOLL_CTL_DEL, b, 0));
        obs_epoll("deleted", ep);
        close(a);
        close(b);
        close(ep);
}

static void resets(uint32_t mode, const char *name)
{
        char buf[8];
        int a, b, ep = epoll_create1(0);

        section(name);
        pair(&a, &b);
        ctl(ep, EPOLL_CTL_ADD, b, mode);
        obs_epoll("added", ep);
        reset(a);
        obs_epoll("reset", ep);
        obs_epoll("again", ep);
        recv(b, buf, 8, 0);
        obs_epoll("error taken", ep);
        close(b);
        obs_epoll("closed", ep);
        close(ep);
}

static void connecting(uint32_t mode, const char *name)
{
        int ep = epoll_create1(0), lfd = listener(), fd = tcp(SOCK_NONBLOCK);
        struct sockaddr_in sin = self(port_of(lfd));

        section(name);
        OBS(ctl(ep, EPOLL_CTL_ADD, fd, ALL | mode));
        obs_epoll("fresh", ep);
        connect(fd, (struct sockaddr *)&sin, sizeof sin);
        settle();
        obs_epoll("connected", ep);
        obs_epoll("again", ep);
        close(fd);
        close(lfd);
        fd = tcp(SOCK_NONBLOCK);
        ctl(ep, EPOLL_CTL_ADD, fd, ALL | mode);
        obs_epoll("fresh", ep);
        connect(fd, (struct sockaddr *)&sin, sizeof sin);
        settle();
        obs_epoll("refused", ep);
        obs_epoll("again", ep);
        obs_error("SO_ERROR", fd);
        obs_epoll("error taken", ep);
        close(fd);
        close(ep);
}

static void listening(uint32_t mode, const char *name)
{
        int ep = epoll_create1(0), lfd = listener(), fd[2] = { tcp(SOCK_NONBLOCK), tcp(SOCK_NONBLOCK) }, got;
        struct sockaddr_in sin = self(port_of(lfd));

        section(name);
        ctl(ep, EPOLL_CTL_ADD, lfd, EPOLLIN | mode);
        obs_epoll("none waits", ep);
        for (int i = 0; i < 2; i++) {
                connect(fd[i], (struct sockaddr *)&sin, sizeof sin);
                settle();
                obs_epoll("one more waits", ep);
                obs_epoll("again", ep);
        }
        for (int i = 0; i < 2; i++) {
                got = accept(lfd, NULL, NULL);
                close(got);
                obs_epoll("one less waits", ep);
        }
        shutdown(lfd, SHUT_RD);
        obs_epoll("shut", ep);
        close(lfd);
        close(fd[0]);
        close(fd[1]);
        close(ep);
}

static void one_shot(void)
{
        int a, b, ep = epoll_create1(0);

        section("EPOLLONESHOT");
        pair(&a, &b);
        ctl(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLONESHOT);
        send(a, "x", 1, 0);
        settle();
        obs_epoll("data", ep);
        obs_epoll("again", ep);
        send(a, "x", 1, 0);
        settle();
        obs_epoll("more data", ep);
        OBS(ctl(ep, EPOLL_CTL_ADD, b, EPOLLIN));
        OBS(ctl(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT));
        obs_epoll("armed", ep);
        obs_epoll("again", ep);
        OBS(ctl(ep, EPOLL_CTL_MOD, b, EPOLLOUT | EPOLLONESHOT | EPOLLET));
        obs_epoll("armed", ep);
        obs_epoll("again", ep);
        reset(a);
        obs_epoll("reset", ep);
        OBS(ctl(ep, EPOLL_CTL_MOD, b, 0));
        obs_epoll("armed", ep);
        close(b);
        close(ep);
}

static void own_shutdown(uint32_t mode, const char *name)
{
        int a, b, ep = epoll_create1(0);

        section(name);
        pair(&a, &b);
        ctl(ep, EPOLL_CTL_ADD, a, ALL | mode);
        obs_epoll("added", ep);
        shutdown(a, SHUT_WR);
        settle();
        obs_epoll("SHUT_WR", ep);
        shutdown(a, SHUT_RD);
        settle();
        obs_epoll("SHUT_RD", ep);
        obs_epoll("again", ep);
        close(a);
        close(b);
        close(ep);
}

static void nested(void)
{
        int a, b, in = epoll_create1(0), out = epoll_create1(0), fd = tcp(0);
        char buf[8];

        section("epoll in epoll");
        pair(&a, &b);
        OBS(ctl(in, EPOLL_CTL_ADD, in, EPOLLIN));
        OBS(ctl(out, EPOLL_CTL_ADD, in, EPOLLIN));
        OBS(ctl(in, EPOLL_CTL_ADD, out, EPOLLIN));
        OBS(ctl(in, EPOLL_CTL_ADD, b, EPOLLIN));
        OBS(ctl(out, EPOLL_CTL_ADD, in, EPOLLIN | EPOLLEXCLUSIVE));
        obs_epoll("quiet", out);
        obs_ready("quiet", in);
        send(a, "x", 1, 0);
        settle();
        obs_epoll("data, seen from outside", out);
        obs_ready("data", in);
        obs_epoll("data", in);
        recv(b, buf, 8, 0);
        obs_epoll("read, seen from outside", out);
        OBS(ctl(out, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
        OBS(ctl(out, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLEXCLUSIVE));
        OBS(ctl(out, EPOLL_CTL_MOD, b, EPOLLIN));
        OBS(ctl(in, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLEXCLUSIVE));
        OBS(ctl(out, EPOLL_CTL_DEL, b, 0));
        OBS(ctl(out, EPOLL_CTL_DEL, b, 0));
        OBS(ctl(out, EPOLL_CTL_MOD, b, 0));
        OBS(ctl(out, 9, b, 0));
        OBS(ctl(fd, EPOLL_CTL_ADD, b, 0));
        OBS(epoll_ctl(out, EPOLL_CTL_ADD, b, NULL));
        OBS(epoll_wait(fd, &(struct epoll_event){ 0 }, 1, 0));
        OBS(epoll_wait(out, &(struct epoll_event){ 0 }, -1, 0));
        OBS(epoll_wait(out, &(struct epoll_event){ 0 }, 1, 10));
        close(in);
        obs_epoll("inner one closed", out);
        close(out);
        close(fd);
        close(a);
        close(b);
}

static void deep(void)
{
        int ep[7], a, b;

        section("how deep");
        pair(&a, &b);
        for (int i = 0; i < 7; i++)
                ep[i] = epoll_create1(0);
        ctl(ep[0], EPOLL_CTL_ADD, a, EPOLLOUT);
        for (int i = 0; i < 4; i++)
                OBS(ctl(ep[i + 1], EPOLL_CTL_ADD, ep[i], EPOLLIN));
        obs_epoll("from the top", ep[4]);
        OBS(ctl(ep[0], EPOLL_CTL_ADD, ep[4], EPOLLIN));
        OBS(ctl(ep[5], EPOLL_CTL_ADD, ep[4], EPOLLIN));
        for (int i = 0; i < 7; i++)
                close(ep[i]);
        close(a);
        close(b);
}

void parity_epoll(void)
{
        level_and_edge(0, "level-triggered");
        level_and_edge(EPOLLET, "EPOLLET");
        resets(ALL, "level-triggered, RST");
        resets(ALL | EPOLLET, "EPOLLET, RST");
        resets(EPOLLET, "no interest, RST");
        connecting(0, "level-triggered, connect");
        connecting(EPOLLET, "EPOLLET, connect");
        listening(0, "level-triggered, accept");
        listening(EPOLLET, "EPOLLET, accept");
        own_shutdown(0, "level-triggered, own shutdown");
        own_shutdown(EPOLLET, "EPOLLET, own shutdown");
        one_shot();
        nested();
        deep();
}
