/* SPDX-License-Identifier: MIT */
#include "base/counters.h"

const struct counter_info counter_infos[CNT_CNT] = {
#define COUNTER(name, help) [CNT_##name] = { #name, help },
#include "base/counters.def"
#undef COUNTER
};
