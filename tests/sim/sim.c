/* SPDX-License-Identifier: MIT */
/* tests/sim/sim.c - Hosts, time, and what must be left at the end: nothing */
#include "tests/sim/sim_priv.h"

/* Virtual time begins here, so that "0" is never a time and nothing underflows. */
#define SIM_EPOCH_NS SEC(1000)
/* No test needs so many; one that does goes round in circles. */
enum { SIM_STEPS_MAX = 20 * 1000 * 1000, SETTLE_ROUNDS_MAX = 100 * 1000, CHECK_CONNS_MAX = 256 };

static uint64_t host_now(void *arg) { return ((struct sim_host *)arg)->sim->now_ns; }

uint64_t sim_seed(const char *test, uint64_t usual)
{
        const char *text = getenv("SEED");
        uint64_t seed = text ? strtoull(text, NULL, 0) : usual;
        test_note("SEED=%llu build/sim -1 %s", (unsigned long long)seed, test);
        return seed;
}

struct sim *sim_new(uint64_t seed)
{
        struct sim *sim = calloc(1, sizeof *sim);
        REQUIRE(sim != NULL);
        sim->seed = seed;
        sim->now_ns = SIM_EPOCH_NS;
        rnd_seed(&sim->rnd, seed);
        return sim;
}

void sim_begin_at(struct sim *sim, uint64_t now_ns)
{
        REQUIRE(sim->host_cnt == 0);
        sim->now_ns = now_ns;
}

uint64_t sim_now(const struct sim *sim) { return sim->now_ns; }
struct rnd *sim_rnd(struct sim *sim) { return &sim->rnd; }

void sim_conf_default(struct shard_conf *conf)
{
        *conf = (struct shard_conf){ .ip = ip_conf_default(), .pkts_small = 1024, .pkts_large = 8 };
        tcp_conf_default(&conf->tcp);
        conf->tcp.max_conns = conf->tcp.max_half = conf->tcp.max_wait = 64;
        conf->tcp.max_listeners = 16;
        socks_conf_default(&conf->socks);
        conf->socks.max_socks = 128;
        conf->socks.opts = conf->tcp.opts;
}

struct sim_host *sim_host(struct sim *sim, const struct shard_conf *conf)
{
        struct shard_conf sc;
        struct sim_host *h = calloc(1, sizeof *h);

        REQUIRE(h && sim->host_cnt < SIM_HOSTS_MAX);
        if (conf)
                sc = *conf;
        else
                sim_conf_default(&sc);
        for (int i = 0; i < 4; i++)
                sc.seed[i] = rnd_u64(&sim->rnd);
        sim->host[sim->host_cnt++] = h;
        h->sim = sim;
        h->nr = sim->host_cnt;
        h->addr = ip_addr_v4(0x0a000000u + h->nr);
        struct shard_env env = { host_now, h };
        REQUIRE(shard_init(&h->shard, &sc, &env) == 0);
        return h;
}

/* ---- time ---- */

/* Small enough to be checked after every step, also if it was large once. */
static bool host_is_small(const struct sim_host *h)
{
        const struct flow_table *flows = tcp_flows(TCP_OF(h));
        return flows->used <= CHECK_CONNS_MAX && flow_bucket_cnt(flows) <= 8 * CHECK_CONNS_MAX;
}

static bool turn_all(struct sim *sim)
{
        uint32_t done = 0;
        for (uint32_t i = 0; i < sim->host_cnt; i++)
                done += shard_turn(&sim->host[i]->shard);
        return done;
}

bool sim_settle(struct sim *sim)
{
        bool any = false;
        for (uint32_t rounds = 0; turn_all(sim); rounds++) {
                any = true;
                if (rounds == SETTLE_ROUNDS_MAX) {
                        test_fail(__FILE__, __LINE__, "two hosts keep each other busy without time passing");
                        test_stop();
                }
        }
        if (any)
                for (uint32_t i = 0; i < sim->host_cnt; i++)
                        if (host_is_small(sim->host[i]))
                                tcp_check(TCP_OF(sim->host[i]));
        return any;
}

static uint64_t next_event_ns(const struct sim *sim)
{
        uint64_t at = TIME_NEVER;
        for (uint32_t i = 0; i < sim->host_cnt; i++)
                at = u64_min(at, shard_next_deadline(&sim->host[i]->shard));
        for (uint32_t i = 0; i < sim->link_cnt; i++)
                for (int k = 0; k < 2; k++) {
                        uint64_t due_ns = sim_end_due(&sim->link[i]->end[k]);
                        if (!sim->link[i]->end[k].host && due_ns > sim->now_ns) /* the others wait to be heard */
                                at = u64_min(at, due_ns);
                }
        return at;
}

