// Dependent reads in random order: what one access to memory costs when nothing can be fetched ahead.
#include "foretoken_system.h"

enum { LINE_BYTES = 64 };

/// The first word of a line: the number of the next line while the ring is made, then its address.
static uint64_t *line(void *memory, size_t index) { return (uint64_t *)((char *)memory + index * LINE_BYTES); }

/// SplitMix64.
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void foretoken_chase_prepare(void *memory, size_t bytes, uint64_t seed) {
    size_t lines = bytes / LINE_BYTES;
    for (size_t i = 0; i < lines; i++) *line(memory, i) = i;
    // Sattolo's shuffle: every permutation it makes is one cycle through all lines.
    for (size_t i = lines; i-- > 1;) {
        uint64_t *one = line(memory, i), *other = line(memory, next_random(&seed) % i);
        uint64_t number = *one;
        *one = *other;
        *other = number;
    }
    for (size_t i = 0; i < lines; i++) *line(memory, i) = (uint64_t)(uintptr_t)line(memory, *line(memory, i));
}

const void *foretoken_chase(const void *start, size_t steps) {
    const void *p = start;
    for (size_t i = 0; i < steps; i++) p = (const void *)(uintptr_t) * (const uint64_t *)p;
    return p;
}
