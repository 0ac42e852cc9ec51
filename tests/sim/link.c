/* SPDX-License-Identifier: MIT */
/* tests/sim/link.c - Links, and the device at each end of one
 *
 * A frame given to an end's device is put on the lane that begins there: hooks
 * look at it, faults are drawn, and it waits in a heap until it is due at the
 * other end.  The device does the offloads that the link's configuration
 * promises: it finishes checksums and cuts super-segments as hardware does.
 */
#include "tests/sim/sim_priv.h"
#include "wire/csum.h"
#include "wire/eth.h"
#include "wire/ip4.h"

/* ---- the heap: the earliest first, and of those the one sent first ---- */

static bool comes_before(const struct sim_frame *a, const struct sim_frame *b)
{
        return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_push(struct sim_lane_state *l, struct sim_frame *f)
{
        if (l->cnt == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 64;
                l->heap = realloc(l->heap, l->cap * sizeof *l->heap);
                REQUIRE(l->heap != NULL);
        }
        uint32_t i = l->cnt++;
        for (; i > 0 && comes_before(f, l->heap[(i - 1) / 2]); i = (i - 1) / 2)
                l->heap[i] = l->heap[(i - 1) / 2];
        l->heap[i] = f;
}

static struct sim_frame *heap_pop(struct sim_lane_state *l)
{
        struct sim_frame *top = l->heap[0], *last = l->heap[--l->cnt];
        uint32_t i = 0;

        for (;;) {
                uint32_t child = 2 * i + 1;
                if (child >= l->cnt)
                        break;
                if (child + 1 < l->cnt && comes_before(l->heap[child + 1], l->heap[child]))
                        child++;
                if (!comes_before(l->heap[child], last))
                        break;
                l->heap[i] = l->heap[child];
                i = child;
        }
        l->heap[i] = last;
        return top;
}

/* ---- a frame is put on a lane ---- */

static void view_of(struct sim_view *v, uint8_t *frame, uint32_t len)
{
        struct eth_hdr eth;
        struct ip4_hdr ip;

        v->frame = frame;
        v->len = len;
        if (eth_parse(&eth, frame, len) != DROP_NONE || eth.type != ETH_TYPE_IP4 ||
            ip4_parse(&ip, frame + eth.hdr_len, len - eth.hdr_len) != DROP_NONE || ip.proto != IP_PROTO_TCP)
                return;
        uint8_t *tcp = frame + eth.hdr_len + ip.hdr_len;
        uint32_t tcp_len = ip.total_len - ip.hdr_len;
        if (tcp_parse(&v->seg, tcp, tcp_len) != DROP_NONE)
                return;
        v->tcp = true;
        v->text = tcp + v->seg.hdr_len;
        v->text_len = tcp_len - v->seg.hdr_len;
}

static void note_in_pcap(struct sim_link *l, const uint8_t *frame, uint32_t len)
{
        if (!l->pcap)
                return;
        struct pkt *p = pkt_take(&l->pcap_pool, len);
        REQUIRE(p != NULL);
        memcpy(p->data, frame, len);
        p->len = len;
        REQUIRE(netdev_tx(&l->pcap_q, &p, 1, l->sim->now_ns) == 1);
}

static void lane_push(struct sim_lane_state *l, const uint8_t *frame, uint32_t len, uint64_t due_ns)
{
        struct sim_frame *f = malloc(sizeof *f + len);
        REQUIRE(f != NULL);
        f->due_ns = due_ns;
        f->order = l->sent++;
        f->len = len;
        memcpy(f->octet, frame, len);
        heap_push(l, f);
}

/* What was planned for this data segment: SIM_PASS, SIM_DROP or ns to hold it up. */
static uint64_t follow_plan(struct sim_lane_state *l, struct sim_view *v)
{
        for (uint32_t i = 0; i < l->plan_cnt; i++) {
                if (l->plan[i].nr != v->data_nr)
                        continue;
                switch (l->plan[i].what) {
                case PLAN_DROP: return SIM_DROP;
                case PLAN_DAMAGE: v->text[v->text_len / 2] ^= 0x40; return SIM_PASS;
                case PLAN_HOLD: return l->plan[i].ns;
                }
        }
        return SIM_PASS;
}

/* One bit of an IP packet is turned round.  ARP has no checksum to notice it by. */
static void damage(struct sim_lane_state *l, struct sim_view *v)
{
        if (!v->tcp)
                return;
        uint32_t bit = rnd_below(&l->rnd, (v->len - ETH_HDR_LEN) * 8);
        v->frame[ETH_HDR_LEN + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static uint64_t wire_time_ns(const struct sim_lane_state *l, uint32_t octets)
{
        return l->conf.bits_per_s ? (uint64_t)octets * 8 * SEC(1) / l->conf.bits_per_s : 0;
}

static bool queue_is_full(const struct sim_link *link, const struct sim_lane_state *l, uint32_t len)
{
        uint64_t waits_ns = l->free_ns > link->sim->now_ns ? l->free_ns - link->sim->now_ns : 0;
        return l->conf.queue_octets && l->conf.bits_per_s &&
               waits_ns + wire_time_ns(l, len) > wire_time_ns(l, l->conf.queue_octets);
}

void sim_inject(struct sim_link *link, enum sim_lane lane, const uint8_t *octets, uint32_t len)
{
        static uint8_t frame[SIM_FRAME_MAX];
        struct sim_lane_state *l = &link->lane[lane];
        struct sim_view v = { .now_ns = link->sim->now_ns, .lane = lane };
        uint64_t hold_ns = SIM_PASS;

        memcpy(frame, octets, len);
        view_of(&v, frame, len);
        if (v.tcp && v.text_len) {
                v.data_nr = ++l->data_cnt;
                hold_ns = follow_plan(l, &v);
        }
        if (link->hook && hold_ns == SIM_PASS)
                hold_ns = link->hook(link->hook_arg, &v);
        note_in_pcap(link, frame, v.len);
        if (hold_ns == SIM_DROP || link->cut || rnd_chance(&l->rnd, l->conf.loss_ppm) || queue_is_full(link, l, v.len))
                return;
        if (rnd_chance(&l->rnd, l->conf.corrupt_ppm))
                damage(l, &v);
        l->free_ns = u64_max(l->free_ns, link->sim->now_ns) + wire_time_ns(l, v.len);
        uint64_t due_ns = l->free_ns + l->conf.delay_ns + hold_ns;
        if (l->conf.reorder_ns && rnd_chance(&l->rnd, l->conf.reorder_ppm))
                due_ns += rnd_u64(&l->rnd) % l->conf.reorder_ns;
        lane_push(l, frame, v.len, due_ns);
        if (rnd_chance(&l->rnd, l->conf.dup_ppm))
                lane_push(l, frame, v.len, due_ns + rnd_below(&l->rnd, 1000000));
}

/* ---- the device ---- */

static int dev_queue_open(struct netdev_queue *q)
{
        q->priv = CONTAINER_OF(q->dev, struct sim_end, dev);
        return 0;
}

static void dev_queue_close(struct netdev_queue *q) { }

uint64_t sim_end_due(const struct sim_end *e)
{
        const struct sim_lane_state *in = &e->link->lane[!e->out];
        return in->cnt ? in->heap[0]->due_ns : TIME_NEVER;
}

static uint64_t dev_deadline(struct netdev_queue *q) { return sim_end_due(q->priv); }

static uint32_t dev_rx(struct netdev_queue *q, struct pkt *pkts[], uint32_t max, uint64_t now_ns)
{
        struct sim_end *e = q->priv;
        uint32_t n = 0;

        while (n < max && sim_end_due(e) <= now_ns) {
                struct sim_frame *f = heap_pop(&e->link->lane[!e->out]);
                struct pkt *p = pkt_take(q->pool, f->len);
                if (p) {
                        memcpy(p->data, f->octet, f->len);
                        p->len = f->len;
                        pkts[n++] = p;
                } else {
                        count_drop(q->counters, DROP_NO_PKT);
                }
                free(f);
        }
        return n;
}

static void finish_checksum(uint8_t *frame, uint32_t len, uint32_t start, uint32_t offset)
{
        csum_store(frame + start + offset, (uint16_t)~csum_fold(csum_add(0, frame + start, len - start)));
}

/* A super-segment leaves as the segments that it stands for. */
static void cut_and_send(struct sim_end *e, struct pkt *p)
{
        static uint8_t frame[SIM_FRAME_MAX];
        struct eth_hdr eth = { 0 };
        struct ip4_hdr ip;
        struct tcp_seg seg;

        REQUIRE(eth_parse(&eth, p->data, p->len) == DROP_NONE);
        REQUIRE(ip4_parse(&ip, p->data + eth.hdr_len, p->len - eth.hdr_len) == DROP_NONE);
        uint32_t tcp_at = (uint32_t)eth.hdr_len + ip.hdr_len;
        REQUIRE(tcp_parse(&seg, p->data + tcp_at, p->len - tcp_at) == DROP_NONE);
        uint32_t head = tcp_at + seg.hdr_len, text = p->len - head;
        uint8_t flags = seg.flags;

        for (uint32_t at = 0; at < text; at += p->gso_size) {
                uint32_t n = u32_min(p->gso_size, text - at);
                bool last = at + n == text;
                ip.total_len = (uint16_t)(head - eth.hdr_len + n);
                seg.flags = last ? flags : flags & (uint8_t)~(TCP_FIN | TCP_PSH);
                eth_emit(frame, &eth);
                ip4_emit(frame + eth.hdr_len, &ip);
                tcp_emit(frame + tcp_at, &seg);
                memcpy(frame + head, p->data + head + at, n);
                uint16_t sum = csum_fold(csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, seg.hdr_len + n));
                csum_store(frame + tcp_at + TCP_CSUM_OFFSET, sum);
                finish_checksum(frame, head + n, tcp_at, TCP_CSUM_OFFSET);
                sim_inject(e->link, e->out, frame, head + n);
                seg.seq = seq_add(seg.seq, n);
        }
}

static void send_one(struct sim_end *e, struct pkt *p)
{
        uint32_t offload = e->dev.caps.offload;

        if (p->marks & PKT_GSO) {
                REQUIRE(offload & NETDEV_TSO && p->marks & PKT_CSUM_PARTIAL);
                cut_and_send(e, p);
                return;
        }
        REQUIRE(p->len <= e->dev.caps.mtu + ETH_HDR_LEN);
        if (p->marks & PKT_CSUM_PARTIAL) {
                REQUIRE(offload & NETDEV_TX_CSUM);
                finish_checksum(p->data, p->len, p->csum_start, p->csum_offset);
        }
        sim_inject(e->link, e->out, p->data, p->len);
}

static uint32_t dev_tx(struct netdev_queue *q, struct pkt *pkts[], uint32_t cnt, uint64_t now_ns)
{
        struct sim_end *e = q->priv;
        struct sim_lane_state *l = &e->link->lane[e->out];

        for (uint32_t i = 0; i < cnt; i++) {
                if (l->conf.pushback && queue_is_full(e->link, l, pkts[i]->len))
                        return i;
                send_one(e, pkts[i]);
                pkt_give(q->pool, pkts[i]);
        }
        return cnt;
}

static const struct netdev_ops sim_dev_ops = {
        .scheme = "sim", .queue_open = dev_queue_open, .queue_close = dev_queue_close,
        .rx_burst = dev_rx, .tx_burst = dev_tx, .deadline = dev_deadline,
};

/* ---- making links ---- */

static void end_init(struct sim_link *l, enum sim_lane out, struct sim_host *h, const struct sim_link_conf *conf)
{
        struct sim_end *e = &l->end[out];
        *e = (struct sim_end){ .link = l, .out = out, .host = h };
        e->dev = (struct netdev){
                .ops = &sim_dev_ops,
                .caps = {
                        .mtu = conf->mtu ? conf->mtu : 1500, .queue_cnt = 1, .burst_best = 32, .offload = conf->offload,
                        .mac = { { 2, 0, 0, 0, 0, (uint8_t)(h ? h->nr : 0xee) } },
                },
                .name = "sim",
        };
        if (!h)
                return;
        struct ip_prefix prefix = { .addr = h->addr, .len = IP_V4_PREFIX_BITS + 24 };
        int port = shard_port_add(&h->shard, &e->dev, 0, 0);
        REQUIRE(port >= 0);
        REQUIRE(ip_local_add(&h->shard.ip, (uint32_t)port, &prefix, false) == 0);
}

static struct sim_link *link_new(struct sim_host *a, struct sim_host *b, const struct sim_link_conf *conf)
{
        static const struct sim_link_conf perfect;
        struct sim *sim = a->sim;
        struct sim_link *l = calloc(1, sizeof *l);

        REQUIRE(l && sim->link_cnt < SIM_LINKS_MAX);
        conf = conf ? conf : &perfect;
        l->sim = sim;
        sim->link[sim->link_cnt++] = l;
        for (int i = 0; i < 2; i++) {
                l->lane[i].conf = *conf;
                rnd_seed(&l->lane[i].rnd, rnd_u64(&sim->rnd));
        }
        end_init(l, SIM_AB, a, conf);
        end_init(l, SIM_BA, b, conf);
        return l;
}

struct sim_link *sim_link(struct sim_host *a, struct sim_host *b, const struct sim_link_conf *conf)
{
        return link_new(a, b, conf);
}

struct sim_end *sim_link_raw(struct sim_host *a, const struct sim_link_conf *conf, struct sim_link **link)
{
        *link = link_new(a, NULL, conf);
        return &(*link)->end[1];
}

uint32_t sim_end_take(struct sim_end *e, uint8_t *buf, uint32_t max)
{
        if (sim_end_due(e) > e->link->sim->now_ns)
                return 0;
        struct sim_frame *f = heap_pop(&e->link->lane[!e->out]);
        uint32_t len = f->len;
        REQUIRE(len <= max);
        memcpy(buf, f->octet, len);
        free(f);
        return len;
}

void sim_link_free(struct sim_link *l)
{
        for (int i = 0; i < 2; i++) {
                while (l->lane[i].cnt)
                        free(heap_pop(&l->lane[i]));
                free(l->lane[i].heap);
        }
        if (l->pcap) {
                netdev_queue_close(&l->pcap_q);
                netdev_close(l->pcap);
                pkt_pool_fini(&l->pcap_pool);
        }
        free(l);
}

/* ---- what tests do to links ---- */

void sim_lane_set(struct sim_link *l, enum sim_lane lane, const struct sim_link_conf *conf)
{
        l->lane[lane].conf = *conf;
}

void sim_link_cut(struct sim_link *l) { l->cut = true; }
void sim_link_heal(struct sim_link *l) { l->cut = false; }
uint64_t sim_frames(const struct sim_link *l, enum sim_lane lane) { return l->lane[lane].sent; }

void sim_hook_set(struct sim_link *l, sim_hook hook, void *arg)
{
        l->hook = hook;
        l->hook_arg = arg;
}

static void plan_add(struct sim_link *l, enum sim_lane lane, struct sim_plan plan)
{
        struct sim_lane_state *s = &l->lane[lane];
        REQUIRE(s->plan_cnt < SIM_PLANS_MAX);
        s->plan[s->plan_cnt++] = plan;
}

void sim_drop_data(struct sim_link *l, enum sim_lane lane, uint32_t nr)
{
        plan_add(l, lane, (struct sim_plan){ PLAN_DROP, nr, 0 });
}

void sim_damage_data(struct sim_link *l, enum sim_lane lane, uint32_t nr)
{
        plan_add(l, lane, (struct sim_plan){ PLAN_DAMAGE, nr, 0 });
}

void sim_hold_data(struct sim_link *l, enum sim_lane lane, uint32_t nr, uint64_t ns)
{
        plan_add(l, lane, (struct sim_plan){ PLAN_HOLD, nr, ns });
}

/* The stack's own capture device, with nothing behind it, sees a copy of every frame. */
void sim_pcap(struct sim_link *l, const char *path)
{
        struct netdev_conf conf = { .queue_cnt = 1 };
        char name[300], err[200];

        snprintf(name, sizeof name, "pcap:%s,null:", path);
        if (netdev_open(&l->pcap, name, &conf, err, sizeof err) < 0) {
                test_fail(__FILE__, __LINE__, "%s", err);
                test_stop();
        }
        REQUIRE(pkt_pool_init(&l->pcap_pool, 16, 16, false) == 0);
        REQUIRE(netdev_queue_open(&l->pcap_q, l->pcap, 0, &l->pcap_pool, &l->pcap_counters) == 0);
}
