/* SPDX-License-Identifier: MIT */
#include "millrace/millrace.h"

const char *mr_version(void) { return MR_VERSION; }
