/* SPDX-License-Identifier: MIT */
/* ip/ip.h - The Internet layer of one shard
 *
 * Takes frames from the shard and says what is in them; takes segments and
 * makes frames of them.  Answers ARP and ICMP itself.  Knows links, routes,
 * neighbours and which addresses are ours; knows nothing of devices, flows or
 * connections, reads no clock.
 *
 *                 ip_input()                            ip_output()
 *      frame ──► Ethernet ─► IPv4 ──► TCP, UDP            │ header, route, neighbour
 *                  │           └► ICMP ──┐ echo, errors   ▼
 *                  └► ARP ───────────────┴────────────► tx[iface] ──► the shard drains it
 *
 * All frames that leave, whoever made them, leave by ip->tx[iface] in order.
 * The shard empties those lists after every step; they grow by at most a few
 * frames for each packet handed in, so they need no limit of their own.
 *
 * Counting: a packet that ends here is freed and counted here, once, under the
 * reason that is also returned.  The caller counts the deliveries.
 *
 * Files: ip.c start, configuration and timers; input.c and output.c the two
 * paths; local.c route.c lpm.c neigh.c the tables; arp.c icmp.c the protocols;
 * acd.c who else has our address.
 *
 * IPv6 addresses may be configured and routed in every table; packets are IPv4
 * alone so far.  A host never forwards.
 */
#pragma once
#include "base/addr.h"
#include "base/counters.h"
#include "base/rnd.h"
#include "base/seq.h"
#include "base/units.h"
#include "ip/bucket.h"
#include "ip/iface.h"
#include "ip/local.h"
#include "ip/neigh.h"
#include "ip/route.h"
#include "pkt/pkt.h"

#include <stdbool.h>
#include <stdint.h>

enum { IP_TTL_DEFAULT = 64, IP_DSTS = 256, IP_FAILURES = 128 };

struct ip_conf {
        struct neigh_conf neigh;
        uint32_t locals_max;            /* addresses and prefixes of ours */
        uint32_t arp_per_s, arp_burst;  /* ARP requests that we send, for all neighbours together */
        uint32_t echo_per_s, echo_burst;        /* echo replies */
        uint32_t error_per_s, error_burst;      /* ICMP errors; RFC 1812 4.3.2.8 */
        bool     dad;                   /* probe an address before using it (RFC 5227 2.1) */
        bool     udp;                   /* there are UDP sockets: hand datagrams out as IP_RX_UDP.
                                         * false: answer them by port unreachable */
};

/* What is used unless configured otherwise. */
struct ip_conf ip_conf_default(void);

/* How packets to one address leave: the answer of routes and neighbours, kept. */
struct ip_dst {
        struct ip_addr  dst;
        uint64_t        gen;            /* valid while it equals the sum of the generations */
        uint32_t        neigh;          /* index; 0: mac is fixed */
        uint32_t        mtu;
        struct mac_addr mac;            /* when neigh is 0: ourselves, broadcast, multicast */
        uint8_t         iface;
};

/* What an ICMP error claims about a TCP segment that we sent.  The port numbers
 * and seq are to be matched against the flow before anything is believed, and
 * the shard counts: CNT_ICMP_ERRORS_RCVD, or DROP_ICMP_NO_FLOW (RFC 5927 4.1). */
struct ip_icmp_error {
        struct ip_addr local, remote;   /* source and destination of our segment */
        uint16_t       local_port, remote_port;
        tcp_seq        seq;
        uint8_t        type, code;      /* ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAM_PROBLEM */
        uint16_t       mtu;             /* with ICMP_UNREACHABLE_FRAG_NEEDED; 0: the router didn't say */
};

struct ip {
        struct ip_conf     conf;
        struct pkt_pool   *pool;
        struct counters   *counters;
        struct pkt_list    tx[IP_IFACES];       /* frames ready for the device; the shard takes them */
        struct ip_iface    iface[IP_IFACES];
        uint32_t           iface_cnt;
        uint64_t           gen;                 /* of interfaces, routes and local addresses */
        struct ip_dst      dst[IP_DSTS];        /* direct-mapped */
        struct local_table local;
        struct route_table route;
        struct neigh_table neigh;
        struct bucket      arp_bucket, echo_bucket, error_bucket;
        struct rnd         rnd;
        uint64_t           now_ns;              /* of the step that runs, or ran last */
        bool               conflict_logged;     /* conflict_logged_ns is true */
        uint64_t           conflict_logged_ns;
        struct ip_icmp_error failure[IP_FAILURES];      /* ring, see ip_next_failure() */
        uint32_t           failure_head, failure_cnt;
};

