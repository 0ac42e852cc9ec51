/* SPDX-License-Identifier: MIT */
/* tests/test.h - The test harness: write TEST(name) { ... } and it is run
 *
 * Tests register themselves; to add one, make a file *_test.c.  Each test runs
 * in a process of its own, so a crash or a hang (60 s) is one failed test.
 *
 *      build/unit                       run all
 *      build/unit wheel                 run those whose name contains "wheel"
 *      build/unit -l                    list them
 *      build/unit -1 NAME               run in this process (for gdb)
 *
 * A test begins with Goal, Method and Spec.  EXPECT goes on after a failure,
 * REQUIRE ends the test.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct test {
        const char  *name;
        const char  *file;
        void       (*run)(void);
        struct test *next;
};

void test_register(struct test *t);
void test_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void test_stop(void);
/* Leave the test as skipped; the reason is printed. */
_Noreturn void test_skip(const char *why);
/* Printed when the test fails: the command that repeats it, a seed. */
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A part of the stack has come to its end: remember which drop reasons it has produced.  After all
 * tests scripts/test.py tells which reasons none has ever produced: holes in the tests. */
struct counters;
void test_saw(const struct counters *c);

#define TEST(test_name)                                                                 \
        static void test_name(void);                                                    \
        __attribute__((constructor)) static void test_name##_register(void)             \
        {                                                                               \
                static struct test t = { #test_name, __FILE__, test_name, NULL };       \
                test_register(&t);                                                      \
        }                                                                               \
        static void test_name(void)

#define EXPECT(cond)  do { if (!(cond)) test_fail(__FILE__, __LINE__, "%s", #cond); } while (0)
#define REQUIRE(cond) do { if (!(cond)) { test_fail(__FILE__, __LINE__, "%s", #cond); test_stop(); } } while (0)

#define EXPECT_CMP_(a, op, b)                                                                   \
        do {                                                                                    \
                long long va_ = (long long)(a), vb_ = (long long)(b);                           \
                if (!(va_ op vb_))                                                              \
                        test_fail(__FILE__, __LINE__, "%s " #op " %s, but they are %lld and %lld", #a, #b, va_, vb_); \
        } while (0)
#define EXPECT_EQ(a, b) EXPECT_CMP_(a, ==, b)
#define EXPECT_NE(a, b) EXPECT_CMP_(a, !=, b)
#define EXPECT_LT(a, b) EXPECT_CMP_(a, <, b)
#define EXPECT_LE(a, b) EXPECT_CMP_(a, <=, b)
#define EXPECT_GT(a, b) EXPECT_CMP_(a, >, b)
#define EXPECT_GE(a, b) EXPECT_CMP_(a, >=, b)
#define EXPECT_STR(a, b)                                                                        \
        do {                                                                                    \
                const char *sa_ = (a), *sb_ = (b);                                              \
                if (strcmp(sa_, sb_) != 0)                                                      \
                        test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a, sa_, sb_); \
        } while (0)
#define EXPECT_MEM(a, b, len) \
        do { if (memcmp((a), (b), (len)) != 0) test_fail(__FILE__, __LINE__, "%s and %s differ", #a, #b); } while (0)
