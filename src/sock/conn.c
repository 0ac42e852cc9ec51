/* SPDX-License-Identifier: MIT */
/* sock/conn.c - The life of a socket: connect, listen, accept, shutdown, close
 *
 * Linux keeps two states for a socket: that of TCP and that of the socket
 * (SS_UNCONNECTED...).  The second decides what connect() answers the second
 * time, so it is kept here too, as sock->stage.
 */
#include "sock/sock_priv.h"

#include <string.h>

/* Linux's tcp_need_reset() and what else leaves ECONNRESET behind. */
static bool disconnect_is_reset(enum tcp_state state)
{
        switch (state) {
        case TCP_SYN_SENT:
        case TCP_SYN_RECEIVED:
        case TCP_ESTABLISHED:
        case TCP_CLOSE_WAIT:
        case TCP_FIN_WAIT_1:
        case TCP_FIN_WAIT_2:
                return true;
        default:
                return false;
        }
}

void conn_disconnect(struct socks *ss, struct sock *s)
{
        s->error = 0;
        if (s->kind == KIND_LISTENER) {
                tcp_unlisten(ss->tcp, s->conn, sock_now(ss));
                s->kind = KIND_TCP;
        } else if (s->conn) {
                if (disconnect_is_reset(conn_state(ss, s)))
                        s->error = ECONNRESET;
                sock_opts_keep(ss, s);
                tcp_abort(ss->tcp, s->conn, sock_now(ss));
        }
        s->conn = 0;
        s->flags &= (uint16_t)~(SOCKF_SHUT_RD | SOCKF_SHUT_WR | SOCKF_GOT_FIN);
}

/* Where from and where to.  To "any" means to ourselves, as in Linux. */
static int connect_key(struct socks *ss, const struct sock *s, const struct sockaddr *sa, socklen_t len,
                       struct flow_key *key)
{
        int rc = name_parse(sa, len, &key->raddr, &key->rport);
        if (rc < 0)
                return rc;
        if (ip_addr_is_multicast(&key->raddr) || ip_addr_is_limited_broadcast(&key->raddr))
                return -ENETUNREACH;

        key->lport = name_bound(ss, s, &key->laddr);
        if (ip_addr_is_any(&key->laddr)) {
                rc = ss->env.source_for(ss->env.arg, &key->raddr, &key->laddr);
                if (rc < 0)
                        return rc;
        }
        if (ip_addr_is_any(&key->raddr))
                key->raddr = key->laddr;
        return 0;
}

static int connect_begin(struct socks *ss, struct sock *s, const struct sockaddr *sa, socklen_t len)
{
        struct flow_key key;
        uint32_t conn;

        int rc = connect_key(ss, s, sa, len, &key);
        if (rc < 0)
                return rc;
        rc = source_connect(ss, s, &key, &conn);
        if (rc < 0)
                return rc == -EADDRINUSE ? -EADDRNOTAVAIL : rc;         /* as Linux: the tuple is taken */
        s->conn = conn;
        s->error = 0;
        s->flags &= (uint16_t)~SOCKF_GOT_FIN;
        s->stage = STAGE_CONNECTING;
        sock_ext_settle(ss, s);
        return 0;
}

static bool conn_is_opening(const struct socks *ss, const struct sock *s)
{
        enum tcp_state state = conn_state(ss, s);
        return state == TCP_SYN_SENT || state == TCP_SYN_RECEIVED;
}

/* The handshake ended, one way or the other. */
static int connect_end(struct socks *ss, struct sock *s)
{
        if (s->conn && conn_state(ss, s) != TCP_CLOSED) {
                s->stage = STAGE_CONNECTED;
                return 0;
        }
        int err = sock_error_take(ss, s);
        conn_disconnect(ss, s);
        s->stage = STAGE_UNCONNECTED;
        return err ? -err : -ECONNABORTED;
}

static int connect_unspec(struct socks *ss, struct sock *s)
{
        conn_disconnect(ss, s);
        s->stage = STAGE_UNCONNECTED;
        epoll_wake(ss, sock_idx(ss, s), EPOLLERR);
        return 0;
}

