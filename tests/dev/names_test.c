/* SPDX-License-Identifier: MIT */
#include "dev/fault_conf.h"
#include "tests/dev/dev_rig.h"

#include <errno.h>

static const struct {
        const char *name;
        int         rc;
        const char *says;               /* a part of the line */
} bad[] = {
        { "",                        -EINVAL, "is not a device" },
        { "mr0",                     -EINVAL, "write KIND:NAME" },
        { ":x",                      -EINVAL, "is not a device" },
        { "TAP:x",                   -EINVAL, "is not a device" },
        { "foo:x",                   -EINVAL, "there is no foo:, kinds are tap:, shm:, loop:, null:, pcap:, fault:" },
        { "null:x",                  -EINVAL, "takes no name" },
        { "tap:",                    -EINVAL, "try tap:mr0" },
        { "tap:a/b",                 -EINVAL, "try tap:mr0" },
        { "tap:0123456789abcdef",    -ENAMETOOLONG, "at most 15" },
        { "shm:",                    -EINVAL, "1 to 40" },
        { "shm:../etc/passwd",       -EINVAL, "1 to 40" },
        { "shm:.x",                  -EINVAL, "1 to 40" },
        { "shm:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EINVAL, "1 to 40" },
        { "loop:a b",                -EINVAL, "1 to 40" },
        { "pcap:x.pcapng",           -EINVAL, "names no device" },
        { "pcap:loop:",              -EINVAL, "names no file" },
        { "pcap:,loop:",             -EINVAL, "names no file" },
        { "pcap:/nowhere/x,loop:",   -ENOENT, "/nowhere/x" },
        { "pcap:/nowhere/x,foo:",    -EINVAL, "there is no foo:" },
        { "fault:loss=1%",           -EINVAL, "names no device" },
        { "fault:los=1%,loop:",      -EINVAL, "unknown key \"los\"" },
        { "fault:loss,loop:",        -EINVAL, "loss= is not possible" },
        { "fault:loss=,loop:",       -EINVAL, "0% to 100%" },
        { "fault:loss=101%,loop:",   -EINVAL, "0% to 100%" },
        { "fault:loss=-1%,loop:",    -EINVAL, "0% to 100%" },
        { "fault:loss=1%%,loop:",    -EINVAL, "0% to 100%" },
        { "fault:loss=1.2.3%,loop:", -EINVAL, "0% to 100%" },
        { "fault:loss=.%,loop:",     -EINVAL, "0% to 100%" },
        { "fault:delay=20,loop:",    -EINVAL, "with its unit" },
        { "fault:delay=61s,loop:",   -EINVAL, "up to 60s" },
        { "fault:rate=10,loop:",     -EINVAL, "as in 10mbit" },
        { "fault:rate=999bit,loop:", -EINVAL, "1kbit to" },
        { "fault:queue=0,loop:",     -EINVAL, "1 to 65536" },
        { "fault:dir=up,loop:",      -EINVAL, "rx, tx or both" },
        { "fault:dir=1rx,loop:",     -EINVAL, "rx, tx or both" },
        { "fault:seed=x,loop:",      -EINVAL, "a whole number" },
        { "fault:seed=184467440737095516160000,loop:", -EINVAL, "a whole number" },
        { "fault:,loss=1%,loop:",    -EINVAL, "unknown key \"\"" },
        { "fault:loss=1%,tap:0123456789abcdef", -ENAMETOOLONG, "at most 15" },
};

/* Goal:   a wrong name gives one line that says what is wrong and what to do.
 * Method: a table of wrong names.
 * Spec:   dev/netdev.h, netdev_open()
 */
TEST(names_that_are_wrong_say_so)
{
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct netdev_conf conf = { .queue_cnt = 1 };
                struct netdev *dev = NULL;
                char err[400] = "";

                test_note("%s", bad[i].name);
                EXPECT_EQ(netdev_open(&dev, bad[i].name, &conf, err, sizeof err), bad[i].rc);
                EXPECT(dev == NULL);
                if (!strstr(err, bad[i].says))
                        test_fail(__FILE__, __LINE__, "\"%s\" says \"%s\", not \"%s\"", bad[i].name, err, bad[i].says);
                EXPECT(strchr(err, '\n') == NULL);
                EXPECT_EQ(netdev_open(&dev, bad[i].name, &conf, NULL, 0), bad[i].rc);
        }
}

