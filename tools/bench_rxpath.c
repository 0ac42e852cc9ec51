/* SPDX-License-Identifier: MIT */
/* tools/bench_rxpath.c - `millrace bench rxpath`: TSC cycles a received segment
 *
 * A shard is built directly, on a device of this file's own.  Its rx_burst()
 * hands over frames made beforehand, and reads the time stamp counter as the
 * last thing it does; the time ends when shard_rx() returns.  By then each
 * segment has gone from frame to queued data, its socket is on the epoll
 * instance's ready list, and its ACK is queued or its delay has begun.
 *
 * The peers keep 16 octets a connection and no more.  A peer's address, port
 * and first sequence number follow from its number; what the stack chose (its
 * sequence numbers and timestamps) is read from the SYN-ACK.  Every connection
 * is set up by a real handshake, accepted and registered with epoll.
 *
 * One round: frames for 32 connections chosen at random are built; shard_rx()
 * is timed; then, not timed, epoll_wait() tells who is readable, everything is
 * read, and what the stack sends is swallowed.  The frames are in the core's
 * cache when the time begins, as a device's DMA leaves them in the last one.
 */
#include "base/rnd.h"
#include "stack/conf.h"
#include "stack/shard.h"
#include "tools/bench.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ip4.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
        BURST = 32,
        OCTETS = 64,                    /* of data in a segment */
        PORT = 7000,
        PEERS_AN_ADDR = 50000,
        PEER_PORT_MIN = 1024,
        WARM_ROUNDS = 2000,
};

#define OUR_ADDR    0x0a000001u         /* 10.0.0.1 */
#define ROUTER_ADDR 0x0a000002u         /* 10.0.0.2, through which the peers are reached */
#define PEER_ADDR   0x0b000000u         /* the first of them */

static const struct mac_addr our_mac = { { 2, 0, 0, 0, 0, 1 } }, router_mac = { { 2, 0, 0, 0, 0, 2 } };

/* What a peer must remember. */
struct peer {
        uint32_t seq, ack, ts_ecr;
        uint32_t spare;
};

struct rig {
        struct shard  shard;
        struct netdev dev;
        struct pkt   *ready[2 * BURST];         /* for the next rx_burst() */
        uint32_t      ready_cnt;
        uint64_t      began;                    /* the time stamp when rx_burst() last handed over something */
        struct peer  *peer;
        uint32_t      peer_cnt;
        uint32_t      syn_acks;                 /* seen since last asked */
        int           listener, ep;
        bool          csum;                     /* the stack verifies the TCP checksum */
        struct rnd    rnd;
        uint64_t      octets_sent, octets_read;
};

/* ---- frames ---- */

static struct pkt *take(struct rig *r, uint32_t len)
{
        struct pkt *p = pkt_take(&r->shard.pool, len);
        if (!p)
                cmd_die("no packet buffer is free; give more with --mem-packets");
        p->marks = 0;
        p->gso_size = 0;
        return p;
}

static void hand_over(struct rig *r, struct pkt *p)
{
        if (r->ready_cnt == ARRAY_LEN(r->ready))
                cmd_die("more frames than the device has room for");
        r->ready[r->ready_cnt++] = p;
}

static uint32_t peer_addr(uint32_t n) { return PEER_ADDR + 1 + n / PEERS_AN_ADDR; }
static uint16_t peer_port(uint32_t n) { return (uint16_t)(PEER_PORT_MIN + n % PEERS_AN_ADDR); }
static uint32_t peer_isn(uint32_t n) { return n * 2654435761u; }

static uint32_t ts_now(const struct rig *r) { return (uint32_t)(r->shard.now_ns / MS(1)) + 1; }

