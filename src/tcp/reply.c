/* SPDX-License-Identifier: MIT */
/* tcp/reply.c - Answers that need no connection
 *
 * A bounded ring of segments to send: RSTs, SYN-ACKs of half-open records and
 * the ACKs of TIME-WAIT.  When it is full the answer is dropped and counted;
 * everything in it is sent again by somebody's timer or not needed twice.
 */
#include "tcp/engine.h"

void reply_push(struct tcp *t, const struct flow_key *key, const struct tcp_seg *seg, uint8_t tos, uint8_t ttl)
{
        if (t->reply_cnt == REPLY_MAX) {
                count_drop(t->counters, DROP_TCP_REPLY_FULL);
                return;
        }
        struct tcp_reply *r = &t->reply[(t->reply_head + t->reply_cnt++) % REPLY_MAX];
        *r = (struct tcp_reply){ *key, *seg, tos, ttl };
}

/* RFC 9293 3.10.7.1: the RST that a segment to nowhere deserves. */
void reply_rst_to(struct tcp *t, const struct flow_key *key, const struct tcp_seg *seg, uint32_t text_len)
{
        struct tcp_seg rst = { .flags = TCP_RST };

        if (seg->flags & TCP_ACK) {
                rst.seq = seg->ack;
        } else {
                rst.flags |= TCP_ACK;
                rst.ack = seq_add(seg->seq, text_len + !!(seg->flags & TCP_SYN) + !!(seg->flags & TCP_FIN));
        }
        count(t->counters, CNT_TCP_RSTS_SENT);
        reply_push(t, key, &rst, 0, 0);
}

/* Two ends that disagree about their numbers answer each other's answers for ever: one answer in
 * so long ends that, and a peer's probes, an RTO apart, are all answered.  Flows that share a slot
 * push each other out and are limited less. */
bool answer_allowed(struct tcp *t, flow_ref who, uint64_t now_ns)
{
        tick now = tick_of_ns(now_ns);
        uint32_t slot = who % ANSWER_SLOTS;

        if (t->answer[slot].who == who && now - t->answer[slot].at < ticks_from_ns(MS(100))) {
                count_drop(t->counters, DROP_TCP_RATE);
                return false;
        }
        t->answer[slot].who = who;
        t->answer[slot].at = now;
        return true;
}

/* RFC 5961 7: a limit for the whole engine.  Its size is jittered for each refill,
 * so that counting the answers tells nothing (CVE-2016-5696). */
bool challenge_allowed(struct tcp *t, flow_ref who, uint64_t now_ns)
{
        if (now_ns - t->challenge_refill_ns >= SEC(1)) {
                uint32_t half = t->conf.challenge_acks_per_s / 2;
                t->challenge_refill_ns = now_ns;
                t->challenge_tokens = half + rnd_below(&t->rnd, t->conf.challenge_acks_per_s + 1);
        }
        if (t->challenge_tokens == 0) {
                count_drop(t->counters, DROP_TCP_RATE);
                return false;
        }
        if (!answer_allowed(t, who, now_ns))
                return false;
        t->challenge_tokens--;
        return true;
}

enum drop challenge_ack(struct tcp *t, struct tcp_conn *c, uint64_t now_ns, enum drop why)
{
        if (challenge_allowed(t, conn_ref(t, c), now_ns)) {
                count(t->counters, CNT_TCP_CHALLENGE_ACKS);
                c->flags |= TF_ACK_NOW;
                conn_pull(t, c);
        }
        return why;
}
