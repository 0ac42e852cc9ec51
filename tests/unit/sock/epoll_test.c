/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "tests/unit/sock/rig.h"

/* The usual scene: a connection, an epoll instance on B's side. */
struct scene {
        struct rig   *rig;
        struct socks *a, *b;
        int           lfd, fa, fb, ep;
};

static struct scene scene_new(void)
{
        struct scene s = { .rig = rig_new() };
        s.a = &s.rig->host[0].ss;
        s.b = &s.rig->host[1].ss;
        s.lfd = rig_listen(&s.rig->host[1], RIG_PORT);
        rig_pair(s.rig, s.lfd, &s.fa, &s.fb);
        s.ep = sock_epoll_create(s.b, 0);
        REQUIRE(s.ep >= 0);
        return s;
}

static int ctl(struct socks *ss, int ep, int op, int fd, uint32_t events)
{
        struct epoll_event ev = { .events = events, .data.u64 = 0x100000000u + (uint32_t)fd };
        return sock_epoll_ctl(ss, ep, op, fd, &ev);
}

/* The events of the one descriptor that is reported; 0: none is; fails when there are more. */
static uint32_t wait_one(struct socks *ss, int ep, int fd)
{
        struct epoll_event evs[4];
        int n = sock_epoll_wait(ss, ep, evs, 4, 0);
        EXPECT(n == 0 || n == 1);
        if (n == 1)
                EXPECT_EQ(evs[0].data.u64, 0x100000000u + (uint32_t)fd);
        return n == 1 ? evs[0].events : 0;
}

static void drain(struct socks *ss, int fd)
{
        char buf[256];
        while (sock_recv(ss, fd, buf, sizeof buf, 0) > 0)
                ;
}

/* Goal:   a level-triggered item is reported while it is ready and not after. */
TEST(epoll_level)
{
        struct scene s = scene_new();

        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, EPOLLIN), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        sock_send(s.a, s.fa, "abc", 3, 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN);
        drain(s.b, s.fb);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_MOD, s.fb, EPOLLIN | EPOLLOUT), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLOUT);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_DEL, s.fb, 0), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        rig_free(s.rig);
}

/* Goal:   an edge-triggered item is reported once an event, with all that is ready then. */
TEST(epoll_edge)
{
        struct scene s = scene_new();

        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLOUT);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        sock_send(s.a, s.fa, "abc", 3, 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN | EPOLLOUT);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        sock_send(s.a, s.fa, "d", 1, 0);                        /* unread data is no obstacle */
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN | EPOLLOUT);
        sock_shutdown(s.a, s.fa, SHUT_WR);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_MOD, s.fb, EPOLLIN | EPOLLET), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN);          /* MOD looks anew */
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        rig_free(s.rig);
}

/* Goal:   a one-shot item is silent after its report until MOD, errors included. */
TEST(epoll_one_shot)
{
        struct scene s = scene_new();
        struct linger l = { .l_onoff = 1 };

        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, EPOLLIN | EPOLLONESHOT), 0);
        sock_send(s.a, s.fa, "abc", 3, 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        sock_send(s.a, s.fa, "d", 1, 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_MOD, s.fb, EPOLLIN | EPOLLONESHOT), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLIN);
        sock_setsockopt(s.a, s.fa, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        sock_close(s.a, s.fa);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), 0);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_MOD, s.fb, EPOLLONESHOT), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, s.fb), EPOLLERR | EPOLLHUP);
        rig_free(s.rig);
}

