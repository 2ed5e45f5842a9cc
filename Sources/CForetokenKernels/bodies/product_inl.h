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

/// How a strip is walked.
typedef struct {
    int32_t columns;
    int lanes;   // FP8: scales of a group, 1 or 32
    bool opens;  // begins the sums
} walk;

FT_INLINE size_t element_bytes(int format) {
    return format == FORETOKEN_FP8 ? 1 : format == FORETOKEN_F32 ? 4 : 2;
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
FT_INLINE void accumulate(int format, int panels, int rows, int vectors, int slot, const strip *strips, walk how,
                          const float *const *x) {
    const int32_t columns = how.columns;
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
                sums[p][r][v] = scaled || how.opens ? splatn(0.0f) : loadn(strips[p].totals[r] + slot + LANES * v);
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
                vn sum = sums[p][r][v];
                if (scaled) {
                    vn scale = slot_scales(strips[p].scale, how.lanes, slot + LANES * v);
                    sum = fman(scale, sum, how.opens ? splatn(0.0f) : loadn(total));
                }
                storen(total, sum);
            }
        }
    }
}

/// The same for one strip of EXACT_INT4 blocks. Codes become numbers and weights once for all rows; few rows are bound by
/// that, so that a second panel beside this one would gain nothing.
FT_INLINE void accumulate_codes(int rows, int vectors, int slot, const strip *s, walk how, const float *const *x) {
    vn sums[BLOCK_ROWS][PANEL_VECTORS];
    FT_UNROLL for (int r = 0; r < rows; r++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) {
            sums[r][v] = how.opens ? splatn(0.0f) : loadn(s->totals[r] + slot + LANES * v);
        }
    }
    const uint8_t *block = s->weights;
    for (int32_t from = 0; from < how.columns; from += block_columns(FORETOKEN_EXACT_INT4)) {
        vn scales[PANEL_VECTORS];
        if (slot == 0) fetch_ahead(FORETOKEN_EXACT_INT4, 2, block);  // its scales
        FT_UNROLL for (int v = 0; v < vectors; v++) scales[v] = block_scalen(block, slot + LANES * v);
        for (int32_t quad = 0; quad < 4; quad++) {
            const uint8_t *codes = block + FT_SCALE_BYTES + (size_t)quad * FT_QUAD_BYTES + 4 * slot;
            fetch_ahead(FORETOKEN_EXACT_INT4, vectors * LANES / 8, codes);
            const size_t first = (size_t)(from + 8 * quad);
            vnu bits[PANEL_VECTORS];
            // With the offset of 8 turned into a sign.
            FT_UNROLL for (int v = 0; v < vectors; v++) bits[v] = (vnu)loadn(codes + 4 * LANES * v) ^ 0x88888888u;
            FT_UNROLL for (int k = 0; k < 8; k++) {
                FT_UNROLL for (int v = 0; v < vectors; v++) {
                    vn w = signed_nibblen(bits[v], 8 * (k % 4) + k / 4 * 4) * scales[v];
                    FT_UNROLL for (int r = 0; r < rows; r++) {
                        sums[r][v] = fman(w, splatn(x[r][first + (size_t)k]), sums[r][v]);
                    }
                }
            }
        }
        block += block_bytes(FORETOKEN_EXACT_INT4);
    }
    FT_UNROLL for (int r = 0; r < rows; r++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) storen(s->totals[r] + slot + LANES * v, sums[r][v]);
    }
}

/// One column group for `rows` (a constant) activation rows, over as many passes as its 32 slots need.
FT_INLINE void group_block(int format, const strip *s, int panels, walk how, const float *const *x, int rows) {
    const int vectors = block_vectors(rows);
    FT_UNROLL for (int slot = 0; slot < PANEL; slot += vectors * LANES) {
        if (format == FORETOKEN_EXACT_INT4) {
            for (int p = 0; p < panels; p++) accumulate_codes(rows, vectors, slot, s + p, how, x);
        } else if (rows <= PAIR_ROWS && panels == 2) {
            accumulate(format, 2, rows, vectors, slot, s, how, x);
        } else {
            accumulate(format, 1, rows, vectors, slot, s, how, x);
        }
    }
}

