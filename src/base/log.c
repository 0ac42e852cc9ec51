/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static void to_stderr(void *arg, enum log_level level, const char *line)
{
        static const char *const name[] = { "error: ", "warning: ", "", "debug: " };
        (void)arg;
        fprintf(stderr, "millrace: %s%s\n", name[level], line);
}

static struct {
        log_sink_fn    sink;
        void          *arg;
        atomic_int     max;             /* enum log_level; stacks of several threads may set it */
} out = { to_stderr, NULL, LOG_INFO };

void log_set_sink(log_sink_fn sink, void *arg)
{
        out.sink = sink ? sink : to_stderr;
        out.arg = arg;
}

void log_set_level(enum log_level max)
{
        atomic_store_explicit(&out.max, (int)max, memory_order_relaxed);
}

void log_line(enum log_level level, const char *fmt, ...)
{
        char line[512];
        va_list ap;

        if ((int)level > atomic_load_explicit(&out.max, memory_order_relaxed))
                return;
        va_start(ap, fmt);
        vsnprintf(line, sizeof line, fmt, ap);
        va_end(ap);
        out.sink(out.arg, level, line);
}
