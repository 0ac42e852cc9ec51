/* SPDX-License-Identifier: MIT */
/* tests/sim/icmp_test.c - What ICMP errors do to connections: RFC 9293 3.9.2.2, RFC 5927 */
#include "tests/sim/raw.h"
#include "wire/icmp.h"

/* Goal:   hard errors end a connection that is being opened, with Linux's errno; soft ones do not.
 * Method: each code against a SYN.
 * Spec:   RFC 9293 3.9.2.2, SHLD-26; RFC 5461 2.  Unreachable hosts and networks end it too, as in
 *         Linux (MUST-56 would not). */
TEST(icmp_while_opening)
{
        static const struct {
                uint8_t type, code;
                int     err;            /* 0: goes on */
        } row[] = {
                { ICMP_UNREACHABLE, ICMP_UNREACHABLE_PORT, ECONNREFUSED },
                { ICMP_UNREACHABLE, ICMP_UNREACHABLE_PROTO, ENOPROTOOPT },
                { ICMP_UNREACHABLE, ICMP_UNREACHABLE_HOST, EHOSTUNREACH },
                { ICMP_UNREACHABLE, ICMP_UNREACHABLE_NET, ENETUNREACH },
                { ICMP_UNREACHABLE, ICMP_UNREACHABLE_ADMIN, EHOSTUNREACH },
                { ICMP_UNREACHABLE, ICMP_UNREACHABLE_FRAG_NEEDED, 0 },
                { ICMP_TIME_EXCEEDED, ICMP_TIME_TTL, 0 },
                { ICMP_SOURCE_QUENCH, 0, 0 },
        };
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
                struct raw *r = raw_new(1 + i);
                int fd = raw_connecting(r);
                raw_say_icmp(r, row[i].type, row[i].code, 1);           /* not what is in flight */
                EXPECT_EQ(sim_state(r->host, fd), TCP_SYN_SENT);
                raw_say_icmp(r, row[i].type, row[i].code, 0);
                EXPECT_EQ(sim_error(r->host, fd), row[i].err);
                EXPECT_EQ(sim_state(r->host, fd), row[i].err ? TCP_CLOSED : TCP_SYN_SENT);
                raw_free(r);
        }
}

/* Goal:   no ICMP error ends an established connection, whether its number is in flight or not.
 * Method: all unreachables while text is out.
 * Spec:   RFC 5927 5.2; RFC 9293 3.9.2.2. */
TEST(icmp_while_established)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_accepted(r, "mss 1000");

        raw_write(r, fd, 0, 100);
        raw_hear(r, "PA 1 ack 1 len 100");
        for (uint8_t code = 0; code < 16; code++) {
                raw_say_icmp(r, ICMP_UNREACHABLE, code, 1);
                raw_say_icmp(r, ICMP_UNREACHABLE, code, 500);
        }
        raw_say_icmp(r, ICMP_PARAM_PROBLEM, 0, 1);
        raw_say_icmp(r, ICMP_SOURCE_QUENCH, 0, 1);
        EXPECT_EQ(sim_state(r->host, fd), TCP_ESTABLISHED);
        EXPECT_GT(DROPS(r->host, ICMP_NO_FLOW), 0);
        raw_say(r, "A 1 ack 101");
        EXPECT_EQ(sim_error(r->host, fd), 0);
        raw_free(r);
}

/* Goal:   an error about a port that nobody has changes nothing.
 * Method: a quote with another port.
 * Spec:   RFC 5927 4.1. */
TEST(icmp_about_nobody)
{
        struct raw *r = raw_new(sim_seed(__func__, 1));
        int fd = raw_connecting(r);

        r->peer_port++;
        raw_say_icmp(r, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PORT, 0);
        r->peer_port--;
        EXPECT_EQ(sim_state(r->host, fd), TCP_SYN_SENT);
        raw_free(r);
}
