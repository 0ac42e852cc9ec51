/* SPDX-License-Identifier: MIT */
/* tests/sim/state_test.c - Every state, and what each segment and call does to it: RFC 9293 figure 5, 3.10 */
#include "tests/sim/raw.h"

/* A connection in a state: the next sequence numbers of both ends, relative. */
struct spot {
        struct raw    *r;
        int            fd;              /* -1: half-open, nobody has a descriptor yet */
        enum tcp_state state;
        uint32_t       us, them;        /* SND.NXT and RCV.NXT of the stack */
        uint32_t       una;             /* SND.UNA */
};

/* States a connection can be put into by hand; SYN-RECEIVED twice, by both ways. */
enum place { AT_SYN_SENT, AT_SYN_RCVD, AT_HALF, AT_ESTAB, AT_FIN_WAIT_1, AT_FIN_WAIT_2, AT_CLOSE_WAIT, AT_CLOSING,
             AT_LAST_ACK, AT_TIME_WAIT, PLACE_CNT };

static const char *const place_names[] = {
        "SYN-SENT", "SYN-RECEIVED", "half-open", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",
        "LAST-ACK", "TIME-WAIT",
};

static void shut(struct spot *s) { EXPECT_EQ(sock_shutdown(SOCKS_OF(s->r->host), s->fd, SHUT_WR), 0); }

static struct spot spot_at(enum place at)
{
        struct spot s = { .r = raw_new(1 + at), .fd = -1, .us = 1, .them = 1, .una = 1 };
        struct raw *r = s.r;

        test_note("the state was %s", place_names[at]);
        if (at == AT_SYN_SENT || at == AT_SYN_RCVD) {
                s.fd = raw_connecting(r);
                s.state = TCP_SYN_SENT;
                s.una = 0;
                s.them = 0;
                if (at == AT_SYN_RCVD) {
                        raw_say(r, "S 0 mss 1000");
                        raw_hear(r, "SA 0 ack 1");
                        s.state = TCP_SYN_RECEIVED;
                        s.them = 1;
                }
                return s;
        }
        if (at == AT_HALF) {
                sim_listen(r->host, 80);
                raw_say(r, "S 0 mss 1000");
                raw_hear(r, "SA 0 ack 1");
                s.una = 0;
                s.state = TCP_SYN_RECEIVED;
                return s;
        }
        s.fd = raw_accepted(r, "mss 1000");
        s.state = TCP_ESTABLISHED;
        if (at == AT_CLOSE_WAIT || at == AT_LAST_ACK) {
                raw_say(r, "FA 1 ack 1");
                raw_hear(r, "A 1 ack 2");
                s.them = 2;
                s.state = TCP_CLOSE_WAIT;
        }
        if (at == AT_FIN_WAIT_1 || at == AT_FIN_WAIT_2 || at == AT_CLOSING || at == AT_LAST_ACK || at == AT_TIME_WAIT) {
                shut(&s);
                raw_hear(r, "FA 1 ack %u", s.them);
                s.us = 2;
                s.state = at == AT_LAST_ACK ? TCP_LAST_ACK : TCP_FIN_WAIT_1;
        }
        if (at == AT_FIN_WAIT_2 || at == AT_TIME_WAIT) {
                raw_say(r, "A 1 ack 2");
                s.una = 2;
                s.state = TCP_FIN_WAIT_2;
        }
        if (at == AT_CLOSING || at == AT_TIME_WAIT) {
                raw_say(r, "FA 1 ack %u", s.una);
                raw_hear(r, "A 2 ack 2");
                s.them = 2;
                s.state = at == AT_CLOSING ? TCP_CLOSING : TCP_TIME_WAIT;
        }
        raw_quiet(r);
        return s;
}

/* TIME-WAIT and half-open are records and not connections. */
static enum tcp_state state_now(const struct spot *s)
{
        struct tcp_usage use;
        tcp_usage(TCP_OF(s->r->host), &use);
        if (use.waits)
                return TCP_TIME_WAIT;
        if (use.halves)
                return TCP_SYN_RECEIVED;
        return s->fd >= 0 ? sim_state(s->r->host, s->fd) : TCP_CLOSED;
}

