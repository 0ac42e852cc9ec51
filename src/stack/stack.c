/* SPDX-License-Identifier: MIT */
/* stack/stack.c - From a configuration to a running stack, and back
 *
 * Makes the shards, opens the devices (stack_iface.c), and resets what is open
 * at the end.  Everything a person may have got wrong is found here, and said
 * in one line.
 */
#include "base/log.h"
#include "base/rnd.h"
#include "stack/conf.h"
#include "stack/conf_priv.h"
#include "stack/sizes.h"
#include "stack/stack_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* Descriptors are the process's: each of its stacks has numbers of its own. */
enum { STACKS_MAX = 8 };
static_assert((INT32_MAX - FD_BASE_DEFAULT) / FDTAB_CAP_MAX >= STACKS_MAX - 1, "all their descriptors are ints");

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

static void fill_shard_conf(const struct mr_conf *conf, uint32_t number, struct shard_conf *out)
{
        *out = (struct shard_conf){
                .ip = ip_conf_default(),
                .pkts_small = conf_share(conf, conf->pkts_small, SIZES_SMALL_MIN),
                .pkts_large = conf_share(conf, conf->pkts_large, SIZES_LARGE_MIN),
                .huge_pages = conf_pages(conf),
                .never_sleep = conf->idle == MR_IDLE_SPIN,
                .spin_ns = conf->spin_ns,
        };
        out->ip.dad = conf->arp_dad && number == 0;
        conf_to_tcp(conf, &out->tcp);
        out->tcp.max_conns = conf_share(conf, conf->max_conns, 1);
        out->tcp.max_half = conf_share(conf, conf->max_half, 1);
        out->tcp.max_wait = conf_share(conf, conf->max_wait, 1);
        socks_conf_default(&out->socks);
        out->socks.max_socks = out->tcp.max_conns + conf->max_listeners + SIZES_EPOLLS_MAX;
        out->socks.fd_stride = conf->shards;
        out->socks.fd_shard = number;
        out->socks.huge_pages = conf_pages(conf);
        out->socks.opts = out->tcp.opts;
}

/* Its numbers must be its own: no stack has more than FDTAB_CAP_MAX. */
static bool descriptors_fit(const struct shard_conf *sc)
{
        uint64_t stride = 1;
        while (stride < sc->socks.fd_stride)
                stride *= 2;
        return sc->socks.max_socks * stride <= FDTAB_CAP_MAX;
}

static int add_member(struct mr_stack *st, uint32_t i)
{
        struct shard_env env = { monotonic_ns, NULL };
        struct member *m = &st->members[i];
        struct shard_conf sc;

        fill_shard_conf(&st->conf, i, &sc);
        if (!descriptors_fit(&sc))
                return -ENOMEM;
        sc.socks.fd_base += (uint32_t)st->nr * FDTAB_CAP_MAX;
        for (int k = 0; k < 4; k++)                     /* each shard draws other numbers */
                sc.seed[k] = hash_secret(&(struct hash_key){ { st->seed[0], st->seed[1] } },
                                         (uint64_t[]){ st->seed[2], st->seed[3], i, (uint64_t)k }, 4);
        int rc = doorbell_init(&m->bell);
        if (rc < 0)
                return rc;
        rc = shard_init(&m->shard, &sc, &env);
        if (rc < 0) {
                doorbell_fini(&m->bell);
                return rc;
        }
        m->shard.number = i;
        m->shard.bell = &m->bell;
        st->member_cnt++;
        if (!stack_has_several(st))
                return 0;
        ports_all_join(&st->ports, tcp_ports(m->shard.tcp));
        m->shard.peer = &m->peer;
        return listeners_join(&st->listeners, &m->peer, &m->shard.socks, &m->bell, (uint16_t)i);
}

/* What several shards share, before the first is made. */
static int init_common(struct mr_stack *st)
{
        enum { SEED_PORTS_ALL = 0x616c6c70 };
        const struct mr_conf *conf = &st->conf;

        st->members = aligned_alloc(64, conf->shards * sizeof *st->members);
        if (!st->members)
                return -ENOMEM;
        memset((void *)st->members, 0, conf->shards * sizeof *st->members);
        if (!stack_has_several(st))
                return 0;
        int rc = ports_all_init(&st->ports, conf->max_conns + conf->max_listeners, conf->tcp_port_min,
                                conf->tcp_port_max, hash_key_derive(st->seed, SEED_PORTS_ALL));
        return rc < 0 ? rc : listeners_init(&st->listeners, conf->shards, conf->max_listeners);
}

