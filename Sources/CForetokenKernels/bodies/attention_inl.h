// Absorbed MLA attention of a window's rows over the latent cache.
//
// Every head of every row (a line) reads the same entries, so both halves of the work are matrix products of the lines
// with the cache. Scores are sums over the dimensions with entries in the lanes; weighted latents are sums over the
// entries, whose eight lanes are added at the end. Up to six lines × two vectors of sums stay in registers, and no
// line's sums depend on which lines share the call.

enum {
    CONTEXT = FORETOKEN_CONTEXT_BLOCK,
    LINES = 6,           // of one register block
    MIX_DIMENSIONS = 4,  // of one register block, at most
    SCORE_CHUNK = 256,   // dimensions of a group that stay in L1 while all lines pass over them
    MIX_CHUNK = 24,      // dimensions of a block that stay in L1 while all lines pass over them; whole register blocks
};

/// Lines of one call: at most LINES of them, the rest spread evenly over as few calls as possible.
FT_INLINE size_t lines_of_call(size_t remaining) {
    size_t calls = (remaining + LINES - 1) / LINES;
    return (remaining + calls - 1) / calls;
}

/// scores[l][e] += Σ_d queries[l][d] · group[d][e] over `count` dimensions, from 0 when `first`.
FT_INLINE void score_lines(int format, int lines, const float *const *queries, int32_t from, const uint8_t *group,
                           int32_t count, bool first, float *scores) {
    v8 sums[LINES][2];
    const float *q[LINES];
    FT_UNROLL for (int l = 0; l < lines; l++) q[l] = queries[l] + from;
    FT_UNROLL for (int l = 0; l < lines; l++) {
        FT_UNROLL for (int v = 0; v < 2; v++) {
            sums[l][v] = first ? splat8(0.0f) : load8(scores + l * CONTEXT + 8 * v);
        }
    }
    for (int32_t d = 0; d < count; d++) {
        const uint8_t *row = group + (size_t)d * entry_row_bytes(format);
        v8 keys[2] = {load_entries(format, row, 0), load_entries(format, row, 1)};
        FT_UNROLL for (int l = 0; l < lines; l++) {
            v8 query = splat8(q[l][d]);
            FT_UNROLL for (int v = 0; v < 2; v++) sums[l][v] = fma8(query, keys[v], sums[l][v]);
        }
    }
    FT_UNROLL for (int l = 0; l < lines; l++) {
        FT_UNROLL for (int v = 0; v < 2; v++) store8(scores + l * CONTEXT + 8 * v, sums[l][v]);
    }
}

FT_INLINE void score_any(int format, size_t lines, const float *const *queries, int32_t from, const uint8_t *group,
                         int32_t count, bool first, float *scores) {
    switch (lines) {
    case 1: score_lines(format, 1, queries, from, group, count, first, scores); break;
    case 2: score_lines(format, 2, queries, from, group, count, first, scores); break;
    case 3: score_lines(format, 3, queries, from, group, count, first, scores); break;
    case 4: score_lines(format, 4, queries, from, group, count, first, scores); break;
    case 5: score_lines(format, 5, queries, from, group, count, first, scores); break;
    default: score_lines(format, 6, queries, from, group, count, first, scores); break;
    }
}

/// Scores of one group for all lines.
FT_INLINE void score_group(int format, const float *const *queries, size_t lines, const uint8_t *group, int32_t width,
                           float *scores) {
    for (int32_t from = 0; from < width; from += SCORE_CHUNK) {
        int32_t count = width - from < SCORE_CHUNK ? width - from : SCORE_CHUNK;
        const uint8_t *rows = group + (size_t)from * entry_row_bytes(format);
        for (size_t l = 0, n; l < lines; l += n) {
            n = lines_of_call(lines - l);
            score_any(format, n, queries + l, from, rows, count, from == 0, scores + l * CONTEXT);
        }
    }
}

typedef float v4 __attribute__((vector_size(16)));

/// Neighbouring lanes of both, added: (a0 + a1, a2 + a3, b0 + b1, b2 + b3 | the same of the upper lanes).
FT_INLINE v8 pair_sums(v8 a, v8 b) {
    return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +
           __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
}

