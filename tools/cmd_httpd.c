/* SPDX-License-Identifier: MIT */
/* tools/cmd_httpd.c - `millrace httpd`: the options, the start and the loop of httpd/ */
#include "tools/cmd.h"
#include "tools/httpd/httpd.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <errno.h>
#include <string.h>
#include <time.h>

enum { EVENTS_MAX = 256 };

struct http_server http;

static uint32_t seconds_now(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
        return (uint32_t)ts.tv_sec;
}

static void serve(void)
{
        struct epoll_event events[EVENTS_MAX];

        while (!cmd_stopped()) {
                int cnt = mr_epoll_wait(http.ep, events, EVENTS_MAX, 1000);
                if (cnt < 0 && errno != EINTR)
                        cmd_die("waiting: %s", strerror(errno));
                http.now_s = seconds_now();
                for (int i = 0; i < cnt; i++) {
                        if (events[i].data.ptr)
                                http_conn_event(events[i].data.ptr, events[i].events);
                        else
                                http_conn_accept();
                }
                http_conn_expire();
        }
}

static int run(int argc, char **argv)
{
        static struct mr_conf conf;
        uint64_t port = 80;
        const char *root = NULL;
        http.idle_timeout_s = 75;
        http.upload_max = 16ull << 30;
        const struct cmd_opt opts[] = {
                { "port", CMD_NUMBER, &port, 1, 65535, "the port to listen on" },
                { "root", CMD_TEXT, &root, 0, 0, "serve the files of this directory; without: a welcome page" },
                { "idle-timeout", CMD_SECONDS, &http.idle_timeout_s, 0, 0, "close silent connections after; 0: never" },
                { "upload-max", CMD_SIZE, &http.upload_max, 0, 0, "most octets of a PUT or POST under /upload/" },
                CMD_OPT_STATS,
                { 0 },
        };

        cmd_begin(&cmd_httpd, argc, argv, opts, &conf);
        if (root && !(http.files = http_files_open(root)))
                cmd_die("--root %s: %s; give a directory that can be read", root, strerror(errno));
        cmd_up(&conf);
        http_parser_set_max_header_size(HTTP_HEADER_MAX);
        http.listener = cmd_listen((uint16_t)port);
        http.ep = mr_epoll_create1(0);
        http.now_s = seconds_now();
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
        if (http.ep < 0 || mr_epoll_ctl(http.ep, EPOLL_CTL_ADD, http.listener, &ev) < 0)
                cmd_die("no epoll: %s", strerror(errno));
        fprintf(stderr, "millrace: httpd on port %u, %s\n", (unsigned)port, root ? root : "welcome page");

        serve();
        if (strcmp(cmd_stats, "none") != 0)
                fprintf(stderr, "millrace: httpd answered %llu requests on %llu connections\n",
                        (unsigned long long)http.requests, (unsigned long long)http.conns);
        http_files_close(http.files);
        return cmd_end();
}

const struct cmd cmd_httpd = {
        .name = "httpd",
        .args = "--dev DEVICE --addr ADDR/LEN [--port 80] [--root DIR]",
        .summary = "an HTTP/1.1 server of files, the load target",
        .run = run,
};
