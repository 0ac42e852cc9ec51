/* SPDX-License-Identifier: MIT */
#include "tools/bench_duo.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum bench_over bench_over(const char *text)
{
        if (strcmp(text, "loop") == 0)
                return BENCH_LOOP;
        if (strcmp(text, "shm") == 0)
                return BENCH_SHM;
        cmd_die("--over %s: no such way; give loop or shm", text);
}

bool bench_client_is_sparse(const char *text)
{
        if (strcmp(text, "sparse") != 0 && strcmp(text, "sockets") != 0)
                cmd_die("--client %s: no such client; give sparse or sockets", text);
        return strcmp(text, "sparse") == 0;
}

void bench_no_device(const struct mr_conf *conf)
{
        if (conf->iface_cnt)
                cmd_die("--dev %s: the benchmark brings its own devices; leave it out", conf->ifaces[0].dev);
}

/* ---- phases ---- */

void bench_phase_set(struct bench_duo *d, enum bench_phase phase)
{
        uint32_t before = bench_phase(d);
        while (before < phase && !atomic_compare_exchange_weak(&d->shared->phase, &before, phase))
                continue;
}

void bench_phase_wait(struct bench_duo *d, enum bench_phase phase)
{
        while (bench_phase(d) < phase)
                sched_yield();
}

bool bench_measure(struct bench_duo *d, void (*work)(void *arg, double seconds), void *arg)
{
        if (!bench_given_up(d))
                work(arg, d->seconds / 4);
        bench_phase_set(d, PHASE_MEASURE);
        if (!bench_given_up(d))
                work(arg, d->seconds);
        bool whole = !bench_given_up(d);
        bench_phase_set(d, PHASE_DONE);
        return whole;
}

/* ---- the stack of an end ---- */

static void option(struct mr_conf *conf, const char *name, const char *value)
{
        char err[256];
        if (mr_conf_set(conf, name, value, err, sizeof err) < 0)
                cmd_die("%s", err);
}

/* "name=value name=value" */
static void set_options(struct mr_conf *conf, const char *text)
{
        char copy[256], *rest = copy;

        snprintf(copy, sizeof copy, "%s", text ? text : "");
        for (char *word; (word = strsep(&rest, " "));) {
                char *value = strchr(word, '=');
                if (!value)
                        continue;
                *value++ = '\0';
                option(conf, word, value);
        }
}

void bench_duo_up(struct bench_duo *d, bool server)
{
        struct mr_conf *conf;
        char room[16], err[512];

        if (d->over == BENCH_KERNEL)
                return;
        conf = malloc(sizeof *conf);
        if (!conf)
                cmd_die("no memory");
        *conf = *d->conf;
        option(conf, "dev", d->device);
        option(conf, "addr", server ? "10.0.0.1/24" : "10.0.0.2/24");
        if (server)
                option(conf, "local", "10.64.0.0/10");
        option(conf, "route", server ? "10.128.0.0/9,10.0.0.2" : "10.64.0.0/10,10.0.0.1");
        snprintf(room, sizeof room, "%u", d->conns + 4096);
        option(conf, "max_conns", room);
        option(conf, "max_half", "65536");
        option(conf, "idle", "spin");
        set_options(conf, d->options);
        if (conf->log > MR_LOG_WARN)
                conf->log = MR_LOG_WARN;
        struct mr_stack *stack = mr_stack_new(conf, err, sizeof err);
        if (!stack)
                cmd_die("%s", err);
        mr_stack_attach(stack);
        free(conf);
}

/* The process ends soon: only a wire of shared memory has to be taken down. */
static void down(struct bench_duo *d)
{
        if (d->over == BENCH_SHM)
                mr_stack_free(mr_stack_attach(NULL));
}

/* ---- two ends ---- */

struct client {
        struct bench_duo *duo;
        bench_end_fn      run;
};

static void *client_main(void *arg)
{
        struct client *c = arg;

        bench_pin(1);
        c->run(c->duo);
        down(c->duo);
        return NULL;
}

static struct bench_shared *run_shared;

/* An end that gives up must not leave the other one spinning. */
static void let_go(void) { atomic_store(&run_shared->phase, PHASE_DONE); }

/* Both ends come to their end, so that no shared memory is left behind. */
static void on_signal(int sig) { let_go(); }

static pid_t client_fork(struct client *c)
{
        pid_t parent = getpid();

        pid_t pid = fork();
        if (pid < 0)
                cmd_die("no process: %s", strerror(errno));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(1);
                atexit(let_go);
                client_main(c);
                fflush(NULL);
                _exit(0);
        }
        return pid;
}

