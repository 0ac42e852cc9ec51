/* SPDX-License-Identifier: MIT */
/* sock/source.c - Which of our addresses a connection is opened from
 *
 * Towards one destination an address of ours has some 28,000 ports.  When they
 * are used up the next address is tried, so a host with many can have as many
 * connections as it likes.  Finding that none is free costs a look at all of
 * them, so for each destination (a hash of it) it is remembered which address
 * had one: the full ones before it are not tried again until all the others
 * have had their turn.
 */
#include "sock/sock_priv.h"

#include <string.h>

enum { SOURCE_TRIES = 16 };             /* addresses a call looks at: its time is bounded */

/* Destinations that share a place only share where to begin. */
static uint32_t *turn_of(struct socks *ss, const struct flow_key *key)
{
        uint64_t hi, lo;
        memcpy(&hi, key->raddr.octet, 8);
        memcpy(&lo, key->raddr.octet + 8, 8);
        uint64_t mix = (hi ^ lo ^ (uint64_t)key->rport << 48) * 0x9e3779b97f4a7c15u;
        return &ss->source_turn[mix >> 56];
}

static bool nth(const struct socks *ss, uint32_t n, struct flow_key *key)
{
        return ss->env.source_nth && ss->env.source_nth(ss->env.arg, &key->raddr, n, &key->laddr) == 0;
}

static int connect_from(struct socks *ss, struct sock *s, struct flow_key *key, bool any_source, uint32_t *conn)
{
        uint32_t bound = 0, *turn = any_source ? turn_of(ss, key) : &bound, first_turn = *turn;
        struct ip_addr first = key->laddr;
        struct tcp_opts opts;

        sock_opts_get(ss, s, &opts);
        for (uint32_t tries = 1;; tries++) {
                if (*turn == 0 || !nth(ss, *turn, key)) {
                        *turn = 0;
                        key->laddr = first;
                }
                int rc = tcp_connect(ss->tcp, key, &opts, sock_idx(ss, s), sock_now(ss), conn);
                if (rc != -EADDRNOTAVAIL || !any_source)
                        return rc;
                if (!nth(ss, ++*turn, key))
                        *turn = 0;
                if (*turn == first_turn || tries == SOURCE_TRIES)
                        return rc;
        }
}

static bool port_was_chosen(struct socks *ss, const struct sock *s)
{
        uint32_t binding = sock_binding(ss, s);
        return binding && ports_binding(tcp_ports(ss->tcp), binding)->flags & BINDING_CHOSEN;
}

/* Let go of the port, and stay bound to the address. */
static void forget_port(struct socks *ss, struct sock *s)
{
        struct ports *ports = tcp_ports(ss->tcp);
        struct sock_ext *ext = sock_ext(ss, s);
        uint32_t binding = ext->binding;

        ext->bind_addr = ports_binding(ports, binding)->addr;
        ext->has_bind_addr = true;
        ext->binding = 0;
        ports_unbind(ports, binding);
}

int source_connect(struct socks *ss, struct sock *s, struct flow_key *key, uint32_t *conn)
{
        struct ip_addr bound;
        uint16_t port = name_bound(ss, s, &bound);
        int rc = connect_from(ss, s, key, port == 0 && ip_addr_is_any(&bound), conn);

        /* bind() could not know where to; of several shards only one has the answers. */
        if (rc != -EADDRNOTAVAIL || !ss->replica || !port_was_chosen(ss, s))
                return rc;
        key->lport = 0;
        rc = connect_from(ss, s, key, ip_addr_is_any(&bound), conn);
        if (rc == 0)
                forget_port(ss, s);
        return rc;
}
