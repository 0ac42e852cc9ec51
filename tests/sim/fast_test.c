/* SPDX-License-Identifier: MIT */
/* tests/sim/fast_test.c - The fast path against a peer that says anything
 *
 * hunt_test.c compares both paths between two stacks that behave.  Here the
 * peer's segments are random ones near what is expected: overlaps, gaps, old
 * and new acknowledgments, windows and timestamps that jump, in bursts.
 */
#include "tcp/engine.h"
#include "tests/sim/raw.h"

#ifdef MR_CHECK_SLOW
enum { SEEDS = 60 };
#else
enum { SEEDS = 300 };
#endif
enum { STEPS = 150, BURST = 8, TRACE_MAX = STEPS * 64 };

/* What was seen: a number for each segment heard, and for each state afterwards. */
struct seen {
        uint64_t what[TRACE_MAX];
        uint32_t cnt;
        uint64_t expected, joined;
};

static void note(struct seen *s, uint64_t h)
{
        REQUIRE(s->cnt < TRACE_MAX);
        s->what[s->cnt++] = h;
}

static uint64_t mix(uint64_t h, uint64_t v) { return (h ^ v) * 0x9e3779b97f4a7c15u + (h >> 29); }

static void note_heard(struct seen *s, struct raw *r)
{
        for (uint32_t i = 0; i < r->cnt; i++) {
                const struct raw_seg *g = &r->queue[(r->head + i) % RAW_QUEUE];
                uint64_t h = mix(g->at_ns, (uint64_t)g->seg.seq.raw << 32 | g->seg.ack.raw);
                h = mix(h, (uint64_t)g->seg.window << 32 | (uint64_t)g->seg.flags << 16 | g->text_len);
                note(s, mix(h, (uint64_t)g->seg.ts_val << 32 | g->seg.ts_ecr));
                EXPECT(g->text_right);
        }
        raw_forget(r);
}

static const struct tcp_conn *look(struct raw *r, int fd, struct tcp_conn *room)
{
        return rest_look(TCP_OF(r->host), sim_conn(r->host, fd), room);
}

static void note_state(struct seen *s, struct raw *r, int fd)
{
        struct tcp_conn room;
        const struct tcp_conn *c = look(r, fd, &room);
        uint64_t h = mix(c->rcv_nxt.raw, (uint64_t)c->snd_una.raw << 32 | c->snd_nxt.raw);

        h = mix(h, (uint64_t)c->snd_wnd << 32 | c->snd_wl1.raw);
        h = mix(h, (uint64_t)c->snd_wl2.raw << 32 | c->rcv_adv.raw);
        h = mix(h, (uint64_t)c->rcv_acked.raw << 32 | c->cwnd);
        h = mix(h, (uint64_t)c->srtt_us8 << 32 | c->ts_recent);
        h = mix(h, (uint64_t)(c->flags & ~(uint32_t)TF_QUIET) << 32 | c->last_rx);
        h = mix(h, (uint64_t)c->state << 32 | (uint32_t)c->probes << 16 | (uint32_t)c->backoff << 8 | c->quickacks);
        note(s, mix(h, tcp_recv_avail(TCP_OF(r->host), sim_conn(r->host, fd))));
}

/* Mostly @n, else something near. */
static uint32_t about(struct rnd *d, uint32_t n)
{
        static const uint32_t far[] = { 1, 2, 10, 100, 1000, 1001, 5000, 70000 };
        uint32_t by = far[rnd_below(d, ARRAY_LEN(far))];

        switch (rnd_below(d, 12)) {
        case 0: return n + by;
        case 1: return n - by;
        case 2: return n + rnd_below(d, by);
        default: return n;
        }
}

