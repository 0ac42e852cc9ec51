/* SPDX-License-Identifier: MIT */
/* stack/listeners.h - The listening sockets of all shards, and their replicas
 *
 * A table of who listens where, under a lock, for control alone.  Who begins
 * or ends listening writes it and rings the others' bells; each of them then
 * compares the table with the replicas that it has, and makes and closes what
 * differs.  So nothing queues up for a shard that nobody attends to: it sees
 * the last state when a thread attaches.
 *
 *      place    descriptor  gen                 replicas of shard 2, by place
 *      [0]      fd of shard 0, 7     ───────►   [0] 7     as it should be
 *      [1]      fd of shard 0, 12    ───────►   [1] 9     closed meanwhile, another now: replaced
 *      [2]      free                 ───────►   [2] 3     closed meanwhile
 */
#pragma once
#include "sock/sock.h"
#include "stack/doorbell.h"

#include <pthread.h>

struct listeners_entry {
        int      fd;
        uint16_t shard;                 /* whose descriptor it is */
        uint64_t gen;                   /* unique; 0: the place is free */
        uint32_t backlog;
        struct sock_listener what;
};

struct listeners {
        pthread_mutex_t  lock;
        uint64_t         gen;           /* given out last */
        uint32_t         cap;
        uint32_t         end;           /* places from here on were never used */
        struct listeners_entry *entry;
        uint32_t         peer_cnt;
        struct listeners_peer **peers;  /* by shard */
};

/* One shard's side. */
struct listeners_peer {
        struct listeners *all;
        struct socks     *socks;
        struct doorbell  *bell;
        uint16_t          shard;
        struct {
                uint64_t gen;           /* of the replica, 0: none */
                int      fd;
                uint32_t backlog;
        }                *have;         /* by place */
};

/* For @shard_cnt shards and at most @cap listeners.  0 or -ENOMEM. */
int  listeners_init(struct listeners *ls, uint32_t shard_cnt, uint32_t cap);
void listeners_fini(struct listeners *ls);
/* 0 or -ENOMEM. */
int  listeners_join(struct listeners *ls, struct listeners_peer *peer, struct socks *ss, struct doorbell *bell,
                    uint16_t shard);
void listeners_leave(struct listeners_peer *peer);

/* @fd of this shard listens now, or has another backlog.  0, or -ENOBUFS: there are @cap already. */
int  listeners_put(struct listeners_peer *peer, int fd, uint32_t backlog);
/* It listens no more. */
void listeners_drop(struct listeners_peer *peer, int fd);

/* Make this shard's replicas what the table says. */
void listeners_catch_up(struct listeners_peer *peer);
