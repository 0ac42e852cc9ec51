/* SPDX-License-Identifier: MIT */
/* millrace/millrace.h - Configure, start and stop a network stack inside this program
 *
 *      struct mr_conf conf;
 *      char err[256];
 *
 *      mr_conf_default(&conf);
 *      if (mr_conf_args(&conf, &argc, argv, err, sizeof err) < 0 || mr_start(&conf, err, sizeof err) < 0) {
 *              fprintf(stderr, "%s\n", err);
 *              return 1;
 *      }
 *      ... mr_socket(), mr_epoll_wait() ...     (millrace/socket.h, millrace/epoll.h)
 *      mr_stop();
 *
 * The thread that calls mr_start() owns the stack: the stack works while that
 * thread is inside mr_epoll_wait() or a blocking call, and nowhere else.
 *
 * Errors: 0 or a negative errno, and one line in @err (it may be NULL) that
 * names the input, the cause and the cure, without a newline.
 */
#pragma once
#include <millrace/export.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" */
MR_API const char *mr_version(void);

/* ---- configuration ---- */

enum { MR_IFACE_MAX = 16, MR_ADDR_MAX = 64, MR_LOCAL_MAX = 16, MR_ROUTE_MAX = 64, MR_DEV_NAME_MAX = 256 };
enum { MR_SHARD_MAX = 128 };

/* An address with the number of bits that name its network.  16 octets; IPv4 is
 * held as ::ffff:a.b.c.d and its length counts from there: 10.0.0.1/24 has len 120. */
struct mr_prefix {
        uint8_t addr[16];
        uint8_t len;                    /* 0..128 */
};

struct mr_route {
        struct mr_prefix dst;           /* len 96 with 0.0.0.0: the default route */
        uint8_t          gateway[16];
};

/* One device and what lives on it. */
struct mr_conf_iface {
        char             dev[MR_DEV_NAME_MAX];          /* "tap:mr0", "pcap:x.pcapng,shm:a" */
        struct mr_prefix addrs[MR_ADDR_MAX];            /* addresses of ours, with the length of their network */
        uint32_t         addr_cnt;
        struct mr_prefix locals[MR_LOCAL_MAX];          /* every address of these is ours too */
        uint32_t         local_cnt;
        uint32_t         mtu;                           /* octets of IP packet; 0: as the device says */
        uint16_t         vlan;                          /* 802.1Q tag, 1..4094; 0: untagged */
};

enum mr_idle {
        MR_IDLE_SLEEP,                  /* spin for spin_ns, then sleep on the devices */
        MR_IDLE_SPIN,                   /* never sleep: lowest latency, a whole core */
};

enum mr_syncookies {
        MR_SYNCOOKIES_NEVER,            /* when half-open records run out, one that was repeated most often is given up */
        MR_SYNCOOKIES_AUTO,             /* when half-open records run out */
        MR_SYNCOOKIES_ALWAYS,           /* for every SYN: no half-open record at all */
};

enum mr_offload {
        MR_OFFLOAD_ALL,                 /* checksums and segments of 64 KB, as far as the device can */
        MR_OFFLOAD_CHECKSUM,            /* checksums alone */
        MR_OFFLOAD_NONE,
};

enum mr_huge {
        MR_HUGE_AUTO,                   /* where they pay: few connections cost little, many are fast */
        MR_HUGE_YES,                    /* from the first octet on; those that the operator reserved first */
        MR_HUGE_NO,
};

enum mr_log { MR_LOG_ERROR, MR_LOG_WARN, MR_LOG_INFO, MR_LOG_DEBUG };

/**
 * struct mr_conf - All that can be said about a stack
 *
 * mr_conf_default() fills in what docs/configuration.md lists.  Durations are
 * ns, sizes octets; 0 in a field marked "derived" lets the stack choose.  The
 * options of mr_conf_set(), the file, the environment and the flags are the
 * fields' names without their unit, e.g. tcp_rto_min for tcp_rto_min_ns.
 */
struct mr_conf {
        struct mr_conf_iface ifaces[MR_IFACE_MAX];
        uint32_t             iface_cnt;
        struct mr_route      routes[MR_ROUTE_MAX];      /* longest prefix wins; networks of addrs need none */
        uint32_t             route_cnt;

        uint32_t shards;                /* 1..MR_SHARD_MAX; 0: as many as there are cpus, or cores */
        uint16_t cpus[MR_SHARD_MAX];    /* the thread of shard i is bound to the i-th */
        uint32_t cpu_cnt;               /* 0: threads are not bound */

