/* SPDX-License-Identifier: MIT */
/* stack/shard_rx.c - From the device to the sockets, a burst at a time
 *
 * Three passes over the burst, so that each has one reason to miss the cache
 * and starts the loads that the next one needs:
 *
 *      1  what is it?         ip/, wire/    starts loading the flow's bucket
 *      2  whose is it?        flow/         starts loading the connection
 *      3  what does it mean?  tcp/, sock/   RFC 9293, then whoever waits is told
 *
 * Replies are not sent here: connections that have something to say are pulled
 * once the whole burst is through (shard_tx.c), so ACKs coalesce by themselves.
 */
#include "stack/shard.h"
#include "wire/csum.h"
#include "wire/icmp.h"
#include "wire/ip_proto.h"

#include <errno.h>

/* A TCP segment between the passes. */
struct rx_seg {
        struct pkt     *p;
        struct flow_key key;
        uint32_t        hash;
        struct tcp_seg  seg;
};

/* RFC 9293 MUST-2, MUST-3, unless the device has looked (or never left this machine's memory). */
static bool checksum_ok(const struct pkt *p, const struct ip_rx *rx)
{
        return p->marks & (PKT_CSUM_OK | PKT_CSUM_PARTIAL) ||
               csum_transport(&rx->src, &rx->dst, IP_PROTO_TCP, p->data, p->len) == CSUM_RIGHT;
}

static enum drop parse_tcp(struct shard *sh, struct pkt *p, const struct ip_rx *rx, struct rx_seg *out)
{
        if (rx->broadcast)                              /* RFC 9293 MUST-57 */
                return DROP_TCP_BROADCAST;
        enum drop why = tcp_parse(&out->seg, p->data, p->len);
        if (why != DROP_NONE)
                return why;
        if (!checksum_ok(p, rx))
                return DROP_TCP_CHECKSUM;
        out->p = p;
        out->key = (struct flow_key){ rx->dst, rx->src, out->seg.dst_port, out->seg.src_port };
        out->hash = flow_hash(tcp_flows(sh->tcp), &out->key);
        flow_prefetch(tcp_flows(sh->tcp), out->hash);
        return DROP_NONE;
}

static void tell(struct shard *sh, const struct tcp_note *note)
{
        if (note->events)
                socks_note(&sh->socks, note);
}

/* RFC 1122 3.2.2.1, RFC 9293 3.9.2.2: which errno an ICMP error means, and whether it ends an open.
 * Unlike MUST-56 an unreachable host or network does, as in Linux: the caller of connect() learns
 * at once what is wrong, and may try again. */
static int icmp_errno(const struct ip_icmp_error *e, bool *hard)
{
        *hard = true;
        if (e->type == ICMP_PARAM_PROBLEM)
                return EPROTO;
        if (e->type != ICMP_UNREACHABLE) {
                *hard = false;
                return EHOSTUNREACH;
        }
        switch (e->code) {
        case ICMP_UNREACHABLE_NET: return ENETUNREACH;
        case ICMP_UNREACHABLE_PROTO: return ENOPROTOOPT;
        case ICMP_UNREACHABLE_PORT: return ECONNREFUSED;
        default: return EHOSTUNREACH;
        }
}

static void take_icmp(struct shard *sh, const struct ip_icmp_error *e)
{
        struct flow_key key = { e->local, e->remote, e->local_port, e->remote_port };
        struct tcp_note note;
        bool hard;

        if (e->type == ICMP_UNREACHABLE && e->code == ICMP_UNREACHABLE_FRAG_NEEDED) {
                count_drop(&sh->counters, tcp_icmp_too_big(sh->tcp, &key, e->seq, e->mtu));
                return;
        }
        int err = icmp_errno(e, &hard);
        count_drop(&sh->counters, tcp_icmp_error(sh->tcp, &key, e->seq, err, hard, &note));
        tell(sh, &note);
}

void shard_take_failures(struct shard *sh)
{
        struct ip_icmp_error lost;
        while (ip_next_failure(&sh->ip, &lost))
                take_icmp(sh, &lost);
}

/* Pass 1 for one frame.  True: a TCP segment for the next passes. */
static bool classify(struct shard *sh, struct pkt *p, struct rx_seg *out)
{
        struct ip_rx rx;

        count(&sh->counters, CNT_RX_FRAMES);
        count_add(&sh->counters, CNT_RX_BYTES, p->len);
        enum drop why = ip_input(&sh->ip, p, sh->now_ns, &rx);
        if (rx.kind == IP_RX_TCP) {
                why = parse_tcp(sh, p, &rx, out);
                if (why == DROP_NONE)
                        return true;
                count_drop(&sh->counters, why);
                pkt_give(&sh->pool, p);
        } else if (rx.kind == IP_RX_ICMP_ERROR) {
                take_icmp(sh, &rx.icmp);
        } else if (why == DROP_NONE) {
                count_drop(&sh->counters, DROP_NONE);
        }
        return false;
}

static uint32_t rx_port(struct shard *sh, uint32_t index)
{
        struct shard_port *port = &sh->port[index];
        struct flow_table *flows = tcp_flows(sh->tcp);
        struct pkt *pkts[BURST_MAX];
        struct rx_seg segs[BURST_MAX];
        uint32_t burst = u32_min(port->dev->caps.burst_best, BURST_MAX), seg_cnt = 0;
        uint32_t cnt = netdev_rx(&port->queue, pkts, burst, sh->now_ns);

        for (uint32_t i = 0; i < cnt; i++) {
                if (i + 1 < cnt)
                        __builtin_prefetch(pkts[i + 1]->data);
                pkts[i]->iface = (uint8_t)index;
                seg_cnt += classify(sh, pkts[i], &segs[seg_cnt]);
        }
        for (uint32_t i = 0; i < seg_cnt; i++)
                flow_prefetch_records(flows, segs[i].hash);

        for (uint32_t i = 0; i < seg_cnt; i++) {
                struct rx_seg *s = &segs[i];
                struct tcp_note note;
                enum drop why = tcp_input(sh->tcp, s->p, &s->seg, &s->key, s->hash, sh->now_ns, &note);
                count_drop(&sh->counters, why);
                tell(sh, &note);
                /* RFC 1122 2.3.2.1: progress shows that the neighbour lives; one a burst is told often enough. */
                if (i == 0 && why == DROP_NONE && s->seg.flags & TCP_ACK)
                        ip_neigh_confirm(&sh->ip, &s->key.raddr, sh->now_ns);
        }
        return cnt;
}

uint32_t shard_rx(struct shard *sh)
{
        uint32_t done = 0;
        for (uint32_t i = 0; i < sh->port_cnt; i++)
                done += rx_port(sh, i);
        return done;
}
