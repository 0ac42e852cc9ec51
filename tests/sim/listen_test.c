/* SPDX-License-Identifier: MIT */
/* tests/sim/listen_test.c - Backlogs, floods, ports: RFC 9293 3.10.7.2, RFC 4987, listen(2), bind(2) */
#include "tests/sim/raw.h"

static struct tcp_usage usage(struct sim_host *h)
{
        struct tcp_usage use;
        tcp_usage(TCP_OF(h), &use);
        return use;
}

/* Goal:   a full accept queue holds SYNs back, silently; accept() makes room and the repetition gets in.
 * Method: a backlog of 2, of which Linux makes 3; five clients; their SYNs and ACKs by hand.
 * Spec:   listen(2): "the request may be ignored so that a later reattempt at connection succeeds". */
TEST(listen_backlog)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen_of(r->host, 80, 2);

        for (int i = 0; i < 3; i++) {
                r->peer_port = (uint16_t)(6000 + i);
                r->irs_known = false;
                raw_say(r, "S 0 mss 1000");
                raw_hear(r, "SA 0 ack 1");
                raw_say(r, "A 1 ack 1");
        }
        r->peer_port = 6003;
        raw_say(r, "S 0 mss 1000");
        raw_quiet(r);
        EXPECT_EQ(DROPS(r->host, TCP_ACCEPT_FULL), 1);
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        r->irs_known = false;
        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        EXPECT_EQ(sim_accept(r->host, lfd), -EAGAIN);
        raw_say(r, "A 1 ack 1");
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        raw_free(r);
}

/* Goal:   the ACK that finds the queue full is not lost for good: SYN-ACK goes out again, and the next ACK gets in.
 * Method: two half-open connections, room for one.
 * Spec:   Linux tcp_abort_on_overflow 0. */
TEST(listen_backlog_full_at_the_ack)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen_of(r->host, 80, 0);
        uint32_t irs[2];

        for (int i = 0; i < 2; i++) {
                r->peer_port = (uint16_t)(6000 + i);
                r->irs_known = false;
                raw_say(r, "S 0 mss 1000");
                raw_hear(r, "SA 0 ack 1");
                irs[i] = r->irs;
        }
        for (int i = 0; i < 2; i++) {
                r->peer_port = (uint16_t)(6000 + i);
                r->irs = irs[i];
                raw_say(r, "A 1 ack 1");
        }
        EXPECT_EQ(usage(r->host).halves, 1);
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        EXPECT_EQ(sim_accept(r->host, lfd), -EAGAIN);
        raw_hear_in(r, SEC(1), "SA 0 ack 1");
        raw_say(r, "PA 1 ack 1 len 10");
        int fd = sim_accept(r->host, lfd);
        EXPECT_GE(fd, 0);
        raw_read(r, fd, 0, 10);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   without cookies a flood of SYNs takes no more than the half-open records there are, and honest clients
 *         still get in: one of those repeated most often is given up.
 * Method: 10,000 SYNs from as many ports with room for 64 records; then an honest handshake.
 * Spec:   RFC 4987 3.1; architecture 12. */
TEST(listen_flood)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.syncookies = TCP_SYNCOOKIES_NEVER;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);
        int lfd = sim_listen(r->host, 80);
        struct tcp_seg syn = { .dst_port = 80, .flags = TCP_SYN, .window = 65535, .has = TCP_HAS_MSS, .mss = 1460 };

        for (uint32_t i = 0; i < 10000; i++) {
                syn.src_port = (uint16_t)(10000 + i);
                syn.seq = seq_of(i * 77777);
                raw_say_seg(r, &syn, NULL, 0);
                if (i % 16 == 0)
                        raw_forget(r);
        }
        raw_forget(r);
        EXPECT_EQ(usage(r->host).halves, 64);
        EXPECT_EQ(CNT(r->host, TCP_SYN_EVICTED), 10000 - 64);
        EXPECT_EQ(usage(r->host).conns, 0);
        r->peer_port = 5000;
        r->irs_known = false;
        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "A 1 ack 1");
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        raw_run(r, SEC(70));
        EXPECT_EQ(usage(r->host).halves, 0);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   a listener that is closed resets what waits in its queue and forgets what is half-open.
 * Method: one of each.
 * Spec:   RFC 9293 3.10.4 (CLOSE of LISTEN); Linux. */
