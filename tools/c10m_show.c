/* SPDX-License-Identifier: MIT */
/* tools/c10m_show.c - What `millrace c10m` prints: a line while it works, a table or JSON at the end */
#include "tools/c10m.h"

#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const c10m_phase_names[C10M_PHASES] = { "connect", "talk", "heartbeat", "close" };

double c10m_now_s(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

uint64_t c10m_rss(void)
{
        char line[256];
        uint64_t kib = 0;
        unsigned long one;
        FILE *f = fopen("/proc/self/status", "r");

        if (!f)
                return 0;
        while (fgets(line, sizeof line, f)) {
                if (sscanf(line, "VmRSS: %lu", &one) == 1 || sscanf(line, "HugetlbPages: %lu", &one) == 1)
                        kib += one;
        }
        fclose(f);
        return kib << 10;
}

void c10m_pin(int cpu)
{
        cpu_set_t set;

        if (cpu < 0)
                return;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        sched_setaffinity(0, sizeof set, &set);         /* where it is not allowed it runs all the same */
}

static uint32_t ends_here(const struct c10m_plan *plan) { return plan->ends == C10M_BOTH && !plan->sparse ? 2 : 1; }

/* ---- while it works ---- */

void c10m_progress(const struct c10m_plan *plan, const char *phase, uint64_t done, double took_s, uint64_t grown,
                   bool last)
{
        static double shown_s;
        char n[CMD_TEXT_MAX], all[CMD_TEXT_MAX], rate[CMD_TEXT_MAX], rss[CMD_TEXT_MAX];
        double now = c10m_now_s(), per_s = took_s > 0 ? (double)done / took_s : 0;
        double left_s = per_s > 0 && done < plan->conns ? (plan->conns - (double)done) / per_s : 0;
        bool tty = isatty(2), ramp = done && (strcmp(phase, "connect") == 0 || strcmp(phase, "accept") == 0);
        double held = ramp ? (double)done : plan->conns, every_s = tty ? 0.5 : 2;

        if (!last && (took_s < every_s || now - shown_s < every_s))
                return;
        shown_s = now;
        fprintf(stderr, "%s%-9s %11s of %s  %9s/s  grown by %s, %3.0f B a connection and end  %4.0f s left%s",
                tty ? "\r" : "", phase, cmd_count_text(n, done), cmd_count_text(all, plan->conns),
                cmd_count_text(rate, (uint64_t)per_s), cmd_bytes_text(rss, grown),
                (double)grown / ends_here(plan) / held, left_s, tty && !last ? "  " : "\n");
}

/* ---- at the end ---- */

/* @dropped: at either end.  Drops are not told by direction, so it is a limit for each. */
static uint64_t gap(uint64_t sent, uint64_t got, uint64_t dropped)
{
        if (got > sent)
                return got - sent;
        return sent - got > dropped ? sent - got - dropped : 0;
}

uint64_t c10m_frames_lost(const struct c10m_result *r)
{
        const struct c10m_left *s = &r->server, *c = &r->client;
        uint64_t dropped = s->dropped + c->dropped;

        if (!r->has_server || !r->has_client)
                return 0;
        return gap(s->tx_frames, c->rx_frames, dropped) + gap(c->tx_frames, s->rx_frames, dropped);
}

static double per_s(uint32_t n, double s) { return s > 0 ? n / s : 0; }

static double per_end(const struct c10m_plan *plan, const struct c10m_result *r)
{
        return (double)r->held_octets / ends_here(plan) / plan->conns;
}

static void json_left(const char *name, const struct c10m_left *l)
{
        printf(", \"%s\": {\"connections\": %llu, \"half_open\": %llu, \"time_wait\": %llu, \"queues\": %llu, "
               "\"sockets\": %llu, \"flows\": %llu, \"packets\": %llu, \"rx_frames\": %llu, \"tx_frames\": %llu, "
               "\"dropped\": %llu}", name, (unsigned long long)l->conns,
               (unsigned long long)l->halves, (unsigned long long)l->waits, (unsigned long long)l->queues,
               (unsigned long long)l->socks, (unsigned long long)l->flows, (unsigned long long)l->pkts,
               (unsigned long long)l->rx_frames, (unsigned long long)l->tx_frames, (unsigned long long)l->dropped);
}

static void json_cpu(const char *name, const double cpu_s[C10M_PHASES])
{
        printf(", \"%s\": {", name);
        for (int p = 0; p < C10M_PHASES; p++)
                printf("%s\"%s\": %.3f", p ? ", " : "", c10m_phase_names[p], cpu_s[p]);
        putchar('}');
}

static void json(const struct c10m_plan *plan, const struct c10m_result *r)
{
        static const char *const ends[] = { "both", "server", "client" };
        const double *t = r->phase_s;

        printf("{\"connections\": %u, \"ends\": \"%s\", \"client\": \"%s\", "
               "\"connect_s\": %.3f, \"connects_per_s\": %.0f, "
               "\"bytes_per_connection_and_end\": %.1f, \"resident_bytes\": %llu, \"messages\": %u, "
               "\"message_octets\": %u, \"messages_per_s\": %.0f, \"heartbeats\": %u, \"heartbeats_per_s\": %.0f, "
               "\"closed\": %u, \"close_s\": %.3f, \"wrong\": %llu, \"frames_lost\": %llu",
               r->through[C10M_CONNECT], ends[plan->ends], plan->sparse ? "sparse" : "sockets", t[C10M_CONNECT],
               per_s(r->through[C10M_CONNECT], t[C10M_CONNECT]), per_end(plan, r), (unsigned long long)r->held_octets,
               r->through[C10M_TALK], plan->msg, per_s(r->through[C10M_TALK], t[C10M_TALK]), r->through[C10M_HEARTBEAT],
               per_s(r->through[C10M_HEARTBEAT], t[C10M_HEARTBEAT]), r->through[C10M_CLOSE], t[C10M_CLOSE],
               (unsigned long long)r->wrong, (unsigned long long)c10m_frames_lost(r));
        if (r->has_server)
                json_left("server_left", &r->server);
        if (r->has_client)
                json_left("client_left", &r->client);
        if (r->has_client)
                json_cpu("client_cpu_s", r->client_cpu_s);
        if (r->has_server && r->has_client)
                json_cpu("server_cpu_s", r->server_cpu_s);
        printf(", \"failed\": %s}\n", r->failed ? "true" : "false");
}

static void row(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void row(const char *what, const char *fmt, ...)
{
        va_list ap;

        printf("  %-36s ", what);
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        putchar('\n');
}

static void row_left(const char *what, const struct c10m_left *l)
{
        if (c10m_left_sum(l) == 0) {
                row(what, "nothing: no connection, socket, flow, half-open, TIME-WAIT or packet");
                return;
        }
        row(what, "%llu connections, %llu sockets, %llu flows, %llu half-open, %llu TIME-WAIT, %llu queues, "
            "%llu packets",
            (unsigned long long)l->conns, (unsigned long long)l->socks, (unsigned long long)l->flows,
            (unsigned long long)l->halves, (unsigned long long)l->waits, (unsigned long long)l->queues,
            (unsigned long long)l->pkts);
}

static void row_rate(const char *what, const struct c10m_result *r, enum c10m_phase phase)
{
        char n[CMD_TEXT_MAX], rate[CMD_TEXT_MAX], cpu[64] = "";

        if (r->has_server && r->has_client)
                snprintf(cpu, sizeof cpu, " (server's core %.2f s, client's %.2f s)", r->server_cpu_s[phase],
                         r->client_cpu_s[phase]);
        row(what, "%s in %.2f s, %s a second%s", cmd_count_text(n, r->through[phase]), r->phase_s[phase],
            cmd_count_text(rate, (uint64_t)per_s(r->through[phase], r->phase_s[phase])), cpu);
}

void c10m_table(const struct c10m_plan *plan, const struct c10m_result *r)
{
        char a[CMD_TEXT_MAX], label[64];

        if (plan->json) {
                json(plan, r);
                return;
        }
        printf("\n");
        row_rate("connected", r, C10M_CONNECT);
        snprintf(label, sizeof label, "memory, a connection%s", ends_here(plan) == 2 ? " and end" : "");
        row(label, "%.1f octets (%s in all)", per_end(plan, r), cmd_bytes_text(a, r->held_octets));
        if (r->has_client) {
                snprintf(label, sizeof label, "messages of %u octets, and back", plan->msg);
                row_rate(label, r, C10M_TALK);
                if (plan->heartbeat) {
                        snprintf(label, sizeof label, "heartbeats of %d octets, and back", C10M_BEAT);
                        row_rate(label, r, C10M_HEARTBEAT);
                }
        }
        row_rate("closed", r, C10M_CLOSE);
        row(r->has_client ? "wrong, of all octets compared" : "failed", "%llu", (unsigned long long)r->wrong);
        if (r->has_server)
                row_left("left at the server", &r->server);
        if (r->has_client)
                row_left("left at the client", &r->client);
        if (r->has_server && r->has_client)
                row("frames neither received nor counted", "%llu of %s", (unsigned long long)c10m_frames_lost(r),
                    cmd_count_text(a, r->server.tx_frames + r->client.tx_frames));
}
