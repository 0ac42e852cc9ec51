/* SPDX-License-Identifier: MIT */
#include "dev/ringport.h"

#include "dev/netdev_priv.h"

#include <unistd.h>

struct framering_limits ringport_limits(uint32_t mtu, uint32_t offload)
{
        struct framering_limits lim = { .len_max = mtu + NETDEV_L2_MAX };

        if (offload & NETDEV_RX_CSUM)
                lim.marks |= PKT_CSUM_PARTIAL;
        if (offload & NETDEV_LRO)
                lim.marks |= PKT_GSO;
        return lim;
}

uint32_t ringport_rx(struct ringport *port, struct netdev_queue *q, struct pkt *pkts[], uint32_t max)
{
        return framering_rx(&port->rx, q, &port->limits, pkts, max);
}

/* An eventfd wants eight octets, a FIFO takes any number.  A full one is
 * readable already, so the result does not matter. */
static void wake(int fd)
{
        uint64_t one = 1;
        ssize_t n = write(fd, &one, sizeof one);
        (void)n;
}

uint32_t ringport_tx(struct ringport *port, struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt)
{
        if (!framering_reader(&port->tx)) {
                netdev_drop(q, pkts, cnt, DROP_TX_NO_LINK);
                return cnt;
        }
        uint32_t n = framering_tx(&port->tx, pkts, cnt);
        if (n && framering_tx_wakes(&port->tx))
                wake(port->peer_fd);
        for (uint32_t i = 0; i < n; i++)
                pkt_give(q->pool, pkts[i]);
        return n;
}

bool ringport_sleep_begin(struct ringport *port) { return port->slept = framering_sleep_begin(&port->rx); }

/* The descriptor is emptied after every sleep: the other end may have signalled
 * late for the sleep before, and a descriptor left readable would end all
 * later ones.  One read, so a peer that keeps writing costs wake-ups, not a hang. */
void ringport_sleep_end(struct ringport *port)
{
        uint8_t sink[4096];

        framering_sleep_end(&port->rx);
        if (!port->slept)
                return;
        ssize_t n = read(port->rx_fd, sink, sizeof sink);
        (void)n;
}
