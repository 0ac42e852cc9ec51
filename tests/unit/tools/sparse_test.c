/* SPDX-License-Identifier: MIT */
/* The client that remembers nothing, against a server made by hand at the other end of the wire */
#include "tests/test.h"
#include "tools/sparse.h"

#include "base/rnd.h"
#include "base/units.h"
#include "dev/netdev.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ip4.h"
#include "wire/tcp.h"

enum { SERVER_ISN = 0xfffffff0u, CONNS = 40000 };     /* the server's numbers wrap soon; more than one client address */

static const struct mac_addr server_mac = { { 2, 0, 0, 0, 0, 9 } };

struct rig {
        struct sparse       *sparse;
        struct netdev       *dev;
        struct netdev_queue  queue;
        struct pkt_pool      pool;
        struct counters      counters;
        uint64_t             now_ns;
};

/* What the client said last. */
struct said {
        struct eth_hdr eth;
        struct ip4_hdr ip;
        struct tcp_seg seg;
        uint8_t        text[2048];
        uint32_t       len;
};

static void send_frame(struct rig *r, const uint8_t *frame, uint32_t len)
{
        struct pkt *p = pkt_take(&r->pool, len);

        REQUIRE(p);
        memcpy(p->data, frame, len);
        p->len = len;
        REQUIRE(netdev_tx(&r->queue, &p, 1, r->now_ns) == 1);
}

static void send_arp(struct rig *r)
{
        struct eth_hdr eth = { .dst = MAC_BROADCAST, .src = server_mac, .type = ETH_TYPE_ARP };
        struct arp_pkt arp = {
                .op = ARP_REPLY, .sha = server_mac, .spa = ip_addr_v4(0x0a400001), .tpa = ip_addr_v4(0x0a400002),
        };
        uint8_t frame[64];
        uint32_t len = eth_emit(frame, &eth);
        send_frame(r, frame, len + arp_emit(frame + len, &arp));
}

static void turn(struct rig *r)
{
        r->now_ns += MS(1);
        sparse_turn(r->sparse, r->now_ns);
}

/* The next TCP segment of the client, its checksums verified; false: it says nothing. */
static bool hear(struct rig *r, struct said *s)
{
        struct pkt *p;

        while (netdev_rx(&r->queue, &p, 1, r->now_ns) == 1) {
                REQUIRE(eth_parse(&s->eth, p->data, p->len) == DROP_NONE);
                const uint8_t *ip = p->data + s->eth.hdr_len, *tcp = ip + IP4_HDR_LEN;
                if (s->eth.type != ETH_TYPE_IP4) {
                        pkt_give(&r->pool, p);
                        continue;
                }
                REQUIRE(ip4_parse(&s->ip, ip, p->len - s->eth.hdr_len) == DROP_NONE);
                uint32_t len = (uint32_t)s->ip.total_len - s->ip.hdr_len;
                EXPECT_EQ(csum_transport(&s->ip.src, &s->ip.dst, IP_PROTO_TCP, tcp, len), CSUM_RIGHT);
                REQUIRE(tcp_parse(&s->seg, tcp, len) == DROP_NONE);
                s->len = len - s->seg.hdr_len;
                memcpy(s->text, tcp + s->seg.hdr_len, s->len);
                pkt_give(&r->pool, p);
                return true;
        }
        return false;
}

/* Write the server's answer to @to as a frame; returns its length. */
static uint32_t make_answer(uint8_t *frame, const struct said *to, uint8_t flags, uint32_t seq, uint32_t ack,
                            const uint8_t *text, uint32_t len)
{
        struct eth_hdr eth = { .dst = to->eth.src, .src = server_mac, .type = ETH_TYPE_IP4 };
        struct tcp_seg seg = {
                .src_port = to->seg.dst_port, .dst_port = to->seg.src_port, .seq = seq_of(seq), .ack = seq_of(ack),
                .flags = flags, .window = 1000, .has = TCP_HAS_TS, .ts_val = 77, .ts_ecr = to->seg.ts_val,
        };
        struct ip4_hdr ip = { .src = to->ip.dst, .dst = to->ip.src, .proto = IP_PROTO_TCP, .ttl = 64 };
        uint8_t *tcp = frame + ETH_HDR_LEN + IP4_HDR_LEN;
        uint32_t tcp_len = tcp_emit(tcp, &seg) + len;

        eth_emit(frame, &eth);
        ip.total_len = (uint16_t)(IP4_HDR_LEN + tcp_len);
        ip4_emit(frame + ETH_HDR_LEN, &ip);
        if (len)
                memcpy(tcp + tcp_len - len, text, len);
        csum_store(tcp + TCP_CSUM_OFFSET, (uint16_t)~csum_transport(&ip.src, &ip.dst, IP_PROTO_TCP, tcp, tcp_len));
        return ETH_HDR_LEN + ip.total_len;
}

