// A plain reader: the roof that weight streaming is compared with.
#include <string.h>

#include "foretoken_system.h"

#if defined(__x86_64__)
#include <immintrin.h>

/// Eight independent 32-byte loads a round keep the core's line buffers full.
__attribute__((target("avx2"))) static uint64_t read_wide(const uint8_t *p, size_t rounds) {
    __m256i sums[8] = {0};
    for (size_t i = 0; i < rounds; i++, p += 256) {
        for (int j = 0; j < 8; j++) {
            sums[j] = _mm256_xor_si256(sums[j], _mm256_loadu_si256((const __m256i *)(p + 32 * j)));
        }
    }
    uint64_t lanes[4], checksum = 0;
    for (int j = 0; j < 8; j++) {
        _mm256_storeu_si256((__m256i *)lanes, sums[j]);
        checksum ^= lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
    }
    return checksum;
}
#endif

/// XOR of the 64-bit words, the last one padded with zeros.
static uint64_t read_words(const uint8_t *p, size_t bytes) {
    uint64_t checksum = 0;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        checksum ^= word;
    }
    uint64_t last = 0;
    memcpy(&last, p, bytes);
    return checksum ^ last;
}

uint64_t foretoken_read_bandwidth(const void *memory, size_t bytes) {
    const uint8_t *p = memory;
    size_t wide = 0;
    uint64_t checksum = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        wide = bytes / 256;
        checksum = read_wide(p, wide);
    }
#endif
    return checksum ^ read_words(p + wide * 256, bytes - wide * 256);
}
