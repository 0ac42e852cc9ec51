/* SPDX-License-Identifier: MIT */
/* sock/io.c - The send and receive family
 *
 * All of it ends in io_send() and io_recv(), which work on a struct io_iter: a
 * place in the caller's iovecs.  The engine is given a window of it at a time.
 * In front of them stands the straight path: one buffer, no flags that matter,
 * a connected socket, and the engine does at once what is asked.
 */
#include "sock/sock_priv.h"

#include <limits.h>
#include <netinet/in.h>

enum { IO_WINDOW = 16, IO_IOV_MAX = 1024 };     /* Linux: UIO_MAXIOV */

struct io_iter {
        const struct iovec *iov;
        size_t              cnt;        /* iovecs from iov on */
        size_t              skip;       /* octets of iov[0] already done */
        size_t              left;       /* octets in all */
};

static void io_iter_advance(struct io_iter *it, size_t n)
{
        it->left -= n;
        n += it->skip;
        while (it->cnt && n >= it->iov[0].iov_len) {
                n -= it->iov[0].iov_len;
                it->iov++;
                it->cnt--;
        }
        it->skip = n;
}

/* 0; -EINVAL the lengths are too much in all; -EFAULT. */
static int io_iter_init(struct io_iter *it, const struct iovec *iov, size_t cnt)
{
        *it = (struct io_iter){ .iov = iov, .cnt = cnt };
        if (cnt && !iov)
                return -EFAULT;
        for (size_t i = 0; i < cnt; i++) {
                if (iov[i].iov_len > SSIZE_MAX - it->left)
                        return -EINVAL;
                if (iov[i].iov_len && !iov[i].iov_base)
                        return -EFAULT;
                it->left += iov[i].iov_len;
        }
        io_iter_advance(it, 0);                 /* never begins with an empty one */
        return 0;
}

/* The next iovecs, at most IO_WINDOW of them. */
static size_t io_iter_window(const struct io_iter *it, struct iovec win[IO_WINDOW])
{
        size_t cnt = it->cnt < IO_WINDOW ? it->cnt : IO_WINDOW;
        for (size_t i = 0; i < cnt; i++)
                win[i] = it->iov[i];
        if (cnt) {
                win[0].iov_base = (uint8_t *)win[0].iov_base + it->skip;
                win[0].iov_len -= it->skip;
        }
        return cnt;
}

/* ---- sending ---- */

int io_send_error(struct socks *ss, struct sock *s)
{
        int err = sock_error_take(ss, s);
        return err ? -err : -EPIPE;
}

static ssize_t send_try(struct socks *ss, struct sock *s, const struct io_iter *it, bool more)
{
        struct iovec win[IO_WINDOW];

        if (s->kind != KIND_TCP || !s->conn || (s->flags & SOCKF_SHUT_WR))
                return io_send_error(ss, s);
        size_t cnt = io_iter_window(it, win);
        ssize_t n = tcp_send(ss->tcp, s->conn, win, cnt, more || cnt < it->cnt, sock_now(ss));
        return n == -EPIPE || n == -ENOTCONN ? io_send_error(ss, s) : n;
}

/* @sent: octets in front of @it that went already. */
static ssize_t io_send(struct socks *ss, int fd, struct io_iter *it, int flags, size_t sent)
{
        struct sock *s;

        ssize_t n = sock_get(ss, fd, &s);
        if (n < 0)
                return n;
        if (flags & MSG_OOB)
                return -EOPNOTSUPP;             /* urgent data are received in line, and not sent (RFC 6093) */
        SOCK_WAIT w = sock_wait_of(ss, s, SOCK_DIR_SND, flags & MSG_DONTWAIT);
        for (;;) {
                n = send_try(ss, s, it, (flags & MSG_MORE) || (s->flags & SOCKF_CORK));
                if (n >= 0) {
                        sent += (size_t)n;
                        io_iter_advance(it, (size_t)n);
                        if (it->left == 0)
                                return (ssize_t)sent;
                        continue;
                }
                if (n == -EAGAIN && !(sent && w.nonblock)) {
                        n = sock_wait(ss, &w);
                        if (n == 0)
                                n = sock_get(ss, fd, &s);
                        if (n == 0)
                                continue;
                }
                return sent ? (ssize_t)sent : n;
        }
}

