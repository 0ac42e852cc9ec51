/* SPDX-License-Identifier: MIT */
/* tools/sparse_wire.c - The sparse client's frames: from octets to a connection's number, and back
 *
 * A segment is a copy of s->header, which holds all that never changes, with
 * the rest written over it, in the packet that it answers.
 */
#include "tools/sparse_priv.h"
#include "wire/arp.h"

enum { MSS = 1460, OPTIONS_SYN = 4 + TCP_TS_LEN + 4 };

/* ---- contents ---- */

/* The 8 octets of block @b of a connection's stream. */
static inline uint64_t block_of(uint64_t key, uint32_t b)
{
        uint64_t x = (key + b) * 0x9e3779b97f4a7c15u;
        return x ^ x >> 29;
}

static void text_write(const struct sparse *s, uint32_t i, uint32_t at, uint8_t *to, uint32_t len)
{
        uint64_t key = sparse_key(s, i);

        while (len) {
                uint32_t skip = at % 8, n = u32_min(8 - skip, len);
                uint64_t block = block_of(key, at / 8) >> 8 * skip;
                if (n == 8)
                        memcpy(to, &block, 8);
                else
                        memcpy(to, &block, n);
                to += n;
                at += n;
                len -= n;
        }
}

uint32_t sparse_wire_differ(const struct sparse *s, uint32_t i, uint32_t at, const uint8_t *text, uint32_t len)
{
        uint64_t key = sparse_key(s, i);
        uint32_t wrong = 0;

        while (len) {
                uint32_t skip = at % 8, n = u32_min(8 - skip, len);
                uint64_t want = block_of(key, at / 8) >> 8 * skip, got = 0;
                if (n == 8)
                        memcpy(&got, text, 8);
                else
                        memcpy(&got, text, n);
                if (n < 8)
                        want &= (1ull << 8 * n) - 1;
                for (uint64_t bad = want ^ got; bad; bad >>= 8)
                        wrong += (bad & 0xff) != 0;
                text += n;
                at += n;
                len -= n;
        }
        return wrong;
}

/* ---- out ---- */

static void send(struct sparse *s, struct pkt *p)
{
        if (s->out_cnt == ARRAY_LEN(s->out)) {          /* cannot be: a turn makes no more than these */
                pkt_give(&s->pool, p);
                return;
        }
        s->out[s->out_cnt++] = p;
}

void sparse_wire_init(struct sparse *s)
{
        struct eth_hdr eth = { .dst = s->peer, .src = s->dev->caps.mac, .type = ETH_TYPE_IP4 };
        struct ip4_hdr ip = {
                .src = ip_addr_v4(0), .dst = ip_addr_v4(s->conf.server), .total_len = 0, .dont_frag = true,
                .proto = IP_PROTO_TCP, .ttl = 64,
        };
        struct tcp_seg tcp = { .dst_port = s->conf.port, .window = 65535, .has = TCP_HAS_TS };

        eth_emit(s->header, &eth);
        ip4_emit(s->header + ETH_HDR_LEN, &ip);
        csum_store(s->header + ETH_HDR_LEN + offsetof(struct ip4_wire, checksum), 0);
        s->header_sum = csum_add(0, s->header + ETH_HDR_LEN, IP4_HDR_LEN);
        tcp_emit(s->header + ETH_HDR_LEN + IP4_HDR_LEN, &tcp);
}

/* Octets of the TCP header behind the template's: the options of a SYN are more. */
static uint32_t put_syn_options(uint8_t *tcp, uint32_t now_ts)
{
        struct tcp_seg syn = {
                .has = TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_TS, .mss = MSS, .ts_val = now_ts,
        };
        tcp_emit_options(tcp + TCP_HDR_MIN, &syn);
        ((struct tcp_wire *)tcp)->doff = (TCP_HDR_MIN + OPTIONS_SYN) / 4 << 4;
        return TCP_HDR_MIN + OPTIONS_SYN;
}

static void put_checksum(const struct sparse *s, struct pkt *p, uint32_t src, uint32_t tcp_len)
{
        uint32_t start = ETH_HDR_LEN + IP4_HDR_LEN;
        uint8_t *field = p->data + start + TCP_CSUM_OFFSET;
        uint64_t sum = (uint64_t)__builtin_bswap32(src) + __builtin_bswap32(s->conf.server) +
                       __builtin_bswap32(tcp_len) + __builtin_bswap32(IP_PROTO_TCP);

        if (s->csum_partial) {
                csum_store(field, csum_fold(sum));
                p->marks = PKT_CSUM_PARTIAL;
                p->csum_start = (uint16_t)start;
                p->csum_offset = TCP_CSUM_OFFSET;
                return;
        }
        p->marks = 0;
        csum_store(field, (uint16_t)~csum_fold(csum_add(sum, p->data + start, tcp_len)));
}