static void answer(struct rig *r, const struct said *to, uint8_t flags, uint32_t seq, uint32_t ack, const uint8_t *text,
                   uint32_t len)
{
        uint8_t frame[2048];
        send_frame(r, frame, make_answer(frame, to, flags, seq, ack, text, len));
        turn(r);
}

static struct sparse_counts counts(const struct rig *r)
{
        struct sparse_counts n;
        sparse_counts(r->sparse, &n);
        return n;
}

static void begin(struct rig *r)
{
        struct netdev_conf nc = { .queue_cnt = 1 };     /* no offloads: checksums are all written */
        struct sparse_conf conf;
        char err[256];

        *r = (struct rig){ .now_ns = SEC(1) };
        REQUIRE(pkt_pool_init(&r->pool, 256, 4, false) == 0);
        REQUIRE(netdev_open(&r->dev, "loop:sparse-test", &nc, err, sizeof err) == 0);
        REQUIRE(netdev_queue_open(&r->queue, r->dev, 0, &r->pool, &r->counters) == 0);
        sparse_conf_default(&conf);
        conf.dev = "loop:sparse-test";
        conf.conns = CONNS;
        r->sparse = sparse_open(&conf, err, sizeof err);
        REQUIRE(r->sparse);
        turn(r);
        send_arp(r);
        turn(r);
}

static void end(struct rig *r)
{
        EXPECT_EQ(sparse_pkts_used(r->sparse), 0);
        sparse_close(r->sparse);
        EXPECT_EQ(r->pool.small.used + r->pool.large.used, 0);
        netdev_queue_close(&r->queue);
        netdev_close(r->dev);
        pkt_pool_fini(&r->pool);
}

/* Connect number 0, whose SYN is asked for; returns its ISN. */
static uint32_t connected(struct rig *r, struct said *s)
{
        REQUIRE(hear(r, s));
        EXPECT_EQ(s->seg.flags, TCP_SYN);
        EXPECT_EQ(s->seg.has & (TCP_HAS_MSS | TCP_HAS_TS), TCP_HAS_MSS | TCP_HAS_TS);
        uint32_t isn = s->seg.seq.raw;
        EXPECT(!sparse_done(r->sparse));
        answer(r, s, TCP_SYN | TCP_ACK, SERVER_ISN, isn + 1, NULL, 0);
        REQUIRE(hear(r, s));
        EXPECT_EQ(s->seg.flags, TCP_ACK);
        EXPECT_EQ(s->seg.seq.raw, isn + 1);
        EXPECT_EQ(s->seg.ack.raw, SERVER_ISN + 1);
        EXPECT_EQ(s->seg.ts_ecr, 77);
        EXPECT(sparse_done(r->sparse));
        EXPECT_EQ(counts(r).connected, 1);
        return isn;
}

static uint32_t connect_first(struct rig *r, struct said *s)
{
        sparse_phase(r->sparse, SPARSE_CONNECT, 1, 0, 0);
        turn(r);
        return connected(r, s);
}

