/* SPDX-License-Identifier: MIT */
/* Which queue a frame is for, and whether it comes there. */
#include "dev/steer_hash.h"
#include "base/rnd.h"
#include "tests/dev/dev_rig.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/ip_proto.h"

#include <poll.h>

enum { QUEUES = 3, OURS = 0x0a000001, THEIRS = 0x0a000002, OUR_PORT = 80 };

static const struct hash_key key = { { 11, 22 } };

static struct netdev_flow flow_from(uint16_t rport)
{
        return (struct netdev_flow){ ip_addr_v4(OURS), ip_addr_v4(THEIRS), OUR_PORT, rport };
}

static uint32_t put_eth(uint8_t *buf, uint16_t type, bool tagged)
{
        struct eth_hdr eth = { .type = type, .tagged = tagged, .vlan = tagged ? 7 : 0 };
        return eth_emit(buf, &eth);
}

static uint32_t put_ip4(uint8_t *buf, uint32_t src, uint32_t dst, uint8_t proto, uint16_t frag, uint32_t payload)
{
        memset(buf, 0, IP4_HDR_LEN);
        buf[0] = 0x45;
        be16_to(buf + 2, (uint16_t)(IP4_HDR_LEN + payload));
        be16_to(buf + 6, frag);
        buf[8] = 64;
        buf[9] = proto;
        be32_to(buf + 12, src);
        be32_to(buf + 16, dst);
        return IP4_HDR_LEN;
}

static uint32_t put_ports(uint8_t *buf, uint16_t from, uint16_t to)
{
        memset(buf, 0, 20);
        be16_to(buf, from);
        be16_to(buf + 2, to);
        return 20;
}

/* What a peer at @rport sends to us.  Returns octets. */
static uint32_t frame_of(uint8_t *buf, uint16_t rport, uint8_t proto, uint16_t frag, bool tagged)
{
        uint32_t len = put_eth(buf, ETH_TYPE_IP4, tagged);
        len += put_ip4(buf + len, THEIRS, OURS, proto, frag, 20);
        return len + put_ports(buf + len, rport, OUR_PORT);
}

static uint32_t frame_arp(uint8_t *buf, uint16_t op, uint32_t spa, uint32_t tpa)
{
        struct arp_pkt arp = { .op = op, .spa = ip_addr_v4(spa), .tpa = ip_addr_v4(tpa) };
        uint32_t len = put_eth(buf, ETH_TYPE_ARP, false);
        arp.sha.octet[5] = 9;
        return len + arp_emit(buf + len, &arp);
}

/* A router says that our segment to @rport did not get through. */
static uint32_t frame_error(uint8_t *buf, uint8_t type, uint16_t rport)
{
        uint32_t len = put_eth(buf, ETH_TYPE_IP4, false);
        len += put_ip4(buf + len, 0x0a0000fe, OURS, IP_PROTO_ICMP, 0, 8 + 20 + 20);
        memset(buf + len, 0, ICMP_HDR_LEN);
        buf[len] = type;
        len += ICMP_HDR_LEN;
        len += put_ip4(buf + len, OURS, THEIRS, IP_PROTO_TCP, 0, 20);
        return len + put_ports(buf + len, OUR_PORT, rport);
}

static uint32_t whose(const uint8_t *buf, uint32_t len) { return steer_of_frame(&key, QUEUES, buf, len); }

/* Goal:   a frame, tagged or not, goes where its flow does; flows spread evenly, and otherwise under another key.
 * Method: 30,000 ports.
 * Spec:   dev/steer_hash.h
 */
TEST(steer_frame_goes_with_its_flow)
{
        const struct hash_key other = { { 11, 23 } };
        uint32_t cnt[QUEUES] = { 0 }, same = 0;
        uint8_t buf[128];

        for (uint32_t port = 20000; port < 50000; port++) {
                struct netdev_flow flow = flow_from((uint16_t)port);
                uint32_t q = steer_of_flow(&key, QUEUES, &flow);
                REQUIRE(q < QUEUES);
                EXPECT_EQ(whose(buf, frame_of(buf, (uint16_t)port, IP_PROTO_TCP, 0, false)), q);
                EXPECT_EQ(whose(buf, frame_of(buf, (uint16_t)port, IP_PROTO_UDP, IP4_DF, true)), q);
                cnt[q]++;
                same += q == steer_of_flow(&other, QUEUES, &flow);
        }
        for (uint32_t q = 0; q < QUEUES; q++)
                EXPECT(cnt[q] > 9700 && cnt[q] < 10300);
        EXPECT(same > 9700 && same < 10300);
}

