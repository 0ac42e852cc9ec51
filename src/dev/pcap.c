/* SPDX-License-Identifier: MIT */
/* dev/pcap.c - `pcap:FILE,DEVICE` writes what passes a device to a file for Wireshark
 *
 * The file is pcapng with nanosecond timestamps and the direction of every
 * frame.  Times are the caller's now_ns and nothing else in the file depends
 * on when, where or by whom it is written: the same run gives the same
 * octets.  Super-segments are written as they are, and so are checksums that
 * are left to the device (Wireshark calls those wrong if asked to verify).
 *
 * Octets gather in a buffer that goes to the file when it is full, when the
 * shard is about to sleep, and every second.  Queues share it under a lock.
 * When the file cannot be written, one line says so and the frames pass on.
 */
#include "dev/netdev_priv.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
        PCAP_SNAPLEN = 262144,
        PCAP_BUF     = 512 * 1024,
        PCAP_RECORD_MAX = PKT_LARGE_SIZE + 64,
        BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6,
        BYTE_ORDER_MAGIC = 0x1a2b3c4d,
        LINKTYPE_ETHERNET = 1,
        OPT_END = 0, OPT_EPB_FLAGS = 2, OPT_IF_TSRESOL = 9,
        DIR_IN = 1, DIR_OUT = 2,
};
#define PCAP_FLUSH_NS SEC(1)

struct pcap {
        struct netdev  *inner;
        pthread_mutex_t lock;
        int             fd;
        bool            failed;         /* the file cannot be written any more */
        uint64_t        flush_at_ns;
        uint32_t        len;            /* octets in buf */
        uint8_t         buf[PCAP_BUF];
};

static void put16(struct pcap *pc, uint16_t v) { memcpy(pc->buf + pc->len, &v, 2); pc->len += 2; }
static void put32(struct pcap *pc, uint32_t v) { memcpy(pc->buf + pc->len, &v, 4); pc->len += 4; }

static void put_option(struct pcap *pc, uint16_t code, uint16_t len, uint32_t value)
{
        put16(pc, code);
        put16(pc, len);
        put32(pc, value);               /* padded to 32 bits; little-endian, so a short value comes first */
        put32(pc, OPT_END);
}

/* Section header and the one interface. */
static void put_head(struct pcap *pc)
{
        put32(pc, BLOCK_SECTION);
        put32(pc, 28);
        put32(pc, BYTE_ORDER_MAGIC);
        put16(pc, 1);                   /* version 1.0 */
        put16(pc, 0);
        put32(pc, UINT32_MAX);          /* section length unknown: -1 in 64 bits */
        put32(pc, UINT32_MAX);
        put32(pc, 28);

        put32(pc, BLOCK_INTERFACE);
        put32(pc, 32);
        put16(pc, LINKTYPE_ETHERNET);
        put16(pc, 0);
        put32(pc, PCAP_SNAPLEN);
        put_option(pc, OPT_IF_TSRESOL, 1, 9);
        put32(pc, 32);
}

static void put_frame(struct pcap *pc, const struct pkt *p, uint64_t now_ns, uint32_t dir)
{
        uint32_t padded = (uint32_t)ALIGN_UP(p->len, 4);
        uint32_t total = 28 + padded + 12 + 4;

        put32(pc, BLOCK_PACKET);
        put32(pc, total);
        put32(pc, 0);                   /* interface */
        put32(pc, (uint32_t)(now_ns >> 32));
        put32(pc, (uint32_t)now_ns);
        put32(pc, p->len);              /* captured */
        put32(pc, p->len);              /* on the wire */
        memcpy(pc->buf + pc->len, p->data, p->len);
        memset(pc->buf + pc->len + p->len, 0, padded - p->len);
        pc->len += padded;
        put_option(pc, OPT_EPB_FLAGS, 4, dir);
        put32(pc, total);
}

static void flush(struct pcap *pc)
{
        for (uint32_t done = 0; done < pc->len && !pc->failed;) {
                ssize_t n = write(pc->fd, pc->buf + done, pc->len - done);
                if (n >= 0) {
                        done += (uint32_t)n;
                } else if (errno != EINTR) {
                        pc->failed = true;
                        log_warn("pcap: cannot write any more: %s; the capture ends here", strerror(errno));
                }
        }
        pc->len = 0;
}

static void flush_now_and_then(struct pcap *pc, uint64_t now_ns)
{
        if (now_ns < pc->flush_at_ns)
                return;
        flush(pc);
        pc->flush_at_ns = now_ns + PCAP_FLUSH_NS;
}

