/* SPDX-License-Identifier: MIT */
/* tcp/input.c - RFC 9293 3.10.7: a segment arrives
 *
 * Once demux.c has found the connection, conn_input() takes it through the
 * numbered steps of 3.10.7.3 (SYN-SENT) and 3.10.7.4 (all later
 * states), one function a step, in the order of the RFC.  A step says whether
 * the next one follows.
 */
#include "tcp/engine.h"

#include <errno.h>

/* One segment on its way through the steps. */
struct arrival {
        struct tcp            *t;
        struct tcp_conn       *c;
        struct pkt            *p;               /* data: the text not yet cut to the window */
        const struct tcp_seg  *seg;
        uint64_t               now_ns;
        struct tcp_note       *note;
        tcp_seq                seq;             /* of the first octet of text */
        uint32_t               text_len;
        bool                   fin;             /* FIN, and it is within the window */
        bool                   kept;            /* the receive queue has taken p */
        enum drop              drop;
};

/* What a step says. */
enum step { NEXT, DONE };

static enum step dropped(struct arrival *a, enum drop why)
{
        a->drop = why;
        return DONE;
}

static void ack_soon(struct arrival *a)
{
        a->c->flags |= TF_ACK_NOW;
        conn_pull(a->t, a->c);
}

static enum step enter_time_wait(struct arrival *a)
{
        wait_begin(a->t, a->c, a->now_ns);
        conn_finish(a->t, a->c, a->note);
        return DONE;
}

/* ---- before the first step: timestamps (RFC 7323 5.3 R1) ---- */

static bool paws_is_old(const struct arrival *a)
{
        const struct tcp_conn *c = a->c;
        enum { DAYS_24_S = 24 * 24 * 3600 };

        if ((int32_t)(a->seg->ts_val - c->ts_recent) >= 0)
                return false;
        /* RFC 7323 5.5: after 24 idle days TS.Recent says nothing. */
        return tick_of_ns(a->now_ns) - c->last_rx < ticks_from_ns(SEC(DAYS_24_S));
}

static enum step check_timestamp(struct arrival *a)
{
        struct tcp_conn *c = a->c;

        if (!(c->flags & TF_TS) || a->seg->flags & TCP_RST)
                return NEXT;
        if (!(a->seg->has & TCP_HAS_TS))
                return dropped(a, DROP_TCP_NO_TS);      /* RFC 7323 3.2 */
        if (paws_is_old(a)) {
                if (a->text_len || a->seg->flags & (TCP_SYN | TCP_FIN) || challenge_allowed(a->t, conn_ref(a->t, c), a->now_ns))
                        ack_soon(a);
                return dropped(a, DROP_TCP_PAWS);
        }
        return NEXT;
}

/* RFC 7323 4.3 (2), (3) and 5.3 R3: only a segment that is acceptable is believed, or anybody could
 * set TS.Recent so high that PAWS refuses the peer. */
void timestamp_take(struct tcp_conn *c, const struct tcp_seg *seg)
{
        if (c->flags & TF_TS && !(seg->flags & TCP_RST) && seq_le(seg->seq, c->rcv_acked))
                c->ts_recent = seg->ts_val;
}

/* ---- 3.10.7.4 first: sequence number ---- */

/* RFC 9293 3.4, the table of four cases. */
static bool is_acceptable(tcp_seq seq, uint32_t len, tcp_seq rcv_nxt, uint32_t wnd)
{
        if (len == 0)
                return wnd == 0 ? seq_eq(seq, rcv_nxt) : seq_in(seq, rcv_nxt, wnd);
        return wnd != 0 && (seq_in(seq, rcv_nxt, wnd) || seq_in(seq_add(seq, len - 1), rcv_nxt, wnd));
}

/* An unacceptable segment is answered by an ACK.  Ones that carry nothing, or a SYN
 * (RFC 5961 4.2), are answered within limits, so two confused ends cannot play
 * ping-pong; keepalive and window probes (one number before RCV.NXT) whatever
 * strangers have used up of the limit for all. */
