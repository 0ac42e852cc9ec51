/* SPDX-License-Identifier: MIT */
/* tests/sim/handshake_test.c - Opening connections: RFC 9293 3.5, 3.10.7.2, 3.10.7.3 */
#include "tests/sim/raw.h"

#include <unistd.h>

/* Goal:   a passive open answers each option that was offered, and only those.
 * Method: SYNs with all options and with none.
 * Spec:   RFC 9293 3.5 figure 6, MUST-14 (MSS); RFC 7323 2.2 (window scale), 3.2 (timestamps). */
TEST(handshake_passive_options)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1460 ws 7 ts 1000 0 sackok");
        struct tcp_report rep = sim_report(r->host, fd);

        EXPECT(rep.timestamps && rep.wscale && !rep.sack);
        EXPECT_EQ(rep.snd_wscale, 7);
        EXPECT_EQ(rep.snd_mss, 1448);                   /* MUST-16: the timestamp option is deducted */
        raw_free(r);

        r = raw_new(2);
        int lfd = sim_listen(r->host, 80);
        raw_say(r, "S 0 mss 1460 ws 7 ts 1000 0 sackok");
        raw_hear(r, "SA 0 ack 1 win 65535 mss 1460 ws 4 ts 0 1000");
        EXPECT(!(r->last.seg.has & TCP_HAS_SACK_OK));
        raw_say(r, "R 1");
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), lfd), 0);
        raw_free(r);

        r = raw_new(3);
        lfd = sim_listen(r->host, 80);
        raw_say(r, "S 0");
        raw_hear(r, "SA 0 ack 1 win 65535 mss 1460");
        EXPECT_EQ(r->last.seg.has, TCP_HAS_MSS);
        raw_say(r, "A 1 ack 1");
        fd = sim_accept(r->host, lfd);
        rep = sim_report(r->host, fd);
        EXPECT(!rep.timestamps && !rep.wscale);
        EXPECT_EQ(rep.snd_mss, 536);                    /* MUST-15 */
        raw_write(r, fd, 0, 1000);
        raw_hear(r, "A 1 ack 1 len 536");
        EXPECT_EQ(r->last.seg.has, 0);
        raw_hear(r, "PA 537 ack 1 len 464");
        raw_free(r);
}

/* Goal:   an active open offers everything and does without what the peer leaves out.
 * Method: SYN-ACKs with all options, with none, and with the window scale alone.
 * Spec:   RFC 9293 MUST-14, MUST-15, 3.10.7.3 fourth; RFC 7323 2.2, 2.3, 3.2. */
TEST(handshake_active_options)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        raw_connecting(r);
        EXPECT_EQ(r->last.seg.has, TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_TS);
        EXPECT_EQ(r->last.seg.mss, 1460);
        EXPECT_EQ(r->last.seg.window, 65535);
        uint32_t ts = r->last.seg.ts_val;
        raw_say(r, "SA 0 ack 1 mss 1460 ws 3 ts 77 %u", ts);
        raw_hear(r, "A 1 ack 1 ts 0 77");
        EXPECT_EQ(r->last.seg.window, 524288 >> 4);
        raw_free(r);

        r = raw_new(2);
        int fd = raw_connected(r, "");
        struct tcp_report rep = sim_report(r->host, fd);
        EXPECT(!rep.timestamps && !rep.wscale);
        EXPECT_EQ(rep.snd_mss, 536);
        EXPECT_EQ(r->last.seg.has, 0);
        EXPECT_EQ(r->last.seg.window, 65535);
        raw_free(r);

        r = raw_new(3);
        fd = raw_connected(r, "mss 1000 ws 14");
        rep = sim_report(r->host, fd);
        EXPECT(!rep.timestamps && rep.wscale);
        EXPECT_EQ(rep.snd_wscale, 14);
        EXPECT_EQ(rep.snd_wnd, 65535);                  /* RFC 7323 2.2: the window in a SYN is not scaled */
        raw_say(r, "A 1 ack 1 win 3");
        EXPECT_EQ(sim_report(r->host, fd).snd_wnd, 3u << 14);
        raw_free(r);
}

/* Goal:   timestamps and window scale can be switched off, and then neither is offered nor accepted.
 * Method: a host configured so, both roles.
 * Spec:   RFC 7323 2.2, 3.2. */
