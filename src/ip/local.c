/* SPDX-License-Identifier: MIT */
#include "ip/local.h"

#include <errno.h>

enum { LINK_BITS_MAX = 126 };   /* RFC 3021: a link of 31 bits or a lone address has no broadcast address */

int local_init(struct local_table *t, uint32_t max, tick now)
{
        *t = (struct local_table){ 0 };
        lpm_init(&t->map);
        if (slab_init(&t->slab, "local addresses", sizeof(struct ip_local), 0, max, MEM_SMALL) < 0)
                return -ENOMEM;
        wheel_init(&t->wheel, now, &local_at(t, 0)->timer, sizeof(struct ip_local));

        struct ip_prefix all_ones = { ip_addr_v4(0xffffffffu), 128 };
        if (lpm_add(&t->map, &all_ones, LOCAL_BROADCAST) < 0) {
                local_fini(t);
                return -ENOMEM;
        }
        return 0;
}

void local_fini(struct local_table *t)
{
        lpm_fini(&t->map);
        slab_fini(&t->slab);
}

/* What we take as one entry of the map. */
static struct ip_prefix map_prefix(const struct ip_prefix *p, bool whole)
{
        return (struct ip_prefix){ p->addr, whole ? p->len : 128 };
}

static bool has_broadcast(const struct ip_prefix *p, bool whole)
{
        return !whole && ip_addr_is_v4(&p->addr) && p->len <= LINK_BITS_MAX;
}

/* The address with all host bits one.  @p is IPv4. */
static struct ip_prefix broadcast_of(const struct ip_prefix *p)
{
        uint32_t host_mask = (uint32_t)((1ull << (128 - p->len)) - 1);
        return (struct ip_prefix){ ip_addr_v4(ip_addr_to_v4(&p->addr) | host_mask), 128 };
}

/* RFC 1122 3.2.1.3: neither host nor network number may be 0 or -1.  A whole
 * prefix of less than 8 bits would hold some that are no hosts. */
static bool is_host_address(const struct ip_prefix *p, bool whole)
{
        if (ip_addr_is_any(&p->addr) || ip_addr_is_multicast(&p->addr) || ip_addr_is_limited_broadcast(&p->addr))
                return false;
        if (!ip_addr_is_v4(&p->addr))
                return true;
        uint32_t host = ip_addr_to_v4(&p->addr);
        if (host >> 24 == 0 || p->len < IP_V4_PREFIX_BITS + (whole ? 8 : 1))
                return false;
        if (!has_broadcast(p, whole))
                return true;
        uint32_t host_mask = (1u << (128 - p->len)) - 1;
        return (host & host_mask) != 0 && (host & host_mask) != host_mask;
}

static void list_append(struct local_table *t, uint32_t idx, uint32_t iface)
{
        if (t->last[iface])
                local_at(t, t->last[iface])->next = idx;
        else
                t->first[iface] = idx;
        t->last[iface] = idx;
}

int local_add(struct local_table *t, const struct ip_prefix *p, uint32_t iface, bool whole, bool tentative)
{
        struct ip_prefix mine = map_prefix(p, whole);
        uint32_t there = lpm_get(&t->map, &mine);

        if (!is_host_address(p, whole) || there == LOCAL_BROADCAST)
                return -EINVAL;
        if (there)
                return -EEXIST;
        uint32_t idx = slab_take(&t->slab);
        if (!idx)
                return -ENOSPC;

        struct ip_prefix bcast = has_broadcast(p, whole) ? broadcast_of(p) : *p;
        bool new_bcast = has_broadcast(p, whole) && !lpm_get(&t->map, &bcast);
        if (lpm_add(&t->map, &mine, idx | (tentative ? LOCAL_TENTATIVE : 0)) < 0) {
                slab_give(&t->slab, idx);
                return -ENOMEM;
        }
        if (new_bcast && lpm_add(&t->map, &bcast, LOCAL_BROADCAST) < 0) {
                lpm_del(&t->map, &mine);
                slab_give(&t->slab, idx);
                return -ENOMEM;
        }
        *local_at(t, idx) = (struct ip_local){ .prefix = *p, .whole = whole, .iface = (uint8_t)iface };
        list_append(t, idx, iface);
        return (int)idx;
}

void local_usable(struct local_table *t, uint32_t idx)
{
        struct ip_prefix mine = map_prefix(&local_at(t, idx)->prefix, local_at(t, idx)->whole);
        lpm_set(&t->map, &mine, idx);
}
