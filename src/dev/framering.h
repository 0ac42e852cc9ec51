/* SPDX-License-Identifier: MIT */
/* dev/framering.h - Frames from one thread or process to another, through memory both see
 *
 * One writer, one reader, a ring of octets.  A frame is copied in and copied
 * out, so neither side ever holds a pointer into the other's memory.
 *
 *      data   │ .... │rec frame ..│rec frame ....│rec frame│ free .... │wrap│ .. │
 *                    ▲ tail (reader)                       ▲ head (writer)
 *
 * A record is 16 octets of struct record, then the frame, padded to 16.  It
 * never goes round the end: a record that would is put at the start, and one
 * with len RECORD_WRAP tells the reader so.  head and tail count octets and
 * are never reduced, so head - tail is what is in use, up to the whole ring.
 *
 * Each index has a cache line of its own and is published once a burst.  The
 * writer keeps a copy of tail and looks again only when that says full.
 *
 * Trust: the other side may be another process and may lie or die at any
 * point.  The reader takes each record's header into its own memory once,
 * checks it against what is in the ring, and only then uses it.  A record
 * that cannot be true makes it skip to head (DROP_RX_RECORD); nothing is ever
 * read or written outside of the ring.
 *
 * Sleeping: the reader sets `sleeping`, makes that visible, and looks once
 * more; the writer publishes head, makes that visible, and looks at
 * `sleeping`.  So one of the two always sees the other, and a wake-up costs
 * nothing while the reader is awake.
 */
#pragma once
#include "dev/netdev.h"

#include <stdatomic.h>

enum {
        FRAMERING_SIZE   = 1 << 20,     /* octets of data in a ring: 15 frames of 64 KB, or 13,000 of 64 octets */
        FRAMERING_ALIGN  = 16,
        FRAMERING_HEADER = 256,
};

/* What both sides see; the ring's data follows.  All zero is an empty ring. */
struct framering_shared {
        _Alignas(64) _Atomic uint32_t head;             /* written by the writer */
        _Alignas(64) _Atomic uint32_t tail;             /* written by the reader */
        _Alignas(64) _Atomic uint32_t sleeping;         /* set by the reader, cleared by who wakes it */
        _Atomic uint32_t              reader;           /* odd: somebody reads; each new reader has another number */
        _Alignas(64) uint8_t          data[];
};
static_assert(offsetof(struct framering_shared, data) <= FRAMERING_HEADER, "shared layout");

/* In front of each frame. */
struct record {
        uint32_t len;                   /* octets of the frame, or RECORD_WRAP */
        uint16_t marks;                 /* PKT_CSUM_PARTIAL, PKT_GSO */
        uint16_t gso_size;
        uint16_t csum_start;
        uint16_t csum_offset;
        uint32_t zero;
};
static_assert(sizeof(struct record) == FRAMERING_ALIGN, "records stay aligned");
#define RECORD_WRAP UINT32_MAX

/* One side's own view. */
struct framering {
        struct framering_shared *sh;
        uint32_t size;                  /* octets of data, a power of two */
        uint32_t pos;                   /* writer: head; reader: tail */
        uint32_t other;                 /* writer: tail as last seen */
        uint32_t dead_reader;           /* writer: number of one that died without saying so */
        uint32_t carry;                 /* writer: enum pkt_mark that go with a frame; see framering_attach_tx() */
};

/* What a reader lets in. */
struct framering_limits {
        uint32_t marks;                 /* enum pkt_mark: others make a record untrue */
        uint32_t len_max;               /* octets of a frame that is not PKT_GSO: others are DROP_RX_OVERSIZE */
};

static inline size_t framering_bytes(uint32_t size) { return sizeof(struct framering_shared) + size; }

/* Become the writer, or the reader, of @sh.  A writer sends the marks PKT_CSUM_PARTIAL and PKT_GSO
 * along; one whose reader is of the same stack may set r->carry to more.  A reader begins with what is sent
 * from now on: what lies there was for somebody else.  The other side may be
 * working meanwhile. */
void framering_attach_tx(struct framering *r, struct framering_shared *sh, uint32_t size);
void framering_attach_rx(struct framering *r, struct framering_shared *sh, uint32_t size);
void framering_detach_rx(struct framering *r);

/* Copy frames in and publish them.  Returns how many there was room for; all
 * packets stay the caller's. */
uint32_t framering_tx(struct framering *r, struct pkt *const pkts[], uint32_t cnt);

/* Must the writer wake the reader?  True once for each sleep. */
bool framering_tx_wakes(struct framering *r);

/* The number of the reader as it stands now, 0: nobody reads. */
static inline uint32_t framering_reader(const struct framering *r)
{
        uint32_t number = atomic_load_explicit(&r->sh->reader, memory_order_acquire);
        return number & 1 && number != r->dead_reader ? number : 0;
}

/* The writer found out that the reader of this number has died.  By number,
 * so that one that comes in the meantime is not meant. */
static inline void framering_reader_died(struct framering *r, uint32_t number) { r->dead_reader = number; }

/* Copy up to @max frames out, into packets of @q's pool; what cannot be
 * delivered is counted in @q's counters.  Work is bounded by the ring. */
uint32_t framering_rx(struct framering *r, struct netdev_queue *q, const struct framering_limits *lim,
                      struct pkt *pkts[], uint32_t max);

/* Reader: about to sleep.  False: there are frames. */
bool framering_sleep_begin(struct framering *r);

/* Reader: awake.  The writer may still be about to signal. */
void framering_sleep_end(struct framering *r);
