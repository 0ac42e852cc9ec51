/* SPDX-License-Identifier: MIT */
/* stack/conf_value.c - Numbers as people write them: 10k, 64M, 200ms, yes */
#include "base/units.h"
#include "stack/conf_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
        const char *suffix;
        uint64_t    factor;
};

/* From small to large; conf_value_text() takes the largest that divides. */
static const struct unit units_count[] = { { "", 1 }, { "k", 1000 }, { "M", 1000000 }, { "G", 1000000000 }, { 0 } };
static const struct unit units_size[] = { { "", 1 }, { "k", KiB(1) }, { "M", MiB(1) }, { "G", GiB(1) }, { 0 } };
static const struct unit units_time[] = { { "ns", 1 }, { "us", US(1) }, { "ms", MS(1) }, { "s", SEC(1) }, { 0 } };

static const struct {
        const struct unit *units;
        const char        *examples;
} kinds[] = {
        [OPT_KIND_COUNT] = { units_count, "10000, 10k, 2M" },
        [OPT_KIND_SIZE] = { units_size, "65536, 64k, 2M, 1G" },
        [OPT_KIND_TIME] = { units_time, "50us, 200ms, 2s" },
};

static int parse_number(enum opt_kind kind, const char *text, uint64_t *value, struct conf_why *why)
{
        const char *examples = kinds[kind].examples;
        char *suffix;

        /* strtoull() takes signs and blanks; we do not. */
        if (text[0] < '0' || text[0] > '9')
                return conf_refuse(why, "not a number; write it like %s", examples);
        errno = 0;
        uint64_t n = strtoull(text, &suffix, 10);
        if (errno == ERANGE)
                return conf_refuse(why, "too large; write it like %s", examples);
        if (n == 0 && *suffix == '\0') {
                *value = 0;
                return 0;
        }
        if (kind == OPT_KIND_TIME && *suffix == '\0')
                return conf_refuse(why, "unit is missing; write it like %s", examples);
        for (const struct unit *u = kinds[kind].units; u->suffix; u++) {
                if (strcasecmp(suffix, u->suffix) != 0)
                        continue;
                if (__builtin_mul_overflow(n, u->factor, value))
                        return conf_refuse(why, "too large; write it like %s", examples);
                return 0;
        }
        return conf_refuse(why, "unknown unit \"%s\"; write it like %s", suffix, examples);
}

static int parse_bool(const char *text, uint64_t *value, struct conf_why *why)
{
        static const char *const words[][2] = { { "no", "yes" }, { "off", "on" }, { "false", "true" }, { "0", "1" } };

        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
                for (unsigned truth = 0; truth < 2; truth++) {
                        if (strcasecmp(text, words[i][truth]) == 0) {
                                *value = truth;
                                return 0;
                        }
                }
        }
        return conf_refuse(why, "is yes or no");
}

/* "a|b|c": the index of @text among them, or -1. */
static int word_index(const char *words, const char *text)
{
        size_t len = strlen(text);
        int index = 0;

        for (const char *w = words;; index++) {
                size_t word_len = strcspn(w, "|");
                if (word_len == len && strncasecmp(w, text, len) == 0)
                        return index;
                if (w[word_len] == '\0')
                        return -1;
                w += word_len + 1;
        }
}

static int parse_choice(const char *words, const char *text, uint64_t *value, struct conf_why *why)
{
        int index = word_index(words, text);

        if (index < 0)
                return conf_refuse(why, "is one of %s", words);
        *value = (uint64_t)index;
        return 0;
}

int conf_value_parse(const struct conf_option *o, const char *text, uint64_t *value, struct conf_why *why)
{
        if (o->kind == OPT_KIND_BOOL)
                return parse_bool(text, value, why);
        if (o->kind == OPT_KIND_CHOICE)
                return parse_choice(o->words, text, value, why);

        uint64_t n = 0;
        int rc = parse_number(o->kind, text, &n, why);
        if (rc < 0)
                return rc;
        if (n < o->min || n > o->max) {
                char min[CONF_VALUE_TEXT_MAX], max[CONF_VALUE_TEXT_MAX];
                return conf_refuse(why, "out of range; give %s to %s", conf_value_text(min, o, o->min),
                                   conf_value_text(max, o, o->max));
        }
        *value = n;
        return 0;
}

static const char *choice_text(char *buf, const char *words, uint64_t index)
{
        while (index-- > 0)
                words += strcspn(words, "|") + 1;
        snprintf(buf, CONF_VALUE_TEXT_MAX, "%.*s", (int)strcspn(words, "|"), words);
        return buf;
}

const char *conf_value_text(char buf[CONF_VALUE_TEXT_MAX], const struct conf_option *o, uint64_t value)
{
        if (o->kind == OPT_KIND_CHOICE)
                return choice_text(buf, o->words, value);
        if (o->kind == OPT_KIND_BOOL)
                return strcpy(buf, value ? "yes" : "no");
        if (value == 0)
                return strcpy(buf, "0");

        const struct unit *best = kinds[o->kind].units;
        for (const struct unit *u = best; u->suffix; u++) {
                if (value % u->factor == 0)
                        best = u;
        }
        snprintf(buf, CONF_VALUE_TEXT_MAX, "%llu%s", (unsigned long long)(value / best->factor), best->suffix);
        return buf;
}
