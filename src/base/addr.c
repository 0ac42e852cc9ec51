/* SPDX-License-Identifier: MIT */
#include "base/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool ip_prefix_has(const struct ip_prefix *p, const struct ip_addr *a)
{
        uint32_t whole = p->len / 8;
        uint32_t rest = p->len % 8;

        if (memcmp(p->addr.octet, a->octet, whole) != 0)
                return false;
        if (rest == 0)
                return true;
        uint8_t mask = (uint8_t)(0xff00u >> rest);
        return ((p->addr.octet[whole] ^ a->octet[whole]) & mask) == 0;
}

int ip_addr_parse(struct ip_addr *out, const char *text)
{
        struct in_addr v4;
        struct in6_addr v6;

        if (inet_pton(AF_INET, text, &v4) == 1) {
                *out = ip_addr_v4(ntohl(v4.s_addr));
                return 0;
        }
        if (inet_pton(AF_INET6, text, &v6) == 1) {
                memcpy(out->octet, &v6, 16);
                return 0;
        }
        return -EINVAL;
}

int ip_prefix_parse(struct ip_prefix *out, const char *text)
{
        char addr_part[IP_ADDR_TEXT_MAX];
        struct ip_prefix p;
        const char *slash = strchr(text, '/');
        size_t addr_len = slash ? (size_t)(slash - text) : strlen(text);

        if (addr_len >= sizeof addr_part)
                return -EINVAL;
        memcpy(addr_part, text, addr_len);
        addr_part[addr_len] = '\0';
        if (ip_addr_parse(&p.addr, addr_part) < 0)
                return -EINVAL;

        uint32_t bits_max = ip_addr_is_v4(&p.addr) ? 32 : 128;
        uint32_t bits = bits_max;
        if (slash) {
                if (slash[1] < '0' || slash[1] > '9' || strlen(slash + 1) > 3)
                        return -EINVAL;
                char *end;
                bits = (uint32_t)strtoul(slash + 1, &end, 10);
                if (*end != '\0' || bits > bits_max)
                        return -EINVAL;
        }
        p.len = (uint8_t)(bits + (128 - bits_max));
        *out = p;
        return 0;
}

const char *ip_addr_text(char *buf, const struct ip_addr *a)
{
        if (ip_addr_is_v4(a))
                inet_ntop(AF_INET, a->octet + 12, buf, IP_ADDR_TEXT_MAX);
        else
                inet_ntop(AF_INET6, a->octet, buf, IP_ADDR_TEXT_MAX);
        return buf;
}

const char *ip_prefix_text(char *buf, const struct ip_prefix *p)
{
        ip_addr_text(buf, &p->addr);
        uint32_t bits = ip_addr_is_v4(&p->addr) ? p->len - IP_V4_PREFIX_BITS : p->len;
        snprintf(buf + strlen(buf), IP_PREFIX_TEXT_MAX - strlen(buf), "/%u", bits);
        return buf;
}

const char *mac_text(char *buf, const struct mac_addr *m)
{
        snprintf(buf, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", m->octet[0], m->octet[1],
                 m->octet[2], m->octet[3], m->octet[4], m->octet[5]);
        return buf;
}

int mac_parse(struct mac_addr *out, const char *text)
{
        static const char shape[] = "xx:xx:xx:xx:xx:xx";
        struct mac_addr m;

        if (strlen(text) != sizeof shape - 1)
                return -EINVAL;
        for (size_t i = 0; shape[i]; i++)
                if (shape[i] == ':' ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
                        return -EINVAL;
        for (size_t i = 0; i < 6; i++)
                m.octet[i] = (uint8_t)strtoul(text + i * 3, NULL, 16);
        *out = m;
        return 0;
}
