/* SPDX-License-Identifier: MIT */
#include "tests/sim/sim.h"

#include "dev/netdev.h"

enum { HELD_MAX = 600 };

/* A loan, and what must be in it for as long as it lasts. */
struct held {
        struct tcp_loan loan;
        uint32_t        stream;
        uint64_t        at;
};

/* A host that works without copies, and what it has in its hands. */
struct holder {
        struct sim_host *host;
        struct held      held[HELD_MAX];
        uint32_t         cnt;
};

static void expect_octets(const struct held *h)
{
        const uint8_t *data = h->loan.data;
        for (uint32_t i = 0; i < h->loan.len; i++)
                if (data[i] != sim_octet(h->stream, h->at + i)) {
                        test_fail(__FILE__, __LINE__, "octet %llu of stream %u is not what was sent",
                                  (unsigned long long)(h->at + i), h->stream);
                        test_stop();
                }
}

/* Octets borrowed, 0, or a negative errno. */
static ssize_t borrow(struct holder *r, int fd, uint32_t stream, uint64_t at, int max)
{
        struct tcp_loan loan[16];
        ssize_t got = 0;

        REQUIRE(r->cnt + 16 <= HELD_MAX);
        int n = sock_recv_borrow(SOCKS_OF(r->host), fd, loan, max, 0);
        for (int i = 0; i < n; i++) {
                r->held[r->cnt] = (struct held){ loan[i], stream, at + (uint64_t)got };
                expect_octets(&r->held[r->cnt++]);
                got += loan[i].len;
        }
        return n <= 0 ? n : got;
}

static void give_back(struct holder *r, uint32_t i)
{
        expect_octets(&r->held[i]);
        EXPECT_EQ(sock_loan_return(SOCKS_OF(r->host), &r->held[i].loan, 1), 0);
        r->held[i] = r->held[--r->cnt];
}

static void give_all_back(struct holder *r)
{
        while (r->cnt)
                give_back(r, r->cnt - 1);
}

static struct tcp_usage usage(struct sim_host *h)
{
        struct tcp_usage use;
        tcp_usage(TCP_OF(h), &use);
        return use;
}

/* ---- random ---- */

struct end {
        struct holder *holder;
        struct end    *peer;
        int            fd;              /* -1: closed */
        uint32_t       stream;          /* that it writes */
        uint64_t       to_send, sent, rcvd;
        struct iovec   room;            /* reserved, base NULL: nothing */
        bool           shut, eof, rude; /* rude: closes when it likes */
        bool           failed;
};

static void end_close(struct end *e)
{
        EXPECT_EQ(sock_close(SOCKS_OF(e->holder->host), e->fd), 0);
        e->fd = -1;
}

static uint32_t refusals, survivors;    /* times of ENOBUFS; loans that have outlived their connections */

/* @rc is a negative errno: is it one that may happen? */
static void end_failed(struct end *e, ssize_t rc)
{
        EXPECT(rc == -EAGAIN || rc == -ENOBUFS || (e->peer->rude && (rc == -ECONNRESET || rc == -EPIPE)));
        refusals += rc == -ENOBUFS;
        e->failed = rc != -EAGAIN && rc != -ENOBUFS;
}

static void end_write(struct end *e, struct rnd *r)
{
        struct socks *ss = SOCKS_OF(e->holder->host);
        uint64_t left = e->to_send - e->sent;
        ssize_t n;

        if (e->room.iov_base) {                         /* after anything that may have happened meanwhile */
                size_t len = u64_min(u64_min(rnd_below(r, 4) ? 100000 : rnd_below(r, 40), e->room.iov_len), left);
                sim_fill(e->room.iov_base, e->stream, e->sent, (uint32_t)len);
                n = sock_send_commit(ss, e->fd, len, MSG_NOSIGNAL | (rnd_below(r, 4) ? 0 : MSG_MORE));
                e->room.iov_base = NULL;
        } else if (left && rnd_below(r, 3)) {
                size_t want = rnd_below(r, 3) ? 1 + rnd_below(r, 4000) : 1 + rnd_below(r, 100000);
                n = sock_send_reserve(ss, e->fd, want, &e->room, MSG_NOSIGNAL);
                if (n > 0)
                        EXPECT_EQ(sock_send_reserve(ss, e->fd, want, &e->room, 0), -EBUSY);
                else
                        e->room.iov_base = NULL;
                if (n < 0)
                        end_failed(e, n);
                return;
        } else {
                n = left ? sim_write(e->holder->host, e->fd, e->stream, e->sent, (uint32_t)u64_min(left, 3000)) : 0;
        }
        if (n < 0)
                end_failed(e, n);
        else
                e->sent += (uint64_t)n;
        if (e->sent == e->to_send && !e->shut) {
                EXPECT_EQ(sock_shutdown(ss, e->fd, SHUT_WR), e->failed ? -ENOTCONN : 0);
                e->shut = true;
        }
}

