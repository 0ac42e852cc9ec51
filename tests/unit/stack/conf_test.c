/* SPDX-License-Identifier: MIT */
#include "stack/conf.h"
#include "base/units.h"
#include "pkt/pkt.h"
#include "stack/conf_priv.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct mr_conf conf;
static char           err[256];

static int set(const char *name, const char *value) { return mr_conf_set(&conf, name, value, err, sizeof err); }

/* Goal:   every option takes its own default as text and has it in its range.
 * Method: walk the table; print the default, parse it, compare.
 */
TEST(conf_defaults_can_be_typed)
{
        for (uint32_t i = 0; i < conf_option_cnt; i++) {
                const struct conf_option *o = &conf_options[i];
                char text[CONF_VALUE_TEXT_MAX];
                struct conf_why why = { "" };
                uint64_t value = 0;

                if (o->kind == OPT_KIND_LIST)
                        continue;
                int rc = conf_value_parse(o, conf_value_text(text, o, o->dflt), &value, &why);
                if (rc < 0)
                        test_fail(__FILE__, __LINE__, "%s = %s: %s", o->name, text, why.text);
                EXPECT(value == o->dflt);
                if (o->width < 8)
                        EXPECT(o->max < 1ull << (8 * o->width));
        }
}

/* Goal: units mean what they say, for counts (k is 1000), sizes (k is 1024) and times. */
TEST(conf_units)
{
        mr_conf_default(&conf);
        EXPECT_EQ(set("max_conns", "10k"), 0);
        EXPECT_EQ(conf.max_conns, 10000);
        EXPECT_EQ(set("max-conns", "2M"), 0);
        EXPECT_EQ(conf.max_conns, 2000000);
        EXPECT_EQ(set("mem_packets", "1G"), 0);
        EXPECT_EQ(conf.mem_packets, 1u << 30);
        EXPECT_EQ(set("tcp_rcvbuf", "64k"), 0);
        EXPECT_EQ(conf.tcp_rcvbuf, 65536);
        EXPECT_EQ(set("tcp_rto_min", "10ms"), 0);
        EXPECT_EQ(conf.tcp_rto_min_ns, MS(10));
        EXPECT_EQ(set("tcp_keepidle", "30s"), 0);
        EXPECT_EQ(conf.tcp_keepidle_ns, SEC(30));
        EXPECT_EQ(set("spin", "0"), 0);
        EXPECT_EQ(conf.spin_ns, 0);
        EXPECT_EQ(set("tcp_timestamps", "off"), 0);
        EXPECT(!conf.tcp_timestamps);
        EXPECT_EQ(set("idle", "spin"), 0);
        EXPECT_EQ(conf.idle, MR_IDLE_SPIN);
        EXPECT_EQ(set("seed", "18446744073709551615"), 0);
        EXPECT(conf.seed == UINT64_MAX);
}

/* Goal:   a wrong value changes nothing and the message names input, cause and cure.
 * Method: one of each kind of mistake, with the exact line expected.
 */
TEST(conf_mistakes_are_told_in_one_line)
{
        static const struct {
                const char *name, *value, *line;
        } cases[] = {
                { "max_cons", "5", "max_cons: no such option; did you mean max_conns?" },
                { "xyzzy", "5", "xyzzy: no such option; docs/configuration.md lists them" },
                { "max_conns", "ten", "max_conns = ten: not a number; write it like 10000, 10k, 2M" },
                { "max_conns", "-1", "max_conns = -1: not a number; write it like 10000, 10k, 2M" },
                { "max_conns", " 7", "max_conns =  7: not a number; write it like 10000, 10k, 2M" },
                { "max_listeners", "0", "max_listeners = 0: out of range; give 1 to 65536" },
                { "max_conns", "10q", "max_conns = 10q: unknown unit \"q\"; write it like 10000, 10k, 2M" },
                { "seed", "99999999999999999999", "seed = 99999999999999999999: too large; write it like 10000, 10k, 2M" },
                { "seed", "18446744073709551615k",
                  "seed = 18446744073709551615k: too large; write it like 10000, 10k, 2M" },
                { "tcp_rto_min", "200", "tcp_rto_min = 200: unit is missing; write it like 50us, 200ms, 2s" },
                { "tcp_delack", "1s", "tcp_delack = 1s: out of range; give 0 to 499ms" },
                { "tcp_timestamps", "maybe", "tcp_timestamps = maybe: is yes or no" },
                { "idle", "doze", "idle = doze: is one of sleep|spin" },
                { "addr", "10.77.0.2/24", "addr = 10.77.0.2/24: belongs to a device; name one first, like dev tap:mr0" },
                { "dev", "mr0", "dev = mr0: a device is named SCHEME:REST, like tap:mr0 or loop:" },
                { "gateway", "router", "gateway = router: gateway router is not an IPv4 address; write it like 10.77.0.1" },
        };

        mr_conf_default(&conf);
        struct mr_conf before = conf;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                EXPECT_LT(set(cases[i].name, cases[i].value), 0);
                EXPECT_STR(err, cases[i].line);
        }
        EXPECT_MEM(&conf, &before, sizeof conf);
}

