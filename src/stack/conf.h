/* SPDX-License-Identifier: MIT */
/* stack/conf.h - From the public configuration to what the modules take
 *
 * Knows options.def, struct mr_conf and the configuration structs of the
 * modules.  Does not know devices or the shard.
 *
 *      options.def   the list: names, defaults, ranges, help
 *      conf_value.c  text to numbers with units, and back
 *      conf.c        mr_conf_set(): one option; conf_resolve(): all of them together
 *      conf_source.c the file, the environment, the flags
 *      conf_shards.c how many shards, on which cores
 *      conf_near.c   "did you mean", for the command's own names too
 *      conf_help.c   --help and docs/configuration.md
 */
#pragma once
#include "base/addr.h"
#include "millrace/millrace.h"
#include "tcp/tcp.h"

static_assert(sizeof(struct mr_prefix) == sizeof(struct ip_prefix) && sizeof(struct ip_addr) == 16,
              "the public address types have the layout of ours");

static inline struct ip_addr conf_addr(const uint8_t octets[16])
{
        struct ip_addr a;
        memcpy(a.octet, octets, sizeof a.octet);
        return a;
}

static inline struct ip_prefix conf_prefix(const struct mr_prefix *p)
{
        return (struct ip_prefix){ .addr = conf_addr(p->addr), .len = p->len };
}

/**
 * conf_resolve() - Check the options against each other and fill in the derived ones
 *
 * Afterwards no field marked "derived" in millrace.h is 0.
 * Return: 0 or -EINVAL with one line in @err
 */
int conf_resolve(struct mr_conf *conf, char *err, size_t err_len);

/* What each shard gets of @all that is there for the whole stack, @min at least. */
uint32_t conf_share(const struct mr_conf *conf, uint32_t all, uint32_t min);

/* The pages that huge_pages stands for. */
static inline enum mem_pages conf_pages(const struct mr_conf *conf)
{
        return conf->huge_pages == MR_HUGE_NO ? MEM_SMALL : conf->huge_pages == MR_HUGE_YES ? MEM_HUGE : MEM_AUTO;
}

/* The engine's part of a resolved configuration. */
void conf_to_tcp(const struct mr_conf *conf, struct tcp_conf *out);
