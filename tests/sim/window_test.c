/* SPDX-License-Identifier: MIT */
/* tests/sim/window_test.c - Windows: probing, silly ones, large ones: RFC 9293 3.8.6, RFC 7323 2 */
#include "tests/sim/raw.h"

static struct raw *raw_with_rcvbuf(uint64_t seed, uint32_t octets)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.opts.rcvbuf = sc.socks.opts.rcvbuf = octets;
        return raw_new_of(seed, &sc);
}

/* Goal:   a closed window is probed after an RTO, then at doubled intervals, for as long as the peer answers.
 * Method: window 0 before anything was sent; probes are one number before SND.UNA and carry nothing.
 * Spec:   RFC 9293 3.8.6.1, MUST-35, MUST-36, MUST-37, SHLD-29, SHLD-30. */
TEST(window_probes)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        uint64_t rto_ns = MS(200);

        raw_say(r, "A 1 ack 1 win 0");
        raw_write(r, fd, 0, 3000);
        raw_quiet(r);
        for (int i = 0; i < 40; i++) {
                raw_hear_in(r, rto_ns, "A 0 ack 1");
                raw_say(r, "A 1 ack 1 win 0");
                rto_ns = u64_min(2 * rto_ns, SEC(120));
        }
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_say(r, "A 1 ack 1 win 5000");
        raw_hear(r, "A 1 ack 1 len 1000");
        raw_hear(r, "A 1001 ack 1 len 1000");
        raw_hear(r, "PA 2001 ack 1 len 1000");
        raw_hear_in(r, MS(200), "A 1 ack 1 len 1000");  /* the backoff of the probes is over */
        raw_free(r);
}

/* Goal:   a peer that answers no probe any more is given up.
 * Method: window 0, then silence: 15 probes.
 * Spec:   RFC 9293 3.8.3, 3.8.6.1. */
TEST(window_probes_unanswered)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "A 1 ack 1 win 0");
        raw_write(r, fd, 0, 10);
        raw_run(r, SEC(920));
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_run(r, SEC(10));
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        EXPECT_EQ(CNT(r->host, TCP_ZERO_WND_PROBES), 15);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   the user timeout counts from when the window closed, not from the beginning of time.
 * Method: 10 s of it; the peer falls silent with its window closed.
 * Spec:   RFC 5482 3. */
TEST(window_probes_and_user_timeout)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        sim_set(r->host, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 10000);

        raw_run(r, SEC(100));
        raw_say(r, "A 1 ack 1 win 0");
        raw_write(r, fd, 0, 10);
        raw_run(r, MS(9900));
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_run(r, MS(200));
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   a window that closes while text is out: the text is repeated at the RTO as a probe, and goes on when
 *         the window opens; text beyond a window that shrank is not lost.
 * Method: window 5,000, five segments out, then window 0 for two of them.
 * Spec:   RFC 9293 3.8.6: MUST-34 (shrinking window), SHLD-15, SHLD-16, SHLD-17. */
TEST(window_shrinks)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "A 1 ack 1 win 5000");
        raw_write(r, fd, 0, 8000);
        for (uint32_t i = 0; i < 5; i++)
                raw_hear(r, "A %u ack 1 len 1000", 1 + i * 1000);
        raw_quiet(r);
        raw_say(r, "A 1 ack 2001 win 0");
        raw_quiet_for(r, MS(190));
        raw_run(r, MS(20));
        raw_forget(r);                                  /* what it looks like is window_probes() */
        for (int i = 0; i < 30; i++) {
                raw_run(r, SEC(30));
                raw_forget(r);
                raw_say(r, "A 1 ack 2001 win 0");
        }
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_say(r, "A 1 ack 2001 win 20000");
        raw_forget(r);
        raw_say(r, "A 1 ack 5001 win 20000");
        raw_forget(r);
        raw_say(r, "A 1 ack 8001 win 20000");
        EXPECT_EQ(tcp_send_queued(TCP_OF(r->host), sim_conn(r->host, fd)), 0);
        raw_quiet_for(r, SEC(10));
        raw_free(r);
}

/* Goal:   the update that reopens a window is lost, and nothing stops for ever.
 * Method: two stacks; the reader's buffer fills; the segment that tells of the room is lost, and the next ones.
 * Spec:   RFC 9293 3.8.6.1: "to guarantee that when either TCP peer has a zero window the re-opening ... will
 *         be reliably reported". */
