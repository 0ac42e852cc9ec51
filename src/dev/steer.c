/* SPDX-License-Identifier: MIT */
/* dev/steer.c - `steer:DEVICE` makes many queues of few, and knows which flow comes by which
 *
 * A shard must receive all of a flow, and must know before it opens one that
 * the answers will come to it.  Where the device has too few queues, or
 * spreads by rules that nobody can foresee, software does it: each shard has
 * a queue here, those with a number that the device has too read the device's
 * queue of that number and look at each frame (steer_hash.h).  What is theirs
 * they keep, uncopied; the rest goes to its shard by a ring (framering.h).
 *
 *      device's queue 0 ─► shard 0 ─┬─► its own
 *                                   ├─► ring 0→1 ─► shard 1
 *                                   └─► ring 0→2 ─► shard 2
 *
 * Sending goes the other way: a shard without a queue of the device hands its
 * frames to number % of the device's queues, by a ring again.
 *
 * So a shard that reads for others must turn, or the others starve: the price
 * of a device with one queue.  A ring has one writer and one reader; a full
 * one drops (DROP_STEER_FULL) when receiving, and takes no more when sending.
 */
#include "dev/framering.h"
#include "dev/netdev_priv.h"
#include "dev/steer_hash.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STEER_BURST = 64, STEER_MARKS = PKT_CSUM_OK | PKT_CSUM_PARTIAL | PKT_GSO };
#define HELD_RETRY_NS US(100)

struct steer {
        struct netdev  *inner;
        struct hash_key key;
        uint16_t        queue_cnt;
        uint16_t        real_cnt;       /* of them have a queue of the device */
        int            *wake;           /* [queue] eventfd, written when a ring to a sleeper is filled */
        struct framering_shared **rx_ring;      /* [real][queue], NULL from a queue to itself */
        struct framering_shared **tx_ring;      /* [queue], NULL for those below real_cnt */
};

struct steer_queue {
        struct netdev_queue real;       /* of the device; dev NULL: there is none */
        struct framering *from;         /* [real] received for us by others */
        struct framering *to;           /* [queue] received by us for others */
        struct framering *send_for;     /* [queue] to be sent by us for others */
        struct framering  tx;           /* what others shall send for us */
        struct pkt       *held[STEER_BURST];    /* of send_for, that the device did not take yet */
        uint32_t          held_cnt;
        uint32_t          turn;         /* the ring of from to begin with */
        uint64_t          now_ns;
        int               fd;           /* to sleep on; the eventfd, or an epoll of it and the device's */
        bool              can_sleep;
        bool              slept;
};

/* ---- open and close ---- */

static struct framering_shared *ring_new(void) { return mem_map(framering_bytes(FRAMERING_SIZE), MEM_SMALL); }

static void rings_free(struct framering_shared **ring, size_t cnt)
{
        for (size_t i = 0; ring && i < cnt; i++)
                mem_unmap(ring[i], framering_bytes(FRAMERING_SIZE), MEM_SMALL);
        free(ring);
}

static void steer_free(struct steer *st)
{
        for (uint16_t i = 0; st->wake && i < st->queue_cnt; i++)
                if (st->wake[i] >= 0)
                        close(st->wake[i]);
        free(st->wake);
        rings_free(st->rx_ring, (size_t)st->real_cnt * st->queue_cnt);
        rings_free(st->tx_ring, st->queue_cnt);
        free(st);
}

static struct framering_shared **rx_ring(const struct steer *st, uint32_t from, uint32_t to)
{
        return &st->rx_ring[from * st->queue_cnt + to];
}

static bool make_rings(struct steer *st)
{
        bool ok = st->rx_ring && st->tx_ring && st->wake;

        for (uint16_t from = 0; ok && from < st->real_cnt; from++)
                for (uint16_t to = 0; ok && to < st->queue_cnt; to++)
                        ok = from == to || (*rx_ring(st, from, to) = ring_new());
        for (uint16_t i = st->real_cnt; ok && i < st->queue_cnt; i++)
                ok = (st->tx_ring[i] = ring_new());
        return ok;
}