/* Goal: addresses that can't be a host's, and networks with host bits, are refused with the reason. */
TEST(conf_addresses_are_checked)
{
        mr_conf_default(&conf);
        set("dev", "null:");
        EXPECT_LT(set("addr", "10.77.0.2"), 0);
        EXPECT_STR(err, "addr = 10.77.0.2: 10.77.0.2: the length is missing; write it like 10.77.0.2/24");
        EXPECT_LT(set("addr", "10.77.0.2/33"), 0);
        EXPECT_LT(set("addr", "10.77.0/24"), 0);
        EXPECT_LT(set("addr", "10.77.0.0/24"), 0);
        EXPECT_LT(set("addr", "10.77.0.255/24"), 0);
        EXPECT_LT(set("addr", "224.0.0.1/24"), 0);
        EXPECT_LT(set("addr", "127.0.0.1/8"), 0);
        EXPECT_LT(set("addr", "0.0.0.0/0"), 0);
        EXPECT_LT(set("addr", "2001:db8::1/64"), 0);
        EXPECT_LT(set("addr", ""), 0);
        EXPECT_LT(set("local", "10.64.0.1/16"), 0);
        EXPECT_EQ(conf.ifaces[0].addr_cnt + conf.ifaces[0].local_cnt, 0);
        EXPECT_EQ(set("addr", "10.77.0.2/24,10.78.0.1/31, 10.79.0.9/32"), 0);
        EXPECT_EQ(set("local", "10.64.0.0/16"), 0);
        EXPECT_EQ(conf.ifaces[0].addr_cnt, 3);
        EXPECT_EQ(conf.ifaces[0].local_cnt, 1);
        EXPECT_EQ(conf.ifaces[0].locals[0].len, IP_V4_PREFIX_BITS + 16);
}

/* Goal: lists end where their room does. */
TEST(conf_lists_are_bounded)
{
        mr_conf_default(&conf);
        for (int i = 0; i < MR_IFACE_MAX; i++)
                EXPECT_EQ(set("dev", "null:"), 0);
        EXPECT_EQ(set("dev", "null:"), -ENOSPC);
        for (int i = 0; i < MR_ADDR_MAX; i++)
                EXPECT_EQ(set("addr", "10.77.0.2/24"), 0);
        EXPECT_EQ(set("addr", "10.77.0.2/24"), -ENOSPC);
        for (int i = 0; i < MR_LOCAL_MAX; i++)
                EXPECT_EQ(set("local", "10.64.0.0/16"), 0);
        EXPECT_EQ(set("local", "10.64.0.0/16"), -ENOSPC);
        for (int i = 0; i < MR_ROUTE_MAX; i++) {
                char route[40];
                snprintf(route, sizeof route, "10.%d.0.0/16,10.77.0.1", i);
                EXPECT_EQ(set("route", route), 0);
        }
        EXPECT_EQ(set("route", "10.200.0.0/16,10.77.0.1"), -ENOSPC);
        EXPECT_EQ(set("route", "10.3.0.0/16,10.77.0.9"), 0);
        EXPECT_EQ(conf.routes[3].gateway[15], 9);
}

