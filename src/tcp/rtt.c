/* SPDX-License-Identifier: MIT */
/* tcp/rtt.c - RFC 6298: how long a round trip takes, and when to worry */
#include "tcp/engine.h"

/* RFC 6298 2.2, 2.3, with srtt in 1/8 and rttvar in 1/4 us so that the gains are shifts. */
void rtt_sample(struct tcp_conn *c, uint64_t rtt_us)
{
        int32_t m = (int32_t)u64_min(u64_max(rtt_us, 1), 60u * 1000 * 1000);

        if (c->srtt_us8 == 0) {
                c->srtt_us8 = (uint32_t)m << 3;         /* SRTT = R */
                c->rttvar_us4 = (uint32_t)m << 1;       /* RTTVAR = R/2 */
                return;
        }
        int32_t err = m - (int32_t)(c->srtt_us8 >> 3);
        c->srtt_us8 = (uint32_t)((int32_t)c->srtt_us8 + err);           /* SRTT += err / 8 */
        if (err < 0)
                err = -err;
        c->rttvar_us4 = (uint32_t)((int32_t)c->rttvar_us4 + err - (int32_t)(c->rttvar_us4 >> 2));
        if (c->srtt_us8 < 8)
                c->srtt_us8 = 8;
}

/* RFC 6298 2.1 (1 s before the first sample; 3 s if the SYN had to be repeated, 5.7),
 * 2.3 (SRTT + max(G, 4 RTTVAR)), 2.4 (a minimum; Linux's 200 ms), 2.5 (a maximum), 5.5 (backoff). */
uint64_t rto_ns(const struct tcp *t, const struct tcp_conn *c)
{
        enum { CLOCK_GRANULARITY_US = 1000 };
        uint64_t rto;

        if (c->srtt_us8)
                rto = US((c->srtt_us8 >> 3) + u32_max(c->rttvar_us4, CLOCK_GRANULARITY_US));
        else if (c->flags & TF_SYN_RETRIED && c->state != TCP_SYN_SENT && c->state != TCP_SYN_RECEIVED)
                rto = SEC(3);
        else
                rto = SEC(1);
        rto = u64_max(rto, t->conf.rto_min_ns);
        return u64_min(rto << (c->backoff < 16 ? c->backoff : 16), t->conf.rto_max_ns);
}
