/* SPDX-License-Identifier: MIT */
/* tools/cmd_c10m.c - `millrace c10m`: hold very many connections and use each of them */
#include "tools/herd.h"

static void table(const struct herd *h, double open_s, double talk_s, double close_s, uint64_t held_octets, bool json)
{
        char a[CMD_TEXT_MAX], b[CMD_TEXT_MAX];
        double per_end = (double)held_octets / (2.0 * h->cnt);

        if (json) {
                printf("{\"connections\": %u, \"connect_s\": %.3f, \"connects_per_s\": %.0f, "
                       "\"bytes_per_connection_and_end\": %.1f, \"messages\": %u, \"message_octets\": %u, "
                       "\"messages_per_s\": %.0f, \"close_s\": %.3f, \"wrong\": %llu}\n",
                       h->cnt, open_s, h->cnt / open_s, per_end, h->answered, h->msg_octets, h->answered / talk_s, close_s,
                       (unsigned long long)h->wrong);
                return;
        }
        printf("\n  connections held, both ends here   %s\n", cmd_count_text(a, h->accepted));
        printf("  set up in                          %.2f s, %s a second\n", open_s,
               cmd_count_text(a, (uint64_t)(h->cnt / open_s)));
        printf("  memory, a connection and end       %.1f octets (%s in all)\n", per_end, cmd_bytes_text(a, held_octets));
        printf("  messages of %u octets, and back    %s, every octet compared, %s a second\n", h->msg_octets,
               cmd_count_text(a, h->answered), cmd_count_text(b, (uint64_t)(h->answered / talk_s)));
        printf("  all closed in                      %.2f s\n", close_s);
        printf("  wrong                              %llu\n", (unsigned long long)h->wrong);
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        static struct herd herd;
        uint64_t conns = 100000, msg = 64;
        bool json = false;
        const struct cmd_opt opts[] = {
                { "conns", CMD_NUMBER, &conns, 1, 50000000, "connections to hold at once" },
                { "msg", CMD_SIZE, &msg, 1, HERD_MSG_MAX, "octets that each sends and gets back" },
                { "json", CMD_FLAG, &json, 0, 0, "print the result as JSON" },
                CMD_OPT_STATS,
                { 0 },
        };

        cmd_stats = "none";
        cmd_begin(&cmd_c10m, argc, argv, opts, &conf);
        herd_conf(&conf, (uint32_t)conns);
        cmd_up(&conf);
        herd_init(&herd, (uint32_t)conns, (uint32_t)msg);

        uint64_t before = herd_rss();
        double open_s = herd_open(&herd);
        uint64_t held = herd_rss() - before;
        double talk_s = herd_failed(&herd) ? 1 : herd_talk(&herd);
        double close_s = herd_failed(&herd) ? 0 : herd_close(&herd);
        bool failed = herd_failed(&herd);

        table(&herd, open_s, talk_s, close_s, held, json);
        herd_fini(&herd);
        return cmd_end() || failed;
}

const struct cmd cmd_c10m = {
        .name = "c10m",
        .args = "[--conns 100000] [--msg 64] [--json]",
        .summary = "hold very many connections at once, both ends here, and use each",
        .run = run,
};
