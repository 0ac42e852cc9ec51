/* SPDX-License-Identifier: MIT */
#include "base/drop.h"


const struct drop_info drop_infos[DROP_CNT] = {
        [DROP_NONE] = { "NONE", "delivered", "" },
#define DROP(name, what, why) [DROP_##name] = { #name, what, why },
#include "base/drops.def"
#undef DROP
};
