// Number formats, packing and noise: what does not depend on the instruction set.
#include "foretoken_kernels.h"

#pragma clang diagnostic ignored "-Wpsabi"

#include "vector_inl.h"

#include "noise_inl.h"

float foretoken_fp8_value(uint8_t code) {
    uint32_t exponent = (code >> 3) & 15, mantissa = code & 7;
    float magnitude = exponent == 0 ? (float)mantissa * 0x1p-9f
                                    : (float)(8 + mantissa) * 0x1p-10f * (float)(1u << exponent);
    if ((code & 0x7F) == 0x7F) magnitude = NAN;
    return code & 0x80 ? -magnitude : magnitude;
}

bool foretoken_fp8_has_nan(const uint8_t *codes, size_t n) {
    // Whole chunks without an early exit, so that the compiler can vectorise the test.
    enum { CHUNK = 4096 };
    for (size_t from = 0; from < n; from += CHUNK) {
        size_t count = n - from < CHUNK ? n - from : CHUNK;
        uint8_t found = 0;
        for (size_t i = 0; i < count; i++) found |= (codes[from + i] & 0x7F) == 0x7F;
        if (found) return true;
    }
    return false;
}

uint8_t foretoken_fp8_encode(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return sign | 0x7F;
    float magnitude;
    memcpy(&magnitude, &bits, sizeof magnitude);
    if (magnitude >= 448.0f) return sign | 0x7E;

    uint32_t code;
    if (magnitude < 0x1p-6f) {
        // Subnormal codes count units of 2^-9, the last place of 2^14: the sum rounds to them.
        float shifted = magnitude + 0x1p14f;
        memcpy(&code, &shifted, sizeof code);
        code -= 0x46800000;
    } else {
        uint32_t rounded = bits + 0x7FFFF + (bits >> 20 & 1);
        code = (rounded >> 20) - ((127 - 7) << 3);
    }
    return sign | (uint8_t)code;
}

uint16_t foretoken_bf16_encode(float x) {
    return round_bf16(x);
}

/// `element` is a constant where this is inlined, so that the copies become moves.
FT_INLINE void interleave(size_t element, const uint8_t *source, size_t stride, size_t rows, size_t columns,
                          uint8_t *panel) {
    // A column block small enough that its lines of all 32 rows stay in L1 until they are used up.
    enum { BLOCK = 64 };
    for (size_t from = 0; from < columns; from += BLOCK) {
        size_t to = columns - from < BLOCK ? columns : from + BLOCK;
        for (size_t r = 0; r < FORETOKEN_PANEL_ROWS; r++) {
            for (size_t k = from; k < to; k++) {
                uint8_t *target = panel + (k * FORETOKEN_PANEL_ROWS + r) * element;
                if (r < rows) {
                    memcpy(target, source + (r * stride + k) * element, element);
                } else {
                    memset(target, 0, element);
                }
            }
        }
    }
}

void foretoken_pack_panel(const void *source, size_t source_stride, int32_t row_count, int32_t columns,
                          int32_t element, void *panel) {
    size_t rows = (size_t)row_count, width = (size_t)columns;
    switch (element) {
    case 1: interleave(1, source, source_stride, rows, width, panel); break;
    case 2: interleave(2, source, source_stride, rows, width, panel); break;
    default: interleave(4, source, source_stride, rows, width, panel); break;
    }
}

static uint64_t mix64(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t foretoken_noise_key(uint64_t seed, uint64_t position) {
    return mix64(mix64(seed + 0x9E3779B97F4A7C15u) + position * 0xD1342543DE82EF95u);
}

float foretoken_gumbel(uint64_t key, int32_t token) {
    return gumbel8(key, splat8u((uint32_t)token))[0];
}
