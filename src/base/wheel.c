/* SPDX-License-Identifier: MIT */
#include "base/wheel.h"

enum { SLOT_MASK = WHEEL_SLOTS - 1 };
#define WHEEL_IN_SLOT 0x80000000u

void wheel_init(struct wheel *w, tick now, void *first_node, uint32_t stride)
{
        *w = (struct wheel){ .nodes = first_node, .stride = stride, .now = now, .stage = -1 };
}

static void slot_push(struct wheel *w, uint32_t slot, uint32_t id)
{
        struct wheel_node *n = wheel_node_at(w, id);

        n->next = w->head[slot];
        n->prev = WHEEL_IN_SLOT | slot;
        if (n->next)
                wheel_node_at(w, n->next)->prev = id;
        w->head[slot] = id;
        w->used[slot / WHEEL_SLOTS] |= 1ull << (slot & SLOT_MASK);
}

static void slot_remove(struct wheel *w, uint32_t id)
{
        struct wheel_node *n = wheel_node_at(w, id);

        if (n->next)
                wheel_node_at(w, n->next)->prev = n->prev;
        if (n->prev & WHEEL_IN_SLOT) {
                uint32_t slot = n->prev & ~WHEEL_IN_SLOT;
                w->head[slot] = n->next;
                if (!n->next)
                        w->used[slot / WHEEL_SLOTS] &= ~(1ull << (slot & SLOT_MASK));
        } else {
                wheel_node_at(w, n->prev)->next = n->next;
        }
        n->prev = n->next = 0;
}

/* Put a node where its distance belongs; the distance is at least 1 (at 0 the
 * slot of this very tick is meant, which only a cascade may choose). */
static void insert(struct wheel *w, uint32_t id, tick at)
{
        uint32_t away = at - w->now;
        uint32_t level = away < WHEEL_SLOTS ? 0 : (31 - (uint32_t)__builtin_clz(away)) / WHEEL_SLOT_BITS;
        uint32_t slot = level * WHEEL_SLOTS + ((at >> (level * WHEEL_SLOT_BITS)) & SLOT_MASK);

        ASSERT(level < WHEEL_LEVELS);
        wheel_node_at(w, id)->at = at;
        slot_push(w, slot, id);
}

void wheel_arm(struct wheel *w, uint32_t id, tick at)
{
        struct wheel_node *n = wheel_node_at(w, id);

        if (!tick_before(w->now, at))
                at = w->now + 1;
        if (at - w->now > WHEEL_TICKS_MAX)
                at = w->now + WHEEL_TICKS_MAX;
        if (wheel_node_armed(n)) {
                if (!tick_before(at, n->at))
                        return;
                slot_remove(w, id);
                w->armed--;
        }
        insert(w, id, at);
        w->armed++;
}

void wheel_cancel(struct wheel *w, uint32_t id)
{
        if (wheel_node_armed(wheel_node_at(w, id))) {
                slot_remove(w, id);
                w->armed--;
        }
}

tick wheel_next(const struct wheel *w)
{
        if (w->stage >= 0)
                return w->now;

        uint32_t nearest = WHEEL_TICKS_MAX;
        for (uint32_t level = 0; level < WHEEL_LEVELS; level++) {
                if (!w->used[level])
                        continue;
                uint32_t shift = level * WHEEL_SLOT_BITS;
                uint32_t here = w->now >> shift;
                uint32_t turn = (here + 1) & SLOT_MASK;
                uint64_t bits = w->used[level];
                uint64_t ahead = turn ? (bits >> turn) | (bits << (WHEEL_SLOTS - turn)) : bits;
                uint32_t slots = (uint32_t)__builtin_ctzll(ahead) + 1;
                uint32_t away = ((here + slots) << shift) - w->now;
                if (away < nearest)
                        nearest = away;
        }
        return w->now + nearest;
}

/* Which levels begin a new slot at @t?  The highest one, or 0. */
static int32_t stage_of(tick t)
{
        int32_t level = 0;
        while (level + 1 < WHEEL_LEVELS && (t & ((1u << ((level + 1) * WHEEL_SLOT_BITS)) - 1)) == 0)
                level++;
        return level;
}

uint32_t wheel_expire(struct wheel *w, tick now, uint32_t *budget)
{
        for (;;) {
                while (w->stage >= 0) {
                        uint32_t level = (uint32_t)w->stage;
                        uint32_t slot = level * WHEEL_SLOTS + ((w->now >> (level * WHEEL_SLOT_BITS)) & SLOT_MASK);
                        uint32_t id = w->head[slot];
                        if (!id) {
                                w->stage--;
                                continue;
                        }
                        if (*budget == 0)
                                return 0;
                        --*budget;
                        slot_remove(w, id);
                        tick at = wheel_node_at(w, id)->at;
                        if (!tick_before(w->now, at)) {
                                w->armed--;
                                return id;
                        }
                        insert(w, id, at);
                }
                if (!tick_before(w->now, now))
                        return 0;
                tick next = wheel_next(w);
                w->now = tick_before(now, next) ? now : next;
                w->stage = stage_of(w->now);
        }
}