TEST(sparse_says_all_of_a_conversation)
{
        /* Goal:   connect, poke, two pieces of a message, FIN: each with the right numbers and checksums.
         * Method: the other end of the wire answers as an echo would; the message is longer than a segment.
         * Spec:   RFC 9293 3.5, 3.8.4 (the probe), 3.6 */
        struct rig r;
        struct said s;
        enum { MSG = SPARSE_PIECE_MAX + 10 };

        begin(&r);
        uint32_t isn = connect_first(&r, &s);
        sparse_phase(r.sparse, SPARSE_TALK, 1, MSG, 0);
        turn(&r);
        REQUIRE(hear(&r, &s));
        EXPECT_EQ(s.seg.seq.raw, isn);                  /* the poke: one old octet */
        EXPECT_EQ(s.len, 1);
        answer(&r, &s, TCP_ACK, SERVER_ISN + 1, isn + 1, NULL, 0);
        uint32_t at = 0;
        for (uint32_t piece = SPARSE_PIECE_MAX; piece; piece = MSG - at) {
                REQUIRE(hear(&r, &s));
                EXPECT_EQ(s.seg.seq.raw, isn + 1 + at);
                EXPECT_EQ(s.seg.ack.raw, SERVER_ISN + 1 + at);
                REQUIRE(s.len == piece);
                answer(&r, &s, TCP_ACK, SERVER_ISN + 1 + at, isn + 1 + at + piece, s.text, piece);
                at += piece;
        }
        REQUIRE(hear(&r, &s));
        EXPECT_EQ(s.seg.ack.raw, SERVER_ISN + 1 + MSG);
        EXPECT_EQ(s.len, 0);
        EXPECT(sparse_done(r.sparse));
        struct sparse_counts n = counts(&r);
        EXPECT_EQ(n.answered, 1);
        EXPECT_EQ(n.octets, MSG);
        EXPECT_EQ(n.wrong + n.odd + n.stray, 0);

        sparse_phase(r.sparse, SPARSE_CLOSE, 1, 0, 0);
        turn(&r);
        REQUIRE(hear(&r, &s));
        answer(&r, &s, TCP_ACK, SERVER_ISN + 1 + MSG, isn + 1 + MSG, NULL, 0);
        REQUIRE(hear(&r, &s));
        EXPECT_EQ(s.seg.flags, TCP_FIN | TCP_ACK);
        EXPECT_EQ(s.seg.seq.raw, isn + 1 + MSG);
        answer(&r, &s, TCP_FIN | TCP_ACK, SERVER_ISN + 1 + MSG, isn + 2 + MSG, NULL, 0);
        REQUIRE(hear(&r, &s));
        EXPECT_EQ(s.seg.flags, TCP_ACK);
        EXPECT_EQ(s.seg.ack.raw, SERVER_ISN + 2 + MSG);
        EXPECT(sparse_done(r.sparse));
        EXPECT_EQ(counts(&r).closed, 1);
        EXPECT(!hear(&r, &s));
        end(&r);
}

TEST(sparse_counts_wrong_octets)
{
        /* Goal:   an echo that is not what was sent is told, octet by octet, and one of too much text is odd.
         * Method: three octets of an echo are changed; then an echo of more than was ever sent.
         * Spec:   sparse.h */
        struct rig r;
        struct said s;
        uint8_t zero[200] = { 0 };

        begin(&r);
        uint32_t isn = connect_first(&r, &s);
        sparse_phase(r.sparse, SPARSE_TALK, 1, 100, 0);
        turn(&r);
        REQUIRE(hear(&r, &s));
        answer(&r, &s, TCP_ACK, SERVER_ISN + 1, isn + 1, NULL, 0);
        REQUIRE(hear(&r, &s) && s.len == 100);
        s.text[0] ^= 1;
        s.text[50] ^= 0x80;
        s.text[99] ^= 0xff;
        answer(&r, &s, TCP_ACK, SERVER_ISN + 1, isn + 101, s.text, 100);
        EXPECT_EQ(counts(&r).wrong, 3);
        while (hear(&r, &s))
                continue;
        answer(&r, &s, TCP_ACK, SERVER_ISN + 101, isn + 101, zero, 200);
        EXPECT_EQ(counts(&r).odd, 1);
        EXPECT(!hear(&r, &s));
        end(&r);
}