static int make_wakes(struct steer *st)
{
        for (uint16_t i = 0; i < st->queue_cnt; i++) {
                st->wake[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
                if (st->wake[i] < 0)
                        return -errno;
        }
        return 0;
}

static int steer_init(struct netdev *dev, struct netdev *inner, uint16_t queue_cnt, struct hash_key secret)
{
        struct steer *st = calloc(1, sizeof *st);
        if (!st)
                return -ENOMEM;
        st->inner = inner;
        st->key = secret;
        st->queue_cnt = queue_cnt;
        st->real_cnt = inner->caps.queue_cnt < queue_cnt ? inner->caps.queue_cnt : queue_cnt;
        st->wake = malloc(queue_cnt * sizeof *st->wake);
        for (uint16_t i = 0; st->wake && i < queue_cnt; i++)
                st->wake[i] = -1;
        st->rx_ring = calloc((size_t)st->real_cnt * queue_cnt, sizeof *st->rx_ring);
        st->tx_ring = calloc(queue_cnt, sizeof *st->tx_ring);
        int rc = make_rings(st) ? make_wakes(st) : -ENOMEM;
        if (rc < 0) {
                steer_free(st);
                return rc;
        }
        dev->caps = inner->caps;
        dev->caps.queue_cnt = queue_cnt;
        dev->caps.spread = queue_cnt > 1 ? NETDEV_SPREAD_HASH : NETDEV_SPREAD_ONE;
        dev->priv = st;
        return 0;
}

static int steer_open(struct netdev *dev, const char *where, const struct netdev_conf *conf, char *err, size_t err_len)
{
        struct netdev_conf inner_conf = *conf;
        struct netdev *inner;

        inner_conf.queue_cnt = 1;
        int rc = netdev_open(&inner, where, &inner_conf, err, err_len);
        if (rc < 0)
                return rc;
        rc = steer_init(dev, inner, conf->queue_cnt, conf->secret);
        if (rc < 0) {
                netdev_close(inner);
                return netdev_fail(err, err_len, rc, "steer:%s: out of memory or descriptors", where);
        }
        return 0;
}

int netdev_steer(struct netdev **out, struct netdev *inner, uint16_t queue_cnt, struct hash_key secret)
{
        struct netdev *dev = calloc(1, sizeof *dev);
        if (!dev)
                return -ENOMEM;
        dev->ops = &steer_ops;
        memcpy(dev->name, inner->name, sizeof dev->name);
        int rc = steer_init(dev, inner, queue_cnt, secret);
        if (rc < 0)
                free(dev);
        else
                *out = dev;
        return rc;
}

static void steer_close(struct netdev *dev)
{
        struct steer *st = dev->priv;

        netdev_close(st->inner);
        steer_free(st);
}

/* The descriptor that tells of both: frames in the device and frames in a ring. */
static int join_fds(struct steer_queue *sq, int wake)
{
        int inner = sq->real.dev ? inner_fd(&sq->real) : -1;
        struct epoll_event ev = { .events = EPOLLIN };

        sq->can_sleep = !sq->real.dev || inner >= 0;
        sq->fd = epoll_create1(EPOLL_CLOEXEC);
        if (sq->fd < 0)
                return -errno;
        if (epoll_ctl(sq->fd, EPOLL_CTL_ADD, wake, &ev) < 0 ||
            (inner >= 0 && epoll_ctl(sq->fd, EPOLL_CTL_ADD, inner, &ev) < 0)) {
                close(sq->fd);
                return -errno;
        }
        return 0;
}

static void attach_tx(struct framering *r, struct framering_shared *sh)
{
        framering_attach_tx(r, sh, FRAMERING_SIZE);
        r->carry = STEER_MARKS;
}

static void attach_rings(const struct steer *st, struct steer_queue *sq, uint16_t self)
{
        for (uint16_t i = 0; i < st->real_cnt; i++)
                if (i != self)
                        framering_attach_rx(&sq->from[i], *rx_ring(st, i, self), FRAMERING_SIZE);
        if (!sq->real.dev) {
                attach_tx(&sq->tx, st->tx_ring[self]);
                return;
        }
        for (uint16_t i = 0; i < st->queue_cnt; i++) {
                if (i != self)
                        attach_tx(&sq->to[i], *rx_ring(st, self, i));
                if (i >= st->real_cnt && i % st->real_cnt == self)
                        framering_attach_rx(&sq->send_for[i], st->tx_ring[i], FRAMERING_SIZE);
        }
}

static void queue_free(struct steer_queue *sq)
{
        free(sq->from);
        free(sq->to);
        free(sq->send_for);
        free(sq);
}

static int steer_queue_open(struct netdev_queue *q)
{
        struct steer *st = q->dev->priv;
        struct steer_queue *sq = calloc(1, sizeof *sq);
        int rc = -ENOMEM;

        if (!sq)
                return rc;
        sq->from = calloc(st->real_cnt, sizeof *sq->from);
        sq->to = calloc(st->queue_cnt, sizeof *sq->to);
        sq->send_for = calloc(st->queue_cnt, sizeof *sq->send_for);
        if (sq->from && sq->to && sq->send_for)
                rc = q->index < st->real_cnt
                             ? netdev_queue_open(&sq->real, st->inner, q->index, q->pool, q->counters) : 0;
        if (rc == 0) {
                rc = join_fds(sq, st->wake[q->index]);
                if (rc < 0 && sq->real.dev)
                        netdev_queue_close(&sq->real);
        }
        if (rc < 0) {
                queue_free(sq);
                return rc;
        }
        attach_rings(st, sq, q->index);
        q->priv = sq;
        return 0;
}

static void steer_queue_close(struct netdev_queue *q)
{
        struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;

        for (uint16_t i = 0; i < st->real_cnt; i++)
                if (sq->from[i].sh)
                        framering_detach_rx(&sq->from[i]);
        for (uint16_t i = 0; i < st->queue_cnt; i++)
                if (sq->send_for[i].sh)
                        framering_detach_rx(&sq->send_for[i]);
        for (uint32_t i = 0; i < sq->held_cnt; i++)
                pkt_give(q->pool, sq->held[i]);
        if (sq->real.dev)
                netdev_queue_close(&sq->real);
        close(sq->fd);
        queue_free(sq);
}

/* ---- to others ---- */

static void wake(const struct steer *st, struct framering *r, uint16_t queue)
{
        uint64_t one = 1;

        if (framering_tx_wakes(r)) {
                ssize_t n = write(st->wake[queue], &one, sizeof one);
                (void)n;
        }
}

/* Copies of @cnt frames into the ring to @to; those that find no room are counted. */
static void pass_on(struct netdev_queue *q, uint16_t to, struct pkt *const pkts[], uint32_t cnt)
{
        struct steer_queue *sq = q->priv;
        struct framering *r = &sq->to[to];
        uint32_t took = framering_reader(r) ? framering_tx(r, pkts, cnt) : 0;

        if (took)
                wake(q->dev->priv, r, to);
        q->counters->drop[DROP_STEER_FULL] += cnt - took;
}

/* A copy for everybody else who is there. */
static void pass_to_all(struct netdev_queue *q, struct pkt *p)
{
        const struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;

        for (uint16_t i = 0; i < st->queue_cnt; i++)
                if (i != q->index && framering_reader(&sq->to[i]))
                        pass_on(q, i, &p, 1);
}

/* Those of pkts[from..] that are for the same queue as the first, in one go. */
static void pass_group(struct netdev_queue *q, struct pkt *pkts[], const uint32_t whose[], uint32_t from, uint32_t cnt)
{
        struct pkt *group[STEER_BURST];
        uint32_t n = 0;

        for (uint32_t i = from; i < cnt; i++)
                if (pkts[i] && whose[i] == whose[from]) {
                        group[n++] = pkts[i];
                        pkts[i] = NULL;
                }
        pass_on(q, (uint16_t)whose[from], group, n);
        for (uint32_t i = 0; i < n; i++)
                pkt_give(q->pool, group[i]);
}

/* A burst of the device: ours stay in @pkts, in order; returns how many. */
static uint32_t rx_device(struct netdev_queue *q, struct pkt *pkts[], uint32_t max)
{
        const struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;
        uint32_t whose[STEER_BURST], mine = 0;
        uint32_t cnt = netdev_rx(&sq->real, pkts, u32_min(max, STEER_BURST), sq->now_ns);

        for (uint32_t i = 0; i < cnt; i++) {
                if (i + 1 < cnt)
                        __builtin_prefetch(pkts[i + 1]->data);
                whose[i] = steer_of_frame(&st->key, st->queue_cnt, pkts[i]->data, pkts[i]->len);
                if (whose[i] == STEER_ALL) {
                        pass_to_all(q, pkts[i]);
                        whose[i] = q->index;
                }
        }
        for (uint32_t i = 0; i < cnt; i++) {
                if (pkts[i] && whose[i] != q->index)
                        pass_group(q, pkts, whose, i, cnt);
                else if (pkts[i])
                        pkts[mine++] = pkts[i];
        }
        return mine;
}

/* ---- from others ---- */

static uint32_t rx_rings(struct netdev_queue *q, struct pkt *pkts[], uint32_t max)
{
        static const struct framering_limits limits = { .marks = STEER_MARKS, .len_max = PKT_LARGE_ROOM };
        const struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;
        uint32_t n = 0;

        sq->turn++;
        for (uint32_t i = 0; i < st->real_cnt && n < max; i++) {
                struct framering *r = &sq->from[(sq->turn + i) % st->real_cnt];
                if (r->sh)
                        n += framering_rx(r, q, &limits, pkts + n, max - n);
        }
        return n;
}

static bool send_held(struct steer_queue *sq)
{
        uint32_t took = netdev_tx(&sq->real, sq->held, sq->held_cnt, sq->now_ns);

        sq->held_cnt -= took;
        memmove(sq->held, sq->held + took, sq->held_cnt * sizeof sq->held[0]);
        return sq->held_cnt == 0;
}

/* Send what others have left for us to send: a burst of each at most. */
static void tx_for_others(struct netdev_queue *q)
{
        static const struct framering_limits limits = { .marks = STEER_MARKS, .len_max = PKT_LARGE_ROOM };
        const struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;

        if (sq->held_cnt && !send_held(sq))
                return;
        for (uint32_t i = st->real_cnt; i < st->queue_cnt; i++) {
                if (!sq->send_for[i].sh)
                        continue;
                sq->held_cnt = framering_rx(&sq->send_for[i], q, &limits, sq->held, STEER_BURST);
                if (sq->held_cnt && !send_held(sq))
                        return;
        }
}

/* ---- the queue ---- */

static uint32_t steer_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct steer_queue *sq = q->priv;

        sq->now_ns = now_ns;
        if (!sq->real.dev)
                return rx_rings(q, pkts, max);
        tx_for_others(q);
        uint32_t n = rx_rings(q, pkts, max / 2);        /* half the burst at most: the device has its turn */
        n += rx_device(q, pkts + n, max - n);
        return n < max ? n + rx_rings(q, pkts + n, max - n) : n;
}