/// One column group for all rows.
FT_INLINE void group_rows(int format, const strip *strips, int panels, walk how, const float *const *x, int rows) {
    int blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (int b = 0; b < blocks; b++) {
        int from = rows * b / blocks, count = rows * (b + 1) / blocks - from;
        strip s[2];
        for (int p = 0; p < panels; p++) s[p] = (strip){strips[p].weights, strips[p].scale, strips[p].totals + from};
        const float *const *inputs = x + from;
        switch (count) {
        case 1: group_block(format, s, panels, how, inputs, 1); break;
        case 2: group_block(format, s, panels, how, inputs, 2); break;
        case 3: group_block(format, s, panels, how, inputs, 3); break;
        case 4: group_block(format, s, panels, how, inputs, 4); break;
        case 5: group_block(format, s, panels, how, inputs, 5); break;
        default: group_block(format, s, panels, how, inputs, BLOCK_ROWS); break;
        }
    }
}

FT_NOINLINE void group_fp8(const strip *s, int panels, walk how, const float *const *x, int rows) {
    group_rows(FORETOKEN_FP8, s, panels, how, x, rows);
}

FT_NOINLINE void group_f16(const strip *s, int panels, walk how, const float *const *x, int rows) {
    group_rows(FORETOKEN_F16, s, panels, how, x, rows);
}

FT_NOINLINE void group_bf16(const strip *s, int panels, walk how, const float *const *x, int rows) {
    group_rows(FORETOKEN_BF16, s, panels, how, x, rows);
}

FT_NOINLINE void group_exact_int4(const strip *s, int panels, walk how, const float *const *x, int rows) {
    group_rows(FORETOKEN_EXACT_INT4, s, panels, how, x, rows);
}

FT_NOINLINE void group_f32(const strip *s, int panels, walk how, const float *const *x, int rows) {
    group_rows(FORETOKEN_F32, s, panels, how, x, rows);
}

/// Columns of the group that starts at `from`, the `index`th of the matrix.
FT_INLINE int32_t group_columns(const foretoken_matrix *w, int32_t index, int32_t from) {
    int32_t width = index == 0 && w->format == FORETOKEN_FP8 ? w->first_scale_block : GROUP_COLUMNS;
    return width < w->columns - from ? width : w->columns - from;
}

FT_INLINE const uint8_t *panel_weights(const foretoken_matrix *w, int32_t panel, int32_t column) {
    if (has_blocks(w->format)) {
        return block_panel(w, panel) + (size_t)(column / block_columns(w->format)) * block_bytes(w->format);
    }
    return (const uint8_t *)w->panels + ((size_t)panel * w->columns + column) * PANEL * element_bytes(w->format);
}

FT_INLINE const float *group_scale(const foretoken_matrix *w, int32_t panel, int32_t group) {
    if (w->format != FORETOKEN_FP8) return NULL;
    return w->scales + ((size_t)panel * w->scale_blocks + group) * w->scale_lanes;
}

/// Whole column groups that are walked together.
typedef struct {
    int32_t group;      // index of the first
    int32_t from, end;  // columns
} segment;

/// Activations of one segment as FP8 sums take them: a copy multiplied by a power of two.
typedef struct {
    int32_t from;  // the segment's first column; -1: nothing is held
    size_t stride;
    _Alignas(64) float values[WINDOW_ROWS * SEGMENT];
} scaled_rows;

static void scale_segment(segment part, const float *const *x, int rows, scaled_rows *out) {
    if (out->from == part.from) return;
    out->from = part.from;
    out->stride = (size_t)(part.end - part.from);
    for (int r = 0; r < rows; r++) {
        const float *input = x[r] + part.from;
        float *scaled = out->values + (size_t)r * out->stride;
        for (int32_t k = 0; k < part.end - part.from; k++) scaled[k] = input[k] * FT_FP8_INPUT;
    }
}

