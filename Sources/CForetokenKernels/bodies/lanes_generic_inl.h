// The vector layer without an instruction set: a product and a sum where other tables fuse, decoding by integer shifts.

#define FT_FMA1(a, b, c) ((a) * (b) + (c))
#define fma8(a, b, c) ((a) * (b) + (c))

FT_INLINE v8u widen8(const uint16_t *p) {
    typedef uint16_t v8h __attribute__((vector_size(16)));
    v8h bits;
    memcpy(&bits, p, sizeof bits);
    return __builtin_convertvector(bits, v8u);
}

FT_INLINE v8 bfloat8(const uint16_t *p) {
    return (v8)(widen8(p) << 16);
}

#include "lanes8_inl.h"

/// FP16 by shifting exponent and mantissa into place and moving the exponent's bias from 15 to 127 with an exact
/// product; infinities and NaN, which land at 65536 or above, get the full exponent.
FT_INLINE v8 half8(v8u bits) {
    v8 magnitude = (v8)((bits & 0x7FFFu) << 13) * splat8(0x1p112f);
    v8u special = (v8u)(magnitude >= splat8(65536.0f)) & 0x7F800000u;
    return (v8)((v8u)magnitude | special | ((bits & 0x8000u) << 16));
}

/// FP8 decodes to its value, slots are rows, and activations enter as they are: nothing to fold.
#define FT_FP8_RAW 1.0f
#define FT_FP8_INPUT 1.0f

FT_INLINE v8 fp8_slotsn(const float *rows, int slot) {
    return load8(rows + slot);
}

FT_INLINE void fp8_rows(const float *slots, float *rows) {
    memmove(rows, slots, FORETOKEN_PANEL_ROWS * sizeof(float));
}

FT_INLINE void bf16_rows(const float *slots, float *rows) {
    memmove(rows, slots, FORETOKEN_PANEL_ROWS * sizeof(float));
}

/// An e4m3 byte by the same shift as FP16's, one exponent bit wider.
FT_INLINE v8 quarter8(const uint8_t *p) {
    typedef int8_t v8b __attribute__((vector_size(8)));
    v8b bits;
    memcpy(&bits, p, sizeof bits);
    v8u wide = (v8u)__builtin_convertvector(bits, v8i) << 20;
    return (v8)(wide & 0x87F00000u) * splat8(0x1p120f);
}

/// Half a column (16 of 32 slots) of weights, `pair` 0 or 1.
FT_INLINE void decode_pair(int format, const uint8_t *column, int pair, v8 *out) {
    FT_UNROLL for (int i = 0; i < 2; i++) {
        int lane = 16 * pair + 8 * i;
        if (format == FORETOKEN_FP8) {
            out[i] = quarter8(column + lane);
        } else if (format == FORETOKEN_F16) {
            out[i] = half8(widen8((const uint16_t *)column + lane));
        } else if (format == FORETOKEN_BF16) {
            out[i] = bfloat8((const uint16_t *)column + lane);
        } else {
            out[i] = load8((const float *)column + lane);
        }
    }
}

FT_INLINE size_t index_after(size_t k, v8 *w) {
    (void)w;
    return k;
}

/// The sums over 128 columns of `rows` coarse-lm_head rows that lie `stride` bytes apart.
FT_INLINE void draft_row_sums(int rows, const int8_t *weights, size_t stride, const int8_t *codes, int32_t *sums) {
    for (int r = 0; r < rows; r++) {
        sums[r] = 0;
        for (int k = 0; k < FORETOKEN_SCALE_BLOCK; k++) sums[r] += (int32_t)weights[r * stride + k] * codes[k];
    }
}

/// Σ (code + offset) · x over one block, in sums[r][v] lane i for weight row slot + 8 v + i.
FT_INLINE void block_sums(int format, int rows, int vectors, int slot, const uint8_t *codes, const int8_t *const *x,
                          v8i (*sums)[PANEL_VECTORS]) {
    FT_UNROLL for (int v = 0; v < vectors; v++) {
        FT_UNROLL for (int r = 0; r < rows; r++) sums[r][v] = (v8i){0};
        for (int quad = 0; quad < block_columns(format) / quad_columns(format); quad++) {
            v8u bytes;  // four of each row in a lane
            memcpy(&bytes, codes + (size_t)quad * FT_QUAD_BYTES + 4 * slot + 32 * v, sizeof bytes);
            FT_UNROLL for (int k = 0; k < quad_columns(format); k++) {
                v8i w = (v8i)(bytes >> (8 * (k % 4) + 4 * (k / 4)) & (format == FORETOKEN_INT8 ? 255u : 15u));
                FT_UNROLL for (int r = 0; r < rows; r++) sums[r][v] += w * (int32_t)x[r][quad_columns(format) * quad + k];
            }
        }
    }
}
