/* SPDX-License-Identifier: MIT */
/* millrace/zerocopy.h - Send and receive without a copy
 *
 * mr_recv() and mr_send() copy once between the program's memory and the
 * stack's, and for small messages nothing is faster.  Who moves much can work in
 * the stack's own buffers: borrow what was received and return it when done
 * with it, or write into the send buffer itself.
 *
 *      struct mr_loan loan[16];
 *      int n = mr_recv_borrow(fd, loan, 16, 0);
 *      for (int i = 0; i < n; i++)
 *              parse(loan[i].data, loan[i].len);
 *      mr_loan_return(loan, n);
 *
 *      struct iovec room;
 *      if (mr_send_reserve(fd, 60000, &room, 0) > 0)
 *              mr_send_commit(fd, make_answer(room.iov_base, room.iov_len), 0);
 *
 * Both kinds of calls mix with the ordinary ones on the same socket.  All calls
 * are made on the thread of the socket's shard, also the return of a loan.
 */
#pragma once
#include <millrace/export.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- receiving ----
 *
 * A loan lasts until it is returned, whatever becomes of its socket and its
 * connection; mr_stop() and mr_stack_free() end all.  Lent octets count as
 * unread: the window that the peer is offered opens as they are returned.
 *
 * A loan holds the buffer that its packet came in, of 2 or 68 KB.  At most a
 * quarter of a shard's buffers is out of the stack's hands at a time, and a
 * connection gets no more while octets for all of SO_RCVBUF are lent to it.
 * Then mr_recv_borrow() answers ENOBUFS: return some, or go on with mr_recv(). */

struct mr_loan {
        void    *data;                  /* the octets; they may be changed, those around them not */
        uint32_t len;                   /* at least 1 */
        uint32_t buffer;                /* which loan it is: not to be changed; both 0: none */
        uint64_t number;
};

/**
 * mr_recv_borrow() - Receive octets where they are
 * @loans: filled in, in the order of the stream
 * @max:   most loans, 1 or more
 * @flags: MSG_DONTWAIT
 *
 * Waits as mr_recv() does.  With SO_RCVLOWAT only while nothing is lent.
 *
 * Return: loans; 0 end of the stream; -1 with errno: EAGAIN and others as recv(2); ENOBUFS see above;
 * EINVAL other flags, or @max
 */
MR_API int mr_recv_borrow(int fd, struct mr_loan *loans, int max, int flags);

/* The memory is not the program's any more.  Each loan becomes "none".  0; -1 with EINVAL: one or
 * more were no loans of this shard or returned before; the others are returned. */
MR_API int mr_loan_return(struct mr_loan *loans, int cnt);

/**
 * mr_send_loan() - Send on what was received, as it stands
 * @loan:  of any socket of this shard; it becomes "none"
 * @flags: MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL
 *
 * All of it is sent, also where SO_SNDBUF has room for a part only.
 *
 * Return: octets; -1 with errno, and still lent: EINVAL as mr_loan_return(), others as send(2)
 */
MR_API ssize_t mr_send_loan(int fd, struct mr_loan *loan, int flags);

/* ---- sending ---- */

/**
 * mr_send_reserve() - Room in the send buffer, to be written by the program
 * @want:  octets, 1 or more; the room may be smaller: 1,920 octets, or up to 68 KB for who wants 17 KB or more
 *         while large buffers are plenty
 * @flags: MSG_DONTWAIT, MSG_NOSIGNAL
 *
 * Waits as mr_send() does.  What is reserved counts as queued (SO_SNDBUF) until it is committed, and a
 * socket has one reservation at a time.  mr_send() may be called meanwhile; its octets go first.  If the
 * connection ends, the room can be written to nevertheless, until mr_send_commit() says so; only mr_close()
 * and mr_connect() take it away.
 *
 * Return: octets of *@room; -1 with errno: EBUSY there is a reservation; ENOBUFS no buffer that could be
 * reserved, because too many are in the program's hands or too few are left: mr_send() may still go on;
 * EINVAL other flags, or @want; others as send(2)
 */
MR_API ssize_t mr_send_reserve(int fd, size_t want, struct iovec *room, int flags);

/**
 * mr_send_commit() - Send what was written
 * @len:   octets from the room's begin; 0: nothing, the reservation is let go
 * @flags: MSG_MORE, MSG_NOSIGNAL, MSG_DONTWAIT (it never waits)
 *
 * Less than an eighth of a buffer is copied after all, so that the rest of it is not wasted.
 *
 * Return: @len; -1 with errno: EINVAL nothing is reserved, or less, or other flags: then nothing has
 * changed; EPIPE and others as send(2): the reservation is gone
 */
MR_API ssize_t mr_send_commit(int fd, size_t len, int flags);

#ifdef __cplusplus
}
#endif
