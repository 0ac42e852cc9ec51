/* SPDX-License-Identifier: MIT */
/* sock/sock_priv.h - What the files of sock/ share */
#pragma once
#include "base/units.h"
#include "sock/sock.h"

#include <errno.h>

static inline struct sock *sock_at(const struct socks *ss, uint32_t idx)
{
        return (struct sock *)(void *)ss->slab.base + idx;
}
static inline uint32_t sock_idx(const struct socks *ss, const struct sock *s) { return (uint32_t)(s - sock_at(ss, 0)); }
static inline struct epoll_item *epoll_item_at(const struct socks *ss, item_ref ref)
{
        if (ref & EPOLL_EXTRA_BIT)
                return &((struct epoll_extra *)slab_at(&ss->epolls.extras, ref & ~EPOLL_EXTRA_BIT))->item;
        return &sock_at(ss, ref)->item;
}
static inline uint64_t sock_now(const struct socks *ss) { return *ss->env.now_ns; }

static inline void sock_flag_set(struct sock *s, enum sock_flag flag, bool on)
{
        s->flags = (uint16_t)(on ? s->flags | flag : s->flags & ~(uint32_t)flag);
}

/* The replica under descriptor number @n (from 0) of another shard; 0: none. */
int      replicas_init(struct socks *ss);
void     replicas_fini(struct socks *ss);
uint32_t replica_of(const struct socks *ss, uint32_t n);

/* The socket or epoll instance behind @fd; 0: bad descriptor. */
static inline uint32_t sock_of_fd(const struct socks *ss, int fd)
{
        uint32_t n = (uint32_t)fd - ss->conf.fd_base;           /* a negative @fd makes it too large for us */
        if ((n & (ss->conf.fd_stride - 1)) != ss->conf.fd_shard)
                return replica_of(ss, n);
        n >>= ss->fd_shift;
        if (n >= ss->slab.fresh - 1)
                return 0;
        const struct sock *s = sock_at(ss, n + 1);
        return s->kind != KIND_FREE && !(s->flags & SOCKF_REPLICA) ? n + 1 : 0;
}

/* The same for calls on sockets alone: 0 and *@s; -EBADF; -ENOTSOCK. */
static inline int sock_get(const struct socks *ss, int fd, struct sock **s)
{
        uint32_t idx = sock_of_fd(ss, fd);
        if (!idx)
                return -EBADF;
        *s = sock_at(ss, idx);
        return (*s)->kind == KIND_EPOLL ? -ENOTSOCK : 0;
}

/* A new socket with a descriptor.  The descriptor and *@idx; -EMFILE. */
int  sock_new(struct socks *ss, enum sock_kind kind, uint16_t flags, uint32_t *idx);
/* Give back the record and its number. */
void sock_free(struct socks *ss, uint32_t idx);

/* What poll(2) says of the socket, as Linux's tcp_poll(): those of @wanted (EPOLLIN | ...) that are true.
 * EPOLLHUP and EPOLLERR must be asked for as well. */
uint32_t sock_ready(struct socks *ss, uint32_t idx, uint32_t wanted);

/* The pending error, taken; 0 or a positive errno. */
int sock_error_take(struct socks *ss, struct sock *s);

/* How long a call may wait for what it wants. */
struct sock_wait {
        uint64_t timeo_ns;              /* 0: for ever */
        uint64_t deadline_ns;           /* 0: not yet set */
        bool     nonblock;
        bool     turned;
        struct socks *begun;            /* wait_begin() was called: sock_wait_end() calls wait_end() */
};
/* A struct sock_wait is declared with this: the wait ends with the block that it stands in. */
#define SOCK_WAIT __attribute__((cleanup(sock_wait_end))) struct sock_wait
enum sock_dir { SOCK_DIR_RCV, SOCK_DIR_SND };
struct sock_wait sock_wait_of(const struct socks *ss, const struct sock *s, enum sock_dir dir, bool dontwait);
/* There was nothing yet.  0: look again, from the descriptor on; -EAGAIN: waited long enough; -EINTR. */
int sock_wait(struct socks *ss, struct sock_wait *w);
/* From the next turn on no signal gets lost.  Twice is once. */
void sock_wait_begin(struct socks *ss, struct sock_wait *w);
void sock_wait_end(struct sock_wait *w);

/* ---- io.c ---- */

