/* SPDX-License-Identifier: MIT */
/* tests/api/parity_option.c - getsockopt, setsockopt, fcntl, ioctl */
#include "tests/api/parity.h"

static void obs_int(const char *what, int fd, int level, int name)
{
        int v = -77;
        socklen_t len = sizeof v;
        int rc = getsockopt(fd, level, name, &v, &len);
        if (rc < 0)
                obs(what, rc);
        else
                printf("%s: %d, %u octets\n", what, v, len);
}

#define GET(fd, level, name) obs_int(#name, fd, level, name)

static void set_and_get(const char *what, int fd, int level, int name, int v)
{
        char line[64];
        snprintf(line, sizeof line, "set %s %d", what, v);
        errno = 0;
        obs(line, setsockopt(fd, level, name, &v, sizeof v));
        obs_int(what, fd, level, name);
}

#define SET(fd, level, name, v) set_and_get(#name, fd, level, name, v)

static void socket_level(int fd)
{
        struct linger l = { .l_onoff = 1, .l_linger = 7 };
        struct timeval tv = { .tv_sec = 1, .tv_usec = 500000 };
        socklen_t len = sizeof l;

        section("SOL_SOCKET");
        GET(fd, SOL_SOCKET, SO_TYPE);
        GET(fd, SOL_SOCKET, SO_PROTOCOL);
        GET(fd, SOL_SOCKET, SO_DOMAIN);
        GET(fd, SOL_SOCKET, SO_ACCEPTCONN);
        GET(fd, SOL_SOCKET, SO_ERROR);
        GET(fd, SOL_SOCKET, SO_REUSEADDR);
        GET(fd, SOL_SOCKET, SO_KEEPALIVE);
        GET(fd, SOL_SOCKET, SO_RCVLOWAT);
        GET(fd, SOL_SOCKET, SO_SNDLOWAT);
        GET(fd, SOL_SOCKET, 9999);
        SET(fd, SOL_SOCKET, SO_REUSEADDR, 5);
        SET(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        SET(fd, SOL_SOCKET, SO_KEEPALIVE, 2);
        SET(fd, SOL_SOCKET, SO_BROADCAST, 1);
        SET(fd, SOL_SOCKET, SO_SNDBUF, 50000);
        SET(fd, SOL_SOCKET, SO_RCVBUF, 60000);
        SET(fd, SOL_SOCKET, SO_SNDBUF, 1);
        SET(fd, SOL_SOCKET, SO_RCVBUF, 1);
        SET(fd, SOL_SOCKET, SO_RCVLOWAT, 0);
        SET(fd, SOL_SOCKET, SO_RCVLOWAT, 3);
        SET(fd, SOL_SOCKET, SO_SNDLOWAT, 3);
        SET(fd, SOL_SOCKET, SO_TYPE, 3);
        SET(fd, SOL_SOCKET, SO_ERROR, 3);
        SET(fd, SOL_SOCKET, SO_ACCEPTCONN, 3);
        SET(fd, SOL_SOCKET, 9999, 3);
        OBS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &len, 3));
        OBS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, NULL, 4));
        OBS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &len, (socklen_t)-1));
        OBS(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &l, NULL));
        OBS(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, NULL, &len));
        len = 2;
        OBS(getsockopt(fd, SOL_SOCKET, SO_TYPE, &l, &len));
        printf("len %u\n", len);
        len = (socklen_t)-1;
        OBS(getsockopt(fd, SOL_SOCKET, SO_TYPE, &l, &len));

        l = (struct linger){ .l_onoff = 5, .l_linger = 7 };
        OBS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, 4));
        OBS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
        len = sizeof l;
        OBS(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len));
        printf("%d %d %u\n", l.l_onoff, l.l_linger, len);
        l.l_onoff = 0;
        OBS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
        OBS(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len));
        printf("%d %d %u\n", l.l_onoff, l.l_linger, len);
        OBS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
        memset(&tv, 0, sizeof tv);
        len = sizeof tv;
        OBS(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
        printf("%ld %ld %u\n", (long)tv.tv_sec, (long)tv.tv_usec, len);
        OBS(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len));
        printf("%ld %ld %u\n", (long)tv.tv_sec, (long)tv.tv_usec, len);
        tv.tv_usec = 1000000;
        OBS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
        OBS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, 4));
}

