/* SPDX-License-Identifier: MIT */
/* tools/c10m_socks.c - Clients of `millrace c10m` that are sockets of a stack, on the calling thread */
#include "tools/c10m.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 256, START_BURST = 64 };

/* What is kept of a connection: 8 octets. */
struct member {
        int      fd;
        uint32_t got;                   /* octets of this phase's echo */
};

struct c10m_client_state {
        const struct c10m_plan *plan;
        enum c10m_phase phase;
        uint32_t        msg;
        uint64_t        rate;           /* begun a second; 0: no limit */
        double          began_s;
        uint32_t        next;           /* the next to begin with */
        uint32_t        done;
        uint32_t        base;           /* octets of each stream before this phase */
        uint64_t        wrong;
        int             ep;
        struct member  *members;
        uint8_t         buf[C10M_MSG_MAX];
};

static struct c10m_client_state *start(const struct c10m_plan *plan)
{
        struct c10m_client_state *c = calloc(1, sizeof *c);

        if (!c)
                cmd_die("no memory");
        c->plan = plan;
        c->members = malloc(plan->conns * sizeof *c->members);
        if (!c->members)
                cmd_die("no memory for a list of %u connections", plan->conns);
        memset(c->members, 0xff, plan->conns * sizeof *c->members);     /* touched now: not the stack's later */
        cmd_up(plan->client);
        c->ep = mr_epoll_create1(0);
        if (c->ep < 0)
                cmd_die("no epoll instance: %s", strerror(errno));
        return c;
}

static void begin(struct c10m_client_state *c, enum c10m_phase phase)
{
        if (c->phase == C10M_TALK || c->phase == C10M_HEARTBEAT)
                c->base += c->msg;
        c->phase = phase;
        c->msg = c10m_phase_msg(c->plan, phase);
        c->rate = c10m_phase_rate(c->plan, phase);
        c->next = c->done = 0;
        c->began_s = c10m_now_s();
}

/* ---- one connection ---- */

static void watch(struct c10m_client_state *c, int op, uint32_t id, uint32_t events)
{
        struct epoll_event ev = { .events = events, .data.u32 = id };
        if (mr_epoll_ctl(c->ep, op, c->members[id].fd, &ev) < 0)
                cmd_die("epoll: %s", strerror(errno));
}

static void start_connect(struct c10m_client_state *c, uint32_t id)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(C10M_PORT),
                .sin_addr.s_addr = htonl(C10M_SERVER_NET + 1 + id / C10M_PER_ADDR),
        };
        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        if (fd < 0 || (mr_connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
                cmd_die("connection %u: %s", id, strerror(errno));
        c->members[id].fd = fd;
        watch(c, EPOLL_CTL_ADD, id, EPOLLOUT);
}

static void start_message(struct c10m_client_state *c, uint32_t id)
{
        for (uint32_t i = 0; i < c->msg; i++)
                c->buf[i] = c10m_octet(id, c->base + i);
        c->members[id].got = 0;
        if (mr_send(c->members[id].fd, c->buf, c->msg, MSG_NOSIGNAL) != (ssize_t)c->msg)
                cmd_die("connection %u: sending %u octets: %s", id, c->msg, strerror(errno));
}

static void start_one(struct c10m_client_state *c, uint32_t id)
{
        if (c->phase == C10M_CONNECT) {
                start_connect(c, id);
        } else if (c->phase == C10M_CLOSE) {
                mr_close(c->members[id].fd);
                c->members[id].fd = -1;
        } else {
                start_message(c, id);
        }
}

static void connected(struct c10m_client_state *c, uint32_t id, uint32_t events)
{
        c->done++;
        c->wrong += !!(events & (EPOLLERR | EPOLLHUP));
        watch(c, EPOLL_CTL_MOD, id, EPOLLIN);
}

static void readable(struct c10m_client_state *c, uint32_t id)
{
        struct member *m = &c->members[id];
        ssize_t n = mr_recv(m->fd, c->buf, sizeof c->buf, 0);

        if (n <= 0) {
                c->wrong += n == 0 || errno != EAGAIN;
                return;
        }
        if ((c->phase != C10M_TALK && c->phase != C10M_HEARTBEAT) || (uint32_t)n > c->msg - m->got) {
                c->wrong += (uint64_t)n;                /* nobody asked */
                return;
        }
        for (uint32_t i = 0; i < (uint32_t)n; i++)
                c->wrong += c->buf[i] != c10m_octet(id, c->base + m->got + i);
        m->got += (uint32_t)n;
        c->done += m->got == c->msg;
}

/* ---- all of them ---- */

/* Closed is who has no connection any more: at most a TIME-WAIT. */
static void count_closed(struct c10m_client_state *c)
{
        uint32_t waits;
        uint32_t open = c10m_open_of_stack(&waits);

        c->done = open < c->plan->conns ? c->plan->conns - open : 0;
}

static uint32_t allowance(const struct c10m_client_state *c)
{
        uint32_t under_way = c->next - c->done;
        /* The first alone: its SYN finds out the server's MAC address, and few packets may wait for that. */
        uint32_t window = c->phase == C10M_CONNECT && c->done == 0 ? 1 : c->plan->window;
        uint64_t most = window > under_way ? window - under_way : 0;

        if (c->rate) {
                uint64_t due = (uint64_t)((c10m_now_s() - c->began_s) * (double)c->rate) + 1;
                uint64_t may = due > c->next ? due - c->next : 0;
                most = may < most ? may : most;
        }
        return most < START_BURST ? (uint32_t)most : START_BURST;
}

static void work(struct c10m_client_state *c)
{
        struct epoll_event evs[EVENTS_MAX];
        uint32_t left = c->plan->conns - c->next, most = allowance(c);

        if (most > left)
                most = left;
        for (uint32_t i = 0; i < most; i++)
                start_one(c, c->next++);
        int cnt = mr_epoll_wait(c->ep, evs, EVENTS_MAX, most ? 0 : 1);
        for (int i = 0; i < cnt; i++) {
                if (c->phase == C10M_CONNECT && !(evs[i].events & EPOLLIN))
                        connected(c, evs[i].data.u32, evs[i].events);
                else
                        readable(c, evs[i].data.u32);
        }
        if (c->phase == C10M_CLOSE)
                count_closed(c);
}

static uint32_t done(struct c10m_client_state *c) { return c->done; }
static uint64_t wrong(struct c10m_client_state *c) { return c->wrong; }

static bool settled(struct c10m_client_state *c)
{
        struct epoll_event ev;
        uint32_t waits;

        mr_epoll_wait(c->ep, &ev, 1, 1);
        return c10m_open_of_stack(&waits) == 0 && waits == 0;
}

static void left(struct c10m_client_state *c, struct c10m_left *left)
{
        struct epoll_event ev;

        for (int i = 0; i < 3; i++)
                mr_epoll_wait(c->ep, &ev, 1, 10);
        mr_close(c->ep);
        c10m_left_of_stack(left);
}

static void stop(struct c10m_client_state *c)
{
        mr_stop();
        free(c->members);
        free(c);
}

const struct c10m_client c10m_socks = {
        .start = start, .begin = begin, .work = work, .done = done, .wrong = wrong, .settled = settled, .left = left,
        .stop = stop,
};
