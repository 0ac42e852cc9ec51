/* SPDX-License-Identifier: MIT */
/* tests/unit/tcp/rig.h - An engine alone: no device, no sockets, and its time is a number */
#pragma once
#include "tcp/engine.h"
#include "tests/test.h"

#include <stdlib.h>

enum { RIG_PORT = 80 };

/* An engine with a listener; nobody hears what it says. */
struct rig {
        struct tcp     *t;
        struct pkt_pool pool;
        struct counters counters;
        uint64_t        now_ns;
        uint32_t        listener;
};

static inline void rig_path_1500(void *arg, const struct ip_addr *raddr, struct tcp_path *out)
{
        *out = (struct tcp_path){ .mtu = 1500 };
}

static inline struct rig *rig_new(uint32_t max_conns, uint32_t max_half)
{
        const uint64_t seed[4] = { 1, 2, 3, 4 };
        struct rig *g = calloc(1, sizeof *g);
        struct tcp_env env = { .path = rig_path_1500 };
        struct tcp_conf conf;
        struct ip_addr any = { 0 };
        uint32_t binding;

        tcp_conf_default(&conf);
        conf.max_conns = max_conns;
        conf.max_half = conf.max_wait = max_half;
        conf.max_listeners = 4;
        REQUIRE(g);
        g->t = calloc(1, tcp_sizeof());
        g->now_ns = SEC(1000);
        REQUIRE(g->t && pkt_pool_init(&g->pool, 32, 2, false) == 0);
        REQUIRE(tcp_init(g->t, &conf, &env, &g->pool, &g->counters, seed, g->now_ns) == 0);
        REQUIRE(ports_bind(&g->t->ports, &any, RIG_PORT, 0, &binding) == 0);
        REQUIRE(tcp_listen(g->t, binding, max_half, NULL, 1, &g->listener) == 0);
        return g;
}

static inline void rig_free(struct rig *g)
{
        tcp_check(g->t);
        tcp_fini(g->t);
        pkt_pool_fini(&g->pool);
        free(g->t);
        free(g);
}

static inline struct flow_key rig_key(uint32_t nr)
{
        return (struct flow_key){ ip_addr_v4(1), ip_addr_v4(2), RIG_PORT, (uint16_t)(1 + nr) };
}

/* An established connection that nobody owns. */
static inline struct tcp_conn *rig_established(struct rig *g, uint32_t nr)
{
        struct flow_key key = rig_key(nr);
        struct tcp_conn *c = conn_new(g->t, &key, 0, g->now_ns);

        REQUIRE(c && flow_insert(&g->t->flows, flow_hash(&g->t->flows, &key), conn_ref(g->t, c)) == 0);
        g->t->ports.users[RIG_PORT]++;
        c->flags |= TF_IN_TABLE;
        conn_established(g->t, c, 1460);
        return c;
}

/* The timers of a turn, of which there may be @budget.  Returns how many there were. */
static inline uint32_t rig_turn(struct rig *g, uint32_t budget)
{
        struct tcp_note note;
        uint32_t done = 0;

        while (tcp_expire(g->t, g->now_ns, &budget, &note))
                done++;
        return done;
}
