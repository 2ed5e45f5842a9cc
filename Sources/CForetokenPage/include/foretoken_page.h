// The page that the server shows to browsers, as part of the executable's read-only data.
#ifndef FORETOKEN_PAGE_H
#define FORETOKEN_PAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The page's HTML in UTF-8, valid for the life of the process. Sets `*byte_count` to the number of bytes; `byte_count` may
/// not be NULL.
const uint8_t *foretoken_page(size_t *byte_count);

/// The same for the description of the API in OpenAPI's format, JSON in UTF-8.
const uint8_t *foretoken_openapi(size_t *byte_count);

#ifdef __cplusplus
}
#endif

#endif
