/* SPDX-License-Identifier: MIT */
/* tests/unit/ip/ip_world.h - One Internet layer with nothing around it
 *
 * Frames are made and read here octet by octet, without src/wire, so that a
 * mistake there can't hide one in src/ip.  Time is a variable.
 */
#pragma once
#include "ip/ip.h"
#include "tests/test.h"

#include <stdlib.h>

enum { ARP_REQ = 1, ARP_REP = 2, TCP = 6, UDP = 17, ICMP = 1, POOL_SMALL = 2048, POOL_LARGE = 64 };

static const struct mac_addr OUR_MAC  = { { 0x02, 0, 0, 0, 0, 0x01 } };
static const struct mac_addr PEER_MAC = { { 0x02, 0, 0, 0, 0, 0x09 } };
static const struct mac_addr ALL_MAC  = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
static const struct mac_addr NO_MAC;

struct world {
        struct ip       ip;
        struct pkt_pool pool;
        struct counters cnt;
        struct ip_rx    rx;             /* of the last frame */
        uint8_t         seg[65536];     /* payload of the last TCP or UDP */
        uint32_t        seg_len;
        uint64_t        now;
};

struct frame {
        uint8_t  b[66000];
        uint32_t len;
};

static inline struct ip_addr A(const char *text)
{
        struct ip_addr a = { 0 };
        if (ip_addr_parse(&a, text) < 0)
                abort();
        return a;
}

static inline struct ip_prefix P(const char *text)
{
        struct ip_prefix p = { 0 };
        if (ip_prefix_parse(&p, text) < 0)
                abort();
        return p;
}

/* An empty layer, no interface. */
static inline struct world *world_empty(const struct ip_conf *conf)
{
        static const uint64_t seed[4] = { 1, 2, 3, 4 };
        struct ip_conf c = conf ? *conf : ip_conf_default();
        struct world *w = calloc(1, sizeof *w);

        w->now = SEC(1000000);
        REQUIRE(pkt_pool_init(&w->pool, POOL_SMALL, POOL_LARGE, false) == 0);
        REQUIRE(ip_init(&w->ip, &c, &w->pool, &w->cnt, seed, w->now) == 0);
        return w;
}

/* Interface 0 with 10.77.0.2/24, silent: its announcements are over. */
static inline void world_run(struct world *w, uint64_t for_ns);
static inline void world_hush(struct world *w)
{
        for (uint32_t i = 0; i < IP_IFACES; i++)
                pkt_list_give(&w->pool, &w->ip.tx[i]);
}

static inline struct world *world_new(const struct ip_conf *conf)
{
        struct world *w = world_empty(conf);
        struct ip_prefix p = P("10.77.0.2/24");

        REQUIRE(ip_iface_add(&w->ip, &OUR_MAC, 1500, 0, 0) == 0);
        REQUIRE(ip_local_add(&w->ip, 0, &p, false) == 0);
        world_run(w, SEC(5));
        world_hush(w);
        return w;
}

/* Ends it, and holds it to having kept no packet. */
static inline void world_end(struct world *w)
{
        test_saw(&w->cnt);
        ip_fini(&w->ip);
        EXPECT_EQ(w->pool.small.used, 0);
        EXPECT_EQ(w->pool.large.used, 0);
        pkt_pool_fini(&w->pool);
        free(w);
}

/* Let time pass, timers firing at their deadlines. */
static inline void world_run(struct world *w, uint64_t for_ns)
{
        uint64_t end = w->now + for_ns;
        uint64_t next = ip_timers(&w->ip, w->now, UINT32_MAX);

        while (next <= end) {
                REQUIRE(next > w->now);
                w->now = next;
                next = ip_timers(&w->ip, w->now, UINT32_MAX);
        }
        w->now = end;
        ip_timers(&w->ip, w->now, UINT32_MAX);
}

/* ---- making frames ---- */

