/* SPDX-License-Identifier: MIT */
/* tcp/rest.c - A connection at rest takes one cache line
 *
 * Of ten million connections nearly all are silent at any moment: established,
 * nothing sent that is not acknowledged, nothing received that is not read, no
 * timer running.  What must be remembered of such a one fits into 64 octets,
 * its struct tcp_rest.  When it has something to do it wakes: a struct tcp_conn
 * is filled in from the record, and given back when it is silent again.
 *
 *      flow table, socket ─► tcp_rest ──awake──► tcp_conn     (only while busy)
 *                            64 octets ◄──self── 128 octets
 *
 * The record holds the tuple all the time; the rest of it is true only while
 * the connection is at rest.  Most fields are kept exactly, the peer's window as
 * it stood on the wire.  cwnd, ssthresh, the round-trip times and the window that
 * we have offered are rounded to 11 significant bits (0.05 %): our window upwards,
 * because it must not shrink, the others downwards.  What only guards against
 * segments older than the newest one (SND.WL1, SND.WL2) begins anew.
 *
 * WHEN.  conn_at() wakes.  Who sees a connection fall silent (the last octet is
 * acknowledged, the last ACK is sent, a timer has run out) puts it on a
 * list; the end of the turn's timers empties the list and lays down those that
 * are still silent.  So a pointer to a connection stays true until then, or until
 * another one is woken: rest_wake() empties the list when it has grown long.
 *
 * Awake stay: connections with a keepalive timer, those that wait to be
 * accepted, those with buffers in the hands of the program (loan.c), and CLOSED
 * ones that still have an owner.
 */
#include "tcp/engine.h"

/* ---- numbers of 11 significant bits in 16: 5 of shift, 11 of value ---- */

uint16_t rest_round_down(uint32_t v)
{
        uint32_t bits = v ? 32 - (uint32_t)__builtin_clz(v) : 0;
        uint32_t shift = bits > 11 ? bits - 11 : 0;
        return (uint16_t)(shift << 11 | v >> shift);
}

uint32_t rest_value(uint16_t packed) { return (uint32_t)(packed & 0x7ff) << (packed >> 11); }

uint16_t rest_round_up(uint32_t v)
{
        uint16_t down = rest_round_down(v);

        if (rest_value(down) == v)
                return down;
        /* The value after the largest of a shift is the smallest, 1,024, of the next. */
        return (uint16_t)((down & 0x7ff) == 0x7ff ? ((down >> 11) + 1) << 11 | 0x400 : down + 1);
}

/* ---- down and up ---- */

bool rest_is_silent(const struct tcp *t, const struct tcp_conn *c)
{
        const uint32_t busy = TF_OUT | TF_OWED | TF_ACK_NOW | TF_DELACK | TF_REXMIT_ONE | TF_PROBE | TF_KEEP_PROBE |
                              TF_SWS_OVERRIDE | TF_RST | TF_IN_ACCEPTQ | TF_KEEPALIVE | TF_WND_FULL | TF_FREE;

        if (c->flight || c->recvq || c->account || c->flags & busy || c->timer_kind != TIMER_NONE || c->error)
                return false;
        if (c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT && c->state != TCP_FIN_WAIT_2)
                return false;
        return seq_eq(c->snd_nxt, c->snd_una) && seq_eq(c->rcv_acked, c->rcv_nxt);
}

