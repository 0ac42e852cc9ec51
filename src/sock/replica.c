/* SPDX-License-Identifier: MIT */
/* sock/replica.c - Listeners of other shards, as they live here; see sock.h
 *
 * Who listens where is told by src/stack/listeners.c.  A table by
 * descriptor, of which only the pages that are touched cost memory, leads to
 * the replica.  The number that its record stands for in this shard's own
 * descriptors is taken, and leads nowhere.
 */
#include "base/mem.h"
#include "sock/sock_priv.h"

static uint64_t number_cnt(const struct socks *ss) { return (uint64_t)ss->conf.max_socks << ss->fd_shift; }

int replicas_init(struct socks *ss)
{
        if (ss->conf.fd_stride == 1)
                return 0;
        ss->replica = mem_map(number_cnt(ss) * sizeof *ss->replica, MEM_SMALL);
        return ss->replica ? 0 : -ENOMEM;
}

void replicas_fini(struct socks *ss)
{
        mem_unmap(ss->replica, number_cnt(ss) * sizeof *ss->replica, MEM_SMALL);
}

uint32_t replica_of(const struct socks *ss, uint32_t n)
{
        if (!ss->replica || n >= number_cnt(ss))
                return 0;
        if (!ss->replica[n] && ss->env.catch_up)
                ss->env.catch_up(ss->env.arg);
        return ss->replica[n];
}

static uint32_t number_of(const struct socks *ss, int fd) { return (uint32_t)fd - ss->conf.fd_base; }

static bool is_own(const struct socks *ss, int fd)
{
        return (number_of(ss, fd) & (ss->conf.fd_stride - 1)) == ss->conf.fd_shard;
}

bool sock_listens(const struct socks *ss, int fd)
{
        uint32_t idx = fd >= 0 && is_own(ss, fd) ? sock_of_fd(ss, fd) : 0;
        return idx && sock_at(ss, idx)->kind == KIND_LISTENER;
}

void sock_listener_get(const struct socks *ss, int fd, uint32_t backlog, struct sock_listener *out)
{
        const struct sock *s = sock_at(ss, sock_of_fd(ss, fd));
        const struct sock_ext *ext = sock_ext(ss, s);

        *out = (struct sock_listener){ .flags = s->flags, .backlog = backlog, .has_ext = ext != NULL };
        out->port = name_bound(ss, s, &out->addr);
        sock_opts_get(ss, s, &out->opts);
        if (ext)
                out->ext = *ext;
}

/* The record gets its binding, its options and its place with the engine.  0 or a negative errno. */
static int replica_listen(struct socks *ss, uint32_t idx, const struct sock_listener *l)
{
        uint8_t reuse = (uint8_t)((l->flags & SOCKF_REUSEADDR ? BINDING_REUSEADDR : 0) |
                                  (l->flags & SOCKF_REUSEPORT ? BINDING_REUSEPORT : 0));
        struct sock *s = sock_at(ss, idx);
        uint32_t listener;

        struct sock_ext *ext = sock_ext_need(ss, s);
        if (!ext)
                return -ENOBUFS;
        if (l->has_ext)
                *ext = l->ext;
        ext->binding = 0;
        int rc = ports_replica(tcp_ports(ss->tcp), &l->addr, l->port, reuse, &ext->binding);
        if (rc == 0)
                rc = tcp_listen(ss->tcp, ext->binding, u32_min(l->backlog, ss->conf.somaxconn), &l->opts, idx,
                                &listener);
        if (rc < 0)
                return rc;
        s->conn = listener;
        s->kind = KIND_LISTENER;
        return 0;
}

int sock_replica_add(struct socks *ss, int fd, const struct sock_listener *l)
{
        uint32_t idx, n = number_of(ss, fd);

        ASSERT(!is_own(ss, fd) && n < number_cnt(ss) && !ss->replica[n]);
        if (sock_new(ss, KIND_TCP, l->flags | SOCKF_REPLICA, &idx) < 0)
                return -ENOBUFS;
        int rc = replica_listen(ss, idx, l);
        if (rc < 0)
                conn_release(ss, idx);
        else
                ss->replica[n] = idx;
        return rc < 0 ? -ENOBUFS : 0;
}

void sock_replica_remove(struct socks *ss, int fd)
{
        if (ss->replica[number_of(ss, fd)])
                sock_close(ss, fd);
}

void sock_replica_backlog(struct socks *ss, int fd, uint32_t backlog)
{
        uint32_t idx = ss->replica[number_of(ss, fd)];
        if (idx && sock_at(ss, idx)->kind == KIND_LISTENER)
                tcp_listen_backlog(ss->tcp, sock_at(ss, idx)->conn, u32_min(backlog, ss->conf.somaxconn));
}
