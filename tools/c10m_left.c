/* SPDX-License-Identifier: MIT */
/* tools/c10m_left.c - What a stack still holds: looks into the shard, as no program outside can */
#include "tools/c10m.h"

#include "stack/api.h"
#include "stack/shard.h"

/* The calling thread's. */
static struct shard *shard_here(void)
{
        struct socks *ss = api_attach(NULL);

        api_attach(ss);
        return ss->env.arg;
}

uint32_t c10m_open_of_stack(uint32_t *waits)
{
        struct tcp_usage u;

        tcp_usage(shard_here()->tcp, &u);
        *waits = u.waits;
        return u.conns;
}

void c10m_left_of_stack(struct c10m_left *left)
{
        const struct shard *sh = shard_here();
        const uint64_t *drop = sh->counters.drop;
        struct tcp_usage u;

        tcp_usage(sh->tcp, &u);
        *left = (struct c10m_left){
                .conns = u.conns, .halves = u.halves, .waits = u.waits, .queues = u.flights + u.recvqs,
                .socks = sh->socks.slab.used + u.listeners,
                .flows = tcp_flows(sh->tcp)->used,
                .pkts = sh->pool.small.used + sh->pool.large.used,
                .rx_frames = sh->counters.cnt[CNT_RX_FRAMES], .tx_frames = sh->counters.cnt[CNT_TX_FRAMES],
                .dropped = drop[DROP_NO_PKT] + drop[DROP_RX_OVERSIZE] + drop[DROP_RX_RECORD] + drop[DROP_RX_MARKS] +
                           drop[DROP_TX_NO_LINK] + drop[DROP_TX_REFUSED] + drop[DROP_FAULT_LOSS] +
                           drop[DROP_FAULT_QUEUE],
        };
}

uint64_t c10m_left_sum(const struct c10m_left *l)
{
        return l->conns + l->halves + l->waits + l->queues + l->socks + l->flows + l->pkts;
}
