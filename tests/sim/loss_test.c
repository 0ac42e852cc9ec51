/* SPDX-License-Identifier: MIT */
/* tests/sim/loss_test.c - Loss recovery and congestion control: RFC 5681, 6582, 3042, 6928 */
#include "tests/sim/raw.h"

enum { MSS = 1000 };

/* @cnt segments of 1,000 octets from relative number @seq on. */
static void hear_segments(struct raw *r, uint32_t seq, uint32_t cnt)
{
        for (uint32_t i = 0; i < cnt; i++)
                if (!raw_hear(r, "A %u ack 1 len 1000", seq + i * MSS))
                        return;
}

/* Goal:   the first flight is ten segments; each acknowledged segment lets two follow.
 * Method: 200 KB to write; ACKs of each flight at once.
 * Spec:   RFC 6928 2; RFC 5681 3.1 (slow start). */
TEST(loss_slow_start)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000 ws 7");
        raw_say(r, "A 1 ack 1 win 60000");

        raw_write(r, fd, 0, 200000);
        hear_segments(r, 1, 10);
        raw_quiet(r);
        raw_say(r, "A 1 ack 1001 win 60000");
        hear_segments(r, 10001, 2);
        raw_quiet(r);
        raw_say(r, "A 1 ack 12001 win 60000");
        hear_segments(r, 12001, 22);
        raw_quiet(r);
        EXPECT_EQ(sim_report(r->host, fd).cwnd_bytes, 22000);
        raw_free(r);
}

/* Goal:   one ACK that covers nothing but a fraction of a segment does not make the window jump (ACK division).
 * Method: ten ACKs of 100 octets each grow cwnd by what they cover, 1,000 octets.
 * Spec:   RFC 3465 2; RFC 5681 3.1: "min (N, SMSS)". */
TEST(loss_ack_division)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000 ws 7");
        raw_say(r, "A 1 ack 1 win 60000");

        raw_write(r, fd, 0, 100000);
        raw_forget(r);
        for (uint32_t i = 1; i <= 10; i++)
                raw_say(r, "A 1 ack %u win 60000", 1 + i * 100);
        EXPECT_EQ(sim_report(r->host, fd).cwnd_bytes, 11000);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   the first two duplicate ACKs let one new segment out each, the third repeats the missing one at once.
 * Method: ten segments out, the first missing.
 * Spec:   RFC 3042 2; RFC 5681 3.2 (2) to (4). */
TEST(loss_fast_retransmit_on_the_third)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 50000);
        hear_segments(r, 1, 10);
        raw_say(r, "A 1 ack 1");
        raw_hear(r, "A 10001 ack 1 len 1000");
        raw_quiet(r);
        raw_say(r, "A 1 ack 1");
        raw_hear(r, "A 11001 ack 1 len 1000");
        raw_quiet(r);
        raw_say(r, "A 1 ack 1");
        raw_hear(r, "A 1 ack 1 len 1000");
        raw_quiet(r);
        EXPECT_EQ(CNT(r->host, TCP_FAST_RETRANS), 1);
        struct tcp_report rep = sim_report(r->host, fd);
        EXPECT(rep.in_recovery);
        EXPECT_EQ(rep.ssthresh_bytes, 6000);            /* FlightSize / 2, of 12 segments */
        EXPECT_EQ(rep.cwnd_bytes, 9000);                /* + 3 */
        for (int i = 0; i < 3; i++) {                   /* 4th to 6th: inflate to 12,000, which are out */
                raw_say(r, "A 1 ack 1");
                raw_quiet(r);
        }
        raw_say(r, "A 1 ack 1");
        raw_hear(r, "A 12001 ack 1 len 1000");          /* each more lets one follow */
        raw_say(r, "A 1 ack 13001");
        EXPECT(!sim_report(r->host, fd).in_recovery);
        EXPECT_LE(sim_report(r->host, fd).cwnd_bytes, 6000);
        raw_forget(r);
        EXPECT_EQ(CNT(r->host, TCP_RTO), 0);
        raw_free(r);
}

/* Goal:   what looks like a duplicate ACK and is none does not count.
 * Method: two real ones, then one with text, with another window, with FIN... and no fast retransmit.
 * Spec:   RFC 5681 2: the five conditions. */
