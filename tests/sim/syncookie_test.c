/* SPDX-License-Identifier: MIT */
/* tests/sim/syncookie_test.c - Handshakes without a record, and what a flood can do then: RFC 4987 */
#include "tests/sim/raw.h"
#include "wire/csum.h"
#include "wire/eth.h"
#include "wire/ip4.h"

static struct tcp_usage usage(struct sim_host *h)
{
        struct tcp_usage use;
        tcp_usage(TCP_OF(h), &use);
        return use;
}

static struct raw *raw_new_cookies(uint64_t seed, enum tcp_syncookies when, uint32_t max_half)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.syncookies = when;
        sc.tcp.max_half = max_half;
        return raw_new_of(seed, &sc);
}

/* A handshake begins; the stack's answer is in r->last. */
static void raw_syn(struct raw *r, uint16_t port, const char *syn)
{
        r->peer_port = port;
        r->irs_known = false;
        raw_say(r, "S 0 %s", syn);
        raw_hear(r, "SA 0 ack 1");
}

/* Goal:   a connection that comes out of a cookie has the options that it would have without.
 * Method: SYNs with and without each option, the same to a stack that never and one that always uses cookies; text
 *         both ways, with the peer's window scaled.
 * Spec:   RFC 4987 3.6; RFC 7323 2.2, 3.2; without timestamps there is nowhere to keep a window scale. */
TEST(syncookie_options)
{
        static const struct {
                const char *syn;
                uint16_t    mss;                /* with cookies; 0: as without */
                bool        plain;              /* with cookies no options */
        } row[] = {
                { "mss 1460 ws 7 ts 100 0", 0, false },
                { "mss 1460 ws 0 ts 100 0", 0, false },
                { "mss 1460 ws 14 ts 4294967290 0", 0, false },
                { "mss 1460 ts 100 0", 0, false },
                { "mss 1459 ws 1 ts 100 0", 1440, false },
                { "mss 1300 ws 2", 0, true },
                { "mss 9000", 1460, false },
                { "ws 3 ts 1 0", 0, false },
                { "-", 0, false },
        };
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
                static const enum tcp_syncookies how[] = { TCP_SYNCOOKIES_NEVER, TCP_SYNCOOKIES_ALWAYS };
                struct tcp_report was = { 0 };
                for (int cookies = 0; cookies < 2; cookies++) {
                        struct raw *r = raw_new_cookies(1 + i, how[cookies], 64);
                        int lfd = sim_listen(r->host, 80);
                        raw_syn(r, 6000, row[i].syn[0] == '-' ? "" : row[i].syn);
                        EXPECT_EQ(usage(r->host).halves, !cookies);
                        char ts[64] = "";
                        const char *at = strstr(row[i].syn, "ts ");
                        if (at)
                                snprintf(ts, sizeof ts, "ts %lu %u", strtoul(at + 3, NULL, 0) + 1, r->last.seg.ts_val);
                        raw_say(r, "A 1 ack 1 win 1000 %s", ts);
                        int fd = sim_accept(r->host, lfd);
                        REQUIRE(fd >= 0);
                        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_SENT), cookies);
                        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_RCVD), cookies);
                        EXPECT_EQ(usage(r->host).halves, 0);
                        EXPECT_EQ(usage(r->host).conns, 1);
                        struct tcp_report is = sim_report(r->host, fd);
                        if (cookies) {
                                uint32_t mss = row[i].mss ? row[i].mss - (is.timestamps ? 12u : 0) : was.snd_mss;
                                EXPECT_EQ(is.snd_mss, mss);
                                EXPECT_EQ(is.timestamps, was.timestamps);
                                EXPECT_EQ(is.wscale, row[i].plain ? 0 : was.wscale);
                                EXPECT_EQ(is.snd_wscale, row[i].plain ? 0 : was.snd_wscale);
                                EXPECT_EQ(is.rcv_wscale, row[i].plain ? 0 : was.rcv_wscale);
                                EXPECT_EQ(is.snd_wnd, row[i].plain ? 1000 : was.snd_wnd);
                                EXPECT_EQ(is.rcv_wnd, was.rcv_wnd);
                                EXPECT_EQ(is.cwnd_bytes, 10 * is.snd_mss);
                        }
                        was = is;
                        raw_say(r, "PA 1 ack 1 len 100 %s", ts);
                        raw_read(r, fd, 0, 100);
                        raw_forget(r);
                        raw_run(r, MS(100));
                        raw_forget(r);
                        raw_write(r, fd, 0, 50);
                        raw_settle(r);
                        raw_hear(r, "PA 1 ack 101 len 50");
                        EXPECT(!at || (r->last.seg.has & TCP_HAS_TS));
                        raw_free(r);
                }
        }
}