static uint64_t lose_bare_acks(void *arg, struct sim_view *v)
{
        uint32_t *left = arg;
        if (v->lane != SIM_BA || !v->tcp || v->text_len || *left == 0)
                return SIM_PASS;
        --*left;
        return SIM_DROP;
}

TEST(window_update_lost)
{
        struct shard_conf sc;
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        sim_conf_default(&sc);
        sc.tcp.opts.rcvbuf = sc.socks.opts.rcvbuf = 10000;
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, &sc);
        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1) });
        uint32_t lose = 0;
        int fa, fb;

        sim_hook_set(l, lose_bare_acks, &lose);
        sim_pair(a, b, &fa, &fb);
        EXPECT_EQ(sim_write(a, fa, 1, 0, 50000), 50000);
        sim_run(sim, SEC(1));
        EXPECT_EQ(tcp_recv_avail(TCP_OF(b), sim_conn(b, fb)), 10000);
        EXPECT_EQ(sim_report(a, fa).snd_wnd, 0);
        lose = 3;
        uint64_t got = 0;
        for (ssize_t n; (n = sim_read(b, fb, 1, got, 50000)) > 0;)
                got += (uint64_t)n;
        for (int i = 0; got < 50000 && i < 1000; i++) {
                sim_run(sim, MS(100));
                for (ssize_t n; (n = sim_read(b, fb, 1, got, 50000)) > 0;)
                        got += (uint64_t)n;
        }
        EXPECT_EQ(got, 50000);
        EXPECT_EQ(lose, 0);
        sim_free(sim);
}

/* Goal:   an orphan whose peer keeps the window closed is given up after 8 probes, answered or not.
 * Method: close() with text that may not be sent.
 * Spec:   RFC 9293 3.8.6.1 leaves it to the system; Linux tcp_orphan_retries. */
TEST(window_closed_on_an_orphan)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        struct tcp_usage use;

        raw_say(r, "A 1 ack 1 win 0");
        raw_write(r, fd, 0, 3000);
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        for (int i = 0; i < 8; i++) {
                raw_hear_in(r, MS(200) << i, "A 0 ack 1");
                raw_say(r, "A 1 ack 1 win 0");
        }
        raw_run(r, (MS(200) << 8) + MS(10));
        tcp_usage(TCP_OF(r->host), &use);
        EXPECT_EQ(use.conns, 0);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   the receiver opens its window only by worthwhile steps: one MSS or half the buffer.
 * Method: a full buffer of 4,000 octets, read in pieces of 100.
 * Spec:   RFC 9293 3.8.6.2.2, MUST-39. */
TEST(window_silly_receiver)
{
        struct raw *r = raw_with_rcvbuf(sim_seed(__func__, 1), 4000);
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "A 1 ack 1 len 4000");
        raw_hear(r, "A 1 ack 4001 win 0");
        for (uint32_t i = 0; i < 9; i++) {
                raw_read(r, fd, i * 100, 100);
                raw_say(r, "A 4000 ack 1");             /* a probe is answered by a window that is still shut */
                raw_hear(r, "A 1 ack 4001 win 0");
                raw_quiet_for(r, MS(110));
        }
        raw_read(r, fd, 900, 100);
        raw_hear(r, "A 1 ack 4001 win 1000");
        raw_quiet(r);
        raw_free(r);
}

/* Goal:   the right edge of the window never moves left.
 * Method: text arrives while the buffer fills; every ACK's edge is compared with the one before.
 * Spec:   RFC 9293 SHLD-14. */
TEST(window_edge_never_retreats)
{
        struct raw *r = raw_with_rcvbuf(sim_seed(__func__, 1), 20000);
        struct rnd *rnd = sim_rnd(r->sim);
        int fd = raw_accepted(r, "mss 1000 ws 7");
        uint32_t next = 0, read = 0, edge = 0;

        for (int i = 0; i < 2000; i++) {
                uint32_t len = 1 + rnd_below(rnd, 1000);
                if (next + len > edge + 2000)
                        len = 1;
                raw_say(r, "A %u ack 1 len %u", next + 1, len);
                while (r->cnt) {
                        const struct tcp_seg *s = &r->queue[r->head].seg;
                        uint32_t wnd = (uint32_t)s->window << sim_report(r->host, fd).rcv_wscale;
                        uint32_t now = s->ack.raw - r->iss - 1 + wnd;
                        EXPECT_GE(now, edge);
                        edge = now;
                        next = s->ack.raw - r->iss - 1;
                        r->head = (r->head + 1) % RAW_QUEUE;
                        r->cnt--;
                }
                raw_run(r, MS(50));
                uint32_t n = rnd_below(rnd, next - read + 1);
                raw_read(r, fd, read, n);
                read += n;
        }
        raw_forget(r);
        raw_free(r);
}

