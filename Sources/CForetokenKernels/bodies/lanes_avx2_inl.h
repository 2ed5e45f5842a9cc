// What AVX2 + FMA + F16C do differently from plain vector code: fused arithmetic and the decoding of weights.

#define FT_FMA1(a, b, c) __builtin_fmaf(a, b, c)
#define fma8(a, b, c) __builtin_elementwise_fma(a, b, c)

FT_INLINE v8 bfloat8(const uint16_t *p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return (v8)_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

#include "lanes8_inl.h"

FT_INLINE v8 half8(__m128i bits) {
    return (v8)_mm256_cvtph_ps(bits);
}

/// Two adjacent BF16 weights in 32 bits are two FP32 numbers, each after one operation: within each half of a column,
/// slots 0-7 are its even rows and slots 8-15 its odd ones.
FT_INLINE void decode_bf16(const uint8_t *column, int half, v8 *out) {
    v8u pairs = (v8u)load8(column + 32 * half);
    out[0] = (v8)(pairs << 16);
    out[1] = (v8)(pairs & 0xFFFF0000u);
}

FT_INLINE void bf16_rows(const float *slots, float *rows) {
    FT_UNROLL for (int half = 0; half < 32; half += 16) {
        v8 even = load8(slots + half), odd = load8(slots + half + 8);
        store8(rows + half, __builtin_shufflevector(even, odd, 0, 8, 1, 9, 2, 10, 3, 11));
        store8(rows + half + 8, __builtin_shufflevector(even, odd, 4, 12, 5, 13, 6, 14, 7, 15));
    }
}

/// FP8 decodes to value × FT_FP8_RAW, in slot order: sign-extended within 16 bits and shifted right by 4, an e4m3 byte
/// is a BF16 number whose exponent bias is 7 instead of 127. The upper byte of each 16 bits is in place; loaded from one
/// byte before, so is the lower one. Eight shifts and masks give 32 weights, where vpmovsxbw and vcvtph2ps take about twice
/// the micro-operations. Codes with exponent 0 become FP32 subnormals, which the fused
/// multiply-add takes at full speed on AMD; Intel cores pay an assist for each of these (rare) operands.
#define FT_FP8_RAW 0x1p-120f

/// Activations enter FP8 sums multiplied by this, which keeps the sums in the middle of the exponent range. Powers of
/// two change no bit of a result as long as activations are 0 or 2^-61 ≤ |x| < 2^63; wider tables must use the same.
#define FT_FP8_INPUT 0x1p64f

/// Slot 8 s + i of a decoded FP8 column is row 4 i + order[s].
static const int fp8_order[4] = {0, 2, 1, 3};

/// Eight of 32 floats in row order, as the slots from `slot` on.
FT_INLINE v8 fp8_slotsn(const float *rows, int slot) {
    const float *r = rows + fp8_order[slot / 8];
    return (v8){r[0], r[4], r[8], r[12], r[16], r[20], r[24], r[28]};
}

FT_INLINE void fp8_rows(const float *slots, float *rows) {
    // Lanes of rows 4 i, 4 i + 1, 4 i + 2 and 4 i + 3 become runs of four: pairs, then quads, then whole registers.
    v8 r0 = load8(slots), r1 = load8(slots + 16), r2 = load8(slots + 8), r3 = load8(slots + 24);
    v8 low01 = __builtin_shufflevector(r0, r1, 0, 8, 1, 9, 4, 12, 5, 13);
    v8 low23 = __builtin_shufflevector(r2, r3, 0, 8, 1, 9, 4, 12, 5, 13);
    v8 high01 = __builtin_shufflevector(r0, r1, 2, 10, 3, 11, 6, 14, 7, 15);
    v8 high23 = __builtin_shufflevector(r2, r3, 2, 10, 3, 11, 6, 14, 7, 15);
    v8 quad0 = __builtin_shufflevector(low01, low23, 0, 1, 8, 9, 4, 5, 12, 13);
    v8 quad1 = __builtin_shufflevector(low01, low23, 2, 3, 10, 11, 6, 7, 14, 15);
    v8 quad2 = __builtin_shufflevector(high01, high23, 0, 1, 8, 9, 4, 5, 12, 13);
    v8 quad3 = __builtin_shufflevector(high01, high23, 2, 3, 10, 11, 6, 7, 14, 15);
    store8(rows, __builtin_shufflevector(quad0, quad1, 0, 1, 2, 3, 8, 9, 10, 11));
    store8(rows + 8, __builtin_shufflevector(quad2, quad3, 0, 1, 2, 3, 8, 9, 10, 11));
    store8(rows + 16, __builtin_shufflevector(quad0, quad1, 4, 5, 6, 7, 12, 13, 14, 15));
    store8(rows + 24, __builtin_shufflevector(quad2, quad3, 4, 5, 6, 7, 12, 13, 14, 15));
}

FT_INLINE void decode_fp8(const uint8_t *column, int half, v8 *out) {
    typedef int16_t words __attribute__((vector_size(32)));
    words bytes = (words)load8(half == 0 ? column - 1 : column);
    v8u bits = (v8u)(bytes >> 4);
    out[0] = (v8)(bits << 16 & 0x87F00000u);
    out[1] = (v8)(bits & 0x87F00000u);
}

/// Half a column (16 of 32 slots) of weights, `pair` 0 or 1; slots are rows but for FP8 and BF16.
FT_INLINE void decode_pair(int format, const uint8_t *column, int pair, v8 *out) {
    if (format == FORETOKEN_FP8) {
        decode_fp8(column, pair, out);
    } else if (format == FORETOKEN_F16) {
        const __m128i *p = (const __m128i *)column + 2 * pair;
        out[0] = half8(_mm_loadu_si128(p));
        out[1] = half8(_mm_loadu_si128(p + 1));
    } else if (format == FORETOKEN_BF16) {
        decode_bf16(column, pair, out);
    } else {
        const float *p = (const float *)column + 16 * pair;
        out[0] = load8(p);
        out[1] = load8(p + 8);
    }
}

/// k, which the compiler may not use before it has decoded `w` nor take for the same number as before: so nothing that
/// is addressed with it waits in a register meanwhile.
FT_INLINE size_t index_after(size_t k, v8 *w) {
    __asm__("" : "+r"(k), "+x"(w[0]), "+x"(w[1]));
    return k;
}

/// The sums over 128 columns of `rows`, 8 or 1, coarse-lm_head rows that lie `stride` bytes apart. The
/// activation's sign moves to the weight, since the byte product wants one unsigned factor; |x|, |w| ≤ 127 keeps the 16-bit
/// pair sums from saturating.
FT_INLINE void draft_row_sums(int rows, const int8_t *weights, size_t stride, const int8_t *codes, int32_t *sums) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i acc[8];
    FT_UNROLL for (int r = 0; r < rows; r++) {
        const int8_t *row = weights + r * stride;
        acc[r] = _mm256_setzero_si256();
        FT_UNROLL for (int k = 0; k < FORETOKEN_SCALE_BLOCK; k += 32) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(codes + k));
            __m256i w = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i *)(row + k)), x);
            acc[r] = _mm256_add_epi32(acc[r], _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(x), w), ones));
        }
    }
    FT_UNROLL for (int r = rows; r < 8; r++) acc[r] = _mm256_setzero_si256();
    __m256i four[2];
    FT_UNROLL for (int h = 0; h < 2; h++) {
        __m256i *a = acc + 4 * h;
        four[h] = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
    }
    v8i all = (v8i)_mm256_add_epi32(_mm256_permute2x128_si256(four[0], four[1], 0x20),
                                    _mm256_permute2x128_si256(four[0], four[1], 0x31));
    memcpy(sums, &all, (size_t)rows * sizeof *sums);
}

