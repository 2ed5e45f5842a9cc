// The whole kernel API of Foretoken: plain C structs, one table of functions per instruction set.
//
// The contract every kernel keeps (row invariance): an output element is one accumulation in a fixed order that depends
// on the weight's shape alone. It has the same bits whatever other rows are in the call, whichever panels are in the
// call, and whichever thread makes it. AVX2 and wider x86 tables agree bit for bit; the generic table agrees with
// itself. Kernels allocate nothing, start no thread and keep no state.
#ifndef FORETOKEN_KERNELS_H
#define FORETOKEN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Output rows interleaved in one panel.
#define FORETOKEN_PANEL_ROWS 32
/// Rows and columns of one FP8 scale block (DeepSeek-V3, README_WEIGHTS).
#define FORETOKEN_SCALE_BLOCK 128
/// Most rows of a window, and so most activation rows of one product.
#define FORETOKEN_WINDOW_ROWS 16
/// Context entries of one attention block.
#define FORETOKEN_CONTEXT_BLOCK 256
/// Context entries that lie interleaved in the latent cache.
#define FORETOKEN_ENTRY_GROUP 16

typedef enum foretoken_format {
    FORETOKEN_F32 = 0,
    FORETOKEN_BF16 = 1,
    FORETOKEN_F16 = 2,
    FORETOKEN_FP8 = 3,  // e4m3fn
    // The integer formats are made at load time, in blocks of columns that carry their own scales, BF16 [32 rows]. A
    // weight is code × scale; columns past the end are zero.
    FORETOKEN_INT8 = 4,  // blocks of 64 columns: scales, then codes -127...127 as code + 128, [16][32 rows][4 columns]
    FORETOKEN_INT4 = 5,  // blocks of 32 columns: scales, then codes -8...7 as code + 8, [4][32 rows][4 bytes]; byte j
                         // holds columns j (low half) and j + 4 (high half) of eight
    // The blocks of INT4 for a multiple of 32 columns, whose activations stay FP32: how stored codes keep their values.
    FORETOKEN_EXACT_INT4 = 6,
} foretoken_format;

/// A weight matrix W [rows, columns], y = W x, packed in panels of 32 output rows interleaved along the columns.
typedef struct foretoken_matrix {
    /// [panels][columns][32] elements of `format`, or [panels][blocks] of one with blocks; 64-byte aligned; rows past
    /// the end are zero. The byte in front of them can be read.
    const void *panels;
    /// FP8 only, else NULL: FP32 multipliers, [panels][scale_blocks][scale_lanes].
    const float *scales;
    int32_t rows;
    int32_t columns;
    int32_t format;
    /// FP8 only, as are the next two. Columns of the first scale block (1...128); later ones have 128, the last what
    /// remains.
    int32_t first_scale_block;
    int32_t scale_blocks;
    /// 1: one scale for the panel's 32 rows. 32: one a row, for rows that start inside a scale block.
    int32_t scale_lanes;
} foretoken_matrix;

/// A coarse lm_head: its copy for drafting, INT8 weights with one scale a row. A guess needs no exact logits.
typedef struct foretoken_coarse_lm_head {
    /// [rows][columns padded to 128]
    const int8_t *codes;
    /// [rows]
    const float *scales;
    int32_t rows;
    int32_t columns;
} foretoken_coarse_lm_head;

/// Activation rows: row i of a call is `base + stride * (index ? index[i] : i)`, floats.
typedef struct foretoken_rows {
    float *base;
    size_t stride;
    const int32_t *index;
} foretoken_rows;

/// One layer's latents of one text: entry s is [latent (rank) | rotated key (rope)]. Pages hold FORETOKEN_CONTEXT_BLOCK
/// entries of a layer, and other layers' beside them. Entries lie interleaved in entry groups of 16,
/// [entry group][rank + rope][16], so that attention finds neighbouring entries in the lanes of a vector. F32: entry i of a
/// group is element i. BF16: entries i and i + 8 are elements 2 i and 2 i + 1.
typedef struct foretoken_latents {
    void *const *pages;  // by block of entries, 64-byte aligned
    size_t offset;       // bytes from the start of a page to the layer's entries, a multiple of 64
    int32_t format;  // FORETOKEN_F32 or FORETOKEN_BF16
    int32_t rank;
    int32_t rope;
} foretoken_latents;

