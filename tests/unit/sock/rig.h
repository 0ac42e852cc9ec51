/* SPDX-License-Identifier: MIT */
/* tests/unit/sock/rig.h - Two hosts, their sockets, and a perfect wire in virtual time
 *
 * Host A is 10.0.0.1, host B is 10.0.0.2.  Segments go straight from one
 * engine to the other: no IP, no device.  Each turn takes at least a
 * microsecond; a turn with nothing to do jumps to the next timer or to its
 * deadline.  A test that would sleep for ever fails instead.
 */
#pragma once
#include "base/units.h"
#include "sock/sock.h"
#include "tests/test.h"
#include "wire/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

struct rig;

struct rig_host {
        struct rig     *rig;
        struct ip_addr  addr;
        struct counters counters;
        struct tcp     *tcp;
        struct socks    ss;
};

struct rig {
        struct pkt_pool pool;
        uint64_t        now_ns;
        struct rig_host host[2];
        bool            cut;            /* the wire loses everything */
        uint32_t        turns;
        uint32_t        interrupts;     /* so many turns from now on end with EINTR at once */
};

enum { RIG_PORT = 80 };

static inline bool rig_is_local(void *arg, const struct ip_addr *addr)
{
        const struct rig_host *h = arg;
        return ip_addr_eq(addr, &h->addr);
}

static inline int rig_source_for(void *arg, const struct ip_addr *dst, struct ip_addr *src)
{
        const struct rig_host *h = arg;
        if (!ip_addr_is_any(dst) && (ip_addr_to_v4(dst) >> 24) != 10)
                return -ENETUNREACH;
        *src = h->addr;
        return 0;
}

static inline void rig_path(void *arg, const struct ip_addr *raddr, struct tcp_path *out)
{
        *out = (struct tcp_path){ .mtu = 1500, .csum = true };
}

static inline void rig_deliver(struct rig *rig, struct rig_host *to, struct pkt *p, const struct tcp_tx *tx)
{
        struct tcp_note note;
        struct tcp_seg seg;

        if (rig->cut || !ip_addr_eq(&tx->raddr, &to->addr) || tcp_parse(&seg, p->data, p->len) != DROP_NONE) {
                pkt_give(&rig->pool, p);
                return;
        }
        struct flow_key key = { .laddr = tx->raddr, .raddr = tx->laddr, .lport = seg.dst_port, .rport = seg.src_port };
        tcp_input(to->tcp, p, &seg, &key, flow_hash(tcp_flows(to->tcp), &key), rig->now_ns, &note);
        if (note.events)
                socks_note(&to->ss, &note);
}

static inline bool rig_pump_host(struct rig *rig, struct rig_host *h, struct rig_host *peer)
{
        uint32_t budget = 1000;
        struct tcp_note note;
        struct tcp_tx tx;
        struct pkt *p;
        bool moved = false;

        while (tcp_expire(h->tcp, rig->now_ns, &budget, &note))
                if (note.events) {
                        socks_note(&h->ss, &note);
                        moved = true;
                }
        while ((p = tcp_poll_send(h->tcp, rig->now_ns, &tx))) {
                rig_deliver(rig, peer, p, &tx);
                moved = true;
        }
        return moved;
}

/* Everything that can happen without time passing.  Did anything? */
static inline bool rig_pump(struct rig *rig)
{
        bool any = false, moved = true;
        while (moved) {
                rig->now_ns += US(1);
                moved = rig_pump_host(rig, &rig->host[0], &rig->host[1]);
                moved |= rig_pump_host(rig, &rig->host[1], &rig->host[0]);
                any |= moved;
        }
        return any;
}

static inline int rig_turn(void *arg, uint64_t deadline_ns)
{
        struct rig *rig = ((struct rig_host *)arg)->rig;

        rig->turns++;
        if (rig->interrupts && deadline_ns) {
                rig->interrupts--;
                return -EINTR;
        }
        if (rig_pump(rig) || deadline_ns == 0)
                return 0;
        uint64_t next_ns = u64_min(tcp_next_deadline(rig->host[0].tcp), tcp_next_deadline(rig->host[1].tcp));
        next_ns = u64_min(next_ns, deadline_ns);
        if (next_ns > rig->now_ns + SEC(1000000)) {
                test_fail(__FILE__, __LINE__, "waits for something that never comes");
                test_stop();
        }
        rig->now_ns = u64_max(rig->now_ns, next_ns);
        rig_pump(rig);
        return 0;
}

/* Let @ns pass. */
static inline void rig_run(struct rig *rig, uint64_t ns)
{
        uint64_t end_ns = rig->now_ns + ns;
        rig_pump(rig);
        while (rig->now_ns < end_ns)
                rig_turn(&rig->host[0], end_ns);
}

