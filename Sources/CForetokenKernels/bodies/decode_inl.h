// FP32 values of whole panels (for wide products through BLAS) and of single rows (embeddings).

/// `columns` × 32 slots of exact values. The product is written as a sum with -0, which changes no bit: cores that
/// stall on products of subnormals do not on fused sums.
FT_INLINE void decode_to(int format, const uint8_t *weights, int32_t columns, float *out) {
    for (int32_t k = 0; k < columns; k++) {
        FT_UNROLL for (int pair = 0; pair < PANEL_VECTORS / 2; pair++) {
            vn w[2];
            decode_pair(format, weights + (size_t)k * PANEL * element_bytes(format), pair, w);
            FT_UNROLL for (int v = 0; v < 2; v++) {
                bool raw = format == FORETOKEN_FP8 && FT_FP8_RAW != 1.0f;
                vn value = raw ? fman(w[v], splatn(1.0f / FT_FP8_RAW), splatn(-0.0f)) : w[v];
                storen(out + k * PANEL + (2 * pair + v) * LANES, value);
            }
        }
    }
}

static void decode_strip(int format, const uint8_t *weights, int32_t columns, float *out) {
    switch (format) {
    case FORETOKEN_FP8: decode_to(FORETOKEN_FP8, weights, columns, out); break;
    case FORETOKEN_F16: decode_to(FORETOKEN_F16, weights, columns, out); break;
    case FORETOKEN_BF16: decode_to(FORETOKEN_BF16, weights, columns, out); break;
    default: decode_to(FORETOKEN_F32, weights, columns, out); break;
    }
}

/// `columns` ≤ 128 columns of 32 exact values in row order, scales not applied.
static void decode_group(int format, const uint8_t *weights, int32_t columns, float *out) {
    decode_strip(format, weights, columns, out);
    for (int32_t k = 0; k < columns; k++) order_rows(format, out + k * PANEL, out + k * PANEL);
}

/// Columns [begin, end) of one panel, scales multiplied in, to rows of `stride` floats.
static void decode_columns(const foretoken_matrix *w, int32_t panel, int32_t begin, int32_t end, float *out,
                           size_t stride) {
    for (int32_t group = 0, from = 0; from < end; group++) {
        int32_t next = from + group_columns(w, group, from);
        int32_t start = from > begin ? from : begin, columns = (next < end ? next : end) - start;
        from = next;
        if (columns <= 0) continue;

        _Alignas(64) float decoded[GROUP_COLUMNS * PANEL];
        decode_group(w->format, panel_weights(w, panel, start), columns, decoded);
        const float *scale = group_scale(w, panel, group);
        float *rows = out + (size_t)(start - begin) * stride;
        for (int lane = 0; lane < PANEL; lane += LANES) {
            vn factor = splatn(1.0f);
            if (scale) factor = w->scale_lanes == 1 ? splatn(*scale) : loadn(scale + lane);
            for (int32_t k = 0; k < columns; k++) {
                storen(rows + (size_t)k * stride + lane, loadn(decoded + k * PANEL + lane) * factor);
            }
        }
    }
}

/// Codes of column `k` of the rows of one vector of an integer block.
FT_INLINE vn block_codesn(int format, const uint8_t *block, int32_t k, int slot) {
    vnu bytes;
    memcpy(&bytes, block + FT_SCALE_BYTES + k / quad_columns(format) * FT_QUAD_BYTES + 4 * slot, sizeof bytes);
    uint32_t mask = format == FORETOKEN_INT8 ? 255 : 15, shift = 8 * (k % 4) + k % quad_columns(format) / 4 * 4;
    return __builtin_convertvector((vni)(bytes >> shift & mask) - block_offset(format), vn);
}

/// The same as `decode_columns` for a format with blocks.
FT_INLINE void decode_blocks(int format, const uint8_t *panel, int32_t begin, int32_t end, float *out, size_t stride) {
    for (int32_t column = begin; column < end;) {
        const uint8_t *block = panel + (size_t)(column / block_columns(format)) * block_bytes(format);
        int32_t first = column - column % block_columns(format);
        int32_t stop = first + block_columns(format) < end ? first + block_columns(format) : end;
        FT_UNROLL for (int slot = 0; slot < PANEL; slot += LANES) {
            vn scale = block_scalen(block, slot);
            for (int32_t k = column; k < stop; k++) {
                storen(out + (size_t)(k - begin) * stride + slot, block_codesn(format, block, k - first, slot) * scale);
            }
        }
        column = stop;
    }
}

/// The same for one panel of any of these formats; EXACT_INT4 has the blocks of INT4.
static void decode_block_panel(const foretoken_matrix *w, int32_t panel, int32_t begin, int32_t end, float *out,
                               size_t stride) {
    if (w->format == FORETOKEN_INT8) {
        decode_blocks(FORETOKEN_INT8, block_panel(w, panel), begin, end, out, stride);
    } else {
        decode_blocks(FORETOKEN_INT4, block_panel(w, panel), begin, end, out, stride);
    }
}

static void FT_ISA(decode_panels)(const foretoken_matrix *w, int32_t first, int32_t count, int32_t column,
                                  int32_t columns, float *out, size_t stride) {
    for (int32_t p = 0; p < count; p++) {
        if (has_blocks(w->format)) {
            decode_block_panel(w, first + p, column, column + columns, out + (size_t)p * PANEL, stride);
        } else {
            decode_columns(w, first + p, column, column + columns, out + (size_t)p * PANEL, stride);
        }
    }
}

/// Row `row` of a format with blocks by way of its panel's columns.
static void decode_block_row(const foretoken_matrix *w, int32_t row, float *out) {
    for (int32_t from = 0; from < w->columns; from += GROUP_COLUMNS) {
        int32_t columns = w->columns - from < GROUP_COLUMNS ? w->columns - from : GROUP_COLUMNS;
        _Alignas(64) float decoded[GROUP_COLUMNS * PANEL];
        decode_block_panel(w, row / PANEL, from, from + columns, decoded, PANEL);
        for (int32_t k = 0; k < columns; k++) out[from + k] = decoded[k * PANEL + row % PANEL];
    }
}

static void FT_ISA(decode_row)(const foretoken_matrix *w, int32_t row, float *out) {
    if (has_blocks(w->format)) {
        decode_block_row(w, row, out);
        return;
    }
    size_t bytes = element_bytes(w->format);
    int32_t panel = row / PANEL, lane = row % PANEL;
    for (int32_t group = 0, from = 0; from < w->columns; group++) {
        int32_t columns = group_columns(w, group, from);
        const uint8_t *column = panel_weights(w, panel, from) + (size_t)lane * bytes;
        _Alignas(64) uint8_t room[64 + GROUP_COLUMNS * sizeof(float)] = {0};
        uint8_t *gathered = room + 64;  // decoders may read the byte in front
        for (int32_t k = 0; k < columns; k++) memcpy(gathered + k * bytes, column + k * PANEL * bytes, bytes);

        // The decoder takes columns of 32: four of them hold the group's 128 weights.
        _Alignas(64) float decoded[GROUP_COLUMNS];
        decode_group(w->format, gathered, GROUP_COLUMNS / PANEL, decoded);
        const float *scale = group_scale(w, panel, group);
        float factor = scale ? scale[w->scale_lanes == 1 ? 0 : lane] : 1.0f;
        for (int32_t k = 0; k < columns; k++) out[from + k] = decoded[k] * factor;
        from += columns;
    }
}
