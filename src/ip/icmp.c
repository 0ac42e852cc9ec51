/* SPDX-License-Identifier: MIT */
/* ip/icmp.c - ICMP: echoes answered, errors read and written (RFC 792, RFC 1122 3.2.2)
 *
 * An echo reply is the request turned round in its own buffer, of whatever
 * size; the checksum changes by the one word that does.  Redirects, source
 * quenches and everything else that a stranger might steer us by is ignored.
 */
#include "ip/ip_priv.h"
#include "wire/icmp.h"
#include "wire/ip4.h"

enum {
        ICMP_ERROR_LEN_MAX = 576,               /* RFC 1812 4.3.2.3: quote as much as fits */
        ICMP_QUOTE_MAX = ICMP_ERROR_LEN_MAX - IP4_HDR_LEN - ICMP_HDR_LEN,
        TOS_MASK = 0x1e,                        /* RFC 1812 4.3.2.5: TOS as in the packet... */
        PRECEDENCE_INTERNETWORK_CONTROL = 0xc0, /* ...precedence 6 */
};

static enum drop echo_input(struct ip *ip, struct pkt *p, const struct ip_rx *rx)
{
        be16 old, new;

        if (rx->broadcast)
                return DROP_ICMP_BROADCAST;
        if (!bucket_take(&ip->echo_bucket, ip->now_ns))
                return DROP_ICMP_RATE;

        memcpy(&old, p->data, sizeof old);
        p->data[0] = ICMP_ECHO_REPLY;
        memcpy(&new, p->data, sizeof new);
        csum_update16(p->data + offsetof(struct icmp_wire, checksum), old, new);
        p->marks = 0;
        count(ip->counters, CNT_ICMP_ECHOES);
        ip_output(ip, p, &rx->dst, &rx->src, IP_PROTO_ICMP, rx->tos, 0, ip->now_ns);
        return DROP_NONE;
}

/* What is quoted must be a TCP segment from the address that the error was sent to. */
static enum drop error_input(struct ip *ip, struct pkt *p, struct ip_rx *rx, const struct icmp_msg *msg)
{
        struct icmp_quote q;

        if (rx->broadcast)
                return DROP_ICMP_BROADCAST;
        enum drop why = icmp_quote_parse(&q, p->data + ICMP_HDR_LEN, p->len - ICMP_HDR_LEN);
        if (why != DROP_NONE)
                return why;
        if (q.proto != IP_PROTO_TCP || !q.has_l4 || !ip_addr_eq(&q.src, &rx->dst))
                return DROP_ICMP_NO_FLOW;

        bool has_mtu = msg->type == ICMP_UNREACHABLE && msg->code == ICMP_UNREACHABLE_FRAG_NEEDED;
        rx->icmp = (struct ip_icmp_error){
                .local = q.src, .remote = q.dst, .local_port = q.src_port, .remote_port = q.dst_port, .seq = q.seq,
                .type = msg->type, .code = msg->code, .mtu = has_mtu ? icmp_mtu(msg) : 0,
        };
        rx->kind = IP_RX_ICMP_ERROR;
        pkt_give(ip->pool, p);
        return DROP_NONE;
}

enum drop icmp_input(struct ip *ip, struct pkt *p, struct ip_rx *rx)
{
        struct icmp_msg msg;
        enum drop why = icmp_parse(&msg, p->data, p->len);

        if (why != DROP_NONE)
                return why;
        switch (msg.type) {
        case ICMP_ECHO_REQUEST:
                return echo_input(ip, p, rx);
        case ICMP_UNREACHABLE:
        case ICMP_TIME_EXCEEDED:
        case ICMP_PARAM_PROBLEM:
                return error_input(ip, p, rx, &msg);
        default:
                return DROP_ICMP_TYPE;
        }
}

/* Never about an ICMP error, a broadcast, a fragment, or a source that is no single host
 * (RFC 1122 3.2.2).  The last two ip_input() has dropped before. */
static bool may_complain(const struct pkt *p, const struct ip_rx *rx)
{
        return !rx->broadcast && !(rx->proto == IP_PROTO_ICMP && (p->len < 1 || icmp_is_error(p->data[0])));
}

bool ip_icmp_unreachable(struct ip *ip, const struct pkt *p, const struct ip_rx *rx, uint8_t code, uint64_t now_ns)
{
        uint32_t quote = u32_min(rx->hdr_len + p->len, ICMP_QUOTE_MAX);

        if (!may_complain(p, rx) || !bucket_take(&ip->error_bucket, now_ns))
                return false;
        struct pkt *e = pkt_take(ip->pool, ICMP_HDR_LEN + quote);
        if (!e) {
                count_drop(ip->counters, DROP_NO_PKT);
                return false;
        }

        struct icmp_msg msg = { .type = ICMP_UNREACHABLE, .code = code };
        uint8_t tos = (uint8_t)((rx->tos & TOS_MASK) | PRECEDENCE_INTERNETWORK_CONTROL);
        e->len = ICMP_HDR_LEN + quote;
        memcpy(e->data + ICMP_HDR_LEN, p->data - rx->hdr_len, quote);
        icmp_emit(e->data, &msg, e->len);
        if (ip_output(ip, e, &rx->dst, &rx->src, IP_PROTO_ICMP, tos, 0, now_ns) != DROP_NONE)
                return false;
        count(ip->counters, CNT_ICMP_ERRORS_SENT);
        return true;
}
