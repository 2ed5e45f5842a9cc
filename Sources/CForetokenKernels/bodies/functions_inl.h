// exp, sigmoid and silu on eight lanes. Polynomials are minimax fits of this project (weighted least squares).

/// The first number whose exp is subnormal and counts as 0, rounded up.
#define FT_LEAST_EXPONENT (-87.3365f)

/// exp(x) = (returned p) × 2^n.
FT_INLINE v8 exp_parts8(v8 x, v8i *n) {
    const float rounder = 0x1.8p23f;  // adding it leaves the nearest integer in the low mantissa bits
    v8 shifted = fma8(x, splat8(0x1.715476p0f), splat8(rounder));  // 1 / ln 2
    v8 whole = shifted - splat8(rounder);
    v8 r = fma8(whole, splat8(-0.693359375f), x);  // ln 2 in two parts; n times the short first part is exact
    r = fma8(whole, splat8(2.12194440e-4f), r);

    v8 p = splat8(0.00138144463f);
    p = fma8(p, r, splat8(0.0083687827f));
    p = fma8(p, r, splat8(0.0416683964f));
    p = fma8(p, r, splat8(0.166665196f));
    p = fma8(p, r, splat8(0.49999994f));
    *n = (v8i)shifted - (v8i)splat8(rounder);
    return fma8(p, r * r, r) + splat8(1.0f);
}

/// exp(x) within about 1 ulp. Below the smallest normal result it is 0, above the largest finite one +inf; NaN stays
/// NaN.
FT_INLINE v8 exp8(v8 x) {
    v8 bounded = select8(x < splat8(-88.0f), splat8(-88.0f), x);
    bounded = select8(bounded > splat8(89.0f), splat8(89.0f), bounded);
    v8i power;
    v8 p = exp_parts8(bounded, &power);
    // 2^n in two factors, for n = 128 has no float of its own.
    v8i half = power >> 1;
    v8 scaled = p * (v8)((half + 127) << 23) * (v8)((power - half + 127) << 23);
    return select8(x < splat8(FT_LEAST_EXPONENT), splat8(0.0f), scaled);
}

/// exp8 of x ≤ 0 or NaN, with the same bits.
FT_INLINE v8 decay8(v8 x) {
    v8i power;
    v8 p = exp_parts8(x, &power);
    v8 scaled = p * (v8)((power + 127) << 23);
    return select8(x < splat8(FT_LEAST_EXPONENT), splat8(0.0f), scaled);
}

FT_INLINE v8 sigmoid8(v8 x) {
    return splat8(1.0f) / (splat8(1.0f) + exp8(-x));
}

FT_INLINE v8 silu8(v8 x) {
    return x / (splat8(1.0f) + exp8(-x));
}

FT_INLINE v8 swiglu8(v8 gate, v8 up) {
    return silu8(gate) * up;
}
