#pragma clang diagnostic ignored "-Wc23-extensions"

#include "foretoken_page.h"

static const uint8_t page[] = {
#embed "../ForetokenServer/page/index.html"
};

const uint8_t *foretoken_page(size_t *byte_count) {
    *byte_count = sizeof page;
    return page;
}
