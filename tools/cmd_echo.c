/* SPDX-License-Identifier: MIT */
/* tools/cmd_echo.c - `millrace echo`: sends back what it receives (RFC 862)
 *
 * One buffer serves all connections of a shard.  What the peer does not take at once is
 * kept with the connection, which then is not read from until all of it has
 * gone: a peer that only sends can't make us hold more than one buffer for it.
 */
#include "tools/cmd.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 256, BUF_OCTETS = 65536 };

struct conn {
        int      fd;
        uint32_t from, len;             /* of kept, still to be sent */
        uint8_t *kept;                  /* NULL while the peer keeps up */
};

static _Thread_local uint8_t buf[BUF_OCTETS];

static void conn_close(struct conn *c)
{
        mr_close(c->fd);
        free(c->kept);
        free(c);
}

static bool watch(int ep, struct conn *c, uint32_t events)
{
        struct epoll_event ev = { .events = events, .data.ptr = c };
        return mr_epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) == 0;
}

/* Octets sent, less than @len when the peer is slow; -1: the connection is broken. */
static ssize_t send_some(int fd, const uint8_t *data, size_t len)
{
        size_t sent = 0;

        while (sent < len) {
                ssize_t n = mr_send(fd, data + sent, len - sent, MSG_NOSIGNAL);
                if (n < 0)
                        return errno == EAGAIN ? (ssize_t)sent : -1;
                sent += (size_t)n;
        }
        return (ssize_t)sent;
}

/* False: close it. */
static bool conn_readable(int ep, struct conn *c)
{
        ssize_t n = mr_recv(c->fd, buf, sizeof buf, 0);
        if (n <= 0)
                return n < 0 && errno == EAGAIN;

        ssize_t sent = send_some(c->fd, buf, (size_t)n);
        if (sent < 0)
                return false;
        if (sent == n)
                return true;
        c->len = (uint32_t)(n - sent);
        c->from = 0;
        c->kept = malloc(c->len);
        if (!c->kept)
                return false;
        memcpy(c->kept, buf + sent, c->len);
        return watch(ep, c, EPOLLOUT);
}

static bool conn_writable(int ep, struct conn *c)
{
        ssize_t sent = send_some(c->fd, c->kept + c->from, c->len);

        if (sent < 0)
                return false;
        c->from += (uint32_t)sent;
        c->len -= (uint32_t)sent;
        if (c->len > 0)
                return true;
        free(c->kept);
        c->kept = NULL;
        return watch(ep, c, EPOLLIN);
}

static void conn_event(int ep, struct conn *c, uint32_t events)
{
        bool alive = !(events & EPOLLERR);

        if (alive && c->kept)
                alive = conn_writable(ep, c);
        else if (alive)
                alive = conn_readable(ep, c);
        if (!alive)
                conn_close(c);
}

static void accept_all(int ep, int listener)
{
        for (int i = 0; i < EVENTS_MAX; i++) {
                int fd = mr_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0)
                        return;
                struct conn *c = calloc(1, sizeof *c);
                struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
                if (!c || mr_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0) {
                        mr_close(fd);
                        free(c);
                        continue;
                }
                c->fd = fd;
        }
}

/* One shard's part. */
static void serve(void *arg, uint32_t shard)
{
        struct epoll_event events[EVENTS_MAX], ev = { .events = EPOLLIN, .data.ptr = NULL };
        int listener = *(int *)arg, ep = mr_epoll_create1(0);

        if (ep < 0 || mr_epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) < 0)
                cmd_die("no epoll: %s", strerror(errno));
        while (!cmd_stopped()) {
                int cnt = mr_epoll_wait(ep, events, EVENTS_MAX, 1000);
                if (cnt < 0 && errno != EINTR)
                        cmd_die("waiting: %s", strerror(errno));
                for (int i = 0; i < cnt; i++) {
                        if (events[i].data.ptr)
                                conn_event(ep, events[i].data.ptr, events[i].events);
                        else
                                accept_all(ep, listener);
                }
        }
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        uint64_t port = 7;
        const struct cmd_opt opts[] = {
                { "port", CMD_NUMBER, &port, 1, 65535, "the port to listen on" },
                CMD_OPT_STATS,
                { 0 },
        };

        cmd_start(&cmd_echo, argc, argv, opts, &conf);
        int listener = cmd_listen((uint16_t)port);
        fprintf(stderr, "millrace: echo on port %u\n", (unsigned)port);
        cmd_run(serve, &listener);
        return cmd_end();
}

const struct cmd cmd_echo = {
        .name = "echo",
        .args = "--dev DEVICE --addr ADDR/LEN [--port 7]",
        .summary = "a server that sends back what it receives (RFC 862)",
        .run = run,
};
