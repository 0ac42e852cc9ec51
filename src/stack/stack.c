/* SPDX-License-Identifier: MIT */
/* stack/stack.c - From a configuration to a running stack, and back
 *
 * Opens the devices, makes the shard, gives it its addresses and routes, and
 * ties it to the calling thread.  Everything a person may have got wrong is
 * found here, and said in one line.
 */
#include "base/log.h"
#include "millrace/stats.h"
#include "stack/api.h"
#include "stack/conf.h"
#include "stack/conf_priv.h"
#include "stack/shard.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* Descriptors are the process's: each of its stacks has numbers of its own. */
enum { STACKS_MAX = 8 };
static_assert((INT32_MAX - FD_BASE_DEFAULT) / FDTAB_CAP_MAX >= STACKS_MAX - 1, "all their descriptors are ints");

struct mr_stack {
        int             nr;             /* 0..STACKS_MAX - 1, alone in this process */
        struct mr_conf  conf;
        struct shard    shard;
        struct netdev  *dev[MR_IFACE_MAX];
        uint32_t        dev_cnt;
};

static _Thread_local struct mr_stack *current;
static atomic_uint stack_nrs;           /* bit n: number n is taken */

/* A number for a new stack, -EMFILE when there are STACKS_MAX already. */
static int take_nr(void)
{
        unsigned taken = atomic_load(&stack_nrs), nr;

        do {
                nr = (unsigned)__builtin_ctz(~taken);
                if (nr >= STACKS_MAX)
                        return -EMFILE;
        } while (!atomic_compare_exchange_weak(&stack_nrs, &taken, taken | 1u << nr));
        return (int)nr;
}

static void give_nr(int nr) { atomic_fetch_and(&stack_nrs, ~(1u << nr)); }

