/* SPDX-License-Identifier: MIT */
/* tools/cmd_httpd.c - `millrace httpd`: the options, the start and the loop of httpd/ */
#include "tools/cmd.h"
#include "tools/httpd/httpd.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS_MAX = 256 };

_Thread_local struct http_server *http;

/* What the user asked for, and who serves; those stay until the end, with what they have counted. */
static struct {
        int                 listener;
        const char         *root;
        uint32_t            idle_timeout_s;
        uint64_t            upload_max;
        struct http_server *server[MR_SHARD_MAX];
} site;

static uint32_t seconds_now(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
        return (uint32_t)ts.tv_sec;
}

static void serve_until_stopped(void)
{
        struct epoll_event events[EVENTS_MAX];

        while (!cmd_stopped()) {
                int cnt = mr_epoll_wait(http->ep, events, EVENTS_MAX, 1000);
                if (cnt < 0 && errno != EINTR)
                        cmd_die("waiting: %s", strerror(errno));
                http->now_s = seconds_now();
                for (int i = 0; i < cnt; i++) {
                        if (events[i].data.ptr)
                                http_conn_event(events[i].data.ptr, events[i].events);
                        else
                                http_conn_accept();
                }
                http_conn_expire();
        }
}

static struct http_files *open_root(void)
{
        struct http_files *files = http_files_open(site.root);
        if (!files)
                cmd_die("--root %s: %s; give a directory that can be read", site.root, strerror(errno));
        return files;
}

/* One shard's part. */
static void serve(void *arg, uint32_t shard)
{
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

        http = site.server[shard] = calloc(1, sizeof *http);
        if (!http)
                cmd_die("no memory");
        http->idle_timeout_s = site.idle_timeout_s;
        http->upload_max = site.upload_max;
        http->listener = site.listener;
        http->files = site.root ? open_root() : NULL;
        http->now_s = seconds_now();
        http->ep = mr_epoll_create1(0);
        if (http->ep < 0 || mr_epoll_ctl(http->ep, EPOLL_CTL_ADD, http->listener, &ev) < 0)
                cmd_die("no epoll: %s", strerror(errno));
        serve_until_stopped();
        http_files_close(http->files);
}

static void tell_counts(void)
{
        uint64_t conns = 0, requests = 0;

        for (uint32_t i = 0; i < MR_SHARD_MAX && site.server[i]; i++) {
                conns += site.server[i]->conns;
                requests += site.server[i]->requests;
        }
        fprintf(stderr, "millrace: httpd answered %llu requests on %llu connections\n", (unsigned long long)requests,
                (unsigned long long)conns);
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        uint64_t port = 80;
        site.idle_timeout_s = 75;
        site.upload_max = 16ull << 30;
        const struct cmd_opt opts[] = {
                { "port", CMD_NUMBER, &port, 1, 65535, "the port to listen on" },
                { "root", CMD_TEXT, &site.root, 0, 0, "serve the files of this directory; without: a welcome page" },
                { "idle-timeout", CMD_SECONDS, &site.idle_timeout_s, 0, 0, "close silent connections after; 0: never" },
                { "upload-max", CMD_SIZE, &site.upload_max, 0, 0, "most octets of a PUT or POST under /upload/" },
                CMD_OPT_STATS,
                { 0 },
        };

        cmd_begin(&cmd_httpd, argc, argv, opts, &conf);
        if (site.root)
                http_files_close(open_root());          /* a mistake is told before anything begins */
        cmd_up(&conf);
        http_parser_set_max_header_size(HTTP_HEADER_MAX);
        site.listener = cmd_listen((uint16_t)port);
        fprintf(stderr, "millrace: httpd on port %u, %s\n", (unsigned)port, site.root ? site.root : "welcome page");
        cmd_run(serve, NULL);
        if (strcmp(cmd_stats, "none") != 0)
                tell_counts();
        return cmd_end();
}

const struct cmd cmd_httpd = {
        .name = "httpd",
        .args = "--dev DEVICE --addr ADDR/LEN [--port 80] [--root DIR]",
        .summary = "an HTTP/1.1 server of files, the load target",
        .run = run,
};
