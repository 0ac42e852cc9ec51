/* SPDX-License-Identifier: MIT */
/* tests/sim/delay_test.c - What waits, and for how long: Nagle, cork, delayed ACKs: RFC 9293 3.7.4, 3.8.6.3 */
#include "tests/sim/raw.h"

/* Goal:   Nagle: a small segment goes if nothing small is unacknowledged; a second one waits.
 * Method: three small writes; then the ACK; then a write that fills a segment.
 * Spec:   RFC 9293 3.7.4, MUST-17 (can be disabled), SHLD-7; Minshall's variant as Linux. */
TEST(delay_nagle)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 10);
        raw_hear(r, "PA 1 ack 1 len 10");
        raw_write(r, fd, 10, 20);
        raw_write(r, fd, 30, 30);
        raw_quiet_for(r, MS(100));
        raw_say(r, "A 1 ack 11");
        raw_hear(r, "PA 11 ack 1 len 50");
        raw_write(r, fd, 60, 2500);                     /* full segments do not wait, the rest does */
        raw_hear(r, "A 61 ack 1 len 1000");
        raw_hear(r, "A 1061 ack 1 len 1000");
        raw_quiet(r);
        raw_say(r, "A 1 ack 61");
        raw_hear(r, "PA 2061 ack 1 len 500");
        raw_free(r);
}

/* Goal:   TCP_NODELAY sends each write at once, and setting it frees what waits.
 * Method: two small writes; then the option.
 * Spec:   RFC 9293 MUST-17. */
TEST(delay_nodelay)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 10);
        raw_hear(r, "PA 1 ack 1 len 10");
        raw_write(r, fd, 10, 10);
        raw_quiet(r);
        sim_set(r->host, fd, IPPROTO_TCP, TCP_NODELAY, 1);
        raw_settle(r);
        raw_hear(r, "PA 11 ack 1 len 10");
        raw_write(r, fd, 20, 10);
        raw_hear(r, "PA 21 ack 1 len 10");
        raw_free(r);
}

/* Goal:   a FIN lets out what Nagle holds, in one segment.
 * Method: two small writes, shutdown().
 * Spec:   RFC 9293 3.7.4; Linux. */
TEST(delay_nagle_and_fin)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 10);
        raw_hear(r, "PA 1 ack 1 len 10");
        raw_write(r, fd, 10, 10);
        raw_quiet(r);
        EXPECT_EQ(sock_shutdown(SOCKS_OF(r->host), fd, SHUT_WR), 0);
        raw_settle(r);
        raw_hear(r, "FPA 11 ack 1 len 10");
        raw_free(r);
}

/* Goal:   TCP_CORK and MSG_MORE hold partial segments, full ones go; taking the cork out sends the rest.
 * Method: writes under the cork.
 * Spec:   tcp(7): TCP_CORK; send(2): MSG_MORE. */
TEST(delay_cork)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        sim_set(r->host, fd, IPPROTO_TCP, TCP_CORK, 1);
        raw_write(r, fd, 0, 700);
        raw_quiet(r);
        raw_write(r, fd, 700, 700);
        raw_hear(r, "A 1 ack 1 len 1000");
        raw_quiet(r);
        sim_set(r->host, fd, IPPROTO_TCP, TCP_CORK, 0);
        raw_settle(r);
        raw_hear(r, "PA 1001 ack 1 len 400");
        raw_say(r, "A 1 ack 1401");

        uint8_t buf[10];
        sim_fill(buf, RAW_STREAM_STACK, 1400, 10);
        EXPECT_EQ(sock_send(SOCKS_OF(r->host), fd, buf, 10, MSG_MORE), 10);
        raw_settle(r);
        raw_quiet(r);
        raw_write(r, fd, 1410, 10);
        raw_hear(r, "PA 1401 ack 1 len 20");
        raw_free(r);
}

/* Goal:   what a cork holds goes after 200 ms at the latest.
 * Method: a small write under the cork, and nobody takes it out.
 * Spec:   tcp(7): "a 200 millisecond ceiling". */
TEST(delay_cork_ceiling)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        sim_set(r->host, fd, IPPROTO_TCP, TCP_CORK, 1);
        raw_write(r, fd, 0, 10);
        raw_hear_in(r, MS(200), "PA 1 ack 1 len 10");
        raw_free(r);
}

/* An established connection that delays its ACKs: the quick ones at its begin are used up. */
static struct raw *raw_delaying(uint64_t seed, int *fd, uint32_t *next)
{
        struct raw *r = raw_new(seed);
        *fd = raw_accepted(r, "mss 1000");
        for (uint32_t i = 0; i < 15; i++) {
                raw_say(r, "A %u ack 1 len 10", 1 + 10 * i);
                raw_hear(r, "A 1 ack %u", 11 + 10 * i);
        }
        raw_read(r, *fd, 0, 150);
        *next = 151;
        raw_quiet(r);
        return r;
}

