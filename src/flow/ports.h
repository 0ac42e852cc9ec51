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
 *
 * SEVERAL SHARDS.  Each has a struct ports of its own, which is all that the
 * data path looks at.  Who may bind and listen is decided for all of them
 * together, in a struct ports_all under a lock: every binding of a shard has
 * an entry there.  The listener of one shard has a replica on the others: a
 * binding without such an entry, which hears only where no listener of the
 * shard's own (SO_REUSEPORT) does.
 */
#pragma once
#include "flow/flow.h"

#include <pthread.h>

enum { PORT_CNT = 65536 };
enum { PORT_EPHEMERAL_MIN = 32768, PORT_EPHEMERAL_MAX = 60999 };       /* as Linux */

struct binding {
        struct ip_addr addr;            /* any: every local address */
        uint16_t       port;
        uint8_t        flags;           /* enum binding_flag */
        uint32_t       listener;        /* 0, or what listens: the user's index */
        uint32_t       next;            /* of the same port */
        uint32_t       entry;           /* of several shards: the same claim in struct ports_all */
};

enum binding_flag {
        BINDING_REUSEADDR = 1 << 0,
        BINDING_REUSEPORT = 1 << 1,
        BINDING_REPLICA   = 1 << 2,     /* of another shard's listener */
        BINDING_CHOSEN    = 1 << 3,     /* the port was chosen by ports_bind() */
};

struct ports_all;

struct ports {
        struct slab     bindings;
        uint32_t       *chain;          /* 65,536 first bindings */
        uint32_t       *users;          /* 65,536 counts of flows with that local port */
        uint16_t        min, max;       /* ephemeral range, both inclusive */
        struct hash_key key;
        struct ports_all *all;          /* NULL: there is one shard */
        uint32_t        turn[256];      /* RFC 6056 3.3.4: the table of counters */
};

enum { PORTS_SHARDS_MAX = 128 };

/* What is bound on any shard. */
struct ports_all {
        pthread_mutex_t     lock;
        struct ports        claims;     /* every binding of every shard; .users is not used */
        const struct ports *shard[PORTS_SHARDS_MAX];
        uint32_t            shard_cnt;
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

/* SO_REUSEADDR, SO_REUSEPORT of a binding that is there. */
void ports_set_flags(struct ports *p, uint32_t idx, uint8_t flags);

/* The binding now listens.  0, or -EADDRINUSE when another listener is in the way. */
int  ports_listen(struct ports *p, uint32_t idx, uint32_t listener);
void ports_unlisten(struct ports *p, uint32_t idx);

/* A binding for the replica of another shard's listener.  0 and *@idx; -ENOBUFS. */
int  ports_replica(struct ports *p, const struct ip_addr *addr, uint16_t port, uint8_t flags, uint32_t *idx);

/* Who listens for @key?  Exact address before "any"; among equals (SO_REUSEPORT)
 * @hash chooses.  0: nobody. */
uint32_t ports_find_listener(const struct ports *p, const struct flow_key *key, uint32_t hash);

/* Do the packets of this flow come to this shard? */
typedef bool (*ports_mine_fn)(void *arg, const struct flow_key *key);

/* Choose key->lport for a connection to the rest of *@key, such that the tuple
 * is free in @t and @mine says so (NULL: always).  0 or -EADDRNOTAVAIL. */
int  ports_choose(struct ports *p, const struct flow_table *t, struct flow_key *key, ports_mine_fn mine, void *arg);

/* ---- several shards: ports_all.c; start and stop, by one thread ---- */

/* 0 or -ENOMEM.  @bindings_max: of all shards together. */
int  ports_all_init(struct ports_all *all, uint32_t bindings_max, uint16_t min, uint16_t max, struct hash_key key);
/* After the ports of all shards. */
void ports_all_fini(struct ports_all *all);
/* @p, in which nothing is bound yet, is one shard's.  At most PORTS_SHARDS_MAX join. */
void ports_all_join(struct ports_all *all, struct ports *p);

/* ---- for ports.c: the same calls, on all shards together ---- */

int  ports_all_bind(struct ports_all *all, const struct ip_addr *addr, uint16_t port, uint8_t flags, uint32_t *entry);
void ports_all_unbind(struct ports_all *all, uint32_t entry);
void ports_all_set_flags(struct ports_all *all, uint32_t entry, uint8_t flags);
int  ports_all_listen(struct ports_all *all, uint32_t entry);
void ports_all_unlisten(struct ports_all *all, uint32_t entry);
/* Has any shard a flow with this local port? */
bool ports_all_used(const struct ports_all *all, uint16_t port);

static inline struct binding *ports_binding(const struct ports *p, uint32_t idx) { return slab_at(&p->bindings, idx); }
