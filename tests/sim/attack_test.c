/* SPDX-License-Identifier: MIT */
/* tests/sim/attack_test.c - Healthy transfers with an attacker on the network
 *
 * Off the path, the attacker knows addresses and ports and nothing else: it
 * must not be able to do anything.  On the path it sees every frame and says
 * what it likes with the right numbers: it may break the connection, and
 * nothing more.  ATTACK=N runs so many seeds, from SEED=... on.
 */
#include "tests/sim/app.h"
#include "wire/csum.h"
#include "wire/eth.h"
#include "wire/ip4.h"

#include <sys/wait.h>
#include <unistd.h>

#ifdef MR_CHECK_SLOW
enum { SEEDS = 100 };
#else
enum { SEEDS = 500 };
#endif
enum { CALLS = 3, FORGED_MAX = 64, FRAME_MAX = 2048, SEEN_MAX = 16 };

struct frame {
        enum sim_lane lane;
        uint32_t      len;
        uint8_t       octet[FRAME_MAX];
};

struct attacker {
        struct rnd  *rnd;
        bool         on_path;
        uint32_t     per_frame_ppm;             /* how often a frame that is seen is answered by a forged one */
        struct frame forged[FORGED_MAX];        /* to be sent when the hook has returned */
        uint32_t     forged_cnt;
};

static uint32_t near(struct rnd *r, uint32_t n)
{
        static const uint32_t step[] = { 1, 2, 100, 1448, 1460, 65535, 1 << 20, 0x7fffffff };
        switch (rnd_below(r, 4)) {
        case 0: return n;
        case 1: return n + rnd_below(r, step[rnd_below(r, ARRAY_LEN(step))]);
        case 2: return n - rnd_below(r, step[rnd_below(r, ARRAY_LEN(step))]);
        default: return n + step[rnd_below(r, ARRAY_LEN(step))];
        }
}

static uint8_t draw_flags(struct rnd *r)
{
        static const uint8_t usual[] = {
                TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_ACK | TCP_URG, TCP_RST, TCP_RST | TCP_ACK,
                TCP_SYN, TCP_SYN | TCP_ACK, TCP_FIN, 0,
        };
        return rnd_below(r, 4) ? usual[rnd_below(r, ARRAY_LEN(usual))] : (uint8_t)rnd_u64(r);
}

static void draw_options(struct rnd *r, struct tcp_seg *s)
{
        if (rnd_below(r, 3))
                return;
        s->has = (uint8_t)(rnd_u64(r) & (TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_OK | TCP_HAS_TS | TCP_HAS_SACK));
        s->mss = (uint16_t)(1 + rnd_below(r, 65535));
        s->wscale = (uint8_t)rnd_below(r, 15);
        s->ts_val = near(r, s->ts_val);
        s->ts_ecr = near(r, s->ts_ecr);
        s->sack_cnt = (uint8_t)(s->has & TCP_HAS_SACK ? 1 + rnd_below(r, 3) : 0);
        for (int i = 0; i < s->sack_cnt; i++)
                s->sack[i] = (struct tcp_sack_block){ seq_of(near(r, s->ack.raw)), seq_of(near(r, s->ack.raw)) };
}

/* A segment like the one in @v, with other numbers. */
static void forge(struct attacker *at, const struct sim_view *v)
{
        struct rnd *r = at->rnd;
        struct frame *f = &at->forged[at->forged_cnt];
        struct tcp_seg s = v->seg;
        struct eth_hdr eth = { 0 };
        struct ip4_hdr ip;

        if (at->forged_cnt == FORGED_MAX || v->len > FRAME_MAX / 2)
                return;
        memset(s.sack, 0, sizeof s.sack);
        REQUIRE(eth_parse(&eth, v->frame, v->len) == DROP_NONE);
        REQUIRE(ip4_parse(&ip, v->frame + eth.hdr_len, v->len - eth.hdr_len) == DROP_NONE);
        f->lane = v->lane;
        if (rnd_below(r, 4) == 0) {                     /* in the name of the receiver, back to the sender */
                struct mac_addr mac = eth.src;
                struct ip_addr addr = ip.src;
                uint16_t port = s.src_port;
                tcp_seq seq = s.seq;
                eth.src = eth.dst;
                eth.dst = mac;
                ip.src = ip.dst;
                ip.dst = addr;
                s.src_port = s.dst_port;
                s.dst_port = port;
                s.seq = s.ack;
                s.ack = seq;
                f->lane = !v->lane;
        }
        s.flags = draw_flags(r);
        s.seq = seq_of(at->on_path ? near(r, s.seq.raw) : (uint32_t)rnd_u64(r));
        s.ack = seq_of(at->on_path ? near(r, s.ack.raw) : (uint32_t)rnd_u64(r));
        s.window = (uint16_t)(rnd_below(r, 3) ? near(r, s.window) : 0);
        s.urgent = (uint16_t)rnd_u64(r);
        draw_options(r, &s);
        uint32_t text = rnd_below(r, 2) ? rnd_below(r, 900) : 0;
        uint8_t *tcp = f->octet + ETH_HDR_LEN + IP4_HDR_LEN;
        uint32_t hdr = tcp_emit(tcp, &s);
        if (rnd_below(r, 16) == 0) {                    /* options that are no options */
                hdr = 20 + 4 * rnd_below(r, 11);
                tcp[12] = (uint8_t)(hdr / 4 << 4);
                for (uint32_t i = 20; i < hdr; i++)
                        tcp[i] = (uint8_t)rnd_u64(r);
        }
        for (uint32_t i = 0; i < text; i++)
                tcp[hdr + i] = (uint8_t)rnd_u64(r);
        ip.total_len = (uint16_t)(IP4_HDR_LEN + hdr + text);
        eth_emit(f->octet, &eth);
        ip4_emit(f->octet + ETH_HDR_LEN, &ip);
        csum_store(tcp + TCP_CSUM_OFFSET, 0);
        csum_store(tcp + TCP_CSUM_OFFSET, (uint16_t)~csum_transport(&ip.src, &ip.dst, IP_PROTO_TCP, tcp, hdr + text));
        f->len = ETH_HDR_LEN + ip.total_len;
        at->forged_cnt++;
}