/* Goal:   what comes with the ACK is taken, and if the ACK is lost, what comes with the text.
 * Method: text on the ACK; the same twice; text and FIN.
 * Spec:   RFC 9293 3.10.7.4. */
TEST(syncookie_text_on_the_ack)
{
        struct raw *r = raw_new_cookies(sim_seed(__func__, 1), TCP_SYNCOOKIES_ALWAYS, 64);
        int lfd = sim_listen(r->host, 80);

        raw_syn(r, 6000, "mss 1460");
        raw_say(r, "PA 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 11");
        raw_say(r, "PA 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 11");
        int fd = sim_accept(r->host, lfd);
        raw_read(r, fd, 0, 10);
        raw_syn(r, 6001, "mss 1460");
        raw_say(r, "FPA 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 12");
        fd = sim_accept(r->host, lfd);
        raw_read(r, fd, 0, 10);
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSE_WAIT);
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_RCVD), 2);
        raw_free(r);
}

/* Goal:   an ACK that brings no cookie is answered by RST, and looked at only where cookies were sent of late.
 * Method: wrong numbers and ports before, soon after and long after a cookie; the right ACK after too long.
 * Spec:   RFC 4987 3.6; RFC 9293 3.10.7.2 second. */
TEST(syncookie_wrong)
{
        struct raw *r = raw_new_cookies(sim_seed(__func__, 1), TCP_SYNCOOKIES_ALWAYS, 64);
        int lfd = sim_listen(r->host, 80);

        raw_say(r, "A 1 ack 1");
        raw_hear(r, "R 1");
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_FAILED), 0);
        raw_syn(r, 6000, "mss 1460 ts 100 0");
        uint32_t ts = r->last.seg.ts_val;
        static const char *const wrong[] = {
                "A 1 ack 5", "A 1 ack 9", "A 2 ack 1", "A 0 ack 1", "A 1 ack 16777217", "A 1 ack 33554433",
        };
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                raw_say(r, "%s ts 101 %u", wrong[i], ts);
                raw_hear(r, "R %lu", strtoul(strstr(wrong[i], "ack ") + 4, NULL, 0));
        }
        raw_say(r, "A 1 ack 1");                        /* no timestamp */
        raw_hear(r, "R 1");
        raw_say(r, "A 1 ack 1 ts 101 %u", ts + 1);      /* another window scale */
        raw_hear(r, "R 1");
        raw_say(r, "A 1 ack 1 ts 101 %u", ts + 6400);   /* one that was never sent */
        raw_hear(r, "R 1");
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_FAILED), ARRAY_LEN(wrong) + 3);
        EXPECT_EQ(DROPS(r->host, TCP_BAD_COOKIE), ARRAY_LEN(wrong) + 3);
        raw_say(r, "SA 1 ack 1 ts 101 %u", ts);
        raw_hear(r, "R 1");
        raw_say(r, "R 1");
        raw_quiet(r);
        raw_run(r, SEC(129));
        raw_say(r, "A 1 ack 1 ts 129101 %u", ts);
        raw_hear(r, "R 1");
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_FAILED), ARRAY_LEN(wrong) + 3);
        EXPECT_EQ(sim_accept(r->host, lfd), -EAGAIN);
        EXPECT_EQ(usage(r->host).conns, 0);
        raw_free(r);
}

