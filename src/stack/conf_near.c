/* SPDX-License-Identifier: MIT */
#include "stack/conf_near.h"
#include "base/units.h"

#include <ctype.h>
#include <string.h>

static void plain_name(char plain[CONF_NEAR_MAX + 1], const char *name, size_t len)
{
        for (size_t i = 0; i < len; i++)
                plain[i] = name[i] == '-' ? '_' : (char)tolower((unsigned char)name[i]);
        plain[len] = '\0';
}

/* Insertions, deletions, replacements and swaps of neighbours that make @b of @a. */
static uint32_t edit_distance(const char *a, const char *b)
{
        uint32_t row[3][CONF_NEAR_MAX + 1];
        size_t b_len = strlen(b);

        for (size_t k = 0; k <= b_len; k++)
                row[0][k] = (uint32_t)k;
        for (size_t i = 1; a[i - 1]; i++) {
                uint32_t *now = row[i % 3];
                const uint32_t *before = row[(i + 2) % 3], *two_before = row[(i + 1) % 3];
                now[0] = (uint32_t)i;
                for (size_t k = 1; k <= b_len; k++) {
                        now[k] = before[k - 1] + (a[i - 1] != b[k - 1]);
                        now[k] = u32_min(now[k], u32_min(before[k], now[k - 1]) + 1);
                        if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                                now[k] = u32_min(now[k], two_before[k - 2] + 1);
                }
        }
        return row[strlen(a) % 3][b_len];
}

void conf_near_begin(struct conf_near *near, const char *typed, size_t len)
{
        *near = (struct conf_near){ .distance = (uint32_t)len / 3 + 1 };        /* further than that is no likeness */
        if (len > CONF_NEAR_MAX)
                near->distance = 0;
        else
                plain_name(near->typed, typed, len);
}

void conf_near_offer(struct conf_near *near, const char *name)
{
        char plain[CONF_NEAR_MAX + 1];
        size_t len = strlen(name);

        if (near->distance == 0 || len > CONF_NEAR_MAX)
                return;
        plain_name(plain, name, len);
        uint32_t distance = edit_distance(near->typed, plain);
        if (distance < near->distance) {
                near->distance = distance;
                near->best = name;
        }
}
