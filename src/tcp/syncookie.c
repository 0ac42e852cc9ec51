/* SPDX-License-Identifier: MIT */
/* tcp/syncookie.c - Handshakes without a record (RFC 4987 3.6)
 *
 * When half-open records run out, the answer to a SYN carries all that the
 * record would have held, and nothing is kept.  The ACK that comes back brings
 * it again: its acknowledgment number is our initial number, the cookie, and
 * its sequence number the peer's.
 *
 *      31      24 23                                0
 *      ┌─────────┬──────────────────────────────────┐
 *      │  count  │ (mac + index of the MSS) mod 2^24│  + F(tuple) + the peer's number
 *      └─────────┴──────────────────────────────────┘
 *
 * F is the one of RFC 6528 (isn.c).  The count grows every 64 s, that is by
 * 2^24, so that a cookie advances as other initial numbers do, and with the
 * peer's own: one tuple's incarnations follow each other.  The mac is a keyed
 * SipHash over tuple, peer's number, count and all options that were agreed
 * on.  A cookie is good in its own step and the next, 64 to 128 s.
 *
 * The other options lie in the low bits of the TSval of our SYN-ACK, which is
 * the clock's number at or up to 63 ms before now that ends in them:
 *
 *      6    5    4      3      0
 *      ─────┬────┬──────┬──────┐
 *      ms.. │ ECN│ SACK │wscale│  + the tuple's offset       wscale 15: none
 *      ─────┴────┴──────┴──────┘  (ECN: reserved, 0)
 *
 * The peer echoes it as TSecr in the ACK.  Thus window scale, timestamps and
 * MSS (rounded down to one of four) are as in any other connection; without
 * timestamps only the MSS is.  The echo also is a sample of the round trip, up
 * to 63 ms too long.
 *
 * HOW HARD TO GUESS.  Of 2^32 numbers 2 steps * 4 MSS are good: one in 2^29.
 * Who cannot see our SYN-ACKs needs 2^29 ACKs for a connection in another's
 * name, 9 minutes at a million a second, and gets no more than that: it cannot
 * read from it.  And ACKs are looked at only on a listener that has sent cookies
 * within the last two steps: without a flood there is nothing to guess.
 *
 * WHAT IS LOST.  Our SYN-ACK is not repeated by us: the peer repeats its SYN.
 * If the peer's ACK is lost, its data brings the cookie again; a peer that
 * waits for us to speak first waits in vain, as everywhere with cookies.  And a
 * cookie is not used up: a late copy of the ACK, or of the text behind it, makes
 * the connection anew if its tuple is free by then.
 */
#include "tcp/engine.h"

#define STEP_NS SEC(64)
enum { STEPS = 2, MAC_BITS = 24, MAC_MASK = (1 << MAC_BITS) - 1, MSS_CNT = 4 };
enum { OPT_BITS = 6, OPT_MASK = (1 << OPT_BITS) - 1, OPT_WSCALE = 15, OPT_NO_WSCALE = 15, OPT_SACK = 16, OPT_ECN = 32 };

/* What peers offer: the default, tunnels, PPPoE and the like, Ethernet. */
static const uint16_t mss_v4[MSS_CNT] = { 536, 1300, 1440, 1460 };
static const uint16_t mss_v6[MSS_CNT] = { 1220, 1360, 1420, 1440 };

static const uint16_t *mss_table(const struct flow_key *key) { return ip_addr_is_v4(&key->raddr) ? mss_v4 : mss_v6; }

bool cookie_fits(const struct tcp_offer *o, const struct flow_key *key) { return o->peer_mss >= mss_table(key)[0]; }

static uint32_t count_at(uint64_t now_ns) { return (uint32_t)(now_ns / STEP_NS); }

static uint32_t mac_of(const struct tcp *t, uint64_t secret, const struct tcp_offer *o, uint32_t steps)
{
        uint64_t word[3] = {
                secret, (uint64_t)o->irs.raw << 32 | steps,
                (uint64_t)o->has << 16 | (uint64_t)o->peer_wscale << 8 | o->rcv_wscale,
        };
        return (uint32_t)hash_secret(&t->cookie_key, word, ARRAY_LEN(word));
}