static void end_read(struct end *e, struct rnd *r)
{
        uint32_t stream = e->peer->stream;
        ssize_t n;

        if (rnd_below(r, 4) == 0)
                n = sim_read(e->holder->host, e->fd, stream, e->rcvd, 1 + rnd_below(r, 5000));
        else
                n = borrow(e->holder, e->fd, stream, e->rcvd, 1 + (int)rnd_below(r, 16));
        if (n < 0)
                end_failed(e, n);
        else
                e->rcvd += (uint64_t)n;
        e->eof |= n == 0;
}

/* Something, or nothing. */
static void end_step(struct end *e, struct rnd *r)
{
        if (e->fd < 0)
                return;
        if (e->failed || (e->eof && e->shut && !e->room.iov_base) || (e->rude && rnd_below(r, 400) == 0)) {
                end_close(e);
                return;
        }
        if (rnd_below(r, 2) && (!e->shut || e->room.iov_base))
                end_write(e, r);
        else if (!e->eof)
                end_read(e, r);
}

static void random_run(uint64_t seed)
{
        enum { PAIRS = 4 };
        struct sim *sim = sim_new(seed);
        struct shard_conf sc;
        struct rnd *r = sim_rnd(sim);
        static struct holder holder[2];
        struct end end[PAIRS][2];
        struct sim_link_conf lc = {
                .delay_ns = MS(2), .loss_ppm = 20000, .dup_ppm = 5000, .reorder_ppm = 30000, .reorder_ns = MS(5),
                .offload = seed % 2 ? NETDEV_TX_CSUM | NETDEV_TSO : 0,
        };

        sim_conf_default(&sc);
        sc.pkts_small = 400;
        sc.pkts_large = 16;
        for (int k = 0; k < 2; k++)
                holder[k] = (struct holder){ .host = sim_host(sim, &sc) };
        sim_link(holder[0].host, holder[1].host, &lc);
        for (uint32_t i = 0; i < PAIRS; i++) {
                int fd[2];
                sim_pair(holder[0].host, holder[1].host, &fd[0], &fd[1]);
                for (uint32_t k = 0; k < 2; k++) {
                        end[i][k] = (struct end){
                                .holder = &holder[k], .peer = &end[i][!k], .fd = fd[k], .stream = 2 * i + k,
                                .to_send = rnd_below(r, 100000), .rude = i == 0,
                        };
                        sim_set(holder[k].host, fd[k], SOL_SOCKET, SO_RCVBUF, 4000 + (int)rnd_below(r, 100000));
                        sim_set(holder[k].host, fd[k], SOL_SOCKET, SO_SNDBUF, 4000 + (int)rnd_below(r, 60000));
                }
        }
        uint64_t end_ns = sim_now(sim) + SEC(3600);
        bool open = true;
        while (open && sim_now(sim) < end_ns) {
                open = false;
                for (uint32_t i = 0; i < PAIRS; i++)
                        for (uint32_t k = 0; k < 2; k++) {
                                for (uint32_t n = rnd_below(r, 4); n; n--)
                                        end_step(&end[i][k], r);
                                open |= end[i][k].fd >= 0;
                        }
                for (uint32_t k = 0; k < 2; k++)
                        for (uint32_t n = rnd_below(r, 12); n && holder[k].cnt; n--)
                                give_back(&holder[k], rnd_below(r, holder[k].cnt));
                sim_step(sim, sim_now(sim) + MS(1 + rnd_below(r, 5)));
        }
        EXPECT(!open);
        for (uint32_t i = 1; i < PAIRS; i++)
                for (uint32_t k = 0; k < 2; k++) {
                        EXPECT_EQ(end[i][k].sent, end[i][k].to_send);
                        EXPECT_EQ(end[i][k].rcvd, end[i][!k].to_send);
                }
        sim_run(sim, SEC(200));
        for (int k = 0; k < 2; k++) {                   /* what is still out has outlived its connections */
                EXPECT_EQ(usage(holder[k].host).lent, holder[k].cnt);
                EXPECT_EQ(usage(holder[k].host).held, holder[k].cnt);
                survivors += holder[k].cnt;
                give_all_back(&holder[k]);
        }
        sim_free(sim);
}

