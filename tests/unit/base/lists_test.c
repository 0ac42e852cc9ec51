/* SPDX-License-Identifier: MIT */
#include "base/counters.h"
#include "tests/test.h"

#include <ctype.h>

static void expect_good_name(const char *name)
{
        EXPECT(name[0] != '\0' && strlen(name) < 32);
        for (const char *p = name; *p; p++)
                if (!isupper((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '_')
                        test_fail(__FILE__, __LINE__, "odd name \"%s\"", name);
}

/* Goal:   each drop reason has a name of its own, a meaning and a rule.
 * Method: walk the list.
 * Spec:   base/drops.def
 */
TEST(lists_drop_reasons_are_complete)
{
        EXPECT_EQ(DROP_NONE, 0);
        for (int i = 1; i < DROP_CNT; i++) {
                REQUIRE(drop_infos[i].name && drop_infos[i].what && drop_infos[i].why);
                expect_good_name(drop_infos[i].name);
                EXPECT(drop_infos[i].what[0] && drop_infos[i].why[0]);
                for (int k = 0; k < i; k++)
                        EXPECT(strcmp(drop_infos[i].name, drop_infos[k].name) != 0);
        }
        EXPECT_STR(drop_infos[DROP_TCP_BAD_OPTION].name, "TCP_BAD_OPTION");
}

/* Goal:   each counter has a name of its own and help; counting counts.
 * Method: walk the list; count a few.
 * Spec:   base/counters.def
 */
TEST(lists_counters_are_complete)
{
        static struct counters c;

        for (int i = 0; i < CNT_CNT; i++) {
                REQUIRE(counter_infos[i].name && counter_infos[i].help);
                expect_good_name(counter_infos[i].name);
                EXPECT(counter_infos[i].help[0]);
                for (int k = 0; k < i; k++)
                        EXPECT(strcmp(counter_infos[i].name, counter_infos[k].name) != 0);
        }
        count(&c, CNT_TCP_RTO);
        count_add(&c, CNT_TCP_RTO, 41);
        count_drop(&c, DROP_IP_CHECKSUM);
        EXPECT_EQ(c.cnt[CNT_TCP_RTO], 42);
        EXPECT_EQ(c.drop[DROP_IP_CHECKSUM], 1);
        EXPECT_EQ(c.drop[DROP_NONE], 0);
}