/**
 * ip_init() - Begin with no interface, address or route
 * @conf:  copied
 * @pool:  where frames come from and go to; outlives @ip
 * @seed:  for the hash key and for the random delays of RFC 5227
 *
 * Return: 0; -ENOMEM with nothing held
 */
int  ip_init(struct ip *ip, const struct ip_conf *conf, struct pkt_pool *pool, struct counters *counters,
             const uint64_t seed[4], uint64_t now_ns);
/* Frees all packets that wait here, those in tx too. */
void ip_fini(struct ip *ip);

/**
 * ip_iface_add() - Add a link
 * @mac:   our address on it
 * @mtu:   octets of IP packet, 68..65535
 * @vlan:  1..4094: speak 802.1Q with this tag alone; 0: untagged, and priority tags are read
 * @flags: enum ip_iface_flag
 *
 * Return: its number, from 0 upwards; -EINVAL; -ENOSPC beyond IP_IFACES
 */
int  ip_iface_add(struct ip *ip, const struct mac_addr *mac, uint32_t mtu, uint16_t vlan, uint32_t flags);

/**
 * ip_local_add() - Take an address
 * @p:     "10.77.0.2/24": the address is ours, 10.77.0.0/24 is on the link and
 *         10.77.0.255 its broadcast address; a /32 (or /128) has no link of its own
 * @whole: every address of the prefix is ours, and ARP is answered for each
 *
 * A single address is announced (RFC 5227 2.3), or with conf.dad probed first;
 * until that has passed, ip_is_local() is false.
 *
 * Return: 0; -EEXIST; -EINVAL multicast, broadcast, 0.0.0.0, network number, no such
 *         interface; -ENOSPC; -ENOMEM
 */
int  ip_local_add(struct ip *ip, uint32_t iface, const struct ip_prefix *p, bool whole);

/**
 * ip_route_add() - Add a route
 * @gateway: NULL: @dst is on the link of @iface
 *
 * Return: 0; -EEXIST; -EINVAL no such interface, families differ, or the gateway is
 *         ourselves; -ENETUNREACH the gateway is not on the link of @iface; -ENOMEM
 */
int  ip_route_add(struct ip *ip, const struct ip_prefix *dst, const struct ip_addr *gateway, uint32_t iface);

/* Is @a an address of ours that is in use? */
bool ip_is_local(const struct ip *ip, const struct ip_addr *a);
enum ip_dad { IP_DAD_DONE, IP_DAD_PROBING, IP_DAD_CONFLICT };
/* How far conf.dad has come with @a, an address that was added. */
enum ip_dad ip_local_dad(const struct ip *ip, const struct ip_addr *a);
/* On which interface is @a, an address of ours?  Meaningful only when ip_is_local(). */
uint32_t ip_local_iface(const struct ip *ip, const struct ip_addr *a);
/* Is @a the limited broadcast address, or that of a link of ours? */
bool ip_is_broadcast(const struct ip *ip, const struct ip_addr *a);

struct ip_hop {
        struct ip_addr next_hop;        /* the gateway, or the destination itself */
        uint32_t       iface;
        uint32_t       mtu;
        bool           gateway;
};

/* Where a packet to @dst, which is not one of ours, goes.  False: no route. */
bool ip_route_find(const struct ip *ip, const struct ip_addr *dst, struct ip_hop *hop);

/**
 * ip_source_for() - The address to connect from
 *
 * @dst itself if it is ours; otherwise, on the interface that leads there, the
 * first address whose link holds the next hop, or else the first address;
 * otherwise the first address of any interface.  Spec: RFC 1122 3.3.4.3.
 *
 * Return: 0; -ENETUNREACH no route; -EADDRNOTAVAIL we have no address of this family
 */
int  ip_source_for(const struct ip *ip, const struct ip_addr *dst, struct ip_addr *src);

/* The @n-th address to connect from: 0 is that of ip_source_for(), the others are those of the
 * interface that leads to @dst, one of which is that of 0 again.  0; -EADDRNOTAVAIL: not so many. */
int  ip_source_nth(const struct ip *ip, const struct ip_addr *dst, uint32_t n, struct ip_addr *src);

/* Largest IP packet to @dst, in octets; 0: no route. */
uint32_t ip_path_mtu(const struct ip *ip, const struct ip_addr *dst);

