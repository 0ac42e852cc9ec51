/* SPDX-License-Identifier: MIT */
#include "tests/sim/raw.h"

/* Goal:   a FIN behind text that was received before is taken, and the text is not.
 * Method: the peer sends 10 octets, then the same 10 again with FIN.  The stack reads 10 octets and the end.
 * Spec:   RFC 9293 3.10.7.4 first, seventh and eighth. */
TEST(fin_behind_old_text)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "PA 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 11");
        raw_read(r, fd, 0, 10);
        raw_say(r, "FPA 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 12");
        EXPECT_EQ(sim_read(r->host, fd, RAW_STREAM_PEER, 10, 100), 0);
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSE_WAIT);
        raw_free(r);
}

/* Goal:   what lies behind the peer's FIN is thrown away when the FIN is taken.
 * Method: text beyond where the FIN will be, then the FIN; the octets are never read and hold no buffer.
 * Spec:   RFC 9293 3.10.7.4 eighth: "There must be no more segment text". */
TEST(fin_ends_what_lies_behind)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "A 12 ack 1 len 100");
        raw_say(r, "A 500 ack 1 len 100");
        raw_forget(r);
        raw_say(r, "FA 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 12");
        raw_read(r, fd, 0, 10);
        EXPECT_EQ(sim_read(r->host, fd, RAW_STREAM_PEER, 10, 100), 0);
        EXPECT_EQ(r->host->shard.pool.small.used, 0);
        raw_free(r);
}