TEST(sparse_says_again_what_was_not_heard)
{
        /* Goal:   a SYN without an answer is sent again, an echo sent again is acknowledged again and counted
         *         once, and a reset ends the wait.
         * Method: virtual time passes SPARSE_RETRY_NS; the echo comes twice; the next message is reset.
         * Spec:   RFC 9293 3.8.1, 3.10.7.4 */
        struct rig r;
        struct said s, again;

        begin(&r);
        sparse_phase(r.sparse, SPARSE_CONNECT, 1, 0, 0);
        turn(&r);
        REQUIRE(hear(&r, &s));
        turn(&r);
        EXPECT(!hear(&r, &again));
        r.now_ns += SPARSE_RETRY_NS;
        turn(&r);
        uint32_t isn = connected(&r, &again);
        EXPECT_EQ(isn, s.seg.seq.raw);
        EXPECT_EQ(counts(&r).retried, 1);

        sparse_phase(r.sparse, SPARSE_TALK, 1, 10, 0);
        turn(&r);
        REQUIRE(hear(&r, &s));
        r.now_ns += SPARSE_RETRY_NS;
        turn(&r);
        REQUIRE(hear(&r, &s));
        EXPECT_EQ(s.seg.seq.raw, isn);                  /* the poke again */
        EXPECT_EQ(counts(&r).retried, 2);
        answer(&r, &s, TCP_ACK, SERVER_ISN + 1, isn + 1, NULL, 0);
        REQUIRE(hear(&r, &s) && s.len == 10);
        for (int i = 0; i < 2; i++) {
                answer(&r, &s, TCP_ACK, SERVER_ISN + 1, isn + 11, s.text, 10);
                REQUIRE(hear(&r, &again));
                EXPECT_EQ(again.seg.ack.raw, SERVER_ISN + 11);
        }
        EXPECT_EQ(counts(&r).answered, 1);

        sparse_phase(r.sparse, SPARSE_TALK, 1, 10, 0);
        turn(&r);
        REQUIRE(hear(&r, &s));
        EXPECT(!sparse_done(r.sparse));
        answer(&r, &s, TCP_RST, SERVER_ISN + 11, 0, NULL, 0);
        answer(&r, &s, TCP_RST, SERVER_ISN + 11, 0, NULL, 0);
        EXPECT_EQ(counts(&r).reset, 1);
        EXPECT_EQ(counts(&r).late, 1);
        EXPECT(sparse_done(r.sparse));
        end(&r);
}

TEST(sparse_numbers_are_tuples)
{
        /* Goal:   40,000 connections are 40,000 tuples, of more than one address, in whatever order.
         * Method: SYNs of all are taken from the wire and their tuples marked; none is answered.
         * Spec:   sparse.h */
        static uint8_t seen[2 * SPARSE_PORTS];
        struct rig r;
        struct said s;
        uint32_t cnt = 0;

        begin(&r);
        sparse_phase(r.sparse, SPARSE_CONNECT, CONNS, 0, 0);
        for (int i = 0; i < 2000; i++) {
                turn(&r);
                while (hear(&r, &s)) {
                        uint32_t nr = (ip_addr_to_v4(&s.ip.src) - 0x0a800000u) * SPARSE_PORTS + s.seg.src_port - 32768u;
                        REQUIRE(nr < CONNS);
                        cnt += !seen[nr];
                        seen[nr] = 1;
                        answer(&r, &s, TCP_RST | TCP_ACK, 0, s.seg.seq.raw + 1, NULL, 0);
                }
        }
        EXPECT_EQ(cnt, CONNS);
        EXPECT_EQ(counts(&r).reset, CONNS);
        EXPECT(sparse_done(r.sparse));
        end(&r);
}

TEST(sparse_survives_any_frame)
{
        /* Goal:   whatever comes is answered or counted, and no packet is lost.
         * Method: good answers with some octets changed at random, cut at random places, and pure noise.
         * Spec:   sparse.h */
        struct rig r;
        struct said s, drain;
        struct rnd rnd;
        uint8_t frame[2048];

        rnd_seed(&rnd, 4711);
        begin(&r);
        uint32_t isn = connect_first(&r, &s);
        sparse_phase(r.sparse, SPARSE_TALK_ON, 1, 64, 0);
        turn(&r);
        for (int i = 0; i < 20000; i++) {
                uint32_t len = make_answer(frame, &s, (uint8_t)rnd_u64(&rnd), (uint32_t)rnd_u64(&rnd),
                                           isn + 1 + rnd_below(&rnd, 200), s.text, rnd_below(&rnd, 100));
                for (uint32_t n = rnd_below(&rnd, 4); n > 0; n--)
                        frame[rnd_below(&rnd, len)] = (uint8_t)rnd_u64(&rnd);
                if (rnd_below(&rnd, 4) == 0)
                        len = 1 + rnd_below(&rnd, len);
                send_frame(&r, frame, len);
                turn(&r);
                struct pkt *p;
                while (netdev_rx(&r.queue, &p, 1, r.now_ns) == 1)
                        pkt_give(&r.pool, p);
        }
        struct sparse_counts n = counts(&r);
        EXPECT_GT(n.stray, 1000);
        EXPECT_GT(n.wrong, 1000);
        EXPECT_GT(n.reset + n.late, 1000);
        EXPECT(!hear(&r, &drain));
        end(&r);
}
