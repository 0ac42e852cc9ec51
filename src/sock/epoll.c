/* SPDX-License-Identifier: MIT */
/* sock/epoll.c - Items, instances, the three epoll calls; see epoll.h */
#include "sock/epoll_priv.h"
#include "sock/ready.h"

#include <string.h>

/* The part of an item's events that can come true. */
#define ITEM_EVENTS ((uint32_t)(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLRDBAND | \
                                EPOLLWRNORM | EPOLLWRBAND | EPOLLMSG | EPOLLRDHUP))
static_assert((ITEM_EVENTS & (ITEM_EXCLUSIVE | ITEM_ONESHOT | ITEM_ET)) == 0 && ITEM_EVENTS <= UINT16_MAX,
              "interest and flags share 16 bits");

#define EXCLUSIVE_OK ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLEXCLUSIVE) | EPOLLET)

int epolls_init(struct epolls *es, uint32_t max_socks)
{
        uint32_t instances = u32_min(max_socks, EPOLL_INSTANCES_MAX);
        uint64_t chunks = ready_chunks_max(2ull * max_socks, instances);

        return slab_init(&es->instances, "epoll instances", sizeof(struct epoll), 0, instances, MEM_SMALL) < 0 ||
               slab_init(&es->extras, "epoll items", sizeof(struct epoll_extra), 0, max_socks, MEM_SMALL) < 0 ||
               slab_init(&es->chunks, "ready lists", sizeof(struct ready_chunk), 0, (uint32_t)chunks, MEM_SMALL) < 0 ?
               -ENOMEM : 0;
}

void epolls_fini(struct epolls *es)
{
        slab_fini(&es->instances);
        slab_fini(&es->extras);
        slab_fini(&es->chunks);
}

/* ---- items come and go ---- */

/* @it leaves instance @nr. */
static void item_leave(struct socks *ss, uint32_t nr, struct epoll_item *it)
{
        struct epoll *ep = epoll_at(ss, nr);

        if (it->ready && ep->sock)                      /* the dead have no list */
                ready_remove(ss, ep, it->ready);
        it->ready = 0;
        if (--ep->watched == 0 && !ep->sock)
                slab_give(&ss->epolls.instances, nr);
}

static void item_drop_inside(struct socks *ss, struct sock *s)
{
        item_leave(ss, s->item.epoll, &s->item);
        s->item.epoll = 0;
}

/* @link is what points at the item: sock->more or another one's next. */
static void item_drop_extra(struct socks *ss, item_ref *link)
{
        struct epoll_extra *x = extra_at(ss, *link);
        uint32_t idx = *link & ~EPOLL_EXTRA_BIT;

        item_leave(ss, x->epoll, &x->item);
        *link = x->next;
        slab_give(&ss->epolls.extras, idx);
}

static bool is_dead(const struct socks *ss, uint32_t nr) { return epoll_at(ss, nr)->sock == 0; }

/* Drop the items of @s that name dead instances. */
static void items_sweep(struct socks *ss, struct sock *s)
{
        if (s->item.epoll && is_dead(ss, s->item.epoll))
                item_drop_inside(ss, s);
        for (item_ref *link = &s->more; *link;) {
                if (is_dead(ss, extra_at(ss, *link)->epoll))
                        item_drop_extra(ss, link);
                else
                        link = &extra_at(ss, *link)->next;
        }
}

void epoll_forget(struct socks *ss, uint32_t sock)
{
        struct sock *s = sock_at(ss, sock);

        if (s->item.epoll)
                item_drop_inside(ss, s);
        while (s->more)
                item_drop_extra(ss, &s->more);
}

/* The item of @sock for instance @nr, 0 if none. */
static item_ref item_find(const struct socks *ss, uint32_t sock, uint32_t nr)
{
        item_ref ref = 0;
        do {
                ref = item_after(ss, sock, ref);
        } while (ref && item_epoll(ss, ref) != nr);
        return ref;
}

static void item_drop(struct socks *ss, uint32_t sock, item_ref ref)
{
        item_ref *link = &sock_at(ss, sock)->more;

        if (ref == sock) {
                item_drop_inside(ss, sock_at(ss, sock));
                return;
        }
        while (*link != ref)
                link = &extra_at(ss, *link)->next;
        item_drop_extra(ss, link);
}