static void tcp_level(int fd)
{
        section("IPPROTO_TCP");
        GET(fd, IPPROTO_TCP, TCP_NODELAY);
        GET(fd, IPPROTO_TCP, TCP_MAXSEG);
        GET(fd, IPPROTO_TCP, TCP_CORK);
        GET(fd, IPPROTO_TCP, TCP_KEEPIDLE);
        GET(fd, IPPROTO_TCP, TCP_KEEPINTVL);
        GET(fd, IPPROTO_TCP, TCP_KEEPCNT);
        GET(fd, IPPROTO_TCP, TCP_SYNCNT);
        GET(fd, IPPROTO_TCP, TCP_USER_TIMEOUT);
        GET(fd, IPPROTO_TCP, 9999);
        SET(fd, IPPROTO_TCP, TCP_NODELAY, 7);
        SET(fd, IPPROTO_TCP, TCP_NODELAY, 0);
        SET(fd, IPPROTO_TCP, TCP_CORK, 1);
        SET(fd, IPPROTO_TCP, TCP_CORK, 0);
        SET(fd, IPPROTO_TCP, TCP_MAXSEG, 1000);
        SET(fd, IPPROTO_TCP, TCP_MAXSEG, 87);
        SET(fd, IPPROTO_TCP, TCP_MAXSEG, 32768);
        SET(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
        SET(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0);
        SET(fd, IPPROTO_TCP, TCP_KEEPIDLE, 32768);
        SET(fd, IPPROTO_TCP, TCP_KEEPINTVL, 11);
        SET(fd, IPPROTO_TCP, TCP_KEEPINTVL, 0);
        SET(fd, IPPROTO_TCP, TCP_KEEPCNT, 12);
        SET(fd, IPPROTO_TCP, TCP_KEEPCNT, 128);
        SET(fd, IPPROTO_TCP, TCP_SYNCNT, 3);
        SET(fd, IPPROTO_TCP, TCP_SYNCNT, 0);
        SET(fd, IPPROTO_TCP, TCP_SYNCNT, 128);
        SET(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 4000);
        SET(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, -1);
        SET(fd, IPPROTO_TCP, 9999, 1);
        OBS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, 3));
        OBS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, NULL, 4));
}

