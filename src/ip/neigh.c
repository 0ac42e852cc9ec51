/* SPDX-License-Identifier: MIT */
#include "ip/neigh.h"
#include "base/mem.h"
#include "base/units.h"

#include <errno.h>

enum {
        LIST_STALE, LIST_WAITING, LIST_LIVE,            /* in the order of giving up */
        VICTIMS_SEEN_MAX = 8,                           /* gateways passed over before we don't look on */
};
static const uint64_t PUT_OFF_NS = MS(50);

static inline struct neigh_list *list_of(struct neigh_table *t, enum neigh_state state)
{
        switch (state) {
        case NEIGH_STALE:      return &t->list[LIST_STALE];
        case NEIGH_INCOMPLETE: return &t->list[LIST_WAITING];
        default:               return &t->list[LIST_LIVE];
        }
}

static void list_append(struct neigh_table *t, struct neigh *n)
{
        struct neigh_list *l = list_of(t, n->state);
        uint32_t idx = neigh_idx(t, n);

        n->next = 0;
        n->prev = l->tail;
        if (l->tail)
                neigh_at(t, l->tail)->next = idx;
        else
                l->head = idx;
        l->tail = idx;
}

static void list_remove(struct neigh_table *t, struct neigh *n)
{
        struct neigh_list *l = list_of(t, n->state);

        if (n->prev)
                neigh_at(t, n->prev)->next = n->next;
        else
                l->head = n->next;
        if (n->next)
                neigh_at(t, n->next)->prev = n->prev;
        else
                l->tail = n->prev;
}

int neigh_init(struct neigh_table *t, const struct neigh_conf *conf, struct hash_key key, struct pkt_pool *pool,
               struct counters *counters, uint64_t now_ns)
{
        uint32_t slots = 16;

        while (slots < conf->max * 2ull)
                slots *= 2;
        *t = (struct neigh_table){ .conf = *conf, .mask = slots - 1, .key = key, .pool = pool, .counters = counters };
        if (slab_init(&t->slab, "neighbours", sizeof(struct neigh), 0, conf->max, MEM_SMALL) < 0)
                return -ENOMEM;
        t->slot = mem_map(slots * sizeof *t->slot, MEM_SMALL);
        if (!t->slot) {
                slab_fini(&t->slab);
                return -ENOMEM;
        }
        wheel_init(&t->wheel, tick_of_ns(now_ns), &neigh_at(t, 0)->timer, sizeof(struct neigh));
        return 0;
}

void neigh_fini(struct neigh_table *t)
{
        for (uint32_t idx = t->list[LIST_WAITING].head; idx; idx = neigh_at(t, idx)->next)
                pkt_list_give(t->pool, &neigh_at(t, idx)->queue);
        mem_unmap(t->slot, (t->mask + 1ull) * sizeof *t->slot, MEM_SMALL);
        slab_fini(&t->slab);
        t->slot = NULL;
}

static uint32_t hash_of(const struct neigh_table *t, const struct ip_addr *addr, uint32_t iface)
{
        uint64_t word[3];

        memcpy(word, addr, sizeof *addr);
        word[2] = iface;
        return (uint32_t)hash_flow(&t->key, word, ARRAY_LEN(word));
}

/* Where the entry is, or the free slot where it would go. */
static uint32_t slot_of(const struct neigh_table *t, uint32_t hash, const struct ip_addr *addr, uint32_t iface)
{
        for (uint32_t i = hash & t->mask;; i = (i + 1) & t->mask) {
                const struct neigh_slot *s = &t->slot[i];
                if (!s->idx)
                        return i;
                if (s->hash != hash)
                        continue;
                const struct neigh *n = neigh_at(t, s->idx);
                if (n->iface == iface && ip_addr_eq(&n->addr, addr))
                        return i;
        }
}

/* As in lpm.c: entries behind the gap that would be found sooner in it move up. */
static void slot_clear(struct neigh_table *t, uint32_t gap)
{
        for (uint32_t i = (gap + 1) & t->mask; t->slot[i].idx; i = (i + 1) & t->mask) {
                if (((i - t->slot[i].hash) & t->mask) >= ((i - gap) & t->mask)) {
                        t->slot[gap] = t->slot[i];
                        gap = i;
                }
        }
        t->slot[gap].idx = 0;
}

struct neigh *neigh_find(const struct neigh_table *t, const struct ip_addr *addr, uint32_t iface)
{
        uint32_t idx = t->slot[slot_of(t, hash_of(t, addr, iface), addr, iface)].idx;
        return idx ? neigh_at(t, idx) : NULL;
}

