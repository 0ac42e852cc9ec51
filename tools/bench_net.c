/* SPDX-License-Identifier: MIT */
/* tools/bench_net.c - The socket calls of both stacks, and what every end does with them; see bench_duo.h */
#include "base/units.h"
#include "tools/bench_duo.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>
#include <millrace/stats.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 512, EVENTS_MAX = 512 };

#define OUR_SERVERS    0x0a400001u      /* 10.64.0.1 and on */
#define KERNEL_SERVERS 0x7f000001u      /* 127.0.0.1 and on */

/* ---- the calls ---- */

const struct bench_net bench_net_millrace = {
        mr_socket, mr_bind, mr_listen, mr_accept4, mr_connect, mr_setsockopt, mr_send, mr_recv, mr_close,
        mr_epoll_create1, mr_epoll_ctl, mr_epoll_wait,
};

/* libc declares these with a union in the place of struct sockaddr. */
static int kernel_bind(int fd, const struct sockaddr *sa, socklen_t len) { return bind(fd, sa, len); }
static int kernel_connect(int fd, const struct sockaddr *sa, socklen_t len) { return connect(fd, sa, len); }
static int kernel_accept4(int fd, struct sockaddr *sa, socklen_t *len, int fl) { return accept4(fd, sa, len, fl); }

const struct bench_net bench_net_kernel = {
        socket, kernel_bind, listen, kernel_accept4, kernel_connect, setsockopt, send, recv, close,
        epoll_create1, epoll_ctl, epoll_wait,
};

/* ---- sockets ---- */

bool bench_kernel_holds(uint64_t conns)
{
        uint64_t need = 2 * conns + 256;
        struct rlimit lim;

        if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
                return false;
        struct rlimit more = { need, lim.rlim_max < need ? need : lim.rlim_max };
        return lim.rlim_cur >= need || setrlimit(RLIMIT_NOFILE, &more) == 0;
}

void bench_watch(const struct bench_net *net, int ep, int op, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event ev = { .events = events, .data.u64 = data };
        if (net->epoll_ctl(ep, op, fd, &ev) < 0)
                cmd_die("epoll: %s", strerror(errno));
}

int bench_listen(const struct bench_net *net, int *ep)
{
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(BENCH_PORT) };
        int one = 1;

        int fd = net->socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fd < 0)
                cmd_die("no socket: %s", strerror(errno));
        net->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        net->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (net->bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || net->listen(fd, 4096) < 0)
                cmd_die("port %d: %s", BENCH_PORT, strerror(errno));
        *ep = net->epoll_create1(0);
        if (*ep < 0)
                cmd_die("no epoll instance: %s", strerror(errno));
        bench_watch(net, *ep, EPOLL_CTL_ADD, fd, EPOLLIN, BENCH_LISTENER);
        return fd;
}

uint32_t bench_accept(const struct bench_net *net, int listener, int ep)
{
        uint32_t cnt = 0;

        for (int fd; (fd = net->accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; cnt++)
                bench_watch(net, ep, EPOLL_CTL_ADD, fd, EPOLLIN, (uint32_t)fd);
        return cnt;
}

int bench_connect(const struct bench_duo *d, uint32_t n)
{
        uint32_t first = d->over == BENCH_KERNEL ? KERNEL_SERVERS : OUR_SERVERS;
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(BENCH_PORT),
                .sin_addr.s_addr = htonl(first + n / BENCH_CONNS_AN_ADDR),
        };
        int one = 1;

        int fd = d->net->socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fd < 0)
                cmd_die("connection %u: no socket: %s", n, strerror(errno));
        d->net->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (d->net->connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
                cmd_die("connection %u: %s", n, strerror(errno));
        return fd;
}

int *bench_connect_all(const struct bench_duo *d, int ep)
{
        struct epoll_event evs[EVENTS_MAX];
        uint32_t next = 0, done = 0;
        int *fds = malloc(d->conns * sizeof *fds);

        if (!fds)
                cmd_die("no memory for the list of %u connections", d->conns);
        memset(fds, 0xff, d->conns * sizeof *fds);
        while (done < d->conns && !bench_given_up(d)) {
                for (; next < d->conns && next - done < WINDOW; next++) {
                        fds[next] = bench_connect(d, next);
                        bench_watch(d->net, ep, EPOLL_CTL_ADD, fds[next], EPOLLOUT, next);
                }
                int cnt = d->net->epoll_wait(ep, evs, EVENTS_MAX, 0);
                for (int i = 0; i < cnt; i++, done++) {
                        uint32_t n = (uint32_t)evs[i].data.u64;
                        if (evs[i].events & (EPOLLERR | EPOLLHUP))
                                cmd_die("connection %u did not come about", n);
                        bench_watch(d->net, ep, EPOLL_CTL_MOD, fds[n], EPOLLIN, n);
                }
        }
        return fds;
}

/* ---- busy ---- */

static uint32_t counter_named(const char *wanted)
{
        const char *name;
        uint32_t i = 0;

        while (mr_counter_get(i, &name, NULL, NULL) == 0 && strcmp(name, wanted) != 0)
                i++;
        return i;
}

uint64_t bench_frames_moved(void)
{
        static _Thread_local uint32_t in, out;
        uint64_t rx = 0, tx = 0;

        if (!out) {
                in = counter_named("RX_FRAMES");
                out = counter_named("TX_FRAMES");
        }
        mr_counter_get(in, NULL, NULL, &rx);
        mr_counter_get(out, NULL, NULL, &tx);
        return rx + tx;
}

static uint64_t thread_cpu_ns(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return SEC(ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

void bench_busy_begin(struct bench_busy *b, const struct bench_duo *d)
{
        *b = (struct bench_busy){ .kernel = d->over == BENCH_KERNEL, .cpu_began_ns = thread_cpu_ns() };
        if (!b->kernel)
                b->frames_began = b->frames = bench_frames_moved();
        b->began = b->at = bench_tsc();
}

void bench_busy_turn(struct bench_busy *b, int events)
{
        uint64_t now = __rdtsc(), frames = b->kernel ? 0 : bench_frames_moved();

        if (events > 0 || frames != b->frames)
                b->busy += now - b->at;
        b->frames = frames;
        b->at = now;
}

void bench_busy_end(struct bench_busy *b) { b->cpu_ns = thread_cpu_ns() - b->cpu_began_ns; }

double bench_busy_core(const struct bench_busy *b)
{
        double took_ns = (double)(b->at - b->began) / bench_tsc_hz() * 1e9;
        double share = took_ns > 0 ? (double)b->cpu_ns / took_ns : 1;
        return share < 1 ? share : 1;
}

double bench_busy_cycles(const struct bench_busy *b) { return (double)b->busy * bench_busy_core(b); }

double bench_busy_share(const struct bench_busy *b)
{
        return b->at > b->began ? (double)b->busy / (double)(b->at - b->began) : 0;
}
