#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "foretoken_system.h"

// A signal's disposition belongs to the process, and so does this flag: the one global of the project.
static _Atomic(bool) requested;

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "a signal handler may not take a lock");

static void on_interrupt(int signal) {
    (void)signal;
    if (atomic_exchange_explicit(&requested, true, memory_order_relaxed)) _exit(130);
}

static int handle(int signal) {
    struct sigaction before;
    if (sigaction(signal, NULL, &before)) return errno;
    if (before.sa_handler == SIG_IGN) return 0;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, NULL) ? errno : 0;
}

int foretoken_interrupts_install(void) {
    int error = handle(SIGINT);
    return error ? error : handle(SIGTERM);
}

bool foretoken_interrupts_requested(void) {
    return atomic_load_explicit(&requested, memory_order_relaxed);
}

void foretoken_interrupts_reset(void) {
    atomic_store_explicit(&requested, false, memory_order_relaxed);
}

int foretoken_ignore_broken_pipes(void) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGPIPE, &action, NULL) ? errno : 0;
}