        /* Room, for all shards together.  Address space is reserved at start, memory is used as it is touched. */
        uint64_t mem;                   /* octets that the following may take together; 0: no limit */
        uint32_t max_conns;             /* connections; derived */
        uint32_t max_half;              /* half-open connections; derived */
        uint32_t max_wait;              /* TIME-WAIT records; derived */
        uint32_t max_listeners;         /* listening sockets */
        uint64_t mem_packets;           /* octets for packet buffers: what is queued to send, received and unread; derived */
        uint32_t pkts_small;            /* buffers of 2 KB; derived from mem_packets */
        uint32_t pkts_large;            /* buffers of 68 KB, for segmentation offload and jumbo frames; derived */
        enum mr_huge huge_pages;        /* pages of 2 MB: faster at millions of connections, coarser in use */

        /* TCP: how the stack behaves */
        uint64_t tcp_time_wait_ns;      /* TIME-WAIT lasts so long (RFC 9293 3.4.2: 2 MSL) */
        uint64_t tcp_fin_wait2_ns;      /* a closed socket waits so long for the peer's FIN */
        uint64_t tcp_rto_min_ns;        /* RFC 6298 (2.4) */
        uint64_t tcp_rto_max_ns;        /* RFC 6298 (2.5) */
        uint64_t tcp_delack_ns;         /* most that an ACK is delayed (RFC 9293 MUST-40) */
        uint32_t tcp_synack_retries;
        uint32_t tcp_retries2;          /* give up an established connection after so many timeouts */
        uint32_t tcp_orphan_retries;    /* the same for one that its program has closed */
        uint32_t tcp_initial_window;    /* segments (RFC 6928) */
        uint32_t tcp_challenge_acks;    /* a second (RFC 5961 7) */
        enum mr_syncookies tcp_syncookies;      /* answer SYNs without keeping state (RFC 4987 3.6) */
        uint16_t tcp_port_min;          /* ephemeral ports, both inclusive */
        uint16_t tcp_port_max;
        bool     tcp_window_scaling;    /* RFC 7323 2 */
        bool     tcp_timestamps;        /* RFC 7323 3 */

        /* TCP: what a new socket starts with; setsockopt() changes it for one */
        uint32_t tcp_rcvbuf;            /* SO_RCVBUF */
        uint32_t tcp_sndbuf;            /* SO_SNDBUF */
        bool     tcp_keepalive;         /* SO_KEEPALIVE */
        uint64_t tcp_keepidle_ns;       /* TCP_KEEPIDLE; whole seconds */
        uint64_t tcp_keepintvl_ns;      /* TCP_KEEPINTVL; whole seconds */
        uint8_t  tcp_keepcnt;           /* TCP_KEEPCNT */
        uint64_t tcp_user_timeout_ns;   /* TCP_USER_TIMEOUT; whole ms; 0: by retries */
        uint16_t tcp_maxseg;            /* TCP_MAXSEG; 0: by the path */
        uint8_t  tcp_syn_retries;       /* TCP_SYNCNT */
        bool     tcp_nodelay;           /* TCP_NODELAY */
        bool     tcp_quickack;          /* TCP_QUICKACK */
        uint8_t  ip_tos;                /* IP_TOS */
        uint8_t  ip_ttl;                /* IP_TTL */

        enum mr_offload offload;        /* work that is left to the devices */
        bool         arp_dad;           /* ask for an address before using it (RFC 5227 2.1) */
        enum mr_idle idle;
        uint64_t     spin_ns;           /* with MR_IDLE_SLEEP: poll so long before sleeping */
        uint64_t     seed;              /* of all that is random; 0: from the kernel */
        enum mr_log  log;
};

MR_API void mr_conf_default(struct mr_conf *conf);

/**
 * mr_conf_set() - Set one option by its name
 * @name:  as in docs/configuration.md; '-' and '_' are the same
 * @value: with units where there are any: "10k", "64M", "200ms", "yes"
 *
 * "dev" opens another interface; "addr", "local", "mtu" and "vlan" then belong
 * to it.  "addr" and "local" take lists, separated by commas, and add to what is there.
 *
 * Return: 0; -ENOENT no such option; -EINVAL bad value; -ENOSPC no more room in a list
 */
MR_API int mr_conf_set(struct mr_conf *conf, const char *name, const char *value, char *err, size_t err_len);

/* Read an INI file: sections [stack] and [iface DEVICE], lines `name = value`. */
MR_API int mr_conf_file(struct mr_conf *conf, const char *path, char *err, size_t err_len);

/* Read the environment: MILLRACE_MAX_CONNS for max_conns, and so on. */
MR_API int mr_conf_env(struct mr_conf *conf, char *err, size_t err_len);

/**
 * mr_conf_args() - Fill @conf from the file, the environment and the flags, in this order
 * @argc, @argv: --name VALUE and --name=VALUE of known names are taken out;
 *               the rest is the program's own.  "--" ends the search.
 *
 * The file is the one given by --conf FILE or MILLRACE_CONF.  A source that
 * names a device replaces the interfaces of the sources before it.
 */
