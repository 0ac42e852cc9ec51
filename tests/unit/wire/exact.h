/* SPDX-License-Identifier: MIT */
/* tests/unit/wire/exact.h - Packets in memory of exactly their size
 *
 * A parser that reads one octet too many reads beyond a heap block then, and
 * the build with AddressSanitizer says so.
 */
#pragma once
#include "tests/test.h"

#include <stdlib.h>

typedef void (*wire_parse_fn)(const uint8_t *buf, uint32_t len);

/* A copy of @len octets in a block of that size; to be freed. */
static inline uint8_t *exact_copy(const uint8_t *octets, uint32_t len)
{
        uint8_t *copy = malloc(len ? len : 1);
        REQUIRE(copy);
        if (len)
                memcpy(copy, octets, len);
        else
                copy[0] = 0xee;
        return copy;
}

/* Call @parse on every truncation of @octets, and on it with every octet changed to every value. */
static inline void exact_hurt(const uint8_t *octets, uint32_t len, wire_parse_fn parse)
{
        for (uint32_t cut = 0; cut <= len; cut++) {
                uint8_t *copy = exact_copy(octets, cut);
                parse(copy, cut);
                free(copy);
        }
        uint8_t *copy = exact_copy(octets, len);
        for (uint32_t at = 0; at < len; at++) {
                for (int value = 0; value < 256; value++) {
                        copy[at] = (uint8_t)value;
                        parse(copy, len);
                }
                copy[at] = octets[at];
        }
        free(copy);
}
