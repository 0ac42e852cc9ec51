/* SPDX-License-Identifier: MIT */
/* dev/netdev.h - What the stack asks of anything that moves frames
 *
 * A device moves Ethernet frames between the stack and the outside: nothing
 * more.  It knows pkt/ and its own back-end; it does not know IP.  The stack
 * knows this file and never a back-end.  Back-ends are one file each, here.
 *
 * Names are what users type: `scheme:rest`.  A decorator is a device that
 * holds another device and is named in front of it, so it works on every
 * back-end:    pcap:x.pcapng,tap:mr0      fault:loss=1%,delay=20ms,shm:a
 *
 * Threads:   a queue is used by one shard, so nothing below locks.
 * Ownership: a frame has one owner.  rx_burst() gives frames to the caller.
 *            tx_burst() takes the first n it says it took; the caller keeps
 *            the rest.  Frames come from, and go back to, the pool of the queue.
 * Time:      an argument.  Only decorators that delay frames or stamp them look at it.
 */
#pragma once
#include "base/addr.h"
#include "base/counters.h"
#include "base/hash.h"
#include "pkt/pkt.h"

#include <stdint.h>

struct netdev;
struct netdev_queue;

enum netdev_offload {
        NETDEV_RX_CSUM = 1 << 0,        /* marks frames PKT_CSUM_OK or PKT_CSUM_PARTIAL */
        NETDEV_TX_CSUM = 1 << 1,        /* accepts PKT_CSUM_PARTIAL */
        NETDEV_TSO     = 1 << 2,        /* accepts PKT_GSO (TCP over IPv4 and IPv6), needs NETDEV_TX_CSUM */
        NETDEV_LRO     = 1 << 3,        /* delivers PKT_GSO frames */
        NETDEV_RSS     = 1 << 4,        /* spreads flows over its queues */
        NETDEV_ALL_OFFLOADS = 31,
};

/* What the opener asks for. */
struct netdev_conf {
        uint32_t mtu;                   /* octets of IP packet; 0: the back-end's default (1500 or the interface's) */
        uint16_t queue_cnt;             /* queue pairs wanted; at least 1 */
        uint32_t offload;               /* most offloads allowed: enum netdev_offload */
        uint64_t seed;                  /* for made-up MAC addresses and for fault: */
        struct hash_key secret;         /* for hashes that a stranger must not foresee */
        struct mac_addr mac;            /* all zero: the back-end chooses */
};

/* Which queue do the answers to a frame come by? */
enum netdev_spread {
        NETDEV_SPREAD_ONE,              /* there is one */
        NETDEV_SPREAD_STICKY,           /* by the one it was sent on, as long as the flow lasts */
        NETDEV_SPREAD_HASH,             /* ops->queue_of() tells */
        NETDEV_SPREAD_UNKNOWN,          /* any: steer: in front makes it NETDEV_SPREAD_HASH */
};

/* What there is.  Filled in by open(), constant afterwards. */
struct netdev_caps {
        uint32_t mtu;                   /* octets of IP packet, without Ethernet header */
        uint16_t queue_cnt;             /* queue pairs there are, at least 1 */
        uint16_t burst_best;            /* frames a burst where this back-end is happiest */
        uint32_t offload;               /* enum netdev_offload */
        struct mac_addr mac;            /* the stack's own address on this link */
        bool     reflects;              /* what is sent comes back: both ends are ours */
        enum netdev_spread spread;
};

/* A flow of TCP or UDP, from our side. */
struct netdev_flow {
        struct ip_addr laddr, raddr;
        uint16_t       lport, rport;
};

struct netdev {
        const struct netdev_ops *ops;
        struct netdev_caps       caps;
        char                     name[64];      /* as typed, decorators included */
        void                    *priv;          /* the back-end's own */
};

struct netdev_queue {
        struct netdev    *dev;
        struct pkt_pool  *pool;         /* where received frames come from and sent ones go */
        struct counters  *counters;     /* of the shard: DROP_NO_PKT, DROP_RX_OVERSIZE */
        uint16_t          index;        /* 0 .. caps.queue_cnt - 1 */
        void             *priv;
};

