/* SPDX-License-Identifier: MIT */
/* stack/conf_source.c - Where options come from: a file, the environment, flags
 *
 * Each source is a list of (name, value) with its own way of naming the input
 * in an error.  Interfaces are a list, so "later overrides earlier" needs a
 * rule: the first device that a source names throws away those of the sources
 * before it.
 */
#include "stack/conf_near.h"
#include "stack/conf_priv.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct source {
        struct mr_conf *conf;
        const char     *dev_like;       /* how a device is named in this source */
        bool            named_dev;      /* this source has named a device already */
};

static bool is_of_iface(const char *name)
{
        return strcmp(name, "addr") == 0 || strcmp(name, "local") == 0 || strcmp(name, "mtu") == 0 ||
               strcmp(name, "vlan") == 0;
}

static int source_set(struct source *src, const struct conf_option *o, const char *value, struct conf_why *why)
{
        if (strcmp(o->name, "dev") == 0 && !src->named_dev) {
                src->named_dev = true;
                src->conf->iface_cnt = 0;
        }
        if (is_of_iface(o->name) && src->conf->iface_cnt == 0)
                return conf_refuse(why, "belongs to a device; name one first, like %s", src->dev_like);
        return conf_option_set(src->conf, o, value, why);
}

/* The reason names the item of a list that is wrong.  The caller has named all of @value
 * already: where the item is all of it, once is enough. */
static const char *reason(const char *value, const struct conf_why *why)
{
        size_t len = strlen(value);

        if (len > 0 && strncmp(why->text, value, len) == 0 && strncmp(why->text + len, ": ", 2) == 0)
                return why->text + len + 2;
        return why->text;
}

/* ---- did you mean ---- */

const char *mr_conf_nearest(const char *name)
{
        struct conf_near near;

        conf_near_begin(&near, name, strlen(name));
        for (uint32_t i = 0; i < conf_option_cnt; i++)
                conf_near_offer(&near, conf_options[i].name);
        return near.best;
}

/* ---- the file ---- */

enum { SECTION_NONE, SECTION_STACK, SECTION_IFACE };

struct file {
        struct source src;
        FILE         *in;
        const char   *path;
        char         *err;
        size_t        err_len;
        int           section;
        int           line;
        int           rc;               /* of the first error; then the rest is skipped */
};

__attribute__((format(printf, 2, 3))) static void file_fail(struct file *f, const char *fmt, ...)
{
        char what[256];
        va_list ap;

        if (f->rc < 0)
                return;
        va_start(ap, fmt);
        vsnprintf(what, sizeof what, fmt, ap);
        va_end(ap);
        conf_err(f->err, f->err_len, "%s line %d: %s", f->path, f->line, what);
        f->rc = -EINVAL;
}

static void file_section(struct file *f, char *name)
{
        struct conf_why why;

        name[strcspn(name, "]\n")] = '\0';
        if (strcmp(name, "stack") == 0) {
                f->section = SECTION_STACK;
        } else if (strncmp(name, "iface ", 6) == 0) {
                const char *dev = name + 6 + strspn(name + 6, " ");
                f->section = SECTION_IFACE;
                if (source_set(&f->src, conf_option_find("dev", 3), dev, &why) < 0)
                        file_fail(f, "[iface %s]: %s", dev, why.text);
        } else {
                file_fail(f, "no such section [%s]; there are [stack] and [iface DEVICE]", name);
        }
}

/* inih's reader.  Sections are noticed here, because inih cuts their names at 50
 * octets, which is short for a device with decorators, and does not tell of those
 * without an entry. */
static char *file_line(char *buf, int size, void *stream)
{
        struct file *f = stream;

        if (f->rc < 0 || !fgets(buf, size, f->in))
                return NULL;
        f->line++;
        size_t len = strlen(buf);
        if (len > 0 && buf[len - 1] != '\n' && !feof(f->in)) {
                file_fail(f, "longer than %d octets; split it", size - 2);
                return NULL;
        }
        char *text = buf + strspn(buf, " \t");
        if (*text == '[') {
                char name[256];
                snprintf(name, sizeof name, "%s", text + 1);
                file_section(f, name);
                strcpy(buf, "[s]\n");
        }
        return buf;
}

static int file_entry(void *user, const char *section, const char *name, const char *value)
{
        struct file *f = user;
        const struct conf_option *o = conf_option_find(name, strlen(name));
        struct conf_why why;

        if (f->rc < 0)
                return 0;
        if (!o) {
                const char *near = mr_conf_nearest(name);
                file_fail(f, "%s: no such option%s%s%s", name, near ? "; did you mean " : "", near ? near : "",
                          near ? "?" : "; docs/configuration.md lists them");
        } else if (f->section == SECTION_NONE) {
                file_fail(f, "%s stands before any section; begin with [stack]", name);
        } else if (f->section == SECTION_IFACE && !is_of_iface(o->name)) {
                file_fail(f, "%s is not of a device; put it under [stack]", name);
        } else if (f->section == SECTION_STACK && (is_of_iface(o->name) || strcmp(o->name, "dev") == 0)) {
                file_fail(f, "%s is of a device; put it under [iface DEVICE]", name);
        } else if (source_set(&f->src, o, value, &why) < 0) {
                file_fail(f, "%s = %s: %s", name, value, reason(value, &why));
        }
        return f->rc == 0;
}

