/* SPDX-License-Identifier: MIT */
/* What holds between the shards of a stack, told by one thread that attaches to each in turn. */
#include "tests/unit/stack/shards_rig.h"

enum { TURNS = 200 };

static void turn(struct mr_stack *st)
{
        for (uint32_t i = 0; i < mr_stack_shards(st); i++) {
                EXPECT_EQ(mr_shard_attach(st, i), 0);
                mr_poll(NULL, 0, 0);
        }
}

static void turn_both(struct mr_stack *a, struct mr_stack *b)
{
        for (int i = 0; i < TURNS; i++) {
                turn(a);
                turn(b);
        }
}

static int connect_from(struct mr_stack *st, uint32_t shard, uint16_t port)
{
        struct sockaddr_in to = shards_addr(0x0a000001, port);

        EXPECT_EQ(mr_shard_attach(st, shard), 0);
        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        EXPECT(mr_connect(fd, (struct sockaddr *)&to, sizeof to) == -1 && errno == EINPROGRESS);
        return fd;
}

/* What became of it: 0 connected, or an errno. */
static int outcome(struct mr_stack *st, uint32_t shard, int fd)
{
        struct pollfd pfd = { fd, POLLOUT, 0 };
        int err = -1;
        socklen_t len = sizeof err;

        EXPECT_EQ(mr_shard_attach(st, shard), 0);
        EXPECT_EQ(mr_poll(&pfd, 1, 0), 1);
        EXPECT_EQ(mr_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
        return err;
}

static int listens(int fd)
{
        int on = -1;
        socklen_t len = sizeof on;
        return mr_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) < 0 ? -errno : on;
}

/* Goal:   a descriptor is its shard's, but for a listener, which each shard can ask, watch and accept from.
 * Method: sockets and epoll instances of shard 0, used by shard 1.
 * Spec:   millrace/millrace.h, shards
 */