/* ---- receiving ---- */

ssize_t io_recv_empty(struct socks *ss, struct sock *s)
{
        if (s->flags & SOCKF_GOT_FIN)
                return 0;
        int err = sock_error_take(ss, s);
        if (err)
                return -err;
        if (s->flags & SOCKF_SHUT_RD)
                return 0;
        if (!s->conn)
                return -ENOTCONN;
        return conn_state(ss, s) == TCP_CLOSED || tcp_recv_eof(ss->tcp, s->conn) ? 0 : -EAGAIN;
}

bool io_recv_is_over(const struct socks *ss, const struct sock *s)
{
        return (s->flags & (SOCKF_GOT_FIN | SOCKF_SHUT_RD)) || !s->conn || conn_state(ss, s) == TCP_CLOSED ||
               tcp_recv_eof(ss->tcp, s->conn) || tcp_error(ss->tcp, s->conn);
}

/* A call that receives, on its way. */
struct io_recv {
        struct io_iter it;
        int            flags;
        size_t         enough;          /* octets that end the waiting */
        size_t         got;
};

static ssize_t recv_take(struct socks *ss, struct sock *s, const struct io_recv *r)
{
        struct iovec win[IO_WINDOW];
        bool peek = r->flags & MSG_PEEK;

        if (r->flags & MSG_TRUNC)
                return tcp_recv(ss->tcp, s->conn, NULL, 0, r->it.left, peek, sock_now(ss));
        size_t cnt = io_iter_window(&r->it, win);
        return tcp_recv(ss->tcp, s->conn, win, cnt, 0, peek, sock_now(ss));
}

/* Take what is queued.  The result of the call; -EAGAIN if it should wait for (more). */
static ssize_t recv_step(struct socks *ss, struct sock *s, struct io_recv *r)
{
        ssize_t n = 1;

        if (s->kind == KIND_LISTENER)
                return -ENOTCONN;
        uint32_t avail = s->conn ? tcp_recv_avail(ss->tcp, s->conn) : 0;
        if (r->flags & MSG_PEEK && avail && avail < r->enough && !io_recv_is_over(ss, s))
                return -EAGAIN;                 /* a peek can't come again for the rest */
        if (avail && r->it.left == 0)
                return 0;
        while (n > 0 && r->it.left && s->conn && tcp_recv_avail(ss->tcp, s->conn)) {
                n = recv_take(ss, s, r);
                if (n > 0) {
                        r->got += (size_t)n;
                        io_iter_advance(&r->it, (size_t)n);
                }
                if (r->flags & MSG_PEEK)
                        break;
        }
        if (r->got == 0)
                return io_recv_empty(ss, s);
        return r->got >= r->enough || io_recv_is_over(ss, s) ? (ssize_t)r->got : -EAGAIN;
}

static ssize_t io_recv(struct socks *ss, int fd, const struct io_iter *it, int flags)
{
        struct io_recv r = { .it = *it, .flags = flags };
        struct sock *s;

        ssize_t n = sock_get(ss, fd, &s);
        if (n < 0)
                return n;
        if (flags & (MSG_OOB | MSG_ERRQUEUE))   /* as Linux without urgent data, and without queued errors */
                return flags & MSG_OOB ? -EINVAL : -EAGAIN;
        SOCK_WAIT w = sock_wait_of(ss, s, SOCK_DIR_RCV, flags & MSG_DONTWAIT);
        if (!w.nonblock)
                r.enough = flags & MSG_WAITALL ? it->left : u64_min(sock_rcvlowat(ss, s), it->left);
        for (;;) {
                n = recv_step(ss, s, &r);
                if (n != -EAGAIN)
                        return n;
                int rc = sock_wait(ss, &w);
                if (rc < 0 && w.nonblock)
                        return rc;
                if (rc < 0) {                   /* time is up, or a signal: what there is will do */
                        r.enough = 0;
                        n = recv_step(ss, s, &r);
                        return n == -EAGAIN ? rc : n;
                }
                rc = sock_get(ss, fd, &s);
                if (rc < 0)
                        return r.got ? (ssize_t)r.got : rc;
        }
}

