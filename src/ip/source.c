/* SPDX-License-Identifier: MIT */
/* ip/source.c - The other addresses that a connection can be opened from
 *
 * All of the interface that leads to the destination, in the order in which
 * they were added, a whole prefix address by address.
 */
#include "ip/ip_priv.h"

#include <errno.h>

/* How many addresses @l stands for.  Prefixes of 8 bits are the largest there are (local.c). */
static uint32_t address_cnt(const struct ip_local *l)
{
        return l->whole && ip_addr_is_v4(&l->prefix.addr) ? 1u << (128 - l->prefix.len) : 1;
}

static struct ip_addr address_at(const struct ip_local *l, uint32_t n)
{
        return n ? ip_addr_v4(ip_addr_to_v4(&l->prefix.addr) + n) : l->prefix.addr;
}

int ip_source_nth(const struct ip *ip, const struct ip_addr *dst, uint32_t n, struct ip_addr *src)
{
        struct ip_hop hop;

        if (n == 0)
                return ip_source_for(ip, dst, src);
        if (ip_is_local(ip, dst) || !ip_route_find(ip, dst, &hop))
                return -EADDRNOTAVAIL;
        n--;
        for (uint32_t idx = ip->local.first[hop.iface]; idx; idx = local_at(&ip->local, idx)->next) {
                const struct ip_local *l = local_at(&ip->local, idx);
                if (ip_addr_is_v4(&l->prefix.addr) != ip_addr_is_v4(dst) || !local_is_usable(l))
                        continue;
                if (n < address_cnt(l)) {
                        *src = address_at(l, n);
                        return 0;
                }
                n -= address_cnt(l);
        }
        return -EADDRNOTAVAIL;
}