TEST(listen_close)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen(r->host, 80);

        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "A 1 ack 1");
        uint32_t irs = r->irs;
        r->peer_port++;
        r->irs_known = false;
        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), lfd), 0);
        raw_settle(r);
        r->irs = irs;
        raw_hear(r, "RA 1 ack 1");
        EXPECT_EQ(usage(r->host).conns, 0);
        EXPECT_EQ(usage(r->host).halves, 0);
        EXPECT_EQ(usage(r->host).listeners, 0);
        raw_free(r);
}

/* Goal:   a connection that is reset while it waits to be accepted is accepted, and then says so.
 * Method: text and RST before accept().
 * Spec:   accept(2) of Linux: it is returned; ECONNRESET comes from the first use. */
TEST(listen_reset_before_accept)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int lfd = sim_listen(r->host, 80);

        raw_say(r, "S 0 mss 1000");
        raw_hear(r, "SA 0 ack 1");
        raw_say(r, "PA 1 ack 1 len 10");
        raw_say(r, "R 11");
        int fd = sim_accept(r->host, lfd);
        EXPECT_GE(fd, 0);
        EXPECT_EQ(sim_state(r->host, fd), TCP_CLOSED);
        EXPECT_EQ(sim_error(r->host, fd), ECONNRESET);
        raw_forget(r);
        raw_free(r);
}

/* Goal:   with no connection record free the last ACK is ignored, counted, and works later; so is a SYN.
 * Method: room for two connections, three clients whose handshakes overlap, and a fourth.
 * Spec:   architecture 12: refusal of new connections. */
TEST(listen_no_connection_free)
{
        struct shard_conf sc;
        sim_conf_default(&sc);
        sc.tcp.max_conns = 2;
        struct raw *r = raw_new_of(sim_seed(__func__, 1), &sc);
        int lfd = sim_listen(r->host, 80), fd[3];
        uint32_t irs[3];

        for (int i = 0; i < 3; i++) {
                r->peer_port = (uint16_t)(6000 + i);
                r->irs_known = false;
                raw_say(r, "S 0 mss 1000");
                raw_hear(r, "SA 0 ack 1");
                irs[i] = r->irs;
        }
        for (int i = 0; i < 3; i++) {
                r->peer_port = (uint16_t)(6000 + i);
                r->irs = irs[i];
                raw_say(r, "A 1 ack 1");
                fd[i] = sim_accept(r->host, lfd);
        }
        EXPECT_EQ(DROPS(r->host, TCP_NO_CONN), 1);
        r->peer_port = 6003;
        raw_say(r, "S 0 mss 1000");
        raw_quiet(r);
        r->peer_port = 6002;
        EXPECT(fd[0] >= 0 && fd[1] >= 0 && fd[2] < 0);
        EXPECT_EQ(DROPS(r->host, TCP_NO_CONN), 2);
        struct linger now = { .l_onoff = 1, .l_linger = 0 };
        EXPECT_EQ(sock_setsockopt(SOCKS_OF(r->host), fd[0], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd[0]), 0);
        raw_forget(r);
        raw_hear_in(r, SEC(1), "SA 0 ack 1");
        raw_say(r, "A 1 ack 1");
        EXPECT_GE(sim_accept(r->host, lfd), 0);
        raw_free(r);
}

/* Goal:   when all ephemeral ports to one destination are taken, connect() says so, and one that is free
 *         again works.
 * Method: a range of five ports, six connections.
 * Spec:   RFC 6056 3; connect(2) EADDRNOTAVAIL. */
TEST(listen_port_exhaustion)
{
        struct shard_conf sc;
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        sim_conf_default(&sc);
        sc.tcp.port_min = 40000;
        sc.tcp.port_max = 40004;
        struct sim_host *a = sim_host(sim, &sc), *b = sim_host(sim, NULL);
        sim_link(a, b, NULL);
        int lfd = sim_listen(b, 80), fd[6];
        struct sockaddr_in to = sim_sin(&b->addr, 80), other = sim_sin(&b->addr, 81);
        uint32_t seen = 0;

        for (int i = 0; i < 5; i++) {
                struct sockaddr_in me;
                socklen_t len = sizeof me;
                fd[i] = sim_connect(a, &b->addr, 80);
                EXPECT_EQ(sock_getsockname(SOCKS_OF(a), fd[i], (struct sockaddr *)&me, &len), 0);
                seen |= 1u << (ntohs(me.sin_port) - 40000);
        }
        EXPECT_EQ(seen, 31);
        fd[5] = sim_socket(a);
        EXPECT_EQ(sock_connect(SOCKS_OF(a), fd[5], (struct sockaddr *)&to, sizeof to), -EADDRNOTAVAIL);
        EXPECT_EQ(sock_connect(SOCKS_OF(a), fd[5], (struct sockaddr *)&other, sizeof other), -EINPROGRESS);
        sim_run(sim, MS(10));
        /* One is closed by the other end, so no TIME-WAIT is left here. */
        int at_b = sim_accept(b, lfd);
        EXPECT_EQ(sock_close(SOCKS_OF(b), at_b), 0);
        sim_run(sim, MS(10));
        for (int i = 0; i < 5; i++)
                if (sim_state(a, fd[i]) == TCP_CLOSE_WAIT)
                        EXPECT_EQ(sock_close(SOCKS_OF(a), fd[i]), 0);
        sim_run(sim, MS(10));
        int again = sim_socket(a);
        EXPECT_EQ(sock_connect(SOCKS_OF(a), again, (struct sockaddr *)&to, sizeof to), -EINPROGRESS);
        sim_free(sim);
}

