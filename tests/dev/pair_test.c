/* SPDX-License-Identifier: MIT */
/* What is particular to a wire with two ends: loop:NAME and shm:NAME */
#include "tests/dev/dev_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char shm_device[64];

static const char *shm_device_name(void)
{
        snprintf(shm_device, sizeof shm_device, "shm:test-%d", (int)getpid());
        return shm_device;
}

static size_t shm_file_cnt(void)
{
        char pattern[96];
        glob_t g;
        snprintf(pattern, sizeof pattern, "/dev/shm/millrace-%s*", shm_device + 4);
        size_t cnt = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
        globfree(&g);
        return cnt;
}

static void refuse(const char *name, uint16_t queue_cnt, uint32_t offload, int rc, const char *says)
{
        struct netdev_conf conf = { .queue_cnt = queue_cnt, .offload = offload };
        struct netdev *dev;
        char err[400] = "";

        EXPECT_EQ(netdev_open(&dev, name, &conf, err, sizeof err), rc);
        if (!strstr(err, says))
                test_fail(__FILE__, __LINE__, "\"%s\" says \"%s\", not \"%s\"", name, err, says);
}

static void ends(const char *name)
{
        struct end a, b, c;

        REQUIRE(end_open(&a, name, 0, NETDEV_ALL_OFFLOADS) == 0);

        /* Alone: what is sent is dropped, as by a wire. */
        for (uint32_t i = 0; i < 5; i++)
                EXPECT(end_send(&a, 100, i));
        EXPECT_EQ(a.counters.drop[DROP_TX_NO_LINK], 5);

        refuse(name, 2, NETDEV_ALL_OFFLOADS, -EINVAL, "with the same number");
        refuse(name, 1, 0, -EINVAL, "open this end first");
        REQUIRE(end_open(&b, name, 0, NETDEV_ALL_OFFLOADS) == 0);
        refuse(name, 1, NETDEV_ALL_OFFLOADS, -EBUSY, "another name");
        EXPECT(!mac_eq(&a.dev->caps.mac, &b.dev->caps.mac));

        EXPECT(end_send(&a, 100, 1));
        end_expect(&b, 100, 1);

        /* One end closes: the other works on, its frames go nowhere. */
        EXPECT(end_send(&b, 100, 2));
        end_close(&b);
        end_expect(&a, 100, 2);
        EXPECT(end_send(&a, 100, 3));
        EXPECT_EQ(a.counters.drop[DROP_TX_NO_LINK], 6);

        /* A new one takes the place and sees nothing that was meant for the old. */
        REQUIRE(end_open(&c, name, 0, NETDEV_ALL_OFFLOADS) == 0);
        EXPECT(end_send(&a, 100, 4));
        end_expect(&c, 100, 4);
        EXPECT(end_send(&c, 100, 5));
        end_expect(&a, 100, 5);
        end_close(&c);
        end_close(&a);
}

/* Goal:   two ends, not three; each may come and go; both agree on queues and offloads.
 * Method: open, close and open again in every order, with frames between.
 * Spec:   dev/loop_pair.c, dev/shm_wire.h
 */
TEST(pair_loop_ends) { ends("loop:ends"); }

TEST(pair_shm_ends)
{
        ends(shm_device_name());
        EXPECT_EQ(shm_file_cnt(), 0);
}

/* Goal:   frames larger than the MTU of the reader are dropped and counted, a tagged one is not larger.
 * Method: an end with MTU 9000 and one with 1500.
 * Spec:   drops.def, RX_OVERSIZE
 */
TEST(pair_oversize)
{
        struct end a, b;

        REQUIRE(end_open(&a, "loop:mtu", 9000, 0) == 0);
        REQUIRE(end_open(&b, "loop:mtu", 1500, 0) == 0);
        EXPECT(end_send(&a, 1519, 1));
        EXPECT(end_send(&a, 1518, 2));
        end_expect(&b, 1518, 2);
        EXPECT_EQ(b.counters.drop[DROP_RX_OVERSIZE], 1);
        end_close(&a);
        end_close(&b);
}

