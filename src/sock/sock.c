/* SPDX-License-Identifier: MIT */
#include "sock/sock.h"
#include "sock/sock_priv.h"

#include <limits.h>
#include <netinet/in.h>

void socks_conf_default(struct socks_conf *conf)
{
        conf->fd_base = FD_BASE_DEFAULT;
        conf->fd_stride = 1;
        conf->fd_shard = 0;
        conf->somaxconn = SOMAXCONN_DEFAULT;
        conf->buf_max = SOCK_BUF_MAX_DEFAULT;
        conf->huge_pages = MEM_SMALL;
}

int socks_init(struct socks *ss, const struct socks_conf *conf, struct tcp *tcp, const struct sock_env *env)
{
        *ss = (struct socks){ .conf = *conf, .tcp = tcp, .env = *env };
        while (1u << ss->fd_shift < conf->fd_stride)
                ss->fd_shift++;
        ss->conf.fd_stride = 1u << ss->fd_shift;

        uint64_t last = conf->fd_base + ((uint64_t)conf->max_socks << ss->fd_shift);
        if (conf->max_socks < 1 || conf->max_socks > FDTAB_CAP_MAX || last > (uint64_t)INT_MAX + 1 ||
            conf->fd_shard >= ss->conf.fd_stride || conf->fd_base % ss->conf.fd_stride)
                return -EINVAL;

        if (slab_init(&ss->slab, "sockets", sizeof(struct sock), 0, conf->max_socks, conf->huge_pages) < 0 ||
            slab_init(&ss->exts, "socket options", sizeof(struct sock_ext), 0, conf->max_socks, MEM_SMALL) < 0 ||
            epolls_init(&ss->epolls, conf->max_socks) < 0 || fdtab_init(&ss->fds, conf->max_socks) < 0 ||
            replicas_init(ss) < 0) {
                socks_fini(ss);
                return -ENOMEM;
        }
        return 0;
}

void socks_fini(struct socks *ss)
{
        slab_fini(&ss->slab);
        slab_fini(&ss->exts);
        epolls_fini(&ss->epolls);
        fdtab_fini(&ss->fds);
        replicas_fini(ss);
}

int sock_new(struct socks *ss, enum sock_kind kind, uint16_t flags, uint32_t *idx)
{
        int32_t n = fdtab_take(&ss->fds);
        if (n < 0)
                return n;
        *idx = (uint32_t)n + 1;
        slab_take_at(&ss->slab, *idx);
        *sock_at(ss, *idx) = (struct sock){ .kind = (uint8_t)kind, .flags = flags };
        return (int)(ss->conf.fd_base + ((uint32_t)n << ss->fd_shift) + ss->conf.fd_shard);
}

void sock_free(struct socks *ss, uint32_t idx)
{
        sock_at(ss, idx)->kind = KIND_FREE;
        slab_give_at(&ss->slab, idx);
        fdtab_give(&ss->fds, idx - 1);
}

/* The order of the checks is that of Linux's __sock_create() and inet_create(). */
int sock_open(struct socks *ss, int domain, int type, int protocol)
{
        int flags = type & ~0xf;
        uint32_t idx;

        type &= 0xf;
        if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
                return -EINVAL;
        if (domain != AF_INET)
                return -EAFNOSUPPORT;
        if (type > SOCK_PACKET)
                return -EINVAL;
        if (protocol < 0 || protocol >= IPPROTO_MAX)
                return -EINVAL;
        if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_RAW)
                return -ESOCKTNOSUPPORT;
        if (type != SOCK_STREAM || (protocol != IPPROTO_IP && protocol != IPPROTO_TCP))
                return -EPROTONOSUPPORT;
        return sock_new(ss, KIND_TCP, (uint16_t)((flags & SOCK_NONBLOCK ? SOCKF_NONBLOCK : 0) |
                                                 (flags & SOCK_CLOEXEC ? SOCKF_CLOEXEC : 0)), &idx);
}

int sock_close(struct socks *ss, int fd)
{
        uint32_t idx = sock_of_fd(ss, fd);
        if (!idx)
                return -EBADF;

        struct sock *s = sock_at(ss, idx);
        if (s->flags & SOCKF_REPLICA)
                ss->replica[(uint32_t)fd - ss->conf.fd_base] = 0;
        epoll_forget(ss, idx);
        if (s->kind == KIND_EPOLL) {
                epoll_close(ss, s->conn);
                sock_free(ss, idx);
        } else {
                conn_release(ss, idx);
        }
        return 0;
}

