/* SPDX-License-Identifier: MIT */
/* tcp/engine.c - Start and stop of an engine; making and ending connections */
#include "tcp/engine.h"
#include "tcp/cc.h"

#include <errno.h>

/* One label for each secret that is derived from the shard's seed; the IP layer has its own. */
enum { SEED_ISN = 0x74637001, SEED_COOKIE, SEED_FLOWS, SEED_PORTS };

const char *const tcp_state_names[TCP_STATE_CNT] = {
        [TCP_CLOSED] = "CLOSED",         [TCP_LISTEN] = "LISTEN",         [TCP_SYN_SENT] = "SYN_SENT",
        [TCP_SYN_RECEIVED] = "SYN_RCVD", [TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN_WAIT_1",
        [TCP_FIN_WAIT_2] = "FIN_WAIT_2", [TCP_CLOSE_WAIT] = "CLOSE_WAIT", [TCP_CLOSING] = "CLOSING",
        [TCP_LAST_ACK] = "LAST_ACK",     [TCP_TIME_WAIT] = "TIME_WAIT",
};

void tcp_conf_default(struct tcp_conf *conf)
{
        *conf = (struct tcp_conf){
                .max_conns = 1000000,
                .max_half = 65536,
                .max_wait = 262144,
                .max_listeners = 4096,
                .time_wait_ns = SEC(60),
                .fin_wait2_ns = SEC(60),
                .rto_min_ns = MS(200),
                .rto_max_ns = SEC(120),
                .delack_ns = MS(40),
                .synack_retries = 5,
                .retries2 = 15,
                .orphan_retries = 8,
                .initial_window_segs = 10,
                .challenge_acks_per_s = 1000,
                .syncookies = TCP_SYNCOOKIES_AUTO,
                .port_min = PORT_EPHEMERAL_MIN,
                .port_max = PORT_EPHEMERAL_MAX,
                .window_scaling = true,
                .timestamps = true,
                .fast_path = MR_FAST_PATH,
                .opts = {
                        .rcvbuf = 512 * 1024,
                        .sndbuf = 256 * 1024,
                        .keepidle_s = 7200,
                        .keepintvl_s = 75,
                        .keepcnt = 9,
                        .syn_retries = 6,
                },
        };
}

size_t tcp_sizeof(void) { return sizeof(struct tcp); }

void tcp_octets(struct tcp_octets *out)
{
        *out = (struct tcp_octets){
                .conn = sizeof(struct tcp_rest), .half = sizeof(struct tcp_half), .wait = sizeof(struct tcp_wait),
                .busy = sizeof(struct tcp_conn) + sizeof(struct tcp_flight) + sizeof(struct tcp_recvq),
        };
}

struct flow_table *tcp_flows(struct tcp *t) { return &t->flows; }
struct ports *tcp_ports(struct tcp *t) { return &t->ports; }

/* What hangs on a connection while data flows is far rarer than connections,
 * but nothing forbids all of them to be busy at once: the address space is
 * reserved for that, the memory is not. */
static int slabs_init(struct tcp *t)
{
        const struct tcp_conf *cf = &t->conf;
        enum mem_pages pages = cf->huge_pages, sparse = pages == MEM_SMALL ? MEM_SMALL : MEM_SPARSE;
        struct {
                struct slab   *slab;
                const char    *name;
                uint32_t       size, twin, cap;
                enum mem_pages pages;
        } const want[] = {
                { &t->conns, "connections", sizeof(struct tcp_rest), sizeof(struct flow_wide), cf->max_conns, pages },
                { &t->awake, "busy connections", sizeof(struct tcp_conn), 0, cf->max_conns, sparse },
                { &t->halves, "half-open", sizeof(struct tcp_half), sizeof(struct flow_wide), cf->max_half, pages },
                { &t->waits, "time-wait", sizeof(struct tcp_wait), sizeof(struct flow_wide), cf->max_wait, sparse },
                { &t->flights, "send queues", sizeof(struct tcp_flight), 0, cf->max_conns, sparse },
                { &t->recvqs, "receive queues", sizeof(struct tcp_recvq), 0, cf->max_conns, sparse },
                { &t->optsets, "option sets", sizeof(struct tcp_optset), 0, cf->max_conns, sparse },
                { &t->listeners, "listeners", sizeof(struct tcp_listener), 0, cf->max_listeners, MEM_SMALL },
        };
        for (size_t i = 0; i < ARRAY_LEN(want); i++)
                if (slab_init(want[i].slab, want[i].name, want[i].size, want[i].twin, want[i].cap, want[i].pages) < 0)
                        return -ENOMEM;
        return 0;
}

int tcp_init(struct tcp *t, const struct tcp_conf *conf, const struct tcp_env *env, struct pkt_pool *pool,
             struct counters *counters, const uint64_t seed[4], uint64_t now_ns)
{
        *t = (struct tcp){ .conf = *conf, .env = *env, .pool = pool, .counters = counters };
        rnd_seed(&t->rnd, seed[0] ^ seed[3]);
        t->isn_key = hash_key_derive(seed, SEED_ISN);
        t->cookie_key = hash_key_derive(seed, SEED_COOKIE);
        t->challenge_refill_ns = now_ns;
        t->challenge_tokens = conf->challenge_acks_per_s;

        /* A binding is held by each bound socket; one a connection is the most there can be. */
        if (slabs_init(t) < 0 || loans_init(t) < 0 ||
            flow_table_init(&t->flows, conf->max_conns + conf->max_half + conf->max_wait, hash_key_derive(seed, SEED_FLOWS),
                            conf->huge_pages) < 0 ||
            ports_init(&t->ports, conf->max_conns + conf->max_listeners, conf->port_min, conf->port_max,
                       hash_key_derive(seed, SEED_PORTS)) < 0) {
                tcp_fini(t);
                return -ENOMEM;
        }
        t->flows.slab[FLOW_CONN] = &t->conns;
        t->flows.slab[FLOW_HALF] = &t->halves;
        t->flows.slab[FLOW_WAIT] = &t->waits;
        wheel_init(&t->wheel, tick_of_ns(now_ns), t->awake.base + offsetof(struct tcp_conn, timer),
                   sizeof(struct tcp_conn));
        return 0;
}

/* Packets still queued go with their pool, which the caller frees. */
void tcp_fini(struct tcp *t)
{
        ports_fini(&t->ports);
        flow_table_fini(&t->flows);
        loans_fini(t);
        slab_fini(&t->listeners);
        slab_fini(&t->optsets);
        slab_fini(&t->recvqs);
        slab_fini(&t->flights);
        slab_fini(&t->waits);
        slab_fini(&t->halves);
        slab_fini(&t->awake);
        slab_fini(&t->conns);
}

/* ---- connections ---- */

struct tcp_conn *conn_new(struct tcp *t, const struct flow_key *key, uint32_t opts, uint64_t now_ns)
{
        uint32_t idx = slab_take(&t->conns);
        if (!idx)
                return NULL;

        uint32_t awake = slab_take(&t->awake);
        ASSERT(awake);                                  /* there are as many as connections */
        struct tcp_conn *c = awake_at(t, awake);
        *rest_at(t, idx) = (struct tcp_rest){ .awake = REST_AWAKE | awake };
        *c = (struct tcp_conn){ .self = idx, .opts = opts, .last_rx = tick_of_ns(now_ns) };
        flow_ref ref = flow_id_set(&t->conns, FLOW_CONN, idx, key);
        c->flags = ref & FLOW_WIDE_BIT ? TF_WIDE : 0;
        conn_opts_apply(t, c);
        return c;
}

void conn_unlink(struct tcp *t, struct tcp_conn *c)
{
        if (!(c->flags & TF_IN_TABLE))
                return;
        struct flow_key key;
        flow_key_of(&t->flows, conn_ref(t, c), &key);
        flow_remove(&t->flows, flow_hash(&t->flows, &key), conn_ref(t, c));
        t->ports.users[key.lport]--;
        c->flags &= ~(uint32_t)TF_IN_TABLE;
}

void conn_closed(struct tcp *t, struct tcp_conn *c, struct tcp_note *note)
{
        conn_unlink(t, c);
        wheel_cancel(&t->wheel, awake_idx(t, c));
        flight_detach(t, c);
        recvq_drop_ooo(t, c);
        c->snd_nxt = c->snd_una;
        c->timer_kind = TIMER_NONE;
        c->flags &= ~(uint32_t)(TF_ACK_NOW | TF_DELACK | TF_REXMIT_ONE | TF_PROBE | TF_KEEP_PROBE);
        c->state = TCP_CLOSED;
        note_add(note, c, TCP_EV_CLOSED | TCP_EV_READABLE | TCP_EV_WRITABLE);
}

void conn_finish(struct tcp *t, struct tcp_conn *c, struct tcp_note *note)
{
        conn_closed(t, c, note);
        if (c->flags & TF_ORPHAN)
                conn_free(t, c);
}

void conn_fail(struct tcp *t, struct tcp_conn *c, int err, struct tcp_note *note)
{
        c->error = (uint8_t)err;
        note_add(note, c, TCP_EV_ERROR);
        conn_finish(t, c, note);
}

void conn_reap(struct tcp *t, struct tcp_conn *c)
{
        if (!(c->flags & TF_FREE) || c->flags & (TF_OUT | TF_OWED | TF_QUIET))
                return;
        slab_give(&t->conns, c->self);
        slab_give(&t->awake, awake_idx(t, c));
}

/* Lists are singly linked and the ring is not searched, so a connection that ends while one of them
 * names it is freed when its turn comes there. */
void conn_free(struct tcp *t, struct tcp_conn *c)
{
        conn_unlink(t, c);
        wheel_cancel(&t->wheel, awake_idx(t, c));
        flight_detach(t, c);
        recvq_drop(t, c);
        account_leave(t, c);
        optset_drop(t, c->opts);
        c->opts = 0;
        c->state = TCP_CLOSED;
        c->flags |= TF_ORPHAN | TF_FREE;
        conn_reap(t, c);
}

void conn_pull(struct tcp *t, struct tcp_conn *c)
{
        if (c->flags & TF_OUT)
                return;
        uint32_t idx = awake_idx(t, c);
        c->flags |= TF_OUT;
        c->out_next = 0;
        if (t->out_tail)
                awake_at(t, t->out_tail)->out_next = idx;
        else
                t->out_head = idx;
        t->out_tail = idx;
}

const struct tcp_opts *conn_opts(const struct tcp *t, const struct tcp_conn *c)
{
        return c->opts ? &((const struct tcp_optset *)slab_at(&t->optsets, c->opts))->opts : &t->conf.opts;
}

static uint32_t ip_hdr_len(const struct ip_addr *raddr) { return ip_addr_is_v4(raddr) ? 20 : 40; }

/* RFC 9293 3.7.1 and MUST-67: the MSS option counts neither IP nor TCP options. */
uint16_t conn_offer_mss(struct tcp *t, const struct ip_addr *raddr, const struct tcp_opts *opts)
{
        struct tcp_path path;
        t->env.path(t->env.arg, raddr, &path);
        uint32_t mss = path.mtu - ip_hdr_len(raddr) - TCP_HDR_MIN;
        if (opts->maxseg)
                mss = u32_min(mss, opts->maxseg);
        return (uint16_t)u32_min(mss, 65535);
}

/* The smallest shift that lets the whole buffer be offered (RFC 7323 2.3: at most 14). */
uint8_t conn_offer_wscale(uint32_t rcvbuf)
{
        uint8_t shift = 0;
        while (shift < 14 && (rcvbuf >> shift) > 65535)
                shift++;
        return shift;
}

/* RFC 9293 MUST-16: Eff.snd.MSS = min(SendMSS + 20, MMS_S) - TCPhdrsize - IPoptionsize. */
void conn_set_path(struct tcp *t, struct tcp_conn *c, const struct ip_addr *raddr, uint16_t peer_mss)
{
        enum { MSS_FLOOR = 64, TS_OPTION_LEN = 12 };    /* a peer that asks for less wants to hurt us */
        struct tcp_path path;

        t->env.path(t->env.arg, raddr, &path);
        uint32_t mss = u32_min(peer_mss, path.mtu - ip_hdr_len(raddr) - TCP_HDR_MIN);
        const struct tcp_opts *opts = conn_opts(t, c);
        if (opts->maxseg)
                mss = u32_min(mss, opts->maxseg);
        mss = u32_max(mss, MSS_FLOOR);
        if (c->flags & TF_TS)
                mss -= TS_OPTION_LEN;
        c->mss = (uint16_t)mss;
        c->flags &= ~(uint32_t)(TF_TX_CSUM | TF_TX_TSO);
        c->flags |= (path.csum ? TF_TX_CSUM : 0) | (path.csum && path.tso ? TF_TX_TSO : 0);
}

void conn_established(struct tcp *t, struct tcp_conn *c, uint16_t peer_mss)
{
        enum { QUICKACKS = 15 };        /* what the field holds; Linux: 16 */
        struct flow_key key;

        c->state = TCP_ESTABLISHED;
        c->probes = 0;
        c->quickacks = QUICKACKS;
        flow_key_of(&t->flows, conn_ref(t, c), &key);
        conn_set_path(t, c, &key.raddr, peer_mss);
        cc_reno.restart(t, c);
        timers_rearm(t, c);
}
