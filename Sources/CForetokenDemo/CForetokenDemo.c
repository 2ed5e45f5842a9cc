// #embed, unlike .incbin, lets the build system see which files this object depends on.
#pragma clang diagnostic ignored "-Wc23-extensions"

#include "foretoken_demo.h"

// Page alignment lets a reader treat the bytes as it treats a mapped file.
#define FORETOKEN_DEMO_ARRAY static const _Alignas(4096) uint8_t

FORETOKEN_DEMO_ARRAY config[] = {
#embed "model/config.json"
};

FORETOKEN_DEMO_ARRAY generation_config[] = {
#embed "model/generation_config.json"
};

FORETOKEN_DEMO_ARRAY shard_1[] = {
#embed "model/model-00001-of-000002.safetensors"
};

FORETOKEN_DEMO_ARRAY shard_2[] = {
#embed "model/model-00002-of-000002.safetensors"
};

FORETOKEN_DEMO_ARRAY weight_index[] = {
#embed "model/model.safetensors.index.json"
};

FORETOKEN_DEMO_ARRAY special_tokens_map[] = {
#embed "model/special_tokens_map.json"
};

FORETOKEN_DEMO_ARRAY tokenizer[] = {
#embed "model/tokenizer.json"
};

FORETOKEN_DEMO_ARRAY tokenizer_config[] = {
#embed "model/tokenizer_config.json"
};

FORETOKEN_DEMO_ARRAY suite[] = {
#embed "suite.jsonl"
};

static const struct {
    const char *name;
    const uint8_t *bytes;
    size_t byte_count;
} files[] = {
    {"config.json", config, sizeof config},
    {"generation_config.json", generation_config, sizeof generation_config},
    {"model-00001-of-000002.safetensors", shard_1, sizeof shard_1},
    {"model-00002-of-000002.safetensors", shard_2, sizeof shard_2},
    {"model.safetensors.index.json", weight_index, sizeof weight_index},
    {"special_tokens_map.json", special_tokens_map, sizeof special_tokens_map},
    {"tokenizer.json", tokenizer, sizeof tokenizer},
    {"tokenizer_config.json", tokenizer_config, sizeof tokenizer_config},
};

enum { FILE_COUNT = sizeof files / sizeof files[0] };

size_t foretoken_demo_count(void) {
    return FILE_COUNT;
}

const char *foretoken_demo_name(size_t index) {
    return index < FILE_COUNT ? files[index].name : NULL;
}

const uint8_t *foretoken_demo_bytes(size_t index, size_t *byte_count) {
    *byte_count = index < FILE_COUNT ? files[index].byte_count : 0;
    return index < FILE_COUNT ? files[index].bytes : NULL;
}

const uint8_t *foretoken_demo_suite(size_t *byte_count) {
    *byte_count = sizeof suite;
    return suite;
}
