/* SPDX-License-Identifier: MIT */
/* dev/loop_priv.h - What loop.c and loop_pair.c share
 */
#pragma once
#include "dev/netdev_priv.h"

#define LOOP_OFFLOAD (NETDEV_RX_CSUM | NETDEV_TX_CSUM | NETDEV_TSO | NETDEV_LRO)

/* Fill in dev->caps. */
void loop_caps(struct netdev *dev, const struct netdev_conf *conf, const char *name);

/* Open one end of the pair @name; replaces dev->ops. */
int loop_pair_open(struct netdev *dev, const char *name, const struct netdev_conf *conf, char *err, size_t err_len);
