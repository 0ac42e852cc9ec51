/* SPDX-License-Identifier: MIT */
/* tools/sparse.h - A client of millions of connections that remembers none of them
 *
 * It sits at the other end of a device (loop:NAME, shm:NAME, tap:...) and
 * speaks Ethernet, ARP, IPv4 and TCP with one server that sends back what it
 * gets (an echo).  It is no stack: all that it knows of a connection is worked
 * out from the packet in hand, so a server can be taken to more connections
 * than a client with state would have memory for.
 *
 * THEORY OF OPERATION
 *
 *   Who      Connection number i is the tuple (net + i / 32768, 32768 + i % 32768,
 *            server, port): a bijection, so a packet tells its number.
 *   Where    Our ISN is a keyed hash of i.  A server's ACK number minus that is
 *            how many octets of ours it has: `at`.  With an echo and one message
 *            under way at a time this tells everything: text of length n that
 *            comes with `at` repeats the octets [at - n, at) of our stream.
 *   What     The octet at each position of each connection is a function of both,
 *            so every octet of an echo is checked without having been kept.
 *   Pieces   A message longer than a segment goes in pieces, each after the echo of
 *            the one before.
 *
 * All connections go through one phase at a time, a window of them at once.
 * At its begin each has sent the same number of octets, `base`; so `at` - base
 * is the progress of a connection within the phase.
 *
 * To begin to talk on an idle connection we need to know what to acknowledge,
 * and nothing has come that would tell it.  So we POKE it: one octet at the
 * sequence number of our SYN, the keepalive probe of RFC 9293 3.8.4 (with its
 * garbage octet).  That is old data to the server, who answers by an ACK with
 * its SND.NXT and RCV.NXT (3.10.7.4 first), and our answer to this ACK, which
 * has `at` == base, is the message.  It costs two packets more.  With
 * conf.remember the server's ISN is kept, 4 octets a connection, and no poke
 * is needed; that is for benchmarks of the message alone.
 *
 * What is lost: our answers carry the ACK of what they answer, so when one is
 * lost the server sends again and we answer again.  Only what we begin by
 * ourselves (SYN, poke) needs care: one bit a connection, `busy`, says that
 * its turn in the phase has begun and not ended; when nothing has come for
 * SPARSE_RETRY_NS those are begun again.  The same bit counts each only once.
 *
 * CYCLE is the life of short connections, over and over: SYN, ACK with the
 * request, echo, FIN with the ACK, the server's FIN, ACK.  The server has no
 * TIME-WAIT then, so numbers can come again at once.
 *
 * Threads: one thread calls sparse_turn().  sparse_phase() and the functions
 * that ask may be called by another one.
 *
 * Not here: losses beyond that, reordering within a connection (an echo that
 * does not end where `at` says is counted as `odd`), IPv6, congestion control.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sparse;

enum {
        SPARSE_PORTS     = 32768,       /* connections of one client address */
        SPARSE_MSG_MAX   = 65536,
        SPARSE_PIECE_MAX = 1400,        /* octets of a message in one segment */
};
#define SPARSE_RETRY_NS 250000000ull

struct sparse_conf {
        const char *dev;                /* "loop:NAME", "shm:NAME" */
        uint32_t    conns;              /* connection numbers are 0 .. conns - 1 */
        uint32_t    server;             /* IPv4 address, host order */
        uint16_t    port;
        uint32_t    gateway;            /* our address on the link; the server's route to the clients */
        uint32_t    net;                /* the first client's address */
        uint32_t    window;             /* connections under way at once; 0: 1024 */
        uint32_t    mtu;                /* 0: the device's */
        uint64_t    seed;               /* of ISNs and contents */
        bool        shuffle;            /* phases go through the connections in random order */
        bool        remember;           /* keep the server's ISNs: messages without a poke */
};

/* Defaults for all but dev: server 10.64.0.1:7000, gateway 10.64.0.2, net 10.128.0.0.  The server's stack
 * wants --addr 10.64.0.1/24 --gateway 10.64.0.2. */
void sparse_conf_default(struct sparse_conf *conf);

/* NULL on failure, with one line in @err.  Memory: one bit a connection, 4 octets more with
 * remember, and packet buffers for a window; all of it touched at once. */
struct sparse *sparse_open(const struct sparse_conf *conf, char *err, size_t err_len);
void           sparse_close(struct sparse *s);

enum sparse_what {
        SPARSE_HOLD,                    /* begin nothing more; what has begun comes to its end */
        SPARSE_CONNECT,
        SPARSE_TALK,                    /* each sends a message and gets it back */
        SPARSE_TALK_ON,                 /* the same again and again until HOLD; only CLOSE can follow */
        SPARSE_CLOSE,                   /* FIN, the server's FIN, ACK */
        SPARSE_CYCLE,                   /* connect, message, close, again and again until HOLD; none may be open */
        SPARSE_CYCLE_ONCE,              /* the same, each connection once */
};

/**
 * sparse_phase() - What all connections shall do now
 * @cnt:  the connections 0 .. cnt - 1 take part; CLOSE after TALK_ON: the same ones
 * @msg:  octets of the message, 1..SPARSE_MSG_MAX (2 at least for TALK_ON); else ignored
 * @rate: most connections begun in a second; 0: no limit
 *
 * The next turn obeys.  HOLD may be given at any time and is done when all that
 * was under way has ended (after TALK_ON: has its echo).  All others may be given
 * when the one before is done.  The window does not bound TALK_ON: all @cnt talk at once.
 */
void sparse_phase(struct sparse *s, enum sparse_what what, uint32_t cnt, uint32_t msg, uint64_t rate);

/* Has each connection been through the phase, and the phase been taken up? */
bool sparse_done(const struct sparse *s);

/* One burst: answer what has come, begin what the window and the rate allow.
 * Returns the frames moved, 0: there was nothing to do. */
uint32_t sparse_turn(struct sparse *s, uint64_t now_ns);

struct sparse_counts {
        uint64_t connected;             /* SYN-ACKs that ended a wait */
        uint64_t answered;              /* messages that came back whole */
        uint64_t octets;                /* of echoes, compared */
        uint64_t wrong;                 /* of them, different */
        uint64_t odd;                   /* segments whose text does not end where it should */
        uint64_t reset;                 /* RSTs that ended a wait */
        uint64_t late;                  /* other RSTs: we had said again what a closed connection needed no more */
        uint64_t closed;                /* both FINs */
        uint64_t stray;                 /* frames not for us, or without sense */
        uint64_t retried;               /* begun again */
        uint64_t under_way;             /* begun and not ended, now */
        uint64_t rx_frames, tx_frames;
        uint64_t dropped;               /* frames that the device could not receive or send */
};

/* As of the end of the last turn that did something. */
void sparse_counts(const struct sparse *s, struct sparse_counts *out);

/* Packet buffers not given back; 0 when all is quiet. */
uint32_t sparse_pkts_used(const struct sparse *s);
