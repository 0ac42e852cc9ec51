/* SPDX-License-Identifier: MIT */
/* sock/name.c - Socket addresses: their two forms, bind, who am I, who are you */
#include "sock/sock_priv.h"

#include <netinet/in.h>
#include <string.h>

int name_parse(const struct sockaddr *sa, socklen_t len, struct ip_addr *addr, uint16_t *port)
{
        struct sockaddr_in in;

        if (len > sizeof(struct sockaddr_storage))
                return -EINVAL;
        if (len && !sa)
                return -EFAULT;
        if (len < sizeof in)
                return -EINVAL;
        memcpy(&in, sa, sizeof in);
        if (in.sin_family != AF_INET)
                return -EAFNOSUPPORT;
        *addr = ip_addr_v4(be32_at((const uint8_t *)&in.sin_addr));
        *port = be16_at((const uint8_t *)&in.sin_port);
        return 0;
}

static socklen_t name_make(struct sockaddr_storage *out, const struct ip_addr *addr, uint16_t port)
{
        memset(out, 0, sizeof *out);
        if (ip_addr_is_v4(addr)) {
                struct sockaddr_in *in = (struct sockaddr_in *)out;
                in->sin_family = AF_INET;
                be16_to((uint8_t *)&in->sin_port, port);
                be32_to((uint8_t *)&in->sin_addr, ip_addr_to_v4(addr));
                return sizeof *in;
        }
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        be16_to((uint8_t *)&in6->sin6_port, port);
        memcpy(&in6->sin6_addr, addr, 16);
        return sizeof *in6;
}

int name_emit(struct sockaddr *sa, socklen_t *len, const struct ip_addr *addr, uint16_t port)
{
        struct sockaddr_storage full;

        if (!len)
                return -EFAULT;
        if ((int)*len < 0)
                return -EINVAL;
        if (*len && !sa)
                return -EFAULT;
        socklen_t size = name_make(&full, addr, port);
        memcpy(sa, &full, *len < size ? *len : size);
        *len = size;
        return 0;
}

int name_bind(struct socks *ss, struct sock *s, const struct ip_addr *addr, uint16_t port)
{
        uint8_t flags = (uint8_t)((s->flags & SOCKF_REUSEADDR ? BINDING_REUSEADDR : 0) |
                                  (s->flags & SOCKF_REUSEPORT ? BINDING_REUSEPORT : 0));
        struct sock_ext *ext = sock_ext_need(ss, s);
        return ext ? ports_bind(tcp_ports(ss->tcp), addr, port, flags, &ext->binding) : -ENOBUFS;
}

uint16_t name_bound(const struct socks *ss, const struct sock *s, struct ip_addr *addr)
{
        const struct sock_ext *ext = sock_ext(ss, s);

        if (ext && ext->binding) {
                const struct binding *b = ports_binding(tcp_ports(ss->tcp), ext->binding);
                *addr = b->addr;
                return b->port;
        }
        *addr = ext && ext->has_bind_addr ? ext->bind_addr : ip_addr_v4(0);
        return 0;
}

/* AF_UNSPEC with the address "any" binds too, as in Linux. */
static int bind_parse(const struct sockaddr *sa, socklen_t len, struct ip_addr *addr, uint16_t *port)
{
        int rc = name_parse(sa, len, addr, port);
        if (rc != -EAFNOSUPPORT || sa->sa_family != AF_UNSPEC)
                return rc;
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        if (in.sin_addr.s_addr != INADDR_ANY)
                return rc;
        in.sin_family = AF_INET;
        return name_parse((const struct sockaddr *)&in, sizeof in, addr, port);
}

/* The order of the checks is that of Linux's __inet_bind(). */
int sock_bind(struct socks *ss, int fd, const struct sockaddr *sa, socklen_t len)
{
        struct ip_addr addr, bound;
        struct sock *s;
        uint16_t port;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        rc = bind_parse(sa, len, &addr, &port);
        if (rc < 0)
                return rc;
        if (!ip_addr_is_any(&addr) && !ss->env.is_local(ss->env.arg, &addr))
                return -EADDRNOTAVAIL;
        if (s->conn || name_bound(ss, s, &bound))
                return -EINVAL;
        if (port || !(s->flags & SOCKF_BIND_NO_PORT))
                return name_bind(ss, s, &addr, port);

        struct sock_ext *ext = sock_ext_need(ss, s);    /* the port will be chosen with the peer */
        if (!ext)
                return -ENOBUFS;
        ext->bind_addr = addr;
        ext->has_bind_addr = true;
        return 0;
}

int sock_getsockname(struct socks *ss, int fd, struct sockaddr *sa, socklen_t *len)
{
        struct flow_key key = { 0 };
        struct sock *s;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        if (s->kind == KIND_TCP && s->conn)
                tcp_key_of(ss->tcp, s->conn, &key);
        else
                key.lport = name_bound(ss, s, &key.laddr);
        return name_emit(sa, len, &key.laddr, key.lport);
}

int sock_getpeername(struct socks *ss, int fd, struct sockaddr *sa, socklen_t *len)
{
        struct flow_key key;
        struct sock *s;

        int rc = sock_get(ss, fd, &s);
        if (rc < 0)
                return rc;
        enum tcp_state state = s->kind == KIND_TCP ? conn_state(ss, s) : TCP_CLOSED;
        if (state == TCP_CLOSED || state == TCP_SYN_SENT)
                return -ENOTCONN;
        tcp_key_of(ss->tcp, s->conn, &key);
        return name_emit(sa, len, &key.raddr, key.rport);
}