/// The entries of one context block that a line sees, all but the last group in place.
typedef struct {
    const uint8_t *groups;  // [group][dimension][ENTRIES]
    size_t stride;          // bytes of a group
    int32_t full;           // groups in place
    const uint8_t *tail;    // one more group without the entries past the end, or NULL
} latent_block;

/// mixed[l][d] = Σ_e weights[l][e] · latent[e][d] for `dims` (1...MIX_DIMENSIONS) dimensions from `at` on.
FT_INLINE void mix_lines(int format, int lines, int dims, const float *weights, latent_block block, int32_t at,
                         float *mixed, size_t rank) {
    v8 sums[LINES][MIX_DIMENSIONS];
    FT_UNROLL for (int l = 0; l < lines; l++) {
        FT_UNROLL for (int d = 0; d < dims; d++) sums[l][d] = splat8(0.0f);
    }
    size_t row = entry_row_bytes(format);
    int32_t groups = block.full + (block.tail != NULL);
    const uint8_t *from = block.groups + (size_t)at * row;
    for (int32_t g = 0; g < groups; g++, from += block.stride) {
        const uint8_t *rows = g == block.full ? block.tail + (size_t)at * row : from;
        FT_UNROLL for (int half = 0; half < 2; half++) {
            v8 z[MIX_DIMENSIONS];
            FT_UNROLL for (int d = 0; d < dims; d++) z[d] = load_entries(format, rows + d * row, half);
            FT_UNROLL for (int l = 0; l < lines; l++) {
                v8 p = load8(weights + l * CONTEXT + g * ENTRIES + 8 * half);
                FT_UNROLL for (int d = 0; d < dims; d++) sums[l][d] = fma8(p, z[d], sums[l][d]);
            }
        }
    }
    float flat[LINES * MIX_DIMENSIONS];
    FT_UNROLL for (int i = 0; i < lines * dims; i += 4) {
        v8 partial[4];
        FT_UNROLL for (int j = 0; j < 4; j++) {
            partial[j] = i + j < lines * dims ? sums[(i + j) / dims][(i + j) % dims] : splat8(0.0f);
        }
        v8 quads = pair_sums(pair_sums(partial[0], partial[1]), pair_sums(partial[2], partial[3]));
        v4 low = __builtin_shufflevector(quads, quads, 0, 1, 2, 3);
        v4 sums4 = low + __builtin_shufflevector(quads, quads, 4, 5, 6, 7);
        memcpy(flat + i, &sums4, sizeof sums4);
    }
    FT_UNROLL for (int l = 0; l < lines; l++) {
        FT_UNROLL for (int d = 0; d < dims; d++) mixed[l * rank + d] = flat[l * dims + d];
    }
}

/// Dimensions from `at` up to `end`, as many at a time as leave registers for the lines' sums.
FT_INLINE void mix_dimensions(int format, int lines, int dims, const float *weights, latent_block block, int32_t at,
                              int32_t end, float *mixed, size_t rank) {
    for (; at + dims <= end; at += dims) mix_lines(format, lines, dims, weights, block, at, mixed + at, rank);
    for (; at < end; at++) mix_lines(format, lines, 1, weights, block, at, mixed + at, rank);
}

FT_INLINE void mix_block(int format, const float *weights, size_t lines, latent_block block, int32_t rank,
                         float *mixed) {
    for (int32_t at = 0; at < rank; at += MIX_CHUNK) {
        int32_t end = at + MIX_CHUNK < rank ? at + MIX_CHUNK : rank;
        for (size_t l = 0, n; l < lines; l += n) {
            n = lines_of_call(lines - l);
            const float *w = weights + l * CONTEXT;
            float *out = mixed + l * (size_t)rank;
            switch (n) {
            case 1: mix_dimensions(format, 1, 4, w, block, at, end, out, (size_t)rank); break;
            case 2: mix_dimensions(format, 2, 4, w, block, at, end, out, (size_t)rank); break;
            case 3: mix_dimensions(format, 3, 4, w, block, at, end, out, (size_t)rank); break;
            case 4: mix_dimensions(format, 4, 3, w, block, at, end, out, (size_t)rank); break;
            case 5: mix_dimensions(format, 5, 2, w, block, at, end, out, (size_t)rank); break;
            default: mix_dimensions(format, 6, 2, w, block, at, end, out, (size_t)rank); break;
            }
        }
    }
}

