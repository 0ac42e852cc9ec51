/* SPDX-License-Identifier: MIT */
/* tests/api/names.h - One program, two stacks
 *
 * Compiled with -DUSE_KERNEL the calls are the kernel's, else Millrace's over
 * a `loop:` device.  Included last.
 */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef USE_KERNEL
#define SELF "127.0.0.1"
static inline void stack_start(void) { }
static inline void stack_stop(void) { }
#else
#include <millrace/epoll.h>
#include <millrace/millrace.h>
#include <millrace/socket.h>

#define SELF "10.77.0.1"

static inline void stack_start(void)
{
        struct mr_conf conf;
        char err[256];

        mr_conf_default(&conf);
        if (mr_conf_set(&conf, "dev", "loop:", err, sizeof err) < 0 ||
            mr_conf_set(&conf, "addr", SELF "/24", err, sizeof err) < 0 ||
            mr_conf_set(&conf, "max_conns", "1000", err, sizeof err) < 0 ||
            mr_conf_set(&conf, "log", "warn", err, sizeof err) < 0 || mr_start(&conf, err, sizeof err) < 0) {
                fprintf(stderr, "parity: %s\n", err);
                exit(1);
        }
}

static inline void stack_stop(void) { mr_stop(); }

#define socket       mr_socket
#define bind         mr_bind
#define listen       mr_listen
#define accept       mr_accept
#define accept4      mr_accept4
#define connect      mr_connect
#define shutdown     mr_shutdown
#define close        mr_close
#define send         mr_send
#define sendto       mr_sendto
#define sendmsg      mr_sendmsg
#define write        mr_write
#define writev       mr_writev
#define recv         mr_recv
#define recvfrom     mr_recvfrom
#define recvmsg      mr_recvmsg
#define read         mr_read
#define readv        mr_readv
#define getsockopt   mr_getsockopt
#define setsockopt   mr_setsockopt
#define getsockname  mr_getsockname
#define getpeername  mr_getpeername
#define fcntl        mr_fcntl
#define ioctl        mr_ioctl
#define poll         mr_poll
#define epoll_create1 mr_epoll_create1
#define epoll_ctl    mr_epoll_ctl
#define epoll_wait   mr_epoll_wait
#endif