/* Goal:   a cookie is its listener's: when that is closed, it is worth nothing, to the next one neither.
 * Method: the ACK after close(), and after another listen(); half-open records of others stay.
 * Spec:   RFC 9293 3.10.7.1, 3.10.7.2. */
TEST(syncookie_listener_closed)
{
        struct raw *r = raw_new_cookies(sim_seed(__func__, 1), TCP_SYNCOOKIES_AUTO, 2);
        int lfd = sim_listen(r->host, 80), other = sim_listen(r->host, 81);

        r->host_port = 81;
        raw_syn(r, 6000, "mss 1460");
        r->host_port = 80;
        raw_syn(r, 6001, "mss 1460");
        raw_syn(r, 6002, "mss 1460");
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_SENT), 1);
        EXPECT_EQ(usage(r->host).halves, 2);
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), lfd), 0);
        EXPECT_EQ(usage(r->host).halves, 1);
        raw_say(r, "A 1 ack 1");
        raw_hear(r, "R 1");
        lfd = sim_listen(r->host, 80);
        raw_say(r, "A 1 ack 1");
        raw_hear(r, "R 1");
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_FAILED), 0);
        EXPECT_EQ(sim_accept(r->host, lfd), -EAGAIN);
        EXPECT_EQ(sim_accept(r->host, other), -EAGAIN);
        raw_run(r, SEC(70));
        raw_forget(r);
        raw_free(r);
}

/* Goal:   a full accept queue does not cost the peer its connection: it is silent, and later text gets in.
 * Method: a backlog of 0, two handshakes; the second's ACK and a later segment are ignored, its first text is not.
 * Spec:   listen(2); Linux tcp_abort_on_overflow 0. */
TEST(syncookie_accept_queue_full)
{
        struct raw *r = raw_new_cookies(sim_seed(__func__, 1), TCP_SYNCOOKIES_ALWAYS, 64);
        int lfd = sim_listen_of(r->host, 80, 0);

        raw_syn(r, 6000, "mss 1460");
        uint32_t irs = r->irs;
        raw_syn(r, 6001, "mss 1460");
        uint32_t second = r->irs;
        r->peer_port = 6000;
        r->irs = irs;
        raw_say(r, "A 1 ack 1");
        r->peer_port = 6001;
        r->irs = second;
        raw_say(r, "A 1 ack 1");
        raw_say(r, "PA 101 ack 1 len 100");
        raw_quiet(r);
        EXPECT_EQ(DROPS(r->host, TCP_ACCEPT_FULL), 2);
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        raw_say(r, "PA 1 ack 1 len 100");
        raw_hear(r, "A 1 ack 101");
        int fd = sim_accept(r->host, lfd);
        EXPECT_GE(fd, 0);
        raw_read(r, fd, 0, 100);
        raw_free(r);
}

/* Goal:   the echo of our timestamp is a sample of the round trip, at most 64 ms too long; without there is none.
 * Method: ACKs 200 ms after the SYN-ACK.
 * Spec:   RFC 6298 2; RFC 7323 4. */
TEST(syncookie_round_trip)
{
        struct raw *r = raw_new_cookies(sim_seed(__func__, 1), TCP_SYNCOOKIES_ALWAYS, 64);
        int lfd = sim_listen(r->host, 80);

        for (int ts = 0; ts < 2; ts++) {
                raw_syn(r, (uint16_t)(6000 + ts), ts ? "mss 1460 ts 100 0" : "mss 1460");
                uint32_t echo = r->last.seg.ts_val;
                raw_run(r, MS(200));
                if (ts)
                        raw_say(r, "A 1 ack 1 ts 300 %u", echo);
                else
                        raw_say(r, "A 1 ack 1");
                struct tcp_report is = sim_report(r->host, sim_accept(r->host, lfd));
                EXPECT_GE(is.srtt_ns, ts ? MS(200) : 0);
                EXPECT_LT(is.srtt_ns, ts ? MS(265) : 1);
                EXPECT_EQ(is.cwnd_bytes, 10 * is.snd_mss);      /* nothing was lost, as far as we know */
        }
        raw_free(r);
}