/* The first answer: 0 done, -EINPROGRESS begun now, -EALREADY begun before, or a failure. */
static int connect_step(struct socks *ss, struct sock *s, const struct sockaddr *sa, socklen_t len)
{
        switch ((enum sock_stage)s->stage) {
        case STAGE_CONNECTED:
                return -EISCONN;
        case STAGE_CONNECTING:
                return -EALREADY;
        case STAGE_UNCONNECTED:
                if (s->conn)                            /* it listens */
                        return -EISCONN;
                if (s->flags & SOCKF_REPLICA)           /* it goes when its listener does, and no connection may */
                        return -EINVAL;
                int rc = connect_begin(ss, s, sa, len);
                return rc < 0 ? rc : -EINPROGRESS;
        case STAGE_DISCONNECTING:
                break;
        }
        return -EINVAL;
}

/* After Linux's __inet_stream_connect(). */
int sock_connect(struct socks *ss, int fd, const struct sockaddr *sa, socklen_t len)
{
        struct sock *s;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if (len > sizeof(struct sockaddr_storage) || len < sizeof sa->sa_family)
                return -EINVAL;
        if (!sa)
                return -EFAULT;
        if (sa->sa_family == AF_UNSPEC)
                return connect_unspec(ss, s);
        int answer = connect_step(ss, s, sa, len);
        if (answer != -EINPROGRESS && answer != -EALREADY)
                return answer;

        SOCK_WAIT w = sock_wait_of(ss, s, SOCK_DIR_SND, false);
        if (answer == -EINPROGRESS && w.nonblock)
                return answer;
        while (conn_is_opening(ss, s)) {
                rc = sock_wait(ss, &w);
                if (rc < 0)
                        return rc == -EAGAIN ? answer : rc;
                rc = sock_get(ss, fd, &s);
                if (rc < 0)
                        return rc;
        }
        return connect_end(ss, s);
}

int sock_listen(struct socks *ss, int fd, int backlog)
{
        struct tcp_opts opts;
        struct sock *s;
        uint32_t listener;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if (s->stage != STAGE_UNCONNECTED || (s->kind == KIND_TCP && s->conn))
                return -EINVAL;
        uint32_t len = u32_min((uint32_t)backlog, ss->conf.somaxconn);  /* negative: as many as may be */
        if (s->kind == KIND_LISTENER) {
                tcp_listen_backlog(ss->tcp, s->conn, len);
                return 0;
        }

        struct ip_addr addr;
        if (!name_bound(ss, s, &addr)) {
                rc = name_bind(ss, s, &addr, 0);
                if (rc < 0)
                        return rc;
        }
        sock_opts_get(ss, s, &opts);
        rc = tcp_listen(ss->tcp, sock_binding(ss, s), len, &opts, sock_idx(ss, s), &listener);
        if (rc < 0)
                return rc;
        s->conn = listener;
        s->kind = KIND_LISTENER;
        s->flags &= (uint16_t)~(SOCKF_SHUT_RD | SOCKF_SHUT_WR);
        return 0;
}

/* A connection waits: give it a socket.  The descriptor. */
static int accept_one(struct socks *ss, struct sock *s, struct sockaddr *sa, socklen_t *len, int flags)
{
        uint32_t idx;
        struct flow_key key;

        if (sa && (!len || (int)*len < 0))
                return len ? -EINVAL : -EFAULT;
        int fd = sock_new(ss, KIND_TCP, (uint16_t)((flags & SOCK_NONBLOCK ? SOCKF_NONBLOCK : 0) |
                                                   (flags & SOCK_CLOEXEC ? SOCKF_CLOEXEC : 0) |
                                                   (s->flags & (SOCKF_REUSEADDR | SOCKF_REUSEPORT))), &idx);
        if (fd < 0)
                return fd;
        struct sock *child = sock_at(ss, idx);
        child->conn = tcp_accept(ss->tcp, s->conn, idx);
        ASSERT(child->conn != 0);
        child->stage = STAGE_CONNECTED;
        if (conn_state(ss, child) == TCP_CLOSE_WAIT)
                child->flags |= SOCKF_GOT_FIN;
        if (sock_ext_inherit(ss, child, s) < 0) {
                sock_close(ss, fd);
                return -ENOBUFS;
        }
        if (sa) {
                tcp_key_of(ss->tcp, child->conn, &key);
                name_emit(sa, len, &key.raddr, key.rport);
        }
        return fd;
}

