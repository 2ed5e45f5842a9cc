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
#define dot_bytes(sums, w, x) ((vni)_mm512_dpbusd_epi32((__m512i)(sums), (__m512i)(w), (__m512i)(x)))

/// For each lane, the element of `table` that the lowest four bits of `index` name.
#define lookup16(table, index) ((vn)_mm512_permutexvar_ps((__m512i)(index), (__m512)(table)))

#include "lanes_avx512_inl.h"
#include "table_inl.h"
#pragma clang attribute pop

/// Whether eight lanes are faster than sixteen and the bits the same: few rows of the byte and half formats are bound by
/// decoding, for which AVX2 has the better way where 512-bit operations take two turns (Zen 4, FP8 from L2: 1 row 1.23
/// times, 3 rows 1.13 times as fast). Cascade Lake takes FP8 1.23, 1.36 and 1.6 times as fast with sixteen lanes as with
/// eight at 1, 2 and 3 rows.
static bool suits_avx2(const foretoken_matrix *w, int32_t row_count) {
    return row_count <= 3 && (w->format == FORETOKEN_FP8 || w->format == FORETOKEN_F16) && __builtin_cpu_is("znver4");
}

static void product(const foretoken_matrix *w, int32_t first, int32_t count, foretoken_rows x, int32_t row_count,
                    foretoken_rows y, bool add) {
    (suits_avx2(w, row_count) ? foretoken_kernels_avx2.product : foretoken_product_avx512)(w, first, count, x, row_count,
                                                                                           y, add);
}

static void gated_product(const foretoken_matrix *gate, const foretoken_matrix *up, int32_t first, int32_t count,
                          foretoken_rows x, int32_t row_count, foretoken_rows y) {
    bool in_avx2 = suits_avx2(gate, row_count) && suits_avx2(up, row_count);
    (in_avx2 ? foretoken_kernels_avx2.gated_product : foretoken_gated_product_avx512)(gate, up, first, count, x,
                                                                                      row_count, y);
}

const foretoken_kernels foretoken_kernels_avx512 = FT_TABLE("avx512", product, gated_product);
#endif
