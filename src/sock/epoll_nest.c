/* SPDX-License-Identifier: MIT */
/* sock/epoll_nest.c - Instances that watch instances: no circles, and not too deep
 *
 * Rare, so simple: the heights of all instances are computed as if the new
 * edge were there, at most EPOLL_NEST_MAX + 1 rounds of all edges.  In a
 * circle they never settle.
 */
#include "sock/epoll_priv.h"

/* One step of the longest-path search: does an instance's height raise that of one that watches it? */
static bool relax(struct socks *ss, const struct epoll *ep)
{
        bool changed = false;
        for (item_ref ref = item_after(ss, ep->sock, 0); ref; ref = item_after(ss, ep->sock, ref)) {
                struct epoll *parent = epoll_at(ss, item_epoll(ss, ref));
                if (parent->sock && parent->height <= ep->height) {
                        parent->height = (uint16_t)(ep->height + 1);
                        changed = true;
                }
        }
        return changed;
}

bool epoll_nest_forbidden(struct socks *ss, struct epoll *ep, const struct epoll *target)
{
        uint32_t first = ss->epolls.first;
        bool changed = true;

        for (uint32_t i = first; i; i = epoll_at(ss, i)->next)
                epoll_at(ss, i)->height = 0;
        for (int round = 0; changed && round <= EPOLL_NEST_MAX; round++) {
                changed = false;
                for (uint32_t i = first; i; i = epoll_at(ss, i)->next)
                        changed |= relax(ss, epoll_at(ss, i));
                if (ep->height <= target->height) {
                        ep->height = (uint16_t)(target->height + 1);
                        changed = true;
                }
        }
        for (uint32_t i = first; i; i = epoll_at(ss, i)->next)
                if (epoll_at(ss, i)->height > EPOLL_NEST_MAX)
                        return true;
        return false;
}
