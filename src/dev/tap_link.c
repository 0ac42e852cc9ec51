/* SPDX-License-Identifier: MIT */
#include "dev/tap_link.h"

#include "dev/vnet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int dev_net_tun_open(const char *name, char *err, size_t err_len)
{
        int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0)
                return fd;
        switch (errno) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
                return netdev_fail(err, err_len, -errno,
                                   "tap:%s: this system has no /dev/net/tun: load the module with `modprobe tun`, "
                                   "or start the container with --device /dev/net/tun", name);
        case EACCES:
        case EPERM:
                return netdev_fail(err, err_len, -errno,
                                   "tap:%s: no permission to open /dev/net/tun: run as root, or let your user read "
                                   "and write it", name);
        default:
                return netdev_fail(err, err_len, -errno, "tap:%s: cannot open /dev/net/tun: %s", name, strerror(errno));
        }
}

static int attach_fail(const char *name, uint16_t queue_cnt, int error, char *err, size_t err_len)
{
        switch (error) {
        case EPERM:
        case EACCES:
                return netdev_fail(err, err_len, -error,
                                   "tap:%s: no permission: run as root (CAP_NET_ADMIN), or have root make it yours: "
                                   "ip tuntap add %s mode tap user $USER", name, name);
        case EBUSY:
                return netdev_fail(err, err_len, -error,
                                   "tap:%s: another process uses this interface: stop it, or use another name", name);
        case EINVAL:
                return netdev_fail(err, err_len, -error,
                                   "tap:%s: an interface of this name exists and is not a TAP%s: use another name, "
                                   "or delete it: ip link del %s", name,
                                   queue_cnt > 1 ? " made for several queues" : "", name);
        default:
                return netdev_fail(err, err_len, -error, "tap:%s: cannot attach to the interface: %s", name,
                                   strerror(error));
        }
}

/* Attach @fd to the interface as one of its queues. */
static int attach(int fd, const char *name, uint16_t queue_cnt, uint32_t offload, char *err, size_t err_len)
{
        struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
        int hdr_size = sizeof(struct vnet_hdr);
        unsigned tun_offload = 0;

        memcpy(ifr.ifr_name, name, strlen(name));
        if (queue_cnt > 1)
                ifr.ifr_flags |= IFF_MULTI_QUEUE;
        int rc = ioctl(fd, TUNSETIFF, &ifr);
        if (rc < 0 && errno == EINVAL && queue_cnt == 1) {
                /* One that was made for several queues serves with one. */
                ifr.ifr_flags |= IFF_MULTI_QUEUE;
                rc = ioctl(fd, TUNSETIFF, &ifr);
        }
        if (rc < 0)
                return attach_fail(name, queue_cnt, errno, err, err_len);

        if (offload & NETDEV_RX_CSUM)
                tun_offload |= TUN_F_CSUM;
        if (offload & NETDEV_LRO)
                tun_offload |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
        if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_size) < 0 || ioctl(fd, TUNSETOFFLOAD, tun_offload) < 0)
                return netdev_fail(err, err_len, -errno, "tap:%s: cannot set offloads: %s", name, strerror(errno));
        return 0;
}

static int set_mtu(int sock, struct ifreq *ifr, uint32_t mtu, char *err, size_t err_len)
{
        if (ioctl(sock, SIOCGIFMTU, ifr) < 0)
                return netdev_fail(err, err_len, -errno, "tap:%s: cannot read the MTU: %s", ifr->ifr_name,
                                   strerror(errno));
        if (!mtu || (uint32_t)ifr->ifr_mtu == mtu)
                return 0;

        int was = ifr->ifr_mtu;
        ifr->ifr_mtu = (int)mtu;
        if (ioctl(sock, SIOCSIFMTU, ifr) == 0)
                return 0;
        return netdev_fail(err, err_len, -errno,
                           "tap:%s: cannot change the MTU from %d to %u (%s): leave mtu out to use %d, or: "
                           "ip link set %s mtu %u", ifr->ifr_name, was, mtu, strerror(errno), was, ifr->ifr_name, mtu);
}

static int bring_up(int sock, struct ifreq *ifr, char *err, size_t err_len)
{
        if (ioctl(sock, SIOCGIFFLAGS, ifr) == 0) {
                if (ifr->ifr_flags & IFF_UP)
                        return 0;
                ifr->ifr_flags |= IFF_UP;
                if (ioctl(sock, SIOCSIFFLAGS, ifr) == 0)
                        return 0;
        }
        return netdev_fail(err, err_len, -errno, "tap:%s: cannot bring the interface up (%s): have root do it: "
                           "ip link set %s up", ifr->ifr_name, strerror(errno), ifr->ifr_name);
}

/* What is the interface's, not a descriptor's. */
static int configure(struct tap_link *link, const char *name, uint32_t mtu, char *err, size_t err_len)
{
        struct ifreq ifr = { 0 };
        int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (sock < 0)
                return netdev_fail(err, err_len, -errno, "tap:%s: cannot open a socket: %s", name, strerror(errno));
        memcpy(ifr.ifr_name, name, strlen(name));
        int rc = set_mtu(sock, &ifr, mtu, err, err_len);
        link->mtu = (uint32_t)ifr.ifr_mtu;
        if (rc == 0 && ioctl(sock, SIOCGIFHWADDR, &ifr) == 0)
                memcpy(link->kernel_mac.octet, ifr.ifr_hwaddr.sa_data, sizeof link->kernel_mac.octet);
        if (rc == 0)
                rc = bring_up(sock, &ifr, err, err_len);
        close(sock);
        return rc;
}

int tap_link_open(struct tap_link *link, const char *name, const struct netdev_conf *conf, uint32_t offload,
                  char *err, size_t err_len)
{
        int rc = 0;

        *link = (struct tap_link){ 0 };
        if (!netdev_word_ok(name))
                return netdev_fail(err, err_len, -EINVAL,
                                   "tap:%s: an interface name has 1 to %d letters, digits, '.', '_' or '-': "
                                   "try tap:mr0", name, IFNAMSIZ - 1);
        if (strlen(name) >= IFNAMSIZ)
                return netdev_fail(err, err_len, -ENAMETOOLONG,
                                   "tap:%s: the name is too long: an interface name has at most %d characters",
                                   name, IFNAMSIZ - 1);
        link->fd = calloc(conf->queue_cnt, sizeof *link->fd);
        if (!link->fd)
                return netdev_fail(err, err_len, -ENOMEM, "tap:%s: out of memory", name);

        while (rc == 0 && link->queue_cnt < conf->queue_cnt) {
                int fd = dev_net_tun_open(name, err, err_len);
                if (fd < 0) {
                        rc = fd;
                        break;
                }
                link->fd[link->queue_cnt++] = fd;
                rc = attach(fd, name, conf->queue_cnt, offload, err, err_len);
        }
        if (rc == 0)
                rc = configure(link, name, conf->mtu, err, err_len);
        if (rc < 0)
                tap_link_close(link);
        return rc;
}

void tap_link_close(struct tap_link *link)
{
        for (uint16_t i = 0; i < link->queue_cnt; i++)
                close(link->fd[i]);
        free(link->fd);
        *link = (struct tap_link){ 0 };
}
