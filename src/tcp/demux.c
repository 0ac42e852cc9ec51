/* SPDX-License-Identifier: MIT */
/* tcp/demux.c - Who is it for?
 *
 * A segment belongs to a connection, a half-open record, a TIME-WAIT record, a
 * listener, or nobody; an ICMP error belongs to the connection whose segment it
 * quotes, if that is plausible.
 */
#include "tcp/engine.h"

#include <errno.h>

/* RFC 9293 3.10.7.1: no connection. */
static enum drop nobody(struct tcp *t, const struct tcp_seg *seg, const struct flow_key *key, uint32_t text_len)
{
        if (seg->flags & TCP_RST)
                return DROP_TCP_RST_NO_FLOW;
        reply_rst_to(t, key, seg, text_len);
        return DROP_TCP_NO_FLOW;
}

static enum drop input_unbound(struct tcp *t, const struct tcp_arrival *a, const tcp_seq *iss_min)
{
        uint32_t listener = ports_find_listener(&t->ports, a->key, a->hash);
        if (!listener)
                return nobody(t, a->seg, a->key, a->p->len);
        return listen_input(t, listener, a, iss_min);
}

void tcp_rx_probe(struct tcp *t, struct tcp_rx rx[], uint32_t cnt)
{
        t->probed_at = t->flows.removed;
        for (uint32_t i = 0; i < cnt; i++)
                rx[i].ref = flow_probe(&t->flows, rx[i].hash);
}

uint32_t tcp_rx_prefetch(const struct tcp *t, const struct tcp_rx *rx)
{
        if (flow_ref_kind(rx->ref) != FLOW_CONN)
                return 0;
        const struct tcp_rest *r = rest_at(t, flow_ref_idx(rx->ref));
        if (rest_awake(r))
                awake_prefetch(t, rest_awake(r));
        return r->owner;
}

enum drop tcp_input(struct tcp *t, struct pkt *p, const struct tcp_seg *seg, const struct flow_key *key, uint32_t hash,
                    uint64_t now_ns, struct tcp_note *note)
{
        flow_ref ref = flow_find(&t->flows, hash, key);
        uint32_t idx = flow_ref_idx(ref);
        bool kept = false, reopen;
        tcp_seq iss_min;
        enum drop why;

        *note = (struct tcp_note){ 0 };
        count(t->counters, CNT_TCP_SEGS_RCVD);
        pkt_pull(p, seg->hdr_len);
        struct tcp_arrival a = { p, seg, key, hash, now_ns, note, &kept };

        switch (flow_ref_kind(ref)) {
        case FLOW_CONN:
                why = conn_input(t, conn_at(t, idx), p, seg, now_ns, note, &kept);
                break;
        case FLOW_HALF:
                why = half_input(t, idx, &a);
                break;
        case FLOW_WAIT:
                why = wait_input(t, idx, seg, p->len, key, hash, now_ns, &reopen, &iss_min);
                if (reopen)
                        why = input_unbound(t, &a, &iss_min);
                break;
        default:
                why = input_unbound(t, &a, NULL);
                break;
        }
        if (!kept)
                pkt_give(t->pool, p);
        return why;
}

/* ---- ICMP ---- */

/* RFC 5927 4.1: an error is believed only if it quotes something that is in flight. */
static struct tcp_conn *quoted(struct tcp *t, const struct flow_key *key, tcp_seq seq)
{
        flow_ref ref = flow_find(&t->flows, flow_hash(&t->flows, key), key);

        if (flow_ref_kind(ref) != FLOW_CONN || !rest_awake(rest_at(t, flow_ref_idx(ref))))
                return NULL;                            /* at rest nothing is in flight */
        struct tcp_conn *c = conn_at(t, flow_ref_idx(ref));
        return seq_le(c->snd_una, seq) && seq_lt(seq, conn_snd_max(t, c)) ? c : NULL;
}

/* RFC 9293 3.9.2.2: never the end of an established connection. */
enum drop tcp_icmp_error(struct tcp *t, const struct flow_key *key, tcp_seq seq, int err, bool hard,
                         struct tcp_note *note)
{
        struct tcp_conn *c = quoted(t, key, seq);

        *note = (struct tcp_note){ 0 };
        if (!c)
                return DROP_ICMP_NO_FLOW;
        count(t->counters, CNT_ICMP_ERRORS_RCVD);
        if (hard && (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED)) {
                count(t->counters, CNT_TCP_OPEN_FAILS);
                conn_fail(t, c, err, note);
        }
        return DROP_NONE;
}

enum drop tcp_icmp_too_big(struct tcp *t, const struct flow_key *key, tcp_seq seq, uint32_t mtu)
{
        enum { PATH_MTU_MIN = 552, TS_OPTION_LEN = 12 };        /* as Linux: less is an attack (RFC 5927 7) */
        struct tcp_conn *c = quoted(t, key, seq);

        if (!c)
                return DROP_ICMP_NO_FLOW;
        count(t->counters, CNT_ICMP_ERRORS_RCVD);
        uint32_t headers = (ip_addr_is_v4(&key->raddr) ? 20 : 40) + TCP_HDR_MIN + (c->flags & TF_TS ? TS_OPTION_LEN : 0);
        uint32_t mss = u32_max(mtu, PATH_MTU_MIN) - headers;
        if (mss < c->mss) {
                c->mss = (uint16_t)mss;
                c->snd_nxt = c->snd_una;                /* RFC 1191 6.5: send it again at once, cut smaller */
                conn_pull(t, c);
        }
        return DROP_NONE;
}
