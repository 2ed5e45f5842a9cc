// The choice of the largest scores, which does not depend on the instruction set.
#include "foretoken_kernels.h"

#include <math.h>
#include <string.h>

/// Orders as numbers do, -0 and 0 alike; NaN of either sign comes below all numbers.
static uint32_t rank_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return 0;
    if (magnitude == 0) bits = 0;
    return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

/// The number of a rank; NaN where no number has it.
static float number_of(uint32_t rank) {
    if (rank == 0) return NAN;
    uint32_t bits = rank & 0x80000000 ? rank & 0x7FFFFFFF : ~rank;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

enum { DIGITS = 3, DIGIT_BITS = 11, BINS = 1 << DIGIT_BITS };

/// The `count`-th largest rank of n scores that lie `step` apart, found digit by digit from the top. `*equal` becomes how
/// many of those that have it are among the `count` largest.
static uint32_t threshold_rank(const float *scores, int32_t n, int32_t step, int32_t count, int32_t *equal) {
    uint32_t found = 0, known = 0;  // the threshold's digits so far, and where they are
    for (int digit = DIGITS - 1; digit >= 0; digit--) {
        int shift = digit * DIGIT_BITS;
        int32_t bins[BINS] = {0};
        for (int32_t i = 0; i < n; i++) {
            uint32_t rank = rank_of(scores[(size_t)i * (size_t)step]);
            bins[rank >> shift & (BINS - 1)] += (rank & known) == found;
        }
        uint32_t bin = BINS - 1;
        for (; bins[bin] < count; bin--) count -= bins[bin];
        found |= bin << shift;
        known |= (uint32_t)(BINS - 1) << shift;
    }
    *equal = count;
    return found;
}

/// Places of the `count` largest of n scores, ascending; the place of score i is places[i], or i without them.
static void choose(const float *scores, int32_t n, int32_t count, const int32_t *places, int32_t *chosen) {
    int32_t equal, found = 0;
    uint32_t threshold = threshold_rank(scores, n, 1, count, &equal);
    for (int32_t i = 0; found < count; i++) {
        uint32_t rank = rank_of(scores[i]);
        bool taken = rank > threshold;
        if (rank == threshold && equal > 0) {
            taken = true;
            equal--;
        }
        if (taken) chosen[found++] = places ? places[i] : i;
    }
}

enum {
    SAMPLE = 1024,
    STRIDE = 64,    // scores that are looked at before the room left is
    SURPLUS = 3,    // most candidates for each that is chosen
    WHOLE = 4096,   // scores that are not worth a sample
};

/// A score that about 1.5 · `count` of n scores reach, as a sample tells: perhaps fewer than `count`, or too many.
static float pivot_of(const float *scores, int32_t n, int32_t count) {
    int32_t wanted = (int32_t)((int64_t)SAMPLE * count * 3 / 2 / n) + 2, equal;
    return number_of(threshold_rank(scores, SAMPLE, n / SAMPLE, wanted < SAMPLE ? wanted : SAMPLE, &equal));
}

void foretoken_select_largest(const float *scores, int32_t n, int32_t count, int32_t *chosen, float *scratch) {
    int32_t most = SURPLUS * count, found = 0;
    int32_t *places = (int32_t *)(scratch + most + STRIDE);
    if (n > WHOLE && n > most) {
        float pivot = pivot_of(scores, n, count);
        for (int32_t from = 0; from < n && found <= most; from += STRIDE) {
            int32_t end = n - from < STRIDE ? n : from + STRIDE;
            for (int32_t i = from; i < end; i++) {
                scratch[found] = scores[i];
                places[found] = i;
                found += scores[i] >= pivot;
            }
        }
    }
    // Whoever is left out is less than all candidates, NaN among them.
    if (found >= count && found <= most) {
        choose(scratch, found, count, places, chosen);
    } else {
        choose(scores, n, count, NULL, chosen);
    }
}

size_t foretoken_selection_scratch(int32_t count) {
    return 2 * ((size_t)SURPLUS * (size_t)count + STRIDE + 1);
}
