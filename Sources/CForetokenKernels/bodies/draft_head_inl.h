// Logits for drafting: INT8 weights and INT8 activations. Integer sums are exact, so every table gives the same bits.

/// Quantises one activation row: per group of 128 a scale amax / 127. Columns past the end become zero.
static void FT_ISA(quantise_row)(const float *x, int32_t columns, int8_t *codes, float *scales) {
    for (int32_t start = 0; start < columns; start += GROUP) {
        int32_t count = columns - start < GROUP ? columns - start : GROUP;
        float largest = 0;
        for (int32_t i = 0; i < count; i++) largest = fabsf(x[start + i]) > largest ? fabsf(x[start + i]) : largest;
        float inverse = largest > 1e-30f && largest < INFINITY ? 127.0f / largest : 0.0f;
        scales[start / GROUP] = largest / 127.0f;
        for (int32_t i = 0; i < count; i++) codes[start + i] = inverse > 0 ? (int8_t)lrintf(x[start + i] * inverse) : 0;
        for (int32_t i = count; i < GROUP; i++) codes[start + i] = 0;
    }
}

static void FT_ISA(draft_logits)(const foretoken_draft_head *head, int32_t first, int32_t count, const int8_t *codes,
                                 const float *scales, float *y) {
    const int32_t groups = (head->columns + GROUP - 1) / GROUP;
    for (int32_t panel = first; panel < first + count; panel++) {
        const int8_t *weights = head->panels + (size_t)panel * groups * GROUP * PANEL;
        v8 totals[4] = {splat8(0), splat8(0), splat8(0), splat8(0)};
        for (int32_t g = 0; g < groups; g++) {
            v8i sums[4];
            draft_group(weights + (size_t)g * GROUP * PANEL, codes + g * GROUP, sums);
            for (int v = 0; v < 4; v++) {
                totals[v] = totals[v] + __builtin_convertvector(sums[v], v8) * splat8(scales[g]);
            }
        }
        int32_t row = panel * PANEL;
        int32_t rows = head->rows - row < PANEL ? head->rows - row : PANEL;
        float out[PANEL];
        for (int v = 0; v < 4; v++) store8(out + 8 * v, totals[v] * load8(head->scales + row + 8 * v));
        memcpy(y + row, out, (size_t)rows * sizeof(float));
    }
}
