/* SPDX-License-Identifier: MIT */
/* wire/tcp.c - TCP options, the general case
 *
 * Handshakes, SACKs and unusual peers come here; a segment that carries
 * nothing but timestamps does not, see tcp_parse() and tcp_emit().
 */
#include "wire/tcp.h"
#include "base/units.h"

#include <stdbool.h>

enum { OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WSCALE = 3, OPT_SACK_OK = 4, OPT_SACK = 5, OPT_TS = 8 };

/* Octets of kind and length, and of each whole option (RFC 9293 3.1, RFC 7323, RFC 2018). */
enum { LEN_HEAD = 2, LEN_MSS = 4, LEN_WSCALE = 3, LEN_SACK_OK = 2, LEN_TS = 10, LEN_SACK_BLOCK = 8 };

static void parse_sack(struct tcp_seg *seg, const uint8_t *body, uint32_t body_len)
{
        if (body_len == 0 || body_len % LEN_SACK_BLOCK != 0)
                return;
        seg->has |= TCP_HAS_SACK;
        seg->sack_cnt = (uint8_t)u32_min(body_len / LEN_SACK_BLOCK, TCP_SACK_MAX);
        for (uint32_t i = 0; i < seg->sack_cnt; i++) {
                seg->sack[i].from = seq_of(be32_at(body + i * LEN_SACK_BLOCK));
                seg->sack[i].to = seq_of(be32_at(body + i * LEN_SACK_BLOCK + 4));
        }
}

/* One option of @size octets, all there; @size is at least LEN_HEAD. */
static void parse_option(struct tcp_seg *seg, const uint8_t *opt, uint32_t size)
{
        const uint8_t *body = opt + LEN_HEAD;

        switch (opt[0]) {
        case OPT_MSS:
                if (size == LEN_MSS && be16_at(body) != 0) {
                        seg->has |= TCP_HAS_MSS;
                        seg->mss = be16_at(body);
                }
                break;
        case OPT_WSCALE:
                if (size == LEN_WSCALE) {
                        seg->has |= TCP_HAS_WSCALE;
                        seg->wscale = (uint8_t)u32_min(body[0], TCP_WSCALE_MAX);
                }
                break;
        case OPT_SACK_OK:
                if (size == LEN_SACK_OK)
                        seg->has |= TCP_HAS_SACK_OK;
                break;
        case OPT_TS:
                if (size == LEN_TS) {
                        seg->has |= TCP_HAS_TS;
                        seg->ts_val = be32_at(body);
                        seg->ts_ecr = be32_at(body + 4);
                }
                break;
        case OPT_SACK:
                parse_sack(seg, body, size - LEN_HEAD);
                break;
        }
}

enum drop tcp_parse_options(struct tcp_seg *seg, const uint8_t *opt, uint32_t len)
{
        for (uint32_t at = 0; at < len && opt[at] != OPT_END;) {
                if (opt[at] == OPT_NOP) {
                        at++;
                        continue;
                }
                uint32_t room = len - at;
                uint32_t size = room >= LEN_HEAD ? opt[at + 1] : 0;
                if (size < LEN_HEAD || size > room)
                        return DROP_TCP_BAD_OPTION;
                parse_option(seg, opt + at, size);
                at += size;
        }
        return DROP_NONE;
}

/* Octets of all options but SACK, each padded to 4. */
static uint32_t fixed_len(uint8_t has)
{
        return (has & TCP_HAS_MSS ? 4 : 0) + (has & TCP_HAS_WSCALE ? 4 : 0) +
               (has & TCP_HAS_TS ? TCP_TS_LEN : has & TCP_HAS_SACK_OK ? 4 : 0);
}

/* How many SACK blocks fit behind @used octets of options?  @used is at most 20. */
static uint32_t sack_cnt(const struct tcp_seg *seg, uint32_t used)
{
        uint32_t room = TCP_HDR_MAX - TCP_HDR_MIN - used;

        if (!(seg->has & TCP_HAS_SACK))
                return 0;
        return u32_min(u32_min(seg->sack_cnt, TCP_SACK_MAX), (room - 4) / LEN_SACK_BLOCK);
}

uint32_t tcp_hdr_len(const struct tcp_seg *seg)
{
        uint32_t used = fixed_len(seg->has);
        uint32_t cnt = sack_cnt(seg, used);

        return TCP_HDR_MIN + used + (cnt ? 4 + cnt * LEN_SACK_BLOCK : 0);
}

/* Four octets at a time: two of padding or of a two-octet option, and the head of the next. */
static uint8_t *put4(uint8_t *opt, uint8_t a, uint8_t b, uint8_t kind, uint32_t size)
{
        opt[0] = a;
        opt[1] = b;
        opt[2] = kind;
        opt[3] = (uint8_t)size;
        return opt + 4;
}

uint32_t tcp_emit_options(uint8_t *opt, const struct tcp_seg *seg)
{
        uint8_t *at = opt;
        bool sack_ok = seg->has & TCP_HAS_SACK_OK;

        if (seg->has & TCP_HAS_MSS)
                at = put4(at, OPT_MSS, LEN_MSS, (uint8_t)(seg->mss >> 8), seg->mss & 0xff);
        if (seg->has & TCP_HAS_TS) {
                at = put4(at, sack_ok ? OPT_SACK_OK : OPT_NOP, sack_ok ? LEN_SACK_OK : OPT_NOP, OPT_TS, LEN_TS);
                be32_to(at, seg->ts_val);
                be32_to(at + 4, seg->ts_ecr);
                at += 8;
        } else if (sack_ok) {
                at = put4(at, OPT_NOP, OPT_NOP, OPT_SACK_OK, LEN_SACK_OK);
        }
        if (seg->has & TCP_HAS_WSCALE)
                at = put4(at, OPT_NOP, OPT_WSCALE, LEN_WSCALE, seg->wscale);

        uint32_t cnt = sack_cnt(seg, (uint32_t)(at - opt));
        if (cnt) {
                at = put4(at, OPT_NOP, OPT_NOP, OPT_SACK, LEN_HEAD + cnt * LEN_SACK_BLOCK);
                for (uint32_t i = 0; i < cnt; i++, at += LEN_SACK_BLOCK) {
                        be32_to(at, seg->sack[i].from.raw);
                        be32_to(at + 4, seg->sack[i].to.raw);
                }
        }
        return (uint32_t)(at - opt);
}
