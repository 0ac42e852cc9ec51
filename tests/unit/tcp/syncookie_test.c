/* SPDX-License-Identifier: MIT */
#include "tcp/engine.h"
#include "tests/test.h"

#include <stdlib.h>

/* An engine with one listener, and what a cookie's way is made of. */
struct rig {
        struct tcp     *t;
        struct pkt_pool pool;
        struct counters counters;
        struct rnd      rnd;
        uint32_t        listener;
        struct flow_key key;
        uint64_t        secret;
        struct tcp_offer sent;
        struct tcp_seg  syn_ack, ack;           /* ours; the peer's answer */
};

static void path_1500(void *arg, const struct ip_addr *raddr, struct tcp_path *out)
{
        *out = (struct tcp_path){ .mtu = 1500 };
}

static void rig_init(struct rig *g)
{
        const uint64_t seed[4] = { 1, 2, 3, 4 };
        struct tcp_env env = { .path = path_1500 };
        struct tcp_conf conf;

        *g = (struct rig){ .t = calloc(1, tcp_sizeof()) };
        tcp_conf_default(&conf);
        conf.max_conns = conf.max_half = conf.max_wait = 16;
        conf.max_listeners = 4;
        REQUIRE(g->t && pkt_pool_init(&g->pool, 32, 2, false) == 0);
        REQUIRE(tcp_init(g->t, &conf, &env, &g->pool, &g->counters, seed, SEC(1)) == 0);
        g->listener = slab_take(&g->t->listeners);
        *listener_at(g->t, g->listener) = (struct tcp_listener){ .backlog = 10 };
        rnd_seed(&g->rnd, 1);
}

static void rig_fini(struct rig *g)
{
        tcp_fini(g->t);
        pkt_pool_fini(&g->pool);
        free(g->t);
}

static void draw_offer(struct rig *g)
{
        struct rnd *r = &g->rnd;
        bool v4 = rnd_below(r, 2);

        g->key = (struct flow_key){ .lport = (uint16_t)rnd_u64(r), .rport = (uint16_t)rnd_u64(r) };
        for (int i = 0; i < 16; i++) {
                g->key.laddr.octet[i] = (uint8_t)rnd_u64(r);
                g->key.raddr.octet[i] = (uint8_t)rnd_u64(r);
        }
        if (v4) {
                g->key.laddr = ip_addr_v4((uint32_t)rnd_u64(r));
                g->key.raddr = ip_addr_v4((uint32_t)rnd_u64(r));
        }
        g->secret = tuple_secret(g->t, &g->key);
        g->sent = (struct tcp_offer){
                .irs = seq_of((uint32_t)rnd_u64(r)), .ts_offset = secret_ts_offset(g->secret),
                .peer_mss = (uint16_t)((v4 ? 536 : 1220) + rnd_below(r, 1000)),
        };
        if (rnd_below(r, 3)) {
                g->sent.has = TCP_HAS_TS | ((uint8_t)rnd_u64(r) & (TCP_HAS_SACK_OK | TCP_HAS_WSCALE));
                g->sent.ts_recent = (uint32_t)rnd_u64(r);
        }
        if (g->sent.has & TCP_HAS_WSCALE) {
                g->sent.peer_wscale = (uint8_t)rnd_below(r, 15);
                g->sent.rcv_wscale = 4;
        }
}

/* The cookie goes out, and the peer makes its ACK. */
static void send_cookie(struct rig *g, uint64_t now_ns)
{
        cookie_send(g->t, g->listener, &g->sent, &g->key, g->secret, now_ns);
        REQUIRE(g->t->reply_cnt == 1);
        g->t->reply_cnt = 0;
        g->syn_ack = g->t->reply[g->t->reply_head].seg;
        g->ack = (struct tcp_seg){
                .flags = TCP_ACK, .seq = seq_add(g->sent.irs, 1), .ack = seq_add(g->syn_ack.seq, 1),
                .has = g->syn_ack.has & TCP_HAS_TS, .ts_val = g->sent.ts_recent + 1, .ts_ecr = g->syn_ack.ts_val,
        };
}

static bool comes_back(struct rig *g, uint64_t now_ns, struct tcp_offer *o, uint32_t *rtt_us)
{
        struct tcp_arrival a = { .seg = &g->ack, .key = &g->key, .now_ns = now_ns };
        return cookie_check(g->t, &a, 4, o, rtt_us);
}

/* Goal:   what the SYN offered comes out of the ACK: numbers, MSS rounded down to a usual one, options.
 * Method: 20,000 random offers, both families, answered within up to 64 s.
 * Spec:   RFC 4987 3.6; RFC 7323 2.2, 3.2. */
TEST(syncookie_comes_back)
{
        static const uint16_t mss[2][5] = { { 1220, 1360, 1420, 1440, 0 }, { 536, 1300, 1440, 1460, 0 } };
        struct rig g;
        struct tcp_offer o;
        uint32_t rtt_us;

        rig_init(&g);
        for (int i = 0; i < 20000; i++) {
                uint64_t now_ns = SEC(1000) + rnd_u64(&g.rnd) % SEC(10000000), later_ns = rnd_u64(&g.rnd) % SEC(64);
                uint16_t rounded = 0;

                draw_offer(&g);
                for (const uint16_t *m = mss[ip_addr_is_v4(&g.key.raddr)]; *m && *m <= g.sent.peer_mss; m++)
                        rounded = *m;
                EXPECT(cookie_fits(&g.sent, &g.key));
                send_cookie(&g, now_ns);
                REQUIRE(comes_back(&g, now_ns + later_ns, &o, &rtt_us));
                EXPECT(seq_eq(o.irs, g.sent.irs) && seq_eq(o.iss, g.syn_ack.seq));
                EXPECT_EQ(o.peer_mss, rounded);
                EXPECT_EQ(o.has, g.sent.has);
                EXPECT_EQ(o.peer_wscale, g.sent.peer_wscale);
                EXPECT_EQ(o.rcv_wscale, g.sent.rcv_wscale);
                EXPECT_EQ(o.ts_offset, g.sent.ts_offset);
                if (!(o.has & TCP_HAS_TS)) {
                        EXPECT_EQ(rtt_us, 0);
                        continue;
                }
                EXPECT_EQ(o.ts_recent, g.ack.ts_val);
                int64_t long_us = (int64_t)rtt_us - (int64_t)(later_ns / 1000);
                EXPECT(long_us > -1000 && long_us < 65000);
                EXPECT_LT(ms_of_ns(now_ns) + g.sent.ts_offset - g.syn_ack.ts_val, 64);
        }
        rig_fini(&g);
}

