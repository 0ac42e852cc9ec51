/* SPDX-License-Identifier: MIT */
/* tools/httpd/conn.c - One connection: octets in, answers out, in their order
 *
 *      readable ─► read ─► parser ─► answers queued ─► sent with one call
 *                                                        │ no room
 *      writable ◄──────── EPOLLOUT, and nothing is read ◄┘
 *
 * Requests that came together are answered together: one read, one sendmsg.
 *
 * Idle connections are found without a timer for each: they stand in a line.
 * Who reaches its head after idle_timeout_s and was active since goes to the
 * end again, who was not is closed; so activity itself costs one store, and an
 * idle connection lives one to two times idle_timeout_s.
 */
#include "tools/httpd/httpd.h"

#include <millrace/epoll.h>
#include <millrace/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
        IOV_MAX_USED   = 64,
        SEND_ROUNDS    = 16,            /* sends before others get their turn */
        ACCEPTS        = 256,           /* the same for new connections */
        LOOKS          = 256,           /* the same for idle ones */
        LINGER_OCTETS  = 1 << 20,       /* of what a refused peer still sends */
};

/* ---- the line of idle connections ---- */

static void line_add(struct http_conn *c)
{
        c->in_line_s = http->now_s;
        c->newer = NULL;
        c->older = http->newest;
        if (http->newest)
                http->newest->newer = c;
        else
                http->oldest = c;
        http->newest = c;
}

static void line_remove(struct http_conn *c)
{
        if (c->older)
                c->older->newer = c->newer;
        else
                http->oldest = c->newer;
        if (c->newer)
                c->newer->older = c->older;
        else
                http->newest = c->older;
}

/* ---- beginning and end ---- */

static void resp_free(struct http_resp *r)
{
        http_page_put(r->page);
        r->next = http->free_resps;
        http->free_resps = r;
}

static void conn_close(struct http_conn *c)
{
        mr_close(c->fd);
        http_request_free(c);
        while (c->first) {
                struct http_resp *r = c->first;
                c->first = r->next;
                resp_free(r);
        }
        line_remove(c);
        c->newer = http->free_conns;
        http->free_conns = c;
        http->conns_now--;
}

static struct http_conn *conn_new(int fd)
{
        struct http_conn *c = http->free_conns;

        if (c)
                http->free_conns = c->newer;
        else
                c = malloc(sizeof *c);
        if (!c)
                return NULL;
        memset(c, 0, sizeof *c);
        c->fd = fd;
        c->active_s = http->now_s;
        http_parser_init(&c->parser, HTTP_REQUEST);
        c->parser.data = c;
        line_add(c);
        http->conns++;
        http->conns_now++;
        return c;
}

void http_conn_accept(void)
{
        for (int i = 0; i < ACCEPTS; i++) {
                int fd = mr_accept4(http->listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0)
                        return;
                struct http_conn *c = conn_new(fd);
                if (!c) {
                        mr_close(fd);
                        return;
                }
                struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
                if (mr_epoll_ctl(http->ep, EPOLL_CTL_ADD, fd, &ev) < 0)
                        conn_close(c);
        }
}

void http_conn_expire(void)
{
        for (int i = 0; i < LOOKS && http->idle_timeout_s > 0; i++) {
                struct http_conn *c = http->oldest;
                if (!c || http->now_s - c->in_line_s < http->idle_timeout_s)
                        return;
                if (http->now_s - c->active_s >= http->idle_timeout_s) {
                        conn_close(c);
                } else {
                        line_remove(c);
                        line_add(c);
                }
        }
}

/* ---- answers ---- */

static bool queue(struct http_conn *c, struct http_page *page, bool has_body, enum http_fate fate)
{
        struct http_resp *r = http->free_resps;

        if (r)
                http->free_resps = r->next;
        else
                r = malloc(sizeof *r);
        if (!r || !page) {
                free(r);
                http_page_put(page);
                c->ending = true;
                return false;
        }
        *r = (struct http_resp){ .page = page, .has_body = has_body, .fate = (uint8_t)fate };
        if (c->last && c->first)
                c->last->next = r;
        else
                c->first = r;
        c->last = r;
        return true;
}

bool http_conn_answer(struct http_conn *c, struct http_page *page, bool has_body, bool keep)
{
        bool old = c->parser.http_major == 1 && c->parser.http_minor == 0;

        if (!keep)
                c->ending = true;
        return queue(c, page, has_body, !keep ? HTTP_CLOSE : old ? HTTP_KEEP_1_0 : HTTP_KEEP);
}

bool http_conn_interim(struct http_conn *c, struct http_page *page) { return queue(c, page, false, HTTP_KEEP); }

static uint64_t resp_len(const struct http_resp *r)
{
        return r->page->head_len[r->fate] + (r->has_body ? r->page->body_len : 0);
}

static void iov_add(struct iovec *iov, int *cnt, const void *data, uint64_t len)
{
        if (len == 0)
                return;
        iov[*cnt] = (struct iovec){ .iov_base = (void *)(uintptr_t)data, .iov_len = len };
        ++*cnt;
}

