/* SPDX-License-Identifier: MIT */
/* ip/ip.c - Start and stop, configuration, timers */
#include "ip/ip_priv.h"
#include "wire/icmp.h"
#include "wire/ip4.h"

#include <errno.h>

enum { VLAN_MAX = 4094, IP_MTU_MAX = 65535 };
enum { SEED_NEIGH = 0x6e656967 };               /* labels for hash_key_derive() */

struct ip_conf ip_conf_default(void)
{
        return (struct ip_conf){
                .neigh = {
                        .max = 65536, .hold_each = 100, .hold_total = 1024, .probes = 3,
                        .reachable_ns = SEC(30), .delay_ns = SEC(5), .retrans_ns = SEC(1),
                },
                .locals_max = 65536,
                .arp_per_s = 1000, .arp_burst = 1000,
                .echo_per_s = 10000, .echo_burst = 1000,
                .error_per_s = 1000, .error_burst = 50,
        };
}

int ip_init(struct ip *ip, const struct ip_conf *conf, struct pkt_pool *pool, struct counters *counters,
            const uint64_t seed[4], uint64_t now_ns)
{
        *ip = (struct ip){ .conf = *conf, .pool = pool, .counters = counters, .now_ns = now_ns, .gen = 1 };
        rnd_seed(&ip->rnd, seed[0] ^ seed[3]);
        bucket_init(&ip->arp_bucket, conf->arp_per_s, conf->arp_burst, now_ns);
        bucket_init(&ip->echo_bucket, conf->echo_per_s, conf->echo_burst, now_ns);
        bucket_init(&ip->error_bucket, conf->error_per_s, conf->error_burst, now_ns);
        route_init(&ip->route);
        if (local_init(&ip->local, conf->locals_max, tick_of_ns(now_ns)) < 0)
                return -ENOMEM;
        if (neigh_init(&ip->neigh, &conf->neigh, hash_key_derive(seed, SEED_NEIGH), pool, counters, now_ns) < 0) {
                local_fini(&ip->local);
                return -ENOMEM;
        }
        return 0;
}

void ip_fini(struct ip *ip)
{
        for (uint32_t i = 0; i < ip->iface_cnt; i++)
                pkt_list_give(ip->pool, &ip->tx[i]);
        neigh_fini(&ip->neigh);
        local_fini(&ip->local);
        route_fini(&ip->route);
}

int ip_iface_add(struct ip *ip, const struct mac_addr *mac, uint32_t mtu, uint16_t vlan, uint32_t flags)
{
        if (mtu < IP4_MTU_MIN || mtu > IP_MTU_MAX || vlan > VLAN_MAX || mac_is_multicast(mac))
                return -EINVAL;
        if (ip->iface_cnt == IP_IFACES)
                return -ENOSPC;
        ip->iface[ip->iface_cnt] = (struct ip_iface){ .mac = *mac, .vlan = vlan, .mtu = mtu, .flags = flags };
        return (int)ip->iface_cnt++;
}

/* The link that comes with an address, if nobody has a route to it yet. */
static int connected_route_add(struct ip *ip, uint32_t iface, const struct ip_prefix *p, bool whole)
{
        return whole || p->len == 128 ? -EEXIST : route_add(&ip->route, p, NULL, iface);
}

int ip_local_add(struct ip *ip, uint32_t iface, const struct ip_prefix *p, bool whole)
{
        if (iface >= ip->iface_cnt || p->len > 128)
                return -EINVAL;
        int route = connected_route_add(ip, iface, p, whole);
        if (route < 0 && route != -EEXIST)
                return route;

        bool acd = acd_wanted(ip, iface, p, whole);
        int idx = local_add(&ip->local, p, iface, whole, acd && ip->conf.dad);
        if (idx < 0) {
                if (route == 0)
                        route_undo(&ip->route);
                return idx;
        }
        ip->gen++;
        if (acd)
                acd_start(ip, (uint32_t)idx);
        return 0;
}

int ip_route_add(struct ip *ip, const struct ip_prefix *dst, const struct ip_addr *gateway, uint32_t iface)
{
        bool v4 = ip_addr_is_v4(&dst->addr);

        if (iface >= ip->iface_cnt || dst->len > 128 || (v4 && dst->len < IP_V4_PREFIX_BITS))
                return -EINVAL;
        if (gateway) {
                if (ip_addr_is_v4(gateway) != v4 || ip_addr_is_multicast(gateway) || local_find(&ip->local, gateway))
                        return -EINVAL;
                if (!route_is_on_link(&ip->route, gateway, iface))
                        return -ENETUNREACH;
        }
        int err = route_add(&ip->route, dst, gateway, iface);
        ip->gen++;
        return err;
}

bool ip_is_local(const struct ip *ip, const struct ip_addr *a) { return local_is_ours(local_find(&ip->local, a)); }

enum ip_dad ip_local_dad(const struct ip *ip, const struct ip_addr *a)
{
        uint32_t found = local_find(&ip->local, a);

        if (!found || !(found & LOCAL_TENTATIVE))
                return IP_DAD_DONE;
        return local_at(&ip->local, found & ~LOCAL_TENTATIVE)->stage == LOCAL_CONFLICT ? IP_DAD_CONFLICT : IP_DAD_PROBING;
}

uint32_t ip_local_iface(const struct ip *ip, const struct ip_addr *a)
{
        return local_at(&ip->local, local_find(&ip->local, a))->iface;
}

bool ip_is_broadcast(const struct ip *ip, const struct ip_addr *a)
{
        return local_find(&ip->local, a) == LOCAL_BROADCAST;
}

