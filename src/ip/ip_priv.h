/* SPDX-License-Identifier: MIT */
/* ip/ip_priv.h - What the files of ip/ share with each other and with nobody else
 *
 * The functions of ip.h that are given the time leave it in ip->now_ns, where
 * those below find it.
 */
#pragma once
#include "ip/ip.h"
#include "wire/arp.h"
#include "wire/eth.h"

/* Free and count @p; returns @why. */
static inline enum drop ip_drop(struct ip *ip, struct pkt *p, enum drop why)
{
        count_drop(ip->counters, why);
        pkt_give(ip->pool, p);
        return why;
}

/* output.c */

/* Put the Ethernet header in front and hand to the device.  @p has the headroom. */
void output_frame(struct ip *ip, struct pkt *p, uint32_t iface, const struct mac_addr *dst, uint16_t type);
/* Send what waited for @n, whose MAC address is known now. */
void output_released(struct ip *ip, struct neigh *n);

/* arp.c */

/* DROP_NONE: @p is freed.  Otherwise it is the caller's to drop. */
enum drop arp_input(struct ip *ip, struct pkt *p, const struct eth_hdr *eth);
/* Send one request for @n: by broadcast, or to its MAC address.  False: rate limit or no buffer. */
bool arp_ask(struct ip *ip, const struct neigh *n, bool broadcast);
/* Broadcast a request about @addr: an announcement of ours, or an RFC 5227 probe. */
void arp_announce(struct ip *ip, uint32_t iface, const struct ip_addr *addr);
void arp_probe(struct ip *ip, uint32_t iface, const struct ip_addr *addr);

/* acd.c */

/* Is the address @p of @iface to be probed or announced at all? */
bool acd_wanted(const struct ip *ip, uint32_t iface, const struct ip_prefix *p, bool whole);
/* Begin to probe or announce the new address @idx. */
void acd_start(struct ip *ip, uint32_t idx);
/* The timer of @idx fired. */
void acd_timer(struct ip *ip, uint32_t idx);
/* Somebody at @mac uses, or probes for, @addr, which is (or is to be) ours by entry @idx. */
void acd_conflict(struct ip *ip, uint32_t idx, const struct ip_addr *addr, const struct mac_addr *mac,
                  uint32_t iface);

/* icmp.c */

/* @p at the ICMP header.  DROP_NONE: @p has been taken over.  Otherwise the caller drops it. */
enum drop icmp_input(struct ip *ip, struct pkt *p, struct ip_rx *rx);
