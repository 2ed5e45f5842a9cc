// Wide products (prompts) through OpenBLAS; the caller divides them so that bits do not depend on the number of workers.
#include "foretoken_kernels.h"

#include <cblas.h>
#include <sched.h>

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

const char *foretoken_blas_core(void) {
    return openblas_get_corename();
}

const char *foretoken_blas_configuration(void) {
    return openblas_get_config();
}

/// The CPUs that the process may run on; `size` is 0 while that is not known.
static struct {
    cpu_set_t sets[8];
    size_t size;
} allowed;

/// OpenBLAS starts a thread for each CPU but one that it may run on, when it is loaded. They spin for a while, on cores
/// that our own workers are pinned to; and each maps a buffer of 128 MiB, asking again without an end where a limit has no
/// room for it, so that it cannot be ended either. All our calls are single-threaded: nobody needs these threads, and with
/// a single CPU there are none.
static void begin_on_one_cpu(void) {
    int cpu = sched_getcpu();
    if (cpu < 0 || sched_getaffinity(0, sizeof allowed.sets, allowed.sets)) return;
    cpu_set_t one[8] = {0};
    CPU_SET_S((size_t)cpu, sizeof one, one);
    if (sched_setaffinity(0, sizeof one, one) == 0) allowed.size = sizeof allowed.sets;
}

/// Of a program, what stands here runs before the constructors of its libraries.
__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = begin_on_one_cpu;

/// Absent from OpenBLAS builds without a thread pool of their own.
extern int blas_thread_shutdown_(void) __attribute__((weak));

/// A program's own constructors run behind those of its libraries. Where the CPUs could not be restricted, the threads that
/// there are now end here.
__attribute__((constructor)) static void rein_in_openblas(void) {
    if (allowed.size) sched_setaffinity(0, allowed.size, allowed.sets);
    openblas_set_num_threads(1);
    if (blas_thread_shutdown_) blas_thread_shutdown_();
}