/// How a router makes scores of its logits.
typedef enum foretoken_scoring {
    FORETOKEN_SIGMOID = 0,  // DeepSeek-V3, noaux_tc
    FORETOKEN_SOFTMAX = 1,  // DeepSeek-V2, greedy and group_limited_greedy
} foretoken_scoring;

/// A router's expert choice.
typedef struct foretoken_router {
    /// [experts] e_score_correction_bias; used for selection only. NULL with a softmax, which has none.
    const float *bias;
    int32_t scoring;  // a foretoken_scoring
    int32_t experts;
    int32_t expert_groups;
    int32_t kept_groups;
    int32_t chosen;
    float scale;     // routed_scaling_factor
    bool normalise;  // norm_topk_prob; false with a softmax
} foretoken_router;

/// The best of some scores.
typedef struct foretoken_choice {
    int32_t index;    // the lower one on ties
    float score;      // NaN when there is no number
    float runner_up;  // the second best score, equal to the best on ties; -inf when there is no other
} foretoken_choice;

typedef struct foretoken_kernels {
    const char *name;

    /// y[m][n] = Σ_k W[n][k] x[m][k], or += when `add`, for output rows n of panels [first, first + count) and
    /// activation rows m < row_count (1...16). Never writes past W.rows.
    /// FP8: total ← fma(scale_g, inner_g, total) over ascending scale blocks, inner_g ← fma(w, x, inner_g) from 0 over
    /// ascending k. F32, F16, BF16, EXACT_INT4: total ← fma(w, x, total) over ascending k, with w = code × scale, which FP32
    /// holds exactly: so EXACT_INT4 has the bits of an F32 matrix of the same values. `add` adds the finished total to y once.
    /// The generic table rounds between product and sum. FP8: NaN codes must have been refused before (they read as
    /// ±480); the bits are the formula's for activations that are 0 or 2^-61 ≤ |x| < 2^63 and for scales below 2^70.
    /// Integer formats take x as codes q and a scale t for each column group of 128, as `quantise_row` gives it but
    /// with amax / 63 for INT8: total ← total + t_g · inner_g over ascending column groups, inner_g = Σ s_b · (Σ_k w q)
    /// over the column group's blocks b in ascending order, from the first term. The sums over k are exact and the rest
    /// is rounded after each operation, so that these formats have the same bits in every table.
    void (*product)(const foretoken_matrix *w, int32_t first, int32_t count, foretoken_rows x, int32_t row_count,
                    foretoken_rows y, bool add);

    /// y[m][n] = silu(gate x)[n] * (up x)[n]; gate and up have the same shape, and one format if one is an integer
    /// format. Same bits as two products and `swiglu`.
    void (*gated_product)(const foretoken_matrix *gate, const foretoken_matrix *up, int32_t first, int32_t count,
                          foretoken_rows x, int32_t row_count, foretoken_rows y);

    /// FP32 values of panels [first, first + count), columns [column, column + columns), scales multiplied in:
    /// out[columns][32 * count], with `stride` floats from one column's values to the next.
    void (*decode_panels)(const foretoken_matrix *w, int32_t first, int32_t count, int32_t column, int32_t columns,
                          float *out, size_t stride);

    /// FP32 values of matrix row `row`: out[columns].
    void (*decode_row)(const foretoken_matrix *w, int32_t row, float *out);

    /// y[i] = weight[i] * (x[i] * rsqrt(mean(x²) + epsilon)). x may equal y.
    void (*rms_norm)(const float *x, const float *weight, float *y, int32_t n, float epsilon);

    /// In place on n/2 interleaved pairs: (x0, x1) ← (x0 c - x1 s, x0 s + x1 c).
    void (*rotate)(float *x, const float *cosine, const float *sine, int32_t n);

    /// y[i] = silu(gate[i]) * up[i]. y may equal either.
    void (*swiglu)(const float *gate, const float *up, float *y, int32_t n);

    /// y[i] = y[i] + x[i].
    void (*add)(const float *x, float *y, int32_t n);

    /// y[i] = fma(a, x[i], y[i]).
    void (*add_scaled)(float a, const float *x, float *y, int32_t n);

    /// x[i] ← exp(x[i] * scale - m) with m = max(x[i] * scale); returns Σ in the fixed lane order, stores m. n ≥ 1.
    /// Differences below -87.3 give 0; all -inf gives zeros and the sum 0.
    float (*exp_block)(float *x, int32_t n, float scale, float *maximum);

    /// Absorbed MLA attention of `row_count` rows; row i sees cache entries [0, length + i), length ≥ 1.
    /// query[i][h] = [q̃ (rank) | q_rope (rope)], score = σ·(query·entry), softmax, out[i][h] = Σ p·latent [rank].
    /// Entries are walked in blocks of FORETOKEN_CONTEXT_BLOCK; each block gives (max, sum, weighted latent) from its
    /// own maximum, and blocks are folded in ascending order. A score is one sum over ascending dimensions; a block's
    /// weighted latent one for each entry modulo 8 over ascending entries, then a tree over these eight. `scratch`
    /// holds attention_scratch(heads, rank) floats.
    void (*attend)(const foretoken_latents *cache, int32_t length, foretoken_rows query, int32_t row_count,
                   int32_t heads, float sigma, foretoken_rows out, float *scratch);

    /// Writes entry `position` from x [rank + rope], rounded to nearest even when the cache is BF16.
    void (*store_latent)(const foretoken_latents *cache, int32_t position, const float *x);

    /// FP32 values of entries [first, first + count), `first` a multiple of FORETOKEN_ENTRY_GROUP: out[count][entry].
    void (*load_latents)(const foretoken_latents *cache, int32_t first, int32_t count, float *out);

    /// y[i] = weight[i] * ((x[i] - mean) * rsqrt(mean((x - mean)²) + epsilon)) + bias[i]. x may equal y.
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float *y, int32_t n, float epsilon);

    /// In place on the n/2 pairs of element i and element n/2 + i: (x0, x1) ← (x0 c - x1 s, x0 s + x1 c).
    void (*rotate_halves)(float *x, const float *cosine, const float *sine, int32_t n);

    /// Index scores of entries [first, first + count) for each row: scores[i][e] = Σ_h weights[i][h] · max(0,
    /// query[i][h]·key of e), `first` a multiple of FORETOKEN_ENTRY_GROUP. Index keys lie as latents do; query[i] is
    /// [heads][rank + rope]. A dot product is one sum over ascending dimensions, a score one over ascending heads; NaN
    /// stays NaN. Writes whole entry groups: what lies behind the last entry is not to be looked at.
    void (*score_entries)(const foretoken_latents *keys, int32_t first, int32_t count, foretoken_rows query,
                          foretoken_rows weights, int32_t row_count, int32_t heads, foretoken_rows scores);

    /// Copies entry positions[i] to entry i of `out`, a cache of the same shape and format, for i in
    /// [first, first + count).
    void (*gather_latents)(const foretoken_latents *cache, const int32_t *positions, int32_t first, int32_t count,
                           const foretoken_latents *out);

    /// Expert choice for one row from router logits z [experts]: `ids` ascending, `weights` beside them, both [chosen].
    /// Sigmoid: s = sigmoid(z); selection by s + bias, expert groups ranked by the sum of their two best, masked with
    /// -inf; weights = s normalised (Σ + 1e-20) if asked, times scale. Softmax: s = softmax(z) over all experts;
    /// selection by s, expert groups ranked by their best, masked with 0; weights = s times scale. Ties go to the lower
    /// index. `scratch`: 2 * experts floats.
    void (*route)(const foretoken_router *router, const float *logits, int32_t *ids, float *weights, float *scratch);

    /// The largest value. n ≥ 1. NaN never wins; all NaN gives index 0.
    foretoken_choice (*argmax)(const float *x, int32_t n);

    /// The largest logits[i - first] * inverse_temperature + foretoken_gumbel(key, i) over i in [first, first + n): with
    /// all logits, a sample of the softmax; over a part of them, that part's candidate for it.
    foretoken_choice (*sample)(const float *logits, int32_t first, int32_t n, float inverse_temperature, uint64_t key);

    /// INT8 codes [columns padded to 128] and scales [column groups] of one activation row, amax / 127 each,
    /// rounded to nearest even. A column group with NaN or an infinity has the scale NaN and zeros as codes. Same bits in
    /// every table.
    void (*quantise_row)(const float *x, int32_t columns, int8_t *codes, float *scales);

    /// y[n] ≈ Σ_k W[n][k] x[k] for the rows n in [first, first + count), from a quantised row. Same bits in every table.
    void (*draft_logits)(const foretoken_coarse_lm_head *lm_head, int32_t first, int32_t count, const int8_t *codes,
                         const float *scales, float *y);
} foretoken_kernels;

