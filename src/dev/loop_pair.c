/* SPDX-License-Identifier: MIT */
/* dev/loop_pair.c - `loop:NAME`, opened twice in one process, is a wire with two ends
 *
 * The ends may live on two threads.  A wire is found by its name in a list
 * and lives as long as one end does; each queue of it is a pair of rings
 * (framering.h) and an eventfd for each end to sleep on.  A frame sent while
 * the other end is not open is dropped, as by a wire.
 *
 * Both ends have as many queues, and the same offloads: what one end sends
 * unfinished (checksums, super-segments) the other must be able to take.
 */
#include "dev/loop_priv.h"
#include "dev/ringport.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* One direction of one queue. */
struct lane {
        struct framering_shared *ring;  /* NULL: not made yet */
        int                      fd;    /* wakes the reader */
};

struct wire {
        struct wire *next;
        char         name[64];
        bool         open[2];
        uint32_t     offload;
        uint16_t     queue_cnt;
        struct lane *lane[2];           /* [end that reads][queue] */
};

struct end {
        struct wire *wire;
        unsigned     side;
};

static pthread_mutex_t wires_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wire    *wires;

static const struct netdev_ops pair_ops;

static void wire_free(struct wire *w)
{
        for (unsigned side = 0; side < 2; side++) {
                for (unsigned i = 0; w->lane[side] && i < w->queue_cnt; i++) {
                        if (!w->lane[side][i].ring)
                                continue;
                        mem_unmap(w->lane[side][i].ring, framering_bytes(FRAMERING_SIZE), MEM_SMALL);
                        close(w->lane[side][i].fd);
                }
                free(w->lane[side]);
        }
        free(w);
}

static bool lane_init(struct lane *lane)
{
        lane->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (lane->fd < 0)
                return false;
        lane->ring = mem_map(framering_bytes(FRAMERING_SIZE), MEM_SMALL);
        if (!lane->ring)
                close(lane->fd);
        return lane->ring;
}

/* NULL: no memory or no descriptors. */
static struct wire *wire_new(const char *name, uint16_t queue_cnt, uint32_t offload)
{
        struct wire *w = calloc(1, sizeof *w);
        if (!w)
                return NULL;
        snprintf(w->name, sizeof w->name, "%s", name);
        w->queue_cnt = queue_cnt;
        w->offload = offload;

        bool ok = true;
        for (unsigned side = 0; side < 2 && ok; side++) {
                w->lane[side] = calloc(queue_cnt, sizeof *w->lane[side]);
                ok = w->lane[side];
                for (unsigned i = 0; i < queue_cnt && ok; i++)
                        ok = lane_init(&w->lane[side][i]);
        }
        if (ok)
                return w;
        wire_free(w);
        return NULL;
}

static struct wire *wire_find(const char *name)
{
        for (struct wire *w = wires; w; w = w->next)
                if (strcmp(w->name, name) == 0)
                        return w;
        return NULL;
}

/* Join the wire @name, or make it.  With wires_lock held. */
static int end_claim(struct end *e, const char *name, const struct netdev_caps *caps, char *err, size_t err_len)
{
        struct wire *w = wire_find(name);

        if (!w) {
                w = wire_new(name, caps->queue_cnt, caps->offload);
                if (!w)
                        return netdev_fail(err, err_len, -ENOMEM, "loop:%s: out of memory or descriptors", name);
                w->next = wires;
                wires = w;
        }
        if (w->open[0] && w->open[1])
                return netdev_fail(err, err_len, -EBUSY,
                                   "loop:%s: both ends are open already: close one, or use another name", name);
        if (w->queue_cnt != caps->queue_cnt)
                return netdev_fail(err, err_len, -EINVAL,
                                   "loop:%s: the other end has %u queues, not %u: open both with the same number",
                                   name, w->queue_cnt, caps->queue_cnt);
        if (w->offload & ~caps->offload)
                return netdev_fail(err, err_len, -EINVAL,
                                   "loop:%s: the other end uses offloads that this end may not: "
                                   "open this end first, or both without offloads", name);
        e->wire = w;
        e->side = w->open[0] ? 1 : 0;
        w->open[e->side] = true;
        return 0;
}

int loop_pair_open(struct netdev *dev, const char *name, const struct netdev_conf *conf, char *err, size_t err_len)
{
        char mac_name[80];

        if (!netdev_word_ok(name))
                return netdev_fail(err, err_len, -EINVAL,
                                   "loop:%s: a name has 1 to 40 letters, digits, '.', '_' or '-'", name);
        struct end *e = calloc(1, sizeof *e);
        if (!e)
                return netdev_fail(err, err_len, -ENOMEM, "loop:%s: out of memory", name);

        loop_caps(dev, conf, "");
        pthread_mutex_lock(&wires_lock);
        int rc = end_claim(e, name, &dev->caps, err, err_len);
        pthread_mutex_unlock(&wires_lock);
        if (rc < 0) {
                free(e);
                return rc;
        }
        snprintf(mac_name, sizeof mac_name, "loop:%s/%u", name, e->side);
        dev->caps.mac = netdev_mac(conf, mac_name);
        dev->caps.offload = e->wire->offload;
        dev->ops = &pair_ops;
        dev->priv = e;
        return 0;
}

static void pair_close(struct netdev *dev)
{
        struct end *e = dev->priv;
        struct wire *w = e->wire;

        pthread_mutex_lock(&wires_lock);
        w->open[e->side] = false;
        if (!w->open[0] && !w->open[1]) {
                struct wire **at = &wires;
                while (*at != w)
                        at = &(*at)->next;
                *at = w->next;
                wire_free(w);
        }
        pthread_mutex_unlock(&wires_lock);
        free(e);
}

static int pair_queue_open(struct netdev_queue *q)
{
        struct end *e = q->dev->priv;
        struct lane *mine = &e->wire->lane[e->side][q->index];
        struct lane *peers = &e->wire->lane[!e->side][q->index];
        struct ringport *port = calloc(1, sizeof *port);

        if (!port)
                return -ENOMEM;
        port->limits = ringport_limits(q->dev->caps.mtu, q->dev->caps.offload);
        port->rx_fd = mine->fd;
        port->peer_fd = peers->fd;
        framering_attach_tx(&port->tx, peers->ring, FRAMERING_SIZE);
        framering_attach_rx(&port->rx, mine->ring, FRAMERING_SIZE);
        q->priv = port;
        return 0;
}

static void pair_queue_close(struct netdev_queue *q)
{
        struct ringport *port = q->priv;

        framering_detach_rx(&port->rx);
        free(port);
}

static uint32_t pair_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        return ringport_rx(q->priv, q, pkts, max);
}

static uint32_t pair_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        return ringport_tx(q->priv, q, pkts, cnt);
}

static int pair_fd(struct netdev_queue *q)
{
        struct ringport *port = q->priv;
        return port->rx_fd;
}

static bool pair_sleep_begin(struct netdev_queue *q) { return ringport_sleep_begin(q->priv); }
static void pair_sleep_end(struct netdev_queue *q) { ringport_sleep_end(q->priv); }

/* Not in netdev_list: loop_open() puts it in the place of loop_ops. */
static const struct netdev_ops pair_ops = {
        .scheme = "loop", .close = pair_close, .queue_open = pair_queue_open, .queue_close = pair_queue_close,
        .rx_burst = pair_rx, .tx_burst = pair_tx, .fd = pair_fd,
        .sleep_begin = pair_sleep_begin, .sleep_end = pair_sleep_end,
};
