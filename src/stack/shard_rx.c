/* SPDX-License-Identifier: MIT */
/* stack/shard_rx.c - From the device to the sockets, a burst at a time
 *
 * Four passes over the burst, so that each has one reason to miss the cache
 * and starts the loads that the next one needs:
 *
 *      1  what is it?         ip/, wire/    starts loading the flow's bucket
 *      2  whose is it?        flow/         starts loading the connection
 *      3  what has it got?    tcp/, sock/   starts loading its queues and its socket
 *      4  what does it mean?  tcp/, sock/   RFC 9293, then whoever waits is told
 *
 * Replies are not sent here: connections that have something to say are pulled
 * once the whole burst is through (shard_tx.c), so ACKs coalesce by themselves.
 */
#include "stack/shard.h"
#include "wire/csum.h"
#include "wire/icmp.h"
#include "wire/ip_proto.h"

#include <errno.h>

/* RFC 9293 MUST-2, MUST-3, unless the device has looked (or never left this machine's memory). */
static bool checksum_ok(const struct pkt *p, const struct ip_rx *rx)
{
        return p->marks & (PKT_CSUM_OK | PKT_CSUM_PARTIAL) ||
               csum_transport(&rx->src, &rx->dst, IP_PROTO_TCP, p->data, p->len) == CSUM_RIGHT;
}

static enum drop parse_tcp(struct shard *sh, struct pkt *p, const struct ip_rx *rx, struct tcp_rx *out)
{
        if (rx->broadcast)                              /* RFC 9293 MUST-57 */
                return DROP_TCP_BROADCAST;
        enum drop why = tcp_parse(&out->seg, p->data, p->len);
        if (why != DROP_NONE)
                return why;
        if (!checksum_ok(p, rx))
                return DROP_TCP_CHECKSUM;
        out->p = p;
        uint32_t ports = be32_at(p->data);              /* in one piece: out->seg has just got them in two */
        out->key = (struct flow_key){ rx->dst, rx->src, (uint16_t)ports, (uint16_t)(ports >> 16) };
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
static bool classify(struct shard *sh, struct pkt *p, struct tcp_rx *out)
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

/* Pass 4 for the first of @cnt segments, or for a train of them.  Returns how many. */
static uint32_t input(struct shard *sh, struct tcp_rx *rx, uint32_t cnt)
{
        struct tcp_note note;
        uint32_t taken = tcp_input_expected(sh->tcp, rx, cnt, sh->now_ns, &note);

        if (taken) {
                sh->counters.drop[DROP_NONE] += taken;
        } else {
                taken = 1;
                count_drop(&sh->counters, tcp_input(sh->tcp, rx->p, &rx->seg, &rx->key, rx->hash, sh->now_ns, &note));
        }
        tell(sh, &note);
        return taken;
}

static uint32_t rx_port(struct shard *sh, uint32_t index)
{
        struct shard_port *port = &sh->port[index];
        struct pkt *pkts[BURST_MAX];
        struct tcp_rx rx[BURST_MAX];
        uint32_t burst = u32_min(port->dev->caps.burst_best, BURST_MAX), segs = 0;
        uint32_t cnt = netdev_rx(&port->queue, pkts, burst, sh->now_ns);

        for (uint32_t i = 0; i < cnt; i++) {
                if (i + 1 < cnt)
                        __builtin_prefetch(pkts[i + 1]->data);
                pkts[i]->iface = (uint8_t)index;
                segs += classify(sh, pkts[i], &rx[segs]);
        }
        tcp_rx_probe(sh->tcp, rx, segs);
        for (uint32_t i = 0; i < segs; i++)
                socks_prefetch(&sh->socks, tcp_rx_prefetch(sh->tcp, &rx[i]));

        for (uint32_t i = 0; i < segs;) {
                uint64_t used = sh->counters.drop[DROP_NONE];
                uint32_t taken = input(sh, &rx[i], segs - i);
                /* RFC 1122 2.3.2.1: progress shows that the neighbour lives; one a burst is told often enough. */
                if (i == 0 && rx[0].seg.flags & TCP_ACK && sh->counters.drop[DROP_NONE] != used)
                        ip_neigh_confirm(&sh->ip, &rx[0].key.raddr, sh->now_ns);
                i += taken;
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
