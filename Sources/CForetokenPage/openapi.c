#pragma clang diagnostic ignored "-Wc23-extensions"

#include "foretoken_page.h"

static const uint8_t description[] = {
#embed "../ForetokenServer/openapi.json"
};

const uint8_t *foretoken_openapi(size_t *byte_count) {
    *byte_count = sizeof description;
    return description;
}
