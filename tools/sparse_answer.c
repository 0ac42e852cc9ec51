/* SPDX-License-Identifier: MIT */
/* tools/sparse_answer.c - What the sparse client says: TCP worked out from the packet in hand
 *
 * Throughout, `at` is how many octets of our stream the server has
 * acknowledged: its ACK number - (ISN + 1).  See sparse.h.
 */
#include "tools/sparse_priv.h"

/* A segment that came, and what follows from it. */
struct heard {
        struct sparse *s;
        struct pkt    *p;
        uint32_t       i;
        uint32_t       at;
        uint32_t       ack;             /* what we acknowledge: all that it brings */
        const struct tcp_seg *seg;
};

/* Answer with @len octets of text; ours begin where the server's ACK stands. */
static void say(const struct heard *h, uint8_t flags, uint32_t len)
{
        sparse_wire_out(h->s, h->p, &(struct sparse_out){
                .i = h->i, .flags = (uint8_t)(flags | TCP_ACK | (len ? TCP_PSH : 0)),
                .seq = h->seg->ack.raw, .ack = h->ack, .ts_ecr = h->seg->has & TCP_HAS_TS ? h->seg->ts_val : 0,
                .at = h->at, .len = len,
        });
}

static void say_nothing(const struct heard *h) { pkt_give(&h->s->pool, h->p); }

static bool talks(const struct sparse *s)
{
        return s->wave.what == SPARSE_TALK || s->wave.what == SPARSE_TALK_ON;
}

static bool cycles(const struct sparse *s)
{
        return s->wave.what == SPARSE_CYCLE || s->wave.what == SPARSE_CYCLE_ONCE;
}

/* Octets from the begin of this phase (CYCLE: of the connection) to where the server is. */
static uint32_t progress(const struct heard *h) { return h->at - h->s->base; }

/* Octets that are to be sent when the server has @done octets of this phase. */
static uint32_t piece_at(const struct sparse *s, uint32_t done)
{
        uint32_t in_msg = s->uneven ? done % s->wave.msg : done;
        return u32_min(s->wave.msg - in_msg, SPARSE_PIECE_MAX);
}

/* ---- what comes ---- */

static void on_syn_ack(struct heard *h)
{
        struct sparse *s = h->s;

        if (h->at != 0) {
                s->n.stray++;
                say_nothing(h);
                return;
        }
        if (s->server_isn)
                s->server_isn[h->i] = h->seg->seq.raw;
        h->ack++;
        if (cycles(s) && sparse_busy(s, h->i)) {
                say(h, 0, piece_at(s, 0));
                return;
        }
        if (s->wave.what == SPARSE_CONNECT)
                s->n.connected += sparse_finish(s, h->i);
        say(h, 0, 0);
}

static bool fin_was_sent(const struct heard *h)
{
        const struct sparse *s = h->s;

        if (s->wave.what == SPARSE_CLOSE)
                return s->uneven ? progress(h) % s->wave.msg == 1 : progress(h) == 1;
        return cycles(s) && progress(h) == s->wave.msg + 1;
}

static void on_fin(struct heard *h)
{
        struct sparse *s = h->s;

        h->ack++;
        if (!fin_was_sent(h)) {                         /* the server closes first, or both at once */
                say(h, TCP_FIN, 0);
                return;
        }
        if (sparse_finish(s, h->i)) {
                s->n.closed++;
                if (cycles(s))
                        s->n.connected++;
        }
        say(h, 0, 0);
}

/* A whole message has come back. */
static void on_message(struct heard *h)
{
        struct sparse *s = h->s;
        switch (s->wave.what) {
        case SPARSE_TALK:
                s->n.answered += sparse_finish(s, h->i);
                say(h, 0, 0);
                return;
        case SPARSE_TALK_ON:
                s->n.answered++;
                if (s->held)
                        sparse_finish(s, h->i);
                say(h, 0, s->held ? 0 : piece_at(s, progress(h)));
                return;
        case SPARSE_CYCLE:
        case SPARSE_CYCLE_ONCE:
                s->n.answered += sparse_busy(s, h->i);
                say(h, TCP_FIN, 0);
                return;
        default:
                say(h, 0, 0);
        }
}