/* Goal:   whatever is borrowed, returned, reserved and committed, mixed with ordinary calls, the streams arrive
 *         octet for octet, loans stay what they are, and nothing leaks.
 * Method: four connections over a bad link; loans are returned in any order, often after their connection has
 *         gone; one connection is closed at any time by either end.
 */
TEST(zerocopy_random)
{
        uint64_t first = sim_seed(__func__, 1), last = getenv("SEED") ? first : first + 39;
        for (uint64_t seed = first; seed <= last; seed++)
                random_run(seed);
        EXPECT(last == first || (refusals > 0 && survivors > 0));       /* else it has not tried what it is for */
}

/* ---- bounds ---- */

/* Goal:   what is lent keeps the window closed, and returning it opens the window.
 * Method: borrow all that comes and return nothing until nothing more comes; then return all.
 * Spec:   RFC 9293 3.8.6 */
TEST(zerocopy_lent_is_unread)
{
        enum { RCVBUF = 30000 };
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        static struct holder r;
        struct shard_conf sc;
        uint64_t sent = 0, rcvd = 0;
        int fa, fb;

        sim_conf_default(&sc);
        struct sim_host *a = sim_host(sim, &sc);
        sc.tcp.opts.rcvbuf = sc.socks.opts.rcvbuf = RCVBUF;
        struct sim_host *b = sim_host(sim, &sc);
        r = (struct holder){ .host = b };
        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1) });
        sim_pair(a, b, &fa, &fb);
        for (int round = 0; round < 3; round++) {
                ssize_t n = 0;
                for (int i = 0; i < 200; i++) {
                        if ((n = sim_write(a, fa, 1, sent, 5000)) > 0)
                                sent += (uint64_t)n;
                        sim_run(sim, MS(20));
                        while ((n = borrow(&r, fb, 1, rcvd, 16)) > 0)
                                rcvd += (uint64_t)n;
                }
                struct tcp_held held;
                tcp_held(TCP_OF(b), sim_conn(b, fb), &held);
                EXPECT_EQ(n, held.lent_bytes >= RCVBUF ? -ENOBUFS : -EAGAIN);
                EXPECT_GT(held.lent_bytes, RCVBUF - 3000);
                EXPECT_LT(held.lent_bytes, RCVBUF + 1500);
                EXPECT_LT(sim_report(a, fa).snd_wnd, 1500);
                EXPECT_LT(held.lent_bytes + tcp_recv_avail(TCP_OF(b), sim_conn(b, fb)), RCVBUF + 1500);
                EXPECT_GT(sent, rcvd);
                give_all_back(&r);
                sim_run(sim, MS(10));                           /* sooner than the peer asks: it is told */
                EXPECT_GT(tcp_recv_avail(TCP_OF(b), sim_conn(b, fb)), RCVBUF / 3);
        }
        EXPECT_GT(rcvd, 80000);
        for (int i = 0; i < 2000 && rcvd < sent; i++) {
                ssize_t n = borrow(&r, fb, 1, rcvd, 16);
                rcvd += n > 0 ? (uint64_t)n : 0;
                give_all_back(&r);
                sim_run(sim, MS(20));
        }
        EXPECT_EQ(rcvd, sent);
        sim_free(sim);
}

/* Goal:   who borrows and never returns can't starve the others, nor itself.
 * Method: octets that come one by one hold a buffer each, of small ones, and frames of 8 KB of large ones;
 *         at the limit borrowing ends with ENOBUFS, mr_recv() and other connections go on; after the return borrowing
 *         goes on too.
 * Spec:   architecture 12 */
