// Largest value and keyed sampling over the vocabulary. Each lane keeps its own two best; the lanes meet at the end.

typedef struct {
    v8 value;  // NaN until a number was seen
    v8 second;
    v8i index;
} best8;

FT_INLINE best8 no_best8(void) {
    return (best8){splat8(__builtin_nanf("")), splat8(-__builtin_inff()), (v8i){0}};
}

/// Strictly larger values replace the best, so the lower index stays on ties; the first number replaces NaN.
FT_INLINE void improve8(best8 *best, v8 value, v8i index) {
    v8i better = (value > best->value) | ((best->value != best->value) & (value == value));
    v8 loser = select8(better, best->value, value);
    best->second = select8(loser > best->second, loser, best->second);
    best->value = select8(better, value, best->value);
    best->index = (better & index) | (~better & best->index);
}

FT_INLINE foretoken_choice winner(best8 best) {
    foretoken_choice all = {best.index[0], best.value[0], best.second[0]};
    for (int i = 1; i < 8; i++) {
        float v = best.value[i], loser = v;
        bool first = all.score != all.score && v == v;
        if (first || v > all.score || (v == all.score && best.index[i] < all.index)) {
            loser = all.score;
            all.score = v;
            all.index = best.index[i];
        }
        if (loser > all.runner_up) all.runner_up = loser;
        if (best.second[i] > all.runner_up) all.runner_up = best.second[i];
    }
    return all;
}

static foretoken_choice FT_ISA(argmax)(const float *x, int32_t n) {
    best8 best = no_best8();
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) improve8(&best, load8(x + i), iota8(i));
    if (i < n) improve8(&best, load_part(x + i, n - i, __builtin_nanf("")), iota8(i));
    return winner(best);
}

static foretoken_choice FT_ISA(sample)(const float *logits, int32_t first, int32_t n, float inverse_temperature,
                                       uint64_t key) {
    best8 best = no_best8();
    v8 factor = splat8(inverse_temperature);
    for (int32_t i = 0; i < n; i += 8) {
        v8 z = n - i >= 8 ? load8(logits + i) : load_part(logits + i, n - i, __builtin_nanf(""));
        improve8(&best, z * factor + gumbel8(key, (v8u)iota8(first + i)), iota8(first + i));
    }
    return winner(best);
}
