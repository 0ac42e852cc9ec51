/* SPDX-License-Identifier: MIT */
#include "dev/steer_hash.h"

#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/ip_proto.h"

uint32_t steer_of_flow(const struct hash_key *key, uint16_t queue_cnt, const struct netdev_flow *flow)
{
        uint64_t word[5] = { (uint64_t)flow->lport << 16 | flow->rport };
        size_t words = 5;

        if (ip_addr_is_v4(&flow->laddr) && ip_addr_is_v4(&flow->raddr)) {
                word[1] = (uint64_t)ip_addr_to_v4(&flow->laddr) << 32 | ip_addr_to_v4(&flow->raddr);
                words = 2;
        } else {
                memcpy(&word[1], &flow->laddr, 16);
                memcpy(&word[3], &flow->raddr, 16);
        }
        uint32_t hash = (uint32_t)hash_flow(key, word, words);
        return (uint32_t)(((uint64_t)hash * queue_cnt) >> 32);
}

/* A reply, or a question about the asker's own address: an announcement (RFC 5227 2.3). */
static bool arp_is_for_all(const uint8_t *buf, uint32_t len)
{
        struct arp_pkt arp;
        return arp_parse(&arp, buf, len) == DROP_NONE && (arp.op == ARP_REPLY || ip_addr_eq(&arp.spa, &arp.tpa));
}

/* The flow of the packet of ours that an error is about. */
static bool flow_of_error(const uint8_t *buf, uint32_t len, struct netdev_flow *flow)
{
        struct icmp_quote q;

        if (len < ICMP_HDR_LEN || !icmp_is_error(buf[0]) ||
            icmp_quote_parse(&q, buf + ICMP_HDR_LEN, len - ICMP_HDR_LEN) != DROP_NONE || !q.has_l4)
                return false;
        *flow = (struct netdev_flow){ q.src, q.dst, q.src_port, q.dst_port };
        return true;
}

/* The flow of an IPv4 packet; false: it is of none, or of none that can be told. */
static bool flow_of_ip4(const uint8_t *buf, uint32_t len, struct netdev_flow *flow)
{
        struct ip4_wire w;

        if (len < IP4_HDR_LEN)
                return false;
        memcpy(&w, buf, sizeof w);
        uint32_t hdr_len = (w.ver_ihl & 15) * 4u;
        if (w.ver_ihl >> 4 != 4 || hdr_len < IP4_HDR_LEN || len < hdr_len + 4 ||
            be16_get(w.frag) & (IP4_MF | IP4_OFFSET_MASK))
                return false;
        if (w.proto == IP_PROTO_ICMP)
                return flow_of_error(buf + hdr_len, len - hdr_len, flow);
        if (w.proto != IP_PROTO_TCP && w.proto != IP_PROTO_UDP)
                return false;
        *flow = (struct netdev_flow){
                .laddr = ip_addr_v4(be32_get(w.dst)), .raddr = ip_addr_v4(be32_get(w.src)),
                .lport = be16_at(buf + hdr_len + 2), .rport = be16_at(buf + hdr_len),
        };
        return true;
}

uint32_t steer_of_frame(const struct hash_key *key, uint16_t queue_cnt, const uint8_t *frame, uint32_t len)
{
        struct netdev_flow flow;
        struct eth_hdr eth;

        if (eth_parse(&eth, frame, len) != DROP_NONE)
                return 0;
        const uint8_t *buf = frame + eth.hdr_len;
        len -= eth.hdr_len;
        if (eth.type == ETH_TYPE_IP4)
                return flow_of_ip4(buf, len, &flow) ? steer_of_flow(key, queue_cnt, &flow) : 0;
        return eth.type == ETH_TYPE_ARP && arp_is_for_all(buf, len) ? STEER_ALL : 0;
}