/* Goal:   one event goes to one of the exclusive watchers, in turn, and to all others. */
TEST(epoll_exclusive)
{
        struct scene s = scene_new();
        int ep[4], got[4] = { 0 };

        for (int i = 0; i < 4; i++) {
                ep[i] = sock_epoll_create(s.b, 0);
                EXPECT_EQ(ctl(s.b, ep[i], EPOLL_CTL_ADD, s.fb, EPOLLIN | EPOLLET | (i < 3 ? EPOLLEXCLUSIVE : 0)), 0);
        }
        for (int round = 0; round < 6; round++) {
                int hits = 0;
                sock_send(s.a, s.fa, "x", 1, 0);
                rig_pump(s.rig);
                for (int i = 0; i < 4; i++) {
                        bool hit = wait_one(s.b, ep[i], s.fb) != 0;
                        got[i] += hit;
                        hits += hit && i < 3;
                }
                EXPECT_EQ(hits, 1);
        }
        for (int i = 0; i < 4; i++)
                EXPECT_EQ(got[i], i < 3 ? 2 : 6);
        EXPECT_EQ(ctl(s.b, ep[0], EPOLL_CTL_MOD, s.fb, EPOLLIN), -EINVAL);
        EXPECT_EQ(ctl(s.b, ep[3], EPOLL_CTL_MOD, s.fb, EPOLLIN | EPOLLEXCLUSIVE), -EINVAL);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), -EINVAL);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, ep[0], EPOLLIN | EPOLLEXCLUSIVE), -EINVAL);
        rig_free(s.rig);
}

/* Goal:   epoll_ctl and epoll_wait refuse what Linux refuses. */
TEST(epoll_errors)
{
        struct scene s = scene_new();
        struct epoll_event ev = { .events = EPOLLIN };

        EXPECT_EQ(sock_epoll_create(s.b, 1), -EINVAL);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, NULL), -EFAULT);
        EXPECT_EQ(sock_epoll_ctl(s.b, 5, EPOLL_CTL_ADD, s.fb, &ev), -EBADF);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_ADD, 5, &ev), -EBADF);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.fb, EPOLL_CTL_ADD, s.ep, &ev), -EINVAL);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_ADD, s.ep, &ev), -EINVAL);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, 77, s.fb, &ev), -EINVAL);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_MOD, s.fb, &ev), -ENOENT);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_DEL, s.fb, NULL), -ENOENT);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, &ev), 0);
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, &ev), -EEXIST);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 0, 0), -EINVAL);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, NULL, 1, 0), -EFAULT);
        EXPECT_EQ(sock_epoll_wait(s.b, s.fb, &ev, 1, 0), -EINVAL);
        EXPECT_EQ(sock_epoll_wait(s.b, 5, &ev, 1, 0), -EBADF);
        EXPECT_EQ(sock_recv(s.b, s.ep, &ev, 1, 0), -ENOTSOCK);
        EXPECT_EQ(sock_bind(s.b, s.ep, NULL, 0), -ENOTSOCK);
        rig_free(s.rig);
}

/* Goal:   an instance in an instance reports through; circles and depth beyond five are ELOOP.
 * Spec:   epoll_ctl(2), ELOOP.
 */
