/* SPDX-License-Identifier: MIT */
/* stack/doorbell.h - How one shard's thread gets the attention of another's
 *
 * A word of bits that any thread may set, looked at once a turn, and a
 * descriptor that ends the sleep of a shard.  What the bits mean is told by
 * who answers them.  For rare things: ringing is a system call.
 *
 * Who rings sets the bit first and then makes the descriptor readable, so who
 * finds it readable and empties it will see the bit.  It is emptied by sleepers
 * alone: a bit that is seen earlier, between the two, costs one sleep cut short.
 */
#pragma once
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum doorbell_bit {
        BELL_LISTENERS = 1 << 0,        /* listeners.h has changed */
        BELL_WAKE      = 1 << 1,        /* the call that waits shall return */
};

struct doorbell {
        _Alignas(64) _Atomic uint32_t rung;     /* enum doorbell_bit; a line of its own: others write it */
        int                           fd;
};

/* 0 or a negative errno. */
static inline int doorbell_init(struct doorbell *b)
{
        atomic_init(&b->rung, 0);
        b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        return b->fd < 0 ? -errno : 0;
}

static inline void doorbell_fini(struct doorbell *b) { close(b->fd); }

/* Any thread, and signal handlers. */
static inline void doorbell_ring(struct doorbell *b, uint32_t bits)
{
        uint64_t one = 1;

        atomic_fetch_or_explicit(&b->rung, bits, memory_order_release);
        ssize_t n = write(b->fd, &one, sizeof one);     /* full: it is readable already */
        (void)n;
}

static inline uint32_t doorbell_rung(const struct doorbell *b)
{
        return atomic_load_explicit(&b->rung, memory_order_relaxed);
}

/* After a sleep that the descriptor has ended. */
static inline void doorbell_hush(struct doorbell *b)
{
        uint64_t sink;

        ssize_t n = read(b->fd, &sink, sizeof sink);
        (void)n;
}

/* The bits since the last time, by the shard. */
static inline uint32_t doorbell_take(struct doorbell *b)
{
        return atomic_exchange_explicit(&b->rung, 0, memory_order_acquire);
}