/* Goal:   two claims on a port conflict as bind(2) says.
 * Method: every pair of address (any, ours) x reuse option x listening or not.
 * Spec:   socket(7) SO_REUSEADDR, SO_REUSEPORT, as flow/ports.h tells. */
TEST(listen_bind_conflicts)
{
        struct sim *sim = sim_new(sim_seed(__func__, 1));
        struct sim_host *h = sim_host(sim, NULL), *b = sim_host(sim, NULL);
        struct ip_addr any = ip_addr_v4(0);
        static const int opts[] = { 0, SO_REUSEADDR, SO_REUSEPORT };
        sim_link(h, b, NULL);

        for (int addrs = 0; addrs < 4; addrs++)
                for (int o = 0; o < 9; o++)
                        for (int listens = 0; listens < 2; listens++) {
                                struct sockaddr_in sin[2] = { sim_sin(addrs & 1 ? &any : &h->addr, 80),
                                                              sim_sin(addrs & 2 ? &any : &h->addr, 80) };
                                int fd[2] = { sim_socket(h), sim_socket(h) }, opt[2] = { opts[o % 3], opts[o / 3] };
                                for (int i = 0; i < 2; i++)
                                        if (opt[i])
                                                sim_set(h, fd[i], SOL_SOCKET, opt[i], 1);
                                EXPECT_EQ(sock_bind(SOCKS_OF(h), fd[0], (struct sockaddr *)&sin[0], sizeof sin[0]), 0);
                                if (listens)
                                        EXPECT_EQ(sock_listen(SOCKS_OF(h), fd[0], 5), 0);
                                bool may = opt[0] && opt[0] == opt[1] && (opt[0] == SO_REUSEPORT || !listens);
                                EXPECT_EQ(sock_bind(SOCKS_OF(h), fd[1], (struct sockaddr *)&sin[1], sizeof sin[1]),
                                          may ? 0 : -EADDRINUSE);
                                EXPECT_EQ(sock_close(SOCKS_OF(h), fd[0]), 0);
                                EXPECT_EQ(sock_close(SOCKS_OF(h), fd[1]), 0);
                        }
        sim_free(sim);
}

/* Goal:   a server that restarts can bind its port again: at once with SO_REUSEADDR, else when TIME-WAIT is over.
 * Method: the server closes first, so TIME-WAIT is its own.
 * Spec:   socket(7) SO_REUSEADDR. */
TEST(listen_restart_during_time_wait)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        struct sockaddr_in sin = sim_sin(&r->host->addr, 80);
        int fd = raw_accepted(r, "mss 1000");

        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_settle(r);
        raw_hear(r, "FA 1 ack 1");
        raw_say(r, "FA 1 ack 2");
        raw_hear(r, "A 2 ack 2");
        fd = sim_socket(r->host);
        EXPECT_EQ(sock_bind(SOCKS_OF(r->host), fd, (struct sockaddr *)&sin, sizeof sin), -EADDRINUSE);
        sim_set(r->host, fd, SOL_SOCKET, SO_REUSEADDR, 1);
        EXPECT_EQ(sock_bind(SOCKS_OF(r->host), fd, (struct sockaddr *)&sin, sizeof sin), 0);
        EXPECT_EQ(sock_close(SOCKS_OF(r->host), fd), 0);
        raw_run(r, SEC(61));
        fd = sim_socket(r->host);
        EXPECT_EQ(sock_bind(SOCKS_OF(r->host), fd, (struct sockaddr *)&sin, sizeof sin), 0);
        raw_free(r);
}
