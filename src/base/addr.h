/* SPDX-License-Identifier: MIT */
/* base/addr.h - IP and MAC addresses
 *
 * An IP address is always 16 octets; an IPv4 address is held in its
 * IPv4-mapped form ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so every table and the
 * whole API hold both families with one type and one comparison.
 */
#pragma once
#include "base/be.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ip_addr {
        uint8_t octet[16];
};

struct mac_addr {
        uint8_t octet[6];
};

/* A prefix: the first @len bits count.  For IPv4, @len is 96 + the usual length. */
struct ip_prefix {
        struct ip_addr addr;
        uint8_t        len;             /* 0..128 */
};

enum { IP_V4_PREFIX_BITS = 96, IP_ADDR_TEXT_MAX = 46, IP_PREFIX_TEXT_MAX = 50, MAC_TEXT_MAX = 18 };

static const struct mac_addr MAC_BROADCAST = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

/* Written as one: an address put together from pieces and read as a whole right after, as the
 * receive path does with every packet, would wait for the store buffer each time. */
static inline struct ip_addr ip_addr_v4(uint32_t host)
{
        typedef uint64_t two_words __attribute__((vector_size(16)));
        two_words w = { 0, 0xffff0000u | (uint64_t)__builtin_bswap32(host) << 32 };
        struct ip_addr a;
        memcpy(&a, &w, sizeof a);
        return a;
}

static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
        uint64_t hi;
        uint32_t mid;
        memcpy(&hi, a->octet, 8);
        memcpy(&mid, a->octet + 8, 4);
        return hi == 0 && mid == 0xffff0000u;
}

/* The IPv4 address in host order; meaningful when ip_addr_is_v4(). */
static inline uint32_t ip_addr_to_v4(const struct ip_addr *a) { return be32_at(&a->octet[12]); }

static inline bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
        return memcmp(a, b, sizeof *a) == 0;
}

/* :: and 0.0.0.0 both mean "any". */
static inline bool ip_addr_is_any(const struct ip_addr *a)
{
        static const uint8_t zero[16];
        return memcmp(a->octet + 12, zero, 4) == 0 &&
               (ip_addr_is_v4(a) || memcmp(a->octet, zero, 12) == 0);
}

/* RFC 1122 3.2.1.3 (e): 224.0.0.0/4; RFC 4291 2.7: ff00::/8 */
static inline bool ip_addr_is_multicast(const struct ip_addr *a)
{
        return ip_addr_is_v4(a) ? (a->octet[12] & 0xf0) == 0xe0 : a->octet[0] == 0xff;
}

static inline bool ip_addr_is_limited_broadcast(const struct ip_addr *a)
{
        return ip_addr_is_v4(a) && ip_addr_to_v4(a) == 0xffffffffu;
}

static inline bool mac_eq(const struct mac_addr *a, const struct mac_addr *b)
{
        return memcmp(a, b, sizeof *a) == 0;
}

static inline bool mac_is_multicast(const struct mac_addr *a) { return a->octet[0] & 1; }

/* Does @a lie in @p? */
bool ip_prefix_has(const struct ip_prefix *p, const struct ip_addr *a);

/* "10.0.0.1" or "2001:db8::1".  Returns 0, or -EINVAL and leaves @out alone. */
int ip_addr_parse(struct ip_addr *out, const char *text);

/* "10.0.0.1/24"; without a slash, a host prefix.  The host bits are kept in
 * @out->addr.  Returns 0, or -EINVAL and leaves @out alone. */
int ip_prefix_parse(struct ip_prefix *out, const char *text);

/* Write @a as text into @buf of IP_ADDR_TEXT_MAX octets; returns @buf. */
const char *ip_addr_text(char *buf, const struct ip_addr *a);
const char *ip_prefix_text(char *buf, const struct ip_prefix *p);
const char *mac_text(char *buf, const struct mac_addr *m);
/* "02:00:5e:10:00:01", two digits each.  Returns 0, or -EINVAL and leaves @out alone. */
int mac_parse(struct mac_addr *out, const char *text);
