// The demonstration checkpoint: a Hugging Face folder whose files are part of the executable's read-only data,
// and the prompts to measure it with.
#ifndef FORETOKEN_DEMO_H
#define FORETOKEN_DEMO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The number of files in the folder.
size_t foretoken_demo_count(void);

/// The name of file `index` inside the folder ("config.json"), or NULL if there is no such file.
/// Names are unique, contain no slash and keep their order between calls.
const char *foretoken_demo_name(size_t index);

/// The bytes of file `index`, aligned to 4096 and valid for the life of the process.
/// Sets `*byte_count` to their number; returns NULL and sets it to 0 if there is no such file.
/// `byte_count` may not be NULL.
const uint8_t *foretoken_demo_bytes(size_t index, size_t *byte_count);

/// The prompts the model is measured with, which is no file of the folder: JSON lines {"id", "domain", "prompt"} in UTF-8,
/// valid for the life of the process. Sets `*byte_count` to the number of bytes; `byte_count` may not be NULL.
const uint8_t *foretoken_demo_suite(size_t *byte_count);

#ifdef __cplusplus
}
#endif

#endif
