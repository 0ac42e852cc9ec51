/* SPDX-License-Identifier: MIT */
/* What is particular to tap:, each in a network namespace of its own */
#include "dev/vnet.h"
#include "tests/dev/dev_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAP "mrtest0"

static void shell(const char *cmd) { EXPECT_EQ(system(cmd), 0); }

static struct ifreq interface_get(unsigned long what)
{
        struct ifreq ifr = { .ifr_name = TAP };
        int sock = socket(AF_INET, SOCK_DGRAM, 0);
        EXPECT_EQ(ioctl(sock, what, &ifr), 0);
        close(sock);
        return ifr;
}

/* Goal:   the interface is made, is up, has the MTU asked for and a MAC that is not ours; it goes with us.
 * Method: ask the kernel.
 * Spec:   docs/devices.md
 */
TEST(tap_makes_the_interface)
{
        struct end e;

        need_netns();
        REQUIRE(end_open(&e, "tap:" TAP, 1400, NETDEV_ALL_OFFLOADS) == 0);
        EXPECT(interface_get(SIOCGIFFLAGS).ifr_flags & IFF_UP);
        EXPECT_EQ(interface_get(SIOCGIFMTU).ifr_mtu, 1400);
        EXPECT_EQ(e.dev->caps.mtu, 1400);
        EXPECT(memcmp(interface_get(SIOCGIFHWADDR).ifr_hwaddr.sa_data, e.dev->caps.mac.octet, 6) != 0);
        EXPECT_EQ(e.dev->caps.offload, NETDEV_RX_CSUM | NETDEV_TX_CSUM | NETDEV_TSO | NETDEV_LRO);

        struct netdev_conf conf = { .queue_cnt = 1 };
        struct netdev *dev;
        char err[400];
        EXPECT_EQ(netdev_open(&dev, "tap:" TAP, &conf, err, sizeof err), -EBUSY);
        EXPECT(strstr(err, "another process") != NULL);
        EXPECT_EQ(netdev_open(&dev, "tap:lo", &conf, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "is not a TAP") != NULL);
        end_close(&e);
        EXPECT_EQ(if_nametoindex(TAP), 0);
}

/* Goal:   an interface that is there already is joined as it is, and stays.
 * Method: persistent ones, for one queue and for several.
 * Spec:   docs/devices.md
 */
TEST(tap_joins_an_interface)
{
        struct netdev_conf two = { .queue_cnt = 2 };
        struct netdev *dev;
        struct end e;
        char err[400];

        need_netns();
        shell("ip tuntap add " TAP " mode tap vnet_hdr && ip link set " TAP " mtu 3000");
        REQUIRE(end_open(&e, "tap:" TAP, 0, 0) == 0);
        EXPECT_EQ(e.dev->caps.mtu, 3000);
        end_close(&e);
        EXPECT_NE(if_nametoindex(TAP), 0);
        EXPECT_EQ(netdev_open(&dev, "tap:" TAP, &two, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "several queues") != NULL);
        shell("ip link del " TAP);

        shell("ip tuntap add " TAP " mode tap multi_queue vnet_hdr");
        REQUIRE(end_open(&e, "tap:" TAP, 0, 0) == 0);
        end_close(&e);
        REQUIRE(netdev_open(&dev, "tap:" TAP, &two, err, sizeof err) == 0);
        EXPECT_EQ(dev->caps.queue_cnt, 2);
        netdev_close(dev);

        shell("ip link del " TAP "; ip tuntap add " TAP " mode tun");
        EXPECT_EQ(netdev_open(&dev, "tap:" TAP, &two, err, sizeof err), -EINVAL);
        EXPECT(strstr(err, "ip link del " TAP) != NULL);
}

/* Goal:   without rights, a line that says how to get them.
 * Method: become nobody.
 * Spec:   docs/devices.md
 */
