// Activations as INT8 codes, for products of integers.

/// One group of up to 128 values as codes up to ±`top`; those past the end become zero. Returns the scale. Values enter
/// by eights, the last ones beside zeros.
FT_INLINE float quantise_group(const float *x, int32_t count, float top, int8_t *codes) {
    typedef int8_t v8b __attribute__((vector_size(8)));
    v8 largest = splat8(0);
    v8i bad = {0};
    for (int32_t i = 0; i < count; i += 8) {
        v8 magnitude = (v8)((v8u)(i + 8 <= count ? load8(x + i) : load_part(x + i, count - i, 0)) & 0x7FFFFFFFu);
        largest = max8(largest, magnitude);
        bad |= ~(magnitude < splat8(INFINITY));
    }
    float amax = largest8(largest);
    // Below this the inverse would overflow.
    float inverse = amax > 1e-30f && amax < INFINITY ? top / amax : 0.0f;
    for (int32_t i = 0; i < GROUP_COLUMNS; i += 8) {
        v8 value = i + 8 <= count ? load8(x + i) : i < count ? load_part(x + i, count - i, 0) : splat8(0);
        // |value| ≤ amax, so that |product| < top + 0.5; adding 1.5 · 2^23 rounds it to the nearest integer, in the low
        // bits.
        v8i code = (v8i)(value * splat8(inverse) + splat8(0x1.8p23f)) - (v8i)splat8(0x1.8p23f);
        v8b narrow = __builtin_convertvector(code, v8b);
        memcpy(codes + i, &narrow, sizeof narrow);
    }
    bool finite = true;
    for (int i = 0; i < 8; i++) finite &= bad[i] == 0;
    if (finite) return amax / top;
    memset(codes, 0, GROUP_COLUMNS);
    return NAN;
}

static void quantise_to(float top, const float *x, int32_t columns, int8_t *codes, float *scales) {
    for (int32_t start = 0; start < columns; start += GROUP_COLUMNS) {
        int32_t count = columns - start < GROUP_COLUMNS ? columns - start : GROUP_COLUMNS;
        scales[start / GROUP_COLUMNS] = quantise_group(x + start, count, top, codes + start);
    }
}

static void FT_ISA(quantise_row)(const float *x, int32_t columns, int8_t *codes, float *scales) {
    quantise_to(127, x, columns, codes, scales);
}
