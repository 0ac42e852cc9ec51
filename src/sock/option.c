/* SPDX-License-Identifier: MIT */
/* sock/option.c - getsockopt, setsockopt and the level SOL_SOCKET
 *
 * Ranges, lengths and errors are Linux's (socket(7), tcp(7), ip(7) and what
 * its code does where those are silent).  An option that would be accepted
 * without doing what it says is not accepted: ENOPROTOOPT.
 */
#include "sock/sock_priv.h"

#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>

enum { SNDBUF_MIN = 4608, RCVBUF_MIN = 2304 };  /* Linux's SOCK_MIN_SNDBUF and SOCK_MIN_RCVBUF, after doubling */

int option_put(void *val, socklen_t *len, const void *from, socklen_t size)
{
        if (!len)
                return -EFAULT;
        if ((int)*len < 0)
                return -EINVAL;
        if (*len > size)
                *len = size;
        if (*len && !val)
                return -EFAULT;
        memcpy(val, from, *len);
        return 0;
}

int option_put_int(void *val, socklen_t *len, int v) { return option_put(val, len, &v, sizeof v); }

/* ---- get ---- */

static int get_linger(const struct socks *ss, const struct sock *s, void *val, socklen_t *len)
{
        const struct sock_ext *ext = sock_ext(ss, s);
        struct linger l = { .l_onoff = ext && ext->linger, .l_linger = ext ? (int)ext->linger_s : 0 };
        return option_put(val, len, &l, sizeof l);
}

static int get_timeo(uint64_t timeo_ns, void *val, socklen_t *len)
{
        struct timeval tv = {
                .tv_sec = (time_t)(timeo_ns / SEC(1)), .tv_usec = (suseconds_t)(timeo_ns % SEC(1) / US(1)),
        };
        return option_put(val, len, &tv, sizeof tv);
}

static int get_socket(struct socks *ss, struct sock *s, int name, void *val, socklen_t *len)
{
        const struct sock_ext *ext = sock_ext(ss, s);
        struct tcp_opts opts;

        sock_opts_get(ss, s, &opts);
        switch (name) {
        case SO_TYPE:           return option_put_int(val, len, SOCK_STREAM);
        case SO_PROTOCOL:       return option_put_int(val, len, IPPROTO_TCP);
        case SO_DOMAIN:         return option_put_int(val, len, AF_INET);
        case SO_ACCEPTCONN:     return option_put_int(val, len, s->kind == KIND_LISTENER);
        case SO_ERROR:          return option_put_int(val, len, sock_error_take(ss, s));
        case SO_REUSEADDR:      return option_put_int(val, len, !!(s->flags & SOCKF_REUSEADDR));
        case SO_REUSEPORT:      return option_put_int(val, len, !!(s->flags & SOCKF_REUSEPORT));
        case SO_BROADCAST:      return option_put_int(val, len, !!(s->flags & SOCKF_BROADCAST));
        case SO_KEEPALIVE:      return option_put_int(val, len, opts.keepalive);
        case SO_SNDBUF:         return option_put_int(val, len, (int)(2 * opts.sndbuf));
        case SO_RCVBUF:         return option_put_int(val, len, (int)(2 * opts.rcvbuf));
        case SO_RCVLOWAT:       return option_put_int(val, len, (int)sock_rcvlowat(ss, s));
        case SO_SNDLOWAT:       return option_put_int(val, len, 1);
        case SO_LINGER:         return get_linger(ss, s, val, len);
        case SO_RCVTIMEO:       return get_timeo(ext ? ext->rcvtimeo_ns : 0, val, len);
        case SO_SNDTIMEO:       return get_timeo(ext ? ext->sndtimeo_ns : 0, val, len);
        default:                return -ENOPROTOOPT;
        }
}

int sock_getsockopt(struct socks *ss, int fd, int level, int name, void *val, socklen_t *len)
{
        struct sock *s;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if (!len)
                return -EFAULT;
        if ((int)*len < 0)
                return -EINVAL;
        switch (level) {
        case SOL_SOCKET:        return get_socket(ss, s, name, val, len);
        case IPPROTO_TCP:       return option_tcp_get(ss, s, name, val, len);
        case IPPROTO_IP:        return option_ip_get(ss, s, name, val, len);
        default:                return -EOPNOTSUPP;
        }
}

/* ---- set ---- */

static int set_flag(struct sock *s, enum sock_flag flag, bool on)
{
        sock_flag_set(s, flag, on);
        return 0;
}

/* Also of a socket that is bound already: its claim changes with it. */
static int set_reuse(struct socks *ss, struct sock *s, enum sock_flag flag, uint8_t binding_flag,
                     bool on)
{
        uint32_t binding = sock_binding(ss, s);
        if (binding) {
                struct ports *ports = tcp_ports(ss->tcp);
                uint8_t flags = ports_binding(ports, binding)->flags;
                ports_set_flags(ports, binding, (uint8_t)(on ? flags | binding_flag : flags & ~binding_flag));
        }
        return set_flag(s, flag, on);
}

