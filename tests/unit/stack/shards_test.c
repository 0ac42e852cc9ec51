/* SPDX-License-Identifier: MIT */
#include "tests/unit/stack/shards_rig.h"

/* Every shard of the client gets its answers, and every shard of the server has had a part. */
static void echo_between(uint32_t shards, const char *dev, uint32_t conns)
{
        static struct shards_rig rig;
        uint32_t accepted = 0;

        rig = (struct shards_rig){ .shards = shards, .conns = conns };
        rig.server = shards_stack(shards, dev, "10.0.0.1/24");
        rig.client = shards_stack(shards, dev, "10.0.0.2/24");
        EXPECT_EQ(mr_stack_shards(rig.server), shards);
        shards_begin(&rig);
        EXPECT_EQ(mr_stack_run(rig.client, shards_ask, &rig), 0);
        shards_end(&rig);
        for (uint32_t i = 0; i < shards; i++) {
                EXPECT_EQ(rig.echoed[i], conns);
                EXPECT_GT(rig.accepted[i], conns / 2);
                accepted += rig.accepted[i];
        }
        EXPECT_EQ(accepted, conns * shards);
        mr_stack_free(rig.client);
        mr_stack_free(rig.server);
}

/* Goal:   two shards serve two, each connection on the lane that it was opened on.
 * Method: a pair of loop: devices with two queues; 500 connections of each shard, echoed and checked.
 * Spec:   millrace/millrace.h, shards */
TEST(shards_two_on_lanes) { echo_between(2, "loop:lanes", 500); }

/* Goal:   the same with four shards, more than there are cores here.
 * Method: 200 connections of each.
 * Spec:   millrace/millrace.h, shards */
TEST(shards_four_on_lanes) { echo_between(4, "loop:lanes", 200); }

/* Goal:   a device with one queue serves several shards, and what they open has its answers on the shard that opened it.
 * Method: steer: over a pair of loop: devices, at both ends.
 * Spec:   dev/steer.c */
TEST(shards_two_steered) { echo_between(2, "steer:loop:one", 500); }
TEST(shards_four_steered) { echo_between(4, "steer:loop:one", 200); }
