/* SPDX-License-Identifier: MIT */
/* The modules of base/ that are too small for a file each: log, check, rnd, units. */
#include "base/check.h"
#include "base/log.h"
#include "base/rnd.h"
#include "base/units.h"
#include "tests/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct heard {
        enum log_level level;
        int            lines;
        char           last[1024];
};

static void listen_to(void *arg, enum log_level level, const char *line)
{
        struct heard *h = arg;
        h->level = level;
        h->lines++;
        snprintf(h->last, sizeof h->last, "%s", line);
}

/* Goal:   the sink hears lines up to the level set, whole or cut to the buffer.
 * Method: a sink of our own.
 * Spec:   base/log.h
 */
TEST(log_sink_and_level)
{
        static struct heard h;
        char much[2000];

        log_set_sink(listen_to, &h);
        log_info("tap:%s is up", "mr0");
        EXPECT_STR(h.last, "tap:mr0 is up");
        EXPECT_EQ(h.level, LOG_INFO);
        log_debug("not heard");
        EXPECT_EQ(h.lines, 1);
        log_set_level(LOG_ERROR);
        log_warn("not heard");
        EXPECT_EQ(h.lines, 1);
        log_error("heard");
        EXPECT_EQ(h.lines, 2);
        EXPECT_EQ(h.level, LOG_ERROR);

        memset(much, 'x', sizeof much - 1);
        much[sizeof much - 1] = '\0';
        log_error("%s", much);
        EXPECT_GT(strlen(h.last), 100);
        EXPECT_LT(strlen(h.last), sizeof much - 1);
        log_set_sink(NULL, NULL);
        log_set_level(LOG_INFO);
}

/* Goal:   a failed ASSERT() ends the program by abort() and says where; a true one does nothing.
 * Method: a process of its own; read what it says.
 * Spec:   base/check.h
 */
TEST(check_assert)
{
        int out[2];
        int one = 1;
        char said[512] = "";

        ASSERT(one == 1);
        REQUIRE(pipe(out) == 0);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                signal(SIGABRT, SIG_DFL);
                dup2(out[1], 2);
                ASSERT(one == 2);
                _exit(0);
        }
        close(out[1]);
        ssize_t n = 0, got;
        while ((got = read(out[0], said + n, sizeof said - 1 - (size_t)n)) > 0)
                n += got;
        int status = 0;
        waitpid(pid, &status, 0);
        EXPECT(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
        EXPECT(strstr(said, "one == 2") != NULL);
        EXPECT(strstr(said, "small_test.c") != NULL);
}

/* Goal:   the same seed gives the same numbers, another seed others.
 * Method: compare; the first number of seed 1 is fixed, so that runs recorded
 *         by their seeds stay what they were.
 * Spec:   base/rnd.h
 */
TEST(rnd_is_its_seed)
{
        struct rnd a, b, c;
        uint64_t x = 0;

        /* The first output of splitmix64 from 0, as published with the algorithm. */
        EXPECT(rnd_splitmix(&x) == 0xe220a8397b1dcdaf);
        rnd_seed(&a, 1);
        rnd_seed(&b, 1);
        rnd_seed(&c, 2);
        for (int i = 0; i < 1000; i++) {
                uint64_t v = rnd_u64(&a);
                EXPECT(v == rnd_u64(&b));
                EXPECT(v != rnd_u64(&c));
        }
        a = (struct rnd){ { 1, 2, 3, 4 } };
        EXPECT_EQ(rnd_u64(&a), 11520);
        EXPECT_EQ(rnd_u64(&a), 0);
        EXPECT_EQ(rnd_u64(&a), 1509978240);
}

/* Goal:   rnd_below() keeps its bound and reaches every value; rnd_chance() has its probability.
 * Method: 100,000 draws; each of 10 values within 5 sigma of 10,000.
 * Spec:   base/rnd.h
 */
TEST(rnd_bounds)
{
        uint32_t hit[10] = { 0 }, lucky = 0;
        struct rnd r;

        rnd_seed(&r, 3);
        for (int i = 0; i < 100000; i++) {
                uint32_t v = rnd_below(&r, 10);
                REQUIRE(v < 10);
                hit[v]++;
                lucky += rnd_chance(&r, 10000) != 0;
        }
        for (int i = 0; i < 10; i++)
                EXPECT(hit[i] > 9500 && hit[i] < 10500);
        EXPECT(lucky > 840 && lucky < 1160);
        EXPECT_EQ(rnd_below(&r, 0), 0);
        EXPECT_EQ(rnd_below(&r, 1), 0);
        EXPECT_EQ(rnd_chance(&r, 0), 0);
        EXPECT_EQ(rnd_chance(&r, 1000000), 1);
}

/* Goal:   units do not overflow where an int would.
 * Method: values beyond 2^32.
 * Spec:   base/units.h
 */
TEST(units)
{
        struct { int first; uint64_t second; } rec;

        EXPECT(SEC(5) == 5000000000u);
        EXPECT(MS(5000) == SEC(5) && US(5000000) == SEC(5) && NS(5) == 5);
        EXPECT(GiB(64) == 68719476736u && KiB(1024) == MiB(1));
        EXPECT_EQ(ALIGN_UP(1, 4096), 4096);
        EXPECT_EQ(ALIGN_UP(4096, 4096), 4096);
        EXPECT((void *)CONTAINER_OF(&rec.second, __typeof__(rec), second) == (void *)&rec);
        EXPECT(u64_min(1, UINT64_MAX) == 1 && u64_max(1, UINT64_MAX) == UINT64_MAX);
        EXPECT(u32_min(7, 3) == 3 && u32_max(7, 3) == 7);
}
