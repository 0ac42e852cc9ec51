/* SPDX-License-Identifier: MIT */
/* tests/sim/sim.h - Hosts, links and virtual time, all from one seed
 *
 * A host is a whole shard: devices, IP, TCP, sockets.  A link joins two ends
 * and has a delay, a rate, a queue and faults for each direction (a "lane").
 * Time stands still while anybody has something to do, then jumps to the next
 * event.  Nothing else comes from outside, so the same seed gives the same
 * frames at the same times.
 *
 *      struct sim *sim = sim_new(1);
 *      struct sim_host *a = sim_host(sim, NULL), *b = sim_host(sim, NULL);
 *      sim_link(a, b, &(struct sim_link_conf){ .delay_ns = MS(10) });
 *      int lfd = sim_listen(b, 80), fd = sim_connect(a, b, 80);
 *      sim_run(sim, MS(100));
 *      ...
 *      sim_free(sim);          closes everything and looks for what is left
 *
 * Host n (from 1) has the address 10.0.0.n/24; links are point to point, so a
 * host with two links needs them in different networks.
 * Sockets are non-blocking: there is nobody to wait in.
 */
#pragma once
#include "base/rnd.h"
#include "base/units.h"
#include "stack/shard.h"
#include "tests/test.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>

struct sim;
struct sim_link;

enum sim_lane { SIM_AB, SIM_BA };       /* from the link's first end to its second; back */

/* One direction of a link.  All zero is a perfect wire. */
struct sim_link_conf {
        uint64_t delay_ns;
        uint64_t bits_per_s;            /* 0: no limit */
        uint32_t queue_octets;          /* what may wait for the wire; more is lost; 0: no limit */
        uint32_t loss_ppm, dup_ppm, corrupt_ppm;
        uint32_t reorder_ppm;           /* so many frames are held up... */
        uint64_t reorder_ns;            /* ...by up to this */
        bool     pushback;              /* a full queue makes the device refuse frames instead of losing them */
        uint32_t mtu;                   /* of the devices; 0: 1500.  The first link conf counts for both ends */
        uint32_t offload;               /* NETDEV_TX_CSUM, NETDEV_TSO: what the devices do */
};

/* A frame as hooks see it. */
struct sim_view {
        uint64_t       now_ns;
        enum sim_lane  lane;
        uint8_t       *frame;           /* may be changed; checksums are the hook's business */
        uint32_t       len;
        bool           tcp;             /* the rest is meaningful */
        struct tcp_seg seg;
        uint8_t       *text;
        uint32_t       text_len;
        uint32_t       data_nr;         /* with text: this is the n-th segment with text on the lane, from 1 */
};

/* What a hook wants done.  Any other value: hold the frame up by so many ns. */
enum { SIM_PASS = 0 };
#define SIM_DROP UINT64_MAX
typedef uint64_t (*sim_hook)(void *arg, struct sim_view *v);

struct sim_host {
        struct sim   *sim;
        struct shard  shard;
        struct ip_addr addr;
        uint32_t      nr;
};

#define TCP_OF(host)   ((host)->shard.tcp)
#define SOCKS_OF(host) (&(host)->shard.socks)
#define CNT(host, name)  ((host)->shard.counters.cnt[CNT_##name])
#define DROPS(host, name) ((host)->shard.counters.drop[DROP_##name])

/* ---- a world ---- */

struct sim *sim_new(uint64_t seed);
/* Heals the links, closes all sockets, lets virtual time pass until everything has ended, and
 * fails the test if a packet, record or table entry is left anywhere. */
void sim_free(struct sim *sim);
/* Virtual time begins at 1,000 s; before there are hosts it may be told to begin elsewhere. */
void sim_begin_at(struct sim *sim, uint64_t now_ns);
uint64_t sim_now(const struct sim *sim);
struct rnd *sim_rnd(struct sim *sim);

/* The seed of a test: @usual, unless SEED=... in the environment says otherwise; noted for a failure. */
uint64_t sim_seed(const char *test, uint64_t usual);

/* Small sizes: 64 connections, 1,024 packets. */
void sim_conf_default(struct shard_conf *conf);
/* @conf: NULL for the defaults; its seed is overwritten */
struct sim_host *sim_host(struct sim *sim, const struct shard_conf *conf);