#define EXPECT_STATE(s, want) EXPECT_STR(tcp_state_names[state_now(s)], tcp_state_names[want])

static void spot_free(struct spot *s)
{
        raw_free(s->r);
        test_note("%s", "");
}

/* Goal:   the states are reached by the ways of figure 5.
 * Method: spot_at() walks them; here each is looked at.
 * Spec:   RFC 9293 3.3.2 figure 5, 3.6 figures 12 and 13. */
TEST(state_figure_5)
{
        for (enum place at = 0; at < PLACE_CNT; at++) {
                struct spot s = spot_at(at);
                EXPECT_STATE(&s, s.state);
                spot_free(&s);
        }
}

/* Goal:   a RST with exactly the expected number ends every state, with Linux's errno; TIME-WAIT stays.
 * Method: that RST in each state.
 * Spec:   RFC 9293 3.10.7.4 second; RFC 5961 3.2; RFC 1337 3. */
TEST(state_rst_exact)
{
        static const int want[PLACE_CNT] = {
                [AT_SYN_SENT] = ECONNREFUSED, [AT_SYN_RCVD] = ECONNREFUSED, [AT_ESTAB] = ECONNRESET,
                [AT_FIN_WAIT_1] = ECONNRESET, [AT_FIN_WAIT_2] = ECONNRESET, [AT_CLOSE_WAIT] = EPIPE,
        };
        for (enum place at = 0; at < PLACE_CNT; at++) {
                struct spot s = spot_at(at);
                if (at == AT_SYN_SENT)
                        raw_say(s.r, "RA 0 ack 1");
                else
                        raw_say(s.r, "R %u", s.them);
                raw_quiet(s.r);
                EXPECT_STATE(&s, at == AT_TIME_WAIT ? TCP_TIME_WAIT : TCP_CLOSED);
                if (s.fd >= 0)
                        EXPECT_EQ(sim_error(s.r->host, s.fd), want[at]);
                spot_free(&s);
        }
}

/* Goal:   a RST in the window with another number is challenged and changes nothing; one outside is ignored.
 * Method: both in each synchronized state.
 * Spec:   RFC 5961 3.2; RFC 9293 3.10.7.4 second, MUST for the challenge. */
TEST(state_rst_inexact)
{
        for (enum place at = AT_ESTAB; at < PLACE_CNT; at++) {
                struct spot s = spot_at(at);
                raw_say(s.r, "R %u", s.them + 100);
                if (at != AT_TIME_WAIT)
                        raw_hear(s.r, "A %u ack %u", s.us, s.them);
                raw_quiet(s.r);
                EXPECT_STATE(&s, s.state);
                raw_say(s.r, "R %u", s.them - 1);
                raw_say(s.r, "R %u", s.them + 70000);
                raw_quiet(s.r);
                EXPECT_STATE(&s, s.state);
                spot_free(&s);
        }
}

/* Goal:   a SYN inside a connection is challenged, wherever its number lies.
 * Method: in the window, before it, beyond it, with and without ACK, in each synchronized state.  In
 *         TIME-WAIT without a listener it is answered by an ACK all the same.
 * Spec:   RFC 5961 4.2; RFC 9293 3.10.7.4 fourth. */
TEST(state_syn_in_connection)
{
        static const int32_t seq[] = { 0, 100, -100, 100000, -1 };
        for (enum place at = AT_ESTAB; at < PLACE_CNT; at++)
                for (size_t i = 0; i < 2 * ARRAY_LEN(seq); i++) {
                        struct spot s = spot_at(at);
                        raw_say(s.r, "%s %u ack %u", i & 1 ? "SA" : "S", s.them + (uint32_t)seq[i / 2], s.us);
                        raw_hear(s.r, "A %u ack %u", s.us, s.them);
                        raw_quiet(s.r);
                        EXPECT_STATE(&s, s.state);
                        spot_free(&s);
                }
}

