/* SPDX-License-Identifier: MIT */
/* tools/httpd/request.c - From the parser's events to the page that answers
 *
 * Names and values come in pieces, as they were cut on the way; of the header
 * fields only three matter here, and only their first octets are kept.
 */
#include "tools/httpd/httpd.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum http_field { FIELD_OTHER, FIELD_HOST, FIELD_EXPECT, FIELD_RANGE };

static struct http_conn *conn_of(http_parser *p) { return p->data; }

void http_request_free(struct http_conn *c)
{
        struct http_req *req = c->req;

        if (!req)
                return;
        http_upload_free(req->upload);
        http_page_put(req->answer);
        req->next_free = http->free_reqs;
        http->free_reqs = req;
        c->req = NULL;
}

/* The rest of the message is not wanted: answer now, and end. */
static void answer_and_end(struct http_conn *c, int status)
{
        c->rest_unread = true;
        http_conn_answer(c, http_page_of_status(status), c->parser.method != HTTP_HEAD, false);
        http_request_free(c);
}

/* The same from a callback. */
static int refuse(http_parser *p, int status)
{
        answer_and_end(conn_of(p), status);
        http_parser_pause(p, 1);
        return 0;
}

static int on_begin(http_parser *p)
{
        struct http_conn *c = conn_of(p);
        struct http_req *req = http->free_reqs;

        if (req)
                http->free_reqs = req->next_free;
        else
                req = malloc(sizeof *req);
        if (!req)
                return refuse(p, 503);
        memset(req, 0, offsetof(struct http_req, name));
        c->req = req;
        return 0;
}

static int on_target(http_parser *p, const char *at, size_t len)
{
        struct http_req *req = conn_of(p)->req;

        if (req->target_len + len > HTTP_TARGET_MAX)
                return refuse(p, 414);
        memcpy(req->target + req->target_len, at, len);
        req->target_len = (uint16_t)(req->target_len + len);
        return 0;
}

/* ---- header fields ---- */

static void field_end(struct http_req *req)
{
        req->value[req->value_len] = '\0';
        if (req->field == FIELD_HOST) {
                req->has_host = true;
        } else if (req->field == FIELD_EXPECT) {
                req->expects_continue = strcasecmp(req->value, "100-continue") == 0;
        } else if (req->field == FIELD_RANGE) {
                req->has_range = true;
                memcpy(req->range, req->value, sizeof req->range);
        }
        req->field = FIELD_OTHER;
        req->field_len = req->value_len = 0;
        req->field_done = false;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
        struct http_req *req = conn_of(p)->req;

        if (!req)                       /* a trailer behind a refused body */
                return 0;
        if (req->field_done)
                field_end(req);
        for (size_t i = 0; i < len; i++) {
                if (req->field_len < sizeof req->name)
                        req->name[req->field_len++] = (char)tolower((unsigned char)at[i]);
        }
        return 0;
}

static bool name_is(const struct http_req *req, const char *name)
{
        return req->field_len == strlen(name) && memcmp(req->name, name, req->field_len) == 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
        struct http_req *req = conn_of(p)->req;

        if (!req)
                return 0;
        if (memchr(at, '\0', len))      /* RFC 9110 5.5; the parser lets one pass in the first place */
                return refuse(p, 400);
        if (!req->field_done) {
                req->field_done = true;
                req->field = name_is(req, "host")     ? FIELD_HOST
                             : name_is(req, "expect") ? FIELD_EXPECT
                             : name_is(req, "range")  ? FIELD_RANGE
                                                      : FIELD_OTHER;
        }
        if (req->field == FIELD_OTHER)
                return 0;
        for (size_t i = 0; i < len; i++) {
                if (req->value_len < sizeof req->value - 1)
                        req->value[req->value_len++] = at[i];
        }
        return 0;
}

