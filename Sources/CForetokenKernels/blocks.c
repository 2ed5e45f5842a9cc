// Making resident formats from FP32 values: each block of a row gets a scale and the codes nearest to its values.
#pragma clang diagnostic ignored "-Wpsabi"

#include "blocks_inl.h"

/// Rows smaller than any real weight: the inverse of their scale would overflow.
static const float smallest_row = 1e-30f;

/// Scales tried for an INT4 row: the value of largest magnitude divided by -7.0, -7.3 … -9.1. Dividing by less than -8
/// spends the code -8, which has no positive twin, on that value; beyond -8 the value is cut for the sake of the
/// others. On normal and on heavy-tailed weights this leaves 0.71 of the squared error of amax / 7.
enum { CANDIDATES = 8 };

size_t foretoken_panel_size(int32_t format, int32_t columns) {
    if (has_blocks(format)) return (size_t)block_count(format, columns) * block_bytes(format);
    size_t element = format == FORETOKEN_FP8 ? 1 : format == FORETOKEN_F32 ? 4 : 2;
    return (size_t)columns * FORETOKEN_PANEL_ROWS * element;
}

FT_INLINE v8 magnitude8(v8 x) {
    return (v8)((v8u)x & 0x7FFFFFFFu);
}

/// The nearest integers, ties to even, of |x| < 2^22.
FT_INLINE v8 nearest8(v8 x) {
    const v8 rounder = splat8(0x1.8p23f);
    return (x + rounder) - rounder;
}

/// Rounded to BF16: to nearest even, or (`up`) away from zero.
FT_INLINE v8 bfloat_rounded8(v8 x, bool up) {
    v8u bits = (v8u)x;
    bits += up ? splat8u(0xFFFF) : 0x7FFF + (bits >> 16 & 1u);
    return (v8)(bits & 0xFFFF0000u);
}

/// 1 / x, and 0 where |x| is too small for it.
FT_INLINE v8 inverse8(v8 x) {
    v8i usable = magnitude8(x) > splat8(smallest_row);
    return (v8)((v8u)(splat8(1.0f) / select8(usable, x, splat8(1.0f))) & (v8u)usable);
}

/// The code of eight rows' values.
FT_INLINE v8 code8(int format, v8 value, v8 inverse) {
    float lowest = format == FORETOKEN_INT8 ? -127.0f : -8.0f, highest = format == FORETOKEN_INT8 ? 127.0f : 7.0f;
    v8 code = value * inverse;
    code = select8(code < splat8(lowest), splat8(lowest), code);
    return nearest8(select8(code > splat8(highest), splat8(highest), code));
}

/// Sum of squared errors of eight rows with one candidate scale.
FT_INLINE v8 squared_error8(const float *values, int32_t columns, v8 scale) {
    v8 inverse = inverse8(scale), sum = splat8(0);
    for (int32_t k = 0; k < columns; k++) {
        v8 value = load8(values + k * FORETOKEN_PANEL_ROWS);
        v8 error = value - code8(FORETOKEN_INT4, value, inverse) * scale;
        sum += error * error;
    }
    return sum;
}

/// Scales of eight rows of one block.
FT_INLINE v8 scale_of8(int format, const float *values, int32_t columns) {
    v8 largest = splat8(0);  // with its sign
    for (int32_t k = 0; k < columns; k++) {
        v8 value = load8(values + k * FORETOKEN_PANEL_ROWS);
        largest = select8(magnitude8(value) > magnitude8(largest), value, largest);
    }
    if (format == FORETOKEN_INT8) return bfloat_rounded8(magnitude8(largest) / splat8(127), true);

    v8 best = splat8(0), least = splat8(INFINITY);
    // Relative values keep the squares away from the ends of the exponent range.
    v8 inverse = inverse8(magnitude8(largest));
    float relative[32 * FORETOKEN_PANEL_ROWS];
    for (int32_t k = 0; k < columns; k++) {
        store8(relative + k * FORETOKEN_PANEL_ROWS, load8(values + k * FORETOKEN_PANEL_ROWS) * inverse);
    }
    for (int i = 0; i < CANDIDATES; i++) {
        v8 scale = bfloat_rounded8(largest / splat8(-7.0f - 0.3f * (float)i), false);
        v8 error = squared_error8(relative, columns, scale * inverse);
        best = select8(error < least, scale, best);
        least = select8(error < least, error, least);
    }
    return best;
}

