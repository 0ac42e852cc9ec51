/* SPDX-License-Identifier: MIT */
/* tools/bench_duo.h - Two ends that talk: a server on one core, a client on another
 *
 *      loop     two stacks of one process, on two threads, joined by `loop:NAME`
 *      shm      two processes, joined by `shm:NAME`
 *      kernel   two threads with the kernel's sockets, over its loopback device
 *
 * Both ends spin: none ever sleeps.  What they tell each other besides the
 * traffic lies in a struct bench_shared, which both see, threads or processes.
 * A phase is set by one end and seen by the other:
 *
 *      server              client
 *      LISTENING  ──────►  connects
 *                 ◄──────  MEASURE      the time begins
 *                 ◄──────  DONE         the time ends; both stop
 *
 * Addresses: the server has 10.0.0.1 and all of 10.64.0.0/10, so that port
 * numbers do not limit the connections; the client has 10.0.0.2, and one that
 * has no sockets all of 10.128.0.0/9.  With the kernel all are of 127.0.0.0/8.
 */
#pragma once
#include "tools/bench.h"

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum bench_over { BENCH_LOOP, BENCH_SHM, BENCH_KERNEL };

/* "loop" or "shm", or ends the program. */
enum bench_over bench_over(const char *text);

/* The socket calls of a stack, ours or the kernel's. */
struct bench_net {
        int     (*socket)(int domain, int type, int protocol);
        int     (*bind)(int fd, const struct sockaddr *sa, socklen_t len);
        int     (*listen)(int fd, int backlog);
        int     (*accept4)(int fd, struct sockaddr *sa, socklen_t *len, int flags);
        int     (*connect)(int fd, const struct sockaddr *sa, socklen_t len);
        int     (*setsockopt)(int fd, int level, int name, const void *val, socklen_t len);
        ssize_t (*send)(int fd, const void *buf, size_t len, int flags);
        ssize_t (*recv)(int fd, void *buf, size_t len, int flags);
        int     (*close)(int fd);
        int     (*epoll_create1)(int flags);
        int     (*epoll_ctl)(int ep, int op, int fd, struct epoll_event *ev);
        int     (*epoll_wait)(int ep, struct epoll_event *evs, int max, int timeout_ms);
};
extern const struct bench_net bench_net_millrace, bench_net_kernel;

enum bench_phase { PHASE_START, PHASE_LISTENING, PHASE_MEASURE, PHASE_DONE };

enum { BENCH_VALUES = 16 };
struct bench_shared {
        _Alignas(64) _Atomic uint32_t phase;
        _Alignas(64) double server[BENCH_VALUES], client[BENCH_VALUES];        /* what each end found out */
};

struct bench_duo {
        const struct mr_conf   *conf;           /* what the user said about the stack, no device */
        enum bench_over         over;
        uint32_t                conns;
        uint32_t                window;         /* messages or connections under way at once */
        bool                    sparse;         /* the client is that of bench_sparse.c; never with the kernel */
        bool                    one_thread;     /* bench_turns() instead of bench_duo_run(); likewise */
        double                  seconds;
        const char             *options;        /* of both stacks besides: "mtu=9000 tcp_delack=1ms", or NULL */
        /* set by bench_duo_prepare() */
        const struct bench_net *net;
        char                    device[64];
        struct bench_shared    *shared;
};

typedef void (*bench_end_fn)(struct bench_duo *d);

/* Fill in what is the run's: net, device, shared; bench_duo_run() does so itself. */
void bench_duo_prepare(struct bench_duo *d);
/* Run both ends, the server in this thread and bound to the first core.  The client ends first. */
void bench_duo_run(struct bench_duo *d, bench_end_fn server, bench_end_fn client);
/* Start the stack of this end and attach it, unless it is the kernel's.  An end that speaks to the
 * device itself leaves this out. */
void bench_duo_up(struct bench_duo *d, bool server);

static inline uint32_t bench_phase(const struct bench_duo *d)
{
        return atomic_load_explicit(&d->shared->phase, memory_order_acquire);
}
/* Phases only go forward: this does nothing after DONE. */
void bench_phase_set(struct bench_duo *d, enum bench_phase phase);
/**
 * bench_measure() - What a client does once its connections stand
 * @work: goes on for so many seconds, as long as bench_goes_on()
 *
 * Works for a while to warm up, then between MEASURE and DONE.
 * Return: false: given up before the end
 */
bool bench_measure(struct bench_duo *d, void (*work)(void *arg, double seconds), void *arg);
static inline bool bench_goes_on(const struct bench_duo *d, double until_s)
{
        return bench_now_s() < until_s && bench_phase(d) != PHASE_DONE;
}
/* So long: each event of @ep goes to @event, with the number of bench_watch(). */
void bench_events_for(const struct bench_duo *d, int ep, double seconds,
                      void (*event)(void *arg, uint32_t n, uint32_t events), void *arg);

/* Spin until the other end has come to @phase, or beyond. */
void bench_phase_wait(struct bench_duo *d, enum bench_phase phase);
/* DONE before it was our turn to say so: the other end has given up, or a signal came. */
static inline bool bench_given_up(const struct bench_duo *d) { return bench_phase(d) == PHASE_DONE; }

/* Can the kernel hold so many connections, both ends, for this process?  Raises the limit as far as it may. */
bool bench_kernel_holds(uint64_t conns);