bool sim_step(struct sim *sim, uint64_t until_ns)
{
        sim_settle(sim);
        if (sim->now_ns >= until_ns)
                return false;
        if (++sim->steps > SIM_STEPS_MAX) {
                test_fail(__FILE__, __LINE__, "%d steps and no end", SIM_STEPS_MAX);
                test_stop();
        }
        uint64_t at = next_event_ns(sim);
        /* Something due now that a settled world did not do: give it a tick, and count on the limit of steps. */
        if (at <= sim->now_ns)
                at = sim->now_ns + US(100);
        sim->now_ns = u64_min(at, until_ns);
        sim_settle(sim);
        return sim->now_ns < until_ns;
}

void sim_run(struct sim *sim, uint64_t ns)
{
        uint64_t end_ns = sim->now_ns + ns;
        while (sim_step(sim, end_ns))
                continue;
}

/* ---- the end ---- */

static bool host_is_quiet(const struct sim_host *h)
{
        return tcp_flows(TCP_OF(h))->used == 0 && h->shard.pool.small.used == 0 && h->shard.pool.large.used == 0;
}

static void close_all(struct sim_host *h)
{
        const struct fdtab *fds = &h->shard.socks.fds;
        for (uint32_t n = 0; n < fds->cap; n++)
                if (fdtab_get(fds, n))
                        EXPECT_EQ(sock_close(SOCKS_OF(h), (int)(FD_BASE_DEFAULT + n)), 0);
}

#define EXPECT_EMPTY(host, slab) EXPECT_EQ((slab)->used, 0)

static void look_for_leaks(struct sim_host *h)
{
        struct tcp_usage use;

        tcp_check(TCP_OF(h));
        flow_check(tcp_flows(TCP_OF(h)));
        tcp_usage(TCP_OF(h), &use);
        EXPECT_EQ(use.conns, 0);
        EXPECT_EQ(use.halves, 0);
        EXPECT_EQ(use.waits, 0);
        EXPECT_EQ(use.flights, 0);
        EXPECT_EQ(use.recvqs, 0);
        EXPECT_EQ(use.optsets, 0);
        EXPECT_EQ(use.listeners, 0);
        EXPECT_EQ(use.timers, 0);
        EXPECT_EQ(use.accounts, 0);
        EXPECT_EQ(use.held, 0);
        EXPECT_EQ(tcp_flows(TCP_OF(h))->used, 0);
        EXPECT_EQ(tcp_ports(TCP_OF(h))->bindings.used, 0);
        for (uint32_t port = 0; port < 65536; port++)
                if (tcp_ports(TCP_OF(h))->users[port])
                        test_fail(__FILE__, __LINE__, "port %u has users left", port);
        EXPECT_EQ(SOCKS_OF(h)->slab.used, 0);
        EXPECT_EQ(SOCKS_OF(h)->exts.used, 0);
        EXPECT_EQ(SOCKS_OF(h)->epolls.extras.used, 0);
        EXPECT_EQ(h->shard.pool.small.used, 0);
        EXPECT_EQ(h->shard.pool.large.used, 0);
}

void sim_free(struct sim *sim)
{
        static const struct sim_link_conf perfect;
        bool quiet = false;

        for (uint32_t i = 0; i < sim->link_cnt; i++) {
                sim_link_heal(sim->link[i]);
                sim->link[i]->hook = NULL;
                sim->link[i]->lane[0].plan_cnt = sim->link[i]->lane[1].plan_cnt = 0;
                sim_lane_set(sim->link[i], SIM_AB, &perfect);
                sim_lane_set(sim->link[i], SIM_BA, &perfect);
        }
        for (uint32_t i = 0; i < sim->host_cnt; i++)
                close_all(sim->host[i]);
        for (int minute = 0; minute < 60 && !quiet; minute++) {
                sim_run(sim, SEC(60));
                quiet = true;
                for (uint32_t i = 0; i < sim->host_cnt; i++)
                        quiet &= host_is_quiet(sim->host[i]);
        }
        for (uint32_t i = 0; i < sim->host_cnt; i++) {
                look_for_leaks(sim->host[i]);
                test_saw(&sim->host[i]->shard.counters);
                shard_fini(&sim->host[i]->shard);
                free(sim->host[i]);
        }
        for (uint32_t i = 0; i < sim->link_cnt; i++)
                sim_link_free(sim->link[i]);
        free(sim);
}

/* ---- sockets ---- */

struct sockaddr_in sim_sin(const struct ip_addr *addr, uint16_t port)
{
        return (struct sockaddr_in){
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip_addr_to_v4(addr)),
        };
}

#define SA(sin) ((const struct sockaddr *)(sin))

