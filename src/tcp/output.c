/* SPDX-License-Identifier: MIT */
/* tcp/output.c - What to say next, if anything
 *
 * The shard pulls: tcp_poll_send() returns one segment a call until nobody has
 * anything to say.  Whoever has is on the output list; being on it costs
 * nothing if it turns out to have nothing.  A connection speaks at most
 * OUT_QUOTA segments, then the next one has its turn.
 *
 * For one connection the order is: RST, the segment that loss.c wants again,
 * SYN, new data (with FIN), FIN, a window or keepalive probe, a bare ACK.  Any
 * segment carries the acknowledgment, so ACKs of a burst coalesce into one.
 */
#include "tcp/engine.h"
#include "wire/csum.h"
#include "wire/ip4.h"

enum { OUT_QUOTA = 32, GSO_PAYLOAD_MAX = 65535 - 60 - 60 };

static void fill_ack(struct tcp *t, struct tcp_conn *c, struct tcp_seg *seg, uint64_t now_ns)
{
        uint32_t wnd = recvq_window(t, c), shift = c->flags & TF_WSCALE && !(seg->flags & TCP_SYN) ? rcv_wscale(c) : 0;

        seg->flags |= TCP_ACK;
        seg->ack = c->rcv_nxt;
        seg->window = (uint16_t)u32_min((wnd + (1u << shift) - 1) >> shift, 65535);
        c->rcv_adv = seq_max(c->rcv_adv, seq_add(c->rcv_nxt, (uint32_t)seg->window << shift));
        c->rcv_acked = c->rcv_nxt;
        if (c->flags & TF_ACK_NOW && c->quickacks)
                c->quickacks--;
        c->flags &= ~(uint32_t)(TF_ACK_NOW | TF_DELACK);
        struct tcp_recvq *q = recvq_at(t, c);
        if (q && q->dup_acks) {
                q->dup_acks--;
                c->flags |= TF_ACK_NOW;
        }
}

static void fill_ts(const struct tcp_conn *c, struct tcp_seg *seg, uint64_t now_ns)
{
        if (!(c->flags & TF_TS))
                return;
        seg->has |= TCP_HAS_TS;                         /* RFC 7323 3.2: in every segment */
        seg->ts_val = ms_of_ns(now_ns) + c->ts_offset;
        seg->ts_ecr = c->ts_recent;
}

/* RFC 9293 3.1: the checksum over pseudo header, header and text; or its beginning, for the device. */
static void checksum(struct pkt *p, const struct flow_key *key, bool device_finishes)
{
        uint8_t *field = p->data + TCP_CSUM_OFFSET;

        if (device_finishes) {
                csum_store(field, csum_fold(csum_pseudo(&key->laddr, &key->raddr, IP_PROTO_TCP, p->len)));
                p->marks |= PKT_CSUM_PARTIAL;
                p->csum_start = 0;
                p->csum_offset = TCP_CSUM_OFFSET;
                return;
        }
        csum_store(field, (uint16_t)~csum_transport(&key->laddr, &key->raddr, IP_PROTO_TCP, p->data, p->len));
}

/* Header in front of @p's text. */
struct pkt *output_segment(struct tcp *t, const struct flow_key *key, struct tcp_seg *seg, struct pkt *p, bool csum)
{
        seg->src_port = key->lport;
        seg->dst_port = key->rport;
        tcp_emit(pkt_push(p, tcp_hdr_len(seg)), seg);
        checksum(p, key, csum);
        count(t->counters, CNT_TCP_SEGS_SENT);
        return p;
}

static struct pkt *conn_segment(struct tcp *t, struct tcp_conn *c, const struct flow_key *key, struct tcp_seg *seg,
                                struct pkt *p)
{
        return output_segment(t, key, seg, p, c->flags & TF_TX_CSUM);
}

/* A packet for @len octets of text, NULL (and "starved") if there is none. */
static struct pkt *take(struct tcp *t, uint32_t len)
{
        struct pkt *p = pkt_take(t->pool, len);
        if (!p) {
                t->starved = true;
                count_drop(t->counters, DROP_NO_PKT);
        }
        return p;
}

