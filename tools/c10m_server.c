/* SPDX-License-Identifier: MIT */
/* tools/c10m_server.c - The server of `millrace c10m`: sends back what comes, and keeps nothing */
#include "tools/c10m.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS_MAX = 256, WAIT_MS = 20 };

struct c10m_server {
        const struct mr_conf *conf;
        int              cpu;
        pthread_t        thread;
        sem_t            listening;
        atomic_bool      stop;
        _Atomic uint64_t accepted, closed, octets, wrong;
        struct c10m_left left;                          /* valid when the thread has ended */
        int              ep, listener;
        uint8_t          buf[C10M_MSG_MAX];
};

/* Only the server's thread writes. */
static void add(_Atomic uint64_t *to, uint64_t n)
{
        atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static void watch(struct c10m_server *srv, int fd)
{
        struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
        if (mr_epoll_ctl(srv->ep, EPOLL_CTL_ADD, fd, &ev) < 0)
                cmd_die("epoll: %s", strerror(errno));
}

static void accept_all(struct c10m_server *srv)
{
        uint64_t cnt = 0;

        for (int fd; (fd = mr_accept4(srv->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; cnt++)
                watch(srv, fd);
        add(&srv->accepted, cnt);
}

/* The peer waits for its echo, and the window of clients fits the stack's memory: so it always fits. */
static void serve(struct c10m_server *srv, int fd)
{
        ssize_t n = mr_recv(fd, srv->buf, sizeof srv->buf, 0);

        if (n > 0) {
                add(&srv->octets, (uint64_t)n);
                if (mr_send(fd, srv->buf, (size_t)n, MSG_NOSIGNAL) != n)
                        add(&srv->wrong, 1);
        } else if (n == 0 || errno != EAGAIN) {
                if (n < 0)
                        add(&srv->wrong, 1);
                mr_close(fd);
                add(&srv->closed, 1);
        }
}

static int turn(struct c10m_server *srv)
{
        struct epoll_event evs[EVENTS_MAX];
        int cnt = mr_epoll_wait(srv->ep, evs, EVENTS_MAX, WAIT_MS);

        for (int i = 0; i < cnt; i++) {
                if (evs[i].data.fd == srv->listener)
                        accept_all(srv);
                else
                        serve(srv, evs[i].data.fd);
        }
        return cnt;
}

static void *run(void *arg)
{
        struct c10m_server *srv = arg;

        c10m_pin(srv->cpu);
        cmd_up(srv->conf);
        srv->listener = cmd_listen(C10M_PORT);
        srv->ep = mr_epoll_create1(0);
        if (srv->ep < 0)
                cmd_die("no epoll instance: %s", strerror(errno));
        watch(srv, srv->listener);
        sem_post(&srv->listening);

        while (!atomic_load_explicit(&srv->stop, memory_order_acquire))
                turn(srv);
        for (int quiet = 0; quiet < 3;)                 /* what is still on its way */
                quiet = turn(srv) > 0 ? 0 : quiet + 1;
        mr_close(srv->listener);
        mr_close(srv->ep);
        c10m_left_of_stack(&srv->left);
        cmd_end();
        return NULL;
}

struct c10m_server *c10m_server_start(const struct mr_conf *conf, int cpu)
{
        struct c10m_server *srv = calloc(1, sizeof *srv);

        if (!srv)
                cmd_die("no memory");
        srv->conf = conf;
        srv->cpu = cpu;
        sem_init(&srv->listening, 0, 0);
        if (pthread_create(&srv->thread, NULL, run, srv) != 0)
                cmd_die("no thread for the server");
        while (sem_wait(&srv->listening) < 0)
                continue;
        return srv;
}

void c10m_served(const struct c10m_server *srv, struct c10m_served *out)
{
        out->accepted = atomic_load_explicit(&srv->accepted, memory_order_relaxed);
        out->closed = atomic_load_explicit(&srv->closed, memory_order_relaxed);
        out->octets = atomic_load_explicit(&srv->octets, memory_order_relaxed);
        out->wrong = atomic_load_explicit(&srv->wrong, memory_order_relaxed);
}

double c10m_server_cpu_s(const struct c10m_server *srv)
{
        struct timespec ts = { 0 };
        clockid_t clock;

        if (pthread_getcpuclockid(srv->thread, &clock) == 0)
                clock_gettime(clock, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void c10m_server_stop(struct c10m_server *srv, struct c10m_left *left)
{
        atomic_store_explicit(&srv->stop, true, memory_order_release);
        pthread_join(srv->thread, NULL);
        *left = srv->left;
        sem_destroy(&srv->listening);
        free(srv);
}
