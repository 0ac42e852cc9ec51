/* SPDX-License-Identifier: MIT */
/* wire/icmp.c - The quoted packet of an ICMP error: rare, so not in line */
#include "wire/icmp.h"
#include "wire/ip4.h"

enum drop icmp_quote_parse(struct icmp_quote *quote, const uint8_t *buf, uint32_t len)
{
        struct ip4_wire w;

        if (len < IP4_HDR_LEN)
                return DROP_ICMP_SHORT;
        memcpy(&w, buf, sizeof w);
        uint32_t hdr_len = (w.ver_ihl & 15) * 4u;
        if (w.ver_ihl >> 4 != 4 || hdr_len < IP4_HDR_LEN || hdr_len > len)
                return DROP_ICMP_SHORT;

        *quote = (struct icmp_quote){
                .src = ip_addr_v4(be32_get(w.src)), .dst = ip_addr_v4(be32_get(w.dst)),
                .total_len = be16_get(w.total_len), .proto = w.proto,
        };
        /* A later fragment has data where the ports would be. */
        if (len - hdr_len < ICMP_QUOTE_L4 || (be16_get(w.frag) & IP4_OFFSET_MASK))
                return DROP_NONE;
        quote->has_l4 = true;
        quote->src_port = be16_at(buf + hdr_len);
        quote->dst_port = be16_at(buf + hdr_len + 2);
        quote->seq = seq_of(be32_at(buf + hdr_len + 4));
        return DROP_NONE;
}
