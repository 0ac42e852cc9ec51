/* SPDX-License-Identifier: MIT */
/* sock/epoll.h - Who wants to know what about which socket
 *
 * An epoll instance is a socket of its own kind.  A registration is an item of
 * 28 octets; the first one of a socket lies inside its struct sock, so the
 * usual case - a socket in one epoll - allocates nothing and touches no other
 * cache line.  Further ones come from a slab.  The items of one socket form a
 * chain; those of one instance that may be ready form its ready list.
 *
 *      epoll instance ── head ─► item ⇄ item ⇄ item ◄─ tail        (ready list)
 *                                 │
 *      socket ─────── items ─► item ─► item                        (chain)
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
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct socks;
struct sock;

typedef uint32_t item_ref;                      /* 0: none; EXTRA_BIT | slab index; or a sock's index */
#define EPOLL_EXTRA_BIT 0x80000000u

struct epoll_item {
        uint32_t data[2];                       /* the user's epoll_data, in two halves for the alignment */
        uint32_t events;                        /* the interest, and ITEM_QUEUED */
        uint32_t epoll;                         /* sock index of the instance; 0: this item is free */
        item_ref next, prev;                    /* in the ready list, while ITEM_QUEUED */
        item_ref sibling;                       /* next in the socket's chain */
};

/* A further registration of a socket. */
struct epoll_extra {
        struct epoll_item item;
        uint32_t          sock;                 /* whose */
};

enum {
        ITEM_QUEUED    = 1 << 27,               /* in epoll_item.events: a bit that epoll does not use */
        EPOLL_NEST_MAX = 4,                     /* edges in a row from instance to instance, as Linux */
};

/* The calls.  Negative errno as Linux. */
int sock_epoll_create(struct socks *ss, int flags);
int sock_epoll_ctl(struct socks *ss, int epfd, int op, int fd, const struct epoll_event *ev);
/* @timeout_ns: 0 does not wait, TIME_NEVER waits for ever.  Runs at least one turn. */
int sock_epoll_wait(struct socks *ss, int epfd, struct epoll_event *evs, int max, uint64_t timeout_ns);

/* Something happened to @sock: @key says what (EPOLLIN | ...), 0 is of interest to all. */
void epoll_wake(struct socks *ss, uint32_t sock, uint32_t key);

/* @sock goes away: forget its registrations. */
void epoll_forget(struct socks *ss, uint32_t sock);
/* The instance @ep lost its descriptor. */
void epoll_close(struct socks *ss, uint32_t ep);

/* EPOLLIN | EPOLLRDNORM if instance @ep has something to report. */
uint32_t epoll_poll(struct socks *ss, uint32_t ep);
