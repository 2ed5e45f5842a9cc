// The choice of experts: DeepSeek-V3's (noaux_tc), by biased sigmoid scores, and DeepSeek-V2's (group_limited_greedy), by
// softmax scores. Best groups, best experts, weights without bias.

FT_INLINE void sigmoid_row(float *x, int32_t n) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) store8(x + i, sigmoid8(load8(x + i)));
    if (i < n) store_part(x + i, sigmoid8(load_part(x + i, n - i, 0.0f)), n - i);
}

/// Sum of the two largest scores, none of which is NaN; the only score of a group of one.
static float group_score(const float *scores, int32_t n) {
    float first = -INFINITY, second = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
        float loser = scores[i] > first ? first : scores[i];
        first = scores[i] > first ? scores[i] : first;
        second = loser > second ? loser : second;
    }
    return n > 1 ? first + second : first;
}

/// The largest of n numbers, the lower index on ties; NaN is none. Negative where there is no number.
static int32_t largest_index(const float *scores, int32_t n) {
    v8 best = splat8(-INFINITY);
    v8i index = (v8i){0} - 1;
    for (int32_t i = 0; i < n; i += 8) {
        v8 value = n - i >= 8 ? load8(scores + i) : load_part(scores + i, n - i, NAN);
        // Of equal numbers the first stays, but -infinity too is better than none.
        v8i better = (value > best) | ((index < 0) & (value == value));
        best = select8(better, value, best);
        index = (better & iota8(i)) | (~better & index);
    }
    int32_t found = -1;
    float most = -INFINITY;
    for (int lane = 0; lane < 8; lane++) {
        bool better = index[lane] >= 0 && (found < 0 || best[lane] > most || (best[lane] == most && index[lane] < found));
        found = better ? index[lane] : found;
        most = better ? best[lane] : most;
    }
    return found;
}

/// Replaces the `count` largest of n numbers by NaN, the lower index first on ties.
static void take_largest(float *scores, int32_t n, int32_t count) {
    for (int32_t taken = 0; taken < count; taken++) {
        int32_t best = largest_index(scores, n);
        if (best >= 0) scores[best] = NAN;
    }
}

static void sigmoid_route(const foretoken_router *router, const float *logits, int32_t *ids, float *weights,
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
    for (int32_t g = 0; g < router->expert_groups; g++) {
        bool kept = groups[g] != groups[g];
        for (int32_t e = g * members; !kept && e < (g + 1) * members; e++) biased[e] = -INFINITY;
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

/// The largest of n scores; -infinity where all are NaN.
static float best_score(const float *scores, int32_t n) {
    float best = -INFINITY;
    for (int32_t i = 0; i < n; i++) best = scores[i] > best ? scores[i] : best;
    return best;
}

static void FT_ISA(softmax_route)(const foretoken_router *router, const float *logits, int32_t *ids, float *weights,
                                  float *scratch) {
    int32_t experts = router->experts, members = experts / router->expert_groups;
    float *scores = scratch, *groups = scratch + experts;
    memcpy(scores, logits, (size_t)experts * sizeof(float));
    float maximum;
    float sum = FT_ISA(exp_block)(scores, experts, 1.0f, &maximum);
    for (int32_t e = 0; e < experts; e++) scores[e] = scores[e] / sum;

    for (int32_t g = 0; g < router->expert_groups; g++) groups[g] = best_score(scores + g * members, members);
    take_largest(groups, router->expert_groups, router->kept_groups);
    for (int32_t g = 0; g < router->expert_groups; g++) {
        bool kept = groups[g] != groups[g];
        // A score becomes 0; NaN, which is then in all of them, stays.
        for (int32_t e = g * members; !kept && e < (g + 1) * members; e++) scores[e] *= 0.0f;
    }

    // The groups are done with, so the choice may use their room.
    float *choice = scratch + experts;
    for (int32_t e = 0; e < experts; e++) choice[e] = isfinite(scores[e]) ? scores[e] : -INFINITY;
    take_largest(choice, experts, router->chosen);
    for (int32_t e = 0, n = 0; e < experts && n < router->chosen; e++) {
        if (choice[e] == choice[e]) continue;
        ids[n] = e;
        weights[n++] = scores[e] * router->scale;
    }
}

static void FT_ISA(route)(const foretoken_router *router, const float *logits, int32_t *ids, float *weights,
                          float *scratch) {
    if (router->scoring == FORETOKEN_SOFTMAX) {
        FT_ISA(softmax_route)(router, logits, ids, weights, scratch);
    } else {
        sigmoid_route(router, logits, ids, weights, scratch);
    }
}
