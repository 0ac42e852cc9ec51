/* SPDX-License-Identifier: MIT */
#include "tcp/engine.h"
#include "tests/test.h"

#include <stdlib.h>

/* An engine with nothing around it. */
static struct tcp *engine_new(struct pkt_pool *pool, struct counters *counters, uint32_t pkts)
{
        const uint64_t seed[4] = { 1, 2, 3, 4 };
        struct tcp *t = calloc(1, tcp_sizeof());
        struct tcp_env env = { 0 };
        struct tcp_conf conf;

        tcp_conf_default(&conf);
        conf.max_conns = conf.max_half = conf.max_wait = 16;
        conf.max_listeners = 4;
        REQUIRE(t && pkt_pool_init(pool, pkts, 2, false) == 0);
        REQUIRE(tcp_init(t, &conf, &env, pool, counters, seed, SEC(1)) == 0);
        return t;
}

static void engine_free(struct tcp *t)
{
        struct pkt_pool *pool = t->pool;
        tcp_check(t);
        EXPECT_EQ(pool->small.used, 0);
        tcp_fini(t);
        pkt_pool_fini(pool);
        free(t);
}

static struct tcp_conn *conn_make(struct tcp *t)
{
        struct flow_key key = { .laddr = ip_addr_v4(1), .raddr = ip_addr_v4(2), .lport = 3, .rport = 4 };
        struct tcp_conn *c = conn_new(t, &key, 0, SEC(1));
        REQUIRE(c != NULL);
        return c;
}

/* Goal:   the send queue is an array from which octets leave at the front: any piece can be copied at any time.
 * Method: random appends, copies and acknowledgments against an array that holds the same.
 * Spec:   tcp/sendq.c. */
TEST(sendq_against_an_array)
{
        enum { TOTAL = 2 * 1000 * 1000, QUEUE_MAX = 100000 };
        static uint8_t all[TOTAL], out[20000];
        struct pkt_pool pool;
        struct counters counters = { 0 };
        struct tcp *t = engine_new(&pool, &counters, 256);
        struct tcp_conn *c = conn_make(t);
        struct tcp_flight *f = flight_attach(t, c);
        uint32_t begin = 0, end = 0;                    /* in @all: what is queued */
        struct rnd r;

        rnd_seed(&r, 1);
        for (uint32_t i = 0; i < TOTAL; i++)
                all[i] = (uint8_t)rnd_u64(&r);
        while (begin < TOTAL) {
                switch (rnd_below(&r, 4)) {
                case 0: {
                        uint32_t n = rnd_below(&r, 5000), a = rnd_below(&r, n + 1);
                        n = u32_min(n, TOTAL - end);
                        a = u32_min(a, n);
                        struct iovec iov[2] = { { all + end, a }, { all + end + a, n - a } };
                        uint32_t room = QUEUE_MAX - (end - begin);
                        uint32_t took = sendq_append(t, f, iov, 2, room);
                        EXPECT_LE(took, u32_min(n, room));
                        end += took;
                        break;
                }
                case 1: {
                        if (begin == end)
                                break;
                        uint32_t n = u32_min(1 + rnd_below(&r, rnd_below(&r, 4) ? 1500 : 30000), end - begin);
                        sendq_acked(t, f, n);
                        begin += n;
                        break;
                }
                default: {
                        if (begin == end)
                                break;
                        uint32_t from = rnd_below(&r, end - begin);
                        uint32_t n = 1 + rnd_below(&r, u32_min(end - begin - from, sizeof out));
                        sendq_copy(f, from, out, n);
                        EXPECT_MEM(out, all + begin + from, n);
                }
                }
                EXPECT_EQ(f->len, end - begin);
        }
        flight_detach(t, c);
        conn_free(t, c);
        engine_free(t);
}

/* Goal:   with the pool low the queue takes what it can and says how much.
 * Method: a pool of 32 buffers, far more octets, in writes too small for a large buffer.
 * Spec:   tcp/sendq.c; the shares of tcp/engine.h. */
TEST(sendq_pool_runs_dry)
{
        static uint8_t octets[100000];
        struct pkt_pool pool;
        struct counters counters = { 0 };
        struct tcp *t = engine_new(&pool, &counters, 32);
        struct tcp_conn *c = conn_make(t);
        struct tcp_flight *f = flight_attach(t, c);
        struct iovec iov = { octets, 10000 };
        uint32_t took = 0;

        for (uint32_t n; (n = sendq_append(t, f, &iov, 1, UINT32_MAX)); took += n)
                REQUIRE(took <= sizeof octets);
        EXPECT_GT(took, 20u * PKT_SMALL_ROOM);
        EXPECT_EQ(took, f->len);
        EXPECT(pkt_pool_low(&pool, POOL_PART_SEND));
        EXPECT(!sendq_may_grow(t, f));
        EXPECT_EQ(sendq_append(t, f, &iov, 1, UINT32_MAX), 0);
        sendq_acked(t, f, took);
        EXPECT_EQ(pool.small.used, 0);
        flight_detach(t, c);
        conn_free(t, c);
        engine_free(t);
}

/* Goal:   who brings much is served with large buffers, as long as half of them are free.
 * Method: 200,000 octets, a pool with two large buffers.
 * Spec:   tcp/sendq.c. */