/// Floats of scratch that `attend` needs for so many heads or fewer, 64-byte aligned.
size_t foretoken_attention_scratch(int32_t heads, int32_t rank);

/// The places of the `count` largest of n scores, ascending: chosen[count], 1 ≤ count ≤ n. Equal scores, as -0 and 0
/// are, go to the lower place; NaN comes after every number. `scratch` holds selection_scratch(count) floats.
void foretoken_select_largest(const float *scores, int32_t n, int32_t count, int32_t *chosen, float *scratch);

/// Floats of scratch that the choice of `count` scores needs.
size_t foretoken_selection_scratch(int32_t count);

/// Key of the noise of one output position; (seed, position) decide it alone.
uint64_t foretoken_noise_key(uint64_t seed, uint64_t position);

/// Standard Gumbel noise of one token under a key: -log(-log(u)), u hashed and inside (0, 1); finite. Same bits as in `sample`.
float foretoken_gumbel(uint64_t key, int32_t token);

/// FP32 value of an e4m3fn byte; NaN for 0x7F and 0xFF.
float foretoken_fp8_value(uint8_t code);

/// True when any of n e4m3fn bytes is NaN (0x7F or 0xFF).
bool foretoken_fp8_has_nan(const uint8_t *codes, size_t n);

/// Nearest e4m3fn code of x (round to nearest even, saturating at ±448).
uint8_t foretoken_fp8_encode(float x);

