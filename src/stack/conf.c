/* SPDX-License-Identifier: MIT */
#include "stack/conf.h"
#include "base/units.h"
#include "stack/conf_priv.h"
#include "stack/sizes.h"

#include <errno.h>
#include <stdarg.h>

int conf_refuse(struct conf_why *why, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(why->text, sizeof why->text, fmt, ap);
        va_end(ap);
        return -EINVAL;
}

void conf_err(char *err, size_t err_len, const char *fmt, ...)
{
        va_list ap;

        if (!err)
                return;
        va_start(ap, fmt);
        vsnprintf(err, err_len, fmt, ap);
        va_end(ap);
}

/* ---- what is not one field ---- */

static int no_room(struct conf_why *why, const char *what, unsigned max)
{
        conf_refuse(why, "there is room for %u %s", max, what);
        return -ENOSPC;
}

static struct mr_conf_iface *last_iface(struct mr_conf *conf, struct conf_why *why)
{
        if (conf->iface_cnt > 0)
                return &conf->ifaces[conf->iface_cnt - 1];
        conf_refuse(why, "belongs to a device; name one first, like dev tap:mr0");
        return NULL;
}

static int conf_add_dev(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        const char *colon = strchr(value, ':');

        if (!colon || colon == value)
                return conf_refuse(why, "a device is named SCHEME:REST, like tap:mr0 or loop:");
        if (strlen(value) >= MR_DEV_NAME_MAX)
                return conf_refuse(why, "longer than %d octets", MR_DEV_NAME_MAX - 1);
        if (conf->iface_cnt == MR_IFACE_MAX)
                return no_room(why, "devices", MR_IFACE_MAX);

        struct mr_conf_iface *iface = &conf->ifaces[conf->iface_cnt++];
        memset(iface, 0, sizeof *iface);
        strcpy(iface->dev, value);
        return 0;
}

static int parse_prefix(const char *text, struct ip_prefix *out, struct conf_why *why)
{
        if (!strchr(text, '/'))
                return conf_refuse(why, "%.50s: the length is missing; write it like 10.77.0.2/24", text);
        if (ip_prefix_parse(out, text) < 0)
                return conf_refuse(why, "%.50s: is not an address with a length; write it like 10.77.0.2/24", text);
        if (!ip_addr_is_v4(&out->addr))
                return conf_refuse(why, "%.50s: IPv6 is not done yet; give an IPv4 address", text);
        return 0;
}

static uint32_t host_mask(const struct ip_prefix *p)
{
        if (p->len <= IP_V4_PREFIX_BITS)
                return UINT32_MAX;
        return (uint32_t)((1ull << (128 - p->len)) - 1);
}

static int check_host(const struct ip_prefix *p, const char *text, struct conf_why *why)
{
        uint32_t host = ip_addr_to_v4(&p->addr) & host_mask(p);

        if (ip_addr_is_any(&p->addr) || ip_addr_is_multicast(&p->addr) || (ip_addr_to_v4(&p->addr) >> 24) == 127)
                return conf_refuse(why, "%s: is not the address of a host; write it like 10.77.0.2/24", text);
        /* RFC 3021: networks of two have neither a network nor a broadcast address. */
        if (host_mask(p) > 1 && host == 0)
                return conf_refuse(why, "%s: is a network, not a host; write it like 10.77.0.2/24", text);
        if (host_mask(p) > 1 && host == host_mask(p))
                return conf_refuse(why, "%s: is the broadcast address of its network; choose another", text);
        return 0;
}

static int check_network(const struct ip_prefix *p, const char *text, struct conf_why *why)
{
        if (ip_addr_to_v4(&p->addr) & host_mask(p))
                return conf_refuse(why, "%s: has bits behind its length; write it like 10.64.0.0/16", text);
        return 0;
}

static struct mr_prefix to_public(const struct ip_prefix *p)
{
        struct mr_prefix out;
        memcpy(&out, p, sizeof out);
        return out;
}

