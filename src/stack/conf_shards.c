/* SPDX-License-Identifier: MIT */
/* stack/conf_shards.c - How many shards, and on which cores */
#include "stack/conf.h"
#include "stack/conf_priv.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* "0-3,6"; replaces what was there. */
int conf_set_cpus(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        uint32_t cnt = 0;

        for (const char *at = value; cnt == 0 || *at++ == ',';) {
                char *end;
                unsigned long first = strtoul(at, &end, 10), last = first;
                if (*end == '-' && isdigit((unsigned char)end[1]))
                        last = strtoul(end + 1, &end, 10);
                if (!isdigit((unsigned char)*at) || (*end && *end != ',') || last < first || last > UINT16_MAX)
                        return conf_refuse(why, "cores are numbers and ranges of them, like 0-3,6");
                for (; first <= last; first++) {
                        if (cnt == MR_SHARD_MAX)
                                return conf_refuse(why, "there is room for %d cores", MR_SHARD_MAX);
                        conf->cpus[cnt++] = (uint16_t)first;
                }
                at = end;
        }
        conf->cpu_cnt = cnt;
        return 0;
}

static uint32_t cores_of_this_process(void)
{
        cpu_set_t set;
        return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

int conf_resolve_shards(struct mr_conf *conf, char *err, size_t err_len)
{
        if (conf->shards == 0)
                conf->shards = conf->cpu_cnt ? conf->cpu_cnt : cores_of_this_process();
        if (conf->shards > MR_SHARD_MAX)
                conf->shards = MR_SHARD_MAX;
        if (conf->cpu_cnt && conf->cpu_cnt < conf->shards) {
                conf_err(err, err_len, "cpus names %u cores for %u shards; name one for each, or leave cpus out",
                         conf->cpu_cnt, conf->shards);
                return -EINVAL;
        }
        if (conf->max_conns && conf->max_conns < conf->shards) {
                conf_err(err, err_len, "max_conns %u is less than one for each of %u shards; raise it", conf->max_conns,
                         conf->shards);
                return -EINVAL;
        }
        return 0;
}

uint32_t conf_share(const struct mr_conf *conf, uint32_t all, uint32_t min)
{
        uint32_t share = (all + conf->shards - 1) / conf->shards;
        return share > min ? share : min;
}
