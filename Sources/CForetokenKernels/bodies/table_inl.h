// All bodies, in the order in which they build on each other. The including file has defined FT_ISA(name), which gives
// each table's functions names of their own, and included its lanes.

#include "functions_inl.h"
#include "noise_inl.h"
#include "elementwise_inl.h"
#include "panels_inl.h"
#include "quantise_inl.h"
#include "integer_product_inl.h"
#include "product_inl.h"
#include "decode_inl.h"
#include "latents_inl.h"
#include "attention_inl.h"
#include "indexer_inl.h"
#include "router_inl.h"
#include "sampling_inl.h"
#include "coarse_lm_head_inl.h"

#define FT_TABLE(isa, product_body, gated_body)   \
    {                                             \
        .name = isa,                              \
        .product = product_body,                  \
        .gated_product = gated_body,              \
        .decode_panels = FT_ISA(decode_panels),   \
        .decode_row = FT_ISA(decode_row),         \
        .rms_norm = FT_ISA(rms_norm),             \
        .rotate = FT_ISA(rotate),                 \
        .swiglu = FT_ISA(swiglu),                 \
        .add = FT_ISA(add),                       \
        .add_scaled = FT_ISA(add_scaled),         \
        .exp_block = FT_ISA(exp_block),           \
        .attend = FT_ISA(attend),                 \
        .store_latent = FT_ISA(store_latent),     \
        .load_latents = FT_ISA(load_latents),     \
        .layer_norm = FT_ISA(layer_norm),         \
        .rotate_halves = FT_ISA(rotate_halves),   \
        .score_entries = FT_ISA(score_entries),   \
        .gather_latents = FT_ISA(gather_latents), \
        .route = FT_ISA(route),                   \
        .argmax = FT_ISA(argmax),                 \
        .sample = FT_ISA(sample),                 \
        .quantise_row = FT_ISA(quantise_row),     \
        .draft_logits = FT_ISA(draft_logits),     \
    }