typedef struct {
    float maximum;
    float sum;
} softmax_partial;

/// Folds a block's partial and weighted latent into the running ones: both sides are rescaled to the larger maximum.
static void fold(softmax_partial *running, float *total, softmax_partial partial, const float *latent, int32_t rank) {
    float m = partial.maximum > running->maximum ? partial.maximum : running->maximum;
    float old = exp8(splat8(running->maximum - m))[0], new = exp8(splat8(partial.maximum - m))[0];
    running->maximum = m;
    running->sum = FT_FMA1(running->sum, old, partial.sum * new);
    for (int32_t d = 0; d < rank; d++) total[d] = FT_FMA1(total[d], old, latent[d] * new);
}

/// attend's scratch, divided into its arrays.
typedef struct {
    const float **queries;      // [lines], of rank + rope numbers
    float *scores;              // [lines][CONTEXT]
    float *mixed;               // [lines][rank], weighted latents of one block
    softmax_partial *partials;  // [lines], of one block
    softmax_partial *running;   // [lines], of all blocks so far
    uint8_t *tail;              // one group's latents
} attention_room;

/// The rows of one batch: all heads of as many rows as fit the scratch.
typedef struct {
    const foretoken_latents *cache;
    attention_room room;
    foretoken_rows out;
    int32_t length;  // entries that the first row sees; every later row sees one more
    size_t rows, heads;
    float sigma;
} attention_batch;

static attention_room lay_out_scratch(const foretoken_latents *cache, size_t lines, float *scratch) {
    attention_room r = {.queries = (const float **)scratch};
    r.scores = (float *)(r.queries + (lines + 7) / 8 * 8);  // whole cache lines
    r.mixed = r.scores + lines * CONTEXT;
    r.partials = (softmax_partial *)(r.mixed + lines * (size_t)cache->rank);
    r.running = r.partials + lines;
    r.tail = (uint8_t *)(r.running + lines);
    return r;
}

static void find_queries(attention_batch b, foretoken_rows query) {
    size_t width = (size_t)(b.cache->rank + b.cache->rope);
    for (size_t l = 0; l < b.rows * b.heads; l++) {
        b.room.queries[l] = query.base + l / b.heads * query.stride + l % b.heads * width;
    }
}

/// A copy of a group's latents in which all entries but the first `count` are zero, whatever they held.
FT_INLINE void mask_entries(int format, const uint8_t *group, int32_t count, int32_t rank, uint8_t *out) {
    const size_t row = entry_row_bytes(format), element = latent_element_bytes(format);
    _Alignas(32) uint8_t keep[ENTRIES * sizeof(float)] = {0};
    for (int32_t e = 0; e < count; e++) {
        memset(keep + element * (format == FORETOKEN_F32 ? (size_t)e : bf16_place(e)), 0xFF, element);
    }
    for (size_t at = 0; at < (size_t)rank * row; at += row) {
        FT_UNROLL for (size_t i = 0; i < row; i += 32) {
            store8(out + at + i, (v8)((v8i)load8(group + at + i) & (v8i)load8(keep + i)));
        }
    }
}

static void mask_group(const foretoken_latents *cache, const uint8_t *group, int32_t count, uint8_t *out) {
    if (cache->format == FORETOKEN_F32) {
        mask_entries(FORETOKEN_F32, group, count, cache->rank, out);
    } else {
        mask_entries(FORETOKEN_BF16, group, count, cache->rank, out);
    }
}

