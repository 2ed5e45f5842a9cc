// Fork-join pool in two levels: a gate for each team of workers to wait at, so that a start travels between nodes once a
// team, and behind it one a worker that the first of its team waits at, and one a team that the caller waits at.
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
/// A worker's stack in bytes, which would follow `ulimit -s` otherwise. Kernels put up to 200 kilobytes on it and Swift's
/// code without optimization some more; what is not touched takes address space only.
#define STACK_BYTES (2 << 20)

typedef struct pool_worker {
    _Alignas(LINE) foretoken_gate done;
    int32_t index;
    int32_t team;
    int32_t cpu;  // -1: not pinned
    int pin_error;
    pthread_t thread;
    foretoken_pool *pool;
} pool_worker;

typedef struct pool_team {
    /// The line every waiting worker looks at; the work lies beside the gate so that one miss brings both.
    _Alignas(LINE) foretoken_gate fork;
    foretoken_pool_entry entry;  // NULL: the threads end
    void *context;

    /// Opened by the team's first worker when all its workers have finished.
    _Alignas(LINE) foretoken_gate done;
    int64_t finished;  // when that was
    int64_t waited;

    int32_t first, end;  // workers
} pool_team;

struct foretoken_pool {
    _Alignas(LINE) _Atomic(bool) spinning;
    int32_t count;
    int32_t team_count;
    pool_team *teams;

    /// The caller's own.
    _Alignas(LINE) uint32_t sequence;
    bool pinned;
    bool may_spin;
    bool restore;
    pid_t creator;
    foretoken_cpu_mask creator_mask;

    pool_worker workers[];
};

static void wait_for_members(foretoken_pool *pool, pool_team *team, uint32_t sequence) {
    for (int32_t i = team->first + 1; i < team->end; i++)
        foretoken_gate_wait(&pool->workers[i].done, sequence, &pool->spinning, JOIN_SPIN_NANOSECONDS);
    if (pool->team_count > 1) team->finished = foretoken_monotonic_nanoseconds();
}

static void *worker_main(void *argument) {
    pool_worker *self = argument;
    foretoken_pool *pool = self->pool;
    pool_team *team = &pool->teams[self->team];
    bool leads = self->index == team->first;
    char name[16];
    snprintf(name, sizeof name, "foretoken-%02d", (int)self->index);
    pthread_setname_np(pthread_self(), name);
    if (self->cpu >= 0) self->pin_error = foretoken_pin_to(self->cpu);
    foretoken_gate_open(&self->done, 0);

    for (uint32_t sequence = FORETOKEN_GATE_NEXT(0);; sequence = FORETOKEN_GATE_NEXT(sequence)) {
        foretoken_gate_wait(&team->fork, sequence, &pool->spinning, FORK_SPIN_NANOSECONDS);
        if (team->entry == NULL) return NULL;
        team->entry(team->context, self->index, pool->count);
        if (leads) wait_for_members(pool, team, sequence);
        foretoken_gate_open(leads ? &team->done : &self->done, sequence);
    }
}

static void open_forks(foretoken_pool *pool, foretoken_pool_entry entry, void *context) {
    pool->sequence = FORETOKEN_GATE_NEXT(pool->sequence);
    for (int32_t t = pool->team_count - 1; t >= 0; t--) {
        pool_team *team = &pool->teams[t];
        team->entry = entry;
        team->context = context;
        foretoken_gate_open(&team->fork, pool->sequence);
    }
}

/// Adds to each team's waiting time what it waited for the last one.
static void count_waits(foretoken_pool *pool) {
    int64_t last = INT64_MIN;
    for (int32_t t = 0; t < pool->team_count; t++)
        if (pool->teams[t].finished > last) last = pool->teams[t].finished;
    for (int32_t t = 0; t < pool->team_count; t++) pool->teams[t].waited += last - pool->teams[t].finished;
}

static void wait_for_all(foretoken_pool *pool) {
    wait_for_members(pool, &pool->teams[0], pool->sequence);
    for (int32_t t = 1; t < pool->team_count; t++)
        foretoken_gate_wait(&pool->teams[t].done, pool->sequence, &pool->spinning, JOIN_SPIN_NANOSECONDS);
    if (pool->team_count > 1) count_waits(pool);
}

