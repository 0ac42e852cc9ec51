/* SPDX-License-Identifier: MIT */
#include "tools/cmd.h"
#include "stack/conf_near.h"

#include <millrace/socket.h>
#include <millrace/stats.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

const char *cmd_stats = "none";

static atomic_bool stopped;
static struct mr_stack *_Atomic stack;        /* as long as it lives */

static void on_signal(int sig)
{
        (void)sig;
        atomic_store(&stopped, true);
        if (stack)
                mr_stack_wake(stack);
}

bool cmd_stopped(void) { return atomic_load_explicit(&stopped, memory_order_relaxed); }

void cmd_run(void (*fn)(void *arg, uint32_t shard), void *arg)
{
        int rc = mr_stack_run(stack, fn, arg);
        if (rc < 0)
                cmd_die("the shards cannot all begin: %s; do cpus exist, and are there threads left?", strerror(-rc));
}

void cmd_die(const char *fmt, ...)
{
        va_list ap;

        fputs("millrace: ", stderr);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(1);
}

/* ---- options ---- */

static void help(const struct cmd *cmd, const struct cmd_opt *opts, bool with_stack)
{
        printf("Usage: millrace %s %s\n\n%s\n\nOptions of this command:\n", cmd->name, cmd->args, cmd->summary);
        for (const struct cmd_opt *o = opts; o->name; o++) {
                char flag[40];
                snprintf(flag, sizeof flag, "--%s", o->name);
                printf("  %-22s %s", flag, o->help);
                if (o->kind == CMD_TEXT && *(const char **)o->value)
                        printf(" (%s)", *(const char **)o->value);
                else if (o->kind == CMD_SECONDS)
                        printf(" (%us)", *(uint32_t *)o->value);
                else if (o->kind == CMD_NUMBER || o->kind == CMD_SIZE)
                        printf(" (%llu)", (unsigned long long)*(uint64_t *)o->value);
                printf("\n");
        }
        printf("\n");
        if (with_stack)
                mr_conf_help(stdout, false);
}

static _Noreturn void not_a_number(const struct cmd_opt *o, const char *text)
{
        if (o->kind == CMD_SECONDS)
                cmd_die("--%s %s: not a number of seconds; write it like 75s", o->name, text);
        if (o->max == 0)
                cmd_die("--%s %s: not a number; write it like 80, 10k or 2M", o->name, text);
        cmd_die("--%s %s: not a number from %llu to %llu; write it like 80, 10k or 2M", o->name, text,
                (unsigned long long)o->min, (unsigned long long)o->max);
}

/* What stands behind the digits: multiplies *@n; false: it is no unit of this kind of number. */
static bool apply_suffix(const struct cmd_opt *o, const char *suffix, uint64_t *n)
{
        static const char suffixes[] = "kMG";
        uint64_t factor = o->kind == CMD_SIZE ? 1024 : 1000;

        if (o->kind == CMD_SECONDS)
                return strcmp(suffix, "s") == 0;
        if (*suffix == '\0')
                return true;
        const char *last = strchr(suffixes, *suffix == 'K' ? 'k' : *suffix);
        if (!last || suffix[1] != '\0')
                return false;
        for (const char *s = suffixes; s <= last; s++) {
                if (__builtin_mul_overflow(*n, factor, n))
                        return false;
        }
        return true;
}

static uint64_t parse_number(const struct cmd_opt *o, const char *text)
{
        char *end;

        errno = 0;
        uint64_t n = strtoull(text, &end, 10);
        if (errno != 0 || text[0] < '0' || text[0] > '9')
                not_a_number(o, text);
        /* As with the stack's durations only 0 goes without a unit. */
        if (o->kind == CMD_SECONDS && *end == '\0' && n != 0)
                cmd_die("--%s %s: unit is missing; write it like 75s", o->name, text);
        if (!(n == 0 && *end == '\0') && !apply_suffix(o, end, &n))
                not_a_number(o, text);
        uint64_t max = o->max ? o->max : o->kind == CMD_SECONDS ? UINT32_MAX : UINT64_MAX;
        if (n < o->min || n > max)
                cmd_die("--%s %s: out of range; give %llu to %llu", o->name, text, (unsigned long long)o->min,
                        (unsigned long long)max);
        return n;
}

