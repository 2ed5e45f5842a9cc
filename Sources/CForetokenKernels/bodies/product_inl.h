// Narrow products y = W x over panels of 32 interleaved rows: each weight is decoded once per step for all its rows.
//
// A panel is walked in column groups (an FP8 scale block, else 128 columns) of 4 to 16 KiB, which stay in L1 while all
// activation rows pass over them, in even blocks of at most BLOCK_ROWS whose accumulators fit the registers; decoding
// again from L1 is cheaper than keeping decoded weights there. The lanes file says how many panels and vectors a block
// takes at a time. Every output element is the same chain of operations in each of them. Sums run in the slot order of
// the format's decoder and return to row order when a panel is finished.

enum { FAR_BYTES = 4096 };  // how much further several rows look ahead than one

/// One column group of one panel, with the sums it adds to.
typedef struct {
    const uint8_t *weights;  // [columns][32]
    const float *scale;      // FP8: 1 or 32 multipliers
    float (*totals)[PANEL];  // [rows], in slot order
} strip;

FT_INLINE size_t element_bytes(int format) {
    return format == FORETOKEN_FP8 ? 1 : format == FORETOKEN_F32 ? 4 : 2;
}

/// Brings 32 decoded values or sums from the slot order of their format's decoder into row order.
FT_INLINE void order_rows(int format, float *values) {
    if (format != FORETOKEN_FP8 && format != FORETOKEN_BF16) return;
    float slots[PANEL];
    memcpy(slots, values, sizeof slots);
    if (format == FORETOKEN_FP8) {
        fp8_rows(slots, values);
    } else {
        bf16_rows(slots, values);
    }
}

/// Multipliers of one vector of slots; they carry the powers of two that decoder and activations left out.
FT_INLINE vn slot_scales(const float *scale, int lanes, int slot) {
    return (lanes == 1 ? splatn(*scale) : fp8_slotsn(scale, slot)) * splatn(1.0f / (FT_FP8_RAW * FT_FP8_INPUT));
}

/// The column that comes i-th in a sum. It must not depend on the number of rows; with -DFORETOKEN_FAULT_WIDTH3 it
/// does, for `foretoken prove` to find.
FT_INLINE int32_t column_at(int32_t i, int32_t columns, int rows) {
#ifdef FORETOKEN_FAULT_WIDTH3
    if (rows == 3) return columns - 1 - i;
#endif
    (void)columns, (void)rows;
    return i;
}

/// The accumulation itself: `panels` strips, `rows` activation rows and `vectors` × LANES slots from `slot` on, all
/// held in registers over `columns`. All arguments but the pointers and `columns` are constants where this is inlined.
FT_INLINE void accumulate(int format, int panels, int rows, int vectors, int slot, const strip *strips,
                          int lanes, const float *const *x, int32_t columns) {
    vn sums[2][BLOCK_ROWS][PANEL_VECTORS];
    const bool scaled = format == FORETOKEN_FP8;
    const size_t bytes = element_bytes(format);
    const uint8_t *weights[2] = {strips[0].weights, strips[panels - 1].weights};
    // Each pass asks for its share of the next group, which lies behind this one: hardware prefetchers alone lose the
    // stream while a second pass over this group reads nothing new. Several rows ask for L2, and earlier: computing for
    // them would keep L1's few outstanding lines waiting.
    const size_t size = (size_t)columns * PANEL * bytes;
    // Addresses, not pointers: behind the last group there may be no object.
    const size_t share = size + size * (size_t)slot / PANEL, step = (size_t)(vectors * LANES) * bytes;
    const uintptr_t next[2] = {(uintptr_t)weights[0] + share, (uintptr_t)weights[1] + share};
    const float *inputs[BLOCK_ROWS];
    FT_UNROLL for (int r = 0; r < rows; r++) inputs[r] = x[r];

    FT_UNROLL for (int p = 0; p < panels; p++) {
        FT_UNROLL for (int r = 0; r < rows; r++) {
            FT_UNROLL for (int v = 0; v < vectors; v++) {
                sums[p][r][v] = scaled ? splatn(0.0f) : loadn(strips[p].totals[r] + slot + LANES * v);
            }
        }
    }
    for (int32_t i = 0; i < columns; i++) {
        size_t k = (size_t)column_at(i, columns, rows);
        FT_UNROLL for (int p = 0; p < panels; p++) {
            const uintptr_t ahead = next[p] + k * step;
            if (rows == 1) __builtin_prefetch((const void *)ahead);
            if (rows > 1) __builtin_prefetch((const void *)(ahead + FAR_BYTES), 0, 2);
            FT_UNROLL for (int v = 0; v < vectors; v += 2) {
                vn w[2];
                decode_pair(format, weights[p] + k * PANEL * bytes, slot / (2 * LANES) + v / 2, w);
                // Twelve sums leave no register for what the halves of a column share: each loads it anew.
                if (rows * vectors > 8) k = index_after(k, w);
                FT_UNROLL for (int r = 0; r < rows; r++) {
                    vn input = splatn(inputs[r][k]);
                    sums[p][r][v] = fman(w[0], input, sums[p][r][v]);
                    sums[p][r][v + 1] = fman(w[1], input, sums[p][r][v + 1]);
                }
            }
        }
    }
    FT_UNROLL for (int p = 0; p < panels; p++) {
        FT_UNROLL for (int r = 0; r < rows; r++) {
            FT_UNROLL for (int v = 0; v < vectors; v++) {
                float *total = strips[p].totals[r] + slot + LANES * v;
                vn scale = scaled ? slot_scales(strips[p].scale, lanes, slot + LANES * v) : splatn(0.0f);
                storen(total, scaled ? fman(scale, sums[p][r][v], loadn(total)) : sums[p][r][v]);
            }
        }
    }
}