/* A segment of peer @n, with @len octets of data. */
static struct pkt *segment(struct rig *r, uint32_t n, uint8_t flags, uint32_t len)
{
        struct peer *peer = &r->peer[n];
        struct tcp_seg seg = {
                .src_port = peer_port(n), .dst_port = PORT, .seq = seq_of(peer->seq), .ack = seq_of(peer->ack),
                .window = 65535, .flags = flags, .has = TCP_HAS_TS, .ts_val = ts_now(r), .ts_ecr = peer->ts_ecr,
        };
        if (flags & TCP_SYN) {
                seg.has |= TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_OK;
                seg.mss = 1460;
                seg.wscale = 7;
        }
        struct eth_hdr eth = { .dst = our_mac, .src = router_mac, .type = ETH_TYPE_IP4 };
        struct ip4_hdr ip = {
                .src = ip_addr_v4(peer_addr(n)), .dst = ip_addr_v4(OUR_ADDR), .dont_frag = true, .proto = IP_PROTO_TCP,
                .ttl = 64,
        };
        uint32_t tcp_len = tcp_hdr_len(&seg) + len;
        struct pkt *p = take(r, ETH_HDR_LEN + IP4_HDR_LEN + tcp_len);
        uint8_t *at = p->data;

        ip.total_len = (uint16_t)(IP4_HDR_LEN + tcp_len);
        at += eth_emit(at, &eth);
        at += ip4_emit(at, &ip);
        uint32_t hdr_len = tcp_emit(at, &seg);
        memset(at + hdr_len, (int)n, len);
        if (r->csum) {
                uint16_t sum = csum_transport(&ip.src, &ip.dst, IP_PROTO_TCP, at, tcp_len);
                csum_store(at + TCP_CSUM_OFFSET, (uint16_t)~sum);
        } else {
                p->marks = PKT_CSUM_OK;
        }
        p->len = ETH_HDR_LEN + IP4_HDR_LEN + tcp_len;
        peer->seq += len + !!(flags & TCP_SYN);
        return p;
}

static void answer_arp(struct rig *r, const struct arp_pkt *asked)
{
        struct eth_hdr eth = { .dst = asked->sha, .src = router_mac, .type = ETH_TYPE_ARP };
        struct arp_pkt arp = {
                .op = ARP_REPLY, .sha = router_mac, .spa = asked->tpa, .tha = asked->sha, .tpa = asked->spa,
        };
        struct pkt *p = take(r, ETH_HDR_LEN + ARP_LEN);
        uint8_t *at = p->data;

        at += eth_emit(at, &eth);
        arp_emit(at, &arp);
        p->len = ETH_HDR_LEN + ARP_LEN;
        hand_over(r, p);
}

/* The stack has sent @p: of interest are SYN-ACKs and questions for the router. */
static void look_at(struct rig *r, const struct pkt *p)
{
        struct eth_hdr eth;
        struct arp_pkt arp;
        struct ip4_hdr ip;
        struct tcp_seg seg;

        if (eth_parse(&eth, p->data, p->len) != DROP_NONE)
                return;
        const uint8_t *at = p->data + eth.hdr_len;
        uint32_t len = p->len - eth.hdr_len;
        if (eth.type == ETH_TYPE_ARP && arp_parse(&arp, at, len) == DROP_NONE) {
                if (arp.op == ARP_REQUEST && ip_addr_to_v4(&arp.tpa) == ROUTER_ADDR)
                        answer_arp(r, &arp);
                return;
        }
        if (eth.type != ETH_TYPE_IP4 || ip4_parse(&ip, at, len) != DROP_NONE ||
            tcp_parse(&seg, at + ip.hdr_len, len - ip.hdr_len) != DROP_NONE || !(seg.flags & TCP_SYN))
                return;
        uint32_t n = (ip_addr_to_v4(&ip.dst) - PEER_ADDR - 1) * PEERS_AN_ADDR + seg.dst_port - PEER_PORT_MIN;
        if (n >= r->peer_cnt || r->peer[n].ack)
                return;
        r->peer[n].ack = seg.seq.raw + 1;
        r->peer[n].ts_ecr = seg.has & TCP_HAS_TS ? seg.ts_val : 0;
        r->syn_acks++;
}