/* ---- the answer to a SYN ---- */

/* The last clock value not after now that ends in what was agreed on. */
static uint32_t ts_with_options(const struct tcp_offer *o, uint64_t now_ns)
{
        uint32_t now = ms_of_ns(now_ns);
        uint32_t bits = o->has & TCP_HAS_WSCALE ? o->peer_wscale : OPT_NO_WSCALE;

        if (o->has & TCP_HAS_SACK_OK)
                bits |= OPT_SACK;
        uint32_t back = (now - bits) & OPT_MASK;
        return now - back;
}

void cookie_send(struct tcp *t, uint32_t listener, struct tcp_offer *o, const struct flow_key *key, uint64_t secret,
                 uint64_t now_ns)
{
        const uint16_t *table = mss_table(key);
        uint32_t steps = count_at(now_ns), idx = MSS_CNT - 1;

        while (idx > 0 && table[idx] > o->peer_mss)
                idx--;
        if (!(o->has & TCP_HAS_TS)) {                   /* nowhere to keep the others */
                o->has = 0;
                o->peer_wscale = o->rcv_wscale = 0;
        }
        uint32_t low = (mac_of(t, secret, o, steps) + idx) & MAC_MASK;
        o->iss = seq_of((uint32_t)secret + o->irs.raw + (steps << MAC_BITS) + low);
        listener_at(t, listener)->cookie_ns = now_ns;
        count(t->counters, CNT_TCP_SYNCOOKIES_SENT);
        listen_syn_ack(t, listener, o, key, ts_with_options(o, now_ns));
}

/* ---- the ACK that comes back ---- */

bool cookie_awaited(const struct tcp *t, uint32_t listener, uint64_t now_ns)
{
        uint64_t sent_ns = listener_at(t, listener)->cookie_ns;
        return sent_ns && now_ns - sent_ns < STEPS * STEP_NS;
}

/* The options from the echo of our timestamp, which must be from within the last steps. */
static bool read_echo(const struct tcp_arrival *a, uint8_t rcv_wscale, struct tcp_offer *o, uint32_t *rtt_us)
{
        uint32_t echo = a->seg->ts_ecr - o->ts_offset;
        uint32_t age_ms = ms_of_ns(a->now_ns) - echo;

        if (age_ms >= STEPS * STEP_NS / MS(1))
                return false;
        o->has = TCP_HAS_TS | (echo & OPT_SACK ? TCP_HAS_SACK_OK : 0);
        if ((echo & OPT_WSCALE) != OPT_NO_WSCALE) {
                o->has |= TCP_HAS_WSCALE;
                o->peer_wscale = echo & OPT_WSCALE;
                o->rcv_wscale = rcv_wscale;
        }
        o->ts_recent = a->seg->ts_val;
        *rtt_us = u32_max(age_ms, 1) * 1000;
        return true;
}

bool cookie_check(const struct tcp *t, const struct tcp_arrival *a, uint8_t rcv_wscale, struct tcp_offer *o,
                  uint32_t *rtt_us)
{
        const struct tcp_seg *seg = a->seg;
        uint64_t secret = tuple_secret(t, a->key);

        *rtt_us = 0;
        *o = (struct tcp_offer){
                .irs = seq_sub(seg->seq, 1), .iss = seq_sub(seg->ack, 1), .ts_offset = secret_ts_offset(secret),
        };
        uint32_t cookie = o->iss.raw - o->irs.raw - (uint32_t)secret;
        uint32_t steps = count_at(a->now_ns), age = (steps - (cookie >> MAC_BITS)) & 0xff;
        if (age >= STEPS || (seg->has & TCP_HAS_TS && !read_echo(a, rcv_wscale, o, rtt_us)))
                return false;
        uint32_t idx = (cookie - mac_of(t, secret, o, steps - age)) & MAC_MASK;
        if (idx >= MSS_CNT)
                return false;
        o->peer_mss = mss_table(a->key)[idx];
        return true;
}
