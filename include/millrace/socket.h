/* SPDX-License-Identifier: MIT */
/* millrace/socket.h - The socket calls, mr_ in front
 *
 * They do what socket(2), connect(2) and so on do on Linux, with the same
 * types, constants, return values and errno.  What differs:
 *
 *   Descriptors are Millrace's own and begin at 1 << 30, so one is never
 *   mistaken for one of the kernel's: write(2) on it fails with EBADF, and so
 *   does mr_write() on one of the kernel's.
 *
 *   The stack works when it is called.  What mr_send() and mr_close() leave to
 *   be sent goes out with the next mr_epoll_wait(), mr_poll() or call that
 *   waits, and so does the acknowledgment of what was received.  A call that
 *   would answer EAGAIN lets the stack work first.
 *
 *   A thread without a stack of its own (mr_start(), mr_stack_attach()) gets
 *   -1 with errno ENXIO from every call.  With several shards a descriptor is
 *   good on the thread of its shard, a listening one on all (millrace.h, shards).
 *
 *   A signal ends a waiting call with EINTR also where SA_RESTART was asked for.
 *
 * Not there yet: AF_INET6 (EAFNOSUPPORT), SOCK_DGRAM (EPROTONOSUPPORT), urgent
 * data (EOPNOTSUPP to send; received as ordinary data), control messages
 * (ignored), F_DUPFD.  Options that are not there answer ENOPROTOOPT.
 */
#pragma once
#include <millrace/export.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

MR_API int mr_socket(int domain, int type, int protocol);
MR_API int mr_bind(int fd, const struct sockaddr *addr, socklen_t len);
MR_API int mr_listen(int fd, int backlog);
MR_API int mr_accept(int fd, struct sockaddr *addr, socklen_t *len);
MR_API int mr_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
MR_API int mr_connect(int fd, const struct sockaddr *addr, socklen_t len);
MR_API int mr_shutdown(int fd, int how);
MR_API int mr_close(int fd);

MR_API ssize_t mr_send(int fd, const void *buf, size_t len, int flags);
MR_API ssize_t mr_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                         socklen_t addr_len);
MR_API ssize_t mr_sendmsg(int fd, const struct msghdr *msg, int flags);
MR_API ssize_t mr_write(int fd, const void *buf, size_t len);
MR_API ssize_t mr_writev(int fd, const struct iovec *iov, int cnt);

MR_API ssize_t mr_recv(int fd, void *buf, size_t len, int flags);
MR_API ssize_t mr_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr, socklen_t *addr_len);
MR_API ssize_t mr_recvmsg(int fd, struct msghdr *msg, int flags);
MR_API ssize_t mr_read(int fd, void *buf, size_t len);
MR_API ssize_t mr_readv(int fd, const struct iovec *iov, int cnt);

/* SOL_SOCKET:  SO_ACCEPTCONN SO_BROADCAST SO_DOMAIN SO_ERROR SO_KEEPALIVE SO_LINGER SO_PROTOCOL SO_RCVBUF
 *              SO_RCVLOWAT SO_RCVTIMEO SO_REUSEADDR SO_REUSEPORT SO_SNDBUF SO_SNDLOWAT SO_SNDTIMEO SO_TYPE
 * IPPROTO_TCP: TCP_CORK TCP_INFO TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL TCP_MAXSEG TCP_NODELAY TCP_QUICKACK
 *              TCP_SYNCNT TCP_USER_TIMEOUT
 * IPPROTO_IP:  IP_BIND_ADDRESS_NO_PORT IP_TOS IP_TTL */
MR_API int mr_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
MR_API int mr_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
MR_API int mr_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
MR_API int mr_getpeername(int fd, struct sockaddr *addr, socklen_t *len);

/* F_GETFL F_SETFL (O_NONBLOCK) F_GETFD F_SETFD */
MR_API int mr_fcntl(int fd, int cmd, ...);
/* FIONBIO FIONREAD SIOCOUTQ SIOCOUTQNSD FIOCLEX FIONCLEX */
MR_API int mr_ioctl(int fd, unsigned long request, ...);

/* Millrace's descriptors only; those of the kernel are POLLNVAL. */
MR_API int mr_poll(struct pollfd *fds, nfds_t cnt, int timeout_ms);

#ifdef __cplusplus
}
#endif
