/* SPDX-License-Identifier: MIT */
#include "tests/sim/raw.h"

/* Goal:   two hosts connect, exchange a megabyte each way and close, and nothing is left.
 * Method: a link of 20 ms round trip and 100 Mbit/s, virtual time.
 * Spec:   RFC 9293 3.5, 3.6. */
TEST(basic_a_megabyte_each_way)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        int fa, fb;

        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(10), .bits_per_s = 100000000, .queue_octets = 200000 });
        sim_pair(a, b, &fa, &fb);
        sim_transfer(a, fa, b, fb, MiB(1), SEC(10));
        sim_transfer(b, fb, a, fa, MiB(1), SEC(10));
        EXPECT_EQ(sock_close(SOCKS_OF(a), fa), 0);
        SIM_UNTIL(sim, SEC(1), sim_state(b, fb) == TCP_CLOSE_WAIT);
        sim_free(sim);
}

/* Goal:   the scripted peer can hold a conversation.
 * Method: handshake, text each way, close.
 * Spec:   RFC 9293 3.5, figure 6; 3.6, figure 12. */
TEST(basic_a_conversation)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "PA 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 11");
        raw_read(r, fd, 0, 10);
        raw_write(r, fd, 0, 20);
        raw_hear(r, "PA 1 ack 11 len 20");
        raw_say(r, "A 11 ack 21");
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_settle(r);
        raw_hear(r, "FA 21 ack 11");
        raw_say(r, "FA 11 ack 22");
        raw_hear(r, "A 22 ack 12");
        raw_quiet(r);
        raw_free(r);
}
