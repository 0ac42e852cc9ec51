/* SPDX-License-Identifier: MIT */
/* tcp/ack.c - RFC 9293 3.10.7.4 fifth: what an acknowledgment means
 *
 * Acceptance, the window, the send queue, the round-trip time, and the hand-over
 * to loss.c and the congestion control.  State changes that follow from our FIN
 * being acknowledged are made by input.c, by fin_is_acked().
 */
#include "tcp/cc.h"

/* Octets of queue (not SYN, not FIN) that moving SND.UNA from @una to @ack covers. */
static uint32_t octets_of(const struct tcp_flight *f, tcp_seq una, tcp_seq ack)
{
        uint32_t n = (uint32_t)seq_diff(ack, una);
        if (f->syn)
                n--;
        return u32_min(n, f->len);                      /* one more is the FIN */
}

/* RFC 7323 4.1 (RTTM from timestamps, also after a retransmission) or the one timed segment. */
static void take_rtt(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, const struct tcp_seg *seg, uint64_t now_ns)
{
        enum { TS_RTT_MAX_MS = 600 * 1000 };

        if (f->rtt_start_ns && seq_ge(seg->ack, f->rtt_seq)) {
                rtt_sample(c, (now_ns - f->rtt_start_ns) / 1000);
                f->rtt_start_ns = 0;
        } else if (c->flags & TF_TS && seg->has & TCP_HAS_TS && !f->rtt_start_ns && seg->ts_ecr) {
                uint32_t ms = ms_of_ns(now_ns) + c->ts_offset - seg->ts_ecr;
                if (ms < TS_RTT_MAX_MS)
                        rtt_sample(c, ms ? ms * 1000u : 500u);
        }
}

/* RFC 7661: growing is earned only by using the window. */
static bool window_was_used(const struct tcp_conn *c, uint32_t in_flight)
{
        return c->cwnd < c->ssthresh ? in_flight >= c->cwnd / 2 : in_flight + c->mss >= c->cwnd;
}

/* SND.UNA moves to the acknowledgment.  Returns octets of the queue that are gone. */
uint32_t ack_new(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, const struct tcp_seg *seg, uint64_t now_ns)
{
        uint32_t flight_before = (uint32_t)seq_diff(f->snd_max, c->snd_una);
        uint32_t octets = octets_of(f, c->snd_una, seg->ack);
        bool was_recovering = f->in_recovery;

        take_rtt(t, c, f, seg, now_ns);
        c->snd_una = seg->ack;
        f->syn = false;
        if (seq_lt(c->snd_nxt, c->snd_una))
                c->snd_nxt = c->snd_una;
        sendq_acked(t, f, octets);
        /* Marks that have been passed move along, or they would be ahead again after 2^31 octets. */
        if (seq_lt(f->snd_sml, c->snd_una))
                f->snd_sml = c->snd_una;
        if (!f->in_recovery && seq_lt(f->recover, seq_sub(c->snd_una, 1)))
                f->recover = seq_sub(c->snd_una, 1);
        f->stuck_since = tick_of_ns(now_ns);
        c->backoff = 0;
        c->probes = 0;
        loss_on_ack(t, c, f, octets);
        if (!was_recovering && octets && window_was_used(c, flight_before))
                cc_reno.on_ack(t, c, f, octets);

        /* RFC 6298 5.2, 5.3 */
        timers_stop(c, TIMER_RTO);
        bool all_acked = seq_eq(c->snd_una, f->snd_max);
        if (!all_acked)
                timers_set(t, c, TIMER_RTO, rto_ns(t, c), now_ns);
        bool fin_to_send = c->flags & TF_FIN_QUEUED && !(c->flags & TF_FIN_SENT);
        if (all_acked && f->len == 0 && !fin_to_send) {
                c->flags &= ~(uint32_t)TF_REXMIT_ONE;   /* what an ACK of the same burst asked for */
                flight_detach(t, c);
                rest_soon(t, c);
        } else {
                conn_pull(t, c);                        /* the window has moved: there may be more to send */
        }
        return octets;
}

