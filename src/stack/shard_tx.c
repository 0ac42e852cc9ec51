/* SPDX-License-Identifier: MIT */
/* stack/shard_tx.c - From those who have something to say to the devices
 *
 * Segments are pulled from the engine, ip/ puts headers in front and appends
 * them to the list of their interface, and the lists are handed to the devices
 * in bursts.  Pulling stops while a device is behind, so what waits here is
 * bounded and the send queues hold the rest.
 */
#include "stack/shard.h"
#include "wire/ip_proto.h"

enum { TX_BEHIND = 128, TX_PULL_MAX = 1024 };
#define TX_STUCK_NS MS(50)

/* Hand @port's list over.  Returns frames taken. */
static uint32_t drain(struct shard *sh, uint32_t index)
{
        struct shard_port *port = &sh->port[index];
        struct pkt_list *list = &sh->ip.tx[index];
        struct pkt *pkts[BURST_MAX];
        uint32_t done = 0;

        while (list->head) {
                uint32_t cnt = 0, octets = 0;
                for (struct pkt *p = list->head; p && cnt < BURST_MAX; p = p->next)
                        pkts[cnt++] = p;
                struct pkt *rest = pkts[cnt - 1]->next;         /* the device owns what it takes: look first */
                uint32_t lens[BURST_MAX];
                for (uint32_t i = 0; i < cnt; i++)
                        lens[i] = pkts[i]->len;

                uint32_t took = netdev_tx(&port->queue, pkts, cnt, sh->now_ns);
                ASSERT(took <= cnt);
                for (uint32_t i = 0; i < took; i++)
                        octets += lens[i];
                count_add(&sh->counters, CNT_TX_FRAMES, took);
                count_add(&sh->counters, CNT_TX_BYTES, octets);
                done += took;
                list->cnt -= took;
                list->head = took < cnt ? pkts[took] : rest;
                if (!list->head)
                        list->tail = NULL;
                if (took < cnt)
                        break;
        }
        return done;
}

/* A device that takes nothing for long must not hold up the others. */
static void check_stuck(struct shard *sh, uint32_t index, uint32_t took)
{
        struct shard_port *port = &sh->port[index];
        struct pkt_list *list = &sh->ip.tx[index];

        if (took || !list->head) {
                port->stuck_since_ns = 0;
        } else if (!port->stuck_since_ns) {
                port->stuck_since_ns = sh->now_ns;
        } else if (sh->now_ns - port->stuck_since_ns > TX_STUCK_NS) {
                sh->counters.drop[DROP_TX_FULL] += list->cnt;
                pkt_list_give(&sh->pool, list);
                port->stuck_since_ns = 0;
        }
}

static uint32_t drain_all(struct shard *sh)
{
        uint32_t done = 0;
        for (uint32_t i = 0; i < sh->port_cnt; i++) {
                uint32_t took = drain(sh, i);
                check_stuck(sh, i, took);
                done += took;
        }
        return done;
}

static bool is_behind(const struct shard *sh)
{
        for (uint32_t i = 0; i < sh->port_cnt; i++)
                if (sh->ip.tx[i].cnt >= TX_BEHIND)
                        return true;
        return false;
}

uint32_t shard_tx(struct shard *sh)
{
        uint32_t done = 0;
        struct tcp_tx tx;

        for (uint32_t pulled = 0; pulled < TX_PULL_MAX; pulled++) {
                if (is_behind(sh)) {
                        done += drain_all(sh);
                        if (is_behind(sh))
                                break;
                }
                struct pkt *p = tcp_poll_send(sh->tcp, sh->now_ns, &tx);
                if (!p)
                        break;
                /* A packet that finds no way is counted by ip/ and gone; TCP will send it again. */
                (void)ip_output(&sh->ip, p, &tx.laddr, &tx.raddr, IP_PROTO_TCP, tx.tos, tx.ttl, sh->now_ns);
        }
        return done + drain_all(sh);
}
