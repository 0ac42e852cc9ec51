/* SPDX-License-Identifier: MIT */
#include "ip/lpm.h"
#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

enum { LPM_SLOTS_MIN = 16 };

struct lpm_key {
        uint64_t hi, lo;
        uint32_t len;
};

static struct lpm_key key_of(const struct ip_addr *a, uint32_t len)
{
        be64 w[2];

        memcpy(w, a, sizeof w);
        struct lpm_key k = { be64_get(w[0]), be64_get(w[1]), len };
        if (len <= 64) {
                k.lo = 0;
                k.hi = len ? k.hi & ~0ull << (64 - len) : 0;
        } else {
                k.lo &= ~0ull << (128 - len);
        }
        return k;
}

/* The high bits of a product depend on all bits of its factors. */
static uint32_t home_of(const struct lpm *m, struct lpm_key k)
{
        return (uint32_t)((k.lo * 0x9e3779b97f4a7c15u ^ (k.hi + k.len) * 0xc2b2ae3d27d4eb4fu) >> m->shift);
}

/* The slot that holds @k, or the free one where it would go.  At most half of
 * the slots are taken, so the walk ends. */
static struct lpm_slot *slot_of(const struct lpm *m, struct lpm_key k)
{
        for (uint32_t i = home_of(m, k);; i++) {
                struct lpm_slot *s = &m->slot[i & m->mask];
                if (!s->value || (s->lo == k.lo && s->hi == k.hi && s->len == k.len))
                        return s;
        }
}

static int grow(struct lpm *m)
{
        struct lpm old = *m;
        uint32_t slots = old.slot ? (old.mask + 1) * 2 : LPM_SLOTS_MIN;
        struct lpm_slot *fresh = calloc(slots, sizeof *fresh);

        if (fresh && !m->hot)
                m->hot = calloc(1u << LPM_HOT_BITS, sizeof *m->hot);
        if (!fresh || !m->hot) {
                free(fresh);
                return -ENOMEM;
        }
        m->slot = fresh;
        m->mask = slots - 1;
        m->shift = 64 - (uint32_t)__builtin_ctz(slots);
        for (uint32_t i = 0; old.slot && i <= old.mask; i++) {
                const struct lpm_slot *s = &old.slot[i];
                if (s->value)
                        *slot_of(m, (struct lpm_key){ s->hi, s->lo, s->len }) = *s;
        }
        free(old.slot);
        return 0;
}

static void len_used(struct lpm *m, uint8_t len)
{
        uint32_t at = 0;

        if (m->of_len[len]++)
                return;
        while (at < m->len_cnt && m->lens[at] > len)
                at++;
        memmove(&m->lens[at + 1], &m->lens[at], m->len_cnt - at);
        m->lens[at] = len;
        m->len_cnt++;
}

static void len_unused(struct lpm *m, uint8_t len)
{
        uint32_t at = 0;

        if (--m->of_len[len])
                return;
        while (m->lens[at] != len)
                at++;
        m->len_cnt--;
        memmove(&m->lens[at], &m->lens[at + 1], m->len_cnt - at);
}

void lpm_init(struct lpm *m) { *m = (struct lpm){ 0 }; }

void lpm_fini(struct lpm *m)
{
        free(m->slot);
        free(m->hot);
        lpm_init(m);
}

int lpm_add(struct lpm *m, const struct ip_prefix *p, uint32_t value)
{
        ASSERT(value && p->len <= 128);
        if (lpm_get(m, p))
                return -EEXIST;
        if ((!m->slot || m->cnt * 2 > m->mask) && grow(m) < 0)
                return -ENOMEM;

        struct lpm_key k = key_of(&p->addr, p->len);
        *slot_of(m, k) = (struct lpm_slot){ .hi = k.hi, .lo = k.lo, .value = value, .len = k.len };
        m->cnt++;
        m->gen++;
        len_used(m, p->len);
        return 0;
}

uint32_t lpm_get(const struct lpm *m, const struct ip_prefix *p)
{
        return m->slot ? slot_of(m, key_of(&p->addr, p->len))->value : 0;
}

void lpm_set(struct lpm *m, const struct ip_prefix *p, uint32_t value)
{
        ASSERT(value && lpm_get(m, p));
        slot_of(m, key_of(&p->addr, p->len))->value = value;
        m->gen++;
}

/* Those behind the gap that would be found sooner in it move up, so a walk never meets a hole. */
void lpm_del(struct lpm *m, const struct ip_prefix *p)
{
        ASSERT(lpm_get(m, p));
        uint32_t gap = (uint32_t)(slot_of(m, key_of(&p->addr, p->len)) - m->slot);

        for (uint32_t i = (gap + 1) & m->mask; m->slot[i].value; i = (i + 1) & m->mask) {
                const struct lpm_slot *s = &m->slot[i];
                uint32_t home = home_of(m, (struct lpm_key){ s->hi, s->lo, s->len });
                if (((i - home) & m->mask) >= ((i - gap) & m->mask)) {
                        m->slot[gap] = *s;
                        gap = i;
                }
        }
        m->slot[gap].value = 0;
        m->cnt--;
        m->gen++;
        len_unused(m, p->len);
}

static uint32_t match(const struct lpm *m, const struct ip_addr *a)
{
        uint32_t len_min = ip_addr_is_v4(a) ? IP_V4_PREFIX_BITS : 0;

        for (uint32_t i = 0; i < m->len_cnt && m->lens[i] >= len_min; i++) {
                uint32_t value = slot_of(m, key_of(a, m->lens[i]))->value;
                if (value)
                        return value;
        }
        return 0;
}

uint32_t lpm_match_slow(const struct lpm *m, const struct ip_addr *a, struct lpm_hot *hot)
{
        *hot = (struct lpm_hot){ .addr = *a, .value = match(m, a), .gen = m->gen };
        return hot->value;
}