static void arm(struct neigh_table *t, struct neigh *n, tick due)
{
        n->due = due;
        wheel_arm(&t->wheel, neigh_idx(t, n), due);
}

static void arm_in(struct neigh_table *t, struct neigh *n, uint64_t now_ns, uint64_t delay_ns)
{
        arm(t, n, tick_of_ns(now_ns) + ticks_from_ns(delay_ns));
}

/* Changes list even when the state stays, so that lists are in order of age. */
static void set_state(struct neigh_table *t, struct neigh *n, enum neigh_state state, uint64_t now_ns)
{
        list_remove(t, n);
        n->state = (uint8_t)state;
        n->probes = 0;
        list_append(t, n);
        if (state == NEIGH_REACHABLE) {
                n->confirmed = tick_of_ns(now_ns);
                arm_in(t, n, now_ns, t->conf.reachable_ns);
        } else if (state == NEIGH_DELAY) {
                arm_in(t, n, now_ns, t->conf.delay_ns);
        }
}

void neigh_forget(struct neigh_table *t, struct neigh *n, enum drop why)
{
        uint32_t idx = neigh_idx(t, n);

        for (struct pkt *p; (p = neigh_unhold(t, n));) {
                count_drop(t->counters, why);
                pkt_give(t->pool, p);
        }
        wheel_cancel(&t->wheel, idx);
        list_remove(t, n);
        slot_clear(t, slot_of(t, n->hash, &n->addr, n->iface));
        slab_give(&t->slab, idx);
        t->gen++;
}

/* The entry of a list that goes first; gateways get a second round.  NULL when
 * there is none, or nothing but gateways was seen. */
static struct neigh *victim_of(struct neigh_table *t, struct neigh_list *l, const struct neigh *spare)
{
        for (uint32_t seen = 0; seen < VICTIMS_SEEN_MAX && l->head; seen++) {
                struct neigh *n = neigh_at(t, l->head);
                if (n != spare && !n->gateway)
                        return n;
                list_remove(t, n);
                list_append(t, n);
        }
        return NULL;
}

/* Make room in the slab.  @last_list: which entries may go, at most. */
static bool make_room(struct neigh_table *t, uint32_t last_list)
{
        if (t->slab.used < t->conf.max)
                return true;
        for (uint32_t i = 0; i <= last_list; i++) {
                struct neigh *n = victim_of(t, &t->list[i], NULL);
                if (n) {
                        count(t->counters, CNT_NEIGH_EVICTED);
                        neigh_forget(t, n, DROP_NEIGH_QUEUE);
                        return true;
                }
        }
        return false;
}

static struct neigh *add(struct neigh_table *t, const struct ip_addr *addr, uint32_t iface, enum neigh_state state,
                         uint32_t evict_up_to)
{
        if (!make_room(t, evict_up_to))
                return NULL;

        uint32_t idx = slab_take(&t->slab);
        ASSERT(idx);
        uint32_t hash = hash_of(t, addr, iface);
        struct neigh_slot *s = &t->slot[slot_of(t, hash, addr, iface)];
        ASSERT(!s->idx);
        *s = (struct neigh_slot){ hash, idx };

        struct neigh *n = neigh_at(t, idx);
        *n = (struct neigh){ .addr = *addr, .iface = (uint8_t)iface, .state = (uint8_t)state, .hash = hash };
        list_append(t, n);
        return n;
}

struct neigh *neigh_ask(struct neigh_table *t, const struct ip_addr *addr, uint32_t iface, uint64_t now_ns)
{
        struct neigh *n = add(t, addr, iface, NEIGH_INCOMPLETE, LIST_LIVE);

        if (n) {
                n->probes = 1;
                arm_in(t, n, now_ns, t->conf.retrans_ns);
        }
        return n;
}

struct neigh *neigh_hear(struct neigh_table *t, const struct ip_addr *addr, uint32_t iface,
                         const struct mac_addr *mac, uint64_t now_ns)
{
        struct neigh *n = add(t, addr, iface, NEIGH_STALE, LIST_STALE);

        if (n) {
                n->mac = *mac;
                n->confirmed = tick_of_ns(now_ns);
        }
        return n;
}

void neigh_use_stale(struct neigh_table *t, struct neigh *n, uint64_t now_ns) { set_state(t, n, NEIGH_DELAY, now_ns); }

static void drop_oldest(struct neigh_table *t, struct neigh *n)
{
        count_drop(t->counters, DROP_NEIGH_QUEUE);
        pkt_give(t->pool, neigh_unhold(t, n));
}

