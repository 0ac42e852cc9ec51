/* SPDX-License-Identifier: MIT */
/* tests/sim/raw.h - A scripted peer: hand-made segments to a real stack, and what it answers
 *
 * The peer is 10.0.0.100 on a wire without delay, so an answer comes at the
 * very time of its question.  A conversation reads like this:
 *
 *      struct raw *r = raw_new(1);             the stack is r->host
 *      raw_say(r, "S 0 mss 1460");             the peer says: SYN, seq 0
 *      raw_hear(r, "SA 0 ack 1 mss 1460");     the stack must have answered this, now
 *      raw_say(r, "A 1 ack 1");
 *      raw_quiet(r);                           it must have said nothing
 *      raw_hear_in(r, MS(40), "A 1 ack 11");   nothing for 40 ms, then this
 *
 * A line is flags (S A F R P U E C, "-" for none), the sequence number, then
 * words:  ack N   win N   len N   mss N   ws N   ts VAL ECR   sackok   urg N
 * Sequence numbers are relative to the initial ones (the peer's is r->iss).
 * In raw_hear() what is not mentioned is not compared, but for len (0 unless
 * told), and flags other than P, which must be equal.  Of text the content is
 * compared with (said: taken from) the stream of sim.h, stream 1 for the
 * stack's, 2 for the peer's, octet 0 at sequence number 1.
 */
#pragma once
#include "tests/sim/sim.h"

enum { RAW_QUEUE = 4096, RAW_STREAM_STACK = 1, RAW_STREAM_PEER = 2 };

/* A segment that the stack has sent. */
struct raw_seg {
        struct tcp_seg seg;
        uint32_t       text_len;
        uint64_t       at_ns;
        bool           text_right;
        uint8_t        ttl, tos;
};

struct raw {
        struct sim      *sim;
        struct sim_host *host;
        struct sim_link *link;
        struct sim_end  *end;
        struct ip_addr   addr;                  /* of the peer */
        uint16_t         host_port, peer_port;  /* of the conversation */
        uint32_t         iss, irs;              /* initial numbers: the peer's, the stack's */
        bool             irs_known;
        bool             mute;                  /* does not even answer ARP */
        struct raw_seg   queue[RAW_QUEUE];      /* heard and not yet looked at */
        uint32_t         head, cnt;
        struct raw_seg   last;                  /* what the last raw_hear() saw */
        uint32_t         icmp_cnt;              /* ICMP messages heard */
        uint8_t          icmp_type, icmp_code;  /* of the last */
};

/* @conf: of the host; NULL: the simulator's defaults. */
struct raw *raw_new_of(uint64_t seed, const struct shard_conf *conf);
struct raw *raw_new(uint64_t seed);
/* As sim_free(). */
void raw_free(struct raw *r);

/* Let everything happen that needs no time, and hear it. */
void raw_settle(struct raw *r);
/* Let time pass, hearing what is said. */
void raw_run(struct raw *r, uint64_t ns);

void raw_say(struct raw *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void raw_say_seg(struct raw *r, const struct tcp_seg *seg, const uint8_t *text, uint32_t len);
/* An ICMP error about a segment of the stack with relative sequence number @seq. */
void raw_say_icmp(struct raw *r, uint8_t type, uint8_t code, uint32_t seq);
/* A router's "too big": only packets of @mtu octets fit. */
void raw_say_too_big(struct raw *r, uint32_t seq, uint16_t mtu);

#define raw_hear(r, ...)        raw_hear_at_(r, __FILE__, __LINE__, 0, __VA_ARGS__)
/* It comes @ns from now, and nothing before; timers may be up to 3 ms late. */
#define raw_hear_in(r, ns, ...) raw_hear_at_(r, __FILE__, __LINE__, ns, __VA_ARGS__)
#define raw_quiet(r)            raw_quiet_at_(r, __FILE__, __LINE__, 0)
#define raw_quiet_for(r, ns)    raw_quiet_at_(r, __FILE__, __LINE__, ns)
bool raw_hear_at_(struct raw *r, const char *file, int line, uint64_t ns, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));
void raw_quiet_at_(struct raw *r, const char *file, int line, uint64_t ns);
/* Forget what was said. */
void raw_forget(struct raw *r);

/* ---- getting into a state ---- */

/* Established, the stack having listened (on port 80) or connected.  @syn: the words of the
 * peer's SYN, such as "mss 1460 ws 7 ts 100 0"; the window is 65535.  100 ms have passed since,
 * so that what is sent next is no answer and text is acknowledged at once.  Returns the descriptor. */
int raw_accepted(struct raw *r, const char *syn);
int raw_connected(struct raw *r, const char *syn);
/* The stack begins to connect to the peer and its SYN is heard. */
int raw_connecting(struct raw *r);

/* The stack's end sends @len octets of its stream from @at; fails if not all are taken. */
void raw_write(struct raw *r, int fd, uint64_t at, uint32_t len);
/* The stack's end reads exactly @len octets of the peer's stream from @at. */
void raw_read(struct raw *r, int fd, uint64_t at, uint32_t len);
