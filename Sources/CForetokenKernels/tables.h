// What the translation units of this room share with each other alone.
#ifndef FORETOKEN_TABLES_H
#define FORETOKEN_TABLES_H

#include "foretoken_kernels.h"

/// Cache entries that attention widens to FP32 at a time; part of the scratch size.
enum { FT_ATTENTION_TILE = 16 };

extern const foretoken_kernels foretoken_kernels_generic;
#if defined(__x86_64__)
extern const foretoken_kernels foretoken_kernels_avx2;
extern const foretoken_kernels foretoken_kernels_avx512;
#endif

#endif