/**
 * bench_rounds() - Measure ours and, if asked to, the kernel's, in turns
 * @d:       as for bench_duo_run(); its seconds are shared out among the rounds
 * @measure: runs both ends of @d and fills in @out; in a process of its own
 * @ours, @kernel: of all rounds the one whose out[0] is the median; NAN throughout where the
 *           kernel was not asked for, or cannot hold so many connections
 *
 * Return: false: a round failed, and has said why
 */
typedef void (*bench_measure_fn)(struct bench_duo *d, double out[BENCH_VALUES]);
bool bench_rounds(const struct bench_duo *d, bool vs_kernel, bench_measure_fn measure, double ours[BENCH_VALUES],
                  double kernel[BENCH_VALUES]);

/* The machine's own round trip between the two cores, as a line below the table. */
void bench_probe_note(void);

/* ---- sockets of an end ---- */

enum { BENCH_PORT = 7000, BENCH_CONNS_AN_ADDR = 20000 };

/* A listening socket in an epoll instance of its own, whose event data is BENCH_LISTENER. */
#define BENCH_LISTENER UINT64_MAX
int bench_listen(const struct bench_net *net, int *ep);
/* Accept all that wait, and register each with its descriptor as event data.  Returns how many. */
uint32_t bench_accept(const struct bench_net *net, int listener, int ep);
/* Begin to connect connection @n; ends the program where that is refused. */
int bench_connect(const struct bench_duo *d, uint32_t n);
/* Connect d->conns, some at a time, and register each for EPOLLIN with its number as event data.
 * Fewer when bench_given_up(); the rest is -1 then. */
int *bench_connect_all(const struct bench_duo *d, int ep);
void bench_watch(const struct bench_net *net, int ep, int op, int fd, uint32_t events, uint64_t data);

/* ---- the server that sends back what it gets ---- */

/* What bench_echo_server() leaves in bench_shared.server; all of the time between MEASURE and DONE. */
enum bench_echo_value {
        ECHO_MESSAGES,                  /* sent back */
        ECHO_CLOSED,                    /* connections that the peer closed */
        ECHO_FRAMES,                    /* in and out; 0 with the kernel */
        ECHO_CYCLES,                    /* while busy */
        ECHO_BUSY,                      /* 0..1 */
        ECHO_CORE,                      /* 0..1: less than 1 when others used the core as well */
        ECHO_SECONDS,
};
/* An ordinary program: epoll_wait(), accept(), recv(), send(), close(). */
void bench_echo_server(struct bench_duo *d);

/* The same in pieces. */
struct bench_echo {
        const struct bench_net *net;
        int                     listener, ep;
        uint64_t                messages, closed;
};
void bench_echo_open(struct bench_echo *e, struct bench_duo *d);
/* One epoll_wait() and what it brings.  Returns how many events. */
int  bench_echo_turn(struct bench_echo *e);

/* The device is the benchmark's: ends the program if the user has named one. */
void bench_no_device(const struct mr_conf *conf);

/* ---- clients that keep nothing of their connections ---- */

enum {
        BENCH_MSG     = 64,             /* octets of a message */
        BENCH_NUMBERS = 1000000,        /* connections that come again and again in bench_sparse_cycle() */
};

struct sparse;

/* "sparse" or "sockets", or ends the program. */
bool bench_client_is_sparse(const char *text);
struct sparse *bench_sparse_open(const struct bench_duo *d, uint32_t numbers);
/* Ends the program if it saw what must not happen. */
void bench_sparse_check(const struct sparse *s);
uint64_t bench_now_ns(void);
/* d->conns connections talk, d->window of them at once. */
void bench_sparse_talk(struct bench_duo *d);
/* d->window connections at once connect, talk and close, again and again. */
void bench_sparse_cycle(struct bench_duo *d);

/* ---- both ends in one thread ---- */

/**
 * bench_turns() - Client and server take turns in this thread; the server's are timed
 * @cycle: the client is as in bench_sparse_cycle(), else as in bench_sparse_talk()
 * @cycles, @frames: for a message, or with @cycle for a connection; cycles are a median
 *
 * What is left when there is no second core, no waiting and no cache line that
 * travels.  Hardly disturbed by other programs.
 */
void bench_turns(struct bench_duo *d, bool cycle, double *cycles, double *frames);

/* ---- how busy an end is ---- */

/* Frames in and out of this thread's stack so far. */
uint64_t bench_frames_moved(void);


/* Time is counted as busy in turns that moved a frame or brought an event.  What other programs
 * took of the core meanwhile is taken off, in equal parts from busy and idle time. */
struct bench_busy {
        uint64_t began, busy, frames_began, frames;
        uint64_t at;                    /* of the last look */
        uint64_t cpu_began_ns, cpu_ns;  /* of this thread */
        bool     kernel;
};
void bench_busy_begin(struct bench_busy *b, const struct bench_duo *d);
/* To be called once a turn; @events: how many the turn brought. */
void bench_busy_turn(struct bench_busy *b, int events);
void bench_busy_end(struct bench_busy *b);
double bench_busy_share(const struct bench_busy *b);                    /* 0..1 */
double bench_busy_cycles(const struct bench_busy *b);
double bench_busy_core(const struct bench_busy *b);                     /* what we had of the core, 0..1 */
