/* SPDX-License-Identifier: MIT */
#include "tcp/engine.h"
#include "tests/test.h"

#include <stdlib.h>

enum { TUPLES = 6000, PORT = 80, TIME_WAIT_S = 60 };

/* An engine, and beside it what should be in TIME-WAIT. */
struct rig {
        struct tcp     *t;
        struct pkt_pool pool;
        struct counters counters;
        struct rnd      rnd;
        uint64_t        now_ns;
        uint64_t        due_ns[TUPLES];         /* by port of the peer; 0: not there */
        uint32_t        there;
};

static void path_1500(void *arg, const struct ip_addr *raddr, struct tcp_path *out)
{
        *out = (struct tcp_path){ .mtu = 1500 };
}

static struct rig *rig_new(uint32_t max_wait)
{
        const uint64_t seed[4] = { 1, 2, 3, 4 };
        struct rig *g = calloc(1, sizeof *g);
        struct tcp_env env = { .path = path_1500 };
        struct tcp_conf conf;
        struct ip_addr any = { 0 };
        uint32_t binding, listener;

        tcp_conf_default(&conf);
        conf.max_conns = conf.max_half = 16;
        conf.max_wait = max_wait;
        conf.max_listeners = 4;
        REQUIRE(g);
        g->t = calloc(1, tcp_sizeof());
        g->now_ns = SEC(1000);
        REQUIRE(g->t && pkt_pool_init(&g->pool, 32, 2, false) == 0);
        REQUIRE(tcp_init(g->t, &conf, &env, &g->pool, &g->counters, seed, g->now_ns) == 0);
        REQUIRE(ports_bind(&g->t->ports, &any, PORT, 0, &binding) == 0);
        REQUIRE(tcp_listen(g->t, binding, 10, NULL, 1, &listener) == 0);
        rnd_seed(&g->rnd, 1);
        return g;
}

static void rig_free(struct rig *g)
{
        tcp_fini(g->t);
        pkt_pool_fini(&g->pool);
        free(g->t);
        free(g);
}

/* Every other one is IPv6. */
static struct flow_key key_of(uint32_t tuple)
{
        struct flow_key key = { .lport = PORT, .rport = (uint16_t)(1 + tuple) };

        key.laddr = tuple & 1 ? (struct ip_addr){ { 0x20, 1, [15] = 1 } } : ip_addr_v4(1);
        key.raddr = tuple & 1 ? (struct ip_addr){ { 0x20, 1, [15] = 2 } } : ip_addr_v4(2);
        return key;
}

static flow_ref ref_of(struct rig *g, uint32_t tuple)
{
        struct flow_key key = key_of(tuple);
        return flow_find(&g->t->flows, flow_hash(&g->t->flows, &key), &key);
}

/* A connection that has sent up to 1000 and received up to 2000 ends. */
static void begin(struct rig *g, uint32_t tuple)
{
        struct flow_key key = key_of(tuple);
        struct tcp_conn *c = conn_new(g->t, &key, 0, g->now_ns);

        REQUIRE(c && flow_insert(&g->t->flows, flow_hash(&g->t->flows, &key), conn_ref(g->t, c)) == 0);
        g->t->ports.users[PORT]++;
        c->flags |= TF_IN_TABLE;
        c->snd_nxt = c->snd_una = seq_of(1000);
        c->rcv_nxt = c->rcv_adv = seq_of(2000);
        wait_begin(g->t, c, g->now_ns);
        EXPECT(!(c->flags & TF_IN_TABLE));
        conn_free(g->t, c);
        g->due_ns[tuple] = g->now_ns + SEC(TIME_WAIT_S);
        g->there++;
}

static void segment(struct rig *g, uint32_t tuple, struct tcp_seg seg, bool *reopen)
{
        struct flow_key key = key_of(tuple);
        flow_ref ref = ref_of(g, tuple);
        tcp_seq iss_min;

        REQUIRE(flow_ref_kind(ref) == FLOW_WAIT);
        wait_input(g->t, flow_ref_idx(ref), &seg, 0, &key, flow_hash(&g->t->flows, &key), g->now_ns, reopen, &iss_min);
        g->t->reply_cnt = 0;
}

static void reopen(struct rig *g, uint32_t tuple)
{
        bool yes;
        segment(g, tuple, (struct tcp_seg){ .flags = TCP_SYN, .seq = seq_of(3000) }, &yes);
        EXPECT(yes);
        EXPECT_EQ(ref_of(g, tuple), 0);
        g->due_ns[tuple] = 0;
        g->there--;
}

static void fin_again(struct rig *g, uint32_t tuple)
{
        uint64_t due_ns = g->now_ns + SEC(TIME_WAIT_S);
        bool yes;

        segment(g, tuple, (struct tcp_seg){ .flags = TCP_FIN | TCP_ACK, .seq.raw = 1999, .ack.raw = 1000 }, &yes);
        EXPECT(!yes);
        if (due_ns - g->due_ns[tuple] > SEC(1))
                g->due_ns[tuple] = due_ns;
}

