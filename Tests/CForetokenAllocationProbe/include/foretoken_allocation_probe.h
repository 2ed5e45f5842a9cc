// Counts heap allocations of the calling thread, by standing in front of the C library's allocator in test programs.
#ifndef FORETOKEN_ALLOCATION_PROBE_H
#define FORETOKEN_ALLOCATION_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/// Allocations (not frees) of this thread since it started; 0 where the probe is not active.
uint64_t foretoken_allocation_count(void);

/// False under sanitizers, which bring an allocator of their own.
bool foretoken_allocation_probe_is_active(void);

#endif
