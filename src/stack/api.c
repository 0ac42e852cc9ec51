/* SPDX-License-Identifier: MIT */
/* stack/api.c - mr_socket() and its family: sock/ with errno
 *
 * Each call goes to the sockets attached to the thread.  Here, and only here,
 * a negative errno becomes -1 and errno, and EPIPE becomes SIGPIPE.
 */
#include "stack/api_priv.h"
#include "base/units.h"
#include "sock/sock.h"
#include "stack/listeners.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

_Thread_local struct socks *api_socks;
static _Thread_local struct listeners_peer *peer __attribute__((tls_model("initial-exec")));

struct socks *api_attach(struct socks *ss)
{
        struct socks *before = api_socks;
        api_socks = ss;
        return before;
}

void api_tell(struct listeners_peer *p) { peer = p; }

/* Of poll(2) and epoll_wait(2): -1 waits for ever. */
static uint64_t ns_of_ms(int ms) { return ms < 0 ? TIME_NEVER : MS((uint64_t)ms); }

int mr_socket(int domain, int type, int protocol) { return RESULT_INT(sock_open(api_socks, domain, type, protocol)); }

/* A listener lives on every shard: the others hear when it begins, and when it ends. */
static int begin_listening(int fd, int backlog)
{
        int rc = sock_listen(api_socks, fd, backlog);
        if (rc < 0 || !peer || !sock_listens(api_socks, fd))
                return rc;
        rc = listeners_put(peer, fd, (uint32_t)backlog);
        if (rc < 0)
                sock_shutdown(api_socks, fd, SHUT_RD);
        return rc;
}

static bool listens(int fd) { return peer && sock_listens(api_socks, fd); }

/* The call that gave @rc may have ended a listener; @did: it was one before. */
static int ended(bool did, int fd, int rc)
{
        if (did && !sock_listens(api_socks, fd))
                listeners_drop(peer, fd);
        return rc;
}

static int end_by_close(int fd)
{
        bool did = listens(fd);
        return ended(did, fd, sock_close(api_socks, fd));
}

static int end_by_shutdown(int fd, int how)
{
        bool did = listens(fd);
        return ended(did, fd, sock_shutdown(api_socks, fd, how));
}

static int end_by_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
        bool did = listens(fd);
        return ended(did, fd, sock_connect(api_socks, fd, addr, len));
}

int mr_listen(int fd, int backlog) { return RESULT_INT(begin_listening(fd, backlog)); }
int mr_close(int fd) { return RESULT_INT(end_by_close(fd)); }
int mr_shutdown(int fd, int how) { return RESULT_INT(end_by_shutdown(fd, how)); }

int mr_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
        return RESULT_INT(sock_bind(api_socks, fd, addr, len));
}

int mr_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
        return RESULT_INT(sock_accept(api_socks, fd, addr, len, 0));
}

int mr_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
        return RESULT_INT(sock_accept(api_socks, fd, addr, len, flags));
}

int mr_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
        return RESULT_INT(end_by_connect(fd, addr, len));
}

/* ---- sending and receiving ---- */

ssize_t mr_send(int fd, const void *buf, size_t len, int flags)
{
        return api_sent(CALL(sock_send(api_socks, fd, buf, len, flags)), flags);
}

ssize_t mr_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr, socklen_t addr_len)
{
        return api_sent(CALL(sock_sendto(api_socks, fd, buf, len, flags, addr, addr_len)), flags);
}

ssize_t mr_sendmsg(int fd, const struct msghdr *msg, int flags)
{
        return api_sent(CALL(sock_sendmsg(api_socks, fd, msg, flags)), flags);
}

ssize_t mr_writev(int fd, const struct iovec *iov, int cnt)
{
        return api_sent(CALL(sock_writev(api_socks, fd, iov, cnt)), 0);
}

ssize_t mr_write(int fd, const void *buf, size_t len)
{
        return api_sent(CALL(sock_write(api_socks, fd, buf, len)), 0);
}

ssize_t mr_recv(int fd, void *buf, size_t len, int flags)
{
        return RESULT(sock_recv(api_socks, fd, buf, len, flags));
}

ssize_t mr_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr, socklen_t *addr_len)
{
        return RESULT(sock_recvfrom(api_socks, fd, buf, len, flags, addr, addr_len));
}

ssize_t mr_recvmsg(int fd, struct msghdr *msg, int flags) { return RESULT(sock_recvmsg(api_socks, fd, msg, flags)); }
ssize_t mr_readv(int fd, const struct iovec *iov, int cnt) { return RESULT(sock_readv(api_socks, fd, iov, cnt)); }

ssize_t mr_read(int fd, void *buf, size_t len) { return RESULT(sock_read(api_socks, fd, buf, len)); }

/* ---- options and names ---- */

int mr_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
        return RESULT_INT(sock_getsockopt(api_socks, fd, level, name, val, len));
}

int mr_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
        return RESULT_INT(sock_setsockopt(api_socks, fd, level, name, val, len));
}

int mr_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
        return RESULT_INT(sock_getsockname(api_socks, fd, addr, len));
}

int mr_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
        return RESULT_INT(sock_getpeername(api_socks, fd, addr, len));
}

int mr_fcntl(int fd, int cmd, ...)
{
        va_list args;
        long arg = 0;

        va_start(args, cmd);
        if (cmd == F_SETFL || cmd == F_SETFD)           /* the two that take one: an int, as open(2)'s flags are */
                arg = va_arg(args, int);
        va_end(args);
        return RESULT_INT(sock_fcntl(api_socks, fd, cmd, arg));
}

int mr_ioctl(int fd, unsigned long request, ...)
{
        va_list args;

        va_start(args, request);
        void *arg = va_arg(args, void *);
        va_end(args);
        return RESULT_INT(sock_ioctl(api_socks, fd, request, arg));
}

/* ---- events ---- */

int mr_poll(struct pollfd *fds, nfds_t cnt, int timeout_ms)
{
        return RESULT_INT(sock_poll(api_socks, fds, cnt, ns_of_ms(timeout_ms)));
}

int mr_epoll_create(int size) { return RESULT_INT(size > 0 ? sock_epoll_create(api_socks, 0) : -EINVAL); }
int mr_epoll_create1(int flags) { return RESULT_INT(sock_epoll_create(api_socks, flags)); }

int mr_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
        return RESULT_INT(sock_epoll_ctl(api_socks, epfd, op, fd, event));
}

int mr_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
        return RESULT_INT(sock_epoll_wait(api_socks, epfd, events, max, ns_of_ms(timeout_ms)));
}

int mr_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
                    const sigset_t *sigmask)
{
        uint64_t ns = TIME_NEVER;

        if (sigmask)
                return RESULT_INT(-EINVAL);
        if (timeout) {
                if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)
                        return RESULT_INT(-EINVAL);
                if ((uint64_t)timeout->tv_sec < TIME_NEVER / SEC(2))
                        ns = SEC(timeout->tv_sec) + (uint64_t)timeout->tv_nsec;
        }
        return RESULT_INT(sock_epoll_wait(api_socks, epfd, events, max, ns));
}