/* The same, and a writer that waits for room is told of it. */
static void ack_new_tell(struct tcp *t, struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now_ns, struct tcp_note *note)
{
        bool had_room = send_room(t, c);
        uint32_t octets = ack_new(t, c, flight_at(t, c), seg, now_ns);

        if (octets && (c->flags & TF_WND_FULL || !had_room) && send_room(t, c)) {
                c->flags &= ~(uint32_t)TF_WND_FULL;
                note_add(note, c, TCP_EV_WRITABLE);
        } else if (c->flags & TF_WND_FULL && !c->flight) {
                timers_wait_for_pool(t, c, now_ns);
        }
}

/* RFC 9293 3.10.7.4: SND.WND is updated by the newest segment only (SND.WL1, SND.WL2). */
bool ack_window(struct tcp *t, struct tcp_conn *c, const struct tcp_seg *seg)
{
        if (!(seq_lt(c->snd_wl1, seg->seq) || (seq_eq(c->snd_wl1, seg->seq) && seq_le(c->snd_wl2, seg->ack))))
                return false;
        /* RFC 7323 2.2: the window in a SYN is never scaled. */
        uint32_t shift = c->flags & TF_WSCALE && !(seg->flags & TCP_SYN) ? snd_wscale(c) : 0;
        uint32_t wnd = (uint32_t)seg->window << shift;
        bool changed = wnd != c->snd_wnd;

        c->snd_wl1 = seg->seq;
        c->snd_wl2 = seg->ack;
        if (wnd > c->snd_wnd && c->flight) {
                if (c->snd_wnd == 0) {
                        timers_stop(c, TIMER_PERSIST);
                        c->backoff = 0;
                }
                conn_pull(t, c);
        }
        if (wnd)
                c->flags &= ~(uint32_t)TF_PROBE;
        c->snd_wnd = wnd;
        c->snd_wnd_max = u32_max(c->snd_wnd_max, wnd);
        return changed;
}

/* RFC 5681 2: a duplicate acknowledgment: (a) data outstanding, (b) no text, (c) no SYN or
 * FIN, (d) the greatest acknowledgment seen, (e) the window is the last one's. */
static bool is_dup_ack(const struct tcp_conn *c, const struct tcp_flight *f, const struct tcp_seg *seg, uint32_t text_len,
                       bool window_changed)
{
        return f && seq_gt(f->snd_max, c->snd_una) && seq_eq(seg->ack, c->snd_una) && text_len == 0 &&
               !(seg->flags & (TCP_SYN | TCP_FIN)) && !window_changed && c->snd_wnd != 0;
}

enum drop ack_process(struct tcp *t, struct tcp_conn *c, const struct tcp_seg *seg, uint32_t text_len, uint64_t now_ns,
                      struct tcp_note *note)
{
        if (seq_gt(seg->ack, conn_snd_max(t, c)))       /* RFC 9293 3.10.7.4, RFC 5961 5.2 */
                return challenge_ack(t, c, now_ns, DROP_TCP_FUTURE_ACK);
        if (seq_lt(seg->ack, seq_sub(c->snd_una, c->snd_wnd_max)))
                return challenge_ack(t, c, now_ns, DROP_TCP_OLD_ACK);

        c->probes = 0;
        if (seq_gt(seg->ack, c->snd_una)) {
                ack_new_tell(t, c, seg, now_ns, note);
                ack_window(t, c, seg);
                return DROP_NONE;
        }
        bool changed = seq_eq(seg->ack, c->snd_una) && ack_window(t, c, seg);
        struct tcp_flight *f = flight_at(t, c);
        if (is_dup_ack(c, f, seg, text_len, changed))
                loss_on_dup_ack(t, c, f);
        return DROP_NONE;
}
