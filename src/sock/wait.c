/* SPDX-License-Identifier: MIT */
/* sock/wait.c - Calls that wait: blocking ones, and poll(2)
 *
 * See WAITING in sock.h.
 */
#include "sock/sock_priv.h"

#include <poll.h>

struct sock_wait sock_wait_of(const struct socks *ss, const struct sock *s, enum sock_dir dir, bool dontwait)
{
        const struct sock_ext *ext = sock_ext(ss, s);
        struct sock_wait w = { .nonblock = dontwait || (s->flags & SOCKF_NONBLOCK) };
        if (ext)
                w.timeo_ns = dir == SOCK_DIR_RCV ? ext->rcvtimeo_ns : ext->sndtimeo_ns;
        return w;
}

void sock_wait_begin(struct socks *ss, struct sock_wait *w)
{
        if (w->begun || !ss->env.wait_begin)
                return;
        w->begun = ss;
        ss->env.wait_begin(ss->env.arg);
}

void sock_wait_end(struct sock_wait *w)
{
        if (w->begun)
                w->begun->env.wait_end(w->begun->env.arg);
}

int sock_wait(struct socks *ss, struct sock_wait *w)
{
        if (!w->nonblock)
                sock_wait_begin(ss, w);
        if (!w->turned) {                       /* the first look after a turn: often that was all it took */
                w->turned = true;
                if (w->nonblock && ss->grace) {
                        ss->grace--;
                        return -EAGAIN;
                }
                ss->env.turn(ss->env.arg, 0);
                return 0;
        }
        if (w->nonblock)
                return -EAGAIN;
        uint64_t now_ns = sock_now(ss);
        if (!w->deadline_ns)
                w->deadline_ns = w->timeo_ns < TIME_NEVER - now_ns && w->timeo_ns ? now_ns + w->timeo_ns : TIME_NEVER;
        if (now_ns >= w->deadline_ns)
                return -EAGAIN;
        return ss->env.turn(ss->env.arg, w->deadline_ns);
}

static int poll_once(struct socks *ss, struct pollfd *fds, uint64_t cnt)
{
        int found = 0;
        for (uint64_t i = 0; i < cnt; i++) {
                fds[i].revents = 0;
                if (fds[i].fd < 0)
                        continue;
                uint32_t idx = sock_of_fd(ss, fds[i].fd);
                uint32_t wanted = (uint16_t)fds[i].events | POLLERR | POLLHUP;
                fds[i].revents = (short)(idx ? sock_ready(ss, idx, wanted) : POLLNVAL);
                found += fds[i].revents != 0;
        }
        return found;
}

int sock_poll(struct socks *ss, struct pollfd *fds, uint64_t cnt, uint64_t timeout_ns)
{
        SOCK_WAIT w = { .timeo_ns = timeout_ns, .turned = true };

        if (cnt > ss->conf.max_socks)
                return -EINVAL;
        if (cnt && !fds)
                return -EFAULT;
        if (timeout_ns)
                sock_wait_begin(ss, &w);
        ss->env.turn(ss->env.arg, 0);
        for (;;) {
                int n = poll_once(ss, fds, cnt);
                if (n)
                        ss->grace = 2 * (uint64_t)n;
                if (n || timeout_ns == 0)
                        return n;
                int rc = sock_wait(ss, &w);
                if (rc < 0)
                        return rc == -EAGAIN ? 0 : rc;
        }
}
