/* SPDX-License-Identifier: MIT */
#include "tests/sim/raw.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip4.h"

#include <ctype.h>
#include <stdarg.h>

enum { FRAME_MAX = 66000, TEXT_MAX = 65000 };
#define TIMER_LATE_NS MS(3)

static const struct mac_addr raw_mac = { { 2, 0, 0, 0, 0, 0xee } };

/* ---- frames out ---- */

static void put_ip(struct raw *r, uint8_t *frame, uint8_t proto, uint32_t len)
{
        struct eth_hdr eth = { .dst = { { 2, 0, 0, 0, 0, 1 } }, .src = raw_mac, .type = ETH_TYPE_IP4 };
        struct ip4_hdr ip = {
                .src = r->addr, .dst = r->host->addr, .total_len = (uint16_t)(IP4_HDR_LEN + len),
                .proto = proto, .ttl = 64,
        };
        eth_emit(frame, &eth);
        ip4_emit(frame + ETH_HDR_LEN, &ip);
        sim_inject(r->link, SIM_BA, frame, ETH_HDR_LEN + IP4_HDR_LEN + len);
}

void raw_say_seg(struct raw *r, const struct tcp_seg *seg, const uint8_t *text, uint32_t len)
{
        static uint8_t frame[FRAME_MAX];
        uint8_t *tcp = frame + ETH_HDR_LEN + IP4_HDR_LEN;
        uint32_t hdr_len = tcp_emit(tcp, seg);

        if (len)
                memcpy(tcp + hdr_len, text, len);
        uint64_t sum = csum_pseudo(&r->addr, &r->host->addr, IP_PROTO_TCP, hdr_len + len);
        csum_store(tcp + TCP_CSUM_OFFSET, (uint16_t)~csum_fold(csum_add(sum, tcp, hdr_len + len)));
        put_ip(r, frame, IP_PROTO_TCP, hdr_len + len);
}

static void say_icmp(struct raw *r, uint8_t type, uint8_t code, uint16_t mtu, uint32_t seq)
{
        static uint8_t frame[256];
        uint8_t *icmp = frame + ETH_HDR_LEN + IP4_HDR_LEN, *quote = icmp + ICMP_HDR_LEN;
        uint32_t len = ICMP_HDR_LEN + IP4_HDR_LEN + ICMP_QUOTE_L4;
        struct ip4_hdr ip = {
                .src = r->host->addr, .dst = r->addr, .total_len = 60, .proto = IP_PROTO_TCP, .ttl = 3,
                .dont_frag = true,
        };
        memset(icmp, 0, len);
        icmp[0] = type;
        icmp[1] = code;
        be16_to(icmp + 6, mtu);
        ip4_emit(quote, &ip);
        be16_to(quote + IP4_HDR_LEN, r->host_port);
        be16_to(quote + IP4_HDR_LEN + 2, r->peer_port);
        be32_to(quote + IP4_HDR_LEN + 4, r->irs + seq);
        csum_store(icmp + 2, (uint16_t)~csum_fold(csum_add(0, icmp, len)));
        put_ip(r, frame, IP_PROTO_ICMP, len);
        raw_settle(r);
}

void raw_say_icmp(struct raw *r, uint8_t type, uint8_t code, uint32_t seq) { say_icmp(r, type, code, 0, seq); }

void raw_say_too_big(struct raw *r, uint32_t seq, uint16_t mtu)
{
        say_icmp(r, ICMP_UNREACHABLE, ICMP_UNREACHABLE_FRAG_NEEDED, mtu, seq);
}

/* ---- frames in ---- */

static void answer_arp(struct raw *r, const uint8_t *arp_octets, uint32_t len)
{
        uint8_t frame[ETH_HDR_LEN + ARP_LEN];
        struct arp_pkt ask;

        if (arp_parse(&ask, arp_octets, len) != DROP_NONE || ask.op != ARP_REQUEST || !ip_addr_eq(&ask.tpa, &r->addr))
                return;
        struct eth_hdr eth = { .dst = ask.sha, .src = raw_mac, .type = ETH_TYPE_ARP };
        struct arp_pkt say = { .op = ARP_REPLY, .sha = raw_mac, .tha = ask.sha, .spa = r->addr, .tpa = ask.spa };
        eth_emit(frame, &eth);
        arp_emit(frame + ETH_HDR_LEN, &say);
        sim_inject(r->link, SIM_BA, frame, sizeof frame);
}