/* Goal:   one segment is acknowledged after 40 ms, two full ones at once, a small one at the latest with it.
 * Method: a connection past its first quick ACKs.
 * Spec:   RFC 9293 3.8.6.3, MUST-58, SHLD-18, SHLD-19. */
TEST(delay_ack)
{
        int fd;
        uint32_t n;
        struct raw *r = raw_delaying(sim_seed(__func__, 1), &fd, &n);

        raw_say(r, "A %u ack 1 len 1000", n);
        raw_hear_in(r, MS(40), "A 1 ack %u", n + 1000);
        n += 1000;
        raw_say(r, "A %u ack 1 len 1000", n);
        raw_quiet_for(r, MS(10));
        raw_say(r, "A %u ack 1 len 1000", n + 1000);
        raw_hear(r, "A 1 ack %u", n + 2000);
        n += 2000;
        raw_quiet_for(r, MS(100));
        raw_say(r, "A %u ack 1 len 10", n);
        raw_run(r, MS(20));
        raw_say(r, "A %u ack 1 len 10", n + 10);        /* a second small one does not begin the wait anew */
        raw_hear_in(r, MS(18), "A 1 ack %u", n + 20);
        raw_free(r);
}

/* Goal:   an answer carries the ACK, and no bare one follows.
 * Method: a request; the stack writes within the delay.
 * Spec:   RFC 9293 3.8.6.3. */
TEST(delay_ack_rides_on_the_answer)
{
        int fd;
        uint32_t n;
        struct raw *r = raw_delaying(sim_seed(__func__, 1), &fd, &n);

        raw_say(r, "A %u ack 1 len 100", n);
        raw_quiet_for(r, MS(10));
        raw_write(r, fd, 0, 50);
        raw_hear(r, "PA 1 ack %u len 50", n + 100);
        raw_say(r, "A %u ack 51", n + 100);
        raw_quiet_for(r, MS(100));
        raw_free(r);
}

/* Goal:   a gap, what fills it, and a FIN are acknowledged at once.
 * Method: segments out of order on a connection that delays.
 * Spec:   RFC 5681 4.2; RFC 9293 3.10.7.4 eighth. */
TEST(delay_ack_not_for_gaps)
{
        int fd;
        uint32_t n;
        struct raw *r = raw_delaying(sim_seed(__func__, 1), &fd, &n);

        raw_say(r, "A %u ack 1 len 100", n + 100);
        raw_hear(r, "A 1 ack %u", n);
        raw_say(r, "A %u ack 1 len 100", n + 300);
        raw_hear(r, "A 1 ack %u", n);
        raw_say(r, "A %u ack 1 len 100", n);            /* fills one of two */
        raw_hear(r, "A 1 ack %u", n + 200);
        raw_say(r, "A %u ack 1 len 100", n + 200);
        raw_hear(r, "A 1 ack %u", n + 400);
        raw_say(r, "A %u ack 1 len 100", n);            /* and what is not new at all */
        raw_hear(r, "A 1 ack %u", n + 400);
        raw_say(r, "FA %u ack 1", n + 400);
        raw_hear(r, "A 1 ack %u", n + 401);
        raw_free(r);
}

/* Goal:   TCP_QUICKACK acknowledges at once.
 * Method: the option on a connection that delays.
 * Spec:   tcp(7). */
TEST(delay_quickack)
{
        int fd;
        uint32_t n;
        struct raw *r = raw_delaying(sim_seed(__func__, 1), &fd, &n);

        sim_set(r->host, fd, IPPROTO_TCP, TCP_QUICKACK, 1);
        raw_say(r, "A %u ack 1 len 10", n);
        raw_hear(r, "A 1 ack %u", n + 10);
        raw_free(r);
}

/* Goal:   a receiver's ACKs reach a sender that sends one segment at a time without waiting for timers:
 *         two stacks, small requests and answers, run at the speed of the link.
 * Method: 100 exchanges over 1 ms each way take about 200 ms.
 * Spec:   RFC 9293 3.7.4, 3.8.6.3: the two must not wait for each other. */
TEST(delay_ping_pong_at_link_speed)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        int fa, fb;

        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1) });
        sim_pair(a, b, &fa, &fb);
        uint64_t begin_ns = sim_now(sim);
        for (uint32_t i = 0; i < 100; i++) {
                sim_transfer(a, fa, b, fb, 64, SEC(1));
                sim_transfer(b, fb, a, fa, 64, SEC(1));
        }
        EXPECT_LE(sim_now(sim) - begin_ns, MS(210));
        sim_free(sim);
}
