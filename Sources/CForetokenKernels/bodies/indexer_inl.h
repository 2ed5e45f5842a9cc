// DeepSeek sparse attention's indexer (DeepSeek-V3.2, section 2.1): its keys, its scores, and copies of the latents
// that were chosen by them.
//
// Index keys lie as latents do, so that the scores of neighbouring entries are the lanes of a vector: for each head one
// sum over ascending dimensions, of which the positive ones are added up over ascending heads.

static void FT_ISA(layer_norm)(const float *x, const float *weight, const float *bias, float *y, int32_t n,
                               float epsilon) {
    v8 sums = splat8(0.0f), squares = splat8(0.0f);
    int32_t whole = n & ~7;
    for (int32_t i = 0; i < whole; i += 8) sums += load8(x + i);
    if (whole < n) sums += load_part(x + whole, n - whole, 0.0f);
    float mean = sum8(sums) / (float)n;
    for (int32_t i = 0; i < whole; i += 8) {
        v8 v = load8(x + i) - splat8(mean);
        squares = fma8(v, v, squares);
    }
    if (whole < n) {
        v8 v = load_part(x + whole, n - whole, mean) - splat8(mean);
        squares = fma8(v, v, squares);
    }
    float factor = 1.0f / __builtin_sqrtf(sum8(squares) / (float)n + epsilon);
    for (int32_t i = 0; i < n; i++) y[i] = FT_FMA1(weight[i], (x[i] - mean) * factor, bias[i]);
}

static void FT_ISA(rotate_halves)(float *x, const float *cosine, const float *sine, int32_t n) {
    int32_t half = n / 2;
    for (int32_t i = 0; i < half; i++) {
        float a = x[i], b = x[half + i];
        x[i] = a * cosine[i] - b * sine[i];
        x[half + i] = a * sine[i] + b * cosine[i];
    }
}

/// totals[e] += Σ_l weights[l] · max(0, Σ_d query[l][d] · group[d][e]) over `lines` heads whose queries lie `width`
/// apart.
FT_INLINE void index_lines(int format, int lines, const float *query, const float *weights, const uint8_t *group,
                           size_t width, v8 *totals) {
    v8 sums[LINES][2];
    FT_UNROLL for (int l = 0; l < lines; l++) sums[l][0] = sums[l][1] = splat8(0.0f);
    for (size_t d = 0; d < width; d++) {
        const uint8_t *row = group + d * entry_row_bytes(format);
        v8 keys[2] = {load_entries(format, row, 0), load_entries(format, row, 1)};
        FT_UNROLL for (int l = 0; l < lines; l++) {
            v8 q = splat8(query[(size_t)l * width + d]);
            FT_UNROLL for (int v = 0; v < 2; v++) sums[l][v] = fma8(q, keys[v], sums[l][v]);
        }
    }
    FT_UNROLL for (int l = 0; l < lines; l++) {
        FT_UNROLL for (int v = 0; v < 2; v++) {
            v8 kept = select8(sums[l][v] < splat8(0.0f), splat8(0.0f), sums[l][v]);  // NaN stays
            totals[v] = fma8(splat8(weights[l]), kept, totals[v]);
        }
    }
}

/// One row's scores of the 16 entries of a group.
FT_INLINE void index_group(int format, const float *query, const float *weights, size_t heads, const uint8_t *group,
                           size_t width, float *scores) {
    v8 totals[2] = {splat8(0.0f), splat8(0.0f)};
    for (size_t h = 0, n; h < heads; h += n) {
        n = lines_of_call(heads - h);
        const float *q = query + h * width, *w = weights + h;
        switch (n) {
        case 1: index_lines(format, 1, q, w, group, width, totals); break;
        case 2: index_lines(format, 2, q, w, group, width, totals); break;
        case 3: index_lines(format, 3, q, w, group, width, totals); break;
        case 4: index_lines(format, 4, q, w, group, width, totals); break;
        case 5: index_lines(format, 5, q, w, group, width, totals); break;
        default: index_lines(format, 6, q, w, group, width, totals); break;
        }
    }
    store8(scores, totals[0]);
    store8(scores + 8, totals[1]);
}

static void FT_ISA(score_entries)(const foretoken_latents *keys, int32_t first, int32_t count, foretoken_rows query,
                                  foretoken_rows weights, int32_t row_count, int32_t heads, foretoken_rows scores) {
    size_t width = (size_t)(keys->rank + keys->rope);
    for (int32_t e = first; e < first + count; e += ENTRIES) {
        const uint8_t *group = latent_group(keys, e);
        for (size_t row = 0; row < (size_t)row_count; row++) {
            const float *q = query.base + row * query.stride, *w = weights.base + row * weights.stride;
            float *out = scores.base + row * scores.stride + e;
            if (keys->format == FORETOKEN_F32) {
                index_group(FORETOKEN_F32, q, w, (size_t)heads, group, width, out);
            } else {
                index_group(FORETOKEN_BF16, q, w, (size_t)heads, group, width, out);
            }
        }
    }
}

/// Copies `count` entries of one group, which `positions` names, to places `at` and on of another.
FT_INLINE void copy_entries(int format, const uint8_t *group, const int32_t *positions, int32_t count, uint8_t *out,
                            int32_t at, size_t width) {
    for (size_t d = 0; d < width; d++) {
        const uint8_t *row = group + d * entry_row_bytes(format);
        uint8_t *row_out = out + d * entry_row_bytes(format);
        for (int32_t i = 0; i < count; i++) {
            int32_t from = positions[i] % ENTRIES, to = at + i;
            if (format == FORETOKEN_F32) {
                ((float *)row_out)[to] = ((const float *)row)[from];
            } else {
                ((uint16_t *)row_out)[bf16_place(to)] = ((const uint16_t *)row)[bf16_place(from)];
            }
        }
    }
}

static void FT_ISA(gather_latents)(const foretoken_latents *cache, const int32_t *positions, int32_t first,
                                   int32_t count, const foretoken_latents *out) {
    size_t width = (size_t)(cache->rank + cache->rope);
    for (int32_t i = first, n; i < first + count; i += n) {
        int32_t room = ENTRIES - i % ENTRIES, group = positions[i] / ENTRIES;
        for (n = 1; n < room && i + n < first + count && positions[i + n] / ENTRIES == group; n++) {}
        const uint8_t *from = latent_group(cache, positions[i]);
        uint8_t *to = latent_group(out, i);
        if (cache->format == FORETOKEN_F32) {
            copy_entries(FORETOKEN_F32, from, positions + i, n, to, i % ENTRIES, width);
        } else {
            copy_entries(FORETOKEN_BF16, from, positions + i, n, to, i % ENTRIES, width);
        }
    }
}
