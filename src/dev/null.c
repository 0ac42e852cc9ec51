/* SPDX-License-Identifier: MIT */
/* dev/null.c - `null:` swallows what is sent and receives nothing
 *
 * The smallest back-end: copy it to begin a new one.
 */
#include "dev/netdev_priv.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int null_open(struct netdev *dev, const char *where, const struct netdev_conf *conf, char *err, size_t err_len)
{
        if (*where)
                return netdev_fail(err, err_len, -EINVAL, "null:%s: null: takes no name, write just null:", where);
        dev->caps = (struct netdev_caps){
                .mtu = conf->mtu ? conf->mtu : NETDEV_MTU_DEFAULT,
                .queue_cnt = conf->queue_cnt,
                .burst_best = 32,
                .offload = netdev_offload(NETDEV_TX_CSUM | NETDEV_TSO, conf->offload),
                .mac = netdev_mac(conf, "null:"),
                .spread = conf->queue_cnt > 1 ? NETDEV_SPREAD_STICKY : NETDEV_SPREAD_ONE,
        };
        return 0;
}

static void null_close(struct netdev *dev) { }

/* A shard that has only this device must be able to sleep as well: it gets a
 * descriptor that never becomes readable. */
static int null_queue_open(struct netdev_queue *q)
{
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        q->priv = (void *)(intptr_t)fd;
        return fd < 0 ? -errno : 0;
}

static int null_fd(struct netdev_queue *q) { return (int)(intptr_t)q->priv; }

static void null_queue_close(struct netdev_queue *q) { close(null_fd(q)); }

static uint32_t null_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns) { return 0; }

static uint32_t null_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        for (uint32_t i = 0; i < cnt; i++)
                pkt_give(q->pool, pkts[i]);
        return cnt;
}

const struct netdev_ops null_ops = {
        .scheme = "null", .help = "null: swallows what is sent, receives nothing",
        .open = null_open, .close = null_close, .queue_open = null_queue_open, .queue_close = null_queue_close,
        .rx_burst = null_rx, .tx_burst = null_tx, .fd = null_fd,
};