enum ip_rx_kind {
        IP_RX_DONE,                     /* handled here, or dropped: the packet is gone */
        IP_RX_TCP,                      /* the packet is the caller's */
        IP_RX_UDP,                      /* likewise; header and checksum are right */
        IP_RX_ICMP_ERROR,               /* the packet is gone, icmp tells what it said */
};

struct ip_rx {
        uint8_t              kind;      /* enum ip_rx_kind */
        uint8_t              proto;
        uint8_t              ttl;
        uint8_t              tos;
        uint8_t              iface;
        uint8_t              hdr_len;   /* of the IP header, which lies in front of p->data */
        bool                 broadcast; /* to a broadcast address, or in a broadcast frame */
        struct ip_addr       src, dst;
        struct ip_icmp_error icmp;      /* IP_RX_ICMP_ERROR only */
};

/**
 * ip_input() - Take one frame apart
 * @p:   the whole frame, p->iface says where it came in; taken over unless
 *       @out->kind is IP_RX_TCP or IP_RX_UDP
 * @out: kind always, the rest when kind is not IP_RX_DONE
 *
 * With IP_RX_TCP and IP_RX_UDP, p->data is the transport header, p->len the IP
 * payload without padding, p->l4 set and PKT_RX_IP4 marked.  The TCP checksum
 * has not been looked at.
 *
 * Return: DROP_NONE; otherwise why the frame was dropped: counted, p is gone, kind is IP_RX_DONE
 */
enum drop ip_input(struct ip *ip, struct pkt *p, uint64_t now_ns, struct ip_rx *out);

/**
 * ip_output() - Send one packet
 * @p:     p->data at the transport header, with IP_HEADROOM octets in front; taken over.
 *         With PKT_GSO a super-segment of up to 65,515 octets
 * @src:   one of our addresses
 * @ttl:   0: IP_TTL_DEFAULT
 *
 * Don't-fragment is set and the identification is 0 (RFC 6864 4.1).  A packet
 * to one of our own addresses goes out by the interface that owns it, from
 * and to our own MAC address: a loop: device brings it back.
 *
 * Return: DROP_NONE: it is in tx, or waits for its neighbour; otherwise why it
 *         was dropped, counted already: DROP_IP_NO_ROUTE, DROP_IP_TOO_BIG,
 *         DROP_NEIGH_FULL, DROP_NEIGH_QUEUE, DROP_NO_PKT (no room for headers)
 */
enum drop ip_output(struct ip *ip, struct pkt *p, const struct ip_addr *src, const struct ip_addr *dst,
                    uint8_t proto, uint8_t tos, uint8_t ttl, uint64_t now_ns);

/* Octets that ip_output() wants in front of the transport header. */
enum { IP_HEADROOM = 18 + 20 };

/**
 * ip_icmp_unreachable() - Tell the sender of a packet that it was for nobody
 * @p:    as ip_input() left it; stays the caller's
 * @rx:   what ip_input() said about it
 * @code: enum icmp_unreachable_code
 *
 * Says nothing where RFC 1122 3.2.2 forbids it, and no more often than configured.
 *
 * Return: true: sent
 */
bool ip_icmp_unreachable(struct ip *ip, const struct pkt *p, const struct ip_rx *rx, uint8_t code, uint64_t now_ns);

/* The peer at @addr has made progress (new data acknowledged, say), so the way
 * to it works: spares probing its neighbour (RFC 1122 2.3.2.1).  Call it at most
 * once a round trip; it costs a look-up. */
void ip_neigh_confirm(struct ip *ip, const struct ip_addr *addr, uint64_t now_ns);

/* A TCP segment that waited in vain for its neighbour to answer, told as the
 * host-unreachable error that a router would have sent (RFC 1122 2.4).  False: no
 * more.  At most IP_FAILURES are remembered. */
bool ip_next_failure(struct ip *ip, struct ip_icmp_error *out);

/**
 * ip_timers() - Do what is due: requests, announcements, ageing
 * @budget: most timers to look at
 *
 * Return: the next deadline in ns, TIME_NEVER for none; @now_ns: more is due now
 */
uint64_t ip_timers(struct ip *ip, uint64_t now_ns, uint32_t budget);
/* Has ip_timers() anything to look at? */
static inline bool ip_timers_due(const struct ip *ip, uint64_t now_ns)
{
        tick now = tick_of_ns(now_ns);
        return !wheel_is_done(&ip->neigh.wheel, now) || !wheel_is_done(&ip->local.wheel, now);
}
uint64_t ip_next_deadline(const struct ip *ip, uint64_t now_ns);
