/* SPDX-License-Identifier: MIT */
/* sock/epoll.c - Items, ready lists, the three epoll calls; see epoll.h */
#include "sock/epoll.h"
#include "sock/sock_priv.h"

#include <string.h>

/* What a spent one-shot item keeps of its events. */
#define ITEM_PRIVATE ((uint32_t)(EPOLLWAKEUP | EPOLLONESHOT | EPOLLEXCLUSIVE) | EPOLLET | ITEM_QUEUED)

#define EXCLUSIVE_OK ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLEXCLUSIVE) | EPOLLET)

static struct epoll_item *item_at(const struct socks *ss, item_ref ref)
{
        if (ref & EPOLL_EXTRA_BIT)
                return &((struct epoll_extra *)slab_at(&ss->extras, ref & ~EPOLL_EXTRA_BIT))->item;
        return &sock_at(ss, ref)->item;
}

static uint32_t item_sock(const struct socks *ss, item_ref ref)
{
        if (ref & EPOLL_EXTRA_BIT)
                return ((struct epoll_extra *)slab_at(&ss->extras, ref & ~EPOLL_EXTRA_BIT))->sock;
        return ref;
}

/* ---- the ready list ---- */

static void ready_push(struct socks *ss, struct sock *ep, item_ref ref, struct epoll_item *it)
{
        it->events |= ITEM_QUEUED;
        it->next = 0;
        it->prev = ep->ep.tail;
        if (it->prev)
                item_at(ss, it->prev)->next = ref;
        else
                ep->ep.head = ref;
        ep->ep.tail = ref;
}

static void ready_remove(struct socks *ss, struct sock *ep, struct epoll_item *it)
{
        if (it->prev)
                item_at(ss, it->prev)->next = it->next;
        else
                ep->ep.head = it->next;
        if (it->next)
                item_at(ss, it->next)->prev = it->prev;
        else
                ep->ep.tail = it->prev;
        it->events &= ~(uint32_t)ITEM_QUEUED;
}

/* ---- items ---- */

/* @link is what points at the item: sock->items or a sibling. */
static void item_drop(struct socks *ss, item_ref *link)
{
        item_ref ref = *link;
        struct epoll_item *it = item_at(ss, ref);
        uint32_t ep_idx = it->epoll;
        struct sock *ep = sock_at(ss, ep_idx);

        if (it->events & ITEM_QUEUED)
                ready_remove(ss, ep, it);
        *link = it->sibling;
        it->epoll = 0;
        if (ref & EPOLL_EXTRA_BIT)
                slab_give(&ss->extras, ref & ~EPOLL_EXTRA_BIT);
        if (--ep->ep.watched == 0 && (ep->flags & SOCKF_DEAD))
                sock_free(ss, ep_idx);
}

/* The link to the item of @sock for instance @ep, NULL if none; drops items of dead instances. */
static item_ref *item_find(struct socks *ss, uint32_t sock, uint32_t ep)
{
        for (item_ref *link = &sock_at(ss, sock)->items; *link;) {
                struct epoll_item *it = item_at(ss, *link);
                if (it->epoll == ep)
                        return link;
                if (sock_at(ss, it->epoll)->flags & SOCKF_DEAD)
                        item_drop(ss, link);
                else
                        link = &it->sibling;
        }
        return NULL;
}

/* A free item, in the socket's own room if that is free; 0: no memory. */
static item_ref item_new(struct socks *ss, uint32_t sock)
{
        struct sock *s = sock_at(ss, sock);
        item_ref ref = sock;

        if (s->item.epoll) {
                uint32_t idx = slab_take(&ss->extras);
                if (!idx)
                        return 0;
                *(struct epoll_extra *)slab_at(&ss->extras, idx) = (struct epoll_extra){ .sock = sock };
                ref = EPOLL_EXTRA_BIT | idx;
        }
        item_ref *link = &s->items;
        while (*link)
                link = &item_at(ss, *link)->sibling;
        *link = ref;
        return ref;
}

/* Of an exclusive item that had its turn. */
static void item_to_chain_end(struct socks *ss, uint32_t sock, item_ref ref)
{
        struct epoll_item *it = item_at(ss, ref);
        item_ref *link = &sock_at(ss, sock)->items;

        while (*link) {
                if (*link == ref)
                        *link = it->sibling;
                else
                        link = &item_at(ss, *link)->sibling;
        }
        *link = ref;
        it->sibling = 0;
}

static void item_queue(struct socks *ss, item_ref ref, struct epoll_item *it)
{
        uint32_t ep = it->epoll;
        if (!(it->events & ITEM_QUEUED))
                ready_push(ss, sock_at(ss, ep), ref, it);
        epoll_wake(ss, ep, EPOLLIN | EPOLLRDNORM);      /* instances that watch this one */
}