static void queues(const char *name)
{
        struct netdev_conf conf = { .queue_cnt = 3 };
        struct netdev *dev[2];
        struct end e[2][3];
        char err[400];

        memset(e, 0, sizeof e);
        for (int side = 0; side < 2; side++) {
                REQUIRE(netdev_open(&dev[side], name, &conf, err, sizeof err) == 0);
                EXPECT_EQ(dev[side]->caps.queue_cnt, 3);
                for (uint16_t i = 0; i < 3; i++) {
                        REQUIRE(pkt_pool_init(&e[side][i].pool, 64, 2, false) == 0);
                        e[side][i].dev = dev[side];
                        REQUIRE(netdev_queue_open(&e[side][i].q, dev[side], i, &e[side][i].pool,
                                                  &e[side][i].counters) == 0);
                }
        }
        for (uint32_t i = 0; i < 3; i++)
                EXPECT(end_send(&e[0][i], 100, i) && end_send(&e[1][i], 100, 10 + i));
        for (uint32_t i = 0; i < 3; i++) {
                end_expect(&e[1][i], 100, i);
                end_expect(&e[0][i], 100, 10 + i);
        }
        for (int side = 0; side < 2; side++) {
                for (uint16_t i = 0; i < 3; i++) {
                        netdev_queue_close(&e[side][i].q);
                        EXPECT_EQ(e[side][i].pool.small.used, 0);
                        pkt_pool_fini(&e[side][i].pool);
                }
                netdev_close(dev[side]);
        }
}

/* Goal:   queue i of one end is joined to queue i of the other.
 * Method: three queues, a frame each way on each.
 * Spec:   dev/netdev.h
 */
TEST(pair_loop_queues) { queues("loop:queues"); }
TEST(pair_shm_queues)
{
        queues(shm_device_name());
        EXPECT_EQ(shm_file_cnt(), 0);
}

enum { PING_FRAMES = 30000 };

static bool sleep_begin(struct end *e) { return e->dev->ops->sleep_begin(&e->q); }

/* Echo @cnt frames, sleeping whenever there is nothing to do. */
static void echo(struct end *e, uint32_t cnt)
{
        struct pollfd pfd = { e->dev->ops->fd(&e->q), POLLIN, 0 };
        struct pkt *pkts[32];

        while (cnt) {
                uint32_t n = netdev_rx(&e->q, pkts, 32, e->now_ns), sent = 0;
                while (sent < n)
                        sent += netdev_tx(&e->q, pkts + sent, n - sent, e->now_ns);
                cnt -= n;
                if (n)
                        continue;
                if (sleep_begin(e) && poll(&pfd, 1, 5000) != 1)
                        test_fail(__FILE__, __LINE__, "nobody woke the echo; %u frames to go", cnt);
                e->dev->ops->sleep_end(&e->q);
        }
}

/* Send PING_FRAMES, never more than @window ahead, and expect all of them back in order. */
static void ping(struct end *e, uint32_t window)
{
        struct pollfd pfd = { e->dev->ops->fd(&e->q), POLLIN, 0 };
        uint32_t sent = 0, got = 0;

        while (got < PING_FRAMES) {
                struct pkt *pkts[32];
                while (sent < PING_FRAMES && sent - got < window && end_send(e, 60 + sent % 1400, sent))
                        sent++;
                uint32_t n = netdev_rx(&e->q, pkts, 32, e->now_ns);
                for (uint32_t i = 0; i < n; i++, got++) {
                        EXPECT_EQ(pkts[i]->len, 60 + got % 1400);
                        EXPECT(frame_ok(pkts[i]->data, pkts[i]->len, got));
                        pkt_give(&e->pool, pkts[i]);
                }
                if (n)
                        continue;
                if (sleep_begin(e) && poll(&pfd, 1, 5000) != 1)
                        test_fail(__FILE__, __LINE__, "nobody woke us; %u of %u came", got, sent);
                e->dev->ops->sleep_end(&e->q);
        }
}

static void *echo_thread(void *arg)
{
        echo(arg, 2 * PING_FRAMES);
        return NULL;
}

/* Goal:   two threads that both sleep when idle never miss a wake-up and pass every frame in order.
 * Method: ping-pong one frame at a time (a sleep each), then with a window.
 * Spec:   dev/framering.h, Sleeping
 */
TEST(pair_loop_threads)
{
        struct end a, b;
        pthread_t thread;

        REQUIRE(end_open(&a, "loop:threads", 0, 0) == 0);
        REQUIRE(end_open(&b, "loop:threads", 0, 0) == 0);
        REQUIRE(pthread_create(&thread, NULL, echo_thread, &b) == 0);
        ping(&a, 1);
        ping(&a, 100);
        pthread_join(thread, NULL);
        end_close(&a);
        end_close(&b);
}

/* Run @play in a process of its own on the other end of @name. */
static pid_t play_apart(const char *name, void (*play)(struct end *e))
{
        fflush(stdout);
        pid_t pid = fork();
        if (pid)
                return pid;
        struct end e;
        alarm(40);
        if (end_open(&e, name, 0, 0) < 0)
                _exit(2);
        play(&e);
        end_close(&e);
        fflush(stdout);
        _exit(0);
}

static void play_echo(struct end *e) { echo(e, 2 * PING_FRAMES + 1); }
static void play_dead(struct end *e) { for (;;) pause(); }

