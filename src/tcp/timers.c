/* SPDX-License-Identifier: MIT */
/* tcp/timers.c - What the passing of time means to a connection
 *
 * A connection has one node in the wheel and up to three deadlines:
 *
 *      t_rexmit   retransmission, or persist, or the end of FIN-WAIT-2 (timer_kind)
 *      t_delack   an ACK is owed at the latest then (TF_DELACK)
 *      keepalive  last_rx + idle, computed when asked; then t_rexmit, an interval on
 *
 * The node is armed for the earliest, and lazily: a deadline that moves away
 * leaves it alone; when it fires too early it is armed again.
 *
 * An ACK that is owed mostly goes out with the answer, a turn or two later.  So
 * for two turns its connection stands in a small ring beside the wheel, and is
 * armed only if it still owes one then: a server that answers at once never
 * touches the wheel for it.
 */
#include "tcp/engine.h"

#include <errno.h>

static tick deadline(uint64_t now_ns, uint64_t in_ns) { return tick_of_ns(now_ns) + ticks_from_ns(in_ns) + 1; }

static bool keepalive_applies(const struct tcp_conn *c)
{
        return (c->flags & TF_KEEPALIVE) && c->state >= TCP_ESTABLISHED && !c->flight && c->timer_kind == TIMER_NONE;
}

/* After the first probe t_rexmit is when the next one goes: nothing else needs it then. */
static tick keepalive_at(const struct tcp *t, const struct tcp_conn *c)
{
        return c->probes ? c->t_rexmit : c->last_rx + ticks_from_ns(SEC(conn_opts(t, c)->keepidle_s)) + 1;
}

void timers_rearm(struct tcp *t, struct tcp_conn *c)
{
        bool any = false;
        tick at = 0;

        if (c->timer_kind != TIMER_NONE) {
                at = c->t_rexmit;
                any = true;
        }
        if ((c->flags & (TF_DELACK | TF_OWED)) == TF_DELACK && (!any || tick_before(c->t_delack, at))) {
                at = c->t_delack;
                any = true;
        }
        if (keepalive_applies(c)) {
                tick ka = keepalive_at(t, c);
                if (!any || tick_before(ka, at))
                        at = ka;
                any = true;
        }
        if (!any)
                rest_soon(t, c);
        else
                wheel_arm(&t->wheel, awake_idx(t, c), at);
}

void timers_set(struct tcp *t, struct tcp_conn *c, enum tcp_timer kind, uint64_t in_ns, uint64_t now_ns)
{
        c->timer_kind = kind;
        c->t_rexmit = deadline(now_ns, in_ns);
        timers_rearm(t, c);
}

void timers_stop(struct tcp_conn *c, enum tcp_timer kind)
{
        if (c->timer_kind == kind)
                c->timer_kind = TIMER_NONE;
}

void timers_delack(struct tcp *t, struct tcp_conn *c, uint64_t now_ns)
{
        if (c->flags & TF_DELACK)
                return;
        c->flags |= TF_DELACK;
        c->t_delack = deadline(now_ns, t->conf.delack_ns);
        if (c->flags & TF_OWED)
                return;
        if (t->owed_tail - t->owed_head == OWED_MAX) {
                timers_rearm(t, c);
                return;
        }
        c->flags |= TF_OWED;
        t->owed[t->owed_tail++ % OWED_MAX] = awake_idx(t, c);
}

/* Those up to @mark leave the ring; who still owes an ACK goes into the wheel. */
static void owed_settle(struct tcp *t, uint32_t mark)
{
        for (; t->owed_head != mark; t->owed_head++) {
                struct tcp_conn *c = awake_at(t, t->owed[t->owed_head % OWED_MAX]);

                c->flags &= ~(uint32_t)TF_OWED;
                if (c->flags & TF_FREE)
                        conn_reap(t, c);
                else if (c->flags & TF_DELACK)
                        timers_rearm(t, c);
                else if (!c->flight)
                        rest_soon(t, c);
        }
}

/* All of them, before a sleep: there is no next turn soon. */
static void owed_settle_all(struct tcp *t)
{
        owed_settle(t, t->owed_tail);
        t->owed_mark[0] = t->owed_mark[1] = t->owed_tail;
}

/* The timers of a turn are done. */
static void owed_turn(struct tcp *t)
{
        owed_settle(t, t->owed_mark[1]);
        t->owed_mark[1] = t->owed_mark[0];
        t->owed_mark[0] = t->owed_tail;
}

void timers_wait_for_pool(struct tcp *t, struct tcp_conn *c, uint64_t now_ns)
{
        if (c->timer_kind == TIMER_NONE)
                timers_set(t, c, TIMER_POOL, MS(10), now_ns);
}

/* ---- expiry ---- */