static uint64_t watch(void *arg, struct sim_view *v)
{
        struct attacker *at = arg;
        /* A blind SYN can spoil a handshake, as the specification has it: the attacker comes later. */
        if (v->tcp && (at->on_path || v->text_len))
                while (rnd_chance(at->rnd, at->per_frame_ppm))
                        forge(at, v);
        return SIM_PASS;
}

static void send_forged(struct attacker *at, struct sim_link *l)
{
        /* Without the hook, or the attacker would answer itself. */
        sim_hook_set(l, NULL, NULL);
        for (uint32_t i = 0; i < at->forged_cnt; i++)
                sim_inject(l, at->forged[i].lane, at->forged[i].octet, at->forged[i].len);
        at->forged_cnt = 0;
        sim_hook_set(l, watch, at);
}

static bool step_calls(struct call *call, struct sim *sim, uint64_t *wake)
{
        bool done = true;
        for (uint32_t i = 0; i < CALLS; i++) {
                *wake = u64_min(*wake, call_step(&call[i], sim_now(sim)));
                done &= call_is_done(&call[i]);
        }
        return done;
}

static void attack_one(uint64_t seed, bool on_path)
{
        static struct attacker at;
        struct shard_conf sc;
        struct sim *sim = sim_new(seed);
        struct rnd *r = sim_rnd(sim);
        struct call call[CALLS];

        sim_conf_default(&sc);
        sc.tcp.timestamps = rnd_below(r, 2);
        sc.tcp.opts.rcvbuf = sc.socks.opts.rcvbuf = rnd_below(r, 2) ? 20000 : 512 * 1024;
        struct sim_host *a = sim_host(sim, &sc), *b = sim_host(sim, &sc);
        struct sim_link_conf lc = { .delay_ns = MS(1), .loss_ppm = rnd_below(r, 2) ? 10000 : 0 };
        struct sim_link *l = sim_link(a, b, &lc);
        at = (struct attacker){ .rnd = r, .on_path = on_path, .per_frame_ppm = on_path ? 100000 : 800000 };
        for (uint32_t i = 0; i < CALLS; i++) {
                call_init(&call[i], r, a, b, (uint16_t)(1000 + i), sim_now(sim), 200000);
                for (int k = 0; k < 2; k++) {
                        struct app *app = &call[i].app[k];
                        app->trusting = on_path;
                        if (!on_path)
                                app->end = APP_POLITE;
                }
                call[i].rude = on_path;
        }
        sim_hook_set(l, watch, &at);
        uint64_t end_ns = sim_now(sim) + (on_path ? SEC(100) : SEC(7200));
        bool done = false;
        while (!done && sim_now(sim) < end_ns) {
                uint64_t wake = end_ns;
                done = step_calls(call, sim, &wake);
                send_forged(&at, l);
                if (!done)
                        sim_step(sim, wake);
        }
        sim_hook_set(l, NULL, NULL);
        if (!on_path) {
                for (uint32_t i = 0; i < CALLS; i++)
                        call_judge(&call[i]);
                if (!done)
                        for (uint32_t i = 0; i < CALLS; i++)
                                call_print(&call[i]);
        }
        /* The attacker is gone: whatever it has left behind must not keep the network busy. */
        sim_run(sim, SEC(1));
        uint64_t before = sim_frames(l, SIM_AB) + sim_frames(l, SIM_BA);
        sim_run(sim, SEC(30));
        EXPECT_LT(sim_frames(l, SIM_AB) + sim_frames(l, SIM_BA) - before, 5000);
        sim_free(sim);
}

static void attack_many(const char *test, bool on_path)
{
        const char *n = getenv("ATTACK");
        uint64_t seed = sim_seed(test, 1), cnt = n ? strtoull(n, NULL, 0) : SEEDS;
        uint32_t failed = 0;

        if (cnt == 1) {
                attack_one(seed, on_path);
                return;
        }
        for (uint64_t i = 0; i < cnt && failed < 5; i++) {
                fflush(stdout);
                pid_t pid = fork();
                if (pid == 0) {
                        alarm(50);
                        test_note("%s", "");
                        attack_one(seed + i, on_path);
                        test_stop();
                }
                int status = 0;
                waitpid(pid, &status, 0);
                if (status) {
                        failed++;
                        printf("  repeat: ATTACK=1 SEED=%llu build/sim -1 %s\n", (unsigned long long)(seed + i), test);
                }
        }
        EXPECT_EQ(failed, 0);
}

/* Goal:   who does not see the segments can do nothing: every octet arrives and no connection ends.
 * Method: for each segment several forged ones of the same tuple with random numbers, flags, options and text.
 * Spec:   RFC 5961 1, 3, 4, 5; RFC 9293 3.10.7.4. */
TEST(attack_off_the_path) { attack_many(__func__, false); }

/* Goal:   who sees the segments can break connections and nothing else: no crash, no storm of ACKs, no leak.
 * Method: forged segments with numbers at and near the real ones, odd flags, lying options, windows of 0.
 * Spec:   RFC 9293 3.10.7; the invariants of tcp/check.c. */
TEST(attack_on_the_path) { attack_many(__func__, true); }