struct sim_link *sim_link(struct sim_host *a, struct sim_host *b, const struct sim_link_conf *conf);
void sim_lane_set(struct sim_link *l, enum sim_lane lane, const struct sim_link_conf *conf);
/* Everything is lost until sim_link_heal(). */
void sim_link_cut(struct sim_link *l);
void sim_link_heal(struct sim_link *l);
void sim_hook_set(struct sim_link *l, sim_hook hook, void *arg);
/* Lose, damage (a wrong TCP checksum) or hold up the @nr-th segment with text on the lane, from 1. */
void sim_drop_data(struct sim_link *l, enum sim_lane lane, uint32_t nr);
void sim_damage_data(struct sim_link *l, enum sim_lane lane, uint32_t nr);
void sim_hold_data(struct sim_link *l, enum sim_lane lane, uint32_t nr, uint64_t ns);
/* Write every frame that is put on the wire to a pcapng file. */
void sim_pcap(struct sim_link *l, const char *path);
/* Frames put on the wire so far. */
uint64_t sim_frames(const struct sim_link *l, enum sim_lane lane);
/* A copy of @frame goes on the wire, as if an end (or somebody in between) had sent it. */
void sim_inject(struct sim_link *l, enum sim_lane lane, const uint8_t *frame, uint32_t len);

/* ---- time ---- */

/* Everything that can happen without time passing.  Did anything? */
bool sim_settle(struct sim *sim);
/* Settle, then jump to the next event, at most to @until_ns.  False: @until_ns is reached. */
bool sim_step(struct sim *sim, uint64_t until_ns);
void sim_run(struct sim *sim, uint64_t ns);

/* Let time pass until @cond holds; fails the test after @ns. */
#define SIM_UNTIL(sim, ns, cond)                                                                                \
        do {                                                                                                    \
                uint64_t end_ns_ = sim_now(sim) + (ns);                                                         \
                bool more_ = true, holds_;                                                                      \
                sim_settle(sim);                                                                                \
                while (!(holds_ = (cond)) && more_)                                                             \
                        more_ = sim_step(sim, end_ns_);                                                         \
                if (!holds_)                                                                                    \
                        test_fail(__FILE__, __LINE__, "after %llu ms still not: %s",                            \
                                  (unsigned long long)((ns) / 1000000), #cond);                                 \
        } while (0)

/* ---- sockets, for tests that do not care how ---- */

struct sockaddr_in sim_sin(const struct ip_addr *addr, uint16_t port);
int  sim_socket(struct sim_host *h);
int  sim_listen(struct sim_host *h, uint16_t port);
int  sim_listen_of(struct sim_host *h, uint16_t port, int backlog);
/* A connect() has begun. */
int  sim_connect(struct sim_host *h, const struct ip_addr *to, uint16_t port);
/* A descriptor, or a negative errno. */
int  sim_accept(struct sim_host *h, int lfd);
/* Connected both ways: *@at_a and *@at_b. */
void sim_pair(struct sim_host *a, struct sim_host *b, int *at_a, int *at_b);
void sim_set(struct sim_host *h, int fd, int level, int name, int value);
uint32_t sim_conn(struct sim_host *h, int fd);          /* the engine's index */
enum tcp_state sim_state(struct sim_host *h, int fd);
struct tcp_report sim_report(struct sim_host *h, int fd);
int  sim_error(struct sim_host *h, int fd);             /* SO_ERROR */

/* Octet @at of stream @stream is this: content as a function of position. */
uint8_t sim_octet(uint32_t stream, uint64_t at);
void sim_fill(uint8_t *buf, uint32_t stream, uint64_t at, uint32_t len);
/* Queue @len octets of the stream; returns octets taken or a negative errno. */
ssize_t sim_write(struct sim_host *h, int fd, uint32_t stream, uint64_t at, uint32_t len);
/* Read up to @max octets and compare them with the stream; fails the test where they differ.
 * Octets, 0 for the end of the stream, or a negative errno. */
ssize_t sim_read(struct sim_host *h, int fd, uint32_t stream, uint64_t at, uint32_t max);
/* Send @len octets from one end to the other and let time pass until all have arrived.  Fails after @ns. */
void sim_transfer(struct sim_host *from, int fd_from, struct sim_host *to, int fd_to, uint64_t len, uint64_t ns);

/* ---- for raw.c: an end of a link that is no host ---- */

struct sim_end;
struct sim_end *sim_link_raw(struct sim_host *a, const struct sim_link_conf *conf, struct sim_link **link);
/* The next frame that has arrived at a raw end, into @buf; its length, or 0. */
uint32_t sim_end_take(struct sim_end *e, uint8_t *buf, uint32_t max);
