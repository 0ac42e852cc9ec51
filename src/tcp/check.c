/* SPDX-License-Identifier: MIT */
/* tcp/check.c - What must always be true of an engine
 *
 * Walks everything; for tests and the simulator, which call it after every
 * step.  A failure is a fault of ours, whatever came from the wire.
 */
#include "tcp/engine.h"

static void check_sendq(const struct tcp_flight *f)
{
        uint32_t len = 0;
        const struct pkt *last = NULL;

        for (const struct pkt *p = f->head; p; p = p->next) {
                ASSERT(p->len > 0);
                if (p == f->at)
                        ASSERT(f->at_begin == len);
                len += p->len;
                last = p;
        }
        ASSERT(len == f->len);
        ASSERT(f->tail == last);
        ASSERT(f->at || f->at_begin == 0);
}

static void check_recvq(const struct tcp_conn *c, const struct tcp_recvq *q)
{
        uint32_t len = 0, ooo_cnt = 0, ooo_len = 0;
        const struct pkt *last = NULL;
        tcp_seq end = c->rcv_nxt;

        ASSERT(q->head || q->ooo || q->fin_early);      /* an empty one is given back */
        for (const struct pkt *p = q->head; p; p = p->next) {
                ASSERT(p->len > 0);
                len += p->len;
                last = p;
        }
        ASSERT(len == q->len && q->tail == last);
        last = NULL;
        for (const struct pkt *p = q->ooo; p; p = p->next) {
                ASSERT(p->len > 0);
                ASSERT(last ? seq_ge(seq_of(p->seq), end) : seq_gt(seq_of(p->seq), end));       /* sorted, no overlap */
                end = seq_of(p->seq + p->len);
                ooo_cnt++;
                ooo_len += p->len;
                last = p;
        }
        ASSERT(ooo_cnt == q->ooo_cnt && ooo_len == q->ooo_len && q->ooo_tail == last);
        ASSERT(!last || seq_le(end, c->rcv_adv));       /* nothing is kept that was not asked for */
}

/* Its node must fire no later than its first deadline. */
static void check_timer(const struct tcp *t, const struct tcp_conn *c)
{
        tick at = c->timer.at;
        bool owes = c->flags & TF_DELACK && !(c->flags & TF_OWED);

        if (c->timer_kind == TIMER_NONE && !owes)
                return;
        ASSERT(wheel_node_armed(&c->timer));
        if (c->timer_kind != TIMER_NONE)
                ASSERT(!tick_before(c->t_rexmit, at) || !tick_before(t->wheel.now, c->t_rexmit));
        if (owes)
                ASSERT(!tick_before(c->t_delack, at) || !tick_before(t->wheel.now, c->t_delack));
}

/* Something that waits to be sent or acknowledged has somebody who will see to it. */
static void check_progress(const struct tcp_conn *c, const struct tcp_flight *f)
{
        bool waits = f->len || f->syn || seq_gt(f->snd_max, c->snd_una) || c->flags & TF_FIN_QUEUED;
        ASSERT(!waits || c->flags & TF_OUT || c->timer_kind == TIMER_RTO || c->timer_kind == TIMER_PERSIST);
}

/* Nobody stays awake for nothing, and who has something to do has somebody who will wake it for that. */
static void check_awake(const struct tcp *t, const struct tcp_conn *c, const struct tcp_flight *f)
{
        const uint32_t to_say = TF_ACK_NOW | TF_REXMIT_ONE | TF_PROBE | TF_KEEP_PROBE | TF_RST;
        bool armed = wheel_node_armed(&c->timer);

        ASSERT(!(c->flags & to_say) || c->flags & TF_OUT);
        ASSERT(!(c->flags & TF_SWS_OVERRIDE) || f);
        ASSERT(!(c->flags & TF_WND_FULL) || f || c->account || c->timer_kind != TIMER_NONE || c->flags & TF_FIN_QUEUED);
        ASSERT(!(c->flags & TF_KEEPALIVE) || c->state < TCP_ESTABLISHED || f || armed);
        ASSERT(!rest_is_silent(t, c) || c->flags & TF_QUIET || armed);
}

static void check_account(const struct tcp *t, const struct tcp_conn *c, const struct tcp_account *a)
{
        ASSERT(a->conn == c->self);
        ASSERT(a->lent_cnt || a->room);                 /* an empty one is given back */
        ASSERT(!a->lent_cnt == !a->lent_len && !a->room == !a->room_len);
        ASSERT(a->lent_cnt <= t->lent.used);
}

