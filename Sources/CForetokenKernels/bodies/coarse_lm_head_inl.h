// Logits for drafting: INT8 weights and INT8 activations. Integer sums are exact, so every table gives the same bits.

static void FT_ISA(draft_logits)(const foretoken_coarse_lm_head *lm_head, int32_t first, int32_t count,
                                 const int8_t *codes, const float *scales, float *y) {
    const int32_t groups = (lm_head->columns + GROUP_COLUMNS - 1) / GROUP_COLUMNS;
    for (int32_t panel = first; panel < first + count; panel++) {
        const int8_t *weights = lm_head->panels + (size_t)panel * groups * GROUP_COLUMNS * PANEL;
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

typedef int8_t four_bytes __attribute__((vector_size(4)));
typedef int32_t four_integers __attribute__((vector_size(16)));

/// One row's fours lie a panel's width apart.
static float FT_ISA(draft_logit)(const foretoken_coarse_lm_head *lm_head, int32_t row, const int8_t *codes,
                                 const float *scales) {
    const int32_t groups = (lm_head->columns + GROUP_COLUMNS - 1) / GROUP_COLUMNS;
    const int8_t *weights =
        lm_head->panels + (size_t)(row / PANEL) * groups * GROUP_COLUMNS * PANEL + row % PANEL * 4;
    float total = 0;
    for (int32_t g = 0; g < groups; g++) {
        four_integers sums = {0};
        for (int quad = 0; quad < GROUP_COLUMNS / 4; quad++, weights += 4 * PANEL, codes += 4) {
            four_bytes w, x;
            memcpy(&w, weights, sizeof w);
            memcpy(&x, codes, sizeof x);
            sums += __builtin_convertvector(w, four_integers) * __builtin_convertvector(x, four_integers);
        }
        total = total + (float)(sums[0] + sums[1] + sums[2] + sums[3]) * scales[g];
    }
    return total * lm_head->scales[row];
}
