/* SPDX-License-Identifier: MIT */
/* dev/loop.c - `loop:` reflects every frame to the one who sent it
 *
 * Nothing is copied: the packet sent is the packet received.  Each queue is
 * its own mirror, a bounded FIFO; when it is full, fewer frames are taken.
 * With a name (`loop:NAME`) it is one end of a pair: loop_pair.c.
 */
#include "dev/loop_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOOP_QUEUE_MAX = 1024 };

struct loop_queue {
        struct pkt_list waiting;
        int             fd;             /* never readable: nothing can come while we sleep */
};

void loop_caps(struct netdev *dev, const struct netdev_conf *conf, const char *name)
{
        dev->caps = (struct netdev_caps){
                .mtu = conf->mtu ? conf->mtu : NETDEV_MTU_DEFAULT,
                .queue_cnt = conf->queue_cnt,
                .burst_best = 32,
                .offload = netdev_offload(LOOP_OFFLOAD, conf->offload),
                .mac = netdev_mac(conf, name),
                .spread = conf->queue_cnt > 1 ? NETDEV_SPREAD_STICKY : NETDEV_SPREAD_ONE,
        };
        /* What is sent unfinished comes back unfinished, so each needs its counterpart. */
        if (!(dev->caps.offload & NETDEV_RX_CSUM) || !(dev->caps.offload & NETDEV_TX_CSUM))
                dev->caps.offload = 0;
        if (!(dev->caps.offload & NETDEV_LRO) || !(dev->caps.offload & NETDEV_TSO))
                dev->caps.offload &= ~(uint32_t)(NETDEV_LRO | NETDEV_TSO);
}

static int loop_open(struct netdev *dev, const char *where, const struct netdev_conf *conf, char *err, size_t err_len)
{
        if (*where)
                return loop_pair_open(dev, where, conf, err, err_len);
        loop_caps(dev, conf, "loop:");
        dev->caps.reflects = true;
        return 0;
}

static void loop_close(struct netdev *dev) { }

static int loop_queue_open(struct netdev_queue *q)
{
        struct loop_queue *lq = calloc(1, sizeof *lq);
        if (!lq)
                return -ENOMEM;
        lq->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (lq->fd < 0) {
                free(lq);
                return -errno;
        }
        q->priv = lq;
        return 0;
}

static void loop_queue_close(struct netdev_queue *q)
{
        struct loop_queue *lq = q->priv;

        pkt_list_give(q->pool, &lq->waiting);
        close(lq->fd);
        free(lq);
}

static uint32_t loop_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct loop_queue *lq = q->priv;
        uint32_t n = 0;

        while (n < max && (pkts[n] = pkt_list_pop(&lq->waiting)))
                n++;
        return n;
}

/* What the sender noted in the packet is nobody's business at the other end. */
static void make_received(struct pkt *p)
{
        p->marks &= NETDEV_MARKS;
        p->iface = 0;
        p->l4 = 0;
        p->seq = 0;
}

static uint32_t loop_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        struct loop_queue *lq = q->priv;
        uint32_t n = u32_min(cnt, LOOP_QUEUE_MAX - lq->waiting.cnt);

        for (uint32_t i = 0; i < n; i++) {
                make_received(pkts[i]);
                pkt_list_push(&lq->waiting, pkts[i]);
        }
        return n;
}

static int loop_fd(struct netdev_queue *q)
{
        struct loop_queue *lq = q->priv;
        return lq->fd;
}

static bool loop_sleep_begin(struct netdev_queue *q)
{
        struct loop_queue *lq = q->priv;
        return lq->waiting.cnt == 0;
}

const struct netdev_ops loop_ops = {
        .scheme = "loop", .help = "loop: reflects frames to the sender; loop:NAME, opened twice, joins two stacks",
        .open = loop_open, .close = loop_close, .queue_open = loop_queue_open, .queue_close = loop_queue_close,
        .rx_burst = loop_rx, .tx_burst = loop_tx, .fd = loop_fd, .sleep_begin = loop_sleep_begin,
};
