/* SPDX-License-Identifier: MIT */
#include "stack/listeners.h"
#include "base/log.h"

#include <stdlib.h>

int listeners_init(struct listeners *ls, uint32_t shard_cnt, uint32_t cap)
{
        *ls = (struct listeners){ .cap = cap, .peer_cnt = shard_cnt };
        ls->entry = calloc(cap, sizeof *ls->entry);
        ls->peers = calloc(shard_cnt, sizeof *ls->peers);
        pthread_mutex_init(&ls->lock, NULL);
        if (ls->entry && ls->peers)
                return 0;
        listeners_fini(ls);
        return -ENOMEM;
}

void listeners_fini(struct listeners *ls)
{
        free(ls->entry);
        free(ls->peers);
        pthread_mutex_destroy(&ls->lock);
        *ls = (struct listeners){ 0 };
}

int listeners_join(struct listeners *ls, struct listeners_peer *peer, struct socks *ss, struct doorbell *bell,
                   uint16_t shard)
{
        *peer = (struct listeners_peer){ .all = ls, .socks = ss, .bell = bell, .shard = shard };
        peer->have = calloc(ls->cap, sizeof *peer->have);
        ls->peers[shard] = peer;
        return peer->have ? 0 : -ENOMEM;
}

void listeners_leave(struct listeners_peer *peer)
{
        free(peer->have);
        peer->have = NULL;
}

/* ---- the shard where it happens ---- */

static void ring_others(const struct listeners_peer *peer)
{
        for (uint32_t i = 0; i < peer->all->peer_cnt; i++)
                if (i != peer->shard)
                        doorbell_ring(peer->all->peers[i]->bell, BELL_LISTENERS);
}

/* The place of @fd, or a free one; NULL: there is none. */
static struct listeners_entry *place_of(struct listeners *ls, int fd)
{
        struct listeners_entry *free_one = NULL;

        for (uint32_t i = 0; i < ls->end; i++) {
                if (ls->entry[i].gen && ls->entry[i].fd == fd)
                        return &ls->entry[i];
                if (!ls->entry[i].gen && !free_one)
                        free_one = &ls->entry[i];
        }
        if (!free_one && ls->end < ls->cap)
                free_one = &ls->entry[ls->end++];
        return free_one;
}

int listeners_put(struct listeners_peer *peer, int fd, uint32_t backlog)
{
        struct listeners *ls = peer->all;
        int rc = -ENOBUFS;

        pthread_mutex_lock(&ls->lock);
        struct listeners_entry *e = place_of(ls, fd);
        if (e && !e->gen) {
                *e = (struct listeners_entry){ .fd = fd, .shard = peer->shard, .gen = ++ls->gen };
                sock_listener_get(peer->socks, fd, backlog, &e->what);
        }
        if (e) {
                e->backlog = backlog;
                rc = 0;
        }
        pthread_mutex_unlock(&ls->lock);
        if (rc == 0)
                ring_others(peer);
        return rc;
}

void listeners_drop(struct listeners_peer *peer, int fd)
{
        struct listeners *ls = peer->all;

        pthread_mutex_lock(&ls->lock);
        for (uint32_t i = 0; i < ls->end; i++)
                if (ls->entry[i].gen && ls->entry[i].fd == fd)
                        ls->entry[i].gen = 0;
        pthread_mutex_unlock(&ls->lock);
        ring_others(peer);
}

/* ---- the others ---- */

static void make_replica(struct listeners_peer *peer, uint32_t place, const struct listeners_entry *e)
{
        if (sock_replica_add(peer->socks, e->fd, &e->what) < 0)
                log_warn("shard %u has no room for a listener of shard %u: raise max_listeners", peer->shard, e->shard);
        peer->have[place].gen = e->gen;         /* also without success: nothing will be better the next time */
        peer->have[place].fd = e->fd;
        peer->have[place].backlog = e->what.backlog;
}

void listeners_catch_up(struct listeners_peer *peer)
{
        struct listeners *ls = peer->all;

        pthread_mutex_lock(&ls->lock);
        /* All that has gone goes first: a new one may have its descriptor. */
        for (uint32_t i = 0; i < ls->end; i++)
                if (peer->have[i].gen && peer->have[i].gen != ls->entry[i].gen) {
                        sock_replica_remove(peer->socks, peer->have[i].fd);
                        peer->have[i].gen = 0;
                }
        for (uint32_t i = 0; i < ls->end; i++) {
                const struct listeners_entry *e = &ls->entry[i];
                if (!e->gen || e->shard == peer->shard)
                        continue;
                if (!peer->have[i].gen)
                        make_replica(peer, i, e);
                if (peer->have[i].backlog != e->backlog)
                        sock_replica_backlog(peer->socks, e->fd, e->backlog);
                peer->have[i].backlog = e->backlog;
        }
        pthread_mutex_unlock(&ls->lock);
}
