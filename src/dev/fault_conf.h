/* SPDX-License-Identifier: MIT */
/* dev/fault_conf.h - What fault: is asked to do, from `loss=1%,delay=20ms`
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault_conf {
        uint64_t loss_ppm, dup_ppm, reorder_ppm, corrupt_ppm;   /* per million frames */
        uint64_t delay_ns;
        uint64_t jitter_ns;             /* added to delay, uniform in 0..jitter_ns */
        uint64_t rate_bps;              /* 0: unlimited */
        uint64_t queue_pkts;            /* frames that may wait for the rate */
        uint64_t seed;
        uint64_t dirs;                  /* enum fault_dir */
};

enum fault_dir { FAULT_RX = 1, FAULT_TX = 2 };

/* Parse the @len octets at @text, `key=value` separated by commas, into @conf,
 * which holds the defaults.  Return: 0, or -EINVAL with one line in @err. */
int fault_conf_parse(struct fault_conf *conf, const char *text, size_t len, char *err, size_t err_len);
