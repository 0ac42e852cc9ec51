/* SPDX-License-Identifier: MIT */
#include "tests/test.h"

#include <millrace/millrace.h>
#include <millrace/socket.h>
#include <millrace/zerocopy.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>

static struct mr_stack *stack_on(const char *dev, const char *addr)
{
        static struct mr_conf conf;
        char err[256] = "";

        mr_conf_default(&conf);
        conf.max_conns = 1000;
        conf.log = MR_LOG_WARN;
        mr_conf_set(&conf, "dev", dev, NULL, 0);
        mr_conf_set(&conf, "addr", addr, NULL, 0);
        return mr_stack_new(&conf, err, sizeof err);
}

/* Turns of both until something can be borrowed at @at's @fd; loans. */
static int borrow(struct mr_stack *other, int poke, struct mr_stack *at, int fd, struct mr_loan *loan, int max)
{
        char none[1];
        int n = -1;

        for (int i = 0; i < 1000 && n < 0; i++) {
                mr_stack_attach(other);
                mr_recv(poke, none, sizeof none, MSG_DONTWAIT); /* a turn */
                mr_stack_attach(at);
                n = mr_recv_borrow(fd, loan, max, MSG_DONTWAIT);
        }
        return n;
}

/* Goal:   the calls of zerocopy.h do what they say, errno included, and a stack that ends takes along what is lent.
 * Method: two stacks on a pair of loop: devices; 60,000 octets written and read in place; a loan offered to the
 *         wrong stack; then the stacks are freed while a loan and a reservation are outstanding.
 * Spec:   millrace/zerocopy.h */
TEST(zerocopy_api)
{
        struct mr_stack *a = stack_on("loop:pair", "10.0.0.1/24"), *b = stack_on("loop:pair", "10.0.0.2/24");
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x0a000002) };
        struct mr_loan loan[16] = { 0 };
        struct iovec room;
        uint32_t got = 0;
        int at_b = -1, n;

        REQUIRE(a && b);
        mr_stack_attach(NULL);
        EXPECT_EQ(mr_recv_borrow(0, loan, 1, 0), -1);
        EXPECT_EQ(errno, ENXIO);
        EXPECT_EQ(mr_loan_return(loan, 1), -1);
        EXPECT_EQ(errno, ENXIO);
        mr_stack_attach(b);
        int listener = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        REQUIRE(mr_bind(listener, (struct sockaddr *)&to, sizeof to) == 0 && mr_listen(listener, 5) == 0);
        mr_stack_attach(a);
        int at_a = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        mr_connect(at_a, (struct sockaddr *)&to, sizeof to);
        for (int i = 0; i < 1000 && at_b < 0; i++) {
                mr_stack_attach(a);
                mr_recv(at_a, &n, 1, 0);
                mr_stack_attach(b);
                at_b = mr_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        }
        REQUIRE(at_b >= 0);

        EXPECT_EQ(mr_send_reserve(at_b, 60000, &room, 0), 60000);
        EXPECT_EQ(room.iov_len, 60000);
        EXPECT_EQ(mr_send_reserve(at_b, 1, &room, 0), -1);
        EXPECT_EQ(errno, EBUSY);
        for (uint32_t i = 0; i < 60000; i++)
                ((uint8_t *)room.iov_base)[i] = (uint8_t)(i * 7);
        EXPECT_EQ(mr_send_commit(at_b, 60000, 0), 60000);
        while (got < 60000 && (n = borrow(b, at_b, a, at_a, loan, 16)) > 0) {
                for (int i = 0; i < n; i++) {
                        const uint8_t *data = loan[i].data;
                        for (uint32_t k = 0; k < loan[i].len; k++)
                                REQUIRE(data[k] == (uint8_t)((got + k) * 7));
                        got += loan[i].len;
                }
                mr_stack_attach(b);
                EXPECT_EQ(mr_loan_return(loan, n), -1);
                EXPECT_EQ(errno, EINVAL);
                mr_stack_attach(a);
                EXPECT_EQ(mr_loan_return(loan, n), 0);
                EXPECT_EQ(mr_loan_return(loan, n), -1);
                EXPECT_EQ(errno, EINVAL);
        }
        EXPECT_EQ(got, 60000);

        /* On to a connection of its own, and back. */
        mr_stack_attach(b);
        EXPECT_EQ(mr_send(at_b, "ping", 4, 0), 4);
        REQUIRE(borrow(b, at_b, a, at_a, loan, 1) == 1);
        EXPECT_EQ(mr_send_loan(at_a, loan, 0), 4);
        EXPECT_EQ(loan[0].data == NULL, true);
        REQUIRE(borrow(a, at_a, b, at_b, loan, 1) == 1);
        EXPECT_MEM(loan[0].data, "ping", 4);

        /* EPIPE with its signal, unless it is not wanted. */
        EXPECT_EQ(mr_shutdown(at_b, SHUT_WR), 0);
        EXPECT_EQ(mr_send_reserve(at_b, 1, &room, MSG_NOSIGNAL), -1);
        EXPECT_EQ(errno, EPIPE);
        signal(SIGPIPE, SIG_IGN);
        EXPECT_EQ(mr_send_loan(at_b, loan, 0), -1);
        EXPECT_EQ(errno, EPIPE);
        mr_stack_attach(a);
        EXPECT_EQ(mr_send_reserve(at_a, 100, &room, 0), 100);
        mr_stack_free(a);
        mr_stack_free(b);
}