static void opt_set(const struct cmd_opt *o, const char *text)
{
        switch (o->kind) {
        case CMD_TEXT: *(const char **)o->value = text; break;
        case CMD_NUMBER:
        case CMD_SIZE: *(uint64_t *)o->value = parse_number(o, text); break;
        case CMD_SECONDS: *(uint32_t *)o->value = (uint32_t)parse_number(o, text); break;
        case CMD_FLAG: *(bool *)o->value = true; break;
        }
}

static const struct cmd_opt *opt_find(const struct cmd_opt *opts, const char *name, size_t len)
{
        for (const struct cmd_opt *o = opts; o->name; o++) {
                if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
                        return o;
        }
        return NULL;
}

/* The option, ours or the stack's, whose name is most like @name; NULL: none is. */
static const char *nearest(const struct cmd_opt *opts, const char *name, bool with_stack)
{
        const char *of_stack = with_stack ? mr_conf_nearest(name) : NULL;
        struct conf_near near;

        conf_near_begin(&near, name, strlen(name));
        for (const struct cmd_opt *o = opts; o->name; o++)
                conf_near_offer(&near, o->name);
        if (of_stack)
                conf_near_offer(&near, of_stack);
        return near.best;
}

static _Noreturn void unknown(const struct cmd *cmd, const struct cmd_opt *opts, const char *arg, bool with_stack)
{
        char flag[64];

        if (arg[0] != '-')
                cmd_die("%s: not an option; %s takes options only, `millrace %s --help` lists them", arg, cmd->name,
                        cmd->name);
        int len = (int)strcspn(arg, "=");
        snprintf(flag, sizeof flag, "%.*s", len, arg);
        const char *near = strncmp(flag, "--", 2) == 0 ? nearest(opts, flag + 2, with_stack) : NULL;
        if (!near)
                cmd_die("%.*s: no such option; `millrace %s --help` lists them", len, arg, cmd->name);
        snprintf(flag, sizeof flag, "--%s", near);
        for (char *c = flag; *c; c++)
                *c = *c == '_' ? '-' : *c;
        cmd_die("%.*s: no such option; did you mean %s?", len, arg, flag);
}

static bool asks_for_help(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return true;
        }
        return false;
}

void cmd_begin(const struct cmd *cmd, int argc, char **argv, const struct cmd_opt *opts, struct mr_conf *conf)
{
        char err[512];

        if (asks_for_help(argc, argv)) {
                help(cmd, opts, conf != NULL);
                exit(0);
        }
        if (conf) {
                mr_conf_default(conf);
                if (mr_conf_args(conf, &argc, argv, err, sizeof err) < 0)
                        cmd_die("%s", err);
        }
        for (int i = 1; i < argc; i++) {
                size_t len = strncmp(argv[i], "--", 2) == 0 ? strcspn(argv[i] + 2, "=") : 0;
                const struct cmd_opt *o = len ? opt_find(opts, argv[i] + 2, len) : NULL;
                if (!o)
                        unknown(cmd, opts, argv[i], conf != NULL);
                if (o->kind == CMD_FLAG)
                        opt_set(o, NULL);
                else if (argv[i][2 + len] == '=')
                        opt_set(o, argv[i] + 2 + len + 1);
                else if (i + 1 < argc)
                        i++, opt_set(o, argv[i]);
                else
                        cmd_die("%s: its value is missing; write %s VALUE", argv[i], argv[i]);
        }
}

/* ---- start and end ---- */

