/* SPDX-License-Identifier: MIT */
/* tcp/cc_reno.c - Slow start and congestion avoidance as of RFC 5681
 *
 * With appropriate byte counting (RFC 3465): growth follows the octets
 * acknowledged, so neither delayed ACKs nor many small ACKs change it.
 */
#include "tcp/cc.h"

uint32_t cc_initial_window(const struct tcp *t, const struct tcp_conn *c)
{
        uint32_t segs = t->conf.initial_window_segs;
        if (c->flags & TF_SYN_RETRIED)
                return c->mss;                          /* RFC 5681 3.1: one segment after a lost SYN */
        return u32_min(segs * c->mss, u32_max(2u * c->mss, segs * 1460));
}

/* RFC 5681 4.1: after an idle RTO, no more than the initial window. */
static void reno_restart(struct tcp *t, struct tcp_conn *c)
{
        uint32_t iw = cc_initial_window(t, c);
        c->cwnd = c->cwnd ? u32_min(c->cwnd, iw) : iw;
        if (!c->ssthresh)
                c->ssthresh = UINT32_MAX;               /* RFC 5681 3.1: arbitrarily high */
}

static void reno_on_ack(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, uint32_t acked)
{
        if (c->cwnd < c->ssthresh) {
                /* No limit L (RFC 3465 2.3): one ACK may stand for a whole super-segment. */
                c->cwnd = u32_min(c->cwnd + acked, CWND_MAX);
                return;
        }
        f->cwnd_acked += acked;
        if (f->cwnd_acked >= c->cwnd) {                 /* RFC 5681 (3), RFC 3465 2.1 */
                f->cwnd_acked -= c->cwnd;
                c->cwnd = u32_min(c->cwnd + c->mss, CWND_MAX);
        }
}

/* RFC 5681 (4) */
static uint32_t reno_ssthresh(const struct tcp *t, const struct tcp_conn *c, uint32_t in_flight)
{
        return u32_max(in_flight / 2, 2u * c->mss);
}

const struct tcp_cc cc_reno = {
        .name = "reno",
        .restart = reno_restart,
        .on_ack = reno_on_ack,
        .ssthresh = reno_ssthresh,
};
