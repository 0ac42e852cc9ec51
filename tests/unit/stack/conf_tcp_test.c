/* SPDX-License-Identifier: MIT */
#include "stack/conf.h"
#include "tests/test.h"

/* Goal:   what a user who sets nothing gets is what the engine itself calls its defaults.
 * Method: tcp_conf_default() against the resolved default configuration.
 */
TEST(conf_tcp_defaults_are_those_of_the_engine)
{
        static struct mr_conf conf;
        struct tcp_conf ours, theirs;

        mr_conf_default(&conf);
        mr_conf_set(&conf, "dev", "null:", NULL, 0);
        mr_conf_set(&conf, "addr", "10.77.0.2/24", NULL, 0);
        REQUIRE(conf_resolve(&conf, NULL, 0) == 0);
        conf_to_tcp(&conf, &ours);
        tcp_conf_default(&theirs);
        EXPECT_EQ(ours.time_wait_ns, theirs.time_wait_ns);
        EXPECT_EQ(ours.fin_wait2_ns, theirs.fin_wait2_ns);
        EXPECT_EQ(ours.rto_min_ns, theirs.rto_min_ns);
        EXPECT_EQ(ours.rto_max_ns, theirs.rto_max_ns);
        EXPECT_EQ(ours.delack_ns, theirs.delack_ns);
        EXPECT_EQ(ours.synack_retries, theirs.synack_retries);
        EXPECT_EQ(ours.retries2, theirs.retries2);
        EXPECT_EQ(ours.orphan_retries, theirs.orphan_retries);
        EXPECT_EQ(ours.initial_window_segs, theirs.initial_window_segs);
        EXPECT_EQ(ours.challenge_acks_per_s, theirs.challenge_acks_per_s);
        EXPECT_EQ(ours.port_min, theirs.port_min);
        EXPECT_EQ(ours.port_max, theirs.port_max);
        EXPECT_EQ(ours.window_scaling, theirs.window_scaling);
        EXPECT_EQ(ours.timestamps, theirs.timestamps);
        EXPECT_EQ(ours.opts.rcvbuf, theirs.opts.rcvbuf);
        EXPECT_EQ(ours.opts.sndbuf, theirs.opts.sndbuf);
        EXPECT_EQ(ours.opts.keepidle_s, theirs.opts.keepidle_s);
        EXPECT_EQ(ours.opts.keepintvl_s, theirs.opts.keepintvl_s);
        EXPECT_EQ(ours.opts.keepcnt, theirs.opts.keepcnt);
        EXPECT_EQ(ours.opts.user_timeout_ms, theirs.opts.user_timeout_ms);
        EXPECT_EQ(ours.opts.syn_retries, theirs.opts.syn_retries);
        EXPECT_EQ(ours.opts.nodelay, theirs.opts.nodelay);
}
