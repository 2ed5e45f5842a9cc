#include "terminal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "foretoken_system.h"

// A terminal's state outlives the process, so whatever ends the process must find what it was.
static _Atomic(int) held = -1;
static int shown = -1;
static struct termios usual, own;
// Whether pastes are to be marked.
static bool is_marking;

/// Asks the terminal to mark what is pasted, and no longer.
static const char marks_on[8] = "\033[?2004h", marks_off[8] = "\033[?2004l";

static void say(const char text[8]) {
    // A terminal that has gone needs nothing.
    if (write(shown, text, 8) < 0) return;
}

/// Whether the terminal is ours to change; a process in the background would be stopped for it. One that is nobody's controlling
/// terminal, as behind `setsid`, is everybody's.
static bool is_ours(int descriptor) {
    int saved = errno;
    pid_t group = tcgetpgrp(descriptor);
    bool is_ours = group < 0 ? errno == ENOTTY : group == getpgrp();
    errno = saved;
    return is_ours;
}

void foretoken_terminal_put_back(void) {
    int descriptor = atomic_load(&held);
    if (descriptor < 0 || !is_ours(descriptor)) return;
    tcsetattr(descriptor, TCSANOW, &usual);
    say(marks_off);
}

/// Signals that end the process, and who had them before: the language's own report of a crash, for instance.
static const int ends[] = {
    SIGHUP, SIGQUIT, SIGABRT, SIGILL, SIGTRAP, SIGFPE, SIGBUS, SIGSEGV, SIGSYS, SIGXCPU, SIGALRM, SIGUSR1, SIGUSR2,
    SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT,
};
enum { end_count = sizeof ends / sizeof *ends };
static struct sigaction before[end_count];

static void on_end(int signal, siginfo_t *information, void *context) {
    foretoken_terminal_put_back();
    for (int i = 0; i < end_count; i++) {
        if (ends[i] != signal) continue;
        sigaction(signal, &before[i], NULL);
        // A key that ends the program is no crash to report.
        if (signal != SIGQUIT && before[i].sa_flags & SA_SIGINFO)
            before[i].sa_sigaction(signal, information, context);
    }
    // Whoever had it before may only have written a report.
    struct sigaction usually = {.sa_handler = SIG_DFL};
    sigemptyset(&usually.sa_mask);
    sigaction(signal, &usually, NULL);
    raise(signal);
}

static void on_continue(int signal) {
    (void)signal;
    int saved = errno, descriptor = atomic_load(&held);
    if (descriptor >= 0 && is_ours(descriptor)) {
        tcsetattr(descriptor, TCSANOW, &own);
        if (is_marking) say(marks_on);
    }
    errno = saved;
}

static void on_stop(int signal) {
    int saved = errno;
    foretoken_terminal_put_back();
    struct sigaction usually = {.sa_handler = SIG_DFL}, mine;
    sigset_t only, others;
    sigemptyset(&usually.sa_mask);
    sigemptyset(&only);
    sigaddset(&only, signal);
    sigaction(signal, &usually, &mine);
    raise(signal);
    pthread_sigmask(SIG_UNBLOCK, &only, &others);
    // Here the process stood still, unless nobody could have made it go on.
    pthread_sigmask(SIG_SETMASK, &others, NULL);
    sigaction(signal, &mine, NULL);
    on_continue(signal);
    errno = saved;
}

/// Takes over a signal that is not ignored; `old` is whose it was.
static int take(int signal, struct sigaction action, struct sigaction *old) {
    if (sigaction(signal, NULL, old)) return errno;
    if (!(old->sa_flags & SA_SIGINFO) && old->sa_handler == SIG_IGN) return 0;
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, NULL) ? errno : 0;
}

static int handle(int signal, void (*handler)(int)) {
    struct sigaction old;
    return take(signal, (struct sigaction){.sa_handler = handler}, &old);
}

static int guard(void) {
    static bool is_guarded;
    if (is_guarded) return 0;
    for (int i = 0; i < end_count; i++) {
        // A crash may have left no room on the stack; whoever has it before knows of another.
        struct sigaction action = {.sa_sigaction = on_end, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
        int error = take(ends[i], action, &before[i]);
        if (error) return error;
    }
    int error = handle(SIGTSTP, on_stop);
    if (!error) error = handle(SIGCONT, on_continue);
    if (!error && atexit(foretoken_terminal_put_back)) error = ENOMEM;
    is_guarded = !error;
    return error;
}

int foretoken_terminal_hold(int input, int output, bool takes_all_keys) {
    if (atomic_load(&held) < 0) {
        if (tcgetattr(input, &usual)) return errno;
        shown = output;
    }
    int error = guard();
    if (error) return error;
    struct termios state = usual;
    cfmakeraw(&state);
    // Line feeds in our own messages stay line ends.
    state.c_oflag = usual.c_oflag;
    // Keys that are signals throw away nothing of what was typed before them.
    if (!takes_all_keys) {
        state.c_lflag |= ISIG;
        state.c_lflag |= NOFLSH;
    }
    own = state;
    if (takes_all_keys) is_marking = true;
    atomic_store(&held, input);
    // In the background the terminal is taken when the process comes to the foreground.
    if (!is_ours(input)) return 0;
    // What was typed meanwhile is kept.
    while (tcsetattr(input, TCSADRAIN, &state))
        if (errno != EINTR) return errno;
    if (takes_all_keys) say(marks_on);
    return 0;
}

void foretoken_terminal_release(void) {
    foretoken_terminal_put_back();
    atomic_store(&held, -1);
}
