/* SPDX-License-Identifier: MIT */
/* tools/herd.h - Very many idle connections, both ends of each on one stack
 *
 * The clients connect to a listener of the same stack, over a device that
 * brings back what is sent (loop:).  All run in one thread around one epoll
 * instance, so growth of memory is the stack's alone.
 *
 * Port numbers do not limit it: the clients connect to as many of our
 * addresses as needed (HERD_PER_ADDR each; the stack must own 10.64.0.0/10).
 */
#pragma once
#include "tools/cmd.h"

enum { HERD_PER_ADDR = 20000 };

struct herd {
        uint32_t  cnt;                  /* connections */
        uint32_t  opened;               /* client side established */
        uint32_t  accepted;
        uint64_t  wrong;                /* connections that failed */
        int      *fd;                   /* of the clients */
        uint32_t  next;                 /* the next connection to start with */
        int       ep, listener;
        double    began_s, shown_s;     /* progress: since when, last printed */
};

/* Options of the stack that the herd wants where the user said nothing: a loop: device
 * with addresses enough, and room for both ends.  Ends the program if a device that the
 * user named does not reflect. */
void herd_conf(struct mr_conf *conf, uint32_t cnt);

/* The stack has been started.  Ends the program if there is no memory. */
void herd_init(struct herd *h, uint32_t cnt);
void herd_fini(struct herd *h);

/* Connect them all, a window of them at a time; returns the seconds it took. */
double herd_open(struct herd *h);

/* Stopped by a signal, or something went wrong. */
bool herd_failed(const struct herd *h);
