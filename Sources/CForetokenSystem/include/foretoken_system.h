// What Swift cannot say on Linux: a fork-join worker pool, thread affinity, memory policy, signals, the clock and plain
// reads that measure memory.
//
// Functions that can fail return 0 or an errno value; none of them prints.
#ifndef FORETOKEN_SYSTEM_H
#define FORETOKEN_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// CPU numbers and worker counts stay below this (the kernel's own limit, CONFIG_NR_CPUS, is 8192).
#define FORETOKEN_MAX_CPUS 8192
/// Node numbers stay below this (the kernel's limit, MAX_NUMNODES, is 1024).
#define FORETOKEN_MAX_NODES 1024

// Worker pool ---------------------------------------------------------------------------------------------------------

/// A fixed set of threads that all execute the same function and meet again at its end.
typedef struct foretoken_pool foretoken_pool;

/// One worker's share of a run: `worker` in [0, workers).
typedef void (*foretoken_pool_entry)(void *context, int32_t worker, int32_t workers);

/// Makes a pool of `threads` workers; worker 0 is the thread that calls `foretoken_pool_run`, the others start here.
/// With `cpus`, `threads` distinct CPU numbers, worker i is pinned to cpus[i] and worker 0 is the thread that calls
/// create; a pin the system refuses is not an error, see `foretoken_pool_is_pinned`. With NULL nothing is pinned.
/// `teams`: each worker's team, from 0 on in ascending order without gaps; workers of a team meet among themselves
/// before the teams meet, so a team should be a NUMA node's workers. NULL puts all into one.
/// EINVAL: threads outside 1...FORETOKEN_MAX_CPUS, a CPU number that is repeated or out of range, teams out of order.
/// EAGAIN, ENOMEM.
int foretoken_pool_create(int32_t threads, const int32_t *cpus, const int32_t *teams, foretoken_pool **pool);

/// Calls entry(context, worker, workers) once on every worker and returns when all calls have returned. What the caller
/// wrote before is visible to every worker, and what they wrote is visible afterwards. Allocates nothing. One run at a
/// time, and never from inside an entry.
void foretoken_pool_run(foretoken_pool *pool, foretoken_pool_entry entry, void *context);

/// By team: how long it has waited for the last team to finish, over all runs so far. Zero for a single team.
void foretoken_pool_waits(const foretoken_pool *pool, int64_t *nanoseconds);

/// Lets waiting threads spin for a bounded time before they sleep. Returns whether they do from now on: a pool that is
/// not pinned, or that has more threads than its creator had CPUs, never spins.
bool foretoken_pool_spin(foretoken_pool *pool, bool spin);

/// Whether CPUs were given and every worker runs on its own.
bool foretoken_pool_is_pinned(const foretoken_pool *pool);

/// Ends the threads and gives the creating thread its old CPU mask back. No run may be under way. NULL is allowed.
void foretoken_pool_destroy(foretoken_pool *pool);

// Affinity ------------------------------------------------------------------------------------------------------------

/// Writes the CPUs the calling thread may use, ascending, into cpus[FORETOKEN_MAX_CPUS] and their number into `count`.
int foretoken_affinity_get(int32_t *cpus, int32_t *count);

// Memory policy -------------------------------------------------------------------------------------------------------

/// Pages of [address, address + bytes) touched from now on come from nodes[0] when `count` is 1, page by page in turn
/// from all of them otherwise; from the nearest node with room when these are full. (Strict binding would end in the OOM
/// killer instead.) `address` is page-aligned. EINVAL: a number out of range, a node without memory, or outside the
/// process's cpuset.
int foretoken_memory_bind(void *address, size_t bytes, const int32_t *nodes, int32_t count);

/// The node of the page at address + i · stride for each i below `count`, or a negative errno value where there is no
/// page. The memory is readable. A page of unknown place is touched and asked about again a few times, since the kernel
/// loses sight of pages that migrate.
int foretoken_page_nodes(const void *address, size_t count, size_t stride, int32_t *nodes);

/// Makes the pages of fresh memory real, 4 MiB at a time, and checks after each piece that it lies on the `count` nodes;
/// a `count` of 0 checks nothing. Both ends are page-aligned. `placed` is the number of bytes that are in place. On
/// failure the piece that failed is given back. ENOSPC: the nodes are full, or, for memory that is not bound, the calling
/// thread is on another node. ENOMEM: no memory anywhere. EPERM, ENOSYS: asking where pages lie is denied.
int foretoken_memory_populate(void *address, size_t bytes, const int32_t *nodes, int32_t count, size_t *placed);

