/* SPDX-License-Identifier: MIT */
/* tcp/cc.h - Congestion control, behind a few functions
 *
 * A new algorithm is a file cc_NAME.c that fills in struct tcp_cc.  It decides
 * cwnd and ssthresh and nothing else: what was lost is loss.c's business, when
 * to send is output.c's.
 */
#pragma once
#include "tcp/engine.h"

enum { CWND_MAX = 1 << 30 };            /* octets: the largest window there can be (RFC 7323 2.3) */

struct tcp_cc {
        const char *name;

        /* The connection is established, or data flows again after a pause of more than an RTO. */
        void (*restart)(struct tcp *t, struct tcp_conn *c);

        /* @acked octets were acknowledged outside recovery; the window was in use (RFC 7661). */
        void (*on_ack)(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, uint32_t acked);

        /* Loss seen with @in_flight octets out: the new ssthresh. */
        uint32_t (*ssthresh)(const struct tcp *t, const struct tcp_conn *c, uint32_t in_flight);
};

extern const struct tcp_cc cc_reno;

/* RFC 6928: min(10 MSS, max(2 MSS, 14600)). */
uint32_t cc_initial_window(const struct tcp *t, const struct tcp_conn *c);
