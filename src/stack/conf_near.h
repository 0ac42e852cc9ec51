/* SPDX-License-Identifier: MIT */
/* stack/conf_near.h - "Did you mean": which of some names is most like the one typed
 *
 * Knows nothing of options: the stack offers the names of its own, the command
 * those of its subcommands as well.
 *
 *      conf_near_begin(&near, typed, strlen(typed));
 *      conf_near_offer(&near, "port");         for each name there is
 *      if (near.best) ...
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CONF_NEAR_MAX = 32 };            /* octets of a name; what is longer is like none */

struct conf_near {
        char        typed[CONF_NEAR_MAX + 1];
        const char *best;               /* as offered; NULL: none is like it */
        uint32_t    distance;           /* the next must be nearer than that */
};

/* Case does not count, nor whether it is '-' or '_'. */
void conf_near_begin(struct conf_near *near, const char *typed, size_t len);

/* @name is kept, not copied.  Of two as near as each other the first stays. */
void conf_near_offer(struct conf_near *near, const char *name);