/* Goal:   what was not offered does not come out.
 * Method: every bit of every number that counts, one at a time, and timestamps left out of the ACK. The two lowest
 *         bits of the acknowledgment number are not tried: they may name another MSS.
 * Spec:   RFC 4987 3.6. */
TEST(syncookie_changed)
{
        struct rig g;
        struct tcp_offer o;
        uint32_t rtt_us, passed = 0;

        rig_init(&g);
        for (int i = 0; i < 2000; i++) {
                uint64_t now_ns = SEC(1000) + rnd_u64(&g.rnd) % SEC(10000);
                draw_offer(&g);
                send_cookie(&g, now_ns);
                const struct tcp_seg ack = g.ack;
                const struct flow_key key = g.key;
                for (uint32_t bit = 2; bit < 32; bit++, g.ack = ack) {
                        g.ack.ack.raw ^= 1u << bit;
                        passed += comes_back(&g, now_ns + MS(1), &o, &rtt_us);
                }
                for (uint32_t bit = 0; bit < 32; bit++, g.ack = ack) {
                        g.ack.seq.raw ^= 1u << bit;
                        passed += comes_back(&g, now_ns + MS(1), &o, &rtt_us);
                }
                for (uint32_t bit = 0; bit < 16; bit++, g.key = key) {
                        g.key.rport ^= (uint16_t)(1u << bit);
                        passed += comes_back(&g, now_ns + MS(1), &o, &rtt_us);
                }
                if (!(ack.has & TCP_HAS_TS))
                        continue;
                uint32_t bits = ack.ts_ecr - g.sent.ts_offset;
                for (uint32_t bit = 0; bit < 5; bit++, g.ack = ack) {
                        g.ack.ts_ecr = g.sent.ts_offset + (bits ^ 1u << bit);
                        passed += comes_back(&g, now_ns + MS(100), &o, &rtt_us);
                }
                g.ack.has = 0;
                passed += comes_back(&g, now_ns + MS(1), &o, &rtt_us);
        }
        EXPECT_LT(passed, 3);                           /* 170,000 tries, each with a chance of 2^-22 at most */
        rig_fini(&g);
}

/* Goal:   a cookie is good in its step of 64 s and the next, and so is the echo of its timestamp.
 * Method: sent at random times, answered at the last instant and right after it.
 * Spec:   RFC 4987 3.6. */
TEST(syncookie_age)
{
        struct rig g;
        struct tcp_offer o;
        uint32_t rtt_us;

        rig_init(&g);
        for (int i = 0; i < 2000; i++) {
                uint64_t now_ns = SEC(1000) + rnd_u64(&g.rnd) % SEC(10000), end_ns = (now_ns / SEC(64) + 2) * SEC(64);
                draw_offer(&g);
                send_cookie(&g, now_ns);
                bool echo_too_old = g.ack.has & TCP_HAS_TS && end_ns - 1 - now_ns >= SEC(128) - MS(65);
                EXPECT(comes_back(&g, end_ns - 1, &o, &rtt_us) || echo_too_old);
                EXPECT(!comes_back(&g, end_ns, &o, &rtt_us));
                EXPECT(!comes_back(&g, now_ns + SEC(64) * 256, &o, &rtt_us));   /* the count is the same again */
        }
        rig_fini(&g);
}

/* Goal:   cookies of one tuple go up with time as initial numbers do, 2^24 in 64 s, and with the peer's numbers.
 * Method: 1,000 steps in a row.
 * Spec:   RFC 6528 3: the clock of 4 us. */
TEST(syncookie_rises)
{
        struct rig g;

        rig_init(&g);
        draw_offer(&g);
        send_cookie(&g, SEC(64));
        for (uint64_t step = 2; step < 1000; step++) {
                tcp_seq before = g.syn_ack.seq;
                g.sent.irs = seq_add(g.sent.irs, 1u << 24);
                send_cookie(&g, SEC(64) * step);
                EXPECT(seq_gt(g.syn_ack.seq, before));
                EXPECT_LT(seq_diff(g.syn_ack.seq, before), 3 << 24);
        }
        rig_fini(&g);
}

/* Goal:   guessing takes as long as it must.
 * Method: 2 million random ACKs, of which 2^-29 each should pass.
 * Spec:   RFC 4987 3.6; tcp/syncookie.c. */
TEST(syncookie_guessed)
{
        struct rig g;
        struct tcp_offer o;
        uint32_t rtt_us, passed = 0;

        rig_init(&g);
        draw_offer(&g);
        for (int i = 0; i < 2000000; i++) {
                g.ack = (struct tcp_seg){ .seq.raw = (uint32_t)rnd_u64(&g.rnd), .ack.raw = (uint32_t)rnd_u64(&g.rnd) };
                passed += comes_back(&g, SEC(1000), &o, &rtt_us);
        }
        EXPECT_LT(passed, 2);
        rig_fini(&g);
}
