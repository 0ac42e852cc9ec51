/* SPDX-License-Identifier: MIT */
/* tests/dev/dev_rig.h - A device under test, what is at its other end, and frames to send
 *
 * Test frames carry an EtherType that nobody else uses, a number and a pattern
 * made from it, so that a frame out of place, cut or mixed up is seen.  Frames
 * of others (the kernel talks on a TAP by itself) are passed over.
 */
#pragma once
#include "base/units.h"
#include "dev/netdev.h"
#include "tests/test.h"

enum {
        FRAME_LEN_MIN  = 60,
        FRAME_ETH_TYPE = 0x88b5,        /* IEEE 802: local experimental */
        RIG_SMALL      = 4096,          /* packets in a pool */
        RIG_LARGE      = 160,
};

/* A device with one queue and a pool, as a shard has it. */
struct end {
        struct netdev      *dev;
        struct netdev_queue q;
        struct pkt_pool     pool;
        struct counters     counters;
        uint64_t            now_ns;
};

enum far_kind {
        FAR_NONE,                       /* nothing comes back */
        FAR_SELF,                       /* the device reflects */
        FAR_END,                        /* the same device opened once more */
        FAR_KERNEL,                     /* a packet socket on the TAP */
};

struct rig {
        const char   *name;             /* of the device under test */
        enum far_kind far_kind;
        struct end    near;
        struct end    far;              /* FAR_END */
        int           sock;             /* FAR_KERNEL */
};

/* 0, or netdev_open()'s error with its line printed. */
int  end_open(struct end *e, const char *name, uint32_t mtu, uint32_t offload);
/* Closes, and expects that every packet is back in the pool. */
void end_close(struct end *e);

struct pkt *end_frame(struct end *e, uint32_t len, uint32_t number);
/* Send one frame; false: not taken (and freed). */
bool end_send(struct end *e, uint32_t len, uint32_t number);
/* Receive one test frame within ~200 ms of polling; NULL: none came. */
struct pkt *end_recv(struct end *e);
/* end_recv(), and expects frame @number of @len. */
void end_expect(struct end *e, uint32_t len, uint32_t number);
/* Receives and frees until nothing comes any more; returns how many test frames. */
uint32_t end_drain(struct end *e);

/* Skips the test when the device needs rights that we do not have. */
void rig_open(struct rig *r, const char *name, enum far_kind far_kind, uint32_t mtu, uint32_t offload);
void rig_close(struct rig *r);
/* What the far end sends, and gets. */
void rig_far_send(struct rig *r, uint32_t len, uint32_t number);
void rig_far_expect(struct rig *r, uint32_t len, uint32_t number);
uint32_t rig_far_drain(struct rig *r);

void frame_fill(uint8_t *buf, uint32_t len, uint32_t number);
bool frame_is_ours(const uint8_t *buf, uint32_t len);
bool frame_ok(const uint8_t *buf, uint32_t len, uint32_t number);
uint32_t frame_number(const uint8_t *buf);

/* An IPv4 TCP frame of @payload octets with the checksum left to the device. */
uint32_t frame_tcp(uint8_t *buf, uint32_t payload);

/* A new network namespace, or the test is skipped. */
void need_netns(void);

/* A path in a directory that is removed when the test ends. */
const char *temp_path(char *buf, size_t len, const char *file);