TEST(sendq_large_buffers_for_large_writes)
{
        static uint8_t octets[200000], out[200000];
        struct pkt_pool pool;
        struct counters counters = { 0 };
        struct tcp *t = engine_new(&pool, &counters, 256);
        struct tcp_conn *c = conn_make(t);
        struct tcp_flight *f = flight_attach(t, c);
        struct iovec iov = { octets, sizeof octets };

        for (size_t i = 0; i < sizeof octets; i++)
                octets[i] = (uint8_t)(i * 7 + i / 251);
        EXPECT_EQ(sendq_append(t, f, &iov, 1, UINT32_MAX), sizeof octets);
        EXPECT_EQ(pool.large.used, 1);
        EXPECT_GT(pool.small.used, 0);
        sendq_copy(f, 0, out, sizeof out);
        EXPECT_EQ(memcmp(out, octets, sizeof out), 0);
        sendq_acked(t, f, sizeof octets);
        EXPECT_EQ(pool.large.used + pool.small.used, 0);
        flight_detach(t, c);
        conn_free(t, c);
        engine_free(t);
}

/* Goal:   the smoothed round trip and its variance are those of the specification.
 * Method: samples against the formulas in floating point.
 * Spec:   RFC 6298 2.2, 2.3. */
TEST(rtt_formulas)
{
        struct tcp_conn c = { 0 };
        double srtt = 0, rttvar = 0;
        struct rnd r;

        rnd_seed(&r, 1);
        for (int i = 0; i < 10000; i++) {
                uint64_t us = 1 + rnd_u64(&r) % (i % 100 < 50 ? 1000 : 1000000);
                rtt_sample(&c, us);
                if (i == 0) {
                        srtt = (double)us;
                        rttvar = (double)us / 2;
                } else {
                        double err = (double)us - srtt;
                        rttvar += ((err < 0 ? -err : err) - rttvar) / 4;
                        srtt += err / 8;
                }
                EXPECT_LT(c.srtt_us8 / 8.0 - srtt, 16);
                EXPECT_GT(c.srtt_us8 / 8.0 - srtt, -16);
                EXPECT_LT(c.rttvar_us4 / 4.0 - rttvar, 32);
                EXPECT_GT(c.rttvar_us4 / 4.0 - rttvar, -32);
        }
}

/* Goal:   the timer stays within its bounds whatever is measured.
 * Method: extreme samples, all backoffs.
 * Spec:   RFC 6298 2.1, 2.4, 2.5, 5.5. */
TEST(rtt_bounds)
{
        struct pkt_pool pool;
        struct counters counters = { 0 };
        struct tcp *t = engine_new(&pool, &counters, 32);
        static const uint64_t samples[] = { 0, 1, 999, 1000000, 60000000, UINT64_MAX };

        for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
                struct tcp_conn c = { .state = TCP_ESTABLISHED };
                EXPECT_EQ(rto_ns(t, &c), SEC(1));       /* nothing is known yet */
                for (int k = 0; k < 100; k++)
                        rtt_sample(&c, samples[i]);
                uint64_t before = 0;
                for (uint32_t backoff = 0; backoff < 256; backoff++) {
                        c.backoff = (uint8_t)backoff;
                        uint64_t rto = rto_ns(t, &c);
                        EXPECT_GE(rto, t->conf.rto_min_ns);
                        EXPECT_LE(rto, t->conf.rto_max_ns);
                        EXPECT_GE(rto, before);
                        before = rto;
                }
        }
        engine_free(t);
}

static tcp_seq isn_of(const struct tcp *t, const struct flow_key *key, uint64_t now_ns)
{
        return secret_isn(tuple_secret(t, key), now_ns);
}

/* Goal:   initial sequence numbers of one tuple go up with time, and differ between tuples and keys.
 * Method: times 4 us apart; other tuples.
 * Spec:   RFC 6528 3; RFC 9293 MUST-8; RFC 7323 7.1 for the timestamp offset. */
TEST(isn_rises)
{
        struct pkt_pool pool;
        struct counters counters = { 0 };
        struct tcp *t = engine_new(&pool, &counters, 32);
        struct flow_key key = { .laddr = ip_addr_v4(1), .raddr = ip_addr_v4(2), .lport = 3, .rport = 4 }, other = key;
        uint32_t same = 0;

        for (uint64_t us = 0; us < 4000; us += 4)
                EXPECT_EQ(seq_diff(isn_of(t, &key, US(us + 4)), isn_of(t, &key, US(us))), 1);
        EXPECT_EQ(seq_diff(isn_of(t, &key, SEC(10000)), isn_of(t, &key, SEC(9999))), 250000);
        EXPECT_EQ(ts_offset_make(t, &key), ts_offset_make(t, &key));
        for (uint32_t port = 5; port < 1000; port++) {
                other.rport = (uint16_t)port;
                int32_t away = seq_diff(isn_of(t, &other, 0), isn_of(t, &key, 0));
                same += away > -1000000 && away < 1000000;
                EXPECT_NE(ts_offset_make(t, &other), ts_offset_make(t, &key));
        }
        EXPECT_LT(same, 5);
        engine_free(t);
}
