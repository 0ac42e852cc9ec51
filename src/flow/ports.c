/* SPDX-License-Identifier: MIT */
#include "flow/ports.h"
#include "base/mem.h"

#include <errno.h>

int ports_init(struct ports *p, uint32_t bindings_max, uint16_t min, uint16_t max, struct hash_key key)
{
        *p = (struct ports){ .min = min, .max = max, .key = key };
        p->chain = mem_map(PORT_CNT * sizeof *p->chain, MEM_SMALL);
        p->users = mem_map(PORT_CNT * sizeof *p->users, MEM_SMALL);
        if (!p->chain || !p->users ||
            slab_init(&p->bindings, "bindings", sizeof(struct binding), 0, bindings_max, MEM_SMALL) < 0) {
                ports_fini(p);
                return -ENOMEM;
        }
        return 0;
}

void ports_fini(struct ports *p)
{
        mem_unmap(p->chain, PORT_CNT * sizeof *p->chain, MEM_SMALL);
        mem_unmap(p->users, PORT_CNT * sizeof *p->users, MEM_SMALL);
        if (p->bindings.base)
                slab_fini(&p->bindings);
        *p = (struct ports){ 0 };
}

static bool addrs_overlap(const struct ip_addr *a, const struct ip_addr *b)
{
        return ip_addr_is_any(a) || ip_addr_is_any(b) || ip_addr_eq(a, b);
}

static bool conflict(const struct binding *have, const struct ip_addr *addr, uint8_t flags)
{
        if (!addrs_overlap(&have->addr, addr))
                return false;
        if (have->flags & flags & BINDING_REUSEPORT)
                return false;
        return !(have->flags & flags & BINDING_REUSEADDR) || have->listener;
}

static bool has_users(const struct ports *p, uint16_t port)
{
        return p->all ? ports_all_used(p->all, port) : p->users[port] != 0;
}

static bool can_bind(const struct ports *p, const struct ip_addr *addr, uint16_t port, uint8_t flags)
{
        for (uint32_t i = p->chain[port]; i; i = ports_binding(p, i)->next)
                if (conflict(ports_binding(p, i), addr, flags))
                        return false;
        return p->chain[port] || !has_users(p, port) || (flags & (BINDING_REUSEADDR | BINDING_REUSEPORT));
}

/* RFC 6056 3.3.4: offset from one keyed hash, progress from a table of counters chosen by another. */
static uint32_t *ephemeral_start(struct ports *p, const struct flow_key *key, uint32_t *offset)
{
        uint64_t word[5];
        memcpy(word, &key->laddr, 16);
        memcpy(word + 2, &key->raddr, 16);
        word[4] = key->rport;
        uint64_t h = hash_secret(&p->key, word, 5);
        *offset = (uint32_t)h;
        return &p->turn[h >> 56];
}

static uint32_t port_cnt(const struct ports *p) { return (uint32_t)(p->max - p->min) + 1; }

static int choose_to_bind(struct ports *p, const struct ip_addr *addr, uint8_t flags, uint16_t *port)
{
        struct flow_key key = { .laddr = *addr };
        uint32_t offset, *turn = ephemeral_start(p, &key, &offset);

        for (uint32_t i = 0; i < port_cnt(p); i++) {
                uint16_t try = (uint16_t)(p->min + (offset + (*turn)++) % port_cnt(p));
                if (!p->chain[try] && can_bind(p, addr, try, (uint8_t)(flags & ~BINDING_REUSEADDR))) {
                        *port = try;
                        return 0;
                }
        }
        return -EADDRINUSE;
}

static int put(struct ports *p, const struct binding *b, uint32_t *idx)
{
        *idx = slab_take(&p->bindings);
        if (!*idx)
                return -ENOBUFS;
        *ports_binding(p, *idx) = *b;
        ports_binding(p, *idx)->next = p->chain[b->port];
        p->chain[b->port] = *idx;
        return 0;
}

/* Of the struct ports of all shards each entry is decided here, of a shard each is decided there. */
static bool is_one_of_several(const struct ports *p) { return p->all && p != &p->all->claims; }

static int bind_one_of_several(struct ports *p, struct binding *b, uint32_t *idx)
{
        int rc = ports_all_bind(p->all, &b->addr, b->port, b->flags, &b->entry);
        if (rc < 0)
                return rc;
        b->port = ports_binding(&p->all->claims, b->entry)->port;       /* nobody else changes it */
        rc = put(p, b, idx);
        if (rc < 0)
                ports_all_unbind(p->all, b->entry);
        return rc;
}

