/* SPDX-License-Identifier: MIT */
#include "dev/framering.h"

#include "base/units.h"

static uint32_t record_size(uint32_t len)
{
        return (uint32_t)ALIGN_UP(sizeof(struct record) + len, FRAMERING_ALIGN);
}

void framering_attach_tx(struct framering *r, struct framering_shared *sh, uint32_t size)
{
        ASSERT((size & (size - 1)) == 0 && size >= 2 * record_size(PKT_LARGE_ROOM));
        *r = (struct framering){ .sh = sh, .size = size, .carry = PKT_CSUM_PARTIAL | PKT_GSO };

        /* The writer before us may have left anything here.  The reader takes a
         * jump of more than the ring as untrue, and begins anew. */
        r->pos = (uint32_t)ALIGN_UP(atomic_load_explicit(&sh->head, memory_order_relaxed), FRAMERING_ALIGN);
        r->other = r->pos - size;       /* full until looked at */
        atomic_store_explicit(&sh->head, r->pos, memory_order_release);
}

void framering_attach_rx(struct framering *r, struct framering_shared *sh, uint32_t size)
{
        *r = (struct framering){ .sh = sh, .size = size };
        r->pos = atomic_load_explicit(&sh->head, memory_order_acquire) & ~(FRAMERING_ALIGN - 1u);
        atomic_store_explicit(&sh->sleeping, 0, memory_order_relaxed);
        atomic_store_explicit(&sh->tail, r->pos, memory_order_release);
        uint32_t before = atomic_load_explicit(&sh->reader, memory_order_relaxed);
        atomic_store_explicit(&sh->reader, (before | 1) + 2, memory_order_release);
}

void framering_detach_rx(struct framering *r)
{
        uint32_t number = atomic_load_explicit(&r->sh->reader, memory_order_relaxed);
        atomic_store_explicit(&r->sh->reader, number & ~1u, memory_order_release);
}

static bool tx_has_room(struct framering *r, uint32_t want)
{
        if (r->size - (r->pos - r->other) >= want)
                return true;

        uint32_t tail = atomic_load_explicit(&r->sh->tail, memory_order_acquire);
        if (r->pos - tail > r->size)    /* a tail that cannot be true: full, until the reader mends it */
                return false;
        r->other = tail;
        return r->size - (r->pos - tail) >= want;
}

static bool tx_put(struct framering *r, const struct pkt *p)
{
        uint32_t need = record_size(p->len);
        uint32_t at = r->pos & (r->size - 1);
        uint32_t skip = need > r->size - at ? r->size - at : 0;

        if (!tx_has_room(r, skip + need))
                return false;
        if (skip) {
                struct record wrap = { .len = RECORD_WRAP };
                memcpy(r->sh->data + at, &wrap, sizeof wrap);
                r->pos += skip;
                at = 0;
        }
        struct record rec = {
                .len = p->len, .marks = (uint16_t)(p->marks & r->carry), .gso_size = p->gso_size,
                .csum_start = p->csum_start, .csum_offset = p->csum_offset,
        };
        memcpy(r->sh->data + at, &rec, sizeof rec);
        memcpy(r->sh->data + at + sizeof rec, p->data, p->len);
        r->pos += need;
        return true;
}

uint32_t framering_tx(struct framering *r, struct pkt *const pkts[], uint32_t cnt)
{
        uint32_t n = 0;

        for (; n < cnt; n++) {
                if (n + 1 < cnt)
                        __builtin_prefetch(pkts[n + 1]->data);
                if (!tx_put(r, pkts[n]))
                        break;
        }
        if (n)
                atomic_store_explicit(&r->sh->head, r->pos, memory_order_release);
        return n;
}

bool framering_tx_wakes(struct framering *r)
{
        atomic_thread_fence(memory_order_seq_cst);
        return atomic_load_explicit(&r->sh->sleeping, memory_order_relaxed) &&
               atomic_exchange_explicit(&r->sh->sleeping, 0, memory_order_relaxed);
}

/* One read of the shared header, so that what was checked is what is used. */
static struct record record_read(const uint8_t *at)
{
        const uint64_t *word = (const uint64_t *)(const void *)at;
        uint64_t copy[2] = { __atomic_load_n(&word[0], __ATOMIC_RELAXED), __atomic_load_n(&word[1], __ATOMIC_RELAXED) };
        struct record rec;
        memcpy(&rec, copy, sizeof rec);
        return rec;
}

