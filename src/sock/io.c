/* SPDX-License-Identifier: MIT */
/* sock/io.c - The send and receive family
 *
 * All of it ends in io_send() and io_recv(), which work on a struct io_iter: a
 * place in the caller's iovecs.  The engine is given a window of it at a time.
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

/* ---- sending ---- */

static int send_error(struct socks *ss, struct sock *s)
{
        int err = sock_error_take(ss, s);
        return err ? -err : -EPIPE;
}

static ssize_t send_try(struct socks *ss, struct sock *s, const struct io_iter *it, bool more)
{
        struct iovec win[IO_WINDOW];

        if (s->kind != KIND_TCP || !s->conn || (s->flags & SOCKF_SHUT_WR))
                return send_error(ss, s);
        size_t cnt = io_iter_window(it, win);
        ssize_t n = tcp_send(ss->tcp, s->conn, win, cnt, more || cnt < it->cnt, sock_now(ss));
        return n == -EPIPE || n == -ENOTCONN ? send_error(ss, s) : n;
}

static ssize_t io_send(struct socks *ss, int fd, struct io_iter *it, int flags)
{
        struct sock_wait w;
        struct sock *s;
        size_t sent = 0;
        ssize_t n;

        if (flags & MSG_OOB)
                return -EOPNOTSUPP;             /* urgent data are received in line, and not sent (RFC 6093) */
        for (bool first = true;; first = false) {
                n = sock_get(ss, fd, &s);
                if (n < 0)
                        break;
                if (first)
                        w = sock_wait_of(ss, s, SOCK_DIR_SND, flags & MSG_DONTWAIT);
                n = send_try(ss, s, it, (flags & MSG_MORE) || (s->flags & SOCKF_CORK));
                if (n >= 0) {
                        sent += (size_t)n;
                        io_iter_advance(it, (size_t)n);
                        if (it->left == 0)
                                break;
                } else if (n != -EAGAIN || (sent && w.nonblock)) {
                        break;
                } else {
                        n = sock_wait(ss, &w);
                        if (n < 0)
                                break;
                }
        }
        return sent || n >= 0 ? (ssize_t)sent : n;
}

/* ---- receiving ---- */

/* What recv() says when nothing is queued: 0 for the end, or a negative errno. */
static ssize_t recv_empty(struct socks *ss, struct sock *s)
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

/* Nothing can come any more, or an error must be told first. */
static bool recv_is_over(const struct socks *ss, const struct sock *s)
{
        return (s->flags & (SOCKF_GOT_FIN | SOCKF_SHUT_RD)) || !s->conn || conn_state(ss, s) == TCP_CLOSED ||
               tcp_recv_eof(ss->tcp, s->conn) || tcp_error(ss->tcp, s->conn);
}

static ssize_t recv_take(struct socks *ss, struct sock *s, const struct io_iter *it, int flags)
{
        struct iovec win[IO_WINDOW];

        if (flags & MSG_TRUNC)
                return tcp_recv(ss->tcp, s->conn, NULL, 0, it->left, flags & MSG_PEEK, sock_now(ss));
        size_t cnt = io_iter_window(it, win);
        return tcp_recv(ss->tcp, s->conn, win, cnt, 0, flags & MSG_PEEK, sock_now(ss));
}

/* @enough: the call would be content with so many octets (only MSG_PEEK asks: it can't come again for the rest). */
static ssize_t recv_try(struct socks *ss, struct sock *s, const struct io_iter *it, int flags, size_t enough)
{
        uint32_t avail;

        if (s->kind == KIND_LISTENER)
                return -ENOTCONN;
        avail = s->conn ? tcp_recv_avail(ss->tcp, s->conn) : 0;
        if (avail == 0)
                return recv_empty(ss, s);
        if ((flags & MSG_PEEK) && avail < enough && !recv_is_over(ss, s))
                return -EAGAIN;
        return it->left ? recv_take(ss, s, it, flags) : 0;
}

