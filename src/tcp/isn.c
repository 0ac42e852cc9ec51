/* SPDX-License-Identifier: MIT */
/* tcp/isn.c - Numbers that an attacker must not guess */
#include "tcp/engine.h"

static uint64_t key_secret(const struct hash_key *secret, const struct flow_key *key)
{
        uint64_t word[5];
        memcpy(word, &key->laddr, 16);
        memcpy(word + 2, &key->raddr, 16);
        word[4] = (uint64_t)key->lport << 16 | key->rport;
        return hash_secret(secret, word, 5);
}

/* RFC 6528 3, RFC 9293 MUST-8, SHLD-1: ISN = M + F(tuple, secret), M ticks every 4 us. */
tcp_seq isn_make(const struct tcp *t, const struct flow_key *key, uint64_t now_ns)
{
        return seq_of((uint32_t)(now_ns / 4000) + (uint32_t)key_secret(&t->isn_key, key));
}

/* RFC 7323 5.4, 7.1: an offset per connection hides how long the machine is up; made of the
 * tuple, so that a new connection of the same tuple goes on monotonically (RFC 6191). */
uint32_t ts_offset_make(const struct tcp *t, const struct flow_key *key)
{
        return (uint32_t)key_secret(&t->ts_key, key);
}
