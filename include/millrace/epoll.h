/* SPDX-License-Identifier: MIT */
/* millrace/epoll.h - epoll for Millrace's descriptors
 *
 * As epoll(7): level-triggered, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE, epoll in
 * epoll.  EPOLLWAKEUP is ignored.  Descriptors of the kernel are EBADF.
 *
 * mr_epoll_wait() is where the stack works (see socket.h): each call receives,
 * lets timers run and sends at least once, whether or not it then waits.
 */
#pragma once
#include <millrace/export.h>

#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

MR_API int mr_epoll_create(int size);
MR_API int mr_epoll_create1(int flags);
/* @event is not changed; it is not const because epoll_ctl(2)'s is not. */
MR_API int mr_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
MR_API int mr_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms);
/* To the nanosecond; @timeout NULL: for ever.  @sigmask must be NULL (EINVAL). */
MR_API int mr_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
                           const sigset_t *sigmask);

#ifdef __cplusplus
}
#endif
