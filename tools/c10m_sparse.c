/* SPDX-License-Identifier: MIT */
/* tools/c10m_sparse.c - Clients of `millrace c10m` that keep nothing: a thin cover of tools/sparse.h */
#include "tools/c10m.h"
#include "tools/sparse.h"

#include <sched.h>
#include <stdlib.h>

struct c10m_client_state {
        const struct c10m_plan *plan;
        struct sparse          *sparse;
        enum c10m_phase         phase;
        uint64_t                before;         /* of the phase's counter when it began */
        uint64_t                quiet_ns;       /* nothing has come since */
};

static uint64_t now_ns(void) { return (uint64_t)(c10m_now_s() * 1e9); }

static struct c10m_client_state *start(const struct c10m_plan *plan)
{
        struct c10m_client_state *c = calloc(1, sizeof *c);
        struct sparse_conf conf;
        char err[256];

        if (!c)
                cmd_die("no memory");
        sparse_conf_default(&conf);
        conf.dev = plan->client->ifaces[0].dev;
        conf.conns = plan->conns;
        conf.server = C10M_SERVER;
        conf.port = C10M_PORT;
        conf.gateway = C10M_CLIENT;
        conf.net = C10M_CLIENT_NET;
        conf.window = plan->window;
        conf.mtu = plan->client->ifaces[0].mtu;
        conf.seed = plan->client->seed ? plan->client->seed : now_ns();
        c->plan = plan;
        c->sparse = sparse_open(&conf, err, sizeof err);
        if (!c->sparse)
                cmd_die("%s", err);
        return c;
}

static uint64_t counter(const struct c10m_client_state *c)
{
        struct sparse_counts n;

        sparse_counts(c->sparse, &n);
        return c->phase == C10M_CONNECT ? n.connected : c->phase == C10M_CLOSE ? n.closed : n.answered;
}

static void begin(struct c10m_client_state *c, enum c10m_phase phase)
{
        static const enum sparse_what what[] = {
                [C10M_CONNECT] = SPARSE_CONNECT, [C10M_TALK] = SPARSE_TALK, [C10M_HEARTBEAT] = SPARSE_TALK,
                [C10M_CLOSE] = SPARSE_CLOSE,
        };
        c->phase = phase;
        c->before = counter(c);
        sparse_phase(c->sparse, what[phase], c->plan->conns, c10m_phase_msg(c->plan, phase),
                     c10m_phase_rate(c->plan, phase));
}

static void work(struct c10m_client_state *c)
{
        enum { TURNS = 64 };
        uint64_t now = now_ns();
        bool idle = false;

        for (int i = 0; i < TURNS && !idle; i++) {
                idle = sparse_turn(c->sparse, now) == 0;
                now = now_ns();
                if (!idle)
                        c->quiet_ns = now;
        }
        if (idle)
                sched_yield();
}

static uint32_t done(struct c10m_client_state *c) { return (uint32_t)(counter(c) - c->before); }

static uint64_t wrong(struct c10m_client_state *c)
{
        struct sparse_counts n;

        sparse_counts(c->sparse, &n);
        return n.wrong + n.odd + n.reset + n.stray;
}

static bool settled(struct c10m_client_state *c)
{
        enum { QUIET_MS = 300 };                        /* the server's shortest retransmission is 200 ms */

        work(c);
        return sparse_done(c->sparse) && now_ns() - c->quiet_ns > QUIET_MS * 1000000ull;
}

static void left(struct c10m_client_state *c, struct c10m_left *left)
{
        struct sparse_counts n;

        work(c);
        sparse_counts(c->sparse, &n);
        *left = (struct c10m_left){
                .conns = n.under_way, .pkts = sparse_pkts_used(c->sparse), .rx_frames = n.rx_frames,
                .tx_frames = n.tx_frames, .dropped = n.dropped,
        };
}

static void stop(struct c10m_client_state *c)
{
        sparse_close(c->sparse);
        free(c);
}

const struct c10m_client c10m_sparse = {
        .start = start, .begin = begin, .work = work, .done = done, .wrong = wrong, .settled = settled, .left = left,
        .stop = stop,
};
