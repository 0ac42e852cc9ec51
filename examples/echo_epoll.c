/* SPDX-License-Identifier: MIT */
/* examples/echo_epoll.c - Many connections in one thread, with epoll
 *
 *      echo_epoll --dev tap:mr0 --addr 10.77.0.2/24 &
 *      sleep 1                         # it makes mr0
 *      ip addr add 10.77.0.1/24 dev mr0 && ip link set mr0 up
 *      nc 10.77.0.2 7
 *
 * mr_epoll_wait() runs the stack until one of the sockets has something to say.
 * Each connection has a small buffer.  It is read from when the buffer is empty
 * and written to when it is not: whoever does not read what we send back is not
 * listened to either.
 */
#include <millrace/epoll.h>
#include <millrace/millrace.h>
#include <millrace/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct conn {
        int    fd;
        size_t from, len;               /* of buf: what is still to be sent back */
        char   buf[4096];
};

static int fail(const char *what)
{
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        return 1;
}

/* What mr_conf_args() has left over is not of the stack, and this program has no options of its own. */
static int usage(const char *arg)
{
        bool asked = strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;

        if (!asked)
                fprintf(stderr, "%s: no such option; ", arg);
        fprintf(asked ? stdout : stderr, "usage: echo_epoll --dev tap:mr0 --addr 10.77.0.2/24 [--OPTION VALUE]...; "
                "docs/configuration.md lists the options\n");
        return asked ? 0 : 1;
}

static int listen_on(uint16_t port)
{
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        if (fd < 0 || mr_bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || mr_listen(fd, 1024) < 0)
                return -1;
        return fd;
}

static int watch(int ep, int op, int fd, uint32_t events, struct conn *c)
{
        struct epoll_event ev = { .events = events, .data.ptr = c };
        return mr_epoll_ctl(ep, op, fd, &ev);
}

static void accept_one(int ep, int listener)
{
        int fd = mr_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
                return;                 /* it was gone before we came */
        struct conn *c = calloc(1, sizeof *c);
        if (!c || watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, c) < 0) {
                mr_close(fd);
                free(c);
                return;
        }
        c->fd = fd;
}

/* Fill the buffer, then send from it.  -1: the connection is over. */
static int serve(int ep, struct conn *c)
{
        bool was_full = c->len > 0;

        if (!was_full) {
                ssize_t got = mr_recv(c->fd, c->buf, sizeof c->buf, 0);
                if (got <= 0)
                        return got < 0 && errno == EAGAIN ? 0 : -1;
                c->from = 0;
                c->len = (size_t)got;
        }
        ssize_t sent = mr_send(c->fd, c->buf + c->from, c->len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
                return -1;
        if (sent > 0) {
                c->from += (size_t)sent;
                c->len -= (size_t)sent;
        }
        if ((c->len > 0) == was_full)
                return 0;
        return watch(ep, EPOLL_CTL_MOD, c->fd, c->len > 0 ? EPOLLOUT : EPOLLIN, c);
}

int main(int argc, char **argv)
{
        static struct mr_conf conf;
        struct epoll_event events[64];
        char err[256];

        mr_conf_default(&conf);
        bool ok = mr_conf_args(&conf, &argc, argv, err, sizeof err) == 0;
        if (ok && argc > 1)
                return usage(argv[1]);
        if (!ok || mr_start(&conf, err, sizeof err) < 0) {
                fprintf(stderr, "%s\n", err);
                return 1;
        }
        int listener = listen_on(7), ep = mr_epoll_create1(0);
        if (listener < 0 || ep < 0 || watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN, NULL) < 0)
                return fail("port 7");

        for (;;) {
                int cnt = mr_epoll_wait(ep, events, 64, -1);
                if (cnt < 0)
                        return fail("epoll_wait");
                for (int i = 0; i < cnt; i++) {
                        struct conn *c = events[i].data.ptr;
                        if (!c) {
                                accept_one(ep, listener);
                        } else if (serve(ep, c) < 0) {
                                mr_close(c->fd);
                                free(c);
                        }
                }
        }
}