/// FP32 → BF16 bits, round to nearest even, NaN kept quiet.
uint16_t foretoken_bf16_encode(float x);

/// The table of an instruction set by name ("generic", "avx2", "avx512"), or NULL when unknown or not executable on this
/// machine.
const foretoken_kernels *foretoken_kernels_named(const char *name);

/// The best table this machine can execute.
const foretoken_kernels *foretoken_kernels_best(void);

/// Names of all tables in this build, NULL-terminated, widest first.
const char *const *foretoken_kernels_names(void);

/// Bytes of one packed panel of `columns` columns in any format, the scales of one with blocks included.
size_t foretoken_panel_size(int32_t format, int32_t columns);

/// Writes one panel in a format other than F32 and F16 from values [columns][32] below 2^70. BF16: nearest even. FP8:
/// `scales` [scale blocks][32] become amax / 448. INT8 scales are amax / 127, rounded to BF16 upwards; an INT4 scale
/// is the one of eight candidates with the least squared error.
void foretoken_quantise_panel(int32_t format, const float *values, int32_t columns, void *panel, float *scales);

/// Interleaves one panel: `row_count` (≤ 32) source rows of `columns` elements, `source_stride` elements apart, into
/// panel[columns][32]; missing rows become zero. element_bytes is 1, 2 or 4.
void foretoken_pack_panel(const void *source, size_t source_stride, int32_t row_count, int32_t columns,
                          int32_t element_bytes, void *panel);

/// Makes one panel of INT4 blocks from rows of codes as compressed-tensors' pack-quantized files store them: 32-bit words of
/// eight columns, code + 8, the first in the lowest four bits. `columns` is a multiple of `scale_columns`, which is one of 32.
/// - codes: `row_count` (≤ 32) rows, `code_stride` bytes apart; missing rows become zero.
/// - scales: BF16, one for each `scale_columns` columns of a row, rows `scale_stride` elements apart.
void foretoken_pack_int4_panel(const void *codes, size_t code_stride, const uint16_t *scales, size_t scale_stride,
                               int32_t scale_columns, int32_t row_count, int32_t columns, void *panel);

/// The reverse, with a scale for every 32 columns.
void foretoken_unpack_int4_panel(const void *panel, int32_t row_count, int32_t columns, void *codes, size_t code_stride,
                                 uint16_t *scales, size_t scale_stride);

/// Row-major C[rows][n] = A[rows][k] · B[k][n] (or += when `add`) through single-threaded OpenBLAS; strides in floats.
void foretoken_blas_product(const float *a, size_t a_stride, const float *b, size_t b_stride, float *c, size_t c_stride,
                            int32_t rows, int32_t n, int32_t k, bool add);

/// The same with B given transposed, B[n][k].
void foretoken_blas_product_transposed(const float *a, size_t a_stride, const float *b, size_t b_stride, float *c,
                                       size_t c_stride, int32_t rows, int32_t n, int32_t k, bool add);

/// The processor that OpenBLAS's kernels are made for, as it has chosen: "Haswell".
const char *foretoken_blas_core(void);

/// OpenBLAS's version and how it was built.
const char *foretoken_blas_configuration(void);

#endif
