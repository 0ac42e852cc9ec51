/* SPDX-License-Identifier: MIT */
/* tests/sim/many_test.c - Very many connections at once, and random events
 *
 * Clients open connections and write, the server echoes, and every connection
 * ends in some way: closed by either side, aborted, refused the answer for so
 * long that it is given up.  The network loses and reorders, and is cut for a
 * while.  All of it comes from the seed.  At intervals everything is checked,
 * and at the end everything must be back and all counters must agree.
 *
 * The suite opens 200,000; MANY=N opens so many, from SEED=... on.
 */
#include "base/asan.h"
#include "flow/flow.h"
#include "tests/sim/sim.h"

#include <sys/epoll.h>
#include <unistd.h>

#ifdef MR_CHECK_SLOW
enum { MANY = 20000 };
#else
enum { MANY = 200000 };
#endif

enum { BEATS = 400, PER_LISTENER = 10000, EVENTS = 256, PORT_FIRST = 1000, CHECKS = 10, MESSAGE_MAX = 200 };
#define BEAT MS(20)

struct client {
        int      fd;                    /* 0: none */
        uint32_t sent, rcvd;
};

/* How connections ended, as their applications saw it. */
enum ending { CLOSED, ABORTED, PEER_CLOSED, FAILED, ENDINGS };

struct many {
        struct sim       *sim;
        struct rnd        rnd, net_rnd;
        struct sim_host  *a, *b;        /* clients, server */
        int               ep_a, ep_b;
        struct client    *client;
        uint32_t          cnt, opened, listeners;
        uint32_t          ended[ENDINGS];
        uint32_t          accepted, served, most;       /* served: accepted and ended again */
        uint32_t          end_ppm;      /* of the clients' actions so many end the connection */
        bool              cut;
        uint32_t          loss_ppm;
        uint64_t          put[2], put_tcp[2], lost[2], lost_tcp[2];     /* frames by lane */
};

static uint64_t network(void *arg, struct sim_view *v)
{
        struct many *m = arg;
        bool lost = m->cut || rnd_chance(&m->net_rnd, m->loss_ppm);

        m->put[v->lane]++;
        m->put_tcp[v->lane] += v->tcp;
        m->lost[v->lane] += lost;
        m->lost_tcp[v->lane] += lost && v->tcp;
        return lost ? SIM_DROP : SIM_PASS;
}

static void watch(struct sim_host *h, int ep, int fd, uint64_t data)
{
        struct epoll_event ev = { .events = EPOLLIN, .data.u64 = data };
        EXPECT_EQ(sock_epoll_ctl(SOCKS_OF(h), ep, EPOLL_CTL_ADD, fd, &ev), 0);
}