static int add_addr(struct mr_conf_iface *iface, const char *text, struct conf_why *why)
{
        struct ip_prefix p = { 0 };

        if (parse_prefix(text, &p, why) < 0 || check_host(&p, text, why) < 0)
                return -EINVAL;
        if (iface->addr_cnt == MR_ADDR_MAX)
                return no_room(why, "addresses a device", MR_ADDR_MAX);
        iface->addrs[iface->addr_cnt++] = to_public(&p);
        return 0;
}

static int add_local(struct mr_conf_iface *iface, const char *text, struct conf_why *why)
{
        struct ip_prefix p = { 0 };

        if (parse_prefix(text, &p, why) < 0 || check_network(&p, text, why) < 0)
                return -EINVAL;
        if (iface->local_cnt == MR_LOCAL_MAX)
                return no_room(why, "local networks a device", MR_LOCAL_MAX);
        iface->locals[iface->local_cnt++] = to_public(&p);
        return 0;
}

/* Call @add for each item of a list separated by commas. */
static int add_each(struct mr_conf *conf, const char *value, struct conf_why *why,
                    int (*add)(struct mr_conf_iface *, const char *, struct conf_why *))
{
        struct mr_conf_iface *iface = last_iface(conf, why);

        if (!iface)
                return -EINVAL;
        for (;;) {
                char item[IP_PREFIX_TEXT_MAX];
                value += strspn(value, " ");
                size_t len = strcspn(value, ",");
                if (len == 0)
                        return conf_refuse(why, "an item of the list is empty; write it like A/LEN,B/LEN");
                snprintf(item, sizeof item, "%.*s", (int)len, value);
                int rc = add(iface, item, why);
                if (rc < 0 || value[len] == '\0')
                        return rc;
                value += len + 1;
        }
}

static int conf_add_addr(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        return add_each(conf, value, why, add_addr);
}

static int conf_add_local(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        return add_each(conf, value, why, add_local);
}

/* A number of the last interface, 0 or @min..@max. */
static int parse_iface_number(const char *value, uint64_t min, uint64_t max, uint64_t *n, struct conf_why *why)
{
        const struct conf_option as = { .kind = OPT_KIND_COUNT, .min = 0, .max = max };
        int rc = conf_value_parse(&as, value, n, why);

        if (rc == 0 && *n != 0 && *n < min)
                return conf_refuse(why, "out of range; give %u to %u", (unsigned)min, (unsigned)max);
        return rc;
}

static int conf_set_mtu(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        struct mr_conf_iface *iface = last_iface(conf, why);
        uint64_t n;

        /* RFC 791 3.2: every module must forward 68 octets; TCP needs room for headers and options besides. */
        if (!iface || parse_iface_number(value, 256, 65535, &n, why) < 0)
                return -EINVAL;
        iface->mtu = (uint32_t)n;
        return 0;
}

static int conf_set_vlan(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        struct mr_conf_iface *iface = last_iface(conf, why);
        uint64_t n;

        if (!iface || parse_iface_number(value, 1, 4094, &n, why) < 0)
                return -EINVAL;
        iface->vlan = (uint16_t)n;
        return 0;
}

/* A route to the same network replaces the one before. */
static int put_route(struct mr_conf *conf, const struct ip_prefix *dst, const char *gateway, struct conf_why *why)
{
        struct ip_addr gw;
        struct mr_prefix want = to_public(dst);
        uint32_t i = 0;

        if (ip_addr_parse(&gw, gateway) < 0 || !ip_addr_is_v4(&gw) || ip_addr_is_any(&gw))
                return conf_refuse(why, "gateway %.50s is not an IPv4 address; write it like 10.77.0.1", gateway);
        while (i < conf->route_cnt && memcmp(&conf->routes[i].dst, &want, sizeof want) != 0)
                i++;
        if (i == MR_ROUTE_MAX)
                return no_room(why, "routes", MR_ROUTE_MAX);
        conf->routes[i].dst = want;
        memcpy(conf->routes[i].gateway, gw.octet, sizeof gw.octet);
        conf->route_cnt = u32_max(conf->route_cnt, i + 1);
        return 0;
}

