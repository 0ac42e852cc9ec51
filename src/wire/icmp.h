/* SPDX-License-Identifier: MIT */
/* wire/icmp.h - ICMP for IPv4 (RFC 792)
 *
 *      type 1 | code 1 | checksum 2 | rest 4 | body ...
 *
 * The body of an error message is a quote: the IP header of the packet that
 * caused it and the first 8 octets behind.  Quotes come from strangers; what
 * icmp_quote_parse() returns is a claim to be checked against a flow
 * (RFC 5927 4.1).
 */
#pragma once
#include "base/addr.h"
#include "base/be.h"
#include "base/drop.h"
#include "base/seq.h"
#include "wire/csum.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct icmp_wire {
        uint8_t type;
        uint8_t code;
        uint8_t checksum[2];
        be32    rest;
};

enum { ICMP_HDR_LEN = 8, ICMP_QUOTE_L4 = 8 };

static_assert(sizeof(struct icmp_wire) == ICMP_HDR_LEN && _Alignof(struct icmp_wire) == 1, "RFC 792");

enum icmp_type {
        ICMP_ECHO_REPLY    = 0,
        ICMP_UNREACHABLE   = 3,
        ICMP_SOURCE_QUENCH = 4,         /* ignored: RFC 6633 */
        ICMP_REDIRECT      = 5,
        ICMP_ECHO_REQUEST  = 8,
        ICMP_TIME_EXCEEDED = 11,
        ICMP_PARAM_PROBLEM = 12,
};

/* With ICMP_UNREACHABLE: RFC 792, RFC 1122 3.2.2.1 */
enum icmp_unreachable_code {
        ICMP_UNREACHABLE_NET         = 0,
        ICMP_UNREACHABLE_HOST        = 1,
        ICMP_UNREACHABLE_PROTO       = 2,
        ICMP_UNREACHABLE_PORT        = 3,
        ICMP_UNREACHABLE_FRAG_NEEDED = 4,       /* rest holds the MTU: RFC 1191 4 */
        ICMP_UNREACHABLE_SRC_ROUTE   = 5,
        ICMP_UNREACHABLE_NET_UNKNOWN = 6,
        ICMP_UNREACHABLE_HOST_UNKNOWN = 7,
        ICMP_UNREACHABLE_ISOLATED    = 8,
        ICMP_UNREACHABLE_NET_ADMIN   = 9,
        ICMP_UNREACHABLE_HOST_ADMIN  = 10,
        ICMP_UNREACHABLE_NET_TOS     = 11,
        ICMP_UNREACHABLE_HOST_TOS    = 12,
        ICMP_UNREACHABLE_ADMIN       = 13,
};

/* With ICMP_TIME_EXCEEDED */
enum { ICMP_TIME_TTL = 0, ICMP_TIME_REASSEMBLY = 1 };

struct icmp_msg {
        uint8_t  type;                  /* enum icmp_type */
        uint8_t  code;
        uint32_t rest;                  /* host order; see icmp_id() and friends */
};

/* Echo: identifier and sequence number. */
static inline uint16_t icmp_id(const struct icmp_msg *m) { return (uint16_t)(m->rest >> 16); }
static inline uint16_t icmp_seq(const struct icmp_msg *m) { return (uint16_t)m->rest; }
static inline uint32_t icmp_id_seq(uint16_t id, uint16_t seq) { return (uint32_t)id << 16 | seq; }
/* ICMP_UNREACHABLE_FRAG_NEEDED: octets of IP packet; 0 from routers older than RFC 1191. */
static inline uint16_t icmp_mtu(const struct icmp_msg *m) { return (uint16_t)m->rest; }
/* ICMP_PARAM_PROBLEM: offset of the octet that was wrong. */
static inline uint8_t icmp_pointer(const struct icmp_msg *m) { return (uint8_t)(m->rest >> 24); }

/* Is this about a packet that we sent?  Such a message is never answered by
 * another (RFC 1122 3.2.2). */
static inline bool icmp_is_error(uint8_t type)
{
        return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
               type == ICMP_TIME_EXCEEDED || type == ICMP_PARAM_PROBLEM;
}

/**
 * icmp_parse() - Read one ICMP header and check the whole message
 * @msg:  filled in on success
 * @buf:  first octet of the message; the body is at @buf + ICMP_HDR_LEN
 * @len:  octets of the message: of the IP payload, not of the padded frame
 *
 * Return: DROP_NONE; DROP_ICMP_SHORT; DROP_ICMP_CHECKSUM
 */
static inline enum drop icmp_parse(struct icmp_msg *msg, const uint8_t *buf, uint32_t len)
{
        if (len < ICMP_HDR_LEN)
                return DROP_ICMP_SHORT;
        if (csum_fold(csum_add(0, buf, len)) != CSUM_RIGHT)
                return DROP_ICMP_CHECKSUM;
        msg->type = buf[0];
        msg->code = buf[1];
        msg->rest = be32_at(buf + 4);
        return DROP_NONE;
}

/**
 * icmp_emit() - Write one ICMP header in front of its body
 * @buf:  the message; the body is already in place, ICMP_HDR_LEN octets in
 * @msg:  what to say
 * @len:  octets of the message, header included; at least ICMP_HDR_LEN
 *
 * Return: ICMP_HDR_LEN
 */
static inline uint32_t icmp_emit(uint8_t *buf, const struct icmp_msg *msg, uint32_t len)
{
        struct icmp_wire w = { .type = msg->type, .code = msg->code, .rest = be32_put(msg->rest) };

        memcpy(buf, &w, sizeof w);
        csum_store(buf + offsetof(struct icmp_wire, checksum), (uint16_t)~csum_fold(csum_add(0, buf, len)));
        return ICMP_HDR_LEN;
}

/* The packet that an error message is about, as far as it was quoted. */
struct icmp_quote {
        struct ip_addr src, dst;        /* src was ours, if it is true */
        uint16_t       total_len;       /* of the packet as sent, octets */
        uint8_t        proto;
        bool           has_l4;          /* 8 octets of transport header were quoted; the rest is valid then */
        uint16_t       src_port, dst_port;
        tcp_seq        seq;             /* when proto is TCP */
};

/**
 * icmp_quote_parse() - Read the body of an ICMP error message
 * @quote: filled in on success
 * @buf:   first octet of the body; any alignment
 * @len:   octets of the body
 *
 * A quote is cut short by its nature and its header was changed on the way, so
 * neither its total length nor its checksum is held against it.
 *
 * Return: DROP_NONE; DROP_ICMP_SHORT: no whole IPv4 header was quoted
 */
enum drop icmp_quote_parse(struct icmp_quote *quote, const uint8_t *buf, uint32_t len);
