/* SPDX-License-Identifier: MIT */
/* stack/shard.c - Start and stop, and the turn; see shard.h */
#include "stack/doorbell.h"
#include "stack/shard.h"

#include <errno.h>
#include <stdlib.h>

/* ---- what the layers ask of each other ---- */

static void path_of(void *arg, const struct ip_addr *raddr, struct tcp_path *out)
{
        struct shard *sh = arg;
        struct ip_hop hop;
        uint32_t iface = 0;

        *out = (struct tcp_path){ .mtu = 576 };         /* RFC 9293 MUST-15: what must work when nothing is known */
        if (ip_is_local(&sh->ip, raddr))
                iface = ip_local_iface(&sh->ip, raddr);
        else if (ip_route_find(&sh->ip, raddr, &hop))
                iface = hop.iface;
        else
                return;
        uint32_t offload = sh->port[iface].dev->caps.offload;
        out->mtu = ip_path_mtu(&sh->ip, raddr);
        out->csum = offload & NETDEV_TX_CSUM;
        out->tso = offload & NETDEV_TSO;
}

static bool env_is_local(void *arg, const struct ip_addr *addr)
{
        return ip_is_local(&((struct shard *)arg)->ip, addr);
}

static int env_source_for(void *arg, const struct ip_addr *dst, struct ip_addr *src)
{
        return ip_source_for(&((struct shard *)arg)->ip, dst, src);
}

static int env_turn(void *arg, uint64_t deadline_ns) { return shard_run(arg, deadline_ns); }
static void env_wait_begin(void *arg) { shard_wait_begin(arg); }
static void env_wait_end(void *arg) { shard_wait_end(arg); }

static int env_source_nth(void *arg, const struct ip_addr *dst, uint32_t n, struct ip_addr *src)
{
        return ip_source_nth(&((struct shard *)arg)->ip, dst, n, src);
}

static void answer_if_rung(struct shard *sh)
{
        if (sh->bell && doorbell_rung(sh->bell))
                shard_answer(sh);
}

static void env_catch_up(void *arg) { answer_if_rung(arg); }

/* ---- start and stop ---- */

int shard_init(struct shard *sh, const struct shard_conf *conf, const struct shard_env *env)
{
        struct tcp_env tcp_env = { path_of, sh, shard_is_mine };
        struct sock_env sock_env = {
                .is_local = env_is_local, .source_for = env_source_for,
                .now_ns = &sh->now_ns,                  /* between turns time stands still: no call looks at the clock */
                .turn = env_turn, .wait_begin = env_wait_begin, .wait_end = env_wait_end, .arg = sh,
                .source_nth = env_source_nth, .catch_up = env_catch_up,
        };

        *sh = (struct shard){ .env = *env, .spin_ns = conf->spin_ns, .never_sleep = conf->never_sleep };
        sh->now_ns = env->now_ns(env->arg);
        sh->tcp = calloc(1, tcp_sizeof());
        if (!sh->tcp)
                return -ENOMEM;
        if (pkt_pool_init(&sh->pool, conf->pkts_small, conf->pkts_large, conf->huge_pages) < 0)
                goto no_pool;
        if (ip_init(&sh->ip, &conf->ip, &sh->pool, &sh->counters, conf->seed, sh->now_ns) < 0)
                goto no_ip;
        if (tcp_init(sh->tcp, &conf->tcp, &tcp_env, &sh->pool, &sh->counters, conf->seed, sh->now_ns) < 0)
                goto no_tcp;
        if (socks_init(&sh->socks, &conf->socks, sh->tcp, &sock_env) < 0)
                goto no_socks;
        return 0;

no_socks:
        tcp_fini(sh->tcp);
no_tcp:
        ip_fini(&sh->ip);
no_ip:
        pkt_pool_fini(&sh->pool);
no_pool:
        free(sh->tcp);
        return -ENOMEM;
}

void shard_fini(struct shard *sh)
{
        socks_fini(&sh->socks);
        tcp_fini(sh->tcp);
        for (uint32_t i = sh->port_cnt; i-- > 0;)
                netdev_queue_close(&sh->port[i].queue);
        ip_fini(&sh->ip);
        pkt_pool_fini(&sh->pool);
        free(sh->tcp);
}

int shard_port_add(struct shard *sh, struct netdev *dev, uint16_t queue, uint16_t vlan)
{
        if (sh->port_cnt == SHARD_PORTS_MAX)
                return -ENOSPC;
        struct shard_port *port = &sh->port[sh->port_cnt];
        int rc = netdev_queue_open(&port->queue, dev, queue, &sh->pool, &sh->counters);
        if (rc < 0)
                return rc;
        uint32_t flags = dev->caps.reflects ? IP_IFACE_REFLECTS : 0;
        rc = ip_iface_add(&sh->ip, &dev->caps.mac, dev->caps.mtu, vlan, flags);
        if (rc < 0) {
                netdev_queue_close(&port->queue);
                return rc;
        }
        ASSERT((uint32_t)rc == sh->port_cnt);           /* ports and interfaces have the same numbers */
        port->dev = dev;
        port->stuck_since_ns = 0;
        sh->port_cnt++;
        return rc;
}

/* ---- a turn ---- */

static uint32_t run_timers(struct shard *sh)
{
        uint32_t budget = TIMERS_MAX, done = 0;
        struct tcp_note note;

        while (tcp_expire(sh->tcp, sh->now_ns, &budget, &note)) {
                if (note.events)
                        socks_note(&sh->socks, &note);
                done++;
        }
        if (ip_timers_due(&sh->ip, sh->now_ns)) {
                ip_timers(&sh->ip, sh->now_ns, TIMERS_MAX);
                shard_take_failures(sh);
        }
        return done;
}

uint32_t shard_turn(struct shard *sh)
{
        enum { LONG_TURN = 16 };                        /* things done */
        sh->now_ns = sh->env.now_ns(sh->env.arg);
        answer_if_rung(sh);

        /* What the application has said since the last turn goes first: its peer waits for it. */
        uint32_t done = tcp_send_pending(sh->tcp) ? shard_tx(sh) : 0;
        done += shard_rx(sh);
        done += run_timers(sh);
        done += shard_tx(sh);
        count(&sh->counters, CNT_TURNS);
        if (done >= LONG_TURN) {                        /* a short one is not worth a look at the clock */
                uint64_t took_ns = sh->env.now_ns(sh->env.arg) - sh->now_ns;
                uint64_t *max_ns = &sh->counters.cnt[CNT_TURN_NS_MAX];
                *max_ns = u64_max(*max_ns, took_ns);
        }
        return done;
}

uint64_t shard_next_deadline(const struct shard *sh)
{
        uint64_t at = u64_min(tcp_next_deadline(sh->tcp), ip_next_deadline(&sh->ip, sh->now_ns));

        for (uint32_t i = 0; i < sh->port_cnt; i++) {
                const struct netdev_ops *ops = sh->port[i].dev->ops;
                if (ops->deadline)
                        at = u64_min(at, ops->deadline((struct netdev_queue *)(uintptr_t)&sh->port[i].queue));
                if (sh->ip.tx[i].head)                  /* a device that was full: look again soon */
                        at = u64_min(at, sh->now_ns + US(100));
        }
        if (tcp_send_pending(sh->tcp))                  /* no buffer was free */
                at = u64_min(at, sh->now_ns + US(100));
        return at;
}