/* Goal: options that contradict each other are refused; what is derived is filled in. */
TEST(conf_resolve_checks_and_derives)
{
        mr_conf_default(&conf);
        EXPECT_LT(conf_resolve(&conf, err, sizeof err), 0);
        EXPECT_STR(err, "no device; name one, like --dev tap:mr0 --addr 10.77.0.2/24");
        set("dev", "tap:mr0");
        EXPECT_LT(conf_resolve(&conf, err, sizeof err), 0);
        EXPECT_STR(err, "tap:mr0 has no address; give it one, like --addr 10.77.0.2/24");
        set("addr", "10.77.0.2/24");
        set("gateway", "10.78.0.1");
        EXPECT_LT(conf_resolve(&conf, err, sizeof err), 0);
        EXPECT_STR(err, "gateway 10.78.0.1 is on no network of ours; give a device an address in its network");
        set("gateway", "10.77.0.1");
        EXPECT_EQ(conf.route_cnt, 1);
        set("tcp_port_min", "61000");
        EXPECT_LT(conf_resolve(&conf, err, sizeof err), 0);
        set("tcp_port_min", "1024");
        REQUIRE(conf_resolve(&conf, err, sizeof err) == 0);
        EXPECT_EQ(conf.max_half, 250000);
        EXPECT_EQ(conf.max_wait, 1000000);
        EXPECT_EQ(conf.pkts_small, (128u << 20) / PKT_SMALL_SIZE);
        EXPECT_GT(conf.pkts_large, 1900);
        set("dev", "tap:mr1");
        set("addr", "10.77.0.2/24");
        EXPECT_LT(conf_resolve(&conf, err, sizeof err), 0);
        EXPECT_STR(err, "tap:mr1: address 10.77.0.2 is given twice; give it once");
}

static char path[64];

static void write_file(const char *text)
{
        strcpy(path, "/tmp/mr-conf-XXXXXX");
        int fd = mkstemp(path);
        REQUIRE(fd >= 0);
        REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
}

static int read_file(const char *text)
{
        write_file(text);
        mr_conf_default(&conf);
        int rc = mr_conf_file(&conf, path, err, sizeof err);
        unlink(path);
        return rc;
}

/* Goal: a file with devices, even one without an entry and one with a long name, is understood. */
TEST(conf_file_is_read)
{
        REQUIRE(read_file("# a comment\n[stack]\nmax_conns = 10k   ; inline\ngateway=10.77.0.1\n\n"
                          "[iface loop:]\n"
                          "[iface fault:loss=1%,delay=20ms,pcap:/tmp/a-rather-long-name.pcapng,tap:mr0]\n"
                          "addr = 10.77.0.2/24\nmtu = 9000\nvlan = 7\n[stack]\nidle = spin\n") == 0);
        EXPECT_EQ(conf.max_conns, 10000);
        EXPECT_EQ(conf.idle, MR_IDLE_SPIN);
        EXPECT_EQ(conf.iface_cnt, 2);
        EXPECT_STR(conf.ifaces[0].dev, "loop:");
        EXPECT_STR(conf.ifaces[1].dev, "fault:loss=1%,delay=20ms,pcap:/tmp/a-rather-long-name.pcapng,tap:mr0");
        EXPECT_EQ(conf.ifaces[1].addr_cnt, 1);
        EXPECT_EQ(conf.ifaces[1].mtu, 9000);
        EXPECT_EQ(conf.ifaces[1].vlan, 7);
}

static const char *after_path(void) { return err + strlen(path); }

