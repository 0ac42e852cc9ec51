/* SPDX-License-Identifier: MIT */
/* ip/local.h - Which addresses are ours
 *
 * Single addresses ("10.77.0.2 on the link 10.77.0.0/24") and whole prefixes
 * ("every address of 10.64.0.0/16 is mine") lie in one prefix map, together
 * with the broadcast addresses of our links, so what a received packet needs
 * to know of an address is one lookup.
 *
 * Knows neither ARP nor interfaces; acd.c decides when an address may be used.
 */
#pragma once
#include "base/addr.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "ip/iface.h"
#include "ip/lpm.h"

#include <stdbool.h>
#include <stdint.h>

/* What local_find() answers: 0 for a stranger, otherwise one of the flags or
 * the index of the struct ip_local, which is then usable. */
#define LOCAL_BROADCAST 0x80000000u     /* the broadcast address of a link of ours */
#define LOCAL_TENTATIVE 0x40000000u     /* with an index: not to be used yet, or no longer */

enum local_stage {
        LOCAL_READY,                    /* usable, nothing more to say */
        LOCAL_PROBING,                  /* RFC 5227 2.1.1: not usable yet */
        LOCAL_ANNOUNCING,               /* RFC 5227 2.3: usable */
        LOCAL_CONFLICT,                 /* another host had it when we probed: not usable, tried again later */
};

struct ip_local {
        struct ip_prefix  prefix;       /* the address, and the length of its link or of the whole prefix */
        bool              whole;
        uint8_t           iface;
        uint8_t           stage;        /* enum local_stage */
        uint8_t           sends_left;   /* probes or announcements still to send */
        bool              defended;     /* defended_ns is true */
        uint32_t          next;         /* of the same interface, in the order they were added */
        struct wheel_node timer;
        tick              due;
        uint64_t          defended_ns;  /* when we last insisted on it */
};

struct local_table {
        struct slab  slab;
        struct lpm   map;
        struct wheel wheel;             /* acd.c's timers */
        uint32_t     first[IP_IFACES], last[IP_IFACES];
};

/* At most @max entries.  0 or -ENOMEM. */
int  local_init(struct local_table *t, uint32_t max, tick now);
void local_fini(struct local_table *t);

/**
 * local_add() - Make an address, or all of a prefix, ours
 * @tentative: not to be used until local_usable()
 *
 * Return: index of the entry; -EEXIST; -EINVAL multicast, broadcast, unspecified,
 *         or host part all zero or all ones in a link of 30 bits or less; -ENOSPC; -ENOMEM
 */
int  local_add(struct local_table *t, const struct ip_prefix *p, uint32_t iface, bool whole, bool tentative);

/* The tentative @idx may be used from now on. */
void local_usable(struct local_table *t, uint32_t idx);

static inline bool local_is_usable(const struct ip_local *l)
{
        return l->stage == LOCAL_READY || l->stage == LOCAL_ANNOUNCING;
}

/* 0, LOCAL_BROADCAST, or an index with or without LOCAL_TENTATIVE. */
static inline uint32_t local_find(const struct local_table *t, const struct ip_addr *a)
{
        return lpm_match(&t->map, a);
}

/* Is this answer of local_find() an address that we use now? */
static inline bool local_is_ours(uint32_t found)
{
        return found && !(found & (LOCAL_BROADCAST | LOCAL_TENTATIVE));
}

static inline struct ip_local *local_at(const struct local_table *t, uint32_t idx) { return slab_at(&t->slab, idx); }