static struct pkt *send_bare(struct tcp *t, struct tcp_conn *c, const struct flow_key *key, tcp_seq at, uint8_t flags, uint64_t now_ns)
{
        struct pkt *p = take(t, 0);
        if (!p)
                return NULL;
        struct tcp_seg seg = { .seq = at, .flags = flags };
        fill_ack(t, c, &seg, now_ns);
        fill_ts(c, &seg, now_ns);
        return conn_segment(t, c, key, &seg, p);
}

/* RFC 9293 3.10: an ACK has SEQ = SND.NXT; but a peer that took window back would not accept that
 * number: then the right edge, unless rounding alone put it there (as Linux). */
static tcp_seq acceptable_seq(const struct tcp *t, const struct tcp_conn *c)
{
        tcp_seq max = seq_max(c->snd_nxt, conn_snd_max(t, c));
        tcp_seq edge = seq_add(c->snd_una, c->snd_wnd);
        uint32_t unit = 1u << (c->flags & TF_WSCALE ? snd_wscale(c) : 0);

        return seq_diff(max, edge) < (int32_t)unit ? max : edge;
}

static struct pkt *send_rst(struct tcp *t, struct tcp_conn *c, const struct flow_key *key)
{
        struct pkt *p = take(t, 0);
        if (!p)
                return NULL;
        /* RFC 9293 3.10.5: <SEQ=SND.NXT><CTL=RST>; with ACK, as Linux, so that RFC 5961 peers see it in window. */
        struct tcp_seg seg = { .seq = c->snd_nxt, .ack = c->rcv_nxt, .flags = TCP_RST | TCP_ACK };
        count(t->counters, CNT_TCP_RSTS_SENT);
        return conn_segment(t, c, key, &seg, p);
}

static struct pkt *send_syn(struct tcp *t, struct tcp_conn *c, const struct flow_key *key, struct tcp_flight *f,
                            uint64_t now_ns)
{
        struct pkt *p = take(t, 0);
        if (!p)
                return NULL;

        const struct tcp_opts *o = conn_opts(t, c);
        struct tcp_seg seg = { .seq = c->snd_una, .flags = TCP_SYN, .has = TCP_HAS_MSS };
        seg.mss = conn_offer_mss(t, &key->raddr, o);
        if (c->flags & TF_WSCALE) {
                seg.has |= TCP_HAS_WSCALE;
                seg.wscale = (uint8_t)rcv_wscale(c);
        }
        fill_ts(c, &seg, now_ns);
        if (c->state == TCP_SYN_RECEIVED) {
                fill_ack(t, c, &seg, now_ns);
        } else {
                seg.window = (uint16_t)u32_min(o->rcvbuf, 65535);       /* RFC 7323 2.2: never scaled in a SYN */
        }
        c->snd_nxt = seq_add(c->snd_una, 1);
        if (seq_lt(f->snd_max, c->snd_nxt)) {
                f->snd_max = c->snd_nxt;
                f->rtt_seq = c->snd_nxt;
                f->rtt_start_ns = now_ns;
                f->stuck_since = tick_of_ns(now_ns);
        }
        if (c->timer_kind != TIMER_RTO)
                timers_set(t, c, TIMER_RTO, rto_ns(t, c), now_ns);
        return conn_segment(t, c, key, &seg, p);
}

