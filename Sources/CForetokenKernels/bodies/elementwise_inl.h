// Vector functions over one activation row. A tail runs through the same eight-lane code, padded.

static void FT_ISA(rms_norm)(const float *x, const float *weight, float *y, int32_t n, float epsilon) {
    v8 squares = splat8(0.0f);
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        v8 v = load8(x + i);
        squares = fma8(v, v, squares);
    }
    if (i < n) {
        v8 v = load_part(x + i, n - i, 0.0f);
        squares = fma8(v, v, squares);
    }
    float factor = 1.0f / __builtin_sqrtf(sum8(squares) / (float)n + epsilon);
    for (i = 0; i < n; i++) y[i] = weight[i] * (x[i] * factor);
}

static void FT_ISA(rotate)(float *x, const float *cosine, const float *sine, int32_t n) {
    for (int32_t i = 0; i < n / 2; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cosine[i] - b * sine[i];
        x[2 * i + 1] = a * sine[i] + b * cosine[i];
    }
}

static void FT_ISA(swiglu)(const float *gate, const float *up, float *y, int32_t n) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) store8(y + i, swiglu8(load8(gate + i), load8(up + i)));
    if (i < n) {
        int32_t rest = n - i;
        store_part(y + i, swiglu8(load_part(gate + i, rest, 0.0f), load_part(up + i, rest, 0.0f)), rest);
    }
}

static void FT_ISA(add)(const float *x, float *y, int32_t n) {
    for (int32_t i = 0; i < n; i++) y[i] = y[i] + x[i];
}

static void FT_ISA(add_scaled)(float a, const float *x, float *y, int32_t n) {
    for (int32_t i = 0; i < n; i++) y[i] = FT_FMA1(a, x[i], y[i]);
}

static float FT_ISA(exp_block)(float *x, int32_t n, float scale, float *maximum) {
    // The floor keeps -inf - m away from NaN when everything is masked: all weights are then 0.
    v8 largest = splat8(-FLT_MAX);
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) largest = max8(largest, load8(x + i) * splat8(scale));
    for (; i < n; i++) largest = max8(largest, splat8(x[i] * scale));
    float m = largest8(largest);

    v8 sum = splat8(0.0f);
    for (i = 0; i + 8 <= n; i += 8) {
        v8 e = decay8(load8(x + i) * splat8(scale) - splat8(m));
        store8(x + i, e);
        sum += e;
    }
    if (i < n) {
        store_part(x + i, decay8(load_part(x + i, n - i, 0.0f) * splat8(scale) - splat8(m)), n - i);
        sum += load_part(x + i, n - i, 0.0f);
    }
    *maximum = m;
    return sum8(sum);
}
