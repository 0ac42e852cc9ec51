/* SPDX-License-Identifier: MIT */
/* One contract, run against every back-end: the comment of struct netdev_ops.
 *
 * To hold a device of your own to it:  DEV=yours:args build/dev_contract contract_of_DEV
 */
#include "tests/dev/dev_rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Every size, both ways, one after the other. */
static void check_sizes(struct rig *r)
{
        uint32_t max = r->near.dev->caps.mtu + 14, number = 0;

        for (uint32_t len = FRAME_LEN_MIN; len <= max; len += len < 200 || len > max - 20 ? 1 : 37) {
                EXPECT(end_send(&r->near, len, number));
                rig_far_expect(r, len, number++);
                rig_far_send(r, len, number);
                end_expect(&r->near, len, number++);
        }
}

/* Bursts of many sizes: order is kept, and no call gives more than asked for. */
static void check_bursts(struct rig *r)
{
        static const uint32_t sizes[] = { 1, 2, 7, 31, 32, 33, 64, 200 };
        uint32_t number = 0;

        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
                struct pkt *pkts[200];
                uint32_t cnt = sizes[s];

                for (uint32_t i = 0; i < cnt; i++)
                        pkts[i] = end_frame(&r->near, 60 + i * 7, number + i);
                EXPECT_EQ(netdev_tx(&r->near.q, pkts, cnt, r->near.now_ns), cnt);
                for (uint32_t i = 0; i < cnt; i++)
                        rig_far_expect(r, 60 + i * 7, number + i);

                for (uint32_t i = 0; i < cnt; i++)
                        rig_far_send(r, 60 + i * 7, number + i);
                for (uint32_t got = 0, tries = 0; got < cnt && tries < 1000; tries++) {
                        uint32_t max = sizes[(s + tries) % ARRAY_LEN(sizes)];
                        memset(pkts, 0, sizeof pkts);
                        uint32_t n = netdev_rx(&r->near.q, pkts, max, r->near.now_ns += US(1));
                        REQUIRE(n <= max);
                        for (uint32_t i = 0; i < n; i++) {
                                if (frame_is_ours(pkts[i]->data, pkts[i]->len)) {
                                        EXPECT_EQ(frame_number(pkts[i]->data), number + got);
                                        got++;
                                }
                                pkt_give(&r->near.pool, pkts[i]);
                        }
                        if (tries == 999)
                                EXPECT_EQ(got, cnt);
                }
                number += cnt;
        }
}

/* Send until the device takes no more; what it did not take is still ours,
 * what it took arrives, and then it takes again. */
static void check_full(struct rig *r)
{
        enum { BURST = 32, ENOUGH = 60000 };
        struct pkt *pkts[BURST];
        uint32_t sent = 0, n = BURST;

        while (n == BURST && sent < ENOUGH) {
                for (uint32_t i = 0; i < BURST; i++) {
                        pkts[i] = end_frame(&r->near, 1000, sent + i);
                        pkts[i]->seq = 0xabcd0000 + i;
                }
                n = netdev_tx(&r->near.q, pkts, BURST, r->near.now_ns);
                REQUIRE(n <= BURST);
                for (uint32_t i = n; i < BURST; i++) {
                        EXPECT_EQ(pkts[i]->seq, 0xabcd0000 + i);
                        EXPECT(frame_ok(pkts[i]->data, 1000, sent + i));
                        pkt_give(&r->near.pool, pkts[i]);
                }
                sent += n;
                if (r->far_kind == FAR_KERNEL && rig_far_drain(r) != n)
                        EXPECT(!"the kernel got what was taken");
        }
        if (r->far_kind == FAR_NONE || r->far_kind == FAR_KERNEL) {
                EXPECT(sent >= ENOUGH);
                return;
        }
        EXPECT(sent >= 500);
        EXPECT(sent < ENOUGH);
        for (uint32_t i = 0; i < sent; i++) {
                rig_far_expect(r, 1000, i);
                if (i % 64 == 0) {              /* decorators that hold frames send them now */
                        uint32_t none = netdev_tx(&r->near.q, pkts, 0, r->near.now_ns);
                        EXPECT_EQ(none, 0);
                }
        }
        EXPECT(end_send(&r->near, 100, 1));
        rig_far_expect(r, 100, 1);
}

