// Wide products (prompts) through OpenBLAS; the caller cuts them so that bits do not depend on the number of workers.
#include "foretoken_kernels.h"

#include <cblas.h>

static void multiply(enum CBLAS_TRANSPOSE transposed, const float *a, size_t a_stride, const float *b, size_t b_stride,
                     float *c, size_t c_stride, int32_t rows, int32_t n, int32_t k, bool add) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed, rows, n, k, 1.0f, a, (blasint)a_stride, b, (blasint)b_stride,
                add ? 1.0f : 0.0f, c, (blasint)c_stride);
}

void foretoken_blas_product(const float *a, size_t a_stride, const float *b, size_t b_stride, float *c, size_t c_stride,
                            int32_t rows, int32_t n, int32_t k, bool add) {
    multiply(CblasNoTrans, a, a_stride, b, b_stride, c, c_stride, rows, n, k, add);
}

void foretoken_blas_product_transposed(const float *a, size_t a_stride, const float *b, size_t b_stride, float *c,
                                       size_t c_stride, int32_t rows, int32_t n, int32_t k, bool add) {
    multiply(CblasTrans, a, a_stride, b, b_stride, c, c_stride, rows, n, k, add);
}

/// Absent from OpenBLAS builds without a thread pool of their own.
extern int blas_thread_shutdown_(void) __attribute__((weak));

/// OpenBLAS starts a thread a core when it is loaded, and these spin for a while: on cores that our own workers are
/// pinned to. All our calls are single-threaded, so the pool goes before main begins.
__attribute__((constructor)) static void rein_in_openblas(void) {
    openblas_set_num_threads(1);
    if (blas_thread_shutdown_) blas_thread_shutdown_();
}