static uint32_t steer_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        const struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;

        if (sq->real.dev)
                return netdev_tx(&sq->real, pkts, cnt, now_ns);
        if (!framering_reader(&sq->tx)) {
                netdev_drop(q, pkts, cnt, DROP_TX_NO_LINK);
                return cnt;
        }
        uint32_t took = framering_tx(&sq->tx, pkts, cnt);
        if (took)
                wake(st, &sq->tx, (uint16_t)(q->index % st->real_cnt));
        for (uint32_t i = 0; i < took; i++)
                pkt_give(q->pool, pkts[i]);
        return took;
}

static int steer_fd(struct netdev_queue *q)
{
        const struct steer_queue *sq = q->priv;
        return sq->can_sleep ? sq->fd : -1;
}

/* Every ring must know that we sleep, also when one of them says no. */
static bool steer_sleep_begin(struct netdev_queue *q)
{
        const struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;
        bool sleep = true;

        for (uint16_t i = 0; i < st->real_cnt; i++)
                if (sq->from[i].sh)
                        sleep &= framering_sleep_begin(&sq->from[i]);
        for (uint16_t i = st->real_cnt; i < st->queue_cnt; i++)
                if (sq->send_for[i].sh && !sq->held_cnt)
                        sleep &= framering_sleep_begin(&sq->send_for[i]);
        if (sq->real.dev)
                sleep &= inner_sleep_begin(&sq->real);
        return sq->slept = sleep;
}