void socks_note(struct socks *ss, const struct tcp_note *note)
{
        uint32_t key = 0;

        ASSERT(note->owner != 0);
        if (note->events & TCP_EV_RDHUP)
                sock_at(ss, note->owner)->flags |= SOCKF_GOT_FIN;

        /* A change of state is of interest to all, as in Linux (sk_state_change). */
        if (!(note->events & (TCP_EV_CONNECTED | TCP_EV_RDHUP | TCP_EV_CLOSED | TCP_EV_ERROR))) {
                if (note->events & (TCP_EV_READABLE | TCP_EV_ACCEPT))
                        key |= EPOLLIN | EPOLLRDNORM;
                if (note->events & TCP_EV_WRITABLE)
                        key |= EPOLLOUT | EPOLLWRNORM;
                if (!key)
                        return;
        }
        epoll_wake(ss, note->owner, key);
}

/* The waiting octets are enough to be reported. */
static bool reaches_lowat(const struct socks *ss, const struct sock *s)
{
        return !(s->flags & SOCKF_RCVLOWAT) || tcp_recv_avail(ss->tcp, s->conn) >= sock_rcvlowat(ss, s);
}

static uint32_t unconnected_ready(const struct sock *s)
{
        uint32_t mask = EPOLLHUP | EPOLLOUT | EPOLLWRNORM;
        if (s->flags & SOCKF_SHUT_RD)
                mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
        if (s->error)
                mask |= EPOLLERR;
        return mask;
}

static uint32_t conn_ready(const struct socks *ss, const struct sock *s, uint32_t wanted)
{
        uint32_t want = (wanted & (EPOLLIN | EPOLLRDNORM) ? TCP_READY_READ : 0) |
                        (wanted & (EPOLLOUT | EPOLLWRNORM) ? TCP_READY_WRITE : 0);
        uint32_t ready = tcp_ready(ss->tcp, s->conn, want);
        uint32_t mask = 0;

        /* The two answers nearly all get. */
        if (!(s->flags & (SOCKF_SHUT_RD | SOCKF_SHUT_WR | SOCKF_RCVLOWAT)) && !(ready & ~(uint32_t)TCP_READY_READ))
                return ready ? (EPOLLIN | EPOLLRDNORM) & wanted : 0;
        ready |= (s->flags & SOCKF_SHUT_RD ? TCP_READY_EOF : 0) | (s->flags & SOCKF_SHUT_WR ? TCP_READY_SHUT : 0);
        if (ready & TCP_READY_READ && !(ready & TCP_READY_OPENING) && reaches_lowat(ss, s))
                mask |= EPOLLIN | EPOLLRDNORM;
        if (ready & (TCP_READY_WRITE | TCP_READY_SHUT) && !(ready & TCP_READY_OPENING))
                mask |= EPOLLOUT | EPOLLWRNORM;
        if (ready & TCP_READY_EOF)
                mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
        if (ready & TCP_READY_CLOSED || (ready & TCP_READY_EOF && ready & TCP_READY_SHUT))
                mask |= EPOLLHUP;
        if (ready & TCP_READY_ERROR)
                mask |= EPOLLERR;
        return mask & wanted;
}

uint32_t sock_ready(struct socks *ss, uint32_t idx, uint32_t wanted)
{
        const struct sock *s = sock_at(ss, idx);
        uint32_t mask = 0;

        if (s->kind == KIND_TCP && s->conn)
                return conn_ready(ss, s, wanted);
        switch ((enum sock_kind)s->kind) {
        case KIND_TCP:
                mask = unconnected_ready(s);
                break;
        case KIND_LISTENER:
                mask = tcp_accept_queue_len(ss->tcp, s->conn) ? EPOLLIN | EPOLLRDNORM : 0;
                break;
        case KIND_EPOLL:
                mask = epoll_poll(ss, s->conn);
                break;
        case KIND_FREE:
                break;
        }
        return mask & wanted;
}

int sock_error_take(struct socks *ss, struct sock *s)
{
        int err = s->error;
        if (s->kind == KIND_TCP && s->conn)
                return tcp_error_take(ss->tcp, s->conn);
        s->error = 0;
        return err;
}