TEST(tap_without_permission)
{
        struct netdev_conf conf = { .queue_cnt = 1 };
        struct netdev *dev;
        char err[400] = "";

        need_netns();
        REQUIRE(setuid(65534) == 0);
        int rc = netdev_open(&dev, "tap:" TAP, &conf, err, sizeof err);
        EXPECT(rc == -EACCES || rc == -EPERM);
        EXPECT(strstr(err, "run as root") != NULL);
}

static int vnet_socket(void)
{
        struct sockaddr_ll at = {
                .sll_family = AF_PACKET, .sll_protocol = htons(0x0800), .sll_ifindex = (int)if_nametoindex(TAP),
        };
        int on = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(0x0800));

        REQUIRE(fd >= 0 && setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0);
        REQUIRE(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
        return fd;
}

enum { PAYLOAD = 65000, GSO_SIZE = 1448 };

/* Goal:   a 64 KB super-segment passes each way in one piece with its marks, and what is cut is cut by the kernel.
 * Method: a packet socket with virtio-net headers at the kernel's end.
 * Spec:   virtio 1.2 5.1.6.2, 5.1.6.4
 */
TEST(tap_super_segments)
{
        static uint8_t buf[PKT_LARGE_SIZE], want[PKT_LARGE_SIZE];
        struct end e;

        need_netns();
        REQUIRE(end_open(&e, "tap:" TAP, 0, NETDEV_ALL_OFFLOADS) == 0);
        int sock = vnet_socket();
        uint32_t len = frame_tcp(want, PAYLOAD);

        struct pkt *p = pkt_take(&e.pool, len);
        REQUIRE(p);
        p->len = frame_tcp(p->data, PAYLOAD);
        p->marks = PKT_CSUM_PARTIAL | PKT_GSO;
        p->gso_size = GSO_SIZE;
        p->csum_start = 34;
        p->csum_offset = 16;
        REQUIRE(netdev_tx(&e.q, &p, 1, 0) == 1);
        struct pollfd pfd = { sock, POLLIN, 0 };
        EXPECT_EQ(poll(&pfd, 1, 1000), 1);
        EXPECT_EQ(recv(sock, buf, sizeof buf, 0), 10 + len);
        struct vnet_hdr hdr;
        memcpy(&hdr, buf, sizeof hdr);
        EXPECT_EQ(hdr.flags, VNET_NEEDS_CSUM);
        EXPECT_EQ(hdr.gso_type, VNET_GSO_TCP4);
        EXPECT_EQ(hdr.gso_size, GSO_SIZE);
        EXPECT_EQ(hdr.csum_start, 34);
        EXPECT_EQ(hdr.csum_offset, 16);
        EXPECT_MEM(buf + 10, want, len);

        hdr = (struct vnet_hdr){ VNET_NEEDS_CSUM, VNET_GSO_TCP4, 54, GSO_SIZE, 34, 16 };
        memcpy(buf, &hdr, sizeof hdr);
        memcpy(buf + 10, want, len);
        for (int round = 0; round < 2 * RIG_LARGE; round++) {   /* spares come back each time */
                EXPECT_EQ(send(sock, buf, 10 + len, 0), 10 + len);
                uint32_t n = 0;
                for (int i = 0; i < 100 && !n; i++) {
                        n = netdev_rx(&e.q, &p, 1, 0);
                        if (n && p->len != len) {               /* something of the kernel's own */
                                pkt_give(&e.pool, p);
                                n = 0;
                        }
                }
                REQUIRE(n == 1);
                EXPECT_EQ(p->marks, PKT_CSUM_PARTIAL | PKT_GSO);
                EXPECT_EQ(p->gso_size, GSO_SIZE);
                EXPECT_EQ(p->csum_start, 34);
                EXPECT_EQ(p->csum_offset, 16);
                EXPECT_MEM(p->data, want, len);
                pkt_give(&e.pool, p);
        }
        close(sock);
        end_close(&e);

        /* The same to a device that was opened without offloads: whole frames with whole checksums. */
        REQUIRE(end_open(&e, "tap:" TAP, 0, 0) == 0);
        sock = vnet_socket();
        EXPECT_EQ(send(sock, buf, 10 + len, 0), 10 + len);
        uint32_t segs = 0, payload = 0;
        for (int i = 0; i < 500; i++) {
                if (!netdev_rx(&e.q, &p, 1, 0))
                        continue;
                if (be16_at(p->data + 12) == 0x0800 && p->data[23] == 6) {
                        EXPECT_LE(p->len, 54 + GSO_SIZE);
                        EXPECT_EQ(p->marks, 0);
                        uint32_t sum = 6 + p->len - 34;
                        for (uint32_t at = 26; at + 1 < p->len; at += 2)
                                sum += be16_at(p->data + at);
                        if (p->len % 2)
                                sum += (uint32_t)p->data[p->len - 1] << 8;
                        sum = (sum & 0xffff) + (sum >> 16);
                        EXPECT_EQ((sum & 0xffff) + (sum >> 16), 0xffff);
                        segs++;
                        payload += p->len - 54;
                }
                pkt_give(&e.pool, p);
        }
        EXPECT_EQ(payload, PAYLOAD);
        EXPECT_EQ(segs, (PAYLOAD + GSO_SIZE - 1) / GSO_SIZE);
        close(sock);
        end_close(&e);
}