/* Find the record at pos, past a wrap.  Returns 1; 0: none before @head; -1: it cannot be true. */
static int rx_find(struct framering *r, uint32_t head, struct record *rec)
{
        uint32_t avail = head - r->pos;
        uint32_t at = r->pos & (r->size - 1);

        if (avail == 0)
                return 0;
        if (avail > r->size || avail % FRAMERING_ALIGN)
                return -1;
        *rec = record_read(r->sh->data + at);
        if (rec->len == RECORD_WRAP) {
                uint32_t skip = r->size - at;
                if (skip > avail)
                        return -1;
                r->pos += skip;
                avail -= skip;
                at = 0;
                if (avail == 0)
                        return 0;
                *rec = record_read(r->sh->data);
        }
        if (rec->len == 0 || rec->len > PKT_LARGE_ROOM)
                return -1;
        uint32_t need = record_size(rec->len);
        return need <= avail && need <= r->size - at ? 1 : -1;
}

/* The record lies in the ring; is what it says about its frame possible? */
static enum drop rx_check(const struct record *rec, const struct framering_limits *lim)
{
        if (rec->marks & ~lim->marks)
                return DROP_RX_RECORD;
        if (rec->marks & PKT_CSUM_PARTIAL && (uint32_t)rec->csum_start + rec->csum_offset + 2 > rec->len)
                return DROP_RX_RECORD;
        if (rec->marks & PKT_GSO)
                return rec->gso_size && rec->marks & (PKT_CSUM_PARTIAL | PKT_CSUM_OK) ? DROP_NONE : DROP_RX_RECORD;
        return rec->len <= lim->len_max ? DROP_NONE : DROP_RX_OVERSIZE;
}

static struct pkt *rx_copy(struct framering *r, const struct record *rec, struct pkt_pool *pool)
{
        struct pkt *p = pkt_take(pool, rec->len);
        if (!p)
                return NULL;
        memcpy(p->data, r->sh->data + (r->pos & (r->size - 1)) + sizeof *rec, rec->len);
        p->len = rec->len;
        p->marks = rec->marks;
        p->gso_size = rec->gso_size;
        p->csum_start = rec->csum_start;
        p->csum_offset = rec->csum_offset;
        return p;
}

/* Who polls asks for the lines of the record that will come together with the index that tells of it:
 * else a message would wait for two cache lines to cross from the other core, one after the other. */
static void prefetch_next(const struct framering *r)
{
        const uint8_t *next = r->sh->data + (r->pos & (r->size - 1));

        for (uint32_t at = 0; at < 192; at += 64)       /* behind the ring's end it is harmless */
                __builtin_prefetch(next + at);
}

uint32_t framering_rx(struct framering *r, struct netdev_queue *q, const struct framering_limits *lim,
                      struct pkt *pkts[], uint32_t max)
{
        prefetch_next(r);
        uint32_t head = atomic_load_explicit(&r->sh->head, memory_order_acquire);
        uint32_t was = r->pos, n = 0;
        struct record rec;
        int found = 0;

        while (n < max && (found = rx_find(r, head, &rec)) > 0) {
                uint32_t need = record_size(rec.len);
                __builtin_prefetch(r->sh->data + ((r->pos + need) & (r->size - 1)));

                enum drop why = rx_check(&rec, lim);
                if (why == DROP_NONE) {
                        pkts[n] = rx_copy(r, &rec, q->pool);
                        if (pkts[n])
                                n++;
                        else
                                why = DROP_NO_PKT;
                }
                if (why != DROP_NONE)
                        count_drop(q->counters, why);
                r->pos += need;
        }
        if (found < 0) {
                r->pos = head & ~(FRAMERING_ALIGN - 1u);
                count_drop(q->counters, DROP_RX_RECORD);
        }
        if (r->pos != was)
                atomic_store_explicit(&r->sh->tail, r->pos, memory_order_release);
        return n;
}

bool framering_sleep_begin(struct framering *r)
{
        atomic_store_explicit(&r->sh->sleeping, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        return atomic_load_explicit(&r->sh->head, memory_order_acquire) == r->pos;
}

void framering_sleep_end(struct framering *r)
{
        atomic_store_explicit(&r->sh->sleeping, 0, memory_order_relaxed);
}
