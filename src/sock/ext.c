/* SPDX-License-Identifier: MIT */
/* sock/ext.c - The part of a socket that few have
 *
 * TCP's options are held by the connection while there is one, and here while
 * there is none; a socket that never set one has neither a copy nor a record.
 */
#include "sock/sock_priv.h"

#include <string.h>

struct sock_ext *sock_ext_need(struct socks *ss, struct sock *s)
{
        if (!s->ext) {
                uint32_t idx = slab_take(&ss->exts);
                if (!idx)
                        return NULL;
                *(struct sock_ext *)slab_at(&ss->exts, idx) = (struct sock_ext){ .rcvlowat = 1 };
                s->ext = idx;
        }
        return sock_ext(ss, s);
}

void sock_ext_free(struct socks *ss, struct sock *s)
{
        if (s->ext)
                slab_give(&ss->exts, s->ext);
        s->ext = 0;
}

/* Says more than the engine knows of a connection. */
static bool ext_matters(const struct sock_ext *ext)
{
        return ext->linger || ext->rcvtimeo_ns || ext->sndtimeo_ns || ext->rcvlowat != 1;
}

int sock_ext_inherit(struct socks *ss, struct sock *s, const struct sock *from)
{
        const struct sock_ext *theirs = sock_ext(ss, from);

        if (!theirs || !ext_matters(theirs))
                return 0;
        struct sock_ext *ours = sock_ext_need(ss, s);
        if (!ours)
                return -ENOBUFS;
        *ours = *theirs;
        ours->has_opts = false;         /* the engine gave the connection its listener's */
        ours->has_bind_addr = false;
        ours->binding = 0;
        s->flags |= from->flags & SOCKF_RCVLOWAT;
        return 0;
}

void sock_opts_get(const struct socks *ss, const struct sock *s, struct tcp_opts *opts)
{
        const struct sock_ext *ext = sock_ext(ss, s);

        if (s->kind == KIND_TCP && s->conn)
                tcp_opts_get(ss->tcp, s->conn, opts);
        else
                *opts = ext && ext->has_opts ? ext->opts : ss->conf.opts;
}

int sock_opts_set(struct socks *ss, struct sock *s, const struct tcp_opts *opts)
{
        if (s->kind == KIND_TCP && s->conn)
                return tcp_opts_set(ss->tcp, s->conn, opts, sock_now(ss));

        struct sock_ext *ext = sock_ext_need(ss, s);
        if (!ext)
                return -ENOBUFS;
        ext->opts = *opts;
        ext->has_opts = true;
        if (s->kind == KIND_LISTENER)
                tcp_listen_opts(ss->tcp, s->conn, opts);
        return 0;
}

void sock_ext_settle(struct socks *ss, struct sock *s)
{
        const struct sock_ext *ext = sock_ext(ss, s);

        if (!ext || ext->binding || ext_matters(ext))
                return;
        sock_flag_set(s, SOCKF_BIND_ADDR, ext->has_bind_addr);
        sock_ext_free(ss, s);
}

void sock_opts_keep(struct socks *ss, struct sock *s)
{
        bool bound = s->flags & SOCKF_BIND_ADDR;
        struct flow_key key;
        struct tcp_opts opts;

        sock_opts_get(ss, s, &opts);
        bool needed = bound || memcmp(&opts, &ss->conf.opts, sizeof opts);
        struct sock_ext *ext = needed ? sock_ext_need(ss, s) : sock_ext(ss, s);
        if (!ext)
                return;
        ext->opts = opts;
        ext->has_opts = true;
        if (bound) {
                tcp_key_of(ss->tcp, s->conn, &key);
                ext->bind_addr = key.laddr;
                ext->has_bind_addr = true;
                sock_flag_set(s, SOCKF_BIND_ADDR, false);
        }
}
