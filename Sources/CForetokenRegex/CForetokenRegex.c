#include "foretoken_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum {
    FIRST_STACK = 32 * 1024,
    DEEPEST_STACK = 64 * 1024 * 1024,
    INTERPRETER_HEAP_KIB = 256 * 1024,
};

struct foretoken_regex {
    pcre2_code *code;
    int is_machine_code;
};

struct foretoken_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

foretoken_regex *foretoken_regex_compile(const uint8_t *pattern, size_t length, int literal, size_t *fault,
                                         char *message, size_t capacity) {
    foretoken_regex *regex = calloc(1, sizeof *regex);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int error = PCRE2_ERROR_NOMEMORY;
    PCRE2_SIZE offset = 0;
    if (regex && context) {
        // Tokenizer files are written for Oniguruma, where ^ and $ always mean lines and a line ends in LF.
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        uint32_t options = literal ? PCRE2_UTF | PCRE2_LITERAL
                                   : PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
        regex->code = pcre2_compile(pattern, length, options, &error, &offset, context);
    }
    pcre2_compile_context_free(context);
    if (!regex || !regex->code) {
        foretoken_regex_message(error, message, capacity);
        *fault = offset;
        free(regex);
        return NULL;
    }
    // A build or a host that forbids executable pages leaves the interpreter, with the same answers.
    regex->is_machine_code = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
    return regex;
}

void foretoken_regex_free(foretoken_regex *regex) {
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    free(regex);
}

foretoken_matcher *foretoken_matcher_create(void) {
    foretoken_matcher *matcher = calloc(1, sizeof *matcher);
    if (!matcher)
        return NULL;
    matcher->data = pcre2_match_data_create(1, NULL);
    matcher->context = pcre2_match_context_create(NULL);
    if (!matcher->data || !matcher->context) {
        foretoken_matcher_free(matcher);
        return NULL;
    }
    pcre2_set_heap_limit(matcher->context, INTERPRETER_HEAP_KIB);
    return matcher;
}

void foretoken_matcher_free(foretoken_matcher *matcher) {
    if (!matcher)
        return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_jit_stack_free(matcher->stack);
    free(matcher);
}

static int run(const foretoken_regex *regex, foretoken_matcher *matcher, const uint8_t *subject, size_t length,
               size_t start) {
    return regex->is_machine_code
               ? pcre2_jit_match(regex->code, subject, length, start, 0, matcher->data, matcher->context)
               : pcre2_match(regex->code, subject, length, start, PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
}

int foretoken_regex_find(const foretoken_regex *regex, foretoken_matcher *matcher, const uint8_t *subject,
                         size_t length, size_t start, size_t *begin, size_t *end) {
    int result = run(regex, matcher, subject, length, start);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && !matcher->stack) {
        matcher->stack = pcre2_jit_stack_create(FIRST_STACK, DEEPEST_STACK, NULL);
        if (!matcher->stack)
            return PCRE2_ERROR_NOMEMORY;
        pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
        result = run(regex, matcher, subject, length, start);
    }
    if (result == PCRE2_ERROR_NOMATCH)
        return 0;
    if (result < 0)
        return result;
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(matcher->data);
    // \K can move the start of a match; a match that runs backwards could make a caller loop for ever.
    if (offsets[0] < start || offsets[1] < offsets[0] || offsets[1] > length)
        return PCRE2_ERROR_BADOFFSET;
    *begin = offsets[0];
    *end = offsets[1];
    return 1;
}

void foretoken_regex_message(int error, char *message, size_t capacity) {
    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)message, capacity) == PCRE2_ERROR_BADDATA && capacity > 0)
        message[0] = '\0';
}
