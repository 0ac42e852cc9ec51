/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "base/units.h"
#include "wire/tcp.h"
#include "exact.h"

enum { HAS_ALL = TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_OK | TCP_HAS_TS | TCP_HAS_SACK };

static struct tcp_seg random_seg(struct rnd *r)
{
        struct tcp_seg s = {
                .src_port = (uint16_t)rnd_u64(r), .dst_port = (uint16_t)rnd_u64(r),
                .seq = seq_of((uint32_t)rnd_u64(r)), .ack = seq_of((uint32_t)rnd_u64(r)),
                .window = (uint16_t)rnd_u64(r), .urgent = (uint16_t)rnd_u64(r), .flags = (uint8_t)rnd_u64(r),
                .has = (uint8_t)rnd_below(r, HAS_ALL + 1), .wscale = (uint8_t)rnd_below(r, TCP_WSCALE_MAX + 1),
                .mss = (uint16_t)(1 + rnd_below(r, 65535)),
                .ts_val = (uint32_t)rnd_u64(r), .ts_ecr = (uint32_t)rnd_u64(r),
        };
        if (s.has & TCP_HAS_SACK)
                s.sack_cnt = (uint8_t)(1 + rnd_below(r, TCP_SACK_MAX));
        for (uint32_t i = 0; i < s.sack_cnt; i++)
                s.sack[i] = (struct tcp_sack_block){ seq_of((uint32_t)rnd_u64(r)), seq_of((uint32_t)rnd_u64(r)) };
        return s;
}

static void expect_same(const struct tcp_seg *a, const struct tcp_seg *b)
{
        EXPECT(a->src_port == b->src_port && a->dst_port == b->dst_port);
        EXPECT(seq_eq(a->seq, b->seq) && seq_eq(a->ack, b->ack));
        EXPECT(a->window == b->window && a->urgent == b->urgent && a->flags == b->flags);
        EXPECT_EQ(a->has, b->has);
        if (a->has & TCP_HAS_MSS)
                EXPECT_EQ(a->mss, b->mss);
        if (a->has & TCP_HAS_WSCALE)
                EXPECT_EQ(a->wscale, b->wscale);
        if (a->has & TCP_HAS_TS)
                EXPECT(a->ts_val == b->ts_val && a->ts_ecr == b->ts_ecr);
        EXPECT_EQ(a->sack_cnt, b->sack_cnt);
        for (uint32_t i = 0; i < u32_min(a->sack_cnt, b->sack_cnt); i++)
                EXPECT(seq_eq(a->sack[i].from, b->sack[i].from) && seq_eq(a->sack[i].to, b->sack[i].to));
}

/* Parse a header whose options are @opt, of @opt_len octets, padded with END. */
static enum drop parse_options(struct tcp_seg *out, const char *opt, uint32_t opt_len)
{
        struct tcp_seg plain = { .src_port = 1 };
        uint8_t buf[TCP_HDR_MAX] = { 0 };
        uint32_t len = TCP_HDR_MIN + (opt_len + 3) / 4 * 4;

        tcp_emit(buf, &plain);
        memcpy(buf + TCP_HDR_MIN, opt, opt_len);
        buf[12] = (uint8_t)(len / 4 << 4);
        memset(out, 0xa5, sizeof *out);
        uint8_t *copy = exact_copy(buf, len);
        enum drop why = tcp_parse(out, copy, len);
        free(copy);
        return why;
}
#define PARSE_OPTIONS(out, text) parse_options((out), (text), sizeof(text) - 1)

/* How many SACK blocks have room beside the other options of @s? */
static uint32_t blocks_that_fit(const struct tcp_seg *s)
{
        uint32_t used = 4;
        used += s->has & TCP_HAS_MSS ? 4 : 0;
        used += s->has & TCP_HAS_WSCALE ? 4 : 0;
        used += s->has & TCP_HAS_TS ? 12 : s->has & TCP_HAS_SACK_OK ? 4 : 0;
        return u32_min(s->sack_cnt, (40 - used) / 8);
}

/* Goal:   what is written is read back, with every combination of options.
 * Method: random segments; fields never set before parsing hold garbage; the
 *         length promised is the length written, and no octet behind it is touched.
 * Spec:   RFC 9293 3.1, RFC 7323, RFC 2018
 */
TEST(tcp_round_trip)
{
        struct rnd r;

        rnd_seed(&r, 1);
        for (int round = 0; round < 50000; round++) {
                struct tcp_seg in = random_seg(&r), out;
                uint8_t buf[TCP_HDR_MAX + 1];

                memset(buf, 0xee, sizeof buf);
                memset(&out, 0xa5, sizeof out);
                uint32_t len = tcp_emit(buf, &in);
                REQUIRE(len <= TCP_HDR_MAX && len % 4 == 0);
                EXPECT_EQ(len, tcp_hdr_len(&in));
                for (uint32_t at = len; at < sizeof buf; at++)
                        EXPECT_EQ(buf[at], 0xee);
                REQUIRE(tcp_parse(&out, buf, len) == DROP_NONE);
                EXPECT_EQ(out.hdr_len, len);
                in.sack_cnt = (uint8_t)blocks_that_fit(&in);
                if (!in.sack_cnt)
                        in.has &= (uint8_t)~TCP_HAS_SACK;
                expect_same(&in, &out);
        }
}

