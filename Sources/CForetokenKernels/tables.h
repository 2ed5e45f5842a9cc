// What the translation units of this room share with each other alone.
#ifndef FORETOKEN_TABLES_H
#define FORETOKEN_TABLES_H

#include "foretoken_kernels.h"

/// Lines (one head of one row) that attention takes in one pass over the cache; part of the scratch size.
size_t foretoken_attention_lines(int32_t heads);

extern const foretoken_kernels foretoken_kernels_generic;
#if defined(__x86_64__)
extern const foretoken_kernels foretoken_kernels_avx2;
extern const foretoken_kernels foretoken_kernels_avx512;
#endif

#endif
