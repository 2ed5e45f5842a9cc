// Absorbed MLA attention of one activation row over the latent cache.
//
// Every head reads the same entries, so both halves of the work are small matrix products: scores are dot products of
// 4 heads × 2 entries in registers, the weighted latents 4 heads × 16 dimensions. A score is one eight-lane sum over
// the entry and a weighted latent one sum over ascending entries, so neither depends on which heads share the call.

enum {
    CONTEXT = FORETOKEN_CONTEXT_BLOCK,
    HEADS = 4,
};

/// `count` entries as FP32, `stride` floats apart, readable up to a multiple of eight floats.
typedef struct {
    const float *base;
    size_t stride;
    int32_t count;
} latent_tile;

FT_INLINE size_t round_up8(int32_t n) {
    return ((size_t)n + 7) & ~(size_t)7;
}

/// Entries [from, from + count), in place when they are already padded FP32.
static latent_tile open_tile(const foretoken_latents *cache, int32_t from, int32_t count, float *room) {
    int32_t width = cache->rank + cache->rope;
    size_t padded = round_up8(width);
    if (cache->format == FORETOKEN_F32 && padded == (size_t)width) {
        return (latent_tile){(const float *)cache->entries + (size_t)from * padded, padded, count};
    }
    size_t bytes = (cache->format == FORETOKEN_F32 ? 4 : 2) * (size_t)width;
    for (int32_t i = 0; i < count; i++) {
        float *row = room + (size_t)i * padded;
        FT_ISA(load_latent)((const uint8_t *)cache->entries + ((size_t)from + i) * bytes, cache->format, row, width);
        for (size_t d = (size_t)width; d < padded; d++) row[d] = 0.0f;
    }
    return (latent_tile){room, padded, count};
}

FT_INLINE void dots(int heads, int entries, const float *query, const float *entry, size_t stride, float *scores) {
    v8 sums[HEADS][8];
    FT_UNROLL for (int h = 0; h < heads; h++) {
        FT_UNROLL for (int e = 0; e < entries; e++) sums[h][e] = splat8(0.0f);
    }
    for (size_t d = 0; d < stride; d += 8) {
        v8 keys[8];
        FT_UNROLL for (int e = 0; e < entries; e++) keys[e] = load8(entry + (size_t)e * stride + d);
        FT_UNROLL for (int h = 0; h < heads; h++) {
            v8 q = load8(query + (size_t)h * stride + d);
            FT_UNROLL for (int e = 0; e < entries; e++) sums[h][e] = fma8(q, keys[e], sums[h][e]);
        }
    }
    FT_UNROLL for (int h = 0; h < heads; h++) {
        FT_UNROLL for (int e = 0; e < entries; e++) scores[h * CONTEXT + e] = sum8(sums[h][e]);
    }
}

FT_INLINE void head_scores(int heads, int entries, const float *query, latent_tile tile, float *scores) {
    size_t e = 0, count = (size_t)tile.count, width = (size_t)entries;
    for (; e + width <= count; e += width) {
        dots(heads, entries, query, tile.base + e * tile.stride, tile.stride, scores + e);
    }
    for (; e < count; e++) dots(heads, 1, query, tile.base + e * tile.stride, tile.stride, scores + e);
}

/// scores[h][e] = query[h] · entry[e]; scores of a head are CONTEXT apart, queries as far as entries.
static void tile_scores(const float *query, size_t heads, latent_tile tile, float *scores) {
    size_t h = 0;
    for (; h + HEADS <= heads; h += HEADS) {
        head_scores(HEADS, 2, query + h * tile.stride, tile, scores + h * CONTEXT);
    }
    for (; h + 2 <= heads; h += 2) head_scores(2, 4, query + h * tile.stride, tile, scores + h * CONTEXT);
    if (h < heads) head_scores(1, 8, query + h * tile.stride, tile, scores + h * CONTEXT);
}

FT_INLINE void mix_block(int heads, int vectors, const float *weights, latent_tile tile, size_t at, float *sums,
                         size_t stride) {
    v8 mixed[HEADS][8];
    FT_UNROLL for (int h = 0; h < heads; h++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) mixed[h][v] = load8(sums + h * stride + at + 8 * v);
    }
    for (int32_t e = 0; e < tile.count; e++) {
        const float *latent = tile.base + (size_t)e * tile.stride + at;
        v8 z[8];
        FT_UNROLL for (int v = 0; v < vectors; v++) z[v] = load8(latent + 8 * v);
        FT_UNROLL for (int h = 0; h < heads; h++) {
            v8 p = splat8(weights[h * CONTEXT + e]);
            FT_UNROLL for (int v = 0; v < vectors; v++) mixed[h][v] = fma8(p, z[v], mixed[h][v]);
        }
    }
    FT_UNROLL for (int h = 0; h < heads; h++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) store8(sums + h * stride + at + 8 * v, mixed[h][v]);
    }
}

FT_INLINE void mix_heads(int heads, int vectors, const float *weights, latent_tile tile, float *sums, size_t stride) {
    size_t at = 0, step = (size_t)vectors * 8;
    for (; at + step <= stride; at += step) mix_block(heads, vectors, weights, tile, at, sums, stride);
    for (; at < stride; at += 8) mix_block(heads, 1, weights, tile, at, sums, stride);
}