void sparse_wire_out(struct sparse *s, struct pkt *p, const struct sparse_out *o)
{
        uint32_t src = s->conf.net + o->i / SPARSE_PORTS;
        uint32_t tcp_len = TCP_HDR_MIN + TCP_TS_LEN;

        p->data = pkt_buf(p) + PKT_HEADROOM;
        uint8_t *ip = p->data + ETH_HDR_LEN, *tcp = ip + IP4_HDR_LEN;
        memcpy(p->data, s->header, sizeof s->header);
        be32_to(tcp + TCP_HDR_MIN + 4, s->now_ts);
        be32_to(tcp + TCP_HDR_MIN + 8, o->ts_ecr);
        if (o->flags & TCP_SYN)
                tcp_len = put_syn_options(tcp, s->now_ts);
        struct tcp_wire *w = (struct tcp_wire *)tcp;
        w->src_port = be16_put((uint16_t)(SPARSE_PORT_MIN + o->i % SPARSE_PORTS));
        w->seq = be32_put(o->seq);
        w->ack = be32_put(o->ack);
        w->flags = o->flags;
        text_write(s, o->i, o->at, tcp + tcp_len, o->len);
        tcp_len += o->len;

        uint32_t total = IP4_HDR_LEN + tcp_len;
        be16_to(ip + offsetof(struct ip4_wire, total_len), (uint16_t)total);
        be32_to(ip + offsetof(struct ip4_wire, src), src);
        uint64_t sum = s->header_sum + __builtin_bswap16((uint16_t)total) + __builtin_bswap32(src);
        csum_store(ip + offsetof(struct ip4_wire, checksum), (uint16_t)~csum_fold(sum));
        p->len = ETH_HDR_LEN + total;
        put_checksum(s, p, src, tcp_len);
        send(s, p);
}

/* ---- ARP ---- */

static void send_arp(struct sparse *s, struct pkt *p, const struct arp_pkt *arp, const struct mac_addr *to)
{
        struct eth_hdr eth = { .dst = *to, .src = s->dev->caps.mac, .type = ETH_TYPE_ARP };

        p->data = pkt_buf(p) + PKT_HEADROOM;
        p->marks = 0;
        uint32_t hdr = eth_emit(p->data, &eth);
        p->len = hdr + arp_emit(p->data + hdr, arp);
        send(s, p);
}

void sparse_wire_ask(struct sparse *s)
{
        struct pkt *p = pkt_take(&s->pool, ETH_HDR_LEN + ARP_LEN);
        struct arp_pkt arp = {
                .op = ARP_REQUEST, .sha = s->dev->caps.mac, .spa = ip_addr_v4(s->conf.gateway),
                .tpa = ip_addr_v4(s->conf.server),
        };
        if (p)
                send_arp(s, p, &arp, &MAC_BROADCAST);
}

static bool is_ours(const struct sparse *s, uint32_t addr)
{
        return addr == s->conf.gateway || addr - s->conf.net <= (s->conf.conns - 1) / SPARSE_PORTS;
}

static void arp_in(struct sparse *s, struct pkt *p, const uint8_t *buf, uint32_t len)
{
        struct arp_pkt arp;
        bool good = arp_parse(&arp, buf, len) == DROP_NONE;

        s->n.stray += !good;
        if (good && ip_addr_to_v4(&arp.spa) == s->conf.server && !s->peer_known) {
                s->peer = arp.sha;
                s->peer_known = true;
                sparse_wire_init(s);
        }
        if (!good || arp.op != ARP_REQUEST || !is_ours(s, ip_addr_to_v4(&arp.tpa))) {
                pkt_give(&s->pool, p);
                return;
        }
        struct arp_pkt reply = {
                .op = ARP_REPLY, .sha = s->dev->caps.mac, .spa = arp.tpa, .tha = arp.sha, .tpa = arp.spa,
        };
        send_arp(s, p, &reply, &arp.sha);
}

/* ---- in ---- */

/* The number of the connection, or UINT32_MAX. */
static uint32_t number_of(const struct sparse *s, const struct ip4_hdr *ip, const struct tcp_seg *seg)
{
        uint64_t client = ip_addr_to_v4(&ip->dst) - s->conf.net;
        uint64_t nr = client * SPARSE_PORTS + seg->dst_port - SPARSE_PORT_MIN;

        if (ip_addr_to_v4(&ip->src) != s->conf.server || seg->src_port != s->conf.port ||
            seg->dst_port < SPARSE_PORT_MIN || nr >= s->conf.conns)
                return UINT32_MAX;
        return (uint32_t)nr;
}

/* True: @p is used. */
static bool tcp_in(struct sparse *s, struct pkt *p, const uint8_t *buf, uint32_t len)
{
        struct ip4_hdr ip;
        struct tcp_seg seg;

        if (ip4_parse(&ip, buf, len) != DROP_NONE || ip4_is_fragment(&ip) || ip.proto != IP_PROTO_TCP)
                return false;
        const uint8_t *tcp = buf + ip.hdr_len;
        uint32_t tcp_len = (uint32_t)ip.total_len - ip.hdr_len;
        if (tcp_parse(&seg, tcp, tcp_len) != DROP_NONE)
                return false;
        if (!(p->marks & (PKT_CSUM_OK | PKT_CSUM_PARTIAL)) &&
            csum_transport(&ip.src, &ip.dst, IP_PROTO_TCP, tcp, tcp_len) != CSUM_RIGHT)
                return false;
        uint32_t i = number_of(s, &ip, &seg);
        if (i == UINT32_MAX)
                return false;
        sparse_answer(s, p, i, &seg, tcp + seg.hdr_len, tcp_len - seg.hdr_len);
        return true;
}

void sparse_wire_in(struct sparse *s, struct pkt *p)
{
        struct eth_hdr eth;

        if (eth_parse(&eth, p->data, p->len) == DROP_NONE && !eth.tagged) {
                const uint8_t *buf = p->data + eth.hdr_len;
                uint32_t len = p->len - eth.hdr_len;
                if (eth.type == ETH_TYPE_IP4 && tcp_in(s, p, buf, len))
                        return;
                if (eth.type == ETH_TYPE_ARP) {
                        arp_in(s, p, buf, len);
                        return;
                }
        }
        s->n.stray++;
        pkt_give(&s->pool, p);
}