/* With no packet to be had, frames are dropped and counted; then all is as before. */
static void check_pool_empty(struct rig *r)
{
        struct pkt_list taken = { 0 };

        if (r->far_kind == FAR_SELF)            /* reflects the packet itself: needs none */
                return;
        for (struct pkt *p; (p = pkt_take(&r->near.pool, 0));)
                pkt_list_push(&taken, p);
        for (uint32_t i = 0; i < 10; i++)
                rig_far_send(r, 100, i);
        EXPECT(end_recv(&r->near) == NULL);
        EXPECT_GE(r->near.counters.drop[DROP_NO_PKT], 10);
        pkt_list_give(&r->near.pool, &taken);
        rig_far_send(r, 100, 11);
        end_expect(&r->near, 100, 11);
}

static void *send_soon(void *arg)
{
        struct rig *r = arg;
        poll(NULL, 0, 30);
        rig_far_send(r, 100, 77);
        return NULL;
}

static bool sleep_begin(struct end *e)
{
        const struct netdev_ops *ops = e->dev->ops;
        return !ops->sleep_begin || ops->sleep_begin(&e->q);
}

static void sleep_end(struct end *e)
{
        if (e->dev->ops->sleep_end)
                e->dev->ops->sleep_end(&e->q);
}

/* A sleeper is woken, twice in a row; one that has frames does not sleep. */
static void check_wake(struct rig *r)
{
        struct end *e = &r->near;
        struct pollfd pfd = { e->dev->ops->fd(&e->q), POLLIN, 0 };

        REQUIRE(pfd.fd >= 0);
        end_drain(e);
        for (int round = 0; round < 2; round++) {
                pthread_t thread;
                bool helped = r->far_kind != FAR_SELF && r->far_kind != FAR_NONE;

                EXPECT(sleep_begin(e));
                EXPECT_EQ(poll(&pfd, 1, 0), 0);
                if (helped)
                        REQUIRE(pthread_create(&thread, NULL, send_soon, r) == 0);
                if (helped)
                        EXPECT_EQ(poll(&pfd, 1, 2000), 1);
                sleep_end(e);
                if (helped) {
                        pthread_join(thread, NULL);
                        end_expect(e, 100, 77);
                }
        }
        if (r->far_kind == FAR_NONE)
                return;
        rig_far_send(r, 100, 78);
        bool slept = sleep_begin(e);
        EXPECT(!slept || poll(&pfd, 1, 0) == 1);
        sleep_end(e);
        end_expect(e, 100, 78);
}

/* 64 KB super-segments pass whole, with their marks. */
static void check_gso(const char *name, enum far_kind far_kind)
{
        struct rig rig;

        rig_open(&rig, name, far_kind, 0, NETDEV_ALL_OFFLOADS);
        if (rig.near.dev->caps.offload & NETDEV_TSO && far_kind != FAR_NONE && far_kind != FAR_KERNEL) {
                struct end *from = &rig.near, *to = far_kind == FAR_END ? &rig.far : &rig.near;
                EXPECT(to->dev->caps.offload & NETDEV_LRO);
                for (int i = 0; i < 50; i++) {
                        struct pkt *p = pkt_take(&from->pool, 65549), *got = NULL;
                        REQUIRE(p);
                        p->len = frame_tcp(p->data, 65495);
                        p->marks = PKT_CSUM_PARTIAL | PKT_GSO;
                        p->gso_size = 1448;
                        p->csum_start = 34;
                        p->csum_offset = 16;
                        REQUIRE(netdev_tx(&from->q, &p, 1, from->now_ns) == 1);
                        REQUIRE(netdev_rx(&to->q, &got, 1, to->now_ns) == 1);
                        EXPECT_EQ(got->len, 65549);
                        EXPECT_EQ(got->marks, PKT_CSUM_PARTIAL | PKT_GSO);
                        EXPECT_EQ(got->gso_size, 1448);
                        EXPECT_EQ(got->csum_start, 34);
                        EXPECT_EQ(got->csum_offset, 16);
                        uint8_t want[65549];
                        frame_tcp(want, 65495);
                        EXPECT_MEM(got->data, want, sizeof want);
                        pkt_give(&to->pool, got);
                }
        }
        rig_close(&rig);
}

/* Frames on their way when everything is closed are given back. */
static void check_close_in_flight(const char *name, enum far_kind far_kind)
{
        struct rig rig;

        rig_open(&rig, name, far_kind, 0, 0);
        for (uint32_t i = 0; i < 100; i++) {
                end_send(&rig.near, 200, i);
                if (far_kind != FAR_NONE)
                        rig_far_send(&rig, 200, i);
        }
        rig_close(&rig);        /* expects full pools */
}

