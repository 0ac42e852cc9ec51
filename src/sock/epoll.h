/* SPDX-License-Identifier: MIT */
/* sock/epoll.h - Who wants to know what about which socket
 *
 * An epoll instance is a socket of its own kind with a record of its own,
 * struct epoll; a registration is an item of 16 octets.  One item of a socket
 * lies inside its struct sock, so the usual case - a socket in one epoll -
 * allocates nothing and touches no other cache line.  Further ones come from a
 * slab and form a chain.  Those items of an instance that may be ready stand in
 * its ready list (ready.h).
 *
 *      epoll instance ─► [item, item, item, ...]              (ready list)
 *
 *      socket ─► item inside
 *          └───► item ─► item                                 (chain of further ones)
 *
 * THEORY OF OPERATION, which is Linux's
 *
 * An event puts the items that ask for it into their ready lists: O(1), and no
 * list of all items exists.  What is ready is computed when the list is read:
 * an item found not ready leaves it.  A level-triggered item that was ready
 * goes to the tail again, so everybody's turn comes; an edge-triggered one
 * waits for the next event; a one-shot one loses its interest until MOD.
 *
 * close(2) of an instance cannot find its items, so it does not try: the
 * record stays, dead, until the last item that names it has been met and
 * dropped - by an event, by epoll_ctl() or by the close of its socket.
 *
 * EPOLLEXCLUSIVE: an event goes to one exclusive item of the socket, and that
 * one then goes to the end of the chain.
 */
#pragma once
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct socks;
struct sock;

typedef uint32_t item_ref;                      /* 0: none; EXTRA_BIT | slab index; or a sock's index */
#define EPOLL_EXTRA_BIT 0x80000000u
typedef uint32_t ready_pos;                     /* a place in a ready list; 0: in none */

struct epoll_item {
        uint32_t  data[2];                      /* the user's epoll_data, in two halves for the alignment */
        uint16_t  events;                       /* the interest: EPOLLIN | ..., and enum item_flag */
        uint16_t  epoll;                        /* inside a socket: number of the instance; 0: this item is free */
        ready_pos ready;
};
static_assert(sizeof(struct epoll_item) == 16, "half of a socket");

/* EPOLLET and its like, in bits that epoll does not use. */
enum item_flag {
        ITEM_EXCLUSIVE = 1 << 12,
        ITEM_ONESHOT   = 1 << 14,
        ITEM_ET        = 1 << 15,
};

/* A further registration of a socket. */
struct epoll_extra {
        struct epoll_item item;
        uint32_t          epoll;                /* number of the instance */
        uint32_t          sock;                 /* whose */
        item_ref          next;                 /* in the chain of the socket */
};

struct epoll {
        ready_pos head, tail;                   /* the ready list, see ready.h */
        uint32_t  cnt, holes;
        uint32_t  sock;                         /* itself as a socket; 0: it is dead */
        uint32_t  watched;                      /* items that name this instance */
        uint32_t  next, prev;                   /* all living instances */
        uint16_t  height;                       /* instances nested below it */
        bool      was_watched;                  /* by another instance, now or once */
};

enum {
        EPOLL_INSIDE_MAX    = UINT16_MAX,       /* instances with higher numbers have all their items in the slab */
        EPOLL_INSTANCES_MAX = 1 << 20,          /* of a shard */
        EPOLL_NEST_MAX      = 4,                /* edges in a row from instance to instance, as Linux */
};

/* All instances of a shard, their ready lists, and the items that lie in no socket. */
struct epolls {
        struct slab instances;                  /* struct epoll */
        struct slab extras;                     /* struct epoll_extra */
        struct slab chunks;                     /* struct ready_chunk */
        uint32_t    first;                      /* living instance */
};

/* For so many sockets, instances among them.  0 or -ENOMEM, with what was taken for epolls_fini(). */
int  epolls_init(struct epolls *es, uint32_t max_socks);
void epolls_fini(struct epolls *es);

/* The calls.  Negative errno as Linux. */
int sock_epoll_create(struct socks *ss, int flags);
int sock_epoll_ctl(struct socks *ss, int epfd, int op, int fd, const struct epoll_event *ev);
/* @timeout_ns: 0 does not wait, TIME_NEVER waits for ever.  Runs at least one turn. */
int sock_epoll_wait(struct socks *ss, int epfd, struct epoll_event *evs, int max, uint64_t timeout_ns);

/* Something happened to @sock: @key says what (EPOLLIN | ...), 0 is of interest to all. */
void epoll_wake(struct socks *ss, uint32_t sock, uint32_t key);

/* @sock goes away: forget its registrations. */
void epoll_forget(struct socks *ss, uint32_t sock);
/* The instance lost its descriptor. */
void epoll_close(struct socks *ss, uint32_t instance);

/* EPOLLIN | EPOLLRDNORM if the instance has something to report. */
uint32_t epoll_poll(struct socks *ss, uint32_t instance);
