/* SPDX-License-Identifier: MIT */
/* dev/shm_wire.h - The files of a wire between two processes
 *
 *      /dev/shm/millrace-NAME          header and rings
 *      /dev/shm/millrace-NAME.a0       FIFO that wakes side a, queue 0; .b0, .a1 ... the others
 *
 * A side belongs to who holds the lock on its octet of the file.  The kernel
 * lets go of a lock when its process dies, however it dies, so a dead side is
 * free again and nobody has to guess.  Setting up and tearing down happen
 * under a third lock.  Who opens the wire when both sides are free makes
 * everything anew; who closes it last removes the files.
 *
 * Files are 0600, and only those of the same user are used: the other process
 * may be wrong or hostile in what it writes into the rings (framering.h), but
 * it is a process of the same user and could do worse.
 */
#pragma once
#include "dev/framering.h"

struct shm_wire {
        int       fd;
        uint8_t  *map;
        size_t    len;
        unsigned  side;                 /* 0: a, 1: b */
        uint16_t  queue_cnt;
        uint32_t  offload;              /* agreed on with the other side */
        char      name[48];
};

/* Claim a side.  Return: 0; -EBUSY both are taken; other negative errno; a line in @err. */
int  shm_wire_open(struct shm_wire *w, const char *name, uint16_t queue_cnt, uint32_t offload,
                   char *err, size_t err_len);
void shm_wire_close(struct shm_wire *w);

/* The ring that @side reads. */
struct framering_shared *shm_wire_ring(const struct shm_wire *w, uint16_t queue, unsigned side);

/* Open the FIFO that wakes @side.  Returns a descriptor or a negative errno. */
int shm_wire_fifo(const struct shm_wire *w, uint16_t queue, unsigned side);

/* Does a process hold the other side? */
bool shm_wire_peer_alive(const struct shm_wire *w);
