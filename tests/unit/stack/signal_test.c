/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "tests/test.h"

#include <millrace/epoll.h>
#include <millrace/millrace.h>
#include <millrace/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <time.h>

static volatile sig_atomic_t hits;

static void on_signal(int sig) { hits++; }

static int start_on_loop(void)
{
        static struct mr_conf conf;
        char err[256];

        mr_conf_default(&conf);
        conf.max_conns = 1000;
        conf.log = MR_LOG_WARN;
        mr_conf_set(&conf, "dev", "loop:", NULL, 0);
        mr_conf_set(&conf, "addr", "10.64.0.1/10", NULL, 0);
        return mr_start(&conf, err, sizeof err);
}

enum { ROUNDS = 500, CONNS = 64, PORT = 7000 };

static const struct sockaddr_in us = {
        .sin_family = AF_INET, .sin_port = __builtin_bswap16(PORT), .sin_addr.s_addr = __builtin_bswap32(0x0a400001),
};

/* Give the stack turns that are long and have nothing to report: handshakes that nobody watches. */
static void begin_handshakes(int fd[CONNS])
{
        for (int i = 0; i < CONNS; i++) {
                fd[i] = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                REQUIRE(mr_connect(fd[i], (const struct sockaddr *)&us, sizeof us) == -1 && errno == EINPROGRESS);
        }
}

static void end_handshakes(const int fd[CONNS], int listener)
{
        struct linger now = { 1, 0 };
        for (int i = 0; i < CONNS; i++) {
                mr_setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
                mr_close(fd[i]);
        }
        for (int got; (got = mr_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;)
                mr_close(got);
}

/* Goal:   a signal ends a call that waits for ever, wherever in the call it arrives.
 * Method: 500 waits on an empty epoll instance; a timer fires some random microseconds after it
 *         was set, while the turns of the call are busy with handshakes, while it spins, or
 *         while it sleeps; and again every 20 ms.  Whoever needs the second one has lost
 *         the first; only one that came before the call may be, as with Linux's own.
 * Spec:   epoll_wait(2), EINTR; signal(7) */
TEST(signal_ends_a_wait)
{
        struct sigaction act = { .sa_handler = on_signal };
        struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
        struct epoll_event got;
        struct rnd r;
        timer_t timer;
        int fd[CONNS], late = 0;

        rnd_seed(&r, 1);
        REQUIRE(start_on_loop() == 0 && sigaction(SIGUSR1, &act, NULL) == 0);
        REQUIRE(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0);
        int ep = mr_epoll_create1(0), listener = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        REQUIRE(mr_bind(listener, (const struct sockaddr *)&us, sizeof us) == 0 && mr_listen(listener, 4096) == 0);

        for (int i = 0; i < ROUNDS; i++) {
                struct itimerspec in = { .it_value.tv_nsec = 1 + rnd_below(&r, 200000), .it_interval.tv_nsec = 20000000 };
                struct itimerspec off = { 0 };
                begin_handshakes(fd);
                int before = hits;
                timer_settime(timer, 0, &in, NULL);
                EXPECT_EQ(mr_epoll_wait(ep, &got, 1, -1), -1);
                EXPECT_EQ(errno, EINTR);
                late += hits - before > 1;
                timer_settime(timer, 0, &off, NULL);
                end_handshakes(fd, listener);
        }
        if (late > ROUNDS / 20)
                test_fail(__FILE__, __LINE__, "%d of %d signals did not end the wait that they came in", late, ROUNDS);
        timer_delete(timer);
        mr_stop();
}

/* Goal:   signals that a program ignores do not end its waits.
 * Method: SIGCHLD with its default action, while a receive waits 50 ms.
 * Spec:   signal(7) */
TEST(signal_ignored_is_no_signal)
{
        struct epoll_event got;

        REQUIRE(start_on_loop() == 0);
        int ep = mr_epoll_create1(0);
        raise(SIGCHLD);
        struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCHLD };
        struct itimerspec in = { .it_value.tv_nsec = 20000, .it_interval.tv_nsec = 1000000 };
        timer_t timer;
        REQUIRE(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0 && timer_settime(timer, 0, &in, NULL) == 0);
        EXPECT_EQ(mr_epoll_wait(ep, &got, 1, 50), 0);
        timer_delete(timer);
        mr_stop();
}
