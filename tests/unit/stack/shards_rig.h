/* SPDX-License-Identifier: MIT */
/* tests/unit/stack/shards_rig.h - Two stacks of several shards, a server and its clients
 *
 * Each shard of the server echoes what comes to it; each shard of the client
 * opens connections, sends a message by each, checks what comes back, closes.
 */
#pragma once
#include "tests/test.h"

#include <millrace/epoll.h>
#include <millrace/millrace.h>
#include <millrace/socket.h>
#include <millrace/stats.h>

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { SHARDS_MAX = 8, SHARDS_PORT = 80 };
#define SHARDS_SERVER "10.0.0.1"

struct shards_rig {
        struct mr_stack *server, *client;
        int              listener;
        uint32_t         conns;                         /* for each shard of the client to open */
        atomic_bool      stop;
        _Atomic uint32_t accepted[SHARDS_MAX];          /* by shard of the server */
        _Atomic uint32_t echoed[SHARDS_MAX];            /* right answers, by shard of the client */
        pthread_t        thread;
};

static inline void shards_set(struct mr_conf *conf, const char *name, const char *value)
{
        char err[256];
        if (mr_conf_set(conf, name, value, err, sizeof err) < 0) {
                printf("  %s\n", err);
                REQUIRE(false);
        }
}

/* Fails the test when it cannot be. */
static inline struct mr_stack *shards_stack(uint32_t shards, const char *dev, const char *addr)
{
        static struct mr_conf conf;
        char err[256] = "";

        mr_conf_default(&conf);
        conf.shards = shards;
        conf.max_conns = 20000;
        conf.mem_packets = 64 << 20;
        conf.log = MR_LOG_WARN;
        conf.tcp_time_wait_ns = 1000000;
        shards_set(&conf, "dev", dev);
        shards_set(&conf, "addr", addr);
        struct mr_stack *st = mr_stack_new(&conf, err, sizeof err);
        if (!st)
                printf("  %s\n", err);
        REQUIRE(st != NULL);
        return st;
}

static inline struct sockaddr_in shards_addr(uint32_t host, uint16_t port)
{
        return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host) };
}

/* A listener of the shard that is attached. */
static inline int shards_listen(uint16_t port)
{
        struct sockaddr_in any = shards_addr(0, port);
        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        EXPECT_EQ(mr_bind(fd, (struct sockaddr *)&any, sizeof any), 0);
        EXPECT_EQ(mr_listen(fd, 1000), 0);
        return fd;
}

static inline void shards_echo(int ep, int fd)
{
        char buf[256];
        ssize_t n = mr_recv(fd, buf, sizeof buf, 0);
        if (n > 0)
                EXPECT_EQ(mr_send(fd, buf, (size_t)n, 0), n);
        else if (n == 0 || errno != EAGAIN)
                mr_close(fd);
}

static inline void shards_serve(void *arg, uint32_t shard)
{
        struct shards_rig *rig = arg;
        struct epoll_event ev = { .events = EPOLLIN, .data.fd = rig->listener }, evs[64];
        int ep = mr_epoll_create1(0);

        EXPECT_EQ(mr_epoll_ctl(ep, EPOLL_CTL_ADD, rig->listener, &ev), 0);
        while (!atomic_load(&rig->stop)) {
                int cnt = mr_epoll_wait(ep, evs, 64, -1);
                for (int i = 0; i < cnt; i++) {
                        if (evs[i].data.fd != rig->listener) {
                                shards_echo(ep, evs[i].data.fd);
                                continue;
                        }
                        for (int fd; (fd = mr_accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                                struct epoll_event in = { .events = EPOLLIN, .data.fd = fd };
                                EXPECT_EQ(mr_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &in), 0);
                                atomic_fetch_add(&rig->accepted[shard], 1);
                        }
                }
        }
}

/* What looks at other shards while they work: the counters, and who uses a port. */
static inline void shards_look(uint32_t shard)
{
        struct sockaddr_in any = shards_addr(0, (uint16_t)(7000 + shard));
        uint64_t value;

        for (uint32_t i = 0; i < mr_counter_cnt(); i++)
                EXPECT_EQ(mr_counter_get(i, NULL, NULL, &value), 0);
        int fd = mr_socket(AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(mr_bind(fd, (struct sockaddr *)&any, sizeof any), 0);
        EXPECT_EQ(mr_close(fd), 0);
}

/* Many at once; all that the peer's backlogs hold. */
static inline void shards_ask(void *arg, uint32_t shard)
{
        struct shards_rig *rig = arg;
        struct sockaddr_in to = shards_addr(0x0a000001, SHARDS_PORT);
        struct epoll_event evs[64];
        int ep = mr_epoll_create1(0);
        uint32_t opened = 0, open = 0, done = 0;
        char want[32], got[64];

        while (done < rig->conns) {
                for (; open < 100 && opened < rig->conns; open++, opened++) {
                        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                        struct epoll_event ev = { .events = EPOLLOUT, .data.fd = fd };
                        EXPECT(mr_connect(fd, (struct sockaddr *)&to, sizeof to) == -1 && errno == EINPROGRESS);
                        EXPECT_EQ(mr_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
                }
                int cnt = mr_epoll_wait(ep, evs, 64, 10000);
                REQUIRE(cnt > 0);
                for (int i = 0; i < cnt; i++) {
                        int fd = evs[i].data.fd;
                        int len = snprintf(want, sizeof want, "shard %u socket %d", shard, fd);
                        if (evs[i].events == EPOLLOUT) {
                                struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
                                EXPECT_EQ(mr_send(fd, want, (size_t)len, 0), len);
                                EXPECT_EQ(mr_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev), 0);
                                continue;
                        }
                        ssize_t n = mr_recv(fd, got, sizeof got, 0);
                        EXPECT_EQ(n, len);
                        if (n == len && memcmp(got, want, (size_t)len) == 0)
                                atomic_fetch_add(&rig->echoed[shard], 1);
                        EXPECT_EQ(mr_close(fd), 0);
                        open--;
                        if (++done % 32 == 0)
                                shards_look(shard);
                }
        }
        mr_close(ep);
}

static inline void *shards_server_thread(void *arg)
{
        struct shards_rig *rig = arg;

        EXPECT_EQ(mr_shard_attach(rig->server, 0), 0);
        EXPECT_EQ(mr_stack_run(rig->server, shards_serve, rig), 0);
        mr_stack_attach(NULL);
        return NULL;
}

/* The server runs, in threads of its own. */
static inline void shards_begin(struct shards_rig *rig)
{
        EXPECT_EQ(mr_shard_attach(rig->server, 0), 0);
        rig->listener = shards_listen(SHARDS_PORT);
        mr_stack_attach(NULL);
        REQUIRE(pthread_create(&rig->thread, NULL, shards_server_thread, rig) == 0);
}

static inline void shards_end(struct shards_rig *rig)
{
        atomic_store(&rig->stop, true);
        mr_stack_wake(rig->server);
        pthread_join(rig->thread, NULL);
}
