/* SPDX-License-Identifier: MIT */
#include "tests/sim/app.h"

/* A number in [0, @max] whose logarithm is uniform: small ones are as likely as large ones. */
static uint64_t draw_log(struct rnd *r, uint64_t max)
{
        uint32_t bits = 64 - (uint32_t)__builtin_clzll(max | 1);
        uint64_t n = rnd_u64(r) & ((1ull << rnd_below(r, bits + 1)) - 1);
        return u64_min(n, max);
}

static void app_init(struct app *a, struct rnd *r, struct sim_host *h, uint32_t stream, uint32_t octets_max)
{
        *a = (struct app){
                .host = h, .fd = -1, .stream = stream,
                .to_send = rnd_below(r, 8) ? draw_log(r, octets_max) : 0,
                .write_max = 1 + (uint32_t)draw_log(r, 100000),
                .read_max = 1 + (uint32_t)draw_log(r, 100000),
                .write_pause_ns = rnd_below(r, 3) ? 0 : draw_log(r, MS(500)),
                .read_pause_ns = rnd_below(r, 3) ? 0 : draw_log(r, MS(500)),
                .deaf_ns = draw_log(r, SEC(30)),
                .more = rnd_below(r, 4) == 0,
        };
        static const enum app_end ends[] = {
                APP_POLITE, APP_POLITE, APP_POLITE, APP_DEAF, APP_DEAF, APP_CLOSE, APP_ABORT,
        };
        a->end = ends[rnd_below(r, ARRAY_LEN(ends))];
        a->abort_at = draw_log(r, a->to_send);
        /* Tiny pieces of a long stream with a pause after each would take for ever. */
        uint64_t least = a->to_send / 500 + 1;
        a->write_max = (uint32_t)u64_max(a->write_max, least);
}

void call_init(struct call *c, struct rnd *r, struct sim_host *a, struct sim_host *b, uint16_t port, uint64_t now_ns,
               uint32_t octets_max)
{
        *c = (struct call){ .port = port, .begin_ns = now_ns + draw_log(r, SEC(2)) };
        app_init(&c->app[0], r, a, 2u * port, octets_max);
        app_init(&c->app[1], r, b, 2u * port + 1, octets_max);
        c->lfd = sim_listen(b, port);
        for (int i = 0; i < 2; i++) {
                struct app *me = &c->app[i];
                me->peer = &c->app[!i];
                me->read_max = (uint32_t)u64_max(me->read_max, me->peer->to_send / 500 + 1);
                c->rude |= me->end == APP_ABORT || (me->end == APP_CLOSE && me->peer->to_send > 0);
        }
}

