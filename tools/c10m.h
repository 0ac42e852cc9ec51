/* SPDX-License-Identifier: MIT */
/* tools/c10m.h - The parts of `millrace c10m`
 *
 *      cmd_c10m.c     options, what the stacks are given, the phases one after the other
 *      c10m_show.c    the progress line and the result, as a table or as JSON
 *      c10m_server.c  the server: an echo on a stack and a thread of its own
 *      c10m_socks.c   clients that are sockets of a second stack
 *      c10m_sparse.c  clients without state: tools/sparse.h
 *      c10m_left.c    what an end still holds when all is over
 *
 * The two ends are joined by a device with two ends: loop:NAME between threads,
 * shm:NAME between processes.
 *
 *      server 10.1.0.1/24, and all of 10.64.0.0/10    port numbers don't limit the clients
 *      client 10.1.0.2/24                             sparse: the gateway to 10.128.0.0 and on
 *
 * Neither end keeps more of a connection than 8 octets, which are touched
 * before memory is first measured.
 */
#pragma once
#include "tools/cmd.h"

enum {
        C10M_PORT     = 7000,
        C10M_MSG_MAX  = 65536,
        C10M_BEAT     = 16,             /* octets of a heartbeat */
        C10M_PER_ADDR = 20000,          /* clients that connect to one address of the server */
        C10M_STALL_S  = 30,             /* nothing has moved for so long: give up */
};
#define C10M_SERVER     0x0a010001u     /* 10.1.0.1 */
#define C10M_CLIENT     0x0a010002u
#define C10M_SERVER_NET 0x0a400000u     /* 10.64.0.0/10 */
#define C10M_CLIENT_NET 0x0a800000u     /* 10.128.0.0, sparse clients */

enum c10m_ends { C10M_BOTH, C10M_ONLY_SERVER, C10M_ONLY_CLIENT };

struct c10m_plan {
        enum c10m_ends ends;
        bool           sparse;
        bool           json;
        uint32_t       conns;
        uint32_t       msg;             /* octets */
        uint32_t       window;          /* connections under way at once */
        uint64_t       rate;            /* most new connections a second; 0: no limit */
        uint64_t       heartbeat;       /* heartbeats a second; 0: none */
        uint32_t       hold_s;
        const struct mr_conf *server, *client;  /* of the stacks; the client's device also without one */
};

/* ---- what an end holds ---- */

struct c10m_left {
        uint64_t conns, halves, waits, queues, socks, flows, pkts;
        uint64_t rx_frames, tx_frames;
        uint64_t dropped;               /* frames that the device could not send or deliver */
};

/* Of the calling thread's stack. */
void     c10m_left_of_stack(struct c10m_left *left);
/* Connections and TIME-WAITs of the calling thread's stack. */
uint32_t c10m_open_of_stack(uint32_t *waits);
/* All that is not a frame counter. */
uint64_t c10m_left_sum(const struct c10m_left *left);

/* ---- the server ---- */

struct c10m_server;

struct c10m_served {
        uint64_t accepted, closed, octets, wrong;
};

/* Starts its thread, on core @cpu (-1: any), and waits until it listens.  Ends the program when that fails. */
struct c10m_server *c10m_server_start(const struct mr_conf *conf, int cpu);
void c10m_served(const struct c10m_server *srv, struct c10m_served *out);
/* What its thread has had of its core, waiting by polling included. */
double c10m_server_cpu_s(const struct c10m_server *srv);
/* Take what still comes, stop listening, tell what is left, end. */
void c10m_server_stop(struct c10m_server *srv, struct c10m_left *left);

/* ---- the clients ---- */

enum c10m_phase { C10M_CONNECT, C10M_TALK, C10M_HEARTBEAT, C10M_CLOSE, C10M_PHASES };
extern const char *const c10m_phase_names[C10M_PHASES];

struct c10m_client_state;

/* Sockets or sparse: both do the same. */
struct c10m_client {
        struct c10m_client_state *(*start)(const struct c10m_plan *plan);
        void     (*begin)(struct c10m_client_state *c, enum c10m_phase phase);
        void     (*work)(struct c10m_client_state *c);          /* a millisecond at most without anything to do */
        uint32_t (*done)(struct c10m_client_state *c);          /* connections that are through the phase */
        uint64_t (*wrong)(struct c10m_client_state *c);         /* octets that differed, connections that failed */
        /* All are closed: wait for what follows (TIME-WAIT).  False: not yet, call again. */
        bool     (*settled)(struct c10m_client_state *c);
        void     (*left)(struct c10m_client_state *c, struct c10m_left *left);
        void     (*stop)(struct c10m_client_state *c);
};
extern const struct c10m_client c10m_socks, c10m_sparse;

/* Octets and rate of a phase. */
uint32_t c10m_phase_msg(const struct c10m_plan *plan, enum c10m_phase phase);
uint64_t c10m_phase_rate(const struct c10m_plan *plan, enum c10m_phase phase);

/* ---- what is shown ---- */

struct c10m_result {
        double   phase_s[C10M_PHASES];
        double   client_cpu_s[C10M_PHASES], server_cpu_s[C10M_PHASES]; /* what the two threads had of their cores */
        uint32_t through[C10M_PHASES];
        uint64_t held_octets;           /* growth of resident memory from the start to all connected */
        uint64_t wrong;
        bool     has_server, has_client;
        struct c10m_left server, client;
        bool     failed;
};

/* Frames that one end sent and the other did not receive, and none counted as dropped. */
uint64_t c10m_frames_lost(const struct c10m_result *r);

void c10m_progress(const struct c10m_plan *plan, const char *phase, uint64_t done, double took_s, uint64_t grown,
                   bool last);
void c10m_table(const struct c10m_plan *plan, const struct c10m_result *r);

/* Resident octets of this process, huge pages included, and seconds of a monotonic clock. */
uint64_t c10m_rss(void);
double   c10m_now_s(void);
void     c10m_pin(int cpu);             /* the calling thread; -1: don't */

/* The octet at @at of the stream of client @id. */
static inline uint8_t c10m_octet(uint32_t id, uint32_t at)
{
        uint32_t x = id * 2654435761u + at * 40503u;
        return (uint8_t)(x >> 16 ^ x >> 24);
}