int sim_socket(struct sim_host *h)
{
        int fd = sock_open(SOCKS_OF(h), AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        REQUIRE(fd >= 0);
        return fd;
}

int sim_listen_of(struct sim_host *h, uint16_t port, int backlog)
{
        struct ip_addr any = ip_addr_v4(0);
        struct sockaddr_in sin = sim_sin(&any, port);
        int fd = sim_socket(h);

        sim_set(h, fd, SOL_SOCKET, SO_REUSEADDR, 1);
        REQUIRE(sock_bind(SOCKS_OF(h), fd, SA(&sin), sizeof sin) == 0);
        REQUIRE(sock_listen(SOCKS_OF(h), fd, backlog) == 0);
        return fd;
}

int sim_listen(struct sim_host *h, uint16_t port) { return sim_listen_of(h, port, 100); }

int sim_connect(struct sim_host *h, const struct ip_addr *to, uint16_t port)
{
        struct sockaddr_in sin = sim_sin(to, port);
        int fd = sim_socket(h);
        EXPECT_EQ(sock_connect(SOCKS_OF(h), fd, SA(&sin), sizeof sin), -EINPROGRESS);
        return fd;
}

int sim_accept(struct sim_host *h, int lfd) { return sock_accept(SOCKS_OF(h), lfd, NULL, NULL, SOCK_NONBLOCK); }

void sim_pair(struct sim_host *a, struct sim_host *b, int *at_a, int *at_b)
{
        uint16_t port = (uint16_t)(20000 + rnd_below(&a->sim->rnd, 10000));
        int lfd = sim_listen(b, port);

        *at_a = sim_connect(a, &b->addr, port);
        *at_b = -1;
        SIM_UNTIL(a->sim, SEC(200), (*at_b = sim_accept(b, lfd)) >= 0);
        SIM_UNTIL(a->sim, SEC(200), sim_state(a, *at_a) == TCP_ESTABLISHED);
        REQUIRE(*at_b >= 0);
        EXPECT_EQ(sock_close(SOCKS_OF(b), lfd), 0);
}

void sim_set(struct sim_host *h, int fd, int level, int name, int value)
{
        EXPECT_EQ(sock_setsockopt(SOCKS_OF(h), fd, level, name, &value, sizeof value), 0);
}

uint32_t sim_conn(struct sim_host *h, int fd)
{
        const struct socks *ss = SOCKS_OF(h);
        uint32_t idx = fdtab_get(&ss->fds, (uint32_t)(fd - FD_BASE_DEFAULT));
        REQUIRE(idx != 0);
        return ((const struct sock *)slab_at(&ss->slab, idx))->conn;
}

enum tcp_state sim_state(struct sim_host *h, int fd)
{
        uint32_t conn = sim_conn(h, fd);
        return conn ? tcp_state_of(TCP_OF(h), conn) : TCP_CLOSED;
}

struct tcp_report sim_report(struct sim_host *h, int fd)
{
        struct tcp_report r;
        uint32_t conn = sim_conn(h, fd);
        REQUIRE(conn != 0);
        tcp_report(TCP_OF(h), conn, &r);
        return r;
}

int sim_error(struct sim_host *h, int fd)
{
        int err = 0;
        socklen_t len = sizeof err;
        EXPECT_EQ(sock_getsockopt(SOCKS_OF(h), fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
        return err;
}

/* ---- streams ---- */

uint8_t sim_octet(uint32_t stream, uint64_t at)
{
        uint64_t x = (at / 8 + 1) * 0x9e3779b97f4a7c15u + stream * 0xbf58476d1ce4e5b9u;
        x ^= x >> 29;
        return (uint8_t)(x >> (at % 8 * 8));
}

void sim_fill(uint8_t *buf, uint32_t stream, uint64_t at, uint32_t len)
{
        for (uint32_t i = 0; i < len; i++)
                buf[i] = sim_octet(stream, at + i);
}

ssize_t sim_write(struct sim_host *h, int fd, uint32_t stream, uint64_t at, uint32_t len)
{
        static uint8_t buf[256 * 1024];
        len = u32_min(len, sizeof buf);
        sim_fill(buf, stream, at, len);
        return sock_send(SOCKS_OF(h), fd, buf, len, MSG_NOSIGNAL);
}

ssize_t sim_read(struct sim_host *h, int fd, uint32_t stream, uint64_t at, uint32_t max)
{
        static uint8_t buf[256 * 1024];
        ssize_t n = sock_recv(SOCKS_OF(h), fd, buf, u32_min(max, sizeof buf), 0);

        for (ssize_t i = 0; i < n; i++)
                if (buf[i] != sim_octet(stream, at + (uint64_t)i)) {
                        test_fail(__FILE__, __LINE__, "octet %llu of stream %u is not the one that was sent",
                                  (unsigned long long)(at + (uint64_t)i), stream);
                        test_stop();
                }
        return n;
}

void sim_transfer(struct sim_host *from, int fd_from, struct sim_host *to, int fd_to, uint64_t len, uint64_t ns)
{
        struct sim *sim = from->sim;
        uint64_t sent = 0, rcvd = 0, end_ns = sim->now_ns + ns;
        bool more = true;

        while (rcvd < len && more) {
                ssize_t n = 1;
                while (sent < len && n > 0)
                        if ((n = sim_write(from, fd_from, 1, sent, (uint32_t)u64_min(len - sent, 65536))) > 0)
                                sent += (uint64_t)n;
                for (n = 1; n > 0;)
                        if ((n = sim_read(to, fd_to, 1, rcvd, 65536)) > 0)
                                rcvd += (uint64_t)n;
                if (rcvd < len)
                        more = sim_step(sim, end_ns);
        }
        EXPECT_EQ(rcvd, len);
}
