/* SPDX-License-Identifier: MIT */
#include "tests/unit/tcp/rig.h"

enum { HALVES = 600 };

static void say_syns(struct rig *g)
{
        for (uint32_t i = 0; i < HALVES; i++) {
                struct flow_key key = rig_key(1000 + i);
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
        struct rig *g = rig_new(16, HALVES);
        uint32_t conn = rig_established(g, 1)->self;

        rig_turn(g, 100);
        struct tcp_conn *c = conn_at(g->t, conn);
        timers_delack(g->t, c, g->now_ns);
        rig_turn(g, 0);
        rig_turn(g, 100);
        uint64_t due_ns = tcp_next_deadline(g->t);
        EXPECT_GE(due_ns, g->now_ns + MS(40));
        EXPECT_LE(due_ns, g->now_ns + MS(43));
        rig_turn(g, 100);
        EXPECT_EQ(g->t->owed_head, g->t->owed_tail);
        g->now_ns = due_ns;
        rig_turn(g, 100);
        EXPECT(c->flags & TF_ACK_NOW && c->flags & TF_OUT);
        rig_free(g);
}

/* Goal:   many records that come due at once do not hold up the timers of connections, nor the other way round.
 * Method: 600 half-open records and one delayed ACK are due; of every turn's budget the wheel has its part.
 * Spec:   stack/shard.h: a turn is bounded; RFC 9293 MUST-40. */
TEST(timers_records_and_connections_in_turn)
{
        struct rig *g = rig_new(16, HALVES);
        struct tcp_conn *c = rig_established(g, 1);

        say_syns(g);
        timers_delack(g->t, c, g->now_ns);
        tcp_next_deadline(g->t);                        /* into the wheel, before a sleep */
        g->now_ns += SEC(1) + MS(5);
        rig_turn(g, 256);
        EXPECT(c->flags & TF_ACK_NOW);
        uint32_t turns = 1;
        for (; rig_turn(g, 256) == 256; turns++)
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
        struct rig *g = rig_new(16, HALVES);
        struct flow_key key = { ip_addr_v4(1), ip_addr_v4(2), 0, 80 };
        uint32_t conn;

        g->t->flows.cap = 0;
        EXPECT_EQ(tcp_connect(g->t, &key, NULL, 1, g->now_ns, &conn), -ENOBUFS);
        rig_turn(g, 100);
        EXPECT(!tcp_send_pending(g->t));
        EXPECT_EQ(g->t->conns.used + g->t->awake.used + g->t->flights.used, 0);
        rig_free(g);
}