static int conf_set_gateway(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        const struct ip_prefix everywhere = { .addr = ip_addr_v4(0), .len = IP_V4_PREFIX_BITS };
        return put_route(conf, &everywhere, value, why);
}

static int conf_add_route(struct mr_conf *conf, const char *value, struct conf_why *why)
{
        const char *comma = strchr(value, ',');
        char text[IP_PREFIX_TEXT_MAX];
        struct ip_prefix dst = { 0 };

        if (!comma || comma == value || (size_t)(comma - value) >= sizeof text)
                return conf_refuse(why, "a route is NETWORK/LEN,GATEWAY, like 10.64.0.0/16,10.77.0.1");
        memcpy(text, value, (size_t)(comma - value));
        text[comma - value] = '\0';
        if (parse_prefix(text, &dst, why) < 0 || check_network(&dst, text, why) < 0)
                return -EINVAL;
        return put_route(conf, &dst, comma + 1, why);
}

/* ---- the table ---- */

#define FIELD_WIDTH(f) sizeof(((struct mr_conf *)0)->f)

const struct conf_option conf_options[] = {
#define OPT(n, k, f, d, lo, hi, h)                                                                                     \
        { .name = #n, .kind = OPT_KIND_##k, .width = FIELD_WIDTH(f), .offset = offsetof(struct mr_conf, f),            \
          .dflt = (d), .min = (lo), .max = (hi), .help = (h) },
#define OPT_CHOICE(n, f, d, w, h)                                                                                      \
        { .name = #n, .kind = OPT_KIND_CHOICE, .width = FIELD_WIDTH(f), .offset = offsetof(struct mr_conf, f),         \
          .dflt = (d), .words = (w), .help = (h) },
#define OPT_LIST(n, fn, w, h) { .name = #n, .kind = OPT_KIND_LIST, .list = (fn), .words = (w), .help = (h) },
#include "stack/options.def"
#undef OPT
#undef OPT_CHOICE
#undef OPT_LIST
};
const uint32_t conf_option_cnt = ARRAY_LEN(conf_options);

static void store(struct mr_conf *conf, const struct conf_option *o, uint64_t value)
{
        /* Little-endian (base/be.h asserts it): the low octets come first. */
        memcpy((uint8_t *)conf + o->offset, &value, o->width);
}

void mr_conf_default(struct mr_conf *conf)
{
        memset(conf, 0, sizeof *conf);
        for (uint32_t i = 0; i < conf_option_cnt; i++) {
                if (conf_options[i].kind != OPT_KIND_LIST)
                        store(conf, &conf_options[i], conf_options[i].dflt);
        }
}

static bool name_eq(const char *option, const char *name, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                char c = name[i] == '-' ? '_' : name[i];
                if (option[i] != c)
                        return false;
        }
        return option[len] == '\0';
}

const struct conf_option *conf_option_find(const char *name, size_t len)
{
        for (uint32_t i = 0; i < conf_option_cnt; i++) {
                if (name_eq(conf_options[i].name, name, len))
                        return &conf_options[i];
        }
        return NULL;
}

int conf_option_set(struct mr_conf *conf, const struct conf_option *o, const char *value, struct conf_why *why)
{
        uint64_t n;

        if (o->kind == OPT_KIND_LIST)
                return o->list(conf, value, why);
        int rc = conf_value_parse(o, value, &n, why);
        if (rc == 0)
                store(conf, o, n);
        return rc;
}

