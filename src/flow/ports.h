/* SPDX-License-Identifier: MIT */
/* flow/ports.h - Local ports: who is bound, who listens, which are free
 *
 * A binding is a socket's claim on (address, port).  Bindings of one port form
 * a chain; conflicts follow Linux: two claims on one port conflict when their
 * addresses are equal or one is "any", unless
 *   - both said SO_REUSEPORT, or
 *   - both said SO_REUSEADDR and the one that is there does not listen (so of
 *     several such claims the first to listen has the port).
 * Connections that a listener accepted hold no binding, but they count as
 * users of the port: without SO_REUSEADDR it cannot be bound while they (or
 * their TIME-WAITs) live.
 *
 * Ephemeral ports follow RFC 6056 3.3.4 (double hash): the place to begin is a
 * keyed hash of the addresses, so neither a port nor the next one can be
 * guessed from outside, and ports of one destination are not reused quickly.
 */
#pragma once
#include "flow/flow.h"

enum { PORT_CNT = 65536 };
enum { PORT_EPHEMERAL_MIN = 32768, PORT_EPHEMERAL_MAX = 60999 };       /* as Linux */

struct binding {
        struct ip_addr addr;            /* any: every local address */
        uint16_t       port;
        uint8_t        flags;           /* enum binding_flag */
        uint32_t       listener;        /* 0, or what listens: the user's index */
        uint32_t       next;            /* of the same port */
};

enum binding_flag {
        BINDING_REUSEADDR = 1 << 0,
        BINDING_REUSEPORT = 1 << 1,
};

struct ports {
        struct slab     bindings;
        uint32_t       *chain;          /* 65,536 first bindings */
        uint32_t       *users;          /* 65,536 counts of flows with that local port */
        uint16_t        min, max;       /* ephemeral range, both inclusive */
        struct hash_key key;
        uint32_t        turn[256];      /* RFC 6056 3.3.4: the table of counters */
};

/* 0 or -ENOMEM. */
int  ports_init(struct ports *p, uint32_t bindings_max, uint16_t min, uint16_t max, struct hash_key key);
void ports_fini(struct ports *p);

/**
 * ports_bind() - Claim an address and port
 * @port: 0 chooses a free ephemeral one
 *
 * Return: 0 and *@idx; -EADDRINUSE; -ENOBUFS
 */
int  ports_bind(struct ports *p, const struct ip_addr *addr, uint16_t port, uint8_t flags, uint32_t *idx);
void ports_unbind(struct ports *p, uint32_t idx);

/* The binding now listens.  0, or -EADDRINUSE when another listener is in the way. */
int  ports_listen(struct ports *p, uint32_t idx, uint32_t listener);

/* Who listens for @key?  Exact address before "any"; among equals (SO_REUSEPORT)
 * @hash chooses.  0: nobody. */
uint32_t ports_find_listener(const struct ports *p, const struct flow_key *key, uint32_t hash);

/* Choose key->lport for a connection to the rest of *@key, such that the tuple
 * is free in @t.  0 or -EADDRNOTAVAIL. */
int  ports_choose(struct ports *p, const struct flow_table *t, struct flow_key *key);

static inline struct binding *ports_binding(const struct ports *p, uint32_t idx) { return slab_at(&p->bindings, idx); }
