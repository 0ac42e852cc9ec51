/* SPDX-License-Identifier: MIT */
#include "tests/dev/dev_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FRAMES = 300 };

/* A run with all that can happen, written to @path. */
static void capture(const char *path, const char *fault)
{
        char name[200];
        struct end e;

        snprintf(name, sizeof name, "pcap:%s,%sloop:", path, fault);
        REQUIRE(end_open(&e, name, 0, 0) == 0);
        for (uint32_t i = 0; i < FRAMES; i++) {
                struct pkt *pkts[8];
                end_send(&e, 60 + i * 4 + i % 3, i);
                uint32_t n = netdev_rx(&e.q, pkts, 8, e.now_ns);
                for (uint32_t k = 0; k < n; k++)
                        pkt_give(&e.pool, pkts[k]);
                e.now_ns += 1234567;
        }
        end_close(&e);
}

static uint8_t *slurp(const char *path, size_t *len)
{
        struct stat st;
        int fd = open(path, O_RDONLY);
        REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
        uint8_t *all = malloc((size_t)st.st_size + 1);
        REQUIRE(read(fd, all, (size_t)st.st_size) == st.st_size);
        close(fd);
        *len = (size_t)st.st_size;
        return all;
}

/* Goal:   the same run gives the same file, octet for octet, whatever it is called.
 * Method: twice with the same seed, once with another.
 * Spec:   dev/pcap.c
 */
TEST(pcap_is_the_same_for_the_same_run)
{
        char a[100], b[100], c[100];
        size_t a_len, b_len, c_len;

        capture(temp_path(a, sizeof a, "a.pcapng"),
                "fault:loss=5%,dup=5%,reorder=5%,corrupt=5%,delay=3ms,jitter=1ms,seed=1,");
        poll(NULL, 0, 20);
        capture(temp_path(b, sizeof b, "other-name.pcapng"),
                "fault:loss=5%,dup=5%,reorder=5%,corrupt=5%,delay=3ms,jitter=1ms,seed=1,");
        capture(temp_path(c, sizeof c, "c.pcapng"),
                "fault:loss=5%,dup=5%,reorder=5%,corrupt=5%,delay=3ms,jitter=1ms,seed=2,");
        uint8_t *pa = slurp(a, &a_len), *pb = slurp(b, &b_len), *pc = slurp(c, &c_len);
        EXPECT_GT(a_len, FRAMES * 600);
        EXPECT_EQ(a_len, b_len);
        EXPECT(a_len == b_len && memcmp(pa, pb, a_len) == 0);
        EXPECT(a_len != c_len || memcmp(pa, pc, a_len) != 0);
        free(pa);
        free(pb);
        free(pc);
}

/* Goal:   the file is pcapng as specified.
 * Method: walk its blocks: lengths at both ends agree, times and directions are those of the frames.
 * Spec:   draft-ietf-opsawg-pcapng 3.1, 4.1 to 4.3
 */
TEST(pcap_blocks_are_sound)
{
        char path[100];
        size_t len, at = 0;
        uint32_t blocks = 0, in = 0, out = 0;

        capture(temp_path(path, sizeof path, "x.pcapng"), "");
        uint8_t *all = slurp(path, &len);
        while (at < len) {
                uint32_t head[7], total_again;
                REQUIRE(at + 28 <= len);
                memcpy(head, all + at, sizeof head);
                REQUIRE(head[1] % 4 == 0 && head[1] >= 28 && at + head[1] <= len);
                memcpy(&total_again, all + at + head[1] - 4, 4);
                EXPECT_EQ(head[1], total_again);
                if (blocks == 0)
                        EXPECT_EQ(head[0], 0x0a0d0d0a);
                if (blocks == 1)
                        EXPECT_EQ(head[0], 1);
                if (blocks >= 2) {
                        uint32_t number = (blocks - 2) / 2, flags;
                        EXPECT_EQ(head[0], 6);
                        EXPECT_EQ(((uint64_t)head[3] << 32) + head[4], SEC(1) + number * 1234567ull);
                        EXPECT_EQ(head[5], 60 + number * 4 + number % 3);
                        EXPECT_EQ(head[5], head[6]);
                        EXPECT(frame_ok(all + at + 28, head[5], number));
                        memcpy(&flags, all + at + head[1] - 12, 4);
                        in += flags == 1;
                        out += flags == 2;
                }
                at += head[1];
                blocks++;
        }
        EXPECT_EQ(at, len);
        EXPECT_EQ(in, FRAMES);
        EXPECT_EQ(out, FRAMES);
        free(all);
}

