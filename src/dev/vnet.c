/* SPDX-License-Identifier: MIT */
#include "dev/vnet.h"

#include "base/be.h"
#include "dev/netdev.h"

enum {
        ETH_TYPE_AT = 12, ETH_TYPE_IP4 = 0x0800, ETH_TYPE_VLAN = 0x8100,
        TCP_DOFF_AT = 12, TCP_FLAGS_AT = 13, TCP_CWR = 0x80,
};

bool vnet_parse(struct pkt *p, const struct vnet_hdr *hdr, uint32_t offload)
{
        uint8_t gso = hdr->gso_type & ~VNET_GSO_ECN;

        if (hdr->flags & VNET_NEEDS_CSUM) {
                if (!(offload & NETDEV_RX_CSUM) || (uint32_t)hdr->csum_start + hdr->csum_offset + 2 > p->len)
                        return false;
                p->marks |= PKT_CSUM_PARTIAL;
                p->csum_start = hdr->csum_start;
                p->csum_offset = hdr->csum_offset;
        } else if (hdr->flags & VNET_DATA_VALID && offload & NETDEV_RX_CSUM) {
                p->marks |= PKT_CSUM_OK;
        }
        if (gso == VNET_GSO_NONE)
                return true;
        if ((gso != VNET_GSO_TCP4 && gso != VNET_GSO_TCP6) || !(offload & NETDEV_LRO) || !hdr->gso_size)
                return false;
        p->marks |= PKT_GSO;
        p->gso_size = hdr->gso_size;
        return true;
}

/* EtherType of the frame at @data, behind one VLAN tag if there is one. */
static uint16_t eth_type(const struct pkt *p)
{
        uint16_t type = be16_at(p->data + ETH_TYPE_AT);
        return type == ETH_TYPE_VLAN ? be16_at(p->data + ETH_TYPE_AT + 4) : type;
}

struct vnet_hdr vnet_emit(const struct pkt *p)
{
        struct vnet_hdr hdr = { 0 };

        if (!(p->marks & PKT_CSUM_PARTIAL))
                return hdr;
        hdr.flags = VNET_NEEDS_CSUM;
        hdr.csum_start = p->csum_start;
        hdr.csum_offset = p->csum_offset;
        if (!(p->marks & PKT_GSO))
                return hdr;

        ASSERT((uint32_t)p->csum_start + 20 <= p->len);         /* a TCP header stands there */
        const uint8_t *tcp = p->data + p->csum_start;
        hdr.gso_type = eth_type(p) == ETH_TYPE_IP4 ? VNET_GSO_TCP4 : VNET_GSO_TCP6;
        if (tcp[TCP_FLAGS_AT] & TCP_CWR)
                hdr.gso_type |= VNET_GSO_ECN;
        hdr.gso_size = p->gso_size;
        hdr.hdr_len = (uint16_t)(p->csum_start + (tcp[TCP_DOFF_AT] >> 4) * 4);
        return hdr;
}