/* Goal:   a SYN that was answered by a cookie, and again with a record, may be acknowledged either way.
 * Method: one record, which another handshake holds until the SYN is repeated; the ACK of the first answer.
 * Spec:   the peer believes the first SYN-ACK that it sees (RFC 9293 3.10.7.3). */
TEST(syncookie_then_a_record)
{
        for (int first = 0; first < 2; first++) {
                struct raw *r = raw_new_cookies(sim_seed(__func__, 1), TCP_SYNCOOKIES_AUTO, 1);
                int lfd = sim_listen(r->host, 80);

                raw_syn(r, 6000, "mss 1460");
                uint32_t other = r->irs;
                raw_syn(r, 6001, "mss 1460");
                EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_SENT), 1);
                uint32_t cookie = r->irs;
                r->peer_port = 6000;
                r->irs = other;
                raw_say(r, "R 1");
                EXPECT_EQ(usage(r->host).halves, 0);
                raw_syn(r, 6001, "mss 1460");
                EXPECT_EQ(usage(r->host).halves, 1);
                EXPECT_NE(r->irs, cookie);
                raw_say(r, "A 1 ack 99");
                raw_hear(r, "R 99");
                EXPECT_EQ(usage(r->host).halves, 1);
                if (first)
                        r->irs = cookie;
                raw_say(r, "PA 1 ack 1 len 10");
                raw_hear(r, "A 1 ack 11");
                EXPECT_EQ(usage(r->host).halves, 0);
                EXPECT_GE(sim_accept(r->host, lfd), 0);
                EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_RCVD), first);
                raw_free(r);
        }
}

/* Goal:   a tuple that leaves TIME-WAIT begins beyond its old numbers also when records have run out.
 * Method: two records, both taken; a SYN with a higher number for a tuple in TIME-WAIT.
 * Spec:   RFC 9293 3.6.1, MAY-2; RFC 6191. */
TEST(syncookie_time_wait)
{
        struct raw *r = raw_new_cookies(sim_seed(__func__, 1), TCP_SYNCOOKIES_AUTO, 2);
        int fd = raw_accepted(r, "mss 1000");
        int lfd = sim_listen(r->host, 80);

        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_settle(r);
        raw_hear(r, "FA 1 ack 1");
        raw_say(r, "FA 1 ack 2");
        raw_hear(r, "A 2 ack 2");
        uint16_t port = r->peer_port;
        uint32_t irs = r->irs;
        raw_syn(r, 7000, "mss 1460");
        raw_syn(r, 7001, "mss 1460");
        r->peer_port = port;
        r->irs_known = false;
        raw_say(r, "S 1000 mss 1460");
        raw_hear(r, "SA 0 ack 1001");
        EXPECT(seq_gt(seq_of(r->irs), seq_of(irs + 2)));
        EXPECT_EQ(CNT(r->host, TCP_SYN_EVICTED), 1);
        EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_SENT), 0);
        raw_say(r, "A 1001 ack 1");
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        raw_forget(r);
        raw_run(r, SEC(70));
        raw_forget(r);
        raw_free(r);
}

/* Goal:   a listener has as many half-open records as its backlog, and does not take the last quarter from others.
 * Method: floods of 200 SYNs on two of three listeners, with 64 records; the third's handshakes then find records.
 * Spec:   listen(2), "queue of incomplete sockets"; RFC 4987 3.1. */