int mr_conf_file(struct mr_conf *conf, const char *path, char *err, size_t err_len)
{
        struct file f = { .src = { conf, "[iface tap:mr0]" }, .path = path, .err = err, .err_len = err_len };

        f.in = fopen(path, "re");
        if (!f.in) {
                int rc = -errno;
                conf_err(err, err_len, "%s: %s; give --conf a file that can be read", path, strerror(-rc));
                return rc;
        }
        int bad_line = ini_parse_stream(file_line, &f, file_entry, &f);
        fclose(f.in);
        if (f.rc == 0 && bad_line != 0) {
                f.line = bad_line;
                file_fail(&f, "not understood; write `name = value` or [section]");
        }
        return f.rc;
}

/* ---- the environment ---- */

static const char env_prefix[] = "MILLRACE_";

static void env_name(char buf[64], const char *option)
{
        int len = snprintf(buf, 64, "%s%s", env_prefix, option);
        for (int i = 0; i < len; i++)
                buf[i] = (char)toupper((unsigned char)buf[i]);
}

/* Other programs may have variables with our prefix; those that look like a slip are refused. */
static int env_check_names(char *err, size_t err_len)
{
        for (char **e = environ; e && *e; e++) {
                char name[CONF_NEAR_MAX + 1] = "", near_env[64];
                if (strncmp(*e, env_prefix, sizeof env_prefix - 1) != 0)
                        continue;
                const char *rest = *e + sizeof env_prefix - 1;
                size_t len = strcspn(rest, "=");
                if (len >= sizeof name)
                        continue;
                for (size_t i = 0; i < len; i++)
                        name[i] = (char)tolower((unsigned char)rest[i]);
                name[len] = '\0';
                const char *near = mr_conf_nearest(name);
                if (strcmp(name, "conf") == 0 || !near || strcmp(near, name) == 0)
                        continue;
                env_name(near_env, near);
                conf_err(err, err_len, "%.*s: no such option; did you mean %s?", (int)(sizeof env_prefix - 1 + len), *e,
                         near_env);
                return -ENOENT;
        }
        return 0;
}

int mr_conf_env(struct mr_conf *conf, char *err, size_t err_len)
{
        struct source src = { conf, "MILLRACE_DEV=tap:mr0" };

        /* In the order of the list, so "dev" comes before what belongs to it. */
        for (uint32_t i = 0; i < conf_option_cnt; i++) {
                char name[64];
                struct conf_why why;
                env_name(name, conf_options[i].name);
                const char *value = getenv(name);
                if (!value)
                        continue;
                int rc = source_set(&src, &conf_options[i], value, &why);
                if (rc < 0) {
                        conf_err(err, err_len, "%s=%s: %s", name, value, reason(value, &why));
                        return rc;
                }
        }
        return env_check_names(err, err_len);
}

/* ---- the flags ---- */

static bool is_conf(const char *name, size_t len) { return len == 4 && memcmp(name, "conf", 4) == 0; }

/* Is argv[*at] the flag of a known option?  Then *@name_len and *@value are set and
 * *@at stands at the last argument that belongs to it; *@value NULL: it has none. */
static bool flag_split(int argc, char **argv, int *at, size_t *name_len, const char **value)
{
        const char *arg = argv[*at];

        if (strncmp(arg, "--", 2) != 0)
                return false;
        *name_len = strcspn(arg + 2, "=");
        if (!is_conf(arg + 2, *name_len) && !conf_option_find(arg + 2, *name_len))
                return false;
        if (arg[2 + *name_len] == '=')
                *value = arg + 2 + *name_len + 1;
        else
                *value = *at + 1 < argc ? argv[++*at] : NULL;
        return true;
}

/* The file that --conf names, or NULL. */
static const char *find_conf_file(int argc, char **argv)
{
        const char *path = getenv("MILLRACE_CONF");

        for (int at = 1; at < argc && strcmp(argv[at], "--") != 0; at++) {
                const char *flag = argv[at], *value;
                size_t name_len;
                if (flag_split(argc, argv, &at, &name_len, &value) && is_conf(flag + 2, name_len))
                        path = value;
        }
        return path;
}

static int flag_apply(struct source *src, const char *flag, size_t name_len, const char *value, char *err,
                      size_t err_len)
{
        const struct conf_option *o = conf_option_find(flag + 2, name_len);
        struct conf_why why;

        if (!value) {
                conf_err(err, err_len, "%s: its value is missing; write %s VALUE", flag, flag);
                return -EINVAL;
        }
        if (!o)                         /* --conf, read before */
                return 0;
        int rc = source_set(src, o, value, &why);
        if (rc < 0)
                conf_err(err, err_len, "%.*s %s: %s", (int)(2 + name_len), flag, value, reason(value, &why));
        return rc;
}

int mr_conf_args(struct mr_conf *conf, int *argc, char **argv, char *err, size_t err_len)
{
        struct source src = { conf, "--dev tap:mr0" };
        const char *path = find_conf_file(*argc, argv);
        int rc = 0, kept = 1;

        if (path && (rc = mr_conf_file(conf, path, err, err_len)) < 0)
                return rc;
        if ((rc = mr_conf_env(conf, err, err_len)) < 0)
                return rc;

        for (int at = 1; at < *argc; at++) {
                char *flag = argv[at];
                const char *value;
                size_t name_len;
                if (strcmp(flag, "--") == 0) {
                        while (at < *argc)
                                argv[kept++] = argv[at++];
                        break;
                }
                if (!flag_split(*argc, argv, &at, &name_len, &value)) {
                        argv[kept++] = flag;
                        continue;
                }
                rc = flag_apply(&src, flag, name_len, value, err, err_len);
                if (rc < 0)
                        return rc;
        }
        *argc = kept;
        argv[kept] = NULL;
        return 0;
}
