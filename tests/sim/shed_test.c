/* SPDX-License-Identifier: MIT */
/* tests/sim/shed_test.c - Running out: who gives way to whom, in which order (ARCHITECTURE.md) */
#include "tests/sim/raw.h"

static struct tcp_usage usage(struct sim_host *h)
{
        struct tcp_usage use;
        tcp_usage(TCP_OF(h), &use);
        return use;
}

/* Buffers that are free when the next segment lies in one. */
static uint32_t free_small(struct raw *r) { return r->host->shard.pool.small.cap - r->host->shard.pool.small.used - 1; }

/* A connection in the middle of the others: where the conversation is. */
struct talk {
        uint16_t port;
        uint32_t irs;
        int      fd;
};

static struct talk raw_talk(struct raw *r, int lfd, uint16_t port)
{
        struct talk k = { .port = port };
        r->peer_port = port;
        r->irs_known = false;
        raw_say(r, "S 0 mss 1460");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "A 1 ack 1");
        k.irs = r->irs;
        k.fd = sim_accept(r->host, lfd);
        EXPECT_GE(k.fd, 0);
        raw_forget(r);
        return k;
}

static void turn_to(struct raw *r, const struct talk *k)
{
        r->peer_port = k->port;
        r->irs = k->irs;
        r->irs_known = true;
}

/* Goal:   as packet buffers run out, out-of-order data goes first, then new connections, then data to send, and data in
 *         order last; when they are free again all is taken.
 * Method: one peer fills the buffers of a socket that is not read, octet for octet in order; after each segment
 *         another tries each of the others. The share of buffers that was left when each was first refused.
 * Spec:   architecture 12. */
TEST(shed_packet_buffers)
{
        enum { BUFFERS = 320, LEN = 1400 };
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.pkts_small = BUFFERS;
        sc.tcp.opts.rcvbuf = sc.socks.opts.rcvbuf = MiB(4);
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);
        int lfd = sim_listen(r->host, 80);
        struct talk greedy = raw_talk(r, lfd, 6000), other = raw_talk(r, lfd, 6001), writer = raw_talk(r, lfd, 6002);
        uint32_t refused_ooo = 0, refused_syn = 0, refused_send = 0, refused_data = 0, at = 0, left;
        uint16_t port = 7000;

        for (int i = 0; i < 2 * BUFFERS && !refused_data; i++) {
                turn_to(r, &greedy);
                left = free_small(r);
                raw_say(r, "A %u ack 1 len %u", at + 1, LEN);
                raw_forget(r);
                if (DROPS(r->host, TCP_NO_MEM))
                        refused_data = left;
                else
                        at += LEN;
                turn_to(r, &other);
                left = free_small(r);
                raw_say(r, "A 5000 ack 1 len %u", LEN);
                raw_forget(r);
                if (DROPS(r->host, TCP_OOO_FULL) && !refused_ooo)
                        refused_ooo = left;
                r->irs_known = false;
                r->peer_port = port++;
                left = free_small(r);
                raw_say(r, "S 0 mss 1460");
                raw_settle(r);
                if (DROPS(r->host, TCP_SYN_NO_MEM) && !refused_syn)
                        refused_syn = left;
                if (!refused_syn) {
                        raw_hear(r, "SA 0 ack 1");
                        raw_say(r, "R 1");
                }
                raw_forget(r);
                turn_to(r, &writer);
                left = free_small(r);
                if (!refused_send && sim_write(r->host, writer.fd, RAW_STREAM_STACK, 0, 1) == -EAGAIN)
                        refused_send = left;
                raw_settle(r);
                if (!refused_send)
                        raw_say(r, "A 1 ack %u", 2 + i);
                raw_forget(r);
        }
        EXPECT_LE(refused_ooo, BUFFERS / 4);
        EXPECT_GT(refused_ooo, BUFFERS / 8);
        EXPECT_LE(refused_syn, BUFFERS / 8);
        EXPECT_GT(refused_syn, BUFFERS / 16);
        EXPECT_LE(refused_data, BUFFERS / 16);
        EXPECT_GT(refused_data, BUFFERS / 64);
        EXPECT_LE(refused_send, refused_syn);           /* an empty queue still gets its first buffer */

        turn_to(r, &greedy);
        raw_read(r, greedy.fd, 0, at);
        raw_forget(r);
        raw_say(r, "A %u ack 1 len %u", at + 1, LEN);
        raw_read(r, greedy.fd, at, LEN);
        raw_forget(r);
        raw_talk(r, lfd, 8000);
        raw_run(r, SEC(1));
        raw_forget(r);
        raw_free(r);
}

/* Goal:   each kind of record has room of its own: with all of them used up, what is established goes on.
 * Method: room for 4 connections, 8 half-open and 2 in TIME-WAIT; more of each, then text both ways.
 * Spec:   architecture 12: established data last; each step counted. */
TEST(shed_records)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.max_conns = 4;
        sc.tcp.max_half = 8;
        sc.tcp.max_wait = 2;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);
        int lfd = sim_listen(r->host, 80);
        struct talk first = raw_talk(r, lfd, 6000);

        for (uint16_t i = 0; i < 5; i++) {
                struct talk k = raw_talk(r, lfd, (uint16_t)(6100 + i));
                EXPECT_EQ(sock_close(SOCKS_OF(r->host), k.fd), 0);
                raw_settle(r);
                raw_hear(r, "FA 1 ack 1");
                raw_say(r, "FA 1 ack 2");
                raw_hear(r, "A 2 ack 2");
        }
        EXPECT_EQ(usage(r->host).waits, 2);
        EXPECT_EQ(CNT(r->host, TCP_TW_EVICTED), 3);

        struct talk more[3];
        for (uint16_t i = 0; i < 20; i++) {
                r->peer_port = (uint16_t)(6200 + i);
                r->irs_known = false;
                raw_say(r, "S 0 mss 1460");
                raw_hear(r, "SA 0 ack 1");
                if (i < 3)
                        more[i] = (struct talk){ .port = r->peer_port, .irs = r->irs };
        }
        EXPECT_EQ(usage(r->host).halves, 8);
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_SENT), 12);
        for (int i = 0; i < 3; i++) {
                turn_to(r, &more[i]);
                raw_say(r, "A 1 ack 1");
                EXPECT_GE(sim_accept(r->host, lfd), 0);
        }
        EXPECT_EQ(usage(r->host).conns, 4);
        r->peer_port = 6300;
        raw_say(r, "S 0 mss 1460");
        raw_quiet(r);
        EXPECT_EQ(DROPS(r->host, TCP_NO_CONN), 1);

        turn_to(r, &first);
        raw_say(r, "PA 1 ack 1 len 1000");
        raw_read(r, first.fd, 0, 1000);
        raw_forget(r);
        raw_write(r, first.fd, 0, 1000);
        raw_settle(r);
        raw_hear(r, "PA 1 ack 1001 len 1000");
        raw_say(r, "A 1001 ack 1001");
        raw_run(r, SEC(130));
        raw_forget(r);
        raw_free(r);
}