/* The depth of this recursion is bounded by EPOLL_NEST_MAX. */
void epoll_wake(struct socks *ss, uint32_t sock, uint32_t key)
{
        item_ref *link = &sock_at(ss, sock)->items;
        item_ref exclusive = 0;

        while (*link) {
                item_ref ref = *link;
                struct epoll_item *it = item_at(ss, ref);
                if (sock_at(ss, it->epoll)->flags & SOCKF_DEAD) {
                        item_drop(ss, link);
                        continue;
                }
                link = &it->sibling;
                if (!(it->events & ~ITEM_PRIVATE) || (key && !(key & it->events)))
                        continue;
                if (it->events & EPOLLEXCLUSIVE) {
                        if (exclusive)
                                continue;
                        exclusive = ref;
                }
                item_queue(ss, ref, it);
        }
        if (exclusive)
                item_to_chain_end(ss, sock, exclusive);
}

void epoll_forget(struct socks *ss, uint32_t sock)
{
        item_ref *first = &sock_at(ss, sock)->items;
        while (*first)
                item_drop(ss, first);
}

/* ---- instances ---- */

int sock_epoll_create(struct socks *ss, int flags)
{
        uint32_t idx;

        if (flags & ~EPOLL_CLOEXEC)
                return -EINVAL;
        int fd = sock_new(ss, KIND_EPOLL, flags & EPOLL_CLOEXEC ? SOCKF_CLOEXEC : 0, &idx);
        if (fd < 0)
                return fd;
        struct sock *ep = sock_at(ss, idx);
        ep->ep.next = ss->epolls;
        if (ss->epolls)
                sock_at(ss, ss->epolls)->ep.prev = idx;
        ss->epolls = idx;
        return fd;
}

void epoll_close(struct socks *ss, uint32_t idx)
{
        struct sock *ep = sock_at(ss, idx);

        if (ep->ep.prev)
                sock_at(ss, ep->ep.prev)->ep.next = ep->ep.next;
        else
                ss->epolls = ep->ep.next;
        if (ep->ep.next)
                sock_at(ss, ep->ep.next)->ep.prev = ep->ep.prev;
        ep->flags |= SOCKF_DEAD;
        if (ep->ep.watched == 0)
                sock_free(ss, idx);
}

uint32_t epoll_poll(struct socks *ss, uint32_t idx)
{
        struct sock *ep = sock_at(ss, idx);

        while (ep->ep.head) {
                item_ref ref = ep->ep.head;
                struct epoll_item *it = item_at(ss, ref);
                if (sock_ready(ss, item_sock(ss, ref), it->events & ~ITEM_PRIVATE))
                        return EPOLLIN | EPOLLRDNORM;
                ready_remove(ss, ep, it);
        }
        return 0;
}

/* One step of the longest-path search: does a socket's height raise that of an instance that watches it? */
static bool nest_relax(struct socks *ss, uint32_t idx, uint8_t height)
{
        bool changed = false;
        for (item_ref ref = sock_at(ss, idx)->items; ref; ref = item_at(ss, ref)->sibling) {
                struct sock *parent = sock_at(ss, item_at(ss, ref)->epoll);
                if (!(parent->flags & SOCKF_DEAD) && parent->stage <= height) {
                        parent->stage = (uint8_t)(height + 1);
                        changed = true;
                }
        }
        return changed;
}

/* Would @target, watched by @ep, close a circle or nest too deep?  Rare, so
 * simple: the heights of all instances are computed as if it were so, at most
 * EPOLL_NEST_MAX + 1 rounds of all edges.  In a circle they never settle. */
static bool nest_forbidden(struct socks *ss, uint32_t ep, uint32_t target)
{
        bool changed = true;

        for (uint32_t i = ss->epolls; i; i = sock_at(ss, i)->ep.next)
                sock_at(ss, i)->stage = 0;
        for (int round = 0; changed && round <= EPOLL_NEST_MAX; round++) {
                changed = false;
                for (uint32_t i = ss->epolls; i; i = sock_at(ss, i)->ep.next)
                        changed |= nest_relax(ss, i, sock_at(ss, i)->stage);
                if (sock_at(ss, ep)->stage <= sock_at(ss, target)->stage) {
                        sock_at(ss, ep)->stage = (uint8_t)(sock_at(ss, target)->stage + 1);
                        changed = true;
                }
        }
        for (uint32_t i = ss->epolls; i; i = sock_at(ss, i)->ep.next)
                if (sock_at(ss, i)->stage > EPOLL_NEST_MAX)
                        return true;
        return false;
}