/* RFC 9293 3.8.3 (R2), RFC 5482: has the peer been silent for too long? */
static bool is_hopeless(const struct tcp *t, const struct tcp_conn *c, const struct tcp_flight *f, uint64_t now_ns)
{
        const struct tcp_opts *o = conn_opts(t, c);

        if (o->user_timeout_ms)
                return f && tick_of_ns(now_ns) - f->stuck_since >= ticks_from_ns(MS(o->user_timeout_ms));
        if (c->state == TCP_SYN_SENT)
                return c->backoff >= o->syn_retries;
        if (c->state == TCP_SYN_RECEIVED)
                return c->backoff >= t->conf.synack_retries;
        if (c->flags & TF_ORPHAN && c->backoff >= t->conf.orphan_retries)
                return true;
        return c->backoff >= t->conf.retries2;
}

/* The next try, but no later than the user timeout: as Linux, which ends the connection then and not
 * up to twice as late. */
static uint64_t next_try_ns(const struct tcp *t, const struct tcp_conn *c, const struct tcp_flight *f, uint64_t now_ns)
{
        uint64_t try_ns = rto_ns(t, c), most_ns = MS(conn_opts(t, c)->user_timeout_ms);
        uint64_t stuck_ns = (uint64_t)(tick_of_ns(now_ns) - f->stuck_since) << WHEEL_TICK_SHIFT;

        return most_ns && stuck_ns < most_ns ? u64_min(try_ns, most_ns - stuck_ns) : try_ns;
}

static void on_rto(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, struct tcp_note *note)
{
        struct tcp_flight *f = flight_at(t, c);

        c->timer_kind = TIMER_NONE;
        if (!f)
                return;
        /* A peer that took its window back but still answers is not dead (RFC 9293 MUST-37); but it
         * shall not hold what nobody owns for ever (RFC 9293 3.8.6.1 leaves that to the system). */
        bool shut = !f->syn && c->snd_wnd == 0;
        bool silent = tick_of_ns(now_ns) - c->last_rx >= ticks_from_ns(t->conf.rto_max_ns);
        if (is_hopeless(t, c, f, now_ns) && (!shut || silent || c->flags & TF_ORPHAN)) {
                count(t->counters, CNT_TCP_TIMEOUTS);
                if (c->state <= TCP_SYN_RECEIVED)
                        count(t->counters, CNT_TCP_OPEN_FAILS);
                conn_fail(t, c, ETIMEDOUT, note);
                return;
        }
        if (f->syn) {
                count(t->counters, CNT_TCP_SYN_RETRANS);
                c->flags |= TF_SYN_RETRIED;
        }
        count(t->counters, CNT_TCP_RTO);
        loss_on_rto(t, c, f);
        if (shut)
                c->flags |= TF_REXMIT_ONE;              /* also the window probe */
        if (c->backoff < UINT8_MAX)
                c->backoff++;                                   /* RFC 6298 5.5 */
        timers_set(t, c, TIMER_RTO, next_try_ns(t, c, f, now_ns), now_ns);     /* 5.6 */
        conn_pull(t, c);
}

/* RFC 9293 MUST-35, MUST-36, MUST-37 (goes on as long as the peer answers), SHLD-29, SHLD-30 (exponential). */
static void on_persist(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, struct tcp_note *note)
{
        struct tcp_flight *f = flight_at(t, c);

        c->timer_kind = TIMER_NONE;
        if (!f)
                return;
        const struct tcp_opts *o = conn_opts(t, c);
        bool too_long = o->user_timeout_ms && c->probes &&
                        tick_of_ns(now_ns) - f->stuck_since >= ticks_from_ns(MS(o->user_timeout_ms));
        /* An orphan has so many probes and no more, answered or not: as in Linux, or a peer that keeps
         * its window shut would pin the queue of a closed socket for ever. */
        bool given_up = c->flags & TF_ORPHAN ? c->backoff >= t->conf.orphan_retries : c->probes >= t->conf.retries2;
        if (given_up || too_long) {
                count(t->counters, CNT_TCP_TIMEOUTS);
                conn_fail(t, c, ETIMEDOUT, note);
                return;
        }
        c->flags |= c->snd_wnd ? TF_SWS_OVERRIDE : TF_PROBE;
        if (c->snd_wnd == 0)
                c->probes++;
        if (c->backoff < 15)
                c->backoff++;
        timers_set(t, c, TIMER_PERSIST, next_try_ns(t, c, f, now_ns), now_ns);
        conn_pull(t, c);
}

