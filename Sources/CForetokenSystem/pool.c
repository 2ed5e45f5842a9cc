// Fork-join pool: one gate that all workers wait at, and one a worker that the caller waits at.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "affinity.h"
#include "gate.h"

/// Two 64-byte lines: the adjacent-line prefetcher pulls lines in pairs.
#define LINE 128

/// How long a worker spins for its next run. The serial stretches between the runs of a token (choosing experts,
/// sampling, streaming text) take microseconds, at most a few hundred; an engine that is silent for longer has stopped
/// generating, and from then on its workers use no CPU.
#define FORK_SPIN_NANOSECONDS 2000000
/// How long the caller spins for its workers. Shares are equal, so one that is this late has lost its core to another
/// process, and next to that a wake-up costs nothing.
#define JOIN_SPIN_NANOSECONDS 200000

typedef struct pool_worker {
    _Alignas(LINE) foretoken_gate done;
    int32_t index;
    int32_t cpu;  // -1: not pinned
    int pin_error;
    pthread_t thread;
    foretoken_pool *pool;
} pool_worker;

struct foretoken_pool {
    /// The line every waiting worker looks at; the work lies beside the gate so that one miss brings both.
    _Alignas(LINE) foretoken_gate fork;
    _Atomic(bool) spinning;
    int32_t count;
    foretoken_pool_entry entry;  // NULL: the threads end
    void *context;

    /// The caller's own.
    _Alignas(LINE) uint32_t sequence;
    bool pinned;
    bool may_spin;
    bool restore;
    pid_t creator;
    foretoken_cpu_mask creator_mask;

    pool_worker workers[];
};

static void *worker_main(void *argument) {
    pool_worker *self = argument;
    foretoken_pool *pool = self->pool;
    char name[16];
    snprintf(name, sizeof name, "foretoken-%02d", (int)self->index);
    pthread_setname_np(pthread_self(), name);
    if (self->cpu >= 0) self->pin_error = foretoken_pin_to(self->cpu);

    for (uint32_t sequence = 0;;) {
        foretoken_gate_open(&self->done, sequence);
        sequence = FORETOKEN_GATE_NEXT(sequence);
        foretoken_gate_wait(&pool->fork, sequence, &pool->spinning, FORK_SPIN_NANOSECONDS);
        if (pool->entry == NULL) return NULL;
        pool->entry(pool->context, self->index, pool->count);
    }
}

static void open_fork(foretoken_pool *pool, foretoken_pool_entry entry, void *context) {
    pool->sequence = FORETOKEN_GATE_NEXT(pool->sequence);
    pool->entry = entry;
    pool->context = context;
    foretoken_gate_open(&pool->fork, pool->sequence);
}

static void wait_for_workers(foretoken_pool *pool) {
    for (int32_t i = 1; i < pool->count; i++)
        foretoken_gate_wait(&pool->workers[i].done, pool->sequence, &pool->spinning, JOIN_SPIN_NANOSECONDS);
}

static void end_threads(foretoken_pool *pool, int32_t started) {
    open_fork(pool, NULL, NULL);
    for (int32_t i = 1; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
    free(pool);
}

/// Signals are blocked while the threads start, so that they inherit that and every signal reaches the program's own.
static int start_threads(foretoken_pool *pool, int32_t *started) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    for (*started = 1; *started < pool->count; ++*started) {
        pool_worker *worker = &pool->workers[*started];
        error = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (error) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static int check_cpus(int32_t threads, const int32_t *cpus) {
    foretoken_cpu_mask seen = {0};
    for (int32_t i = 0; i < threads; i++) {
        if (cpus[i] < 0 || cpus[i] >= FORETOKEN_MAX_CPUS) return EINVAL;
        size_t cpu = (size_t)cpus[i];
        if (CPU_ISSET_S(cpu, sizeof seen.sets, seen.sets)) return EINVAL;
        CPU_SET_S(cpu, sizeof seen.sets, seen.sets);
    }
    return 0;
}

static foretoken_pool *allocate_pool(int32_t threads, const int32_t *cpus) {
    size_t bytes = sizeof(foretoken_pool) + (size_t)threads * sizeof(pool_worker);
    foretoken_pool *pool = aligned_alloc(LINE, bytes);
    if (pool == NULL) return NULL;
    *pool = (foretoken_pool){.count = threads, .creator = (pid_t)syscall(SYS_gettid)};
    for (int32_t i = 0; i < threads; i++) {
        // Open for a number that no start-up or run waits for: the last one before the numbers wrap to 0.
        pool->workers[i] = (pool_worker){.index = i, .cpu = cpus ? cpus[i] : -1, .pool = pool};
        atomic_init(&pool->workers[i].done.word, UINT32_MAX & ~FORETOKEN_GATE_SLEEPER);
    }
    return pool;
}

int foretoken_pool_create(int32_t threads, const int32_t *cpus, foretoken_pool **result) {
    *result = NULL;
    if (threads < 1 || threads > FORETOKEN_MAX_CPUS) return EINVAL;
    int error = cpus ? check_cpus(threads, cpus) : 0;
    if (error) return error;
    foretoken_pool *pool = allocate_pool(threads, cpus);
    if (pool == NULL) return ENOMEM;
    error = foretoken_mask_get(0, &pool->creator_mask);
    if (error) {
        free(pool);
        return error;
    }
    int32_t started;
    error = start_threads(pool, &started);
    if (error) {
        end_threads(pool, started);
        return error;
    }
    wait_for_workers(pool);
    if (cpus) {
        // Last, because threads inherit their creator's mask.
        pool->workers[0].pin_error = foretoken_pin_to(cpus[0]);
        pool->restore = pool->workers[0].pin_error == 0;
        pool->pinned = true;
        for (int32_t i = 0; i < threads; i++) pool->pinned &= pool->workers[i].pin_error == 0;
    }
    pool->may_spin = pool->pinned && threads <= foretoken_mask_count(&pool->creator_mask);
    *result = pool;
    return 0;
}

void foretoken_pool_run(foretoken_pool *pool, foretoken_pool_entry entry, void *context) {
    if (pool->count == 1) {
        entry(context, 0, 1);
        return;
    }
    open_fork(pool, entry, context);
    entry(context, 0, pool->count);
    wait_for_workers(pool);
}

bool foretoken_pool_spin(foretoken_pool *pool, bool spin) {
    spin = spin && pool->may_spin;
    atomic_store_explicit(&pool->spinning, spin, memory_order_relaxed);
    return spin;
}

bool foretoken_pool_is_pinned(const foretoken_pool *pool) {
    return pool->pinned;
}

void foretoken_pool_destroy(foretoken_pool *pool) {
    if (pool == NULL) return;
    // By thread id, since the last owner may let go on another thread; a creator that has ended is no error.
    if (pool->restore) foretoken_mask_set(pool->creator, &pool->creator_mask);
    end_threads(pool, pool->count);
}
