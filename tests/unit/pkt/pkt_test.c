/* SPDX-License-Identifier: MIT */
#include "base/rnd.h"
#include "pkt/pkt.h"
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 8, LARGE = 3 };

static struct pkt_pool new_pool(void)
{
        struct pkt_pool pool;
        REQUIRE(pkt_pool_init(&pool, SMALL, LARGE, false) == 0);
        return pool;
}

static void expect_empty(const struct pkt *p, uint32_t room)
{
        EXPECT_EQ(p->len, 0);
        EXPECT_EQ(p->marks, 0);
        EXPECT(p->next == NULL);
        EXPECT_EQ(pkt_headroom(p), PKT_HEADROOM);
        EXPECT_EQ(pkt_tailroom(p), room);
}

/* Goal:   a packet is small where that fits and large where it must be; the
 *         room it has is the room it says.
 * Method: lengths around both limits; write all of the room, then look at a neighbour.
 * Spec:   pkt/pkt.h
 */
TEST(pkt_small_and_large)
{
        struct pkt_pool pool = new_pool();
        struct pkt *small = pkt_take(&pool, PKT_SMALL_ROOM);
        struct pkt *large = pkt_take(&pool, PKT_SMALL_ROOM + 1);
        struct pkt *largest = pkt_take(&pool, PKT_LARGE_ROOM);

        REQUIRE(small && large && largest);
        EXPECT(!small->large && large->large && largest->large);
        expect_empty(small, PKT_SMALL_ROOM);
        expect_empty(large, PKT_LARGE_ROOM);
        EXPECT(pkt_take(&pool, PKT_LARGE_ROOM + 1) == NULL);
        EXPECT_GE(PKT_SMALL_ROOM, 14 + 4 + 1500);
        EXPECT_GE(PKT_LARGE_ROOM, 14 + 4 + 65535);

        uint32_t idx = largest->idx;
        memset(large->data - PKT_HEADROOM, 0xff, PKT_HEADROOM + PKT_LARGE_ROOM);
        EXPECT(pkt_end(large) == large->data + PKT_LARGE_ROOM);
        EXPECT_EQ(largest->idx, idx);
        expect_empty(largest, PKT_LARGE_ROOM);
        pkt_give(&pool, small);
        pkt_give(&pool, large);
        pkt_give(&pool, largest);
        EXPECT_EQ(pool.small.used, 0);
        EXPECT_EQ(pool.large.used, 0);
        pkt_pool_fini(&pool);
}

/* Goal:   an empty pool gives NULL, each size on its own, and a packet given
 *         back is there again, clean.
 * Method: take all; dirty one; give; take.
 * Spec:   pkt/pkt.h
 */
TEST(pkt_exhaustion_and_reuse)
{
        struct pkt_pool pool = new_pool();
        struct pkt *p[SMALL], *big[LARGE];

        for (int i = 0; i < SMALL; i++)
                REQUIRE((p[i] = pkt_take(&pool, 0)) != NULL);
        EXPECT(pkt_take(&pool, 0) == NULL);
        for (int i = 0; i < LARGE; i++)
                REQUIRE((big[i] = pkt_take(&pool, PKT_LARGE_ROOM)) != NULL);
        EXPECT(pkt_take(&pool, PKT_LARGE_ROOM) == NULL);

        pkt_push(p[3], 20);
        p[3]->marks = PKT_GSO | PKT_CSUM_OK;
        p[3]->gso_size = 1448;
        p[3]->seq = 7;
        p[3]->next = p[4];
        pkt_give(&pool, p[3]);
        EXPECT(pkt_take(&pool, PKT_LARGE_ROOM) == NULL);
        struct pkt *again = pkt_take(&pool, 100);
        REQUIRE(again == p[3]);
        expect_empty(again, PKT_SMALL_ROOM);
        EXPECT(again->gso_size == 0 && again->seq == 0 && again->csum_start == 0);

        for (int i = 0; i < SMALL; i++)
                pkt_give(&pool, p[i]);
        for (int i = 0; i < LARGE; i++)
                pkt_give(&pool, big[i]);
        pkt_pool_fini(&pool);
}

/* Goal:   push, pull and trim move the edges and nothing else; csum_start stays
 *         on the same octet.
 * Method: headers as the send path puts them on; then as the receive path takes
 *         them off; random steps against a model of two numbers.
 * Spec:   pkt/pkt.h
 */
