/* SPDX-License-Identifier: MIT */
/* tcp/loss.c - What was lost, and sending it again (RFC 5681 3.2, RFC 6582 NewReno)
 *
 *      dup ACK 1, 2      limited transmit (RFC 3042): output.c may send one new segment each
 *      dup ACK 3         ssthresh, cwnd = ssthresh + 3 MSS, SND.UNA's segment again: recovery begins
 *      dup ACK 4...      cwnd + MSS each: a segment has left the network
 *      partial ACK       the next hole is lost too: its segment again, cwnd deflated
 *      full ACK          cwnd = ssthresh, recovery ends
 *      RTO               cwnd = 1 MSS, SND.NXT back to SND.UNA, slow start
 *
 * Without SACK this is all there is to know; a scoreboard will have its own file.
 */
#include "tcp/cc.h"

enum { DUP_ACK_THRESHOLD = 3 };

static uint32_t in_flight(const struct tcp_conn *c, const struct tcp_flight *f)
{
        return (uint32_t)seq_diff(f->snd_max, c->snd_una);
}

static void retransmit_first(struct tcp *t, struct tcp_conn *c)
{
        c->flags |= TF_REXMIT_ONE;
        conn_pull(t, c);
}

void loss_on_dup_ack(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f)
{
        count(t->counters, CNT_TCP_DUP_ACKS);
        if (f->in_recovery) {
                c->cwnd = u32_min(c->cwnd + c->mss, CWND_MAX);  /* RFC 6582 3.2 step 3 (fast recovery, RFC 5681 3.2 (4)) */
                conn_pull(t, c);
                return;
        }
        if (f->dup_acks < UINT8_MAX)
                f->dup_acks++;
        if (f->dup_acks < DUP_ACK_THRESHOLD) {
                conn_pull(t, c);                        /* RFC 3042 */
                return;
        }
        /* RFC 6582 3.2 step 2: not for what was sent before the last recovery or RTO ended. */
        if (f->dup_acks != DUP_ACK_THRESHOLD || !seq_gt(c->snd_una, f->recover))
                return;
        count(t->counters, CNT_TCP_FAST_RETRANS);
        f->in_recovery = true;
        f->recover = f->snd_max;
        c->ssthresh = cc_reno.ssthresh(t, c, in_flight(c, f));
        c->cwnd = c->ssthresh + DUP_ACK_THRESHOLD * c->mss;
        f->cwnd_acked = 0;
        retransmit_first(t, c);
}

/* SND.UNA has moved, by @acked octets of the queue. */
void loss_on_ack(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, uint32_t acked)
{
        f->dup_acks = 0;
        if (!f->in_recovery)
                return;
        if (seq_ge(c->snd_una, f->recover)) {
                /* RFC 6582 3.2 full acknowledgment, option (1): no burst. */
                c->cwnd = u32_min(c->ssthresh, u32_max(in_flight(c, f), c->mss) + c->mss);
                f->in_recovery = false;
                return;
        }
        /* RFC 6582 3.2 partial acknowledgment. */
        count(t->counters, CNT_TCP_PARTIAL_ACKS);
        c->cwnd -= u32_min(acked, c->cwnd - c->mss);
        if (acked >= c->mss)
                c->cwnd += c->mss;
        retransmit_first(t, c);
}

void loss_on_rto(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f)
{
        if (c->backoff == 0 && !f->syn)                 /* RFC 5681 3.1 (4): once per loss */
                c->ssthresh = cc_reno.ssthresh(t, c, in_flight(c, f));
        if (!f->syn)                                    /* before, there is no window: see cc_initial_window() */
                c->cwnd = c->mss;
        f->cwnd_acked = 0;
        f->in_recovery = false;
        f->dup_acks = 0;
        f->recover = f->snd_max;                        /* RFC 6582 4 */
        f->rtt_start_ns = 0;                            /* RFC 6298 3, Karn: nothing resent is timed */
        c->snd_nxt = c->snd_una;
        c->flags &= ~(uint32_t)TF_REXMIT_ONE;
}