/* RFC 9293 3.8.4, MUST-24..MUST-29; with TCP_USER_TIMEOUT as Linux. */
static void on_keepalive(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, struct tcp_note *note)
{
        const struct tcp_opts *o = conn_opts(t, c);
        bool dead = o->user_timeout_ms
                            ? c->probes && tick_of_ns(now_ns) - c->last_rx >= ticks_from_ns(MS(o->user_timeout_ms))
                            : c->probes >= o->keepcnt;
        if (dead) {
                count(t->counters, CNT_TCP_TIMEOUTS);
                struct flow_key key;
                flow_key_of(&t->flows, conn_ref(t, c), &key);
                struct tcp_seg rst = { .flags = TCP_RST | TCP_ACK, .seq = c->snd_nxt, .ack = c->rcv_nxt };
                count(t->counters, CNT_TCP_RSTS_SENT);
                reply_push(t, &key, &rst, o->tos, o->ttl);
                conn_fail(t, c, ETIMEDOUT, note);
                return;
        }
        if (c->probes < UINT8_MAX)
                c->probes++;
        c->t_rexmit = deadline(now_ns, SEC(o->keepintvl_s));
        c->flags |= TF_KEEP_PROBE;
        conn_pull(t, c);
        timers_rearm(t, c);
}

/* Are there packet buffers for a writer that has nothing in flight whose ACK could wake it? */
static void on_pool(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, struct tcp_note *note)
{
        c->timer_kind = TIMER_NONE;
        if (!send_room(t, c)) {
                timers_wait_for_pool(t, c, now_ns);
                return;
        }
        c->flags &= ~(uint32_t)TF_WND_FULL;
        note_add(note, c, TCP_EV_WRITABLE);
        timers_rearm(t, c);
}

static void on_timer(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, struct tcp_note *note)
{
        tick now = tick_of_ns(now_ns);

        if (c->flags & TF_DELACK && !tick_before(now, c->t_delack)) {
                c->flags = (c->flags & ~(uint32_t)(TF_DELACK | TF_PINGPONG)) | TF_ACK_NOW;
                count(t->counters, CNT_TCP_DELAYED_ACKS);
                conn_pull(t, c);
        }
        if (c->timer_kind != TIMER_NONE && !tick_before(now, c->t_rexmit)) {
                switch (c->timer_kind) {
                case TIMER_RTO: on_rto(t, c, now_ns, note); return;
                case TIMER_PERSIST: on_persist(t, c, now_ns, note); return;
                case TIMER_POOL: on_pool(t, c, now_ns, note); return;
                default: conn_finish(t, c, note); return;       /* FIN-WAIT-2: the peer never closed */
                }
        }
        if (keepalive_applies(c) && !tick_before(now, keepalive_at(t, c))) {
                on_keepalive(t, c, now_ns, note);
                return;
        }
        timers_rearm(t, c);
}

static bool expire_record(struct tcp *t, uint64_t now_ns, uint32_t *budget)
{
        if (*budget == 0 || !(half_expire(t, now_ns) || wait_expire(t, now_ns)))
                return false;
        --*budget;
        return true;
}

static bool expire_conn(struct tcp *t, uint64_t now_ns, uint32_t *budget, struct tcp_note *note)
{
        uint32_t idx = *budget ? wheel_expire(&t->wheel, tick_of_ns(now_ns), budget) : 0;
        if (!idx)
                return false;
        awake_prefetch(t, wheel_peek(&t->wheel));
        on_timer(t, awake_at(t, idx), now_ns, note);
        return true;
}

bool tcp_expire(struct tcp *t, uint64_t now_ns, uint32_t *budget, struct tcp_note *note)
{
        *note = (struct tcp_note){ 0 };
        t->now_ns = now_ns;
        /* In turn, so that a million of the ones do not hold up the others. */
        if (*budget & 1 && expire_record(t, now_ns, budget))
                return true;
        if (expire_conn(t, now_ns, budget, note) || expire_record(t, now_ns, budget))
                return true;
        owed_turn(t);
        rest_turn(t);
        return false;
}

uint64_t tcp_next_deadline(struct tcp *t)
{
        owed_settle_all(t);
        tick next = wheel_next(&t->wheel);
        bool any = t->wheel.armed > 0 || t->wheel.stage >= 0;
        tick half, wait;

        if (half_next(t, &half) && (!any || tick_before(half, next))) {
                next = half;
                any = true;
        }
        if (wait_next(t, &wait) && (!any || tick_before(wait, next))) {
                next = wait;
                any = true;
        }
        if (!any)
                return TIME_NEVER;

        /* Ticks are the low 32 bits of the clock's; the ones above come from the last look at it. */
        uint64_t now_ticks = t->now_ns >> WHEEL_TICK_SHIFT;
        int32_t away = (int32_t)(next - (tick)now_ticks);
        return (uint64_t)((int64_t)now_ticks + away) << WHEEL_TICK_SHIFT;
}
