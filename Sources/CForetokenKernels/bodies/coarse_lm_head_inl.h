// Logits for drafting: INT8 weights and INT8 activations. Integer sums are exact, so every table gives the same bits.

/// `rows` rows, 8 or 1, from `first` on.
FT_INLINE void draft_block(int rows, const foretoken_coarse_lm_head *lm_head, int32_t first, const int8_t *codes,
                           const float *scales, float *y) {
    const int32_t groups = (lm_head->columns + GROUP_COLUMNS - 1) / GROUP_COLUMNS;
    const size_t stride = (size_t)groups * GROUP_COLUMNS;
    const int8_t *weights = lm_head->codes + first * stride;
    float totals[8] = {0};
    for (int32_t g = 0; g < groups; g++) {
        int32_t sums[8];
        draft_row_sums(rows, weights + g * GROUP_COLUMNS, stride, codes + g * GROUP_COLUMNS, sums);
        FT_UNROLL for (int r = 0; r < rows; r++) totals[r] = totals[r] + (float)sums[r] * scales[g];
    }
    FT_UNROLL for (int r = 0; r < rows; r++) y[first + r] = totals[r] * lm_head->scales[first + r];
}

static void FT_ISA(draft_logits)(const foretoken_coarse_lm_head *lm_head, int32_t first, int32_t count,
                                 const int8_t *codes, const float *scales, float *y) {
    int32_t row = first;
    for (; row + 8 <= first + count; row += 8) draft_block(8, lm_head, row, codes, scales, y);
    for (; row < first + count; row++) draft_block(1, lm_head, row, codes, scales, y);
}