/* Goal:   a frame that no buffer was made for is dropped and counted, and the next one passes.
 * Method: raise the interface's MTU behind our back.
 * Spec:   drops.def, RX_OVERSIZE
 */
TEST(tap_oversize)
{
        struct rig r;

        rig_open(&r, "tap:" TAP, FAR_KERNEL, 0, 0);
        shell("ip link set " TAP " mtu 9000");
        rig_far_send(&r, 5000, 1);
        rig_far_send(&r, 1600, 2);
        rig_far_send(&r, 1514, 3);
        end_expect(&r.near, 1514, 3);
        EXPECT_EQ(r.near.counters.drop[DROP_RX_OVERSIZE], 2);
        rig_close(&r);
}

/* Goal:   a link that is down swallows frames, and works again when it is up.
 * Method: ip link set down, up.
 * Spec:   drops.def, TX_NO_LINK
 */
TEST(tap_link_down_and_up)
{
        struct rig r;

        rig_open(&r, "tap:" TAP, FAR_KERNEL, 0, 0);
        shell("ip link set " TAP " down");
        EXPECT(end_send(&r.near, 100, 1));
        EXPECT_EQ(r.near.counters.drop[DROP_TX_NO_LINK], 1);
        EXPECT(end_recv(&r.near) == NULL);
        shell("ip link set " TAP " up");
        recv(r.sock, &(int){ 0 }, sizeof(int), 0);      /* the socket is told once that the link was down */
        EXPECT(end_send(&r.near, 100, 2));
        rig_far_expect(&r, 100, 2);
        rig_far_send(&r, 100, 3);
        end_expect(&r.near, 100, 3);
        rig_close(&r);
}

/* Goal:   when the interface is deleted, nothing crashes and nothing spins.
 * Method: delete it; one look at the device, and from then on poll() on the same descriptor is quiet.
 * Spec:   dev/tap.c
 */
TEST(tap_interface_deleted)
{
        struct rig r;
        struct pkt *p;

        rig_open(&r, "tap:" TAP, FAR_KERNEL, 0, 0);
        struct pollfd pfd = { r.near.dev->ops->fd(&r.near.q), POLLIN, 0 };
        shell("ip link del " TAP);
        EXPECT_EQ(poll(&pfd, 1, 1000), 1);
        EXPECT_EQ(netdev_rx(&r.near.q, &p, 1, 0), 0);
        EXPECT_EQ(poll(&pfd, 1, 0), 0);
        EXPECT_EQ(netdev_rx(&r.near.q, &p, 1, 0), 0);
        EXPECT(end_send(&r.near, 100, 1));
        EXPECT_EQ(r.near.counters.drop[DROP_TX_NO_LINK], 1);
        rig_close(&r);
}