TEST(handshake_options_off)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.timestamps = sc.tcp.window_scaling = false;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);
        int fd = raw_connecting(r);

        EXPECT_EQ(r->last.seg.has, TCP_HAS_MSS);
        raw_say(r, "SA 0 ack 1 mss 1460");
        raw_hear(r, "A 1 ack 1");
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_forget(r);
        r->peer_port++;
        fd = raw_accepted(r, "mss 1460 ws 7 ts 1000 0");
        struct tcp_report rep = sim_report(r->host, fd);
        EXPECT(!rep.timestamps && !rep.wscale);
        raw_free(r);
}

/* Goal:   an MSS that only an attacker would send does not make us send dust.
 * Method: SYNs with an MSS of 1, with and without timestamps.
 * Spec:   RFC 9293 3.7.1; a floor as Linux's min_adv_mss. */
TEST(handshake_tiny_mss)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1");
        EXPECT_EQ(sim_report(r->host, fd).snd_mss, 64);
        raw_write(r, fd, 0, 100);
        raw_hear(r, "A 1 ack 1 len 64");
        raw_free(r);

        r = raw_new(2);
        fd = raw_accepted(r, "mss 1 ts 5 0");
        EXPECT_EQ(sim_report(r->host, fd).snd_mss, 52);
        raw_free(r);
}

/* Goal:   both ends call connect() at once and get one connection.
 * Method: figure 8 by hand; and with the other end's SYN-ACK in place of its ACK.
 * Spec:   RFC 9293 3.5 figure 8, MUST-10. */
TEST(handshake_simultaneous_open)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_connecting(r);

        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        EXPECT_EQ(sim_state(r->host, fd), TCP_SYN_RECEIVED);
        raw_say(r, "A 1 ack 1");
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_write(r, fd, 0, 10);
        raw_hear(r, "PA 1 ack 1 len 10");
        raw_free(r);

        r = raw_new(2);
        fd = raw_connecting(r);
        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "SA 0 ack 1 mss 1000");              /* unacceptable, but answered */
        raw_hear(r, "A 1 ack 1");
        raw_say(r, "A 1 ack 1");
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_free(r);
}

/* Goal:   two real stacks open simultaneously and pass data, whatever is lost meanwhile.
 * Method: both bind and connect to each other at the same time over a slow link, 30 seeds, the later ones lossy.
 * Spec:   RFC 9293 3.5, MUST-10. */
TEST(handshake_simultaneous_open_of_two_stacks)
{
        uint64_t seed = sim_seed(__func__, 1);
        for (uint64_t i = 0; i < 30; i++) {
                struct sim *sim = sim_new(seed + i);
                struct sim_host *h[2] = { sim_host(sim, NULL), sim_host(sim, NULL) };
                int fd[2];
                sim_link(h[0], h[1], &(struct sim_link_conf){ .delay_ns = MS(50), .loss_ppm = i < 3 ? 0 : 200000 });
                for (int k = 0; k < 2; k++) {
                        struct sockaddr_in me = sim_sin(&h[k]->addr, (uint16_t)(1000 + k));
                        fd[k] = sim_socket(h[k]);
                        EXPECT_EQ(sock_bind(SOCKS_OF(h[k]), fd[k], (struct sockaddr *)&me, sizeof me), 0);
                }
                sim_run(sim, SEC(10));
                for (int k = 0; k < 2; k++) {
                        struct sockaddr_in you = sim_sin(&h[!k]->addr, (uint16_t)(1000 + !k));
                        EXPECT_EQ(sock_connect(SOCKS_OF(h[k]), fd[k], (struct sockaddr *)&you, sizeof you),
                                  -EINPROGRESS);
                }
                SIM_UNTIL(sim, SEC(200), sim_state(h[0], fd[0]) == TCP_ESTABLISHED &&
                                         sim_state(h[1], fd[1]) == TCP_ESTABLISHED);
                if (sim_state(h[0], fd[0]) == TCP_ESTABLISHED)
                        sim_transfer(h[0], fd[0], h[1], fd[1], 5000, SEC(200));
                sim_free(sim);
        }
}

/* Goal:   in SYN-SENT only what acknowledges our SYN counts.
 * Method: wrong ACKs, RSTs with and without ACK, segments with neither SYN nor RST.
 * Spec:   RFC 9293 3.10.7.3 first, second, fifth. */