/* Goal:   an ACK of something never sent is answered by an ACK and otherwise ignored, its text too.
 * Method: ACKs one beyond SND.MAX and far beyond, with text, in each state that can take text.
 * Spec:   RFC 9293 3.10.7.4 fifth; RFC 5961 5.2. */
TEST(state_ack_of_the_unsent)
{
        for (enum place at = AT_ESTAB; at <= AT_LAST_ACK; at++) {
                struct spot s = spot_at(at);
                raw_say(s.r, "A %u ack %u", s.them, s.us + 1);
                raw_hear(s.r, "A %u ack %u", s.us, s.them);
                raw_quiet_for(s.r, MS(110));            /* one answer in 100 ms */
                raw_say(s.r, "PA %u ack %u len 10", s.them, s.us + 1000000);
                raw_hear(s.r, "A %u ack %u", s.us, s.them);
                raw_quiet(s.r);
                EXPECT_STATE(&s, s.state);
                spot_free(&s);
        }
}

/* Goal:   blind injection: text whose ACK is older than any window we ever had is challenged, not taken.
 * Method: ACK numbers around SND.UNA - MAX.SND.WND.
 * Spec:   RFC 5961 5.2; RFC 9293 3.10.7.4 fifth. */
TEST(state_ack_too_old)
{
        struct spot s = spot_at(AT_ESTAB);

        raw_say(s.r, "PA 1 ack %u len 10", 1 - 65536u);
        raw_hear(s.r, "A 1 ack 1");
        raw_quiet_for(s.r, MS(110));
        raw_say(s.r, "PA 1 ack %u len 10", 1 - 0x7fffffffu);
        raw_hear(s.r, "A 1 ack 1");
        EXPECT_EQ(tcp_recv_avail(TCP_OF(s.r->host), sim_conn(s.r->host, s.fd)), 0);
        raw_say(s.r, "PA 1 ack %u len 10", 1 - 65535u);         /* just within MAX.SND.WND */
        raw_hear(s.r, "A 1 ack 11");
        raw_read(s.r, s.fd, 0, 10);
        spot_free(&s);
}

/* Goal:   a segment without ACK is dropped in silence, also when it carries text or FIN.
 * Method: in each synchronized state.
 * Spec:   RFC 9293 3.10.7.4 fifth. */
TEST(state_no_ack)
{
        for (enum place at = AT_SYN_RCVD; at <= AT_LAST_ACK; at++) {
                struct spot s = spot_at(at);
                raw_say(s.r, "- %u", s.them);
                raw_say(s.r, "P %u len 5", s.them);
                raw_say(s.r, "F %u", s.them);
                raw_quiet(s.r);
                EXPECT_STATE(&s, s.state);
                spot_free(&s);
        }
}

/* Goal:   text outside the window is answered by an ACK and not taken.
 * Method: old text, and text beyond, in each synchronized state.
 * Spec:   RFC 9293 3.10.7.4 first. */
TEST(state_text_outside)
{
        for (enum place at = AT_ESTAB; at < PLACE_CNT; at++) {
                struct spot s = spot_at(at);
                raw_say(s.r, "PA %u ack %u len 10", s.them - 11, s.us);
                raw_hear(s.r, "A %u ack %u", s.us, s.them);
                raw_quiet(s.r);
                spot_free(&s);
        }
        for (enum place at = AT_ESTAB; at <= AT_FIN_WAIT_2; at++) {
                struct spot s = spot_at(at);
                raw_say(s.r, "PA %u ack %u len 10", s.them + 65535, s.una);
                raw_hear(s.r, "A %u ack %u", s.us, s.them);
                raw_quiet(s.r);
                EXPECT_STATE(&s, s.state);
                spot_free(&s);
        }
}

/* Goal:   the ACK of our FIN moves each closing state on.
 * Method: that ACK in FIN-WAIT-1, CLOSING, LAST-ACK.
 * Spec:   RFC 9293 3.10.7.4 fifth. */
