/* SPDX-License-Identifier: MIT */
/* dev/shm.c - `shm:NAME` is a wire between two processes of one machine
 *
 * Two rings a queue in shared memory (framering.h), and a FIFO for each end to
 * sleep on.  Who the two ends are, and what happens when one dies, is in
 * shm_wire.h.  Frames sent while the other end is absent are dropped, as by a
 * wire.  A peer that died does not say so: it is noticed when its ring is full.
 */
#include "dev/netdev_priv.h"
#include "dev/ringport.h"
#include "dev/shm_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PEER_CHECK_NS MS(10)            /* how often a full ring asks whether the peer lives: a system call */

struct shm_queue {
        struct ringport port;
        uint64_t        check_at_ns;    /* not before then */
};

static int shm_open_dev(struct netdev *dev, const char *where, const struct netdev_conf *conf,
                        char *err, size_t err_len)
{
        uint32_t csum = NETDEV_RX_CSUM | NETDEV_TX_CSUM, tso = NETDEV_TSO | NETDEV_LRO;
        struct shm_wire *w = calloc(1, sizeof *w);
        char mac_name[64];

        if (!w)
                return netdev_fail(err, err_len, -ENOMEM, "shm:%s: out of memory", where);
        /* What one end sends unfinished the other must take: both or neither. */
        uint32_t offload = (conf->offload & csum) == csum ? csum : 0;
        if (offload && (conf->offload & tso) == tso)
                offload |= tso;
        int rc = shm_wire_open(w, where, conf->queue_cnt, offload, err, err_len);
        if (rc < 0) {
                free(w);
                return rc;
        }
        snprintf(mac_name, sizeof mac_name, "shm:%s/%c", w->name, "ab"[w->side]);
        dev->caps = (struct netdev_caps){
                .mtu = conf->mtu ? conf->mtu : NETDEV_MTU_DEFAULT,
                .queue_cnt = w->queue_cnt,
                .burst_best = 32,
                .offload = w->offload,
                .mac = netdev_mac(conf, mac_name),
                .spread = w->queue_cnt > 1 ? NETDEV_SPREAD_STICKY : NETDEV_SPREAD_ONE,
        };
        dev->priv = w;
        return 0;
}

static void shm_close_dev(struct netdev *dev)
{
        shm_wire_close(dev->priv);
        free(dev->priv);
}

/* Drop instead of waiting when the peer is no more. */
static void peer_check(struct shm_queue *sq, const struct shm_wire *w)
{
        uint32_t number = framering_reader(&sq->port.tx);
        if (number && !shm_wire_peer_alive(w))
                framering_reader_died(&sq->port.tx, number);
}

static int shm_queue_open(struct netdev_queue *q)
{
        struct shm_wire *w = q->dev->priv;
        struct shm_queue *sq = calloc(1, sizeof *sq);
        if (!sq)
                return -ENOMEM;

        sq->port.limits = ringport_limits(q->dev->caps.mtu, w->offload);
        sq->port.rx_fd = shm_wire_fifo(w, q->index, w->side);
        sq->port.peer_fd = shm_wire_fifo(w, q->index, !w->side);
        if (sq->port.rx_fd < 0 || sq->port.peer_fd < 0) {
                int rc = sq->port.rx_fd < 0 ? sq->port.rx_fd : sq->port.peer_fd;
                if (sq->port.rx_fd >= 0)
                        close(sq->port.rx_fd);
                if (sq->port.peer_fd >= 0)
                        close(sq->port.peer_fd);
                free(sq);
                return rc;
        }
        framering_attach_tx(&sq->port.tx, shm_wire_ring(w, q->index, !w->side), FRAMERING_SIZE);
        framering_attach_rx(&sq->port.rx, shm_wire_ring(w, q->index, w->side), FRAMERING_SIZE);
        peer_check(sq, w);
        q->priv = sq;
        return 0;
}

static void shm_queue_close(struct netdev_queue *q)
{
        struct shm_queue *sq = q->priv;

        framering_detach_rx(&sq->port.rx);
        close(sq->port.rx_fd);
        close(sq->port.peer_fd);
        free(sq);
}

static uint32_t shm_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct shm_queue *sq = q->priv;
        return ringport_rx(&sq->port, q, pkts, max);
}

static uint32_t shm_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        struct shm_queue *sq = q->priv;
        uint32_t n = ringport_tx(&sq->port, q, pkts, cnt);

        if (n < cnt && now_ns >= sq->check_at_ns) {
                sq->check_at_ns = now_ns + PEER_CHECK_NS;
                peer_check(sq, q->dev->priv);
        }
        return n;
}

static int shm_fd(struct netdev_queue *q)
{
        struct shm_queue *sq = q->priv;
        return sq->port.rx_fd;
}

static bool shm_sleep_begin(struct netdev_queue *q)
{
        struct shm_queue *sq = q->priv;
        return ringport_sleep_begin(&sq->port);
}

static void shm_sleep_end(struct netdev_queue *q)
{
        struct shm_queue *sq = q->priv;
        ringport_sleep_end(&sq->port);
}

const struct netdev_ops shm_ops = {
        .scheme = "shm", .help = "shm:NAME: a wire between two processes of this machine, through shared memory",
        .open = shm_open_dev, .close = shm_close_dev, .queue_open = shm_queue_open, .queue_close = shm_queue_close,
        .rx_burst = shm_rx, .tx_burst = shm_tx, .fd = shm_fd,
        .sleep_begin = shm_sleep_begin, .sleep_end = shm_sleep_end,
};
