/* SPDX-License-Identifier: MIT */
/* tests/sim/app.h - Random applications and the oracle that judges them
 *
 * A call is one connection with an application at each end.  Each writes its
 * stream in pieces of its own size and pace, reads at its own pace, and ends
 * in its own way.  The oracle: what arrives is a prefix of what was written,
 * octet for octet; the end of the stream comes after all of it; and unless one
 * end was rude (or the network was cut for long), nothing fails.
 */
#pragma once
#include "tests/sim/sim.h"

enum app_end {
        APP_POLITE,                     /* shutdown(SHUT_WR) after the last octet, close() after the peer's end */
        APP_CLOSE,                      /* close() after the last octet, whatever the peer still has to say */
        APP_ABORT,                      /* RST (SO_LINGER 0) after abort_at octets written */
        APP_DEAF,                       /* as polite, but stops reading for deaf_ns after half of the peer's octets */
};

struct app {
        struct sim_host *host;
        struct app      *peer;
        int              fd;            /* -1: not yet, or no longer */
        bool             began, done;
        enum app_end     end;
        uint32_t         stream;        /* that it writes */
        uint64_t         to_send, sent, rcvd;
        uint32_t         write_max, read_max;           /* most octets a call */
        uint64_t         write_pause_ns, read_pause_ns; /* after a call */
        uint64_t         write_at_ns, read_at_ns;       /* not before */
        uint64_t         abort_at, deaf_ns;
        bool             more;          /* MSG_MORE now and then */
        bool             trusting;      /* what arrives is not compared: an attacker may have written it */
        bool             shut, eof, was_deaf;
        int              err;           /* the errno that ended it */
};

struct call {
        struct app      app[2];         /* [0] connects, [1] accepts */
        int             lfd;
        uint16_t        port;
        uint64_t        begin_ns, give_up_ns;
        bool            rude;           /* errors are to be expected */
};

/* Draws a call between @a and @b; it listens at once and connects at begin_ns. */
void call_init(struct call *c, struct rnd *r, struct sim_host *a, struct sim_host *b, uint16_t port, uint64_t now_ns,
               uint32_t octets_max);
/* Do what can be done now.  Returns the next time it wants to be asked without being told. */
uint64_t call_step(struct call *c, uint64_t now_ns);
bool call_is_done(const struct call *c);
/* After the end: the oracle's last word. */
void call_judge(const struct call *c);
/* A line for each end, for a failure. */
void call_print(const struct call *c);