static void lay_down(struct tcp *t, struct tcp_conn *c)
{
        struct tcp_rest *r = rest_at(t, c->self);

        r->snd_una = c->snd_una;
        r->rcv_nxt = c->rcv_nxt;
        r->ts_recent = c->ts_recent;
        r->ts_offset = c->ts_offset;
        r->flags = c->flags;
        r->last_rx = c->last_rx;
        r->owner = c->owner;
        r->opts = c->opts;
        r->mss = c->mss;
        r->wscales = c->wscales;
        r->state = c->state & 15;
        r->quickacks = c->quickacks;
        r->cwnd = rest_round_down(c->cwnd);
        r->ssthresh = rest_round_down(c->ssthresh);
        r->srtt = rest_round_down(c->srtt_us8);
        r->rttvar = rest_round_down(c->rttvar_us4);
        bool unscaled = c->snd_wnd & ((1u << snd_wscale(c)) - 1);
        r->snd_wnd = (uint16_t)(unscaled ? c->snd_wnd : c->snd_wnd >> snd_wscale(c));
        r->rcv_wnd = rest_round_up(conn_rcv_wnd(c));
        r->awake = c->snd_wnd_max | (unscaled ? REST_UNSCALED : 0);
        wheel_cancel(&t->wheel, awake_idx(t, c));
        slab_give(&t->awake, awake_idx(t, c));
}

static void get_up(const struct tcp_rest *r, uint32_t self, struct tcp_conn *c)
{
        uint32_t shift = r->awake & REST_UNSCALED ? 0 : r->wscales & 15;

        *c = (struct tcp_conn){
                .self = self, .state = r->state, .wscales = r->wscales, .mss = r->mss,
                .snd_una = r->snd_una, .snd_nxt = r->snd_una, .snd_wnd = (uint32_t)r->snd_wnd << shift,
                .snd_wl1 = r->rcv_nxt, .snd_wl2 = r->snd_una, .snd_wnd_max = r->awake & ~REST_UNSCALED,
                .rcv_nxt = r->rcv_nxt, .rcv_acked = r->rcv_nxt, .rcv_adv = seq_add(r->rcv_nxt, rest_value(r->rcv_wnd)),
                .flags = r->flags, .ts_recent = r->ts_recent, .ts_offset = r->ts_offset, .last_rx = r->last_rx,
                .cwnd = u32_max(rest_value(r->cwnd), r->mss),           /* a full segment may always go */
                .ssthresh = rest_value(r->ssthresh),
                .srtt_us8 = rest_value(r->srtt), .rttvar_us4 = rest_value(r->rttvar),
                .owner = r->owner, .opts = r->opts, .quickacks = r->quickacks,
        };
}

struct tcp_conn *rest_wake(struct tcp *t, uint32_t conn)
{
        enum { WOKEN_MAX = 1024 };
        struct tcp_rest *r = rest_at(t, conn);

        if (t->quiet_cnt >= WOKEN_MAX)                  /* a program looks at very many of them without a turn */
                rest_turn(t);
        uint32_t idx = slab_take(&t->awake);
        ASSERT(idx);                                    /* there are as many as connections */
        struct tcp_conn *c = awake_at(t, idx);

        get_up(r, conn, c);
        r->awake = REST_AWAKE | idx;
        rest_soon(t, c);
        return c;
}

const struct tcp_conn *rest_look(const struct tcp *t, uint32_t conn, struct tcp_conn *room)
{
        const struct tcp_rest *r = rest_at(t, conn);
        uint32_t awake = rest_awake(r);

        if (awake)
                return awake_at(t, awake);
        get_up(r, conn, room);
        return room;
}

/* ---- the list ---- */

void rest_soon(struct tcp *t, struct tcp_conn *c)
{
        if (c->flags & TF_QUIET)
                return;
        c->flags |= TF_QUIET;
        c->quiet_next = t->quiet_head;
        t->quiet_head = awake_idx(t, c);
        t->quiet_cnt++;
}

void rest_turn(struct tcp *t)
{
        enum { REST_MAX = 4096 };                       /* so that the turn stays short */

        for (uint32_t n = 0; t->quiet_head && n < REST_MAX; n++) {
                struct tcp_conn *c = awake_at(t, t->quiet_head);

                t->quiet_head = c->quiet_next;
                t->quiet_cnt--;
                c->flags &= ~(uint32_t)TF_QUIET;
                if (c->flags & TF_FREE)
                        conn_reap(t, c);
                else if (rest_is_silent(t, c))
                        lay_down(t, c);
        }
}
