// What all products over panels share: their limits, and where activation and output rows lie.

enum {
    PANEL = FORETOKEN_PANEL_ROWS,
    GROUP_COLUMNS = FORETOKEN_SCALE_BLOCK,
    WINDOW_ROWS = FORETOKEN_WINDOW_ROWS,
    SEGMENT = 2048,      // columns of sixteen rows that are made ready at a time
    SEGMENT_SUMS = 256,  // panels × rows whose totals are kept while the segments pass
};

FT_INLINE float *row_at(foretoken_rows rows, int32_t i) {
    return rows.base + rows.stride * (size_t)(rows.index ? rows.index[i] : i);
}

/// Where all rows of a call lie. The choice stands outside the loops: inside it becomes a masked load of vectors, which is
/// not faster, and which emulators carry out at addresses that are masked out.
FT_INLINE void find_rows(foretoken_rows rows, int32_t count, const float **found) {
    if (rows.index) {
        for (int32_t i = 0; i < count; i++) found[i] = rows.base + rows.stride * (size_t)rows.index[i];
    } else {
        for (int32_t i = 0; i < count; i++) found[i] = rows.base + rows.stride * (size_t)i;
    }
}

/// Brings 32 decoded values or sums from the slot order of their format's decoder into row order; `rows` may be `slots`.
FT_INLINE void order_rows(int format, const float *slots, float *rows) {
    if (format == FORETOKEN_FP8) {
        fp8_rows(slots, rows);
    } else if (format == FORETOKEN_BF16) {
        bf16_rows(slots, rows);
    } else if (rows != slots) {
        memcpy(rows, slots, PANEL * sizeof(float));
    }
}

/// Stores one panel's finished sums, which are in the slot order of `format`, as many as the matrix has rows there.
static void write_totals(const foretoken_matrix *w, int format, int32_t panel, float (*totals)[PANEL],
                         int32_t row_count, foretoken_rows y, bool add) {
    int32_t start = panel * PANEL;
    int32_t count = w->rows - start < PANEL ? w->rows - start : PANEL;
    for (int32_t m = 0; m < row_count; m++) {
        float *out = row_at(y, m) + start;
        if (count == PANEL && !add) {
            order_rows(format, totals[m], out);
            continue;
        }
        float sums[PANEL];
        order_rows(format, totals[m], sums);
        if (add) {
            for (int32_t n = 0; n < count; n++) out[n] = out[n] + sums[n];
        } else {
            memcpy(out, sums, (size_t)count * sizeof(float));
        }
    }
}

/// Turns the sums of a gate's panel into silu(gate) ⊙ up.
static void gate_totals(float (*gate)[PANEL], float (*up)[PANEL], int32_t row_count) {
    for (int32_t m = 0; m < row_count; m++) {
        for (int lane = 0; lane < PANEL; lane += 8) {
            store8(gate[m] + lane, swiglu8(load8(gate[m] + lane), load8(up[m] + lane)));
        }
    }
}
