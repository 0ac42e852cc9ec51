/* SPDX-License-Identifier: MIT */
/* tests/sim/rest_test.c - Connections at rest, and how they wake */
#include "tests/sim/sim.h"

static uint32_t awake(struct sim_host *h)
{
        struct tcp_usage use;
        tcp_usage(TCP_OF(h), &use);
        return use.awake;
}

/* Goal:   a silent connection takes 64 octets, wakes for whatever happens to it, and forgets nothing that counts.
 * Method: two hosts; silence, data both ways again and again, an option, half a close; the state before a rest is
 *         compared with the state after it.
 * Spec:   tcp/rest.c. */
TEST(rest_silent_connections_wake_and_go_on)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        int fa, fb;

        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(5) });
        sim_pair(a, b, &fa, &fb);
        sim_run(sim, SEC(1));
        EXPECT_EQ(awake(a), 0);
        EXPECT_EQ(awake(b), 0);

        for (uint64_t round = 0, at = 0; round < 50; round++) {
                uint32_t len = 1 + (uint32_t)round * 977;
                struct tcp_report before = sim_report(a, fa), after;
                EXPECT_EQ(sim_write(a, fa, 1, at, len), (ssize_t)len);
                EXPECT_EQ(awake(a), 1);
                after = sim_report(a, fa);
                EXPECT_EQ(after.snd_wnd, before.snd_wnd);
                EXPECT_EQ(after.cwnd_bytes, before.cwnd_bytes);
                EXPECT_EQ(after.srtt_ns, before.srtt_ns);
                EXPECT_EQ(after.snd_mss, before.snd_mss);
                SIM_UNTIL(sim, SEC(5), tcp_recv_avail(TCP_OF(b), sim_conn(b, fb)) == len);
                EXPECT_EQ(sim_read(b, fb, 1, at, len), (ssize_t)len);
                at += len;
                sim_run(sim, MS(150));                  /* less than an RTO: cwnd does not begin anew */
                EXPECT_EQ(awake(a), 0);
                EXPECT_EQ(awake(b), 0);
        }
        EXPECT_EQ(CNT(a, TCP_SEGS_RETRANS), 0);

        sim_set(a, fa, IPPROTO_TCP, TCP_NODELAY, 1);    /* looking and asking wakes, but not for long */
        sim_run(sim, MS(1));
        EXPECT_EQ(awake(a), 0);
        sim_set(a, fa, SOL_SOCKET, SO_KEEPALIVE, 1);    /* who has a timer stays awake */
        sim_run(sim, SEC(1));
        EXPECT_EQ(awake(a), 1);
        sim_set(a, fa, SOL_SOCKET, SO_KEEPALIVE, 0);
        sim_run(sim, SEC(1));
        EXPECT_EQ(awake(a), 0);

        EXPECT_EQ(sock_shutdown(SOCKS_OF(a), fa, SHUT_WR), 0);
        sim_run(sim, SEC(1));
        EXPECT_EQ(sim_state(a, fa), TCP_FIN_WAIT_2);
        EXPECT_EQ(sim_state(b, fb), TCP_CLOSE_WAIT);
        EXPECT_EQ(awake(a) + awake(b), 0);
        EXPECT_EQ(sim_write(b, fb, 2, 0, 100), 100);    /* the other half goes on */
        sim_run(sim, SEC(1));
        EXPECT_EQ(sim_read(a, fa, 2, 0, 1000), 100);
        sim_free(sim);
}

/* Goal:   a program that looks at very many connections at once wakes no more than the ring holds.
 * Method: 3,000 silent connections; an option of each is set without a turn between.
 * Spec:   tcp/rest.c. */
TEST(rest_many_are_not_woken_at_once)
{
        enum { CONNS = 3000 };
        static int fd[CONNS];
        struct shard_conf sc;
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct tcp_usage use;

        sim_conf_default(&sc);
        sc.tcp.max_conns = sc.tcp.max_half = sc.tcp.max_wait = CONNS + 10;
        sc.socks.max_socks = CONNS + 10;
        sc.pkts_small = 8192;
        struct sim_host *a = sim_host(sim, &sc), *b = sim_host(sim, &sc);
        sim_link(a, b, NULL);
        int lfd = sim_listen_of(b, 80, 4096);
        for (int i = 0; i < CONNS; i++) {
                fd[i] = sim_connect(a, &b->addr, 80);
                if (i % 50 == 49)
                        sim_run(sim, MS(2));
        }
        SIM_UNTIL(sim, SEC(20), (tcp_usage(TCP_OF(a), &use), use.conns == CONNS));
        for (int i = 0, got = 0; got < CONNS && i < 4 * CONNS; i++) {
                if (sim_accept(b, lfd) >= 0)
                        got++;
                else
                        sim_run(sim, MS(10));
        }
        sim_run(sim, SEC(5));
        EXPECT_EQ(awake(a), 0);
        EXPECT_EQ(awake(b), 0);
        for (int i = 0; i < CONNS; i++) {
                sim_set(a, fd[i], IPPROTO_TCP, TCP_NODELAY, 1);
                REQUIRE(awake(a) <= 1024);
        }
        sim_run(sim, MS(10));
        EXPECT_EQ(awake(a), 0);
        tcp_usage(TCP_OF(a), &use);
        EXPECT_EQ(use.optsets, 1);                      /* and all share what they have in common */
        sim_free(sim);
}