static uint32_t v4_of(const struct mr_prefix *p)
{
        uint32_t be;
        memcpy(&be, p->addr + 12, 4);
        return ntohl(be);
}

static void v4_text(char *buf, uint32_t addr)
{
        struct in_addr in = { htonl(addr) };
        inet_ntop(AF_INET, &in, buf, INET_ADDRSTRLEN);
}

/* The kernel's side of a new TAP device has no address yet: say how to give it one. */
static void tap_hint(const struct mr_conf_iface *iface)
{
        const char *tap = strstr(iface->dev, "tap:");
        unsigned bits = iface->addrs[0].len - 96;
        char ours[INET_ADDRSTRLEN], theirs[INET_ADDRSTRLEN];

        if (!tap || iface->addr_cnt == 0 || bits > 30)
                return;
        uint32_t mask = bits ? ~0u << (32 - bits) : 0;
        uint32_t addr = v4_of(&iface->addrs[0]);
        uint32_t kernel = (addr & mask) + ((addr & ~mask) == 1 ? 2 : 1);
        int name_len = (int)strcspn(tap + 4, ",?");
        v4_text(ours, addr);
        v4_text(theirs, kernel);
        fprintf(stderr, "millrace: to reach %s from this machine: ip addr add %s/%u dev %.*s && ip link set %.*s up\n",
                ours, theirs, bits, name_len, tap + 4, name_len, tap + 4);
}

void cmd_up(const struct mr_conf *conf)
{
        struct sigaction act = { .sa_handler = on_signal };     /* no SA_RESTART: a waiting call ends with EINTR */
        char err[512];

        if (strcmp(cmd_stats, "none") != 0 && strcmp(cmd_stats, "text") != 0 && strcmp(cmd_stats, "json") != 0)
                cmd_die("--stats %s: no such form; give one of text, json, none", cmd_stats);
        if (mr_start(conf, err, sizeof err) < 0)
                cmd_die("%s", err);
        stack = mr_stack_current();
        sigaction(SIGINT, &act, NULL);
        sigaction(SIGTERM, &act, NULL);
        signal(SIGPIPE, SIG_IGN);
        for (uint32_t i = 0; i < conf->iface_cnt; i++)
                tap_hint(&conf->ifaces[i]);
}

void cmd_start(const struct cmd *cmd, int argc, char **argv, const struct cmd_opt *opts, struct mr_conf *conf)
{
        cmd_begin(cmd, argc, argv, opts, conf);
        cmd_up(conf);
}

int cmd_end(void)
{
        if (strcmp(cmd_stats, "none") != 0)
                mr_stats_print(stdout, strcmp(cmd_stats, "json") == 0);
        stack = NULL;
        mr_stop();
        return fflush(stdout) == 0 ? 0 : 1;
}

int cmd_listen(uint16_t port)
{
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
        int one = 1;

        int fd = mr_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fd < 0)
                cmd_die("no socket: %s", strerror(errno));
        mr_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        /* Accepted sockets inherit it: what a server writes at once is whole. */
        mr_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (mr_bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || mr_listen(fd, 4096) < 0)
                cmd_die("port %u: %s; choose another with --port", port, strerror(errno));
        return fd;
}

/* ---- numbers ---- */

const char *cmd_bytes_text(char buf[CMD_TEXT_MAX], uint64_t bytes)
{
        static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
        double n = (double)bytes;
        int unit = 0;

        while (n >= 1000 && unit < 4) {
                n /= 1000;
                unit++;
        }
        snprintf(buf, CMD_TEXT_MAX, n < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", n, units[unit]);
        return buf;
}

const char *cmd_count_text(char buf[CMD_TEXT_MAX], uint64_t n)
{
        char digits[24];
        int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
        char *to = buf;

        for (int i = 0; i < len; i++) {
                if (i > 0 && (len - i) % 3 == 0)
                        *to++ = ',';
                *to++ = digits[i];
        }
        *to = '\0';
        return buf;
}
