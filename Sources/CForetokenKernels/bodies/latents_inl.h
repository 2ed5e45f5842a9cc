// Latents: groups of 16 entries, dimension by dimension, so that attention finds neighbouring entries in the
// lanes of a vector and needs neither a transposed copy nor horizontal sums of scores.

enum { ENTRIES = FORETOKEN_ENTRY_GROUP };

FT_INLINE size_t latent_element_bytes(int32_t format) {
    return format == FORETOKEN_F32 ? 4 : 2;
}

/// Bytes from one dimension of a group to the next.
FT_INLINE size_t entry_row_bytes(int32_t format) {
    return ENTRIES * latent_element_bytes(format);
}

FT_INLINE size_t group_bytes(const foretoken_latents *cache) {
    return (size_t)(cache->rank + cache->rope) * entry_row_bytes(cache->format);
}

FT_INLINE uint8_t *latent_group(const foretoken_latents *cache, int32_t entry) {
    int32_t place = entry % FORETOKEN_CONTEXT_BLOCK / ENTRIES;
    return (uint8_t *)cache->pages[entry / FORETOKEN_CONTEXT_BLOCK] + cache->offset + (size_t)place * group_bytes(cache);
}

/// Eight entries of one dimension. BF16 entries i and i + 8 share 32 bits, so that one operation widens eight.
FT_INLINE v8 load_entries(int format, const uint8_t *row, int half) {
    if (format == FORETOKEN_F32) return load8((const float *)row + 8 * half);
    v8u pairs = (v8u)load8(row);
    return half == 0 ? (v8)(pairs << 16) : (v8)(pairs & 0xFFFF0000u);
}

FT_INLINE size_t bf16_place(int32_t entry) {
    return (size_t)(2 * (entry % 8) + entry % ENTRIES / 8);
}

static void FT_ISA(store_latent)(const foretoken_latents *cache, int32_t position, const float *x) {
    int32_t width = cache->rank + cache->rope;
    uint8_t *group = latent_group(cache, position);
    if (cache->format == FORETOKEN_F32) {
        float *out = (float *)group + position % ENTRIES;
        for (int32_t d = 0; d < width; d++) out[(size_t)d * ENTRIES] = x[d];
    } else {
        uint16_t *out = (uint16_t *)group + bf16_place(position);
        for (int32_t d = 0; d < width; d++) out[(size_t)d * ENTRIES] = round_bf16(x[d]);
    }
}

/// Rows become columns: pairs, then pairs of pairs, then halves change places.
FT_INLINE void transpose8(v8 *r) {
    v8 a[8], b[8];
    FT_UNROLL for (int i = 0; i < 8; i += 2) {
        a[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        a[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    FT_UNROLL for (int i = 0; i < 8; i++) {
        int j = i & ~2;
        b[i] = i & 2 ? __builtin_shufflevector(a[j], a[j + 2], 2, 3, 10, 11, 6, 7, 14, 15)
                     : __builtin_shufflevector(a[j], a[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    }
    FT_UNROLL for (int i = 0; i < 4; i++) {
        r[i] = __builtin_shufflevector(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        r[i + 4] = __builtin_shufflevector(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/// Half `half` of a group, at most `entries` of its entries, to rows of `width` floats.
FT_INLINE void load_half_group(int format, const uint8_t *group, int half, int32_t entries, int32_t width, float *out) {
    size_t row = entry_row_bytes(format);
    int32_t d = 0;
    for (; entries >= 8 && d + 8 <= width; d += 8) {
        v8 r[8];
        FT_UNROLL for (int i = 0; i < 8; i++) r[i] = load_entries(format, group + (size_t)(d + i) * row, half);
        transpose8(r);
        FT_UNROLL for (int i = 0; i < 8; i++) store8(out + (size_t)i * (size_t)width + d, r[i]);
    }
    for (; d < width; d++) {
        v8 r = load_entries(format, group + (size_t)d * row, half);
        for (int32_t e = 0; e < entries && e < 8; e++) out[(size_t)e * (size_t)width + (size_t)d] = r[e];
    }
}

static void FT_ISA(load_latents)(const foretoken_latents *cache, int32_t first, int32_t count, float *out) {
    int32_t width = cache->rank + cache->rope;
    for (int32_t from = 0; from < count; from += 8) {
        const uint8_t *group = latent_group(cache, first + from);
        float *rows = out + (size_t)from * (size_t)width;
        if (cache->format == FORETOKEN_F32) {
            load_half_group(FORETOKEN_F32, group, from / 8 % 2, count - from, width, rows);
        } else {
            load_half_group(FORETOKEN_BF16, group, from / 8 % 2, count - from, width, rows);
        }
    }
}