static int make_members(struct mr_stack *st, char *err, size_t err_len)
{
        int rc = make_seed(st->seed, st->conf.seed);

        if (rc == 0)
                rc = init_common(st);
        for (uint32_t i = 0; rc == 0 && i < st->conf.shards; i++)
                rc = add_member(st, i);
        if (rc == -EMFILE || rc == -ENFILE)
                conf_err(err, err_len, "no descriptors for %u shards: %s; raise the limit of open files (ulimit -n) or "
                         "lower shards", st->conf.shards, strerror(-rc));
        else if (rc < 0)
                conf_err(err, err_len, "no address space for %u connections and their buffers; lower max_conns or "
                         "mem_packets", st->conf.max_conns);
        return rc;
}

struct mr_stack *mr_stack_new(const struct mr_conf *conf, char *err, size_t err_len)
{
        struct mr_stack *st = calloc(1, sizeof *st);

        if (!st) {
                conf_err(err, err_len, "no memory");
                errno = ENOMEM;
                return NULL;
        }
        st->conf = *conf;
        int rc = st->nr = take_nr();
        if (rc < 0)
                conf_err(err, err_len, "this process has %d stacks already; free one of them", STACKS_MAX);
        else
                rc = conf_resolve(&st->conf, err, err_len);
        if (rc == 0) {
                log_set_level((enum log_level)conf->log);
                rc = make_members(st, err, err_len);
        }
        if (rc == 0)
                rc = stack_interfaces_add(st, err, err_len);
        if (rc < 0) {
                mr_stack_free(st);
                errno = -rc;
                return NULL;
        }
        sizes_say(&st->conf);
        return st;
}

/* ---- stop ---- */

/* One turn, and some more connections aborted: when the RSTs of the last ones are out, or when nothing moves,
 * for then buffers are missing and connections give theirs back.  Has anything happened? */
static bool reset_some(struct shard *sh, bool *more)
{
        bool moves = shard_turn(sh) > 0;

        *more = (!moves || !tcp_send_pending(sh->tcp)) && tcp_abort_all(sh->tcp, sh->now_ns);
        return moves || *more || tcp_send_pending(sh->tcp);
}

/* Peers should not be left to time out: whatever is open is closed the hard way, and the RSTs get
 * their turns, of all shards together: they may send for one another. */
static void reset_all(struct mr_stack *st)
{
        enum { TURNS_MAX = 10000 };                     /* since the last ones were aborted */
        bool busy = true, more;

        for (int turn = 0; turn < TURNS_MAX && busy; turn++) {
                busy = false;
                for (uint32_t i = 0; i < st->member_cnt; i++) {
                        busy |= reset_some(&st->members[i].shard, &more);
                        if (more)
                                turn = 0;
                }
        }
}

static void free_members(struct mr_stack *st)
{
        for (uint32_t i = st->member_cnt; i-- > 0;) {
                struct member *m = &st->members[i];
                shard_fini(&m->shard);
                listeners_leave(&m->peer);
                doorbell_fini(&m->bell);
        }
        if (st->listeners.entry)
                listeners_fini(&st->listeners);
        if (st->ports.claims.chain)
                ports_all_fini(&st->ports);
        free(st->members);
}

void mr_stack_free(struct mr_stack *st)
{
        if (!st)
                return;
        if (stack_current == st)
                stack_detach();
        for (uint32_t i = 0; i < st->member_cnt; i++)
                ASSERT(!atomic_load(&st->members[i].owned));    /* another thread is inside: it must leave first */
        reset_all(st);
        free_members(st);
        for (uint32_t i = st->dev_cnt; i-- > 0;)
                netdev_close(st->dev[i]);
        if (st->nr >= 0)
                give_nr(st->nr);
        free(st);
}

int mr_start(const struct mr_conf *conf, char *err, size_t err_len)
{
        if (stack_current) {
                conf_err(err, err_len, "this thread has a stack already; call mr_stop() first");
                return -EBUSY;
        }
        struct mr_stack *st = mr_stack_new(conf, err, err_len);
        if (!st)
                return -errno;
        int rc = mr_shard_attach(st, 0);
        if (rc < 0) {
                conf_err(err, err_len, "this thread cannot be bound to core %u: %s; name another in cpus",
                         conf->cpus[0], strerror(-rc));
                mr_stack_free(st);
        }
        return rc;
}

void mr_stop(void)
{
        mr_stack_free(stack_current);
}