/* @len octets of text, which end where the server's ACK stands. */
static void on_text(struct heard *h, const uint8_t *text, uint32_t len)
{
        struct sparse *s = h->s;
        uint32_t done = progress(h);

        if (len > h->at || len > SPARSE_PIECE_MAX) {
                s->n.odd++;
                say_nothing(h);
                return;
        }
        s->n.octets += len;
        uint32_t wrong = sparse_wire_differ(s, h->i, h->at - len, text, len);
        s->n.wrong += wrong;
        h->ack += len;
        if (h->seg->flags & TCP_FIN) {
                on_fin(h);
                return;
        }
        if (!s->uneven && ((!talks(s) && !cycles(s)) || done == 0 || done > s->wave.msg))
                say(h, 0, 0);                           /* of the phase before, sent again */
        else if (s->uneven ? done % s->wave.msg == 0 : done == s->wave.msg)
                on_message(h);
        else
                say(h, 0, piece_at(s, done));
}

/* An ACK and nothing else: the answer to a poke, or no news. */
static void on_ack(struct heard *h)
{
        struct sparse *s = h->s;
        bool begins = sparse_busy(s, h->i) && progress(h) == 0;

        if (begins && s->wave.what == SPARSE_CONNECT) { /* a SYN begun again met the connection */
                s->n.connected += sparse_finish(s, h->i);
                say_nothing(h);
        } else if (begins && (talks(s) || cycles(s))) {
                say(h, 0, piece_at(s, 0));
        } else if (s->wave.what == SPARSE_CLOSE && sparse_busy(s, h->i) &&
                   (begins || (s->uneven && progress(h) % s->wave.msg == 0))) {
                say(h, TCP_FIN, 0);
        } else {
                say_nothing(h);
        }
}

void sparse_answer(struct sparse *s, struct pkt *p, uint32_t i, const struct tcp_seg *seg, const uint8_t *text,
                   uint32_t len)
{
        struct heard h = {
                .s = s, .p = p, .i = i, .at = seg->ack.raw - (sparse_isn(s, i) + 1), .ack = seg->seq.raw, .seg = seg,
        };

        s->moved_ns = s->now_ns;                        /* a slow server is no silent one */
        if (seg->flags & TCP_RST) {
                bool waited = sparse_finish(s, i);
                s->n.reset += waited;
                s->n.late += !waited;
                say_nothing(&h);
        } else if (!(seg->flags & TCP_ACK)) {
                s->n.stray++;
                say_nothing(&h);
        } else if (seg->flags & TCP_SYN) {
                on_syn_ack(&h);
        } else if (len) {
                on_text(&h, text, len);
        } else if (seg->flags & TCP_FIN) {
                on_fin(&h);
        } else {
                on_ack(&h);
        }
}

/* ---- what we begin ---- */

void sparse_start(struct sparse *s, struct pkt *p, uint32_t i)
{
        uint32_t isn = sparse_isn(s, i);
        struct sparse_out o = { .i = i, .seq = isn };

        if (s->wave.what == SPARSE_CONNECT || cycles(s)) {
                o.flags = TCP_SYN;
        } else if (s->server_isn && !s->uneven) {       /* no need to ask: an echo has sent what it got */
                o.seq = isn + 1 + s->base;
                o.ack = s->server_isn[i] + 1 + s->base;
                o.at = s->base;
                o.len = talks(s) ? piece_at(s, 0) : 0;
                o.flags = TCP_ACK | (talks(s) ? TCP_PSH : TCP_FIN);
        } else {
                o.flags = TCP_ACK;                      /* the poke; what its octet is does not matter */
                o.len = 1;
        }
        sparse_wire_out(s, p, &o);
}
