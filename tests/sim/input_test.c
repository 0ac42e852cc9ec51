/* SPDX-License-Identifier: MIT */
/* tests/sim/input_test.c - Which segments are acceptable, and what is taken of them: RFC 9293 3.4, 3.10.7.4 */
#include "tests/sim/raw.h"

static struct raw *raw_with_rcvbuf(uint64_t seed, uint32_t octets)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.opts.rcvbuf = sc.socks.opts.rcvbuf = octets;
        return raw_new_of(seed, &sc);
}

static uint32_t avail(struct raw *r, int fd) { return tcp_recv_avail(TCP_OF(r->host), sim_conn(r->host, fd)); }
static uint32_t queued(struct raw *r, int fd) { return tcp_send_queued(TCP_OF(r->host), sim_conn(r->host, fd)); }

/* Goal:   segments without text: the table of four cases, upper half.
 * Method: the ACK that such a segment carries counts if, and only if, the segment is acceptable.
 * Spec:   RFC 9293 3.4, table 5; 3.10.7.4 first. */
TEST(input_acceptable_without_text)
{
        static const struct {
                int32_t  seq;           /* from RCV.NXT */
                bool     zero_window, ok;
        } row[] = {
                { 0, false, true },  { 1, false, true },   { 1999, false, true },  { 2000, false, false },
                { -1, false, false }, { -2000, false, false }, { 0x7fffffff, false, false },
                { 0, true, true },   { 1, true, false },   { -1, true, false },
        };
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
                struct raw *r = raw_with_rcvbuf(1 + i, 2000);
                int fd = raw_accepted(r, "mss 1000");
                uint32_t nxt = 1;
                if (row[i].zero_window) {
                        raw_say(r, "A 1 ack 1 len 2000");
                        raw_hear(r, "A 1 ack 2001 win 0");
                        nxt = 2001;
                }
                raw_write(r, fd, 0, 10);
                raw_hear(r, "PA 1 ack %u len 10", nxt);
                raw_say(r, "A %u ack 11", nxt + (uint32_t)row[i].seq);
                EXPECT_EQ(queued(r, fd), row[i].ok ? 0 : 10);
                if (row[i].ok)
                        raw_quiet(r);
                else
                        raw_hear(r, "A 11 ack %u", nxt);
                raw_free(r);
        }
}

/* Goal:   segments with text: the lower half of the table, and what lies outside is trimmed.
 * Method: one segment around a window of 2,000 octets; how much of it is there afterwards.
 * Spec:   RFC 9293 3.4, table 5; 3.10.7.4 first: "only the new octets". */
TEST(input_acceptable_with_text)
{
        static const struct {
                int32_t  seq;
                uint32_t len;
                uint32_t taken;         /* octets in order afterwards */
                uint32_t ooo;           /* octets that are there once the gap before has been filled */
        } row[] = {
                { 0, 1, 1, 0 },         { 0, 2000, 2000, 0 },    { 0, 2001, 2000, 0 },   { 0, 5000, 2000, 0 },
                { -1, 1, 0, 0 },        { -1, 2, 1, 0 },         { -1000, 1000, 0, 0 },  { -1000, 1500, 500, 0 },
                { -1000, 4000, 0, 0 }, { 1999, 1, 0, 1 },     { 1999, 100, 0, 1 },    { 2000, 1, 0, 0 },
                { 1000, 1000, 0, 1000 }, { 1000, 2000, 0, 1000 }, { -0x7000000, 10, 0, 0 }, { 0x7000000, 10, 0, 0 },
        };
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
                struct raw *r = raw_with_rcvbuf(1 + i, 2000);
                int fd = raw_accepted(r, "mss 1000");
                raw_say(r, "A %u ack 1 len %u", 1 + (uint32_t)row[i].seq, row[i].len);
                raw_hear(r, "A 1 ack %u", 1 + row[i].taken);
                EXPECT_EQ(avail(r, fd), row[i].taken);
                if (row[i].ooo) {
                        raw_say(r, "A 1 ack 1 len %u", (uint32_t)row[i].seq);
                        EXPECT_EQ(avail(r, fd), (uint32_t)row[i].seq + row[i].ooo);
                        raw_forget(r);
                }
                raw_read(r, fd, 0, avail(r, fd));
                raw_free(r);
        }
}

