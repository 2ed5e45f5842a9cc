// What the engine needs of MPI, and nothing else: the struct that the plugin libforetoken-mpi.so fills in. No type of MPI's
// is in it, so that the program is built and runs without MPI, and works with any MPI whose plugin lies beside it.
#ifndef FORETOKEN_HOSTS_H
#define FORETOKEN_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Version of this struct and of what the plugin sends. A plugin of another one is refused.
#define FORETOKEN_HOSTS_VERSION 1
/// Waits as long as it takes.
static const int64_t FORETOKEN_HOSTS_PATIENT = INT64_MAX;
/// Numbers in a beat.
#define FORETOKEN_BEAT_NUMBERS 2

/// How a call ended. After anything but MET the hosts can do nothing more together.
typedef enum foretoken_hosts_status {
    FORETOKEN_HOSTS_MET = 0,
    /// Somebody did not come in time: see `missing`.
    FORETOKEN_HOSTS_LATE = 1,
    /// MPI reported an error: see `problem`.
    FORETOKEN_HOSTS_BROKEN = 2,
} foretoken_hosts_status;

/// A run's hosts, one MPI rank each. All make the same calls in the same order, but that rank 0 leads where the others
/// follow, and `beat`, which may come at any time from one further thread. Otherwise one call at a time, from any thread.
/// No call waits inside MPI: each asks, spins for `spin_nanoseconds` and sleeps between further questions. `patience`: most
/// nanoseconds to wait.
typedef struct foretoken_hosts {
    /// FORETOKEN_HOSTS_VERSION of the plugin.
    int32_t version;
    /// This host's number, from 0.
    int32_t rank;
    int32_t count;
    /// What the library calls itself, "Open MPI v4.1.4".
    char library[128];
    /// [count] Whether rank r was missing, after LATE.
    const bool *missing;
    /// After BROKEN: what MPI said.
    const char *problem;
    /// How long waiting spins before it sleeps; the engine may change it between calls.
    int64_t spin_nanoseconds;

    /// Rank 0 sends a message to all others.
    foretoken_hosts_status (*lead)(const void *bytes, intptr_t byte_count, int64_t patience);
    /// The others wait for it, ever more lazily. `room` has `capacity` bytes; a longer message is BROKEN.
    foretoken_hosts_status (*follow)(void *room, intptr_t capacity, intptr_t *byte_count, int64_t patience);
    /// Rank r has bytes bounds[r] ..< bounds[r + 1], some or none; afterwards all have all. bounds: [count + 1], ascending.
    foretoken_hosts_status (*exchange)(void *bytes, const intptr_t *bounds, int64_t patience);
    /// The same, but only rank 0 has all afterwards.
    foretoken_hosts_status (*gather)(void *bytes, const intptr_t *bounds, int64_t patience);
    /// For rank 0 and rank `peer` only: bytes go there and back, `rounds` times. nanoseconds[rounds]: each round's time, on
    /// rank 0; may be NULL on the peer.
    foretoken_hosts_status (*ping)(int32_t peer, void *bytes, intptr_t byte_count, int32_t rounds, int64_t *nanoseconds,
                                   int64_t patience);
    /// Sends a sign of life, own[FORETOKEN_BEAT_NUMBERS], without waiting: rank 0 to all others, they to rank 0. Then takes
    /// what has come from there: heard[count][FORETOKEN_BEAT_NUMBERS] are the last ones, silence[count] the nanoseconds
    /// since (since the first call, before anything came). What is not listened to stays as it is.
    foretoken_hosts_status (*beat)(const int64_t *own, int64_t *heard, int64_t *silence);
    /// Ends all ranks with an exit code. Does not return. From any thread, whatever others are doing.
    void (*abort)(int32_t code);
    /// Leaves MPI; all ranks do. Waits for them inside MPI, without a limit.
    foretoken_hosts_status (*close)(void);
} foretoken_hosts;

/// The plugin's only symbol, "foretoken_hosts_open": joins the ranks that the launcher started. NULL, and why, when that is
/// not possible. Once in a process.
typedef foretoken_hosts *(*foretoken_hosts_opener)(const char **reason);

/// The process ends in so many seconds, from a signal handler: it says `text` on standard error, unless NULL, and leaves the
/// exit code. So there is an end even where MPI hangs. Later calls replace earlier ones.
void foretoken_end_within(uint32_t seconds, int32_t code, const char *text);

/// The process does not end after all.
void foretoken_stay(void);

#ifdef __cplusplus
}
#endif

#endif
