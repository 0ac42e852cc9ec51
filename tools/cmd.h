/* SPDX-License-Identifier: MIT */
/* tools/cmd.h - What the subcommands of `millrace` share
 *
 * A subcommand is a row of the table in main.c.  Most begin with cmd_begin()
 * or cmd_start(), run until cmd_stopped(), and end with cmd_end().
 */
#pragma once
#include <millrace/millrace.h>

#include <stdbool.h>
#include <stdint.h>

struct cmd {
        const char *name;
        const char *args;               /* for the usage line: "--dev DEVICE --addr ADDR/LEN [--port 80]" */
        const char *summary;            /* one line */
        int       (*run)(int argc, char **argv);        /* argv[0] is the subcommand; returns the exit status */
};

enum cmd_opt_kind {
        CMD_TEXT,                       /* const char * */
        CMD_NUMBER,                     /* uint64_t, with k, M, G of 1000 */
        CMD_SIZE,                       /* uint64_t, with k, M, G of 1024 */
        CMD_SECONDS,                    /* uint32_t, "75s"; 0 needs no unit */
        CMD_FLAG,                       /* bool, without a value */
};

/* An option of the subcommand itself. */
struct cmd_opt {
        const char       *name;         /* "port", without the dashes */
        enum cmd_opt_kind kind;
        void             *value;        /* holds the default */
        uint64_t          min, max;     /* of a number; max 0: no limit */
        const char       *help;
};

/**
 * cmd_begin() - Read the subcommand's options and those of the stack
 * @opts: ends with a NULL name
 * @conf: filled in from file, environment and flags; NULL: this subcommand has no stack
 *
 * --help prints both kinds and ends the program; a mistake prints one line and
 * ends it with status 1.  All arguments must be options.
 */
void cmd_begin(const struct cmd *cmd, int argc, char **argv, const struct cmd_opt *opts, struct mr_conf *conf);

/* mr_start() and signals: from here on cmd_stopped() tells of SIGINT and SIGTERM. */
void cmd_up(const struct mr_conf *conf);

/* cmd_begin() and cmd_up(). */
void cmd_start(const struct cmd *cmd, int argc, char **argv, const struct cmd_opt *opts, struct mr_conf *conf);

bool cmd_stopped(void);

/* Run @fn on every shard, all at once, until the last returns.  A shard that waits when the signal comes is woken. */
void cmd_run(void (*fn)(void *arg, uint32_t shard), void *arg);

/* For cmd_opt tables of those that call cmd_end(). */
extern const char *cmd_stats;
#define CMD_OPT_STATS { "stats", CMD_TEXT, &cmd_stats, 0, 0, "at the end print counters as text, json or none" }

/* Print the counters as --stats says, and mr_stop().  Returns 0, the exit status. */
int cmd_end(void);

/* Say why and end with status 1. */
__attribute__((format(printf, 1, 2))) _Noreturn void cmd_die(const char *fmt, ...);

/* A listening, non-blocking socket on every address, or cmd_die(). */
int cmd_listen(uint16_t port);

/* Octets as people read them: "204 MB"; returns @buf.  And "1,000,000". */
enum { CMD_TEXT_MAX = 32 };
const char *cmd_bytes_text(char buf[CMD_TEXT_MAX], uint64_t bytes);
const char *cmd_count_text(char buf[CMD_TEXT_MAX], uint64_t n);

extern const struct cmd cmd_httpd, cmd_echo, cmd_c10m, cmd_bench;