static void item_set(struct socks *ss, item_ref ref, const struct epoll_event *ev)
{
        struct epoll_item *it = item_at(ss, ref);

        it->events = (it->events & ITEM_QUEUED) | (ev->events & ~(uint32_t)ITEM_QUEUED) | EPOLLERR | EPOLLHUP;
        memcpy(it->data, &ev->data, sizeof it->data);
        if (sock_ready(ss, item_sock(ss, ref), it->events & ~ITEM_PRIVATE))
                item_queue(ss, ref, it);
}

static int ctl_add(struct socks *ss, uint32_t ep, uint32_t target, const struct epoll_event *ev)
{
        if (sock_at(ss, target)->kind == KIND_EPOLL && nest_forbidden(ss, ep, target))
                return -ELOOP;
        if (item_find(ss, target, ep))
                return -EEXIST;
        item_ref ref = item_new(ss, target);
        if (!ref)
                return -ENOSPC;
        *item_at(ss, ref) = (struct epoll_item){ .epoll = ep };
        sock_at(ss, ep)->ep.watched++;
        item_set(ss, ref, ev);
        return 0;
}

/* The order of the checks is that of Linux's do_epoll_ctl(). */
int sock_epoll_ctl(struct socks *ss, int epfd, int op, int fd, const struct epoll_event *ev)
{
        if (op != EPOLL_CTL_DEL && !ev)
                return -EFAULT;
        uint32_t ep = sock_of_fd(ss, epfd);
        uint32_t target = sock_of_fd(ss, fd);
        if (!ep || !target)
                return -EBADF;
        if (ep == target || sock_at(ss, ep)->kind != KIND_EPOLL)
                return -EINVAL;
        if (op != EPOLL_CTL_DEL && (ev->events & EPOLLEXCLUSIVE) &&
            (op == EPOLL_CTL_MOD || sock_at(ss, target)->kind == KIND_EPOLL || (ev->events & ~EXCLUSIVE_OK)))
                return -EINVAL;

        if (op == EPOLL_CTL_ADD)
                return ctl_add(ss, ep, target, ev);
        item_ref *link = item_find(ss, target, ep);
        switch (op) {
        case EPOLL_CTL_DEL:
                if (!link)
                        return -ENOENT;
                item_drop(ss, link);
                return 0;
        case EPOLL_CTL_MOD:
                if (!link)
                        return -ENOENT;
                if (item_at(ss, *link)->events & EPOLLEXCLUSIVE)
                        return -EINVAL;
                item_set(ss, *link, ev);
                return 0;
        default:
                return -EINVAL;
        }
}

/* Report up to @max of those ready.  Each item of the list is looked at once. */
static int collect(struct socks *ss, struct sock *ep, struct epoll_event *evs, int max)
{
        item_ref last = ep->ep.tail;
        int cnt = 0;

        for (item_ref ref = ep->ep.head; ref && cnt < max; ref = ref == last ? 0 : ep->ep.head) {
                struct epoll_item *it = item_at(ss, ref);
                if (it->next)
                        __builtin_prefetch(item_at(ss, it->next));
                ready_remove(ss, ep, it);
                uint32_t ready = sock_ready(ss, item_sock(ss, ref), it->events & ~ITEM_PRIVATE);
                if (!ready)
                        continue;
                evs[cnt].events = ready;
                memcpy(&evs[cnt++].data, it->data, sizeof it->data);
                if (it->events & EPOLLONESHOT)
                        it->events &= ITEM_PRIVATE;
                else if (!(it->events & EPOLLET))
                        ready_push(ss, ep, ref, it);
        }
        return cnt;
}

int sock_epoll_wait(struct socks *ss, int epfd, struct epoll_event *evs, int max, uint64_t timeout_ns)
{
        SOCK_WAIT w = { .timeo_ns = timeout_ns, .turned = true };

        uint32_t ep = sock_of_fd(ss, epfd);
        if (!ep)
                return -EBADF;
        if (max <= 0 || max > (int)(INT32_MAX / sizeof *evs))
                return -EINVAL;
        if (!evs)
                return -EFAULT;
        if (sock_at(ss, ep)->kind != KIND_EPOLL)
                return -EINVAL;

        if (timeout_ns)                         /* what is on the list may turn out not to be ready */
                sock_wait_begin(ss, &w);
        ss->env.turn(ss->env.arg, 0);
        for (;;) {
                int cnt = collect(ss, sock_at(ss, ep), evs, max);
                if (cnt)
                        ss->grace = 2 * (uint64_t)cnt;
                if (cnt || timeout_ns == 0)
                        return cnt;
                int rc = sock_wait(ss, &w);
                if (rc < 0)
                        return rc == -EAGAIN ? 0 : rc;
                if (sock_of_fd(ss, epfd) != ep)         /* closed meanwhile, by a signal handler say */
                        return -EBADF;
        }
}