/**
 * struct netdev_ops - One back-end
 *
 * To write a new one, copy dev/null.c, add it to the list in netdev.c, and
 * run `DEV=yours:args build/dev_contract contract_of_DEV`: tests/dev holds
 * every back-end to this comment.
 */
struct netdev_ops {
        const char *scheme;             /* "tap" in "tap:mr0" */
        const char *help;               /* one line for `millrace --help` */

        /* Open @where (what follows the colon).  0, or a negative errno with
         * one line in @err (may be NULL; of @err_len octets) that names input,
         * cause and cure; then nothing is left open. */
        int  (*open)(struct netdev *dev, const char *where, const struct netdev_conf *conf, char *err, size_t err_len);
        void (*close)(struct netdev *dev);      /* after all its queues */

        /* Begin to use queue q->index; q->dev, pool, counters and index are set. 0 or a negative errno. */
        int  (*queue_open)(struct netdev_queue *q);
        void (*queue_close)(struct netdev_queue *q);

        /* Up to @max frames that have arrived, oldest first.  Never waits.
         * Sets data, len, marks, gso_size, csum_*; frees nothing it gave. */
        uint32_t (*rx_burst)(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns);

        /* Hand over @cnt frames in order.  Returns how many were taken, 0..@cnt. */
        uint32_t (*tx_burst)(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns);

        /* A descriptor that polls readable when a frame may have arrived, or -1:
         * then this queue can only be polled.  NULL: -1. */
        int  (*fd)(struct netdev_queue *q);

        /* About to sleep on fd().  True: nothing is waiting, sleep; the sender
         * will make the descriptor readable.  False: there are frames, don't.
         * sleep_end() follows either way.  NULL: always true. */
        bool (*sleep_begin)(struct netdev_queue *q);
        void (*sleep_end)(struct netdev_queue *q);

        /* When this device itself next has something to do (a delayed frame
         * comes due), in ns; TIME_NEVER for none.  Then rx_burst() is to be
         * called: it moves frames both ways.  NULL: never. */
        uint64_t (*deadline)(struct netdev_queue *q);

        /* The queue that receives the frames of @flow.  With NETDEV_SPREAD_HASH only. */
        uint16_t (*queue_of)(const struct netdev *dev, const struct netdev_flow *flow);
};

/**
 * netdev_open() - Open a device by the name a user typed
 * @err:  one line for the user on failure, names the input, cause and cure
 *
 * Return: 0; -EINVAL unknown scheme or bad syntax; the back-end's errno
 */
int  netdev_open(struct netdev **dev, const char *name, const struct netdev_conf *conf, char *err, size_t err_len);
void netdev_close(struct netdev *dev);

/**
 * netdev_steer() - Make @queue_cnt queues of the ones that @inner has (steer.c)
 * @inner: no queue of it is open; it belongs to *@out, which may take its place
 *
 * Return: 0; -ENOMEM, -EMFILE: @inner stays the caller's
 */
int  netdev_steer(struct netdev **out, struct netdev *inner, uint16_t queue_cnt, struct hash_key secret);

int  netdev_queue_open(struct netdev_queue *q, struct netdev *dev, uint16_t index, struct pkt_pool *pool,
                       struct counters *counters);
void netdev_queue_close(struct netdev_queue *q);

/* Every back-end and decorator built in, for --help; ends with NULL. */
extern const struct netdev_ops *const netdev_list[];

static inline uint16_t netdev_queue_of(const struct netdev *dev, const struct netdev_flow *flow)
{
        return dev->ops->queue_of(dev, flow);
}

static inline uint32_t netdev_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        return q->dev->ops->rx_burst(q, pkts, max, now_ns);
}

static inline uint32_t netdev_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        return q->dev->ops->tx_burst(q, pkts, cnt, now_ns);
}
