/* SPDX-License-Identifier: MIT */
#include "tools/herd.h"
#include "tools/c10m.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PORT = 7000, WINDOW = 512, EVENTS_MAX = 512, STALL_S = 30 };

#define FIRST_ADDR 0x0a400001u          /* 10.64.0.1 */
#define IS_LISTEN  (1ull << 62)         /* in epoll's data; else it is the client's number */
#define IS_SERVER  (1ull << 63)

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

void herd_init(struct herd *h, uint32_t cnt)
{
        *h = (struct herd){ .cnt = cnt };
        h->fd = malloc(cnt * sizeof *h->fd);
        if (!h->fd)
                cmd_die("no memory for the list of %u connections", cnt);
        memset(h->fd, 0xff, cnt * sizeof *h->fd);       /* touched now, so it does not count as the stack's later */
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
}

bool herd_failed(const struct herd *h) { return h->wrong || cmd_stopped(); }

static void accept_all(struct herd *h)
{
        for (int fd; (fd = mr_accept4(h->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; h->accepted++)
                watch(h->ep, EPOLL_CTL_ADD, fd, EPOLLIN, IS_SERVER);
}

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
        watch(h->ep, EPOLL_CTL_ADD, fd, EPOLLOUT, id);
}

static void handle(struct herd *h, const struct epoll_event *ev)
{
        uint32_t id = (uint32_t)ev->data.u64;

        if (ev->data.u64 == IS_LISTEN) {
                accept_all(h);
        } else if (ev->data.u64 == IS_SERVER || ev->events & (EPOLLERR | EPOLLHUP)) {
                h->wrong++;                             /* nobody sends or closes */
        } else {
                h->opened++;
                watch(h->ep, EPOLL_CTL_MOD, h->fd[id], EPOLLIN, id);
        }
}

static void show(struct herd *h, bool last)
{
        static const double every_s = 0.5;
        double now = c10m_now_s(), took = now - h->began_s;
        double per_s = took > 0 ? h->opened / took : 0;
        char n[CMD_TEXT_MAX], all[CMD_TEXT_MAX], rate[CMD_TEXT_MAX], rss[CMD_TEXT_MAX];

        if (!last && now - h->shown_s < every_s)
                return;
        h->shown_s = now;
        fprintf(stderr, "%sconnect %12s of %s   %9s/s   %s resident   %3.0f s left%s", isatty(2) ? "\r" : "",
                cmd_count_text(n, h->opened), cmd_count_text(all, h->cnt), cmd_count_text(rate, (uint64_t)per_s),
                cmd_bytes_text(rss, c10m_rss()), per_s > 0 ? (h->cnt - h->opened) / per_s : 0,
                isatty(2) && !last ? "  " : "\n");
}

double herd_open(struct herd *h)
{
        struct epoll_event evs[EVENTS_MAX];
        uint32_t seen = 0;
        double moved_s = h->began_s = h->shown_s = c10m_now_s();

        while ((h->opened < h->cnt || h->accepted < h->cnt) && !herd_failed(h)) {
                for (; h->next < h->cnt && h->next - h->opened < WINDOW; h->next++)
                        start_connect(h, h->next);
                int cnt = mr_epoll_wait(h->ep, evs, EVENTS_MAX, 1000);
                for (int i = 0; i < cnt; i++)
                        handle(h, &evs[i]);
                show(h, false);
                if (h->opened + h->accepted != seen) {
                        seen = h->opened + h->accepted;
                        moved_s = c10m_now_s();
                } else if (c10m_now_s() - moved_s > STALL_S) {
                        h->wrong++;
                        fprintf(stderr, "millrace: connect: nothing has moved for %d s\n", STALL_S);
                }
        }
        show(h, true);
        return c10m_now_s() - h->began_s;
}
