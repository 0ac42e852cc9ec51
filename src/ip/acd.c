/* SPDX-License-Identifier: MIT */
/* ip/acd.c - Address conflict detection: who else has our address? (RFC 5227)
 *
 *      conf.dad:  three probes, 1 to 2 s apart ─► 2 s of silence ─► announce
 *      default:   announce, and announce again 2 s later
 *
 * A conflict while probing keeps the address out of use; it is probed again a
 * minute later.  A conflict afterwards is defended by one announcement in ten
 * seconds, and the address kept: 2.4 (c), for a server that clients know by
 * its address.  Whole prefixes are not announced (there would be no end of it)
 * but defended like the rest.
 */
#include "base/log.h"
#include "ip/ip_priv.h"

enum { PROBE_NUM = 3, ANNOUNCE_NUM = 2 };                       /* RFC 5227 1.1 */
static const uint64_t PROBE_WAIT_NS = SEC(1);
static const uint64_t PROBE_MIN_NS = SEC(1);
static const uint64_t PROBE_MAX_NS = SEC(2);
static const uint64_t ANNOUNCE_WAIT_NS = SEC(2);
static const uint64_t ANNOUNCE_INTERVAL_NS = SEC(2);
static const uint64_t DEFEND_INTERVAL_NS = SEC(10);
static const uint64_t RATE_LIMIT_INTERVAL_NS = SEC(60);
static const uint64_t LOG_INTERVAL_NS = SEC(60);

static uint64_t random_ns(struct ip *ip, uint64_t from_ns, uint64_t to_ns)
{
        return from_ns + US(rnd_below(&ip->rnd, (uint32_t)((to_ns - from_ns) / US(1))));
}

static void arm_in(struct ip *ip, uint32_t idx, uint64_t delay_ns)
{
        struct ip_local *l = local_at(&ip->local, idx);

        l->due = tick_of_ns(ip->now_ns) + ticks_from_ns(delay_ns);
        wheel_arm(&ip->local.wheel, idx, l->due);
}

static void probe_from_start(struct ip *ip, uint32_t idx)
{
        struct ip_local *l = local_at(&ip->local, idx);

        l->stage = LOCAL_PROBING;
        l->sends_left = PROBE_NUM;
        arm_in(ip, idx, random_ns(ip, 0, PROBE_WAIT_NS));
}

static void probe(struct ip *ip, uint32_t idx)
{
        struct ip_local *l = local_at(&ip->local, idx);

        arp_probe(ip, l->iface, &l->prefix.addr);
        l->sends_left--;
        arm_in(ip, idx, l->sends_left ? random_ns(ip, PROBE_MIN_NS, PROBE_MAX_NS) : ANNOUNCE_WAIT_NS);
}

static void announce(struct ip *ip, uint32_t idx)
{
        struct ip_local *l = local_at(&ip->local, idx);

        arp_announce(ip, l->iface, &l->prefix.addr);
        l->sends_left--;
        if (l->sends_left)
                arm_in(ip, idx, ANNOUNCE_INTERVAL_NS);
        else
                l->stage = LOCAL_READY;
}

bool acd_wanted(const struct ip *ip, uint32_t iface, const struct ip_prefix *p, bool whole)
{
        return !whole && ip_addr_is_v4(&p->addr) && !(ip->iface[iface].flags & IP_IFACE_REFLECTS);
}

void acd_start(struct ip *ip, uint32_t idx)
{
        struct ip_local *l = local_at(&ip->local, idx);

        if (ip->conf.dad) {
                probe_from_start(ip, idx);
        } else {
                l->stage = LOCAL_ANNOUNCING;
                l->sends_left = ANNOUNCE_NUM;
                arm_in(ip, idx, 0);
        }
}

void acd_timer(struct ip *ip, uint32_t idx)
{
        struct ip_local *l = local_at(&ip->local, idx);

        if (tick_before(tick_of_ns(ip->now_ns), l->due)) {
                wheel_arm(&ip->local.wheel, idx, l->due);
                return;
        }
        switch ((enum local_stage)l->stage) {
        case LOCAL_PROBING:
                if (l->sends_left) {
                        probe(ip, idx);
                        break;
                }
                l->stage = LOCAL_ANNOUNCING;
                l->sends_left = ANNOUNCE_NUM;
                local_usable(&ip->local, idx);
                ip->gen++;
                announce(ip, idx);
                break;
        case LOCAL_ANNOUNCING:
                announce(ip, idx);
                break;
        case LOCAL_CONFLICT:
                probe_from_start(ip, idx);
                break;
        case LOCAL_READY:
                break;
        }
}

/* At most one line a minute, however many hosts quarrel with us. */
static void log_conflict(struct ip *ip, const struct ip_addr *addr, const struct mac_addr *mac, const char *so)
{
        char a[IP_ADDR_TEXT_MAX], m[MAC_TEXT_MAX];

        if (ip->conflict_logged && ip->now_ns - ip->conflict_logged_ns < LOG_INTERVAL_NS)
                return;
        ip->conflict_logged = true;
        ip->conflict_logged_ns = ip->now_ns;
        log_warn("address %s is also used by %s: %s; give one of the two another address",
                 ip_addr_text(a, addr), mac_text(m, mac), so);
}

static void defend(struct ip *ip, struct ip_local *l, const struct ip_addr *addr, uint32_t iface)
{
        if (l->defended && ip->now_ns - l->defended_ns < DEFEND_INTERVAL_NS)
                return;
        l->defended = true;
        l->defended_ns = ip->now_ns;
        arp_announce(ip, iface, addr);
}

void acd_conflict(struct ip *ip, uint32_t idx, const struct ip_addr *addr, const struct mac_addr *mac, uint32_t iface)
{
        struct ip_local *l = local_at(&ip->local, idx);

        count(ip->counters, CNT_ARP_CONFLICTS);
        switch ((enum local_stage)l->stage) {
        case LOCAL_PROBING:
                l->stage = LOCAL_CONFLICT;
                arm_in(ip, idx, RATE_LIMIT_INTERVAL_NS);
                log_conflict(ip, addr, mac, "not taken, tried again in a minute");
                break;
        case LOCAL_CONFLICT:
                break;
        case LOCAL_ANNOUNCING:
        case LOCAL_READY:
                log_conflict(ip, addr, mac, "kept and defended");
                defend(ip, l, addr, iface);
                break;
        }
}
