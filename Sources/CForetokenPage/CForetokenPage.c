#pragma clang diagnostic ignored "-Wc23-extensions"

#include "foretoken_page.h"

// One file for the browser: these parts one after the other, with one style and one script.
static const uint8_t page[] = {
#embed "../ForetokenServer/page/head.html"
    ,
#embed "../ForetokenServer/page/style.css"
    ,
#embed "../ForetokenServer/page/body.html"
    ,
#embed "../ForetokenServer/page/tools.js"
    ,
#embed "../ForetokenServer/page/storage.js"
    ,
#embed "../ForetokenServer/page/markdown.js"
    ,
#embed "../ForetokenServer/page/answers.js"
    ,
#embed "../ForetokenServer/page/asking.js"
    ,
#embed "../ForetokenServer/page/conversation.js"
    ,
#embed "../ForetokenServer/page/controls.js"
    ,
#embed "../ForetokenServer/page/foot.html"
};

const uint8_t *foretoken_page(size_t *byte_count) {
    *byte_count = sizeof page;
    return page;
}
