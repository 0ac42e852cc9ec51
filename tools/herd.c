/* SPDX-License-Identifier: MIT */
#include "tools/herd.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>
#include <millrace/stats.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 7000, WINDOW = 512, EVENTS_MAX = 512, STALL_S = 30 };

#define FIRST_ADDR 0x0a400001u          /* 10.64.0.1 */
#define IS_CLIENT  (1ull << 63)         /* in epoll's data: the rest is the connection's number... */
#define IS_LISTEN  (1ull << 62)         /* ...else it is the server's descriptor */

double herd_now_s(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

uint64_t herd_rss(void)
{
        unsigned long total, resident = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (f) {
                if (fscanf(f, "%lu %lu", &total, &resident) != 2)
                        resident = 0;
                fclose(f);
        }
        return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* `loop:` reflects what is sent, decorators in front of it or not; nothing else does. */
static void check_reflects(const struct mr_conf *conf)
{
        for (uint32_t i = 0; i < conf->iface_cnt; i++) {
                const char *comma = strrchr(conf->ifaces[i].dev, ',');
                if (strcmp(comma ? comma + 1 : conf->ifaces[i].dev, "loop:") != 0)
                        cmd_die("device %s: both ends are here, so it must reflect; name none, or loop:",
                                conf->ifaces[i].dev);
        }
}

void herd_conf(struct mr_conf *conf, uint32_t cnt)
{
        char text[32];

        check_reflects(conf);
        if (conf->iface_cnt == 0) {
                mr_conf_set(conf, "dev", "loop:", NULL, 0);
                mr_conf_set(conf, "addr", "10.64.0.1/10", NULL, 0);
                mr_conf_set(conf, "local", "10.64.0.0/10", NULL, 0);
        }
        snprintf(text, sizeof text, "%u", 2 * cnt + 1024);
        mr_conf_set(conf, "max_conns", text, NULL, 0);
        snprintf(text, sizeof text, "%u", cnt + 1024);
        mr_conf_set(conf, "max_wait", text, NULL, 0);
        mr_conf_set(conf, "max_half", "65536", NULL, 0);
}

static void watch(int ep, int op, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event ev = { .events = events, .data.u64 = data };
        if (mr_epoll_ctl(ep, op, fd, &ev) < 0)
                cmd_die("epoll: %s", strerror(errno));
}

void herd_init(struct herd *h, uint32_t cnt, uint32_t msg_octets)
{
        *h = (struct herd){ .cnt = cnt, .msg_octets = msg_octets };
        h->fd = malloc(cnt * sizeof *h->fd);
        h->got = malloc(cnt * sizeof *h->got);
        if (!h->fd || !h->got)
                cmd_die("no memory for the list of %u connections", cnt);
        memset(h->fd, 0xff, cnt * sizeof *h->fd);       /* touched now, so it does not count as the stack's later */
        memset(h->got, 0xff, cnt * sizeof *h->got);
        memset(h->got, 0, cnt * sizeof *h->got);
        h->listener = cmd_listen(PORT);
        h->ep = mr_epoll_create1(0);
        if (h->ep < 0)
                cmd_die("no epoll instance: %s", strerror(errno));
        watch(h->ep, EPOLL_CTL_ADD, h->listener, EPOLLIN, IS_LISTEN);
}

void herd_fini(struct herd *h)
{
        mr_close(h->ep);
        mr_close(h->listener);
        free(h->fd);
        free(h->got);
}

bool herd_failed(const struct herd *h) { return h->wrong || cmd_stopped(); }

/* The octet at @at of connection @id's message. */
static uint8_t octet_of(uint32_t id, uint32_t at)
{
        uint32_t x = id * 2654435761u + at * 40503u;
        return (uint8_t)(x >> 16 ^ x >> 24);
}

/* ---- the server ---- */

static void accept_all(struct herd *h)
{
        for (int fd; (fd = mr_accept4(h->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; h->accepted++)
                watch(h->ep, EPOLL_CTL_ADD, fd, EPOLLIN, (uint32_t)fd);
}

/* Send back what came; the peer waits for it, so it always fits. */
static void serve(struct herd *h, int fd)
{
        static uint8_t buf[HERD_MSG_MAX];
        ssize_t n = mr_recv(fd, buf, sizeof buf, 0);

        if (n > 0) {
                h->wrong += mr_send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n;
        } else if (n == 0) {
                mr_close(fd);
                h->closed++;
        } else if (errno != EAGAIN) {
                mr_close(fd);
                h->closed++;
                h->wrong++;
        }
}

/* ---- the clients ---- */

static void start_connect(struct herd *h, uint32_t id)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET,
                .sin_port = htons(PORT),
                .sin_addr.s_addr = htonl(FIRST_ADDR + id / HERD_PER_ADDR),
        };
        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fd < 0 || (mr_connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
                cmd_die("connection %u: %s%s", id, strerror(errno),
                        errno == ENETUNREACH ? "; give loop: --addr 10.64.0.1/10 --local 10.64.0.0/10" : "");
        h->fd[id] = fd;
        watch(h->ep, EPOLL_CTL_ADD, fd, EPOLLOUT, IS_CLIENT | id);
}

static void connected(struct herd *h, uint32_t id, uint32_t events)
{
        h->live--;
        h->opened++;
        h->wrong += !!(events & (EPOLLERR | EPOLLHUP));
        watch(h->ep, EPOLL_CTL_MOD, h->fd[id], EPOLLIN, IS_CLIENT | id);
}

static void start_talk(struct herd *h, uint32_t id)
{
        static uint8_t buf[HERD_MSG_MAX];
        for (uint32_t i = 0; i < h->msg_octets; i++)
                buf[i] = octet_of(id, i);
        h->got[id] = 0;
        if (mr_send(h->fd[id], buf, h->msg_octets, MSG_NOSIGNAL) != (ssize_t)h->msg_octets)
                cmd_die("connection %u: sending %u octets: %s", id, h->msg_octets, strerror(errno));
}

static void answer(struct herd *h, uint32_t id)
{
        static uint8_t buf[HERD_MSG_MAX];
        ssize_t n = mr_recv(h->fd[id], buf, sizeof buf, 0);

        if (n <= 0) {
                h->wrong += n == 0 || errno != EAGAIN;
                return;
        }
        for (uint32_t i = 0; i < (uint32_t)n; i++)
                h->wrong += buf[i] != octet_of(id, h->got[id] + i);
        h->got[id] += (uint32_t)n;
        if (h->got[id] == h->msg_octets) {
                h->answered++;
                h->live--;
        }
}

static void start_close(struct herd *h, uint32_t id)
{
        mr_close(h->fd[id]);
        h->fd[id] = -1;
        h->live--;
}

/* ---- phases ---- */

static void show(struct herd *h, uint32_t done, bool last)
{
        static const double every_s = 0.5;
        double now = herd_now_s();
        char n[CMD_TEXT_MAX], all[CMD_TEXT_MAX], rate[CMD_TEXT_MAX], rss[CMD_TEXT_MAX];

        if (h->quiet || (!last && now - h->shown_s < every_s))
                return;
        h->shown_s = now;
        double took = now - h->phase_began_s;
        double per_s = took > 0 ? done / took : 0;
        double left_s = per_s > 0 ? (h->cnt - done) / per_s : 0;
        fprintf(stderr, "%s%-8s %12s of %s   %9s/s   %s resident   %3.0f s left%s", isatty(2) ? "\r" : "", h->phase,
                cmd_count_text(n, done), cmd_count_text(all, h->cnt), cmd_count_text(rate, (uint64_t)per_s),
                cmd_bytes_text(rss, herd_rss()), left_s, isatty(2) && !last ? "  " : "\n");
}

static void handle(struct herd *h, const struct epoll_event *ev, void (*client)(struct herd *, uint32_t, uint32_t))
{
        if (ev->data.u64 & IS_LISTEN)
                accept_all(h);
        else if (ev->data.u64 & IS_CLIENT)
                client(h, (uint32_t)ev->data.u64, ev->events);
        else
                serve(h, (int)ev->data.u64);
}

/* Start with each connection, a window of them at a time, until @done of all have come through. */
static double run_phase(struct herd *h, const char *name, void (*start)(struct herd *, uint32_t),
                        void (*client)(struct herd *, uint32_t, uint32_t), const uint32_t *done)
{
        struct epoll_event evs[EVENTS_MAX];
        uint32_t seen = 0;

        h->phase = name;
        h->phase_began_s = h->shown_s = herd_now_s();
        h->next = h->live = 0;
        double moved_s = h->phase_began_s;
        while (*done < h->cnt && !herd_failed(h)) {
                for (; h->next < h->cnt && h->live < WINDOW; h->next++) {
                        h->live++;
                        start(h, h->next);
                }
                int cnt = mr_epoll_wait(h->ep, evs, EVENTS_MAX, 1000);
                for (int i = 0; i < cnt; i++)
                        handle(h, &evs[i], client);
                show(h, *done, false);
                if (*done != seen) {
                        seen = *done;
                        moved_s = herd_now_s();
                } else if (herd_now_s() - moved_s > STALL_S) {
                        h->wrong++;
                        fprintf(stderr, "millrace: %s: nothing has moved for %d s\n", name, STALL_S);
                }
        }
        show(h, *done, true);
        return herd_now_s() - h->phase_began_s;
}

static void answered(struct herd *h, uint32_t id, uint32_t events) { answer(h, id); }
static void ended(struct herd *h, uint32_t id, uint32_t events) { h->wrong++; }

double herd_open(struct herd *h)
{
        double took = run_phase(h, "connect", start_connect, connected, &h->opened);
        struct epoll_event evs[EVENTS_MAX];
        while (h->accepted < h->cnt && !herd_failed(h)) {       /* the last few */
                int cnt = mr_epoll_wait(h->ep, evs, EVENTS_MAX, 1000);
                for (int i = 0; i < cnt; i++)
                        handle(h, &evs[i], ended);
        }
        return took;
}

double herd_talk(struct herd *h)
{
        h->answered = 0;
        return run_phase(h, "talk", start_talk, answered, &h->answered);
}

static uint64_t counter(const char *wanted)
{
        const char *name;
        uint64_t value;
        for (uint32_t i = 0; mr_counter_get(i, &name, NULL, &value) == 0; i++)
                if (strcmp(name, wanted) == 0)
                        return value;
        return 0;
}

/* Closed on both sides means: the side that closed first is in TIME-WAIT, the other is gone. */
double herd_close(struct herd *h)
{
        double took = run_phase(h, "close", start_close, ended, &h->closed);
        double began = herd_now_s();
        struct epoll_event ev;

        while (counter("TCP_TW_STARTED") < h->cnt && !herd_failed(h) && herd_now_s() - began < STALL_S)
                mr_epoll_wait(h->ep, &ev, 1, 1);
        h->wrong += counter("TCP_TW_STARTED") < h->cnt;
        return took + herd_now_s() - began;
}