/* Segments at once; each goes on where the last one ended, more or less. */
static void say_burst(struct raw *r, struct rnd *d, int fd, bool ts)
{
        static const uint32_t lens[] = { 0, 0, 1, 2, 100, 500, 1000, 1000, 1400 };
        static const uint16_t windows[] = { 0, 1, 500, 3000, 65535, 65535 };
        uint8_t text[1400];
        struct tcp_conn room;
        const struct tcp_conn *c = look(r, fd, &room);
        const struct tcp_flight *f = flight_at(TCP_OF(r->host), c);
        uint32_t seq = c->rcv_nxt.raw, out = f ? (uint32_t)seq_diff(f->snd_max, c->snd_una) : 0;
        uint32_t ack = c->snd_una.raw + (rnd_below(d, 3) ? out : rnd_below(d, out + 1)), ts_val = c->ts_recent;
        uint16_t window = windows[rnd_below(d, ARRAY_LEN(windows))];

        for (uint32_t n = 1 + rnd_below(d, BURST); n; n--) {
                uint32_t len = lens[rnd_below(d, ARRAY_LEN(lens))];
                struct tcp_seg seg = {
                        .src_port = r->peer_port, .dst_port = r->host_port, .flags = TCP_ACK, .window = window,
                        .seq = seq_of(about(d, seq)), .ack = seq_of(about(d, ack)),
                        .has = ts ? TCP_HAS_TS : 0, .ts_val = about(d, ts_val), .ts_ecr = ms_of_ns(sim_now(r->sim)) + c->ts_offset,
                };
                if (rnd_below(d, 8) == 0)
                        seg.flags |= TCP_PSH | (rnd_below(d, 2) ? TCP_URG : 0);
                if (rnd_below(d, 8) == 0)
                        window = windows[rnd_below(d, ARRAY_LEN(windows))];
                if (rnd_below(d, 100) == 0)
                        seg.flags |= TCP_FIN;
                for (uint32_t i = 0; i < len; i++)
                        text[i] = sim_octet(RAW_STREAM_PEER, seg.seq.raw - r->iss - 1 + i);
                raw_say_seg(r, &seg, text, len);
                if (rnd_below(d, 8))
                        seq = seg.seq.raw + len;
                ts_val += rnd_below(d, 3);
        }
}

static void talk(uint64_t seed, bool fast, struct seen *s)
{
        struct shard_conf sc;
        struct rnd d;

        rnd_seed(&d, seed);
        sim_conf_default(&sc);
        sc.tcp.fast_path = fast;
        sc.tcp.opts.rcvbuf = rnd_below(&d, 2) ? 5000 : 65536 << rnd_below(&d, 3);
        sc.tcp.opts.sndbuf = rnd_below(&d, 2) ? 4096 : 65536;
        sc.socks.opts = sc.tcp.opts;
        struct raw *r = raw_new_of(seed, &sc);
        bool ts = rnd_below(&d, 2), ws = rnd_below(&d, 2);
        int fd = raw_accepted(r, ts ? ws ? "mss 1000 ws 3 ts 100 0" : "mss 1000 ts 100 0" : ws ? "mss 1000 ws 3" : "mss 1000");
        uint64_t wrote = 0, read = 0;

        *s = (struct seen){ 0 };
        for (int step = 0; step < STEPS && sim_state(r->host, fd) != TCP_CLOSED; step++) {
                ssize_t n = 0;
                switch (rnd_below(&d, 6)) {
                case 0:
                        n = sim_write(r->host, fd, RAW_STREAM_STACK, wrote, 1 + rnd_below(&d, 3000));
                        wrote += n > 0 ? (uint64_t)n : 0;
                        break;
                case 1:
                        n = sim_read(r->host, fd, RAW_STREAM_PEER, read, 1 + rnd_below(&d, 8000));
                        read += n > 0 ? (uint64_t)n : 0;
                        break;
                case 2:
                        raw_run(r, rnd_below(&d, 4) ? MS(rnd_below(&d, 60)) : MS(rnd_below(&d, 3000)));
                        break;
                default:
                        say_burst(r, &d, fd, ts);
                }
                raw_settle(r);
                note_heard(s, r);
                note(s, (uint64_t)n);
                note_state(s, r, fd);
        }
        s->expected = CNT(r->host, TCP_EXPECTED);
        s->joined = CNT(r->host, TCP_JOINED);
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_free(r);
}

/* Goal:   the fast path is a short cut and nothing else, whatever the peer says.
 * Method: random bursts near what is expected, twice with the same seed, with and without; what is heard and the
 *         state of the connection are compared after each.  FAST=N runs so many seeds.
 * Spec:   RFC 9293 3.10.7.4; tcp/fast.c. */
TEST(fast_path_and_a_peer_that_says_anything)
{
        static struct seen with, without;
        const char *n = getenv("FAST");
        uint64_t seed = sim_seed(__func__, 1), cnt = n ? strtoull(n, NULL, 0) : SEEDS, expected = 0, joined = 0;

        for (uint64_t i = 0; i < cnt; i++) {
                talk(seed + i, true, &with);
                talk(seed + i, false, &without);
                test_note("repeat: FAST=1 SEED=%llu", (unsigned long long)(seed + i));
                uint32_t same = 0;
                while (same < with.cnt && same < without.cnt && with.what[same] == without.what[same])
                        same++;
                EXPECT_EQ(same, with.cnt);
                REQUIRE(same == with.cnt && with.cnt == without.cnt);
                EXPECT_EQ(without.expected, 0);
                expected += with.expected;
                joined += with.joined;
        }
        EXPECT_GT(expected, cnt * 10);
        EXPECT_GT(joined, cnt);
}
