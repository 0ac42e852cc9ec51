/* SPDX-License-Identifier: MIT */
#include "tests/unit/tcp/rig.h"

/* Goal:   what a connection at rest keeps in 16 bits is within 0.1 % of what it was, and on the right side.
 * Method: all small values, the edges of all powers of two, random ones; exact where 11 bits suffice.
 * Spec:   tcp/rest.c. */
TEST(rest_rounding)
{
        struct rnd r;
        rnd_seed(&r, 1);

        for (uint32_t i = 0; i < 2000000; i++) {
                uint32_t v = i < 5000 ? i : i < 5000 + 32 * 9 ? (1u << (i - 5000) / 9) + (i - 5000) % 9 - 4 : (uint32_t)rnd_u64(&r) >> i % 32;
                if (v > 1u << 31)
                        v >>= 1;
                uint32_t down = rest_value(rest_round_down(v)), up = rest_value(rest_round_up(v));
                REQUIRE(down <= v && v <= up);
                REQUIRE(v - down <= v / 1024 && up - v <= v / 1024);
                REQUIRE(v >= 2048 || (down == v && up == v));
                REQUIRE(rest_value(rest_round_up(up)) == up);   /* again and again does not add up */
        }
        EXPECT_GT(rest_value(rest_round_down(UINT32_MAX)), 0xffe00000u - 1);
}

/* A connection in which everything that may be there at rest is somehow. */
static struct tcp_conn *draw(struct rig *g, struct rnd *r, const struct flow_key *key)
{
        static const enum tcp_state states[] = { TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_FIN_WAIT_2 };
        static const uint16_t mss[] = { 52, 536, 1448, 1460, 8948, 65483 };
        struct tcp_conn *c = conn_new(g->t, key, 0, g->now_ns);
        bool scaled = rnd_below(r, 2);

        REQUIRE(c && flow_insert(&g->t->flows, flow_hash(&g->t->flows, key), conn_ref(g->t, c)) == 0);
        g->t->ports.users[key->lport]++;
        c->flags |= TF_IN_TABLE | (rnd_below(r, 2) ? TF_TS : 0) | (scaled ? TF_WSCALE : 0) | (rnd_below(r, 2) ? TF_PINGPONG : 0);
        c->state = states[rnd_below(r, 3)] & 15;
        if (c->state == TCP_CLOSE_WAIT)
                c->flags |= TF_FIN_RCVD;
        if (c->state == TCP_FIN_WAIT_2)
                c->flags |= TF_FIN_QUEUED | TF_FIN_SENT;
        c->wscales = scaled ? (uint8_t)(rnd_below(r, 15) | rnd_below(r, 15) << 4) : 0;
        c->mss = mss[rnd_below(r, ARRAY_LEN(mss))];
        c->snd_una = c->snd_nxt = seq_of((uint32_t)rnd_u64(r));
        c->rcv_nxt = c->rcv_acked = seq_of((uint32_t)rnd_u64(r));
        c->rcv_adv = seq_add(c->rcv_nxt, (uint32_t)rnd_u64(r) >> (2 + rnd_below(r, 30)));
        c->snd_wnd = (uint32_t)rnd_below(r, 65536) << (rnd_below(r, 4) ? snd_wscale(c) : 0);
        c->snd_wnd_max = u32_max(c->snd_wnd, (uint32_t)rnd_below(r, 65536) << snd_wscale(c));
        c->ts_recent = (uint32_t)rnd_u64(r);
        c->ts_offset = (uint32_t)rnd_u64(r);
        c->last_rx = (uint32_t)rnd_u64(r);
        c->cwnd = c->mss * (1 + rnd_below(r, 10000));
        c->ssthresh = rnd_below(r, 3) ? 2u * c->mss + rnd_below(r, 1 << 28) : UINT32_MAX;
        c->srtt_us8 = rnd_below(r, 60000000) << 3;
        c->rttvar_us4 = rnd_below(r, 60000000) << 2;
        c->owner = 1 + rnd_below(r, 1000);
        c->quickacks = rnd_below(r, 16) & 15;
        return c;
}

static bool is_near(uint32_t is, uint32_t was) { return is <= was && was - is <= was / 1024; }

/* Goal:   a rest forgets nothing that counts.
 * Method: connections with random variables, every other one IPv6, are laid down, looked at, and woken.
 * Spec:   tcp/rest.c; RFC 7323 2.2 (the window of a SYN is not scaled), RFC 9293 SHLD-14 (ours does not shrink). */
TEST(rest_forgets_nothing)
{
        enum { ROUNDS = 20000 };
        struct rig *g = rig_new(4, 4);
        struct rnd r;

        rnd_seed(&r, 1);
        for (uint32_t i = 0; i < ROUNDS; i++) {
                struct flow_key key = rig_key(i % 60000), after;
                struct tcp_conn room;
                if (i % 2) {
                        key.laddr = (struct ip_addr){ { 0x20, 1, [15] = 1 } };
                        key.raddr = (struct ip_addr){ { 0x20, 1, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i } };
                }
                struct tcp_conn *c = draw(g, &r, &key), was = *c;
                rest_soon(g->t, c);
                rig_turn(g, 100);
                REQUIRE(g->t->awake.used == 0);
                const struct tcp_conn *is = rest_look(g->t, was.self, &room);
                REQUIRE(is == &room);
                REQUIRE(is->state == was.state && is->flags == was.flags && is->wscales == was.wscales && is->mss == was.mss);
                REQUIRE(seq_eq(is->snd_una, was.snd_una) && seq_eq(is->snd_nxt, was.snd_nxt));
                REQUIRE(seq_eq(is->rcv_nxt, was.rcv_nxt) && seq_eq(is->rcv_acked, was.rcv_nxt));
                REQUIRE(is_near(conn_rcv_wnd(&was), conn_rcv_wnd(is)));
                bool representable = was.snd_wnd <= 65535 || !(was.snd_wnd & ((1u << snd_wscale(&was)) - 1));
                REQUIRE(!representable || is->snd_wnd == was.snd_wnd);
                REQUIRE(is->snd_wnd_max == was.snd_wnd_max && is->ts_recent == was.ts_recent);
                REQUIRE(is->ts_offset == was.ts_offset && is->last_rx == was.last_rx && is->owner == was.owner);
                REQUIRE(is_near(is->cwnd, was.cwnd) && is->cwnd >= is->mss && is_near(is->ssthresh, was.ssthresh));
                REQUIRE(is_near(is->srtt_us8, was.srtt_us8) && is_near(is->rttvar_us4, was.rttvar_us4));
                REQUIRE(is->quickacks == was.quickacks);
                tcp_key_of(g->t, was.self, &after);
                REQUIRE(memcmp(&after, &key, sizeof key) == 0);
                tcp_check(g->t);
                c = conn_at(g->t, was.self);
                REQUIRE(rest_awake(rest_at(g->t, was.self)) && c->self == was.self);
                conn_free(g->t, c);
                rig_turn(g, 100);
                REQUIRE(g->t->conns.used == 0 && g->t->flows.used == 0);
        }
        rig_free(g);
}
