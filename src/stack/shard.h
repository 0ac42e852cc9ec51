/* SPDX-License-Identifier: MIT */
/* stack/shard.h - One core's worth of network stack
 *
 * A shard is all that one core needs to serve its connections: one queue of
 * every device, the IP layer, the TCP engine, the sockets, the packet pools
 * and the counters.  Shards share nothing that changes, so nothing here locks.
 *
 * One turn of the loop
 *
 *      now    the clock, read once; all that follows takes it as an argument
 *      tx     flows -> devices     what the application has said since the last turn
 *      rx     devices -> flows     a burst of each device, in passes (shard_rx.c)
 *      timer  what has come due    at most TIMERS_MAX
 *      tx     flows -> devices     everyone else who has something to say (shard_tx.c)
 *
 * and the application runs between turns: shard_run() is what a blocking call
 * and epoll_wait() do.  Every step does a bounded amount of work, so a turn
 * does too; the longest turn ever is counted in TURN_NS_MAX.
 *
 * TIME AND CHANCE come from shard_env.  In the simulator both are made up,
 * which is why a failing run can be repeated from its seed.
 *
 * IDLING.  When a turn found nothing to do, shard_run() goes on turning for
 * spin_ns (packets come in groups, and a sleep costs a wake-up), then sleeps
 * on the descriptors of the devices until one is readable or something is due.
 *
 * WHEN SOMETHING RUNS OUT it is counted; ARCHITECTURE.md has the list, in order.
 *
 * Not here: protocol rules (tcp/, ip/), BSD semantics (sock/), devices (dev/).
 */
#pragma once
#include "base/counters.h"
#include "dev/netdev.h"
#include "ip/ip.h"
#include "pkt/pkt.h"
#include "sock/sock.h"
#include "tcp/tcp.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { SHARD_PORTS_MAX = IP_IFACES, BURST_MAX = 64, TIMERS_MAX = 256 };

/* Where time comes from. */
struct shard_env {
        uint64_t (*now_ns)(void *arg);  /* monotonic */
        void    *arg;
};

struct doorbell;
struct listeners_peer;

struct shard_conf {
        struct tcp_conf   tcp;
        struct ip_conf    ip;
        struct socks_conf socks;
        uint32_t          pkts_small, pkts_large;
        enum mem_pages    huge_pages;
        bool              never_sleep;
        uint64_t          spin_ns;
        uint64_t          seed[4];
};

/* One device of the shard, and the interface of ip/ that lives on it (same index). */
struct shard_port {
        struct netdev       *dev;
        struct netdev_queue  queue;
        uint64_t             stuck_since_ns;    /* it took no frame since; 0: it does */
};

struct shard {
        struct shard_env  env;
        uint64_t          now_ns;               /* of the turn that runs or ran last */
        uint64_t          spin_ns;
        bool              never_sleep;
        bool              woken;                /* by shard_answer(): the next wait ends with -EINTR */
        bool              waiting;              /* between shard_wait_begin() and shard_wait_end() */
        sigset_t          signals;              /* meanwhile: the program's own mask */
        struct pkt_pool   pool;
        struct counters   counters;
        struct ip         ip;
        struct tcp       *tcp;
        struct socks      socks;
        struct shard_port port[SHARD_PORTS_MAX];
        uint32_t          port_cnt;
        uint32_t          number;               /* 0, or which of the stack's shards */
        struct doorbell  *bell;                 /* NULL: nobody rings */
        struct listeners_peer *peer;            /* NULL: there is one shard */
};

/* 0 or -ENOMEM, with nothing held. */
int  shard_init(struct shard *sh, const struct shard_conf *conf, const struct shard_env *env);
/* Closes the queues, not the devices.  Connections are forgotten, not reset: reset_all() in stack.c does that. */
void shard_fini(struct shard *sh);

/* Use queue @queue of @dev, and make an interface of it.  Returns its number or a negative errno. */
int  shard_port_add(struct shard *sh, struct netdev *dev, uint16_t queue, uint16_t vlan);

/* One turn.  Returns how much was done; 0: nothing to do. */
uint32_t shard_turn(struct shard *sh);

/* Turn until something was done or @deadline_ns has passed (0: one turn, no
 * waiting); spins, then sleeps.  0, or -EINTR when a signal came. */
int  shard_run(struct shard *sh, uint64_t deadline_ns);

/* Around the turns of one waiting call, so that no signal is lost between them (shard_idle.c). */
void shard_wait_begin(struct shard *sh);
void shard_wait_end(struct shard *sh);

/* Nothing is due before this; TIME_NEVER: nothing at all. */
uint64_t shard_next_deadline(const struct shard *sh);

/* The two halves of a turn, in files of their own. */
uint32_t shard_rx(struct shard *sh);
uint32_t shard_tx(struct shard *sh);
/* shard_peer.c: others have rung. */
void     shard_answer(struct shard *sh);
/* Do the packets of this flow come to this shard?  @arg: the shard. */
bool     shard_is_mine(void *arg, const struct flow_key *key);
/* Tell connections that their neighbour did not answer. */
void     shard_take_failures(struct shard *sh);