TEST(state_ack_of_fin)
{
        static const struct {
                enum place     at;
                enum tcp_state then;
        } row[] = {
                { AT_FIN_WAIT_1, TCP_FIN_WAIT_2 }, { AT_CLOSING, TCP_TIME_WAIT }, { AT_LAST_ACK, TCP_CLOSED },
        };
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
                struct spot s = spot_at(row[i].at);
                raw_say(s.r, "A %u ack %u", s.them, s.us);
                raw_quiet(s.r);
                EXPECT_STATE(&s, row[i].then);
                spot_free(&s);
        }
}

/* Goal:   the peer's FIN moves each state on and is acknowledged.
 * Method: FIN in ESTABLISHED, FIN-WAIT-1 (with and without the ACK of ours), FIN-WAIT-2; again in the
 *         states that have had it.
 * Spec:   RFC 9293 3.10.7.4 eighth. */
TEST(state_fin)
{
        static const struct {
                enum place     at;
                uint32_t       acks;    /* of our FIN */
                enum tcp_state then;
        } row[] = {
                { AT_ESTAB, 0, TCP_CLOSE_WAIT }, { AT_FIN_WAIT_1, 0, TCP_CLOSING },
                { AT_FIN_WAIT_1, 1, TCP_TIME_WAIT }, { AT_FIN_WAIT_2, 0, TCP_TIME_WAIT },
        };
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
                struct spot s = spot_at(row[i].at);
                raw_say(s.r, "FA %u ack %u", s.them, s.una + row[i].acks);
                raw_hear(s.r, "A %u ack %u", s.us, s.them + 1);
                raw_quiet(s.r);
                EXPECT_STATE(&s, row[i].then);
                spot_free(&s);
        }
        for (enum place at = AT_CLOSE_WAIT; at < PLACE_CNT; at++) {
                struct spot s = spot_at(at);
                raw_say(s.r, "FA %u ack %u", s.them - 1, s.una);
                raw_hear(s.r, "A %u ack %u", s.us, s.them);
                raw_quiet(s.r);
                EXPECT_STATE(&s, s.state);
                spot_free(&s);
        }
}

/* Goal:   close() in each state says and becomes what the specification wants.
 * Method: close() with nothing unread.
 * Spec:   RFC 9293 3.10.4. */
TEST(state_close)
{
        for (enum place at = 0; at < PLACE_CNT; at++) {
                struct spot s = spot_at(at);
                if (s.fd < 0) {
                        spot_free(&s);
                        continue;
                }
                EXPECT_EQ(sock_close(SOCKS_OF(s.r->host), s.fd), 0);
                s.fd = -1;
                raw_settle(s.r);
                if (at == AT_ESTAB || at == AT_CLOSE_WAIT)
                        raw_hear(s.r, "FA %u ack %u", s.us, s.them);
                raw_quiet(s.r);
                if (at == AT_SYN_RCVD) {                /* the FIN follows when established */
                        raw_say(s.r, "A 1 ack 1");
                        raw_hear(s.r, "FA 1 ack 1");
                }
                spot_free(&s);
        }
}

/* Goal:   abort (SO_LINGER with 0) resets the peer wherever it knows of us.
 * Method: abort in each state.
 * Spec:   RFC 9293 3.10.5; Linux resets in SYN-RECEIVED, ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT. */