static enum step not_acceptable(struct arrival *a, uint32_t len)
{
        struct tcp_conn *c = a->c;
        bool keepalive = seq_eq(seq_add(a->seg->seq, 1), c->rcv_nxt);

        if (a->seg->flags & TCP_RST)
                return dropped(a, DROP_TCP_SEQ);
        bool text = len && (!(a->seg->flags & TCP_SYN) || c->state == TCP_SYN_RECEIVED);
        flow_ref me = conn_ref(a->t, c);
        if (text || (keepalive ? answer_allowed(a->t, me, a->now_ns) : challenge_allowed(a->t, me, a->now_ns)))
                ack_soon(a);
        if (len && seq_le(seq_add(a->seg->seq, len), c->rcv_nxt))
                return dropped(a, DROP_TCP_DUP_DATA);
        return dropped(a, seq_eq(a->seg->seq, c->rcv_nxt) && len ? DROP_TCP_NO_WINDOW : DROP_TCP_SEQ);
}

static enum step check_sequence(struct arrival *a)
{
        struct tcp_conn *c = a->c;
        uint32_t wnd = conn_rcv_wnd(c);
        uint32_t len = a->text_len + !!(a->seg->flags & TCP_FIN) + !!(a->seg->flags & TCP_SYN);

        if (is_acceptable(a->seg->seq, len, c->rcv_nxt, wnd)) {
                /* What lies beyond the window is cut off (RFC 9293 3.10.7.4). */
                uint32_t ahead = seq_le(a->seq, c->rcv_nxt) ? 0 : (uint32_t)seq_diff(a->seq, c->rcv_nxt);
                uint32_t behind = seq_lt(a->seq, c->rcv_nxt) ? (uint32_t)seq_diff(c->rcv_nxt, a->seq) : 0;
                uint32_t most = wnd - ahead + behind;
                if (a->text_len > most) {
                        pkt_trim(a->p, most);
                        a->text_len = most;
                        a->fin = false;
                }
                if (a->fin && !seq_in(seq_add(a->seq, a->text_len), c->rcv_nxt, wnd))
                        a->fin = false;
                timestamp_take(c, a->seg);
                return NEXT;
        }
        /* RFC 9293 3.10.7.4: with a zero window valid ACKs and RSTs are still
         * taken, so both sides may probe each other; the text is not. */
        if (wnd == 0 && seq_eq(a->seg->seq, c->rcv_nxt) && !(a->seg->flags & TCP_SYN)) {
                if (!(a->seg->flags & TCP_RST))
                        ack_soon(a);
                pkt_trim(a->p, 0);
                a->text_len = 0;
                a->fin = false;
                a->drop = DROP_TCP_NO_WINDOW;
                return NEXT;
        }
        return not_acceptable(a, len);
}

/* ---- 3.10.7.4 second: RST ---- */

static enum step check_rst(struct arrival *a)
{
        struct tcp_conn *c = a->c;

        if (!(a->seg->flags & TCP_RST))
                return NEXT;
        /* RFC 5961 3.2: only the exact number resets; others in the window are challenged. */
        if (!seq_eq(a->seg->seq, c->rcv_nxt)) {
                challenge_ack(a->t, c, a->now_ns, DROP_TCP_RST_SEQ);
                return dropped(a, DROP_TCP_RST_SEQ);
        }
        if (c->state >= TCP_ESTABLISHED && c->state <= TCP_CLOSE_WAIT)
                count(a->t->counters, CNT_TCP_ESTAB_RESETS);
        int err = c->state == TCP_SYN_RECEIVED ? ECONNREFUSED : c->state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
        if (c->state == TCP_CLOSING || c->state == TCP_LAST_ACK)
                conn_finish(a->t, c, a->note);          /* 3.10.7.4: simply closed */
        else
                conn_fail(a->t, c, err, a->note);
        return DONE;
}