/// One block from `columns` columns of values; the rest of it becomes zero.
FT_INLINE void quantise_block(int format, const float *values, int32_t columns, uint8_t *block) {
    uint8_t *codes = block + FT_SCALE_BYTES;
    memset(codes, format == FORETOKEN_INT8 ? 0x80 : 0x88, block_bytes(format) - FT_SCALE_BYTES);
    for (int row = 0; row < FORETOKEN_PANEL_ROWS; row += 8) {
        v8 scale = scale_of8(format, values + row, columns), inverse = inverse8(scale);
        for (int i = 0; i < 8; i++) {
            uint16_t bits = round_bf16(inverse[i] == 0 ? 0 : scale[i]);
            memcpy(block + 2 * (row + i), &bits, sizeof bits);
        }
        for (int32_t k = 0; k < columns; k++) {
            v8i code = __builtin_convertvector(
                code8(format, load8(values + k * FORETOKEN_PANEL_ROWS + row), inverse), v8i);
            uint8_t *quad = codes + k / quad_columns(format) * FT_QUAD_BYTES + 4 * row + k % 4;
            for (int i = 0; i < 8; i++) {
                uint8_t stored = (uint8_t)(code[i] + block_offset(format));
                if (format == FORETOKEN_INT4) {
                    stored = k % 8 < 4 ? (quad[4 * i] & 0xF0) | stored
                                       : (uint8_t)((quad[4 * i] & 0x0F) | stored << 4);
                }
                quad[4 * i] = stored;
            }
        }
    }
}

static void quantise_blocks(int32_t format, const float *values, int32_t columns, uint8_t *panel) {
    for (int32_t b = 0; b < block_count(format, columns); b++) {
        int32_t from = b * block_columns(format);
        int32_t count = columns - from < block_columns(format) ? columns - from : block_columns(format);
        const float *source = values + (size_t)from * FORETOKEN_PANEL_ROWS;
        if (format == FORETOKEN_INT8) {
            quantise_block(FORETOKEN_INT8, source, count, panel + b * block_bytes(FORETOKEN_INT8));
        } else {
            quantise_block(FORETOKEN_INT4, source, count, panel + b * block_bytes(FORETOKEN_INT4));
        }
    }
}

/// One FP8 scale block of up to 128 columns.
static void encode_scale_block(const float *values, int32_t columns, uint8_t *codes, float *scales) {
    for (int row = 0; row < FORETOKEN_PANEL_ROWS; row++) {
        float largest = 0;
        for (int32_t k = 0; k < columns; k++) {
            largest = fmaxf(largest, fabsf(values[(size_t)k * FORETOKEN_PANEL_ROWS + row]));
        }
        float inverse = largest > smallest_row ? 448.0f / largest : 0.0f;
        scales[row] = largest / 448.0f;
        for (int32_t k = 0; k < columns; k++) {
            size_t at = (size_t)k * FORETOKEN_PANEL_ROWS + (size_t)row;
            codes[at] = foretoken_fp8_encode(values[at] * inverse);
        }
    }
}

