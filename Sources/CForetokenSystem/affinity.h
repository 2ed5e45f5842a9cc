#ifndef FORETOKEN_AFFINITY_H
#define FORETOKEN_AFFINITY_H

#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

#include "foretoken_system.h"

/// glibc's cpu_set_t ends at CPU 1023; its _S macros take an array of them.
typedef struct foretoken_cpu_mask {
    cpu_set_t sets[FORETOKEN_MAX_CPUS / CPU_SETSIZE];
} foretoken_cpu_mask;

/// The mask of a thread, 0 being the calling one.
int foretoken_mask_get(pid_t thread, foretoken_cpu_mask *mask);

int foretoken_mask_set(pid_t thread, const foretoken_cpu_mask *mask);

int32_t foretoken_mask_count(const foretoken_cpu_mask *mask);

/// Restricts the calling thread to one CPU.
int foretoken_pin_to(int32_t cpu);

#endif