bool ip_route_find(const struct ip *ip, const struct ip_addr *dst, struct ip_hop *hop)
{
        const struct ip_route *r = route_find(&ip->route, dst);

        if (!r)
                return false;
        *hop = (struct ip_hop){
                .next_hop = r->has_gateway ? r->gateway : *dst, .iface = r->iface,
                .mtu = ip->iface[r->iface].mtu, .gateway = r->has_gateway,
        };
        return true;
}

uint32_t ip_path_mtu(const struct ip *ip, const struct ip_addr *dst)
{
        uint32_t found = local_find(&ip->local, dst);
        struct ip_hop hop;

        if (local_is_ours(found))
                return ip->iface[local_at(&ip->local, found)->iface].mtu;
        return ip_route_find(ip, dst, &hop) ? hop.mtu : 0;
}

/* An address of @l to send from: of a whole prefix given by its network number, the first host. */
static struct ip_addr source_of(const struct ip_local *l)
{
        struct ip_addr a = l->prefix.addr;
        if (l->whole && l->prefix.len < 128 && (a.octet[15] & 1) == 0)
                a.octet[15]++;
        return a;
}

/* The best address of @iface for @next_hop.  False: there is none of its family. */
static bool source_on(const struct ip *ip, uint32_t iface, const struct ip_addr *next_hop, struct ip_addr *src)
{
        bool v4 = ip_addr_is_v4(next_hop);
        bool found = false;

        for (uint32_t idx = ip->local.first[iface]; idx; idx = local_at(&ip->local, idx)->next) {
                const struct ip_local *l = local_at(&ip->local, idx);
                if (ip_addr_is_v4(&l->prefix.addr) != v4 || !local_is_usable(l))
                        continue;
                bool same_link = !l->whole && ip_prefix_has(&l->prefix, next_hop);
                if (same_link || !found)
                        *src = source_of(l);
                found = true;
                if (same_link)
                        return true;
        }
        return found;
}

int ip_source_for(const struct ip *ip, const struct ip_addr *dst, struct ip_addr *src)
{
        struct ip_hop hop;

        if (ip_is_local(ip, dst)) {
                *src = *dst;
                return 0;
        }
        if (!ip_route_find(ip, dst, &hop))
                return -ENETUNREACH;
        if (source_on(ip, hop.iface, &hop.next_hop, src))
                return 0;
        for (uint32_t i = 0; i < ip->iface_cnt; i++)
                if (source_on(ip, i, &hop.next_hop, src))
                        return 0;
        return -EADDRNOTAVAIL;
}

/* The packet, from its IP header on, that found no neighbour. */
static void failure_note(struct ip *ip, const struct pkt *p)
{
        struct icmp_quote q;

        if (icmp_quote_parse(&q, p->data, p->len) != DROP_NONE || q.proto != IP_PROTO_TCP || !q.has_l4 ||
            ip->failure_cnt == IP_FAILURES)
                return;                 /* the flow will learn by its own timeouts */
        ip->failure[(ip->failure_head + ip->failure_cnt++) % IP_FAILURES] = (struct ip_icmp_error){
                .local = q.src, .remote = q.dst, .local_port = q.src_port, .remote_port = q.dst_port, .seq = q.seq,
                .type = ICMP_UNREACHABLE, .code = ICMP_UNREACHABLE_HOST,
        };
}

bool ip_next_failure(struct ip *ip, struct ip_icmp_error *out)
{
        if (!ip->failure_cnt)
                return false;
        *out = ip->failure[ip->failure_head];
        ip->failure_head = (ip->failure_head + 1) % IP_FAILURES;
        ip->failure_cnt--;
        return true;
}

/* Tell whose the packets were that waited for @n. */
static void neigh_failed(struct ip *ip, struct neigh *n)
{
        count(ip->counters, CNT_NEIGH_FAILED);
        for (const struct pkt *p = n->queue.head; p; p = p->next)
                failure_note(ip, p);
        neigh_forget(&ip->neigh, n, DROP_NEIGH_FAILED);
}

uint64_t ip_timers(struct ip *ip, uint64_t now_ns, uint32_t budget)
{
        struct neigh *n = NULL;
        enum neigh_due due;

        ip->now_ns = now_ns;
        while ((due = neigh_timer(&ip->neigh, &n, now_ns, &budget)) != NEIGH_DUE_NONE) {
                if (due == NEIGH_DUE_FAILED)
                        neigh_failed(ip, n);
                else if (!arp_ask(ip, n, due == NEIGH_DUE_ASK_ALL))
                        neigh_put_off(&ip->neigh, n, now_ns);
        }
        for (uint32_t idx; (idx = wheel_expire(&ip->local.wheel, tick_of_ns(now_ns), &budget));)
                acd_timer(ip, idx);
        return ip_next_deadline(ip, now_ns);
}

static uint64_t wheel_deadline(const struct wheel *w, uint64_t now_ns)
{
        tick now = tick_of_ns(now_ns);
        tick next = wheel_next(w);

        if (!w->armed)
                return TIME_NEVER;
        if (!tick_before(now, next))
                return now_ns;
        return ((now_ns >> WHEEL_TICK_SHIFT) + (tick)(next - now)) << WHEEL_TICK_SHIFT;
}

uint64_t ip_next_deadline(const struct ip *ip, uint64_t now_ns)
{
        return u64_min(wheel_deadline(&ip->neigh.wheel, now_ns), wheel_deadline(&ip->local.wheel, now_ns));
}
