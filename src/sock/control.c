/* SPDX-License-Identifier: MIT */
/* sock/control.c - fcntl and ioctl */
#include "sock/sock_priv.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

int sock_fcntl(struct socks *ss, int fd, int cmd, long arg)
{
        uint32_t idx = sock_of_fd(ss, fd);
        if (!idx)
                return -EBADF;
        struct sock *s = sock_at(ss, idx);

        switch (cmd) {
        case F_GETFL:
                return O_RDWR | (s->flags & SOCKF_NONBLOCK ? O_NONBLOCK : 0);
        case F_SETFL:                           /* the access mode and flags that mean nothing here are ignored */
                sock_flag_set(s, SOCKF_NONBLOCK, arg & O_NONBLOCK);
                return 0;
        case F_GETFD:
                return s->flags & SOCKF_CLOEXEC ? FD_CLOEXEC : 0;
        case F_SETFD:
                sock_flag_set(s, SOCKF_CLOEXEC, arg & FD_CLOEXEC);
                return 0;
        default:
                return -EINVAL;
        }
}

/* 0 and *@n: what one of the counting requests tells.  A listener has no streams. */
static int count_queued(const struct socks *ss, const struct sock *s, unsigned long request, uint32_t *n)
{
        enum tcp_state state = conn_state(ss, s);
        bool opening = state == TCP_SYN_SENT || state == TCP_SYN_RECEIVED;

        *n = 0;
        if (!s->conn || opening)
                return 0;
        switch (request) {
        case FIONREAD:          *n = tcp_recv_avail(ss->tcp, s->conn); return 0;
        case SIOCOUTQ:          *n = tcp_send_queued(ss->tcp, s->conn); return 0;
        case SIOCOUTQNSD:       *n = tcp_send_unsent(ss->tcp, s->conn); return 0;
        default:                return -ENOTTY;
        }
}

int sock_ioctl(struct socks *ss, int fd, unsigned long request, void *arg)
{
        uint32_t n, idx = sock_of_fd(ss, fd);
        if (!idx)
                return -EBADF;
        struct sock *s = sock_at(ss, idx);

        switch (request) {
        case FIONBIO:
                if (!arg)
                        return -EFAULT;
                sock_flag_set(s, SOCKF_NONBLOCK, *(const int *)arg);
                return 0;
        case FIOCLEX:
        case FIONCLEX:
                sock_flag_set(s, SOCKF_CLOEXEC, request == FIOCLEX);
                return 0;
        case FIONREAD:
        case SIOCOUTQ:
        case SIOCOUTQNSD:
                if (s->kind != KIND_TCP)
                        return -EINVAL;
                if (!arg)
                        return -EFAULT;
                int rc = count_queued(ss, s, request, &n);
                if (rc == 0)
                        *(int *)arg = (int)n;
                return rc;
        default:
                return -ENOTTY;
        }
}