static uint64_t monotonic_ns(void *arg)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return SEC(ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

/* ---- start ---- */

/* All secrets come from these 256 bits: the kernel's, or for a repeatable run the seed's. */
static int make_seed(uint64_t out[4], uint64_t seed)
{
        if (seed == 0)
                return getrandom(out, 32, 0) == 32 ? 0 : -errno;
        for (int i = 0; i < 4; i++)
                out[i] = rnd_splitmix(&seed);
        return 0;
}

enum { EPOLLS_MAX = 4096 };             /* epoll instances and sockets not yet connected have descriptors too */

static void fill_shard_conf(const struct mr_conf *conf, struct shard_conf *out)
{
        *out = (struct shard_conf){
                .ip = ip_conf_default(),
                .pkts_small = conf->pkts_small,
                .pkts_large = conf->pkts_large,
                .huge_pages = conf->huge_pages,
                .never_sleep = conf->idle == MR_IDLE_SPIN,
                .spin_ns = conf->spin_ns,
        };
        out->ip.dad = conf->arp_dad;
        conf_to_tcp(conf, &out->tcp);
        socks_conf_default(&out->socks);
        out->socks.max_socks = conf->max_conns + conf->max_listeners + EPOLLS_MAX;
        out->socks.huge_pages = conf->huge_pages;
        out->socks.opts = out->tcp.opts;
}

static uint32_t offload_of(const struct mr_conf *conf)
{
        static const uint32_t allowed[] = {
                [MR_OFFLOAD_ALL] = NETDEV_ALL_OFFLOADS,
                [MR_OFFLOAD_CHECKSUM] = NETDEV_RX_CSUM | NETDEV_TX_CSUM | NETDEV_RSS,
                [MR_OFFLOAD_NONE] = NETDEV_RSS,
        };
        return allowed[conf->offload];
}

static int open_device(struct mr_stack *st, const struct mr_conf_iface *iface, uint64_t seed, char *err, size_t err_len)
{
        struct netdev_conf nc = {
                .mtu = iface->mtu, .queue_cnt = 1, .offload = offload_of(&st->conf), .seed = seed,
        };
        struct netdev *dev;
        int rc = netdev_open(&dev, iface->dev, &nc, err, err_len);
        if (rc < 0)
                return rc;
        st->dev[st->dev_cnt++] = dev;
        rc = shard_port_add(&st->shard, dev, 0, iface->vlan);
        if (rc < 0)
                conf_err(err, err_len, "%s: its queue cannot be used: %s", iface->dev, strerror(-rc));
        return rc;
}

static int add_address(struct mr_stack *st, uint32_t port, const struct mr_prefix *p, bool whole, char *err, size_t err_len)
{
        struct ip_prefix prefix = conf_prefix(p);
        char text[IP_PREFIX_TEXT_MAX];
        int rc = ip_local_add(&st->shard.ip, port, &prefix, whole);

        ip_prefix_text(text, &prefix);
        if (rc == -EEXIST)
                conf_err(err, err_len, "%s is configured twice; leave one of them out", text);
        else if (rc < 0)
                conf_err(err, err_len, "%s cannot be an address of ours: %s", text, strerror(-rc));
        return rc;
}

static int add_route(struct mr_stack *st, const struct mr_route *r, char *err, size_t err_len)
{
        struct ip_prefix dst = conf_prefix(&r->dst);
        struct ip_addr gateway = conf_addr(r->gateway);
        char dst_text[IP_PREFIX_TEXT_MAX], gw_text[IP_ADDR_TEXT_MAX];
        struct ip_hop hop;
        int rc = -ENETUNREACH;

        if (ip_route_find(&st->shard.ip, &gateway, &hop) && !hop.gateway)
                rc = ip_route_add(&st->shard.ip, &dst, &gateway, hop.iface);
        if (rc == -ENETUNREACH)
                conf_err(err, err_len, "gateway %s of route %s is in no network of ours; give an interface an address there",
                         ip_addr_text(gw_text, &gateway), ip_prefix_text(dst_text, &dst));
        else if (rc < 0)
                conf_err(err, err_len, "route %s by %s: %s", ip_prefix_text(dst_text, &dst),
                         ip_addr_text(gw_text, &gateway), strerror(-rc));
        return rc;
}

static int add_interfaces(struct mr_stack *st, uint64_t seed, char *err, size_t err_len)
{
        int rc = 0;

        for (uint32_t i = 0; rc == 0 && i < st->conf.iface_cnt; i++) {
                const struct mr_conf_iface *iface = &st->conf.ifaces[i];
                int port = open_device(st, iface, seed, err, err_len);
                if (port < 0)
                        return port;
                for (uint32_t a = 0; rc == 0 && a < iface->addr_cnt; a++)
                        rc = add_address(st, (uint32_t)port, &iface->addrs[a], false, err, err_len);
                for (uint32_t a = 0; rc == 0 && a < iface->local_cnt; a++)
                        rc = add_address(st, (uint32_t)port, &iface->locals[a], true, err, err_len);
        }
        for (uint32_t i = 0; rc == 0 && i < st->conf.route_cnt; i++)
                rc = add_route(st, &st->conf.routes[i], err, err_len);
        return rc;
}

/* With arp_dad: turn until every address has been asked for, and nobody had it (RFC 5227 2.1). */
static int wait_for_addresses(struct mr_stack *st, char *err, size_t err_len)
{
        for (uint32_t i = 0; i < st->conf.iface_cnt; i++)
                for (uint32_t a = 0; a < st->conf.ifaces[i].addr_cnt; a++) {
                        struct ip_prefix p = conf_prefix(&st->conf.ifaces[i].addrs[a]);
                        char text[IP_ADDR_TEXT_MAX];
                        enum ip_dad dad;
                        int rc = 0;

                        while ((dad = ip_local_dad(&st->shard.ip, &p.addr)) == IP_DAD_PROBING && rc == 0)
                                rc = shard_run(&st->shard, st->shard.now_ns + SEC(1));
                        if (dad == IP_DAD_DONE)
                                continue;
                        if (rc == 0)
                                rc = -EADDRINUSE;
                        conf_err(err, err_len, rc == -EADDRINUSE ? "%s is in use by another host on %s; choose another address"
                                                                 : "interrupted while asking whether %s is free on %s",
                                 ip_addr_text(text, &p.addr), st->conf.ifaces[i].dev);
                        return rc;
                }
        return 0;
}

static void say_sizes(const struct mr_conf *conf)
{
        uint64_t conn_octets = 128 + 64 + 4;            /* tcp_conn, sock, descriptor: asserted where they are declared */
        uint64_t flows = (uint64_t)conf->max_conns + conf->max_half + conf->max_wait;
        log_info("up to %u connections: %" PRIu64 " MB when all are open, of it %" PRIu64 " MB for finding them; "
                 "packets: up to %" PRIu64 " MB",
                 conf->max_conns, (conf->max_conns * conn_octets + flows * 8) >> 20, (flows * 8) >> 20,
                 ((uint64_t)conf->pkts_small * PKT_SMALL_SIZE + (uint64_t)conf->pkts_large * PKT_LARGE_SIZE) >> 20);
}

struct mr_stack *mr_stack_new(const struct mr_conf *conf, char *err, size_t err_len)
{
        struct shard_env env = { monotonic_ns, NULL };
        struct shard_conf sc;
        struct mr_stack *st = calloc(1, sizeof *st);
        int rc = -ENOMEM;

        if (!st) {
                conf_err(err, err_len, "no memory");
                goto failed;
        }
        rc = st->nr = take_nr();
        if (rc < 0) {
                conf_err(err, err_len, "this process has %d stacks already; free one of them", STACKS_MAX);
                goto failed;
        }
        st->conf = *conf;
        rc = conf_resolve(&st->conf, err, err_len);
        if (rc < 0)
                goto failed;
        log_set_level((enum log_level)conf->log);
        fill_shard_conf(&st->conf, &sc);
        sc.socks.fd_base += (uint32_t)st->nr * FDTAB_CAP_MAX;
        rc = make_seed(sc.seed, conf->seed);
        if (rc == 0)
                rc = shard_init(&st->shard, &sc, &env);
        if (rc < 0) {
                conf_err(err, err_len, "no address space for %u connections and their buffers; lower max_conns or mem_packets",
                         conf->max_conns);
                goto failed;
        }
        rc = add_interfaces(st, conf->seed, err, err_len);
        if (rc == 0 && conf->arp_dad)
                rc = wait_for_addresses(st, err, err_len);
        if (rc < 0) {
                mr_stack_free(st);
                errno = -rc;
                return NULL;
        }
        say_sizes(&st->conf);
        return st;

failed:
        if (st && st->nr >= 0)
                give_nr(st->nr);
        free(st);
        errno = -rc;
        return NULL;
}

/* ---- stop ---- */

/* Peers should not be left to time out: whatever is open is closed the hard way, and the RSTs get their turns. */
static void reset_all(struct mr_stack *st)
{
        enum { TURNS_MAX = 10000 };
        tcp_abort_all(st->shard.tcp, st->shard.now_ns);
        for (int i = 0; i < TURNS_MAX && (shard_turn(&st->shard) || tcp_send_pending(st->shard.tcp)); i++)
                continue;
}

void mr_stack_free(struct mr_stack *st)
{
        if (!st)
                return;
        reset_all(st);
        if (current == st)
                mr_stack_attach(NULL);
        shard_fini(&st->shard);
        for (uint32_t i = st->dev_cnt; i-- > 0;)
                netdev_close(st->dev[i]);
        give_nr(st->nr);
        free(st);
}

struct mr_stack *mr_stack_attach(struct mr_stack *st)
{
        struct mr_stack *before = current;
        current = st;
        api_attach(st ? &st->shard.socks : NULL);
        return before;
}

int mr_start(const struct mr_conf *conf, char *err, size_t err_len)
{
        if (current) {
                conf_err(err, err_len, "this thread has a stack already; call mr_stop() first");
                return -EBUSY;
        }
        struct mr_stack *st = mr_stack_new(conf, err, err_len);
        if (!st)
                return -errno;
        mr_stack_attach(st);
        return 0;
}

void mr_stop(void)
{
        mr_stack_free(current);
}

/* ---- counters ---- */

uint32_t mr_counter_cnt(void)
{
        return CNT_CNT + DROP_CNT - 1;                  /* DROP_NONE is no drop */
}

int mr_counter_get(uint32_t i, const char **name, const char **help, uint64_t *value)
{
        static const struct counters zero;
        const struct counters *c = current ? &current->shard.counters : &zero;
        bool is_drop = i >= CNT_CNT;
        uint32_t why = i - CNT_CNT + 1;

        if (i >= mr_counter_cnt())
                return -EINVAL;
        if (name)
                *name = is_drop ? drop_infos[why].name : counter_infos[i].name;
        if (help)
                *help = is_drop ? drop_infos[why].what : counter_infos[i].help;
        if (value)
                *value = is_drop ? c->drop[why] : c->cnt[i];
        return 0;
}

static void print_name(FILE *out, const char *name, bool is_drop)
{
        if (is_drop)
                fputs("drop_", out);
        for (; *name; name++)
                fputc(tolower((unsigned char)*name), out);
}

void mr_stats_print(FILE *out, bool json)
{
        const char *name, *help;
        uint64_t value;

        if (json)
                fputc('{', out);
        for (uint32_t i = 0; mr_counter_get(i, &name, &help, &value) == 0; i++) {
                if (json) {
                        fputs(i ? ", \"" : "\"", out);
                        print_name(out, name, i >= CNT_CNT);
                        fprintf(out, "\": %" PRIu64, value);
                } else if (value) {
                        fprintf(out, "%14" PRIu64 "  ", value);
                        print_name(out, name, i >= CNT_CNT);
                        fprintf(out, " (%s)\n", help);
                }
        }
        if (json)
                fputs("}\n", out);
}