/// Softmax and weighted latents of `rows` rows from `first` on, of which each sees `count` entries from `start` on.
static void weigh_block(attention_batch b, int32_t start, int32_t count, size_t first, size_t rows) {
    size_t line = first * b.heads, lines = rows * b.heads, rank = (size_t)b.cache->rank;
    float *weights = b.room.scores + line * CONTEXT, *mixed = b.room.mixed + line * rank;
    for (size_t l = 0; l < lines; l++) {
        softmax_partial *partial = b.room.partials + line + l;
        partial->sum = FT_ISA(exp_block)(weights + l * CONTEXT, count, b.sigma, &partial->maximum);
    }
    int32_t rest = count % ENTRIES;
    latent_block block = {latent_group(b.cache, start), group_bytes(b.cache), count / ENTRIES, NULL};
    if (rest > 0) {
        for (size_t l = 0; l < lines; l++) {
            for (int32_t e = count; e % ENTRIES != 0; e++) weights[l * CONTEXT + (size_t)e] = 0.0f;
        }
        mask_group(b.cache, latent_group(b.cache, start + count), rest, b.room.tail);
        block.tail = b.room.tail;
    }
    if (b.cache->format == FORETOKEN_F32) {
        mix_block(FORETOKEN_F32, weights, lines, block, b.cache->rank, mixed);
    } else {
        mix_block(FORETOKEN_BF16, weights, lines, block, b.cache->rank, mixed);
    }
    for (size_t l = line; l < line + lines; l++) {
        float *total = b.out.base + l / b.heads * b.out.stride + l % b.heads * rank;
        if (start == 0) {
            b.room.running[l] = b.room.partials[l];
            memcpy(total, b.room.mixed + l * rank, rank * sizeof(float));
        } else {
            fold(b.room.running + l, total, b.room.partials[l], b.room.mixed + l * rank, b.cache->rank);
        }
    }
}

/// Scores of the groups that hold entries [start, end), for all lines: a row's surplus scores are not looked at.
static void score_block(attention_batch b, int32_t start, int32_t end) {
    int32_t width = b.cache->rank + b.cache->rope;
    for (int32_t e = start; e < end; e += ENTRIES) {
        float *scores = b.room.scores + (e - start);
        const uint8_t *group = latent_group(b.cache, e);
        if (b.cache->format == FORETOKEN_F32) {
            score_group(FORETOKEN_F32, b.room.queries, b.rows * b.heads, group, width, scores);
        } else {
            score_group(FORETOKEN_BF16, b.room.queries, b.rows * b.heads, group, width, scores);
        }
    }
}

static void attend_batch(attention_batch b) {
    int32_t longest = b.length + (int32_t)b.rows - 1;
    for (int32_t start = 0; start < longest; start += CONTEXT) {
        int32_t end = start + CONTEXT < longest ? start + CONTEXT : longest;
        score_block(b, start, end);
        if (start + CONTEXT <= b.length) {
            weigh_block(b, start, CONTEXT, 0, b.rows);
            continue;
        }
        for (size_t row = 0; row < b.rows; row++) {
            int32_t visible = b.length + (int32_t)row - start;
            if (visible > 0) weigh_block(b, start, visible < CONTEXT ? visible : CONTEXT, row, 1);
        }
    }
    size_t rank = (size_t)b.cache->rank;
    for (size_t l = 0; l < b.rows * b.heads; l++) {
        float *total = b.out.base + l / b.heads * b.out.stride + l % b.heads * rank;
        for (size_t d = 0; d < rank; d++) total[d] = total[d] / b.room.running[l].sum;
    }
}

static void FT_ISA(attend)(const foretoken_latents *cache, int32_t length, foretoken_rows query, int32_t row_count,
                           int32_t head_count, float sigma, foretoken_rows out, float *scratch) {
    size_t heads = (size_t)head_count, rows = (size_t)row_count;
    size_t most = foretoken_attention_lines(head_count) / heads;
    for (size_t first = 0; first < rows; first += most) {
        attention_batch b = {.cache = cache, .heads = heads, .sigma = sigma, .length = length + (int32_t)first};
        b.rows = rows - first < most ? rows - first : most;
        b.room = lay_out_scratch(cache, b.rows * heads, scratch);
        b.out = (foretoken_rows){.base = out.base + first * out.stride, .stride = out.stride};
        find_queries(b, (foretoken_rows){.base = query.base + first * query.stride, .stride = query.stride});
        attend_batch(b);
    }
}
