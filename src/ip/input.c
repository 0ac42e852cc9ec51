/* SPDX-License-Identifier: MIT */
/* ip/input.c - From a frame to what is in it
 *
 * The checks come in the order of the headers; each has its reason in
 * drops.def.  For a TCP segment the work is: two headers read, the IP
 * checksum, and one look-up each for source and destination.
 */
#include "ip/ip_priv.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/udp.h"

/* IEEE 802.1Q 6.9: a tagged link is its tag's alone; on an untagged link a tag may carry priority. */
static bool vlan_fits(const struct ip_iface *ifc, const struct eth_hdr *eth)
{
        if (!eth->tagged)
                return ifc->vlan == 0;
        return !eth->service && eth->vlan == ifc->vlan;
}

/* RFC 1122 3.2.1.3: only one host, and not ourselves, can have sent it. */
static bool source_fits(const struct ip *ip, const struct ip_iface *ifc, const struct eth_hdr *eth,
                        const struct ip_addr *src)
{
        uint32_t v4 = ip_addr_to_v4(src);
        uint32_t found = local_find(&ip->local, src);
        bool reflected = (ifc->flags & IP_IFACE_REFLECTS) && mac_eq(&eth->src, &ifc->mac);

        if (v4 >> 24 == 0 || v4 >> 28 == 0xe || found == LOCAL_BROADCAST)
                return false;
        return reflected || (v4 >> 24 != 127 && !local_is_ours(found));
}

static enum drop destination_check(const struct ip *ip, const struct eth_hdr *eth, struct ip_rx *rx)
{
        uint32_t found = local_find(&ip->local, &rx->dst);

        if (found == LOCAL_BROADCAST) {
                rx->broadcast = true;
                return DROP_NONE;
        }
        rx->broadcast = false;
        if (!local_is_ours(found))
                return DROP_IP_NOT_OURS;
        return mac_is_multicast(&eth->dst) ? DROP_IP_LINK_BCAST : DROP_NONE;
}

static enum drop udp_input(struct ip *ip, struct pkt *p, struct ip_rx *rx)
{
        struct udp_hdr udp;
        enum drop why = udp_parse(&udp, p->data, p->len);

        if (why != DROP_NONE)
                return why;
        if (udp.has_csum && !(p->marks & (PKT_CSUM_OK | PKT_CSUM_PARTIAL)) &&
            csum_transport(&rx->src, &rx->dst, IP_PROTO_UDP, p->data, udp.len) != CSUM_RIGHT)
                return DROP_UDP_CHECKSUM;
        if (!ip->conf.udp) {
                ip_icmp_unreachable(ip, p, rx, ICMP_UNREACHABLE_PORT, ip->now_ns);
                return DROP_UDP_NO_PORT;
        }
        rx->kind = IP_RX_UDP;
        return DROP_NONE;
}

static enum drop ip4_input(struct ip *ip, struct pkt *p, const struct eth_hdr *eth, struct ip_rx *rx)
{
        struct ip4_hdr hdr;
        enum drop why = ip4_parse(&hdr, p->data, p->len);

        if (why != DROP_NONE)
                return why;
        if (!source_fits(ip, &ip->iface[p->iface], eth, &hdr.src))
                return DROP_IP_SRC;
        rx->src = hdr.src;
        rx->dst = hdr.dst;
        why = destination_check(ip, eth, rx);
        if (why != DROP_NONE)
                return why;
        if (ip4_is_fragment(&hdr))
                return DROP_IP_FRAGMENT;

        rx->proto = hdr.proto;
        rx->ttl = hdr.ttl;              /* even 0 is no reason to drop: RFC 1122 3.2.1.7 */
        rx->tos = hdr.tos;
        rx->hdr_len = hdr.hdr_len;
        pkt_trim(p, hdr.total_len);
        pkt_pull(p, hdr.hdr_len);
        p->l4 = (uint16_t)(eth->hdr_len + hdr.hdr_len);
        p->marks |= PKT_RX_IP4;

        switch (hdr.proto) {
        case IP_PROTO_TCP:
                if (rx->broadcast)
                        return DROP_TCP_BROADCAST;
                rx->kind = IP_RX_TCP;
                return DROP_NONE;
        case IP_PROTO_ICMP:
                return icmp_input(ip, p, rx);
        case IP_PROTO_UDP:
                return udp_input(ip, p, rx);
        default:
                ip_icmp_unreachable(ip, p, rx, ICMP_UNREACHABLE_PROTO, ip->now_ns);
                return DROP_IP_PROTO;
        }
}

static enum drop frame_input(struct ip *ip, struct pkt *p, struct ip_rx *rx)
{
        const struct ip_iface *ifc = &ip->iface[p->iface];
        struct eth_hdr eth;
        enum drop why = eth_parse(&eth, p->data, p->len);

        if (why != DROP_NONE)
                return why;
        if (!vlan_fits(ifc, &eth))
                return DROP_ETH_VLAN;
        if (!mac_eq(&eth.dst, &ifc->mac) && !mac_eq(&eth.dst, &MAC_BROADCAST))
                return DROP_ETH_NOT_OURS;
        pkt_pull(p, eth.hdr_len);
        switch (eth.type) {
        case ETH_TYPE_IP4: return ip4_input(ip, p, &eth, rx);
        case ETH_TYPE_ARP: return arp_input(ip, p, &eth);
        default:           return DROP_ETH_TYPE;
        }
}

enum drop ip_input(struct ip *ip, struct pkt *p, uint64_t now_ns, struct ip_rx *out)
{
        ASSERT(p->iface < ip->iface_cnt);
        ip->now_ns = now_ns;
        out->kind = IP_RX_DONE;
        out->iface = p->iface;

        enum drop why = frame_input(ip, p, out);
        if (why != DROP_NONE)
                ip_drop(ip, p, why);
        return why;
}
