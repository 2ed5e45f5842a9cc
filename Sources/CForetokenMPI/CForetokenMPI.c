// The only file that knows MPI. Built by SwiftPM as libforetoken-mpi.so, or by hand for a site's own MPI:
//     mpicc -O2 -shared -fPIC -D_GNU_SOURCE -ISources/CForetokenHosts/include -ISources/CForetokenMPI/include
//         -o libforetoken-mpi.so Sources/CForetokenMPI/CForetokenMPI.c
//
// After MPI_Init nothing waits inside MPI but MPI_Finalize: its own waiting spins without an end and has no deadline.
//
// For tests, FORETOKEN_FAULT=rank1:meeting5:kill lets rank 1 break as it comes to its fifth exchange or gather. Places:
// meeting, lead (a message led or followed), beat. Faults: kill (SIGKILL), stop (SIGSTOP), exit (code 7 without leaving
// MPI), hang (this thread alone). Open MPI hands it on to the ranks with -x FORETOKEN_FAULT.
#include "foretoken_mpi.h"

#include <stddef.h>

#if __has_include(<mpi.h>)
#include <errno.h>
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { LEAD_TAG = 1, EXCHANGE_TAG, GATHER_TAG, PING_TAG, BEAT_TAG };

/// Waiting that lasts longer asks less often. Microseconds.
enum { SHORT_SLEEP = 20, LONG_SLEEP = 500, LONGEST_SLEEP = 2000, FINAL_PAUSE = 100000 };
/// Nanoseconds of following after which it does.
#define LAZY_AFTER 20000000ll
#define LAZIEST_AFTER 1000000000ll
/// Nanoseconds in which a beat that MPI has announced must be here.
#define BEAT_PATIENCE 1000000000ll

typedef struct beat_numbers {
    int64_t numbers[FORETOKEN_BEAT_NUMBERS];
} beat_numbers;

static foretoken_hosts hosts;
/// MPI is called by one thread at a time (MPI_THREAD_SERIALIZED). Who waits gives the lock away while asleep.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char problem[MPI_MAX_ERROR_STRING + 64];

/// The requests of the call under way: [2 * count], with the rank that each needs.
static MPI_Request *requests;
static MPI_Status *statuses;
static int *partners;
static int request_count;
static bool *missing;

/// By rank: the beat on its way there, when the last one came from there, and the last one.
static MPI_Request *beats_out;
static beat_numbers *sent, *heard_last;
static int64_t *heard_at;

static struct {
    char place[16], act[16];
    long long number, count;
} fault;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/// Breaks when the time has come. The lock is not held.
static void break_at(const char *place) {
    if (!fault.number || strcmp(fault.place, place) || ++fault.count != fault.number) return;
    if (!strcmp(fault.act, "kill")) raise(SIGKILL);
    if (!strcmp(fault.act, "stop")) raise(SIGSTOP);
    if (!strcmp(fault.act, "exit")) _exit(7);
    if (!strcmp(fault.act, "hang"))
        for (;;) pause();
}

static foretoken_hosts_status broken(const char *what, int error) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(error, text, &length);
    snprintf(problem, sizeof problem, "%s: %s", what, text);
    return FORETOKEN_HOSTS_BROKEN;
}

static foretoken_hosts_status refused(const char *what) {
    snprintf(problem, sizeof problem, "%s", what);
    return FORETOKEN_HOSTS_BROKEN;
}

static void sleep_for(int64_t waited, bool lazily) {
    useconds_t microseconds = SHORT_SLEEP;
    if (lazily && waited > LAZY_AFTER) microseconds = waited > LAZIEST_AFTER ? LONGEST_SLEEP : LONG_SLEEP;
    pthread_mutex_unlock(&lock);
    usleep(microseconds);
    pthread_mutex_lock(&lock);
}

/// A wait that failed: the first error of its requests.
static foretoken_hosts_status broken_wait(int error) {
    for (int i = 0; error == MPI_ERR_IN_STATUS && i < request_count; i++) {
        int one = statuses[i].MPI_ERROR;
        if (one != MPI_SUCCESS && one != MPI_ERR_PENDING) error = one;
    }
    return broken("waiting", error);
}