/* Goal:   with two queues, frames leave by either and come in by one of them.
 * Method: count at both ends.
 * Spec:   dev/netdev.h
 */
TEST(tap_queues)
{
        struct netdev_conf conf = { .queue_cnt = 2, .offload = NETDEV_RSS };
        struct rig r = { .far_kind = FAR_KERNEL };
        struct netdev *dev;
        struct end e[2];
        char err[400];

        need_netns();
        REQUIRE(netdev_open(&dev, "tap:" TAP, &conf, err, sizeof err) == 0);
        EXPECT_EQ(dev->caps.queue_cnt, 2);
        EXPECT_EQ(dev->caps.offload, NETDEV_RSS);
        for (uint16_t i = 0; i < 2; i++) {
                e[i] = (struct end){ .dev = dev };
                REQUIRE(pkt_pool_init(&e[i].pool, 600, 2, false) == 0);
                REQUIRE(netdev_queue_open(&e[i].q, dev, i, &e[i].pool, &e[i].counters) == 0);
        }
        struct sockaddr_ll at = {
                .sll_family = AF_PACKET, .sll_protocol = htons(FRAME_ETH_TYPE),
                .sll_ifindex = (int)if_nametoindex(TAP),
        };
        r.sock = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(FRAME_ETH_TYPE));
        REQUIRE(bind(r.sock, (struct sockaddr *)&at, sizeof at) == 0);

        for (uint32_t i = 0; i < 100; i++) {
                EXPECT(end_send(&e[i % 2], 100, i));
                rig_far_expect(&r, 100, i);
                rig_far_send(&r, 100, i);
        }
        EXPECT_EQ(end_drain(&e[0]) + end_drain(&e[1]), 100);
        for (uint16_t i = 0; i < 2; i++) {
                netdev_queue_close(&e[i].q);
                EXPECT_EQ(e[i].pool.small.used, 0);
                pkt_pool_fini(&e[i].pool);
        }
        netdev_close(dev);
        close(r.sock);
}

/* Goal:   what the kernel's header says is checked like anything else from outside.
 * Method: headers that cannot be true; one that can.
 * Spec:   virtio 1.2 5.1.6.4
 */
TEST(tap_vnet_header_checked)
{
        static const struct { struct vnet_hdr hdr; uint32_t offload; bool ok; uint16_t marks; } try[] = {
                { { 0 }, 0, true, 0 },
                { { .flags = VNET_DATA_VALID }, NETDEV_RX_CSUM, true, PKT_CSUM_OK },
                { { .flags = VNET_DATA_VALID }, 0, true, 0 },
                { { .flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 }, NETDEV_RX_CSUM, true,
                  PKT_CSUM_PARTIAL },
                { { .flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 }, 0, false, 0 },
                { { .flags = VNET_NEEDS_CSUM, .csum_start = 90, .csum_offset = 9 }, NETDEV_RX_CSUM, false, 0 },
                { { .flags = VNET_NEEDS_CSUM, .csum_start = 0xffff, .csum_offset = 0xffff }, NETDEV_RX_CSUM, false, 0 },
                { { .gso_type = VNET_GSO_TCP4, .gso_size = 0 }, NETDEV_ALL_OFFLOADS, false, 0 },
                { { .gso_type = 3, .gso_size = 100 }, NETDEV_ALL_OFFLOADS, false, 0 },
                { { .gso_type = VNET_GSO_TCP4, .gso_size = 100 }, NETDEV_RX_CSUM, false, 0 },
                { { .gso_type = VNET_GSO_TCP6 | VNET_GSO_ECN, .gso_size = 100 }, NETDEV_ALL_OFFLOADS, true, PKT_GSO },
        };

        for (size_t i = 0; i < ARRAY_LEN(try); i++) {
                struct pkt p = { .len = 100 };
                test_note("row %zu", i);
                EXPECT_EQ(vnet_parse(&p, &try[i].hdr, try[i].offload), try[i].ok);
                if (try[i].ok)
                        EXPECT_EQ(p.marks, try[i].marks);
        }
}