int mr_conf_set(struct mr_conf *conf, const char *name, const char *value, char *err, size_t err_len)
{
        const struct conf_option *o = conf_option_find(name, strlen(name));
        struct conf_why why;

        if (!o) {
                const char *near = mr_conf_nearest(name);
                conf_err(err, err_len, "%s: no such option%s%s%s", name, near ? "; did you mean " : "",
                         near ? near : "", near ? "?" : "; docs/configuration.md lists them");
                return -ENOENT;
        }
        int rc = conf_option_set(conf, o, value, &why);
        if (rc < 0)
                conf_err(err, err_len, "%s = %s: %s", o->name, value, why.text);
        return rc;
}

/* ---- all of them together ---- */

static bool addr_is_ours(const struct mr_conf *conf, const struct mr_prefix *p, uint32_t iface_cnt, uint32_t addr_cnt)
{
        for (uint32_t i = 0; i <= iface_cnt; i++) {
                uint32_t cnt = i < iface_cnt ? conf->ifaces[i].addr_cnt : addr_cnt;
                for (uint32_t k = 0; k < cnt; k++) {
                        if (memcmp(conf->ifaces[i].addrs[k].addr, p->addr, sizeof p->addr) == 0)
                                return true;
                }
        }
        return false;
}

/* The TAP interface that a device's name ends with, behind decorators; NULL: it is of another kind. */
static const char *tap_of(const struct mr_conf_iface *iface)
{
        const char *comma = strrchr(iface->dev, ',');
        const char *inner = comma ? comma + 1 : iface->dev;

        while (strncmp(inner, "tap:", 4) != 0) {
                inner = strchr(inner, ':');             /* of steer:tap:x */
                if (!inner++)
                        return NULL;
        }
        return inner;
}

/* The kernel would say of the second only that somebody uses it. */
static int check_taps(const struct mr_conf *conf, char *err, size_t err_len)
{
        for (uint32_t i = 0; i < conf->iface_cnt; i++) {
                const char *tap = tap_of(&conf->ifaces[i]);
                for (uint32_t k = 0; tap && k < i; k++) {
                        const char *other = tap_of(&conf->ifaces[k]);
                        if (!other || strcmp(tap, other) != 0)
                                continue;
                        conf_err(err, err_len, "device %s is given twice; give it once, its addresses after it", tap);
                        return -EINVAL;
                }
        }
        return 0;
}

static int check_ifaces(const struct mr_conf *conf, char *err, size_t err_len)
{
        char text[IP_ADDR_TEXT_MAX];

        if (conf->iface_cnt == 0) {
                conf_err(err, err_len, "no device; name one, like --dev tap:mr0 --addr 10.77.0.2/24");
                return -EINVAL;
        }
        for (uint32_t i = 0; i < conf->iface_cnt; i++) {
                const struct mr_conf_iface *iface = &conf->ifaces[i];
                if (iface->addr_cnt == 0) {
                        conf_err(err, err_len, "%s has no address; give it one, like --addr 10.77.0.2/24", iface->dev);
                        return -EINVAL;
                }
                for (uint32_t k = 0; k < iface->addr_cnt; k++) {
                        if (!addr_is_ours(conf, &iface->addrs[k], i, k))
                                continue;
                        struct ip_addr a = conf_addr(iface->addrs[k].addr);
                        conf_err(err, err_len, "%s: address %s is given twice; give it once", iface->dev,
                                 ip_addr_text(text, &a));
                        return -EINVAL;
                }
        }
        return 0;
}

static bool on_link(const struct mr_conf *conf, const struct ip_addr *a)
{
        for (uint32_t i = 0; i < conf->iface_cnt; i++) {
                for (uint32_t k = 0; k < conf->ifaces[i].addr_cnt; k++) {
                        struct ip_prefix p = conf_prefix(&conf->ifaces[i].addrs[k]);
                        if (ip_prefix_has(&p, a))
                                return true;
                }
        }
        return false;
}

