/* SPDX-License-Identifier: MIT */
/* sock/sock.h - BSD sockets as Linux has them, over the TCP engine
 *
 * Knows descriptors, options, errno, blocking and epoll.  Does not know
 * segments, timers, addresses of interfaces, threads, or where time comes
 * from: what it needs of the world is struct sock_env.
 *
 * `struct socks` holds the sockets of one shard and is used by one thread at a
 * time.  Nothing allocates after start.  A socket is 32 octets, its first epoll
 * registration included, and its descriptor says where they are:
 *
 *      fd ─► struct sock ─► conn or listener of the engine, or instance of epoll
 *                  └──────► struct sock_ext: only for those who were bound to a
 *                           port or set an option that the engine does not hold
 *
 * All calls take the descriptor and return what the system call returns, with
 * a negative errno in place of -1 (src/stack/api.c makes errno of it).
 *
 * WAITING.  A call that has nothing to return runs one turn that does not wait,
 * and looks again.  So a program that only ever polls its sockets makes
 * progress too.  A blocking call goes on with turns that wait until something
 * happened.  After sock_epoll_wait() has
 * reported n events, 2 n such calls go without: who lives by epoll has a turn
 * with each wait, and should not pay for one with each EAGAIN that ends a
 * drained socket.
 */
#pragma once
#include "base/slab.h"
#include "sock/epoll.h"
#include "sock/fdtab.h"
#include "tcp/tcp.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* What the sockets ask of the shard. */
struct sock_env {
        /* May a socket be bound to @addr? */
        bool (*is_local)(void *arg, const struct ip_addr *addr);
        /* Our address for packets to @dst.  0 or -ENETUNREACH. */
        int  (*source_for)(void *arg, const struct ip_addr *dst, struct ip_addr *src);
        const uint64_t *now_ns;                         /* read by each call: that of the last turn will do */
        /* One turn of the shard; if nothing happens, sleep until something does
         * or @deadline_ns (0: do not sleep).  0, or -EINTR when a signal came. */
        int  (*turn)(void *arg, uint64_t deadline_ns);
        /* Around all turns of a call that waits: a signal that comes during one of them ends the next
         * that would sleep.  NULL: there are no signals. */
        void (*wait_begin)(void *arg);
        void (*wait_end)(void *arg);
        void *arg;
        /* The @n-th of our addresses for packets to @dst, for when the ports of those before it are
         * used up.  0 or -EADDRNOTAVAIL: there are no more.  NULL: there is the one of source_for(). */
        int  (*source_nth)(void *arg, const struct ip_addr *dst, uint32_t n, struct ip_addr *src);
        /* Hear what other shards have said of their listeners.  NULL: there is one shard. */
        void (*catch_up)(void *arg);
};

struct socks_conf {
        uint32_t max_socks;             /* descriptors, epoll instances included; 1..FDTAB_CAP_MAX */
        uint32_t fd_base;               /* the first descriptor number; FD_BASE_DEFAULT keeps clear of the kernel's */
        uint32_t fd_stride;             /* numbers go up by this (shards, rounded up to a power of two)... */
        uint32_t fd_shard;              /* ...beginning at fd_base + fd_shard */
        uint32_t somaxconn;             /* most backlog; Linux: 4096 */
        uint32_t buf_max;               /* most octets for SO_SNDBUF and SO_RCVBUF, before the doubling */
        enum mem_pages huge_pages;
        struct tcp_opts opts;           /* of a new socket; the same that the engine was given */
};
enum { FD_BASE_DEFAULT = 1 << 30, SOMAXCONN_DEFAULT = 4096, SOCK_BUF_MAX_DEFAULT = 16 << 20 };
/* Everything but max_socks and opts. */
void socks_conf_default(struct socks_conf *conf);

enum sock_kind {
        KIND_FREE,                      /* no descriptor leads here */
        KIND_TCP,                       /* fresh, bound, connecting or connected */
        KIND_LISTENER,
        KIND_EPOLL,
};