void bench_duo_prepare(struct bench_duo *d)
{
        d->net = d->over == BENCH_KERNEL ? &bench_net_kernel : &bench_net_millrace;
        d->shared = mmap(NULL, sizeof *d->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (d->shared == MAP_FAILED)
                cmd_die("no memory");
        snprintf(d->device, sizeof d->device, "%s:bench-%d", d->over == BENCH_SHM ? "shm" : "loop", (int)getpid());
        run_shared = d->shared;
        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        bench_cores();                                  /* found out now, and then known to both */
        bench_tsc_hz();
}

void bench_duo_run(struct bench_duo *d, bench_end_fn server, bench_end_fn client)
{
        struct client c = { d, client };
        pthread_t thread;
        pid_t pid = 0;
        int rc, status = 0;

        bench_duo_prepare(d);
        if (d->over == BENCH_SHM)
                pid = client_fork(&c);
        else if ((rc = pthread_create(&thread, NULL, client_main, &c)) != 0)
                cmd_die("no thread: %s", strerror(rc));
        bench_pin(0);
        server(d);
        if (d->over == BENCH_SHM)
                waitpid(pid, &status, 0);
        else
                pthread_join(thread, NULL);
        down(d);
        if (status != 0)                        /* it has said why */
                exit(1);
}

/* ---- rounds ---- */

enum { ROUNDS_VS_KERNEL = 3 };

struct round {
        struct bench_duo duo;
        bench_measure_fn measure;
};

static void measure_round(const void *arg, void *result)
{
        struct round r = *(const struct round *)arg;
        r.measure(&r.duo, result);
}

static int compare_first(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

bool bench_rounds(const struct bench_duo *d, bool vs_kernel, bench_measure_fn measure, double ours[BENCH_VALUES],
                  double kernel[BENCH_VALUES])
{
        double seen[2][ROUNDS_VS_KERNEL][BENCH_VALUES];
        uint32_t rounds = vs_kernel ? ROUNDS_VS_KERNEL : 1;
        bool with_kernel = vs_kernel && bench_kernel_holds(d->conns);
        struct round us = { *d, measure };

        us.duo.seconds /= rounds;
        struct round them = us;
        them.duo.over = BENCH_KERNEL;
        them.duo.sparse = them.duo.one_thread = false;
        for (uint32_t i = 0; i < rounds; i++) {
                if (!bench_apart(measure_round, &us, seen[0][i], sizeof seen[0][i]))
                        return false;
                if (with_kernel && !bench_apart(measure_round, &them, seen[1][i], sizeof seen[1][i]))
                        return false;
        }
        qsort(seen[0], rounds, sizeof seen[0][0], compare_first);
        memcpy(ours, seen[0][rounds / 2], sizeof seen[0][0]);
        for (uint32_t i = 0; i < BENCH_VALUES; i++)
                kernel[i] = NAN;
        if (with_kernel) {
                qsort(seen[1], rounds, sizeof seen[1][0], compare_first);
                memcpy(kernel, seen[1][rounds / 2], sizeof seen[1][0]);
        }
        return true;
}

/* ---- the probe ---- */

enum { PROBE_ROUNDS = 50000, PROBE_TRIES = 3 };

struct probe {
        _Alignas(64) _Atomic uint32_t ping;
        _Alignas(64) _Atomic uint32_t pong;
};

/* On one core the two would wait for the scheduler at each step. */
static void probe_pause(bool alone)
{
        if (alone)
                sched_yield();
}

static void *probe_peer(void *arg)
{
        struct probe *p = arg;
        bool alone = bench_cores() == 1;

        bench_pin(1);
        for (uint32_t i = 1; i <= PROBE_ROUNDS; i++) {
                while (atomic_load_explicit(&p->ping, memory_order_acquire) != i)
                        probe_pause(alone);
                atomic_store_explicit(&p->pong, i, memory_order_release);
        }
        return NULL;
}

static double probe_once(void)
{
        static struct probe p;
        bool alone = bench_cores() == 1;
        pthread_t thread;

        atomic_store(&p.ping, 0);
        atomic_store(&p.pong, 0);
        if (pthread_create(&thread, NULL, probe_peer, &p) != 0)
                return 0;
        double began_s = bench_now_s();
        for (uint32_t i = 1; i <= PROBE_ROUNDS; i++) {
                atomic_store_explicit(&p.ping, i, memory_order_release);
                while (atomic_load_explicit(&p.pong, memory_order_acquire) != i)
                        probe_pause(alone);
        }
        double took_s = bench_now_s() - began_s;
        pthread_join(thread, NULL);
        return took_s / PROBE_ROUNDS * 1e9;
}

/* In a process of its own, so that the caller's threads stay where they are. */
static void probe(const void *arg, void *result)
{
        double best = HUGE_VAL;

        bench_pin(0);
        for (int i = 0; i < PROBE_TRIES; i++) {
                double ns = probe_once();
                best = ns < best ? ns : best;
        }
        *(double *)result = best;
}

double bench_cacheline_ns(void)
{
        double ns = 0;
        bench_apart(probe, NULL, &ns, sizeof ns);
        return ns;
}

void bench_probe_note(void)
{
        bench_note("a cache line goes from one core to the other and back in %.0f ns%s", bench_cacheline_ns(),
                   bench_cores() == 1 ? " (there is one core only)" : "");
}

void bench_events_for(const struct bench_duo *d, int ep, double seconds,
                      void (*event)(void *arg, uint32_t n, uint32_t events), void *arg)
{
        enum { EVENTS_MAX = 256, LOOK_EVERY = 64 };
        struct epoll_event evs[EVENTS_MAX];
        double until_s = bench_now_s() + seconds;

        for (uint32_t i = 0; i % LOOK_EVERY || bench_goes_on(d, until_s); i++) {
                int cnt = d->net->epoll_wait(ep, evs, EVENTS_MAX, 0);
                for (int k = 0; k < cnt; k++)
                        event(arg, (uint32_t)evs[k].data.u64, evs[k].events);
        }
}
