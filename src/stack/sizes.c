/* SPDX-License-Identifier: MIT */
#include "stack/sizes.h"
#include "base/units.h"
#include "flow/flow.h"
#include "pkt/pkt.h"
#include "sock/fdtab.h"
#include "sock/sock.h"
#include "stack/conf.h"
#include "stack/conf_priv.h"

#include <errno.h>
#include <inttypes.h>

/* What is used when neither the size itself nor `mem` is given. */
enum { CONNS_DEFAULT = 1000000, HALF_MIN = 1024, WAIT_MIN = 4096 };
#define PACKETS_DEFAULT MiB(256)
#define PACKETS_MIN     MiB(1)

enum { PACKETS_PART = 4 };              /* of `mem` this part is for packets */

/* Of one configuration, or of one that is tried. */
struct counts {
        uint64_t conns, halves, waits, smalls, larges, shards;
};

static uint32_t share(uint64_t all, uint64_t shards) { return (uint32_t)((all + shards - 1) / shards); }

/* What @all packet buffers become when each shard has its share, and @min at least. */
static uint64_t shared_out(uint64_t all, uint64_t min, uint64_t shards)
{
        return u64_max(share(all, shards), min) * shards;
}

static void octets_of(const struct counts *n, struct sizes *out)
{
        uint64_t smalls = shared_out(n->smalls, SIZES_SMALL_MIN, n->shards);
        uint64_t larges = shared_out(n->larges, SIZES_LARGE_MIN, n->shards);
        struct tcp_octets rec;
        uint32_t flows = share(n->conns, n->shards) + share(n->halves, n->shards) + share(n->waits, n->shards);

        tcp_octets(&rec);
        *out = (struct sizes){
                .conns = n->conns * (rec.conn + sizeof(struct sock)),
                .halves = n->halves * rec.half,
                .waits = n->waits * rec.wait,
                .finding = n->shards * flow_table_bytes_max(flows),
                .packets = smalls * PKT_SMALL_SIZE + larges * PKT_LARGE_SIZE +
                           u64_min(n->conns, smalls + larges) * rec.busy,
        };
        out->all = out->conns + out->halves + out->waits + out->finding + out->packets;
}

static struct counts counts_of(const struct mr_conf *conf)
{
        return (struct counts){ conf->max_conns, conf->max_half, conf->max_wait, conf->pkts_small, conf->pkts_large,
                                conf->shards };
}

void sizes_of(const struct mr_conf *conf, struct sizes *out)
{
        struct counts n = counts_of(conf);
        octets_of(&n, out);
}

/* What is not given follows from what is: @conf's numbers with so many connections and octets for packets. */
static struct counts derive(const struct mr_conf *conf, uint64_t conns, uint64_t packets)
{
        struct counts n = counts_of(conf);

        n.conns = conns;
        if (n.halves == 0)
                n.halves = u64_max(conns / 4, HALF_MIN);
        if (n.waits == 0)
                n.waits = u64_max(conns, WAIT_MIN);
        if (n.smalls == 0)
                n.smalls = u64_max(packets / 2 / PKT_SMALL_SIZE, SIZES_SMALL_MIN);
        if (n.larges == 0)
                n.larges = u64_max(packets / 2 / PKT_LARGE_SIZE, SIZES_LARGE_MIN);
        return n;
}

static uint64_t octets_with(const struct mr_conf *conf, uint64_t conns, uint64_t packets)
{
        struct counts n = derive(conf, conns, packets);
        struct sizes s;

        octets_of(&n, &s);
        return s.all;
}

/* Each shard numbers its descriptors for itself, and all of a stack's are FDTAB_CAP_MAX. */
static uint64_t conns_possible(const struct mr_conf *conf)
{
        uint64_t stride = 1;

        while (stride < conf->shards)
                stride *= 2;
        return (FDTAB_CAP_MAX / stride - conf->max_listeners - SIZES_EPOLLS_MAX) * conf->shards;
}

/* The largest number in [0, @max] of connections or octets of packets that fits into `mem`; a sum grows with it. */
static uint64_t most_that_fits(const struct mr_conf *conf, uint64_t max, uint64_t conns, uint64_t packets)
{
        uint64_t low = 0;

        while (low < max) {
                uint64_t mid = low + (max - low + 1) / 2;
                if (octets_with(conf, conns ? conns : mid, packets ? packets : mid) <= conf->mem)
                        low = mid;
                else
                        max = mid - 1;
        }
        return low;
}

static int refuse_mem(const struct mr_conf *conf, uint64_t conns, uint64_t packets, char *err, size_t err_len)
{
        char mem[SIZES_TEXT_MAX], need[SIZES_TEXT_MAX], cnt[SIZES_TEXT_MAX], p[SIZES_TEXT_MAX];

        conf_err(err, err_len, "mem %s is too small for max_conns %s and %s of packets, which take %s; "
                 "raise mem or lower the others", sizes_octets_text(mem, conf->mem), sizes_count_text(cnt, conns),
                 sizes_octets_text(p, packets), sizes_octets_text(need, octets_with(conf, conns, packets)));
        return -EINVAL;
}

/* *@conns and *@packets are 0 where they are not given. */
static int fit_into_mem(const struct mr_conf *conf, uint64_t *conns, uint64_t *packets, char *err, size_t err_len)
{
        uint64_t part = conf->mem / PACKETS_PART;

        if (*packets == 0)
                *packets = *conns ? most_that_fits(conf, part, *conns, 0) : part;
        if (*packets < PACKETS_MIN)
                *packets = PACKETS_MIN;
        if (*conns == 0)
                *conns = most_that_fits(conf, conns_possible(conf), 0, *packets);
        if (*conns < conf->shards || octets_with(conf, *conns, *packets) > conf->mem)
                return refuse_mem(conf, u64_max(*conns, conf->shards), *packets, err, err_len);
        return 0;
}

int sizes_resolve(struct mr_conf *conf, char *err, size_t err_len)
{
        uint64_t conns = conf->max_conns, packets = conf->mem_packets;
        char a[SIZES_TEXT_MAX], b[SIZES_TEXT_MAX];

        if (conf->mem && fit_into_mem(conf, &conns, &packets, err, err_len) < 0)
                return -EINVAL;
        if (conns == 0)
                conns = CONNS_DEFAULT;
        if (packets == 0)
                packets = PACKETS_DEFAULT;
        if (conns > conns_possible(conf)) {
                conf_err(err, err_len, "max_conns %s is more than the %s that a stack of this many shards (%u) has "
                         "descriptors for; lower it", sizes_count_text(a, conns),
                         sizes_count_text(b, conns_possible(conf)), conf->shards);
                return -EINVAL;
        }
        struct counts n = derive(conf, conns, packets);
        conf->max_conns = (uint32_t)n.conns;
        conf->max_half = (uint32_t)n.halves;
        conf->max_wait = (uint32_t)n.waits;
        conf->mem_packets = packets;
        conf->pkts_small = (uint32_t)n.smalls;
        conf->pkts_large = (uint32_t)n.larges;
        return 0;
}
