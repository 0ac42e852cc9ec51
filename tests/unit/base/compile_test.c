/* SPDX-License-Identifier: MIT */
#include "base/units.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Write "-I" and the path of src/ into @flag.  This file's name is absolute, or
 * relative to the directory of the program (Meson's build root), or to where
 * the compiler was started. */
static bool find_src(char *flag, size_t size)
{
        static const char here[] = __FILE__;
        static const char tail[] = "tests/unit/base/compile_test.c";
        char exe[4096];
        ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

        exe[n > 0 ? n : 0] = '\0';
        char *slash = strrchr(exe, '/');
        if (slash)
                slash[1] = '\0';
        for (const char *base = exe;; base = "") {
                snprintf(flag, size, "-I%s%.*ssrc", base, (int)(sizeof here - sizeof tail), here);
                if (access(flag + 2, R_OK | X_OK) == 0)
                        return true;
                if (base[0] == '\0')
                        return false;
        }
}

/* Does @body compile inside a function, with all types of base/ known? */
static bool compiles(const char *src_flag, const char *body)
{
        int in[2];
        REQUIRE(pipe(in) == 0);
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                int null = open("/dev/null", O_WRONLY);
                dup2(in[0], 0);
                dup2(null, 1);
                dup2(null, 2);
                close(in[1]);
                execlp("cc", "cc", "-std=gnu17", "-fsyntax-only", src_flag, "-x", "c", "-", (char *)NULL);
                _exit(127);
        }
        close(in[0]);
        dprintf(in[1],
                "#include \"base/addr.h\"\n#include \"base/be.h\"\n#include \"base/seq.h\"\n"
                "int f(tcp_seq a, tcp_seq b, be16 n, be32 m, be64 w, struct ip_addr x, struct ip_addr y);\n"
                "int f(tcp_seq a, tcp_seq b, be16 n, be32 m, be64 w, struct ip_addr x, struct ip_addr y)\n"
                "{ %s }\n", body);
        close(in[1]);
        int status = 0;
        waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                test_skip("no C compiler named cc");
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Goal:   wrong use of sequence numbers, wire numbers and addresses does not compile.
 * Method: ask the compiler about each, and about its right twin, so that a
 *         failure is about the mistake and nothing else.
 * Spec:   base/seq.h, base/be.h
 */
TEST(compile_wrong_comparisons_do_not)
{
        static const struct {
                const char *wrong, *right;
        } pair[] = {
                { "return a < b;",                   "return seq_lt(a, b);" },
                { "return a == b;",                  "return seq_eq(a, b);" },
                { "return a - b;",                   "return seq_diff(a, b);" },
                { "a += 1; return a.raw == 0;",      "a = seq_add(a, 1); return a.raw == 0;" },
                { "a = 1; return a.raw == 0;",       "a = seq_of(1); return a.raw == 0;" },
                { "return seq_lt(a, 5);",            "return seq_lt(a, seq_of(5));" },
                { "return n == 80;",                 "return be16_get(n) == 80;" },
                { "uint16_t port = n; return port;", "uint16_t port = be16_get(n); return port;" },
                { "n = (uint16_t)80; (void)n; return 0;", "n = be16_put(80); (void)n; return 0;" },
                { "return be32_get(n) != 0;",        "return be32_get(m) != 0;" },
                { "return m < m;",                   "return be32_get(m) < be32_get(m);" },
                { "return w + 1;",                   "return (int)(be64_get(w) + 1);" },
                { "a = m; return 0;",                "a = seq_of(be32_get(m)); (void)a; return 0;" },
                { "return x == y;",                  "return ip_addr_eq(&x, &y);" },
        };
        char src[8192];

        if (!find_src(src, sizeof src))
                test_skip("the headers are not where this was compiled");
        for (size_t i = 0; i < ARRAY_LEN(pair); i++) {
                if (!compiles(src, pair[i].right))
                        test_fail(__FILE__, __LINE__, "does not compile: %s", pair[i].right);
                if (compiles(src, pair[i].wrong))
                        test_fail(__FILE__, __LINE__, "compiles: %s", pair[i].wrong);
        }
}
