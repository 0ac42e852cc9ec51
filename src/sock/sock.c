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
        conf->huge_pages = false;
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
            slab_init(&ss->exts, "socket options", sizeof(struct sock_ext), 0, conf->max_socks, false) < 0 ||
            slab_init(&ss->extras, "epoll items", sizeof(struct epoll_extra), 0, conf->max_socks, false) < 0 ||
            fdtab_init(&ss->fds, conf->max_socks) < 0) {
                socks_fini(ss);
                return -ENOMEM;
        }
        return 0;
}

void socks_fini(struct socks *ss)
{
        slab_fini(&ss->slab);
        slab_fini(&ss->exts);
        slab_fini(&ss->extras);
        fdtab_fini(&ss->fds);
}

uint64_t socks_bytes(const struct socks *ss)
{
        return slab_bytes(&ss->slab) + slab_bytes(&ss->exts) + slab_bytes(&ss->extras) +
               (uint64_t)ss->slab.fresh * sizeof *ss->fds.value;
}

int sock_new(struct socks *ss, enum sock_kind kind, uint16_t flags, uint32_t *idx)
{
        *idx = slab_take(&ss->slab);
        if (!*idx)
                return -EMFILE;
        int32_t n = fdtab_take(&ss->fds, *idx);
        if (n < 0) {
                slab_give(&ss->slab, *idx);
                return n;
        }
        *sock_at(ss, *idx) = (struct sock){ .kind = (uint8_t)kind, .flags = flags };
        return (int)(ss->conf.fd_base + ((uint32_t)n << ss->fd_shift) + ss->conf.fd_shard);
}

void sock_free(struct socks *ss, uint32_t idx) { slab_give(&ss->slab, idx); }

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

        fdtab_give(&ss->fds, ((uint32_t)fd - ss->conf.fd_base) >> ss->fd_shift);
        epoll_forget(ss, idx);
        if (sock_at(ss, idx)->kind == KIND_EPOLL)
                epoll_close(ss, idx);
        else
                conn_release(ss, idx);
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

static uint32_t conn_ready(const struct socks *ss, const struct sock *s)
{
        enum tcp_state state = conn_state(ss, s);
        bool shut_rd = s->flags & SOCKF_SHUT_RD;
        bool shut_wr = s->flags & SOCKF_SHUT_WR;
        uint32_t mask = 0;

        if (s->conn) {
                shut_rd |= state == TCP_CLOSED || tcp_recv_eof(ss->tcp, s->conn);
                shut_wr |= state == TCP_CLOSED || tcp_send_is_shut(ss->tcp, s->conn);
        }
        if (state == TCP_CLOSED || (shut_rd && shut_wr))
                mask |= EPOLLHUP;
        if (shut_rd)
                mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
        if (state != TCP_SYN_SENT && state != TCP_SYN_RECEIVED) {
                if (s->conn && tcp_recv_avail(ss->tcp, s->conn) >= sock_rcvlowat(ss, s))
                        mask |= EPOLLIN | EPOLLRDNORM;
                if (!s->conn || shut_wr || tcp_send_room(ss->tcp, s->conn))
                        mask |= EPOLLOUT | EPOLLWRNORM;
        }
        if (s->conn ? tcp_error(ss->tcp, s->conn) : s->error)
                mask |= EPOLLERR;
        return mask;
}

uint32_t sock_ready(struct socks *ss, uint32_t idx)
{
        const struct sock *s = sock_at(ss, idx);

        switch ((enum sock_kind)s->kind) {
        case KIND_TCP:
                return conn_ready(ss, s);
        case KIND_LISTENER:
                return tcp_accept_queue_len(ss->tcp, s->conn) ? EPOLLIN | EPOLLRDNORM : 0;
        case KIND_EPOLL:
                return epoll_poll(ss, idx);
        }
        return 0;
}

int sock_error_take(struct socks *ss, struct sock *s)
{
        int err = s->error;
        if (s->kind == KIND_TCP && s->conn)
                return tcp_error_take(ss->tcp, s->conn);
        s->error = 0;
        return err;
}
