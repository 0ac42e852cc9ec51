/* SPDX-License-Identifier: MIT */
/* ip/lpm.h - A map from prefixes to numbers, asked for the longest match
 *
 * Knows prefixes; does not know what the numbers mean (routes, local
 * addresses).  One open-addressed table holds all prefixes, keyed by masked
 * address and length; a list of the lengths in use says in which order to
 * ask.  A lookup costs one probe a length in use, longest first: two or three
 * in practice, whatever the number of prefixes.
 *
 *      lens: 128 120 112 96            10.1.2.3 ─► /128? no ─► /120? no ─► /112: 7
 *
 * Only configuration puts prefixes in, so nobody outside can make the table
 * slow by choosing addresses: the hash needs no key.
 *
 * IPv4 prefixes have lengths 96..128 and match IPv4 addresses alone: ::/0 does
 * not hold ::ffff:10.0.0.1 here.
 */
#pragma once
#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct lpm_slot {
        uint64_t hi, lo;                /* the prefix, host bits zero */
        uint32_t value;                 /* 0: free slot */
        uint32_t len;
};

/* What was asked lately: packets come in trains to and from few addresses. */
struct lpm_hot {
        struct ip_addr addr;
        uint32_t       value;
        uint32_t       gen;             /* true while it is the map's */
};
enum { LPM_HOT_BITS = 8 };

struct lpm {
        struct lpm_slot *slot;
        struct lpm_hot  *hot;           /* 1 << LPM_HOT_BITS of them, as long as slot */
        uint32_t         gen;           /* one more with each change */
        uint32_t         mask;          /* slots - 1 */
        uint32_t         shift;         /* 64 - log2(slots) */
        uint32_t         cnt;
        uint32_t         len_cnt;
        uint8_t          lens[129];     /* lengths in use, longest first */
        uint32_t         of_len[129];   /* prefixes of each length */
};

/* An empty map; lpm_fini() gives back what lpm_add() allocated. */
void lpm_init(struct lpm *m);
void lpm_fini(struct lpm *m);

/**
 * lpm_add() - Map a prefix to a number
 * @p:     host bits are ignored
 * @value: not 0
 *
 * Return: 0; -EEXIST it is there already; -ENOMEM
 * Context: configuration; allocates
 */
int lpm_add(struct lpm *m, const struct ip_prefix *p, uint32_t value);

/* The number of exactly this prefix, or 0. */
uint32_t lpm_get(const struct lpm *m, const struct ip_prefix *p);

/* Change the number of a prefix that is there. */
void lpm_set(struct lpm *m, const struct ip_prefix *p, uint32_t value);

/* Take out a prefix that is there. */
void lpm_del(struct lpm *m, const struct ip_prefix *p);

/* One look-up for each length in use; the answer goes to @hot. */
uint32_t lpm_match_slow(const struct lpm *m, const struct ip_addr *a, struct lpm_hot *hot);

/* The number of the longest prefix that holds @a, or 0. */
static inline uint32_t lpm_match(const struct lpm *m, const struct ip_addr *a)
{
        uint32_t tail;

        if (!m->slot)
                return 0;
        memcpy(&tail, a->octet + 12, 4);
        struct lpm_hot *hot = &m->hot[tail * 0x9e3779b1u >> (32 - LPM_HOT_BITS)];
        return hot->gen == m->gen && ip_addr_eq(&hot->addr, a) ? hot->value : lpm_match_slow(m, a, hot);
}
