/* SPDX-License-Identifier: MIT */
/* tcp/isn.c - Numbers that an attacker must not guess */
#include "tcp/engine.h"

/* The two lengths keep the families apart: SipHash takes the length in. */
uint64_t tuple_secret(const struct tcp *t, const struct flow_key *key)
{
        uint64_t ports = (uint64_t)key->lport << 16 | key->rport, word[5];

        if (ip_addr_is_v4(&key->laddr) && ip_addr_is_v4(&key->raddr)) {
                word[0] = (uint64_t)ip_addr_to_v4(&key->laddr) << 32 | ip_addr_to_v4(&key->raddr);
                word[1] = ports;
                return hash_secret(&t->isn_key, word, 2);
        }
        memcpy(word, &key->laddr, 16);
        memcpy(word + 2, &key->raddr, 16);
        word[4] = ports;
        return hash_secret(&t->isn_key, word, 5);
}

uint32_t ts_offset_make(const struct tcp *t, const struct flow_key *key)
{
        return secret_ts_offset(tuple_secret(t, key));
}