TEST(state_abort)
{
        for (enum place at = 0; at < PLACE_CNT; at++) {
                struct spot s = spot_at(at);
                struct linger now = { .l_onoff = 1, .l_linger = 0 };
                struct tcp_usage use;
                if (s.fd < 0) {
                        spot_free(&s);
                        continue;
                }
                EXPECT_EQ(sock_setsockopt(SOCKS_OF(s.r->host), s.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
                EXPECT_EQ(sock_close(SOCKS_OF(s.r->host), s.fd), 0);
                s.fd = -1;
                raw_settle(s.r);
                if (at >= AT_SYN_RCVD && at <= AT_CLOSE_WAIT)
                        raw_hear(s.r, "RA %u ack %u", s.us, s.them);
                raw_quiet(s.r);
                tcp_usage(TCP_OF(s.r->host), &use);
                EXPECT_EQ(use.conns, 0);
                spot_free(&s);
        }
}

/* Goal:   half-close: after our FIN the peer's text still arrives; after theirs ours still goes.
 * Method: both ways, with text after.
 * Spec:   RFC 9293 3.6 cases 1 and 2. */
TEST(state_half_close)
{
        struct spot s = spot_at(AT_FIN_WAIT_2);
        raw_say(s.r, "PA 1 ack 2 len 100");
        raw_hear(s.r, "A 2 ack 101");
        raw_read(s.r, s.fd, 0, 100);
        EXPECT_EQ(sim_write(s.r->host, s.fd, RAW_STREAM_STACK, 0, 1), -EPIPE);
        raw_say(s.r, "FPA 101 ack 2 len 50");
        raw_hear(s.r, "A 2 ack 152");
        raw_read(s.r, s.fd, 100, 50);
        EXPECT_EQ(sim_read(s.r->host, s.fd, RAW_STREAM_PEER, 150, 10), 0);
        EXPECT_STATE(&s, TCP_TIME_WAIT);
        spot_free(&s);

        s = spot_at(AT_CLOSE_WAIT);
        EXPECT_EQ(sim_read(s.r->host, s.fd, RAW_STREAM_PEER, 0, 10), 0);
        raw_write(s.r, s.fd, 0, 3000);
        raw_hear(s.r, "A 1 ack 2 len 1000");
        raw_hear(s.r, "A 1001 ack 2 len 1000");
        raw_hear(s.r, "PA 2001 ack 2 len 1000");
        raw_say(s.r, "A 2 ack 3001");
        shut(&s);
        raw_settle(s.r);
        raw_hear(s.r, "FA 3001 ack 2");
        raw_say(s.r, "A 2 ack 3002");
        EXPECT_STATE(&s, TCP_CLOSED);
        spot_free(&s);
}

/* Goal:   both ends close at once.
 * Method: two real stacks with a delay between them; both shut down at the same time.
 * Spec:   RFC 9293 3.6 case 3, figure 13. */
TEST(state_simultaneous_close)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        int fa, fb;

        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(10) });
        sim_pair(a, b, &fa, &fb);
        sim_run(sim, SEC(1));
        EXPECT_EQ(sock_shutdown(SOCKS_OF(a), fa, SHUT_WR), 0);
        EXPECT_EQ(sock_shutdown(SOCKS_OF(b), fb, SHUT_WR), 0);
        sim_run(sim, MS(15));
        EXPECT_EQ(sim_state(a, fa), TCP_CLOSING);
        EXPECT_EQ(sim_state(b, fb), TCP_CLOSING);
        sim_run(sim, MS(10));
        EXPECT_EQ(CNT(a, TCP_TW_STARTED), 1);
        EXPECT_EQ(CNT(b, TCP_TW_STARTED), 1);
        EXPECT_EQ(CNT(a, TCP_RTO) + CNT(b, TCP_RTO), 0);
        sim_free(sim);
}

/* Goal:   close() with unread text resets the peer, so that it knows of the loss.
 * Method: text arrives, nobody reads, close().
 * Spec:   RFC 9293 SHLD-3; RFC 2525 2.17. */
TEST(state_close_with_unread_text)
{
        struct spot s = spot_at(AT_ESTAB);
        raw_say(s.r, "PA 1 ack 1 len 10");
        raw_hear(s.r, "A 1 ack 11");
        EXPECT_EQ(sock_close(SOCKS_OF(s.r->host), s.fd), 0);
        s.fd = -1;
        raw_settle(s.r);
        raw_hear(s.r, "RA 1 ack 11");
        spot_free(&s);
}

/* Goal:   text for a socket that was closed resets the peer.
 * Method: close(), its FIN acknowledged or not, then text.
 * Spec:   RFC 9293 SHLD-3, 3.10.7.4; RFC 1122 4.2.2.13. */