static void release(foretoken_pool *pool) {
    free(pool->teams);
    free(pool);
}

static void end_threads(foretoken_pool *pool, int32_t started) {
    open_forks(pool, NULL, NULL);
    for (int32_t i = 1; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
    release(pool);
}

/// Signals are blocked while the threads start, so that they inherit that and every signal reaches the program's own.
static int start_threads(foretoken_pool *pool, int32_t *started) {
    *started = 1;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error) return error;
    error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (error == 0 && *started < pool->count) {
        pool_worker *worker = &pool->workers[*started];
        error = pthread_create(&worker->thread, &attributes, worker_main, worker);
        if (error == 0) ++*started;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
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

/// Teams are numbered in the order of their workers.
static int check_teams(int32_t threads, const int32_t *teams) {
    for (int32_t i = 0; i < threads; i++) {
        int32_t before = i ? teams[i - 1] : 0;
        if (teams[i] != before && (i == 0 || teams[i] != before + 1)) return EINVAL;
    }
    return 0;
}

static foretoken_pool *allocate_pool(int32_t threads, const int32_t *cpus, const int32_t *teams) {
    int32_t team_count = teams ? teams[threads - 1] + 1 : 1;
    foretoken_pool *pool = aligned_alloc(LINE, sizeof(foretoken_pool) + (size_t)threads * sizeof(pool_worker));
    pool_team *lines = aligned_alloc(LINE, (size_t)team_count * sizeof(pool_team));
    if (pool == NULL || lines == NULL) {
        free(pool);
        free(lines);
        return NULL;
    }
    *pool = (foretoken_pool){.count = threads, .team_count = team_count, .teams = lines};
    pool->creator = (pid_t)syscall(SYS_gettid);
    for (int32_t t = 0; t < team_count; t++) lines[t] = (pool_team){.first = threads};
    for (int32_t i = 0; i < threads; i++) {
        int32_t team = teams ? teams[i] : 0;
        // Open for a number that no start-up or run waits for: the last one before the numbers wrap to 0.
        pool->workers[i] = (pool_worker){.index = i, .team = team, .cpu = cpus ? cpus[i] : -1, .pool = pool};
        atomic_init(&pool->workers[i].done.word, UINT32_MAX & ~FORETOKEN_GATE_SLEEPER);
        if (i < lines[team].first) lines[team].first = i;
        lines[team].end = i + 1;
    }
    return pool;
}

/// Every worker says for itself that it has started: after a failure there may be no first of its team to say so.
static void wait_for_start(foretoken_pool *pool) {
    for (int32_t i = 1; i < pool->count; i++)
        foretoken_gate_wait(&pool->workers[i].done, 0, &pool->spinning, JOIN_SPIN_NANOSECONDS);
}

int foretoken_pool_create(int32_t threads, const int32_t *cpus, const int32_t *teams, foretoken_pool **result) {
    *result = NULL;
    if (threads < 1 || threads > FORETOKEN_MAX_CPUS) return EINVAL;
    int error = cpus ? check_cpus(threads, cpus) : 0;
    if (error == 0 && teams) error = check_teams(threads, teams);
    if (error) return error;
    foretoken_pool *pool = allocate_pool(threads, cpus, teams);
    if (pool == NULL) return ENOMEM;
    error = foretoken_mask_get(0, &pool->creator_mask);
    if (error) {
        release(pool);
        return error;
    }
    int32_t started;
    error = start_threads(pool, &started);
    if (error) {
        end_threads(pool, started);
        return error;
    }
    wait_for_start(pool);
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
    open_forks(pool, entry, context);
    entry(context, 0, pool->count);
    wait_for_all(pool);
}

void foretoken_pool_waits(const foretoken_pool *pool, int64_t *nanoseconds) {
    for (int32_t t = 0; t < pool->team_count; t++) nanoseconds[t] = pool->teams[t].waited;
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
