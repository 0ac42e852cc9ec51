/* SPDX-License-Identifier: MIT */
/* ip/iface.h - A link as IP sees it: our MAC address on it, its MTU, its VLAN
 *
 * Interface i is where the shard hands in frames with pkt->iface = i, and whose
 * outgoing frames it takes from ip->tx[i].  Which device that is, the shard knows.
 */
#pragma once
#include "base/addr.h"

#include <stdint.h>

enum { IP_IFACES = 16 };

enum ip_iface_flag {
        IP_IFACE_REFLECTS = 1 << 0,     /* what we send comes back to us (loop:): our own source addresses
                                         * are accepted there when our own MAC sent them */
};

struct ip_iface {
        struct mac_addr mac;
        uint16_t        vlan;           /* 1..4094; 0: untagged */
        uint32_t        mtu;            /* octets of IP packet */
        uint32_t        flags;          /* enum ip_iface_flag */
};
