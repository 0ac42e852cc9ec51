/* SPDX-License-Identifier: MIT */
/* tests/sim/timewait_test.c - TIME-WAIT: RFC 9293 3.6.1, RFC 1337, RFC 6191 */
#include "tests/sim/raw.h"

static uint32_t waits(struct raw *r)
{
        struct tcp_usage use;
        tcp_usage(TCP_OF(r->host), &use);
        return use.waits;
}

/* To TIME-WAIT by an active close of a connection that was accepted.  Next: us 2, them 2. */
static struct raw *raw_in_time_wait(uint64_t seed, const char *syn, const char *ts)
{
        struct raw *r = raw_new(seed);
        int fd = raw_accepted(r, syn);

        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_settle(r);
        raw_hear(r, "FA 1 ack 1");
        raw_say(r, "FA 1 ack 2 %s", ts);
        raw_hear(r, "A 2 ack 2");
        EXPECT_EQ(waits(r), 1);
        return r;
}

/* Goal:   TIME-WAIT lasts 2 MSL, 60 s here, and then the tuple is free.
 * Method: virtual time; then a segment of the old connection finds nothing.
 * Spec:   RFC 9293 3.6, MUST-13. */
TEST(timewait_lasts_60_s)
{
        struct raw *r = raw_in_time_wait(sim_seed(__func__, 1), "mss 1000", "");

        raw_run(r, SEC(60) - MS(1));
        EXPECT_EQ(waits(r), 1);
        raw_run(r, MS(5));
        EXPECT_EQ(waits(r), 0);
        EXPECT_EQ(tcp_flows(TCP_OF(r->host))->used, 0);
        raw_say(r, "FA 1 ack 2");
        raw_hear(r, "R 2");
        raw_free(r);
}

/* Goal:   a repeated FIN is acknowledged and begins the wait anew.
 * Method: FIN again after 50 s, with and without text before it; the record is there until 60 s after.
 * Spec:   RFC 9293 3.10.7.4 eighth: "TIME-WAIT: restart the 2 MSL time-wait timeout". */
TEST(timewait_fin_again)
{
        struct raw *r = raw_in_time_wait(sim_seed(__func__, 1), "mss 1000", "");

        raw_run(r, SEC(50));
        raw_say(r, "FA 1 ack 2");
        raw_hear(r, "A 2 ack 2");
        raw_run(r, SEC(59));
        EXPECT_EQ(waits(r), 1);
        raw_run(r, SEC(2));
        EXPECT_EQ(waits(r), 0);
        raw_free(r);
}

/* Goal:   no RST ends TIME-WAIT.
 * Method: RSTs at, before and after RCV.NXT.
 * Spec:   RFC 1337 3 (F1). */
TEST(timewait_no_assassination)
{
        struct raw *r = raw_in_time_wait(sim_seed(__func__, 1), "mss 1000", "");

        for (int seq = -3; seq < 8; seq++)
                raw_say(r, "R %d", seq);
        raw_say(r, "RA 2 ack 2");
        raw_quiet(r);
        EXPECT_EQ(waits(r), 1);
        raw_free(r);
}

/* Goal:   a pure ACK that is in order is ignored; text, or a number out of place, is answered by an ACK.
 * Method: each in TIME-WAIT; so that two ends in TIME-WAIT cannot keep each other busy.
 * Spec:   RFC 9293 3.10.7.4 first. */
TEST(timewait_segments)
{
        struct raw *r = raw_in_time_wait(sim_seed(__func__, 1), "mss 1000", "");

        raw_say(r, "A 2 ack 2");
        raw_quiet(r);
        raw_say(r, "A 1 ack 1 len 10");
        raw_hear(r, "A 2 ack 2");
        raw_say(r, "A 500 ack 2");                      /* one answer in 100 ms */
        raw_quiet_for(r, MS(110));
        raw_say(r, "A 500 ack 2");
        raw_hear(r, "A 2 ack 2");
        raw_quiet(r);
        raw_free(r);
}

/* Goal:   a SYN that is surely new opens the tuple again at once, with a higher initial number; others are
 *         answered by the ACK of the old connection.
 * Method: with timestamps later, equal and earlier; without, by sequence number; with and without a listener.
 * Spec:   RFC 6191 2; RFC 9293 3.6.1, MAY-2. */
TEST(timewait_reuse)
{
        static const struct {
                const char *syn, *fin_ts, *again;
                bool        reopens;
        } row[] = {
                { "mss 1000 ts 100 0", "ts 110 0", "S 1 mss 1000 ts 111 0", true },
                { "mss 1000 ts 100 0", "ts 110 0", "S -5000 mss 1000 ts 111 0", true },
                { "mss 1000 ts 100 0", "ts 110 0", "S 9000 mss 1000 ts 109 0", false },
                { "mss 1000 ts 100 0", "ts 110 0", "S 9000 mss 1000 ts 110 0", true },
                { "mss 1000 ts 100 0", "ts 110 0", "S 1 mss 1000 ts 110 0", false },
                { "mss 1000", "", "S 3 mss 1000", true },
                { "mss 1000", "", "S 9000 mss 1000", true },
                { "mss 1000", "", "S 2 mss 1000", false },
                { "mss 1000", "", "S -9000 mss 1000", false },
                { "mss 1000", "", "S 9000 mss 1000 ts 1 0", true },
        };
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
                struct raw *r = raw_in_time_wait(1 + i, row[i].syn, row[i].fin_ts);
                raw_say(r, "%s", row[i].again);         /* nobody listens: not even a new one */
                raw_hear(r, "A 2 ack 2");
                raw_quiet_for(r, MS(110));
                int lfd = sim_listen(r->host, 80);
                uint32_t old_irs = r->irs;
                raw_say(r, "%s", row[i].again);
                raw_settle(r);
                EXPECT_EQ(r->cnt, 1);
                const struct tcp_seg *s = &r->queue[r->head].seg;
                EXPECT_EQ(s->flags, row[i].reopens ? TCP_SYN | TCP_ACK : TCP_ACK);
                if (row[i].reopens) {
                        EXPECT(seq_gt(s->seq, seq_of(old_irs + 2)));
                        EXPECT_EQ(CNT(r->host, TCP_TW_RECYCLED), 1);
                        EXPECT_EQ(waits(r), 0);
                }
                EXPECT_EQ(sock_close(SOCKS_OF(r->host), lfd), 0);
                raw_forget(r);
                raw_free(r);
        }
}

/* Goal:   when records run out the oldest TIME-WAIT ends early, and it is counted.
 * Method: room for 4 records, 6 connections.
 * Spec:   bounded memory: architecture 12. */
TEST(timewait_records_are_bounded)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.max_wait = 4;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);

        for (int i = 0; i < 6; i++) {
                r->peer_port = (uint16_t)(6000 + i);
                int fd = raw_accepted(r, "mss 1000");
                EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
                raw_settle(r);
                raw_hear(r, "FA 1 ack 1");
                raw_say(r, "FA 1 ack 2");
                raw_hear(r, "A 2 ack 2");
        }
        EXPECT_EQ(waits(r), 4);
        EXPECT_EQ(CNT(r->host, TCP_TW_EVICTED), 2);
        raw_run(r, SEC(62));
        EXPECT_EQ(waits(r), 0);
        raw_free(r);
}