static void ip_level(int fd)
{
        unsigned char octet = 0;
        socklen_t len = 1;

        section("IPPROTO_IP and other levels");
        GET(fd, IPPROTO_IP, IP_TTL);
        GET(fd, IPPROTO_IP, IP_TOS);
        GET(fd, IPPROTO_IP, 9999);
        SET(fd, IPPROTO_IP, IP_TTL, 33);
        SET(fd, IPPROTO_IP, IP_TTL, 0);
        SET(fd, IPPROTO_IP, IP_TTL, 256);
        SET(fd, IPPROTO_IP, IP_TTL, -1);
        SET(fd, IPPROTO_IP, IP_TOS, 0x13);
        SET(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        SET(fd, IPPROTO_IP, 9999, 1);
        OBS(setsockopt(fd, IPPROTO_IP, IP_TTL, &(char){ 9 }, 1));
        OBS(setsockopt(fd, IPPROTO_IP, IP_TTL, &(char){ 9 }, 0));
        OBS(getsockopt(fd, IPPROTO_IP, IP_TTL, &octet, &len));
        printf("%d %u\n", octet, len);
        OBS(getsockopt(fd, 999, 1, &octet, &len));
        OBS(setsockopt(fd, 999, 1, &(int){ 9 }, 4));
}

static void inherited(void)
{
        int lfd = tcp(SOCK_NONBLOCK), fd = tcp(0), got;
        struct sockaddr_in sin = self(0);
        struct linger l = { .l_onoff = 1, .l_linger = 3 };
        struct tcp_info info;
        socklen_t len = sizeof l;

        section("inherited by what is accepted");
        bind(lfd, (struct sockaddr *)&sin, sizeof sin);
        setsockopt(lfd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, 4);
        setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, 4);
        setsockopt(lfd, SOL_SOCKET, SO_RCVBUF, &(int){ 30000 }, 4);
        setsockopt(lfd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        listen(lfd, 5);
        setsockopt(lfd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, 4);
        setsockopt(lfd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 55 }, 4);
        GET(lfd, SOL_SOCKET, SO_ACCEPTCONN);
        GET(lfd, IPPROTO_TCP, TCP_NODELAY);
        sin = self(port_of(lfd));
        setsockopt(fd, IPPROTO_IP, IP_TOS, &(int){ 0x20 }, 4);
        connect(fd, (struct sockaddr *)&sin, sizeof sin);
        settle();
        got = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        GET(got, SOL_SOCKET, SO_ACCEPTCONN);
        GET(got, SOL_SOCKET, SO_KEEPALIVE);
        GET(got, SOL_SOCKET, SO_REUSEADDR);
        GET(got, SOL_SOCKET, SO_RCVBUF);
        GET(got, IPPROTO_TCP, TCP_NODELAY);
        GET(got, IPPROTO_TCP, TCP_KEEPIDLE);
        GET(fd, IPPROTO_IP, IP_TOS);
        OBS(getsockopt(got, SOL_SOCKET, SO_LINGER, &l, &len));
        printf("%d %d\n", l.l_onoff, l.l_linger);
        printf("flags %o\n", (unsigned)fcntl(got, F_GETFL));
        OBS(fcntl(got, F_GETFD));

        section("TCP_INFO");
        len = sizeof info;
        OBS(getsockopt(got, IPPROTO_TCP, TCP_INFO, &info, &len));
        printf("state %u, %u octets, unacked %u, retrans %u\n", info.tcpi_state, len, info.tcpi_unacked,
               info.tcpi_total_retrans);
        OBS(getsockopt(lfd, IPPROTO_TCP, TCP_INFO, &info, &len));
        printf("state %u\n", info.tcpi_state);
        len = 1;
        OBS(getsockopt(lfd, IPPROTO_TCP, TCP_INFO, &info, &len));
        shutdown(fd, SHUT_WR);
        settle();
        len = sizeof info;
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
        printf("state %u\n", info.tcpi_state);
        getsockopt(got, IPPROTO_TCP, TCP_INFO, &info, &len);
        printf("state %u\n", info.tcpi_state);
        OBS(setsockopt(got, IPPROTO_TCP, TCP_INFO, &info, len));
        close(got);
        close(fd);
        close(lfd);
}

void parity_options(void)
{
        int fd = tcp(0), on = 1;

        socket_level(fd);
        tcp_level(fd);
        ip_level(fd);
        inherited();

        section("fcntl and ioctl");
        printf("flags %o\n", (unsigned)fcntl(fd, F_GETFL));
        OBS(fcntl(fd, F_SETFL, O_NONBLOCK));
        printf("flags %o\n", (unsigned)fcntl(fd, F_GETFL));
        OBS(ioctl(fd, FIONBIO, &(int){ 0 }));
        printf("flags %o\n", (unsigned)fcntl(fd, F_GETFL));
        OBS(ioctl(fd, FIONBIO, &on));
        OBS(fcntl(fd, F_SETFD, FD_CLOEXEC));
        OBS(fcntl(fd, F_GETFD));
        OBS(fcntl(fd, 9999));
        OBS(ioctl(fd, 0x12345678, &on));
        OBS(ioctl(fd, FIONBIO, NULL));
        OBS(ioctl(fd, FIONREAD, NULL));
        close(fd);
}
