/* SPDX-License-Identifier: MIT */
/* dev/steer_hash.h - Which queue a frame is for
 *
 * The one thing that steer: must know of what is in a frame: enough to keep a
 * flow together.  Nothing is checked here that ip/ will check again; what
 * cannot be read goes to queue 0, where it is counted and dropped.
 */
#pragma once
#include "dev/netdev.h"

/* For every queue. */
#define STEER_ALL UINT32_MAX

/* A keyed hash over addresses and ports, spread evenly over 0..@queue_cnt - 1. */
uint32_t steer_of_flow(const struct hash_key *key, uint16_t queue_cnt, const struct netdev_flow *flow);

/**
 * steer_of_frame() - The queue for a received Ethernet frame, or STEER_ALL
 *
 * TCP and UDP go by steer_of_flow(), and an ICMP error goes to the flow that
 * it quotes.  ARP replies and announcements are for all, for each shard has a
 * neighbour cache of its own; other ARP, ICMP, fragments and all the rest are
 * for queue 0.
 */
uint32_t steer_of_frame(const struct hash_key *key, uint16_t queue_cnt, const uint8_t *frame, uint32_t len);