/* One segment with @len octets of text from queue offset @from. */
static struct pkt *send_text(struct tcp *t, struct tcp_conn *c, const struct flow_key *key, struct tcp_flight *f,
                             uint32_t from, uint32_t len, bool fin, uint64_t now_ns)
{
        struct pkt *p = take(t, len);                   /* the headers go into the headroom */
        if (!p)
                return NULL;
        sendq_copy(f, from, p->data, len);
        p->len = len;

        struct tcp_seg seg = { .seq = seq_add(c->snd_una, from) };
        tcp_seq end = seq_add(seg.seq, len + fin);
        if (fin) {
                seg.flags |= TCP_FIN;
                c->flags |= TF_FIN_SENT;
        }
        if (len && from + len == f->len)
                seg.flags |= TCP_PSH;                   /* RFC 9293 SHLD-27: nothing more is queued */
        if (tick_of_ns(now_ns) - c->last_rx <= ticks_from_ns(t->conf.delack_ns))
                c->flags |= TF_PINGPONG;                /* an answer within the delay: ACKs can ride on answers */
        fill_ack(t, c, &seg, now_ns);
        fill_ts(c, &seg, now_ns);
        if (len > c->mss) {
                p->marks |= PKT_GSO;
                p->gso_size = c->mss;
        }

        if (seq_lt(seg.seq, f->snd_max)) {
                count(t->counters, CNT_TCP_SEGS_RETRANS);
                f->retrans++;
                f->rtt_start_ns = 0;                    /* RFC 6298 3, Karn's rule */
        } else {
                if (seq_eq(f->snd_max, c->snd_una))
                        f->stuck_since = tick_of_ns(now_ns);
                if (!f->rtt_start_ns) {
                        f->rtt_seq = end;
                        f->rtt_start_ns = now_ns;
                }
        }
        if (seq_gt(end, f->snd_max)) {
                count_add(t->counters, CNT_TCP_BYTES_SENT, (uint32_t)seq_diff(end, seq_max(f->snd_max, seg.seq)) - fin);
                f->snd_max = end;
        }
        if (len < c->mss ? len != 0 : len % c->mss != 0)
                f->snd_sml = end;
        if (c->timer_kind != TIMER_RTO)
                timers_set(t, c, TIMER_RTO, rto_ns(t, c), now_ns);      /* RFC 6298 5.1 */
        return conn_segment(t, c, key, &seg, p);
}

/* ---- how much may be sent now ---- */

/* Octets beyond SND.NXT that both windows allow; negative when the window shrank. */
static int64_t usable(const struct tcp_conn *c, const struct tcp_flight *f)
{
        int64_t out = seq_diff(c->snd_nxt, c->snd_una);
        int64_t cwnd = c->cwnd;

        if (!f->in_recovery)
                cwnd += (int64_t)u32_min(f->dup_acks, 2) * c->mss;      /* RFC 3042 limited transmit */
        return (cwnd < c->snd_wnd ? cwnd : c->snd_wnd) - out;
}

/* May a segment smaller than the MSS go?  @all: it is all there is. */
static bool small_may_go(const struct tcp_conn *c, const struct tcp_flight *f, uint32_t len, bool all)
{
        if (seq_lt(c->snd_nxt, f->snd_max) || c->flags & TF_SWS_OVERRIDE)
                return true;                            /* it was decided the first time */
        if (!all)                                       /* RFC 9293 3.8.6.2.1 (3): the window is in the way */
                return len >= c->snd_wnd_max / 2;
        if (c->flags & TF_FIN_QUEUED)
                return true;
        if (c->flags & TF_MORE)
                return false;
        /* RFC 9293 3.7.4 Nagle, as Minshall: wait only for a small one to be acknowledged. */
        return c->flags & TF_NODELAY || seq_le(f->snd_sml, c->snd_una) || seq_eq(f->snd_max, c->snd_una);
}

/* A full segment; less than the MSS while no large buffer is free for a jumbo one. */
static uint32_t segment_max(const struct tcp *t, const struct tcp_conn *c)
{
        bool large = t->pool->large.used < t->pool->large.cap;
        return large ? c->mss : u32_min(c->mss, PKT_SMALL_ROOM);
}

/* Octets of text for the next segment; 0: none (and *@held: there are, but they must wait). */
static uint32_t text_len(const struct tcp *t, const struct tcp_conn *c, const struct tcp_flight *f, uint32_t avail,
                         bool *held)
{
        int64_t can = usable(c, f);
        uint32_t seg = segment_max(t, c);
        uint32_t len = can <= 0 ? 0 : (uint32_t)u64_min((uint64_t)can, avail);

        *held = false;
        if (len > seg) {
                bool gso = c->flags & TF_TX_TSO && t->pool->large.used < t->pool->large.cap;
                len = u32_min(len, gso ? GSO_PAYLOAD_MAX / c->mss * c->mss : seg);
        }
        uint32_t small = len < seg ? len : len % seg;
        if (small && !small_may_go(c, f, small, len == avail))
                len -= small;
        if (len == 0 && avail)
                *held = true;
        return len;
}

