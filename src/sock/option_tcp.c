/* SPDX-License-Identifier: MIT */
/* sock/option_tcp.c - The levels IPPROTO_TCP and IPPROTO_IP, TCP_INFO */
#include "sock/sock_priv.h"

#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

/* Linux's MAX_TCP_KEEPIDLE and so on. */
enum { KEEPIDLE_MAX_S = 32767, KEEPCNT_MAX = 127, SYNCNT_MAX = 127, MSS_MIN = 88, MSS_MAX = 32767, MSS_DEFAULT = 536 };
enum { TTL_DEFAULT = 64, TOS_ECN_MASK = 3 };

/* ---- TCP_INFO ---- */

/* Linux numbers the states its own way (include/net/tcp_states.h). */
static uint8_t info_state(enum tcp_state state)
{
        static const uint8_t linux_state[TCP_STATE_CNT] = {
                [TCP_ESTABLISHED] = 1, [TCP_SYN_SENT] = 2, [TCP_SYN_RECEIVED] = 3, [TCP_FIN_WAIT_1] = 4,
                [TCP_FIN_WAIT_2] = 5, [TCP_TIME_WAIT] = 6, [TCP_CLOSED] = 7, [TCP_CLOSE_WAIT] = 8,
                [TCP_LAST_ACK] = 9, [TCP_LISTEN] = 10, [TCP_CLOSING] = 11,
        };
        return linux_state[state];
}

static uint32_t segments(uint32_t bytes, uint32_t mss) { return mss ? (bytes + mss - 1) / mss : 0; }
static uint32_t us_of(uint64_t ns) { return (uint32_t)u64_min(ns / US(1), UINT32_MAX); }

static void info_of_conn(const struct socks *ss, const struct sock *s, struct tcp_info *info)
{
        struct tcp_report r;

        tcp_report(ss->tcp, s->conn, &r);
        info->tcpi_state = info_state(r.state);
        info->tcpi_ca_state = r.in_recovery ? TCP_CA_Recovery : r.backoff ? TCP_CA_Loss : TCP_CA_Open;
        info->tcpi_retransmits = r.backoff;
        info->tcpi_backoff = r.backoff;
        info->tcpi_probes = r.probes;
        info->tcpi_options = (uint8_t)((r.timestamps ? TCPI_OPT_TIMESTAMPS : 0) | (r.sack ? TCPI_OPT_SACK : 0) |
                                       (r.wscale ? TCPI_OPT_WSCALE : 0));
        info->tcpi_snd_wscale = r.snd_wscale & 15;
        info->tcpi_rcv_wscale = r.rcv_wscale & 15;
        info->tcpi_rto = us_of(r.rto_ns);
        info->tcpi_rtt = us_of(r.srtt_ns);
        info->tcpi_rttvar = us_of(r.rttvar_ns);
        info->tcpi_snd_mss = r.snd_mss;
        info->tcpi_rcv_mss = r.rcv_mss;
        info->tcpi_advmss = r.rcv_mss;
        info->tcpi_unacked = segments(r.unacked_bytes, r.snd_mss);
        info->tcpi_snd_cwnd = segments(r.cwnd_bytes, r.snd_mss);
        info->tcpi_snd_ssthresh = segments(r.ssthresh_bytes, r.snd_mss);
        info->tcpi_total_retrans = r.retrans_total;
        info->tcpi_rcv_space = r.rcv_wnd;
        info->tcpi_notsent_bytes = r.unsent_bytes;
}

static int get_info(const struct socks *ss, const struct sock *s, void *val, socklen_t *len)
{
        struct tcp_info info = { .tcpi_state = info_state(TCP_CLOSED) };

        if (s->kind == KIND_LISTENER) {
                info.tcpi_state = info_state(TCP_LISTEN);
                info.tcpi_unacked = tcp_accept_queue_len(ss->tcp, s->conn);     /* as Linux: the queue */
        } else if (s->conn) {
                info_of_conn(ss, s, &info);
        }
        return option_put(val, len, &info, sizeof info);
}

/* ---- IPPROTO_TCP ---- */

static int get_maxseg(const struct socks *ss, const struct sock *s, const struct tcp_opts *opts)
{
        struct tcp_report r;

        if (s->kind == KIND_TCP && s->conn && conn_state(ss, s) != TCP_CLOSED) {
                tcp_report(ss->tcp, s->conn, &r);
                return (int)r.snd_mss;
        }
        return opts->maxseg ? opts->maxseg : MSS_DEFAULT;
}

int option_tcp_get(struct socks *ss, struct sock *s, int name, void *val, socklen_t *len)
{
        struct tcp_opts opts;

        sock_opts_get(ss, s, &opts);
        switch (name) {
        case TCP_NODELAY:       return option_put_int(val, len, opts.nodelay);
        case TCP_MAXSEG:        return option_put_int(val, len, get_maxseg(ss, s, &opts));
        case TCP_CORK:          return option_put_int(val, len, !!(s->flags & SOCKF_CORK));
        case TCP_KEEPIDLE:      return option_put_int(val, len, (int)opts.keepidle_s);
        case TCP_KEEPINTVL:     return option_put_int(val, len, (int)opts.keepintvl_s);
        case TCP_KEEPCNT:       return option_put_int(val, len, opts.keepcnt);
        case TCP_SYNCNT:        return option_put_int(val, len, opts.syn_retries);
        case TCP_QUICKACK:      return option_put_int(val, len, opts.quickack);
        case TCP_USER_TIMEOUT:  return option_put_int(val, len, (int)opts.user_timeout_ms);
        case TCP_INFO:          return get_info(ss, s, val, len);
        default:                return -ENOPROTOOPT;
        }
}