/* Goal:   with the window closed text is refused and answered, its ACK is used, and RST still resets.
 * Method: a full buffer; a segment with text and ACK; a RST with text.
 * Spec:   RFC 9293 3.10.7.4 first: "special allowance ... valid ACKs, URGs, and RSTs". */
TEST(input_zero_window)
{
        struct raw *r = raw_with_rcvbuf(1, 2000);
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "A 1 ack 1 len 2000");
        raw_hear(r, "A 1 ack 2001 win 0");
        raw_write(r, fd, 0, 10);
        raw_hear(r, "PA 1 ack 2001 len 10");
        raw_say(r, "PA 2001 ack 11 len 5");
        raw_hear(r, "A 11 ack 2001 win 0");
        EXPECT_EQ(queued(r, fd), 0);
        EXPECT_EQ(avail(r, fd), 2000);
        raw_say(r, "R 2001 len 5");
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSED);
        raw_free(r);
}

/* Goal:   segments in any order, overlapping in any way, make the stream; the ACK is always the first gap.
 * Method: random segments over a window of 20,000 octets against a model that is a map of octets received;
 *         the reader reads now and then, which moves the window.
 * Spec:   RFC 9293 3.10.7.4 seventh, SHLD-31, MUST-59. */
TEST(input_overlaps_against_a_model)
{
        enum { WINDOW = 20000, TOTAL = 200000 };
        static uint8_t have[TOTAL + WINDOW + 1];
        uint64_t seed = sim_seed(__func__, 1);

        for (uint64_t run = 0; run < 20; run++) {
                struct raw *r = raw_with_rcvbuf(seed + run, WINDOW);
                struct rnd *rnd = sim_rnd(r->sim);
                int fd = raw_accepted(r, "mss 1000");
                uint32_t next = 0, read = 0, edge = WINDOW;     /* octets from 0; edge: of the window offered */

                memset(have, 0, sizeof have);
                while (next < TOTAL) {
                        uint32_t len = 1 + rnd_below(rnd, rnd_below(rnd, 4) ? 1400 : 100);
                        uint32_t from = rnd_below(rnd, 3) ? next + rnd_below(rnd, 6000) : next;
                        from -= u32_min(from, rnd_below(rnd, 2) ? rnd_below(rnd, 2000) : 0);
                        bool late = from >= edge || from + len <= next;         /* not acceptable */
                        raw_say(r, "A %u ack 1 len %u", from + 1, len);
                        for (uint32_t i = from; !late && i < from + len && i < edge; i++)
                                have[i] = 1;
                        while (next < edge && have[next])
                                next++;
                        EXPECT_EQ(avail(r, fd), next - read);
                        while (r->cnt) {
                                const struct tcp_seg *s = &r->queue[r->head].seg;
                                EXPECT_EQ(s->ack.raw - r->iss - 1, next);
                                edge = u32_max(edge, next + s->window);
                                r->head = (r->head + 1) % RAW_QUEUE;
                                r->cnt--;
                        }
                        if (rnd_below(rnd, 8) == 0 || next == edge) {
                                uint32_t n = rnd_below(rnd, next - read + 1);
                                n = next == edge ? next - read : n;
                                raw_read(r, fd, read, n);
                                read += n;
                                if (next == edge)
                                        raw_run(r, MS(100));
                                while (r->cnt) {
                                        edge = u32_max(edge, next + r->queue[r->head].seg.window);
                                        r->head = (r->head + 1) % RAW_QUEUE;
                                        r->cnt--;
                                }
                        }
                }
                raw_forget(r);
                raw_free(r);
        }
}

/* Goal:   a FIN that comes before the text in front of it is remembered and counts when its turn comes.
 * Method: FIN alone beyond a gap; FIN with text beyond a gap.
 * Spec:   RFC 9293 3.10.7.4 seventh ("segments with higher beginning sequence numbers SHOULD be held"), eighth. */
TEST(input_fin_out_of_order)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");
        raw_say(r, "FA 101 ack 1");
        raw_hear(r, "A 1 ack 1");
        raw_say(r, "A 1 ack 1 len 100");
        raw_hear(r, "A 1 ack 102");
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSE_WAIT);
        raw_read(r, fd, 0, 100);
        EXPECT_EQ(sim_read(r->host, fd, RAW_STREAM_PEER, 100, 1), 0);
        raw_free(r);

        r = raw_new(2);
        fd = raw_accepted(r, "mss 1000");
        raw_say(r, "FA 101 ack 1 len 50");
        raw_hear(r, "A 1 ack 1");
        raw_say(r, "A 1 ack 1 len 40");
        raw_hear(r, "A 1 ack 41");
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_say(r, "A 41 ack 1 len 60");
        raw_hear(r, "A 1 ack 152");
        raw_read(r, fd, 0, 150);
        EXPECT_EQ(sim_read(r->host, fd, RAW_STREAM_PEER, 150, 1), 0);
        raw_free(r);
}

