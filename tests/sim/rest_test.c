/* SPDX-License-Identifier: MIT */
/* tests/sim/rest_test.c - Connections at rest, and how they wake */
#include "tests/sim/raw.h"

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

        EXPECT_EQ(sim_read(a, fa, 1, 0, 10), -EAGAIN);  /* reading in vain does not wake */
        EXPECT_EQ(awake(a), 0);
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

/* Goal:   what was to be sent again and is acknowledged after all does not keep a connection awake.
 * Method: three duplicate ACKs and the ACK of everything come in one burst.
 * Spec:   tcp/rest.c. */
TEST(rest_after_a_loss_that_was_none)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        struct tcp_seg ack = { .src_port = r->peer_port, .dst_port = 80, .seq = seq_of(r->iss + 1), .flags = TCP_ACK,
                               .window = 65535 };

        raw_write(r, fd, 0, 4000);
        for (int i = 0; i < 4; i++) {
                ack.ack = seq_of(r->irs + (i < 3 ? 1 : 4001));
                raw_say_seg(r, &ack, NULL, 0);
        }
        raw_settle(r);
        EXPECT_EQ(CNT(r->host, TCP_FAST_RETRANS), 1);
        raw_forget(r);
        raw_run(r, SEC(1));
        EXPECT_EQ(awake(r->host), 0);
        raw_write(r, fd, 4000, 10);
        raw_hear(r, "PA 4001 ack 1 len 10");
        raw_say(r, "A 1 ack 4011");
        EXPECT_EQ(CNT(r->host, TCP_SEGS_RETRANS), 0);
        raw_free(r);
}

/* Goal:   under a cork that holds nothing back a connection rests too, and wakes corked.
 * Method: a full segment under TCP_CORK; then a small one, which waits.
 * Spec:   tcp/rest.c; tcp(7): TCP_CORK. */
TEST(rest_under_a_cork)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        sim_set(r->host, fd, IPPROTO_TCP, TCP_CORK, 1);
        raw_write(r, fd, 0, 1000);
        raw_hear(r, "PA 1 ack 1 len 1000");
        raw_say(r, "A 1 ack 1001");
        raw_run(r, SEC(1));
        EXPECT_EQ(awake(r->host), 0);
        raw_write(r, fd, 1000, 10);
        raw_quiet(r);
        sim_set(r->host, fd, IPPROTO_TCP, TCP_CORK, 0);
        raw_settle(r);
        raw_hear(r, "PA 1001 ack 1 len 10");
        raw_say(r, "A 1 ack 1011");
        raw_free(r);
}

/* Goal:   rounding never leaves less than one segment of congestion window.
 * Method: jumbo frames; a small segment times out, which makes cwnd one segment, and a rest follows; then a large
 *         write: its first segment goes at once.
 * Spec:   RFC 5681 3.1: the loss window is one full segment; tcp/rest.c. */
TEST(rest_with_a_window_of_one_jumbo_segment)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ .mtu = 9000, .delay_ns = MS(20) });
        int fa, fb;

        sim_pair(a, b, &fa, &fb);
        sim_run(sim, SEC(1));
        sim_drop_data(l, SIM_AB, 1);
        EXPECT_EQ(sim_write(a, fa, 1, 0, 10), 10);
        SIM_UNTIL(sim, SEC(5), tcp_recv_avail(TCP_OF(b), sim_conn(b, fb)) == 10);
        EXPECT_EQ(CNT(a, TCP_RTO), 1);
        SIM_UNTIL(sim, SEC(1), awake(a) == 0);
        uint64_t sent = CNT(a, TCP_SEGS_SENT);
        EXPECT_EQ(sim_write(a, fa, 1, 10, 20000), 20000);
        sim_settle(sim);
        EXPECT_EQ(CNT(a, TCP_SEGS_SENT), sent + 1);
        sim_run(sim, SEC(2));
        EXPECT_EQ(sim_read(b, fb, 1, 0, 30000), 20010);
        sim_free(sim);
}

/* Goal:   what was offered is taken, also where a rest has rounded it up beyond the buffer.
 * Method: a receive buffer whose size has more than 11 bits; one octet after a rest shows the rounded window, and the
 *         peer fills it, the last octets in a segment of their own.  Nobody reads meanwhile.
 * Spec:   RFC 9293 3.8.6, SHLD-14; tcp/rest.c. */
TEST(rest_the_window_offered_is_kept)
{
        enum { RCVBUF = 30001 };
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.opts.rcvbuf = RCVBUF;
        sc.socks.opts = sc.tcp.opts;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);
        int fd = raw_accepted(r, "mss 1000");

        raw_run(r, SEC(1));
        EXPECT_EQ(awake(r->host), 0);
        raw_say(r, "PA 1 ack 1 len 1");
        raw_hear(r, "A 1 ack 2");
        uint32_t offered = r->last.seg.window, said = 1;
        EXPECT_GE(offered, RCVBUF);
        while (said < RCVBUF + 1) {
                uint32_t len = u32_min(1000, RCVBUF + 1 - said);
                raw_say(r, "A %u ack 1 len %u", 1 + said, len);
                said += len;
        }
        raw_run(r, SEC(1));
        raw_forget(r);
        raw_say(r, "PA %u ack 1 len %u", 1 + said, offered + 1 - said);
        raw_run(r, SEC(1));
        raw_forget(r);
        EXPECT_EQ(DROPS(r->host, TCP_NO_WINDOW), 0);
        raw_read(r, fd, 0, offered + 1);
        raw_free(r);
}