/* ---- 3.10.7.4 fourth: SYN (third, security, is RFC 9293 appendix A.1: not kept, as nobody does) ---- */

static enum step check_syn(struct arrival *a)
{
        if (!(a->seg->flags & TCP_SYN))
                return NEXT;
        /* RFC 5961 4.2, whatever its sequence number. */
        challenge_ack(a->t, a->c, a->now_ns, DROP_TCP_SYN_IN_CONN);
        return dropped(a, DROP_TCP_SYN_IN_CONN);
}

/* ---- 3.10.7.4 fifth: ACK ---- */

static bool fin_is_acked(const struct arrival *a)
{
        return a->c->flags & TF_FIN_SENT && !a->c->flight;
}

static enum step check_ack(struct arrival *a)
{
        struct tcp *t = a->t;
        struct tcp_conn *c = a->c;

        if (!(a->seg->flags & TCP_ACK))
                return dropped(a, DROP_TCP_NO_ACK);

        if (c->state == TCP_SYN_RECEIVED) {             /* simultaneous open; passive ones are half-open records */
                if (!(seq_lt(c->snd_una, a->seg->ack) && seq_le(a->seg->ack, conn_snd_max(t, c)))) {
                        struct flow_key key;
                        flow_key_of(&t->flows, conn_ref(t, c), &key);
                        reply_rst_to(t, &key, a->seg, a->text_len);
                        return dropped(a, DROP_TCP_BAD_ACK);
                }
                c->snd_wnd = (uint32_t)a->seg->window << (c->flags & TF_WSCALE ? snd_wscale(c) : 0);
                c->snd_wl1 = a->seg->seq;
                c->snd_wl2 = a->seg->ack;
                conn_established(t, c, c->mss);
                note_add(a->note, c, TCP_EV_CONNECTED | TCP_EV_WRITABLE);
                if (c->flags & TF_FIN_QUEUED)
                        c->state = TCP_FIN_WAIT_1;      /* CLOSE came first (3.10.4, SYN-RECEIVED) */
        }
        enum drop why = ack_process(t, c, a->seg, a->text_len, a->now_ns, a->note);
        if (why != DROP_NONE)
                return dropped(a, why);
        c->last_rx = tick_of_ns(a->now_ns);             /* not before: what is refused is no sign of life */
        if (!fin_is_acked(a))
                return NEXT;

        switch (c->state) {
        case TCP_FIN_WAIT_1:
                c->state = TCP_FIN_WAIT_2;
                if (c->flags & TF_ORPHAN)               /* Linux's tcp_fin_timeout: nobody waits any more */
                        timers_set(t, c, TIMER_FIN_WAIT_2, t->conf.fin_wait2_ns, a->now_ns);
                note_add(a->note, c, TCP_EV_WRITABLE);
                return NEXT;
        case TCP_CLOSING:
                return enter_time_wait(a);
        case TCP_LAST_ACK:
                conn_finish(t, c, a->note);
                return DONE;
        default:
                return NEXT;
        }
}

/* ---- 3.10.7.4 sixth: URG.  The pointer is ignored: urgent data is in line (RFC 6093). ---- */

/* ---- 3.10.7.4 seventh: segment text ---- */

/* RFC 9293 3.8.6.3, RFC 5681 4.2: every second full segment at once, a gap or its end at once,
 * the rest within the delay.  ACKs of one burst coalesce, but not those of segments out of order:
 * the peer counts them (RFC 5681 3.2). */
