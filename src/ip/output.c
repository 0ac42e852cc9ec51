/* SPDX-License-Identifier: MIT */
/* ip/output.c - From a segment and two addresses to a frame
 *
 * The common case is one look at a small direct-mapped cache of destinations,
 * which answers for routes, local addresses and the neighbour table at once,
 * then two headers.  An entry is valid while neither configuration nor the
 * neighbour table has lost anything since (generations); the MAC address is
 * read from the neighbour itself, so resolving and ageing need no flush.
 */
#include "ip/ip_priv.h"
#include "wire/ip4.h"

enum { IP_TOTAL_MAX = 65535 };

void output_frame(struct ip *ip, struct pkt *p, uint32_t iface, const struct mac_addr *dst, uint16_t type)
{
        const struct ip_iface *ifc = &ip->iface[iface];
        struct eth_hdr eth = { .dst = *dst, .src = ifc->mac, .type = type, .tagged = ifc->vlan, .vlan = ifc->vlan };

        eth_emit(pkt_push(p, ifc->vlan ? ETH_HDR_LEN_MAX : ETH_HDR_LEN), &eth);
        p->iface = (uint8_t)iface;
        pkt_list_push(&ip->tx[iface], p);
}

void output_released(struct ip *ip, struct neigh *n)
{
        for (struct pkt *p; (p = neigh_unhold(&ip->neigh, n));) {
                neigh_use(&ip->neigh, n, ip->now_ns);
                output_frame(ip, p, n->iface, &n->mac, ETH_TYPE_IP4);
        }
}

/* Our neighbour at @hop, asked for when it is new.  NULL: the cache is full. */
static struct neigh *neigh_for(struct ip *ip, const struct ip_hop *hop)
{
        struct neigh *n = neigh_find(&ip->neigh, &hop->next_hop, hop->iface);

        if (!n) {
                n = neigh_ask(&ip->neigh, &hop->next_hop, hop->iface, ip->now_ns);
                if (n && !arp_ask(ip, n, true))
                        neigh_put_off(&ip->neigh, n, ip->now_ns);
        }
        if (n && hop->gateway)
                n->gateway = true;
        return n;
}

/* RFC 1112 6.4: the low 23 bits of the group. */
static struct mac_addr multicast_mac(const struct ip_addr *group)
{
        const uint8_t *o = group->octet;
        return (struct mac_addr){ { 0x01, 0x00, 0x5e, o[13] & 0x7f, o[14], o[15] } };
}

/* The interface for what has no route: that of the source, or else the first. */
static uint32_t iface_of(const struct ip *ip, const struct ip_addr *src)
{
        uint32_t found = local_find(&ip->local, src);
        return local_is_ours(found) ? local_at(&ip->local, found)->iface : 0;
}

static enum drop dst_fill(struct ip *ip, struct ip_dst *d, const struct ip_addr *dst, const struct ip_addr *src)
{
        uint32_t found = local_find(&ip->local, dst);
        struct ip_hop hop;
        bool routed = ip_route_find(ip, dst, &hop);

        *d = (struct ip_dst){ .dst = *dst };
        if (local_is_ours(found)) {
                d->iface = local_at(&ip->local, found)->iface;
                d->mac = ip->iface[d->iface].mac;
        } else if (found == LOCAL_BROADCAST || ip_addr_is_multicast(dst)) {
                bool by_source = !routed || ip_addr_is_limited_broadcast(dst);
                d->iface = (uint8_t)(by_source ? iface_of(ip, src) : hop.iface);
                d->mac = found ? MAC_BROADCAST : multicast_mac(dst);
                d->mtu = ip->iface[d->iface].mtu;
                return DROP_NONE;       /* depends on the source: not kept */
        } else {
                if (!routed)
                        return DROP_IP_NO_ROUTE;
                struct neigh *n = neigh_for(ip, &hop);
                if (!n)
                        return DROP_NEIGH_FULL;
                d->iface = (uint8_t)hop.iface;
                d->neigh = neigh_idx(&ip->neigh, n);
        }
        d->mtu = ip->iface[d->iface].mtu;
        d->gen = ip->gen + ip->neigh.gen;
        return DROP_NONE;
}