TEST(handshake_syn_sent_wrong_answers)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_connecting(r);

        raw_say(r, "SA 0 ack 0");                       /* SEG.ACK =< ISS */
        raw_hear(r, "R 0");
        raw_say(r, "SA 0 ack 2");                       /* SEG.ACK > SND.NXT */
        raw_hear(r, "R 2");
        raw_say(r, "A 7 ack 100");
        raw_hear(r, "R 100");
        raw_say(r, "RA 0 ack 2");                       /* no RST to a RST */
        raw_quiet(r);
        raw_say(r, "R 0");                              /* without an acceptable ACK: not believed */
        raw_quiet(r);
        raw_say(r, "A 5 ack 1");
        raw_say(r, "FA 5 ack 1");
        raw_say(r, "- 5");
        raw_quiet(r);
        EXPECT_EQ(sim_state(r->host, fd), TCP_SYN_SENT);
        raw_say(r, "RA 0 ack 1");
        EXPECT_EQ(sim_error(r->host, fd), ECONNREFUSED);
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSED);
        raw_free(r);
}

/* Goal:   an unanswered SYN is repeated after 1, 2, 4, ... s, six times, and connect() fails after 127 s.
 * Method: a peer that says nothing.
 * Spec:   RFC 6298 2.1, 5.5; RFC 9293 MUST-20; Linux tcp_syn_retries, 127 s where MUST-23 wants 180. */
TEST(handshake_connect_timeout)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_connecting(r);

        for (uint32_t i = 0; i < 6; i++)
                raw_hear_in(r, SEC(1) << i, "S 0");
        raw_quiet_for(r, SEC(64) - MS(1));
        raw_run(r, MS(20));
        EXPECT_EQ(sim_error(r->host, fd), ETIMEDOUT);
        EXPECT_EQ(CNT(r->host, TCP_SYN_RETRANS), 6);
        raw_free(r);
}

/* Goal:   a half-open connection repeats its SYN-ACK after 1, 2, 4, 8, 16 s and is forgotten after 63 s.
 * Method: a peer that never acknowledges; then its late ACK.
 * Spec:   RFC 6298 5.5; RFC 9293 3.10.7.1 (the late ACK finds nothing: RST). */
TEST(handshake_half_open_expiry)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        struct tcp_usage use;

        sim_listen(r->host, 80);
        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        for (uint32_t i = 0; i < 5; i++)
                raw_hear_in(r, SEC(1) << i, "SA 0 ack 1");
        raw_quiet_for(r, SEC(32) - MS(1));
        raw_run(r, MS(20));
        tcp_usage(TCP_OF(r->host), &use);
        EXPECT_EQ(use.halves, 0);
        raw_say(r, "A 1 ack 1");
        raw_hear(r, "R 1");
        raw_free(r);
}

/* Goal:   in SYN-RECEIVED a repeated SYN is answered again, a wrong ACK is reset, a RST ends it, and what
 *         is out of the window changes nothing.
 * Method: one half-open connection, each in turn.
 * Spec:   RFC 9293 3.10.7.4 for SYN-RECEIVED; RFC 5961 3.2, 4.2. */
TEST(handshake_half_open_segments)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        struct tcp_usage use;

        int lfd = sim_listen(r->host, 80);
        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "A 1 ack 2");
        raw_hear(r, "R 2");
        raw_say(r, "A 1 ack 0");
        raw_hear(r, "R 0");
        raw_say(r, "R 100");                            /* in the window, not at its edge */
        raw_say(r, "R -5");                             /* outside */
        raw_say(r, "- 1");                              /* no ACK */
        raw_forget(r);                                  /* a challenge may be among the answers */
        EXPECT_LT(sim_accept(r->host, lfd), 0);
        tcp_usage(TCP_OF(r->host), &use);
        EXPECT_EQ(use.halves, 1);
        raw_say(r, "R 1");
        tcp_usage(TCP_OF(r->host), &use);
        EXPECT_EQ(use.halves, 0);
        raw_quiet(r);
        raw_free(r);
}

/* Goal:   text, and FIN, with the last segment of the handshake are taken; text on the SYN is not acknowledged.
 * Method: SYN with text, then ACK with text and FIN.
 * Spec:   RFC 9293 3.10.7.2 third, 3.10.7.4 seventh, eighth. */