/* ---- the device ---- */

static int rig_queue_open(struct netdev_queue *q) { return 0; }
static void rig_queue_close(struct netdev_queue *q) { }

static uint32_t rig_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct rig *r = q->dev->priv;
        uint32_t cnt = u32_min(r->ready_cnt, max);

        if (cnt == 0)
                return 0;
        memcpy(pkts, r->ready, cnt * sizeof *pkts);
        r->ready_cnt -= cnt;
        memmove(r->ready, r->ready + cnt, r->ready_cnt * sizeof *r->ready);
        r->began = bench_tsc();
        return cnt;
}

static uint32_t rig_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        for (uint32_t i = 0; i < cnt; i++) {
                look_at(q->dev->priv, pkts[i]);
                pkt_give(q->pool, pkts[i]);
        }
        return cnt;
}

static const struct netdev_ops rig_ops = {
        .scheme = "bench", .queue_open = rig_queue_open, .queue_close = rig_queue_close,
        .rx_burst = rig_rx, .tx_burst = rig_tx,
};

/* ---- start ---- */

static uint64_t clock_ns(void *arg) { return (uint64_t)(bench_now_s() * 1e9); }

static void build_shard(struct rig *r, const struct mr_conf *base)
{
        struct mr_conf conf = *base;
        struct shard_env env = { clock_ns, NULL };
        char err[256], room[16];

        mr_conf_set(&conf, "dev", "null:", NULL, 0);
        mr_conf_set(&conf, "addr", "10.0.0.1/24", NULL, 0);
        snprintf(room, sizeof room, "%u", r->peer_cnt + 1024);
        mr_conf_set(&conf, "max_conns", room, NULL, 0);
        mr_conf_set(&conf, "max_half", "65536", NULL, 0);
        if (conf_resolve(&conf, err, sizeof err) < 0)
                cmd_die("%s", err);

        struct shard_conf sc = {
                .ip = ip_conf_default(), .pkts_small = conf.pkts_small, .pkts_large = conf.pkts_large,
                .huge_pages = conf_pages(&conf), .seed = { 1, 2, 3, 4 },
        };
        conf_to_tcp(&conf, &sc.tcp);
        socks_conf_default(&sc.socks);
        sc.socks.max_socks = conf.max_conns + 16;
        sc.socks.huge_pages = conf_pages(&conf);
        sc.socks.opts = sc.tcp.opts;
        if (shard_init(&r->shard, &sc, &env) < 0)
                cmd_die("no memory for %u connections", r->peer_cnt);
        r->dev = (struct netdev){
                .ops = &rig_ops, .name = "bench:", .priv = r,
                .caps = { .mtu = 1500, .queue_cnt = 1, .burst_best = BURST, .mac = our_mac,
                          .offload = NETDEV_RX_CSUM | NETDEV_TX_CSUM },
        };
        struct ip_prefix ours = { ip_addr_v4(OUR_ADDR), IP_V4_PREFIX_BITS + 24 };
        struct ip_prefix all = { ip_addr_v4(0), IP_V4_PREFIX_BITS };
        struct ip_addr router = ip_addr_v4(ROUTER_ADDR);
        if (shard_port_add(&r->shard, &r->dev, 0, 0) < 0 || ip_local_add(&r->shard.ip, 0, &ours, false) < 0 ||
            ip_route_add(&r->shard.ip, &all, &router, 0) < 0)
                cmd_die("the stack takes no interface");
}

static void build_sockets(struct rig *r)
{
        struct socks *ss = &r->shard.socks;
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };

        r->ep = sock_epoll_create(ss, 0);
        r->listener = sock_open(ss, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (r->ep < 0 || r->listener < 0 || sock_bind(ss, r->listener, (struct sockaddr *)&any, sizeof any) < 0 ||
            sock_listen(ss, r->listener, 4096) < 0)
                cmd_die("no listening socket");
}

