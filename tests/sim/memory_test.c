/* SPDX-License-Identifier: MIT */
/* tests/sim/memory_test.c - Many connections, few buffers, and the same run twice */
#include "tests/sim/app.h"

#include <unistd.h>

/* Goal:   10,000 connections are opened, used and closed, several times over, and all memory comes back.
 * Method: two stacks, a link of 1 ms; each connection carries 100 octets each way.
 * Spec:   architecture 4. */
TEST(memory_10000_connections)
{
        enum { CONNS = 10000, ROUNDS = 2, AT_ONCE = 100 };
        static int fa[CONNS], fb[CONNS];
        struct shard_conf sc;
        struct sim *sim = sim_new(sim_seed(__func__, 1));

        sim_conf_default(&sc);
        sc.tcp.max_conns = sc.tcp.max_half = sc.tcp.max_wait = CONNS;
        sc.socks.max_socks = CONNS + 10;
        sc.pkts_small = 4096;
        struct sim_host *a = sim_host(sim, &sc), *b = sim_host(sim, &sc);
        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1) });
        int lfd = sim_listen_of(b, 80, 1000), warm[2];

        sim_pair(a, b, &warm[0], &warm[1]);             /* ARP is done: only few SYNs wait for an answer to it */
        EXPECT_EQ(sock_close(SOCKS_OF(a), warm[0]), 0);
        EXPECT_EQ(sock_close(SOCKS_OF(b), warm[1]), 0);
        sim_run(sim, SEC(200));
        for (int round = 0; round < ROUNDS; round++) {
                for (int n = 0; n < CONNS; n += AT_ONCE) {
                        for (int i = n; i < n + AT_ONCE; i++)
                                fa[i] = sim_connect(a, &b->addr, 80);
                        sim_run(sim, MS(5));
                        for (int i = n; i < n + AT_ONCE; i++) {
                                fb[i] = sim_accept(b, lfd);
                                EXPECT_GE(fb[i], 0);
                        }
                }
                struct tcp_usage use;
                tcp_usage(TCP_OF(a), &use);
                EXPECT_EQ(use.conns, CONNS);
                EXPECT_EQ(use.flights, 0);              /* idle ones hold nothing */
                EXPECT_EQ(use.recvqs, 0);
                EXPECT_EQ(a->shard.pool.small.used, 0);
                for (int n = 0; n < CONNS; n += AT_ONCE) {
                        for (int i = n; i < n + AT_ONCE; i++) {
                                EXPECT_EQ(sim_write(a, fa[i], 1, (uint64_t)i, 100), 100);
                                EXPECT_EQ(sim_write(b, fb[i], 2, (uint64_t)i, 100), 100);
                        }
                        sim_run(sim, MS(3));
                        /* accept() gives them in the order of their SYNs, which is the order of connect(). */
                        for (int i = n; i < n + AT_ONCE; i++) {
                                EXPECT_EQ(sim_read(a, fa[i], 2, (uint64_t)i, 1000), 100);
                                EXPECT_EQ(sim_read(b, fb[i], 1, (uint64_t)i, 1000), 100);
                        }
                }
                for (int i = 0; i < CONNS; i++) {
                        EXPECT_EQ(sock_close(SOCKS_OF(i & 1 ? a : b), i & 1 ? fa[i] : fb[i]), 0);
                        if (i % AT_ONCE == 0)
                                sim_run(sim, MS(5));
                }
                sim_run(sim, SEC(1));
                for (int i = 0; i < CONNS; i++)
                        EXPECT_EQ(sock_close(SOCKS_OF(i & 1 ? b : a), i & 1 ? fb[i] : fa[i]), 0);
                sim_run(sim, SEC(200));
                tcp_usage(TCP_OF(a), &use);
                EXPECT_EQ(use.conns, 0);
                EXPECT_EQ(use.waits, 0);
        }
        sim_free(sim);
}

/* Goal:   with hardly any packet buffers everything becomes slow and nothing stops: no deadlock, every octet right.
 * Method: pools of 32 to 64 buffers for eight connections that write and read as much as they can, both ways.
 * Spec:   architecture 12: running out is designed. */
TEST(memory_tiny_pools)
{
        enum { CALLS = 8 };
        uint64_t seed = sim_seed(__func__, 1);

        for (uint64_t run = 0; run < 10; run++) {
                struct shard_conf sc;
                struct sim *sim = sim_new(seed + run);
                struct call call[CALLS];
                sim_conf_default(&sc);
                sc.pkts_small = 32 + 4 * (uint32_t)run;
                sc.pkts_large = 1;
                struct sim_host *a = sim_host(sim, &sc), *b = sim_host(sim, &sc);
                sim_link(a, b, &(struct sim_link_conf){
                        .delay_ns = MS(1), .offload = run & 1 ? NETDEV_TX_CSUM | NETDEV_TSO : 0,
                });
                for (uint32_t i = 0; i < CALLS; i++) {
                        call_init(&call[i], sim_rnd(sim), a, b, (uint16_t)(1000 + i), sim_now(sim), 200000);
                        for (int k = 0; k < 2; k++)
                                call[i].app[k].end = APP_POLITE;
                        call[i].rude = false;
                }
                uint64_t end_ns = sim_now(sim) + SEC(3600);
                bool done = false;
                while (!done && sim_now(sim) < end_ns) {
                        uint64_t wake = end_ns;
                        done = true;
                        for (uint32_t i = 0; i < CALLS; i++) {
                                wake = u64_min(wake, call_step(&call[i], sim_now(sim)));
                                done &= call_is_done(&call[i]);
                        }
                        if (!done)
                                sim_step(sim, wake);
                }
                for (uint32_t i = 0; i < CALLS; i++) {
                        call_judge(&call[i]);
                        if (!call_is_done(&call[i]))
                                call_print(&call[i]);
                }
                sim_free(sim);
        }
}