/* Goal:   IPv6 addresses count in full.
 * Method: flows that differ in one octet of an address.
 * Spec:   dev/steer_hash.h
 */
TEST(steer_ipv6_spreads)
{
        uint32_t cnt[QUEUES] = { 0 };
        for (uint32_t i = 0; i < 256; i++) {
                struct netdev_flow flow = { .lport = OUR_PORT, .rport = 1234 };
                flow.laddr.octet[0] = flow.raddr.octet[0] = 0x20;
                flow.raddr.octet[9] = (uint8_t)i;
                cnt[steer_of_flow(&key, QUEUES, &flow)]++;
        }
        for (uint32_t q = 0; q < QUEUES; q++)
                EXPECT_GT(cnt[q], 50);
}

/* Goal:   an ICMP error goes to the flow that it quotes; an echo request, and an error that quotes nothing, to queue 0.
 * Method: errors about 1,000 flows, with all but their last octets.
 * Spec:   dev/steer_hash.h; RFC 1122 3.2.2
 */
TEST(steer_icmp_goes_with_the_flow_it_quotes)
{
        uint8_t buf[128];

        for (uint16_t port = 20000; port < 21000; port++) {
                struct netdev_flow flow = flow_from(port);
                uint32_t q = steer_of_flow(&key, QUEUES, &flow);
                uint32_t len = frame_error(buf, ICMP_UNREACHABLE, port);
                EXPECT_EQ(whose(buf, len), q);
                EXPECT_EQ(whose(buf, len - 12), q);     /* 8 octets of TCP are quoted: enough */
                EXPECT_EQ(whose(buf, len - 13), 0);
                EXPECT_EQ(whose(buf, frame_error(buf, ICMP_ECHO_REQUEST, port)), 0);
        }
}

/* Goal:   what shards need each is for all, the rest for one.
 * Method: ARP replies, announcements, questions; fragments, other protocols; every prefix of a good frame, and noise.
 * Spec:   dev/steer_hash.h
 */
TEST(steer_arp_fragments_and_the_rest)
{
        uint8_t buf[128];
        struct rnd r;

        EXPECT_EQ(whose(buf, frame_arp(buf, ARP_REPLY, THEIRS, OURS)), STEER_ALL);
        EXPECT_EQ(whose(buf, frame_arp(buf, ARP_REQUEST, THEIRS, THEIRS)), STEER_ALL);
        EXPECT_EQ(whose(buf, frame_arp(buf, ARP_REQUEST, THEIRS, OURS)), 0);
        for (uint16_t port = 20000; port < 20100; port++) {
                EXPECT_EQ(whose(buf, frame_of(buf, port, IP_PROTO_TCP, IP4_MF, false)), 0);
                EXPECT_EQ(whose(buf, frame_of(buf, port, IP_PROTO_UDP, 100, false)), 0);
                EXPECT_EQ(whose(buf, frame_of(buf, port, 47, 0, false)), 0);
                frame_of(buf, port, IP_PROTO_TCP, 0, false);
                for (uint32_t len = 0; len < 14 + 20 + 4; len++)
                        EXPECT_EQ(whose(buf, len), 0);
        }
        rnd_seed(&r, 1);
        for (int i = 0; i < 100000; i++) {
                uint32_t len = rnd_below(&r, sizeof buf);
                for (uint32_t k = 0; k < len; k++)
                        buf[k] = (uint8_t)rnd_u64(&r);
                if (len > 14)
                        be16_to(buf + 12, i & 1 ? ETH_TYPE_IP4 : ETH_TYPE_ARP);
                uint32_t q = whose(buf, len);
                EXPECT(q < QUEUES || q == STEER_ALL);
        }
}

