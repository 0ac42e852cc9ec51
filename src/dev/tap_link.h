/* SPDX-License-Identifier: MIT */
/* dev/tap_link.h - Setting up a TAP interface: descriptors, flags, MTU
 *
 * All the ioctls of tap.c, and the words for a person when one fails.
 */
#pragma once
#include "dev/netdev_priv.h"

struct tap_link {
        int             *fd;            /* one a queue */
        uint16_t         queue_cnt;
        uint32_t         mtu;
        struct mac_addr  kernel_mac;    /* of the kernel's end */
};

/* Make or join the interface @name, agree on @offload, bring it up.
 * @conf: mtu (0: leave it as it is) and queue_cnt.
 * Return: 0 or a negative errno with a line in @err and nothing left open. */
int  tap_link_open(struct tap_link *link, const char *name, const struct netdev_conf *conf, uint32_t offload,
                   char *err, size_t err_len);
void tap_link_close(struct tap_link *link);
