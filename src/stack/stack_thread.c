/* SPDX-License-Identifier: MIT */
/* stack/stack_thread.c - Which thread works on which shard
 *
 * A shard is entered by the thread that is attached to it and by no other.
 * Attaching and parting are the hand-over: what one thread has written before
 * it parts, the next one sees.
 */
#include "base/log.h"
#include "stack/api.h"
#include "stack/stack_priv.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

_Thread_local struct mr_stack *stack_current;
_Thread_local struct member   *stack_member;

void stack_detach(void)
{
        if (stack_member)
                atomic_store_explicit(&stack_member->owned, false, memory_order_release);
        stack_current = NULL;
        stack_member = NULL;
        api_attach(NULL);
        api_tell(NULL);
}

/* 0 or a negative errno, when the thread cannot be bound to the core of shard @i. */
static int bind_to_core(const struct mr_stack *st, uint32_t i)
{
        cpu_set_t *set;
        size_t size = CPU_ALLOC_SIZE(UINT16_MAX + 1);

        if (i >= st->conf.cpu_cnt)
                return 0;
        set = CPU_ALLOC(UINT16_MAX + 1);
        if (!set)
                return -ENOMEM;
        CPU_ZERO_S(size, set);
        CPU_SET_S(st->conf.cpus[i], size, set);
        int rc = sched_setaffinity(0, size, set) < 0 ? -errno : 0;
        CPU_FREE(set);
        return rc;
}

int mr_shard_attach(struct mr_stack *st, uint32_t i)
{
        bool owned = false;

        if (i >= st->member_cnt)
                return -EINVAL;
        struct member *m = &st->members[i];
        if (m == stack_member)
                return 0;
        if (!atomic_compare_exchange_strong_explicit(&m->owned, &owned, true, memory_order_acquire,
                                                     memory_order_relaxed))
                return -EBUSY;
        int rc = bind_to_core(st, i);
        if (rc < 0) {
                atomic_store_explicit(&m->owned, false, memory_order_release);
                return rc;
        }
        stack_detach();
        stack_current = st;
        stack_member = m;
        api_attach(&m->shard.socks);
        api_tell(m->shard.peer);
        return 0;
}

struct mr_stack *mr_stack_attach(struct mr_stack *st)
{
        struct mr_stack *before = stack_current;
        int rc = 0;

        if (!st)
                stack_detach();
        else
                rc = mr_shard_attach(st, 0);
        if (rc < 0) {
                log_error("attach: %s", strerror(-rc));
                errno = -rc;
        }
        return before;
}

struct mr_stack *mr_stack_current(void) { return stack_current; }

uint32_t mr_stack_shards(const struct mr_stack *st) { return st->member_cnt; }

void mr_stack_wake(struct mr_stack *st)
{
        for (uint32_t i = 0; i < st->member_cnt; i++)
                doorbell_ring(&st->members[i].bell, BELL_WAKE);
}

/* ---- a thread for each ---- */

/* Nobody begins before all have come, and nobody begins when one could not. */
struct crew {
        struct mr_stack *st;
        void           (*fn)(void *arg, uint32_t shard);
        void            *arg;
        pthread_mutex_t  lock;
        pthread_cond_t   changed;
        uint32_t         came;          /* threads that are attached, or failed to */
        int              rc;            /* of the first that failed */
        bool             decided, go;
        _Atomic uint32_t returned;      /* of @fn */
        _Atomic bool     rung;          /* to all, by the last that returned */
};

struct hand {
        struct crew *crew;
        uint32_t     shard;
        pthread_t    thread;
};

/* Attached, or not.  True: work. */
static bool come(struct crew *c, int rc)
{
        pthread_mutex_lock(&c->lock);
        c->came++;
        if (rc < 0 && c->rc == 0)
                c->rc = rc;
        pthread_cond_broadcast(&c->changed);
        while (!c->decided)
                pthread_cond_wait(&c->changed, &c->lock);
        bool go = c->go;
        pthread_mutex_unlock(&c->lock);
        return go && rc == 0;
}

/* A shard whose @fn has returned goes on turning until the last has: it may be the one that reads
 * a device for others, and what it has closed still has something to say. */
static void work(struct crew *c, uint32_t shard)
{
        struct shard *sh = &c->st->members[shard].shard;

        c->fn(c->arg, shard);
        if (atomic_fetch_add(&c->returned, 1) + 1 == c->st->member_cnt) {
                mr_stack_wake(c->st);
                atomic_store(&c->rung, true);
        }
        while (atomic_load(&c->returned) < c->st->member_cnt)
                shard_run(sh, sh->now_ns + SEC(1));
        while (!atomic_load(&c->rung))                  /* that bell must not end a wait after this */
                sched_yield();
        if (doorbell_rung(sh->bell))
                shard_answer(sh);
        sh->woken = false;
}

static void *hand_main(void *arg)
{
        struct hand *h = arg;

        if (come(h->crew, mr_shard_attach(h->crew->st, h->shard)))
                work(h->crew, h->shard);
        stack_detach();
        return NULL;
}

/* When @cnt have come: shall they work? */
static void decide(struct crew *c, uint32_t cnt, int rc)
{
        pthread_mutex_lock(&c->lock);
        while (c->came < cnt)
                pthread_cond_wait(&c->changed, &c->lock);
        if (c->rc == 0)
                c->rc = rc;
        c->decided = true;
        c->go = c->rc == 0;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

static int run_crew(struct crew *c, struct hand *hands)
{
        uint32_t cnt = c->st->member_cnt, started = 1;
        int rc = mr_shard_attach(c->st, 0);

        for (; started < cnt && rc == 0; started++) {
                hands[started] = (struct hand){ c, started, 0 };
                rc = -pthread_create(&hands[started].thread, NULL, hand_main, &hands[started]);
                if (rc < 0)
                        break;
        }
        decide(c, started - 1, rc);
        if (c->go)
                work(c, 0);
        for (uint32_t i = 1; i < started; i++)
                pthread_join(hands[i].thread, NULL);
        return c->rc;
}

int mr_stack_run(struct mr_stack *st, void (*fn)(void *arg, uint32_t shard), void *arg)
{
        struct crew c = { .st = st, .fn = fn, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER };
        struct hand *hands = calloc(st->member_cnt, sizeof *hands);

        if (!hands)
                return -ENOMEM;
        pthread_cond_init(&c.changed, NULL);
        int rc = run_crew(&c, hands);
        pthread_cond_destroy(&c.changed);
        free(hands);
        return rc;
}