/// One column group for `rows` (a constant) activation rows, over as many passes as its 32 slots need.
FT_INLINE void group_block(int format, const strip *s, int panels, int lanes, const float *const *x, int rows,
                           int32_t columns) {
    const int vectors = block_vectors(rows);
    FT_UNROLL for (int slot = 0; slot < PANEL; slot += vectors * LANES) {
        if (rows <= PAIR_ROWS && panels == 2) {
            accumulate(format, 2, rows, vectors, slot, s, lanes, x, columns);
        } else {
            accumulate(format, 1, rows, vectors, slot, s, lanes, x, columns);
        }
    }
}

/// One column group for all rows.
FT_INLINE void group_rows(int format, const strip *strips, int panels, int lanes, const float *const *x, int rows,
                          int32_t columns) {
    int blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (int b = 0; b < blocks; b++) {
        int from = rows * b / blocks, count = rows * (b + 1) / blocks - from;
        strip s[2];
        for (int p = 0; p < panels; p++) s[p] = (strip){strips[p].weights, strips[p].scale, strips[p].totals + from};
        const float *const *inputs = x + from;
        switch (count) {
        case 1: group_block(format, s, panels, lanes, inputs, 1, columns); break;
        case 2: group_block(format, s, panels, lanes, inputs, 2, columns); break;
        case 3: group_block(format, s, panels, lanes, inputs, 3, columns); break;
        case 4: group_block(format, s, panels, lanes, inputs, 4, columns); break;
        case 5: group_block(format, s, panels, lanes, inputs, 5, columns); break;
        default: group_block(format, s, panels, lanes, inputs, BLOCK_ROWS, columns); break;
        }
    }
}

/// The activations of FP8 sums are a copy, multiplied by a power of two.
static __attribute__((noinline)) void group_fp8(const strip *s, int panels, int lanes, const float *const *x, int rows,
                                                int32_t columns) {
    _Alignas(64) float inputs[WINDOW_ROWS][GROUP_COLUMNS];
    const float *scaled[WINDOW_ROWS];
    for (int r = 0; r < rows; r++) {
        for (int32_t k = 0; k < columns; k++) inputs[r][k] = x[r][k] * FT_FP8_INPUT;
        scaled[r] = inputs[r];
    }
    group_rows(FORETOKEN_FP8, s, panels, lanes, scaled, rows, columns);
}

static __attribute__((noinline)) void group_f16(const strip *s, int panels, const float *const *x, int rows,
                                                int32_t columns) {
    group_rows(FORETOKEN_F16, s, panels, 1, x, rows, columns);
}

static __attribute__((noinline)) void group_bf16(const strip *s, int panels, const float *const *x, int rows,
                                                 int32_t columns) {
    group_rows(FORETOKEN_BF16, s, panels, 1, x, rows, columns);
}

static __attribute__((noinline)) void group_f32(const strip *s, int panels, const float *const *x, int rows,
                                                int32_t columns) {
    group_rows(FORETOKEN_F32, s, panels, 1, x, rows, columns);
}

