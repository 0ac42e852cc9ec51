/* SPDX-License-Identifier: MIT */
/* wire/eth.h - The Ethernet header, with or without an 802.1Q tag
 *
 *      dst 6 | src 6 |                     type 2      14 octets
 *      dst 6 | src 6 | TPID 2 | TCI 2 |    type 2      18 octets
 *
 * One tag is decoded; a second one inside it is left as the type, for the
 * caller to drop.  Nothing here pads a frame or knows which MAC is ours.
 */
#pragma once
#include "base/addr.h"
#include "base/be.h"
#include "base/drop.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct eth_wire {
        struct mac_addr dst;
        struct mac_addr src;
        be16            type;
};
static_assert(sizeof(struct eth_wire) == 14 && _Alignof(struct eth_wire) == 1, "IEEE 802.3 3.1.1");

enum { ETH_HDR_LEN = 14, ETH_TAG_LEN = 4, ETH_HDR_LEN_MAX = ETH_HDR_LEN + ETH_TAG_LEN };

enum {
        ETH_TYPE_IP4     = 0x0800,
        ETH_TYPE_ARP     = 0x0806,
        ETH_TYPE_VLAN    = 0x8100,      /* customer tag, IEEE 802.1Q 9.6 */
        ETH_TYPE_IP6     = 0x86dd,
        ETH_TYPE_SERVICE = 0x88a8,      /* service tag */
};

struct eth_hdr {
        struct mac_addr dst, src;
        uint16_t        type;           /* of what follows, the tag passed over; below 0x600 it is a length */
        uint8_t         hdr_len;        /* octets: 14, or 18 when tagged */
        bool            tagged;         /* the rest has a meaning only then */
        bool            service;        /* TPID 0x88a8 and not 0x8100 */
        uint8_t         pcp;            /* priority, 0..7 */
        bool            dei;            /* may be dropped first */
        uint16_t        vlan;           /* 0..4095; 0 is a tag that carries a priority alone */
};

/**
 * eth_parse() - Read one Ethernet header
 * @hdr:  filled in on success
 * @buf:  first octet of the frame; any alignment
 * @len:  octets of the frame
 *
 * Return: DROP_NONE; DROP_ETH_SHORT
 */
static inline enum drop eth_parse(struct eth_hdr *hdr, const uint8_t *buf, uint32_t len)
{
        if (len < ETH_HDR_LEN)
                return DROP_ETH_SHORT;

        memcpy(&hdr->dst, buf, 6);
        memcpy(&hdr->src, buf + 6, 6);
        hdr->type = be16_at(buf + 12);
        hdr->hdr_len = ETH_HDR_LEN;
        hdr->tagged = false;
        if (hdr->type != ETH_TYPE_VLAN && hdr->type != ETH_TYPE_SERVICE)
                return DROP_NONE;

        if (len < ETH_HDR_LEN_MAX)
                return DROP_ETH_SHORT;
        uint16_t tci = be16_at(buf + 14);
        hdr->tagged = true;
        hdr->service = hdr->type == ETH_TYPE_SERVICE;
        hdr->pcp = (uint8_t)(tci >> 13);
        hdr->dei = tci >> 12 & 1;
        hdr->vlan = tci & 0xfff;
        hdr->type = be16_at(buf + 16);
        hdr->hdr_len = ETH_HDR_LEN_MAX;
        return DROP_NONE;
}

/**
 * eth_emit() - Write one Ethernet header
 * @buf:  room for ETH_HDR_LEN_MAX octets; any alignment
 * @hdr:  what to say; hdr_len is ignored, tagged decides
 *
 * Return: octets written, 14 or 18
 */
static inline uint32_t eth_emit(uint8_t *buf, const struct eth_hdr *hdr)
{
        memcpy(buf, &hdr->dst, 6);
        memcpy(buf + 6, &hdr->src, 6);
        if (!hdr->tagged) {
                be16_to(buf + 12, hdr->type);
                return ETH_HDR_LEN;
        }
        be16_to(buf + 12, hdr->service ? ETH_TYPE_SERVICE : ETH_TYPE_VLAN);
        be16_to(buf + 14, (uint16_t)(hdr->pcp << 13 | hdr->dei << 12 | (hdr->vlan & 0xfff)));
        be16_to(buf + 16, hdr->type);
        return ETH_HDR_LEN_MAX;
}
