// The tables of this build and which of them this machine can execute.
#include "tables.h"

#include <string.h>

typedef struct {
    const foretoken_kernels *table;
    bool (*executable)(void);
} candidate;

static bool can_generic(void) {
    return true;
}

#if defined(__x86_64__)
// Looks at what the operating system enabled, too, not at the processor's word alone.
static bool can_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
           __builtin_cpu_supports("bmi2");
}

static bool can_avx512(void) {
    return can_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

/// Widest first.
#define TABLES(X) X(avx512) X(avx2) X(generic)
#else
#define TABLES(X) X(generic)
#endif

#define CANDIDATE(name) {&foretoken_kernels_##name, can_##name},
#define NAME(name) #name,

static const candidate candidates[] = {TABLES(CANDIDATE)};
static const char *const names[] = {TABLES(NAME) NULL};

enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };

const foretoken_kernels *foretoken_kernels_named(const char *name) {
    for (int i = 0; i < CANDIDATES; i++) {
        if (strcmp(candidates[i].table->name, name) == 0 && candidates[i].executable()) return candidates[i].table;
    }
    return NULL;
}

const foretoken_kernels *foretoken_kernels_best(void) {
    int i = 0;
    while (!candidates[i].executable()) i++;
    return candidates[i].table;
}

const char *const *foretoken_kernels_names(void) {
    return names;
}

/// Enough lines to make each pass over the cache worth its memory traffic, few enough for the L2 cache.
enum { ATTENTION_LINES = 64 };

size_t foretoken_attention_lines(int32_t heads) {
    size_t rows = ATTENTION_LINES / (size_t)heads;
    return (size_t)heads * (rows > 1 ? rows : 1);
}

size_t foretoken_attention_scratch(int32_t heads, int32_t rank) {
    size_t latent = (size_t)rank, line = FORETOKEN_CONTEXT_BLOCK + latent;
    line += sizeof(float *) / sizeof(float);  // where its query lies
    line += 4;                                // maximum and sum, of the block and of all
    size_t most = heads > ATTENTION_LINES ? (size_t)heads : ATTENTION_LINES;
    return most * line + 16 + FORETOKEN_ENTRY_GROUP * latent;
}