/// Columns of the group that starts at `from`, the `index`th of the matrix.
FT_INLINE int32_t group_columns(const foretoken_matrix *w, int32_t index, int32_t from) {
    int32_t width = index == 0 && w->format == FORETOKEN_FP8 ? w->first_scale_block : GROUP_COLUMNS;
    return width < w->columns - from ? width : w->columns - from;
}

FT_INLINE const uint8_t *panel_weights(const foretoken_matrix *w, int32_t panel, int32_t column) {
    return (const uint8_t *)w->panels + ((size_t)panel * w->columns + column) * PANEL * element_bytes(w->format);
}

FT_INLINE const float *group_scale(const foretoken_matrix *w, int32_t panel, int32_t group) {
    if (w->format != FORETOKEN_FP8) return NULL;
    return w->scales + ((size_t)panel * w->scale_blocks + group) * w->scale_lanes;
}

/// Σ_k W[n][k] x[m][k] for the rows n of one panel, or of two panels of matrices of one shape for at most
/// PAIR_ROWS rows m.
static void panel_totals(const foretoken_matrix *const *w, const int32_t *panel, int panels, const float *const *rows,
                         int row_count, ft_totals *totals) {
    for (int p = 0; p < panels; p++) memset(totals[p], 0, sizeof(float) * PANEL * (size_t)row_count);
    const foretoken_matrix *shape = w[0];
    for (int32_t group = 0, from = 0; from < shape->columns; group++) {
        int32_t columns = group_columns(shape, group, from);
        const float *x[WINDOW_ROWS];
        for (int r = 0; r < row_count; r++) x[r] = rows[r] + from;
        strip s[2];
        for (int p = 0; p < panels; p++) {
            s[p] = (strip){panel_weights(w[p], panel[p], from), group_scale(w[p], panel[p], group), totals[p]};
        }
        switch (shape->format) {
        case FORETOKEN_FP8: group_fp8(s, panels, shape->scale_lanes, x, row_count, columns); break;
        case FORETOKEN_F16: group_f16(s, panels, x, row_count, columns); break;
        case FORETOKEN_BF16: group_bf16(s, panels, x, row_count, columns); break;
        default: group_f32(s, panels, x, row_count, columns); break;
        }
        from += columns;
    }
    for (int p = 0; p < panels; p++) {
        for (int r = 0; r < row_count; r++) order_rows(shape->format, totals[p][r]);
    }
}

static void FT_ISA(product)(const foretoken_matrix *w, int32_t first, int32_t count, foretoken_rows x,
                            int32_t row_count, foretoken_rows y, bool add) {
    const float *rows[WINDOW_ROWS];
    find_rows(x, row_count, rows);
    if (is_integer_format(w->format)) {
        integer_product(w, first, count, rows, row_count, y, add);
        return;
    }
    const foretoken_matrix *const both[2] = {w, w};
    for (int32_t p = 0; p < count;) {
        _Alignas(64) ft_totals totals[2];
        int pair = row_count <= PAIR_ROWS && p + 1 < count ? 2 : 1;
        const int32_t panel[2] = {first + p, first + p + 1};
        panel_totals(both, panel, pair, rows, row_count, totals);
        for (int i = 0; i < pair; i++) write_totals(w, panel[i], totals[i], row_count, y, add);
        p += pair;
    }
}

static void FT_ISA(gated_product)(const foretoken_matrix *gate, const foretoken_matrix *up, int32_t first,
                                  int32_t count, foretoken_rows x, int32_t row_count, foretoken_rows y) {
    const float *rows[WINDOW_ROWS];
    find_rows(x, row_count, rows);
    const foretoken_matrix *const both[2] = {gate, up};
    if (is_integer_format(gate->format)) {
        integer_gated_product(both, first, count, rows, row_count, y);
        return;
    }
    // Two panels share a walk only when their groups coincide.
    bool alike = gate->format == up->format && gate->first_scale_block == up->first_scale_block &&
                 gate->scale_lanes == up->scale_lanes;
    for (int32_t p = first; p < first + count; p++) {
        _Alignas(64) ft_totals totals[2];
        const int32_t panel[2] = {p, p};
        if (row_count <= PAIR_ROWS && alike) {
            panel_totals(both, panel, 2, rows, row_count, totals);
        } else {
            for (int i = 0; i < 2; i++) panel_totals(both + i, panel, 1, rows, row_count, totals + i);
        }
        gate_totals(totals[0], totals[1], row_count);
        write_totals(gate, p, totals[0], row_count, y, false);
    }
}
