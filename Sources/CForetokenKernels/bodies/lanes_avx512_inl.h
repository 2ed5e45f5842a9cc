// Sixteen lanes, 32 registers and the byte products of VNNI. Vector extensions say all of it but `dot_bytes` and
// `lookup16`, which the including file defines beside `vni`: so the same text compiles for processors without AVX-512, slowly, and the tests
// can run it there.

#define FT_FMA1(a, b, c) __builtin_fmaf(a, b, c)
#define fma8(a, b, c) __builtin_elementwise_fma(a, b, c)
#define fman(a, b, c) __builtin_elementwise_fma(a, b, c)

enum { LANES = 16, PANEL_VECTORS = FORETOKEN_PANEL_ROWS / LANES };

typedef float vn __attribute__((vector_size(64)));
typedef uint32_t vnu __attribute__((vector_size(64)));

FT_INLINE v8 bfloat8(const uint16_t *p) {
    typedef uint16_t v8h __attribute__((vector_size(16)));
    v8h bits;
    memcpy(&bits, p, sizeof bits);
    return (v8)(__builtin_convertvector(bits, v8u) << 16);
}

FT_INLINE vn splatn(float x) {
    return (vn){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

/// Where sixteen lanes lie in memory; see `v8_memory`.
typedef vn vn_memory __attribute__((aligned(1), may_alias));

#define loadn(p) ((vn) * (const vn_memory *)(p))
#define storen(p, v) ((void)(*(vn_memory *)(p) = (v)))

FT_INLINE vn bfloatn(const uint16_t *p) {
    typedef uint16_t vnh __attribute__((vector_size(32)));
    return (vn)(__builtin_convertvector((vnh)load8(p), vnu) << 16);
}

FT_INLINE vn halfn(const uint8_t *p) {
    typedef _Float16 vnh __attribute__((vector_size(32)));
    return __builtin_convertvector((vnh)load8(p), vn);
}

FT_INLINE vni load_bits(const void *p) {
    return (vni)loadn(p);
}

/// Values of the signed four bits from `shift` on of each lane: a look-up takes no more than their place.
FT_INLINE vn signed_nibblen(vnu bits, int shift) {
    const vn values = {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
    return lookup16(values, (vni)(bits >> shift));
}

/// Most activation rows whose sums the registers hold, and most of a call that passes over two panels at once: all, for
/// the fused adds of a few rows by the two vectors of a column would wait for each other.
enum { BLOCK_ROWS = 6, PAIR_ROWS = FORETOKEN_WINDOW_ROWS, INTEGER_ROWS = 4 };

FT_INLINE int block_vectors(int rows) {
    (void)rows;
    return 2;
}

FT_INLINE int integer_block_rows(int format) {
    (void)format;
    return 4;
}

FT_INLINE int integer_vectors(int rows) {
    (void)rows;
    return 2;
}

/// Decoded FP8 and BF16 columns hold their even rows, then their odd ones.
FT_INLINE void bf16_rows(const float *slots, float *rows) {
    vn even = loadn(slots), odd = loadn(slots + LANES);
    storen(rows, __builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    storen(rows + LANES,
           __builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
}

FT_INLINE void fp8_rows(const float *slots, float *rows) {
    bf16_rows(slots, rows);
}

/// Sixteen of 32 floats in row order, as the slots from `slot` on.
FT_INLINE vn fp8_slotsn(const float *rows, int slot) {
    const float *r = rows + slot / LANES;
    return (vn){r[0],  r[2],  r[4],  r[6],  r[8],  r[10], r[12], r[14],
                r[16], r[18], r[20], r[22], r[24], r[26], r[28], r[30]};
}

/// FP8 decodes to value × FT_FP8_RAW, and activations enter multiplied by FT_FP8_INPUT, as in the AVX2 table.
#define FT_FP8_RAW 0x1p-120f
#define FT_FP8_INPUT 0x1p64f

/// A sign-extended e4m3 byte times 16 is, but for copies of its sign, a BF16 number whose exponent bias is 7 instead of
/// 127: five operations give 32 weights.
FT_INLINE void decode_fp8(const uint8_t *column, vn *out) {
    typedef int8_t bytes __attribute__((vector_size(32)));
    typedef int16_t words __attribute__((vector_size(64)));
    vni pairs = (vni)(__builtin_convertvector((bytes)load8(column), words) << 4);
    out[0] = (vn)(pairs << 16 & (int32_t)0x87F00000);
    out[1] = (vn)(pairs & (int32_t)0x87F00000);
}

/// All 32 slots of a column of weights, which are `pair` 0 of 1; slots are rows but for FP8 and BF16.
FT_INLINE void decode_pair(int format, const uint8_t *column, int pair, vn *out) {
    (void)pair;
    if (format == FORETOKEN_FP8) {
        decode_fp8(column, out);
    } else if (format == FORETOKEN_F16) {
        out[0] = halfn(column);
        out[1] = halfn(column + 32);
    } else if (format == FORETOKEN_BF16) {
        vni pairs = load_bits(column);
        out[0] = (vn)(pairs << 16);
        out[1] = (vn)(pairs & (int32_t)0xFFFF0000);
    } else {
        out[0] = (vn)load_bits(column);
        out[1] = (vn)load_bits(column + 64);
    }
}

/// Four activation codes in every 32-bit lane.
FT_INLINE vni spread_codes(const int8_t *codes) {
    int32_t four;
    memcpy(&four, codes, sizeof four);
    return (vni){0} + four;
}

FT_INLINE size_t index_after(size_t k, vn *w) {
    (void)w;
    return k;
}

/// The sums over 128 columns of `rows`, 8 or 1, coarse-lm_head rows that lie `stride` bytes apart.
FT_INLINE void draft_row_sums(int rows, const int8_t *weights, size_t stride, const int8_t *codes, int32_t *sums) {
    int32_t sum = 0;
    for (int k = 0; k < FORETOKEN_SCALE_BLOCK; k++) sum += codes[k];
    FT_UNROLL for (int r = 0; r < rows; r++) {
        vni acc = {0};
        FT_UNROLL for (int k = 0; k < FORETOKEN_SCALE_BLOCK; k += 64) {
            acc = dot_bytes(acc, load_bits(weights + r * stride + k) ^ (int32_t)0x80808080, load_bits(codes + k));
        }
        sums[r] = __builtin_reduce_add(acc) - 128 * sum;
    }
}

/// Σ (code + offset) · x over one block, in sums[r][v] lane i for weight row 16 v + i.
FT_INLINE void block_sums(int format, int rows, int vectors, int slot, const uint8_t *codes, const int8_t *const *x,
                          vni (*sums)[PANEL_VECTORS]) {
    (void)slot;
    FT_UNROLL for (int r = 0; r < rows; r++) {
        FT_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = (vni){0};
    }
    FT_UNROLL for (int quad = 0; quad < block_columns(format) / quad_columns(format); quad++) {
        const uint8_t *column = codes + (size_t)quad * FT_QUAD_BYTES;
        fetch_ahead(format, 4, column);
        vni w[2], high[2];
        FT_UNROLL for (int v = 0; v < vectors; v++) {
            w[v] = load_bits(column + 64 * v);
            high[v] = w[v] >> 4 & 0x0F0F0F0F;
            if (format == FORETOKEN_INT4) w[v] &= 0x0F0F0F0F;
        }
        FT_UNROLL for (int r = 0; r < rows; r++) {
            const int8_t *input = x[r] + quad * quad_columns(format);
            FT_UNROLL for (int v = 0; v < vectors; v++) {
                sums[r][v] = dot_bytes(sums[r][v], w[v], spread_codes(input));
                if (format == FORETOKEN_INT4) sums[r][v] = dot_bytes(sums[r][v], high[v], spread_codes(input + 4));
            }
        }
    }
}