static void drop_socket(struct sim_host *h, int fd, bool abort)
{
        struct linger now = { .l_onoff = 1 };
        if (abort)
                EXPECT_EQ(sock_setsockopt(SOCKS_OF(h), fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        EXPECT_EQ(sock_close(SOCKS_OF(h), fd), 0);
}

/* ---- the server: an echo ---- */

static void serve_end(struct many *m, int fd, bool abort)
{
        drop_socket(m->b, fd, abort);
        m->served++;
}

static void serve_accept(struct many *m, int lfd)
{
        for (int fd; (fd = sim_accept(m->b, lfd)) >= 0; m->accepted++)
                watch(m->b, m->ep_b, fd, (uint64_t)fd);
}

static void serve(struct many *m, int fd)
{
        uint8_t buf[2048];
        ssize_t n;

        while ((n = sock_recv(SOCKS_OF(m->b), fd, buf, sizeof buf, 0)) > 0)
                if (rnd_below(&m->rnd, 256) == 0 ||
                    sock_send(SOCKS_OF(m->b), fd, buf, (size_t)n, MSG_NOSIGNAL) != n) {
                        serve_end(m, fd, true);
                        return;
                }
        if (n != -EAGAIN)
                serve_end(m, fd, false);
}

static void serve_all(struct many *m)
{
        struct epoll_event ev[EVENTS];
        int n;

        while ((n = sock_epoll_wait(SOCKS_OF(m->b), m->ep_b, ev, EVENTS, 0)) > 0)
                for (int i = 0; i < n; i++) {
                        bool is_listener = ev[i].data.u64 >> 32;
                        (is_listener ? serve_accept : serve)(m, (int)ev[i].data.u64);
                }
}

/* ---- the clients ---- */

static void client_end(struct many *m, struct client *c, enum ending how)
{
        drop_socket(m->a, c->fd, how == ABORTED);
        c->fd = 0;
        m->ended[how]++;
}

static void client_open(struct many *m)
{
        uint32_t i = m->opened++;
        m->client[i].fd = sim_connect(m->a, &m->b->addr, (uint16_t)(PORT_FIRST + i % m->listeners));
        watch(m->a, m->ep_a, m->client[i].fd, i);
}

static void client_write(struct many *m, struct client *c)
{
        uint32_t len = 1 + rnd_below(&m->rnd, MESSAGE_MAX);
        ssize_t n = sim_write(m->a, c->fd, (uint32_t)(c - m->client), c->sent, len);

        if (n > 0)
                c->sent += (uint32_t)n;
        else if (n != -EAGAIN)
                client_end(m, c, FAILED);
}

static void client_act(struct many *m)
{
        struct client *c = &m->client[rnd_below(&m->rnd, m->opened)];

        if (!c->fd)
                return;
        if (!rnd_chance(&m->rnd, m->end_ppm)) {
                client_write(m, c);
                return;
        }
        switch (rnd_below(&m->rnd, 4)) {
        case 0: client_end(m, c, CLOSED); break;
        case 1: client_end(m, c, ABORTED); break;
        default: sock_shutdown(SOCKS_OF(m->a), c->fd, SHUT_WR);         /* the server will end it */
        }
}

/* What comes back is what was written, and no more. */
static void client_read(struct many *m, struct client *c)
{
        ssize_t n;

        while ((n = sim_read(m->a, c->fd, (uint32_t)(c - m->client), c->rcvd, 4096)) > 0)
                c->rcvd += (uint32_t)n;
        EXPECT_LE(c->rcvd, c->sent);
        if (n != -EAGAIN)
                client_end(m, c, n == 0 ? PEER_CLOSED : FAILED);
}

static void clients_hear(struct many *m)
{
        struct epoll_event ev[EVENTS];
        int n;

        while ((n = sock_epoll_wait(SOCKS_OF(m->a), m->ep_a, ev, EVENTS, 0)) > 0)
                for (int i = 0; i < n; i++)
                        client_read(m, &m->client[ev[i].data.u32]);
}

/* ---- the run ---- */

static void check_all(struct many *m)
{
        struct sim_host *host[] = { m->a, m->b };

        for (int i = 0; i < 2; i++) {
                tcp_check(TCP_OF(host[i]));
                flow_check(tcp_flows(TCP_OF(host[i])));
                m->most = u32_max(m->most, tcp_flows(TCP_OF(host[i]))->used);
        }
}

static void beat(struct many *m, uint32_t opens, uint32_t acts)
{
        for (uint32_t i = 0; i < opens && m->opened < m->cnt; i++)
                client_open(m);
        for (uint32_t i = 0; i < acts; i++)
                client_act(m);
        sim_run(m->sim, BEAT);
        serve_all(m);
        clients_hear(m);
}

static void beats(struct many *m, uint32_t cnt, uint32_t opens, uint32_t acts)
{
        for (uint32_t i = 0; i < cnt; i++) {
                beat(m, opens, acts);
                if (i % (BEATS / CHECKS) == 0)
                        check_all(m);
        }
}

static struct sim_host *big_host(struct sim *sim, uint32_t cnt, uint32_t listeners)
{
        struct shard_conf sc;

        sim_conf_default(&sc);
        sc.tcp.max_conns = sc.tcp.max_half = sc.tcp.max_wait = cnt + 100;
        sc.tcp.max_listeners = listeners;
        sc.pkts_small = cnt / 4 + 1024;
        sc.tcp.time_wait_ns = SEC(10);
        sc.tcp.fin_wait2_ns = SEC(10);
        sc.tcp.retries2 = 4;
        sc.tcp.orphan_retries = 3;
        sc.tcp.synack_retries = 2;
        sc.tcp.rto_max_ns = SEC(2);
        sc.tcp.opts.syn_retries = 2;
        sc.tcp.opts.keepalive = true;                   /* the RST of who aborts may be lost */
        sc.tcp.opts.keepidle_s = 15;
        sc.tcp.opts.keepintvl_s = 2;
        sc.tcp.opts.keepcnt = 3;
        sc.socks.opts = sc.tcp.opts;
        sc.socks.max_socks = cnt + listeners + 100;
        return sim_host(sim, &sc);
}

static void begin(struct many *m, uint64_t seed, uint32_t cnt)
{
        *m = (struct many){ .sim = sim_new(seed), .cnt = cnt, .listeners = cnt / PER_LISTENER + 1, .loss_ppm = 3000 };
        rnd_seed(&m->rnd, seed + 1);
        rnd_seed(&m->net_rnd, seed + 2);
        m->client = calloc(cnt, sizeof *m->client);
        REQUIRE(m->client);
        m->a = big_host(m->sim, cnt, m->listeners);
        m->b = big_host(m->sim, cnt, m->listeners);
        struct sim_link *l = sim_link(m->a, m->b, &(struct sim_link_conf){
                .delay_ns = MS(1), .reorder_ppm = 2000, .reorder_ns = MS(5) });
        sim_hook_set(l, network, m);
        m->ep_a = sock_epoll_create(SOCKS_OF(m->a), 0);
        m->ep_b = sock_epoll_create(SOCKS_OF(m->b), 0);
        for (uint32_t i = 0; i < m->listeners; i++) {
                int lfd = sim_listen_of(m->b, (uint16_t)(PORT_FIRST + i), SOMAXCONN_DEFAULT);
                watch(m->b, m->ep_b, lfd, 1ull << 32 | (uint32_t)lfd);
        }
}

/* All that is left of @h besides its listeners. */
static void expect_nothing_left(struct sim_host *h, uint32_t listeners)
{
        struct tcp_usage use;

        tcp_usage(TCP_OF(h), &use);
        EXPECT_EQ(use.listeners, listeners);
        EXPECT_EQ(use.conns + use.halves + use.waits + use.flights + use.recvqs, 0);
        EXPECT_EQ(use.timers, 0);
        EXPECT_EQ(tcp_flows(TCP_OF(h))->used, 0);
        EXPECT_EQ(h->shard.pool.small.used + h->shard.pool.large.used, 0);
        EXPECT_EQ(SOCKS_OF(h)->slab.used, listeners + 1);       /* 1: the epoll instance */
}

/* Each frame and each segment that one end sent was received by the other, or it is known where it was lost. */
static void expect_lane_agrees(const struct many *m, enum sim_lane lane)
{
        const struct counters *tx = &(lane == SIM_AB ? m->a : m->b)->shard.counters;
        const struct counters *rx = &(lane == SIM_AB ? m->b : m->a)->shard.counters;
        uint64_t no_neighbour = tx->drop[DROP_NEIGH_QUEUE] + tx->drop[DROP_NEIGH_FAILED];

        EXPECT_EQ(tx->cnt[CNT_TX_FRAMES], m->put[lane]);
        EXPECT_EQ(m->put[lane], m->lost[lane] + rx->drop[DROP_NO_PKT] + rx->cnt[CNT_RX_FRAMES]);
        EXPECT_EQ(tx->cnt[CNT_TCP_SEGS_SENT], m->put_tcp[lane] + no_neighbour);
        if (rx->drop[DROP_NO_PKT] == 0)                 /* it does not say of what */
                EXPECT_EQ(rx->cnt[CNT_TCP_SEGS_RCVD], m->put_tcp[lane] - m->lost_tcp[lane]);
}

static void expect_counters_agree(const struct many *m)
{
        uint32_t ended = 0;

        for (int i = 0; i < ENDINGS; i++) {
                EXPECT_GT(m->ended[i], m->cnt / 1000);  /* each kind of ending was there */
                ended += m->ended[i];
        }
        EXPECT_EQ(ended, m->cnt);
        EXPECT_EQ(CNT(m->a, TCP_ACTIVE_OPENS), m->cnt);
        EXPECT_EQ(CNT(m->b, TCP_ACTIVE_OPENS) + CNT(m->a, TCP_PASSIVE_OPENS), 0);
        EXPECT_EQ(CNT(m->b, TCP_PASSIVE_OPENS), m->accepted);
        EXPECT_EQ(m->served, m->accepted);
        EXPECT_LE(m->accepted, m->cnt);
        EXPECT_GT(CNT(m->a, TCP_TIMEOUTS) + CNT(m->b, TCP_TIMEOUTS), 0);
        expect_lane_agrees(m, SIM_AB);
        expect_lane_agrees(m, SIM_BA);
}

static void say(const struct many *m)
{
        printf("  %u opened, %u accepted, most at once %u; closed %u, aborted %u, closed by the server %u, failed %u\n",
               m->opened, m->accepted, m->most, m->ended[CLOSED], m->ended[ABORTED], m->ended[PEER_CLOSED],
               m->ended[FAILED]);
        for (int i = 0; i < 2; i++) {
                const struct sim_host *h = i ? m->b : m->a;
                printf("  %s: %llu frames sent, %llu lost, %llu retransmitted, %llu given up, %llu resets, "
                       "%llu in TIME-WAIT\n", i ? "server" : "clients", (unsigned long long)m->put[i],
                       (unsigned long long)m->lost[i], (unsigned long long)CNT(h, TCP_SEGS_RETRANS),
                       (unsigned long long)CNT(h, TCP_TIMEOUTS), (unsigned long long)CNT(h, TCP_RSTS_SENT),
                       (unsigned long long)CNT(h, TCP_TW_STARTED));
        }
}

/* Goal:   with very many connections nothing is forgotten, mixed up or left behind.
 * Method: see above.  First all open while some write and few end; then the network is cut for seconds, and
 *         those who wait for an answer give up; then more and more end, until all have.
 * Spec:   ARCHITECTURE.md, "What an idle connection costs" and "When something runs out"; RFC 9293 3.10. */
TEST(many_connections_and_random_events)
{
        static struct many m;
        const char *many = getenv("MANY");
        uint32_t cnt = many ? (uint32_t)strtoul(many, NULL, 0) : MANY;

        alarm(60 + cnt / 1000);                         /* more than a test has usually */
        begin(&m, sim_seed("many_connections_and_random_events", 1), u32_max(cnt, 1000));
        uint32_t rate = m.cnt / BEATS + 1;
        m.end_ppm = 4000;
        beats(&m, BEATS, rate, 2 * rate);
        EXPECT_GT(m.most, m.cnt / 4 * 3);
        m.cut = true;
        beats(&m, BEATS, 0, rate / 4);
        m.cut = false;
        m.end_ppm = 500000;
        beats(&m, 2 * BEATS, 0, 2 * rate);
        for (uint32_t i = 0; i < m.cnt; i++)            /* whom chance has not chosen */
                if (m.client[i].fd)
                        client_end(&m, &m.client[i], i % 2 ? CLOSED : ABORTED);
        m.loss_ppm = 0;
        beats(&m, 4 * BEATS, 0, 0);
        if (getenv("VERBOSE"))
                say(&m);
        expect_nothing_left(m.a, 0);
        expect_nothing_left(m.b, m.listeners);
        expect_counters_agree(&m);
        free(m.client);
        sim_free(m.sim);
}
