// AVX2, FMA and F16C: Intel from Haswell (2013) on, AMD from Zen (2017) on.
#if defined(__x86_64__)
#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tables.h"

// System headers stay above: their inline functions must not inherit the target.
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2"))), apply_to = function)
#define FT_ISA(name) foretoken_##name##_avx2
#include "vector_inl.h"
#include "blocks_inl.h"
#include "lanes_avx2_inl.h"
#include "table_inl.h"
#pragma clang attribute pop

const foretoken_kernels foretoken_kernels_avx2 = FT_TABLE("avx2", FT_ISA(product), FT_ISA(gated_product));
#endif