static void set_options(const struct call *c, struct app *a)
{
        sim_set(a->host, a->fd, IPPROTO_TCP, TCP_NODELAY, a->stream % 3 == 0);
        if (!c->rude)
                return;
        /* The RST of a rude end may be lost, and who only listens would never know. */
        sim_set(a->host, a->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        sim_set(a->host, a->fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
        sim_set(a->host, a->fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
}

static void app_close(struct app *a)
{
        if (a->end == APP_ABORT && a->sent >= a->abort_at && !a->err) {
                struct linger now = { .l_onoff = 1, .l_linger = 0 };
                EXPECT_EQ(sock_setsockopt(SOCKS_OF(a->host), a->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        }
        EXPECT_EQ(sock_close(SOCKS_OF(a->host), a->fd), 0);
        a->fd = -1;
        a->done = true;
}

static void app_fail(struct app *a, ssize_t rc)
{
        a->err = (int)-rc;
        app_close(a);
}

/* True: something was done and more may follow. */
static bool app_write(struct app *a, uint64_t now_ns)
{
        static uint8_t buf[256 * 1024];

        if (a->shut || now_ns < a->write_at_ns || sim_state(a->host, a->fd) == TCP_SYN_SENT)
                return false;
        if (a->end == APP_ABORT && a->sent >= a->abort_at) {
                app_close(a);
                return false;
        }
        if (a->sent == a->to_send) {
                if (a->end == APP_CLOSE) {
                        app_close(a);
                        return false;
                }
                ssize_t rc = sock_shutdown(SOCKS_OF(a->host), a->fd, SHUT_WR);
                if (rc < 0)
                        app_fail(a, rc);
                a->shut = true;
                return rc == 0;
        }
        uint32_t len = (uint32_t)u64_min(a->write_max, a->to_send - a->sent);
        sim_fill(buf, a->stream, a->sent, len);
        ssize_t n = sock_send(SOCKS_OF(a->host), a->fd, buf, len,
                              MSG_NOSIGNAL | (a->more && a->sent + len < a->to_send ? MSG_MORE : 0));
        if (n == -EAGAIN || n == -ENOBUFS) {
                if (n == -ENOBUFS)
                        a->write_at_ns = now_ns + MS(10);
                return false;
        }
        if (n < 0) {
                app_fail(a, n);
                return false;
        }
        a->sent += (uint64_t)n;
        a->write_at_ns = now_ns + a->write_pause_ns;
        return a->write_pause_ns == 0;
}

static bool app_read(struct app *a, uint64_t now_ns)
{
        if (a->eof || now_ns < a->read_at_ns || sim_state(a->host, a->fd) == TCP_SYN_SENT)
                return false;
        if (a->end == APP_DEAF && !a->was_deaf && a->rcvd >= a->peer->to_send / 2) {
                a->was_deaf = true;
                a->read_at_ns = now_ns + a->deaf_ns;
                return false;
        }
        static uint8_t scratch[128 * 1024];
        ssize_t n = a->trusting ? sock_recv(SOCKS_OF(a->host), a->fd, scratch, u32_min(a->read_max, sizeof scratch), 0)
                                : sim_read(a->host, a->fd, a->peer->stream, a->rcvd, a->read_max);
        if (n == -EAGAIN)
                return false;
        if (n < 0) {
                app_fail(a, n);
                return false;
        }
        a->rcvd += (uint64_t)n;
        a->eof = n == 0;
        a->read_at_ns = now_ns + a->read_pause_ns;
        return a->read_pause_ns == 0;
}

static uint64_t app_step(struct app *a, uint64_t now_ns)
{
        uint64_t wake = TIME_NEVER;

        if (a->done || a->fd < 0)
                return TIME_NEVER;
        int err = sim_error(a->host, a->fd);
        if (err) {
                app_fail(a, -err);
                return TIME_NEVER;
        }
        while (!a->done && app_write(a, now_ns))
                continue;
        while (!a->done && app_read(a, now_ns))
                continue;
        if (!a->done && a->eof && a->shut)
                app_close(a);
        if (a->done)
                return TIME_NEVER;
        if (a->write_at_ns > now_ns && !a->shut)
                wake = a->write_at_ns;
        if (a->read_at_ns > now_ns && !a->eof)
                wake = u64_min(wake, a->read_at_ns);
        return wake;
}

uint64_t call_step(struct call *c, uint64_t now_ns)
{
        struct app *a = &c->app[0], *b = &c->app[1];

        if (now_ns < c->begin_ns)
                return c->begin_ns;
        if (!a->began) {
                a->fd = sim_connect(a->host, &b->host->addr, c->port);
                a->began = true;
                set_options(c, a);
        }
        if (!b->began && (b->fd = sim_accept(b->host, c->lfd)) >= 0) {
                b->began = true;
                set_options(c, b);
        }
        /* A client may be through before we accept; one that was aborted may never be seen at all. */
        if (c->lfd >= 0 && (b->began || (a->done && (c->rude || a->err) && c->give_up_ns && now_ns >= c->give_up_ns))) {
                EXPECT_EQ(sock_close(SOCKS_OF(b->host), c->lfd), 0);
                c->lfd = -1;
                b->done |= !b->began;
        }
        uint64_t wake = u64_min(app_step(a, now_ns), app_step(b, now_ns));
        if (a->done && !c->give_up_ns)
                c->give_up_ns = now_ns + SEC(200);
        return c->lfd >= 0 && a->done && now_ns < c->give_up_ns ? u64_min(wake, c->give_up_ns) : wake;
}

bool call_is_done(const struct call *c) { return c->app[0].done && c->app[1].done; }

void call_print(const struct call *c)
{
        static const char *const ends[] = { "polite", "close", "abort", "deaf" };
        for (int i = 0; i < 2; i++) {
                const struct app *a = &c->app[i];
                printf("  port %u %s: %s, sent %llu of %llu, received %llu of %llu, %s%s%s, errno %d, state %s\n",
                       c->port, i ? "server" : "client", ends[a->end],
                       (unsigned long long)a->sent, (unsigned long long)a->to_send,
                       (unsigned long long)a->rcvd, (unsigned long long)a->peer->to_send, a->shut ? "shut " : "",
                       a->eof ? "eof " : "", a->done ? "done" : "not done", a->err,
                       a->fd >= 0 ? tcp_state_names[sim_state(a->host, a->fd)] : "none");
        }
}

static bool errno_fits(int err)
{
        return err == 0 || err == ECONNRESET || err == EPIPE || err == ETIMEDOUT || err == ECONNREFUSED ||
               err == EHOSTUNREACH;
}

void call_judge(const struct call *c)
{
        /* Nobody answered ARP: the network is so bad that there never was a connection. */
        bool unreachable = c->app[0].err == EHOSTUNREACH && c->app[0].sent == 0;

        for (int i = 0; i < 2; i++) {
                const struct app *a = &c->app[i];
                EXPECT(a->done);
                EXPECT(errno_fits(a->err));
                EXPECT_LE(a->rcvd, a->peer->sent);
                /* The end of the stream is believed: nothing may be missing before it. */
                if (a->eof)
                        EXPECT_EQ(a->rcvd, a->peer->to_send);
                if (a->eof && a->peer->end == APP_ABORT)
                        EXPECT(a->peer->sent == a->peer->to_send || a->peer->err);
                if (c->rude || unreachable)
                        continue;
                EXPECT_EQ(a->err, 0);
                EXPECT_EQ(a->sent, a->to_send);
                if (a->end != APP_CLOSE)
                        EXPECT_EQ(a->rcvd, a->peer->to_send);
        }
}
