/* SPDX-License-Identifier: MIT */
/* tcp/ready.c - What can be done with a connection now, in one look
 *
 * epoll asks this of every connection that it reports, most of them cold: so
 * the attached parts are touched only where the connection alone cannot tell.
 */
#include "tcp/engine.h"

/* Of a connection that is not simply open. */
static uint32_t ready_more(const struct tcp_conn *c)
{
        uint32_t ready = c->error ? TCP_READY_ERROR : 0;

        if (c->state == TCP_CLOSED)
                ready |= TCP_READY_CLOSED | TCP_READY_EOF | TCP_READY_SHUT;
        else if (c->state < TCP_ESTABLISHED)
                ready |= TCP_READY_OPENING;
        if (c->flags & (TF_FIN_RCVD | TF_RCV_SHUT))
                ready |= TCP_READY_EOF;
        if (c->flags & TF_FIN_QUEUED)
                ready |= TCP_READY_SHUT;
        return ready;
}

uint32_t tcp_ready(const struct tcp *t, uint32_t conn, uint32_t want)
{
        struct tcp_conn room;
        const struct tcp_conn *c = rest_look(t, conn, &room);
        uint32_t ready = 0;

        /* A queue may hold nothing but what came out of order. */
        if (want & TCP_READY_READ && c->recvq && recvq_at(t, c)->len)
                ready = TCP_READY_READ;
        if (want & TCP_READY_WRITE && send_room(t, c))
                ready |= TCP_READY_WRITE;
        if (c->state == TCP_ESTABLISHED && !(c->flags & (TF_FIN_RCVD | TF_RCV_SHUT | TF_FIN_QUEUED)) && !c->error)
                return ready;
        return ready | ready_more(c);
}

void tcp_prefetch(const struct tcp *t, uint32_t conn)
{
        __builtin_prefetch(rest_at(t, conn));
}
