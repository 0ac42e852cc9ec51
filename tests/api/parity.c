/* SPDX-License-Identifier: MIT */
/* tests/api/parity.c - What sockets do, observed; a line an observation
 *
 * The same program runs on the kernel's sockets and on Millrace's; the two
 * outputs must be equal (tests/api/test_parity.py).  So it prints nothing that
 * may differ between two runs: no descriptor, no port, no address, no time.
 */
#include "tests/api/parity.h"

static int pipes;

static void on_pipe(int sig) { pipes++; }

void obs(const char *what, long result)
{
        int err = errno;
        if (result < 0)
                printf("%s: %ld %s\n", what, result, strerrorname_np(err));
        else
                printf("%s: %ld\n", what, result);
        if (pipes)
                printf("  SIGPIPE\n");
        pipes = 0;
}

void obs_mask(const char *what, uint32_t mask)
{
        static const struct { uint32_t bit; const char *name; } names[] = {
                { EPOLLIN, "IN" }, { EPOLLPRI, "PRI" }, { EPOLLOUT, "OUT" }, { EPOLLERR, "ERR" }, { EPOLLHUP, "HUP" },
                { EPOLLRDNORM, "RDNORM" }, { EPOLLRDBAND, "RDBAND" }, { EPOLLWRNORM, "WRNORM" },
                { EPOLLWRBAND, "WRBAND" }, { EPOLLRDHUP, "RDHUP" }, { POLLNVAL, "NVAL" },
        };
        const char *sep = "";

        printf("%s:", what);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                if (mask & names[i].bit) {
                        printf("%s%s", *sep ? sep : " ", names[i].name);
                        sep = "|";
                }
        printf("\n");
}

void section(const char *name) { printf("\n## %s\n", name); }

void settle(void) { poll(NULL, 0, 30); }

struct sockaddr_in self(uint16_t port)
{
        struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
        inet_pton(AF_INET, SELF, &sin.sin_addr);
        return sin;
}

uint16_t port_of(int fd)
{
        struct sockaddr_in sin = { 0 };
        socklen_t len = sizeof sin;
        getsockname(fd, (struct sockaddr *)&sin, &len);
        return ntohs(sin.sin_port);
}

int tcp(int flags)
{
        int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
        if (fd < 0) {
                perror("socket");
                exit(1);
        }
        return fd;
}

int listener(void)
{
        struct sockaddr_in sin = self(0);
        int fd = tcp(SOCK_NONBLOCK);
        if (bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0 || listen(fd, 16) < 0) {
                perror("listener");
                exit(1);
        }
        return fd;
}

void pair(int *a, int *b)
{
        int lfd = listener();
        struct sockaddr_in sin = self(port_of(lfd));

        *a = tcp(0);
        if (connect(*a, (struct sockaddr *)&sin, sizeof sin) < 0) {
                perror("connect");
                exit(1);
        }
        fcntl(*a, F_SETFL, O_NONBLOCK);
        settle();
        *b = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);
        if (*b < 0) {
                perror("accept4");
                exit(1);
        }
        close(lfd);
        settle();
}

uint32_t ready(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM };
        poll(&p, 1, 0);
        return (uint16_t)p.revents;
}

void obs_ready(const char *what, int fd) { obs_mask(what, ready(fd)); }

void obs_error(const char *what, int fd)
{
        int err = 0;
        socklen_t len = sizeof err;
        int rc = getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
        printf("%s: %d %s\n", what, rc, strerrorname_np(err));
}

void obs_epoll(const char *what, int ep)
{
        struct epoll_event ev[4];
        int n = epoll_wait(ep, ev, 4, 0);
        if (n > 0)
                obs_mask(what, ev[0].events);
        else
                obs(what, n);
}

int ctl(int ep, int op, int fd, uint32_t events)
{
        struct epoll_event ev = { .events = events, .data.u32 = 7 };
        return epoll_ctl(ep, op, fd, &ev);
}

void reset(int fd)
{
        struct linger l = { .l_onoff = 1 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        close(fd);
        settle();
}

int main(void)
{
        struct sigaction sa = { .sa_handler = on_pipe };
        sigaction(SIGPIPE, &sa, NULL);
        setvbuf(stdout, NULL, _IOLBF, 0);
        stack_start();
        parity_fresh();
        parity_names();
        parity_connect();
        parity_close();
        parity_shutdown();
        parity_io();
        parity_options();
        parity_epoll();
        parity_bad();
        stack_stop();
        return 0;
}