// Interrupts ----------------------------------------------------------------------------------------------------------

/// SIGINT and SIGTERM now end the process at once with status 130, until install is called: as the kernel's own way, but
/// also for the first process of a container. A signal that was ignored when the process started (nohup, shell
/// background jobs) stays ignored.
int foretoken_interrupts_end_at_once(void);

/// SIGINT and SIGTERM now set a flag; another one while it is set ends the process with status 130. Ignored signals stay
/// ignored. Blocking calls return EINTR in the thread that the signal came to. EMFILE, ENFILE, ENOMEM.
int foretoken_interrupts_install(void);

/// Whether a signal came since install or the last reset.
bool foretoken_interrupts_requested(void);

/// Forgets the signal that came, unless it was SIGTERM.
void foretoken_interrupts_reset(void);

/// Lets a terminal hand on every key at once and show none itself, until `foretoken_terminal_release`. Whatever ends or stops
/// the process meanwhile, but for SIGKILL, SIGSTOP and signals that nobody sends to a program like this, puts the usual state back
/// first; when the process goes on in the foreground, its own is taken again. What is typed between two states is kept. In the
/// background the state is only noted. The first call may not race with others.
/// - `input`: the terminal's descriptor; `output`: where sequences for it are written.
/// - `takes_all_keys`: whether Ctrl-C, Ctrl-Z and Ctrl-backslash are keys like others; else they are signals. From the first time on pastes
///   are marked.
/// - Returns 0, or an `errno` value.
int foretoken_terminal_hold(int input, int output, bool takes_all_keys);

/// Puts the usual state back.
void foretoken_terminal_release(void);

/// Waits until reading would not block, or has failed. EINTR: a signal came since install or the last reset, to whichever
/// thread. EINVAL, ENOMEM.
int foretoken_wait_readable(int descriptor);

/// Writing to a closed pipe returns EPIPE, and beyond the limit of file sizes (ulimit -f) EFBIG, instead of killing the
/// process.
int foretoken_ignore_write_signals(void);

// Stacks --------------------------------------------------------------------------------------------------------------

/// Stacks of threads that are made from now on without a size of their own, whatever `ulimit -s` says. EINVAL, ENOMEM.
int foretoken_set_new_stacks(size_t bytes);

// Files ---------------------------------------------------------------------------------------------------------------

/// Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed, so that no file opened later is taken for
/// standard input, output or error: reading them then gives the end of the input, writing to them EBADF as before.
/// Whatever open returns where /dev/null cannot be opened.
int foretoken_fill_standard_descriptors(void);

/// Renames `from`, but never over something else: EEXIST where `to` is there. File systems that cannot do both at once are
/// asked first. Otherwise as rename.
int foretoken_rename_exclusive(const char *from, const char *to);

// Clock ---------------------------------------------------------------------------------------------------------------

/// CLOCK_MONOTONIC in nanoseconds.
int64_t foretoken_monotonic_nanoseconds(void);

// Probes --------------------------------------------------------------------------------------------------------------

/// For each call 0 where it works here, else an errno value: EPERM where a container's seccomp filter denies it, ENOSYS
/// in kernels without NUMA.
typedef struct foretoken_permissions {
    int32_t mbind;
    int32_t set_mempolicy;
    int32_t get_mempolicy;
    /// move_pages that only asks where pages lie.
    int32_t page_nodes;
    /// move_pages that moves them.
    int32_t move_pages;
    /// sched_setaffinity.
    int32_t affinity;
} foretoken_permissions;

/// Tries every call, with the first allowed node as the target where one is needed. Changes nothing that outlives it.
/// ENOMEM.
int foretoken_probe_permissions(foretoken_permissions *permissions);

/// Bytes of address space the process may have (ulimit -v), UINT64_MAX without a limit.
uint64_t foretoken_address_space_limit(void);

// Memory speed --------------------------------------------------------------------------------------------------------

/// Reads `bytes` bytes once, sequentially, with AVX2 where there is that; returns a checksum. The roof that weight
/// streaming is compared with.
uint64_t foretoken_read_bandwidth(const void *memory, size_t bytes);

/// Links all 64-byte lines of `memory` into one random ring: the first word of a line is the address of the next.
/// `memory` is 64-byte aligned and holds at least one line.
void foretoken_chase_prepare(void *memory, size_t bytes, uint64_t seed);

/// Follows such a ring for `steps` steps, each of which waits for the one before; returns where it ends.
const void *foretoken_chase(const void *start, size_t steps);

#endif
