/* SPDX-License-Identifier: MIT */
/* tests/sim/keepalive_test.c - Keepalive: RFC 9293 3.8.4 */
#include "tests/sim/raw.h"

static int keeping(struct raw *r)
{
        int fd = raw_accepted(r, "mss 1000");
        sim_set(r->host, fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
        sim_set(r->host, fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
        sim_set(r->host, fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
        sim_set(r->host, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        return fd;
}

/* Goal:   an idle connection is probed; three unanswered probes end it, with a RST for a peer that lives after all.
 * Method: idle 60 s, interval 10 s, count 3; a silent peer.
 * Spec:   RFC 9293 MUST-26 (only when idle), MUST-29 (one lost probe is no death), 3.8.4; tcp(7). */
TEST(keepalive_death)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = keeping(r);

        raw_run(r, SEC(59));
        raw_quiet(r);
        raw_hear_in(r, MS(900), "A 0 ack 1");           /* 60 s after the last segment, 100 ms of which had passed */
        raw_hear_in(r, SEC(10), "A 0 ack 1");
        raw_hear_in(r, SEC(10), "A 0 ack 1");
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_hear_in(r, SEC(10), "RA 1 ack 1");
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        EXPECT_EQ(CNT(r->host, TCP_KEEPALIVES), 3);
        raw_free(r);
}

/* Goal:   an answered probe, or any other segment, begins the idle time anew.
 * Method: answers to the second probe of each round, ten rounds; then text from the peer.
 * Spec:   RFC 9293 MUST-26, MUST-29. */
TEST(keepalive_life)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = keeping(r);

        raw_run(r, SEC(59));
        raw_say(r, "A 1 ack 1");
        for (int i = 0; i < 10; i++) {
                raw_hear_in(r, SEC(60), "A 0 ack 1");
                raw_hear_in(r, SEC(10), "A 0 ack 1");
                raw_say(r, "A 1 ack 1");
        }
        raw_run(r, SEC(50));
        raw_say(r, "A 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 11");
        raw_hear_in(r, SEC(60), "A 0 ack 11");
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_say(r, "A 11 ack 1");
        raw_free(r);
}

/* Goal:   no probe while text is unacknowledged: the retransmission timer is at work then.
 * Method: text to a silent peer for longer than the idle time.
 * Spec:   RFC 9293 MUST-26. */
TEST(keepalive_only_when_idle)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = keeping(r);

        raw_write(r, fd, 0, 10);
        raw_run(r, SEC(300));
        EXPECT_EQ(CNT(r->host, TCP_KEEPALIVES), 0);
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_forget(r);
        raw_say(r, "A 1 ack 11");
        raw_run(r, SEC(61));
        EXPECT_EQ(CNT(r->host, TCP_KEEPALIVES), 1);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   off by default; a peer's probes are answered, with and without their one octet of rubbish.
 * Method: a day of silence; then probes of both kinds.
 * Spec:   RFC 9293 MUST-25 (off by default), 3.8.4. */
TEST(keepalive_of_the_peer)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_quiet_for(r, SEC(86400));
        raw_say(r, "A 0 ack 1");
        raw_hear(r, "A 1 ack 1");
        raw_say(r, "A 0 ack 1 len 1");
        raw_hear(r, "A 1 ack 1");
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_free(r);
}

/* Goal:   a peer that has rebooted answers the probe by a RST, and the connection is reset.
 * Method: that RST.
 * Spec:   RFC 9293 3.8.4, 3.5.2. */
TEST(keepalive_finds_a_reboot)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = keeping(r);

        raw_run(r, SEC(61));
        raw_hear(r, "A 0 ack 1");
        raw_say(r, "R 1");
        EXPECT_EQ(sim_error(r->host, fd), ECONNRESET);
        raw_free(r);
}
