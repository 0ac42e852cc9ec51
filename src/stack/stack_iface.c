/* SPDX-License-Identifier: MIT */
/* stack/stack_iface.c - Devices, and what lives on them
 *
 * Every shard has a queue of every device, all addresses and all routes.
 */
#include "stack/conf.h"
#include "stack/conf_priv.h"
#include "stack/stack_priv.h"

#include <errno.h>

enum { SEED_STEER = 0x73746565 };       /* label, see hash_key_derive() */

static uint32_t offload_of(const struct mr_conf *conf)
{
        static const uint32_t allowed[] = {
                [MR_OFFLOAD_ALL] = NETDEV_ALL_OFFLOADS,
                [MR_OFFLOAD_CHECKSUM] = NETDEV_RX_CSUM | NETDEV_TX_CSUM | NETDEV_RSS,
                [MR_OFFLOAD_NONE] = NETDEV_RSS,
        };
        return allowed[conf->offload];
}

/* All queues, one for each shard; where they cannot be had, one, which steer: spreads. */
static int open_queues(const struct mr_stack *st, const char *name, struct netdev_conf *nc, struct netdev **dev,
                       char *err, size_t err_len)
{
        int rc = netdev_open(dev, name, nc, err, err_len);

        if (rc != -EINVAL || nc->queue_cnt == 1)
                return rc;
        nc->queue_cnt = 1;
        return netdev_open(dev, name, nc, NULL, 0) < 0 ? rc : 0;
}

/* May shard i have queue i, as the device is?  It must know whose the answers are. */
static bool spreads_well(const struct netdev *dev, uint32_t shards)
{
        return dev->caps.queue_cnt == shards && dev->caps.spread != NETDEV_SPREAD_UNKNOWN;
}

static int open_device(struct mr_stack *st, const struct mr_conf_iface *iface, char *err, size_t err_len)
{
        struct netdev_conf nc = {
                .mtu = iface->mtu, .queue_cnt = (uint16_t)st->conf.shards, .offload = offload_of(&st->conf),
                .seed = st->conf.seed, .secret = hash_key_derive(st->seed, SEED_STEER),
        };
        struct netdev *dev, *steer;
        int rc = open_queues(st, iface->dev, &nc, &dev, err, err_len);

        if (rc < 0)
                return rc;
        if (!spreads_well(dev, st->conf.shards)) {
                rc = netdev_steer(&steer, dev, (uint16_t)st->conf.shards, nc.secret);
                if (rc < 0) {
                        netdev_close(dev);
                        conf_err(err, err_len, "%s: no memory or descriptors to spread it over %u shards: %s; lower "
                                 "shards, or raise the limit of open files (ulimit -n)", iface->dev, st->conf.shards,
                                 strerror(-rc));
                        return rc;
                }
                dev = steer;
        }
        st->dev[st->dev_cnt++] = dev;
        return 0;
}

static int add_address(struct shard *sh, uint32_t port, const struct mr_prefix *p, bool whole, char *err,
                       size_t err_len)
{
        struct ip_prefix prefix = conf_prefix(p);
        char text[IP_PREFIX_TEXT_MAX];
        int rc = ip_local_add(&sh->ip, port, &prefix, whole);

        ip_prefix_text(text, &prefix);
        if (rc == -EEXIST)
                conf_err(err, err_len, "%s is configured twice; leave one of them out", text);
        else if (rc < 0)
                conf_err(err, err_len, "%s cannot be an address of ours: %s", text, strerror(-rc));
        return rc;
}

static int add_route(struct shard *sh, const struct mr_route *r, char *err, size_t err_len)
{
        struct ip_prefix dst = conf_prefix(&r->dst);
        struct ip_addr gateway = conf_addr(r->gateway);
        char dst_text[IP_PREFIX_TEXT_MAX], gw_text[IP_ADDR_TEXT_MAX];
        struct ip_hop hop;
        int rc = -ENETUNREACH;

        if (ip_route_find(&sh->ip, &gateway, &hop) && !hop.gateway)
                rc = ip_route_add(&sh->ip, &dst, &gateway, hop.iface);
        if (rc == -ENETUNREACH)
                conf_err(err, err_len, "gateway %s of route %s is in no network of ours; give an interface an address "
                         "there", ip_addr_text(gw_text, &gateway), ip_prefix_text(dst_text, &dst));
        else if (rc < 0)
                conf_err(err, err_len, "route %s by %s: %s", ip_prefix_text(dst_text, &dst),
                         ip_addr_text(gw_text, &gateway), strerror(-rc));
        return rc;
}