TEST(state_text_after_close)
{
        for (enum place at = AT_FIN_WAIT_1; at <= AT_FIN_WAIT_2; at++) {
                struct spot s = spot_at(at);
                EXPECT_EQ(sock_close(SOCKS_OF(s.r->host), s.fd), 0);
                s.fd = -1;
                raw_say(s.r, "PA %u ack %u len 10", s.them, s.una);
                raw_hear(s.r, "R %u", s.una);
                raw_quiet(s.r);
                EXPECT_EQ(DROPS(s.r->host, TCP_AFTER_CLOSE), 1);
                spot_free(&s);
        }
}

/* Goal:   an orphan in FIN-WAIT-2 waits a minute for the peer's FIN and not for ever; an owned one waits on.
 * Method: a peer that never closes.
 * Spec:   RFC 9293 3.6; Linux tcp_fin_timeout. */
TEST(state_fin_wait_2_ends)
{
        struct tcp_usage use;
        struct spot s = spot_at(AT_FIN_WAIT_2);
        raw_run(s.r, SEC(1000));
        EXPECT_STATE(&s, TCP_FIN_WAIT_2);
        EXPECT_EQ(sock_close(SOCKS_OF(s.r->host), s.fd), 0);
        s.fd = -1;
        raw_run(s.r, SEC(59));
        tcp_usage(TCP_OF(s.r->host), &use);
        EXPECT_EQ(use.conns, 1);
        raw_run(s.r, SEC(2));
        tcp_usage(TCP_OF(s.r->host), &use);
        EXPECT_EQ(use.conns, 0);
        spot_free(&s);

        /* The same when close() came before the ACK of the FIN. */
        s = spot_at(AT_FIN_WAIT_1);
        EXPECT_EQ(sock_close(SOCKS_OF(s.r->host), s.fd), 0);
        s.fd = -1;
        raw_say(s.r, "A 1 ack 2");
        raw_run(s.r, SEC(61));
        tcp_usage(TCP_OF(s.r->host), &use);
        EXPECT_EQ(use.conns, 0);
        spot_free(&s);
}

/* Goal:   the ACK of the peer's FIN is sent even if the ACK of ours arrives in the same burst.
 * Method: FIN and ACK for FIN-WAIT-1 as two frames that are received together.
 * Spec:   RFC 9293 3.10.7.4 eighth: "acknowledgment should be returned". */
TEST(state_fin_and_ack_in_one_burst)
{
        struct spot s = spot_at(AT_FIN_WAIT_1);
        struct tcp_seg fin = {
                .src_port = s.r->peer_port, .dst_port = 80, .seq = seq_of(s.r->iss + 1), .ack = seq_of(s.r->irs + 1),
                .flags = TCP_FIN | TCP_ACK, .window = 65535,
        }, ack = fin;
        ack.flags = TCP_ACK;
        ack.seq = seq_of(s.r->iss + 2);
        ack.ack = seq_of(s.r->irs + 2);
        raw_say_seg(s.r, &fin, NULL, 0);
        raw_say_seg(s.r, &ack, NULL, 0);
        raw_settle(s.r);
        raw_hear(s.r, "A 2 ack 2");
        EXPECT_STATE(&s, TCP_TIME_WAIT);
        spot_free(&s);
}

/* Goal:   two ends that disagree about their numbers do not answer each other's answers for ever.
 * Method: bare ACKs out of the window, and one number before it, at the rate of a fast link; counted answers.
 * Spec:   RFC 5961 7; Linux tcp_invalid_ratelimit. */
TEST(state_no_war_of_acks)
{
        static const char *const war[] = { "A 100000 ack 1", "A 0 ack 1", "A 1 ack 5" };
        for (size_t i = 0; i < ARRAY_LEN(war); i++) {
                struct spot s = spot_at(AT_ESTAB);
                uint32_t answers = 0;
                for (int k = 0; k < 1000; k++) {
                        raw_say(s.r, "%s", war[i]);
                        raw_run(s.r, MS(1));
                        answers += s.r->cnt;
                        raw_forget(s.r);
                }
                EXPECT_GE(answers, 5);
                EXPECT_LE(answers, 11);
                spot_free(&s);
        }
}