TEST(epoll_nested)
{
        struct scene s = scene_new();
        int ep[7];

        for (int i = 0; i < 7; i++)
                ep[i] = sock_epoll_create(s.b, 0);
        for (int i = 0; i < 4; i++)
                EXPECT_EQ(ctl(s.b, ep[i + 1], EPOLL_CTL_ADD, ep[i], EPOLLIN), 0);
        EXPECT_EQ(ctl(s.b, ep[5], EPOLL_CTL_ADD, ep[4], EPOLLIN), -ELOOP);      /* six deep */
        EXPECT_EQ(ctl(s.b, ep[0], EPOLL_CTL_ADD, ep[5], EPOLLIN), -ELOOP);      /* from below too */
        EXPECT_EQ(ctl(s.b, ep[0], EPOLL_CTL_ADD, ep[4], EPOLLIN), -ELOOP);
        EXPECT_EQ(ctl(s.b, ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN), -ELOOP);
        EXPECT_EQ(ctl(s.b, ep[5], EPOLL_CTL_ADD, ep[3], EPOLLIN), 0);           /* a second parent */
        EXPECT_EQ(ctl(s.b, ep[0], EPOLL_CTL_ADD, s.fb, EPOLLIN), 0);

        EXPECT_EQ(wait_one(s.b, ep[4], ep[3]), 0);
        sock_send(s.a, s.fa, "x", 1, 0);
        EXPECT_EQ(wait_one(s.b, ep[4], ep[3]), EPOLLIN);
        EXPECT_EQ(wait_one(s.b, ep[5], ep[3]), EPOLLIN);
        EXPECT_EQ(wait_one(s.b, ep[0], s.fb), EPOLLIN);
        drain(s.b, s.fb);
        EXPECT_EQ(wait_one(s.b, ep[4], ep[3]), 0);

        EXPECT_EQ(ctl(s.b, ep[4], EPOLL_CTL_DEL, ep[3], 0), 0);
        EXPECT_EQ(ctl(s.b, ep[5], EPOLL_CTL_DEL, ep[3], 0), 0);
        EXPECT_EQ(ctl(s.b, ep[6], EPOLL_CTL_ADD, ep[5], EPOLLIN), 0);
        EXPECT_EQ(ctl(s.b, ep[5], EPOLL_CTL_ADD, ep[3], EPOLLIN), -ELOOP);      /* it has a parent now */
        rig_free(s.rig);
}

/* Goal:   closing a socket or an instance, in any order, ends its registrations and leaks nothing.
 * Method: every order of closing one socket in three instances; rig_free() counts what is left.
 */
TEST(epoll_close_in_any_order)
{
        for (int order = 0; order < 24; order++) {
                struct scene s = scene_new();
                int fd[4] = { s.fb, 0, 0, 0 }, left[4] = { 0, 1, 2, 3 };

                for (int i = 1; i < 4; i++) {
                        fd[i] = sock_epoll_create(s.b, 0);
                        EXPECT_EQ(ctl(s.b, fd[i], EPOLL_CTL_ADD, s.fb, EPOLLIN | EPOLLOUT), 0);
                }
                for (int n = 4, code = order; n > 0; code /= n--) {
                        int pick = code % n;
                        EXPECT_EQ(sock_close(s.b, fd[left[pick]]), 0);
                        left[pick] = left[n - 1];
                        sock_send(s.a, s.fa, "x", 1, MSG_NOSIGNAL);
                        rig_pump(s.rig);
                        int ep = sock_epoll_create(s.b, 0);             /* takes the room of what is gone */
                        if (fdtab_get(&s.b->fds, (uint32_t)s.fb - FD_BASE_DEFAULT) && left[0] == 0)
                                ctl(s.b, ep, EPOLL_CTL_ADD, s.fb, EPOLLIN);
                        EXPECT_EQ(sock_close(s.b, ep), 0);
                }
                rig_free(s.rig);
        }
}

/* Goal:   with more ready than asked for, everybody's turn comes. */
TEST(epoll_takes_turns)
{
        struct rig *rig = rig_new();
        struct socks *b = &rig->host[1].ss;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb[9], seen[9] = { 0 };
        int ep = sock_epoll_create(b, 0);
        struct epoll_event ev, evs[2];

        for (int i = 0; i < 9; i++) {
                rig_pair(rig, lfd, &fa, &fb[i]);
                ev = (struct epoll_event){ .events = EPOLLOUT, .data.u32 = (uint32_t)i };
                EXPECT_EQ(sock_epoll_ctl(b, ep, EPOLL_CTL_ADD, fb[i], &ev), 0);
        }
        for (int round = 0; round < 9; round++) {
                REQUIRE(sock_epoll_wait(b, ep, evs, 2, 0) == 2);
                seen[evs[0].data.u32]++;
                seen[evs[1].data.u32]++;
        }
        for (int i = 0; i < 9; i++)
                EXPECT_EQ(seen[i], 2);
        rig_free(rig);
}