/* ---- what is asked for ---- */

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)tolower((unsigned char)c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The path of the request target, decoded.  @out holds HTTP_TARGET_MAX + 1 octets.
 * False: it is none (RFC 9112 3.2). */
static bool target_path(const struct http_req *req, char *out)
{
        const char *at = req->target, *end = req->target + req->target_len;

        if (*at != '/') {               /* absolute form: "http://host/path" */
                struct http_parser_url url;
                http_parser_url_init(&url);
                if (http_parser_parse_url(req->target, req->target_len, 0, &url) != 0 ||
                    !(url.field_set & (1 << UF_SCHEMA)))
                        return false;
                if (!(url.field_set & (1 << UF_PATH)))
                        return strcpy(out, "/"), true;
                at += url.field_data[UF_PATH].off;
                end = at + url.field_data[UF_PATH].len;
        }
        for (; at < end && *at != '?' && *at != '#'; at++) {
                if (*at != '%') {
                        *out++ = *at;
                        continue;
                }
                int hi = end - at > 2 ? hex_digit(at[1]) : -1, lo = hi < 0 ? -1 : hex_digit(at[2]);
                if (lo < 0 || (hi == 0 && lo == 0))
                        return false;
                *out++ = (char)(hi * 16 + lo);
                at += 2;
        }
        *out = '\0';
        return true;
}

/* "bytes=A-B", "bytes=A-" or "bytes=-N" (RFC 9110 14.1.2).  False: not this form, to be
 * ignored.  *@len 0: none of it exists. */
static bool parse_range(const char *text, uint64_t size, uint64_t *from, uint64_t *len)
{
        char *end;

        if (strncmp(text, "bytes=", 6) != 0)
                return false;
        text += 6;
        if (text[0] == '-' && isdigit((unsigned char)text[1])) {
                uint64_t n = strtoull(text + 1, &end, 10);
                n = n < size ? n : size;
                *from = size - n;
                *len = n;
                return *end == '\0';
        }
        if (!isdigit((unsigned char)text[0]))
                return false;
        *from = strtoull(text, &end, 10);
        if (*end != '-')
                return false;
        uint64_t last = size - 1;
        if (isdigit((unsigned char)end[1])) {
                last = strtoull(end + 1, &end, 10);
                if (*end != '\0' || last < *from)
                        return false;
        } else if (end[1] != '\0') {
                return false;
        }
        *len = *from >= size ? 0 : (last < size ? last : size - 1) - *from + 1;
        return true;
}

static struct http_page *part_of(struct http_page *whole, const char *range, const char *type)
{
        uint64_t from = 0, len = 0;
        struct http_page *part;

        if (whole->status != 200 || !parse_range(range, whole->body_len, &from, &len))
                return whole;
        part = len > 0 ? http_page_part(whole, type, from, len) : http_page_of_status(416);
        http_page_put(whole);
        return part;
}

static struct http_page *find_page(const struct http_req *req, bool is_get)
{
        char path[HTTP_TARGET_MAX + 1];
        const char *type = "text/html; charset=utf-8";
        struct http_page *page;

        if (!target_path(req, path))
                return http_page_of_status(400);
        if (http->files)
                page = http_files_get(http->files, path, req->target, http->now_s, &type);
        else if (strcmp(path, "/") == 0 || strcmp(path, "/index.html") == 0)
                page = http_page_welcome();
        else
                page = http_page_of_status(404);
        return page && is_get && req->has_range ? part_of(page, req->range, type) : page;
}

static bool is_upload(const http_parser *p, const struct http_req *req)
{
        static const char under[] = "/upload/";
        return (p->method == HTTP_PUT || p->method == HTTP_POST) && req->target_len >= sizeof under - 1 &&
               memcmp(req->target, under, sizeof under - 1) == 0;
}

static int begin_upload(http_parser *p, struct http_req *req)
{
        struct http_conn *c = conn_of(p);

        if (p->content_length != UINT64_MAX && p->content_length > http->upload_max)
                return refuse(p, 413);
        req->upload = http_upload_new();
        if (!req->upload)
                return refuse(p, 503);
        if (req->expects_continue && p->http_major == 1 && p->http_minor >= 1)
                http_conn_interim(c, http_page_of_status(100));
        return 0;
}

static int on_headers(http_parser *p)
{
        struct http_req *req = conn_of(p)->req;

        if (req->field_done)
                field_end(req);
        req->target[req->target_len] = '\0';
        /* RFC 9110 7.8: a server may ignore an Upgrade, and we always do. */
        p->upgrade = 0;
        if (p->http_major != 1)
                return refuse(p, 505);
        if (p->http_minor >= 1 && !req->has_host)       /* RFC 9112 3.2 */
                return refuse(p, 400);
        if (is_upload(p, req))
                return begin_upload(p, req);
        bool is_get = p->method == HTTP_GET;
        req->answer = is_get || p->method == HTTP_HEAD ? find_page(req, is_get) : http_page_of_status(405);
        if (!req->answer)
                return refuse(p, 503);
        if (p->content_length != UINT64_MAX && p->content_length > HTTP_IGNORED_BODY)
                return refuse(p, req->answer->status == 405 ? 405 : 413);
        if (p->method == HTTP_CONNECT || req->expects_continue)
                return refuse(p, req->answer->status >= 400 ? req->answer->status : 417);
        return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
        struct http_req *req = conn_of(p)->req;

        req->body_len += len;
        if (req->body_len > (req->upload ? http->upload_max : HTTP_IGNORED_BODY))
                return refuse(p, 413);
        if (req->upload)
                http_upload_add(req->upload, at, len);
        return 0;
}

static int on_end(http_parser *p)
{
        struct http_conn *c = conn_of(p);
        struct http_req *req = c->req;
        struct http_page *page = req->upload ? http_upload_page(req->upload) : req->answer;
        bool keep = http_should_keep_alive(p);

        req->answer = NULL;
        http_conn_answer(c, page, p->method != HTTP_HEAD, keep);
        http_request_free(c);
        http->requests++;
        if (c->ending)
                http_parser_pause(p, 1);
        return 0;
}

void http_request_failed(struct http_conn *c)
{
        enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);

        answer_and_end(c, err == HPE_HEADER_OVERFLOW ? 431 : err == HPE_INVALID_METHOD ? 501 : 400);
}

const http_parser_settings http_request_settings = {
        .on_message_begin = on_begin,
        .on_url = on_target,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_headers,
        .on_body = on_body,
        .on_message_complete = on_end,
};
