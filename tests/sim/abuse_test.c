/* SPDX-License-Identifier: MIT */
/* tests/sim/abuse_test.c - Peers, routers and programs that ask for too much, and what it may cost us */
#include "tests/sim/raw.h"
#include "wire/icmp.h"

/* Goal:   a peer that keeps its window shut cannot pin the queue of a closed socket for ever.
 * Method: text queued, the window shut, close(); the peer answers every probe.
 * Spec:   Linux tcp_orphan_retries; RFC 9293 MUST-37 is for connections that somebody still owns. */
TEST(abuse_shut_window_of_an_orphan)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "A 1 ack 1 win 0");
        raw_forget(r);
        raw_write(r, fd, 0, 5000);
        sock_close(SOCKS_OF(r->host), fd);
        for (int i = 0; i < 3600 && r->host->shard.pool.small.used; i++) {
                raw_run(r, SEC(1));
                raw_forget(r);
                raw_say(r, "A 1 ack 1 win 0");
        }
        EXPECT_EQ(r->host->shard.pool.small.used, 0);
        EXPECT_EQ(CNT(r->host, TCP_TIMEOUTS), 1);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   the receive buffer is a bound, although the window is rounded up to its scale.
 * Method: shift 14 by a large buffer that is then made small; a peer that provokes ACKs by old octets
 *         and sends just what each of them gives, to a program that never reads.
 * Spec:   RFC 7323 2.3; SO_RCVBUF */
TEST(abuse_window_rounding)
{
        enum { RCVBUF = 200000, SCALE = 14 };
        struct shard_conf conf;
        sim_conf_default(&conf);
        conf.pkts_small = 20000;
        conf.tcp.opts.rcvbuf = conf.socks.opts.rcvbuf = 65535u << SCALE;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &conf);
        int fd = raw_accepted(r, "mss 1000 ws 0");
        uint32_t conn = sim_conn(r->host, fd), at = 1;

        sim_set(r->host, fd, SOL_SOCKET, SO_RCVBUF, RCVBUF / 2);        /* it is doubled */
        EXPECT_EQ(sim_report(r->host, fd).rcv_wscale, SCALE);
        for (int i = 0; i < 3000; i++) {
                uint32_t wnd = sim_report(r->host, fd).rcv_wnd;
                raw_say(r, "A %u ack 1 len %u", at, wnd < 1000 ? wnd + !wnd : 1000);
                at += wnd < 1000 ? wnd : 1000;
                raw_say(r, "A 1 ack 1 len 1");
                raw_forget(r);
                REQUIRE(tcp_recv_avail(TCP_OF(r->host), conn) <= RCVBUF + 1000 + (1u << SCALE));
        }
        EXPECT_GE(tcp_recv_avail(TCP_OF(r->host), conn), RCVBUF / 2);
        sock_close(SOCKS_OF(r->host), fd);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   the scale in use is the one that was offered.
 * Method: SO_RCVBUF of the listener changes between SYN-ACK and the ACK.
 * Spec:   RFC 7323 2.2 */
TEST(abuse_window_scale_of_a_listener_changed)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen(r->host, 80);

        raw_say(r, "S 0 mss 1000 ws 7");
        raw_hear(r, "SA 0 ack 1");
        uint8_t offered = r->last.seg.wscale;
        sim_set(r->host, lfd, SOL_SOCKET, SO_RCVBUF, 8 << 20);
        raw_say(r, "A 1 ack 1");
        int fd = sim_accept(r->host, lfd);
        EXPECT_EQ(sim_report(r->host, fd).rcv_wscale, offered);
        EXPECT_GE(offered, 1);
        raw_free(r);
}

/* Goal:   a router's "too big" is heeded, but not below the minimum and not when it quotes nothing in flight.
 * Method: a full segment, then the error with several sizes.
 * Spec:   RFC 1191 6.5; RFC 5927 4.1, 7 */
