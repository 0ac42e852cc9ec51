/* SPDX-License-Identifier: MIT */
/* tools/main.c - The `millrace` command: a table of subcommands */
#include "stack/conf_near.h"
#include "tools/cmd.h"

#include <string.h>

static const struct cmd *const cmds[] = {
        &cmd_httpd,
        &cmd_echo,
        &cmd_c10m,
        &cmd_bench,
        NULL,
};

static void usage(FILE *out)
{
        fprintf(out, "millrace %s - a TCP/IP stack inside the program that uses it\n\n"
                     "Usage: millrace COMMAND [OPTIONS]\n\nCommands:\n", mr_version());
        for (const struct cmd *const *c = cmds; *c; c++)
                fprintf(out, "  %-10s %s\n", (*c)->name, (*c)->summary);
        fprintf(out, "\n"
                     "  millrace COMMAND --help     its options\n"
                     "  millrace --help-options     every option of the stack, as Markdown\n"
                     "  millrace --version\n\n"
                     "To begin, as root:\n"
                     "  millrace httpd --dev tap:mr0 --addr 10.77.0.2/24 &\n"
                     "  sleep 1                                 # the server makes mr0\n"
                     "  ip addr add 10.77.0.1/24 dev mr0 && ip link set mr0 up\n"
                     "  curl http://10.77.0.2/\n\n");
        mr_conf_help(out, false);
}

static _Noreturn void unknown(const char *word)
{
        struct conf_near near;

        conf_near_begin(&near, word, strlen(word));
        for (const struct cmd *const *c = cmds; *c; c++)
                conf_near_offer(&near, (*c)->name);
        if (near.best)
                cmd_die("%s: no such command; did you mean %s?", word, near.best);
        cmd_die("%s: no such command; `millrace --help` lists them", word);
}

int main(int argc, char **argv)
{
        const char *word = argc > 1 ? argv[1] : "";

        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
                usage(stdout);
                return 0;
        }
        if (strcmp(word, "--version") == 0) {
                printf("millrace %s\n", mr_version());
                return 0;
        }
        if (strcmp(word, "--help-options") == 0) {
                mr_conf_help(stdout, true);
                return 0;
        }
        for (const struct cmd *const *c = cmds; *c; c++) {
                if (strcmp(word, (*c)->name) == 0)
                        return (*c)->run(argc - 1, argv + 1);
        }
        if (word[0] == '\0')
                cmd_die("which command?  `millrace --help` lists them");
        unknown(word);
}
