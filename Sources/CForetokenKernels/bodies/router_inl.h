// DeepSeek-V3's expert choice (noaux_tc): biased sigmoid scores, best groups, best experts, unbiased weights.

FT_INLINE void sigmoid_row(float *x, int32_t n) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) store8(x + i, sigmoid8(load8(x + i)));
    if (i < n) store_part(x + i, sigmoid8(load_part(x + i, n - i, 0.0f)), n - i);
}

/// Sum of the two largest scores; the only score of a group of one.
static float group_score(const float *scores, int32_t n) {
    float first = -INFINITY, second = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
        if (scores[i] > first) {
            second = first;
            first = scores[i];
        } else if (scores[i] > second) {
            second = scores[i];
        }
    }
    return n > 1 ? first + second : first;
}

/// Replaces the `count` largest of n numbers by NaN, the lower index first on ties.
static void take_largest(float *scores, int32_t n, int32_t count) {
    for (int32_t taken = 0; taken < count; taken++) {
        int32_t best = -1;
        for (int32_t i = 0; i < n; i++) {
            bool number = scores[i] == scores[i];
            if (number && (best < 0 || scores[i] > scores[best])) best = i;
        }
        if (best >= 0) scores[best] = NAN;
    }
}

static void FT_ISA(route)(const foretoken_router *router, const float *logits, int32_t *ids, float *weights,
                          float *scratch) {
    int32_t experts = router->experts, members = experts / router->expert_groups;
    float *biased = scratch, *groups = scratch + experts;
    memcpy(biased, logits, (size_t)experts * sizeof(float));
    sigmoid_row(biased, experts);
    for (int32_t e = 0; e < experts; e++) {
        float score = biased[e] + router->bias[e];
        biased[e] = isfinite(score) ? score : -INFINITY;
    }

    for (int32_t g = 0; g < router->expert_groups; g++) groups[g] = group_score(biased + g * members, members);
    take_largest(groups, router->expert_groups, router->kept_groups);
    for (int32_t e = 0; e < members * router->expert_groups; e++) {
        bool kept = groups[e / members] != groups[e / members];
        if (!kept) biased[e] = -INFINITY;
    }

    take_largest(biased, experts, router->chosen);
    for (int32_t e = 0, n = 0; e < experts && n < router->chosen; e++) {
        if (biased[e] == biased[e]) continue;
        ids[n] = e;
        weights[n++] = logits[e];
    }

    sigmoid_row(weights, router->chosen);
    float sum = 0.0f;
    for (int32_t i = 0; i < router->chosen; i++) sum += weights[i];
    float divisor = router->normalise ? sum + 1e-20f : 1.0f;
    for (int32_t i = 0; i < router->chosen; i++) weights[i] = weights[i] / divisor * router->scale;
}
