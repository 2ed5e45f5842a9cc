// libnuma's policy calls only: its allocators bind strictly and print to standard error.
#include <errno.h>
#include <numaif.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "foretoken_system.h"

enum {
    WORD_BITS = 8 * sizeof(unsigned long),
    MASK_WORDS = FORETOKEN_MAX_NODES / WORD_BITS,
    /// Pages asked about in one call.
    BATCH_PAGES = 512,
    /// How often a page of unknown place is touched and asked about again.
    RETRIES = 5,
    SMALLEST_PAGE_BYTES = 4096,
    /// Made real and checked at a time: two huge pages, so that little is lost when the node turns out to be full.
    CHUNK_BYTES = 4 << 20,
};

/// The kernel reads one bit less than it is told.
#define MASK_BITS (FORETOKEN_MAX_NODES + 1)

// Binding -------------------------------------------------------------------------------------------------------------

int foretoken_memory_bind(void *address, size_t bytes, const int32_t *nodes, int32_t count) {
    unsigned long mask[MASK_WORDS] = {0};
    if (count < 1) return EINVAL;
    for (int32_t i = 0; i < count; i++) {
        if (nodes[i] < 0 || nodes[i] >= FORETOKEN_MAX_NODES) return EINVAL;
        mask[nodes[i] / WORD_BITS] |= 1ul << (nodes[i] % WORD_BITS);
    }
    return mbind(address, bytes, count == 1 ? MPOL_PREFERRED : MPOL_INTERLEAVE, mask, MASK_BITS, 0) ? errno : 0;
}

// Where pages lie -----------------------------------------------------------------------------------------------------

static void touch(const void *page) { (void)*(const volatile char *)page; }

static void rest(long nanoseconds) {
    struct timespec time = {.tv_nsec = nanoseconds};
    nanosleep(&time, NULL);
}

/// Asks about the pages whose node is negative; writes how many still have none.
static int ask_unknown(char *address, size_t count, size_t stride, int32_t *nodes, size_t *unknown) {
    void *pages[BATCH_PAGES];
    size_t indices[BATCH_PAGES];
    int32_t answers[BATCH_PAGES];
    *unknown = 0;
    for (size_t next = 0; next < count;) {
        size_t asked = 0;
        for (; next < count && asked < BATCH_PAGES; next++) {
            if (nodes[next] >= 0) continue;
            indices[asked] = next;
            pages[asked++] = address + next * stride;
        }
        if (asked && move_pages(0, asked, pages, NULL, answers, 0) < 0) return errno;
        for (size_t i = 0; i < asked; i++) {
            nodes[indices[i]] = answers[i];
            *unknown += answers[i] < 0;
        }
    }
    return 0;
}

int foretoken_page_nodes(const void *address, size_t count, size_t stride, int32_t *nodes) {
    for (size_t i = 0; i < count; i++) nodes[i] = -ENOENT;
    long pause = 500000;
    for (int attempt = 0;; attempt++) {
        size_t unknown;
        int error = ask_unknown((char *)address, count, stride, nodes, &unknown);
        if (error || !unknown || attempt == RETRIES) return error;
        // Under migration, or (Linux 6.1 to 6.5) waiting for the fault that NUMA balancing provokes.
        for (size_t i = 0; i < count; i++) {
            if (nodes[i] < 0) touch((const char *)address + i * stride);
        }
        rest(pause);
        pause *= 2;
    }
}

// Making pages real ---------------------------------------------------------------------------------------------------

static int make_real(char *address, size_t bytes, size_t page) {
    if (!madvise(address, bytes, MADV_POPULATE_WRITE)) return 0;
    if (errno != EINVAL) return errno;
    // Before Linux 5.14. Nothing is changed, even where another thread writes already.
    for (size_t offset = 0; offset < bytes; offset += page) {
        atomic_fetch_or_explicit((_Atomic char *)(address + offset), 0, memory_order_relaxed);
    }
    return 0;
}

static bool contains(const int32_t *nodes, int32_t count, int32_t node) {
    for (int32_t i = 0; i < count; i++) {
        if (nodes[i] == node) return true;
    }
    return false;
}

/// Writes the addresses of the pages that lie on none of `nodes`. Pages of unknown place are not among them.
static int find_strays(
    char *chunk, size_t bytes, size_t page, const int32_t *nodes, int32_t count, void **strays, size_t *stray_count) {
    int32_t found[CHUNK_BYTES / SMALLEST_PAGE_BYTES];
    size_t pages = bytes / page;
    *stray_count = 0;
    int error = foretoken_page_nodes(chunk, pages, page, found);
    if (error) return error;
    for (size_t i = 0; i < pages; i++) {
        if (found[i] >= 0 && !contains(nodes, count, found[i])) strays[(*stray_count)++] = chunk + i * page;
    }
    return 0;
}

/// ENOSPC when a page of the chunk lies elsewhere and cannot be brought home.
static int settle(char *chunk, size_t bytes, size_t page, const int32_t *nodes, int32_t count) {
    void *strays[CHUNK_BYTES / SMALLEST_PAGE_BYTES];
    size_t stray_count;
    int error = find_strays(chunk, bytes, page, nodes, count, strays, &stray_count);
    if (error || !stray_count) return error;
    if (count > 1) return ENOSPC;
    // A preferred node gives up no page cache for a first touch, but it does for a page that moves in. Moving fails
    // without harm where nothing is left to give up.
    int32_t targets[CHUNK_BYTES / SMALLEST_PAGE_BYTES];
    int32_t status[CHUNK_BYTES / SMALLEST_PAGE_BYTES];
    for (size_t i = 0; i < stray_count; i++) targets[i] = nodes[0];
    (void)move_pages(0, stray_count, strays, targets, status, MPOL_MF_MOVE);
    error = find_strays(chunk, bytes, page, nodes, count, strays, &stray_count);
    return error || !stray_count ? error : ENOSPC;
}

int foretoken_memory_populate(void *address, size_t bytes, const int32_t *nodes, int32_t count, size_t *placed) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *placed = 0;
    while (*placed < bytes) {
        char *chunk = (char *)address + *placed;
        size_t length = CHUNK_BYTES - (uintptr_t)chunk % CHUNK_BYTES;
        if (length > bytes - *placed) length = bytes - *placed;
        int error = make_real(chunk, length, page);
        if (!error && count > 0) error = settle(chunk, length, page, nodes, count);
        if (error) {
            madvise(chunk, length, MADV_DONTNEED);
            return error;
        }
        *placed += length;
    }
    return 0;
}