static int check_routes(const struct mr_conf *conf, char *err, size_t err_len)
{
        for (uint32_t i = 0; i < conf->route_cnt; i++) {
                char text[IP_ADDR_TEXT_MAX];
                struct ip_addr gw = conf_addr(conf->routes[i].gateway);
                if (on_link(conf, &gw))
                        continue;
                conf_err(err, err_len, "gateway %s is on no network of ours; give a device an address in its network",
                         ip_addr_text(text, &gw));
                return -EINVAL;
        }
        return 0;
}

static int check_pairs(const struct mr_conf *conf, char *err, size_t err_len)
{
        if (conf->tcp_rto_min_ns > conf->tcp_rto_max_ns) {
                conf_err(err, err_len, "tcp_rto_min is larger than tcp_rto_max; raise the one or lower the other");
                return -EINVAL;
        }
        if (conf->tcp_port_min > conf->tcp_port_max) {
                conf_err(err, err_len, "tcp_port_min %u is larger than tcp_port_max %u; swap them", conf->tcp_port_min,
                         conf->tcp_port_max);
                return -EINVAL;
        }
        return 0;
}

int conf_resolve(struct mr_conf *conf, char *err, size_t err_len)
{
        if (check_taps(conf, err, err_len) < 0 || check_ifaces(conf, err, err_len) < 0 ||
            check_routes(conf, err, err_len) < 0 || check_pairs(conf, err, err_len) < 0 ||
            conf_resolve_shards(conf, err, err_len) < 0)
                return -EINVAL;
        return sizes_resolve(conf, err, err_len);
}

/* Up to whole units: a timeout never becomes shorter than asked for, nor 0. */
static uint32_t to_units(uint64_t ns, uint64_t unit_ns)
{
        return (uint32_t)((ns + unit_ns - 1) / unit_ns);
}

void conf_to_tcp(const struct mr_conf *conf, struct tcp_conf *out)
{
        *out = (struct tcp_conf){
                .max_conns = conf->max_conns,
                .max_half = conf->max_half,
                .max_wait = conf->max_wait,
                .max_listeners = conf->max_listeners,
                .time_wait_ns = conf->tcp_time_wait_ns,
                .fin_wait2_ns = conf->tcp_fin_wait2_ns,
                .rto_min_ns = conf->tcp_rto_min_ns,
                .rto_max_ns = conf->tcp_rto_max_ns,
                .delack_ns = conf->tcp_delack_ns,
                .synack_retries = conf->tcp_synack_retries,
                .retries2 = conf->tcp_retries2,
                .orphan_retries = conf->tcp_orphan_retries,
                .initial_window_segs = conf->tcp_initial_window,
                .challenge_acks_per_s = conf->tcp_challenge_acks,
                .syncookies = (enum tcp_syncookies)conf->tcp_syncookies,
                .port_min = conf->tcp_port_min,
                .port_max = conf->tcp_port_max,
                .window_scaling = conf->tcp_window_scaling,
                .timestamps = conf->tcp_timestamps,
                .fast_path = MR_FAST_PATH,
                .huge_pages = conf_pages(conf),
                .opts = {
                        .rcvbuf = conf->tcp_rcvbuf,
                        .sndbuf = conf->tcp_sndbuf,
                        .keepidle_s = to_units(conf->tcp_keepidle_ns, SEC(1)),
                        .keepintvl_s = to_units(conf->tcp_keepintvl_ns, SEC(1)),
                        .user_timeout_ms = to_units(conf->tcp_user_timeout_ns, MS(1)),
                        .maxseg = conf->tcp_maxseg,
                        .keepcnt = conf->tcp_keepcnt,
                        .syn_retries = conf->tcp_syn_retries,
                        .tos = conf->ip_tos,
                        .ttl = conf->ip_ttl,
                        .keepalive = conf->tcp_keepalive,
                        .nodelay = conf->tcp_nodelay,
                        .quickack = conf->tcp_quickack,
                },
        };
}
