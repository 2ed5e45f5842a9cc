// The table every machine can execute. Its eight-lane vectors become whatever the baseline offers.
#include "tables.h"

// Vectors wider than the baseline's registers only cross functions that are inlined.
#pragma clang diagnostic ignored "-Wpsabi"

#define FT_ISA(name) foretoken_##name##_generic
#include "vector_inl.h"
#include "blocks_inl.h"
#include "lanes_generic_inl.h"
#include "table_inl.h"

const foretoken_kernels foretoken_kernels_generic = FT_TABLE("generic", FT_ISA(product), FT_ISA(gated_product));