/* Goal:   a connection that nobody reads cannot starve the others for ever.
 * Method: one peer sends to a socket that is never read, with a pool smaller than its receive buffer; then
 *         another connection must still get its octets across.
 * Spec:   architecture 12. */
TEST(memory_one_greedy_connection)
{
        struct shard_conf sc;
        struct sim *sim = sim_new(sim_seed(__func__, 1));

        sim_conf_default(&sc);
        sc.pkts_small = 128;
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, &sc);
        int greedy_a, greedy_b, fa, fb;
        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1) });
        sim_pair(a, b, &greedy_a, &greedy_b);
        sim_pair(a, b, &fa, &fb);
        for (int i = 0; i < 100; i++) {
                sim_write(a, greedy_a, 1, 0, 100000);
                sim_run(sim, MS(50));
        }
        sim_transfer(b, fb, a, fa, 20000, SEC(600));
        sim_transfer(a, fa, b, fb, 20000, SEC(600));
        sim_free(sim);
}

/* ---- replay ---- */

static void lossy_run(uint64_t seed, const char *path)
{
        struct sim *sim = sim_new(seed);
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        struct sim_link_conf lc = {
                .delay_ns = MS(5), .bits_per_s = 10000000, .queue_octets = 50000, .loss_ppm = 30000, .dup_ppm = 10000,
                .reorder_ppm = 50000, .reorder_ns = MS(10), .corrupt_ppm = 5000,
        };
        struct call call[4];
        bool done = false;

        sim_pcap(sim_link(a, b, &lc), path);
        for (uint32_t i = 0; i < 4; i++)
                call_init(&call[i], sim_rnd(sim), a, b, (uint16_t)(1000 + i), sim_now(sim), 100000);
        while (!done && sim_now(sim) < SEC(10000)) {
                uint64_t wake = SEC(10000);
                done = true;
                for (uint32_t i = 0; i < 4; i++) {
                        wake = u64_min(wake, call_step(&call[i], sim_now(sim)));
                        done &= call_is_done(&call[i]);
                }
                if (!done)
                        sim_step(sim, wake);
        }
        sim_free(sim);
}

static uint8_t *slurp(const char *path, size_t *len)
{
        FILE *f = fopen(path, "rb");
        REQUIRE(f != NULL);
        fseek(f, 0, SEEK_END);
        *len = (size_t)ftell(f);
        rewind(f);
        uint8_t *buf = malloc(*len);
        REQUIRE(buf && fread(buf, 1, *len, f) == *len);
        fclose(f);
        return buf;
}

/* Goal:   the same seed gives the same frames at the same times, octet for octet; another seed does not.
 * Method: a lossy run captured twice, and once with another seed; the files are compared.
 * Spec:   architecture 1: a run is its seed. */
TEST(memory_same_seed_same_capture)
{
        char path[3][64];
        uint8_t *file[3];
        size_t len[3];
        uint64_t seed = sim_seed(__func__, 7);

        for (int i = 0; i < 3; i++) {
                snprintf(path[i], sizeof path[i], "/tmp/millrace-sim-%d-%d.pcapng", (int)getpid(), i);
                lossy_run(i == 2 ? seed + 1 : seed, path[i]);
                file[i] = slurp(path[i], &len[i]);
                unlink(path[i]);
        }
        EXPECT_GT(len[0], 10000);
        EXPECT_EQ(len[0], len[1]);
        EXPECT(len[0] == len[1] && memcmp(file[0], file[1], len[0]) == 0);
        EXPECT(len[0] != len[2] || memcmp(file[0], file[2], len[0]) != 0);
        for (int i = 0; i < 3; i++)
                free(file[i]);
}

/* Goal:   what a device refuses for more than 50 ms is given up and counted, and TCP sends it again.
 * Method: a device that passes 4 KB/s and has room for one frame, and text for ten; every octet arrives, late.
 * Spec:   stack/shard.h, "when something runs out". */
TEST(memory_device_that_takes_nothing)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        int fa, fb;

        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ 0 });
        sim_pair(a, b, &fa, &fb);
        sim_lane_set(l, SIM_AB, &(struct sim_link_conf){ .bits_per_s = 32000, .queue_octets = 2000, .pushback = true });
        sim_transfer(a, fa, b, fb, 15000, SEC(300));
        EXPECT_GT(DROPS(a, TX_FULL), 0);
        EXPECT_GT(CNT(a, TCP_SEGS_RETRANS), 0);
        EXPECT_EQ(a->shard.ip.tx[0].cnt, 0);
        sim_free(sim);
}