TEST(shards_descriptors)
{
        struct mr_stack *st = shards_stack(2, "loop:", "10.0.0.1/24");
        struct epoll_event ev = { .events = EPOLLIN };
        struct sockaddr_in name = { 0 };
        socklen_t len = sizeof name;

        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        int plain = mr_socket(AF_INET, SOCK_STREAM, 0), ep0 = mr_epoll_create1(0), fd = shards_listen(80);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        EXPECT(mr_stack_current() == st);
        int ep = mr_epoll_create1(0), own = mr_socket(AF_INET, SOCK_STREAM, 0);
        EXPECT(own != plain && own != ep0 && own != fd && ep != plain && ep != ep0 && ep != fd);
        EXPECT(mr_close(plain) == -1 && errno == EBADF);
        EXPECT(mr_close(ep0) == -1 && errno == EBADF);
        EXPECT(mr_epoll_ctl(ep0, EPOLL_CTL_ADD, fd, &ev) == -1 && errno == EBADF);
        EXPECT(mr_epoll_ctl(ep, EPOLL_CTL_ADD, plain, &ev) == -1 && errno == EBADF);
        EXPECT(mr_close(1 << 29) == -1 && errno == EBADF);
        EXPECT(mr_close(INT32_MAX) == -1 && errno == EBADF);

        EXPECT_EQ(listens(fd), 1);
        EXPECT_EQ(mr_getsockname(fd, (struct sockaddr *)&name, &len), 0);
        EXPECT_EQ(ntohs(name.sin_port), 80);
        EXPECT_EQ(mr_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
        EXPECT(mr_accept(fd, NULL, NULL) == -1 && errno == EAGAIN);     /* as non-blocking as it was made */
        EXPECT_EQ(mr_epoll_wait(ep, &ev, 1, 0), 0);
        mr_stack_free(st);
}

/* Goal:   a listener that its owner closes ends on all shards; one that another shard closes ends there.
 * Method: look from both shards; listen anew under the same number, on another port.
 * Spec:   millrace/millrace.h, shards
 */
TEST(shards_close_everywhere)
{
        struct mr_stack *st = shards_stack(2, "loop:", "10.0.0.1/24");
        struct sockaddr_in name;
        socklen_t len = sizeof name;

        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        int fd = shards_listen(80);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        EXPECT_EQ(listens(fd), 1);
        EXPECT_EQ(mr_close(fd), 0);
        EXPECT_EQ(listens(fd), -EBADF);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        EXPECT_EQ(listens(fd), 1);

        EXPECT_EQ(mr_close(fd), 0);
        EXPECT_EQ(listens(fd), -EBADF);
        EXPECT_EQ(shards_listen(81), fd);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        EXPECT_EQ(listens(fd), 1);
        EXPECT_EQ(mr_getsockname(fd, (struct sockaddr *)&name, &len), 0);
        EXPECT_EQ(ntohs(name.sin_port), 81);

        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        EXPECT_EQ(mr_shutdown(fd, SHUT_RD), 0);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        mr_poll(NULL, 0, 0);
        EXPECT_EQ(listens(fd), -EBADF);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        EXPECT_EQ(listens(fd), 0);
        EXPECT_EQ(mr_listen(fd, 5), 0);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        EXPECT_EQ(listens(fd), 1);

        EXPECT_EQ(mr_shutdown(fd, SHUT_RD), 0);         /* a replica has nothing of its own that would outlive it */
        struct sockaddr_in to = shards_addr(0x0a000001, 81);
        EXPECT(mr_connect(fd, (struct sockaddr *)&to, sizeof to) == -1 && errno == EINVAL);
        EXPECT_EQ(mr_listen(fd, 5), 0);
        EXPECT_EQ(listens(fd), 1);
        mr_stack_free(st);
}

/* Goal:   two shards cannot have one port, unless both say SO_REUSEPORT; then each serves what comes to it; and
 *         there are no more listeners than configured, on all shards together.
 * Method: bind and listen on both; connections from two shards of another stack, on lanes.
 * Spec:   socket(7); millrace/millrace.h, shards
 */
TEST(shards_port_conflicts)
{
        struct mr_stack *st = shards_stack(2, "loop:ports", "10.0.0.1/24"), *peer = shards_stack(2, "loop:ports", "10.0.0.2/24");
        struct sockaddr_in any = shards_addr(0, 80);
        int one = 1, got[2], fd[2];

        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        int plain = shards_listen(80);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        int other = mr_socket(AF_INET, SOCK_STREAM, 0);
        EXPECT(mr_bind(other, (struct sockaddr *)&any, sizeof any) == -1 && errno == EADDRINUSE);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        EXPECT_EQ(mr_close(plain), 0);

        for (uint32_t i = 0; i < 2; i++) {
                EXPECT_EQ(mr_shard_attach(st, i), 0);
                fd[i] = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                EXPECT_EQ(mr_setsockopt(fd[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
                EXPECT_EQ(mr_bind(fd[i], (struct sockaddr *)&any, sizeof any), 0);
                EXPECT_EQ(mr_listen(fd[i], 5), 0);
        }
        for (uint32_t i = 0; i < 2; i++)
                got[i] = connect_from(peer, i, 80);
        turn_both(st, peer);
        for (uint32_t i = 0; i < 2; i++) {
                EXPECT_EQ(outcome(peer, i, got[i]), 0);
                EXPECT_EQ(mr_shard_attach(st, i), 0);
                EXPECT(mr_accept(fd[1 - i], NULL, NULL) == -1 && errno == EAGAIN);
                EXPECT_GE(mr_accept(fd[i], NULL, NULL), 0);
        }
        mr_stack_free(st);
        mr_stack_free(peer);
}

/* Goal:   the limit of listeners is that of the stack, and one that is refused leaves nothing behind.
 * Method: a limit of 3; two listeners of each shard.
 * Spec:   docs/configuration.md, max_listeners
 */
TEST(shards_listeners_limit)
{
        static struct mr_conf conf;
        char err[256] = "";
        struct sockaddr_in any = shards_addr(0, 83);

        mr_conf_default(&conf);
        conf.shards = 2;
        conf.max_conns = 100;
        conf.max_listeners = 3;
        conf.log = MR_LOG_ERROR;
        shards_set(&conf, "dev", "loop:");
        shards_set(&conf, "addr", "10.0.0.1/24");
        struct mr_stack *st = mr_stack_new(&conf, err, sizeof err);
        REQUIRE(st);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        int first = shards_listen(80);
        shards_listen(81);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        shards_listen(82);
        int fd = mr_socket(AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(mr_bind(fd, (struct sockaddr *)&any, sizeof any), 0);
        EXPECT(mr_listen(fd, 5) == -1 && errno == ENOBUFS);
        EXPECT_EQ(listens(fd), 0);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        EXPECT_EQ(mr_close(first), 0);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        mr_poll(NULL, 0, 0);
        EXPECT_EQ(mr_listen(fd, 5), 0);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        EXPECT_EQ(listens(fd), 1);
        mr_stack_free(st);
}

static void *attach_from_other_thread(void *arg)
{
        struct mr_stack *st = arg;

        EXPECT_EQ(mr_shard_attach(st, 0), -EBUSY);
        EXPECT(mr_stack_attach(st) == NULL && errno == EBUSY && mr_stack_current() == NULL);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        mr_stack_attach(NULL);
        return NULL;
}

static void *hold_shard_2(void *arg)
{
        struct mr_stack *st = arg;
        _Atomic uint32_t ran = 0;

        EXPECT_EQ(mr_shard_attach(st, 2), 0);
        EXPECT_EQ(mr_stack_run(st, NULL, &ran), -EBUSY);        /* shard 0 is another's */
        return NULL;                                            /* and shard 2 is never given back */
}

static void nothing(void *arg, uint32_t shard) { atomic_fetch_or((_Atomic uint32_t *)arg, 1u << shard); }

/* Goal:   a shard has one thread; running on all needs all; cores that do not exist are told.
 * Method: attach twice, from two threads; mr_stack_run() while another thread has a shard; cpus=60000.
 * Spec:   millrace/millrace.h, mr_shard_attach(), mr_stack_run()
 */
TEST(shards_have_one_thread)
{
        static struct mr_stack *st;                             /* not freed: a thread that is gone has a shard */
        _Atomic uint32_t ran = 0;
        pthread_t other;
        static struct mr_conf conf;
        char err[256] = "";

        st = shards_stack(3, "loop:", "10.0.0.1/24");
        EXPECT_EQ(mr_shard_attach(st, 3), -EINVAL);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        REQUIRE(pthread_create(&other, NULL, attach_from_other_thread, st) == 0);
        pthread_join(other, NULL);
        EXPECT_EQ(mr_stack_run(st, nothing, &ran), 0);
        EXPECT_EQ(ran, 7);
        EXPECT(mr_stack_current() == st);
        ran = 0;
        EXPECT_EQ(mr_shard_attach(st, 2), 0);
        EXPECT_EQ(mr_stack_run(st, nothing, &ran), 0);
        EXPECT_EQ(ran, 7);
        ran = 0;
        REQUIRE(pthread_create(&other, NULL, hold_shard_2, st) == 0);
        pthread_join(other, NULL);
        EXPECT_EQ(mr_stack_run(st, nothing, &ran), -EBUSY);
        EXPECT_EQ(ran, 0);
        mr_stack_attach(NULL);

        mr_conf_default(&conf);
        conf.log = MR_LOG_ERROR;
        shards_set(&conf, "dev", "loop:");
        shards_set(&conf, "addr", "10.0.0.1/24");
        shards_set(&conf, "cpus", "60000");
        EXPECT_EQ(mr_start(&conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "60000"));
}

/* Goal:   a call that waits is woken, and one that would wait next.
 * Method: mr_stack_wake() before and during a wait; the second from another thread.
 * Spec:   millrace/millrace.h, mr_stack_wake()
 */
static void *wake_later(void *arg)
{
        nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
        mr_stack_wake(arg);
        return NULL;
}

TEST(shards_wake)
{
        struct mr_stack *st = shards_stack(2, "loop:", "10.0.0.1/24");
        struct epoll_event ev;
        pthread_t other;

        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        int ep = mr_epoll_create1(0);
        mr_stack_wake(st);
        EXPECT(mr_epoll_wait(ep, &ev, 1, 20000) == -1 && errno == EINTR);
        EXPECT_EQ(mr_epoll_wait(ep, &ev, 1, 1), 0);
        REQUIRE(pthread_create(&other, NULL, wake_later, st) == 0);
        EXPECT(mr_epoll_wait(ep, &ev, 1, -1) == -1 && errno == EINTR);
        pthread_join(other, NULL);
        mr_stack_free(st);
}

static uint32_t source_of(int fd, uint16_t *port)
{
        struct sockaddr_in name = { 0 };
        socklen_t len = sizeof name;

        EXPECT_EQ(mr_getsockname(fd, (struct sockaddr *)&name, &len), 0);
        *port = ntohs(name.sin_port);
        return ntohl(name.sin_addr.s_addr);
}

/* Goal:   a connection whose answers would come to another shard is not begun; by a port of our choice it is, and
 *         comes back to its shard.
 * Method: sockets bound to 64 ports, over steer:; half of them have their answers elsewhere.  Then 32 unbound ones,
 *         and 32 bound to an address, with ports that bind() chose.
 * Spec:   millrace/millrace.h, shards
 */
TEST(shards_connect_comes_back)
{
        struct mr_stack *st = shards_stack(2, "steer:loop:back", "10.0.0.2/24"), *peer = shards_stack(1, "loop:back", "10.0.0.1/24");
        struct sockaddr_in to = shards_addr(0x0a000001, 80);
        int fd[64], refused = 0;

        EXPECT_EQ(mr_shard_attach(peer, 0), 0);
        shards_listen(80);
        EXPECT_EQ(mr_shard_attach(st, 1), 0);
        for (uint16_t i = 0; i < 64; i++) {
                struct sockaddr_in from = shards_addr(0x0a000002, (uint16_t)(5000 + i));
                fd[i] = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                EXPECT_EQ(mr_bind(fd[i], (struct sockaddr *)&from, sizeof from), 0);
                if (mr_connect(fd[i], (struct sockaddr *)&to, sizeof to) == -1 && errno == EADDRNOTAVAIL)
                        refused++;
                else
                        EXPECT_EQ(errno, EINPROGRESS);
                mr_close(fd[i]);
        }
        EXPECT(refused > 16 && refused < 48);
        for (int i = 0; i < 32; i++)
                fd[i] = connect_from(st, 1, 80);
        for (int i = 32; i < 64; i++) {
                struct sockaddr_in from = shards_addr(0x0a000002, 0);
                uint16_t port;
                fd[i] = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                EXPECT_EQ(mr_bind(fd[i], (struct sockaddr *)&from, sizeof from), 0);
                EXPECT(mr_connect(fd[i], (struct sockaddr *)&to, sizeof to) == -1 && errno == EINPROGRESS);
                EXPECT_EQ(source_of(fd[i], &port), 0x0a000002);
        }
        turn_both(st, peer);
        for (int i = 0; i < 64; i++)
                EXPECT_EQ(outcome(st, 1, fd[i]), 0);
        mr_stack_free(st);
        mr_stack_free(peer);
}

/* Goal:   when the ports of one address towards a destination are used up, the next address of ours is taken, a
 *         whole prefix address by address; all of them work; a closed one can be had again.
 * Method: 4 ports; two addresses and a /30: 24 connections; the 25th has no port; one closed, one more.
 * Spec:   sock/source.c
 */
TEST(shards_more_addresses)
{
        static struct mr_conf conf;
        struct mr_stack *peer = shards_stack(1, "loop:more", "10.0.0.1/8");
        struct sockaddr_in to = shards_addr(0x0a000001, 80);
        char err[256] = "";
        uint32_t seen[6][4] = { 0 };
        int fd[24];

        EXPECT_EQ(mr_shard_attach(peer, 0), 0);
        shards_listen(80);
        mr_conf_default(&conf);
        conf.max_conns = 100;
        conf.tcp_port_min = 40000;
        conf.tcp_port_max = 40003;
        conf.log = MR_LOG_WARN;
        shards_set(&conf, "dev", "loop:more");
        shards_set(&conf, "addr", "10.0.0.2/8,10.0.0.3/8");
        shards_set(&conf, "local", "10.1.0.0/30");
        struct mr_stack *st = mr_stack_new(&conf, err, sizeof err);
        REQUIRE(st);
        for (int i = 0; i < 24; i++) {
                uint16_t port;
                fd[i] = connect_from(st, 0, 80);
                uint32_t addr = source_of(fd[i], &port);
                uint32_t n = addr >> 16 == 0x0a01 ? 2 + (addr & 3) : addr - 0x0a000002;
                REQUIRE(n < 6 && port >= 40000 && port <= 40003);
                EXPECT_EQ(seen[n][port - 40000]++, 0);
                if (i < 4)
                        EXPECT_EQ(addr, 0x0a000002);
        }
        int more = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        EXPECT(mr_connect(more, (struct sockaddr *)&to, sizeof to) == -1 && errno == EADDRNOTAVAIL);
        turn_both(st, peer);
        for (int i = 0; i < 24; i++)
                EXPECT_EQ(outcome(st, 0, fd[i]), 0);
        struct linger hard = { 1, 0 };
        EXPECT_EQ(mr_setsockopt(fd[5], SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
        EXPECT_EQ(mr_close(fd[5]), 0);
        turn_both(st, peer);
        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        EXPECT(mr_connect(more, (struct sockaddr *)&to, sizeof to) == -1 && errno == EINPROGRESS);
        /* To another destination they are all free. */
        to.sin_port = htons(81);
        int other = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        EXPECT(mr_connect(other, (struct sockaddr *)&to, sizeof to) == -1 && errno == EINPROGRESS);
        mr_stack_free(st);
        mr_stack_free(peer);
}

/* Goal:   counters are those of all shards together, from whichever shard one looks.
 * Method: a connection to each of two shards.
 * Spec:   millrace/stats.h
 */
TEST(shards_counters_add_up)
{
        struct mr_stack *st = shards_stack(2, "loop:sum", "10.0.0.1/24"), *peer = shards_stack(2, "loop:sum", "10.0.0.2/24");
        uint64_t value = 0, opens = 0;
        const char *name;

        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        shards_listen(80);
        connect_from(peer, 0, 80);
        connect_from(peer, 1, 80);
        turn_both(st, peer);
        for (uint32_t shard = 0; shard < 2; shard++) {
                EXPECT_EQ(mr_shard_attach(st, shard), 0);
                for (uint32_t i = 0; mr_counter_get(i, &name, NULL, &value) == 0; i++)
                        if (strcmp(name, "TCP_PASSIVE_OPENS") == 0)
                                opens = value;
                EXPECT_EQ(opens, 2);
        }
        mr_stack_free(st);
        mr_stack_free(peer);
}

static uint64_t counter(const char *wanted)
{
        const char *name;
        uint64_t value = 0;

        for (uint32_t i = 0; mr_counter_get(i, &name, NULL, &value) == 0; i++)
                if (strcmp(name, wanted) == 0)
                        return value;
        return UINT64_MAX;
}

static void *ring_a_lot(void *arg)
{
        for (int i = 0; i < 20000; i++)
                mr_stack_wake(arg);
        return NULL;
}

/* Goal:   however a bell is rung, afterwards a shard sleeps well.
 * Method: 20,000 wake-ups of another thread while this one waits again and again; then the sleeps of 50 ms are counted.
 * Spec:   stack/doorbell.h
 */
TEST(shards_sleep_after_wakes)
{
        struct mr_stack *st = shards_stack(2, "loop:", "10.0.0.1/24");
        struct epoll_event ev;
        pthread_t other;

        EXPECT_EQ(mr_shard_attach(st, 0), 0);
        int ep = mr_epoll_create1(0);
        REQUIRE(pthread_create(&other, NULL, ring_a_lot, st) == 0);
        for (int i = 0; i < 2000; i++)
                mr_epoll_wait(ep, &ev, 1, 1);
        pthread_join(other, NULL);
        while (mr_epoll_wait(ep, &ev, 1, 1) < 0)
                continue;
        uint64_t before = counter("SLEEPS");
        EXPECT_EQ(mr_epoll_wait(ep, &ev, 1, 50), 0);
        EXPECT_LE(counter("SLEEPS"), before + 3);       /* one, or the clock's granularity */
        mr_stack_free(st);
}
