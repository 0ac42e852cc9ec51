/* SPDX-License-Identifier: MIT */
/* tcp/fast.c - The expected segment, in one go
 *
 * Nearly every segment of an established connection is the next one in order,
 * with text, with an acknowledgment of something new, or both (Jacobson's
 * header prediction).  For it the steps of RFC 9293 3.10.7.4 come to a few
 * lines: its sequence number is RCV.NXT, it has neither SYN, FIN nor RST, its
 * acknowledgment and its timestamp are no surprise, and nothing is being
 * repaired.  fast_input() takes such a segment and says so; every other one is
 * left untouched for the steps of input.c.
 *
 * The ordinary path is right without this file: with tcp_conf.fast_path false
 * the same segments give the same answers, octet for octet, and the tests run
 * both ways.  So every line here has its twin in input.c, ack.c or recvq.c,
 * which holds the reason.
 */
#include "tcp/cc.h"

/* Is it the segment that was expected?  Changes nothing. */
static bool is_expected(const struct tcp_conn *c, const struct tcp_seg *seg, uint32_t text_len)
{
        if (c->state != TCP_ESTABLISHED || (seg->flags & ~(TCP_PSH | TCP_URG)) != TCP_ACK)
                return false;
        if (!seq_eq(seg->seq, c->rcv_nxt) || text_len > conn_rcv_wnd(c))
                return false;
        if (c->flags & TF_TS && (!(seg->has & TCP_HAS_TS) || (int32_t)(seg->ts_val - c->ts_recent) < 0))
                return false;
        /* An ACK that acknowledges nothing is a duplicate, a probe or a window update. */
        return text_len ? !(c->flags & TF_ORPHAN) : !seq_eq(seg->ack, c->snd_una);
}

/* Can the acknowledgment be taken without a thought about losses, or about writers that wait? */
static bool ack_is_plain(const struct tcp *t, const struct tcp_conn *c, const struct tcp_flight *f, tcp_seq ack)
{
        if (seq_eq(ack, c->snd_una))
                return true;
        if (!f || f->in_recovery || f->syn || c->flags & (TF_WND_FULL | TF_FIN_QUEUED))
                return false;
        if (seq_lt(ack, c->snd_una) || seq_gt(ack, f->snd_max))
                return false;
        /* With as much room as this the sender knows that there is some: nobody to tell. */
        return f->len <= conn_opts(t, c)->sndbuf / 2 && sendq_may_grow(t, f);
}

/* Can the text be appended and nothing else has to happen? */
static bool text_is_plain(const struct tcp *t, const struct tcp_conn *c, const struct tcp_recvq *q)
{
        if (pkt_pool_low(t->pool, POOL_PART_RECV))
                return false;
        return !q || (!q->ooo && !q->fin_early && q->len < conn_opts(t, c)->rcvbuf);
}

bool fast_input(struct tcp *t, struct tcp_conn *c, struct pkt *p, const struct tcp_seg *seg, uint64_t now_ns,
                struct tcp_note *note, bool *kept)
{
        uint32_t text_len = p->len;
        struct tcp_flight *f = flight_at(t, c);
        struct tcp_recvq *q = recvq_at(t, c);

        if (!is_expected(c, seg, text_len) || !ack_is_plain(t, c, f, seg->ack) || (text_len && !text_is_plain(t, c, q)))
                return false;
        count(t->counters, CNT_TCP_EXPECTED);
        if (c->flags & TF_TS && seq_le(seg->seq, c->rcv_acked))
                c->ts_recent = seg->ts_val;             /* RFC 7323 4.3 */
        c->probes = 0;
        c->last_rx = tick_of_ns(now_ns);
        if (!seq_eq(seg->ack, c->snd_una))
                ack_new(t, c, f, seg, now_ns);
        ack_window(t, c, seg);
        if (text_len) {
                *kept = true;
                recvq_append(t, c, p);
                note_add(note, c, TCP_EV_READABLE);
                text_acknowledge(t, c, text_len, true, false, now_ns);
        }
        return true;
}