/* Goal:   a FIN beyond the window waits until there is room for it.
 * Method: text that fills the window exactly, with FIN; after reading the FIN is said again.
 * Spec:   RFC 9293 3.4: FIN takes a sequence number; 3.10.7.4 first. */
TEST(input_fin_beyond_the_window)
{
        struct raw *r = raw_with_rcvbuf(sim_seed(__func__, 1), 2000);
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "FA 1 ack 1 len 2000");
        raw_hear(r, "A 1 ack 2001 win 0");
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        raw_read(r, fd, 0, 2000);
        raw_hear(r, "A 1 ack 2001 win 2000");
        raw_say(r, "FA 2001 ack 1");
        raw_hear(r, "A 1 ack 2002");
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSE_WAIT);
        raw_free(r);
}

/* Goal:   old and repeated ACKs do nothing, and no segment is sent for them.
 * Method: text out, ACKs below and at SND.UNA.
 * Spec:   RFC 9293 3.10.7.4 fifth: "If the ACK is a duplicate, it can be ignored". */
TEST(input_old_acks)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 3000);
        raw_hear(r, "A 1 ack 1 len 1000");
        raw_hear(r, "A 1001 ack 1 len 1000");
        raw_hear(r, "PA 2001 ack 1 len 1000");
        raw_say(r, "A 1 ack 2001");
        EXPECT_EQ(queued(r, fd), 1000);
        raw_say(r, "A 1 ack 1001");
        raw_say(r, "A 1 ack 1");
        raw_say(r, "A 1 ack 2001");
        EXPECT_EQ(queued(r, fd), 1000);
        raw_quiet(r);
        raw_say(r, "A 1 ack 3001");
        EXPECT_EQ(queued(r, fd), 0);
        raw_free(r);
}

/* Goal:   only the newest segment says how large the window is.
 * Method: an old segment with another window arrives late; then a newer one.
 * Spec:   RFC 9293 3.10.7.4 fifth: SND.WL1, SND.WL2. */
TEST(input_window_of_the_newest)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "A 1 ack 1 len 100 win 5000");
        raw_say(r, "A 101 ack 1 win 4000");
        EXPECT_EQ(sim_report(r->host, fd).snd_wnd, 4000);
        raw_say(r, "A 100 ack 1 len 1 win 9000");               /* not acceptable: its window is not either */
        EXPECT_EQ(sim_report(r->host, fd).snd_wnd, 4000);
        raw_say(r, "A 101 ack 1 win 3000");                     /* the same numbers: it is newer or equal */
        EXPECT_EQ(sim_report(r->host, fd).snd_wnd, 3000);
        raw_say(r, "A 100 ack 1 len 10 win 7000");              /* begins before the last one did: older */
        EXPECT_EQ(sim_report(r->host, fd).snd_wnd, 3000);
        raw_free(r);
}

/* Goal:   the urgent pointer changes nothing: urgent octets are in line.
 * Method: URG with pointers within and beyond the segment.
 * Spec:   RFC 9293 3.8.5, RFC 6093 6. */
TEST(input_urgent_is_in_line)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_say(r, "UA 1 ack 1 len 10 urg 3");
        raw_hear(r, "A 1 ack 11");
        raw_say(r, "UA 11 ack 1 urg 65535");
        raw_say(r, "UPA 11 ack 1 len 10 urg 65535");
        raw_hear(r, "A 1 ack 21");
        raw_read(r, fd, 0, 20);
        raw_free(r);
}

/* Goal:   a segment with an old timestamp is not taken and is answered; one of the same age is taken.
 * Method: timestamps below, at and above TS.Recent, also where they wrap.
 * Spec:   RFC 7323 5.3 R1, 5.2. */
