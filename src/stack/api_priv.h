/* SPDX-License-Identifier: MIT */
/* stack/api_priv.h - What the mr_ calls of sockets have in common
 *
 * Here, and only here, a negative errno becomes -1 and errno, and EPIPE becomes
 * SIGPIPE.
 */
#pragma once
#include "stack/api.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Those attached to the thread; NULL: none.  One load a call, in the shared library too: the model is for that. */
extern _Thread_local struct socks *api_socks __attribute__((tls_model("initial-exec")));

static inline ssize_t api_result(ssize_t rc)
{
        if (rc >= 0)
                return rc;
        errno = (int)-rc;
        return -1;
}

/* The same for calls that send: as the kernel does, to this very thread. */
static inline ssize_t api_sent(ssize_t rc, int flags)
{
        if (rc == -EPIPE && !(flags & MSG_NOSIGNAL))
                pthread_kill(pthread_self(), SIGPIPE);
        return api_result(rc);
}

#define CALL(call)       (api_socks ? (call) : -ENXIO)
#define RESULT(call)     api_result(CALL(call))
#define RESULT_INT(call) ((int)api_result(CALL(call)))
