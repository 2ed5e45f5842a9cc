// A gate: one thread opens it for a sequence number, others wait until it is open for theirs.
//
// Number and "somebody sleeps" share one 32-bit word, (sequence << 1) | sleeper. Opening is an exchange and going to
// sleep is a compare-and-swap, so the opener learns of every sleeper from the very word it changes: acquire and release
// are enough, nobody needs a store-load fence, and no system call is made unless somebody sleeps.
#ifndef FORETOKEN_GATE_H
#define FORETOKEN_GATE_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "foretoken_system.h"

typedef struct foretoken_gate {
    _Atomic(uint32_t) word;
} foretoken_gate;

_Static_assert(sizeof(foretoken_gate) == sizeof(uint32_t), "the kernel sees the gate as a 32-bit futex");

#define FORETOKEN_GATE_SLEEPER 1u
/// Sequence numbers wrap; a waiter is never more than one behind.
#define FORETOKEN_GATE_NEXT(sequence) (((sequence) + 1) & 0x7FFFFFFFu)
/// About 1 to 4 µs, depending on the CPU's pause: keeps the clock and the switch out of the tight loop.
#define FORETOKEN_GATE_PAUSES 64

static inline void foretoken_cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

static inline bool foretoken_gate_is_open(foretoken_gate *gate, uint32_t sequence) {
    return atomic_load_explicit(&gate->word, memory_order_acquire) >> 1 == sequence;
}

/// Releases everything the opener wrote to those who wait for `sequence`.
static inline void foretoken_gate_open(foretoken_gate *gate, uint32_t sequence) {
    uint32_t before = atomic_exchange_explicit(&gate->word, sequence << 1, memory_order_acq_rel);
    if (before & FORETOKEN_GATE_SLEEPER)
        syscall(SYS_futex, &gate->word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/// Spins until the gate is open (true), or `budget` nanoseconds have passed or `*spinning` was cleared (false).
static inline bool foretoken_gate_spin(foretoken_gate *gate, uint32_t sequence, const _Atomic(bool) *spinning,
                                       int64_t budget) {
    int64_t deadline = INT64_MAX;
    while (atomic_load_explicit(spinning, memory_order_relaxed)) {
        for (int i = 0; i < FORETOKEN_GATE_PAUSES; i++) {
            if (foretoken_gate_is_open(gate, sequence)) return true;
            foretoken_cpu_relax();
        }
        int64_t now = foretoken_monotonic_nanoseconds();
        if (deadline == INT64_MAX) deadline = now + budget;
        if (now >= deadline) return false;
    }
    return false;
}

static inline void foretoken_gate_sleep(foretoken_gate *gate, uint32_t sequence) {
    uint32_t seen = atomic_load_explicit(&gate->word, memory_order_acquire);
    while (seen >> 1 != sequence) {
        uint32_t asleep = seen | FORETOKEN_GATE_SLEEPER;
        if (seen == asleep || atomic_compare_exchange_strong_explicit(&gate->word, &seen, asleep, memory_order_acquire,
                                                                      memory_order_acquire)) {
            syscall(SYS_futex, &gate->word, FUTEX_WAIT_PRIVATE, asleep, NULL, NULL, 0);
            seen = atomic_load_explicit(&gate->word, memory_order_acquire);
        }
    }
}

static inline void foretoken_gate_wait(foretoken_gate *gate, uint32_t sequence, const _Atomic(bool) *spinning,
                                       int64_t budget) {
    if (!foretoken_gate_spin(gate, sequence, spinning, budget)) foretoken_gate_sleep(gate, sequence);
}

#endif
