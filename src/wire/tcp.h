/* SPDX-License-Identifier: MIT */
/* wire/tcp.h - The TCP header: its octets, and what they mean
 *
 * Two views of the same thing, and the two functions that join them:
 *
 *   struct tcp_wire   the octets.  Made of byte arrays, so it has alignment 1
 *                     and no padding and may be laid over any buffer.
 *   struct tcp_seg    the meaning.  Host order, options decoded.
 *
 *   tcp_parse()  octets -> meaning, or the reason why not
 *   tcp_emit()   meaning -> octets; cannot fail
 *
 * Options known: MSS (RFC 9293 3.7.1), window scale and timestamps (RFC 7323),
 * SACK permitted and SACK (RFC 2018).  Knows nothing of connections: whether
 * an option was agreed on, or may come with this segment, is tcp/'s business.
 */
#pragma once
#include "base/be.h"
#include "base/drop.h"
#include "base/seq.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 9293 3.1, figure 1 */
struct tcp_wire {
        be16    src_port;
        be16    dst_port;
        be32    seq;
        be32    ack;
        uint8_t doff;                   /* high nibble: header length in 4-octet words; low: reserved, ignored */
        uint8_t flags;                  /* TCP_FIN .. TCP_CWR */
        be16    window;                 /* unscaled */
        uint8_t checksum[2];
        be16    urgent;
};

enum {
        TCP_FIN = 1,
        TCP_SYN = 2,
        TCP_RST = 4,
        TCP_PSH = 8,
        TCP_ACK = 16,
        TCP_URG = 32,
        TCP_ECE = 64,
        TCP_CWR = 128,
};
enum { TCP_HAS_MSS = 1, TCP_HAS_WSCALE = 2, TCP_HAS_SACK_OK = 4, TCP_HAS_TS = 8, TCP_HAS_SACK = 16 };
enum {
        TCP_HDR_MIN     = 20,
        TCP_HDR_MAX     = 60,
        TCP_CSUM_OFFSET = 16,
        TCP_SACK_MAX    = 4,            /* RFC 2018 3: as many as fit in 40 octets of options */
        TCP_WSCALE_MAX  = 14,           /* RFC 7323 2.3 */
};

static_assert(sizeof(struct tcp_wire) == TCP_HDR_MIN, "RFC 9293 3.1: 20 octets before the options");
static_assert(_Alignof(struct tcp_wire) == 1, "may be laid over any buffer");
static_assert(offsetof(struct tcp_wire, checksum) == TCP_CSUM_OFFSET, "RFC 9293 3.1");

/* Received data [from, to), RFC 2018 3 */
struct tcp_sack_block {
        tcp_seq from, to;
};

struct tcp_seg {
        uint16_t src_port, dst_port;
        tcp_seq  seq, ack;
        uint16_t window;                /* as on the wire, before RFC 7323 2.3 scaling */
        uint16_t urgent;
        uint8_t  flags;
        uint8_t  hdr_len;               /* octets, options included: 20..60 */
        uint8_t  has;                   /* TCP_HAS_*: which of the fields below mean something */
        uint8_t  wscale;                /* shift, 0..14 */
        uint16_t mss;                   /* octets, never 0 */
        uint8_t  sack_cnt;              /* 0 unless TCP_HAS_SACK */
        uint32_t ts_val, ts_ecr;        /* RFC 7323 3.2; in the sender's ticks */
        struct tcp_sack_block sack[TCP_SACK_MAX];
};

/* The four octets NOP NOP TS 10, with which nearly every segment's options begin. */
#define TCP_OPT_NOP_NOP_TS 0x0101080au
enum { TCP_TS_LEN = 12 };

/* The general case of the two functions below, in tcp.c. */
enum drop tcp_parse_options(struct tcp_seg *seg, const uint8_t *opt, uint32_t len);
uint32_t  tcp_emit_options(uint8_t *opt, const struct tcp_seg *seg);