TEST(syncookie_share_of_a_listener)
{
        for (enum tcp_syncookies when = TCP_SYNCOOKIES_NEVER; when <= TCP_SYNCOOKIES_AUTO; when++) {
                struct raw *r = raw_new_cookies(sim_seed(__func__, 1), when, 64);
                struct tcp_seg syn = { .flags = TCP_SYN, .window = 65535, .has = TCP_HAS_MSS, .mss = 1460 };
                static const int backlog[] = { 10, 100, 100 }, most[] = { 10, 48, 10 };
                int lfd[3];

                for (int i = 0; i < 3; i++)
                        lfd[i] = sim_listen_of(r->host, (uint16_t)(80 + i), backlog[i]);
                for (uint16_t i = 0; i < 400; i++) {
                        syn.src_port = (uint16_t)(10000 + i);
                        syn.dst_port = i < 200 ? 81 : 80;
                        raw_say_seg(r, &syn, NULL, 0);
                        raw_forget(r);
                }
                EXPECT_EQ(usage(r->host).halves, (uint32_t)(most[0] + most[1]));
                EXPECT_EQ(CNT(r->host, TCP_SYN_EVICTED), when == TCP_SYNCOOKIES_NEVER ? 400u - 58 : 0);
                EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_SENT), when == TCP_SYNCOOKIES_NEVER ? 0 : 400u - 58);
                uint64_t evicted = CNT(r->host, TCP_SYN_EVICTED), cookies = CNT(r->host, TCP_SYNCOOKIES_SENT);
                r->host_port = 82;
                for (uint16_t i = 0; i < 6; i++)
                        raw_syn(r, (uint16_t)(5000 + i), "mss 1000 ws 7");
                EXPECT_EQ(usage(r->host).halves, 64);
                EXPECT_EQ(CNT(r->host, TCP_SYN_EVICTED), evicted);
                EXPECT_EQ(CNT(r->host, TCP_SYNCOOKIES_SENT), cookies);
                raw_say(r, "A 1 ack 1");
                EXPECT_GE(sim_accept(r->host, lfd[2]), 0);
                raw_run(r, SEC(70));
                raw_forget(r);
                raw_free(r);
        }
}

/* ---- a flood ---- */

#ifdef MR_CHECK_SLOW
enum { HONEST = 30 };
#else
enum { HONEST = 200 };
#endif
enum { FLOOD_PORT_MIN = 1024, FLOOD_PORTS = 30000, HALVES = 64 };

/* A SYN like the honest client's, but from one of the ports that are not the client's. */
static uint32_t make_syn(struct rnd *r, const struct sim_view *like, uint8_t *frame)
{
        struct eth_hdr eth = { 0 };
        struct ip4_hdr ip;

        REQUIRE(eth_parse(&eth, like->frame, like->len) == DROP_NONE);
        REQUIRE(ip4_parse(&ip, like->frame + eth.hdr_len, like->len - eth.hdr_len) == DROP_NONE);
        struct tcp_seg s = {
                .src_port = (uint16_t)(FLOOD_PORT_MIN + rnd_below(r, FLOOD_PORTS)), .dst_port = 80,
                .seq = seq_of((uint32_t)rnd_u64(r)), .flags = TCP_SYN, .window = (uint16_t)rnd_u64(r),
                .has = (uint8_t)(TCP_HAS_MSS | (rnd_below(r, 2) ? TCP_HAS_TS | TCP_HAS_WSCALE : 0)),
                .mss = (uint16_t)(1 + rnd_below(r, 2000)), .wscale = (uint8_t)rnd_below(r, 15),
                .ts_val = (uint32_t)rnd_u64(r),
        };
        uint8_t *tcp = frame + ETH_HDR_LEN + IP4_HDR_LEN;
        uint32_t len = tcp_emit(tcp, &s);
        ip.total_len = (uint16_t)(IP4_HDR_LEN + len);
        eth_emit(frame, &eth);
        ip4_emit(frame + ETH_HDR_LEN, &ip);
        csum_store(tcp + TCP_CSUM_OFFSET, 0);
        csum_store(tcp + TCP_CSUM_OFFSET, (uint16_t)~csum_transport(&ip.src, &ip.dst, IP_PROTO_TCP, tcp, len));
        return ETH_HDR_LEN + IP4_HDR_LEN + len;
}

struct flood {
        struct sim_link *link;
        struct sim_view  like;                  /* the first SYN of an honest client, which the others are made of */
        uint8_t          frame[128];
};