static void check_jumbo(const char *name, enum far_kind far_kind)
{
        struct rig rig;

        rig_open(&rig, name, far_kind, 9000, 0);
        EXPECT_EQ(rig.near.dev->caps.mtu, 9000);
        if (far_kind != FAR_NONE) {
                for (uint32_t len = 1400; len < 9014; len += 101) {
                        EXPECT(end_send(&rig.near, len, len));
                        rig_far_expect(&rig, len, len);
                        rig_far_send(&rig, len, len);
                        end_expect(&rig.near, len, len);
                }
        }
        rig_close(&rig);
}

static void contract(const char *name, enum far_kind far_kind)
{
        struct rig rig;

        rig_open(&rig, name, far_kind, 0, 0);
        EXPECT_EQ(rig.near.dev->caps.mtu, 1500);
        EXPECT_GE(rig.near.dev->caps.queue_cnt, 1);
        EXPECT_GE(rig.near.dev->caps.burst_best, 1);
        EXPECT_EQ(rig.near.dev->caps.offload, 0);
        EXPECT_EQ(rig.near.dev->caps.mac.octet[0] & 3, 2);
        EXPECT_STR(rig.near.dev->name, name);
        if (far_kind != FAR_NONE) {
                check_sizes(&rig);
                check_bursts(&rig);
                check_pool_empty(&rig);
        }
        check_wake(&rig);
        check_full(&rig);
        rig_close(&rig);

        if (far_kind != FAR_KERNEL) {           /* a namespace each: the others are in tap_test.c */
                check_gso(name, far_kind);
                check_close_in_flight(name, far_kind);
                check_jumbo(name, far_kind);
        }
}

/* Goal:   every back-end keeps the contract of struct netdev_ops, bare and behind a decorator.
 * Method: frames of all sizes and bursts both ways; a full device; an empty pool; a sleeper;
 *         super-segments; closing with frames on their way.  Pools are full again at the end.
 * Spec:   dev/netdev.h
 */
static char pcap_name[160];

static const char *in_pcap(const char *device)
{
        char path[96];
        snprintf(pcap_name, sizeof pcap_name, "pcap:%s,%s", temp_path(path, sizeof path, "contract.pcapng"), device);
        return pcap_name;
}

static const char *shm_name(char *buf, const char *prefix)
{
        sprintf(buf, "%sshm:test-%d", prefix, (int)getpid());
        return buf;
}

TEST(contract_null)       { contract("null:", FAR_NONE); }
TEST(contract_loop)       { contract("loop:", FAR_SELF); }
TEST(contract_loop_pair)  { contract("loop:pair", FAR_END); }
TEST(contract_shm)        { char name[64]; contract(shm_name(name, ""), FAR_END); }
TEST(contract_tap)        { contract("tap:mrtest0", FAR_KERNEL); }

TEST(contract_fault_null) { contract("fault:null:", FAR_NONE); }
TEST(contract_fault_loop) { contract("fault:loss=0%,loop:", FAR_SELF); }
TEST(contract_fault_loop_pair) { contract("fault:loop:pair", FAR_END); }
TEST(contract_fault_shm)  { char name[64]; contract(shm_name(name, "fault:loss=0,"), FAR_END); }
TEST(contract_fault_tap)  { contract("fault:tap:mrtest0", FAR_KERNEL); }

TEST(contract_pcap_null)  { contract(in_pcap("null:"), FAR_NONE); }
TEST(contract_pcap_loop)  { contract(in_pcap("loop:"), FAR_SELF); }
TEST(contract_pcap_tap)   { contract(in_pcap("tap:mrtest0"), FAR_KERNEL); }
TEST(contract_pcap_fault_loop) { contract(in_pcap("fault:loop:"), FAR_SELF); }

TEST(contract_steer_loop) { contract("steer:loop:", FAR_SELF); }
TEST(contract_steer_loop_pair) { contract("steer:loop:pair", FAR_END); }
TEST(contract_steer_shm)  { char name[64]; contract(shm_name(name, "steer:"), FAR_END); }
TEST(contract_steer_tap)  { contract("steer:tap:mrtest0", FAR_KERNEL); }

TEST(contract_of_DEV)
{
        const char *name = getenv("DEV");
        struct end a, b;

        if (!name)
                test_skip("set DEV=kind:name to hold a device to the contract");
        /* What is at its other end?  Send a frame and look where it comes out. */
        enum far_kind far_kind = FAR_NONE;
        REQUIRE(end_open(&a, name, 0, 0) == 0);
        bool twice = end_open(&b, name, 0, 0) == 0;
        EXPECT(end_send(&a, 100, 1));
        if (end_drain(&a))
                far_kind = FAR_SELF;
        if (twice && end_drain(&b))
                far_kind = FAR_END;
        if (twice)
                end_close(&b);
        end_close(&a);
        contract(name, far_kind);
}
