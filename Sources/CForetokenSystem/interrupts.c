#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "foretoken_system.h"
#include "terminal.h"

// A signal's disposition belongs to the process, and so do these; with the state of its terminal the only globals of the
// project.
static _Atomic(bool) requested;
// Whether the end of the process was asked for, which is not forgotten.
static _Atomic(bool) is_last;
// Whether the first request is only noted.
static _Atomic(bool) patient;
// Becomes readable with a request, so that waits end whichever thread the signal came to; -1 before install.
static _Atomic(int) bell = -1;

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "a signal handler may not take a lock");

static void on_interrupt(int signal) {
    if (signal == SIGTERM) atomic_store_explicit(&is_last, true, memory_order_relaxed);
    bool is_first = atomic_load_explicit(&patient, memory_order_relaxed)
        && !atomic_exchange_explicit(&requested, true, memory_order_relaxed);
    if (!is_first) {
        foretoken_terminal_put_back();
        _exit(130);
    }
    int saved = errno;
    uint64_t one = 1;
    if (write(atomic_load_explicit(&bell, memory_order_relaxed), &one, sizeof one) < 0) errno = saved;
}

static int handle(int signal) {
    struct sigaction before;
    if (sigaction(signal, NULL, &before)) return errno;
    if (before.sa_handler == SIG_IGN) return 0;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, NULL) ? errno : 0;
}

int foretoken_interrupts_end_at_once(void) {
    int error = handle(SIGINT);
    return error ? error : handle(SIGTERM);
}

int foretoken_interrupts_install(void) {
    if (atomic_load(&bell) < 0) {
        int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (made < 0) return errno;
        int none = -1;
        if (!atomic_compare_exchange_strong(&bell, &none, made)) close(made);
    }
    atomic_store(&patient, true);
    return foretoken_interrupts_end_at_once();
}

bool foretoken_interrupts_requested(void) {
    return atomic_load_explicit(&requested, memory_order_relaxed);
}

/// Takes the bell's ring away.
static void silence(int descriptor) {
    uint64_t rings;
    while (descriptor >= 0 && read(descriptor, &rings, sizeof rings) < 0 && errno == EINTR) {}
}

void foretoken_interrupts_reset(void) {
    if (atomic_load_explicit(&is_last, memory_order_relaxed)) return;
    atomic_store_explicit(&requested, false, memory_order_relaxed);
    silence(atomic_load(&bell));
}

int foretoken_wait_readable(int descriptor) {
    // A negative descriptor is passed over.
    int rings = atomic_load(&bell);
    struct pollfd waits[2] = {{.fd = descriptor, .events = POLLIN}, {.fd = rings, .events = POLLIN}};
    while (!foretoken_interrupts_requested()) {
        if (poll(waits, 2, -1) < 0) {
            if (errno != EINTR) return errno;
        } else if (waits[1].revents) {
            // Rung for a request that was reset meanwhile.
            if (!foretoken_interrupts_requested()) silence(rings);
        } else if (waits[0].revents) {
            return 0;
        }
    }
    return EINTR;
}

int foretoken_ignore_write_signals(void) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGPIPE, &action, NULL)) return errno;
    return sigaction(SIGXFSZ, &action, NULL) ? errno : 0;
}