/* Goal:   a wait lasts as long as told, not longer than the event, and ends by a signal. */
TEST(epoll_wait_lasts)
{
        struct scene s = scene_new();
        struct epoll_event ev;
        struct sockaddr_in sin = rig_sin(0x0a000002, 99);

        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, EPOLLIN), 0);
        uint64_t begin_ns = s.rig->now_ns;
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, MS(70)), 0);
        EXPECT_GE(s.rig->now_ns - begin_ns, MS(70));
        EXPECT_LT(s.rig->now_ns - begin_ns, MS(71));
        s.rig->interrupts = 1;
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, TIME_NEVER), -EINTR);

        /* The event is the end of an attempt that nobody answers. */
        int fd = sock_open(s.a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = sock_epoll_create(s.a, 0), one = 1;
        EXPECT_EQ(sock_setsockopt(s.a, fd, IPPROTO_TCP, 7 /* TCP_SYNCNT */, &one, sizeof one), 0);
        EXPECT_EQ(ctl(s.a, ep, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLET), 0);
        EXPECT_EQ(wait_one(s.a, ep, fd), EPOLLOUT | EPOLLHUP);
        s.rig->cut = true;
        begin_ns = s.rig->now_ns;
        EXPECT_EQ(sock_connect(s.a, fd, SA(&sin), sizeof sin), -EINPROGRESS);
        EXPECT_EQ(sock_epoll_wait(s.a, ep, &ev, 1, TIME_NEVER), 1);
        EXPECT_EQ(ev.events, EPOLLOUT | EPOLLERR | EPOLLHUP);
        EXPECT_LT(s.rig->now_ns - begin_ns, SEC(5));
        rig_free(s.rig);
}

/* Goal:   any sequence of registrations, data, reads and waits reports what epoll(7) says.
 * Method: a random walk over eight sockets beside a model of one line a rule; each
 *         wait must report the model's set, whatever the order.
 */
enum { WALK_SOCKS = 8 };
struct model {
        uint32_t interest;
        bool     in, et, oneshot, spent, pending;
        uint32_t unread;
};

static uint32_t model_ready(const struct model *m)
{
        return m->in && !m->spent ? (EPOLLOUT | (m->unread ? EPOLLIN : 0)) & m->interest : 0;
}

static void walk_ctl(struct scene *s, struct rnd *rnd, int fd, struct model *m)
{
        int op = 1 + (int)rnd_below(rnd, 3);
        bool et = rnd_chance(rnd, 400000), oneshot = rnd_chance(rnd, 200000);
        uint32_t interest = rnd_chance(rnd, 800000) ? EPOLLIN : EPOLLIN | EPOLLOUT;
        uint32_t events = interest | (et ? EPOLLET : 0) | (oneshot ? EPOLLONESHOT : 0);
        int want = op == EPOLL_CTL_ADD ? (m->in ? -EEXIST : 0) : m->in ? 0 : -ENOENT;

        REQUIRE(ctl(s->b, s->ep, op, fd, events) == want);
        if (want == 0) {
                m->in = op != EPOLL_CTL_DEL;
                m->interest = interest;
                m->et = et;
                m->oneshot = oneshot;
                m->spent = m->pending = false;
                m->pending = model_ready(m);
        }
}

static void walk_wait(struct scene *s, const int *fd, struct model *model)
{
        struct epoll_event evs[WALK_SOCKS + 1];
        uint32_t got[WALK_SOCKS] = { 0 };

        int n = sock_epoll_wait(s->b, s->ep, evs, WALK_SOCKS + 1, 0);
        for (int k = 0; k < n; k++)
                for (int i = 0; i < WALK_SOCKS; i++)
                        if (evs[k].data.u64 == 0x100000000u + (uint32_t)fd[i])
                                got[i] = evs[k].events;
        for (int i = 0; i < WALK_SOCKS; i++) {
                struct model *m = &model[i];
                uint32_t want = !m->et || m->pending ? model_ready(m) : 0;
                if (got[i] != want)
                        test_note("socket %d: %x, not %x; et %d oneshot %d spent %d pending %d unread %u interest %x",
                                  i, got[i], want, m->et, m->oneshot, m->spent, m->pending, m->unread, m->interest);
                REQUIRE(got[i] == want);
                m->pending = false;
                if (want && m->oneshot)
                        m->spent = true;
        }
}

