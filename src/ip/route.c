/* SPDX-License-Identifier: MIT */
#include "ip/route.h"
#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

void route_init(struct route_table *t) { *t = (struct route_table){ 0 }; }

void route_fini(struct route_table *t)
{
        lpm_fini(&t->map);
        free(t->route);
        route_init(t);
}

int route_add(struct route_table *t, const struct ip_prefix *dst, const struct ip_addr *gateway, uint32_t iface)
{
        if (t->cnt == t->cap) {
                uint32_t cap = t->cap ? t->cap * 2 : 16;
                struct ip_route *more = realloc(t->route, cap * sizeof *more);
                if (!more)
                        return -ENOMEM;
                t->route = more;
                t->cap = cap;
        }
        int err = lpm_add(&t->map, dst, t->cnt + 1);
        if (err < 0)
                return err;
        struct ip_route *r = &t->route[t->cnt++];
        *r = (struct ip_route){ .dst = *dst, .has_gateway = gateway, .iface = (uint8_t)iface };
        if (gateway)
                r->gateway = *gateway;
        return 0;
}

void route_undo(struct route_table *t)
{
        ASSERT(t->cnt);
        lpm_del(&t->map, &t->route[--t->cnt].dst);
}

const struct ip_route *route_find(const struct route_table *t, const struct ip_addr *dst)
{
        uint32_t found = lpm_match(&t->map, dst);
        return found ? &t->route[found - 1] : NULL;
}

bool route_is_on_link(const struct route_table *t, const struct ip_addr *a, uint32_t iface)
{
        const struct ip_route *r = route_find(t, a);
        return r && !r->has_gateway && r->iface == iface;
}