/* ---- the device ---- */

/* One steered end with QUEUES queues, each with a pool of its own, and one plain far end. */
struct steered {
        struct netdev      *dev;
        struct netdev_queue q[QUEUES];
        struct pkt_pool     pool[QUEUES];
        struct counters     counters[QUEUES];
        struct end          far;
};

static void steered_open(struct steered *s, uint32_t small)
{
        struct netdev_conf conf = {
                .queue_cnt = QUEUES, .offload = NETDEV_ALL_OFFLOADS, .seed = 7, .secret = key,
        };
        char err[400] = "";

        memset(s, 0, sizeof *s);
        REQUIRE(netdev_open(&s->dev, "steer:loop:steer", &conf, err, sizeof err) == 0);
        EXPECT_EQ(s->dev->caps.queue_cnt, QUEUES);
        EXPECT_EQ(s->dev->caps.spread, NETDEV_SPREAD_HASH);
        for (uint16_t i = 0; i < QUEUES; i++) {
                REQUIRE(pkt_pool_init(&s->pool[i], small, 32, false) == 0);
                REQUIRE(netdev_queue_open(&s->q[i], s->dev, i, &s->pool[i], &s->counters[i]) == 0);
        }
        REQUIRE(end_open(&s->far, "loop:steer", 0, NETDEV_ALL_OFFLOADS) == 0);
}

static void steered_close(struct steered *s)
{
        end_close(&s->far);
        for (uint16_t i = 0; i < QUEUES; i++) {
                test_saw(&s->counters[i]);
                netdev_queue_close(&s->q[i]);
                EXPECT_EQ(s->pool[i].small.used, 0);
                EXPECT_EQ(s->pool[i].large.used, 0);
                pkt_pool_fini(&s->pool[i]);
        }
        netdev_close(s->dev);
}

static void far_send(struct steered *s, const uint8_t *frame, uint32_t len, uint32_t marks)
{
        struct pkt *p = pkt_take(&s->far.pool, len);
        REQUIRE(p);
        memcpy(p->data, frame, len);
        p->len = len;
        p->marks = (uint16_t)marks;
        p->csum_start = 34;
        p->csum_offset = 16;
        if (marks & PKT_GSO)
                p->gso_size = 1000;
        REQUIRE(netdev_tx(&s->far.q, &p, 1, SEC(1)) == 1);
}

/* One frame of queue @i, or NULL; queue 0, which reads the device, has its turn first. */
static struct pkt *take(struct steered *s, uint16_t i)
{
        struct pkt *p = NULL;
        return netdev_rx(&s->q[i], &p, 1, SEC(1)) ? p : NULL;
}

/* Goal:   each queue gets the frames of its flows, as they were, in order, marks included; what is for all comes to all.
 * Method: 300 flows from the far end of a pair, three frames each, some unfinished; ARP replies in between.
 * Spec:   dev/steer.c
 */