/* Time passes: who is due goes, and at the latest 2 MSL after. */
static void pass(struct rig *g, uint64_t ns)
{
        g->now_ns += ns;
        while (wait_expire(g->t, g->now_ns))
                ;
}

/* Who has gone too early? */
static uint32_t look(struct rig *g)
{
        uint32_t early = 0;

        for (uint32_t i = 0; i < TUPLES; i++) {
                bool is = flow_ref_kind(ref_of(g, i)) == FLOW_WAIT;
                if (!g->due_ns[i]) {
                        EXPECT(!is);
                        continue;
                }
                EXPECT(!is || g->now_ns < g->due_ns[i] + SEC(TIME_WAIT_S) + MS(3));
                if (is)
                        continue;
                early += g->now_ns < g->due_ns[i];
                g->due_ns[i] = 0;
                g->there--;
        }
        EXPECT_EQ(g->there, g->t->wait_ring.live);
        tcp_check(g->t);
        return early;
}

/* One of those that are there (@there) or are not, or none that was hit upon. */
static bool draw(struct rig *g, bool there, uint32_t *tuple)
{
        for (int i = 0; i < 20; i++) {
                *tuple = rnd_below(&g->rnd, TUPLES);
                if ((flow_ref_kind(ref_of(g, *tuple)) == FLOW_WAIT) == there)
                        return true;
        }
        return false;
}

/* Goal:   a record is there for 2 MSL from its last FIN, whatever happens to others, and not longer than twice that;
 *         only when nearly all slots are taken one ends early, and that is counted.
 * Method: random ends, new SYNs and repeated FINs, in phases with more of the one or the other and pauses, in rings
 *         of several sizes, against an array of what should be there.
 * Spec:   RFC 9293 3.6, MUST-13; architecture 12. */
TEST(timewait_ring_against_an_array)
{
        static const uint32_t size[] = { 1, 7, 1024, 1500, 3000, 100000 };

        for (size_t n = 0; n < ARRAY_LEN(size); n++) {
                struct rig *g = rig_new(size[n]);
                uint64_t early = 0, most = 0;
                for (int phase = 0; phase < 60; phase++) {
                        uint32_t begins = 1 + rnd_below(&g->rnd, 4), reopens = rnd_below(&g->rnd, 4);
                        uint32_t fins = rnd_below(&g->rnd, 2);
                        uint64_t pause_ns = rnd_below(&g->rnd, 3) ? MS(1) << rnd_below(&g->rnd, 8) : 0;
                        for (int i = 0; i < 2000; i++) {
                                uint32_t what = rnd_below(&g->rnd, begins + reopens + fins), tuple;
                                uint64_t was = g->counters.cnt[CNT_TCP_TW_EVICTED];
                                if (what < begins) {
                                        if (!draw(g, false, &tuple))
                                                continue;
                                        if (g->due_ns[tuple]) {         /* it has gone, and nobody has looked */
                                                early += g->now_ns < g->due_ns[tuple];
                                                g->there--;
                                        }
                                        begin(g, tuple);
                                } else if (draw(g, true, &tuple)) {
                                        if (what < begins + reopens)
                                                reopen(g, tuple);
                                        else
                                                fin_again(g, tuple);
                                }
                                if (g->counters.cnt[CNT_TCP_TW_EVICTED] != was)
                                        EXPECT_GE((uint64_t)(g->t->wait_ring.live + 1) * 8, (uint64_t)size[n] * 7);
                                most = u64_max(most, g->t->wait_ring.live);
                                if (pause_ns)
                                        pass(g, rnd_u64(&g->rnd) % pause_ns);
                        }
                        early += look(g);
                        EXPECT_LE(early, g->counters.cnt[CNT_TCP_TW_EVICTED]);  /* some are seen only when due */
                }
                EXPECT_LE(most, size[n]);
                EXPECT_EQ(early == 0, size[n] > TUPLES);
                EXPECT_EQ(g->counters.cnt[CNT_TCP_TW_EVICTED] == 0, size[n] > TUPLES);
                pass(g, SEC(2 * TIME_WAIT_S + 1));
                EXPECT_EQ(look(g), 0);
                EXPECT_EQ(g->there, 0);
                EXPECT_EQ(g->t->wait_ring.cnt, 0);
                EXPECT_EQ(g->t->flows.used, 0);
                EXPECT_EQ(g->t->ports.users[PORT], 0);
                rig_free(g);
        }
}

/* Goal:   few records take little memory, however often they come and go.
 * Method: 100 tuples, each used again at once, 200,000 times, with room for a million; then the same at leisure.
 * Spec:   architecture 4, 12. */
TEST(timewait_ring_stays_small)
{
        struct rig *g = rig_new(1000000);

        for (uint32_t i = 0; i < 200000; i++) {
                if (i >= 100)
                        reopen(g, i % 100);
                begin(g, i % 100);
                if (i > 100000)
                        pass(g, MS(10));
        }
        EXPECT_EQ(g->t->wait_ring.live, 100);
        EXPECT_LE(g->t->wait_ring.span, 1024);
        EXPECT_EQ(g->counters.cnt[CNT_TCP_TW_EVICTED], 0);
        rig_free(g);
}
