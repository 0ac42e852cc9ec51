/* SPDX-License-Identifier: MIT */
#include "tests/test.h"
#include "base/counters.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77, TEST_SECONDS_MAX = 60 };

static struct test *tests;
static int          failures;
static char         note[512];

void test_register(struct test *t)
{
        struct test **at = &tests;
        while (*at && (strcmp((*at)->file, t->file) < 0 ||
                       (strcmp((*at)->file, t->file) == 0 && strcmp((*at)->name, t->name) < 0)))
                at = &(*at)->next;
        t->next = *at;
        *at = t;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
        va_list ap;

        failures++;
        printf("  %s:%d: ", file, line);
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        printf("\n");
        fflush(stdout);
}

void test_note(const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(note, sizeof note, fmt, ap);
        va_end(ap);
}

void test_stop(void)
{
        if (note[0])
                printf("  note: %s\n", note);
        fflush(stdout);
        exit(failures ? EXIT_FAILED : 0);
}

void test_skip(const char *why)
{
        printf("  skipped: %s\n", why);
        fflush(stdout);
        exit(EXIT_SKIPPED);
}

/* One short write a test end, appended whole: tests of several programs may share the file. */
void test_saw(const struct counters *c)
{
        const char *path = getenv("DROPS_SEEN");
        char line[DROP_CNT * 32] = "";
        size_t len = 0;

        if (!path)
                return;
        for (int why = 1; why < DROP_CNT; why++)
                if (c->drop[why])
                        len += (size_t)snprintf(line + len, sizeof line - len, "%s\n", drop_infos[why].name);
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
        if (fd < 0 || write(fd, line, len) != (ssize_t)len)
                perror(path);
        close(fd);
}

static void run_here(const struct test *t)
{
        t->run();
        if (failures)
                test_stop();
}

/* Returns the exit status, or 128 + the signal that ended it. */
static int run_apart(const struct test *t)
{
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                alarm(TEST_SECONDS_MAX);
                run_here(t);
                exit(0);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
        const char *filter = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
        int passed = 0, failed = 0, skipped = 0;

        if (argc > 1 && strcmp(argv[1], "-l") == 0) {
                for (struct test *t = tests; t; t = t->next)
                        printf("%s\n", t->name);
                return 0;
        }
        if (argc > 2 && strcmp(argv[1], "-1") == 0) {
                for (struct test *t = tests; t; t = t->next)
                        if (strcmp(t->name, argv[2]) == 0)
                                run_here(t);
                return 0;
        }
        for (struct test *t = tests; t; t = t->next) {
                if (!strstr(t->name, filter))
                        continue;
                int rc = run_apart(t);
                if (rc == 0) {
                        passed++;
                } else if (rc == EXIT_SKIPPED) {
                        skipped++;
                } else {
                        failed++;
                        if (rc > 128)
                                printf("  ended by signal %d%s\n", rc - 128, rc - 128 == SIGALRM ? " (took too long)" : "");
                        printf("FAILED %s (%s)   repeat: %s -1 %s\n", t->name, t->file, argv[0], t->name);
                }
        }
        printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
        return failed || !passed;
}