static struct ip_dst *dst_slot(struct ip *ip, const struct ip_addr *dst)
{
        uint64_t w[2];

        memcpy(w, dst, sizeof w);
        return &ip->dst[(w[0] ^ w[1]) * 0x9e3779b97f4a7c15u >> 56];
}
static_assert(IP_DSTS == 256, "dst_slot() takes 8 bits");

static inline bool dst_is_for(const struct ip *ip, const struct ip_dst *d, const struct ip_addr *dst)
{
        return d->gen == ip->gen + ip->neigh.gen && ip_addr_eq(&d->dst, dst);
}

/* Headers that a device put closer to the start of the buffer than ours need,
 * when a received packet is sent back: move the packet. */
static bool make_headroom(struct pkt *p)
{
        if (pkt_headroom(p) >= IP_HEADROOM)
                return true;
        uint32_t by = IP_HEADROOM - pkt_headroom(p);
        if (pkt_tailroom(p) < by)
                return false;
        memmove(p->data + by, p->data, p->len);
        p->data += by;
        return true;
}

enum drop ip_output(struct ip *ip, struct pkt *p, const struct ip_addr *src, const struct ip_addr *dst,
                    uint8_t proto, uint8_t tos, uint8_t ttl, uint64_t now_ns)
{
        struct ip_dst *d = dst_slot(ip, dst);
        uint32_t total_len = p->len + IP4_HDR_LEN;

        ip->now_ns = now_ns;
        if (!ip_addr_is_v4(dst) || !ip_addr_is_v4(src))
                return ip_drop(ip, p, DROP_IP_NO_ROUTE);
        if (!dst_is_for(ip, d, dst)) {
                enum drop why = dst_fill(ip, d, dst, src);
                if (why != DROP_NONE)
                        return ip_drop(ip, p, why);
        }
        if (total_len > IP_TOTAL_MAX || (total_len > d->mtu && !(p->marks & PKT_GSO)))
                return ip_drop(ip, p, DROP_IP_TOO_BIG);
        if (!make_headroom(p))
                return ip_drop(ip, p, DROP_NO_PKT);

        struct ip4_hdr hdr = {
                .src = *src, .dst = *dst, .total_len = (uint16_t)total_len, .dont_frag = true,
                .proto = proto, .ttl = ttl ? ttl : IP_TTL_DEFAULT, .tos = tos,
        };
        ip4_emit(pkt_push(p, IP4_HDR_LEN), &hdr);
        if (!d->neigh) {
                output_frame(ip, p, d->iface, &d->mac, ETH_TYPE_IP4);
                return DROP_NONE;
        }
        struct neigh *n = neigh_at(&ip->neigh, d->neigh);
        if (!neigh_may_send(n))
                return neigh_hold(&ip->neigh, n, p);
        neigh_use(&ip->neigh, n, now_ns);
        output_frame(ip, p, d->iface, &n->mac, ETH_TYPE_IP4);
        return DROP_NONE;
}

void ip_neigh_confirm(struct ip *ip, const struct ip_addr *addr, uint64_t now_ns)
{
        const struct ip_dst *d = dst_slot(ip, addr);
        struct ip_hop hop;
        struct neigh *n = NULL;

        if (dst_is_for(ip, d, addr)) {
                if (d->neigh)
                        n = neigh_at(&ip->neigh, d->neigh);
        } else if (ip_route_find(ip, addr, &hop)) {
                n = neigh_find(&ip->neigh, &hop.next_hop, hop.iface);
        }
        if (n)
                neigh_confirm(&ip->neigh, n, now_ns);
}
