/* SPDX-License-Identifier: MIT */
/* dev/fault.c - `fault:KEY=VALUE,...,DEVICE` makes a device as bad as real networks are
 *
 * Loss, duplicates, reordering, flipped bits, delay, jitter and a rate, each
 * way, out of a seed and the caller's now_ns alone: the same seed and the same
 * traffic give the same faults.  What happens to a frame is in fault_lane.h.
 *
 * The device inside is opened without offloads, so that what is lost or
 * flipped is a frame as a wire carries it, with checksums that can fail.
 *
 * Held frames move on when the shard comes by: fault_rx() moves both ways,
 * and deadline() tells when it is worth coming.
 */
#include "dev/fault_lane.h"
#include "dev/netdev_priv.h"

#include <errno.h>
#include <stdlib.h>

enum { FAULT_QUEUE_DEFAULT = 1000, FAULT_BURST = 64 };

struct fault {
        struct netdev    *inner;
        struct fault_conf conf;
};

struct fault_queue {
        struct netdev_queue inner;
        struct fault_lane   rx, tx;
        uint64_t            now_ns;     /* when the shard last came by */
};

static int fault_open(struct netdev *dev, const char *where, const struct netdev_conf *conf,
                      char *err, size_t err_len)
{
        const char *inner = netdev_inner_name(where);
        if (!inner)
                return netdev_fail(err, err_len, -EINVAL, "fault:%s: names no device: write "
                                   "fault:KEY=VALUE,...,DEVICE, as in fault:loss=1%%,tap:mr0", where);

        struct fault *f = calloc(1, sizeof *f);
        if (!f)
                return netdev_fail(err, err_len, -ENOMEM, "fault:%s: out of memory", where);
        f->conf = (struct fault_conf){
                .queue_pkts = FAULT_QUEUE_DEFAULT, .seed = conf->seed, .dirs = FAULT_RX | FAULT_TX,
        };
        size_t keys_len = inner > where ? (size_t)(inner - where) - 1 : 0;
        int rc = fault_conf_parse(&f->conf, where, keys_len, err, err_len);
        if (rc == 0) {
                struct netdev_conf inner_conf = *conf;
                inner_conf.offload &= NETDEV_RSS;
                rc = netdev_open(&f->inner, inner, &inner_conf, err, err_len);
        }
        if (rc < 0) {
                free(f);
                return rc;
        }
        dev->caps = f->inner->caps;
        dev->priv = f;
        return 0;
}

static void fault_close(struct netdev *dev)
{
        struct fault *f = dev->priv;

        netdev_close(f->inner);
        free(f);
}

static int fault_queue_open(struct netdev_queue *q)
{
        struct fault *f = q->dev->priv;
        struct fault_queue *fq = calloc(1, sizeof *fq);
        if (!fq)
                return -ENOMEM;

        uint64_t state = f->conf.seed ^ ((uint64_t)q->index << 48);
        uint64_t rx_seed = rnd_splitmix(&state), tx_seed = rnd_splitmix(&state);
        int rc = fault_lane_init(&fq->rx, &f->conf, rx_seed, q->pool, q->counters);
        if (rc == 0) {
                rc = fault_lane_init(&fq->tx, &f->conf, tx_seed, q->pool, q->counters);
                if (rc == 0) {
                        rc = netdev_queue_open(&fq->inner, f->inner, q->index, q->pool, q->counters);
                        if (rc < 0)
                                fault_lane_fini(&fq->tx);
                }
                if (rc < 0)
                        fault_lane_fini(&fq->rx);
        }
        if (rc < 0) {
                free(fq);
                return rc;
        }
        q->priv = fq;
        return 0;
}

static void fault_queue_close(struct netdev_queue *q)
{
        struct fault_queue *fq = q->priv;

        netdev_queue_close(&fq->inner);
        fault_lane_fini(&fq->tx);
        fault_lane_fini(&fq->rx);
        free(fq);
}

/* Send what is due.  False: the device inside does not take it. */
static bool send_due(struct fault_queue *fq, uint64_t now_ns)
{
        struct pkt *pkts[FAULT_BURST];
        uint32_t cnt, taken;

        do {
                cnt = fault_lane_due(&fq->tx, pkts, FAULT_BURST, now_ns);
                taken = cnt ? netdev_tx(&fq->inner, pkts, cnt, now_ns) : 0;
                fault_lane_pop(&fq->tx, taken);
        } while (cnt == FAULT_BURST && taken == cnt);
        return taken == cnt;
}

static uint32_t take_due(struct fault_queue *fq, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        uint32_t n = fault_lane_due(&fq->rx, pkts, max, now_ns);
        fault_lane_pop(&fq->rx, n);
        return n;
}

static uint32_t fault_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct fault *f = q->dev->priv;
        struct fault_queue *fq = q->priv;
        struct pkt *fresh[FAULT_BURST];

        fq->now_ns = now_ns;
        send_due(fq, now_ns);
        if (!(f->conf.dirs & FAULT_RX))
                return netdev_rx(&fq->inner, pkts, max, now_ns);

        uint32_t n = take_due(fq, pkts, max, now_ns);
        if (n == max)                   /* behind already: leave the rest where it is */
                return n;
        uint32_t cnt = netdev_rx(&fq->inner, fresh, u32_min(max, FAULT_BURST), now_ns);
        for (uint32_t i = 0; i < cnt; i++)
                fault_lane_put(&fq->rx, fresh[i], now_ns);
        return n + take_due(fq, pkts + n, max - n, now_ns);
}

static uint32_t fault_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        struct fault *f = q->dev->priv;
        struct fault_queue *fq = q->priv;

        fq->now_ns = now_ns;
        if (!(f->conf.dirs & FAULT_TX))
                return netdev_tx(&fq->inner, pkts, cnt, now_ns);
        if (!send_due(fq, now_ns))      /* the device is full, and so are we */
                return 0;
        for (uint32_t i = 0; i < cnt; i++)
                fault_lane_put(&fq->tx, pkts[i], now_ns);
        send_due(fq, now_ns);
        return cnt;
}

static int fault_fd(struct netdev_queue *q)
{
        struct fault_queue *fq = q->priv;
        return inner_fd(&fq->inner);
}

static bool fault_sleep_begin(struct netdev_queue *q)
{
        struct fault_queue *fq = q->priv;
        return inner_sleep_begin(&fq->inner) && fault_lane_deadline(&fq->rx) > fq->now_ns;
}

static void fault_sleep_end(struct netdev_queue *q)
{
        struct fault_queue *fq = q->priv;
        inner_sleep_end(&fq->inner);
}

static uint64_t fault_deadline(struct netdev_queue *q)
{
        struct fault_queue *fq = q->priv;
        uint64_t due_ns = u64_min(fault_lane_deadline(&fq->rx), fault_lane_deadline(&fq->tx));
        return u64_min(due_ns, inner_deadline(&fq->inner));
}

static uint16_t fault_queue_of(const struct netdev *dev, const struct netdev_flow *flow)
{
        const struct fault *f = dev->priv;
        return netdev_queue_of(f->inner, flow);
}

const struct netdev_ops fault_ops = {
        .scheme = "fault", .help = "fault:loss=1%,delay=20ms,...,DEVICE: loses, delays, reorders, corrupts frames",
        .open = fault_open, .close = fault_close, .queue_open = fault_queue_open, .queue_close = fault_queue_close,
        .rx_burst = fault_rx, .tx_burst = fault_tx, .fd = fault_fd,
        .sleep_begin = fault_sleep_begin, .sleep_end = fault_sleep_end, .deadline = fault_deadline,
        .queue_of = fault_queue_of,
};
