/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "sock/ready.h"
#include "tests/unit/sock/rig.h"

#include <string.h>

enum { ITEMS = 300, INSTANCES = 3 };

/* The lists under test beside arrays: what stands in each, in order. */
struct walk {
        struct socks *ss;
        struct epoll *ep[INSTANCES];
        item_ref      list[INSTANCES][ITEMS];
        uint32_t      cnt[INSTANCES];
        uint32_t      in[ITEMS + 1];            /* by item: its list + 1; 0: in none */
};

static void forget(struct walk *w, uint32_t l, uint32_t at, uint32_t cnt)
{
        for (uint32_t i = at; i < at + cnt; i++) {
                epoll_item_at(w->ss, w->list[l][i])->ready = 0;
                w->in[w->list[l][i]] = 0;
        }
        w->cnt[l] -= cnt;
        memmove(&w->list[l][at], &w->list[l][at + cnt], (w->cnt[l] - at) * sizeof(item_ref));
}

static void push(struct walk *w, uint32_t l, item_ref ref)
{
        if (w->in[ref])
                return;
        epoll_item_at(w->ss, ref)->ready = ready_push(w->ss, w->ep[l], ref);
        w->list[l][w->cnt[l]++] = ref;
        w->in[ref] = l + 1;
}

static void take(struct walk *w, uint32_t l, uint32_t cnt)
{
        item_ref refs[ITEMS];

        if (cnt == 0)
                return;
        ready_take(w->ss, w->ep[l], refs, cnt);
        REQUIRE(memcmp(refs, w->list[l], cnt * sizeof *refs) == 0);
        forget(w, l, 0, cnt);
}

static void remove_at(struct walk *w, uint32_t l, uint32_t at)
{
        ready_remove(w->ss, w->ep[l], epoll_item_at(w->ss, w->list[l][at])->ready);
        forget(w, l, at, 1);
}

static uint32_t count_holes(const struct socks *ss, const struct epoll *ep)
{
        uint32_t holes = 0;
        ready_pos at = ep->head;

        for (uint32_t left = ep->cnt; left;) {
                uint32_t word = *ready_word(ss, at);
                holes += word == 0;
                left -= word != 0;
                if (++at % READY_WORDS == 0)
                        at = *ready_word(ss, at - READY_WORDS) * READY_WORDS + 1;
        }
        return holes;
}

/* Every item knows its place, and the memory is bounded. */
static void check(const struct walk *w)
{
        uint64_t items = 0;

        for (uint32_t l = 0; l < INSTANCES; l++) {
                REQUIRE(w->ep[l]->cnt == w->cnt[l]);
                REQUIRE(w->ep[l]->holes >= count_holes(w->ss, w->ep[l]));       /* and those at its very end */
                REQUIRE(w->ep[l]->holes <= w->cnt[l] + READY_HOLES_MIN);
                REQUIRE(w->cnt[l] == 0 || ready_first(w->ss, w->ep[l]) == w->list[l][0]);
                for (uint32_t i = 0; i < w->cnt[l]; i++)
                        REQUIRE(*ready_word(w->ss, epoll_item_at(w->ss, w->list[l][i])->ready) == w->list[l][i]);
                items += w->cnt[l];
        }
        REQUIRE(w->ss->epolls.chunks.used <= ready_chunks_max(items, INSTANCES));
}

/* Goal:   the list gives its items in the order they came, whoever left from the middle, and keeps
 *         no more memory than its items need.
 * Method: a random walk over three lists beside arrays, with phases in which they grow, in which
 *         they are read, and in which items leave from anywhere.
 */
TEST(ready_list_random_walk)
{
        struct rig *rig = rig_new_of(ITEMS + INSTANCES);
        struct walk w = { .ss = &rig->host[0].ss };
        struct rnd rnd;

        rnd_seed(&rnd, 1);
        for (uint32_t i = 1; i <= ITEMS; i++)           /* item i lies in socket i */
                REQUIRE(sock_of_fd(w.ss, sock_open(w.ss, AF_INET, SOCK_STREAM, 0)) == i);
        for (uint32_t l = 0; l < INSTANCES; l++) {
                int fd = sock_epoll_create(w.ss, 0);
                REQUIRE(fd >= 0);
                w.ep[l] = slab_at(&w.ss->epolls.instances, l + 1);
        }
        for (uint32_t step = 0; step < 60000; step++) {
                uint32_t l = rnd_below(&rnd, INSTANCES), phase = step / 1000 % 3, dice = rnd_below(&rnd, 10);
                if (dice < (phase == 0 ? 8u : 4u)) {
                        push(&w, l, 1 + rnd_below(&rnd, ITEMS));
                } else if (w.cnt[l] && phase != 2 && dice == 9) {
                        take(&w, l, 1 + rnd_below(&rnd, w.cnt[l]));
                } else if (w.cnt[l]) {
                        remove_at(&w, l, rnd_below(&rnd, w.cnt[l]));
                }
                check(&w);
        }
        for (uint32_t l = 0; l < INSTANCES; l++)
                take(&w, l, w.cnt[l]);
        REQUIRE(w.ss->epolls.chunks.used <= INSTANCES);
        rig_free(rig);
}