static bool text_is_right(const struct raw *r, const struct tcp_seg *seg, const uint8_t *text, uint32_t len)
{
        uint32_t at = seg->seq.raw - r->irs - 1;
        for (uint32_t i = 0; i < len; i++)
                if (text[i] != sim_octet(RAW_STREAM_STACK, at + i))
                        return false;
        return true;
}

static void hear_tcp(struct raw *r, const struct ip4_hdr *ip, const uint8_t *tcp, uint32_t len)
{
        struct raw_seg s = { .at_ns = sim_now(r->sim), .ttl = ip->ttl, .tos = ip->tos };

        if (tcp_parse(&s.seg, tcp, len) != DROP_NONE) {
                test_fail(__FILE__, __LINE__, "the stack sent a segment that cannot be parsed");
                return;
        }
        EXPECT_EQ(csum_transport(&ip->src, &ip->dst, IP_PROTO_TCP, tcp, len), CSUM_RIGHT);
        if (s.seg.flags & TCP_SYN && !r->irs_known) {
                r->irs = s.seg.seq.raw;
                r->irs_known = true;
                r->host_port = s.seg.src_port;
        }
        s.text_len = len - s.seg.hdr_len;
        s.text_right = text_is_right(r, &s.seg, tcp + s.seg.hdr_len, s.text_len);
        if (r->cnt < RAW_QUEUE)
                r->queue[(r->head + r->cnt++) % RAW_QUEUE] = s;
}

static bool hear_frame(struct raw *r)
{
        static uint8_t frame[FRAME_MAX];
        uint32_t len = sim_end_take(r->end, frame, sizeof frame);
        struct eth_hdr eth;
        struct ip4_hdr ip;

        if (!len)
                return false;
        REQUIRE(eth_parse(&eth, frame, len) == DROP_NONE);
        if (eth.type == ETH_TYPE_ARP && !r->mute)
                answer_arp(r, frame + eth.hdr_len, len - eth.hdr_len);
        if (eth.type != ETH_TYPE_IP4)
                return true;
        REQUIRE(ip4_parse(&ip, frame + eth.hdr_len, len - eth.hdr_len) == DROP_NONE);
        const uint8_t *body = frame + eth.hdr_len + ip.hdr_len;
        if (ip.proto == IP_PROTO_TCP && ip_addr_eq(&ip.dst, &r->addr))
                hear_tcp(r, &ip, body, ip.total_len - ip.hdr_len);
        if (ip.proto == IP_PROTO_ICMP) {
                r->icmp_cnt++;
                r->icmp_type = body[0];
                r->icmp_code = body[1];
        }
        return true;
}

void raw_settle(struct raw *r)
{
        bool any = true;
        while (any) {
                any = sim_settle(r->sim);
                while (hear_frame(r))
                        any = true;
        }
}

void raw_run(struct raw *r, uint64_t ns)
{
        uint64_t end_ns = sim_now(r->sim) + ns;
        raw_settle(r);
        while (sim_step(r->sim, end_ns))
                raw_settle(r);
        raw_settle(r);
}

/* ---- lines ---- */

struct line {
        uint8_t  flags;
        uint32_t seq, ack, win, len, mss, ws, ts_val, ts_ecr, urg;
        bool     has_ack, has_win, has_mss, has_ws, has_ts, has_sackok;
};

static uint8_t flags_of(const char *word)
{
        static const char letter[] = "FSRPAUEC";
        uint8_t flags = 0;
        for (; *word && *word != '-'; word++) {
                const char *at = strchr(letter, *word);
                REQUIRE(at != NULL);
                flags |= (uint8_t)(1u << (at - letter));
        }
        return flags;
}

static uint32_t next_number(char **rest)
{
        char *word = strtok_r(NULL, " ", rest);
        REQUIRE(word && (isdigit((unsigned char)word[0]) || word[0] == '-'));
        return (uint32_t)strtoll(word, NULL, 0);
}

static struct line parse_line(const char *fmt, va_list ap)
{
        char text[256], *rest;
        struct line l = { 0 };