TEST(epoll_random_walk)
{
        for (uint64_t seed = 1; seed <= 20; seed++) {
                struct scene s = scene_new();
                struct model model[WALK_SOCKS] = { 0 };
                int fa[WALK_SOCKS], fb[WALK_SOCKS];
                struct rnd rnd;

                test_note("seed %llu", (unsigned long long)seed);
                rnd_seed(&rnd, seed);
                for (int i = 0; i < WALK_SOCKS; i++) {
                        rig_pair(s.rig, s.lfd, &fa[i], &fb[i]);
                        sock_setsockopt(s.a, fa[i], IPPROTO_TCP, 1 /* TCP_NODELAY */, &(int){ 1 }, sizeof(int));
                }
                for (int step = 0; step < 1000; step++) {
                        int i = (int)rnd_below(&rnd, WALK_SOCKS);
                        struct model *m = &model[i];
                        switch (rnd_below(&rnd, 5)) {
                        case 0:
                                REQUIRE(sock_send(s.a, fa[i], "x", 1, 0) == 1);
                                rig_run(s.rig, MS(1));
                                m->unread++;
                                if (m->in && !m->spent)
                                        m->pending = true;
                                break;
                        case 1:
                                if (m->unread) {
                                        drain(s.b, fb[i]);
                                        m->unread = 0;
                                }
                                break;
                        case 2:
                                walk_ctl(&s, &rnd, fb[i], m);
                                break;
                        default:
                                walk_wait(&s, fb, model);
                        }
                }
                rig_free(s.rig);
        }
}

/* Goal:   a socket that is closed while it is on ready lists is not reported, nor is another that
 *         takes its number; MOD and DEL of one that is on a list count at once.
 */
TEST(epoll_leaves_the_ready_list)
{
        struct scene s = scene_new();
        struct epoll_event ev;
        int fa, fb, ep2 = sock_epoll_create(s.b, 0);

        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, EPOLLOUT), 0);            /* on the list */
        EXPECT_EQ(ctl(s.b, ep2, EPOLL_CTL_ADD, s.fb, EPOLLOUT), 0);             /* as a further registration too */
        EXPECT_EQ(sock_close(s.b, s.fb), 0);
        rig_pair(s.rig, s.lfd, &fa, &fb);
        EXPECT_EQ(fb, s.fb);
        EXPECT_EQ(wait_one(s.b, s.ep, fb), 0);
        ev = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 77 };
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_ADD, fb, &ev), 0);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, 0), 0);
        sock_send(s.a, fa, "x", 1, 0);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, 0), 1);
        EXPECT_EQ(ev.data.u64, 77);
        EXPECT_EQ(wait_one(s.b, ep2, fb), 0);

        ev = (struct epoll_event){ .events = EPOLLPRI, .data.u64 = 78 };        /* still on the list */
        EXPECT_EQ(sock_epoll_ctl(s.b, s.ep, EPOLL_CTL_MOD, fb, &ev), 0);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, 0), 0);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_MOD, fb, EPOLLIN), 0);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_DEL, fb, 0), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, fb), 0);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, fb, EPOLLIN), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, fb), EPOLLIN);
        EXPECT_EQ(sock_close(s.b, s.ep), 0);                                    /* with an item on its list */
        s.ep = sock_epoll_create(s.b, 0);
        EXPECT_EQ(wait_one(s.b, s.ep, fb), 0);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, fb, EPOLLIN), 0);
        EXPECT_EQ(wait_one(s.b, s.ep, fb), EPOLLIN);
        EXPECT_EQ(s.b->epolls.extras.used, 0);
        rig_free(s.rig);
}

