/* SPDX-License-Identifier: MIT */
/* wire/arp.h - ARP for IPv4 over Ethernet (RFC 826)
 *
 * The only hardware and protocol that we speak, so the only form known here.
 * What an ARP packet does to the neighbour cache is ip/'s business.
 */
#pragma once
#include "base/addr.h"
#include "base/be.h"
#include "base/drop.h"

#include <assert.h>
#include <stdint.h>

struct arp_wire {
        be16            htype;
        be16            ptype;
        uint8_t         hlen;
        uint8_t         plen;
        be16            op;
        struct mac_addr sha;
        be32            spa;
        struct mac_addr tha;
        be32            tpa;
};

enum { ARP_LEN = 28, ARP_REQUEST = 1, ARP_REPLY = 2, ARP_HTYPE_ETH = 1, ARP_PTYPE_IP4 = 0x0800 };

static_assert(sizeof(struct arp_wire) == ARP_LEN && _Alignof(struct arp_wire) == 1, "RFC 826, packet format");

struct arp_pkt {
        uint16_t        op;             /* ARP_REQUEST or ARP_REPLY */
        struct mac_addr sha, tha;       /* hardware address of sender and target */
        struct ip_addr  spa, tpa;       /* IPv4 address of sender and target */
};

/**
 * arp_parse() - Read one ARP packet
 * @arp:  filled in on success
 * @buf:  first octet behind the Ethernet header; any alignment
 * @len:  octets from there to the end of the frame; padding is allowed
 *
 * Return: DROP_NONE; DROP_ARP_SHORT; DROP_ARP_BAD: other hardware, protocol,
 *         address lengths or operation
 */
static inline enum drop arp_parse(struct arp_pkt *arp, const uint8_t *buf, uint32_t len)
{
        struct arp_wire w;

        if (len < ARP_LEN)
                return DROP_ARP_SHORT;
        memcpy(&w, buf, sizeof w);
        arp->op = be16_get(w.op);
        if (be16_get(w.htype) != ARP_HTYPE_ETH || be16_get(w.ptype) != ARP_PTYPE_IP4 ||
            w.hlen != 6 || w.plen != 4 || (arp->op != ARP_REQUEST && arp->op != ARP_REPLY))
                return DROP_ARP_BAD;
        arp->sha = w.sha;
        arp->tha = w.tha;
        arp->spa = ip_addr_v4(be32_get(w.spa));
        arp->tpa = ip_addr_v4(be32_get(w.tpa));
        return DROP_NONE;
}

/* Write @arp into @buf, which has room for ARP_LEN octets.  Returns ARP_LEN. */
static inline uint32_t arp_emit(uint8_t *buf, const struct arp_pkt *arp)
{
        struct arp_wire w = {
                .htype = be16_put(ARP_HTYPE_ETH), .ptype = be16_put(ARP_PTYPE_IP4), .hlen = 6, .plen = 4,
                .op = be16_put(arp->op),
                .sha = arp->sha, .spa = be32_put(ip_addr_to_v4(&arp->spa)),
                .tha = arp->tha, .tpa = be32_put(ip_addr_to_v4(&arp->tpa)),
        };
        memcpy(buf, &w, sizeof w);
        return ARP_LEN;
}
