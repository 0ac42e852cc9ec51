/* SPDX-License-Identifier: MIT */
/* tools/httpd/files.c - Pages from a directory
 *
 * The kernel resolves every path, and is told to stay beneath the root
 * (openat2, RESOLVE_BENEATH): neither ".." nor a symbolic link leads out.
 *
 * Small files are read into memory, not mapped: a mapped file that somebody
 * truncates would end the process with SIGBUS.  A cached file is looked at
 * again once a second.  When the cache is full, the first that came in goes.
 */
#include "tools/httpd/httpd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUCKETS = 4096 };

struct http_files {
        int               root;
        uint32_t          cnt;
        uint64_t          octets;
        struct http_page *oldest, *newest;
        struct http_page *bucket[BUCKETS];
};

static const char *media_type(const char *path)
{
        static const char *const types[][2] = {
                { "html", "text/html; charset=utf-8" }, { "htm", "text/html; charset=utf-8" },
                { "css", "text/css" },                  { "js", "text/javascript" },
                { "mjs", "text/javascript" },           { "json", "application/json" },
                { "txt", "text/plain; charset=utf-8" }, { "md", "text/markdown; charset=utf-8" },
                { "xml", "application/xml" },           { "svg", "image/svg+xml" },
                { "png", "image/png" },                 { "jpg", "image/jpeg" },
                { "jpeg", "image/jpeg" },               { "gif", "image/gif" },
                { "webp", "image/webp" },               { "ico", "image/vnd.microsoft.icon" },
                { "woff2", "font/woff2" },              { "wasm", "application/wasm" },
                { "pdf", "application/pdf" },           { "mp4", "video/mp4" },
                { "gz", "application/gzip" },           { "zip", "application/zip" },
        };
        const char *dot = strrchr(path, '.');

        for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++) {
                if (strcasecmp(dot + 1, types[i][0]) == 0)
                        return types[i][1];
        }
        return "application/octet-stream";
}

struct http_files *http_files_open(const char *root)
{
        struct http_files *files = calloc(1, sizeof *files);

        if (!files)
                return NULL;
        files->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (files->root < 0) {
                free(files);
                return NULL;
        }
        return files;
}

static int open_beneath(const struct http_files *files, const char *path)
{
        /* O_NONBLOCK: to open a FIFO must not wait for its writer. */
        struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                                .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

        path += strspn(path, "/");
        return (int)syscall(SYS_openat2, files->root, *path ? path : ".", &how, sizeof how);
}

/* ---- the cache ---- */

static uint32_t hash_path(const char *path)
{
        uint32_t h = 2166136261u;       /* FNV-1a; only names of files that exist get in, so nobody chooses collisions */

        while (*path)
                h = (h ^ (uint8_t)*path++) * 16777619u;
        return h;
}

static struct http_page **cache_slot(struct http_files *files, const char *path, uint32_t hash)
{
        struct http_page **at = &files->bucket[hash % BUCKETS];

        while (*at && !((*at)->path_hash == hash && strcmp((*at)->path, path) == 0))
                at = &(*at)->next;
        return at;
}

static void cache_remove(struct http_files *files, struct http_page *page)
{
        struct http_page **at = cache_slot(files, page->path, page->path_hash);
        struct http_page **in_line = &files->oldest, *before = NULL;

        *at = page->next;
        while (*in_line != page) {
                before = *in_line;
                in_line = &before->newer;
        }
        *in_line = page->newer;
        if (files->newest == page)
                files->newest = before;
        files->cnt--;
        files->octets -= page->body_len;
        http_page_put(page);
}

static void cache_add(struct http_files *files, struct http_page *page, const char *path, uint32_t hash)
{
        page->path = strdup(path);
        if (!page->path)
                return;
        page->path_hash = hash;
        while (files->oldest &&
               (files->cnt >= HTTP_CACHE_FILES || files->octets + page->body_len > HTTP_CACHE_OCTETS))
                cache_remove(files, files->oldest);
        page->next = files->bucket[hash % BUCKETS];
        files->bucket[hash % BUCKETS] = http_page_get(page);
        page->newer = NULL;
        if (files->newest)
                files->newest->newer = page;
        else
                files->oldest = page;
        files->newest = page;
        files->cnt++;
        files->octets += page->body_len;
}