/* A further record at the end of the chain; 0: no memory. */
static item_ref extra_new(struct socks *ss, uint32_t sock, uint32_t nr)
{
        item_ref *link = &sock_at(ss, sock)->more;
        uint32_t idx = slab_take(&ss->epolls.extras);

        if (!idx)
                return 0;
        while (*link)
                link = &extra_at(ss, *link)->next;
        *link = EPOLL_EXTRA_BIT | idx;
        *extra_at(ss, idx) = (struct epoll_extra){ .epoll = nr, .sock = sock };
        return *link;
}

/* An item for instance @nr, inside the socket if it can be; 0: no memory. */
static item_ref item_new(struct socks *ss, uint32_t sock, uint32_t nr)
{
        struct sock *s = sock_at(ss, sock);
        item_ref ref = sock;

        if (s->item.epoll || nr > EPOLL_INSIDE_MAX)
                ref = extra_new(ss, sock, nr);
        else
                s->item = (struct epoll_item){ .epoll = (uint16_t)nr };
        if (ref)
                epoll_at(ss, nr)->watched++;
        return ref;
}

/* ---- events ---- */

static bool item_wants(const struct epoll_item *it, uint32_t key)
{
        return it->events & ITEM_EVENTS && (!key || key & it->events);
}

/* Into the ready list; then instances that watch this one hear of it. */
static void item_queue(struct socks *ss, item_ref ref, struct epoll_item *it, struct epoll *ep)
{
        if (!it->ready)
                it->ready = ready_push(ss, ep, ref);
        if (ep->was_watched)
                epoll_wake(ss, ep->sock, EPOLLIN | EPOLLRDNORM);
}

/* Of an exclusive item that had its turn.  The one inside moves out, if there is room. */
static void item_to_chain_end(struct socks *ss, uint32_t sock, item_ref ref)
{
        struct sock *s = sock_at(ss, sock);
        item_ref *link = &s->more;

        if (ref == sock) {
                ref = extra_new(ss, sock, s->item.epoll);
                if (!ref)
                        return;
                extra_at(ss, ref)->item = s->item;
                if (s->item.ready)
                        *ready_word(ss, s->item.ready) = ref;
                s->item = (struct epoll_item){ 0 };
                return;
        }
        while (*link) {
                if (*link == ref)
                        *link = extra_at(ss, ref)->next;
                else
                        link = &extra_at(ss, *link)->next;
        }
        *link = ref;
        extra_at(ss, ref)->next = 0;
}

/* A socket with several items. */
static void wake_all(struct socks *ss, uint32_t sock, uint32_t key)
{
        item_ref exclusive = 0;

        items_sweep(ss, sock_at(ss, sock));
        for (item_ref ref = item_after(ss, sock, 0); ref; ref = item_after(ss, sock, ref)) {
                struct epoll_item *it = epoll_item_at(ss, ref);
                if (!item_wants(it, key))
                        continue;
                if (it->events & ITEM_EXCLUSIVE) {
                        if (exclusive)
                                continue;
                        exclusive = ref;
                }
                item_queue(ss, ref, it, epoll_at(ss, item_epoll(ss, ref)));
        }
        if (exclusive)
                item_to_chain_end(ss, sock, exclusive);
}

/* The depth of this recursion is bounded by EPOLL_NEST_MAX. */
void epoll_wake(struct socks *ss, uint32_t sock, uint32_t key)
{
        struct sock *s = sock_at(ss, sock);

        if (s->more) {
                wake_all(ss, sock, key);
        } else if (s->item.epoll && item_wants(&s->item, key)) {
                struct epoll *ep = epoll_at(ss, s->item.epoll);
                if (ep->sock)
                        item_queue(ss, sock, &s->item, ep);
                else
                        item_drop_inside(ss, s);
        }
}

/* ---- instances ---- */

