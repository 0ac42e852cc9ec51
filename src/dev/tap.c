/* SPDX-License-Identifier: MIT */
/* dev/tap.c - `tap:NAME` is an Ethernet link to this machine's own kernel
 *
 * A TAP interface has the kernel at one end and a file descriptor at the
 * other.  In front of every frame stands a virtio-net header (vnet.h) that
 * carries offloads both ways: the kernel hands over 64 KB super-segments and
 * takes them, and neither side computes checksums that never see a wire.
 *
 * The stack's MAC address is its own and differs from the interface's, which
 * is the kernel's.  Setting the interface up is in tap_link.c.
 *
 * Receiving.  Nobody knows how long the next frame is, and a 64 KB buffer for
 * each would be a waste.  So a queue keeps one small and one large spare
 * packet, and reads into both at once:
 *
 *      read:   │ header │ small: 1,856 octets │ large, from octet 1,856 on ....│
 *
 * A frame that fits goes out in the small one, uncopied; of a longer one the
 * front is copied into its place in the large one.  A spare is given out only
 * when there is another to take its place; else the frame is dropped (and the
 * descriptor still drained).
 *
 * When the interface is deleted, reads fail from then on, and poll() would
 * report an error forever.  The descriptor is then replaced by one that never
 * becomes readable, under the same number: whoever polls it sleeps.
 *
 * Several queues.  The kernel sends a flow to the queue that it was last heard
 * on, but forgets it after three silent seconds, and then a hash of its own
 * decides that we cannot know: NETDEV_SPREAD_UNKNOWN.
 */
#include "dev/tap_link.h"
#include "dev/vnet.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

struct tap {
        struct tap_link link;
};

struct tap_queue {
        int         fd;
        bool        gone;               /* the interface was deleted */
        uint32_t    len_max;            /* octets of a frame that is not PKT_GSO */
        struct pkt *small;
        struct pkt *large;              /* NULL: no frame can be that long */
};

static int tap_open(struct netdev *dev, const char *where, const struct netdev_conf *conf, char *err, size_t err_len)
{
        struct tap *tap = calloc(1, sizeof *tap);
        if (!tap)
                return netdev_fail(err, err_len, -ENOMEM, "tap:%s: out of memory", where);

        uint32_t offload = netdev_offload(NETDEV_RX_CSUM | NETDEV_TX_CSUM | NETDEV_TSO | NETDEV_LRO | NETDEV_RSS,
                                          conf->offload);
        if (conf->queue_cnt == 1)
                offload &= ~(uint32_t)NETDEV_RSS;
        int rc = tap_link_open(&tap->link, where, conf, offload, err, err_len);
        if (rc < 0) {
                free(tap);
                return rc;
        }
        dev->caps = (struct netdev_caps){
                .mtu = tap->link.mtu,
                .queue_cnt = conf->queue_cnt,
                .burst_best = 32,
                .offload = offload,
                .mac = netdev_mac(conf, where),
                .spread = conf->queue_cnt > 1 ? NETDEV_SPREAD_UNKNOWN : NETDEV_SPREAD_ONE,
        };
        if (mac_eq(&dev->caps.mac, &tap->link.kernel_mac))
                dev->caps.mac.octet[5] ^= 1;
        dev->priv = tap;
        return 0;
}

static void tap_close(struct netdev *dev)
{
        struct tap *tap = dev->priv;

        tap_link_close(&tap->link);
        free(tap);
}

static int tap_queue_open(struct netdev_queue *q)
{
        struct tap *tap = q->dev->priv;
        struct tap_queue *tq = calloc(1, sizeof *tq);
        if (!tq)
                return -ENOMEM;

        tq->fd = tap->link.fd[q->index];
        tq->len_max = q->dev->caps.mtu + NETDEV_L2_MAX;
        bool long_ones = q->dev->caps.offload & NETDEV_LRO || tq->len_max > PKT_SMALL_ROOM;
        tq->small = pkt_take(q->pool, 0);
        tq->large = long_ones ? pkt_take(q->pool, PKT_LARGE_ROOM) : NULL;
        q->priv = tq;
        if (tq->small && (tq->large || !long_ones))
                return 0;
        if (tq->small)
                pkt_give(q->pool, tq->small);
        if (tq->large)
                pkt_give(q->pool, tq->large);
        free(tq);
        return -ENOMEM;
}

static void tap_queue_close(struct netdev_queue *q)
{
        struct tap_queue *tq = q->priv;

        pkt_give(q->pool, tq->small);
        if (tq->large)
                pkt_give(q->pool, tq->large);
        free(tq);
}

static void interface_gone(struct netdev_queue *q, int error)
{
        struct tap_queue *tq = q->priv;
        int never = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

        tq->gone = true;
        if (never >= 0) {
                dup3(never, tq->fd, O_CLOEXEC);
                close(never);
        }
        log_warn("%s: the interface is gone (%s): make it again and restart", q->dev->name, strerror(error));
}

/* The frame of @len octets that was read into the spares, as a packet of its
 * own, with new spares in place; or NULL and @why. */