/* Turn until what was handed over has been taken and answered. */
static void turn(struct rig *r)
{
        do {
                shard_turn(&r->shard);
        } while (r->ready_cnt);
        shard_turn(&r->shard);
}

static _Noreturn void die_of_handshake(struct rig *r, uint32_t n)
{
        for (uint32_t why = 1; why < DROP_CNT; why++)
                if (r->shard.counters.drop[why])
                        cmd_die("connection %u did not come about: %llu packets dropped: %s", n,
                                (unsigned long long)r->shard.counters.drop[why], drop_infos[why].what);
        cmd_die("connection %u did not come about", n);
}

/* Peers @first..@first+@cnt-1 connect; each is accepted and registered. */
static void connect_some(struct rig *r, uint32_t first, uint32_t cnt)
{
        struct socks *ss = &r->shard.socks;

        r->syn_acks = 0;
        for (uint32_t n = first; n < first + cnt; n++) {
                r->peer[n] = (struct peer){ .seq = peer_isn(n) };
                hand_over(r, segment(r, n, TCP_SYN, 0));
        }
        turn(r);
        if (r->syn_acks != cnt)
                die_of_handshake(r, first);
        for (uint32_t n = first; n < first + cnt; n++)
                hand_over(r, segment(r, n, TCP_ACK, 0));
        turn(r);
        for (uint32_t i = 0; i < cnt; i++) {
                int fd = sock_accept(ss, r->listener, NULL, NULL, SOCK_NONBLOCK);
                struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)fd };
                if (fd < 0 || sock_epoll_ctl(ss, r->ep, EPOLL_CTL_ADD, fd, &ev) < 0)
                        die_of_handshake(r, first + i);
        }
}

/* ---- a round ---- */

/* What the application does, and the rest of the turn. */
static void read_all(struct rig *r)
{
        struct socks *ss = &r->shard.socks;
        struct epoll_event evs[BURST];
        uint8_t buf[BURST * OCTETS];

        int cnt = sock_epoll_wait(ss, r->ep, evs, BURST, 0);
        for (int i = 0; i < cnt; i++) {
                ssize_t n = sock_recv(ss, (int)evs[i].data.u64, buf, sizeof buf, 0);
                if (n > 0)
                        r->octets_read += (uint64_t)n;
        }
}

/* Returns cycles that shard_rx() took for the burst. */
static uint64_t one_round(struct rig *r)
{
        uint32_t who[BURST];

        for (uint32_t i = 0; i < BURST; i++) {
                who[i] = rnd_below(&r->rnd, r->peer_cnt);
                __builtin_prefetch(&r->peer[who[i]]);
        }
        for (uint32_t i = 0; i < BURST; i++)
                hand_over(r, segment(r, who[i], TCP_ACK | TCP_PSH, OCTETS));
        r->octets_sent += BURST * OCTETS;
        r->shard.now_ns = clock_ns(NULL);
        shard_rx(&r->shard);
        uint64_t took = bench_tsc() - r->began;
        read_all(r);
        while (r->ready_cnt)                    /* the router was asked something */
                shard_turn(&r->shard);
        return took;
}

/* ---- the figure ---- */

struct work {
        const struct mr_conf *conf;
        uint32_t              flows;
        double                seconds;
        bool                  csum;
};

struct result {
        double median, p99, mean, setup_s, segments;
};