static ssize_t io_recv(struct socks *ss, int fd, struct io_iter *it, int flags)
{
        struct sock_wait w;
        struct sock *s;
        size_t enough = 1, got = 0;
        ssize_t n;

        if (flags & MSG_OOB)
                return -EINVAL;                 /* as Linux without urgent data */
        for (bool first = true;; first = false) {
                n = sock_get(ss, fd, &s);
                if (n < 0)
                        break;
                if (first) {
                        if (flags & MSG_ERRQUEUE)
                                return -EAGAIN;
                        w = sock_wait_of(ss, s, SOCK_DIR_RCV, flags & MSG_DONTWAIT);
                        enough = flags & MSG_WAITALL ? it->left : sock_rcvlowat(ss, s);
                        if (enough > it->left)
                                enough = it->left;
                        if (w.nonblock && (flags & MSG_PEEK))
                                enough = 0;
                }
                if (got && s->conn && tcp_recv_avail(ss->tcp, s->conn) == 0) {
                        if (got >= enough || w.nonblock || recv_is_over(ss, s))
                                break;
                        n = -EAGAIN;
                } else {
                        n = recv_try(ss, s, it, flags, enough);
                        if (n == 0)
                                break;
                }
                if (n > 0) {
                        got += (size_t)n;
                        io_iter_advance(it, (size_t)n);
                        if (it->left == 0 || (flags & MSG_PEEK))
                                break;
                } else if (n != -EAGAIN) {
                        break;
                } else {
                        n = sock_wait(ss, &w);
                        if (n == -EAGAIN && (flags & MSG_PEEK) && enough) {
                                enough = 0;     /* time is up: what there is will do */
                                w.turned = w.nonblock = true;
                        } else if (n < 0) {
                                break;
                        }
                }
        }
        return got || n >= 0 ? (ssize_t)got : n;
}

/* ---- the calls ---- */

static ssize_t check_fd(const struct socks *ss, int fd)
{
        struct sock *s;
        return sock_get(ss, fd, &s);
}

ssize_t sock_sendto(struct socks *ss, int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
                    socklen_t sa_len)
{
        struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len > SSIZE_MAX ? SSIZE_MAX : len };
        struct io_iter it;

        if (len && !buf)
                return -EFAULT;
        ssize_t rc = check_fd(ss, fd);
        if (rc < 0)
                return rc;
        if (sa && sa_len > sizeof(struct sockaddr_storage))
                return -EINVAL;                 /* else the address is ignored: Linux does so for TCP */
        io_iter_init(&it, &iov, len ? 1 : 0);
        return io_send(ss, fd, &it, flags);
}

ssize_t sock_send(struct socks *ss, int fd, const void *buf, size_t len, int flags)
{
        return sock_sendto(ss, fd, buf, len, flags, NULL, 0);
}

ssize_t sock_sendmsg(struct socks *ss, int fd, const struct msghdr *msg, int flags)
{
        struct io_iter it;

        ssize_t rc = check_fd(ss, fd);
        if (rc < 0)
                return rc;
        if (!msg)
                return -EFAULT;
        if (msg->msg_iovlen > IO_IOV_MAX)
                return -EMSGSIZE;
        rc = io_iter_init(&it, msg->msg_iov, msg->msg_iovlen);
        return rc < 0 ? rc : io_send(ss, fd, &it, flags);
}

ssize_t sock_writev(struct socks *ss, int fd, const struct iovec *iov, int cnt)
{
        struct io_iter it;

        ssize_t rc = check_fd(ss, fd);
        if (rc < 0)
                return rc == -ENOTSOCK ? -EINVAL : rc;          /* an epoll instance: as write(2) says it */
        if (cnt < 0 || cnt > IO_IOV_MAX)
                return -EINVAL;
        rc = io_iter_init(&it, iov, (size_t)cnt);
        return rc < 0 ? rc : io_send(ss, fd, &it, 0);
}

ssize_t sock_recv(struct socks *ss, int fd, void *buf, size_t len, int flags)
{
        struct iovec iov = { .iov_base = buf, .iov_len = len > SSIZE_MAX ? SSIZE_MAX : len };
        struct io_iter it;

        if (len && !buf && !(flags & MSG_TRUNC))
                return -EFAULT;
        it = (struct io_iter){ .iov = &iov, .cnt = 1, .left = iov.iov_len };
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

        ssize_t rc = check_fd(ss, fd);
        if (rc < 0)
                return rc;
        if (!msg)
                return -EFAULT;
        if (msg->msg_iovlen > IO_IOV_MAX)
                return -EMSGSIZE;
        rc = io_iter_init(&it, msg->msg_iov, msg->msg_iovlen);
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

        ssize_t rc = check_fd(ss, fd);
        if (rc < 0)
                return rc == -ENOTSOCK ? -EINVAL : rc;
        if (cnt < 0 || cnt > IO_IOV_MAX)
                return -EINVAL;
        rc = io_iter_init(&it, iov, (size_t)cnt);
        if (rc < 0 || it.left == 0)
                return rc;                      /* read(2) of nothing is 0, whatever the socket's state */
        return io_recv(ss, fd, &it, 0);
}