/* Goal:   Wireshark reads it: all frames, their lengths, times and directions.
 * Method: tshark, where it is installed.
 * Spec:   the reader that people use
 */
TEST(pcap_is_readable_by_tshark)
{
        char path[100], cmd[300], line[200];
        uint32_t cnt = 0;

        if (system("command -v tshark >/dev/null 2>&1") != 0)
                test_skip("tshark is not installed");
        capture(temp_path(path, sizeof path, "x.pcapng"), "");
        snprintf(cmd, sizeof cmd, "tshark -r %s -T fields -e frame.time_epoch -e frame.len "
                 "-e frame.packet_flags_direction -e frame.interface_id 2>/dev/null", path);
        FILE *f = popen(cmd, "r");
        REQUIRE(f);
        for (; fgets(line, sizeof line, f); cnt++) {
                uint64_t ns = SEC(1) + cnt / 2 * 1234567ull;
                char want[200], time[40], rest[160];
                REQUIRE(sscanf(line, "%39s %159[^\n]", time, rest) == 2);
                snprintf(want, sizeof want, "%u.%09u", (unsigned)(ns / SEC(1)), (unsigned)(ns % SEC(1)));
                EXPECT_STR(time, want);
                unsigned frame_len, direction, interface;
                REQUIRE(sscanf(rest, "%u 0x%x %u", &frame_len, &direction, &interface) == 3);
                EXPECT_EQ(frame_len, 60 + cnt / 2 * 4 + cnt / 2 % 3);
                EXPECT_EQ(direction, cnt % 2 ? 1 : 2);
                EXPECT_EQ(interface, 0);
        }
        EXPECT_EQ(pclose(f), 0);
        EXPECT_EQ(cnt, 2 * FRAMES);
}

/* Goal:   frames that the device does not take are not in the file.
 * Method: fill loop: and count records against frames taken.
 * Spec:   dev/pcap.c
 */
TEST(pcap_writes_only_what_was_taken)
{
        char path[100], name[140];
        struct pkt *pkts[100];
        uint32_t taken = 0, n;
        struct end e;
        size_t len;

        snprintf(name, sizeof name, "pcap:%s,loop:", temp_path(path, sizeof path, "x.pcapng"));
        REQUIRE(end_open(&e, name, 0, 0) == 0);
        do {
                for (uint32_t i = 0; i < 100; i++)
                        pkts[i] = end_frame(&e, 1000, taken + i);
                n = netdev_tx(&e.q, pkts, 100, e.now_ns);
                for (uint32_t i = n; i < 100; i++)
                        pkt_give(&e.pool, pkts[i]);
                taken += n;
        } while (n == 100);
        EXPECT(n > 0 && n < 100);
        end_close(&e);
        free(slurp(path, &len));
        EXPECT_EQ(len, 28 + 32 + taken * (28 + 1000 + 16));
}

/* Goal:   what was captured is on the disk before the shard sleeps; a capture does not wait for close.
 * Method: look at the file while the device is open; 64 KB frames beyond the buffer.
 * Spec:   dev/pcap.c
 */
TEST(pcap_is_flushed_when_idle)
{
        char path[100], name[140];
        struct end e;
        size_t len;

        snprintf(name, sizeof name, "pcap:%s,loop:", temp_path(path, sizeof path, "x.pcapng"));
        REQUIRE(end_open(&e, name, 65535, 0) == 0);
        for (uint32_t i = 0; i < 20; i++)
                EXPECT(end_send(&e, 65549, i));
        for (uint32_t i = 0; i < 20; i++)
                end_expect(&e, 65549, i);
        e.dev->ops->sleep_begin(&e.q);
        free(slurp(path, &len));
        EXPECT_EQ(len, 28 + 32 + 40 * (28 + 65552 + 16));
        e.dev->ops->sleep_end(&e.q);
        end_close(&e);
}

/* Goal:   a full disk ends the capture, not the traffic.
 * Method: /dev/full.
 * Spec:   dev/pcap.c
 */
TEST(pcap_disk_full)
{
        struct end e;

        if (access("/dev/full", W_OK) < 0)
                test_skip("no /dev/full");
        REQUIRE(end_open(&e, "pcap:/dev/full,loop:", 0, 0) == 0);
        for (uint32_t i = 0; i < 5000; i++) {
                EXPECT(end_send(&e, 1000, i));
                end_expect(&e, 1000, i);
        }
        end_close(&e);
}
