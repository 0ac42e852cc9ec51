/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *expr, const char *file, int line, const char *func)
{
        fprintf(stderr, "millrace: assertion failed: %s, in %s() at %s:%d\n"
                        "This is a fault of Millrace itself; please report it with this line.\n",
                expr, func, file, line);
        abort();
}