/* Send one frame that somebody gets. */
static void wait_for_peer(struct end *e)
{
        for (int i = 0; i < 3000; i++) {
                uint64_t before = e->counters.drop[DROP_TX_NO_LINK];
                EXPECT(end_send(e, 60, 0));
                if (e->counters.drop[DROP_TX_NO_LINK] == before)
                        return;
                poll(NULL, 0, 1);
        }
        test_fail(__FILE__, __LINE__, "the other process did not come");
}

/* Goal:   two processes pass every frame in order, both sleeping when idle; the files are gone afterwards.
 * Method: an echo in a forked process; one frame at a time, then with a window.
 * Spec:   dev/shm_wire.h
 */
TEST(pair_shm_processes)
{
        struct end a;
        int status = -1;
        const char *name = shm_device_name();

        REQUIRE(end_open(&a, name, 0, 0) == 0);
        EXPECT_EQ(shm_file_cnt(), 3);
        struct stat st;
        char path[96];
        snprintf(path, sizeof path, "/dev/shm/millrace-%s", name + 4);
        EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);

        pid_t pid = play_apart(name, play_echo);
        wait_for_peer(&a);
        end_expect(&a, 60, 0);          /* the frame that found somebody there */
        ping(&a, 1);
        ping(&a, 100);
        EXPECT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
        end_close(&a);
        EXPECT_EQ(shm_file_cnt(), 0);
}

/* Goal:   a process that dies without a word frees its end: its peer goes on, a successor takes over.
 * Method: kill -9 the other process, fill its ring, see frames dropped; start another and ping it.
 *         Then die on both ends, and open anew.
 * Spec:   dev/shm_wire.h
 */
TEST(pair_shm_survives_a_crash)
{
        struct end a, b;
        const char *name = shm_device_name();
        uint32_t sent = 0;

        REQUIRE(end_open(&a, name, 0, 0) == 0);
        pid_t pid = play_apart(name, play_dead);
        wait_for_peer(&a);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);

        uint64_t dropped = a.counters.drop[DROP_TX_NO_LINK];
        while (a.counters.drop[DROP_TX_NO_LINK] == dropped && sent < 10000) {
                end_send(&a, 1000, sent++);
                a.now_ns += US(100);
        }
        EXPECT_LT(sent, 2000);          /* one ring full, not more */

        /* The successor. */
        REQUIRE(end_open(&b, name, 0, 0) == 0);
        EXPECT(end_send(&a, 100, 1));
        end_expect(&b, 100, 1);
        EXPECT(end_send(&b, 100, 2));
        end_expect(&a, 100, 2);
        end_close(&b);
        end_close(&a);
        EXPECT_EQ(shm_file_cnt(), 0);

        /* Nobody left to remove the files: who comes next makes them anew. */
        pid = play_apart(name, play_dead);
        for (int i = 0; i < 2000 && shm_file_cnt() < 3; i++)
                poll(NULL, 0, 1);
        poll(NULL, 0, 50);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        EXPECT_EQ(shm_file_cnt(), 3);
        ends(name);
        EXPECT_EQ(shm_file_cnt(), 0);
}

/* Goal:   files in /dev/shm that are not ours are not touched.
 * Method: a link, a directory and another user's file in the place.
 * Spec:   dev/shm_wire.h
 */
TEST(pair_shm_refuses_strange_files)
{
        const char *name = shm_device_name();
        char path[96];

        snprintf(path, sizeof path, "/dev/shm/millrace-%s", name + 4);
        REQUIRE(symlink("/etc/passwd", path) == 0);
        refuse(name, 1, 0, -ELOOP, "use another name");
        unlink(path);

        REQUIRE(mkdir(path, 0700) == 0);
        refuse(name, 1, 0, -EISDIR, "use another name");
        rmdir(path);

        if (geteuid() != 0)
                return;
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        REQUIRE(fd >= 0 && fchown(fd, 65534, 65534) == 0);
        close(fd);
        struct netdev_conf conf = { .queue_cnt = 1 };
        struct netdev *dev;
        EXPECT_EQ(netdev_open(&dev, name, &conf, NULL, 0), -EACCES);
        unlink(path);
}

/* Goal:   in a program that has closed its standard input a descriptor may be 0, and all is given back.
 * Method: devices with eventfds, opened and closed while 0 is free; the lowest free number is 0 each time.
 * Spec:   dev/netdev.h
 */
TEST(pair_with_descriptor_0)
{
        static const char *const names[] = { "loop:zero", "steer:loop:" };
        struct netdev_conf conf = { .queue_cnt = 3 };
        int input = dup(0);
        struct netdev *dev;
        char err[400] = "";

        REQUIRE(input > 0);
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                close(0);
                EXPECT_EQ(netdev_open(&dev, names[i], &conf, err, sizeof err), 0);
                if (!err[0])
                        netdev_close(dev);
                EXPECT_EQ(dup(input), 0);
        }
        close(input);
}