/// sums[h] += Σ_e weights[h][e] latent[e]; the padding of the last vector may hold rotated keys and is never read.
static void tile_mix(const float *weights, size_t heads, latent_tile tile, float *sums, size_t stride) {
    size_t h = 0;
    for (; h + HEADS <= heads; h += HEADS) {
        mix_heads(HEADS, 2, weights + h * CONTEXT, tile, sums + h * stride, stride);
    }
    for (; h + 2 <= heads; h += 2) mix_heads(2, 4, weights + h * CONTEXT, tile, sums + h * stride, stride);
    if (h < heads) mix_heads(1, 8, weights + h * CONTEXT, tile, sums + h * stride, stride);
}

typedef struct {
    float maximum;
    float sum;
} softmax_part;

/// Folds a block's part and weighted latent into the running ones: both sides are rescaled to the larger maximum.
static void fold(softmax_part *running, float *total, softmax_part part, const float *latent, size_t rank) {
    float m = part.maximum > running->maximum ? part.maximum : running->maximum;
    float old = exp8(splat8(running->maximum - m))[0], new = exp8(splat8(part.maximum - m))[0];
    running->maximum = m;
    running->sum = FT_FMA1(running->sum, old, part.sum * new);
    for (size_t d = 0; d < rank; d += 8) {
        store8(total + d, fma8(load8(total + d), splat8(old), load8(latent + d) * splat8(new)));
    }
}

/// attend's scratch, cut into its arrays.
typedef struct {
    float *queries;         // [heads][entry], padded with zeros to a multiple of eight
    float *scores;          // [heads][CONTEXT]
    float *mixed;           // [heads][rank], weighted latents of one block
    float *total;           // [heads][rank], of all blocks so far
    softmax_part *parts;    // [heads], of one block
    softmax_part *running;  // [heads], of all blocks so far
    float *room;            // [FT_ATTENTION_TILE][entry]
    size_t entry, rank;     // rounded up to whole vectors
} attention_room;

static attention_room cut_scratch(const foretoken_latents *cache, size_t heads, float *scratch) {
    attention_room r = {.entry = round_up8(cache->rank + cache->rope), .rank = round_up8(cache->rank)};
    r.queries = scratch;
    r.scores = r.queries + heads * r.entry;
    r.mixed = r.scores + heads * CONTEXT;
    r.total = r.mixed + heads * r.rank;
    r.parts = (softmax_part *)(r.total + heads * r.rank);
    r.running = r.parts + heads;
    r.room = (float *)(r.running + heads);
    return r;
}

/// Maxima, sums and weighted latents of the block of `count` entries from `start` on, for all heads.
static void attend_block(const foretoken_latents *cache, int32_t start, int32_t count, size_t heads, float sigma,
                         attention_room r) {
    const int32_t most = FT_ATTENTION_TILE;
    for (int32_t t = 0; t < count; t += most) {
        int32_t n = count - t < most ? count - t : most;
        tile_scores(r.queries, heads, open_tile(cache, start + t, n, r.room), r.scores + t);
    }
    for (size_t h = 0; h < heads; h++) {
        r.parts[h].sum = FT_ISA(exp_block)(r.scores + h * CONTEXT, count, sigma, &r.parts[h].maximum);
    }
    memset(r.mixed, 0, heads * r.rank * sizeof(float));
    for (int32_t t = 0; t < count; t += most) {
        int32_t n = count - t < most ? count - t : most;
        tile_mix(r.scores + t, heads, open_tile(cache, start + t, n, r.room), r.mixed, r.rank);
    }
}

static void FT_ISA(attend)(const foretoken_latents *cache, int32_t length, const float *query, int32_t head_count,
                           float sigma, float *out, float *scratch) {
    size_t heads = (size_t)head_count, width = (size_t)(cache->rank + cache->rope), rank = (size_t)cache->rank;
    attention_room r = cut_scratch(cache, heads, scratch);
    memset(r.queries, 0, heads * r.entry * sizeof(float));
    for (size_t h = 0; h < heads; h++) memcpy(r.queries + h * r.entry, query + h * width, width * sizeof(float));

    for (int32_t start = 0; start < length; start += CONTEXT) {
        int32_t count = length - start < CONTEXT ? length - start : CONTEXT;
        attend_block(cache, start, count, heads, sigma, r);
        if (start == 0) {
            memcpy(r.running, r.parts, heads * sizeof *r.parts);
            memcpy(r.total, r.mixed, heads * r.rank * sizeof(float));
            continue;
        }
        for (size_t h = 0; h < heads; h++) {
            fold(r.running + h, r.total + h * r.rank, r.parts[h], r.mixed + h * r.rank, r.rank);
        }
    }
    for (size_t h = 0; h < heads; h++) {
        const float *total = r.total + h * r.rank;
        for (size_t d = 0; d < rank; d++) out[h * rank + d] = total[d] / r.running[h].sum;
    }
}
