// libnuma's policy calls only: its allocators bind strictly and print to standard error.
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "foretoken_system.h"

enum { WORD_BITS = 8 * sizeof(unsigned long), MASK_WORDS = FORETOKEN_MAX_NODES / WORD_BITS };

/// The kernel reads one bit less than it is told.
#define MASK_BITS (FORETOKEN_MAX_NODES + 1)

static int first_allowed_node(int32_t *node) {
    unsigned long mask[MASK_WORDS + 1] = {0};
    if (get_mempolicy(NULL, mask, MASK_BITS, NULL, MPOL_F_MEMS_ALLOWED)) return errno;
    for (int32_t i = 0; i < FORETOKEN_MAX_NODES; i++) {
        if (mask[i / WORD_BITS] >> (i % WORD_BITS) & 1) {
            *node = i;
            return 0;
        }
    }
    return ENODEV;
}

int foretoken_numa_available(void) {
    if (numa_available() < 0) return errno == EPERM ? EPERM : ENOSYS;
    int32_t node;
    int error = first_allowed_node(&node);
    if (error) return error;
    // Filters often let the question pass and deny the change, so the change is what is tried.
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return errno;
    error = foretoken_memory_bind_preferred(page, bytes, node);
    munmap(page, bytes);
    return error;
}

int foretoken_memory_bind_preferred(void *address, size_t bytes, int32_t node) {
    if (node < 0 || node >= FORETOKEN_MAX_NODES) return EINVAL;
    unsigned long mask[MASK_WORDS] = {0};
    mask[node / WORD_BITS] = 1ul << (node % WORD_BITS);
    return mbind(address, bytes, MPOL_PREFERRED, mask, MASK_BITS, 0) ? errno : 0;
}

int foretoken_page_nodes(void *const *pages, size_t count, int32_t *nodes) {
    return move_pages(0, count, (void **)pages, NULL, nodes, 0) < 0 ? errno : 0;
}
