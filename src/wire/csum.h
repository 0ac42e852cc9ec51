/* SPDX-License-Identifier: MIT */
/* wire/csum.h - The Internet checksum
 *
 * A one's complement sum of 16-bit words (RFC 1071).  Such a sum does not care
 * about byte order nor about the width of the words added (RFC 1071 2 (B) and
 * (C)), so it is taken here in memory order, in words of 64 bits:
 *
 *      sum    uint64_t   running, with end-around carry at 64 bits; begin with 0
 *      raw    uint16_t   folded; its two octets in memory are the octets on the
 *                        wire, so it is copied into a packet, never swapped
 *
 * Knows nothing of headers but the pseudo header, which it adds up from the
 * addresses.  A checksum is right when the folded sum over all that it covers,
 * itself included, is CSUM_RIGHT.
 */
#pragma once
#include "base/addr.h"
#include "base/be.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { CSUM_RIGHT = 0xffff };

/* Add two running sums. */
static inline uint64_t csum_join(uint64_t a, uint64_t b)
{
        uint64_t sum = a + b;
        return sum + (sum < b);
}

/**
 * csum_add() - Add octets to a running sum
 * @sum:  what has been added so far; 0 to begin
 * @p:    octets, at any alignment
 * @len:  how many, 0 is allowed
 *
 * Pieces may be added in any order, but only the one that ends the message may
 * have an odd length: it counts as if a zero octet followed (RFC 1071 1 (2)).
 */
uint64_t csum_add(uint64_t sum, const void *p, uint32_t len);

/* Fold a running sum to 16 bits, not complemented, in memory order. */
static inline uint16_t csum_fold(uint64_t sum)
{
        sum = (sum & 0xffffffffu) + (sum >> 32);
        sum = (sum & 0xffffffffu) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)sum;
}

/* Write @raw, from csum_fold() or ~csum_fold(), into a header. */
static inline void csum_store(uint8_t *field, uint16_t raw) { memcpy(field, &raw, sizeof raw); }
/* What lies in a header, for csum_store() or comparison only. */
static inline uint16_t csum_load(const uint8_t *field)
{
        uint16_t raw;
        memcpy(&raw, field, sizeof raw);
        return raw;
}

/**
 * csum_pseudo() - The sum of the pseudo header
 * @src, @dst: both of one family, which decides the form
 * @proto:     IP protocol number, host order
 * @len:       octets of transport header and data
 *
 * Spec: RFC 9293 3.1 (IPv4), RFC 8200 8.1 (IPv6).
 */
static inline uint64_t csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto, uint32_t len)
{
        uint64_t w[4];
        uint64_t tail = (uint64_t)__builtin_bswap32(len) + (uint64_t)__builtin_bswap32(proto);

        memcpy(&w[0], src->octet, 16);
        memcpy(&w[2], dst->octet, 16);
        if (ip_addr_is_v4(src))
                return (w[1] >> 32) + (w[3] >> 32) + tail;
        return csum_join(csum_join(w[0], w[1]), csum_join(csum_join(w[2], w[3]), tail));
}

/* The folded sum of a TCP or UDP segment with its pseudo header: CSUM_RIGHT
 * when a received one is intact, to be complemented when one is being written. */
static inline uint16_t csum_transport(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                                      const uint8_t *seg, uint32_t len)
{
        return csum_fold(csum_add(csum_pseudo(src, dst, proto, len), seg, len));
}

/**
 * csum_update16() - Change a checksum after one word under it has changed
 * @field: the checksum in its header
 *
 * The word must lie at an even offset.  Not for a UDP checksum of zero, which
 * means "none".  Spec: RFC 1624 3, equation 3.
 */
static inline void csum_update16(uint8_t *field, be16 old, be16 new)
{
        uint64_t sum = (uint16_t)~csum_load(field);

        sum += (uint16_t)~csum_load(old.octet);
        sum += csum_load(new.octet);
        csum_store(field, (uint16_t)~csum_fold(sum));
}

/* The same for four octets, such as an IPv4 address. */
static inline void csum_update32(uint8_t *field, be32 old, be32 new)
{
        uint32_t m, m_new;

        memcpy(&m, old.octet, 4);
        memcpy(&m_new, new.octet, 4);
        uint64_t sum = (uint64_t)(uint16_t)~csum_load(field) + (uint32_t)~m + m_new;
        csum_store(field, (uint16_t)~csum_fold(sum));
}
