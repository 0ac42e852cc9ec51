/* SPDX-License-Identifier: MIT */
/* stack/sizes_say.c - The sizes in words: what is printed at the start */
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "stack/sizes.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

const char *sizes_octets_text(char buf[SIZES_TEXT_MAX], uint64_t octets)
{
        if (octets < MiB(1))
                snprintf(buf, SIZES_TEXT_MAX, "%" PRIu64 " KB", (octets + 1023) >> 10);
        else if (octets < GiB(1))
                snprintf(buf, SIZES_TEXT_MAX, "%" PRIu64 " MB", octets >> 20);
        else
                snprintf(buf, SIZES_TEXT_MAX, "%.1f GB", (double)octets / (double)GiB(1));
        return buf;
}

const char *sizes_count_text(char buf[SIZES_TEXT_MAX], uint64_t count)
{
        char digits[SIZES_TEXT_MAX];
        int len = snprintf(digits, sizeof digits, "%" PRIu64, count), out = 0;

        for (int i = 0; i < len; i++) {
                if (i && (len - i) % 3 == 0)
                        buf[out++] = ',';
                buf[out++] = digits[i];
        }
        buf[out] = '\0';
        return buf;
}

static uint64_t octets_of_machine(void)
{
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
}

static void say_pages(void)
{
        enum { HUGE_SHIFT = 21 };
        char a[SIZES_TEXT_MAX], b[SIZES_TEXT_MAX];
        struct mem_tally got;

        mem_tally(&got);
        if (got.reserved)
                log_info("2 MB pages: reserved ones for %s, transparent ones for %s",
                         sizes_octets_text(a, got.reserved), sizes_octets_text(b, got.transparent));
        else if (got.transparent)
                log_info("2 MB pages: transparent ones, as memory is touched");
        if (got.small && got.refused)
                log_warn("%s has only pages of 4 KB: a cold connection costs about 1.6 times as much; reserve larger "
                         "ones with sysctl vm.nr_hugepages=%" PRIu64,
                         sizes_octets_text(a, got.small), got.refused >> HUGE_SHIFT);
        else if (got.small)
                log_info("%s has only pages of 4 KB: a cold connection costs about 1.6 times as much; let the kernel "
                         "make larger ones: echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
                         sizes_octets_text(a, got.small));
}

void sizes_say(const struct mr_conf *conf)
{
        char cnt[3][SIZES_TEXT_MAX], mem[6][SIZES_TEXT_MAX];
        struct sizes s;

        sizes_of(conf, &s);
        log_info("up to %s connections: %s; %s half-open: %s; %s in TIME-WAIT: %s",
                 sizes_count_text(cnt[0], conf->max_conns), sizes_octets_text(mem[0], s.conns),
                 sizes_count_text(cnt[1], conf->max_half), sizes_octets_text(mem[1], s.halves),
                 sizes_count_text(cnt[2], conf->max_wait), sizes_octets_text(mem[2], s.waits));
        log_info("finding them: %s; packets: %s; in all %s, used as it is touched",
                 sizes_octets_text(mem[3], s.finding), sizes_octets_text(mem[4], s.packets),
                 sizes_octets_text(mem[5], s.all));
        if (s.all > octets_of_machine())
                log_warn("that is more than the %s of this machine; set mem to what may be used",
                         sizes_octets_text(mem[0], octets_of_machine()));
        say_pages();
}