int sock_accept(struct socks *ss, int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
        struct sock *s;

        if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
                return -EINVAL;
        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        SOCK_WAIT w = sock_wait_of(ss, s, SOCK_DIR_RCV, false);
        while (rc == 0) {
                if (s->kind != KIND_LISTENER)
                        return -EINVAL;
                if (tcp_accept_queue_len(ss->tcp, s->conn))
                        return accept_one(ss, s, sa, len, flags);
                rc = sock_wait(ss, &w);
                if (rc == 0)
                        rc = sock_get(ss, fd, &s);
        }
        return rc;
}

/* What is left of the two directions. */
static void shutdown_conn(struct socks *ss, struct sock *s, int how)
{
        if (how != SHUT_WR)
                tcp_shutdown_recv(ss->tcp, s->conn);
        if (how != SHUT_RD)
                tcp_shutdown_send(ss->tcp, s->conn, sock_now(ss));
}

static uint16_t shutdown_flags(int how)
{
        return (uint16_t)((how != SHUT_WR ? SOCKF_SHUT_RD : 0) | (how != SHUT_RD ? SOCKF_SHUT_WR : 0));
}

/* After Linux's inet_shutdown(). */
int sock_shutdown(struct socks *ss, int fd, int how)
{
        struct sock *s;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
                return -EINVAL;

        enum tcp_state state = s->kind == KIND_LISTENER ? TCP_LISTEN : conn_state(ss, s);
        if (s->stage == STAGE_CONNECTING)
                s->stage = state == TCP_CLOSED || conn_is_opening(ss, s) ? STAGE_DISCONNECTING : STAGE_CONNECTED;
        switch (state) {
        case TCP_LISTEN:
                if (how == SHUT_WR)
                        break;
                /* fallthrough */
        case TCP_SYN_SENT:
                conn_disconnect(ss, s);
                s->stage = STAGE_UNCONNECTED;
                break;
        case TCP_CLOSED:
                rc = -ENOTCONN;
                s->flags |= shutdown_flags(how);        /* and yet it counts, in Linux too */
                break;
        default:
                s->flags |= shutdown_flags(how);
                shutdown_conn(ss, s, how);
        }
        epoll_wake(ss, sock_idx(ss, s), 0);
        return rc;
}

/* SO_LINGER: wait until the peer has everything, our FIN included. */
static void linger(struct socks *ss, uint32_t conn, uint32_t linger_s)
{
        tcp_shutdown_send(ss->tcp, conn, sock_now(ss));
        ss->env.turn(ss->env.arg, 0);
        uint64_t deadline_ns = sock_now(ss) + SEC(linger_s);
        while (sock_now(ss) < deadline_ns) {
                enum tcp_state state = tcp_state_of(ss->tcp, conn);
                if (state != TCP_FIN_WAIT_1 && state != TCP_CLOSING && state != TCP_LAST_ACK)
                        return;
                if (ss->env.turn(ss->env.arg, deadline_ns) < 0)
                        return;
        }
}

static void conn_close(struct socks *ss, struct sock *s)
{
        const struct sock_ext *ext = sock_ext(ss, s);
        uint32_t conn = s->conn;

        if (ext && ext->linger && ext->linger_s == 0) {
                tcp_abort(ss->tcp, conn, sock_now(ss));
                return;
        }
        if (ext && ext->linger && !conn_is_opening(ss, s) && tcp_recv_avail(ss->tcp, conn) == 0)
                linger(ss, conn, ext->linger_s);
        tcp_close(ss->tcp, conn, sock_now(ss));
}

void conn_release(struct socks *ss, uint32_t idx)
{
        struct sock *s = sock_at(ss, idx);
        bool listens = s->kind == KIND_LISTENER;

        s->kind = KIND_FREE;                            /* lingering takes turns: nobody must find it any more */
        if (listens)
                tcp_unlisten(ss->tcp, s->conn, sock_now(ss));
        else if (s->conn)
                conn_close(ss, s);
        if (sock_binding(ss, s))
                ports_unbind(tcp_ports(ss->tcp), sock_binding(ss, s));
        sock_ext_free(ss, s);
        sock_free(ss, idx);
}