int sock_epoll_create(struct socks *ss, int flags)
{
        struct epolls *es = &ss->epolls;
        uint32_t idx;

        if (flags & ~EPOLL_CLOEXEC)
                return -EINVAL;
        uint32_t nr = slab_take(&es->instances);
        if (!nr)
                return -EMFILE;
        int fd = sock_new(ss, KIND_EPOLL, flags & EPOLL_CLOEXEC ? SOCKF_CLOEXEC : 0, &idx);
        if (fd < 0) {
                slab_give(&es->instances, nr);
                return fd;
        }
        sock_at(ss, idx)->conn = nr;
        *epoll_at(ss, nr) = (struct epoll){ .sock = idx, .next = es->first };
        if (es->first)
                epoll_at(ss, es->first)->prev = nr;
        es->first = nr;
        return fd;
}

void epoll_close(struct socks *ss, uint32_t nr)
{
        struct epoll *ep = epoll_at(ss, nr);

        if (ep->prev)
                epoll_at(ss, ep->prev)->next = ep->next;
        else
                ss->epolls.first = ep->next;
        if (ep->next)
                epoll_at(ss, ep->next)->prev = ep->prev;
        ready_free(ss, ep);
        ep->sock = 0;
        if (ep->watched == 0)
                slab_give(&ss->epolls.instances, nr);
}

static uint32_t item_ready(struct socks *ss, item_ref ref, const struct epoll_item *it)
{
        return sock_ready(ss, item_sock(ss, ref), it->events & ITEM_EVENTS);
}

uint32_t epoll_poll(struct socks *ss, uint32_t nr)
{
        struct epoll *ep = epoll_at(ss, nr);

        while (ep->cnt) {
                item_ref ref = ready_first(ss, ep);
                struct epoll_item *it = epoll_item_at(ss, ref);
                if (item_ready(ss, ref, it))
                        return EPOLLIN | EPOLLRDNORM;
                ready_remove(ss, ep, it->ready);
                it->ready = 0;
        }
        return 0;
}

static void item_set(struct socks *ss, item_ref ref, const struct epoll_event *ev)
{
        struct epoll_item *it = epoll_item_at(ss, ref);

        it->events = (uint16_t)((ev->events & ITEM_EVENTS) | EPOLLERR | EPOLLHUP |
                                (ev->events & EPOLLEXCLUSIVE ? ITEM_EXCLUSIVE : 0) |
                                (ev->events & EPOLLONESHOT ? ITEM_ONESHOT : 0) | (ev->events & EPOLLET ? ITEM_ET : 0));
        memcpy(it->data, &ev->data, sizeof it->data);
        if (item_ready(ss, ref, it))
                item_queue(ss, ref, it, epoll_at(ss, item_epoll(ss, ref)));
}

static int ctl_add(struct socks *ss, uint32_t nr, uint32_t target, const struct epoll_event *ev)
{
        const struct sock *s = sock_at(ss, target);

        if (s->kind == KIND_EPOLL && epoll_nest_forbidden(ss, epoll_at(ss, nr), epoll_at(ss, s->conn)))
                return -ELOOP;
        if (item_find(ss, target, nr))
                return -EEXIST;
        item_ref ref = item_new(ss, target, nr);
        if (!ref)
                return -ENOSPC;
        if (s->kind == KIND_EPOLL)
                epoll_at(ss, s->conn)->was_watched = true;
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

        uint32_t nr = sock_at(ss, ep)->conn;
        items_sweep(ss, sock_at(ss, target));
        if (op == EPOLL_CTL_ADD)
                return ctl_add(ss, nr, target, ev);
        item_ref ref = item_find(ss, target, nr);
        switch (op) {
        case EPOLL_CTL_DEL:
                if (!ref)
                        return -ENOENT;
                item_drop(ss, target, ref);
                return 0;
        case EPOLL_CTL_MOD:
                if (!ref)
                        return -ENOENT;
                if (epoll_item_at(ss, ref)->events & ITEM_EXCLUSIVE)
                        return -EINVAL;
                item_set(ss, ref, ev);
                return 0;
        default:
                return -EINVAL;
        }
}

/* ---- waiting ---- */

enum { COLLECT_BATCH = 16, COLLECT_COLD = 256 };

/* In a list too long for all of it to have come with the last turn, most are cold: their sockets
 * are loaded together, then their connections, instead of one miss after the other. */
