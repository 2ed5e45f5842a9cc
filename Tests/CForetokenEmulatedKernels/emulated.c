// Sixteen-lane vectors become pairs of registers; the operations that AVX-512 has of its own are written out.
#include "foretoken_emulated_kernels.h"

#if defined(__x86_64__)
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tables.h"

// Vectors wider than the target's registers only cross functions that are inlined.
#pragma clang diagnostic ignored "-Wpsabi"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2"))), apply_to = function)
#define FT_ISA(name) foretoken_##name##_emulated
#include "vector_inl.h"
#include "blocks_inl.h"

typedef int32_t vni __attribute__((vector_size(64)));

FT_INLINE vni dot_bytes(vni sums, vni w, vni x) {
    for (int k = 0; k < 4; k++) sums += (w >> 8 * k & 255) * (x << (24 - 8 * k) >> 24);
    return sums;
}

typedef float floats __attribute__((vector_size(64)));

FT_INLINE floats lookup16(floats table, vni index) {
    floats found;
    for (int i = 0; i < 16; i++) found[i] = table[index[i] & 15];
    return found;
}

#include "lanes_avx512_inl.h"
#include "table_inl.h"
#pragma clang attribute pop

static const foretoken_kernels table = FT_TABLE("avx512 emulated", FT_ISA(product), FT_ISA(gated_product));

const foretoken_kernels *foretoken_emulated_avx512(void) {
    return &table;
}
#else
const foretoken_kernels *foretoken_emulated_avx512(void) {
    return NULL;
}
#endif