static void measure(const void *arg, void *out)
{
        const struct work *w = arg;
        static struct rig rig;
        struct bench_samples samples;

        rig = (struct rig){ .peer_cnt = w->flows, .csum = w->csum };
        rig.peer = calloc(w->flows, sizeof *rig.peer);
        if (!rig.peer)
                cmd_die("no memory for %u peers", w->flows);
        rnd_seed(&rig.rnd, 1);
        bench_pin(0);
        build_shard(&rig, w->conf);
        build_sockets(&rig);

        double began_s = bench_now_s();
        for (uint32_t n = 0; n < w->flows; n += BURST)
                connect_some(&rig, n, u32_min(BURST, w->flows - n));
        double ready_s = bench_now_s();

        bench_samples_init(&samples, 4000000);
        for (uint32_t i = 0; i < WARM_ROUNDS; i++)
                one_round(&rig);
        double until_s = bench_now_s() + w->seconds, sum = 0;
        while (!bench_samples_full(&samples) && bench_now_s() < until_s) {
                uint64_t took = one_round(&rig);
                bench_samples_add(&samples, took);
                sum += (double)took;
        }
        for (uint32_t i = 0; i < WARM_ROUNDS && rig.octets_read < rig.octets_sent; i++)
                read_all(&rig);
        if (rig.octets_read != rig.octets_sent)
                cmd_die("of %llu octets sent %llu were read", (unsigned long long)rig.octets_sent,
                        (unsigned long long)rig.octets_read);
        bench_samples_sort(&samples);
        *(struct result *)out = (struct result){
                .median = bench_percentile(&samples, 0.5) / BURST, .p99 = bench_percentile(&samples, 0.99) / BURST,
                .mean = sum / (double)samples.cnt / BURST, .setup_s = ready_s - began_s,
                .segments = (double)rig.octets_sent / OCTETS,
        };
        bench_samples_fini(&samples);
        shard_fini(&rig.shard);
        free(rig.peer);
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        struct bench_opts bo = { .seconds_text = "1" };
        const char *flows_text = "1,1k,1M";
        bool csum = false;
        uint64_t flows[BENCH_LIST_MAX];
        const struct cmd_opt opts[] = {
                { "flows", CMD_TEXT, &flows_text, 0, 0, "connections, a list; each segment is of a random one" },
                { "csum", CMD_FLAG, &csum, 0, 0, "the stack verifies TCP checksums; without, the device has" },
                BENCH_OPTS(bo),
                { 0 },
        };

        cmd_begin(&bench_rxpath, argc, argv, opts, &conf);
        bench_opts_read(&bo);
        if (conf.iface_cnt)
                cmd_die("--dev %s: rxpath brings its own device; leave it out", conf.ifaces[0].dev);
        uint32_t cnt = bench_list("flows", flows_text, flows, 50000000);

        bench_table_begin("rxpath",
                          "cycles of the time stamp counter for a received in-order segment of 64 octets, from the\n"
                          "device's burst of 32 to event and ACK queued; each of a connection chosen at random",
                          bo.json);
        for (uint32_t i = 0; i < cnt; i++) {
                struct work w = { &conf, (uint32_t)flows[i], bo.seconds, csum };
                struct result res;
                if (!bench_apart(measure, &w, &res, sizeof res))
                        return 1;
                bool many = flows[i] > 1000;
                bench_row();
                bench_num("flows", (double)flows[i], 0);
                bench_num("cycles median", res.median, 1);
                bench_num("cycles p99", res.p99, 1);
                bench_num("cycles mean", res.mean, 1);
                bench_num("ns", res.median / bench_tsc_hz() * 1e9, 1);
                bench_num("reach", many ? 450 : 200, 0);
                bench_num("then", many ? 300 : 120, 0);
                bench_num("segments", res.segments, 0);
                bench_num("setup s", res.setup_s, 2);
        }
        bench_note("%s pages; TCP checksums are verified by %s; 1 cycle is %.3f ns",
                   conf.huge_pages != MR_HUGE_NO ? "huge" : "4 KB", csum ? "the stack" : "the device",
                   1e9 / bench_tsc_hz());
        bench_table_end();
        return 0;
}

const struct cmd bench_rxpath = {
        .name = "bench rxpath",
        .args = "[--flows 1,1k,1M] [--csum] [--seconds 1] [--json]",
        .summary = "cycles for a received segment, from the device's burst to event and ACK queued",
        .run = run,
};