/* ---- the calls ---- */

/* @why not - unless the descriptor is bad, which comes first. */
static ssize_t refuse(const struct socks *ss, int fd, int why)
{
        struct sock *s;
        int rc = sock_get(ss, fd, &s);
        return rc < 0 ? rc : why;
}

static struct io_iter io_iter_of(struct iovec *one, const void *buf, size_t len)
{
        *one = (struct iovec){ .iov_base = (void *)(uintptr_t)buf, .iov_len = len > SSIZE_MAX ? SSIZE_MAX : len };
        return (struct io_iter){ .iov = one, .cnt = len != 0, .left = one->iov_len };
}

ssize_t sock_sendto(struct socks *ss, int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
                    socklen_t sa_len)
{
        struct iovec one;
        struct io_iter it = io_iter_of(&one, buf, len);

        if (len && !buf)
                return refuse(ss, fd, -EFAULT);
        if (sa && sa_len > sizeof(struct sockaddr_storage))
                return refuse(ss, fd, -EINVAL);         /* else it is ignored, as Linux does for TCP */
        return io_send(ss, fd, &it, flags, 0);
}

/* ---- the straight path ---- */

/* What neither changes what is done nor when it is done with what there is. */
static bool is_plain(const void *buf, size_t len, int flags)
{
        return buf && len && len <= SSIZE_MAX && !(flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* The socket behind @fd if it has a connection, else NULL: the ordinary path says why. */
static struct sock *connected(const struct socks *ss, int fd)
{
        uint32_t idx = sock_of_fd(ss, fd);
        struct sock *s = sock_at(ss, idx);
        return idx && s->kind == KIND_TCP && s->conn ? s : NULL;
}

static bool may_wait(const struct sock *s, int flags)
{
        return !(flags & MSG_DONTWAIT) && !(s->flags & SOCKF_NONBLOCK);
}

/* Octets that went: 0: none, which may be the ordinary path's to explain. */
static size_t send_straight(struct socks *ss, int fd, const void *buf, size_t len, int flags, bool *done)
{
        struct sock *s = is_plain(buf, len, flags) ? connected(ss, fd) : NULL;
        struct iovec one = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };

        *done = false;
        if (!s || s->flags & (SOCKF_SHUT_WR | SOCKF_CORK))
                return 0;
        ssize_t n = tcp_send(ss->tcp, s->conn, &one, 1, false, sock_now(ss));
        if (n <= 0)
                return 0;
        *done = (size_t)n == len || !may_wait(s, flags);
        return (size_t)n;
}

/* Octets received; 0: none, the ordinary path knows why. */
static ssize_t recv_straight(struct socks *ss, int fd, void *buf, size_t len, int flags)
{
        struct sock *s = is_plain(buf, len, flags) ? connected(ss, fd) : NULL;
        struct iovec one = { .iov_base = buf, .iov_len = len };

        /* SO_RCVLOWAT may ask for more than there is. */
        if (!s || (s->flags & SOCKF_RCVLOWAT && may_wait(s, flags)))
                return 0;
        ssize_t n = tcp_recv(ss->tcp, s->conn, &one, 1, 0, false, sock_now(ss));
        return n > 0 ? n : 0;
}

ssize_t sock_send(struct socks *ss, int fd, const void *buf, size_t len, int flags)
{
        struct iovec one;
        bool done;

        size_t sent = send_straight(ss, fd, buf, len, flags, &done);
        if (done)
                return (ssize_t)sent;
        if (!sent)
                return sock_sendto(ss, fd, buf, len, flags, NULL, 0);
        struct io_iter it = io_iter_of(&one, (const uint8_t *)buf + sent, len - sent);
        return io_send(ss, fd, &it, flags, sent);
}

/* The checks of sendmsg(2) and recvmsg(2). */
static ssize_t msg_iter(const struct socks *ss, int fd, const struct msghdr *msg, struct io_iter *it)
{
        struct sock *s;
        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if (!msg)
                return -EFAULT;
        if (msg->msg_iovlen > IO_IOV_MAX)
                return -EMSGSIZE;
        return io_iter_init(it, msg->msg_iov, msg->msg_iovlen);
}

/* The checks of readv(2) and writev(2), which know an epoll instance only as something without data. */
static ssize_t vector_iter(const struct socks *ss, int fd, const struct iovec *iov, int cnt, struct io_iter *it)
{
        struct sock *s;
        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc == -ENOTSOCK ? -EINVAL : rc;
        if (cnt < 0 || cnt > IO_IOV_MAX)
                return -EINVAL;
        return io_iter_init(it, iov, (size_t)cnt);
}

ssize_t sock_sendmsg(struct socks *ss, int fd, const struct msghdr *msg, int flags)
{
        struct io_iter it;
        ssize_t rc = msg_iter(ss, fd, msg, &it);
        return rc < 0 ? rc : io_send(ss, fd, &it, flags, 0);
}

ssize_t sock_writev(struct socks *ss, int fd, const struct iovec *iov, int cnt)
{
        struct io_iter it;
        ssize_t rc = vector_iter(ss, fd, iov, cnt, &it);
        return rc < 0 ? rc : io_send(ss, fd, &it, 0, 0);
}

ssize_t sock_write(struct socks *ss, int fd, const void *buf, size_t len)
{
        struct iovec one = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
        struct io_iter it;
        bool done;

        size_t sent = send_straight(ss, fd, buf, len, 0, &done);
        if (done)
                return (ssize_t)sent;
        ssize_t rc = vector_iter(ss, fd, &one, 1, &it);
        if (rc < 0)
                return rc;
        io_iter_advance(&it, sent);
        return io_send(ss, fd, &it, 0, sent);
}

ssize_t sock_recv(struct socks *ss, int fd, void *buf, size_t len, int flags)
{
        struct iovec one;

        ssize_t n = recv_straight(ss, fd, buf, len, flags);
        if (n)
                return n;
        struct io_iter it = io_iter_of(&one, buf, len);

        if (len && !buf && !(flags & MSG_TRUNC))
                return refuse(ss, fd, -EFAULT);
        return io_recv(ss, fd, &it, flags);
}

ssize_t sock_recvfrom(struct socks *ss, int fd, void *buf, size_t len, int flags, struct sockaddr *sa,
                      socklen_t *sa_len)
{
        ssize_t n = sock_recv(ss, fd, buf, len, flags);
        if (n >= 0 && sa) {
                if (!sa_len)
                        return -EFAULT;
                *sa_len = 0;                    /* as Linux: TCP has no address to tell here */
        }
        return n;
}

ssize_t sock_recvmsg(struct socks *ss, int fd, struct msghdr *msg, int flags)
{
        struct io_iter it;
        ssize_t rc = msg_iter(ss, fd, msg, &it);
        if (rc == 0)
                rc = io_recv(ss, fd, &it, flags);
        if (rc >= 0) {
                msg->msg_namelen = 0;
                msg->msg_controllen = 0;
                msg->msg_flags = 0;
        }
        return rc;
}

ssize_t sock_readv(struct socks *ss, int fd, const struct iovec *iov, int cnt)
{
        struct io_iter it;
        ssize_t rc = vector_iter(ss, fd, iov, cnt, &it);
        if (rc < 0 || it.left == 0)
                return rc;                      /* read(2) of nothing is 0, whatever the socket's state */
        return io_recv(ss, fd, &it, 0);
}

ssize_t sock_read(struct socks *ss, int fd, void *buf, size_t len)
{
        struct iovec one = { .iov_base = buf, .iov_len = len };
        ssize_t n = recv_straight(ss, fd, buf, len, 0);
        return n ? n : sock_readv(ss, fd, &one, 1);
}
