/* SPDX-License-Identifier: MIT */
/* base/drop.h - Why a packet was dropped
 *
 * Every function on the data path that can drop a packet returns an
 * enum drop; DROP_NONE (zero) means it was delivered.  The one list in
 * drops.def makes this enum, the counters, their names and their help.
 */
#pragma once

enum drop {
        DROP_NONE,
#define DROP(name, what, why) DROP_##name,
#include "base/drops.def"
#undef DROP
        DROP_CNT
};

struct drop_info {
        const char *name;               /* "TCP_BAD_OPTION" */
        const char *what;               /* what happened */
        const char *why;                /* the rule that makes it a drop */
};

/* Name and help of each reason, indexed by enum drop. */
extern const struct drop_info drop_infos[DROP_CNT];
