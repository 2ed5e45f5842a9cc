#ifndef FORETOKEN_EMULATED_KERNELS_H
#define FORETOKEN_EMULATED_KERNELS_H

#include "foretoken_kernels.h"

/// The AVX-512 table's bodies compiled for AVX2 and FMA, so that machines without AVX-512 test them, too. NULL where
/// the build is not for x86-64.
const foretoken_kernels *foretoken_emulated_avx512(void);

#endif