void text_acknowledge(struct tcp *t, struct tcp_conn *c, uint32_t text_len, bool in_order, bool gap_before, uint64_t now_ns)
{
        uint32_t owed = (uint32_t)seq_diff(c->rcv_nxt, c->rcv_acked);
        uint32_t full = text_len >= TCP_MSS_DEFAULT ? u32_min(text_len, c->mss) : c->mss; /* of the peer's segments */
        struct tcp_recvq *q = recvq_at(t, c);
        bool gap = gap_before || (q && q->ooo);
        bool quick = c->flags & TF_QUICKACK || (c->quickacks && !(c->flags & TF_PINGPONG));

        if (q && in_order)
                q->dup_acks = 0;
        else if (q && c->flags & TF_ACK_NOW && q->dup_acks < UINT8_MAX)
                q->dup_acks++;
        if (!in_order || gap || owed >= 2u * full || quick) {
                c->flags |= TF_ACK_NOW;
                conn_pull(t, c);
        } else {
                timers_delack(t, c, now_ns);
        }
}

static enum step process_text(struct arrival *a)
{
        struct tcp *t = a->t;
        struct tcp_conn *c = a->c;

        if (a->text_len == 0)
                return NEXT;
        if (c->state != TCP_ESTABLISHED && c->state != TCP_FIN_WAIT_1 && c->state != TCP_FIN_WAIT_2)
                return NEXT;                            /* after the peer's FIN there is no text */
        if (seq_le(seq_add(a->seq, a->text_len), c->rcv_nxt)) {
                ack_soon(a);                            /* received before: only the FIN behind it is new */
                return NEXT;
        }
        if (c->flags & TF_ORPHAN) {
                /* RFC 9293 3.10.7.4, SHLD-3 and RFC 1122 4.2.2.13: nobody will read this. */
                struct flow_key key;
                flow_key_of(&t->flows, conn_ref(t, c), &key);
                reply_rst_to(t, &key, a->seg, a->text_len);
                conn_finish(t, c, a->note);
                return dropped(a, DROP_TCP_AFTER_CLOSE);
        }
        const struct tcp_recvq *q = recvq_at(t, c);
        bool gap_before = q && q->ooo, advanced, fin;

        a->kept = true;
        enum drop why = recvq_add(t, c, a->p, a->seq, &advanced, &fin);
        if (advanced)
                note_add(a->note, c, TCP_EV_READABLE);
        text_acknowledge(t, c, a->text_len, advanced, gap_before, a->now_ns);
        if (fin) {
                a->fin = true;                          /* the FIN that came early is next now */
                a->seq = c->rcv_nxt;
                a->text_len = 0;
        }
        if (why != DROP_NONE && a->drop == DROP_NONE)
                a->drop = why;
        return NEXT;
}

/* ---- 3.10.7.4 eighth: FIN ---- */

static enum step check_fin(struct arrival *a)
{
        struct tcp *t = a->t;
        struct tcp_conn *c = a->c;
        tcp_seq at = seq_add(a->seq, a->text_len);

        if (!a->fin || c->flags & TF_FIN_RCVD)
                return NEXT;
        if (seq_gt(at, c->rcv_nxt)) {
                recvq_note_early_fin(t, c, at);
                ack_soon(a);
                return NEXT;
        }
        if (seq_lt(at, c->rcv_nxt))
                return NEXT;
        c->rcv_nxt = seq_add(c->rcv_nxt, 1);
        c->flags |= TF_FIN_RCVD;
        recvq_drop_ooo(t, c);                           /* behind the end of the stream there is nothing */
        ack_soon(a);
        note_add(a->note, c, TCP_EV_RDHUP | TCP_EV_READABLE);
        switch (c->state) {
        case TCP_ESTABLISHED:
                c->state = TCP_CLOSE_WAIT;
                return NEXT;
        case TCP_FIN_WAIT_1:
                c->state = TCP_CLOSING;                 /* had our FIN been acknowledged, it would be FIN-WAIT-2 */
                return NEXT;
        case TCP_FIN_WAIT_2:
                wait_begin(t, c, a->now_ns);
                conn_finish(t, c, a->note);
                return DONE;
        default:
                return NEXT;
        }
}

/* ---- 3.10.7.3: SYN-SENT ---- */

