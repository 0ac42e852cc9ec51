/* SPDX-License-Identifier: MIT */
/* sock/epoll_priv.h - From numbers and references to items and instances, and from item to item */
#pragma once
#include "sock/epoll.h"
#include "sock/sock_priv.h"

static inline struct epoll *epoll_at(const struct socks *ss, uint32_t nr) { return slab_at(&ss->epolls.instances, nr); }

static inline struct epoll_extra *extra_at(const struct socks *ss, item_ref ref)
{
        return slab_at(&ss->epolls.extras, ref & ~EPOLL_EXTRA_BIT);
}

static inline uint32_t item_sock(const struct socks *ss, item_ref ref)
{
        return ref & EPOLL_EXTRA_BIT ? extra_at(ss, ref)->sock : ref;
}

static inline uint32_t item_epoll(const struct socks *ss, item_ref ref)
{
        return ref & EPOLL_EXTRA_BIT ? extra_at(ss, ref)->epoll : sock_at(ss, ref)->item.epoll;
}

/* The items of @sock one after the other: the one behind @ref.  Begins and ends with 0. */
static inline item_ref item_after(const struct socks *ss, uint32_t sock, item_ref ref)
{
        const struct sock *s = sock_at(ss, sock);

        if (ref & EPOLL_EXTRA_BIT)
                return extra_at(ss, ref)->next;
        return ref == 0 && s->item.epoll ? sock : s->more;
}

/* Would @target, watched by @ep, close a circle or nest too deep? (epoll_nest.c) */
bool epoll_nest_forbidden(struct socks *ss, struct epoll *ep, const struct epoll *target);
