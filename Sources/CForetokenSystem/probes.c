// What a container's filter lets pass. Each call is tried in a way that changes nothing outside a page of our own.
#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "affinity.h"
#include "foretoken_system.h"

/// A mode no kernel knows: whoever answers EINVAL has let the call pass, and the thread's policy stays as it is.
enum { NO_SUCH_MODE = 0x7fff, WORD_BITS = 8 * sizeof(unsigned long) };

/// Writes a node whose memory the process may use.
static int first_allowed_node(int32_t *node) {
    unsigned long mask[FORETOKEN_MAX_NODES / WORD_BITS + 1] = {0};
    if (get_mempolicy(NULL, mask, FORETOKEN_MAX_NODES + 1, NULL, MPOL_F_MEMS_ALLOWED)) return errno;
    for (int32_t i = 0; i < FORETOKEN_MAX_NODES; i++) {
        if (mask[i / WORD_BITS] >> (i % WORD_BITS) & 1) {
            *node = i;
            return 0;
        }
    }
    return ENODEV;
}

static int32_t probe_set_mempolicy(void) {
    if (set_mempolicy(NO_SUCH_MODE, NULL, 0) == 0) return 0;
    return errno == EINVAL ? 0 : errno;
}

static int32_t probe_move_pages(void *page, const int32_t *target) {
    int32_t status = -1;
    return move_pages(0, 1, &page, target, &status, MPOL_MF_MOVE) < 0 ? errno : 0;
}

static int32_t probe_affinity(void) {
    foretoken_cpu_mask mask;
    int error = foretoken_mask_get(0, &mask);
    return error ? error : foretoken_mask_set(0, &mask);
}

int foretoken_probe_permissions(foretoken_permissions *permissions) {
    int32_t node = 0;
    int node_error = first_allowed_node(&node);
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    volatile char *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return errno;
    permissions->mbind = node_error ? node_error : foretoken_memory_bind((void *)page, bytes, &node, 1);
    page[0] = 1;
    int32_t mode;
    permissions->get_mempolicy = get_mempolicy(&mode, NULL, 0, NULL, 0) ? errno : 0;
    permissions->set_mempolicy = probe_set_mempolicy();
    permissions->page_nodes = probe_move_pages((void *)page, NULL);
    permissions->move_pages = probe_move_pages((void *)page, &node);
    permissions->affinity = probe_affinity();
    munmap((void *)page, bytes);
    return 0;
}

uint64_t foretoken_address_space_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
}