TEST(handshake_text_with_it)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen(r->host, 80);

        raw_say(r, "S 0 len 10 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "FPA 1 ack 1 len 20");
        raw_hear(r, "A 1 ack 22");
        int fd = sim_accept(r->host, lfd);
        raw_read(r, fd, 0, 20);
        EXPECT_EQ(sim_read(r->host, fd, RAW_STREAM_PEER, 20, 10), 0);
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSE_WAIT);
        raw_free(r);

        /* And on a SYN-ACK, where it may be taken at once (3.10.7.3). */
        r = raw_new(2);
        fd = raw_connecting(r);
        raw_say(r, "SA 0 ack 1 len 10 mss 1000");
        raw_hear(r, "A 1 ack 11");
        raw_read(r, fd, 0, 10);
        raw_free(r);
}

/* Goal:   a listener answers RFC 9293's table: RST ignored, ACK reset, no SYN ignored, SYN with FIN ignored.
 * Method: all 64 combinations of the six flags to a listening port.
 * Spec:   RFC 9293 3.10.7.2. */
TEST(handshake_listener_flags)
{
        for (uint32_t flags = 0; flags < 64; flags++) {
                struct raw *r = raw_new(100 + flags);
                struct tcp_seg seg = {
                        .src_port = 5000, .dst_port = 80, .flags = (uint8_t)flags, .seq = seq_of(7),
                        .ack = seq_of(9), .window = 100,
                };
                sim_listen(r->host, 80);
                r->iss = 7;
                r->irs = 0;
                raw_say_seg(r, &seg, NULL, 0);
                raw_settle(r);
                if (flags & TCP_RST) {
                        raw_quiet(r);
                } else if (flags & TCP_ACK) {
                        raw_hear(r, "R 9");
                } else if (flags & TCP_SYN && !(flags & TCP_FIN)) {
                        raw_hear(r, "SA 0 ack 1");
                        raw_say(r, "R 1");
                } else {
                        raw_quiet(r);
                }
                raw_quiet(r);
                raw_free(r);
        }
}

/* Goal:   a port where nobody listens answers RST with the numbers of the specification.
 * Method: all 64 combinations of the six flags, with and without text, to a closed port.
 * Spec:   RFC 9293 3.5.2 group 1, 3.10.7.1. */
TEST(handshake_closed_port_flags)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));

        for (uint32_t flags = 0; flags < 128; flags++) {
                struct tcp_seg seg = {
                        .src_port = 5000, .dst_port = 81, .flags = (uint8_t)(flags & 63), .seq = seq_of(1000),
                        .ack = seq_of(2000), .window = 100,
                };
                uint8_t text[5] = { 0 };
                uint32_t len = flags & 64 ? sizeof text : 0;
                raw_say_seg(r, &seg, text, len);
                raw_settle(r);
                if (flags & TCP_RST) {
                        EXPECT_EQ(r->cnt, 0);
                        continue;
                }
                EXPECT_EQ(r->cnt, 1);
                const struct tcp_seg *rst = &r->queue[r->head].seg;
                if (flags & TCP_ACK) {
                        EXPECT_EQ(rst->flags, TCP_RST);
                        EXPECT_EQ(rst->seq.raw, 2000);
                } else {
                        EXPECT_EQ(rst->flags, TCP_RST | TCP_ACK);
                        EXPECT_EQ(rst->seq.raw, 0);
                        EXPECT_EQ(rst->ack.raw, 1000 + len + !!(flags & TCP_SYN) + !!(flags & TCP_FIN));
                }
                EXPECT_EQ(rst->src_port, 81);
                EXPECT_EQ(rst->dst_port, 5000);
                raw_forget(r);
        }
        EXPECT_EQ(DROPS(r->host, TCP_NO_FLOW), 64);
        EXPECT_EQ(DROPS(r->host, TCP_RST_NO_FLOW), 64);
        raw_free(r);
}

/* Goal:   connect() to a closed port of a real stack fails with ECONNREFUSED.
 * Method: two stacks.
 * Spec:   RFC 9293 3.10.7.3 second. */
TEST(handshake_refused)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        sim_link(a, b, NULL);
        int fd = sim_connect(a, &b->addr, 99), err = 0;

        SIM_UNTIL(sim, SEC(1), (err = sim_error(a, fd)) != 0);
        EXPECT_EQ(err, ECONNREFUSED);
        sim_free(sim);
}