/* Goal:   a list from which most items leave shrinks, and reports the rest in their order.
 * Method: 90 sockets on a list that nobody reads; those between the first and the last two leave.
 */
TEST(epoll_ready_list_shrinks)
{
        enum { CNT = 90 };
        struct rig *rig = rig_new();
        struct socks *b = &rig->host[1].ss;
        int fd[CNT], ep = sock_epoll_create(b, 0);
        struct epoll_event evs[CNT];

        for (int i = 0; i < CNT; i++) {
                fd[i] = sock_open(b, AF_INET, SOCK_STREAM, 0);          /* unconnected: EPOLLOUT | EPOLLHUP */
                EXPECT_EQ(ctl(b, ep, EPOLL_CTL_ADD, fd[i], EPOLLOUT), 0);
        }
        EXPECT_EQ(b->epolls.chunks.used, CNT / 15);
        for (int i = 1; i < CNT - 2; i++)
                EXPECT_EQ(sock_close(b, fd[i]), 0);
        EXPECT_LE(b->epolls.chunks.used, 4);
        REQUIRE(sock_epoll_wait(b, ep, evs, CNT, 0) == 3);
        EXPECT_EQ(evs[0].data.u64, 0x100000000u + (uint32_t)fd[0]);
        EXPECT_EQ(evs[1].data.u64, 0x100000000u + (uint32_t)fd[CNT - 2]);
        EXPECT_EQ(evs[2].data.u64, 0x100000000u + (uint32_t)fd[CNT - 1]);
        rig_free(rig);
}

/* Goal:   instances whose number does not fit into a socket work as the others.
 * Method: 65,600 of them; a socket in one of the first, in two of the last and in both.
 */
TEST(epoll_very_many_instances)
{
        enum { CNT = 65600 };
        struct rig *rig = rig_new_of(CNT + 10);
        struct socks *b = &rig->host[1].ss;
        int lfd = rig_listen(&rig->host[1], RIG_PORT), fa, fb, ep[CNT];

        for (int i = 0; i < CNT; i++)
                REQUIRE((ep[i] = sock_epoll_create(b, 0)) >= 0);
        rig_pair(rig, lfd, &fa, &fb);
        EXPECT_EQ(ctl(b, ep[CNT - 1], EPOLL_CTL_ADD, fb, EPOLLIN | EPOLLET), 0);
        EXPECT_EQ(ctl(b, ep[0], EPOLL_CTL_ADD, fb, EPOLLIN | EPOLLET), 0);
        EXPECT_EQ(ctl(b, ep[CNT - 2], EPOLL_CTL_ADD, fb, EPOLLIN | EPOLLET), 0);
        EXPECT_EQ(b->epolls.extras.used, 2);
        for (int round = 0; round < 2; round++) {
                sock_send(&rig->host[0].ss, fa, "x", 1, 0);
                rig_run(rig, MS(50));
                EXPECT_EQ(wait_one(b, ep[0], fb), EPOLLIN);
                EXPECT_EQ(wait_one(b, ep[CNT - 1], fb), EPOLLIN);
                EXPECT_EQ(wait_one(b, ep[CNT - 2], fb), EPOLLIN);
                EXPECT_EQ(wait_one(b, ep[CNT - 1], fb), 0);
                drain(b, fb);
        }
        EXPECT_EQ(ctl(b, ep[CNT - 1], EPOLL_CTL_DEL, fb, 0), 0);
        EXPECT_EQ(ctl(b, ep[CNT - 1], EPOLL_CTL_MOD, fb, EPOLLIN), -ENOENT);
        EXPECT_EQ(ctl(b, ep[CNT - 2], EPOLL_CTL_MOD, fb, EPOLLOUT), 0);
        EXPECT_EQ(wait_one(b, ep[CNT - 2], fb), EPOLLOUT);
        rig_free(rig);
}