/* Linux doubles what it is given, for its own overhead, and tells the double; ours counts octets of data alone. */
static int set_buf(struct socks *ss, struct sock *s, int name, uint32_t val)
{
        struct tcp_opts opts;

        sock_opts_get(ss, s, &opts);
        val = u32_min(val, ss->conf.buf_max);
        if (name == SO_SNDBUF)
                opts.sndbuf = u32_max(val, SNDBUF_MIN / 2);
        else
                opts.rcvbuf = u32_max(val, RCVBUF_MIN / 2);
        return sock_opts_set(ss, s, &opts);
}

static int set_keepalive(struct socks *ss, struct sock *s, bool on)
{
        struct tcp_opts opts;
        sock_opts_get(ss, s, &opts);
        opts.keepalive = on;
        return sock_opts_set(ss, s, &opts);
}

static int set_linger(struct socks *ss, struct sock *s, const void *val, socklen_t len)
{
        struct linger l;

        if (len < sizeof l)
                return -EINVAL;
        memcpy(&l, val, sizeof l);
        struct sock_ext *ext = sock_ext_need(ss, s);
        if (!ext)
                return -ENOBUFS;
        ext->linger = l.l_onoff;
        if (l.l_onoff)
                ext->linger_s = (uint32_t)l.l_linger;
        return 0;
}

static int set_timeo(struct socks *ss, struct sock *s, int name, const void *val, socklen_t len)
{
        struct timeval tv;

        if (len < sizeof tv)
                return -EINVAL;
        memcpy(&tv, val, sizeof tv);
        if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
                return -EDOM;
        struct sock_ext *ext = sock_ext_need(ss, s);
        if (!ext)
                return -ENOBUFS;
        /* Linux: less than no time at all means one look and no wait; so much that it overflows, for ever. */
        uint64_t ns = 0;
        if (tv.tv_sec < 0)
                ns = 1;
        else if ((uint64_t)tv.tv_sec < UINT64_MAX / SEC(2))
                ns = SEC(tv.tv_sec) + US(tv.tv_usec);
        *(name == SO_RCVTIMEO ? &ext->rcvtimeo_ns : &ext->sndtimeo_ns) = ns;
        return 0;
}

static int set_rcvlowat(struct socks *ss, struct sock *s, int val)
{
        struct tcp_opts opts;

        sock_opts_get(ss, s, &opts);
        struct sock_ext *ext = sock_ext_need(ss, s);
        if (!ext)
                return -ENOBUFS;
        /* More than fits into the buffer would never come. */
        ext->rcvlowat = val < 0 ? opts.rcvbuf : u32_min((uint32_t)val, opts.rcvbuf);
        if (val == 0)
                ext->rcvlowat = 1;
        sock_flag_set(s, SOCKF_RCVLOWAT, ext->rcvlowat != 1);
        epoll_wake(ss, sock_idx(ss, s), EPOLLIN | EPOLLRDNORM);
        return 0;
}

static int set_socket(struct socks *ss, struct sock *s, int name, const void *val, socklen_t len)
{
        int v;

        if (len < sizeof v)
                return -EINVAL;
        memcpy(&v, val, sizeof v);
        switch (name) {
        case SO_REUSEADDR:      return set_reuse(ss, s, SOCKF_REUSEADDR, BINDING_REUSEADDR, v);
        case SO_REUSEPORT:      return set_reuse(ss, s, SOCKF_REUSEPORT, BINDING_REUSEPORT, v);
        case SO_BROADCAST:      return set_flag(s, SOCKF_BROADCAST, v);
        case SO_KEEPALIVE:      return set_keepalive(ss, s, v);
        case SO_SNDBUF:
        case SO_RCVBUF:         return set_buf(ss, s, name, (uint32_t)v);
        case SO_RCVLOWAT:       return set_rcvlowat(ss, s, v);
        case SO_LINGER:         return set_linger(ss, s, val, len);
        case SO_RCVTIMEO:
        case SO_SNDTIMEO:       return set_timeo(ss, s, name, val, len);
        default:                return -ENOPROTOOPT;
        }
}

int sock_setsockopt(struct socks *ss, int fd, int level, int name, const void *val, socklen_t len)
{
        struct sock *s;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if ((int)len < 0)
                return -EINVAL;
        if (len && !val)
                return -EFAULT;
        switch (level) {
        case SOL_SOCKET:        return set_socket(ss, s, name, val, len);
        case IPPROTO_TCP:       return option_tcp_set(ss, s, name, val, len);
        case IPPROTO_IP:        return option_ip_set(ss, s, name, val, len);
        default:                return -ENOPROTOOPT;
        }
}
