/* SPDX-License-Identifier: MIT */
/* tcp/fast.c - The expected segment, in one go
 *
 * Nearly every segment of an established connection is the next one in order,
 * with text, with an acknowledgment of something new, or both (Jacobson's
 * header prediction).  For it the steps of RFC 9293 3.10.7.4 come to a few
 * lines: its sequence number is RCV.NXT, it has neither SYN, FIN nor RST, its
 * acknowledgment and its timestamp are no surprise, and nothing is being
 * repaired.  tcp_input_expected() takes such a segment; every other one is left
 * untouched for the steps of input.c.
 *
 * Segments of a burst that follow on each other are a train: the connection is
 * found once, the acknowledgment is looked at once, the owner is told once, and
 * the text of each is appended.
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

/* Does @next go on where @first, which has just been taken, or its train ends? */
static bool is_next(const struct tcp *t, const struct tcp_conn *c, const struct tcp_rx *first, const struct tcp_rx *next)
{
        return next->ref == first->ref && next->hash == first->hash && next->p->len > next->seg.hdr_len &&
               seq_eq(next->seg.ack, first->seg.ack) && next->seg.window == first->seg.window &&
               is_expected(c, &next->seg, next->p->len - next->seg.hdr_len) && text_is_plain(t, c, recvq_at(t, c)) &&
               flow_is(&t->flows, next->ref, &next->key);
}

static void take_text(struct tcp *t, struct tcp_conn *c, struct pkt *p, uint64_t now_ns)
{
        uint32_t len = p->len;

        recvq_append(t, c, p);
        text_acknowledge(t, c, len, true, false, now_ns);
}

/* Returns segments taken. */
static uint32_t take_train(struct tcp *t, struct tcp_conn *c, struct tcp_rx rx[], uint32_t cnt, uint64_t now_ns)
{
        uint32_t taken = 1;

        take_text(t, c, rx[0].p, now_ns);
        for (; taken < cnt && is_next(t, c, &rx[0], &rx[taken]); taken++) {
                struct tcp_rx *next = &rx[taken];
                pkt_pull(next->p, next->seg.hdr_len);
                timestamp_take(c, &next->seg);
                ack_window(t, c, &next->seg);           /* the first may have been too old to be believed (SND.WL1) */
                take_text(t, c, next->p, now_ns);
        }
        count_add(t->counters, CNT_TCP_JOINED, taken - 1);
        return taken;
}

uint32_t tcp_input_expected(struct tcp *t, struct tcp_rx rx[], uint32_t cnt, uint64_t now_ns, struct tcp_note *note)
{
        const struct tcp_seg *seg = &rx[0].seg;
        flow_ref ref = rx[0].ref;
        uint32_t text_len = rx[0].p->len - seg->hdr_len, taken = 1;

        if (!t->conf.fast_path || flow_ref_kind(ref) != FLOW_CONN || t->flows.removed != t->probed_at ||
            !flow_is(&t->flows, ref, &rx[0].key))
                return 0;
        struct tcp_conn *c = conn_at(t, flow_ref_idx(ref));
        struct tcp_flight *f = flight_at(t, c);
        if (!is_expected(c, seg, text_len) || !ack_is_plain(t, c, f, seg->ack) ||
            (text_len && !text_is_plain(t, c, recvq_at(t, c))))
                return 0;

        *note = (struct tcp_note){ 0 };
        pkt_pull(rx[0].p, seg->hdr_len);
        timestamp_take(c, seg);
        c->probes = 0;
        c->last_rx = tick_of_ns(now_ns);
        if (!seq_eq(seg->ack, c->snd_una))
                ack_new(t, c, f, seg, now_ns);
        ack_window(t, c, seg);
        if (text_len) {
                taken = take_train(t, c, rx, cnt, now_ns);
                note_add(note, c, TCP_EV_READABLE);
        } else {
                pkt_give(t->pool, rx[0].p);
        }
        count_add(t->counters, CNT_TCP_SEGS_RCVD, taken);
        count_add(t->counters, CNT_TCP_EXPECTED, taken);
        return taken;
}