/* Goal:   no event is lost, doubled or meant for somebody else, whatever is closed and made anew.
 * Method: a random walk over six sockets in three instances, the first of which is watched by a
 *         fourth, beside a model.  Sockets and instances are closed at any time and others take their numbers; waits
 *         ask for one, two or all events.  Every registration has a tag of its own.
 */
enum { TANGLE_SOCKS = 6, TANGLE_EPS = 3 };
struct tangle {
        struct scene   s;
        struct rnd     rnd;
        int            fa[TANGLE_SOCKS], fb[TANGLE_SOCKS], ep[TANGLE_EPS], outer;
        struct model   model[TANGLE_EPS][TANGLE_SOCKS];
        uint64_t       tag[TANGLE_EPS][TANGLE_SOCKS], last_tag;
        uint32_t       unread[TANGLE_SOCKS];
};

static uint32_t tangle_ready(struct tangle *t, int e, int i)
{
        struct model *m = &t->model[e][i];
        m->unread = t->unread[i];
        return !m->et || m->pending ? model_ready(m) : 0;
}

static void tangle_open(struct tangle *t, int i)
{
        rig_pair(t->s.rig, t->s.lfd, &t->fa[i], &t->fb[i]);
        sock_setsockopt(t->s.a, t->fa[i], IPPROTO_TCP, 1 /* TCP_NODELAY */, &(int){ 1 }, sizeof(int));
        t->unread[i] = 0;
        for (int e = 0; e < TANGLE_EPS; e++)
                t->model[e][i] = (struct model){ 0 };
}

static void tangle_watch(struct tangle *t)
{
        struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 1 };
        REQUIRE(sock_epoll_ctl(t->s.b, t->outer, EPOLL_CTL_ADD, t->ep[0], &ev) == 0);
}

static void tangle_ctl(struct tangle *t, int e, int i)
{
        static const uint32_t interests[] = { EPOLLIN, EPOLLIN | EPOLLOUT };
        struct model *m = &t->model[e][i];
        int op = 1 + (int)rnd_below(&t->rnd, 3);
        int want = op == EPOLL_CTL_ADD ? (m->in ? -EEXIST : 0) : m->in ? 0 : -ENOENT;
        bool et = rnd_chance(&t->rnd, 400000), oneshot = rnd_chance(&t->rnd, 200000);
        uint32_t interest = interests[rnd_below(&t->rnd, 2)];
        struct epoll_event ev = { .events = interest | (et ? EPOLLET : 0) | (oneshot ? EPOLLONESHOT : 0),
                                  .data.u64 = ++t->last_tag };

        REQUIRE(sock_epoll_ctl(t->s.b, t->ep[e], op, t->fb[i], &ev) == want);
        if (want < 0)
                return;
        *m = (struct model){ .in = op != EPOLL_CTL_DEL, .interest = interest, .et = et, .oneshot = oneshot };
        t->tag[e][i] = ev.data.u64;
        m->unread = t->unread[i];
        m->pending = model_ready(m);
}

static void tangle_wait(struct tangle *t, int e)
{
        static const int sizes[] = { 1, 2, TANGLE_SOCKS + 1 };
        struct epoll_event evs[TANGLE_SOCKS + 1];
        int max = sizes[rnd_below(&t->rnd, 3)], ready = 0;

        for (int i = 0; i < TANGLE_SOCKS; i++)
                ready += tangle_ready(t, e, i) != 0;
        if (e == 0)
                REQUIRE(sock_epoll_wait(t->s.b, t->outer, evs, 2, 0) == (ready != 0));
        int n = sock_epoll_wait(t->s.b, t->ep[e], evs, max, 0);
        REQUIRE(n == (ready < max ? ready : max));
        for (int k = 0; k < n; k++) {
                int i = 0;
                while (i < TANGLE_SOCKS && !(t->model[e][i].in && t->tag[e][i] == evs[k].data.u64))
                        i++;
                REQUIRE(i < TANGLE_SOCKS && evs[k].events == tangle_ready(t, e, i));
                struct model *m = &t->model[e][i];
                m->pending = false;
                m->spent |= m->oneshot;
                for (int j = 0; j < k; j++)
                        REQUIRE(evs[j].data.u64 != evs[k].data.u64);
        }
}

