// Logits for drafting: INT8 weights and INT8 activations. Integer sums are exact, so every table gives the same bits.

static void FT_ISA(draft_logits)(const foretoken_coarse_lm_head *lm_head, int32_t first, int32_t count,
                                 const int8_t *codes, const float *scales, float *y) {
    const int32_t groups = (lm_head->columns + GROUP_COLUMNS - 1) / GROUP_COLUMNS;
    for (int32_t panel = first; panel < first + count; panel++) {
        const int8_t *weights = lm_head->codes + (size_t)panel * groups * GROUP_COLUMNS * PANEL;
        vn totals[PANEL_VECTORS];
        for (int v = 0; v < PANEL_VECTORS; v++) totals[v] = splatn(0);
        for (int32_t g = 0; g < groups; g++) {
            vni sums[PANEL_VECTORS];
            draft_group(weights + (size_t)g * GROUP_COLUMNS * PANEL, codes + g * GROUP_COLUMNS, sums);
            for (int v = 0; v < PANEL_VECTORS; v++) {
                totals[v] = totals[v] + __builtin_convertvector(sums[v], vn) * splatn(scales[g]);
            }
        }
        int32_t row = panel * PANEL;
        int32_t rows = lm_head->rows - row < PANEL ? lm_head->rows - row : PANEL;
        float out[PANEL];
        for (int v = 0; v < PANEL_VECTORS; v++) {
            storen(out + LANES * v, totals[v] * loadn(lm_head->scales + row + LANES * v));
        }
        memcpy(y + row, out, (size_t)rows * sizeof(float));
    }
}

/// The same of rows that lie one after the other.
static void FT_ISA(draft_rows)(const foretoken_coarse_lm_head *lm_head, int32_t first, int32_t count,
                               const int8_t *codes, const float *scales, float *y) {
    const int32_t groups = (lm_head->columns + GROUP_COLUMNS - 1) / GROUP_COLUMNS;
    for (int32_t row = first; row < first + count; row++) {
        const int8_t *weights = lm_head->codes + (size_t)row * groups * GROUP_COLUMNS, *inputs = codes;
        float total = 0;
        for (int32_t g = 0; g < groups; g++, weights += GROUP_COLUMNS, inputs += GROUP_COLUMNS) {
            int32_t sum = 0;
            for (int k = 0; k < GROUP_COLUMNS; k++) sum += (int32_t)weights[k] * inputs[k];
            total = total + (float)sum * scales[g];
        }
        y[row] = total * lm_head->scales[row];
    }
}
