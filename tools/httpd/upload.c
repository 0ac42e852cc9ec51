/* SPDX-License-Identifier: MIT */
#include "tools/httpd/httpd.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

struct http_upload {
        EVP_MD_CTX *sha256;
        uint64_t    len;
};

struct http_upload *http_upload_new(void)
{
        struct http_upload *up = calloc(1, sizeof *up);

        if (!up)
                return NULL;
        up->sha256 = EVP_MD_CTX_new();
        if (up->sha256 && EVP_DigestInit_ex(up->sha256, EVP_sha256(), NULL) == 1)
                return up;
        http_upload_free(up);
        return NULL;
}

void http_upload_add(struct http_upload *up, const void *data, size_t len)
{
        EVP_DigestUpdate(up->sha256, data, len);
        up->len += len;
}

uint64_t http_upload_len(const struct http_upload *up) { return up->len; }

struct http_page *http_upload_page(struct http_upload *up)
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned digest_len = 0;
        char text[64 + 2 * EVP_MAX_MD_SIZE];

        EVP_DigestFinal_ex(up->sha256, digest, &digest_len);
        int len = snprintf(text, sizeof text, "length: %llu\nsha256: ", (unsigned long long)up->len);
        for (unsigned i = 0; i < digest_len; i++)
                len += snprintf(text + len, sizeof text - (size_t)len, "%02x", digest[i]);
        len += snprintf(text + len, sizeof text - (size_t)len, "\n");
        return http_page_new(200, "text/plain", "", text, (uint64_t)len, false);
}

void http_upload_free(struct http_upload *up)
{
        if (!up)
                return;
        EVP_MD_CTX_free(up->sha256);
        free(up);
}
