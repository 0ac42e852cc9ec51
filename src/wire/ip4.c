/* SPDX-License-Identifier: MIT */
/* wire/ip4.c - IPv4 options: rare, so not in line */
#include "wire/ip4.h"

enum { OPT_END = 0, OPT_NOP = 1, OPT_LSRR = 131, OPT_SSRR = 137 };

/* Spec: RFC 791 3.1 (form), RFC 7126 4.3 and 4.4 (source routes are dropped). */
enum drop ip4_options_check(const uint8_t *opt, uint32_t len)
{
        for (uint32_t at = 0; at < len && opt[at] != OPT_END;) {
                if (opt[at] == OPT_NOP) {
                        at++;
                        continue;
                }
                uint32_t room = len - at;
                uint32_t size = room >= 2 ? opt[at + 1] : 0;
                if (size < 2 || size > room)
                        return DROP_IP_OPTION;
                if (opt[at] == OPT_LSRR || opt[at] == OPT_SSRR)
                        return DROP_IP_OPTION;
                at += size;
        }
        return DROP_NONE;
}
