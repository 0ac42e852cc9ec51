/* SPDX-License-Identifier: MIT */
/* tools/herd.h - Very many connections, both ends of each in this process
 *
 * The clients connect to a listener of the same stack, over a device that
 * brings back what is sent (loop:).  All run in one thread around one epoll
 * instance, so what is seen is the stack's doing alone.
 *
 *      herd_open()     connect them all, a window of them at a time
 *      herd_talk()     each sends a message of its own, the server sends it back,
 *                      and every octet of the answer is compared
 *      herd_close()    the clients close, the server sees it and closes
 *
 * Port numbers do not limit it: the clients connect to as many of our
 * addresses as needed (HERD_PER_ADDR each; the stack must own 10.64.0.0/10).
 */
#pragma once
#include "tools/cmd.h"

enum { HERD_PER_ADDR = 20000, HERD_MSG_MAX = 65536 };

struct herd {
        uint32_t  cnt;                  /* connections */
        uint32_t  msg_octets;
        uint32_t  opened;               /* client side established */
        uint32_t  accepted;
        uint32_t  answered;             /* messages that came back whole and right */
        uint32_t  closed;               /* server side seen to end */
        uint64_t  wrong;                /* octets that differed, connections that failed */
        int      *fd;                   /* of the clients */
        uint32_t *got;                  /* octets of the answer so far */
        uint32_t  live, live_max;       /* in the window of the phase that runs */
        uint32_t  next;                 /* the next connection to start with */
        int       ep, listener;
        const char *phase;
        double    phase_began_s;
        double    shown_s;              /* when progress was last printed */
        bool      quiet;
};

/* Options of the stack that the herd wants where the user said nothing: a loop: device
 * with addresses enough, and room for both ends.  Ends the program if a device that the
 * user named does not reflect. */
void herd_conf(struct mr_conf *conf, uint32_t cnt);

/* The stack has been started.  Ends the program if there is no memory. */
void herd_init(struct herd *h, uint32_t cnt, uint32_t msg_octets);
void herd_fini(struct herd *h);

/* Each returns the seconds it took; herd_failed() afterwards tells how it went. */
double herd_open(struct herd *h);
double herd_talk(struct herd *h);
double herd_close(struct herd *h);

/* Stopped by a signal, or something went wrong. */
bool herd_failed(const struct herd *h);

/* Resident octets of this process, and seconds of a monotonic clock. */
uint64_t herd_rss(void);
double   herd_now_s(void);