TEST(loss_what_is_no_duplicate)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 10000);
        hear_segments(r, 1, 10);
        raw_say(r, "A 1 ack 1");
        raw_say(r, "A 1 ack 1");
        raw_say(r, "PA 1 ack 1 len 10");                /* text */
        raw_say(r, "A 11 ack 1 win 50000");             /* a window update */
        raw_say(r, "A 11 ack 1 win 60000");
        raw_forget(r);
        EXPECT_EQ(CNT(r->host, TCP_FAST_RETRANS), 0);
        raw_say(r, "A 11 ack 1 win 60000");
        EXPECT_EQ(CNT(r->host, TCP_FAST_RETRANS), 1);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   several losses in one window are repaired one a round trip, without a timeout and without a
 *         second reduction.
 * Method: segments 1, 3 and 5 of ten are missing.
 * Spec:   RFC 6582 3.2, partial and full acknowledgments. */
TEST(loss_newreno_partial_acks)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 10000);
        hear_segments(r, 1, 10);
        for (int i = 0; i < 7; i++)
                raw_say(r, "A 1 ack 1");
        raw_hear(r, "A 1 ack 1 len 1000");
        raw_quiet(r);
        raw_say(r, "A 1 ack 2001");
        raw_hear(r, "A 2001 ack 1 len 1000");
        raw_quiet(r);
        raw_say(r, "A 1 ack 4001");
        raw_hear(r, "A 4001 ack 1 len 1000");
        raw_quiet(r);
        EXPECT(sim_report(r->host, fd).in_recovery);
        raw_say(r, "A 1 ack 10001");
        EXPECT_EQ(CNT(r->host, TCP_FAST_RETRANS), 1);
        EXPECT_EQ(CNT(r->host, TCP_PARTIAL_ACKS), 2);
        EXPECT_EQ(CNT(r->host, TCP_RTO), 0);
        EXPECT_EQ(CNT(r->host, TCP_SEGS_RETRANS), 3);
        raw_free(r);
}

/* Goal:   duplicate ACKs for what was sent before a timeout start no fast retransmit.
 * Method: a timeout, then a burst of duplicate ACKs (of the go-back).
 * Spec:   RFC 6582 3.2 step 2, 4. */
TEST(loss_no_fast_retransmit_after_timeout)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 10000);
        hear_segments(r, 1, 10);
        raw_hear_in(r, MS(200), "A 1 ack 1 len 1000");
        raw_say(r, "A 1 ack 2001");
        raw_forget(r);
        for (int i = 0; i < 5; i++)
                raw_say(r, "A 1 ack 2001");
        EXPECT_EQ(CNT(r->host, TCP_FAST_RETRANS), 0);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   after a pause of more than an RTO sending begins with no more than the initial window.
 * Method: grow the window to 40 segments, pause, write again.
 * Spec:   RFC 5681 4.1. */
TEST(loss_idle_restart)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000 ws 7");
        raw_say(r, "A 1 ack 1 win 60000");

        raw_write(r, fd, 0, 30000);
        raw_forget(r);
        raw_say(r, "A 1 ack 10001 win 60000");
        raw_forget(r);
        raw_say(r, "A 1 ack 30001 win 60000");
        EXPECT_GE(sim_report(r->host, fd).cwnd_bytes, 20000);
        raw_run(r, SEC(5));
        raw_write(r, fd, 30000, 40000);
        hear_segments(r, 30001, 10);
        raw_quiet(r);
        raw_free(r);
}

/* Goal:   an application that sends little does not earn a large window.
 * Method: 100 round trips of one small segment each.
 * Spec:   RFC 7661 4.3; Linux is_cwnd_limited. */
TEST(loss_unused_window_does_not_grow)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        for (uint32_t i = 0; i < 100; i++) {
                raw_write(r, fd, i * 100, 100);
                raw_hear(r, "PA %u ack 1 len 100", 1 + i * 100);
                raw_say(r, "A 1 ack %u", 1 + (i + 1) * 100);
        }
        EXPECT_EQ(sim_report(r->host, fd).cwnd_bytes, 10000);
        raw_free(r);
}

/* Goal:   one lost segment costs one retransmission and no timeout.
 * Method: two stacks, 100 ms round trip; the link loses, or damages, exactly the 10th data segment.
 * Spec:   RFC 5681 3.2; RFC 6298 5 is not needed. */
TEST(loss_one_segment_needs_no_timeout)
{
        for (int damaged = 0; damaged < 2; damaged++) {
                struct sim *sim = sim_new(sim_seed(__func__, 1));
                struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
                struct sim_link_conf lc = { .delay_ns = MS(50), .bits_per_s = 100000000 };
                struct sim_link *l = sim_link(a, b, &lc);
                int fa, fb;

                sim_pair(a, b, &fa, &fb);
                if (damaged)
                        sim_damage_data(l, SIM_AB, 10);
                else
                        sim_drop_data(l, SIM_AB, 10);
                uint64_t begin_ns = sim_now(sim);
                sim_transfer(a, fa, b, fb, KiB(64), SEC(10));
                EXPECT_EQ(CNT(a, TCP_FAST_RETRANS), 1);
                EXPECT_EQ(CNT(a, TCP_SEGS_RETRANS), 1);
                EXPECT_EQ(CNT(a, TCP_RTO), 0);
                EXPECT_EQ(DROPS(b, TCP_CHECKSUM), (uint64_t)damaged);
                EXPECT_LT(sim_now(sim) - begin_ns, MS(600));
                sim_free(sim);
        }
}