/* RFC 9293 3.8.6.1: nothing is out and nothing may go: somebody must ask again. */
static void arm_persist(struct tcp *t, struct tcp_conn *c, struct tcp_flight *f, uint64_t now_ns)
{
        /* The wait for packet buffers is over: something is queued. */
        bool free = c->timer_kind == TIMER_NONE || c->timer_kind == TIMER_POOL;
        if (!free || !seq_eq(f->snd_max, c->snd_una))
                return;
        f->stuck_since = tick_of_ns(now_ns);
        timers_set(t, c, TIMER_PERSIST, rto_ns(t, c), now_ns);
}

static struct pkt *send_data(struct tcp *t, struct tcp_conn *c, const struct flow_key *key, struct tcp_flight *f,
                             uint64_t now_ns)
{
        uint32_t out = (uint32_t)seq_diff(c->snd_nxt, c->snd_una);
        if (out > f->len)
                return NULL;                            /* FIN is out too: all is said */
        uint32_t avail = f->len - out;
        bool held, fin = false;
        uint32_t len = text_len(t, c, f, avail, &held);

        if (c->flags & TF_FIN_QUEUED && len == avail)
                fin = usable(c, f) > len || seq_lt(seq_add(c->snd_nxt, len), f->snd_max);
        if (len == 0 && !fin) {
                if (held || (c->flags & TF_FIN_QUEUED && avail == 0))
                        arm_persist(t, c, f, now_ns);
                return NULL;
        }
        struct pkt *p = send_text(t, c, key, f, out, len, fin, now_ns);
        if (p) {
                c->snd_nxt = seq_add(c->snd_nxt, len + fin);
                c->flags &= ~(uint32_t)TF_SWS_OVERRIDE;
        }
        return p;
}

/* The segment at SND.UNA once more, whatever the windows say (RFC 5681 3.2 (3)). */
static struct pkt *send_again(struct tcp *t, struct tcp_conn *c, const struct flow_key *key, struct tcp_flight *f,
                              uint64_t now_ns)
{
        uint32_t sent = (uint32_t)seq_diff(f->snd_max, c->snd_una);
        uint32_t len = u32_min(u32_min(segment_max(t, c), f->len), sent);
        bool fin = c->flags & TF_FIN_SENT && len == f->len && sent > len;

        c->flags &= ~(uint32_t)TF_REXMIT_ONE;
        if (len == 0 && !fin)
                return NULL;
        struct pkt *p = send_text(t, c, key, f, 0, len, fin, now_ns);
        if (!p)
                c->flags |= TF_REXMIT_ONE;
        return p;
}

/* The usual answer: all that is queued and not sent fits into one segment, may go, and nothing else
 * has to be said.  What the functions above would find out step by step.  Octets; 0: ask them. */
static uint32_t plain_text_len(const struct tcp *t, const struct tcp_conn *c, const struct tcp_flight *f)
{
        const uint32_t special = TF_RST | TF_REXMIT_ONE | TF_FIN_QUEUED | TF_MORE | TF_SWS_OVERRIDE | TF_PROBE | TF_KEEP_PROBE;
        uint32_t out = (uint32_t)seq_diff(c->snd_nxt, c->snd_una), len = f->len - out;

        if (!t->conf.fast_path || c->flags & special || c->state < TCP_ESTABLISHED || f->in_recovery || f->dup_acks || f->syn)
                return 0;
        if (out >= f->len || !seq_eq(c->snd_nxt, f->snd_max) || len > u32_min(c->mss, PKT_SMALL_ROOM))
                return 0;
        if (f->len > u32_min(c->cwnd, c->snd_wnd))
                return 0;
        return len == c->mss || out == 0 || c->flags & TF_NODELAY || seq_le(f->snd_sml, c->snd_una) ? len : 0;
}

/* The next segment of @c, or NULL when it has nothing to say. */
static struct pkt *output_conn(struct tcp *t, struct tcp_conn *c, const struct flow_key *key, uint64_t now_ns)
{
        struct tcp_flight *f = flight_at(t, c);
        struct pkt *p = NULL;
        uint32_t len = f ? plain_text_len(t, c, f) : 0;

