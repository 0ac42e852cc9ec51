/* SPDX-License-Identifier: MIT */
#include "dev/fault_conf.h"

#include "dev/netdev_priv.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

/* A word behind a number, and what it multiplies with. */
struct unit {
        const char *word;
        uint64_t    factor;
};

static const struct unit unit_percent[] = { { "%", 10000 }, { "", 10000 }, { 0 } };
static const struct unit unit_time[] = {
        { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { 0 },
};
static const struct unit unit_rate[] = {
        { "bit", 1 }, { "kbit", 1000 }, { "mbit", 1000000 }, { "gbit", 1000000000 }, { 0 },
};
static const struct unit unit_none[] = { { "", 1 }, { 0 } };
static const struct unit unit_dir[] = {
        { "rx", FAULT_RX }, { "tx", FAULT_TX }, { "both", FAULT_RX | FAULT_TX }, { 0 },
};

static const struct key {
        const char        *name;
        size_t             offset;      /* in struct fault_conf, of a uint64_t */
        const struct unit *units;
        uint64_t           min, max;
        const char        *wanted;
} keys[] = {
#define AT(field) offsetof(struct fault_conf, field)
        { "loss",    AT(loss_ppm),    unit_percent, 0, 1000000,        "0% to 100%, as in 0.1%" },
        { "dup",     AT(dup_ppm),     unit_percent, 0, 1000000,        "0% to 100%, as in 0.1%" },
        { "reorder", AT(reorder_ppm), unit_percent, 0, 1000000,        "0% to 100%, as in 0.1%" },
        { "corrupt", AT(corrupt_ppm), unit_percent, 0, 1000000,        "0% to 100%, as in 0.1%" },
        { "delay",   AT(delay_ns),    unit_time,    0, SEC(60),        "a time up to 60s with its unit, as in 20ms" },
        { "jitter",  AT(jitter_ns),   unit_time,    0, SEC(60),        "a time up to 60s with its unit, as in 500us" },
        { "rate",    AT(rate_bps),    unit_rate,    1000, 1000000000000, "1kbit to 1000gbit, as in 10mbit" },
        { "queue",   AT(queue_pkts),  unit_none,    1, 65536,          "1 to 65536 packets" },
        { "seed",    AT(seed),        unit_none,    0, UINT64_MAX,     "a whole number" },
        { "dir",     AT(dirs),        unit_dir,     1, 3,              "rx, tx or both" },
#undef AT
};

/* "1.5ms" with the units of a key into a whole number.  False: not such a thing. */
static bool value_parse(const char *text, size_t len, const struct unit *units, uint64_t *out)
{
        unsigned __int128 number = 0, divisor = 1;
        size_t at = 0, digits = 0;
        bool point = false;

        for (; at < len && (isdigit((unsigned char)text[at]) || (text[at] == '.' && !point)); at++) {
                if (text[at] == '.') {
                        point = true;
                        continue;
                }
                number = number * 10 + (unsigned)(text[at] - '0');
                divisor *= point ? 10 : 1;
                if (++digits > 20)
                        return false;
        }
        /* Words alone (dir=rx) stand for themselves. */
        if (units == unit_dir ? at : !digits)
                return false;
        for (const struct unit *u = units; u->word; u++) {
                if (strlen(u->word) != len - at || strncasecmp(u->word, text + at, len - at) != 0)
                        continue;
                number = (units == unit_dir ? 1 : number) * u->factor;
                if (number / divisor > UINT64_MAX)
                        return false;
                *out = (uint64_t)(number / divisor);
                return true;
        }
        return false;
}

static const struct key *key_find(const char *name, size_t len)
{
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                if (strlen(keys[i].name) == len && memcmp(keys[i].name, name, len) == 0)
                        return &keys[i];
        return NULL;
}

static int pair_parse(struct fault_conf *conf, const char *text, size_t len, char *err, size_t err_len)
{
        const char *equals = memchr(text, '=', len);
        size_t name_len = equals ? (size_t)(equals - text) : len;
        const struct key *key = key_find(text, name_len);

        if (!key)
                return netdev_fail(err, err_len, -EINVAL, "fault: unknown key \"%.*s\": keys are loss, dup, reorder, "
                                   "corrupt, delay, jitter, rate, queue, seed, dir", (int)name_len, text);

        size_t value_len = equals ? len - name_len - 1 : 0;
        const char *value = equals ? equals + 1 : "";
        uint64_t v;
        if (!value_parse(value, value_len, key->units, &v) || v < key->min || v > key->max)
                return netdev_fail(err, err_len, -EINVAL, "fault: %s=%.*s is not possible: give %s", key->name,
                                   (int)value_len, value, key->wanted);
        memcpy((uint8_t *)conf + key->offset, &v, sizeof v);
        return 0;
}

int fault_conf_parse(struct fault_conf *conf, const char *text, size_t len, char *err, size_t err_len)
{
        while (len) {
                const char *comma = memchr(text, ',', len);
                size_t pair_len = comma ? (size_t)(comma - text) : len;
                int rc = pair_parse(conf, text, pair_len, err, err_len);
                if (rc < 0)
                        return rc;
                pair_len += comma != NULL;
                text += pair_len;
                len -= pair_len;
        }
        return 0;
}
