/* SPDX-License-Identifier: MIT */
#include "stack/conf.h"
#include "stack/conf_priv.h"
#include "tests/test.h"

#include <errno.h>

static struct mr_conf conf;
static char           err[256];

static int set(const char *name, const char *value) { return mr_conf_set(&conf, name, value, err, sizeof err); }

static void begin(void)
{
        mr_conf_default(&conf);
        REQUIRE(set("dev", "loop:") == 0 && set("addr", "10.0.0.1/24") == 0);
}

/* Goal:   cores are numbers and ranges, the last list counts, and nonsense is told with its cure.
 * Method: lists that are right and lists that are not.
 * Spec:   docs/configuration.md, cpus
 */
TEST(conf_cpus)
{
        static const char *const wrong[] = { "", "x", "1,", ",1", "1-", "-1", "3-1", "1--2", "1,,2", "0-128", "65536", "1 2", "0x1" };

        begin();
        EXPECT_EQ(set("cpus", "0-3,6"), 0);
        EXPECT_EQ(conf.cpu_cnt, 5);
        EXPECT_EQ(conf.cpus[3], 3);
        EXPECT_EQ(conf.cpus[4], 6);
        EXPECT_EQ(set("cpus", "7,5"), 0);
        EXPECT_EQ(conf.cpu_cnt, 2);
        EXPECT_EQ(conf.cpus[0], 7);
        EXPECT_EQ(set("cpus", "0-127"), 0);
        EXPECT_EQ(conf.cpu_cnt, 128);
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
                EXPECT_EQ(set("cpus", wrong[i]), -EINVAL);
                EXPECT(strstr(err, "cores"));
        }
        EXPECT_EQ(conf.cpu_cnt, 128);                   /* a wrong one changes nothing */
}

/* Goal:   shards follow cpus or the cores there are, and what cannot be is told.
 * Method: shards 0 with and without cpus; fewer cpus than shards; fewer connections than shards.
 * Spec:   docs/configuration.md, shards
 */
TEST(conf_shards)
{
        begin();
        EXPECT_EQ(conf.shards, 1);
        EXPECT_EQ(set("shards", "0"), 0);
        EXPECT_EQ(conf_resolve(&conf, err, sizeof err), 0);
        EXPECT_GE(conf.shards, 1);
        begin();
        EXPECT_EQ(set("shards", "0"), 0);
        EXPECT_EQ(set("cpus", "0-4"), 0);
        EXPECT_EQ(conf_resolve(&conf, err, sizeof err), 0);
        EXPECT_EQ(conf.shards, 5);
        begin();
        EXPECT_EQ(set("shards", "3"), 0);
        EXPECT_EQ(set("cpus", "0,1"), 0);
        EXPECT_EQ(conf_resolve(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "2 cores for 3 shards"));
        begin();
        EXPECT_EQ(set("shards", "8"), 0);
        EXPECT_EQ(set("max_conns", "7"), 0);
        EXPECT_EQ(conf_resolve(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "max_conns"));
        EXPECT_EQ(set("shards", "129"), -EINVAL);
}

/* Goal:   shares of all shards are together as much as was asked for, or a little more.
 * Method: some numbers.
 * Spec:   stack/conf.h, conf_share()
 */
TEST(conf_shares)
{
        begin();
        for (conf.shards = 1; conf.shards < 20; conf.shards++)
                for (uint32_t n = 1; n < 200; n++) {
                        uint32_t share = conf_share(&conf, n, 1);
                        EXPECT(share * conf.shards >= n && share * conf.shards < n + conf.shards);
                        EXPECT(conf_share(&conf, n, 50) == (share > 50 ? share : 50));
                }
}

/* Goal:   the same TAP interface twice is found behind decorators as well.
 * Method: steer: and pcap: in front; another interface is no mistake.
 * Spec:   stack/conf.c, check_taps()
 */
TEST(conf_taps_behind_decorators)
{
        static const char *const twice[][2] = {
                { "tap:mr0", "steer:tap:mr0" }, { "steer:tap:mr0", "pcap:x,tap:mr0" }, { "fault:tap:mr0", "steer:fault:tap:mr0" },
        };

        for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++) {
                mr_conf_default(&conf);
                for (int k = 0; k < 2; k++)
                        REQUIRE(set("dev", twice[i][k]) == 0 && set("addr", k ? "10.1.0.1/24" : "10.0.0.1/24") == 0);
                EXPECT_EQ(conf_resolve(&conf, err, sizeof err), -EINVAL);
                EXPECT(strstr(err, "given twice"));
        }
        mr_conf_default(&conf);
        REQUIRE(set("dev", "steer:tap:mr0") == 0 && set("addr", "10.0.0.1/24") == 0);
        REQUIRE(set("dev", "steer:tap:mr1") == 0 && set("addr", "10.1.0.1/24") == 0);
        EXPECT_EQ(conf_resolve(&conf, err, sizeof err), 0);
}
