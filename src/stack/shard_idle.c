/* SPDX-License-Identifier: MIT */
/* stack/shard_idle.c - How a shard waits
 *
 * It spins for a while, then sleeps on the descriptors of its devices until one
 * is readable or something is due.
 *
 * SIGNALS.  A system call that waits is ended by a signal, and programs rely on
 * it: the handler sets "stop", epoll_wait() returns EINTR.  A wait of ours is
 * many turns, and a handler that runs in the middle of one would be lost on it:
 * the next sleep would not know.  So signals are blocked while a call waits and
 * let through only by ppoll(), which tells; a signal that comes while we spin
 * or work is pending until then.  It costs two system calls a wait.
 */
#include "stack/doorbell.h"
#include "stack/shard.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

enum { SPINS_A_LOOK = 64 };             /* at pending signals */

void shard_wait_begin(struct shard *sh)
{
        /* Faults of the program itself must reach their handlers, sanitizers and debuggers at once. */
        static const int at_once[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
        sigset_t block;

        ASSERT(!sh->waiting);
        sigfillset(&block);
        for (size_t i = 0; i < ARRAY_LEN(at_once); i++)
                sigdelset(&block, at_once[i]);
        pthread_sigmask(SIG_SETMASK, &block, &sh->signals);
        sh->waiting = true;
}

void shard_wait_end(struct shard *sh)
{
        ASSERT(sh->waiting);
        sh->waiting = false;
        pthread_sigmask(SIG_SETMASK, &sh->signals, NULL);
}

/* Would @sig run a handler or end the process?  Those ignored by default stay pending while blocked. */
static bool signal_matters(int sig)
{
        struct sigaction act;

        if (sig != SIGCHLD && sig != SIGURG && sig != SIGWINCH && sig != SIGCONT)
                return true;
        return sigaction(sig, NULL, &act) == 0 && act.sa_handler != SIG_DFL;
}

/* Has a signal come since shard_wait_begin()? */
static bool signal_waits(const struct shard *sh)
{
        sigset_t pending;

        sigpending(&pending);
        for (int sig = 1; sig <= SIGRTMAX; sig++)
                if (sigismember(&pending, sig) == 1 && !sigismember(&sh->signals, sig) && signal_matters(sig))
                        return true;
        return false;
}

/* Sleep on the devices until @until_ns.  0 or -EINTR. */
static int sleep_on_devices(struct shard *sh, uint64_t until_ns)
{
        struct pollfd fds[SHARD_PORTS_MAX + 1];
        bool may_sleep = true;
        int rc = 0;

        for (uint32_t i = 0; i < sh->port_cnt; i++) {
                const struct netdev_ops *ops = sh->port[i].dev->ops;
                fds[i] = (struct pollfd){ .fd = ops->fd ? ops->fd(&sh->port[i].queue) : -1, .events = POLLIN };
                may_sleep &= fds[i].fd >= 0;
                if (ops->sleep_begin)
                        may_sleep &= ops->sleep_begin(&sh->port[i].queue);
        }
        fds[sh->port_cnt] = (struct pollfd){ .fd = sh->bell ? sh->bell->fd : -1, .events = POLLIN };
        uint64_t now = sh->env.now_ns(sh->env.arg);
        if (may_sleep && now < until_ns) {
                uint64_t left = until_ns - now;
                struct timespec ts = { (time_t)(left / SEC(1)), (long)(left % SEC(1)) };
                count(&sh->counters, CNT_SLEEPS);
                int found = ppoll(fds, sh->port_cnt + 1, until_ns == TIME_NEVER ? NULL : &ts, &sh->signals);
                if (found < 0 && errno == EINTR)
                        rc = -EINTR;
                if (fds[sh->port_cnt].revents)
                        doorbell_hush(sh->bell);
        }
        for (uint32_t i = 0; i < sh->port_cnt; i++) {
                const struct netdev_ops *ops = sh->port[i].dev->ops;
                if (ops->sleep_end)
                        ops->sleep_end(&sh->port[i].queue);
        }
        return rc;
}

static bool take_wake(struct shard *sh)
{
        bool woken = sh->woken;
        sh->woken = false;
        return woken;
}

static int idle(struct shard *sh, uint64_t deadline_ns)
{
        uint64_t idle_since_ns = sh->now_ns;
        int rc = 0;

        for (uint32_t spins = 1; rc == 0 && shard_turn(sh) == 0 && sh->now_ns < deadline_ns; spins++) {
                if (take_wake(sh))
                        rc = -EINTR;
                else if (!sh->never_sleep && sh->now_ns - idle_since_ns >= sh->spin_ns)
                        rc = sleep_on_devices(sh, u64_min(deadline_ns, shard_next_deadline(sh)));
                else if (spins % SPINS_A_LOOK == 0 && signal_waits(sh))
                        rc = -EINTR;
        }
        return rc;
}

int shard_run(struct shard *sh, uint64_t deadline_ns)
{
        if (shard_turn(sh) || deadline_ns <= sh->now_ns)
                return 0;
        if (sh->waiting)
                return idle(sh, deadline_ns);
        shard_wait_begin(sh);
        int rc = idle(sh, deadline_ns);
        shard_wait_end(sh);
        return rc;
}