TEST(steer_each_queue_gets_its_flows)
{
        static struct steered s;
        uint32_t got[QUEUES] = { 0 }, arps[QUEUES] = { 0 }, want[QUEUES] = { 0 };
        uint16_t last[QUEUES] = { 0 };
        uint8_t buf[2000];

        steered_open(&s, 4000);
        for (uint16_t port = 20000; port < 20300; port++) {
                struct netdev_flow flow = flow_from(port);
                for (int i = 0; i < 3; i++)
                        far_send(&s, buf, frame_of(buf, port, IP_PROTO_TCP, 0, false), i == 2 ? PKT_CSUM_PARTIAL : 0);
                want[netdev_queue_of(s.dev, &flow)] += 3;
                if (port % 100 == 0)
                        far_send(&s, buf, frame_arp(buf, ARP_REPLY, THEIRS, OURS), 0);
                struct pkt *pkts[64];
                for (uint16_t q = 0; q < QUEUES; q++) {
                        uint32_t cnt = netdev_rx(&s.q[q], pkts, 1 + port % 64, SEC(1));
                        for (uint32_t i = 0; i < cnt; i++) {
                                uint16_t from = be16_at(pkts[i]->data + 34);
                                if (be16_at(pkts[i]->data + 12) == ETH_TYPE_ARP) {
                                        arps[q]++;
                                } else {
                                        struct netdev_flow its = flow_from(from);
                                        EXPECT_EQ(netdev_queue_of(s.dev, &its), q);
                                        EXPECT_LE(last[q], from);
                                        EXPECT_EQ(pkts[i]->len, 74 - 20);
                                        EXPECT_EQ(!!(pkts[i]->marks & PKT_CSUM_PARTIAL), got[q] % 3 == 2);
                                        last[q] = from;
                                        got[q]++;
                                }
                                pkt_give(&s.pool[q], pkts[i]);
                        }
                }
        }
        for (int rounds = 0; rounds < 1000; rounds++)
                for (uint16_t q = 0; q < QUEUES; q++)
                        for (struct pkt *p; (p = take(&s, q));) {
                                got[q] += be16_at(p->data + 12) != ETH_TYPE_ARP;
                                arps[q] += be16_at(p->data + 12) == ETH_TYPE_ARP;
                                pkt_give(&s.pool[q], p);
                        }
        for (uint16_t q = 0; q < QUEUES; q++) {
                EXPECT_EQ(got[q], want[q]);
                EXPECT_EQ(arps[q], 3);
        }
        steered_close(&s);
}

/* Goal:   a super-segment and one whose checksum is known to be right come to another shard with their marks.
 * Method: a frame of 60,000 octets for a queue other than 0.
 * Spec:   dev/steer.c
 */
TEST(steer_large_frames_keep_their_marks)
{
        static struct steered s;
        static uint8_t buf[60000];
        uint16_t port = 20000;
        struct netdev_flow flow = flow_from(port);
        struct pkt *p;

        steered_open(&s, 200);
        while (netdev_queue_of(s.dev, &flow) != 2)
                flow = flow_from(++port);
        frame_of(buf, port, IP_PROTO_TCP, 0, false);
        for (uint32_t i = 60; i < sizeof buf; i++)
                buf[i] = (uint8_t)(i * 7);
        far_send(&s, buf, sizeof buf, PKT_CSUM_PARTIAL | PKT_GSO);
        EXPECT(!take(&s, 0));
        REQUIRE((p = take(&s, 2)));
        EXPECT_EQ(p->len, sizeof buf);
        EXPECT_EQ(p->marks, PKT_CSUM_PARTIAL | PKT_GSO);
        EXPECT_EQ(p->gso_size, 1000);
        EXPECT_MEM(p->data, buf, sizeof buf);
        pkt_give(&s.pool[2], p);
        steered_close(&s);
}

/* Goal:   a shard that does not read costs nobody more than its own frames: its ring is bounded, what is too much
 *         is counted, and it begins again where it left off.
 * Method: 40,000 frames for queue 1, which does not look, and some for queue 2.
 * Spec:   dev/steer.c; DROP_STEER_FULL
 */
TEST(steer_full_ring_drops)
{
        static struct steered s;
        uint16_t port[QUEUES] = { 0 };
        uint32_t sent = 0, got = 0;
        uint8_t buf[128];

        steered_open(&s, 4000);
        for (uint16_t p = 20000; p < 20100; p++) {
                struct netdev_flow flow = flow_from(p);
                port[netdev_queue_of(s.dev, &flow)] = p;
        }
        for (; sent < 40000; sent++) {
                far_send(&s, buf, frame_of(buf, port[1], IP_PROTO_TCP, 0, false), 0);
                EXPECT(!take(&s, 0));
        }
        EXPECT_GT(s.counters[0].drop[DROP_STEER_FULL], 10000);
        far_send(&s, buf, frame_of(buf, port[2], IP_PROTO_TCP, 0, false), 0);
        EXPECT(!take(&s, 0));
        struct pkt *p = take(&s, 2);
        REQUIRE(p);
        pkt_give(&s.pool[2], p);
        while ((p = take(&s, 1))) {
                got++;
                pkt_give(&s.pool[1], p);
        }
        EXPECT_EQ(got + s.counters[0].drop[DROP_STEER_FULL], sent);
        far_send(&s, buf, frame_of(buf, port[1], IP_PROTO_TCP, 0, false), 0);
        EXPECT(!take(&s, 0));
        REQUIRE((p = take(&s, 1)));
        pkt_give(&s.pool[1], p);
        steered_close(&s);
}

