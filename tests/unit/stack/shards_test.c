/* SPDX-License-Identifier: MIT */
#include "tests/unit/stack/shards_rig.h"

/* Every shard of the client gets its answers, and every shard of the server has had a part. */
static void echo_between(uint32_t clients, uint32_t servers, const char *dev, uint32_t conns)
{
        static struct shards_rig rig;
        uint32_t accepted = 0;

        rig = (struct shards_rig){ .conns = conns };
        rig.client = shards_stack(clients, dev, "10.0.0.2/24");
        rig.server = shards_stack(servers, dev, "10.0.0.1/24");
        EXPECT_EQ(mr_stack_shards(rig.server), servers);
        shards_begin(&rig);
        EXPECT_EQ(mr_stack_run(rig.client, shards_ask, &rig), 0);
        shards_end(&rig);
        for (uint32_t i = 0; i < clients; i++)
                EXPECT_EQ(rig.echoed[i], conns);
        for (uint32_t i = 0; i < servers; i++) {
                EXPECT_GT(rig.accepted[i], clients * conns / servers / 2);
                accepted += rig.accepted[i];
        }
        EXPECT_EQ(accepted, conns * clients);
        mr_stack_free(rig.client);
        mr_stack_free(rig.server);
}

/* Goal:   two shards serve two, each connection on the lane that it was opened on.
 * Method: a pair of loop: devices with two queues; 500 connections of each shard, echoed and checked.
 * Spec:   millrace/millrace.h, shards */
TEST(shards_two_on_lanes) { echo_between(2, 2, "loop:lanes", 500); }

/* Goal:   the same with four shards, more than there are cores here.
 * Method: 200 connections of each.
 * Spec:   millrace/millrace.h, shards */
TEST(shards_four_on_lanes) { echo_between(4, 4, "loop:lanes", 200); }

/* Goal:   a device with one queue serves several shards, and what they open has its answers on the shard that opened it.
 * Method: steer: over a pair of loop: devices, at both ends.
 * Spec:   dev/steer.c */
TEST(shards_two_steered) { echo_between(2, 2, "steer:loop:one", 500); }
TEST(shards_four_steered) { echo_between(4, 4, "steer:loop:one", 200); }

/* Goal:   a device that refuses so many queues is opened with one, and spread.
 * Method: one shard opens the pair first, so its other end has one queue too, and three shards.
 * Spec:   docs/devices.md, queues and shards
 */
TEST(shards_three_on_one_queue) { echo_between(1, 3, "loop:odd", 500); }

/* Return at the same moment as the other. */
static void meet(void *arg, uint32_t shard)
{
        atomic_uint *came = arg;

        atomic_fetch_add(came, 1);
        while (atomic_load(came) % 2)
                continue;
}

/* Goal:   the end of mr_stack_run() is heard by nobody later.
 * Method: 1,000 runs of two shards that return at the same moment; after each both wait a little, and nothing ends that.
 * Spec:   millrace/millrace.h, mr_stack_run()
 */
TEST(shards_wait_after_a_run)
{
        struct mr_stack *st = shards_stack(2, "loop:", "10.0.0.1/24");
        const struct timespec little = { 0, 20000 };
        struct epoll_event ev;
        atomic_uint came = 0;
        int ep[2];

        for (uint32_t i = 0; i < 2; i++) {
                EXPECT_EQ(mr_shard_attach(st, i), 0);
                ep[i] = mr_epoll_create1(0);
        }
        for (int run = 0; run < 1000; run++) {
                EXPECT_EQ(mr_stack_run(st, meet, &came), 0);
                for (uint32_t i = 0; i < 2; i++) {
                        EXPECT_EQ(mr_shard_attach(st, i), 0);
                        EXPECT_EQ(mr_epoll_pwait2(ep[i], &ev, 1, &little, NULL), 0);
                }
        }
        mr_stack_free(st);
}

/* A stack of two shards over one queue, with a single port for all that is opened. */
static struct mr_stack *one_port(void)
{
        static struct mr_conf conf;
        char err[256] = "";

        mr_conf_default(&conf);
        conf.shards = 2;
        conf.max_conns = 1000;
        conf.log = MR_LOG_WARN;
        conf.tcp_port_min = conf.tcp_port_max = 40000;
        shards_set(&conf, "dev", "steer:loop:one");
        shards_set(&conf, "addr", "10.0.0.2/24");
        struct mr_stack *st = mr_stack_new(&conf, err, sizeof err);
        REQUIRE(st);
        return st;
}

/* Goal:   a socket whose connect() finds no port keeps the one that bind() chose.
 * Method: there is one port, and its answers come to one of two shards: on the other connect() fails.
 * Spec:   millrace/millrace.h, shards; connect(2): the socket is as it was
 */
TEST(shards_keep_a_port_that_leads_elsewhere)
{
        struct mr_stack *st = one_port();
        struct sockaddr_in to = shards_addr(0x0a000001, 80), from = shards_addr(0x0a000002, 0), name = { 0 };
        socklen_t len = sizeof name;
        uint32_t refused = 0;

        for (uint32_t i = 0; i < 2; i++) {
                EXPECT_EQ(mr_shard_attach(st, i), 0);
                int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                EXPECT_EQ(mr_bind(fd, (struct sockaddr *)&from, sizeof from), 0);
                EXPECT_EQ(mr_connect(fd, (struct sockaddr *)&to, sizeof to), -1);
                refused += errno == EADDRNOTAVAIL;
                EXPECT_EQ(mr_getsockname(fd, (struct sockaddr *)&name, &len), 0);
                EXPECT_EQ(ntohs(name.sin_port), 40000);
                mr_close(fd);
                mr_poll(NULL, 0, 0);
        }
        EXPECT_EQ(refused, 1);
        mr_stack_free(st);
}