/* Goal:   reordering by less than three segments costs nothing.
 * Method: the 20th data segment is held up so that two others pass it.
 * Spec:   RFC 5681 3.2: the threshold of three. */
TEST(loss_small_reordering_is_no_loss)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(50), .bits_per_s = 100000000 });
        int fa, fb;

        sim_pair(a, b, &fa, &fb);
        sim_hold_data(l, SIM_AB, 20, US(300));          /* a frame takes 121 us */
        sim_transfer(a, fa, b, fb, KiB(64), SEC(10));
        EXPECT_EQ(CNT(a, TCP_SEGS_RETRANS), 0);
        EXPECT_GT(CNT(b, TCP_OOO_QUEUED), 0);
        sim_free(sim);
}

/* Loses the 10th data segment and its first repetition. */
struct twice {
        tcp_seq  seq;
        uint32_t lost;
};

static uint64_t lose_twice(void *arg, struct sim_view *v)
{
        struct twice *tw = arg;
        if (v->lane != SIM_AB || !v->tcp || !v->text_len)
                return SIM_PASS;
        if (v->data_nr == 10)
                tw->seq = v->seg.seq;
        if (v->data_nr < 10 || !seq_eq(v->seg.seq, tw->seq) || tw->lost == 2)
                return SIM_PASS;
        tw->lost++;
        return SIM_DROP;
}

/* Goal:   a repetition that is lost too is repeated by the timer, and the window is that of a timeout.
 * Method: the 10th data segment and its fast retransmission are lost.
 * Spec:   RFC 6298 5.4; RFC 6582 3.2. */
TEST(loss_of_the_retransmission)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(50) });
        struct twice tw = { .lost = 0 };
        int fa, fb;

        sim_pair(a, b, &fa, &fb);
        sim_hook_set(l, lose_twice, &tw);
        sim_transfer(a, fa, b, fb, 40 * 1448, SEC(10));
        EXPECT_EQ(tw.lost, 2);
        EXPECT_EQ(CNT(a, TCP_FAST_RETRANS), 1);
        EXPECT_EQ(CNT(a, TCP_RTO), 1);
        sim_free(sim);
}

/* Goal:   each segment out of order is answered by a duplicate ACK of its own, also when all arrive in one burst.
 * Method: eight segments beyond a gap are received together, with one in order before them.
 * Spec:   RFC 5681 4.2: "an immediate duplicate ACK". */
TEST(loss_every_segment_beyond_a_gap_is_answered)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        static uint8_t text[1000];
        struct tcp_seg seg = {
                .src_port = r->peer_port, .dst_port = 80, .flags = TCP_ACK, .window = 65535,
        };
        int fd = raw_accepted(r, "mss 1000");

        seg.ack = seq_of(r->irs + 1);
        for (uint32_t i = 0; i < 10; i++) {
                seg.seq = seq_of(r->iss + 1 + i * MSS);
                for (uint32_t k = 0; k < MSS; k++)
                        text[k] = sim_octet(RAW_STREAM_PEER, i * MSS + k);
                if (i != 1)
                        raw_say_seg(r, &seg, text, MSS);
        }
        raw_settle(r);
        for (int i = 0; i < 9; i++)                     /* one for the text in order, then eight */
                raw_hear(r, "A 1 ack 1001");
        raw_quiet(r);
        raw_say(r, "A 1001 ack 1 len 1000");
        raw_hear(r, "A 1 ack 10001");
        raw_quiet(r);
        raw_read(r, fd, 0, 10000);
        raw_free(r);
}

/* Goal:   the last segment of a stream is lost, nothing follows it: the timer repeats it.
 * Method: ten segments, the 10th lost.
 * Spec:   RFC 6298 5.4. */
TEST(loss_of_the_tail)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(10) });
        int fa, fb;

        sim_pair(a, b, &fa, &fb);
        sim_drop_data(l, SIM_AB, 10);
        sim_transfer(a, fa, b, fb, 10 * 1448, SEC(10));
        EXPECT_EQ(CNT(a, TCP_RTO), 1);
        EXPECT_EQ(CNT(a, TCP_SEGS_RETRANS), 1);
        sim_free(sim);
}