/* Goal:   sizes out of range and endless names are refused.
 * Method: MTU and queues below and above; a decorator nested until the name is too long.
 * Spec:   RFC 791 3.2 (68 octets)
 */
TEST(names_with_bad_sizes)
{
        static const struct { uint32_t mtu; uint16_t queue_cnt; int rc; } try[] = {
                { 67, 1, -EINVAL }, { 68, 1, 0 }, { 65535, 1, 0 }, { 65536, 1, -EINVAL },
                { 0, 1, 0 }, { 0, 0, -EINVAL }, { 0, 257, -EINVAL },
        };
        struct netdev *dev;
        char err[400], deep[4000] = "";

        for (size_t i = 0; i < ARRAY_LEN(try); i++) {
                struct netdev_conf conf = { .mtu = try[i].mtu, .queue_cnt = try[i].queue_cnt };
                int rc = netdev_open(&dev, "loop:", &conf, err, sizeof err);
                EXPECT_EQ(rc, try[i].rc);
                if (rc == 0)
                        netdev_close(dev);
        }
        struct netdev_conf conf = { .queue_cnt = 1 };
        for (int i = 0; i < 500; i++)
                strcat(deep, "fault:,");
        strcat(deep, "loop:");
        EXPECT_EQ(netdev_open(&dev, deep, &conf, err, sizeof err), -EINVAL);
}

/* Goal:   good values mean what they say.
 * Method: parse and read the fields.
 * Spec:   docs/devices.md
 */
TEST(names_fault_values)
{
        static const char text[] = "loss=0.1%,dup=2,reorder=0.0001%,corrupt=100%,delay=1.5ms,jitter=20us,rate=2.5gbit,"
                                   "queue=7,seed=18446744073709551615,dir=tx";
        struct fault_conf c = { 0 };
        char err[200];

        REQUIRE(fault_conf_parse(&c, text, strlen(text), err, sizeof err) == 0);
        EXPECT_EQ(c.loss_ppm, 1000);
        EXPECT_EQ(c.dup_ppm, 20000);
        EXPECT_EQ(c.reorder_ppm, 1);
        EXPECT_EQ(c.corrupt_ppm, 1000000);
        EXPECT_EQ(c.delay_ns, 1500000);
        EXPECT_EQ(c.jitter_ns, 20000);
        EXPECT_EQ(c.rate_bps, 2500000000);
        EXPECT_EQ(c.queue_pkts, 7);
        EXPECT(c.seed == UINT64_MAX);
        EXPECT_EQ(c.dirs, FAULT_TX);
}

/* Goal:   a made-up MAC address is a station's, the same for the same seed and name, else another.
 * Method: open and compare.
 * Spec:   IEEE 802 8.2 (U/L and I/G bits)
 */
TEST(names_mac_addresses)
{
        struct netdev_conf conf = { .queue_cnt = 1, .seed = 1 }, other = { .queue_cnt = 1, .seed = 2 };
        struct netdev_conf given = { .queue_cnt = 1, .mac = { { 2, 3, 4, 5, 6, 7 } } };
        struct netdev *a, *b, *c, *d, *e;
        char err[200];

        REQUIRE(netdev_open(&a, "loop:", &conf, err, sizeof err) == 0);
        REQUIRE(netdev_open(&b, "loop:", &conf, err, sizeof err) == 0);
        REQUIRE(netdev_open(&c, "loop:", &other, err, sizeof err) == 0);
        REQUIRE(netdev_open(&d, "loop:x", &conf, err, sizeof err) == 0);
        REQUIRE(netdev_open(&e, "loop:x", &conf, err, sizeof err) == 0);
        EXPECT(mac_eq(&a->caps.mac, &b->caps.mac));
        EXPECT(!mac_eq(&a->caps.mac, &c->caps.mac));
        EXPECT(!mac_eq(&d->caps.mac, &e->caps.mac));
        EXPECT_EQ(a->caps.mac.octet[0] & 3, 2);
        netdev_close(a);
        netdev_close(b);
        netdev_close(c);
        netdev_close(d);
        netdev_close(e);

        REQUIRE(netdev_open(&a, "loop:", &given, err, sizeof err) == 0);
        EXPECT(mac_eq(&a->caps.mac, &given.mac));
        netdev_close(a);
}
