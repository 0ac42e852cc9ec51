/* SPDX-License-Identifier: MIT */
/* tools/httpd/httpd.h - A small HTTP/1.1 server of files
 *
 * It is the demonstration and the load target of the stack, not a product.
 *
 *      page.c      what can be answered: heads and a body, shared by all who ask for it
 *      files.c     pages from a directory, cached while small; never from outside it
 *      request.c   http_parser's events -> which page is the answer
 *      conn.c      one connection: octets in, answers out, in order
 *      upload.c    a body that is thrown away, and its checksum
 *      ../cmd_httpd.c  the loop
 *
 * Memory: an idle connection is one struct http_conn.  A request being read
 * holds a struct http_req until its last octet; an answer not yet sent holds a
 * struct http_resp.  A connection whose answers wait is not read from, so what
 * one peer can make us hold ends with one read of READ_OCTETS.
 */
#pragma once
#include <http_parser.h>

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

enum {
        HTTP_HEADER_MAX     = 8192,             /* octets of request line and fields; beyond: 431 */
        HTTP_TARGET_MAX     = 2048,             /* octets of the request target; beyond: 414 */
        HTTP_IGNORED_BODY   = 65536,            /* octets of a body nobody asked for; beyond: 413 */
        HTTP_READ_OCTETS    = 16384,            /* a read */
        HTTP_UPLOAD_OCTETS  = 65536,            /* a read while a body arrives */
        HTTP_FILE_CHUNK     = 65536,            /* a piece of a file that is not in memory */
        HTTP_CACHED_FILE    = 262144,           /* files up to this are kept in memory */
        HTTP_CACHE_OCTETS   = 64 << 20,
        HTTP_CACHE_FILES    = 4096,
        HTTP_STATUS_MAX     = 600,
};

/* ---- page.c ---- */

/* How a head ends, by what becomes of the connection. */
enum http_fate { HTTP_KEEP, HTTP_KEEP_1_0, HTTP_CLOSE, HTTP_FATES };

struct http_page {
        uint32_t         refs;
        uint16_t         status;
        uint16_t         head_len[HTTP_FATES];
        const char      *head[HTTP_FATES];
        const uint8_t   *body;          /* in memory; NULL: in fd from body_from on */
        int              fd;            /* -1: none; the page's own, unless it has a base */
        uint64_t         body_from, body_len;
        struct http_page *base;         /* whose body this is a part of; a reference is held */

        /* in the cache of files.c */
        struct http_page *next;         /* same bucket */
        struct http_page *newer;        /* in the order of coming in */
        char            *path;
        uint32_t         path_hash;
        uint32_t         checked_s;
        uint64_t         ino;
        int64_t          mtime_ns;
};

/* A page with one reference, or NULL.  @type: media type, NULL without a body.
 * @fields: further header fields, each with CRLF, or "".  @body: copied if given,
 * else the page's body is zeroed memory if @alloc_body, else none yet. */
struct http_page *http_page_new(int status, const char *type, const char *fields, const void *body, uint64_t body_len,
                                bool alloc_body);
/* The part [from, from + len) of @base as a 206. */
struct http_page *http_page_part(struct http_page *base, const char *type, uint64_t from, uint64_t len);
void http_page_put(struct http_page *page);
static inline struct http_page *http_page_get(struct http_page *page) { page->refs++; return page; }

/* The page that says @status and nothing else, "100" and errors; lives for ever. */
struct http_page *http_page_of_status(int status);
struct http_page *http_page_welcome(void);

/* ---- files.c ---- */

struct http_files;
/* NULL with errno set. */
struct http_files *http_files_open(const char *root);
void http_files_close(struct http_files *files);
/* The page of @path (decoded, begins with '/'), a reference for the caller; or an error's page.
 * @target: as it was asked for, for redirects.  @type: its media type. */
struct http_page *http_files_get(struct http_files *files, const char *path, const char *target, uint32_t now_s,
                                 const char **type);

/* ---- upload.c ---- */

struct http_upload;
struct http_upload *http_upload_new(void);
void http_upload_add(struct http_upload *up, const void *data, size_t len);
uint64_t http_upload_len(const struct http_upload *up);
/* "length: N\nsha256: HEX\n" as a page. */
struct http_page *http_upload_page(struct http_upload *up);
void http_upload_free(struct http_upload *up);

/* ---- conn.c, request.c ---- */

struct http_req {
        struct http_req    *next_free;
        struct http_upload *upload;
        struct http_page   *answer;     /* decided at the end of the headers; NULL: at the end of the message */
        uint64_t            body_len;
        uint16_t            target_len;
        uint8_t             field_len, value_len;
        uint8_t             field;      /* enum http_field: whose value comes next */
        bool                field_done; /* a name was complete: the next name octet begins another */
        bool                has_host, expects_continue, has_range;
        char                name[16];
        char                value[64];
        char                range[64];
        char                target[HTTP_TARGET_MAX + 1];
};

struct http_resp {
        struct http_resp *next;
        struct http_page *page;
        uint64_t          sent;         /* octets of head and body */
        uint8_t           fate;         /* enum http_fate */
        bool              has_body;     /* false: HEAD */
};

struct http_conn {
        http_parser       parser;
        int               fd;
        uint32_t          active_s;     /* when something last happened */
        uint32_t          in_line_s;    /* when it went to the end of the line */
        struct http_req  *req;          /* while one is being read */
        struct http_resp *first, *last; /* answers not yet sent */
        struct http_conn *older, *newer;
        bool              writing;      /* waits for EPOLLOUT */
        bool              ending;       /* the last answer is queued: no further request is read */
        bool              rest_unread;  /* ending in the middle of what the peer sends */
        bool              lingering;    /* all is sent; the peer's rest is read and thrown away */
        bool              eof;          /* the peer will send no more */
        uint32_t          lingered;     /* octets thrown away */
};

/* One shard's: each has connections, pages and a cache of its own. */
struct http_server {
        int                ep, listener;
        uint32_t           now_s;
        uint32_t           idle_timeout_s;              /* 0: never */
        uint64_t           upload_max;
        struct http_files *files;                       /* NULL: the welcome page */
        struct http_req   *free_reqs;
        struct http_resp  *free_resps;
        struct http_conn  *free_conns;
        struct http_conn  *oldest, *newest;             /* by in_line_s, see conn.c */
        uint64_t           conns, requests, conns_now;
        struct http_page  *status_pages[HTTP_STATUS_MAX];       /* made when they are needed */
        struct http_page  *welcome;
        uint8_t            in[HTTP_UPLOAD_OCTETS];
        uint8_t            chunk[HTTP_FILE_CHUNK];
};
extern _Thread_local struct http_server *http;

/* http_parser's callbacks; parser->data is the struct http_conn. */
extern const http_parser_settings http_request_settings;
/* The parser gave up: answer why, and end. */
void http_request_failed(struct http_conn *c);
void http_request_free(struct http_conn *c);

/* Queue @page (its reference is taken) as the next answer.  False: no memory. */
bool http_conn_answer(struct http_conn *c, struct http_page *page, bool has_body, bool keep);
/* The same for 100 Continue, after which the real answer comes. */
bool http_conn_interim(struct http_conn *c, struct http_page *page);

void http_conn_accept(void);
void http_conn_event(struct http_conn *c, uint32_t events);
/* Close those that were idle for too long. */
void http_conn_expire(void);
