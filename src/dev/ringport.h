/* SPDX-License-Identifier: MIT */
/* dev/ringport.h - One end of a wire made of two rings, and how it wakes the other
 *
 * What the pair of `loop:NAME` and the two processes of `shm:NAME` have in
 * common.  The ring and the descriptors belong to whoever made the wire; a
 * descriptor is an eventfd or a FIFO, it does not matter here.
 */
#pragma once
#include "dev/framering.h"

struct ringport {
        struct framering        rx, tx;
        struct framering_limits limits;
        int                     rx_fd;          /* readable when the other end woke us */
        int                     peer_fd;        /* written to wake the other end */
        bool                    slept;          /* sleep_begin() said so */
};

/* Frames that this end takes in, and the MTU and offloads agreed on. */
struct framering_limits ringport_limits(uint32_t mtu, uint32_t offload);

uint32_t ringport_rx(struct ringport *port, struct netdev_queue *q, struct pkt *pkts[], uint32_t max);

/* Takes @cnt frames, or fewer when the ring is full.  With nobody at the other
 * end they are dropped, as by a wire: DROP_TX_NO_LINK. */
uint32_t ringport_tx(struct ringport *port, struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt);

bool ringport_sleep_begin(struct ringport *port);
void ringport_sleep_end(struct ringport *port);
