/* SPDX-License-Identifier: MIT */
#include "tests/unit/tcp/rig.h"

enum { CONNS = 5000 };

static uint32_t rsts_out(struct rig *g)
{
        struct tcp_tx tx;
        struct pkt *p;
        uint32_t cnt = 0;

        while ((p = tcp_poll_send(g->t, g->now_ns, &tx))) {
                struct tcp_seg seg;
                REQUIRE(tcp_parse(&seg, p->data, p->len) == DROP_NONE);
                cnt += !!(seg.flags & TCP_RST);
                pkt_give(&g->pool, p);
        }
        return cnt;
}

/* Goal:   an engine that stops resets all its connections, and those at rest wake some at a time.
 * Method: 5,000 connections at rest; calls and turns in turn until there are no more.
 * Spec:   tcp/tcp.h, tcp_abort_all(). */
TEST(abort_all_some_at_a_time)
{
        struct rig *g = rig_new(CONNS, 16);
        uint32_t calls = 1, rsts = 0;

        for (uint32_t i = 0; i < CONNS; i++) {
                rig_established(g, i);
                rig_turn(g, 100);
        }
        EXPECT_EQ(g->t->awake.used, 0);
        uint32_t most = g->t->awake.fresh;
        EXPECT_LE(most, 8);
        for (; tcp_abort_all(g->t, g->now_ns); calls++) {
                rig_turn(g, 100);
                rsts += rsts_out(g);
        }
        rig_turn(g, 100);
        rsts += rsts_out(g);
        EXPECT_EQ(rsts, CONNS);
        EXPECT_GE(calls, CONNS / 1100);
        EXPECT_LE(g->t->awake.fresh, 1100);             /* records that were ever used */
        EXPECT_EQ(g->t->conns.used + g->t->awake.used + g->t->flows.used, 0);
        rig_free(g);
}

/* Goal:   the same when nobody sends anything in between: what there is suffices.
 * Method: calls only; the RSTs afterwards.
 * Spec:   tcp/tcp.h, tcp_abort_all(). */
TEST(abort_all_without_turns)
{
        struct rig *g = rig_new(CONNS, 16);

        for (uint32_t i = 0; i < CONNS; i++)
                rig_established(g, i);
        while (tcp_abort_all(g->t, g->now_ns))
                ;
        EXPECT_EQ(g->t->flows.used, 0);
        rig_turn(g, 100);
        EXPECT_EQ(rsts_out(g), CONNS);
        rig_turn(g, 100);                               /* a turn lays down so many */
        EXPECT_EQ(g->t->conns.used + g->t->awake.used, 0);
        rig_free(g);
}