/* Linux's SS_*: what connect() thinks of the socket, apart from the TCP state. */
enum sock_stage { STAGE_UNCONNECTED, STAGE_CONNECTING, STAGE_CONNECTED, STAGE_DISCONNECTING };

enum sock_flag {
        SOCKF_NONBLOCK     = 1 << 0,
        SOCKF_CLOEXEC      = 1 << 1,    /* remembered for fcntl(F_GETFD) alone */
        SOCKF_REUSEADDR    = 1 << 2,
        SOCKF_REUSEPORT    = 1 << 3,
        SOCKF_BROADCAST    = 1 << 4,    /* remembered: it means nothing to TCP */
        SOCKF_SHUT_RD      = 1 << 5,
        SOCKF_SHUT_WR      = 1 << 6,
        SOCKF_GOT_FIN      = 1 << 7,    /* Linux's SOCK_DONE: the stream ended well */
        SOCKF_CORK         = 1 << 8,
        SOCKF_BIND_NO_PORT = 1 << 9,    /* IP_BIND_ADDRESS_NO_PORT */
        SOCKF_RCVLOWAT     = 1 << 10,   /* SO_RCVLOWAT is not 1, its record says what it is */
        SOCKF_BIND_ADDR    = 1 << 11,   /* was bound to an address and chose its port with the peer */
        SOCKF_REPLICA      = 1 << 12,   /* found by another shard's descriptor alone, see replica.c */
};

struct sock {
        _Alignas(32) uint16_t flags;    /* enum sock_flag */
        uint8_t  kind  : 4;             /* enum sock_kind */
        uint8_t  stage : 4;             /* enum sock_stage */
        uint8_t  error;                 /* pending errno, when there is no connection to hold it */
        uint32_t conn;                  /* by kind: connection, listener or epoll instance; 0: none */
        uint32_t ext;                   /* 0: all defaults */
        item_ref more;                  /* further registrations */
        struct epoll_item item;         /* the first registration */
};
static_assert(sizeof(struct sock) == 32, "two sockets share a cache line");

/* What few sockets have. */
struct sock_ext {
        struct tcp_opts opts;           /* of a socket without connection, if has_opts */
        struct ip_addr  bind_addr;      /* if has_bind_addr: bound to an address, port still open */
        uint32_t        binding;        /* of flow/ports.h; 0: none of its own */
        uint64_t        rcvtimeo_ns, sndtimeo_ns;       /* 0: for ever */
        uint32_t        linger_s;
        uint32_t        rcvlowat;
        bool            has_opts, has_bind_addr, linger;
};

enum { SOURCE_TURNS = 256 };

struct socks {
        struct slab       slab;         /* struct sock; the index is the descriptor's number in fds, plus 1 */
        struct slab       exts;
        struct epolls     epolls;
        struct fdtab      fds;
        struct tcp       *tcp;
        struct sock_env   env;
        struct socks_conf conf;
        uint32_t          fd_shift;     /* log2 of the stride */
        uint64_t          grace;        /* EAGAINs that need no turn, see above */
        uint32_t         *replica;      /* by descriptor: replicas of other shards' listeners; NULL: there is one shard */
        uint32_t          source_turn[SOURCE_TURNS];    /* see source.c */
};

/* 0; -EINVAL descriptors would not fit into an int; -ENOMEM.  All memory is reserved here. */
int  socks_init(struct socks *ss, const struct socks_conf *conf, struct tcp *tcp, const struct sock_env *env);
/* Forgets everything at once; the engine is not told. */
void socks_fini(struct socks *ss);

/* Begin to load what a note to @owner will need; any number will do. */
static inline void socks_prefetch(const struct socks *ss, uint32_t owner)
{
        __builtin_prefetch(slab_at(&ss->slab, owner));
}

/* The engine had something to say.  Called by the shard for every note with events. */
void socks_note(struct socks *ss, const struct tcp_note *note);

