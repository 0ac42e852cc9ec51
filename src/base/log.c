/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
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
        enum log_level max;
} out = { to_stderr, NULL, LOG_INFO };

void log_set_sink(log_sink_fn sink, void *arg)
{
        out.sink = sink ? sink : to_stderr;
        out.arg = arg;
}

void log_set_level(enum log_level max)
{
        out.max = max;
}

void log_line(enum log_level level, const char *fmt, ...)
{
        char line[512];
        va_list ap;

        if (level > out.max)
                return;
        va_start(ap, fmt);
        vsnprintf(line, sizeof line, fmt, ap);
        va_end(ap);
        out.sink(out.arg, level, line);
}