static inline void rig_host_init(struct rig *rig, struct rig_host *h, uint32_t addr, uint32_t max_socks)
{
        const uint64_t seed[4] = { addr, 2, 3, 4 };
        struct tcp_env env = { .path = rig_path };
        struct tcp_conf conf;
        struct socks_conf sconf = { .max_socks = max_socks };
        struct sock_env senv = {
                .is_local = rig_is_local, .source_for = rig_source_for, .now_ns = &rig->now_ns,
                .turn = rig_turn, .arg = h,
        };

        h->rig = rig;
        h->addr = ip_addr_v4(addr);
        tcp_conf_default(&conf);
        conf.max_conns = conf.max_half = conf.max_wait = 1000;
        conf.max_listeners = 100;
        socks_conf_default(&sconf);
        sconf.opts = conf.opts;
        h->tcp = calloc(1, tcp_sizeof());
        REQUIRE(h->tcp && tcp_init(h->tcp, &conf, &env, &rig->pool, &h->counters, seed, rig->now_ns) == 0);
        REQUIRE(socks_init(&h->ss, &sconf, h->tcp, &senv) == 0);
}

static inline struct rig *rig_new_of(uint32_t max_socks)
{
        struct rig *rig = calloc(1, sizeof *rig);
        REQUIRE(rig != NULL);
        rig->now_ns = SEC(1000);
        REQUIRE(pkt_pool_init(&rig->pool, 20000, 16, false) == 0);
        rig_host_init(rig, &rig->host[0], 0x0a000001, max_socks);
        rig_host_init(rig, &rig->host[1], 0x0a000002, max_socks);
        return rig;
}

static inline struct rig *rig_new(void) { return rig_new_of(100); }

/* Close what is open on both sides, then look for leaks. */
static inline void rig_free(struct rig *rig)
{
        rig->cut = false;
        for (int i = 0; i < 2; i++)
                for (uint32_t n = 0; n < rig->host[i].ss.fds.cap; n++)
                        if (fdtab_get(&rig->host[i].ss.fds, n))
                                sock_close(&rig->host[i].ss, (int)(FD_BASE_DEFAULT + n));
        rig_run(rig, SEC(2000));
        for (int i = 0; i < 2; i++) {
                struct rig_host *h = &rig->host[i];
                test_saw(&h->counters);
                EXPECT_EQ(h->ss.slab.used, 0);
                EXPECT_EQ(h->ss.exts.used, 0);
                EXPECT_EQ(h->ss.epolls.instances.used, 0);
                EXPECT_EQ(h->ss.epolls.extras.used, 0);
                EXPECT_EQ(h->ss.epolls.chunks.used, 0);
                EXPECT_EQ(tcp_flows(h->tcp)->used, 0);
                EXPECT_EQ(tcp_ports(h->tcp)->bindings.used, 0);
                socks_fini(&h->ss);
                tcp_fini(h->tcp);
                free(h->tcp);
        }
        EXPECT_EQ(rig->pool.small.used, 0);
        EXPECT_EQ(rig->pool.large.used, 0);
        pkt_pool_fini(&rig->pool);
        free(rig);
}

static inline struct sockaddr_in rig_sin(uint32_t addr, uint16_t port)
{
        return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr), .sin_port = htons(port) };
}

#define SA(sin) ((const struct sockaddr *)(sin))

static inline int rig_listen(struct rig_host *h, uint16_t port)
{
        struct sockaddr_in sin = rig_sin(INADDR_ANY, port);
        int fd = sock_open(&h->ss, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        REQUIRE(fd >= 0);
        REQUIRE(sock_bind(&h->ss, fd, SA(&sin), sizeof sin) == 0);
        REQUIRE(sock_listen(&h->ss, fd, 100) == 0);
        return fd;
}

/* A connection from A to a listener of B: both ends, non-blocking. */
static inline void rig_pair(struct rig *rig, int lfd, int *a, int *b)
{
        struct sockaddr_in sin = rig_sin(0x0a000002, RIG_PORT);
        *a = sock_open(&rig->host[0].ss, AF_INET, SOCK_STREAM, 0);
        REQUIRE(*a >= 0);
        REQUIRE(sock_connect(&rig->host[0].ss, *a, SA(&sin), sizeof sin) == 0);
        rig_pump(rig);
        *b = sock_accept(&rig->host[1].ss, lfd, NULL, NULL, SOCK_NONBLOCK);
        REQUIRE(*b >= 0);
        REQUIRE(sock_fcntl(&rig->host[0].ss, *a, 4 /* F_SETFL */, 04000 /* O_NONBLOCK */) == 0);
        rig_pump(rig);
}