        if (len) {
                p = send_text(t, c, key, f, f->len - len, len, false, now_ns);
                if (p)
                        c->snd_nxt = seq_add(c->snd_nxt, len);
                return p;
        }
        if (c->flags & TF_RST) {
                p = send_rst(t, c, key);
                if (p)
                        c->flags &= ~(uint32_t)TF_RST;
                return p;
        }
        if (c->state == TCP_CLOSED)
                return NULL;
        if (f && f->syn) {
                if (seq_eq(c->snd_nxt, c->snd_una))
                        return send_syn(t, c, key, f, now_ns);
                if (c->state == TCP_SYN_SENT)
                        return NULL;
        }
        if (f && c->flags & TF_REXMIT_ONE)
                p = send_again(t, c, key, f, now_ns);
        if (!p && f && !f->syn)
                p = send_data(t, c, key, f, now_ns);
        if (p || t->starved)
                return p;
        if (c->flags & (TF_PROBE | TF_KEEP_PROBE)) {
                /* One number before SND.UNA: the peer must answer with where it stands (as Linux). */
                p = send_bare(t, c, key, seq_sub(c->snd_una, 1), 0, now_ns);
                if (p) {
                        count(t->counters, c->flags & TF_PROBE ? CNT_TCP_ZERO_WND_PROBES : CNT_TCP_KEEPALIVES);
                        c->flags &= ~(uint32_t)(TF_PROBE | TF_KEEP_PROBE);
                }
                return p;
        }
        if (c->flags & TF_ACK_NOW)
                return send_bare(t, c, key, acceptable_seq(t, c), 0, now_ns);
        return NULL;
}

/* ---- whose turn it is ---- */

static void out_pop(struct tcp *t)
{
        struct tcp_conn *c = awake_at(t, t->out_head);

        t->out_head = c->out_next;
        if (!t->out_head)
                t->out_tail = 0;
        t->out_quota = OUT_QUOTA;
        c->flags &= ~(uint32_t)TF_OUT;
        c->out_next = 0;
}

/* After a segment: may there be another?  True when in doubt. */
static bool has_more(const struct tcp *t, const struct tcp_conn *c)
{
        const struct tcp_flight *f = flight_at(t, c);

        if (c->flags & (TF_ACK_NOW | TF_RST | TF_REXMIT_ONE | TF_PROBE | TF_KEEP_PROBE))
                return true;
        return f && (f->syn || (uint32_t)seq_diff(c->snd_nxt, c->snd_una) < f->len + !!(c->flags & TF_FIN_QUEUED));
}

/* The head of the list leaves it; with @more to say it comes again after the others. */
static void turn_ends(struct tcp *t, struct tcp_conn *c, bool more)
{
        out_pop(t);
        if (c->flags & TF_FREE)
                conn_reap(t, c);
        else if (more)
                conn_pull(t, c);
        else if (!c->flight)
                rest_soon(t, c);
}

static struct pkt *poll_reply(struct tcp *t, struct tcp_tx *tx)
{
        struct tcp_reply *r = &t->reply[t->reply_head % REPLY_MAX];
        struct pkt *p = take(t, 0);
        if (!p)
                return NULL;
        t->reply_head = (t->reply_head + 1) % REPLY_MAX;
        t->reply_cnt--;
        *tx = (struct tcp_tx){ r->key.laddr, r->key.raddr, r->tos, r->ttl };
        return output_segment(t, &r->key, &r->seg, p, false);
}

struct pkt *tcp_poll_send(struct tcp *t, uint64_t now_ns, struct tcp_tx *tx)
{
        t->starved = false;
        /* In turn, so that a flood of answers to strangers does not silence connections. */
        t->reply_last = t->reply_cnt && !(t->reply_last && t->out_head);
        if (t->reply_last)
                return poll_reply(t, tx);
        while (t->out_head) {
                struct tcp_conn *c = awake_at(t, t->out_head);
                struct flow_key key;

                flow_key_of(&t->flows, conn_ref(t, c), &key);
                struct pkt *p = output_conn(t, c, &key, now_ns);
                if (t->starved)
                        return NULL;
                if (p) {
                        const struct tcp_opts *o = conn_opts(t, c);
                        *tx = (struct tcp_tx){ key.laddr, key.raddr, o->tos, o->ttl };
                }
                bool more = p && has_more(t, c);
                if (!more || t->out_quota-- <= 1)
                        turn_ends(t, c, more);
                if (p)
                        return p;
        }
        return NULL;
}

bool tcp_send_pending(const struct tcp *t)
{
        return t->out_head != 0 || t->reply_cnt != 0;
}
