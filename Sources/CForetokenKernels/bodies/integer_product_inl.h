// Products with the integer formats: activations are quantised too, and integer dot products, exact in any order, do
// the work. AVX2 multiplies 32 pairs of bytes at a time, four times as many as floats, so that several rows still keep
// up with the memory. Weight codes have an offset that makes them unsigned, as the byte product wants one factor; with
// activations up to ±63 (INT8) or ±127 (INT4) its 16-bit sums cannot saturate:
//
//   INT8    2 products ·  255 · 63  = 32130 < 2^15
//   INT4   16 products ·   15 · 127 = 30480 < 2^15
//
// Seven bits are no coarse choice: the published model itself was made to run with activations rounded to e4m3, whose
// error is about twice as large.
//
// A call quantises its rows once, a segment of columns at a time, and walks each panel's segment in groups of 128
// columns. A group's weights (2.3 or 4.2 KiB) stay in L1 while all rows pass over them in blocks whose sums fit the
// registers.

enum { SEGMENT_BLOCKS = SEGMENT / 32 };

/// Quantised activation rows of one segment.
typedef struct {
    int32_t from;  // the segment's first column; -1: nothing is held
    _Alignas(64) int8_t codes[WINDOW_ROWS][SEGMENT];
    float scales[WINDOW_ROWS][SEGMENT / GROUP_COLUMNS];
    /// Per block of the weights: the sum of the codes times what the weights' offset adds, to be taken away.
    int32_t corrections[WINDOW_ROWS][SEGMENT_BLOCKS];
} quantised_rows;

/// Quantises columns [from, from + columns) unless they are held already.
static void quantise_segment(int format, const float *const *x, int rows, int32_t from, int32_t columns,
                             quantised_rows *out) {
    if (out->from == from) return;
    out->from = from;
    const int32_t width = block_columns(format);
    for (int r = 0; r < rows; r++) {
        quantise_to(format == FORETOKEN_INT8 ? 63 : 127, x[r] + from, columns, out->codes[r], out->scales[r]);
        for (int32_t b = 0; b < block_count(format, columns); b++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < width; k++) sum += out->codes[r][width * b + k];
            out->corrections[r][b] = -block_offset(format) * sum;
        }
    }
}

/// BF16 scales of the rows of one vector of a block, from `slot` on.
FT_INLINE vn block_scalen(const uint8_t *block, int slot) {
    return bfloatn((const uint16_t *)(const void *)block + slot);
}

/// Adds one group to the totals of `rows` activation rows, the first of which is `row`, and of `vectors` × LANES weight
/// rows from `slot` on. `column` counts from the segment's start. All arguments but pointers, `blocks`, `row` and
/// `column` are constants where this is inlined.
FT_INLINE void integer_group(int format, int rows, int vectors, int slot, const uint8_t *weights, int32_t blocks,
                             const quantised_rows *x, int row, int32_t column, float (*totals)[PANEL]) {
    vn inner[INTEGER_ROWS][PANEL_VECTORS];
    const int8_t *codes[INTEGER_ROWS];
    FT_UNROLL for (int r = 0; r < rows; r++) codes[r] = x->codes[row + r] + column;
    for (int32_t b = 0; b < blocks; b++) {
        vni sums[INTEGER_ROWS][PANEL_VECTORS];
        if (slot == 0) fetch_ahead(format, 2, weights);  // its scales
        block_sums(format, rows, vectors, slot, weights + FT_SCALE_BYTES, codes, sums);
        FT_UNROLL for (int v = 0; v < vectors; v++) {
            vn scale = block_scalen(weights, slot + LANES * v);
            FT_UNROLL for (int r = 0; r < rows; r++) {
                vni sum = sums[r][v] + x->corrections[row + r][column / block_columns(format) + b];
                vn term = __builtin_convertvector(sum, vn) * scale;
                inner[r][v] = b == 0 ? term : inner[r][v] + term;
            }
        }
        weights += block_bytes(format);
        FT_UNROLL for (int r = 0; r < rows; r++) codes[r] += block_columns(format);
    }
    FT_UNROLL for (int r = 0; r < rows; r++) {
        vn scale = splatn(x->scales[row + r][column / GROUP_COLUMNS]);
        FT_UNROLL for (int v = 0; v < vectors; v++) {
            float *total = totals[row + r] + slot + LANES * v;
            storen(total, loadn(total) + scale * inner[r][v]);
        }
    }
}

