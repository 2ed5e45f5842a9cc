// The one door to PCRE2: UTF-8 subjects, Unicode classes, machine-code patterns, no hidden fallback.
#ifndef FORETOKEN_REGEX_H
#define FORETOKEN_REGEX_H

#include <stddef.h>
#include <stdint.h>

// A compiled pattern. Immutable once made, so any number of threads may share it.
typedef struct foretoken_regex foretoken_regex;

// Scratch space of one thread: match limits, match offsets and, once a subject needs it, a deep stack.
typedef struct foretoken_matcher foretoken_matcher;

// Compiles `length` bytes of UTF-8; `literal` takes them as plain text instead of as an expression.
// On failure returns NULL, stores the byte offset of the fault and a NUL-terminated message of at most `capacity` bytes.
foretoken_regex *foretoken_regex_compile(const uint8_t *pattern, size_t length, int literal, size_t *fault,
                                         char *message, size_t capacity);
void foretoken_regex_free(foretoken_regex *regex);

// NULL when memory is short.
foretoken_matcher *foretoken_matcher_create(void);
void foretoken_matcher_free(foretoken_matcher *matcher);

// Finds the first match at or after byte `start` of a subject that must be valid UTF-8 (it is not checked again).
// Lookarounds see the whole subject and nothing beyond it. Returns 1 and the match [*begin, *end), 0 for no match,
// or a negative PCRE2 error; an exhausted limit is such an error, never a missing match.
int foretoken_regex_find(const foretoken_regex *regex, foretoken_matcher *matcher, const uint8_t *subject,
                         size_t length, size_t start, size_t *begin, size_t *end);

// The text of a negative result of foretoken_regex_find.
void foretoken_regex_message(int error, char *message, size_t capacity);

#endif