static inline void put8(struct frame *f, uint32_t v) { f->b[f->len++] = (uint8_t)v; }
static inline void put16(struct frame *f, uint32_t v) { put8(f, v >> 8); put8(f, v); }
static inline void put32(struct frame *f, uint32_t v) { put16(f, v >> 16); put16(f, v); }
static inline void put_mac(struct frame *f, struct mac_addr m) { memcpy(f->b + f->len, m.octet, 6); f->len += 6; }
static inline void put_v4(struct frame *f, const char *a) { struct ip_addr x = A(a); put32(f, ip_addr_to_v4(&x)); }
static inline uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }

/* RFC 1071, naively */
static inline uint32_t naive_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
        for (uint32_t i = 0; i < len; i++)
                sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return sum;
}

static inline void fill_sum(uint8_t *field, const uint8_t *p, uint32_t len, uint32_t pseudo)
{
        field[0] = field[1] = 0;
        uint32_t sum = ~naive_sum(p, len, pseudo) & 0xffff;
        field[0] = (uint8_t)(sum >> 8);
        field[1] = (uint8_t)sum;
}

static inline void make_eth(struct frame *f, struct mac_addr dst, struct mac_addr src, uint32_t type)
{
        f->len = 0;
        put_mac(f, dst);
        put_mac(f, src);
        put16(f, type);
}

static inline void put_arp(struct frame *f, uint32_t op, struct mac_addr sha, const char *spa, struct mac_addr tha,
                           const char *tpa)
{
        put16(f, 1);
        put16(f, 0x800);
        put8(f, 6);
        put8(f, 4);
        put16(f, op);
        put_mac(f, sha);
        put_v4(f, spa);
        put_mac(f, tha);
        put_v4(f, tpa);
}

static inline void make_arp(struct frame *f, struct mac_addr dst, uint32_t op, struct mac_addr sha, const char *spa,
                            struct mac_addr tha, const char *tpa)
{
        make_eth(f, dst, sha, 0x806);
        put_arp(f, op, sha, spa, tha, tpa);
}

/* An IPv4 header and @len octets of payload (a pattern when NULL).  Returns where the header is. */
static inline uint8_t *put_ip4(struct frame *f, uint32_t proto, const char *src, const char *dst, const void *payload,
                               uint32_t len)
{
        uint8_t *h = f->b + f->len;

        put16(f, 0x4500);
        put16(f, 20 + len);
        put32(f, 0x00004000);
        put8(f, 60);
        put8(f, proto);
        put16(f, 0);
        put_v4(f, src);
        put_v4(f, dst);
        fill_sum(h + 10, h, 20, 0);
        for (uint32_t i = 0; i < len; i++)
                put8(f, payload ? ((const uint8_t *)payload)[i] : i * 7 + 3);
        return h;
}

static inline uint8_t *make_ip4(struct frame *f, uint32_t proto, const char *src, const char *dst, const void *payload,
                                uint32_t len)
{
        make_eth(f, OUR_MAC, PEER_MAC, 0x800);
        return put_ip4(f, proto, src, dst, payload, len);
}

static inline void fix_ip4(uint8_t *h) { fill_sum(h + 10, h, (h[0] & 15) * 4u, 0); }

static inline void make_echo(struct frame *f, const char *src, const char *dst, uint32_t len)
{
        uint8_t *h = make_ip4(f, ICMP, src, dst, NULL, 8 + len);
        h[20] = 8;
        h[21] = 0;
        fill_sum(h + 22, h + 20, 8 + len, 0);
}

static inline void make_udp(struct frame *f, const char *src, const char *dst, uint32_t len, bool csum)
{
        uint8_t *h = make_ip4(f, UDP, src, dst, NULL, 8 + len);
        uint8_t *u = h + 20;

        u[4] = (uint8_t)((8 + len) >> 8);
        u[5] = (uint8_t)(8 + len);
        u[6] = u[7] = 0;
        if (csum)
                fill_sum(u + 6, u, 8 + len, naive_sum(h + 12, 8, UDP + 8 + len));
}

/* ---- in and out ---- */