/* Goal: a mistake in a file is told with its line; the first one counts. */
TEST(conf_file_mistakes_name_the_line)
{
        EXPECT_LT(read_file("[stack]\n\nmax_cons = 5\nidle = doze\n"), 0);
        EXPECT_STR(after_path(), " line 3: max_cons: no such option; did you mean max_conns?");
        EXPECT_LT(read_file("max_conns = 5\n"), 0);
        EXPECT_STR(after_path(), " line 1: max_conns stands before any section; begin with [stack]");
        EXPECT_LT(read_file("[stack]\nmtu = 1500\n"), 0);
        EXPECT_STR(after_path(), " line 2: mtu is of a device; put it under [iface DEVICE]");
        EXPECT_LT(read_file("[iface tap:mr0]\nseed = 1\n"), 0);
        EXPECT_STR(after_path(), " line 2: seed is not of a device; put it under [stack]");
        EXPECT_LT(read_file("[stack]\n[tcp]\n"), 0);
        EXPECT_STR(after_path(), " line 2: no such section [tcp]; there are [stack] and [iface DEVICE]");
        EXPECT_LT(read_file("[iface mr0]\n"), 0);
        EXPECT_LT(read_file("[stack]\nwhat is this\n"), 0);
        EXPECT_STR(after_path(), " line 2: not understood; write `name = value` or [section]");

        char longer[600];
        memset(longer, 'x', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        EXPECT_LT(read_file(longer), 0);
        EXPECT(strstr(err, "line 1: longer than") != NULL);

        EXPECT_EQ(mr_conf_file(&conf, "/nonexistent/mr.ini", err, sizeof err), -ENOENT);
        EXPECT_STR(err, "/nonexistent/mr.ini: No such file or directory; give --conf a file that can be read");
}

/* Goal:   flags over environment over file over defaults; devices of a stronger source
 *         replace those of a weaker one; what is not ours stays in argv.
 */
TEST(conf_precedence)
{
        char *argv[] = { (char[]){ "prog" }, (char[]){ "--port" }, (char[]){ "80" }, (char[]){ "--conf" }, path,
                         (char[]){ "--max-conns=30" }, (char[]){ "--dev" }, (char[]){ "tap:c" }, (char[]){ "--addr" },
                         (char[]){ "10.77.0.2/24" }, (char[]){ "word" }, (char[]){ "--" }, (char[]){ "--seed" }, NULL };
        int argc = ARRAY_LEN(argv) - 1;

        write_file("[stack]\nmax_conns = 10\ntcp_retries2 = 10\nmax_listeners = 10\n[iface tap:a]\naddr = 10.1.0.1/24\n");
        setenv("MILLRACE_MAX_CONNS", "20", 1);
        setenv("MILLRACE_TCP_RETRIES2", "20", 1);
        setenv("MILLRACE_DEV", "tap:b", 1);
        setenv("MILLRACE_SOMEBODY_ELSES", "x", 1);
        mr_conf_default(&conf);
        int rc = mr_conf_args(&conf, &argc, argv, err, sizeof err);
        unlink(path);
        if (rc < 0)
                test_note("%s", err);
        REQUIRE(rc == 0);
        EXPECT_EQ(conf.max_conns, 30);
        EXPECT_EQ(conf.tcp_retries2, 20);
        EXPECT_EQ(conf.max_listeners, 10);
        EXPECT_EQ(conf.iface_cnt, 1);
        EXPECT_STR(conf.ifaces[0].dev, "tap:c");
        EXPECT_EQ(argc, 6);
        EXPECT_STR(argv[1], "--port");
        EXPECT_STR(argv[3], "word");
        EXPECT_STR(argv[4], "--");
        EXPECT(argv[6] == NULL);
}

/* Goal: mistakes in flags and in the environment are named as they were typed. */
TEST(conf_flag_and_env_mistakes)
{
        char *bad_value[] = { (char[]){ "prog" }, (char[]){ "--max-conns" }, (char[]){ "many" }, NULL };
        char *no_value[] = { (char[]){ "prog" }, (char[]){ "--max-conns" }, NULL };
        int argc = 3;

        mr_conf_default(&conf);
        EXPECT_LT(mr_conf_args(&conf, &argc, bad_value, err, sizeof err), 0);
        EXPECT_STR(err, "--max-conns many: not a number; write it like 10000, 10k, 2M");
        argc = 2;
        EXPECT_LT(mr_conf_args(&conf, &argc, no_value, err, sizeof err), 0);
        EXPECT_STR(err, "--max-conns: its value is missing; write --max-conns VALUE");
        setenv("MILLRACE_MAX_CONS", "5", 1);
        EXPECT_LT(mr_conf_env(&conf, err, sizeof err), 0);
        EXPECT_STR(err, "MILLRACE_MAX_CONS: no such option; did you mean MILLRACE_MAX_CONNS?");
        unsetenv("MILLRACE_MAX_CONS");
        setenv("MILLRACE_IDLE", "doze", 1);
        EXPECT_LT(mr_conf_env(&conf, err, sizeof err), 0);
        EXPECT_STR(err, "MILLRACE_IDLE=doze: is one of sleep|spin");
}
