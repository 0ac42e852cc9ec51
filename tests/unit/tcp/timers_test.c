/* SPDX-License-Identifier: MIT */
#include "tcp/engine.h"
#include "tests/test.h"

#include <stdlib.h>

enum { HALVES = 600, PORT = 80 };

/* An engine with a listener; nobody hears what it says. */
struct rig {
        struct tcp     *t;
        struct pkt_pool pool;
        struct counters counters;
        uint64_t        now_ns;
        uint32_t        listener;
};

static void path_1500(void *arg, const struct ip_addr *raddr, struct tcp_path *out)
{
        *out = (struct tcp_path){ .mtu = 1500 };
}

static struct rig *rig_new(void)
{
        const uint64_t seed[4] = { 1, 2, 3, 4 };
        struct rig *g = calloc(1, sizeof *g);
        struct tcp_env env = { .path = path_1500 };
        struct tcp_conf conf;
        struct ip_addr any = { 0 };
        uint32_t binding;

        tcp_conf_default(&conf);
        conf.max_conns = 16;
        conf.max_half = conf.max_wait = HALVES;
        conf.max_listeners = 4;
        REQUIRE(g);
        g->t = calloc(1, tcp_sizeof());
        g->now_ns = SEC(1000);
        REQUIRE(g->t && pkt_pool_init(&g->pool, 32, 2, false) == 0);
        REQUIRE(tcp_init(g->t, &conf, &env, &g->pool, &g->counters, seed, g->now_ns) == 0);
        REQUIRE(ports_bind(&g->t->ports, &any, PORT, 0, &binding) == 0);
        REQUIRE(tcp_listen(g->t, binding, HALVES, NULL, 1, &g->listener) == 0);
        return g;
}

static void rig_free(struct rig *g)
{
        tcp_check(g->t);
        tcp_fini(g->t);
        pkt_pool_fini(&g->pool);
        free(g->t);
        free(g);
}

static struct flow_key key_of(uint32_t nr)
{
        return (struct flow_key){ ip_addr_v4(1), ip_addr_v4(2), PORT, (uint16_t)(1 + nr) };
}

/* An established connection that nobody owns. */
static struct tcp_conn *established(struct rig *g, uint32_t nr)
{
        struct flow_key key = key_of(nr);
        struct tcp_conn *c = conn_new(g->t, &key, 0, g->now_ns);

        REQUIRE(c && flow_insert(&g->t->flows, flow_hash(&g->t->flows, &key), conn_ref(g->t, c)) == 0);
        g->t->ports.users[PORT]++;
        c->flags |= TF_IN_TABLE;
        conn_established(g->t, c, 1460);
        return c;
}

/* The timers of a turn, of which there may be @budget.  Returns how many there were. */
static uint32_t turn(struct rig *g, uint32_t budget)
{
        struct tcp_note note;
        uint32_t done = 0;

        while (tcp_expire(g->t, g->now_ns, &budget, &note))
                done++;
        return done;
}

static void say_syns(struct rig *g)
{
        for (uint32_t i = 0; i < HALVES; i++) {
                struct flow_key key = key_of(1000 + i);
                struct tcp_seg syn = { .flags = TCP_SYN, .seq = seq_of(i), .window = 1000 };
                struct pkt *p = pkt_take(&g->pool, 1);
                struct tcp_note note;

                tcp_input(g->t, p, &syn, &key, flow_hash(&g->t->flows, &key), g->now_ns, &note);
        }
        REQUIRE(g->t->halves.used == HALVES);
}

/* Goal:   a turn whose timers were too many ends as every other: an ACK that is owed is not forgotten, nor is its
 *         place in the ring gone over again when the shard has slept.
 * Method: an ACK is owed; a turn with nothing left for timers, one with nothing to do, the look at the next
 *         deadline before a sleep, and a turn.  The ACK is due when it should be.
 * Spec:   tcp/timers.c; RFC 9293 MUST-40. */
TEST(timers_a_turn_cut_short)
{
        struct rig *g = rig_new();
        uint32_t conn = established(g, 1)->self;

        turn(g, 100);
        struct tcp_conn *c = conn_at(g->t, conn);
        timers_delack(g->t, c, g->now_ns);
        turn(g, 0);
        turn(g, 100);
        uint64_t due_ns = tcp_next_deadline(g->t);
        EXPECT_GE(due_ns, g->now_ns + MS(40));
        EXPECT_LE(due_ns, g->now_ns + MS(43));
        turn(g, 100);
        EXPECT_EQ(g->t->owed_head, g->t->owed_tail);
        g->now_ns = due_ns;
        turn(g, 100);
        EXPECT(c->flags & TF_ACK_NOW && c->flags & TF_OUT);
        rig_free(g);
}

/* Goal:   many records that come due at once do not hold up the timers of connections, nor the other way round.
 * Method: 600 half-open records and one delayed ACK are due; of every turn's budget the wheel has its part.
 * Spec:   stack/shard.h: a turn is bounded; RFC 9293 MUST-40. */
TEST(timers_records_and_connections_in_turn)
{
        struct rig *g = rig_new();
        struct tcp_conn *c = established(g, 1);

        say_syns(g);
        timers_delack(g->t, c, g->now_ns);
        tcp_next_deadline(g->t);                        /* into the wheel, before a sleep */
        g->now_ns += SEC(1) + MS(5);
        turn(g, 256);
        EXPECT(c->flags & TF_ACK_NOW);
        uint32_t turns = 1;
        for (; turn(g, 256) == 256; turns++)
                ;
        EXPECT_LE(turns, 3);
        EXPECT_EQ(g->t->half_fifo[1].cnt, HALVES);
        rig_free(g);
}

/* Goal:   an open for which the table has no room is refused, and nothing of it is left.
 * Method: the table is told that it is full.
 * Spec:   flow/flow.h, flow_insert(); tcp/tcp.h, tcp_connect(). */
TEST(timers_connect_without_room)
{
        struct rig *g = rig_new();
        struct flow_key key = { ip_addr_v4(1), ip_addr_v4(2), 0, 80 };
        uint32_t conn;

        g->t->flows.cap = 0;
        EXPECT_EQ(tcp_connect(g->t, &key, NULL, 1, g->now_ns, &conn), -ENOBUFS);
        turn(g, 100);
        EXPECT(!tcp_send_pending(g->t));
        EXPECT_EQ(g->t->conns.used + g->t->awake.used + g->t->flights.used, 0);
        rig_free(g);
}
