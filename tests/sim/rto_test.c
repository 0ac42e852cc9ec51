/* SPDX-License-Identifier: MIT */
/* tests/sim/rto_test.c - The retransmission timer: RFC 6298, RFC 9293 3.8.1, 3.8.3 */
#include "tests/sim/raw.h"

/* Goal:   unacknowledged text is repeated after 200 ms, 400 ms, ... up to 120 s, and given up after 15 times.
 * Method: a peer that falls silent; the round trip measured is 0, so the minimum counts.
 * Spec:   RFC 6298 2.4, 2.5, 5.5, 5.6; RFC 9293 MUST-20 (R2), SHLD-9; Linux tcp_retries2: 924.6 s. */
TEST(rto_backoff)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        uint64_t rto_ns = MS(200), begin_ns = sim_now(r->sim);

        raw_write(r, fd, 0, 100);
        raw_hear(r, "PA 1 ack 1 len 100");
        for (int i = 0; i < 15; i++) {
                raw_hear_in(r, rto_ns, "PA 1 ack 1 len 100");
                rto_ns = u64_min(2 * rto_ns, SEC(120));
        }
        raw_quiet_for(r, rto_ns - MS(1));
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_run(r, MS(5));
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        EXPECT_LT(sim_now(r->sim) - begin_ns, SEC(925));
        EXPECT_EQ(CNT(r->host, TCP_TIMEOUTS), 1);
        raw_free(r);
}

/* Goal:   the timer follows the measured round trip: SRTT + 4 RTTVAR.
 * Method: a link of 600 ms round trip; the first text is lost.
 * Spec:   RFC 6298 2.2: SRTT = R, RTTVAR = R/2, RTO = 3 R. */
TEST(rto_from_round_trip)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(300) });
        int fa, fb;

        sim_pair(a, b, &fa, &fb);
        struct tcp_report rep = sim_report(a, fa);
        /* ARP has cost the SYN another round trip, as it does in life. */
        EXPECT_GE(rep.srtt_ns, MS(600));
        EXPECT_EQ(rep.rto_ns, rep.srtt_ns + 4 * rep.rttvar_ns);
        sim_run(sim, SEC(1));
        sim_drop_data(l, SIM_AB, 1);
        uint64_t begin_ns = sim_now(sim);
        sim_transfer(a, fa, b, fb, 100, SEC(10));
        EXPECT_GE(sim_now(sim) - begin_ns, rep.rto_ns + MS(300));
        EXPECT_LE(sim_now(sim) - begin_ns, rep.rto_ns + MS(303));
        sim_free(sim);
}

/* Goal:   an acknowledgment of new text begins the timer anew and ends the backoff.
 * Method: two segments; one timeout; the first is acknowledged later.
 * Spec:   RFC 6298 5.2, 5.3, 5.7. */
TEST(rto_restarts_with_progress)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 2000);
        raw_hear(r, "A 1 ack 1 len 1000");
        raw_hear(r, "PA 1001 ack 1 len 1000");
        raw_run(r, MS(150));
        raw_say(r, "A 1 ack 1001");
        raw_hear_in(r, MS(200), "PA 1001 ack 1 len 1000");
        raw_hear_in(r, MS(400), "PA 1001 ack 1 len 1000");
        raw_say(r, "A 1 ack 2001");
        EXPECT_EQ(sim_report(r->host, fd).backoff, 0);
        raw_quiet_for(r, SEC(100));
        raw_write(r, fd, 2000, 10);
        raw_hear(r, "PA 2001 ack 1 len 10");
        raw_run(r, MS(100));
        raw_hear_in(r, sim_report(r->host, fd).rto_ns - MS(100), "PA 2001 ack 1 len 10");
        raw_free(r);
}

/* Goal:   what was sent twice is not timed, unless timestamps say which copy was answered.
 * Method: a timeout, then the ACK after 5 s; the smoothed round trip before and after, without and with
 *         timestamps (echoing the second copy).
 * Spec:   RFC 6298 3 (Karn), RFC 7323 4.1. */
TEST(rto_karn)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        uint64_t before_ns = sim_report(r->host, fd).srtt_ns;

        raw_write(r, fd, 0, 100);
        raw_hear(r, "PA 1 ack 1 len 100");
        raw_hear_in(r, MS(200), "PA 1 ack 1 len 100");
        raw_run(r, MS(350));
        raw_say(r, "A 1 ack 101");
        EXPECT_EQ(sim_report(r->host, fd).srtt_ns, before_ns);
        raw_free(r);

        r = raw_new(2);
        fd = raw_accepted(r, "mss 1000 ts 100 0");
        before_ns = sim_report(r->host, fd).srtt_ns;
        raw_write(r, fd, 0, 100);
        raw_hear(r, "PA 1 ack 1 len 100");
        raw_hear_in(r, MS(200), "PA 1 ack 1 len 100");
        uint32_t echo = r->last.seg.ts_val;
        raw_run(r, MS(350));
        raw_say(r, "A 1 ack 101 ts 101 %u", echo);
        uint64_t after_ns = sim_report(r->host, fd).srtt_ns;
        EXPECT_GE(after_ns, before_ns + MS(350) / 8 - MS(2));
        EXPECT_LE(after_ns, before_ns + MS(350) / 8 + MS(2));
        raw_free(r);
}