static void load(const struct socks *ss, const item_ref *refs, uint32_t cnt)
{
        for (uint32_t i = 0; i < cnt; i++)
                __builtin_prefetch(epoll_item_at(ss, refs[i]));
        for (uint32_t i = 0; i < cnt; i++)
                if (!(refs[i] & EPOLL_EXTRA_BIT) && sock_at(ss, refs[i])->kind == KIND_TCP)
                        tcp_prefetch(ss->tcp, sock_at(ss, refs[i])->conn);
}

/* @ref has left the list: report it if it is ready. */
static bool collect_one(struct socks *ss, struct epoll *ep, item_ref ref, struct epoll_event *ev)
{
        struct epoll_item *it = epoll_item_at(ss, ref);

        it->ready = 0;
        uint32_t ready = item_ready(ss, ref, it);
        if (!ready)
                return false;
        ev->events = ready;
        memcpy(&ev->data, it->data, sizeof it->data);
        if (it->events & ITEM_ONESHOT)
                it->events &= (uint16_t)~ITEM_EVENTS;
        else if (!(it->events & ITEM_ET))
                it->ready = ready_push(ss, ep, ref);
        return true;
}

/* Report up to @max of those ready.  Each item of the list is looked at once. */
static int collect(struct socks *ss, struct epoll *ep, struct epoll_event *evs, uint32_t max)
{
        bool cold = ep->cnt >= COLLECT_COLD;
        item_ref refs[COLLECT_BATCH];
        uint32_t cnt = 0;

        for (uint32_t left = ep->cnt; left && cnt < max;) {
                uint32_t batch = u32_min(u32_min(left, COLLECT_BATCH), max - cnt);
                ready_take(ss, ep, refs, batch);
                if (cold)
                        load(ss, refs, batch);
                for (uint32_t i = 0; i < batch; i++)
                        cnt += collect_one(ss, ep, refs[i], &evs[cnt]);
                left -= batch;
        }
        return (int)cnt;
}

/* Will a wait end with its first turn, whatever that brings?  Then no signal can be lost on it.  What
 * can be read from a connection stays, so one look at the first item often tells. */
static bool wait_ends_at_once(struct socks *ss, const struct epoll *ep)
{
        if (!ep->cnt)
                return false;
        item_ref ref = ready_first(ss, ep);
        uint32_t sock = item_sock(ss, ref), stays = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
        const struct sock *s = sock_at(ss, sock);
        return s->kind == KIND_TCP && s->conn && sock_ready(ss, sock, epoll_item_at(ss, ref)->events & stays);
}

/* The instance behind @epfd; NULL if it is something else or nothing. */
static struct epoll *instance_of(const struct socks *ss, int epfd)
{
        uint32_t idx = sock_of_fd(ss, epfd);
        return idx && sock_at(ss, idx)->kind == KIND_EPOLL ? epoll_at(ss, sock_at(ss, idx)->conn) : NULL;
}

int sock_epoll_wait(struct socks *ss, int epfd, struct epoll_event *evs, int max, uint64_t timeout_ns)
{
        SOCK_WAIT w = { .timeo_ns = timeout_ns, .turned = true };

        if (!sock_of_fd(ss, epfd))
                return -EBADF;
        if (max <= 0 || max > (int)(INT32_MAX / sizeof *evs))
                return -EINVAL;
        if (!evs)
                return -EFAULT;
        struct epoll *ep = instance_of(ss, epfd);
        if (!ep)
                return -EINVAL;

        if (timeout_ns && !wait_ends_at_once(ss, ep))
                sock_wait_begin(ss, &w);
        ss->env.turn(ss->env.arg, 0);
        for (;;) {
                if (instance_of(ss, epfd) != ep)        /* closed meanwhile, by a signal handler say */
                        return -EBADF;
                int cnt = collect(ss, ep, evs, (uint32_t)max);
                if (cnt)
                        ss->grace = 2 * (uint64_t)cnt;
                if (cnt || timeout_ns == 0)
                        return cnt;
                int rc = sock_wait(ss, &w);
                if (rc < 0)
                        return rc == -EAGAIN ? 0 : rc;
        }
}
