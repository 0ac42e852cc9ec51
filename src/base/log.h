/* SPDX-License-Identifier: MIT */
/* base/log.h - Lines for people: start, stop, configuration, devices
 *
 * Never per packet.  A line names the input, the cause and the cure.
 * The default sink writes to stderr with "millrace: " in front.
 */
#pragma once

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

typedef void (*log_sink_fn)(void *arg, enum log_level level, const char *line);

/* NULL restores the default sink.  Not thread-safe: call before start. */
void log_set_sink(log_sink_fn sink, void *arg);
void log_set_level(enum log_level max);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