TEST(input_paws)
{
        static const uint32_t first[] = { 1000, 5, 0xffffffff, 0x80000000 };
        for (size_t i = 0; i < ARRAY_LEN(first); i++) {
                struct raw *r = raw_new(1 + i);
                uint32_t ts = first[i];
                char syn[64];
                snprintf(syn, sizeof syn, "mss 1000 ts %u 0", ts);
                int fd = raw_accepted(r, syn);

                raw_say(r, "A 1 ack 1 len 10 ts %u 0", ts + 10);
                raw_hear(r, "A 1 ack 11 ts 0 %u", ts + 10);
                raw_say(r, "A 11 ack 1 len 10 ts %u 0", ts + 9);
                raw_hear(r, "A 1 ack 11 ts 0 %u", ts + 10);
                EXPECT_EQ(DROPS(r->host, TCP_PAWS), 1);
                raw_say(r, "A 11 ack 1 len 10 ts %u 0", ts + 10);
                raw_hear(r, "A 1 ack 21 ts 0 %u", ts + 10);
                raw_read(r, fd, 0, 20);
                raw_say(r, "A 21 ack 1 len 10");                        /* no timestamp where one was agreed on */
                raw_quiet(r);
                EXPECT_EQ(DROPS(r->host, TCP_NO_TS), 1);
                raw_say(r, "R 21 ts %u 0", ts - 100);                   /* RSTs are not subject to it */
                EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSED);
                raw_free(r);
        }
}

/* Goal:   TS.Recent is what the segment at the left edge said, not one out of order or out of the window.
 * Method: a segment beyond a gap and one before the window carry later timestamps; what is echoed, and
 *         whether the peer's next segments still pass PAWS.
 * Spec:   RFC 7323 4.3 (2), 5.3 R2, R3: only an acceptable segment updates TS.Recent. */
TEST(input_ts_recent)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000 ts 1000 0");

        raw_say(r, "A 101 ack 1 len 100 ts 1005 0");            /* beyond a gap */
        raw_hear(r, "A 1 ack 1 ts 0 1000");
        raw_say(r, "A 1 ack 1 len 100 ts 1003 0");
        raw_hear(r, "A 1 ack 201 ts 0 1003");
        raw_say(r, "A %u ack 1 len 10 ts 99999999 0", -1000u);  /* an attacker before the window */
        raw_hear(r, "A 1 ack 201 ts 0 1003");
        raw_say(r, "A 201 ack 1 len 10 ts 1010 0");
        raw_hear(r, "A 1 ack 211 ts 0 1010");
        raw_read(r, fd, 0, 210);
        raw_free(r);
}

/* Goal:   after 24 days of silence an old timestamp is believed.
 * Method: 25 virtual days.
 * Spec:   RFC 7323 5.5. */
TEST(input_paws_after_24_days)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000 ts 1000 0");

        raw_run(r, SEC(23 * 86400));
        raw_say(r, "A 1 ack 1 len 10 ts 999 0");
        raw_hear(r, "A 1 ack 1");
        raw_run(r, SEC(25 * 86400));
        raw_say(r, "A 1 ack 1 len 10 ts 999 0");
        raw_hear(r, "A 1 ack 11 ts 0 999");
        raw_read(r, fd, 0, 10);
        raw_free(r);
}

/* Goal:   the header itself: a wrong checksum, a short header and a lying option are dropped, each counted.
 * Method: damaged segments into an established connection.
 * Spec:   RFC 9293 MUST-2, MUST-3, MUST-7. */
static uint64_t flip_checksum(void *arg, struct sim_view *v)
{
        const int *how = arg;
        if (v->lane != SIM_BA || !v->tcp)
                return SIM_PASS;
        uint8_t *tcp = v->text - v->seg.hdr_len;
        if (*how == 1)
                tcp[16] ^= 1;
        if (*how == 2)
                tcp[12] = 4 << 4;                       /* data offset below 5 */
        if (*how == 3)
                tcp[12] = 15 << 4;                      /* beyond the segment */
        return SIM_PASS;
}

TEST(input_damaged_headers)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000"), how;

        sim_hook_set(r->link, flip_checksum, &how);
        for (how = 1; how <= 3; how++)
                raw_say(r, "A 1 ack 1 len 10");
        raw_quiet(r);
        EXPECT_EQ(DROPS(r->host, TCP_CHECKSUM), 1);
        EXPECT_EQ(DROPS(r->host, TCP_SHORT), 2);
        how = 0;
        raw_say(r, "A 1 ack 1 len 10");
        raw_hear(r, "A 1 ack 11");
        raw_read(r, fd, 0, 10);
        raw_free(r);
}
