/* SPDX-License-Identifier: MIT */
/* ip/neigh.h - The neighbour cache: which MAC address an IP address has
 *
 * Knows who has been asked, who has answered and when, and which packets wait
 * for an answer; does not know how asking is done (arp.c).  Functions return
 * what is to be said, the caller says it.
 *
 * THEORY OF OPERATION
 *
 * The states are those of RFC 4861 7.3.2, which Linux uses for ARP as well:
 *
 *      INCOMPLETE  asked by broadcast, no answer yet; packets wait
 *      REACHABLE   answered or confirmed within the last 30 s
 *      STALE       not confirmed for longer; used all the same, the next use leads to
 *      DELAY       used, and given 5 s for the upper layer to confirm it
 *      PROBE       asked directly, three times a second apart
 *
 * An entry that failed is gone: the next packet asks anew, never sooner than
 * a second after the last request (RFC 1122 2.3.2.1).
 *
 * Each entry is in one of three lists, oldest first, and that is the order of
 * giving up when the cache is full: STALE ones, then those that wait for an
 * answer, then the living.  What we only heard of - a stranger's request - may
 * push out STALE entries and no others, so a flood of strangers can't take a
 * neighbour from us that we need.  A gateway is passed over where possible.
 *
 * Records lie in a slab; the table is open-addressed with linear probing, at
 * most half full, keyed so that nobody outside can choose collisions.
 */
#pragma once
#include "base/addr.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "pkt/pkt.h"

#include <stdbool.h>
#include <stdint.h>

enum neigh_state { NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_STALE, NEIGH_DELAY, NEIGH_PROBE };

struct neigh {
        struct ip_addr    addr;
        struct mac_addr   mac;          /* meaningful unless INCOMPLETE */
        uint8_t           iface;
        uint8_t           state;        /* enum neigh_state */
        uint8_t           probes;       /* requests sent in this state */
        bool              gateway;      /* a route leads through it */
        uint32_t          hash;
        struct wheel_node timer;
        tick              due;          /* when the timer means something; it may fire earlier */
        tick              confirmed;    /* last sign of life */
        uint32_t          next, prev;   /* of the list that the state says */
        struct pkt_list   queue;        /* IP packets that wait; INCOMPLETE only */
};

struct neigh_slot {
        uint32_t hash;
        uint32_t idx;                   /* 0: free */
};

struct neigh_list {
        uint32_t head, tail;
};

struct neigh_conf {
        uint32_t max;                   /* entries */
        uint32_t hold_each;             /* packets that wait for one neighbour; at least 1 */
        uint32_t hold_total;            /* for all together */
        uint64_t reachable_ns;
        uint64_t delay_ns;
        uint64_t retrans_ns;            /* between requests; RFC 1122 2.3.2.1: at least 1 s */
        uint32_t probes;                /* requests before giving up, broadcast and unicast alike */
};

enum { NEIGH_LISTS = 3 };

struct neigh_table {
        struct neigh_conf  conf;
        struct slab        slab;
        struct neigh_slot *slot;
        uint32_t           mask;
        struct hash_key    key;
        struct wheel       wheel;
        struct neigh_list  list[NEIGH_LISTS];
        uint32_t           held;        /* packets that wait, in all */
        uint64_t           gen;         /* changes whenever an entry goes away */
        struct pkt_pool   *pool;
        struct counters   *counters;
};

/* 0 or -ENOMEM. */
int  neigh_init(struct neigh_table *t, const struct neigh_conf *conf, struct hash_key key, struct pkt_pool *pool,
                struct counters *counters, uint64_t now_ns);
/* Frees the packets that wait. */
void neigh_fini(struct neigh_table *t);

static inline struct neigh *neigh_at(const struct neigh_table *t, uint32_t idx) { return slab_at(&t->slab, idx); }
static inline uint32_t neigh_idx(const struct neigh_table *t, const struct neigh *n) { return slab_idx(&t->slab, n); }

/* The entry, or NULL. */
struct neigh *neigh_find(const struct neigh_table *t, const struct ip_addr *addr, uint32_t iface);

/**
 * neigh_ask() - Make an entry for a neighbour that we want to reach
 *
 * It is INCOMPLETE with its first request counted; the caller sends that.
 *
 * Return: the entry; NULL when the cache is full of gateways
 */
struct neigh *neigh_ask(struct neigh_table *t, const struct ip_addr *addr, uint32_t iface, uint64_t now_ns);

/**
 * neigh_hear() - Make an entry for a neighbour that spoke to us
 *
 * Return: the entry, STALE; NULL when only entries in use are left to evict
 */
struct neigh *neigh_hear(struct neigh_table *t, const struct ip_addr *addr, uint32_t iface,
                         const struct mac_addr *mac, uint64_t now_ns);

/* Delete @n; the packets that wait are freed and counted under @why. */
void neigh_forget(struct neigh_table *t, struct neigh *n, enum drop why);

/* A packet is about to go to @n.  True: send it to n->mac.  False: neigh_hold() it. */
static inline bool neigh_may_send(const struct neigh *n) { return n->state != NEIGH_INCOMPLETE; }
void neigh_use_stale(struct neigh_table *t, struct neigh *n, uint64_t now_ns);
static inline void neigh_use(struct neigh_table *t, struct neigh *n, uint64_t now_ns)
{
        if (n->state == NEIGH_STALE)
                neigh_use_stale(t, n, now_ns);
}

/**
 * neigh_hold() - Let a packet wait for @n, which is INCOMPLETE
 * @p: taken over
 *
 * The newest packets are kept (RFC 1122 2.3.2.2); what gives way, of this
 * neighbour or of the one that has waited longest, is freed and counted.
 *
 * Return: DROP_NONE; DROP_NEIGH_QUEUE: @p itself was freed and counted
 */
enum drop neigh_hold(struct neigh_table *t, struct neigh *n, struct pkt *p);

/* The next packet that waited for @n, or NULL. */
struct pkt *neigh_unhold(struct neigh_table *t, struct neigh *n);

/**
 * neigh_answer() - @n said that it has @mac
 * @reply: it was a reply to us, which confirms that it can hear us
 *
 * Afterwards the caller sends what neigh_unhold() gives.
 *
 * A reply confirms only what was asked; one that nobody asked for is taken as
 * an announcement: a new MAC address is believed, but STALE, so it is probed.
 */
void neigh_answer(struct neigh_table *t, struct neigh *n, const struct mac_addr *mac, bool reply, uint64_t now_ns);

/* The upper layer has made progress with @n: it is alive. */
void neigh_confirm(struct neigh_table *t, struct neigh *n, uint64_t now_ns);

enum neigh_due {
        NEIGH_DUE_NONE,                 /* nothing more to do at @now */
        NEIGH_DUE_ASK_ALL,              /* send a request by broadcast */
        NEIGH_DUE_ASK_ONE,              /* send a request to n->mac */
        NEIGH_DUE_FAILED,               /* it did not answer: tell, then neigh_forget() */
};

/* The next thing that is due; @budget as for wheel_expire(). */
enum neigh_due neigh_timer(struct neigh_table *t, struct neigh **n, uint64_t now_ns, uint32_t *budget);

/* The request that was due could not be sent: not counted, due again soon. */
void neigh_put_off(struct neigh_table *t, struct neigh *n, uint64_t now_ns);
