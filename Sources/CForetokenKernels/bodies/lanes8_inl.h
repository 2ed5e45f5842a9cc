// The natural vector `vn` of tables whose registers hold eight FP32 lanes, and the shapes of products with sixteen of
// them. Included by a lanes file, after its arithmetic.

enum { LANES = 8, PANEL_VECTORS = FORETOKEN_PANEL_ROWS / LANES };

typedef v8 vn;
typedef v8i vni;
typedef v8u vnu;

#define splatn(x) splat8(x)
#define loadn(p) load8(p)
#define storen(p, v) store8(p, v)
#define fman(a, b, c) fma8(a, b, c)

FT_INLINE vn bfloatn(const uint16_t *p) {
    return bfloat8(p);
}

/// Values of the signed four bits from `shift` on of each lane.
FT_INLINE vn signed_nibblen(vnu bits, int shift) {
    return __builtin_convertvector((vni)(bits << (28 - shift)) >> 28, vn);
}

/// Most activation rows whose sums the registers hold, and most of a call that passes over two panels at once.
enum { BLOCK_ROWS = 6, PAIR_ROWS = 1, INTEGER_ROWS = 4 };

/// Vectors of one column that `rows` activation rows take at a time:
///   1 row     32 slots of two panels: eight independent sums hide the latency of the fused add
///   2-3 rows  32 slots
///   4-6 rows  16 slots, twice
FT_INLINE int block_vectors(int rows) {
    return rows <= 3 ? 4 : 2;
}

/// Most activation rows of one pass of integer products. INT4's unpacking is worth sharing; INT8 would gain nothing,
/// and passes over half of each column were slower from memory.
FT_INLINE int integer_block_rows(int format) {
    return format == FORETOKEN_INT8 ? 2 : 4;
}

FT_INLINE int integer_vectors(int rows) {
    return rows <= 2 ? 4 : 2;
}
