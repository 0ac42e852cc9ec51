/* SPDX-License-Identifier: MIT */
/* wire/ip4.h - The IPv4 header (RFC 791 3.1)
 *
 *   struct ip4_wire   the 20 octets before the options
 *   struct ip4_hdr    the meaning: host order, fragment offset in octets
 *
 * Checks all that the header says about itself; whether the addresses make
 * sense here is ip/'s business.  We send no options and act on none.
 */
#pragma once
#include "base/addr.h"
#include "base/be.h"
#include "base/drop.h"
#include "wire/csum.h"
#include "wire/ip_proto.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ip4_wire {
        uint8_t ver_ihl;                /* version 4, header length in 4-octet words */
        uint8_t tos;                    /* DSCP and ECN */
        be16    total_len;
        be16    id;
        be16    frag;                   /* IP4_DF, IP4_MF, offset in 8-octet words */
        uint8_t ttl;
        uint8_t proto;
        be16    checksum;
        be32    src;
        be32    dst;
};

enum { IP4_HDR_LEN = 20, IP4_HDR_LEN_MAX = 60, IP4_MTU_MIN = 68 /* RFC 791 3.2 */ };
enum { IP4_DF = 0x4000, IP4_MF = 0x2000, IP4_OFFSET_MASK = 0x1fff };

static_assert(sizeof(struct ip4_wire) == IP4_HDR_LEN && _Alignof(struct ip4_wire) == 1, "RFC 791 3.1");

struct ip4_hdr {
        struct ip_addr src, dst;
        uint16_t       total_len;       /* octets, this header included */
        uint16_t       id;
        uint16_t       frag_offset;     /* octets, a multiple of 8 */
        bool           more_frags;
        bool           dont_frag;
        uint8_t        proto;
        uint8_t        ttl;
        uint8_t        tos;
        uint8_t        hdr_len;         /* octets, options included: 20..60 */
};

static inline bool ip4_is_fragment(const struct ip4_hdr *hdr) { return hdr->more_frags || hdr->frag_offset; }

/* Are the options in @opt well-formed, with no source route among them?  See ip4.c. */
enum drop ip4_options_check(const uint8_t *opt, uint32_t len);

/* The folded sum of the 20 octets, in five loads. */
static inline uint16_t ip4_sum(const uint8_t *buf)
{
        uint32_t w[5];
        memcpy(w, buf, sizeof w);
        return csum_fold((uint64_t)w[0] + w[1] + w[2] + w[3] + w[4]);
}

/**
 * ip4_parse() - Read and check one IPv4 header
 * @hdr:  filled in on success, undefined otherwise
 * @buf:  first octet of the header; any alignment
 * @len:  octets from there to the end of the frame.  What lies beyond
 *        total_len is the frame's padding, for the caller to trim.
 *
 * Options are checked and passed over; record route and timestamp are not
 * filled in (RFC 7126 4.5, 4.7 permit that).
 *
 * Return: DROP_NONE, or in this order: DROP_IP_SHORT, DROP_IP_VERSION,
 *         DROP_IP_HDR_LEN, DROP_IP_TOTAL_LEN, DROP_IP_CHECKSUM, DROP_IP_OPTION
 */
static inline enum drop ip4_parse(struct ip4_hdr *hdr, const uint8_t *buf, uint32_t len)
{
        if (len < IP4_HDR_LEN)
                return DROP_IP_SHORT;

        struct ip4_wire w;
        memcpy(&w, buf, sizeof w);
        uint32_t hdr_len = (w.ver_ihl & 15) * 4u;
        uint32_t total_len = be16_get(w.total_len);
        if (w.ver_ihl >> 4 != 4)
                return DROP_IP_VERSION;
        if (hdr_len < IP4_HDR_LEN || hdr_len > len)
                return DROP_IP_HDR_LEN;
        if (total_len < hdr_len || total_len > len)
                return DROP_IP_TOTAL_LEN;
        if (hdr_len == IP4_HDR_LEN) {
                if (ip4_sum(buf) != CSUM_RIGHT)
                        return DROP_IP_CHECKSUM;
        } else {
                if (csum_fold(csum_add(0, buf, hdr_len)) != CSUM_RIGHT)
                        return DROP_IP_CHECKSUM;
                enum drop why = ip4_options_check(buf + IP4_HDR_LEN, hdr_len - IP4_HDR_LEN);
                if (why != DROP_NONE)
                        return why;
        }

        uint16_t frag = be16_get(w.frag);
        *hdr = (struct ip4_hdr){
                .src = ip_addr_v4(be32_get(w.src)), .dst = ip_addr_v4(be32_get(w.dst)),
                .total_len = (uint16_t)total_len,   .id = be16_get(w.id),
                .frag_offset = (uint16_t)((frag & IP4_OFFSET_MASK) * 8),
                .more_frags = frag & IP4_MF,        .dont_frag = frag & IP4_DF,
                .proto = w.proto, .ttl = w.ttl, .tos = w.tos, .hdr_len = (uint8_t)hdr_len,
        };
        return DROP_NONE;
}

/**
 * ip4_emit() - Write one IPv4 header without options, checksum included
 * @buf:  room for IP4_HDR_LEN octets; any alignment
 * @hdr:  what to say; hdr_len is ignored
 *
 * The checksum is taken from the values, in host order: reading back octets
 * just written would wait for the store buffer (17 ns and not 5).
 *
 * Return: IP4_HDR_LEN
 */
static inline uint32_t ip4_emit(uint8_t *buf, const struct ip4_hdr *hdr)
{
        uint16_t frag = (uint16_t)((hdr->dont_frag ? IP4_DF : 0) | (hdr->more_frags ? IP4_MF : 0) |
                                   hdr->frag_offset / 8);
        uint16_t ver_tos = (uint16_t)((4 << 4 | IP4_HDR_LEN / 4) << 8 | hdr->tos);
        uint16_t ttl_proto = (uint16_t)(hdr->ttl << 8 | hdr->proto);
        uint32_t src = ip_addr_to_v4(&hdr->src);
        uint32_t dst = ip_addr_to_v4(&hdr->dst);
        uint64_t sum = (uint64_t)ver_tos + hdr->total_len + hdr->id + frag + ttl_proto + src + dst;

        *(struct ip4_wire *)buf = (struct ip4_wire){
                .ver_ihl = (uint8_t)(ver_tos >> 8),    .tos = hdr->tos,
                .total_len = be16_put(hdr->total_len), .id = be16_put(hdr->id), .frag = be16_put(frag),
                .ttl = hdr->ttl, .proto = hdr->proto,  .checksum = be16_put((uint16_t)~csum_fold(sum)),
                .src = be32_put(src), .dst = be32_put(dst),
        };
        return IP4_HDR_LEN;
}