MR_API int mr_conf_args(struct mr_conf *conf, int *argc, char **argv, char *err, size_t err_len);

/* The option whose name is most like @name, or NULL when none is: for "did you mean". */
MR_API const char *mr_conf_nearest(const char *name);

/* Print every option with its default and range, and the devices there are:
 * for --help, or as the Markdown of docs/configuration.md. */
MR_API void mr_conf_help(FILE *out, bool markdown);

/* ---- start and stop ---- */

/**
 * mr_start() - Start a stack; the calling thread is its owner
 *
 * Return: 0; -EINVAL configuration; -EBUSY started already; -ENOMEM; the device's errno
 */
MR_API int mr_start(const struct mr_conf *conf, char *err, size_t err_len);

/* Reset what is open, close the devices, free everything.  By the owner. */
MR_API void mr_stop(void);

/* Several stacks in one process, 8 at most: mr_start() is mr_stack_new() and mr_stack_attach().
 * Each has descriptors of its own, so one used with another stack attached is EBADF. */
struct mr_stack;

/* NULL on failure, with errno set and one line in @err.  @conf is not kept. */
MR_API struct mr_stack *mr_stack_new(const struct mr_conf *conf, char *err, size_t err_len);

/* From now on the calling thread's mr_ calls go to @stack (NULL: to none).
 * Returns the one they went to before. */
MR_API struct mr_stack *mr_stack_attach(struct mr_stack *stack);

/* No thread is attached to it any more but the one that calls. */
MR_API void mr_stack_free(struct mr_stack *stack);

/* ---- shards ----
 *
 * With the option `shards` a stack has several parts that work on a core each
 * and share nothing that changes.  A shard belongs to the thread that is
 * attached to it; mr_start() and mr_stack_attach() attach to shard 0.
 *
 *      static void serve(void *arg, uint32_t shard)
 *      {
 *              int ep = mr_epoll_create1(0);
 *              mr_epoll_ctl(ep, EPOLL_CTL_ADD, *(int *)arg, &event);
 *              ... mr_epoll_wait(ep, ...), mr_accept(*(int *)arg, ...) ...
 *      }
 *      mr_listen(fd, 4096);
 *      mr_stack_run(stack, serve, &fd);
 *
 * A descriptor is good on the shard that made it, EBADF on others.  Only a
 * listening socket lives on all: its descriptor can be used by each shard's
 * thread, and each accepts the connections that come to its shard.  What is
 * set or asked there, options and backlog, is that shard's own.  mr_close() by
 * the shard that called mr_listen() ends it everywhere, by another one ends it
 * there: connections that come to that shard are refused.  Where several
 * shards listen on one port (SO_REUSEPORT), each serves what comes to it.
 *
 * mr_connect() leaves by its own shard and chooses a port whose answers come
 * back to it, also in place of one that mr_bind() chose.  A socket bound to a
 * port by its number, which has its answers elsewhere, gets EADDRNOTAVAIL.
 *
 * A shard works while its thread is in a call, as ever.  On a device with one
 * queue the shard that reads it works for all: it must not stay away for long.
 */

/* The stack of the calling thread; NULL: it has none. */
MR_API struct mr_stack *mr_stack_current(void);

MR_API uint32_t mr_stack_shards(const struct mr_stack *stack);

/**
 * mr_shard_attach() - The calling thread is the owner of shard @shard from now on
 *
 * It parts from the one that it had, and is bound to the core that `cpus`
 * names for the shard.  Before a thread ends it parts by mr_stack_attach(NULL).
 *
 * Return: 0; -EBUSY another thread is attached to it; -EINVAL no such shard, or no such core
 */
MR_API int mr_shard_attach(struct mr_stack *stack, uint32_t shard);

/**
 * mr_stack_run() - Run @fn(@arg, shard) on all shards at once, and wait for the last to return
 *
 * Shard 0 is the calling thread's, which stays attached to it; each of the
 * others gets a thread, which ends.  Not before all are attached and bound does
 * @fn begin.  A shard whose @fn has returned goes on working for the others.
 *
 * Return: 0; -EBUSY a shard has a thread already; -EINVAL no such core; -EAGAIN no threads;
 *         then @fn was not called
 */
MR_API int mr_stack_run(struct mr_stack *stack, void (*fn)(void *arg, uint32_t shard), void *arg);

/* The call that each shard waits in, or its next one that would wait, ends with EINTR.
 * From any thread and from signal handlers. */
MR_API void mr_stack_wake(struct mr_stack *stack);

#ifdef __cplusplus
}
#endif