/* Goal:   after a SYN-ACK that had to be repeated nothing is known of the round trip: one segment at first,
 *         and a timer of 3 s.
 * Method: the handshake's ACK comes after the repetition.
 * Spec:   RFC 6298 5.7; RFC 5681 3.1; RFC 6928 2. */
TEST(rto_after_lost_syn)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen(r->host, 80);

        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_hear_in(r, SEC(1), "SA 0 ack 1");
        raw_say(r, "A 1 ack 1");
        int fd = sim_accept(r->host, lfd);
        raw_write(r, fd, 0, 5000);
        raw_hear(r, "A 1 ack 1 len 1000");
        raw_quiet(r);
        raw_hear_in(r, SEC(3), "A 1 ack 1 len 1000");
        raw_free(r);
}

/* Goal:   after a timeout everything is sent again from the first gap on, in slow start from one segment.
 * Method: five segments, all lost; then ACKs one by one.
 * Spec:   RFC 5681 3.1 (4): LW = 1; RFC 6298 5.4; RFC 9293 3.8.1. */
TEST(rto_goes_back)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 5000);
        for (uint32_t i = 0; i < 5; i++)
                raw_hear(r, "A %u ack 1 len 1000", 1 + i * 1000);
        raw_hear_in(r, MS(200), "A 1 ack 1 len 1000");
        raw_quiet(r);
        EXPECT_EQ(sim_report(r->host, fd).cwnd_bytes, 1000);
        EXPECT_EQ(sim_report(r->host, fd).ssthresh_bytes, 2500);
        raw_say(r, "A 1 ack 1001");
        raw_hear(r, "A 1001 ack 1 len 1000");
        raw_hear(r, "A 2001 ack 1 len 1000");
        raw_quiet(r);
        raw_say(r, "A 1 ack 4001");                     /* the first copy of the fourth arrived after all */
        raw_hear(r, "PA 4001 ack 1 len 1000");
        raw_say(r, "A 1 ack 5001");
        raw_quiet_for(r, SEC(10));
        raw_free(r);
}

/* Goal:   the FIN is repeated like text, alone and behind text.
 * Method: shutdown() with a silent peer.
 * Spec:   RFC 9293 3.8.1; FIN occupies a sequence number. */
TEST(rto_repeats_fin)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        EXPECT_EQ(sock_shutdown(SOCKS_OF(r->host), fd, SHUT_WR), 0);
        raw_settle(r);
        raw_hear(r, "FA 1 ack 1");
        raw_hear_in(r, MS(200), "FA 1 ack 1");
        raw_hear_in(r, MS(400), "FA 1 ack 1");
        raw_say(r, "A 1 ack 2");
        raw_quiet_for(r, SEC(10));
        raw_free(r);

        r = raw_new(2);
        fd = raw_accepted(r, "mss 1000");
        raw_write(r, fd, 0, 1500);
        EXPECT_EQ(sock_shutdown(SOCKS_OF(r->host), fd, SHUT_WR), 0);
        raw_settle(r);
        raw_forget(r);
        raw_say(r, "A 1 ack 1001");
        raw_hear_in(r, MS(200), "FPA 1001 ack 1 len 500");
        raw_say(r, "A 1 ack 1501");                     /* the FIN alone was lost */
        raw_hear_in(r, MS(200), "FA 1501 ack 1");
        raw_say(r, "A 1 ack 1502");
        EXPECT_EQ(sim_state(r->host, fd), TCP_FIN_WAIT_2);
        raw_free(r);
}

/* Goal:   an orphan is given up after 8 repetitions, so that dead peers cannot hold memory for long.
 * Method: close() with text unacknowledged.
 * Spec:   RFC 9293 3.8.3; Linux tcp_orphan_retries. */
TEST(rto_of_an_orphan)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        struct tcp_usage use;

        raw_write(r, fd, 0, 100);
        raw_hear(r, "PA 1 ack 1 len 100");
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_settle(r);
        raw_hear(r, "FA 101 ack 1");
        for (int i = 0; i < 8; i++)
                raw_hear_in(r, MS(200) << i, "FPA 1 ack 1 len 100");
        raw_quiet_for(r, MS(200) << 8);
        raw_run(r, MS(5));
        tcp_usage(TCP_OF(r->host), &use);
        EXPECT_EQ(use.conns, 0);
        raw_free(r);
}

/* Goal:   TCP_USER_TIMEOUT ends a connection whose text stays unacknowledged so long, and not before.
 * Method: 5 s; a silent peer; and one that acknowledges in between, which begins the time anew.
 * Spec:   RFC 9293 3.9.1, MUST-21; RFC 5482 3. */
TEST(rto_user_timeout)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        sim_set(r->host, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);

        raw_write(r, fd, 0, 100);
        raw_run(r, SEC(4));
        raw_forget(r);
        raw_say(r, "A 1 ack 51");
        raw_run(r, MS(4900));
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_run(r, SEC(7));
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        raw_forget(r);
        raw_free(r);

        r = raw_new(2);
        fd = raw_accepted(r, "mss 1000");
        sim_set(r->host, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
        raw_write(r, fd, 0, 100);
        raw_run(r, MS(4990));
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_run(r, MS(20));
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        raw_forget(r);
        raw_free(r);
}