/// Four activation codes in every 32-bit lane.
FT_INLINE __m256i spread_codes(const int8_t *codes) {
    int32_t four;
    memcpy(&four, codes, sizeof four);
    return _mm256_set1_epi32(four);
}

/// 64 columns of INT8 codes.
FT_INLINE void int8_sums(int rows, int vectors, const uint8_t *codes, const int8_t *const *x, v8i (*sums)[4]) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i acc[INTEGER_ROWS][4];
    FT_UNROLL for (int r = 0; r < rows; r++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_setzero_si256();
    }
    for (int quad = 0; quad < 16; quad++) {
        fetch_ahead(FORETOKEN_INT8, vectors, codes + (size_t)quad * FT_QUAD_BYTES);
        __m256i w[4];
        FT_UNROLL for (int v = 0; v < vectors; v++) {
            w[v] = _mm256_loadu_si256((const __m256i *)(codes + (size_t)quad * FT_QUAD_BYTES) + v);
        }
        FT_UNROLL for (int r = 0; r < rows; r++) {
            __m256i input = spread_codes(x[r] + 4 * quad);
            FT_UNROLL for (int v = 0; v < vectors; v++) {
                __m256i pairs = _mm256_maddubs_epi16(w[v], input);
                acc[r][v] = _mm256_add_epi32(acc[r][v], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    FT_UNROLL for (int r = 0; r < rows; r++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = (v8i)acc[r][v];
    }
}

/// 32 columns of INT4 codes: a 16-bit sum takes the eight pairs of a whole block.
FT_INLINE void int4_sums(int rows, int vectors, const uint8_t *codes, const int8_t *const *x, v8i (*sums)[4]) {
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i acc[INTEGER_ROWS][4];
    FT_UNROLL for (int r = 0; r < rows; r++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_setzero_si256();
    }
    FT_UNROLL for (int quad = 0; quad < 4; quad++) {
        fetch_ahead(FORETOKEN_INT4, vectors, codes + (size_t)quad * FT_QUAD_BYTES);
        __m256i low[4], high[4];
        FT_UNROLL for (int v = 0; v < vectors; v++) {
            __m256i bytes = _mm256_loadu_si256((const __m256i *)(codes + (size_t)quad * FT_QUAD_BYTES) + v);
            low[v] = _mm256_and_si256(bytes, mask);
            high[v] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);
        }
        FT_UNROLL for (int r = 0; r < rows; r++) {
            __m256i first = spread_codes(x[r] + 8 * quad), second = spread_codes(x[r] + 8 * quad + 4);
            FT_UNROLL for (int v = 0; v < vectors; v++) {
                acc[r][v] = _mm256_add_epi16(acc[r][v], _mm256_maddubs_epi16(low[v], first));
                acc[r][v] = _mm256_add_epi16(acc[r][v], _mm256_maddubs_epi16(high[v], second));
            }
        }
    }
    FT_UNROLL for (int r = 0; r < rows; r++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) {
            sums[r][v] = (v8i)_mm256_madd_epi16(acc[r][v], _mm256_set1_epi16(1));
        }
    }
}

/// Σ (code + offset) · x over one block, in sums[r][v] lane i for weight row slot + 8 v + i.
FT_INLINE void block_sums(int format, int rows, int vectors, int slot, const uint8_t *codes, const int8_t *const *x,
                          v8i (*sums)[PANEL_VECTORS]) {
    if (format == FORETOKEN_INT8) {
        int8_sums(rows, vectors, codes + 4 * slot, x, sums);
    } else {
        int4_sums(rows, vectors, codes + 4 * slot, x, sums);
    }
}