/* Taking the cork out lets go what it held back. */
static int set_cork(struct socks *ss, struct sock *s, bool on)
{
        bool was = s->flags & SOCKF_CORK;

        sock_flag_set(s, SOCKF_CORK, on);
        if (was && !on && s->kind == KIND_TCP && s->conn)
                tcp_send(ss->tcp, s->conn, NULL, 0, false, sock_now(ss));
        return 0;
}

/* 0, or -EINVAL when @v is not in @min..@max. */
static int set_range(uint32_t *field, int v, int min, int max)
{
        if (v < min || v > max)
                return -EINVAL;
        *field = (uint32_t)v;
        return 0;
}

static int opts_change(struct tcp_opts *opts, int name, int v)
{
        uint32_t checked = 0;
        int rc;

        switch (name) {
        case TCP_NODELAY:
                opts->nodelay = v;
                return 0;
        case TCP_QUICKACK:
                opts->quickack = v;
                return 0;
        case TCP_KEEPIDLE:
                return set_range(&opts->keepidle_s, v, 1, KEEPIDLE_MAX_S);
        case TCP_KEEPINTVL:
                return set_range(&opts->keepintvl_s, v, 1, KEEPIDLE_MAX_S);
        case TCP_USER_TIMEOUT:
                return set_range(&opts->user_timeout_ms, v, 0, INT_MAX);
        case TCP_KEEPCNT:
                rc = set_range(&checked, v, 1, KEEPCNT_MAX);
                if (rc == 0)
                        opts->keepcnt = (uint8_t)checked;
                return rc;
        case TCP_SYNCNT:
                rc = set_range(&checked, v, 1, SYNCNT_MAX);
                if (rc == 0)
                        opts->syn_retries = (uint8_t)checked;
                return rc;
        case TCP_MAXSEG:
                rc = v ? set_range(&checked, v, MSS_MIN, MSS_MAX) : 0;
                if (rc == 0)
                        opts->maxseg = (uint16_t)checked;
                return rc;
        default:
                return -ENOPROTOOPT;
        }
}

int option_tcp_set(struct socks *ss, struct sock *s, int name, const void *val, socklen_t len)
{
        struct tcp_opts opts;
        int v;

        if (len < sizeof v)
                return -EINVAL;
        memcpy(&v, val, sizeof v);
        if (name == TCP_CORK)
                return set_cork(ss, s, v);
        sock_opts_get(ss, s, &opts);
        int rc = opts_change(&opts, name, v);
        return rc < 0 ? rc : sock_opts_set(ss, s, &opts);
}

/* ---- IPPROTO_IP ---- */

/* As Linux: a caller with room for less than an int gets one octet if the value fits. */
static int ip_put(void *val, socklen_t *len, int v)
{
        if (*len > 0 && *len < sizeof v && v >= 0 && v <= 255) {
                uint8_t octet = (uint8_t)v;
                return option_put(val, len, &octet, 1);
        }
        return option_put_int(val, len, v);
}

int option_ip_get(struct socks *ss, struct sock *s, int name, void *val, socklen_t *len)
{
        struct tcp_opts opts;

        sock_opts_get(ss, s, &opts);
        switch (name) {
        case IP_TOS:                    return ip_put(val, len, opts.tos);
        case IP_TTL:                    return ip_put(val, len, opts.ttl ? opts.ttl : TTL_DEFAULT);
        case IP_BIND_ADDRESS_NO_PORT:   return ip_put(val, len, !!(s->flags & SOCKF_BIND_NO_PORT));
        default:                        return -ENOPROTOOPT;
        }
}

int option_ip_set(struct socks *ss, struct sock *s, int name, const void *val, socklen_t len)
{
        struct tcp_opts opts;
        int v = 0;

        if (len >= sizeof v)
                memcpy(&v, val, sizeof v);
        else if (len >= 1)
                v = *(const uint8_t *)val;

        sock_opts_get(ss, s, &opts);
        switch (name) {
        case IP_TOS:
                /* The two ECN bits are TCP's to set (RFC 3168). */
                opts.tos = (uint8_t)((v & ~TOS_ECN_MASK) | (opts.tos & TOS_ECN_MASK));
                return sock_opts_set(ss, s, &opts);
        case IP_TTL:
                if (len < 1 || (v != -1 && (v < 1 || v > 255)))
                        return -EINVAL;
                opts.ttl = v == -1 ? 0 : (uint8_t)v;
                return sock_opts_set(ss, s, &opts);
        case IP_BIND_ADDRESS_NO_PORT:
                sock_flag_set(s, SOCKF_BIND_NO_PORT, v);
                return 0;
        default:
                return -ENOPROTOOPT;
        }
}
