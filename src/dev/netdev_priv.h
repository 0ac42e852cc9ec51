/* SPDX-License-Identifier: MIT */
/* dev/netdev_priv.h - What the back-ends share with each other and with nobody else
 */
#pragma once
#include "base/units.h"
#include "dev/netdev.h"

#include <stdarg.h>

enum {
        NETDEV_MTU_MIN     = 68,        /* RFC 791 3.2: every internet module can forward this */
        NETDEV_MTU_MAX     = 65535,
        NETDEV_MTU_DEFAULT = 1500,
        NETDEV_L2_MAX      = 18,        /* Ethernet header and one 802.1Q tag */
        NETDEV_QUEUES_MAX  = 256,
        NETDEV_MARKS       = PKT_CSUM_OK | PKT_CSUM_PARTIAL | PKT_GSO,  /* what a device may set on a received frame */
};

extern const struct netdev_ops null_ops, loop_ops, shm_ops, tap_ops, pcap_ops, fault_ops, steer_ops;

/* Write one line into @err (may be NULL) and return @rc: `return netdev_fail(...)`. */
int netdev_fail(char *err, size_t err_len, int rc, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* @conf->mac, or when that is all zero a locally administered address made
 * from @conf->seed and @name: the same for the same two. */
struct mac_addr netdev_mac(const struct netdev_conf *conf, const char *name);

/* What can be offered of @have when @allowed is all that may be: an offload
 * goes when the one it needs is not there. */
uint32_t netdev_offload(uint32_t have, uint32_t allowed);

/* The first comma-separated element of @where that looks like `scheme:`, or
 * NULL: where the device begins that a decorator holds. */
const char *netdev_inner_name(const char *where);

/* 1 to 40 letters, digits, '.', '_', '-', not beginning with '.': fit for a file name. */
bool netdev_word_ok(const char *word);

/* Free @cnt frames of @q and count why. */
void netdev_drop(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, enum drop why);

/* For decorators: the optional functions of the queue inside. */
static inline int inner_fd(struct netdev_queue *q) { return q->dev->ops->fd ? q->dev->ops->fd(q) : -1; }

static inline bool inner_sleep_begin(struct netdev_queue *q)
{
        return !q->dev->ops->sleep_begin || q->dev->ops->sleep_begin(q);
}

static inline void inner_sleep_end(struct netdev_queue *q)
{
        if (q->dev->ops->sleep_end)
                q->dev->ops->sleep_end(q);
}

static inline uint64_t inner_deadline(struct netdev_queue *q)
{
        return q->dev->ops->deadline ? q->dev->ops->deadline(q) : TIME_NEVER;
}
