// AVX-512 with its byte products: Intel from Cascade Lake (2019) and Ice Lake (2019) on, AMD from Zen 4 (2022) on.
#if defined(__x86_64__)
#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tables.h"

// System headers stay above: their inline functions must not inherit the target.
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c,bmi2"))), apply_to = function)
#define FT_ISA(name) foretoken_##name##_avx512
#include "vector_inl.h"
#include "blocks_inl.h"

typedef int32_t vni __attribute__((vector_size(64)));

/// Adds to each 32-bit lane the products of its four unsigned bytes of `w` with the signed ones of `x`.
FT_INLINE vni dot_bytes(vni sums, vni w, vni x) {
    return (vni)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)w, (__m512i)x);
}

#include "lanes_avx512_inl.h"
#include "table_inl.h"
#pragma clang attribute pop

const foretoken_kernels foretoken_kernels_avx512 = FT_TABLE("avx512");
#endif
