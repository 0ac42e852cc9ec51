/* SPDX-License-Identifier: MIT */
/* dev/vnet.h - The virtio-net header: offload marks as the kernel spells them
 *
 * Ten octets in front of a frame (virtio 1.2 5.1.6, the legacy form: host
 * byte order, which be.h says is little-endian).
 */
#pragma once
#include "pkt/pkt.h"

enum {
        VNET_NEEDS_CSUM = 1,            /* flags: PKT_CSUM_PARTIAL */
        VNET_DATA_VALID = 2,            /* flags: PKT_CSUM_OK */
        VNET_GSO_NONE   = 0,            /* gso_type */
        VNET_GSO_TCP4   = 1,
        VNET_GSO_TCP6   = 4,
        VNET_GSO_ECN    = 0x80,         /* with one of these: CWR is set on the first segment alone */
};

struct vnet_hdr {
        uint8_t  flags;
        uint8_t  gso_type;
        uint16_t hdr_len;               /* octets of headers, with GSO */
        uint16_t gso_size;
        uint16_t csum_start;
        uint16_t csum_offset;
};
static_assert(sizeof(struct vnet_hdr) == 10, "as the kernel reads it");

/* Set @p's marks from @hdr.  @offload: what was agreed on (enum netdev_offload).
 * False: what it says cannot be true. */
bool vnet_parse(struct pkt *p, const struct vnet_hdr *hdr, uint32_t offload);

/* The header for @p, whose data is a whole frame. */
struct vnet_hdr vnet_emit(const struct pkt *p);