/* Goal:   a shard without a queue of the device sends by the one that has it; a device that is full loses nothing.
 * Method: frames sent on queue 2 until no more are taken, while queue 0 turns and the far end does not read; then it reads.
 * Spec:   dev/steer.c
 */
TEST(steer_sends_for_others)
{
        static struct steered s;
        uint32_t sent = 0, got = 0;
        struct pkt *p;

        steered_open(&s, 4000);
        for (int idle = 0; idle < 100;) {
                REQUIRE((p = pkt_take(&s.pool[2], 1000)));
                p->len = 1000;
                frame_fill(p->data, 1000, sent);
                bool took = netdev_tx(&s.q[2], &p, 1, SEC(1)) == 1;
                if (!took)
                        pkt_give(&s.pool[2], p);
                sent += took;
                idle = took ? 0 : idle + 1;
                EXPECT(!take(&s, 0));
        }
        EXPECT_GT(sent, 1500);
        EXPECT_LE(s.q[0].dev->ops->deadline(&s.q[0]), SEC(1) + MS(1));
        for (int none = 0; none < 10; none++) {
                EXPECT(!take(&s, 0));
                while ((p = end_recv(&s.far))) {
                        EXPECT_EQ(frame_number(p->data), got++);
                        pkt_give(&s.far.pool, p);
                        none = 0;
                        EXPECT(!take(&s, 0));
                }
        }
        EXPECT_EQ(got, sent);
        steered_close(&s);
}

/* Is a sleep on queue @i's descriptor over? */
static bool wakes(struct steered *s, uint16_t i)
{
        struct pollfd pfd = { s->dev->ops->fd(&s->q[i]), POLLIN, 0 };
        return poll(&pfd, 1, 0) == 1;
}

/* Goal:   who sleeps is woken by what is for him: the reader by the device and by others' frames to send, the
 *         others by the reader; and by nothing else.
 * Method: sleep_begin(), a frame, poll() of the descriptor.
 * Spec:   dev/netdev.h, fd(), sleep_begin()
 */
TEST(steer_wakes_sleepers)
{
        const struct netdev_ops *ops;
        static struct steered s;
        uint16_t port = 20000;
        struct netdev_flow flow = flow_from(port);
        uint8_t buf[128];
        struct pkt *p;

        steered_open(&s, 200);
        ops = s.dev->ops;
        while (netdev_queue_of(s.dev, &flow) != 1)
                flow = flow_from(++port);
        for (int round = 0; round < 3; round++) {
                for (uint16_t i = 0; i < QUEUES; i++)
                        EXPECT(ops->sleep_begin(&s.q[i]) && !wakes(&s, i));
                far_send(&s, buf, frame_of(buf, port, IP_PROTO_TCP, 0, false), 0);
                EXPECT(wakes(&s, 0) && !wakes(&s, 1));
                ops->sleep_end(&s.q[0]);
                EXPECT(!take(&s, 0));
                EXPECT(wakes(&s, 1) && !wakes(&s, 2));
                ops->sleep_end(&s.q[1]);
                EXPECT(!ops->sleep_begin(&s.q[1]));     /* there is one */
                ops->sleep_end(&s.q[1]);
                REQUIRE((p = take(&s, 1)));
                EXPECT(ops->sleep_begin(&s.q[0]) && !wakes(&s, 0));
                EXPECT_EQ(netdev_tx(&s.q[1], &p, 1, SEC(1)), 1);
                EXPECT(wakes(&s, 0));
                for (uint16_t i = 0; i < QUEUES; i += 2)
                        ops->sleep_end(&s.q[i]);
                EXPECT(!take(&s, 0));
                REQUIRE(netdev_rx(&s.far.q, &p, 1, SEC(1)) == 1);
                pkt_give(&s.far.pool, p);
        }
        steered_close(&s);
}