void foretoken_quantise_panel(int32_t format, const float *values, int32_t columns, void *panel, float *scales) {
    if (has_blocks(format)) {
        quantise_blocks(format, values, columns, panel);
    } else if (format == FORETOKEN_BF16) {
        uint16_t *out = panel;
        for (size_t i = 0; i < (size_t)columns * FORETOKEN_PANEL_ROWS; i++) out[i] = round_bf16(values[i]);
    } else {
        for (int32_t from = 0; from < columns; from += FORETOKEN_SCALE_BLOCK) {
            int32_t count = columns - from < FORETOKEN_SCALE_BLOCK ? columns - from : FORETOKEN_SCALE_BLOCK;
            size_t start = (size_t)from * FORETOKEN_PANEL_ROWS;
            encode_scale_block(values + start, count, (uint8_t *)panel + start, scales);
            scales += FORETOKEN_PANEL_ROWS;
        }
    }
}

/// The four lowest nibbles of `bits` at the even places of 32 bits.
FT_INLINE uint32_t spread_nibbles(uint32_t bits) {
    bits = (bits | bits << 8) & 0x00FF00FFu;
    return (bits | bits << 4) & 0x0F0F0F0Fu;
}

/// The reverse; the odd places of `bits` do not matter.
FT_INLINE uint32_t gather_nibbles(uint32_t bits) {
    bits &= 0x0F0F0F0Fu;
    bits = (bits | bits >> 4) & 0x00FF00FFu;
    return (bits | bits >> 8) & 0x0000FFFFu;
}

enum {
    CODE_COLUMNS = 32,              // of an INT4 block
    CODE_BYTES = CODE_COLUMNS / 2,  // of a row of it
};

void foretoken_pack_int4_panel(const void *codes, size_t code_stride, const uint16_t *scales, size_t scale_stride,
                               int32_t scale_columns, int32_t row_count, int32_t columns, void *panel) {
    for (int32_t b = 0; b < columns / CODE_COLUMNS; b++) {
        uint8_t *block = (uint8_t *)panel + (size_t)b * block_bytes(FORETOKEN_INT4);
        for (int32_t row = 0; row < FORETOKEN_PANEL_ROWS; row++) {
            uint16_t scale = 0;
            uint32_t words[CODE_BYTES / 4] = {0x88888888u, 0x88888888u, 0x88888888u, 0x88888888u};
            if (row < row_count) {
                scale = scales[(size_t)row * scale_stride + (size_t)(b * CODE_COLUMNS / scale_columns)];
                memcpy(words, (const uint8_t *)codes + (size_t)row * code_stride + (size_t)b * CODE_BYTES, sizeof words);
            }
            memcpy(block + 2 * row, &scale, sizeof scale);
            for (int quad = 0; quad < 4; quad++) {
                uint32_t packed = spread_nibbles(words[quad] & 0xFFFF) | spread_nibbles(words[quad] >> 16) << 4;
                memcpy(block + FT_SCALE_BYTES + quad * FT_QUAD_BYTES + 4 * row, &packed, sizeof packed);
            }
        }
    }
}

void foretoken_unpack_int4_panel(const void *panel, int32_t row_count, int32_t columns, void *codes, size_t code_stride,
                                 uint16_t *scales, size_t scale_stride) {
    for (int32_t b = 0; b < columns / CODE_COLUMNS; b++) {
        const uint8_t *block = (const uint8_t *)panel + (size_t)b * block_bytes(FORETOKEN_INT4);
        for (int32_t row = 0; row < row_count; row++) {
            memcpy(scales + (size_t)row * scale_stride + b, block + 2 * row, sizeof *scales);
            uint8_t *out = (uint8_t *)codes + (size_t)row * code_stride + (size_t)b * CODE_BYTES;
            for (int quad = 0; quad < 4; quad++) {
                uint32_t packed;
                memcpy(&packed, block + FT_SCALE_BYTES + quad * FT_QUAD_BYTES + 4 * row, sizeof packed);
                uint32_t word = gather_nibbles(packed) | gather_nibbles(packed >> 4) << 16;
                memcpy(out + 4 * quad, &word, sizeof word);
            }
        }
    }
}