int sock_open(struct socks *ss, int domain, int type, int protocol);
int sock_close(struct socks *ss, int fd);
int sock_bind(struct socks *ss, int fd, const struct sockaddr *sa, socklen_t len);
int sock_getsockname(struct socks *ss, int fd, struct sockaddr *sa, socklen_t *len);
int sock_getpeername(struct socks *ss, int fd, struct sockaddr *sa, socklen_t *len);
int sock_listen(struct socks *ss, int fd, int backlog);
int sock_accept(struct socks *ss, int fd, struct sockaddr *sa, socklen_t *len, int flags);
int sock_connect(struct socks *ss, int fd, const struct sockaddr *sa, socklen_t len);
int sock_shutdown(struct socks *ss, int fd, int how);

/* -EPIPE is for the caller to make a SIGPIPE of, unless MSG_NOSIGNAL. */
ssize_t sock_send(struct socks *ss, int fd, const void *buf, size_t len, int flags);
ssize_t sock_sendto(struct socks *ss, int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
                    socklen_t sa_len);
ssize_t sock_sendmsg(struct socks *ss, int fd, const struct msghdr *msg, int flags);
ssize_t sock_write(struct socks *ss, int fd, const void *buf, size_t len);
ssize_t sock_writev(struct socks *ss, int fd, const struct iovec *iov, int cnt);
ssize_t sock_recv(struct socks *ss, int fd, void *buf, size_t len, int flags);
ssize_t sock_recvfrom(struct socks *ss, int fd, void *buf, size_t len, int flags, struct sockaddr *sa,
                      socklen_t *sa_len);
ssize_t sock_recvmsg(struct socks *ss, int fd, struct msghdr *msg, int flags);
ssize_t sock_read(struct socks *ss, int fd, void *buf, size_t len);
ssize_t sock_readv(struct socks *ss, int fd, const struct iovec *iov, int cnt);

/* Without copying (zerocopy.c): as tcp_borrow() and so on, with the waiting and the errors of recv() and send(). */
int sock_recv_borrow(struct socks *ss, int fd, struct tcp_loan *loans, int max, int flags);
int sock_loan_return(struct socks *ss, struct tcp_loan *loans, int cnt);
ssize_t sock_send_reserve(struct socks *ss, int fd, size_t want, struct iovec *room, int flags);
ssize_t sock_send_commit(struct socks *ss, int fd, size_t len, int flags);
ssize_t sock_send_loan(struct socks *ss, int fd, struct tcp_loan *loan, int flags);

int sock_getsockopt(struct socks *ss, int fd, int level, int name, void *val, socklen_t *len);
int sock_setsockopt(struct socks *ss, int fd, int level, int name, const void *val, socklen_t len);
int sock_fcntl(struct socks *ss, int fd, int cmd, long arg);
int sock_ioctl(struct socks *ss, int fd, unsigned long request, void *arg);

struct pollfd;
/* poll(2) on descriptors of @ss; others are POLLNVAL. */
int sock_poll(struct socks *ss, struct pollfd *fds, uint64_t cnt, uint64_t timeout_ns);

/* ---- several shards: replica.c ----
 *
 * A listener lives on all of them: on the shard where listen() was called, and
 * as a replica, under the same descriptor, on the others.  A replica is a
 * socket like any other here, but that it cannot connect() when it listens no
 * more; what is done to it concerns this shard alone. */

/* All that a replica takes over. */
struct sock_listener {
        struct ip_addr  addr;
        uint16_t        port;
        uint16_t        flags;          /* enum sock_flag */
        uint32_t        backlog;
        struct tcp_opts opts;
        bool            has_ext;
        struct sock_ext ext;
};

/* Is @fd a listener that began to listen on this shard? */
bool sock_listens(const struct socks *ss, int fd);
/* @fd is one. */
void sock_listener_get(const struct socks *ss, int fd, uint32_t backlog, struct sock_listener *out);
/* @fd is another shard's descriptor, without a replica here.  0 or -ENOBUFS. */
int  sock_replica_add(struct socks *ss, int fd, const struct sock_listener *l);
/* Nothing, if it is closed already. */
void sock_replica_remove(struct socks *ss, int fd);
/* listen() was called again. */
void sock_replica_backlog(struct socks *ss, int fd, uint32_t backlog);