TEST(pkt_push_pull_trim)
{
        struct pkt_pool pool = new_pool();
        struct pkt *p = pkt_take(&pool, 1000);
        struct rnd r;

        REQUIRE(p);
        uint8_t *first = p->data;
        p->len = 1000;
        memset(p->data, 0x11, 1000);

        p->csum_start = 0;
        EXPECT(pkt_push(p, 20) == first - 20);          /* TCP */
        p->csum_start = 0;
        pkt_push(p, 20);                                /* IP */
        pkt_push(p, 14);                                /* Ethernet */
        EXPECT_EQ(p->csum_start, 34);
        EXPECT(p->data + p->csum_start == first - 20);
        EXPECT_EQ(p->len, 1054);
        EXPECT_EQ(pkt_headroom(p), PKT_HEADROOM - 54);
        pkt_pull(p, 14);
        EXPECT_EQ(p->csum_start, 20);
        pkt_pull(p, 40);
        EXPECT(p->data == first && p->data[0] == 0x11);
        pkt_trim(p, 900);
        EXPECT_EQ(p->len, 900);
        EXPECT_EQ(pkt_tailroom(p), PKT_SMALL_ROOM - 900);
        pkt_trim(p, 900);
        pkt_pull(p, 900);
        EXPECT_EQ(p->len, 0);

        uint32_t at = pkt_headroom(p), len = 0;
        rnd_seed(&r, 1);
        for (int round = 0; round < 10000; round++) {
                uint32_t n = rnd_below(&r, 100);
                switch (rnd_below(&r, 3)) {
                case 0:
                        if (n <= pkt_headroom(p)) {
                                pkt_push(p, n);
                                at -= n;
                                len += n;
                        }
                        break;
                case 1:
                        if (n <= p->len) {
                                pkt_pull(p, n);
                                at += n;
                                len -= n;
                        }
                        break;
                default:
                        if (n <= p->len) {
                                pkt_trim(p, p->len - n);
                                len -= n;
                        }
                }
                EXPECT_EQ(pkt_headroom(p), at);
                EXPECT_EQ(p->len, len);
                EXPECT_EQ(pkt_headroom(p) + p->len + pkt_tailroom(p), PKT_HEADROOM + PKT_SMALL_ROOM);
        }
        pkt_give(&pool, p);
        pkt_pool_fini(&pool);
}

/* Goal:   a list is a FIFO, counts itself, and gives all back at once.
 * Method: push, pop in order, refill after empty; the pool is whole again.
 * Spec:   pkt/pkt.h
 */
TEST(pkt_list_fifo)
{
        struct pkt_pool pool = new_pool();
        struct pkt_list list = { 0 };

        EXPECT(pkt_list_pop(&list) == NULL);
        for (int round = 0; round < 3; round++) {
                for (uint32_t i = 0; i < SMALL; i++) {
                        struct pkt *p = pkt_take(&pool, 0);
                        REQUIRE(p);
                        p->seq = i;
                        pkt_list_push(&list, p);
                        EXPECT_EQ(list.cnt, i + 1);
                }
                for (uint32_t i = 0; i < SMALL; i++) {
                        struct pkt *p = pkt_list_pop(&list);
                        REQUIRE(p && p->seq == i);
                        pkt_give(&pool, p);
                }
                EXPECT(pkt_list_pop(&list) == NULL);
                EXPECT(list.head == NULL && list.tail == NULL && list.cnt == 0);
        }
        for (int i = 0; i < SMALL; i++)
                pkt_list_push(&list, pkt_take(&pool, 0));
        pkt_list_push(&list, pkt_take(&pool, PKT_LARGE_ROOM));
        pkt_list_give(&pool, &list);
        EXPECT_EQ(pool.small.used, 0);
        EXPECT_EQ(pool.large.used, 0);
        EXPECT_EQ(list.cnt, 0);
        pkt_pool_fini(&pool);
}

/* Goal:   a header that does not fit in front is a fault of ours and ends the program.
 * Method: push, pull and trim one octet too far, each in a process of its own.
 * Spec:   base/check.h
 */
TEST(pkt_edges_are_asserted)
{
        for (int which = 0; which < 3; which++) {
                struct pkt_pool pool = new_pool();
                struct pkt *p = pkt_take(&pool, 100);
                REQUIRE(p);
                p->len = 100;
                fflush(stdout);
                pid_t pid = fork();
                if (pid == 0) {
                        close(2);
                        if (which == 0)
                                pkt_push(p, PKT_HEADROOM + 1);
                        else if (which == 1)
                                pkt_pull(p, 101);
                        else
                                pkt_trim(p, 101);
                        _exit(0);
                }
                int status = 0;
                waitpid(pid, &status, 0);
                EXPECT(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
                pkt_give(&pool, p);
                pkt_pool_fini(&pool);
        }
}