/// Adds one segment's Σ_k W[n][k] x[m][k] to the totals of the rows n of one panel, or of two panels of matrices of one
/// shape for at most PAIR_ROWS rows m. `x` begins with the segment.
static void panel_totals(const foretoken_matrix *const *w, const int32_t *panel, int panels, segment part,
                         const float *const *x, int rows, float (*const *totals)[PANEL]) {
    const foretoken_matrix *shape = w[0];
    for (int32_t group = part.group, from = part.from; from < part.end; group++) {
        int32_t columns = group_columns(shape, group, from);
        const float *inputs[WINDOW_ROWS];
        for (int r = 0; r < rows; r++) inputs[r] = x[r] + (from - part.from);
        strip s[2];
        for (int p = 0; p < panels; p++) {
            s[p] = (strip){panel_weights(w[p], panel[p], from), group_scale(w[p], panel[p], group), totals[p]};
        }
        const walk how = {columns, shape->scale_lanes, group == 0};
        switch (shape->format) {
        case FORETOKEN_FP8: group_fp8(s, panels, how, inputs, rows); break;
        case FORETOKEN_F16: group_f16(s, panels, how, inputs, rows); break;
        case FORETOKEN_BF16: group_bf16(s, panels, how, inputs, rows); break;
        case FORETOKEN_EXACT_INT4: group_exact_int4(s, panels, how, inputs, rows); break;
        default: group_f32(s, panels, how, inputs, rows); break;
        }
        from += columns;
    }
}

/// Whether two panels can share a walk: where their groups coincide.
static bool are_alike(const foretoken_matrix *a, const foretoken_matrix *b) {
    return a->format == b->format && a->first_scale_block == b->first_scale_block && a->scale_lanes == b->scale_lanes;
}

/// One segment of the panels [first, first + count) of one matrix, neighbours together, or of two alike, the same of both
/// together. Totals as in `float_totals`.
static void segment_totals(const foretoken_matrix *const *w, int matrices, int32_t first, int32_t count, segment part,
                           const float *const *x, int rows, float (*totals)[PANEL]) {
    const foretoken_matrix *const neighbours[2] = {w[0], w[0]};
    const foretoken_matrix *const *both = matrices == 2 ? w : neighbours;
    const int32_t step = matrices == 2 ? 0 : 1, together = rows <= PAIR_ROWS ? 1 + step : 1;
    for (int32_t p = 0; p < count; p += together) {
        const int32_t panel[2] = {first + p, first + p + step};
        const size_t behind = (size_t)(matrices == 2 ? count : 1) * (size_t)rows;
        float(*const own[2])[PANEL] = {totals + (size_t)(p * rows), totals + (size_t)(p * rows) + behind};
        if (rows <= PAIR_ROWS) {
            panel_totals(both, panel, p + step < count ? 2 : 1, part, x, rows, own);
        } else {
            for (int m = 0; m < matrices; m++) panel_totals(both + m, panel + m, 1, part, x, rows, own + m);
        }
    }
}

/// Totals [matrix][panel][row], in slot order, of the panels [first, first + count) of one matrix or of two alike.
static void float_totals(const foretoken_matrix *const *w, int matrices, int32_t first, int32_t count,
                         const float *const *x, int rows, scaled_rows *scaled, float (*totals)[PANEL]) {
    const foretoken_matrix *shape = w[0];
    const bool is_scaled = shape->format == FORETOKEN_FP8;
    // Few rows have room for all columns of most matrices: so weights are read in one stream where that matters.
    const int32_t most = is_scaled ? WINDOW_ROWS * SEGMENT / GROUP_COLUMNS / rows : INT32_MAX;
    for (segment part = {0, 0, 0}; part.end < shape->columns;) {
        int32_t groups = 0;
        for (part.from = part.end; part.end < shape->columns && groups < most; groups++) {
            part.end += group_columns(shape, part.group + groups, part.end);
        }
        if (is_scaled) scale_segment(part, x, rows, scaled);
        const float *inputs[WINDOW_ROWS];
        for (int r = 0; r < rows; r++) {
            inputs[r] = is_scaled ? scaled->values + (size_t)r * scaled->stride : x[r] + part.from;
        }
        segment_totals(w, matrices, first, count, part, inputs, rows, totals);
        part.group += groups;
    }
}

