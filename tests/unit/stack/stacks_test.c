/* SPDX-License-Identifier: MIT */
#include "tests/test.h"

#include <millrace/millrace.h>
#include <millrace/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACKS = 8 };

static struct mr_stack *stack_on(const char *dev, const char *addr, char *err, size_t err_len)
{
        static struct mr_conf conf;

        mr_conf_default(&conf);
        conf.max_conns = 1000;
        conf.log = MR_LOG_WARN;
        mr_conf_set(&conf, "dev", dev, NULL, 0);
        mr_conf_set(&conf, "addr", addr, NULL, 0);
        return mr_stack_new(&conf, err, err_len);
}

/* Goal:   two stacks in one process talk to each other, and their descriptors are never taken for one another's.
 * Method: a pair of loop: devices; connect, accept, pass data, attaching one and the other in turn.
 * Spec:   millrace/millrace.h, mr_stack_new() */
TEST(stacks_two_in_a_process)
{
        char err[256] = "", buf[8] = "";
        struct mr_stack *a = stack_on("loop:pair", "10.0.0.1/24", err, sizeof err);
        struct mr_stack *b = stack_on("loop:pair", "10.0.0.2/24", err, sizeof err);
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x0a000002) };
        int got = -1;

        REQUIRE(a && b);
        EXPECT(mr_stack_attach(b) == NULL);
        int listener = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        EXPECT_EQ(mr_bind(listener, (struct sockaddr *)&to, sizeof to), 0);
        EXPECT_EQ(mr_listen(listener, 5), 0);
        EXPECT(mr_stack_attach(a) == b);
        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        EXPECT_NE(fd, listener);
        EXPECT_EQ(mr_listen(listener, 5), -1);
        EXPECT_EQ(errno, EBADF);
        mr_connect(fd, (struct sockaddr *)&to, sizeof to);
        for (int i = 0; i < 1000 && got < 0; i++) {
                mr_stack_attach(a);
                mr_recv(fd, buf, sizeof buf, 0);                /* a turn */
                mr_stack_attach(b);
                got = mr_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        }
        REQUIRE(got >= 0);
        EXPECT_EQ(mr_send(got, "hello", 5, 0), 5);
        for (int i = 0; i < 1000 && buf[0] == 0; i++) {
                mr_stack_attach(b);
                mr_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                mr_stack_attach(a);
                mr_recv(fd, buf, sizeof buf, 0);
        }
        EXPECT_STR(buf, "hello");
        mr_stack_free(a);
        mr_stack_free(b);
}

/* Goal:   there is room for eight stacks, the ninth is told so, and a number that is given back can be had again.
 * Method: make them.
 * Spec:   millrace/millrace.h, mr_stack_new() */
TEST(stacks_eight_in_a_process)
{
        struct mr_stack *st[STACKS];
        char err[256] = "", dev[32], addr[32];

        for (int i = 0; i < STACKS; i++) {
                snprintf(dev, sizeof dev, "loop:n%d", i);
                snprintf(addr, sizeof addr, "10.0.%d.1/24", i);
                st[i] = stack_on(dev, addr, err, sizeof err);
                REQUIRE(st[i]);
        }
        EXPECT(!stack_on("loop:", "10.1.0.1/24", err, sizeof err));
        EXPECT_EQ(errno, EMFILE);
        EXPECT(strstr(err, "8 stacks"));
        mr_stack_free(st[3]);
        st[3] = stack_on("loop:", "10.1.0.1/24", err, sizeof err);
        EXPECT(st[3]);
        for (int i = 0; i < STACKS; i++)
                mr_stack_free(st[i]);
}

/* With @more descriptors than are open: what mr_stack_new() says, into @err. */
static void start_with_few(const struct mr_conf *conf, int more, char *err, size_t err_len)
{
        struct rlimit usual, few;

        REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
        int lowest = dup(0);
        close(lowest);
        few = (struct rlimit){ (rlim_t)lowest + (rlim_t)more, usual.rlim_max };
        REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
        EXPECT(!mr_stack_new(conf, err, err_len));
        EXPECT_EQ(errno, EMFILE);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
        EXPECT_EQ(dup(0), lowest);
        close(lowest);
}

/* Goal:   who has too few descriptors of the kernel is told so, and nothing is left open.
 * Method: limits of open files that end the bells of 16 shards, and their queues.
 * Spec:   millrace/millrace.h, errors
 */
TEST(stacks_without_descriptors)
{
        static struct mr_conf conf;
        char err[256] = "";

        mr_conf_default(&conf);
        conf.max_conns = 1000;
        conf.shards = 16;
        mr_conf_set(&conf, "dev", "loop:", NULL, 0);
        mr_conf_set(&conf, "addr", "10.0.0.1/24", NULL, 0);
        start_with_few(&conf, 8, err, sizeof err);
        EXPECT(strstr(err, "16 shards") && strstr(err, "ulimit -n"));
        start_with_few(&conf, 24, err, sizeof err);
        EXPECT(strstr(err, "loop:: its queue") && strstr(err, "ulimit -n"));
}