static void hold_all_that_is_lent(uint32_t mtu, uint32_t piece)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        static struct holder r;
        struct iovec room;
        uint64_t at = 0;
        ssize_t n = 0;
        int fa, fb, ga, gb;

        r = (struct holder){ .host = b };
        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1), .mtu = mtu });
        sim_pair(a, b, &fa, &fb);
        sim_pair(a, b, &ga, &gb);
        sim_set(a, fa, IPPROTO_TCP, TCP_NODELAY, 1);
        while (n != -ENOBUFS) {
                REQUIRE(sim_write(a, fa, 1, at, piece) == (ssize_t)piece);
                sim_run(sim, MS(10));
                for (uint64_t to = at + piece; at < to && (n = borrow(&r, fb, 1, at, 16)) > 0;)
                        at += (uint64_t)n;
        }
        EXPECT_EQ(r.cnt, usage(b).held);
        EXPECT_EQ(r.cnt, mtu == 1500 ? 1024 / 4 : 8 / 4);
        if (mtu == 1500)
                EXPECT_EQ(sock_send_reserve(SOCKS_OF(b), gb, 10, &room, 0), -ENOBUFS);
        else
                EXPECT_EQ(sock_send_reserve(SOCKS_OF(b), gb, 60000, &room, 0), PKT_SMALL_ROOM + PKT_HEADROOM);
        while ((n = sim_read(b, fb, 1, at, piece)) > 0)
                at += (uint64_t)n;
        EXPECT_EQ(n, -EAGAIN);
        sim_transfer(a, ga, b, gb, 300000, SEC(60));
        sim_transfer(b, gb, a, ga, 300000, SEC(60));
        give_all_back(&r);
        EXPECT_EQ(sim_write(a, fa, 1, at, 7), 7);
        sim_run(sim, MS(10));
        EXPECT_EQ(borrow(&r, fb, 1, at, 16), 7);
        give_all_back(&r);
        sim_free(sim);
}

TEST(zerocopy_small_buffers_held) { hold_all_that_is_lent(1500, 1); }
TEST(zerocopy_large_buffers_held) { hold_all_that_is_lent(9000, 8000); }

/* Goal:   a connection with a loan or a reservation stays awake, and rests when it has neither.
 * Method: silence with each of them; the records in use tell. */
TEST(zerocopy_keeps_awake)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        static struct holder r;
        struct iovec room;
        int fa, fb;

        r = (struct holder){ .host = b };
        sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1) });
        sim_pair(a, b, &fa, &fb);
        EXPECT_EQ(sim_write(a, fa, 1, 0, 100), 100);
        sim_run(sim, MS(1));
        SIM_UNTIL(sim, SEC(1), borrow(&r, fb, 1, 0, 1) == 100);
        sim_run(sim, SEC(10));
        EXPECT_EQ(usage(a).awake, 0);
        EXPECT_EQ(usage(b).awake, 1);
        give_all_back(&r);
        sim_run(sim, SEC(1));
        EXPECT_EQ(usage(b).awake, 0);

        EXPECT_EQ(sock_send_reserve(SOCKS_OF(b), fb, 100, &room, 0), 100);
        sim_run(sim, SEC(10));
        EXPECT_EQ(usage(b).awake, 1);
        EXPECT_EQ(sock_send_commit(SOCKS_OF(b), fb, 0, 0), 0);
        sim_run(sim, SEC(1));
        EXPECT_EQ(usage(b).awake, 0);
        EXPECT_EQ(usage(b).accounts, 0);
        sim_transfer(a, fa, b, fb, 10000, SEC(10));
        sim_free(sim);
}

/* Goal:   while packet buffers run low a reservation is refused and an ordinary send still gets the first one.
 * Method: a network that is cut, and a writer who fills the pool; then another connection.
 * Spec:   architecture 12 */
TEST(zerocopy_no_reservation_when_scarce)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct shard_conf sc;
        struct iovec room;
        int fa, fb, ga, gb;

        sim_conf_default(&sc);
        sc.pkts_small = 128;
        sc.pkts_large = 0;
        struct sim_host *a = sim_host(sim, &sc), *b = sim_host(sim, NULL);
        struct sim_link *l = sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(1) });
        sim_pair(a, b, &fa, &fb);
        sim_pair(a, b, &ga, &gb);
        sim_run(sim, SEC(1));
        sim_link_cut(l);
        EXPECT_GT(sim_write(a, fa, 1, 0, 250000), 100000);
        EXPECT_EQ(sock_send_reserve(SOCKS_OF(a), fa, 100, &room, MSG_NOSIGNAL), -EAGAIN);
        EXPECT_EQ(sock_send_reserve(SOCKS_OF(a), ga, 100, &room, MSG_NOSIGNAL), -ENOBUFS);
        EXPECT_EQ(sim_write(a, ga, 2, 0, 100), 100);
        EXPECT_EQ(usage(a).held, 0);
        sim_link_heal(l);
        SIM_UNTIL(sim, SEC(60), sim_read(b, gb, 2, 0, 100) == 100);
        sim_free(sim);
}
