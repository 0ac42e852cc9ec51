/* SPDX-License-Identifier: MIT */
#include "tests/dev/dev_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECV_POLLS = 200, HEAD_LEN = 22 };

void frame_fill(uint8_t *buf, uint32_t len, uint32_t number)
{
        memset(buf, 0xff, 6);
        memcpy(buf + 6, "\x02\x00\x00\x00\x00\x01", 6);
        be16_to(buf + 12, FRAME_ETH_TYPE);
        be32_to(buf + 14, number);
        be32_to(buf + 18, len);
        for (uint32_t i = HEAD_LEN; i < len; i++)
                buf[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

bool frame_is_ours(const uint8_t *buf, uint32_t len)
{
        return len >= HEAD_LEN && be16_at(buf + 12) == FRAME_ETH_TYPE;
}

uint32_t frame_number(const uint8_t *buf) { return be32_at(buf + 14); }

bool frame_ok(const uint8_t *buf, uint32_t len, uint32_t number)
{
        static uint8_t want[PKT_LARGE_SIZE];
        frame_fill(want, len, number);
        return memcmp(buf, want, len) == 0;
}

uint32_t frame_tcp(uint8_t *buf, uint32_t payload)
{
        static const uint8_t ports[] = { 0x30, 0x39, 0x00, 0x50 };
        uint8_t *ip = buf + 14, *tcp = ip + 20;
        uint32_t sum = 0;

        memset(buf, 0, 54);
        memcpy(buf, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00", 14);
        ip[0] = 0x45;
        be16_to(ip + 2, (uint16_t)(40 + payload));
        ip[8] = 64;
        ip[9] = 6;
        memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
        for (int i = 0; i < 20; i += 2)
                sum += be16_at(ip + i);
        be16_to(ip + 10, (uint16_t)~((sum & 0xffff) + (sum >> 16)));
        memcpy(tcp, ports, sizeof ports);
        tcp[12] = 0x50;
        tcp[13] = 0x10;
        be16_to(tcp + 14, 1000);
        sum = 0x0a00 + 1 + 0x0a00 + 2 + 6 + 20 + payload;       /* the pseudo header, not inverted */
        be16_to(tcp + 16, (uint16_t)((sum & 0xffff) + (sum >> 16)));
        for (uint32_t i = 0; i < payload; i++)
                tcp[20 + i] = (uint8_t)(i * 13 + (i >> 8));
        return 54 + payload;
}

int end_open(struct end *e, const char *name, uint32_t mtu, uint32_t offload)
{
        struct netdev_conf conf = { .mtu = mtu, .queue_cnt = 1, .offload = offload, .seed = 7 };
        char err[400] = "";

        *e = (struct end){ .now_ns = SEC(1) };
        REQUIRE(pkt_pool_init(&e->pool, RIG_SMALL, RIG_LARGE, false) == 0);
        int rc = netdev_open(&e->dev, name, &conf, err, sizeof err);
        if (rc == 0)
                rc = netdev_queue_open(&e->q, e->dev, 0, &e->pool, &e->counters);
        else
                printf("  %s\n", err);
        return rc;
}

void end_close(struct end *e)
{
        test_saw(&e->counters);
        netdev_queue_close(&e->q);
        netdev_close(e->dev);
        EXPECT_EQ(e->pool.small.used, 0);
        EXPECT_EQ(e->pool.large.used, 0);
        pkt_pool_fini(&e->pool);
}

struct pkt *end_frame(struct end *e, uint32_t len, uint32_t number)
{
        struct pkt *p = pkt_take(&e->pool, len);
        REQUIRE(p);
        p->len = len;
        frame_fill(p->data, len, number);
        return p;
}

bool end_send(struct end *e, uint32_t len, uint32_t number)
{
        struct pkt *p = end_frame(e, len, number);
        if (netdev_tx(&e->q, &p, 1, e->now_ns) == 1)
                return true;
        pkt_give(&e->pool, p);
        return false;
}

struct pkt *end_recv(struct end *e)
{
        for (int i = 0; i < RECV_POLLS; i++) {
                struct pkt *p;
                e->now_ns += US(1);
                if (!netdev_rx(&e->q, &p, 1, e->now_ns)) {
                        poll(NULL, 0, i / 100);
                } else if (frame_is_ours(p->data, p->len)) {
                        return p;
                } else {
                        pkt_give(&e->pool, p);
                }
        }
        return NULL;
}

void end_expect(struct end *e, uint32_t len, uint32_t number)
{
        struct pkt *p = end_recv(e);

        if (!p) {
                test_fail(__FILE__, __LINE__, "frame %u of %u octets did not come", number, len);
                return;
        }
        EXPECT_EQ(p->len, len);
        EXPECT_EQ(frame_number(p->data), number);
        EXPECT(p->len == len && frame_ok(p->data, len, number));
        pkt_give(&e->pool, p);
}

uint32_t end_drain(struct end *e)
{
        uint32_t cnt = 0;
        for (struct pkt *p; (p = end_recv(e)); cnt++)
                pkt_give(&e->pool, p);
        return cnt;
}

void need_netns(void)
{
        if (access("/dev/net/tun", R_OK | W_OK) < 0)
                test_skip("no access to /dev/net/tun");
        if (unshare(CLONE_NEWNET) < 0)
                test_skip("needs root: cannot make a network namespace");
}

static int packet_socket(const char *ifname)
{
        struct sockaddr_ll to = {
                .sll_family = AF_PACKET, .sll_protocol = htons(FRAME_ETH_TYPE),
                .sll_ifindex = (int)if_nametoindex(ifname),
        };
        int buf = 8 << 20;
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(FRAME_ETH_TYPE));

        REQUIRE(fd >= 0 && to.sll_ifindex > 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf, sizeof buf);
        REQUIRE(bind(fd, (struct sockaddr *)&to, sizeof to) == 0);
        return fd;
}

void rig_open(struct rig *r, const char *name, enum far_kind far_kind, uint32_t mtu, uint32_t offload)
{
        *r = (struct rig){ .name = name, .far_kind = far_kind, .sock = -1 };
        if (far_kind == FAR_KERNEL)
                need_netns();
        REQUIRE(end_open(&r->near, name, mtu, offload) == 0);
        if (far_kind == FAR_END)
                REQUIRE(end_open(&r->far, name, mtu, offload) == 0);
        if (far_kind == FAR_KERNEL)
                r->sock = packet_socket(strrchr(name, ':') + 1);
}

void rig_close(struct rig *r)
{
        end_close(&r->near);
        if (r->far_kind == FAR_END)
                end_close(&r->far);
        if (r->sock >= 0)
                close(r->sock);
}

void rig_far_send(struct rig *r, uint32_t len, uint32_t number)
{
        static uint8_t buf[PKT_LARGE_SIZE];

        if (r->far_kind != FAR_KERNEL) {
                EXPECT(end_send(r->far_kind == FAR_END ? &r->far : &r->near, len, number));
                return;
        }
        frame_fill(buf, len, number);
        EXPECT_EQ(send(r->sock, buf, len, 0), len);
}

void rig_far_expect(struct rig *r, uint32_t len, uint32_t number)
{
        static uint8_t buf[PKT_LARGE_SIZE];

        if (r->far_kind != FAR_KERNEL) {
                end_expect(r->far_kind == FAR_END ? &r->far : &r->near, len, number);
                return;
        }
        struct pollfd pfd = { r->sock, POLLIN, 0 };
        EXPECT_EQ(poll(&pfd, 1, 500), 1);
        EXPECT_EQ(recv(r->sock, buf, sizeof buf, 0), len);
        EXPECT(frame_ok(buf, len, number));
}

uint32_t rig_far_drain(struct rig *r)
{
        static uint8_t buf[PKT_LARGE_SIZE];
        uint32_t cnt = 0;

        if (r->far_kind == FAR_KERNEL) {
                while (recv(r->sock, buf, sizeof buf, 0) > 0)
                        cnt++;
                return cnt;
        }
        return end_drain(r->far_kind == FAR_END ? &r->far : &r->near);
}

static char temp_dir[64];
static pid_t temp_pid;

static void temp_remove(void)
{
        char cmd[96];
        if (getpid() != temp_pid)
                return;
        snprintf(cmd, sizeof cmd, "rm -rf %s", temp_dir);
        if (system(cmd) != 0)
                printf("  cannot remove %s\n", temp_dir);
}

const char *temp_path(char *buf, size_t len, const char *file)
{
        if (!temp_dir[0]) {
                snprintf(temp_dir, sizeof temp_dir, "/tmp/millrace-dev-XXXXXX");
                REQUIRE(mkdtemp(temp_dir));
                temp_pid = getpid();
                atexit(temp_remove);
        }
        snprintf(buf, len, "%s/%s", temp_dir, file);
        return buf;
}