static void tangle_step(struct tangle *t)
{
        int i = (int)rnd_below(&t->rnd, TANGLE_SOCKS), e = (int)rnd_below(&t->rnd, TANGLE_EPS);

        switch (rnd_below(&t->rnd, 12)) {
        case 0:
                REQUIRE(sock_close(t->s.b, t->fb[i]) == 0);
                REQUIRE(sock_close(t->s.a, t->fa[i]) == 0);
                tangle_open(t, i);
                break;
        case 1:
                REQUIRE(sock_close(t->s.b, t->ep[e]) == 0);
                REQUIRE((t->ep[e] = sock_epoll_create(t->s.b, 0)) >= 0);
                memset(t->model[e], 0, sizeof t->model[e]);
                if (e == 0)
                        tangle_watch(t);
                break;
        case 2:
        case 3:
        case 4:
                REQUIRE(sock_send(t->s.a, t->fa[i], "x", 1, 0) == 1);
                rig_run(t->s.rig, MS(1));
                t->unread[i]++;
                for (int k = 0; k < TANGLE_EPS; k++)
                        t->model[k][i].pending |= t->model[k][i].in && !t->model[k][i].spent;
                break;
        case 5:
                drain(t->s.b, t->fb[i]);
                t->unread[i] = 0;
                break;
        case 6:
        case 7:
        case 8:
                tangle_ctl(t, e, i);
                break;
        default:
                tangle_wait(t, e);
        }
}

TEST(epoll_random_tangle)
{
        for (uint64_t seed = 1; seed <= 40; seed++) {
                struct tangle t = { .s = scene_new() };

                test_note("seed %llu", (unsigned long long)seed);
                rnd_seed(&t.rnd, seed);
                for (int e = 0; e < TANGLE_EPS; e++)
                        REQUIRE((t.ep[e] = sock_epoll_create(t.s.b, 0)) >= 0);
                t.outer = t.s.ep;
                tangle_watch(&t);
                for (int i = 0; i < TANGLE_SOCKS; i++)
                        tangle_open(&t, i);
                for (int step = 0; step < 1500; step++)
                        tangle_step(&t);
                rig_free(t.s.rig);
        }
}

static int waits_begun, waits_ended;
static void count_begin(void *arg) { waits_begun++; }
static void count_end(void *arg) { waits_ended++; }

/* Goal:   signals are held back for a wait that may last, and not for one that has something to report
 *         before it begins and cannot lose it.
 */
TEST(epoll_holds_signals_back_only_to_wait)
{
        struct scene s = scene_new();
        struct epoll_event ev;

        s.b->env.wait_begin = count_begin;
        s.b->env.wait_end = count_end;
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_ADD, s.fb, EPOLLIN), 0);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, MS(1)), 0);
        EXPECT_EQ(waits_begun, 1);
        sock_send(s.a, s.fa, "x", 1, 0);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, MS(1)), 1);        /* came with the first turn */
        EXPECT_EQ(waits_begun, 2);
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, MS(1)), 1);        /* was there */
        EXPECT_EQ(waits_begun, 2);
        EXPECT_EQ(ctl(s.b, s.ep, EPOLL_CTL_MOD, s.fb, EPOLLOUT), 0);    /* room for sending can go away */
        EXPECT_EQ(sock_epoll_wait(s.b, s.ep, &ev, 1, MS(1)), 1);
        EXPECT_EQ(waits_begun, 3);
        EXPECT_EQ(waits_ended, 3);
        rig_free(s.rig);
}