        vsnprintf(text, sizeof text, fmt, ap);
        l.flags = flags_of(strtok_r(text, " ", &rest));
        l.seq = next_number(&rest);
        for (char *word; (word = strtok_r(NULL, " ", &rest));) {
                if (strcmp(word, "ack") == 0) {
                        l.ack = next_number(&rest);
                        l.has_ack = true;
                } else if (strcmp(word, "win") == 0) {
                        l.win = next_number(&rest);
                        l.has_win = true;
                } else if (strcmp(word, "len") == 0) {
                        l.len = next_number(&rest);
                } else if (strcmp(word, "mss") == 0) {
                        l.mss = next_number(&rest);
                        l.has_mss = true;
                } else if (strcmp(word, "ws") == 0) {
                        l.ws = next_number(&rest);
                        l.has_ws = true;
                } else if (strcmp(word, "ts") == 0) {
                        l.ts_val = next_number(&rest);
                        l.ts_ecr = next_number(&rest);
                        l.has_ts = true;
                } else if (strcmp(word, "sackok") == 0) {
                        l.has_sackok = true;
                } else if (strcmp(word, "urg") == 0) {
                        l.urg = next_number(&rest);
                } else {
                        test_fail(__FILE__, __LINE__, "\"%s\" is not a word of a segment", word);
                        test_stop();
                }
        }
        return l;
}

void raw_say(struct raw *r, const char *fmt, ...)
{
        static uint8_t text[TEXT_MAX];
        va_list ap;

        va_start(ap, fmt);
        struct line l = parse_line(fmt, ap);
        va_end(ap);
        REQUIRE(l.len <= TEXT_MAX);
        struct tcp_seg seg = {
                .src_port = r->peer_port, .dst_port = r->host_port, .flags = l.flags,
                .seq = seq_of(r->iss + l.seq), .ack = seq_of(l.flags & TCP_ACK ? r->irs + l.ack : 0),
                .window = (uint16_t)(l.has_win ? l.win : 65535), .urgent = (uint16_t)l.urg,
                .has = (uint8_t)((l.has_mss ? TCP_HAS_MSS : 0) | (l.has_ws ? TCP_HAS_WSCALE : 0) |
                                 (l.has_ts ? TCP_HAS_TS : 0) | (l.has_sackok ? TCP_HAS_SACK_OK : 0)),
                .mss = (uint16_t)l.mss, .wscale = (uint8_t)l.ws, .ts_val = l.ts_val, .ts_ecr = l.ts_ecr,
        };
        for (uint32_t i = 0; i < l.len; i++)            /* text before the first octet wraps, as sequence numbers do */
                text[i] = sim_octet(RAW_STREAM_PEER, l.seq - !(l.flags & TCP_SYN) + i);
        raw_say_seg(r, &seg, text, l.len);
        raw_settle(r);
}

static void describe(const struct raw *r, const struct raw_seg *s, char *out, size_t size)
{
        static const char letter[] = "FSRPAUEC";
        char flags[9];
        size_t n = 0;

        for (int i = 0; i < 8; i++)
                if (s->seg.flags & 1u << i)
                        flags[n++] = letter[i];
        flags[n] = 0;
        int len = snprintf(out, size, "%s %u ack %u win %u len %u%s", n ? flags : "-", s->seg.seq.raw - r->irs,
                           s->seg.ack.raw - r->iss, s->seg.window, s->text_len, s->text_right ? "" : " (wrong text)");
        if (s->seg.has & TCP_HAS_MSS)
                len += snprintf(out + len, size - (size_t)len, " mss %u", s->seg.mss);
        if (s->seg.has & TCP_HAS_WSCALE)
                len += snprintf(out + len, size - (size_t)len, " ws %u", s->seg.wscale);
        if (s->seg.has & TCP_HAS_TS)
                snprintf(out + len, size - (size_t)len, " ts %u %u", s->seg.ts_val, s->seg.ts_ecr);
}

static bool is_it(const struct raw *r, const struct line *l, const struct raw_seg *s)
{
        const struct tcp_seg *g = &s->seg;
        uint32_t seq_base = g->flags & TCP_RST && !(g->flags & TCP_ACK) && !r->irs_known ? 0 : r->irs;

        return (g->flags & ~TCP_PSH) == (l->flags & ~TCP_PSH) && (!(l->flags & TCP_PSH) || g->flags & TCP_PSH) &&
               g->seq.raw - seq_base == l->seq && (!l->has_ack || g->ack.raw - r->iss == l->ack) &&
               (!l->has_win || g->window == l->win) && s->text_len == l->len && s->text_right &&
               (!l->has_mss || (g->has & TCP_HAS_MSS && g->mss == l->mss)) &&
               (!l->has_ws || (g->has & TCP_HAS_WSCALE && g->wscale == l->ws)) &&
               (!l->has_ts || (g->has & TCP_HAS_TS && g->ts_ecr == l->ts_ecr));
}

static bool hear_first(struct raw *r, uint64_t until_ns)
{
        raw_settle(r);
        while (!r->cnt && sim_step(r->sim, until_ns))
                raw_settle(r);
        raw_settle(r);
        return r->cnt;
}

