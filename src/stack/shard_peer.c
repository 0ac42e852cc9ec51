/* SPDX-License-Identifier: MIT */
/* stack/shard_peer.c - What a shard has to do with the other shards of its stack */
#include "stack/listeners.h"
#include "stack/shard.h"

void shard_answer(struct shard *sh)
{
        uint32_t rung = doorbell_take(sh->bell);

        if (rung & BELL_LISTENERS && sh->peer)
                listeners_catch_up(sh->peer);
        if (rung & BELL_WAKE)
                sh->woken = true;
}

static const struct netdev *device_towards(const struct shard *sh, const struct ip_addr *raddr)
{
        struct ip_hop hop;

        if (sh->port_cnt == 1)
                return sh->port[0].dev;
        if (ip_is_local(&sh->ip, raddr))
                return sh->port[ip_local_iface(&sh->ip, raddr)].dev;
        return ip_route_find(&sh->ip, raddr, &hop) ? sh->port[hop.iface].dev : NULL;
}

bool shard_is_mine(void *arg, const struct flow_key *key)
{
        const struct netdev_flow flow = { key->laddr, key->raddr, key->lport, key->rport };
        const struct shard *sh = arg;
        const struct netdev *dev = sh->peer ? device_towards(sh, &key->raddr) : NULL;

        return !dev || dev->caps.spread != NETDEV_SPREAD_HASH || netdev_queue_of(dev, &flow) == sh->number;
}