/* Goal:   the octets are laid out as Linux lays them.
 * Method: a SYN, a data segment and a SACK, by hand.
 * Spec:   RFC 9293 3.1, RFC 7323 appendix A
 */
TEST(tcp_option_layout)
{
        struct tcp_seg s = { .src_port = 0x0102, .dst_port = 0x0304, .seq = { 0x05060708 }, .ack = { 0x090a0b0c },
                             .window = 0x0d0e, .urgent = 0x0f10, .flags = TCP_SYN, .mss = 1460, .wscale = 7,
                             .ts_val = 0x11121314, .ts_ecr = 0x15161718 };
        uint8_t buf[TCP_HDR_MAX];

        s.has = TCP_HAS_MSS | TCP_HAS_SACK_OK | TCP_HAS_TS | TCP_HAS_WSCALE;
        EXPECT_EQ(tcp_emit(buf, &s), 40);
        EXPECT_MEM(buf, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\xa0\x02\x0d\x0e\x00\x00\x0f\x10", 20);
        EXPECT_MEM(buf + 20, "\x02\x04\x05\xb4\x04\x02\x08\x0a\x11\x12\x13\x14\x15\x16\x17\x18\x01\x03\x03\x07", 20);

        s.has = TCP_HAS_MSS | TCP_HAS_SACK_OK | TCP_HAS_WSCALE;
        EXPECT_EQ(tcp_emit(buf, &s), 32);
        EXPECT_MEM(buf + 20, "\x02\x04\x05\xb4\x01\x01\x04\x02\x01\x03\x03\x07", 12);

        s.has = TCP_HAS_TS;
        EXPECT_EQ(tcp_emit(buf, &s), 32);
        EXPECT_MEM(buf + 20, "\x01\x01\x08\x0a\x11\x12\x13\x14\x15\x16\x17\x18", 12);

        s.has = TCP_HAS_TS | TCP_HAS_SACK;
        s.sack_cnt = 1;
        s.sack[0] = (struct tcp_sack_block){ { 0x21222324 }, { 0x31323334 } };
        EXPECT_EQ(tcp_emit(buf, &s), 44);
        EXPECT_MEM(buf + 32, "\x01\x01\x05\x0a\x21\x22\x23\x24\x31\x32\x33\x34", 12);

        s.has = 0;
        EXPECT_EQ(tcp_emit(buf, &s), 20);
        EXPECT_EQ(buf[12], 0x50);
}

/* Goal:   timestamps are found in any layout, by the quick path or the other.
 * Method: the layouts NOP NOP TS, TS NOP NOP, END behind, and NOP NOP TS with
 *         something more.
 * Spec:   RFC 7323 3.2, appendix A
 */
TEST(tcp_timestamps_in_any_layout)
{
        static const char *const area[] = {
                "\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x09",
                "\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x09\x01\x01",
                "\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x09\x00\x08",
                "\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x09\x01",
        };
        struct tcp_seg s;

        for (uint32_t i = 0; i < ARRAY_LEN(area); i++) {
                EXPECT_EQ(parse_options(&s, area[i], 12), DROP_NONE);
                EXPECT_EQ(s.has, TCP_HAS_TS);
                EXPECT_EQ(s.ts_val, 7);
                EXPECT_EQ(s.ts_ecr, 9);
        }
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x09\x02\x04\x05\xb4"), DROP_NONE);
        EXPECT_EQ(s.has, TCP_HAS_TS | TCP_HAS_MSS);
        EXPECT_EQ(s.mss, 1460);
}

/* Goal:   an option of illegal length is dropped and never hangs the walk.
 * Method: lengths 0, 1, beyond the header, and no room for a length, for every
 *         kind of option, known or not.
 * Spec:   RFC 9293 MUST-7
 */
TEST(tcp_option_of_illegal_length)
{
        struct tcp_seg s;

        for (int kind = 2; kind < 256; kind++) {
                const uint8_t bad[][4] = {
                        { (uint8_t)kind, 0, 0, 0 }, { (uint8_t)kind, 1, 0, 0 }, { (uint8_t)kind, 5, 0, 0 },
                        { (uint8_t)kind, 255, 0, 0 }, { 1, 1, 1, (uint8_t)kind }, { 1, 1, (uint8_t)kind, 3 },
                };
                for (uint32_t i = 0; i < ARRAY_LEN(bad); i++)
                        EXPECT_EQ(parse_options(&s, (const char *)bad[i], 4), DROP_TCP_BAD_OPTION);
        }
}

/* Goal:   what is unknown or makes no sense is skipped, and the rest is still read.
 * Method: one odd option each, an MSS behind it.
 * Spec:   RFC 9293 MUST-6, RFC 7323 2.3
 */
TEST(tcp_odd_options_are_skipped)
{
        struct tcp_seg s;

        EXPECT_EQ(PARSE_OPTIONS(&s, "\xfe\x08zzzzzz\x02\x04\x05\xb4"), DROP_NONE);      /* unknown */
        EXPECT_EQ(s.has, TCP_HAS_MSS);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\xfe\x02\x02\x04\x05\xb4"), DROP_NONE);            /* unknown, empty */
        EXPECT_EQ(s.has, TCP_HAS_MSS);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x03\x04\x07\x07\x02\x04\x05\xb4"), DROP_NONE);    /* wscale of 4 octets */
        EXPECT_EQ(s.has, TCP_HAS_MSS);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x08\x04\x07\x07\x02\x04\x05\xb4"), DROP_NONE);    /* TS of 4 octets */
        EXPECT_EQ(s.has, TCP_HAS_MSS);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x04\x03\x00\x02\x04\x05\xb4"), DROP_NONE);        /* SACK_OK of 3 octets */
        EXPECT_EQ(s.has, TCP_HAS_MSS);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x05\x02\x02\x04\x05\xb4"), DROP_NONE);            /* SACK of nothing */
        EXPECT_EQ(s.has, TCP_HAS_MSS);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x05\x09zzzzzzz\x02\x04\x05\xb4"), DROP_NONE);     /* SACK of 7/8 block */
        EXPECT_EQ(s.has, TCP_HAS_MSS);
        EXPECT_EQ(s.sack_cnt, 0);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x02\x03\x05\x02\x04\x05\xb4"), DROP_NONE);        /* MSS of 3 octets */
        EXPECT_EQ(s.mss, 1460);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x02\x04\x00\x00"), DROP_NONE);                    /* MSS of 0 */
        EXPECT_EQ(s.has, 0);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x00\x02\x04\x05"), DROP_NONE);                    /* nothing behind the end */
        EXPECT_EQ(s.has, 0);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x02\x04\x05\xb4\x02\x04\x02\x18"), DROP_NONE);    /* twice */
        EXPECT_EQ(s.mss, 536);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x03\x03\x0e"), DROP_NONE);
        EXPECT_EQ(s.wscale, 14);
        EXPECT_EQ(PARSE_OPTIONS(&s, "\x03\x03\xff"), DROP_NONE);
        EXPECT_EQ(s.wscale, 14);
}

/* Goal:   a header that does not fit is dropped.
 * Method: every data offset against every length.
 * Spec:   RFC 9293 3.1
 */
TEST(tcp_short)
{
        uint8_t buf[TCP_HDR_MAX] = { 0 };
        struct tcp_seg s;

        for (uint32_t doff = 0; doff < 16; doff++) {
                buf[12] = (uint8_t)(doff << 4 | 0x0f);
                for (uint32_t len = 0; len <= TCP_HDR_MAX; len++) {
                        bool fits = doff >= 5 && doff * 4 <= len;
                        EXPECT_EQ(tcp_parse(&s, buf, len), fits ? DROP_NONE : DROP_TCP_SHORT);
                }
        }
}

static void parse_segment(const uint8_t *buf, uint32_t len)
{
        struct tcp_seg s, again;
        uint8_t out[TCP_HDR_MAX];

        if (tcp_parse(&s, buf, len) != DROP_NONE)
                return;
        EXPECT(s.hdr_len >= 20 && s.hdr_len <= len && s.sack_cnt <= TCP_SACK_MAX);
        EXPECT_EQ(s.sack_cnt != 0, (s.has & TCP_HAS_SACK) != 0);
        uint32_t out_len = tcp_emit(out, &s);
        REQUIRE(out_len <= TCP_HDR_MAX);
        EXPECT_EQ(tcp_parse(&again, out, out_len), DROP_NONE);
}

/* Goal:   no segment makes the parser read outside of it, and whatever it
 *         accepts can be written again.
 * Method: every truncation and every single-octet change of headers of each
 *         layout; 100,000 headers of random octets.
 * Spec:   tests/unit/wire/exact.h
 */
TEST(tcp_hostile)
{
        struct rnd r;
        uint8_t buf[TCP_HDR_MAX];

        rnd_seed(&r, 2);
        for (uint32_t has = 0; has <= HAS_ALL; has++) {
                struct tcp_seg s = random_seg(&r);
                s.has = (uint8_t)has;
                s.sack_cnt = TCP_SACK_MAX;
                exact_hurt(buf, tcp_emit(buf, &s), parse_segment);
        }
        for (int round = 0; round < 100000; round++) {
                uint32_t len = rnd_below(&r, sizeof buf + 1);
                for (uint32_t i = 0; i < len; i++)
                        buf[i] = (uint8_t)(rnd_below(&r, 2) ? rnd_below(&r, 12) : rnd_u64(&r));
                if (len > 12)
                        buf[12] = (uint8_t)(len / 4 << 4);
                uint8_t *copy = exact_copy(buf, len);
                parse_segment(copy, len);
                free(copy);
        }
}
