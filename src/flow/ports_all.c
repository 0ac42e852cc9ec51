/* SPDX-License-Identifier: MIT */
/* flow/ports_all.c - Who may bind and listen, where several shards have a say
 *
 * The rules are those of ports.c, on a struct ports that holds the bindings of
 * all shards; here is the lock around it.  Nothing on the data path comes
 * here: connections that are accepted, or opened without bind(), do not.
 */
#include "base/check.h"
#include "flow/ports.h"

#include <errno.h>

int ports_all_init(struct ports_all *all, uint32_t bindings_max, uint16_t min, uint16_t max, struct hash_key key)
{
        *all = (struct ports_all){ 0 };
        int rc = ports_init(&all->claims, bindings_max, min, max, key);
        if (rc == 0)
                pthread_mutex_init(&all->lock, NULL);
        all->claims.all = all;
        return rc;
}

void ports_all_fini(struct ports_all *all)
{
        ports_fini(&all->claims);
        pthread_mutex_destroy(&all->lock);
}

void ports_all_join(struct ports_all *all, struct ports *p)
{
        ASSERT(all->shard_cnt < PORTS_SHARDS_MAX && p->bindings.used == 0);
        all->shard[all->shard_cnt++] = p;
        p->all = all;
}

/* A shard counts its flows without a thought for others, and whoever reads a count from outside
 * may be a moment late: so may bind() be in any case. */
__attribute__((no_sanitize("thread"))) static uint32_t peek(const volatile uint32_t *count) { return *count; }

bool ports_all_used(const struct ports_all *all, uint16_t port)
{
        for (uint32_t i = 0; i < all->shard_cnt; i++)
                if (peek(&all->shard[i]->users[port]))
                        return true;
        return false;
}

int ports_all_bind(struct ports_all *all, const struct ip_addr *addr, uint16_t port, uint8_t flags, uint32_t *entry)
{
        pthread_mutex_lock(&all->lock);
        int rc = ports_bind(&all->claims, addr, port, flags, entry);
        pthread_mutex_unlock(&all->lock);
        return rc;
}

void ports_all_unbind(struct ports_all *all, uint32_t entry)
{
        pthread_mutex_lock(&all->lock);
        ports_unbind(&all->claims, entry);
        pthread_mutex_unlock(&all->lock);
}

void ports_all_set_flags(struct ports_all *all, uint32_t entry, uint8_t flags)
{
        pthread_mutex_lock(&all->lock);
        ports_set_flags(&all->claims, entry, flags);
        pthread_mutex_unlock(&all->lock);
}

int ports_all_listen(struct ports_all *all, uint32_t entry)
{
        pthread_mutex_lock(&all->lock);
        int rc = ports_listen(&all->claims, entry, 1);
        pthread_mutex_unlock(&all->lock);
        return rc;
}

void ports_all_unlisten(struct ports_all *all, uint32_t entry)
{
        pthread_mutex_lock(&all->lock);
        ports_unlisten(&all->claims, entry);
        pthread_mutex_unlock(&all->lock);
}
