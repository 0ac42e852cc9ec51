/* SPDX-License-Identifier: MIT */
/* ip/arp.c - ARP: asking, answering, listening (RFC 826, RFC 1122 2.3.2)
 *
 * Who may put something into the neighbour cache: whom we asked; and who asks
 * for an address of ours, because we are about to answer him.  Everybody else
 * can only change what is there already (RFC 826, the merge flag).  An answer
 * needs no entry: it goes to the MAC address in the request.
 */
#include "ip/ip_priv.h"

static const struct mac_addr MAC_UNKNOWN;

static bool arp_send(struct ip *ip, uint32_t iface, uint16_t op, const struct mac_addr *to,
                     const struct mac_addr *tha, const struct ip_addr *spa, const struct ip_addr *tpa)
{
        struct pkt *p = pkt_take(ip->pool, ARP_LEN);

        if (!p) {
                count_drop(ip->counters, DROP_NO_PKT);
                return false;
        }
        struct arp_pkt arp = { .op = op, .sha = ip->iface[iface].mac, .tha = *tha, .spa = *spa, .tpa = *tpa };
        p->len = arp_emit(p->data, &arp);
        output_frame(ip, p, iface, to, ETH_TYPE_ARP);
        count(ip->counters, op == ARP_REQUEST ? CNT_ARP_REQUESTS_SENT : CNT_ARP_REPLIES_SENT);
        return true;
}

/* An address of ours that @n can answer to; 0.0.0.0 only if we have none yet. */
static struct ip_addr asker(const struct ip *ip, const struct neigh *n)
{
        struct ip_addr src;
        return ip_source_for(ip, &n->addr, &src) == 0 ? src : ip_addr_v4(0);
}

bool arp_ask(struct ip *ip, const struct neigh *n, bool broadcast)
{
        struct ip_addr src = asker(ip, n);

        if (!ip_addr_is_v4(&n->addr) || !bucket_take(&ip->arp_bucket, ip->now_ns))
                return false;
        return arp_send(ip, n->iface, ARP_REQUEST, broadcast ? &MAC_BROADCAST : &n->mac, &MAC_UNKNOWN, &src, &n->addr);
}

void arp_announce(struct ip *ip, uint32_t iface, const struct ip_addr *addr)
{
        arp_send(ip, iface, ARP_REQUEST, &MAC_BROADCAST, &MAC_UNKNOWN, addr, addr);
}

void arp_probe(struct ip *ip, uint32_t iface, const struct ip_addr *addr)
{
        struct ip_addr nobody = ip_addr_v4(0);
        arp_send(ip, iface, ARP_REQUEST, &MAC_BROADCAST, &MAC_UNKNOWN, &nobody, addr);
}

/* Could a host send this?  An unspecified sender may ask (RFC 5227 2.1.1), not answer. */
static bool sender_is_sane(const struct ip *ip, const struct arp_pkt *arp)
{
        uint32_t spa = ip_addr_to_v4(&arp->spa);

        if (mac_is_multicast(&arp->sha) || mac_eq(&arp->sha, &MAC_UNKNOWN))
                return false;
        if (spa >> 24 == 0)
                return spa == 0 && arp->op == ARP_REQUEST;
        return spa >> 24 != 127 && !ip_addr_is_multicast(&arp->spa) && !ip_is_broadcast(ip, &arp->spa);
}

static bool is_own_mac(const struct ip *ip, const struct mac_addr *mac)
{
        for (uint32_t i = 0; i < ip->iface_cnt; i++)
                if (mac_eq(mac, &ip->iface[i].mac))
                        return true;
        return false;
}

/* RFC 5227: the sender is at an address of ours, or is trying out the one that we are. */
static bool is_conflict(struct ip *ip, const struct arp_pkt *arp, uint32_t iface)
{
        uint32_t sender = local_find(&ip->local, &arp->spa) & ~LOCAL_TENTATIVE;
        uint32_t target = local_find(&ip->local, &arp->tpa);

        if (sender) {
                acd_conflict(ip, sender, &arp->spa, &arp->sha, iface);
                return true;
        }
        if ((target & LOCAL_TENTATIVE) && arp->op == ARP_REQUEST && ip_addr_is_any(&arp->spa)) {
                acd_conflict(ip, target & ~LOCAL_TENTATIVE, &arp->tpa, &arp->sha, iface);
                return true;
        }
        return false;
}

/* A stranger asked for us, so he will be told, and we are likely to talk to him. */
static enum drop hear_stranger(struct ip *ip, const struct arp_pkt *arp, uint32_t iface)
{
        if (arp->op == ARP_REPLY)
                return DROP_ARP_UNASKED;
        if (ip_addr_is_any(&arp->spa) || !route_is_on_link(&ip->route, &arp->spa, iface))
                return DROP_NONE;
        return neigh_hear(&ip->neigh, &arp->spa, iface, &arp->sha, ip->now_ns) ? DROP_NONE : DROP_ARP_FLOOD;
}

enum drop arp_input(struct ip *ip, struct pkt *p, const struct eth_hdr *eth)
{
        uint32_t iface = p->iface;
        struct arp_pkt arp;
        enum drop why = arp_parse(&arp, p->data, p->len);

        if (why != DROP_NONE)
                return why;
        if (mac_is_multicast(&eth->src) || !sender_is_sane(ip, &arp))
                return DROP_ARP_BAD;
        if (is_own_mac(ip, &arp.sha))
                return DROP_ARP_NOT_OURS;       /* an echo of what we said */
        if (is_conflict(ip, &arp, iface))
                return DROP_ARP_CONFLICT;

        bool for_us = ip_is_local(ip, &arp.tpa);
        struct neigh *n = neigh_find(&ip->neigh, &arp.spa, iface);
        if (n) {
                neigh_answer(&ip->neigh, n, &arp.sha, arp.op == ARP_REPLY && for_us, ip->now_ns);
                output_released(ip, n);
        } else {
                why = for_us ? hear_stranger(ip, &arp, iface) : DROP_ARP_NOT_OURS;
        }
        if (for_us && arp.op == ARP_REQUEST)
                arp_send(ip, iface, ARP_REPLY, &arp.sha, &arp.sha, &arp.tpa, &arp.spa);
        if (why == DROP_NONE)
                pkt_give(ip->pool, p);
        return why;
}
