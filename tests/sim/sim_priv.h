/* SPDX-License-Identifier: MIT */
/* tests/sim/sim_priv.h - What the files of the simulator share */
#pragma once
#include "tests/sim/sim.h"

enum { SIM_HOSTS_MAX = 8, SIM_LINKS_MAX = 8, SIM_PLANS_MAX = 64, SIM_FRAME_MAX = 66000 };

/* A frame on its way. */
struct sim_frame {
        uint64_t due_ns, order;         /* when it arrives; the order of sending breaks ties */
        uint32_t len;
        uint8_t  octet[];
};

/* What shall happen to the n-th data segment. */
struct sim_plan {
        enum { PLAN_DROP, PLAN_DAMAGE, PLAN_HOLD } what;
        uint32_t nr;
        uint64_t ns;
};

struct sim_lane_state {
        struct sim_link_conf conf;
        struct rnd           rnd;
        struct sim_frame   **heap;
        uint32_t             cnt, cap;
        uint64_t             sent, free_ns;     /* when the wire is free again */
        uint32_t             data_cnt;
        struct sim_plan      plan[SIM_PLANS_MAX];
        uint32_t             plan_cnt;
};

/* Where a link ends: the device of a host, or (host NULL) a raw peer. */
struct sim_end {
        struct sim_link *link;
        enum sim_lane    out;           /* the lane that begins here */
        struct sim_host *host;
        struct netdev    dev;
};

struct sim_link {
        struct sim           *sim;
        struct sim_end        end[2];
        struct sim_lane_state lane[2];
        bool                  cut;
        sim_hook              hook;
        void                 *hook_arg;
        struct netdev        *pcap;
        struct netdev_queue   pcap_q;
        struct pkt_pool       pcap_pool;
        struct counters       pcap_counters;
};

struct sim {
        uint64_t         seed, now_ns, steps;
        struct rnd       rnd;
        struct sim_host *host[SIM_HOSTS_MAX];
        uint32_t         host_cnt;
        struct sim_link *link[SIM_LINKS_MAX];
        uint32_t         link_cnt;
};

/* link.c */
void sim_link_free(struct sim_link *l);
/* When the next frame reaches @e; TIME_NEVER: none is under way. */
uint64_t sim_end_due(const struct sim_end *e);
