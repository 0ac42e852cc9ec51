/* SPDX-License-Identifier: MIT */
/* tools/cmd_c10m.c - `millrace c10m`: hold very many connections and use each of them; see c10m.h */
#include "tools/c10m.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNS_MAX = 100000000, ABOUT_OCTETS = 120 };

uint32_t c10m_phase_msg(const struct c10m_plan *plan, enum c10m_phase phase)
{
        return phase == C10M_TALK ? plan->msg : phase == C10M_HEARTBEAT ? C10M_BEAT : 0;
}

uint64_t c10m_phase_rate(const struct c10m_plan *plan, enum c10m_phase phase)
{
        return phase == C10M_CONNECT ? plan->rate : phase == C10M_HEARTBEAT ? plan->heartbeat : 0;
}

/* ---- what the stacks are given ---- */

static void set(struct mr_conf *conf, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void set(struct mr_conf *conf, const char *name, const char *fmt, ...)
{
        char value[64], err[256];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(value, sizeof value, fmt, ap);
        va_end(ap);
        if (mr_conf_set(conf, name, value, err, sizeof err) < 0)
                cmd_die("%s", err);
}

/* The innermost device, decorators in front of it or not. */
static const char *inner(const char *dev)
{
        const char *comma = strrchr(dev, ',');
        return comma ? comma + 1 : dev;
}

static void check_device(const struct mr_conf *conf, enum c10m_ends ends)
{
        const char *dev = conf->ifaces[0].dev;
        bool loop = strncmp(inner(dev), "loop:", 5) == 0, shm = strncmp(inner(dev), "shm:", 4) == 0;

        if (conf->iface_cnt > 1)
                cmd_die("device %s: one is all that c10m uses", conf->ifaces[1].dev);
        if (strcmp(inner(dev), "loop:") == 0 || (ends == C10M_BOTH && !loop && !shm))
                cmd_die("device %s: both ends are here, so it must have two: name none, or loop:NAME", dev);
        if (ends != C10M_BOTH && loop)
                cmd_die("device %s: the other end is in another process; name shm:NAME", dev);
}

static void common(struct mr_conf *conf, const struct c10m_plan *plan)
{
        struct mr_conf usual;

        mr_conf_default(&usual);
        set(conf, "max_conns", "%u", plan->conns + 1024);
        if (conf->max_half == usual.max_half)
                set(conf, "max_half", "65536");
        if (conf->iface_cnt == 0)
                set(conf, "dev", "loop:c10m");
}

static void server_conf(struct mr_conf *conf, const struct c10m_plan *plan)
{
        common(conf, plan);
        set(conf, "max_wait", "65536");                 /* the clients close first */
        set(conf, "addr", "10.1.0.1/24");
        set(conf, "local", "10.64.0.0/10");
        set(conf, "gateway", "10.1.0.2");
}

static void client_conf(struct mr_conf *conf, const struct c10m_plan *plan)
{
        struct mr_conf usual;

        mr_conf_default(&usual);
        common(conf, plan);
        set(conf, "max_wait", "%u", plan->conns + 1024);
        if (conf->tcp_time_wait_ns == usual.tcp_time_wait_ns)
                set(conf, "tcp_time_wait", "1s");       /* its end is waited for: nothing may remain */
        if (conf->tcp_port_min == usual.tcp_port_min)
                set(conf, "tcp_port_min", "10000");
        set(conf, "addr", "10.1.0.2/24");
        set(conf, "gateway", "10.1.0.1");
}

/* So many that what they send fits well into the packet buffers of either end. */
static uint32_t window(uint32_t msg)
{
        uint32_t fit = (uint32_t)(32 << 20) / (msg + 2048);
        return fit < 64 ? 64 : fit > 2048 ? 2048 : fit;
}

/* Octets that programs can still have; 0: nobody knows. */
static uint64_t memory_free(void)
{
        char line[256];
        unsigned long kib = 0;
        FILE *f = fopen("/proc/meminfo", "r");

        if (!f)
                return 0;
        while (kib == 0 && fgets(line, sizeof line, f))
                (void)!sscanf(line, "MemAvailable: %lu", &kib);
        fclose(f);
        return (uint64_t)kib << 10;
}

static void say_plan(const struct c10m_plan *plan)
{
        static const char *const ends[] = { "both ends here", "the server", "the clients" };
        char n[CMD_TEXT_MAX], need[CMD_TEXT_MAX], have[CMD_TEXT_MAX];
        bool two = plan->ends == C10M_BOTH && !plan->sparse;
        uint64_t octets = plan->conns * (uint64_t)ABOUT_OCTETS * (two ? 2 : 1), avail = memory_free();

        if (plan->ends == C10M_ONLY_CLIENT && plan->sparse)
                octets = plan->conns / 8;
        fprintf(stderr, "c10m: %s connections over %s, %s; clients %s; about %s of memory, of %s free\n",
                cmd_count_text(n, plan->conns), plan->server->ifaces[0].dev, ends[plan->ends],
                plan->sparse ? "without state" : "are sockets", cmd_bytes_text(need, octets),
                cmd_bytes_text(have, avail));
        if (avail && octets > avail)
                fprintf(stderr, "c10m: that is more than there is; give fewer --conns, or --client sparse\n");
}

/* ---- the run ---- */

struct run {
        struct c10m_plan   plan;
        struct c10m_result result;
        const struct c10m_client *client;
        struct c10m_client_state *state;
        struct c10m_server *server;             /* NULL: it is not here */
        uint64_t rss;                           /* before the first connection */
        bool     stalled;
};

static uint64_t grown(const struct run *r)
{
        uint64_t now = c10m_rss();
        return now > r->rss ? now - r->rss : 0;
}

static uint64_t wrong(const struct run *r)
{
        struct c10m_served served = { 0 };

        if (r->server)
                c10m_served(r->server, &served);
        return served.wrong + (r->client ? r->client->wrong(r->state) : 0);
}

static bool goes_on(const struct run *r) { return !cmd_stopped() && !r->stalled && wrong(r) == 0; }

/* Work until @done() says all; watch that something moves. */
static void until(struct run *r, const char *name, uint64_t (*done)(struct run *))
{
        double began = c10m_now_s(), moved = began;
        uint64_t seen = 0, n;

        while ((n = done(r)) < r->plan.conns && goes_on(r)) {
                for (int i = 0; i < 16; i++)
                        r->client->work(r->state);
                c10m_progress(&r->plan, name, n, c10m_now_s() - began, grown(r), false);
                if (n != seen) {
                        seen = n;
                        moved = c10m_now_s();
                } else if (c10m_now_s() - moved > C10M_STALL_S) {
                        r->stalled = true;
                        fprintf(stderr, "millrace: %s: nothing has moved for %d s\n", name, C10M_STALL_S);
                }
        }
        c10m_progress(&r->plan, name, n, c10m_now_s() - began, grown(r), true);
}

static uint64_t client_done(struct run *r) { return r->client->done(r->state); }

static uint64_t server_accepted(struct run *r)
{
        struct c10m_served served;
        c10m_served(r->server, &served);
        return served.accepted;
}

static uint64_t server_closed(struct run *r)
{
        struct c10m_served served;
        c10m_served(r->server, &served);
        return served.closed;
}

static double cpu_here_s(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void phase(struct run *r, enum c10m_phase what)
{
        double began = c10m_now_s(), client = cpu_here_s(), server = r->server ? c10m_server_cpu_s(r->server) : 0;

        if (!goes_on(r))
                return;
        r->client->begin(r->state, what);
        until(r, c10m_phase_names[what], client_done);
        if (r->server && what == C10M_CONNECT && server_accepted(r) < r->plan.conns)
                until(r, "accept", server_accepted);
        if (r->server && what == C10M_CLOSE && server_closed(r) < r->plan.conns)
                until(r, "close", server_closed);
        r->result.phase_s[what] = c10m_now_s() - began;
        r->result.through[what] = (uint32_t)client_done(r);
        r->result.client_cpu_s[what] = cpu_here_s() - client;
        r->result.server_cpu_s[what] = r->server ? c10m_server_cpu_s(r->server) - server : 0;
}

static void hold(struct run *r)
{
        double until_s = c10m_now_s() + r->plan.hold_s;

        while (c10m_now_s() < until_s && goes_on(r))
                r->client->work(r->state);
        r->result.held_octets = grown(r);
}

static void settle(struct run *r)
{
        double until_s = c10m_now_s() + C10M_STALL_S;

        while (goes_on(r) && !r->client->settled(r->state)) {
                if (c10m_now_s() > until_s) {
                        r->stalled = true;
                        fprintf(stderr, "millrace: the clients have not come to rest within %d s\n", C10M_STALL_S);
                }
        }
}

/* Everything was done with every connection, and nothing is left of it. */
static bool is_well(const struct run *r)
{
        const struct c10m_result *res = &r->result;

        for (int p = 0; p < C10M_PHASES; p++) {
                bool asked = p != C10M_HEARTBEAT || r->plan.heartbeat;
                if (asked && res->through[p] != r->plan.conns)
                        return false;
        }
        return goes_on(r) && res->wrong == 0 && c10m_left_sum(&res->server) == 0 && c10m_left_sum(&res->client) == 0 &&
               c10m_frames_lost(res) == 0;
}

static int run_clients(struct run *r)
{
        r->client = r->plan.sparse ? &c10m_sparse : &c10m_socks;
        if (r->plan.ends == C10M_BOTH)
                r->server = c10m_server_start(r->plan.server, 0);
        c10m_pin(r->server ? 1 : -1);
        r->state = r->client->start(&r->plan);
        r->rss = c10m_rss();

        phase(r, C10M_CONNECT);
        hold(r);
        phase(r, C10M_TALK);
        if (r->plan.heartbeat)
                phase(r, C10M_HEARTBEAT);
        phase(r, C10M_CLOSE);
        settle(r);

        r->result.wrong = wrong(r);
        r->client->left(r->state, &r->result.client);
        r->result.has_client = true;
        r->result.failed = !goes_on(r);
        if (r->server) {
                c10m_server_stop(r->server, &r->result.server);
                r->result.has_server = true;
        }
        r->server = NULL;
        r->result.failed = r->result.failed || !is_well(r);
        c10m_table(&r->plan, &r->result);
        r->client->stop(r->state);
        return r->result.failed;
}

/* The clients are elsewhere: serve until all that came have gone again. */
static int run_server(struct run *r)
{
        struct c10m_result *res = &r->result;
        double began = 0, full = 0, now;
        struct c10m_served served = { 0 };
        struct timespec nap = { .tv_nsec = 10000000 };

        r->server = c10m_server_start(r->plan.server, -1);
        r->rss = c10m_rss();
        while (served.closed < r->plan.conns && !cmd_stopped()) {
                nanosleep(&nap, NULL);
                c10m_served(r->server, &served);
                now = c10m_now_s();
                if (served.accepted && !began)
                        began = now;
                if (served.accepted < r->plan.conns) {
                        if (began)
                                c10m_progress(&r->plan, "accept", served.accepted, now - began, grown(r), false);
                        continue;
                }
                if (!full) {
                        full = now;
                        res->phase_s[C10M_CONNECT] = now - began;
                }
                if (!served.closed) {
                        res->held_octets = grown(r);
                        began = now;
                } else {
                        c10m_progress(&r->plan, "close", served.closed, now - began, grown(r), false);
                }
        }
        res->phase_s[C10M_CLOSE] = c10m_now_s() - began;
        res->through[C10M_CONNECT] = (uint32_t)served.accepted;
        res->through[C10M_CLOSE] = (uint32_t)served.closed;
        res->wrong = served.wrong;
        c10m_server_stop(r->server, &res->server);
        res->has_server = true;
        res->failed = served.closed < r->plan.conns || served.wrong || c10m_left_sum(&res->server);
        c10m_table(&r->plan, res);
        return res->failed;
}

/* ---- options ---- */

static enum c10m_ends ends_of(const char *text)
{
        static const char *const names[] = { "both", "server", "client" };

        for (int i = 0; i < 3; i++)
                if (strcmp(text, names[i]) == 0)
                        return (enum c10m_ends)i;
        cmd_die("--ends %s: give both, server or client", text);
}

static bool is_sparse(const char *text)
{
        if (strcmp(text, "sockets") != 0 && strcmp(text, "sparse") != 0)
                cmd_die("--client %s: give sockets or sparse", text);
        return strcmp(text, "sparse") == 0;
}

static int run(int argc, char **argv)
{
        static struct mr_conf user, server, client;
        static struct run r;
        uint64_t conns = 100000, msg = 64, rate = 0, heartbeat = 500000;
        uint32_t hold_s = 1;
        const char *ends = "both", *kind = "sockets";
        const struct cmd_opt opts[] = {
                { "conns", CMD_NUMBER, &conns, 1, CONNS_MAX, "connections to hold at once" },
                { "ends", CMD_TEXT, &ends, 0, 0, "both, server or client; one alone needs --dev shm:NAME" },
                { "client", CMD_TEXT, &kind, 0, 0, "sockets of a second stack, or sparse: without memory of its own" },
                { "rate", CMD_NUMBER, &rate, 0, 0, "most new connections a second; 0: no limit" },
                { "msg", CMD_SIZE, &msg, 1, C10M_MSG_MAX, "octets that each sends and gets back" },
                { "heartbeat", CMD_NUMBER, &heartbeat, 0, 0, "heartbeats a second in the round of them; 0: none" },
                { "hold", CMD_SECONDS, &hold_s, 0, 0, "hold them so long before they talk" },
                { "json", CMD_FLAG, &r.plan.json, 0, 0, "print the result as JSON" },
                CMD_OPT_STATS,
                { 0 },
        };

        cmd_begin(&cmd_c10m, argc, argv, opts, &user);
        r.plan.ends = ends_of(ends);
        r.plan.sparse = is_sparse(kind);
        r.plan.conns = (uint32_t)conns;
        r.plan.msg = (uint32_t)msg;
        r.plan.window = window((uint32_t)msg);
        r.plan.rate = rate;
        r.plan.heartbeat = heartbeat;
        r.plan.hold_s = hold_s;
        if (r.plan.ends != C10M_BOTH && user.iface_cnt == 0)
                cmd_die("--ends %s: name the device that leads to the other end, --dev shm:NAME", ends);
        if (user.shards != 1)
                cmd_die("--shards %u: each end of c10m is one shard, on one thread", user.shards);
        if (user.iface_cnt)
                check_device(&user, r.plan.ends);
        server = client = user;
        server_conf(&server, &r.plan);
        client_conf(&client, &r.plan);
        client.log = server.log > MR_LOG_WARN ? MR_LOG_WARN : server.log;       /* one line about sizes is enough */
        r.plan.server = &server;
        r.plan.client = &client;
        say_plan(&r.plan);
        int rc = r.plan.ends == C10M_ONLY_SERVER ? run_server(&r) : run_clients(&r);
        return fflush(stdout) == 0 ? rc : 1;
}

const struct cmd cmd_c10m = {
        .name = "c10m",
        .args = "[--conns 100000] [--ends both|server|client] [--client sockets|sparse] [--json]",
        .summary = "hold very many connections at once, both ends here, and use each",
        .run = run,
};