/// Activations of a call, made ready once for all its panels.
typedef struct {
    union {
        quantised_rows quantised;
        scaled_rows scaled;
    };
} ready_rows;

static void forget_rows(ready_rows *ready) {
    ready->quantised.from = -1;
    ready->scaled.from = -1;
}

/// Totals [matrix][panel][row], in slot order, of the panels [first, first + count) of one matrix, or of two of one shape.
static void all_totals(const foretoken_matrix *const *w, int matrices, int32_t first, int32_t count,
                       const float *const *x, int rows, ready_rows *ready, float (*totals)[PANEL]) {
    if (is_integer_format(w[0]->format)) {
        integer_totals(w, matrices, first, count, x, rows, &ready->quantised, totals);
    } else if (matrices == 1 || are_alike(w[0], w[1])) {
        float_totals(w, matrices, first, count, x, rows, &ready->scaled, totals);
    } else {
        for (int m = 0; m < 2; m++) {
            forget_rows(ready);
            float_totals(w + m, 1, first, count, x, rows, &ready->scaled, totals + m * count * rows);
        }
    }
}

static void FT_ISA(product)(const foretoken_matrix *w, int32_t first, int32_t count, foretoken_rows x,
                            int32_t row_count, foretoken_rows y, bool add) {
    const float *rows[WINDOW_ROWS];
    find_rows(x, row_count, rows);
    ready_rows ready;
    forget_rows(&ready);
    _Alignas(64) float totals[SEGMENT_SUMS][PANEL];
    for (int32_t p = 0, batch = SEGMENT_SUMS / row_count; p < count; p += batch) {
        int32_t panels = count - p < batch ? count - p : batch;
        all_totals(&w, 1, first + p, panels, rows, row_count, &ready, totals);
        for (int32_t i = 0; i < panels; i++) {
            write_totals(w, w->format, first + p + i, totals + i * row_count, row_count, y, add);
        }
    }
}

static void FT_ISA(gated_product)(const foretoken_matrix *gate, const foretoken_matrix *up, int32_t first,
                                  int32_t count, foretoken_rows x, int32_t row_count, foretoken_rows y) {
    const foretoken_matrix *const both[2] = {gate, up};
    const float *rows[WINDOW_ROWS];
    find_rows(x, row_count, rows);
    ready_rows ready;
    forget_rows(&ready);
    _Alignas(64) float totals[SEGMENT_SUMS][PANEL];
    for (int32_t p = 0, batch = SEGMENT_SUMS / 2 / row_count; p < count; p += batch) {
        int32_t panels = count - p < batch ? count - p : batch;
        all_totals(both, 2, first + p, panels, rows, row_count, &ready, totals);
        for (int32_t i = 0; i < panels; i++) {
            float(*gates)[PANEL] = totals + i * row_count, (*ups)[PANEL] = gates + panels * row_count;
            // Slots of one format are no slots of another.
            int32_t disordered = gate->format == up->format ? 0 : row_count;
            for (int32_t m = 0; m < disordered; m++) {
                order_rows(gate->format, gates[m], gates[m]);
                order_rows(up->format, ups[m], ups[m]);
            }
            gate_totals(gates, ups, row_count);
            write_totals(gate, disordered ? FORETOKEN_F32 : gate->format, first + p + i, gates, row_count, y, false);
        }
    }
}