enum drop neigh_hold(struct neigh_table *t, struct neigh *n, struct pkt *p)
{
        if (n->queue.cnt && (n->queue.cnt >= t->conf.hold_each || t->held >= t->conf.hold_total)) {
                drop_oldest(t, n);
        } else {
                struct neigh *v;
                while (t->held >= t->conf.hold_total && (v = victim_of(t, &t->list[LIST_WAITING], n))) {
                        count(t->counters, CNT_NEIGH_EVICTED);
                        neigh_forget(t, v, DROP_NEIGH_QUEUE);
                }
        }
        if (t->held >= t->conf.hold_total) {
                count_drop(t->counters, DROP_NEIGH_QUEUE);
                pkt_give(t->pool, p);
                return DROP_NEIGH_QUEUE;
        }
        pkt_list_push(&n->queue, p);
        t->held++;
        return DROP_NONE;
}

struct pkt *neigh_unhold(struct neigh_table *t, struct neigh *n)
{
        struct pkt *p = pkt_list_pop(&n->queue);
        if (p)
                t->held--;
        return p;
}

void neigh_answer(struct neigh_table *t, struct neigh *n, const struct mac_addr *mac, bool reply, uint64_t now_ns)
{
        bool asked = n->state == NEIGH_INCOMPLETE || n->state == NEIGH_PROBE;
        bool known = n->state != NEIGH_INCOMPLETE && mac_eq(&n->mac, mac);

        if (n->state == NEIGH_INCOMPLETE)
                count(t->counters, CNT_NEIGH_RESOLVED);
        if (reply && asked) {
                n->mac = *mac;
                set_state(t, n, NEIGH_REACHABLE, now_ns);
        } else if (!known) {
                n->mac = *mac;
                set_state(t, n, NEIGH_STALE, now_ns);
        }
}

void neigh_confirm(struct neigh_table *t, struct neigh *n, uint64_t now_ns)
{
        if (n->state == NEIGH_REACHABLE)
                n->confirmed = tick_of_ns(now_ns);      /* the timer will see it */
        else if (n->state != NEIGH_INCOMPLETE)
                set_state(t, n, NEIGH_REACHABLE, now_ns);
}

void neigh_put_off(struct neigh_table *t, struct neigh *n, uint64_t now_ns)
{
        n->probes--;
        arm_in(t, n, now_ns, PUT_OFF_NS);
}

/* One more request, or enough of them. */
static enum neigh_due ask_again(struct neigh_table *t, struct neigh *n, enum neigh_due how, uint64_t now_ns)
{
        if (n->probes >= t->conf.probes)
                return NEIGH_DUE_FAILED;
        n->probes++;
        arm_in(t, n, now_ns, t->conf.retrans_ns);
        return how;
}

static enum neigh_due entry_timer(struct neigh_table *t, struct neigh *n, uint64_t now_ns)
{
        tick now = tick_of_ns(now_ns);

        if (n->state == NEIGH_REACHABLE)
                n->due = n->confirmed + ticks_from_ns(t->conf.reachable_ns);
        if (tick_before(now, n->due)) {
                arm(t, n, n->due);
                return NEIGH_DUE_NONE;
        }
        switch ((enum neigh_state)n->state) {
        case NEIGH_REACHABLE:
                set_state(t, n, NEIGH_STALE, now_ns);
                return NEIGH_DUE_NONE;
        case NEIGH_STALE:
                return NEIGH_DUE_NONE;
        case NEIGH_DELAY:
                set_state(t, n, NEIGH_PROBE, now_ns);
                return ask_again(t, n, NEIGH_DUE_ASK_ONE, now_ns);
        case NEIGH_PROBE:
                return ask_again(t, n, NEIGH_DUE_ASK_ONE, now_ns);
        case NEIGH_INCOMPLETE:
                return ask_again(t, n, NEIGH_DUE_ASK_ALL, now_ns);
        }
        return NEIGH_DUE_NONE;
}

enum neigh_due neigh_timer(struct neigh_table *t, struct neigh **n, uint64_t now_ns, uint32_t *budget)
{
        for (uint32_t idx; (idx = wheel_expire(&t->wheel, tick_of_ns(now_ns), budget));) {
                *n = neigh_at(t, idx);
                enum neigh_due due = entry_timer(t, *n, now_ns);
                if (due != NEIGH_DUE_NONE)
                        return due;
        }
        return NEIGH_DUE_NONE;
}
