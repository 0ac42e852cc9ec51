/* SPDX-License-Identifier: MIT */
/* wire/udp.h - The UDP header (RFC 768) */
#pragma once
#include "base/be.h"
#include "base/drop.h"
#include "wire/csum.h"
#include "wire/ip_proto.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct udp_wire {
        be16    src_port;
        be16    dst_port;
        be16    len;
        uint8_t checksum[2];
};

enum { UDP_HDR_LEN = 8, UDP_CSUM_OFFSET = 6 };

static_assert(sizeof(struct udp_wire) == UDP_HDR_LEN && _Alignof(struct udp_wire) == 1, "RFC 768");
static_assert(offsetof(struct udp_wire, checksum) == UDP_CSUM_OFFSET, "RFC 768");

struct udp_hdr {
        uint16_t src_port, dst_port;
        uint16_t len;                   /* octets, this header included; at least 8 */
        bool     has_csum;              /* the sender took a checksum; over IPv4 it need not */
};

/**
 * udp_parse() - Read one UDP header
 * @hdr:  filled in on success
 * @buf:  first octet of the header; any alignment
 * @len:  octets of the IP payload; what lies beyond hdr->len is not data
 *
 * The checksum is not looked at: the device may have done that already.
 * Otherwise, when has_csum, csum_transport() over hdr->len octets must give
 * CSUM_RIGHT (RFC 1122 4.1.3.4).
 *
 * Return: DROP_NONE; DROP_UDP_SHORT
 */
static inline enum drop udp_parse(struct udp_hdr *hdr, const uint8_t *buf, uint32_t len)
{
        if (len < UDP_HDR_LEN)
                return DROP_UDP_SHORT;
        uint16_t udp_len = be16_at(buf + 4);
        if (udp_len < UDP_HDR_LEN || udp_len > len)
                return DROP_UDP_SHORT;
        hdr->src_port = be16_at(buf);
        hdr->dst_port = be16_at(buf + 2);
        hdr->len = udp_len;
        hdr->has_csum = csum_load(buf + UDP_CSUM_OFFSET) != 0;
        return DROP_NONE;
}

/* Write @hdr into @buf, which has room for UDP_HDR_LEN octets.  The checksum is
 * left zero, "none"; udp_csum_fill() makes one.  Returns UDP_HDR_LEN. */
static inline uint32_t udp_emit(uint8_t *buf, const struct udp_hdr *hdr)
{
        struct udp_wire w = {
                .src_port = be16_put(hdr->src_port), .dst_port = be16_put(hdr->dst_port), .len = be16_put(hdr->len),
        };
        memcpy(buf, &w, sizeof w);
        return UDP_HDR_LEN;
}

/* Write the checksum of the datagram of @len octets at @buf, where it is zero
 * so far.  A sum that comes out as zero is sent as all ones (RFC 768). */
static inline void udp_csum_fill(uint8_t *buf, uint32_t len, const struct ip_addr *src, const struct ip_addr *dst)
{
        uint16_t raw = (uint16_t)~csum_transport(src, dst, IP_PROTO_UDP, buf, len);
        csum_store(buf + UDP_CSUM_OFFSET, raw ? raw : 0xffff);
}
