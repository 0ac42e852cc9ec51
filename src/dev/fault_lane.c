/* SPDX-License-Identifier: MIT */
#include "dev/fault_lane.h"

#include "base/mem.h"
#include "base/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fault_lane_init(struct fault_lane *l, const struct fault_conf *conf, uint64_t seed, struct pkt_pool *pool,
                    struct counters *counters)
{
        *l = (struct fault_lane){ .conf = conf, .pool = pool, .counters = counters };
        for (int i = 0; i < FAULT_KIND_CNT; i++)
                rnd_seed(&l->rnd[i], rnd_splitmix(&seed));
        l->held = mem_map(FAULT_HOLD_MAX * sizeof *l->held, MEM_SMALL);
        l->departs_ns = calloc(conf->queue_pkts, sizeof *l->departs_ns);
        if (l->held && l->departs_ns)
                return 0;
        fault_lane_fini(l);
        return -ENOMEM;
}

void fault_lane_fini(struct fault_lane *l)
{
        for (; l->tail != l->head; l->tail++)
                pkt_give(l->pool, l->held[l->tail % FAULT_HOLD_MAX].p);
        for (int i = 0; i < FAULT_LATE_MAX; i++)
                if (l->late[i].p)
                        pkt_give(l->pool, l->late[i].p);
        mem_unmap(l->held, FAULT_HOLD_MAX * sizeof *l->held, MEM_SMALL);
        free(l->departs_ns);
        *l = (struct fault_lane){ 0 };
}

static bool happens(struct fault_lane *l, enum fault_kind kind, uint64_t ppm)
{
        return ppm && rnd_chance(&l->rnd[kind], (uint32_t)ppm);
}

static void drop(struct fault_lane *l, struct pkt *p, enum drop why)
{
        count_drop(l->counters, why);
        pkt_give(l->pool, p);
}

static void append(struct fault_lane *l, struct pkt *p, uint64_t due_ns)
{
        if (l->head - l->tail == FAULT_HOLD_MAX) {
                drop(l, p, DROP_FAULT_QUEUE);
                return;
        }
        l->last_due_ns = u64_max(due_ns, l->last_due_ns);
        l->held[l->head++ % FAULT_HOLD_MAX] = (struct fault_held){ p, l->last_due_ns };
}

/* Let late frames join that enough others have passed, or whose time is up. */
static void late_join(struct fault_lane *l, uint64_t now_ns)
{
        for (int i = 0; i < FAULT_LATE_MAX && l->late_cnt; i++) {
                struct fault_late *late = &l->late[i];
                if (!late->p || (late->after > l->frame_cnt && late->due_ns > now_ns))
                        continue;
                append(l, late->p, u64_min(late->due_ns, u64_max(l->last_due_ns, now_ns)));
                late->p = NULL;
                l->late_cnt--;
        }
}

/* False: no place is free, so the frame must go on in order. */
static bool make_late(struct fault_lane *l, struct pkt *p, uint64_t due_ns)
{
        for (int i = 0; i < FAULT_LATE_MAX; i++) {
                if (l->late[i].p)
                        continue;
                uint32_t passed_by = 1 + rnd_below(&l->rnd[FAULT_KIND_REORDER], FAULT_LATE_PKTS);
                l->late[i] = (struct fault_late){ p, l->frame_cnt + passed_by, due_ns + MS(FAULT_LATE_MS) };
                l->late_cnt++;
                return true;
        }
        return false;
}

static void flip_bit(struct fault_lane *l, struct pkt *p)
{
        uint32_t bit = rnd_below(&l->rnd[FAULT_KIND_CORRUPT], p->len * 8);

        p->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        p->marks &= (uint16_t)~PKT_CSUM_OK;
}

static struct pkt *copy(struct fault_lane *l, const struct pkt *p)
{
        struct pkt *twin = pkt_take(l->pool, p->len);

        if (!twin) {
                count_drop(l->counters, DROP_NO_PKT);
                return NULL;
        }
        memcpy(twin->data, p->data, p->len);
        twin->len = p->len;
        twin->marks = p->marks;
        return twin;
}

/* When the frame has left at the asked rate; false when the queue for it is
 * full: the frame that came queue_pkts before has not left yet. */
static bool rate_depart(struct fault_lane *l, uint32_t len, uint64_t now_ns, uint64_t *departs_ns)
{
        *departs_ns = now_ns;
        if (!l->conf->rate_bps)
                return true;

        uint64_t *slot = &l->departs_ns[l->depart_cnt % l->conf->queue_pkts];
        if (*slot > now_ns)
                return false;
        l->busy_until_ns = u64_max(l->busy_until_ns, now_ns) + len * 8 * SEC(1) / l->conf->rate_bps;
        *slot = *departs_ns = l->busy_until_ns;
        l->depart_cnt++;
        return true;
}

void fault_lane_put(struct fault_lane *l, struct pkt *p, uint64_t now_ns)
{
        const struct fault_conf *c = l->conf;
        uint64_t due_ns;

        if (happens(l, FAULT_KIND_LOSS, c->loss_ppm)) {
                drop(l, p, DROP_FAULT_LOSS);
                return;
        }
        if (!rate_depart(l, p->len, now_ns, &due_ns)) {
                drop(l, p, DROP_FAULT_QUEUE);
                return;
        }
        due_ns += c->delay_ns;
        if (c->jitter_ns)
                due_ns += rnd_u64(&l->rnd[FAULT_KIND_JITTER]) % (c->jitter_ns + 1);

        if (p->len && happens(l, FAULT_KIND_CORRUPT, c->corrupt_ppm))
                flip_bit(l, p);
        struct pkt *twin = happens(l, FAULT_KIND_DUP, c->dup_ppm) ? copy(l, p) : NULL;
        if (!happens(l, FAULT_KIND_REORDER, c->reorder_ppm) || !make_late(l, p, due_ns)) {
                append(l, p, due_ns);
                l->frame_cnt++;
        }
        if (twin)
                append(l, twin, due_ns);
        late_join(l, now_ns);
}

uint32_t fault_lane_due(struct fault_lane *l, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        uint32_t n = 0;

        late_join(l, now_ns);
        for (uint32_t at = l->tail; at != l->head && n < max; at++) {
                const struct fault_held *h = &l->held[at % FAULT_HOLD_MAX];
                if (h->due_ns > now_ns)
                        break;
                pkts[n++] = h->p;
        }
        return n;
}

void fault_lane_pop(struct fault_lane *l, uint32_t cnt)
{
        ASSERT(cnt <= l->head - l->tail);
        l->tail += cnt;
}

uint64_t fault_lane_deadline(const struct fault_lane *l)
{
        uint64_t due_ns = TIME_NEVER;

        if (l->tail != l->head)
                due_ns = l->held[l->tail % FAULT_HOLD_MAX].due_ns;
        for (int i = 0; i < FAULT_LATE_MAX && l->late_cnt; i++)
                if (l->late[i].p)
                        due_ns = u64_min(due_ns, l->late[i].due_ns);
        return due_ns;
}
