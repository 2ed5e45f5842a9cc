#include "affinity.h"

#include <errno.h>
#include <string.h>

int foretoken_mask_get(pid_t thread, foretoken_cpu_mask *mask) {
    memset(mask, 0, sizeof *mask);
    return sched_getaffinity(thread, sizeof mask->sets, mask->sets) == 0 ? 0 : errno;
}

int foretoken_mask_set(pid_t thread, const foretoken_cpu_mask *mask) {
    return sched_setaffinity(thread, sizeof mask->sets, mask->sets) == 0 ? 0 : errno;
}

int32_t foretoken_mask_count(const foretoken_cpu_mask *mask) {
    return CPU_COUNT_S(sizeof mask->sets, mask->sets);
}

int foretoken_pin_to(int32_t cpu) {
    foretoken_cpu_mask mask;
    memset(&mask, 0, sizeof mask);
    CPU_SET_S((size_t)cpu, sizeof mask.sets, mask.sets);
    return foretoken_mask_set(0, &mask);
}

int foretoken_affinity_get(int32_t *cpus, int32_t *count) {
    foretoken_cpu_mask mask;
    int error = foretoken_mask_get(0, &mask);
    if (error) return error;
    *count = 0;
    for (int32_t cpu = 0; cpu < FORETOKEN_MAX_CPUS; cpu++)
        if (CPU_ISSET_S((size_t)cpu, sizeof mask.sets, mask.sets)) cpus[(*count)++] = cpu;
    return 0;
}
