/* SPDX-License-Identifier: MIT */
#include "base/units.h"
#include "pkt/pkt.h"
#include "stack/conf.h"
#include "stack/conf_priv.h"
#include "stack/sizes.h"
#include "tests/test.h"

#include <errno.h>

static struct mr_conf conf;
static char err[300];

static void begin(uint64_t mem)
{
        mr_conf_default(&conf);
        conf.shards = 1;
        conf.mem = mem;
        err[0] = '\0';
}

static uint64_t sum(void)
{
        struct sizes s;
        sizes_of(&conf, &s);
        EXPECT_EQ(s.all, s.conns + s.halves + s.waits + s.finding + s.packets);
        return s.all;
}

/* Goal:   without a budget the sizes are the documented ones, and what is given stays.
 * Method: nothing given; everything given.
 * Spec:   docs/configuration.md
 */
TEST(sizes_without_mem)
{
        begin(0);
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), 0);
        EXPECT_EQ(conf.max_conns, 1000000);
        EXPECT_EQ(conf.max_half, 250000);
        EXPECT_EQ(conf.max_wait, 1000000);
        EXPECT_EQ(conf.mem_packets, MiB(256));
        EXPECT_EQ(conf.pkts_small, MiB(128) / PKT_SMALL_SIZE);
        EXPECT_EQ(conf.pkts_large, MiB(128) / PKT_LARGE_SIZE);

        begin(0);
        conf.max_conns = 5;
        conf.max_half = 6;
        conf.max_wait = 7;
        conf.mem_packets = MiB(3);
        conf.pkts_small = 8;
        conf.pkts_large = 9;
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), 0);
        EXPECT(conf.max_conns == 5 && conf.max_half == 6 && conf.max_wait == 7 && conf.mem_packets == MiB(3) &&
               conf.pkts_small == 8 && conf.pkts_large == 9);
}

/* Goal:   a budget is kept, and used: one step more would not fit.
 * Method: budgets from 4 MB to 100 GB on 1 and 3 shards, with nothing else given; then with connections
 *         given, with packets given.
 * Spec:   stack/sizes.h
 */
TEST(sizes_fit_into_mem)
{
        for (uint64_t mem = MiB(4); mem < GiB(100); mem = mem * 3 / 2 + 12345)
                for (uint32_t shards = 1; shards <= 3; shards += 2) {
                        test_note("mem %llu, %u shards", (unsigned long long)mem, shards);
                        begin(mem);
                        conf.shards = shards;
                        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), 0);
                        EXPECT_LE(sum(), mem);
                        EXPECT_GE(conf.mem_packets, mem / 4 - 1);
                        uint32_t conns = conf.max_conns;
                        if (conns < 100000000) {        /* else descriptors were the limit */
                                /* The flow table doubles, and half of it may not be worth having. */
                                EXPECT_GE(sum(), mem * 85 / 100 - MiB(1));
                                conf.max_conns = conf.max_half = conf.max_wait = conns + conns / 50 + 10 * shards;
                                conf.max_half /= 4;
                                if (conf.max_half >= 1024 && conf.max_wait >= 4096)
                                        EXPECT_GT(sum(), mem);
                        }
                        begin(mem);
                        conf.shards = shards;
                        conf.max_conns = conns / 2 + shards;
                        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), 0);
                        EXPECT_EQ(conf.max_conns, conns / 2 + shards);
                        EXPECT_LE(sum(), mem);
                        begin(mem);
                        conf.shards = shards;
                        conf.mem_packets = mem / 2;
                        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), 0);
                        EXPECT_EQ(conf.mem_packets, mem / 2);
                        EXPECT_LE(sum(), mem);
                        EXPECT_LE(conf.max_conns, conns);
                }
}

/* Goal:   the least that each shard has counts too, so many shards keep the budget as well as one.
 * Method: 128 shards and small budgets: what they would reserve of packets, by the sizes, and the sum.
 * Spec:   stack/sizes.h
 */
TEST(sizes_of_many_shards)
{
        for (uint64_t mem = MiB(192); mem < GiB(2); mem += MiB(64)) {
                test_note("mem %llu", (unsigned long long)mem);
                begin(mem);
                conf.shards = MR_SHARD_MAX;
                EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), 0);
                uint64_t packets = conf_share(&conf, conf.pkts_small, SIZES_SMALL_MIN) * (uint64_t)PKT_SMALL_SIZE +
                                   conf_share(&conf, conf.pkts_large, SIZES_LARGE_MIN) * (uint64_t)PKT_LARGE_SIZE;
                struct sizes s;
                sizes_of(&conf, &s);
                EXPECT_GE(s.packets, packets * MR_SHARD_MAX);
                EXPECT_LE(sum(), mem);
        }
        begin(MiB(64));                                 /* their large buffers alone are more */
        conf.shards = MR_SHARD_MAX;
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "mem 64 MB is too small"));
}

/* Goal:   what cannot be is refused, with the input, the cause and the cure.
 * Method: too little memory for the connections, for the packets, for anything; more connections than
 *         descriptors, on one shard and on several.
 * Spec:   docs/configuration.md
 */
TEST(sizes_impossible)
{
        begin(GiB(1));
        conf.max_conns = 10000000;
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "mem 1.0 GB is too small for max_conns 10,000,000 and 1 MB of packets, which take 1."));
        EXPECT(strstr(err, "raise mem or lower"));

        begin(MiB(100));
        conf.mem_packets = MiB(200);
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "mem 100 MB is too small"));

        begin(KiB(100));
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "mem 100 KB is too small"));

        begin(0);
        conf.max_conns = 200000000;
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "max_conns 200,000,000 is more than the 134,"));
        begin(0);
        conf.max_conns = 120000000;
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), 0);
        begin(0);
        conf.shards = 5;                                /* numbers are counted in eighths */
        conf.max_conns = 120000000;
        EXPECT_EQ(sizes_resolve(&conf, err, sizeof err), -EINVAL);
}

/* Goal:   numbers as people write them.
 * Method: a few, at the edges.
 * Spec:   stack/sizes.h
 */
TEST(sizes_in_words)
{
        char buf[SIZES_TEXT_MAX];

        EXPECT_STR(sizes_count_text(buf, 0), "0");
        EXPECT_STR(sizes_count_text(buf, 999), "999");
        EXPECT_STR(sizes_count_text(buf, 1000), "1,000");
        EXPECT_STR(sizes_count_text(buf, 12345678), "12,345,678");
        EXPECT_STR(sizes_count_text(buf, UINT64_MAX), "18,446,744,073,709,551,615");
        EXPECT_STR(sizes_octets_text(buf, 1), "1 KB");
        EXPECT_STR(sizes_octets_text(buf, MiB(1) - 1), "1024 KB");
        EXPECT_STR(sizes_octets_text(buf, MiB(196)), "196 MB");
        EXPECT_STR(sizes_octets_text(buf, GiB(5) / 2), "2.5 GB");
}
