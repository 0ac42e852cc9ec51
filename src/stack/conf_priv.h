/* SPDX-License-Identifier: MIT */
/* stack/conf_priv.h - Shared by the conf*.c files: the table made from options.def */
#pragma once
#include "millrace/millrace.h"

enum opt_kind { OPT_KIND_COUNT, OPT_KIND_SIZE, OPT_KIND_TIME, OPT_KIND_BOOL, OPT_KIND_CHOICE, OPT_KIND_LIST };

/* Why a value was refused: cause and cure.  The input's name is put in front by the caller. */
struct conf_why {
        char text[192];
};

typedef int (*conf_list_fn)(struct mr_conf *conf, const char *value, struct conf_why *why);

struct conf_option {
        const char   *name;
        enum opt_kind kind;
        uint8_t       width;            /* octets of the field */
        uint32_t      offset;           /* of the field in struct mr_conf */
        uint64_t      dflt, min, max;
        const char   *words;            /* CHOICE: "a|b"; LIST: what the value looks like */
        conf_list_fn  list;             /* LIST */
        const char   *help;
};

extern const struct conf_option conf_options[];
extern const uint32_t           conf_option_cnt;

/* By name, where '-' and '_' are the same and only the first @len octets count; NULL: none. */
const struct conf_option *conf_option_find(const char *name, size_t len);

/* Set by @o.  0, -EINVAL or -ENOSPC with *@why. */
int conf_option_set(struct mr_conf *conf, const struct conf_option *o, const char *value, struct conf_why *why);

/* Text to a number of @o's kind, in its range.  0 or -EINVAL with *@why. */
int conf_value_parse(const struct conf_option *o, const char *text, uint64_t *value, struct conf_why *why);

/* A number of @kind as one would type it ("64M", "200ms", "yes"); returns @buf. */
enum { CONF_VALUE_TEXT_MAX = 32 };
const char *conf_value_text(char buf[CONF_VALUE_TEXT_MAX], const struct conf_option *o, uint64_t value);

/* conf_shards.c */
int conf_set_cpus(struct mr_conf *conf, const char *value, struct conf_why *why);
/* conf->shards is 1..MR_SHARD_MAX afterwards.  0 or -EINVAL. */
int conf_resolve_shards(struct mr_conf *conf, char *err, size_t err_len);

__attribute__((format(printf, 2, 3))) int conf_refuse(struct conf_why *why, const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void conf_err(char *err, size_t err_len, const char *fmt, ...);
