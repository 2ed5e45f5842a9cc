#include "foretoken_allocation_probe.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local uint64_t count;

uint64_t foretoken_allocation_count(void) {
    return count;
}

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)

bool foretoken_allocation_probe_is_active(void) {
    return false;
}

#else

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

bool foretoken_allocation_probe_is_active(void) {
    return true;
}

void *malloc(size_t bytes) {
    count++;
    return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes) {
    count++;
    return __libc_calloc(number, bytes);
}

void *realloc(void *memory, size_t bytes) {
    count++;
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    count++;
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    count++;
    *memory = __libc_memalign(alignment, bytes);
    return *memory == NULL ? ENOMEM : 0;
}

#endif
