/* SPDX-License-Identifier: MIT */
#include "tools/bench.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- options ---- */

void bench_opts_read(struct bench_opts *o)
{
        char *end;

        o->seconds = strtod(o->seconds_text, &end);
        if (*end == 's')
                end++;
        if (*end || end == o->seconds_text || !(o->seconds > 0) || o->seconds > 3600)
                cmd_die("--seconds %s: not a number of seconds; write it like 2 or 0.5", o->seconds_text);
}

/* 0: there is no number. */
static uint64_t list_item(const char *text, char **end)
{
        static const char units[] = "kMG";
        uint64_t n = strtoull(text, end, 10);

        const char *unit = **end ? strchr(units, **end == 'K' ? 'k' : **end) : NULL;
        if (unit) {
                for (const char *u = units; u <= unit; u++)
                        n *= 1000;
                (*end)++;
        }
        return n;
}

uint32_t bench_list(const char *option, const char *text, uint64_t out[BENCH_LIST_MAX], uint64_t max)
{
        const char *at = text;
        uint32_t cnt = 0;

        for (;;) {
                char *end;
                uint64_t n = list_item(at, &end);
                if (cnt == BENCH_LIST_MAX || n == 0 || n > max || (*end && *end != ','))
                        cmd_die("--%s %s: give up to %d numbers from 1 to %llu, like 1,1k,10M", option, text,
                                BENCH_LIST_MAX, (unsigned long long)max);
                out[cnt++] = n;
                if (!*end)
                        return cnt;
                at = end + 1;
        }
}

/* ---- time ---- */

double bench_now_s(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

double bench_tsc_hz(void)
{
        static double hz;

        if (hz == 0) {
                double began_s = bench_now_s(), now_s;
                uint64_t began = bench_tsc();
                do {
                        now_s = bench_now_s();
                } while (now_s - began_s < 0.02);
                hz = (double)(bench_tsc() - began) / (now_s - began_s);
        }
        return hz;
}

/* ---- cores ---- */

/* The cores that the process was given, before any thread of it was bound to one. */
static const cpu_set_t *given_cores(void)
{
        static cpu_set_t given;
        static bool known;

        if (!known)
                known = sched_getaffinity(0, sizeof given, &given) == 0;
        return &given;
}

uint32_t bench_cores(void) { return (uint32_t)CPU_COUNT(given_cores()); }

void bench_pin(uint32_t n)
{
        const cpu_set_t *given = given_cores();
        cpu_set_t one;

        CPU_ZERO(&one);
        n %= bench_cores();
        for (uint32_t core = 0; core < CPU_SETSIZE; core++) {
                if (!CPU_ISSET(core, given) || n-- > 0)
                        continue;
                CPU_SET(core, &one);
                break;
        }
        /* Where it is refused the figures are only noisier. */
        (void)sched_setaffinity(0, sizeof one, &one);
}

/* ---- samples ---- */

void bench_samples_init(struct bench_samples *s, uint64_t cap)
{
        *s = (struct bench_samples){ .value = malloc(cap * sizeof *s->value), .cap = cap };
        if (!s->value)
                cmd_die("no memory for %llu samples", (unsigned long long)cap);
        memset(s->value, 0xff, cap * sizeof *s->value);        /* page faults come now, not while we measure */
}

void bench_samples_fini(struct bench_samples *s)
{
        free(s->value);
        s->value = NULL;
}

static int compare_u32(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
        return (x > y) - (x < y);
}

void bench_samples_sort(struct bench_samples *s) { qsort(s->value, s->cnt, sizeof *s->value, compare_u32); }

double bench_percentile(const struct bench_samples *s, double part)
{
        if (s->cnt == 0)
                return 0;
        uint64_t at = (uint64_t)ceil(part * (double)s->cnt);
        return s->value[at ? at - 1 : 0];
}

/* ---- a process of its own ---- */

bool bench_apart(void (*work)(const void *arg, void *result), const void *arg, void *result, size_t size)
{
        int fds[2];

        given_cores();
        if (pipe(fds) < 0)
                cmd_die("no pipe: %s", strerror(errno));
        fflush(NULL);
        pid_t pid = fork();
        if (pid < 0)
                cmd_die("no process: %s", strerror(errno));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGTERM);
                close(fds[0]);
                work(arg, result);
                fflush(NULL);
                _exit(write(fds[1], result, size) == (ssize_t)size ? 0 : 1);
        }
        close(fds[1]);
        bool ok = read(fds[0], result, size) == (ssize_t)size;
        close(fds[0]);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                continue;
        return ok;
}
