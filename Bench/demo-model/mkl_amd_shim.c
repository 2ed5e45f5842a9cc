// MKL asks this before it uses its AVX2 kernels, and its own answer is no on AMD processors. Preloaded by `run`;
// without it, training takes about a fifth longer there.
int mkl_serv_intel_cpu_true(void) {
    return 1;
}