static void syn_options(struct arrival *a)
{
        struct tcp_conn *c = a->c;
        const struct tcp_seg *s = a->seg;

        if (!(s->has & TCP_HAS_TS))
                c->flags &= ~(uint32_t)TF_TS;
        if (s->has & TCP_HAS_WSCALE && c->flags & TF_WSCALE) {
                c->wscales = (uint8_t)((c->wscales & 0xf0) | s->wscale);
        } else {
                c->flags &= ~(uint32_t)TF_WSCALE;
                c->wscales = 0;
        }
        c->ts_recent = s->has & TCP_HAS_TS ? s->ts_val : 0;
        c->mss = s->has & TCP_HAS_MSS ? s->mss : TCP_MSS_DEFAULT;       /* RFC 9293 MUST-15 */
        c->rcv_nxt = seq_add(s->seq, 1);
        c->rcv_acked = s->seq;
        c->rcv_adv = seq_add(c->rcv_nxt, u32_min(conn_opts(a->t, c)->rcvbuf, 65535));
        c->snd_wnd = c->snd_wnd_max = s->window;        /* RFC 7323 2.2: the window in a SYN is not scaled */
        c->snd_wl1 = s->seq;
        c->snd_wl2 = s->ack;
}

static enum step syn_sent(struct arrival *a)
{
        struct tcp *t = a->t;
        struct tcp_conn *c = a->c;
        const struct tcp_seg *s = a->seg;
        bool acked = s->flags & TCP_ACK;

        if (acked && !(seq_lt(c->snd_una, s->ack) && seq_le(s->ack, conn_snd_max(t, c)))) {     /* first */
                if (!(s->flags & TCP_RST)) {
                        struct flow_key key;
                        flow_key_of(&t->flows, conn_ref(t, c), &key);
                        reply_rst_to(t, &key, s, a->text_len);
                }
                return dropped(a, DROP_TCP_BAD_ACK);
        }
        if (s->flags & TCP_RST) {                       /* second */
                if (!acked)
                        return dropped(a, DROP_TCP_BAD_FLAGS);
                count(t->counters, CNT_TCP_OPEN_FAILS);
                conn_fail(t, c, ECONNREFUSED, a->note);
                return DONE;
        }
        if (!(s->flags & TCP_SYN))                      /* fifth */
                return dropped(a, DROP_TCP_BAD_FLAGS);

        c->last_rx = tick_of_ns(a->now_ns);
        syn_options(a);                                 /* fourth */
        a->seq = c->rcv_nxt;
        if (acked) {
                conn_established(t, c, c->mss);
                ack_process(t, c, s, 0, a->now_ns, a->note);
                c->last_rx = tick_of_ns(a->now_ns);
                ack_soon(a);
                note_add(a->note, c, TCP_EV_CONNECTED | TCP_EV_WRITABLE);
                return NEXT;                            /* text and FIN may follow (3.10.7.3) */
        }
        /* Simultaneous open (RFC 9293 3.5, figure 8): SYN again, now with ACK. */
        c->state = TCP_SYN_RECEIVED;
        c->snd_nxt = c->snd_una;
        conn_pull(t, c);
        return DONE;
}

enum drop conn_input(struct tcp *t, struct tcp_conn *c, struct pkt *p, const struct tcp_seg *seg, uint64_t now_ns,
                     struct tcp_note *note, bool *kept)
{
        struct arrival a = {
                .t = t, .c = c, .p = p, .seg = seg, .now_ns = now_ns, .note = note,
                .seq = seg->seq, .text_len = p->len, .fin = seg->flags & TCP_FIN,
        };
        static enum step (*const steps[])(struct arrival *) = {
                check_timestamp, check_sequence, check_rst, check_syn, check_ack, process_text, check_fin,
        };
        size_t first = 0;

        if (c->state == TCP_SYN_SENT) {
                if (syn_sent(&a) == DONE)
                        return a.drop;
                first = 5;
        }
        for (size_t i = first; i < ARRAY_LEN(steps); i++)
                if (steps[i](&a) == DONE)
                        break;
        *kept = a.kept;
        return a.drop;
}