/* Goal:   the sender does not use a sliver of window: it waits for a segment, or half the largest window, or
 *         the override timer.
 * Method: the window opens by 100 octets at a time.
 * Spec:   RFC 9293 3.8.6.2.1, MUST-38. */
TEST(window_silly_sender)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 5000);
        for (uint32_t i = 0; i < 5; i++)
                raw_hear(r, "A %u ack 1 len 1000", 1 + i * 1000);
        raw_say(r, "A 1 ack 5001 win 100");
        raw_write(r, fd, 5000, 5000);
        raw_quiet(r);
        raw_say(r, "A 1 ack 5001 win 300");
        raw_say(r, "A 1 ack 5001 win 999");
        raw_quiet_for(r, MS(190));
        raw_run(r, MS(20));                             /* the override: now it takes what there is */
        raw_hear(r, "A 5001 ack 1 len 999");
        raw_say(r, "A 1 ack 6000 win 1000");
        raw_hear(r, "A 6000 ack 1 len 1000");
        raw_free(r);
}

/* Goal:   windows beyond 64 KB, both ways.
 * Method: the peer offers 4 MB and takes 400 KB; the stack offers 512 KB and takes 400 KB unread.
 * Spec:   RFC 7323 2.2, 2.3. */
TEST(window_beyond_64_kb)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.opts.sndbuf = sc.socks.opts.sndbuf = 600000;
        sc.pkts_small = 4096;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);
        int fd = raw_accepted(r, "mss 1460 ws 7");
        raw_say(r, "A 1 ack 1 win 32768");
        EXPECT_EQ(sim_report(r->host, fd).snd_wnd, 32768u << 7);

        uint32_t sent = 0, acked = 0, out_max = 0;
        for (uint32_t at = 0; at < 400000; at += 100000)
                raw_write(r, fd, at, 100000);
        while (acked < 400000 && r->cnt) {
                while (r->cnt) {
                        const struct raw_seg *s = &r->queue[r->head];
                        EXPECT(s->text_right);
                        sent = s->seg.seq.raw - r->irs - 1 + s->text_len;
                        r->head = (r->head + 1) % RAW_QUEUE;
                        r->cnt--;
                }
                out_max = u32_max(out_max, sent - acked);
                acked = sent;
                raw_say(r, "A 1 ack %u win 32768", acked + 1);
        }
        EXPECT_EQ(acked, 400000);
        EXPECT_GE(out_max, 100000);

        for (uint32_t at = 0; at < 400000; at += 1000) {
                raw_say(r, "A %u ack 400001 len 1000", at + 1);
                if (at % 100000 == 0)
                        raw_forget(r);
        }
        EXPECT_EQ(tcp_recv_avail(TCP_OF(r->host), sim_conn(r->host, fd)), 400000);
        raw_run(r, MS(50));
        raw_forget(r);
        raw_read(r, fd, 0, 400000);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   a FIN that just does not fit into the window, or into cwnd, is not forgotten.
 * Method: text that fills the window exactly, then shutdown(); the ACK of all of it arrives, window open and shut.
 * Spec:   RFC 9293 3.10.4. */
TEST(window_full_to_the_fin)
{
        for (int shut = 0; shut < 2; shut++) {
                struct raw *r = raw_new(sim_seed(__func__, 1));
                int fd = raw_accepted(r, "mss 1000");
                raw_say(r, "A 1 ack 1 win 2000");
                raw_write(r, fd, 0, 2000);
                EXPECT_EQ(sock_shutdown(SOCKS_OF(r->host), fd, SHUT_WR), 0);
                raw_settle(r);
                raw_hear(r, "A 1 ack 1 len 1000");
                raw_hear(r, "PA 1001 ack 1 len 1000");
                raw_quiet(r);
                if (shut) {
                        raw_say(r, "A 1 ack 2001 win 0");
                        raw_hear_in(r, MS(200), "A 2000 ack 1");
                }
                raw_say(r, "A 1 ack 2001 win 2000");
                raw_hear(r, "FA 2001 ack 1");
                raw_say(r, "A 1 ack 2002");
                EXPECT_EQ(sim_state(r->host, fd), TCP_FIN_WAIT_2);
                raw_free(r);
        }
}