static struct pkt *spare_take(struct netdev_queue *q, uint32_t len, enum drop *why)
{
        struct tap_queue *tq = q->priv;
        struct pkt **spare = len <= PKT_SMALL_ROOM ? &tq->small : &tq->large;
        struct pkt *p = *spare;

        if (!p) {
                *why = DROP_RX_OVERSIZE;
                return NULL;
        }
        struct pkt *next = pkt_take(q->pool, p->large ? PKT_LARGE_ROOM : 0);
        if (!next) {
                *why = DROP_NO_PKT;
                return NULL;
        }
        *spare = next;
        if (p->large)
                memcpy(p->data, tq->small->data, PKT_SMALL_ROOM);
        p->len = len;
        return p;
}

/* One frame from the descriptor.  Returns the read's result; *@out may be NULL
 * even so: then the frame was dropped and counted. */
static ssize_t read_one(struct netdev_queue *q, struct pkt **out)
{
        struct tap_queue *tq = q->priv;
        struct vnet_hdr hdr;
        uint8_t beyond;         /* filled only by a frame that fits nowhere */
        struct iovec iov[4] = { { &hdr, sizeof hdr }, { tq->small->data, PKT_SMALL_ROOM } };
        int cnt = 2;

        if (tq->large)
                iov[cnt++] = (struct iovec){ tq->large->data + PKT_SMALL_ROOM, PKT_LARGE_ROOM - PKT_SMALL_ROOM };
        iov[cnt++] = (struct iovec){ &beyond, 1 };
        ssize_t n = readv(tq->fd, iov, cnt);

        *out = NULL;
        if (n <= (ssize_t)sizeof hdr)
                return n;

        uint32_t len = (uint32_t)n - (uint32_t)sizeof hdr;
        uint32_t room = tq->large ? PKT_LARGE_ROOM : PKT_SMALL_ROOM;
        bool gso = hdr.gso_type != VNET_GSO_NONE;
        enum drop why = DROP_RX_OVERSIZE;
        struct pkt *p = len <= room && (gso || len <= tq->len_max) ? spare_take(q, len, &why) : NULL;

        if (p && !vnet_parse(p, &hdr, q->dev->caps.offload)) {
                pkt_give(q->pool, p);
                p = NULL;
                why = DROP_RX_MARKS;
        }
        if (!p)
                count_drop(q->counters, why);
        *out = p;
        return n;
}

static uint32_t tap_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct tap_queue *tq = q->priv;
        uint32_t n = 0;

        /* Frames dropped count too: a call's work is bounded. */
        for (uint32_t i = 0; i < max && !tq->gone; i++) {
                ssize_t got = read_one(q, &pkts[n]);
                if (got > 0)
                        n += pkts[n] != NULL;
                else if (got < 0 && (errno == EAGAIN || errno == EINTR))
                        break;
                else
                        interface_gone(q, got < 0 ? errno : ENODEV);
        }
        return n;
}

/* Header and frame in one write: the header goes into the headroom if there is some. */
static ssize_t write_one(int fd, struct pkt *p)
{
        struct vnet_hdr hdr = vnet_emit(p);

        if (pkt_headroom(p) >= sizeof hdr) {
                memcpy(p->data - sizeof hdr, &hdr, sizeof hdr);
                return write(fd, p->data - sizeof hdr, p->len + sizeof hdr);
        }
        struct iovec iov[2] = { { &hdr, sizeof hdr }, { p->data, p->len } };
        return writev(fd, iov, 2);
}

/* What became of a frame whose write failed.  DROP_NONE: not taken, try again. */
static enum drop write_failed(int error)
{
        switch (error) {
        case EAGAIN:
        case EINTR:
                return DROP_NONE;
        case ENOMEM:
        case ENOBUFS:
                return DROP_TX_FULL;
        case EINVAL:
        case EFAULT:
                return DROP_TX_REFUSED;
        default:                        /* EIO: the interface is down; EBADFD: deleted */
                return DROP_TX_NO_LINK;
        }
}

static uint32_t tap_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        struct tap_queue *tq = q->priv;
        uint32_t n = 0;

        if (tq->gone) {
                netdev_drop(q, pkts, cnt, DROP_TX_NO_LINK);
                return cnt;
        }
        for (; n < cnt; n++) {
                if (n + 1 < cnt)
                        __builtin_prefetch(pkts[n + 1]->data);
                if (write_one(tq->fd, pkts[n]) >= 0) {
                        pkt_give(q->pool, pkts[n]);
                        continue;
                }
                enum drop why = write_failed(errno);
                if (why == DROP_NONE)
                        break;
                netdev_drop(q, &pkts[n], 1, why);
        }
        return n;
}

static int tap_fd(struct netdev_queue *q)
{
        struct tap_queue *tq = q->priv;
        return tq->fd;
}

const struct netdev_ops tap_ops = {
        .scheme = "tap", .help = "tap:NAME: a link to this machine's kernel (TAP interface); needs CAP_NET_ADMIN",
        .open = tap_open, .close = tap_close, .queue_open = tap_queue_open, .queue_close = tap_queue_close,
        .rx_burst = tap_rx, .tx_burst = tap_tx, .fd = tap_fd,
};