/* Those who are named by the flood's SYNs are not there: they do not answer by RST. */
static uint64_t flood_hook(void *arg, struct sim_view *v)
{
        struct flood *f = arg;

        if (v->tcp && v->lane == SIM_AB && v->seg.flags == TCP_SYN && !f->like.len && v->len <= sizeof f->frame) {
                f->like = *v;
                memcpy(f->frame, v->frame, v->len);
                f->like.frame = f->frame;
        }
        return v->tcp && v->lane == SIM_BA && v->seg.dst_port < FLOOD_PORT_MIN + FLOOD_PORTS ? SIM_DROP : SIM_PASS;
}

/* One client connects amid the flood, a SYN each 100 us, and asks.  Does its question arrive within 3 s? */
static bool flood_client(struct flood *f, struct sim_host *a, struct sim_host *b, int lfd)
{
        struct sim *sim = a->sim;
        int fa = sim_connect(a, &b->addr, 80), fb = -1;
        uint64_t end_ns = sim_now(sim) + SEC(3);
        bool asked = false, arrived = false;
        uint8_t frame[128];

        while (sim_now(sim) < end_ns && !arrived && sim_state(a, fa) != TCP_CLOSED) {
                if (f->like.len)
                        sim_inject(f->link, SIM_AB, frame, make_syn(sim_rnd(sim), &f->like, frame));
                sim_run(sim, US(100));
                if (!asked && sim_state(a, fa) == TCP_ESTABLISHED)
                        asked = sim_write(a, fa, 1, 0, 100) == 100;
                if (fb < 0)
                        fb = sim_accept(b, lfd);
                arrived = fb >= 0 && sim_read(b, fb, 1, 0, 100) == 100;
                EXPECT_LE(usage(b).halves, HALVES);
                EXPECT_LE(usage(b).conns, 2);
        }
        sock_close(SOCKS_OF(a), fa);
        if (fb >= 0)
                sock_close(SOCKS_OF(b), fb);
        sim_run(sim, MS(100));
        return arrived;
}

/* How many of HONEST clients, one after another, get through? */
static uint32_t flood_run(enum tcp_syncookies when, struct counters *out)
{
        struct flood f = { 0 };
        struct shard_conf sc;
        struct sim *sim = sim_new(sim_seed("syncookie_flood", 1));
        uint32_t served = 0;

        sim_conf_default(&sc);
        sc.tcp.syncookies = when;
        sc.tcp.max_half = HALVES;
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, &sc);
        f.link = sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(20) });
        sim_hook_set(f.link, flood_hook, &f);
        int lfd = sim_listen(b, 80);
        for (int i = 0; i < HONEST; i++)
                served += flood_client(&f, a, b, lfd);
        *out = b->shard.counters;
        sim_hook_set(f.link, NULL, NULL);
        sim_free(sim);
        return served;
}

/* Goal:   every honest client gets through a flood, the memory for it is bounded, and most handshakes succeed at once.
 * Method: 64 records, a round trip of 40 ms, 10,000 SYNs a second from nowhere: 400 in a round trip. 200 clients
 *         connect one after another and send a question; once with cookies, once without for comparison.
 * Spec:   RFC 4987 3; architecture 12. */
TEST(syncookie_flood)
{
        struct counters c;

        EXPECT_EQ(flood_run(TCP_SYNCOOKIES_AUTO, &c), HONEST);
        EXPECT_GT(c.cnt[CNT_TCP_SYNCOOKIES_SENT], 1000);
        EXPECT_GE(c.cnt[CNT_TCP_SYNCOOKIES_RCVD], HONEST * 9 / 10);
        EXPECT_EQ(c.cnt[CNT_TCP_SYN_EVICTED], 0);
        EXPECT_EQ(flood_run(TCP_SYNCOOKIES_ALWAYS, &c), HONEST);
        EXPECT_LT(flood_run(TCP_SYNCOOKIES_NEVER, &c), HONEST);
        EXPECT_GT(c.cnt[CNT_TCP_SYN_EVICTED], 1000);
}