static void steer_sleep_end(struct netdev_queue *q)
{
        const struct steer *st = q->dev->priv;
        struct steer_queue *sq = q->priv;
        uint64_t sink;

        for (uint16_t i = 0; i < st->real_cnt; i++)
                if (sq->from[i].sh)
                        framering_sleep_end(&sq->from[i]);
        for (uint16_t i = st->real_cnt; i < st->queue_cnt; i++)
                if (sq->send_for[i].sh)
                        framering_sleep_end(&sq->send_for[i]);
        if (sq->real.dev)
                inner_sleep_end(&sq->real);
        if (sq->slept) {                /* as in ringport.c: a late signal must not end all sleeps to come */
                ssize_t n = read(st->wake[q->index], &sink, sizeof sink);
                (void)n;
        }
}

static uint64_t steer_deadline(struct netdev_queue *q)
{
        struct steer_queue *sq = q->priv;
        uint64_t at = sq->held_cnt ? sq->now_ns + HELD_RETRY_NS : TIME_NEVER;
        return sq->real.dev ? u64_min(at, inner_deadline(&sq->real)) : at;
}

static uint16_t steer_queue_of(const struct netdev *dev, const struct netdev_flow *flow)
{
        const struct steer *st = dev->priv;
        return (uint16_t)steer_of_flow(&st->key, st->queue_cnt, flow);
}

const struct netdev_ops steer_ops = {
        .scheme = "steer", .help = "steer:DEVICE: one queue of DEVICE for all shards, spread by software",
        .open = steer_open, .close = steer_close, .queue_open = steer_queue_open, .queue_close = steer_queue_close,
        .rx_burst = steer_rx, .tx_burst = steer_tx, .fd = steer_fd,
        .sleep_begin = steer_sleep_begin, .sleep_end = steer_sleep_end, .deadline = steer_deadline,
        .queue_of = steer_queue_of,
};
