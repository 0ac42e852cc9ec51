/* SPDX-License-Identifier: MIT */
/* dev/netdev.c - From the name a user typed to an open device
 *
 * Knows the list of back-ends and how names are spelt; what follows the colon
 * is the back-end's own.
 */
#include "dev/netdev_priv.h"

#include "base/rnd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_LEN_MAX = 1024 };           /* bounds the nesting of decorators too */

const struct netdev_ops *const netdev_list[] = {
        &tap_ops, &shm_ops, &loop_ops, &null_ops, &pcap_ops, &fault_ops, &steer_ops, NULL,
};

int netdev_fail(char *err, size_t err_len, int rc, const char *fmt, ...)
{
        va_list ap;

        if (!err || !err_len)
                return rc;
        va_start(ap, fmt);
        vsnprintf(err, err_len, fmt, ap);
        va_end(ap);
        return rc;
}

struct mac_addr netdev_mac(const struct netdev_conf *conf, const char *name)
{
        static const struct mac_addr none;
        if (!mac_eq(&conf->mac, &none))
                return conf->mac;

        uint64_t state = conf->seed, x = rnd_splitmix(&state);
        for (const char *c = name; *c; c++) {
                state ^= (uint8_t)*c;
                x = rnd_splitmix(&state);
        }
        struct mac_addr mac;
        memcpy(mac.octet, &x, sizeof mac.octet);
        mac.octet[0] = (uint8_t)((mac.octet[0] & 0xfc) | 0x02);     /* a station, locally administered */
        return mac;
}

uint32_t netdev_offload(uint32_t have, uint32_t allowed)
{
        uint32_t both = have & allowed;
        if (!(both & NETDEV_TX_CSUM))
                both &= ~(uint32_t)NETDEV_TSO;
        if (!(both & NETDEV_RX_CSUM))
                both &= ~(uint32_t)NETDEV_LRO;
        return both;
}

/* Octets of the scheme at the start of @name, 0 when there is none. */
static size_t scheme_len(const char *name)
{
        size_t len = 0;
        if (!islower((unsigned char)name[0]))
                return 0;
        while (islower((unsigned char)name[len]) || isdigit((unsigned char)name[len]))
                len++;
        return name[len] == ':' ? len : 0;
}

const char *netdev_inner_name(const char *where)
{
        for (const char *at = where; at; at = strchr(at, ',')) {
                if (*at == ',')
                        at++;
                if (scheme_len(at))
                        return at;
        }
        return NULL;
}

bool netdev_word_ok(const char *word)
{
        size_t len = 0;
        for (; word[len]; len++)
                if (!isalnum((unsigned char)word[len]) && !strchr("._-", word[len]))
                        return false;
        return len >= 1 && len <= 40 && word[0] != '.';
}

void netdev_drop(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, enum drop why)
{
        for (uint32_t i = 0; i < cnt; i++) {
                count_drop(q->counters, why);
                pkt_give(q->pool, pkts[i]);
        }
}

/* "tap:, shm:, loop:" into @buf; returns @buf. */
static const char *list_text(char *buf, size_t buf_len)
{
        size_t len = 0;
        for (const struct netdev_ops *const *o = netdev_list; *o && len < buf_len; o++)
                len += (size_t)snprintf(buf + len, buf_len - len, "%s%s:", len ? ", " : "", (*o)->scheme);
        return buf;
}

static const struct netdev_ops *ops_find(const char *name, size_t len)
{
        for (const struct netdev_ops *const *o = netdev_list; *o; o++)
                if (strlen((*o)->scheme) == len && memcmp((*o)->scheme, name, len) == 0)
                        return *o;
        return NULL;
}

int netdev_open(struct netdev **out, const char *name, const struct netdev_conf *conf, char *err, size_t err_len)
{
        char known[160];
        size_t len = scheme_len(name);

        if (strlen(name) > NAME_LEN_MAX)
                return netdev_fail(err, err_len, -EINVAL, "device name of %zu octets: at most %d are allowed",
                                   strlen(name), NAME_LEN_MAX);
        if (!len)
                return netdev_fail(err, err_len, -EINVAL,
                                   "\"%s\" is not a device: write KIND:NAME, as in tap:mr0; kinds are %s",
                                   name, list_text(known, sizeof known));

        const struct netdev_ops *ops = ops_find(name, len);
        if (!ops)
                return netdev_fail(err, err_len, -EINVAL, "unknown device \"%s\": there is no %.*s:, kinds are %s",
                                   name, (int)len, name, list_text(known, sizeof known));
        if (conf->mtu && (conf->mtu < NETDEV_MTU_MIN || conf->mtu > NETDEV_MTU_MAX))
                return netdev_fail(err, err_len, -EINVAL, "%s: MTU %u is out of range: give %d to %d",
                                   name, conf->mtu, NETDEV_MTU_MIN, NETDEV_MTU_MAX);
        if (conf->queue_cnt < 1 || conf->queue_cnt > NETDEV_QUEUES_MAX)
                return netdev_fail(err, err_len, -EINVAL, "%s: %u queues is out of range: give 1 to %d",
                                   name, conf->queue_cnt, NETDEV_QUEUES_MAX);

        struct netdev *dev = calloc(1, sizeof *dev);
        if (!dev)
                return netdev_fail(err, err_len, -ENOMEM, "%s: out of memory", name);
        dev->ops = ops;
        snprintf(dev->name, sizeof dev->name, "%.*s", (int)sizeof dev->name - 1, name);

        int rc = ops->open(dev, name + len + 1, conf, err, err_len);
        if (rc < 0) {
                free(dev);
                return rc;
        }
        *out = dev;
        return 0;
}

void netdev_close(struct netdev *dev)
{
        if (!dev)
                return;
        dev->ops->close(dev);
        free(dev);
}

int netdev_queue_open(struct netdev_queue *q, struct netdev *dev, uint16_t index, struct pkt_pool *pool,
                      struct counters *counters)
{
        ASSERT(index < dev->caps.queue_cnt);
        *q = (struct netdev_queue){ .dev = dev, .pool = pool, .counters = counters, .index = index };
        return dev->ops->queue_open(q);
}

void netdev_queue_close(struct netdev_queue *q)
{
        q->dev->ops->queue_close(q);
        *q = (struct netdev_queue){ 0 };
}
