// Blocks of the integer formats and of EXACT_INT4, the same for every instruction set.
#ifndef FORETOKEN_BLOCKS_INL_H
#define FORETOKEN_BLOCKS_INL_H

#include "foretoken_kernels.h"
#include "vector_inl.h"

enum {
    FT_SCALE_BYTES = 2 * FORETOKEN_PANEL_ROWS,  // BF16, one a row, at a block's start
    FT_QUAD_BYTES = 4 * FORETOKEN_PANEL_ROWS,   // 32 rows of four bytes: four INT8 columns or eight INT4 ones
};

/// Whether activations are quantised too.
FT_INLINE bool is_integer_format(int format) {
    return format == FORETOKEN_INT8 || format == FORETOKEN_INT4;
}

/// Whether a panel is blocks of codes with their own scales.
FT_INLINE bool has_blocks(int format) {
    return is_integer_format(format) || format == FORETOKEN_EXACT_INT4;
}

/// Columns of one block.
FT_INLINE int32_t block_columns(int format) {
    return format == FORETOKEN_INT8 ? 64 : 32;
}

/// Columns that lie together in 32 × 4 bytes.
FT_INLINE int32_t quad_columns(int format) {
    return format == FORETOKEN_INT8 ? 4 : 8;
}

/// Codes are kept with this added, as unsigned numbers.
FT_INLINE int32_t block_offset(int format) {
    return format == FORETOKEN_INT8 ? 128 : 8;
}

FT_INLINE size_t block_bytes(int format) {
    return FT_SCALE_BYTES + (size_t)(block_columns(format) / quad_columns(format)) * FT_QUAD_BYTES;
}

FT_INLINE int32_t block_count(int format, int32_t columns) {
    return (columns + block_columns(format) - 1) / block_columns(format);
}

/// Asks L2 for the lines of `vectors` × 8 rows four groups of 128 columns behind `codes`. Every pass over a block asks
/// for its own share, evenly spread: passes of further rows read nothing new, so that hardware prefetchers lose the
/// stream, and many requests at once would wait for each other. An address, not a pointer: there may be no object.
FT_INLINE void fetch_ahead(int format, int vectors, const uint8_t *codes) {
    const size_t blocks = 4 * (size_t)(FORETOKEN_SCALE_BLOCK / block_columns(format));
    const uintptr_t ahead = (uintptr_t)codes + blocks * block_bytes(format);
    FT_UNROLL for (int v = 0; v < vectors; v += 2) __builtin_prefetch((const void *)(ahead + 32 * (size_t)v), 0, 2);
}

#endif
