/* SPDX-License-Identifier: MIT */
/* stack/api_zerocopy.c - mr_recv_borrow() and its family: sock/zerocopy.c with errno */
#include "sock/sock.h"
#include "stack/api_priv.h"

#include <millrace/zerocopy.h>

#include <stddef.h>

/* The two are one. */
static_assert(sizeof(struct mr_loan) == sizeof(struct tcp_loan) &&
              offsetof(struct mr_loan, data) == offsetof(struct tcp_loan, data) &&
              offsetof(struct mr_loan, len) == offsetof(struct tcp_loan, len) &&
              offsetof(struct mr_loan, buffer) == offsetof(struct tcp_loan, buffer) &&
              offsetof(struct mr_loan, number) == offsetof(struct tcp_loan, number),
              "struct mr_loan is struct tcp_loan");
static struct tcp_loan *engine_loans(struct mr_loan *loans) { return (struct tcp_loan *)(void *)loans; }

int mr_recv_borrow(int fd, struct mr_loan *loans, int max, int flags)
{
        return RESULT_INT(sock_recv_borrow(api_socks, fd, engine_loans(loans), max, flags));
}

int mr_loan_return(struct mr_loan *loans, int cnt)
{
        return RESULT_INT(sock_loan_return(api_socks, engine_loans(loans), cnt));
}

ssize_t mr_send_loan(int fd, struct mr_loan *loan, int flags)
{
        return api_sent(CALL(sock_send_loan(api_socks, fd, engine_loans(loan), flags)), flags);
}

ssize_t mr_send_reserve(int fd, size_t want, struct iovec *room, int flags)
{
        return api_sent(CALL(sock_send_reserve(api_socks, fd, want, room, flags)), flags);
}

ssize_t mr_send_commit(int fd, size_t len, int flags)
{
        return api_sent(CALL(sock_send_commit(api_socks, fd, len, flags)), flags);
}