int ports_bind(struct ports *p, const struct ip_addr *addr, uint16_t port, uint8_t flags, uint32_t *idx)
{
        struct binding b = { .addr = *addr, .port = port, .flags = (uint8_t)(flags | (port ? 0 : BINDING_CHOSEN)) };

        if (is_one_of_several(p))
                return bind_one_of_several(p, &b, idx);
        if (port == 0) {
                int rc = choose_to_bind(p, addr, flags, &b.port);
                if (rc < 0)
                        return rc;
        } else if (!can_bind(p, addr, port, flags)) {
                return -EADDRINUSE;
        }
        return put(p, &b, idx);
}

int ports_replica(struct ports *p, const struct ip_addr *addr, uint16_t port, uint8_t flags, uint32_t *idx)
{
        struct binding b = { .addr = *addr, .port = port, .flags = (uint8_t)(flags | BINDING_REPLICA) };
        return put(p, &b, idx);
}

void ports_unbind(struct ports *p, uint32_t idx)
{
        uint32_t *at = &p->chain[ports_binding(p, idx)->port];
        while (*at != idx)
                at = &ports_binding(p, *at)->next;
        *at = ports_binding(p, idx)->next;
        if (ports_binding(p, idx)->entry)
                ports_all_unbind(p->all, ports_binding(p, idx)->entry);
        slab_give(&p->bindings, idx);
}

void ports_set_flags(struct ports *p, uint32_t idx, uint8_t flags)
{
        struct binding *b = ports_binding(p, idx);

        b->flags = (uint8_t)(flags | (b->flags & (BINDING_REPLICA | BINDING_CHOSEN)));
        if (b->entry)
                ports_all_set_flags(p->all, b->entry, flags);
}

int ports_listen(struct ports *p, uint32_t idx, uint32_t listener)
{
        struct binding *b = ports_binding(p, idx);

        if (b->entry) {
                int rc = ports_all_listen(p->all, b->entry);
                if (rc < 0)
                        return rc;
        } else if (!(b->flags & BINDING_REPLICA)) {
                for (uint32_t i = p->chain[b->port]; i; i = ports_binding(p, i)->next)
                        if (i != idx && conflict(ports_binding(p, i), &b->addr, b->flags))
                                return -EADDRINUSE;
        }
        b->listener = listener;
        return 0;
}

void ports_unlisten(struct ports *p, uint32_t idx)
{
        struct binding *b = ports_binding(p, idx);

        b->listener = 0;
        if (b->entry)
                ports_all_unlisten(p->all, b->entry);
}

/* Does @b listen on @addr (NULL: on any)? */
static bool hears(const struct binding *b, const struct ip_addr *addr)
{
        return b->listener && (addr ? ip_addr_eq(&b->addr, addr) : ip_addr_is_any(&b->addr));
}

static bool is_replica(const struct binding *b) { return b->flags & BINDING_REPLICA; }

static uint32_t listener_of(const struct ports *p, const struct flow_key *key, const struct ip_addr *addr,
                            uint32_t hash)
{
        uint32_t cnt[2] = { 0 };                        /* of the shard's own, of others' */
        for (uint32_t i = p->chain[key->lport]; i; i = ports_binding(p, i)->next) {
                const struct binding *b = ports_binding(p, i);
                cnt[is_replica(b)] += hears(b, addr);
        }
        bool replicas = cnt[0] == 0;
        uint32_t pick = (uint32_t)(((uint64_t)hash * cnt[replicas]) >> 32);
        for (uint32_t i = p->chain[key->lport]; i; i = ports_binding(p, i)->next) {
                const struct binding *b = ports_binding(p, i);
                if (hears(b, addr) && is_replica(b) == replicas && pick-- == 0)
                        return b->listener;
        }
        return 0;
}

uint32_t ports_find_listener(const struct ports *p, const struct flow_key *key, uint32_t hash)
{
        if (!p->chain[key->lport])
                return 0;
        uint32_t exact = listener_of(p, key, &key->laddr, hash);
        return exact ? exact : listener_of(p, key, NULL, hash);
}

int ports_choose(struct ports *p, const struct flow_table *t, struct flow_key *key, ports_mine_fn mine, void *arg)
{
        uint32_t offset, *turn = ephemeral_start(p, key, &offset);

        for (uint32_t i = 0; i < port_cnt(p); i++) {
                key->lport = (uint16_t)(p->min + (offset + (*turn)++) % port_cnt(p));
                if (!p->chain[key->lport] && (!mine || mine(arg, key)) && !flow_find(t, flow_hash(t, key), key))
                        return 0;
        }
        key->lport = 0;
        return -EADDRNOTAVAIL;
}