TEST(abuse_packet_too_big)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1460");

        raw_write(r, fd, 0, 1460);
        raw_hear(r, "PA 1 ack 1 len 1460");
        raw_say_too_big(r, 5000, 1000);                 /* not in flight: not believed */
        EXPECT_EQ(sim_report(r->host, fd).snd_mss, 1460);
        EXPECT_EQ(DROPS(r->host, ICMP_NO_FLOW), 1);
        raw_say_too_big(r, 1, 1000);
        raw_hear(r, "A 1 ack 1 len 960");
        raw_hear(r, "PA 961 ack 1 len 500");
        raw_say_too_big(r, 1, 60);                      /* an attack: 552 and no less */
        EXPECT_EQ(sim_report(r->host, fd).snd_mss, 512);
        raw_forget(r);
        raw_say(r, "A 1 ack 1461");
        raw_free(r);
}

/* Goal:   a lost SYN leaves a window of one whole segment.
 * Method: the first SYN is not answered, the second is; text of nearly a segment leaves at once.
 * Spec:   RFC 5681 3.1 */
TEST(abuse_lost_syn_leaves_a_window)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_connecting(r);

        raw_hear_in(r, SEC(1), "S 0");
        raw_say(r, "SA 0 ack 1 mss 1460");
        raw_hear(r, "A 1 ack 1");
        EXPECT_EQ(sim_report(r->host, fd).cwnd_bytes, 1460);
        raw_write(r, fd, 0, 1400);
        raw_hear(r, "PA 1 ack 1 len 1400");
        raw_say(r, "A 1 ack 1401");
        raw_free(r);
}

/* Goal:   a program that goes on asking for attention by TCP_USER_TIMEOUT gets its probes at the interval.
 * Method: keepalive every second with a user timeout of ten minutes, and silence.
 * Spec:   RFC 9293 3.8.4; tcp(7) TCP_USER_TIMEOUT */
TEST(abuse_keepalive_beyond_255_probes)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        sim_set(r->host, fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
        sim_set(r->host, fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
        sim_set(r->host, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 600000);
        sim_set(r->host, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        for (int i = 0; i < 590; i++) {
                raw_run(r, SEC(1));
                raw_forget(r);
        }
        EXPECT_GE(CNT(r->host, TCP_KEEPALIVES), 570);
        EXPECT_LE(CNT(r->host, TCP_KEEPALIVES), 592);
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_run(r, SEC(15));
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   stopping with everything half done is safe.
 * Method: half-open records, connections in the accept queue and accepted ones; all are aborted, and the
 *         last ACK of a handshake comes afterwards.
 * Spec:   tcp/tcp.h, tcp_abort_all() */
TEST(abuse_stop_amid_handshakes)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen(r->host, 80);

        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "A 1 ack 1");                        /* in the accept queue */
        r->peer_port++;
        raw_say(r, "S 0 mss 1000");                     /* half open */
        raw_forget(r);
        EXPECT(!tcp_abort_all(TCP_OF(r->host), sim_now(r->sim)));
        raw_settle(r);
        raw_say(r, "A 1 ack 1");
        EXPECT_EQ(tcp_flows(TCP_OF(r->host))->used, 0);
        EXPECT_EQ(sim_accept(r->host, lfd), -EAGAIN);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   a writer that waited for packet buffers and then meets a closed window still probes it.
 * Method: the pool is taken away, send() says EAGAIN; it is given back, send() takes the text at once; the
 *         peer's window is shut and its opening would be lost: the probe must come.
 * Spec:   RFC 9293 MUST-36, 3.8.6.1 */
TEST(abuse_no_buffers_then_no_window)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        struct pkt_pool *pool = &r->host->shard.pool;
        struct pkt *hog = NULL;

        raw_say(r, "A 1 ack 1 win 0");
        raw_forget(r);
        while (pool->small.used + 4 < pool->small.cap) {
                struct pkt *p = pkt_take(pool, 1);
                p->next = hog;
                hog = p;
        }
        EXPECT_EQ(sim_write(r->host, fd, RAW_STREAM_STACK, 0, 100), -EAGAIN);
        pkt_give_chain(pool, hog);
        raw_write(r, fd, 0, 100);
        raw_quiet(r);
        raw_run(r, SEC(1));
        EXPECT_GE(CNT(r->host, TCP_ZERO_WND_PROBES), 1);
        raw_forget(r);
        raw_say(r, "A 1 ack 1 win 1000");
        raw_hear(r, "PA 1 ack 1 len 100");
        raw_say(r, "A 1 ack 101");
        raw_free(r);
}