/* Point @iov at what is to be sent next.  Stops behind the first piece of a file that
 * is not in memory, because there is one buffer for such.  Octets, or -1: the file
 * became shorter than we have promised. */
static int64_t gather(struct http_conn *c, struct iovec *iov, int *cnt)
{
        uint64_t sum = 0;

        *cnt = 0;
        for (struct http_resp *r = c->first; r && *cnt + 2 <= IOV_MAX_USED; r = r->next) {
                const struct http_page *page = r->page;
                uint64_t head_len = page->head_len[r->fate];
                uint64_t head_left = r->sent < head_len ? head_len - r->sent : 0;
                uint64_t body_at = r->sent > head_len ? r->sent - head_len : 0;
                uint64_t body_left = r->has_body ? page->body_len - body_at : 0;

                iov_add(iov, cnt, page->head[r->fate] + r->sent, head_left);
                sum += head_left;
                if (page->body || body_left == 0) {
                        iov_add(iov, cnt, page->body ? page->body + body_at : NULL, body_left);
                        sum += body_left;
                        continue;
                }
                size_t piece = body_left < sizeof http->chunk ? body_left : sizeof http->chunk;
                ssize_t n = pread(page->fd, http->chunk, piece, (off_t)(page->body_from + body_at));
                if (n <= 0)
                        return -1;
                iov_add(iov, cnt, http->chunk, (uint64_t)n);
                return (int64_t)(sum + (uint64_t)n);
        }
        return (int64_t)sum;
}

static void sent(struct http_conn *c, uint64_t n)
{
        while (n > 0) {
                struct http_resp *r = c->first;
                uint64_t left = resp_len(r) - r->sent;
                uint64_t part = n < left ? n : left;
                r->sent += part;
                n -= part;
                if (part < left)
                        return;
                c->first = r->next;
                resp_free(r);
        }
}

enum outcome { DONE, BLOCKED, BROKEN };

static enum outcome flush(struct http_conn *c)
{
        struct iovec iov[IOV_MAX_USED];

        for (int round = 0; c->first; round++) {
                struct msghdr msg = { .msg_iov = iov };
                int cnt;

                if (round == SEND_ROUNDS)
                        return BLOCKED;
                int64_t want = gather(c, iov, &cnt);
                if (want < 0)
                        return BROKEN;
                msg.msg_iovlen = (size_t)cnt;
                ssize_t n = mr_sendmsg(c->fd, &msg, MSG_NOSIGNAL);
                if (n < 0)
                        return errno == EAGAIN ? BLOCKED : BROKEN;
                sent(c, (uint64_t)n);
                if (n < want)
                        return BLOCKED;
        }
        return DONE;
}

/* ---- events ---- */

/* False: close it. */
static bool watch(struct http_conn *c, bool writing)
{
        struct epoll_event ev = { .events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c };

        if (c->writing == writing)
                return true;
        c->writing = writing;
        return mr_epoll_ctl(http->ep, EPOLL_CTL_MOD, c->fd, &ev) == 0;
}

/* All is sent and no further request is read.  A peer that still sends would make our
 * close a reset, which could overtake the answer: let it finish (RFC 9112 9.6). */
static bool begin_linger(struct http_conn *c)
{
        if (!c->rest_unread || c->eof)
                return false;
        c->lingering = true;
        return mr_shutdown(c->fd, SHUT_WR) == 0 && watch(c, false);
}

static bool linger(struct http_conn *c)
{
        ssize_t n = mr_recv(c->fd, http->in, sizeof http->in, 0);

        if (n <= 0)
                return n < 0 && errno == EAGAIN;
        c->lingered += (uint32_t)n;
        return c->lingered < LINGER_OCTETS;
}

static void feed(struct http_conn *c, size_t len)
{
        http_parser_execute(&c->parser, &http_request_settings, (const char *)http->in, len);
        enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);
        if (err != HPE_OK && err != HPE_PAUSED && !c->ending)
                http_request_failed(c);
}

/* Send what is queued; then go on, wait for room, or end.  False: close it. */
static bool settle(struct http_conn *c)
{
        switch (flush(c)) {
        case BROKEN: return false;
        case BLOCKED: return watch(c, true);
        case DONE: break;
        }
        if (c->ending)
                return begin_linger(c);
        return !c->eof && watch(c, false);
}

static bool readable(struct http_conn *c)
{
        size_t max = c->req && c->req->upload ? HTTP_UPLOAD_OCTETS : HTTP_READ_OCTETS;
        ssize_t n = mr_recv(c->fd, http->in, max, 0);

        if (n < 0)
                return errno == EAGAIN;
        if (n == 0)
                c->eof = true;
        else
                feed(c, (size_t)n);
        return settle(c);
}

void http_conn_event(struct http_conn *c, uint32_t events)
{
        bool alive;

        c->active_s = http->now_s;
        if (events & EPOLLERR)
                alive = false;
        else if (c->lingering)
                alive = linger(c);
        else if (c->writing)
                alive = settle(c);
        else
                alive = readable(c);
        if (!alive)
                conn_close(c);
}
