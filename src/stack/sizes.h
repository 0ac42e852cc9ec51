/* SPDX-License-Identifier: MIT */
/* stack/sizes.h - How many of everything, and what that takes in memory
 *
 * The operator may say how many connections there can be (max_conns), what
 * memory there is (mem), both, or neither; here the rest follows.  Knows the
 * sizes of the records; reserves nothing.
 *
 * The sums are of the worst day: all connections open, all half-open and
 * TIME-WAIT records in use, all packet buffers full.  Memory is used as it is
 * touched, so an ordinary day takes less.  Not counted: what does not grow
 * with connections (listeners, neighbours, epoll instances: under 1 MB), option
 * sets of sockets that differ from the defaults, and IPv6, 32 octets a
 * connection.
 */
#pragma once
#include "millrace/millrace.h"

#include <stddef.h>
#include <stdint.h>

enum { SIZES_EPOLLS_MAX = 4096 };       /* epoll instances and sockets not yet connected have descriptors too */
enum { SIZES_SMALL_MIN = 256, SIZES_LARGE_MIN = 8 };    /* packet buffers that each shard has at least */

/* Octets, all shards together. */
struct sizes {
        uint64_t conns;                 /* connection and socket */
        uint64_t halves, waits;
        uint64_t finding;               /* the flow table */
        uint64_t packets;               /* buffers, and what a connection needs to hold some */
        uint64_t all;
};

/* Of a resolved configuration. */
void sizes_of(const struct mr_conf *conf, struct sizes *out);

/**
 * sizes_resolve() - Fill in max_conns, max_half, max_wait, mem_packets, pkts_small and pkts_large where they are 0
 * @conf: with shards resolved
 *
 * With `mem` the sum is at most that.  Return: 0 or -EINVAL with one line in @err
 */
int sizes_resolve(struct mr_conf *conf, char *err, size_t err_len);

/* The lines at the start: what there can be and what it takes, what pages were got and what others cost. */
void sizes_say(const struct mr_conf *conf);

/* "196 MB", "2.4 GB"; returns @buf. */
enum { SIZES_TEXT_MAX = 32 };
const char *sizes_octets_text(char buf[SIZES_TEXT_MAX], uint64_t octets);
/* "10,000,000" */
const char *sizes_count_text(char buf[SIZES_TEXT_MAX], uint64_t count);
