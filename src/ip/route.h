/* SPDX-License-Identifier: MIT */
/* ip/route.h - Routes: to whom a packet for an address goes next
 *
 * Knows prefixes, gateways and interface numbers; does not know neighbours.
 * The longest prefix wins; there are no metrics and no two routes to one prefix.
 */
#pragma once
#include "base/addr.h"
#include "ip/lpm.h"

#include <stdbool.h>
#include <stdint.h>

struct ip_route {
        struct ip_prefix dst;
        struct ip_addr   gateway;       /* meaningful when has_gateway */
        bool             has_gateway;   /* otherwise dst is on the link */
        uint8_t          iface;
};

struct route_table {
        struct ip_route *route;
        uint32_t         cnt, cap;
        struct lpm       map;           /* to index in route + 1 */
};

void route_init(struct route_table *t);
void route_fini(struct route_table *t);

/**
 * route_add() - Add a route; the host bits of @dst are ignored
 * @gateway: NULL: the destination is on the link
 *
 * Return: 0; -EEXIST there is a route to this prefix; -ENOMEM
 */
int route_add(struct route_table *t, const struct ip_prefix *dst, const struct ip_addr *gateway, uint32_t iface);

/* Take back the route that was added last. */
void route_undo(struct route_table *t);

/* The route for @dst, or NULL. */
const struct ip_route *route_find(const struct route_table *t, const struct ip_addr *dst);

/* Is @a reached on the link of @iface, without a gateway? */
bool route_is_on_link(const struct route_table *t, const struct ip_addr *a, uint32_t iface);