static int pcap_open(struct netdev *dev, const char *where, const struct netdev_conf *conf, char *err, size_t err_len)
{
        const char *inner = netdev_inner_name(where);
        if (!inner)
                return netdev_fail(err, err_len, -EINVAL, "pcap:%s: names no device to watch: write pcap:FILE,DEVICE, "
                                   "as in pcap:x.pcapng,tap:mr0", where);
        if (inner - where < 2)
                return netdev_fail(err, err_len, -EINVAL, "pcap:%s: names no file to write: write pcap:FILE,DEVICE, "
                                   "as in pcap:x.pcapng,%s", where, inner);

        struct pcap *pc = calloc(1, sizeof *pc);
        char *file = strndup(where, (size_t)(inner - where) - 1);
        int rc = -ENOMEM;
        if (!pc || !file) {
                netdev_fail(err, err_len, rc, "pcap:%s: out of memory", where);
                goto fail;
        }
        rc = netdev_open(&pc->inner, inner, conf, err, err_len);
        if (rc < 0)
                goto fail;
        pc->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (pc->fd < 0) {
                rc = netdev_fail(err, err_len, -errno, "pcap:%s: cannot write the file: %s: name one that you may "
                                 "write", file, strerror(errno));
                netdev_close(pc->inner);
                goto fail;
        }
        pthread_mutex_init(&pc->lock, NULL);
        put_head(pc);
        dev->caps = pc->inner->caps;
        dev->priv = pc;
        free(file);
        return 0;
fail:
        free(file);
        free(pc);
        return rc;
}

static void pcap_close(struct netdev *dev)
{
        struct pcap *pc = dev->priv;

        netdev_close(pc->inner);
        flush(pc);
        close(pc->fd);
        pthread_mutex_destroy(&pc->lock);
        free(pc);
}

static int pcap_queue_open(struct netdev_queue *q)
{
        struct pcap *pc = q->dev->priv;
        struct netdev_queue *in = calloc(1, sizeof *in);
        if (!in)
                return -ENOMEM;

        int rc = netdev_queue_open(in, pc->inner, q->index, q->pool, q->counters);
        if (rc < 0) {
                free(in);
                return rc;
        }
        q->priv = in;
        return 0;
}

static void pcap_queue_close(struct netdev_queue *q)
{
        netdev_queue_close(q->priv);
        free(q->priv);
}

static uint32_t pcap_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct pcap *pc = q->dev->priv;
        uint32_t n = netdev_rx(q->priv, pkts, max, now_ns);

        pthread_mutex_lock(&pc->lock);
        for (uint32_t i = 0; i < n && !pc->failed; i++) {
                if (pc->len + PCAP_RECORD_MAX > PCAP_BUF)
                        flush(pc);
                put_frame(pc, pkts[i], now_ns, DIR_IN);
        }
        flush_now_and_then(pc, now_ns);
        pthread_mutex_unlock(&pc->lock);
        return n;
}

/* Send as many as the buffer holds, and keep the record of those taken.  They
 * must be written down before: afterwards they are not ours to look at. */
static uint32_t send_some(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        struct pcap *pc = q->dev->priv;
        uint32_t begins_at[64];         /* in buf, of each frame */
        uint32_t n = 0;

        if (pc->len + PCAP_RECORD_MAX > PCAP_BUF)
                flush(pc);
        while (n < cnt && n < ARRAY_LEN(begins_at) && pc->len + PCAP_RECORD_MAX <= PCAP_BUF) {
                begins_at[n] = pc->len;
                put_frame(pc, pkts[n++], now_ns, DIR_OUT);
        }
        uint32_t taken = netdev_tx(q->priv, pkts, n, now_ns);
        if (taken < n)
                pc->len = begins_at[taken];
        return taken;
}

static uint32_t pcap_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        struct pcap *pc = q->dev->priv;
        uint32_t done = 0, n = 1;

        pthread_mutex_lock(&pc->lock);
        for (; done < cnt && n > 0 && !pc->failed; done += n)
                n = send_some(q, pkts + done, cnt - done, now_ns);
        flush_now_and_then(pc, now_ns);
        pthread_mutex_unlock(&pc->lock);
        if (pc->failed)
                done += netdev_tx(q->priv, pkts + done, cnt - done, now_ns);
        return done;
}

static int pcap_fd(struct netdev_queue *q) { return inner_fd(q->priv); }
static void pcap_sleep_end(struct netdev_queue *q) { inner_sleep_end(q->priv); }
static uint64_t pcap_deadline(struct netdev_queue *q) { return inner_deadline(q->priv); }

static bool pcap_sleep_begin(struct netdev_queue *q)
{
        struct pcap *pc = q->dev->priv;

        pthread_mutex_lock(&pc->lock);
        flush(pc);
        pthread_mutex_unlock(&pc->lock);
        return inner_sleep_begin(q->priv);
}

static uint16_t pcap_queue_of(const struct netdev *dev, const struct netdev_flow *flow)
{
        const struct pcap *pc = dev->priv;
        return netdev_queue_of(pc->inner, flow);
}

const struct netdev_ops pcap_ops = {
        .scheme = "pcap", .help = "pcap:FILE,DEVICE: writes what passes DEVICE to FILE (pcapng)",
        .open = pcap_open, .close = pcap_close, .queue_open = pcap_queue_open, .queue_close = pcap_queue_close,
        .rx_burst = pcap_rx, .tx_burst = pcap_tx, .fd = pcap_fd,
        .sleep_begin = pcap_sleep_begin, .sleep_end = pcap_sleep_end, .deadline = pcap_deadline,
        .queue_of = pcap_queue_of,
};