/**
 * tcp_parse() - Read one TCP header
 * @seg:  filled in on success, undefined otherwise; fields of options that are
 *        not there, see has, are left as they were
 * @buf:  first octet of the TCP header; any alignment
 * @len:  octets from there to the end of the IP payload
 *
 * Unknown options are skipped (RFC 9293 MUST-6), as are known ones of a length
 * that they cannot have, and an MSS of 0.  A window scale above 14 is taken as
 * 14 (RFC 7323 2.3).  Of an option that is there twice the last one counts.
 * The checksum is not looked at: the device may have done that already.
 *
 * Return: DROP_NONE; DROP_TCP_SHORT; DROP_TCP_BAD_OPTION: an option shorter than
 *         2 octets or longer than the header (RFC 9293 MUST-7)
 */
static inline enum drop tcp_parse(struct tcp_seg *seg, const uint8_t *buf, uint32_t len)
{
        if (len < TCP_HDR_MIN)
                return DROP_TCP_SHORT;

        const struct tcp_wire *w = (const struct tcp_wire *)buf;
        uint32_t hdr_len = (w->doff >> 4) * 4u;
        if (hdr_len < TCP_HDR_MIN || hdr_len > len)
                return DROP_TCP_SHORT;

        seg->src_port = be16_get(w->src_port);
        seg->dst_port = be16_get(w->dst_port);
        seg->seq = seq_of(be32_get(w->seq));
        seg->ack = seq_of(be32_get(w->ack));
        seg->window = be16_get(w->window);
        seg->urgent = be16_get(w->urgent);
        seg->flags = w->flags;
        seg->hdr_len = (uint8_t)hdr_len;
        seg->has = 0;
        seg->sack_cnt = 0;

        const uint8_t *opt = buf + TCP_HDR_MIN;
        if (hdr_len == TCP_HDR_MIN)
                return DROP_NONE;
        if (hdr_len == TCP_HDR_MIN + TCP_TS_LEN && be32_at(opt) == TCP_OPT_NOP_NOP_TS) {
                seg->has = TCP_HAS_TS;
                seg->ts_val = be32_at(opt + 4);
                seg->ts_ecr = be32_at(opt + 8);
                return DROP_NONE;
        }
        return tcp_parse_options(seg, opt, hdr_len - TCP_HDR_MIN);
}

/**
 * tcp_hdr_len() - What tcp_emit() will return for this segment
 *
 * Depends on seg->has and seg->sack_cnt alone.
 */
uint32_t tcp_hdr_len(const struct tcp_seg *seg);

/**
 * tcp_emit() - Write one TCP header
 * @buf:  room for TCP_HDR_MAX octets; any alignment
 * @seg:  what to say; hdr_len is ignored, the options decide
 *
 * Writes every octet it returns, so a reused buffer leaks nothing.  Options
 * come in Linux's order, padded so that each lies on 4 octets:
 *
 *      MSS | SACK_OK TS, or NOP NOP TS, or NOP NOP SACK_OK | NOP WSCALE | NOP NOP SACK
 *
 * with as many SACK blocks, the first ones, as fit in 60 octets: 4, or 3 beside
 * timestamps.  The checksum is left zero.
 *
 * Return: header length in octets, a multiple of 4 in 20..60
 */
static inline uint32_t tcp_emit(uint8_t *buf, const struct tcp_seg *seg)
{
        uint8_t *opt = buf + TCP_HDR_MIN;
        uint32_t hdr_len = TCP_HDR_MIN;

        if (seg->has == TCP_HAS_TS) {
                be32_to(opt, TCP_OPT_NOP_NOP_TS);
                be32_to(opt + 4, seg->ts_val);
                be32_to(opt + 8, seg->ts_ecr);
                hdr_len += TCP_TS_LEN;
        } else if (seg->has) {
                hdr_len += tcp_emit_options(opt, seg);
        }
        *(struct tcp_wire *)buf = (struct tcp_wire){
                .src_port = be16_put(seg->src_port), .dst_port = be16_put(seg->dst_port),
                .seq = be32_put(seg->seq.raw),       .ack = be32_put(seg->ack.raw),
                .doff = (uint8_t)(hdr_len / 4 << 4), .flags = seg->flags,
                .window = be16_put(seg->window),     .urgent = be16_put(seg->urgent),
        };
        return hdr_len;
}