void http_files_close(struct http_files *files)
{
        if (!files)
                return;
        while (files->oldest)
                cache_remove(files, files->oldest);
        close(files->root);
        free(files);
}

/* ---- from the disk ---- */

static bool read_whole(int fd, uint8_t *to, uint64_t len)
{
        uint64_t got = 0;

        while (got < len) {
                ssize_t n = pread(fd, to + got, len - got, (off_t)got);
                if (n <= 0)
                        return false;
                got += (uint64_t)n;
        }
        return true;
}

static int64_t mtime_ns(const struct stat *st)
{
        return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Takes @fd. */
static struct http_page *page_of_file(int fd, const struct stat *st, const char *type)
{
        uint64_t size = (uint64_t)st->st_size;
        bool small = size <= HTTP_CACHED_FILE;
        struct http_page *page = http_page_new(200, type, "Accept-Ranges: bytes\r\n", NULL, size, small);

        if (!page) {
                close(fd);
                return NULL;
        }
        page->ino = st->st_ino;
        page->mtime_ns = mtime_ns(st);
        page->fd = fd;
        if (!small)
                return page;
        bool ok = read_whole(fd, (uint8_t *)(uintptr_t)page->body, size);
        close(fd);
        page->fd = -1;
        if (!ok) {
                http_page_put(page);
                return NULL;
        }
        return page;
}

/* Where a directory was asked for without the slash behind its name. */
static struct http_page *page_moved(const char *target)
{
        char field[HTTP_TARGET_MAX + 32];
        size_t len = strcspn(target, "?");

        /* "//name" would name another host. */
        if (target[0] != '/' || target[1] == '/')
                return http_page_of_status(404);
        snprintf(field, sizeof field, "Location: %.*s/\r\n", (int)len, target);
        return http_page_new(301, "text/plain", field, "moved\n", 6, false);
}

static struct http_page *page_of_errno(int err)
{
        switch (err) {
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EAGAIN: return http_page_of_status(503);
        default: return http_page_of_status(404);
        }
}

static struct http_page *get(struct http_files *files, const char *path, const char *target, uint32_t now_s,
                             const char *type)
{
        uint32_t hash = hash_path(path);
        struct http_page *cached = *cache_slot(files, path, hash);
        struct stat st;

        if (cached && cached->checked_s == now_s)
                return http_page_get(cached);
        int fd = open_beneath(files, path);
        if (fd < 0 || fstat(fd, &st) < 0) {
                int err = errno;
                if (fd >= 0)
                        close(fd);
                if (cached)
                        cache_remove(files, cached);
                return page_of_errno(err);
        }
        if (cached && cached->ino == st.st_ino && cached->mtime_ns == mtime_ns(&st) &&
            cached->body_len == (uint64_t)st.st_size) {
                close(fd);
                cached->checked_s = now_s;
                return http_page_get(cached);
        }
        if (cached)
                cache_remove(files, cached);
        if (!S_ISREG(st.st_mode)) {
                close(fd);
                return S_ISDIR(st.st_mode) ? page_moved(target) : http_page_of_status(404);
        }
        struct http_page *page = page_of_file(fd, &st, type);
        if (!page)
                return http_page_of_status(500);
        page->checked_s = now_s;
        if (page->fd < 0)
                cache_add(files, page, path, hash);
        return page;
}

struct http_page *http_files_get(struct http_files *files, const char *path, const char *target, uint32_t now_s,
                                 const char **type)
{
        char with_index[HTTP_TARGET_MAX + 16];
        size_t len = strlen(path);

        if (len > 0 && path[len - 1] == '/') {
                snprintf(with_index, sizeof with_index, "%sindex.html", path);
                path = with_index;
        }
        *type = media_type(path);
        return get(files, path, target, now_s, *type);
}
