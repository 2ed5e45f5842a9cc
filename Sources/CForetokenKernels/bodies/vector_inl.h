// The tiny vector layer every body is written against: eight FP32 lanes, whatever the registers of the table are.
// Included after the table's target region is open, so that the same text compiles to each instruction set.
#ifndef FORETOKEN_VECTOR_INL_H
#define FORETOKEN_VECTOR_INL_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// Nothing may be fused behind our back: a fused operation is written as fma8 or not at all. Lasts to the end of the
// file.
#pragma clang fp contract(off)

#define FT_INLINE static inline __attribute__((always_inline))
#define FT_NOINLINE static __attribute__((noinline))
#define FT_UNROLL _Pragma("clang loop unroll(full)")

typedef float v8 __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef uint32_t v8u __attribute__((vector_size(32)));

FT_INLINE v8 splat8(float x) {
    return (v8){x, x, x, x, x, x, x, x};
}

FT_INLINE v8u splat8u(uint32_t x) {
    return (v8u){x, x, x, x, x, x, x, x};
}

FT_INLINE v8i iota8(int32_t from) {
    return (v8i){0, 1, 2, 3, 4, 5, 6, 7} + from;
}

// What inner loops do is said in macros and plain reads and writes: without optimisation, memcpy and the arguments of
// inline functions copy a vector in pieces of eight bytes, and whoever reads it whole right behind them waits.

/// Where eight lanes lie in memory.
typedef v8 v8_memory __attribute__((aligned(1), may_alias));

#define load8(p) ((v8) * (const v8_memory *)(p))
#define store8(p, v) ((void)(*(v8_memory *)(p) = (v)))

/// The first n < 8 lanes from memory, `fill` in the others: tails run through the same arithmetic as whole vectors.
FT_INLINE v8 load_part(const float *p, int32_t n, float fill) {
    float lanes[8] = {fill, fill, fill, fill, fill, fill, fill, fill};
    for (int32_t i = 0; i < n; i++) lanes[i] = p[i];
    return load8(lanes);
}

FT_INLINE void store_part(float *p, v8 v, int32_t n) {
    float lanes[8];
    store8(lanes, v);
    for (int32_t i = 0; i < n; i++) p[i] = lanes[i];
}

FT_INLINE v8 select8(v8i mask, v8 yes, v8 no) {
    return (v8)((mask & (v8i)yes) | (~mask & (v8i)no));
}

/// Larger lane; `a` when either is NaN.
FT_INLINE v8 max8(v8 a, v8 b) {
    return select8(b > a, b, a);
}

/// Sum of the lanes by one fixed tree: halves, quarters, pairs.
FT_INLINE float sum8(v8 v) {
    typedef float v4 __attribute__((vector_size(16)));
    v4 quad = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
    return (quad[0] + quad[2]) + (quad[1] + quad[3]);
}

FT_INLINE float largest8(v8 v) {
    float m = v[0];
    for (int i = 1; i < 8; i++) m = v[i] > m ? v[i] : m;
    return m;
}

/// FP32 to BF16 bits, round to nearest even; the added bit keeps a NaN a (quiet) NaN.
FT_INLINE uint16_t round_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
    return (uint16_t)(nan ? (bits >> 16) | 0x40 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

#endif