/* Hand a frame in.  What comes out as TCP or UDP is copied to w->seg and freed. */
static inline enum drop give(struct world *w, const struct frame *f, uint32_t iface)
{
        struct pkt *p = pkt_take(&w->pool, f->len);

        REQUIRE(p);
        memcpy(p->data, f->b, f->len);
        p->len = f->len;
        p->iface = (uint8_t)iface;
        uint64_t before = 0, after = 0;
        for (int i = 0; i < DROP_CNT; i++)
                before += w->cnt.drop[i];
        enum drop why = ip_input(&w->ip, p, w->now, &w->rx);
        for (int i = 0; i < DROP_CNT; i++)
                after += w->cnt.drop[i];
        EXPECT(why == DROP_NONE || after > before);
        EXPECT(why == DROP_NONE || w->rx.kind == IP_RX_DONE);
        if (w->rx.kind == IP_RX_TCP || w->rx.kind == IP_RX_UDP) {
                memcpy(w->seg, p->data, p->len);
                w->seg_len = p->len;
                pkt_give(&w->pool, p);
        }
        return why;
}

/* Give the next frame that leaves by @iface; false: there is none. */
static inline bool taken(struct world *w, uint32_t iface, struct frame *f)
{
        struct pkt *p = pkt_list_pop(&w->ip.tx[iface]);

        if (!p)
                return false;
        memcpy(f->b, p->data, p->len);
        f->len = p->len;
        EXPECT_EQ(p->iface, iface);
        pkt_give(&w->pool, p);
        return true;
}

/* Send @len octets of payload to @dst. */
static inline enum drop send_to(struct world *w, const char *dst, uint32_t len)
{
        struct pkt *p = pkt_take(&w->pool, len);
        struct ip_addr d = A(dst), s = A("10.77.0.2");

        REQUIRE(p);
        memset(p->data, 0x5a, len);
        p->len = len;
        return ip_output(&w->ip, p, &s, &d, TCP, 0, 0, w->now);
}

/* Is @f an ARP packet of this kind from us? */
static inline bool is_arp(const struct frame *f, struct mac_addr to, uint32_t op, const char *spa, const char *tpa)
{
        struct ip_addr s = A(spa), t = A(tpa);

        return f->len == 42 && memcmp(f->b, to.octet, 6) == 0 && memcmp(f->b + 6, OUR_MAC.octet, 6) == 0 &&
               get16(f->b + 12) == 0x806 && get32(f->b + 14) == 0x00010800 && get16(f->b + 18) == 0x0604 &&
               get16(f->b + 20) == op && memcmp(f->b + 22, OUR_MAC.octet, 6) == 0 &&
               get32(f->b + 28) == ip_addr_to_v4(&s) && get32(f->b + 38) == ip_addr_to_v4(&t);
}

/* Is @f an IPv4 packet to @mac, with a right header checksum? */
static inline bool is_ip4(const struct frame *f, struct mac_addr mac, const char *src, const char *dst)
{
        struct ip_addr s = A(src), d = A(dst);

        return f->len >= 34 && memcmp(f->b, mac.octet, 6) == 0 && memcmp(f->b + 6, OUR_MAC.octet, 6) == 0 &&
               get16(f->b + 12) == 0x800 && f->b[14] == 0x45 && get16(f->b + 16) == f->len - 14 &&
               naive_sum(f->b + 14, 20, 0) == 0xffff &&
               get32(f->b + 26) == ip_addr_to_v4(&s) && get32(f->b + 30) == ip_addr_to_v4(&d);
}

static inline uint32_t frames_ready(const struct world *w) { return w->ip.tx[0].cnt; }

/* Make 10.77.0.9 at PEER_MAC a REACHABLE neighbour. */
static inline void world_meet(struct world *w, const char *peer, struct mac_addr mac)
{
        static struct frame f;

        send_to(w, peer, 40);
        make_arp(&f, OUR_MAC, ARP_REP, mac, peer, OUR_MAC, "10.77.0.2");
        EXPECT_EQ(give(w, &f, 0), DROP_NONE);
        world_hush(w);
}

static inline struct neigh *neigh_of(struct world *w, const char *addr)
{
        struct ip_addr a = A(addr);
        return neigh_find(&w->ip.neigh, &a, 0);
}