static void check_conn(const struct tcp *t, const struct tcp_conn *c)
{
        const struct tcp_flight *f = flight_at(t, c);
        const struct tcp_recvq *q = recvq_at(t, c);

        ASSERT(c->state > TCP_LISTEN && c->state < TCP_TIME_WAIT);
        ASSERT(c->flags & TF_IN_TABLE);
        ASSERT(seq_le(c->snd_una, c->snd_nxt));
        ASSERT(!(c->flags & TF_FIN_RCVD) == (c->state <= TCP_FIN_WAIT_2));
        ASSERT(!(c->flags & TF_FIN_SENT) || c->flags & TF_FIN_QUEUED);
        /* A FIN that is promised has not been forgotten. */
        ASSERT(!(c->flags & TF_FIN_QUEUED) || c->flags & TF_FIN_SENT || f);
        ASSERT(c->mss > 0);
        if (f) {
                ASSERT(seq_le(c->snd_nxt, f->snd_max));
                uint32_t out = (uint32_t)seq_diff(f->snd_max, c->snd_una);
                ASSERT(out <= f->len + f->syn + !!(c->flags & TF_FIN_SENT));
                check_sendq(f);
                check_progress(c, f);
        }
        if (q)
                check_recvq(c, q);
        if (c->account)
                check_account(t, c, account_at(t, c));
        check_timer(t, c);
        check_awake(t, c, f);
}

/* Nothing is owed to anybody. */
static void check_rest(const struct tcp_rest *r)
{
        ASSERT(r->state == TCP_ESTABLISHED || r->state == TCP_CLOSE_WAIT || r->state == TCP_FIN_WAIT_2);
        ASSERT(r->flags & TF_IN_TABLE);
        ASSERT(!(r->flags & (TF_OUT | TF_OWED | TF_QUIET | TF_FREE | TF_ACK_NOW | TF_DELACK)));
        ASSERT(!(r->flags & TF_FIN_QUEUED) || r->flags & TF_FIN_SENT);
        ASSERT(r->mss > 0);
}

static uint32_t check_out_list(const struct tcp *t)
{
        uint32_t cnt = 0, last = 0;
        for (uint32_t i = t->out_head; i; i = awake_at(t, i)->out_next) {
                ASSERT(awake_at(t, i)->flags & TF_OUT);
                ASSERT(++cnt <= t->conns.used);
                last = i;
        }
        ASSERT(last == t->out_tail);
        return cnt;
}

static uint32_t check_fifo(const struct tcp_fifo *f, const struct slab *s)
{
        uint32_t cnt = 0, prev = 0;
        for (uint32_t i = f->head; i;) {
                const struct tcp_half *h = slab_at(s, i);
                ASSERT(h->prev == prev);
                ASSERT(++cnt <= s->used);
                prev = i;
                i = h->next;
        }
        ASSERT(f->tail == prev && f->cnt == cnt);
        return cnt;
}

static void check_reachable(const struct tcp *t, flow_ref ref)
{
        struct flow_key key;
        flow_key_of(&t->flows, ref, &key);
        ASSERT(flow_find(&t->flows, flow_hash(&t->flows, &key), &key) == ref);
}

void tcp_check(const struct tcp *t)
{
        uint32_t cnt[FLOW_KIND_CNT] = { 0 }, flights = 0, out = 0;

        for (uint32_t b = 0; b < flow_bucket_cnt(&t->flows); b++)
                for (uint32_t i = 0; i < FLOW_BUCKET_SLOTS; i++) {
                        flow_ref ref = t->flows.bucket[b].ref[i];
                        if (!ref)
                                continue;
                        cnt[flow_ref_kind(ref)]++;
                        check_reachable(t, ref);
                        if (flow_ref_kind(ref) != FLOW_CONN)
                                continue;
                        const struct tcp_rest *r = rest_at(t, flow_ref_idx(ref));
                        if (!rest_awake(r)) {
                                check_rest(r);
                                continue;
                        }
                        const struct tcp_conn *c = awake_at(t, rest_awake(r));
                        ASSERT(c->self == flow_ref_idx(ref));
                        check_conn(t, c);
                        flights += !!c->flight;
                        out += !!(c->flags & TF_OUT);
                }
        ASSERT(cnt[FLOW_CONN] + cnt[FLOW_HALF] + cnt[FLOW_WAIT] == t->flows.used);
        ASSERT(cnt[FLOW_CONN] <= t->conns.used);        /* closed ones have left the table */
        ASSERT(flights == t->flights.used);
        ASSERT(out <= check_out_list(t));
        ASSERT(t->held[false] <= t->pool->small.cap / POOL_PART_HELD);
        ASSERT(t->held[true] <= t->pool->large.cap / POOL_PART_HELD);
        ASSERT(t->lent.used <= t->held[false] + t->held[true]);

        uint32_t halves = 0;
        for (int level = 0; level < HALF_LEVELS; level++)
                halves += check_fifo(&t->half_fifo[level], &t->halves);
        ASSERT(halves == t->halves.used && halves == cnt[FLOW_HALF]);
        ASSERT(wait_check(t) == cnt[FLOW_WAIT]);
        ASSERT(t->reply_cnt <= REPLY_MAX);
}

void tcp_usage(const struct tcp *t, struct tcp_usage *out)
{
        *out = (struct tcp_usage){
                .conns = t->conns.used, .awake = t->awake.used, .halves = t->halves.used, .waits = t->wait_ring.live,
                .flights = t->flights.used, .recvqs = t->recvqs.used, .optsets = t->optsets.used,
                .listeners = t->listeners.used, .timers = t->wheel.armed,
                .accounts = t->accounts.used, .lent = t->lent.used, .held = t->held[0] + t->held[1],
        };
}