/* What send() says when no more can be sent: the pending error, else -EPIPE. */
int     io_send_error(struct socks *ss, struct sock *s);
/* What recv() says when nothing is queued: 0 for the end, or a negative errno. */
ssize_t io_recv_empty(struct socks *ss, struct sock *s);
/* Nothing can come any more, or an error must be told first. */
bool    io_recv_is_over(const struct socks *ss, const struct sock *s);

/* ---- ext.c: the part that few sockets have ---- */

/* NULL if @s has none. */
static inline struct sock_ext *sock_ext(const struct socks *ss, const struct sock *s)
{
        return s->ext ? slab_at(&ss->exts, s->ext) : NULL;
}
/* Made with defaults if there is none yet.  NULL: no memory. */
struct sock_ext *sock_ext_need(struct socks *ss, struct sock *s);
void sock_ext_free(struct socks *ss, struct sock *s);
/* An accepted socket takes over from its listener.  0 or -ENOBUFS. */
int  sock_ext_inherit(struct socks *ss, struct sock *s, const struct sock *from);
/* The options that count now, wherever they are held. */
void sock_opts_get(const struct socks *ss, const struct sock *s, struct tcp_opts *opts);
/* 0 or -ENOBUFS. */
int  sock_opts_set(struct socks *ss, struct sock *s, const struct tcp_opts *opts);
/* The connection is about to go and the socket stays: keep the options it has. */
void sock_opts_keep(struct socks *ss, struct sock *s);
/* An open that succeeded: what the connection holds now need not be held here. */
void sock_ext_settle(struct socks *ss, struct sock *s);
static inline uint32_t sock_rcvlowat(const struct socks *ss, const struct sock *s)
{
        return s->flags & SOCKF_RCVLOWAT ? sock_ext(ss, s)->rcvlowat : 1;
}
/* 0: none of its own. */
static inline uint32_t sock_binding(const struct socks *ss, const struct sock *s)
{
        return s->ext ? sock_ext(ss, s)->binding : 0;
}

/* ---- name.c: addresses ---- */

/* 0; -EINVAL; -EFAULT; -EAFNOSUPPORT. */
int  name_parse(const struct sockaddr *sa, socklen_t len, struct ip_addr *addr, uint16_t *port);
/* Write as much as *@len allows and set *@len to the full size.  0; -EFAULT; -EINVAL. */
int  name_emit(struct sockaddr *sa, socklen_t *len, const struct ip_addr *addr, uint16_t port);
/* Give @s a binding on @addr and @port (0: any free one). 0; -EADDRINUSE; -ENOBUFS. */
int  name_bind(struct socks *ss, struct sock *s, const struct ip_addr *addr, uint16_t port);
/* The address @s is bound to, any if to none; the port, or 0. */
uint16_t name_bound(const struct socks *ss, const struct sock *s, struct ip_addr *addr);

/* ---- conn.c ---- */

/* Linux's tcp_disconnect(): whatever it is, it becomes a socket without connection. */
void conn_disconnect(struct socks *ss, struct sock *s);
/* ---- source.c ---- */

/* tcp_connect() from what @s is bound to; where that leaves a choice, from another address or port of ours
 * when there is no port left or the answers would come to another shard. */
int source_connect(struct socks *ss, struct sock *s, struct flow_key *key, uint32_t *conn);

/* close(2) of what is not an epoll instance. */
void conn_release(struct socks *ss, uint32_t idx);

static inline enum tcp_state conn_state(const struct socks *ss, const struct sock *s)
{
        return s->conn ? tcp_state_of(ss->tcp, s->conn) : TCP_CLOSED;
}

/* ---- option_tcp.c: the levels below SOL_SOCKET ---- */

int option_tcp_get(struct socks *ss, struct sock *s, int name, void *val, socklen_t *len);
int option_tcp_set(struct socks *ss, struct sock *s, int name, const void *val, socklen_t len);
int option_ip_get(struct socks *ss, struct sock *s, int name, void *val, socklen_t *len);
int option_ip_set(struct socks *ss, struct sock *s, int name, const void *val, socklen_t len);
/* Copy @size octets of @from out, cut to *@len; sets *@len.  0; -EFAULT; -EINVAL. */
int option_put(void *val, socklen_t *len, const void *from, socklen_t size);
int option_put_int(void *val, socklen_t *len, int v);