/// Waits for the requests of the call under way.
static foretoken_hosts_status finish(int64_t patience, bool lazily) {
    int64_t start = now();
    for (;;) {
        int done = 0;
        int error = MPI_Testall(request_count, requests, &done, statuses);
        if (error != MPI_SUCCESS) return broken_wait(error);
        if (done) return FORETOKEN_HOSTS_MET;
        int64_t waited = now() - start;
        if (waited > patience) break;
        if (waited > hosts.spin_nanoseconds) sleep_for(waited, lazily);
    }
    memset(missing, 0, sizeof *missing * (size_t)hosts.count);
    for (int i = 0; i < request_count; i++) {
        int done = 0;
        if (MPI_Test(&requests[i], &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || !done) missing[partners[i]] = true;
    }
    return FORETOKEN_HOSTS_LATE;
}

// Sleeping 20 µs takes 70 with the kernel's usual slack.
static void begin(void) {
    static __thread bool is_punctual;
    if (!is_punctual) {
        prctl(PR_SET_TIMERSLACK, 1000);
        is_punctual = true;
    }
    pthread_mutex_lock(&lock);
    request_count = 0;
}

static foretoken_hosts_status end(foretoken_hosts_status status) {
    pthread_mutex_unlock(&lock);
    return status;
}

/// One more request of the call under way.
static foretoken_hosts_status send_to(int peer, const void *bytes, intptr_t count, int tag) {
    if (count < 0 || count > INT_MAX) return refused("a message is longer than 2 GiB");
    int error = MPI_Isend(bytes, (int)count, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &requests[request_count]);
    if (error != MPI_SUCCESS) return broken("sending", error);
    partners[request_count++] = peer;
    return FORETOKEN_HOSTS_MET;
}

static foretoken_hosts_status receive_from(int peer, void *bytes, intptr_t count, int tag) {
    if (count < 0) return refused("a message has no room");
    int room = count > INT_MAX ? INT_MAX : (int)count;
    int error = MPI_Irecv(bytes, room, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &requests[request_count]);
    if (error != MPI_SUCCESS) return broken("receiving", error);
    partners[request_count++] = peer;
    return FORETOKEN_HOSTS_MET;
}

static foretoken_hosts_status lead(const void *bytes, intptr_t byte_count, int64_t patience) {
    break_at("lead");
    begin();
    foretoken_hosts_status status = FORETOKEN_HOSTS_MET;
    for (int peer = 1; !status && peer < hosts.count; peer++) status = send_to(peer, bytes, byte_count, LEAD_TAG);
    return end(status ? status : finish(patience, false));
}

static foretoken_hosts_status follow(void *room, intptr_t capacity, intptr_t *byte_count, int64_t patience) {
    break_at("lead");
    begin();
    foretoken_hosts_status status = receive_from(0, room, capacity, LEAD_TAG);
    if (!status) status = finish(patience, true);
    int count = 0;
    if (!status) MPI_Get_count(&statuses[0], MPI_BYTE, &count);
    *byte_count = count;
    return end(status);
}

static char *part(void *bytes, const intptr_t *bounds, int rank) {
    return (char *)bytes + bounds[rank];
}

static intptr_t part_size(const intptr_t *bounds, int rank) {
    return bounds[rank + 1] - bounds[rank];
}

/// Posts what this rank gives to and takes from another one.
static foretoken_hosts_status give(int peer, void *bytes, const intptr_t *bounds, int tag) {
    intptr_t count = part_size(bounds, hosts.rank);
    return count ? send_to(peer, part(bytes, bounds, hosts.rank), count, tag) : FORETOKEN_HOSTS_MET;
}

static foretoken_hosts_status take(int peer, void *bytes, const intptr_t *bounds, int tag) {
    intptr_t count = part_size(bounds, peer);
    if (count > INT_MAX) return refused("a part is longer than 2 GiB");
    return count ? receive_from(peer, part(bytes, bounds, peer), count, tag) : FORETOKEN_HOSTS_MET;
}

// Everyone with everyone at once: quicker than the libraries' rings for so few hosts.
static foretoken_hosts_status exchange(void *bytes, const intptr_t *bounds, int64_t patience) {
    break_at("meeting");
    begin();
    foretoken_hosts_status status = FORETOKEN_HOSTS_MET;
    for (int step = 1; !status && step < hosts.count; step++)
        status = take((hosts.rank + hosts.count - step) % hosts.count, bytes, bounds, EXCHANGE_TAG);
    for (int step = 1; !status && step < hosts.count; step++)
        status = give((hosts.rank + step) % hosts.count, bytes, bounds, EXCHANGE_TAG);
    // Who waits for a load to end waits for minutes.
    return end(status ? status : finish(patience, patience == FORETOKEN_HOSTS_PATIENT));
}

static foretoken_hosts_status gather(void *bytes, const intptr_t *bounds, int64_t patience) {
    break_at("meeting");
    begin();
    foretoken_hosts_status status = FORETOKEN_HOSTS_MET;
    if (hosts.rank) status = give(0, bytes, bounds, GATHER_TAG);
    for (int peer = 1; !status && !hosts.rank && peer < hosts.count; peer++)
        status = take(peer, bytes, bounds, GATHER_TAG);
    return end(status ? status : finish(patience, false));
}

static foretoken_hosts_status ping(int32_t peer, void *bytes, intptr_t byte_count, int32_t rounds, int64_t *nanoseconds,
                                   int64_t patience) {
    int other = hosts.rank ? 0 : peer;
    foretoken_hosts_status status = FORETOKEN_HOSTS_MET;
    begin();
    for (int32_t round = 0; !status && round < rounds; round++) {
        int64_t start = now();
        for (int half = 0; !status && half < 2; half++) {
            request_count = 0;
            status = half == (hosts.rank != 0) ? send_to(other, bytes, byte_count, PING_TAG)
                                               : receive_from(other, bytes, byte_count, PING_TAG);
            if (!status) status = finish(patience, false);
        }
        if (nanoseconds) nanoseconds[round] = now() - start;
    }
    return end(status);
}

/// Takes the beats that have come from a rank.
static foretoken_hosts_status listen_to(int peer) {
    for (;;) {
        int announced = 0, done = 0;
        int error = MPI_Iprobe(peer, BEAT_TAG, MPI_COMM_WORLD, &announced, MPI_STATUS_IGNORE);
        if (error == MPI_SUCCESS && !announced) return FORETOKEN_HOSTS_MET;
        MPI_Request request = MPI_REQUEST_NULL;
        if (error == MPI_SUCCESS)
            error = MPI_Irecv(&heard_last[peer], sizeof(beat_numbers), MPI_BYTE, peer, BEAT_TAG, MPI_COMM_WORLD, &request);
        for (int64_t start = now(); error == MPI_SUCCESS && !done && now() - start < BEAT_PATIENCE;)
            error = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (error != MPI_SUCCESS) return broken("taking a sign of life", error);
        if (!done) return refused("a sign of life was announced but did not come");
        heard_at[peer] = now();
    }
}

static foretoken_hosts_status speak_to(int peer, const int64_t *own) {
    int done = 1;
    int error = MPI_SUCCESS;
    if (beats_out[peer] != MPI_REQUEST_NULL) error = MPI_Test(&beats_out[peer], &done, MPI_STATUS_IGNORE);
    if (error == MPI_SUCCESS && done) {
        memcpy(&sent[peer], own, sizeof sent[peer]);
        error = MPI_Isend(&sent[peer], sizeof sent[peer], MPI_BYTE, peer, BEAT_TAG, MPI_COMM_WORLD, &beats_out[peer]);
    }
    return error == MPI_SUCCESS ? FORETOKEN_HOSTS_MET : broken("sending a sign of life", error);
}

static foretoken_hosts_status beat(const int64_t *own, int64_t *heard, int64_t *silence) {
    break_at("beat");
    pthread_mutex_lock(&lock);
    foretoken_hosts_status status = FORETOKEN_HOSTS_MET;
    int first = hosts.rank ? 0 : 1, past = hosts.rank ? 1 : hosts.count;
    for (int peer = first; !status && peer < past; peer++) {
        status = speak_to(peer, own);
        if (!heard_at[peer]) heard_at[peer] = now();
        if (!status) status = listen_to(peer);
        memcpy(heard + peer * FORETOKEN_BEAT_NUMBERS, &heard_last[peer], sizeof heard_last[peer]);
        silence[peer] = now() - heard_at[peer];
    }
    return end(status);
}

static void give_up(int32_t code) {
    // Somebody may hold the lock and hang.
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    pthread_mutex_timedlock(&lock, &until);
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

static foretoken_hosts_status leave(void) {
    pthread_mutex_lock(&lock);
    foretoken_hosts_status status = FORETOKEN_HOSTS_MET;
    for (int peer = 0; peer < hosts.count; peer++) {
        if (peer != hosts.rank) status = listen_to(peer);
        if (beats_out[peer] != MPI_REQUEST_NULL) MPI_Request_free(&beats_out[peer]);
    }
    // MPICH 4.0.2 over UCX's TCP mostly hangs in MPI_Finalize when three ranks come there the moment they have last met, and
    // has not been seen to after a pause.
    usleep(FINAL_PAUSE);
    int error = MPI_Finalize();
    if (error != MPI_SUCCESS) status = refused("MPI_Finalize failed");
    free(requests), free(statuses), free(partners), free(missing);
    free(beats_out), free(sent), free(heard_last), free(heard_at);
    return end(status);
}

/// FORETOKEN_FAULT, if it is for this rank. Returns whether it can be understood.
static bool read_fault(void) {
    const char *text = getenv("FORETOKEN_FAULT");
    if (!text || !*text) return true;
    int rank = 0, length = 0;
    if (sscanf(text, "rank%d:%15[a-z]%lld:%15[a-z]%n", &rank, fault.place, &fault.number, fault.act, &length) != 4)
        return false;
    if (rank != hosts.rank) fault.number = 0;
    static const char *const words[] = {"meeting", "lead", "beat", "kill", "stop", "exit", "hang"};
    int known = 0;
    for (int i = 0; i < 7; i++) known += !strcmp(words[i], i < 3 ? fault.place : fault.act);
    return known == 2 && fault.number >= 0 && !text[length];
}

static bool allocate(void) {
    size_t count = (size_t)hosts.count;
    requests = calloc(2 * count, sizeof *requests);
    statuses = calloc(2 * count, sizeof *statuses);
    partners = calloc(2 * count, sizeof *partners);
    missing = calloc(count, sizeof *missing);
    beats_out = calloc(count, sizeof *beats_out);
    sent = calloc(count, sizeof *sent);
    heard_last = calloc(count, sizeof *heard_last);
    heard_at = calloc(count, sizeof *heard_at);
    if (!requests || !statuses || !partners || !missing || !beats_out || !sent || !heard_last || !heard_at) return false;
    for (size_t rank = 0; rank < count; rank++) beats_out[rank] = MPI_REQUEST_NULL;
    return true;
}

static void name_library(void) {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    // "Open MPI v4.1.4, package: …" and "MPICH Version:\t4.0.2\nMPICH Release date: …".
    text[strcspn(text, "\n,")] = 0;
    size_t end = 0;
    for (const char *from = text; *from && end < sizeof hosts.library - 1; from++) {
        bool is_space = *from == ' ' || *from == '\t';
        if (is_space && (!end || hosts.library[end - 1] == ' ')) continue;
        hosts.library[end++] = is_space ? ' ' : *from;
    }
}

foretoken_hosts *foretoken_hosts_open(const char **reason) {
    // Above its own limit of 64 KB Open MPI asks the receiver first, which doubles the time of a few rows over TCP.
    setenv("OMPI_MCA_btl_tcp_eager_limit", "1048576", 0);
    int provided = MPI_THREAD_SINGLE;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
        *reason = "MPI_Init_thread failed";
        return NULL;
    }
    if (provided < MPI_THREAD_SERIALIZED) {
        *reason = "this MPI cannot be called by more than one thread (MPI_THREAD_SERIALIZED)";
        return NULL;
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    hosts = (foretoken_hosts){
        .version = FORETOKEN_HOSTS_VERSION,
        .problem = problem,
        .spin_nanoseconds = 30000,
        .lead = lead,
        .follow = follow,
        .exchange = exchange,
        .gather = gather,
        .ping = ping,
        .beat = beat,
        .abort = give_up,
        .close = leave,
    };
    MPI_Comm_rank(MPI_COMM_WORLD, &hosts.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &hosts.count);
    name_library();
    if (!allocate()) {
        *reason = "there is no memory";
        return NULL;
    }
    hosts.missing = missing;
    if (!read_fault()) {
        *reason = "FORETOKEN_FAULT must look like rank1:meeting5:kill";
        return NULL;
    }
    return &hosts;
}

#else

foretoken_hosts *foretoken_hosts_open(const char **reason) {
    *reason = "it was built without MPI; install libopenmpi-dev (or libmpich-dev) and build again";
    return NULL;
}

#endif
