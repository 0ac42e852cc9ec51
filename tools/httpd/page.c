/* SPDX-License-Identifier: MIT */
/* tools/httpd/page.c - Answers, made once and sent often
 *
 * A page is one allocation: the struct, three heads (they differ in what they
 * say about the connection) and, if it is in memory, the body.
 */
#include "tools/httpd/httpd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const fate_fields[HTTP_FATES] = {
        [HTTP_KEEP] = "",
        [HTTP_KEEP_1_0] = "Connection: keep-alive\r\n",
        [HTTP_CLOSE] = "Connection: close\r\n",
};

static const char *reason(int status)
{
        switch (status) {
#define XX(num, name, string) case num: return #string;
                HTTP_STATUS_MAP(XX)
#undef XX
        default: return "";
        }
}

/* Octets of the head, without NUL, as snprintf() counts them. */
static size_t head_write(char *buf, size_t size, int status, const char *type, const char *fields, uint64_t body_len,
                         const char *fate)
{
        char content[128] = "";

        /* RFC 9110 8.6: no Content-Length in a 1xx. */
        if (status >= 200 && type)
                snprintf(content, sizeof content, "Content-Type: %s\r\nContent-Length: %llu\r\n", type,
                         (unsigned long long)body_len);
        else if (status >= 200)
                snprintf(content, sizeof content, "Content-Length: 0\r\n");
        return (size_t)snprintf(buf, size, "HTTP/1.1 %d %s\r\n%s%s%s%s\r\n", status, reason(status),
                                status >= 200 ? "Server: millrace\r\n" : "", content, fields, fate);
}

struct http_page *http_page_new(int status, const char *type, const char *fields, const void *body, uint64_t body_len,
                                bool alloc_body)
{
        size_t heads = 0, in_memory = body || alloc_body ? body_len : 0;

        for (int f = 0; f < HTTP_FATES; f++)
                heads += head_write(NULL, 0, status, type, fields, body_len, fate_fields[f]) + 1;

        struct http_page *page = calloc(1, sizeof *page + heads + in_memory);
        if (!page)
                return NULL;
        page->refs = 1;
        page->fd = -1;
        page->status = (uint16_t)status;
        page->body_len = body_len;
        char *at = (char *)(page + 1);
        for (int f = 0; f < HTTP_FATES; f++) {
                size_t len = head_write(at, heads, status, type, fields, body_len, fate_fields[f]);
                page->head[f] = at;
                page->head_len[f] = (uint16_t)len;
                at += len + 1;
                heads -= len + 1;
        }
        if (in_memory > 0)
                page->body = (uint8_t *)at;
        if (body)
                memcpy(at, body, body_len);
        return page;
}

struct http_page *http_page_part(struct http_page *base, const char *type, uint64_t from, uint64_t len)
{
        char field[96];

        snprintf(field, sizeof field, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)from,
                 (unsigned long long)(from + len - 1), (unsigned long long)base->body_len);
        struct http_page *page = http_page_new(206, type, field, NULL, len, false);
        if (!page)
                return NULL;
        page->base = http_page_get(base);
        page->fd = base->fd;
        page->body = base->body ? base->body + from : NULL;
        page->body_from = from;
        return page;
}

void http_page_put(struct http_page *page)
{
        if (!page || --page->refs > 0)
                return;
        if (page->base)
                http_page_put(page->base);
        else if (page->fd >= 0)
                close(page->fd);
        free(page->path);
        free(page);
}

struct http_page *http_page_of_status(int status)
{
        struct http_page **pages = http->status_pages;
        char body[64];

        if (!pages[status]) {
                int len = snprintf(body, sizeof body, "%d %s\n", status, reason(status));
                const char *fields = status == 405 ? "Allow: GET, HEAD\r\n" : "";
                if (status < 200)
                        pages[status] = http_page_new(status, NULL, fields, NULL, 0, false);
                else
                        pages[status] = http_page_new(status, "text/plain", fields, body, (uint64_t)len, false);
        }
        return pages[status] ? http_page_get(pages[status]) : NULL;
}

struct http_page *http_page_welcome(void)
{
        static const char html[] =
                "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Millrace</title>\n"
                "<style>body{font:18px/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em}</style>\n"
                "<h1>It runs.</h1>\n"
                "<p>This page came over a TCP/IP stack that lives inside the server's own process.\n"
                "On the server's side no socket of the kernel had a part in it.\n"
                "<p>To serve files, start the server with <code>--root DIR</code>.\n</html>\n";

        if (!http->welcome)
                http->welcome = http_page_new(200, "text/html; charset=utf-8", "", html, sizeof html - 1, false);
        return http->welcome ? http_page_get(http->welcome) : NULL;
}