/// One group for up to four rows, over as many passes as its 32 weight rows need.
FT_INLINE void integer_block(int format, int rows, const uint8_t *weights, int32_t blocks, const quantised_rows *x,
                             int row, int32_t column, float (*totals)[PANEL]) {
    const int vectors = integer_vectors(rows);
    FT_UNROLL for (int slot = 0; slot < PANEL; slot += vectors * LANES) {
        integer_group(format, rows, vectors, slot, weights, blocks, x, row, column, totals);
    }
}

/// One group for all rows of the call, in even blocks.
FT_INLINE void integer_rows(int format, const uint8_t *weights, int32_t blocks, const quantised_rows *x, int rows,
                            int32_t column, float (*totals)[PANEL]) {
    const int most = integer_block_rows(format);
    for (int row = 0; row < rows;) {
        int passes = (rows - row + most - 1) / most, count = (rows - row) / passes;
        switch (count) {
        case 1: integer_block(format, 1, weights, blocks, x, row, column, totals); break;
        case 2: integer_block(format, 2, weights, blocks, x, row, column, totals); break;
        case 3: integer_block(format, 3, weights, blocks, x, row, column, totals); break;
        default: integer_block(format, 4, weights, blocks, x, row, column, totals); break;
        }
        row += count;
    }
}

/// One panel's columns [from, from + columns), a whole number of groups unless the matrix ends there.
FT_INLINE void integer_strip(int format, const uint8_t *panel, int32_t from, int32_t columns, const quantised_rows *x,
                             int rows, float (*totals)[PANEL]) {
    const int32_t per_group = GROUP_COLUMNS / block_columns(format);
    const uint8_t *weights = panel + (size_t)(from / block_columns(format)) * block_bytes(format);
    int32_t left = block_count(format, columns);
    for (int32_t column = 0; left > 0; column += GROUP_COLUMNS, left -= per_group) {
        int32_t blocks = left < per_group ? left : per_group;
        integer_rows(format, weights, blocks, x, rows, column, totals);
        weights += (size_t)blocks * block_bytes(format);
    }
}

FT_NOINLINE void strip_int8(const uint8_t *panel, int32_t from, int32_t columns, const quantised_rows *x, int rows,
                            float (*totals)[PANEL]) {
    integer_strip(FORETOKEN_INT8, panel, from, columns, x, rows, totals);
}

FT_NOINLINE void strip_int4(const uint8_t *panel, int32_t from, int32_t columns, const quantised_rows *x, int rows,
                            float (*totals)[PANEL]) {
    integer_strip(FORETOKEN_INT4, panel, from, columns, x, rows, totals);
}

FT_INLINE const uint8_t *block_panel(const foretoken_matrix *w, int32_t panel) {
    return (const uint8_t *)w->panels + (size_t)panel * block_count(w->format, w->columns) * block_bytes(w->format);
}

/// Totals [matrix][panel][row] of the panels [first, first + count) of one or two matrices of one shape and format.
static void integer_totals(const foretoken_matrix *const *w, int matrices, int32_t first, int32_t count,
                           const float *const *x, int rows, quantised_rows *quantised, float (*totals)[PANEL]) {
    const foretoken_matrix *shape = w[0];
    memset(totals, 0, sizeof(float) * PANEL * (size_t)(matrices * count * rows));
    for (int32_t from = 0; from < shape->columns; from += SEGMENT) {
        int32_t columns = shape->columns - from < SEGMENT ? shape->columns - from : SEGMENT;
        quantise_segment(shape->format, x, rows, from, columns, quantised);
        for (int m = 0; m < matrices; m++) {
            for (int32_t p = 0; p < count; p++) {
                const uint8_t *panel = block_panel(w[m], first + p);
                float(*own)[PANEL] = totals + (size_t)(m * count + p) * (size_t)rows;
                if (shape->format == FORETOKEN_INT8) {
                    strip_int8(panel, from, columns, quantised, rows, own);
                } else {
                    strip_int4(panel, from, columns, quantised, rows, own);
                }
            }
        }
    }
}