/* Of what a queue has not got. */
static const char *cure_of_queue(int rc)
{
        if (rc == -EMFILE || rc == -ENFILE)
                return "; raise the limit of open files (ulimit -n)";
        return rc == -ENOMEM ? "; raise mem_packets, or give pkts_large" : "";
}

/* The shard's queue of each device: port i is interface i. */
static int add_ports(struct mr_stack *st, struct shard *sh, char *err, size_t err_len)
{
        for (uint32_t i = 0; i < st->conf.iface_cnt; i++) {
                const struct mr_conf_iface *iface = &st->conf.ifaces[i];
                int rc = shard_port_add(sh, st->dev[i], (uint16_t)sh->number, iface->vlan);
                if (rc >= 0)
                        continue;
                conf_err(err, err_len, "%s: its queue cannot be used: %s%s", iface->dev, strerror(-rc),
                         cure_of_queue(rc));
                return rc;
        }
        return 0;
}

static int add_addresses(struct mr_stack *st, struct shard *sh, char *err, size_t err_len)
{
        int rc = 0;

        for (uint32_t i = 0; rc == 0 && i < st->conf.iface_cnt; i++) {
                const struct mr_conf_iface *iface = &st->conf.ifaces[i];
                for (uint32_t a = 0; rc == 0 && a < iface->addr_cnt; a++)
                        rc = add_address(sh, i, &iface->addrs[a], false, err, err_len);
                for (uint32_t a = 0; rc == 0 && a < iface->local_cnt; a++)
                        rc = add_address(sh, i, &iface->locals[a], true, err, err_len);
        }
        for (uint32_t i = 0; rc == 0 && i < st->conf.route_cnt; i++)
                rc = add_route(sh, &st->conf.routes[i], err, err_len);
        return rc;
}

/* Turn shard 0, which asks, and the others, by whose queues the answer may come.  0 or -EINTR. */
static int turn_all(struct mr_stack *st)
{
        struct shard *asks = &st->members[0].shard;

        for (uint32_t i = 1; i < st->member_cnt; i++)
                shard_turn(&st->members[i].shard);
        return shard_run(asks, asks->now_ns + (stack_has_several(st) ? MS(10) : SEC(1)));
}

/* With arp_dad: turn until every address has been asked for, and nobody had it (RFC 5227 2.1). */
static int wait_for_addresses(struct mr_stack *st, char *err, size_t err_len)
{
        const struct ip *ip = &st->members[0].shard.ip;

        for (uint32_t i = 0; i < st->conf.iface_cnt; i++)
                for (uint32_t a = 0; a < st->conf.ifaces[i].addr_cnt; a++) {
                        struct ip_prefix p = conf_prefix(&st->conf.ifaces[i].addrs[a]);
                        char text[IP_ADDR_TEXT_MAX];
                        enum ip_dad dad;
                        int rc = 0;

                        while ((dad = ip_local_dad(ip, &p.addr)) == IP_DAD_PROBING && rc == 0)
                                rc = turn_all(st);
                        if (dad == IP_DAD_DONE)
                                continue;
                        if (rc == 0)
                                rc = -EADDRINUSE;
                        conf_err(err, err_len,
                                 rc == -EADDRINUSE ? "%s is in use by another host on %s; choose another address"
                                                   : "interrupted while asking whether %s is free on %s",
                                 ip_addr_text(text, &p.addr), st->conf.ifaces[i].dev);
                        return rc;
                }
        return 0;
}

int stack_interfaces_add(struct mr_stack *st, char *err, size_t err_len)
{
        int rc = 0;

        for (uint32_t i = 0; rc == 0 && i < st->conf.iface_cnt; i++)
                rc = open_device(st, &st->conf.ifaces[i], err, err_len);
        for (uint32_t i = 0; rc == 0 && i < st->member_cnt; i++)
                rc = add_ports(st, &st->members[i].shard, err, err_len);
        /* The first shard asks for the addresses (arp_dad); the others take them when they are known to be free. */
        for (uint32_t i = 0; rc == 0 && i < st->member_cnt; i++) {
                rc = add_addresses(st, &st->members[i].shard, err, err_len);
                if (rc == 0 && i == 0 && st->conf.arp_dad)
                        rc = wait_for_addresses(st, err, err_len);
        }
        return rc;
}