bool raw_hear_at_(struct raw *r, const char *file, int line, uint64_t ns, const char *fmt, ...)
{
        uint64_t begin_ns = sim_now(r->sim);
        char want[256], got[256];
        va_list ap, again;

        va_start(ap, fmt);
        va_copy(again, ap);
        vsnprintf(want, sizeof want, fmt, again);
        va_end(again);
        struct line l = parse_line(fmt, ap);
        va_end(ap);

        if (!hear_first(r, begin_ns + (ns ? ns + TIMER_LATE_NS : 0))) {
                test_fail(file, line, "nothing heard within %llu ms, not \"%s\"", (unsigned long long)(ns / 1000000),
                          want);
                return false;
        }
        r->last = r->queue[r->head];
        r->head = (r->head + 1) % RAW_QUEUE;
        r->cnt--;
        if (!is_it(r, &l, &r->last)) {
                describe(r, &r->last, got, sizeof got);
                test_fail(file, line, "heard \"%s\", not \"%s\"", got, want);
                return false;
        }
        if (ns && r->last.at_ns < begin_ns + ns) {
                test_fail(file, line, "heard \"%s\" after %llu us, not %llu", want,
                          (unsigned long long)((r->last.at_ns - begin_ns) / 1000), (unsigned long long)(ns / 1000));
                return false;
        }
        return true;
}

void raw_quiet_at_(struct raw *r, const char *file, int line, uint64_t ns)
{
        char got[256];
        if (!hear_first(r, sim_now(r->sim) + ns))
                return;
        describe(r, &r->queue[r->head], got, sizeof got);
        test_fail(file, line, "heard \"%s\" where nothing should be said", got);
}

void raw_forget(struct raw *r)
{
        raw_settle(r);
        r->head = r->cnt = 0;
}

/* ---- making one, and getting into a state ---- */

struct raw *raw_new_of(uint64_t seed, const struct shard_conf *conf)
{
        struct raw *r = calloc(1, sizeof *r);
        REQUIRE(r != NULL);
        r->sim = sim_new(seed);
        r->host = sim_host(r->sim, conf);
        r->end = sim_link_raw(r->host, NULL, &r->link);
        r->addr = ip_addr_v4(0x0a000064);
        r->host_port = 80;
        r->peer_port = 5000;
        r->iss = (uint32_t)rnd_u64(sim_rnd(r->sim));
        raw_run(r, SEC(10));                            /* the host has announced its address */
        raw_forget(r);
        return r;
}

struct raw *raw_new(uint64_t seed) { return raw_new_of(seed, NULL); }

void raw_free(struct raw *r)
{
        /* Whatever the stack still says is heard (and not answered), so that the wire is empty at the end. */
        sim_free(r->sim);
        free(r);
}

int raw_accepted(struct raw *r, const char *syn)
{
        int lfd = sim_listen(r->host, 80);

        r->host_port = 80;
        r->irs_known = false;
        raw_say(r, "S 0 %s", syn);
        REQUIRE(raw_hear(r, "SA 0 ack 1"));
        if (strstr(syn, "ts "))
                raw_say(r, "A 1 ack 1 ts %lu 0", strtoul(strstr(syn, "ts ") + 3, NULL, 0));
        else
                raw_say(r, "A 1 ack 1");
        int fd = sim_accept(r->host, lfd);
        REQUIRE(fd >= 0);
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), lfd), 0);
        raw_quiet_for(r, MS(100));
        return fd;
}

int raw_connecting(struct raw *r)
{
        r->irs_known = false;
        int fd = sim_connect(r->host, &r->addr, r->peer_port);
        raw_settle(r);
        REQUIRE(raw_hear(r, "S 0"));
        return fd;
}

int raw_connected(struct raw *r, const char *syn)
{
        int fd = raw_connecting(r);
        raw_say(r, "SA 0 ack 1 %s", syn);
        REQUIRE(raw_hear(r, "A 1 ack 1"));
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_quiet_for(r, MS(100));
        return fd;
}

void raw_write(struct raw *r, int fd, uint64_t at, uint32_t len)
{
        EXPECT_EQ(sim_write(r->host, fd, RAW_STREAM_STACK, at, len), len);
        raw_settle(r);
}

void raw_read(struct raw *r, int fd, uint64_t at, uint32_t len)
{
        uint32_t done = 0;
        while (done < len) {
                ssize_t n = sim_read(r->host, fd, RAW_STREAM_PEER, at + done, len - done);
                if (n <= 0) {
                        EXPECT_EQ(done, len);
                        return;
                }
                done += (uint32_t)n;
        }
        raw_settle(r);
}
