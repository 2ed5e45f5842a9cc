#!/usr/bin/env python3
"""Train the byte-level BPE and write the tokenizer files in the structure of DeepSeek-V3's.

    train_tok.py --data DIR --out DIR

The normalizer, pre-tokenizer sequence, post-processor, decoder and the places of the special tokens are those of the
published tokenizer.json; the vocabulary is learnt from docs.jsonl.
"""
import argparse
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

VOCABULARY = 4096
BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
# As in the published vocabulary these are its last entries, and not "special": they survive skip_special_tokens.
MARKERS = (
    "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>", "<｜Assistant｜>", "<|EOT|>",
    "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>",
    "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "<｜tool▁sep｜>")
DIGITS = r"\p{N}{1,3}"
CJK = "[一-龥\u3040-ゟ゠-ヿ]+"
WORDS = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+""" "|[^\r\n" r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
         r"| ?[\p{P}\p{S}]+" "[\r\n]*" r"|\s*" "[\r\n]+" r"|\s+(?!\S)|\s+")
# Characters to learn from, per domain.
BUDGET = dict(swift_code=9e6, swift_tests=3e6, markdown=3.5e6)
CHAT_TEMPLATE = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=false, system_prompt='', is_first_sp=true) %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}"
    "{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}"
    "{%- else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}{%- endif %}"
    "{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}"
    "{%- for message in messages %}{%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is not none %}"
    "{{ '<｜Assistant｜>' + message['content'] + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor -%}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}")


def training_texts(documents):
    documents = [d for d in documents if d["split"] == "train"]
    random.Random(0).shuffle(documents)
    left = dict(BUDGET)
    for d in documents:
        if left[d["domain"]] > 0:
            left[d["domain"]] -= len(d["text"])
            yield d["text"]


def train(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([])
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in (DIGITS, CJK, WORDS)]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(MARKERS), min_frequency=2, show_progress=False,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in (BOS, EOS, PAD)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in MARKERS])
    return tokenizer


def write(tokenizer, out):
    def token(content):
        return dict(__type="AddedToken", content=content, lstrip=False, normalized=True, rstrip=False, single_word=False)

    os.makedirs(out, exist_ok=True)
    tokenizer.save(os.path.join(out, "tokenizer.json"))
    files = {
        "tokenizer_config.json": dict(
            add_bos_token=True, add_eos_token=False, bos_token=token(BOS), clean_up_tokenization_spaces=False,
            eos_token=token(EOS), legacy=True, model_max_length=4096, pad_token=token(EOS), sp_model_kwargs={}, unk_token=None,
            tokenizer_class="LlamaTokenizerFast", chat_template=CHAT_TEMPLATE),
        "special_tokens_map.json": dict(bos_token=BOS, eos_token=EOS, pad_token=EOS),
        "generation_config.json": dict(
            _from_model_config=True, bos_token_id=0, eos_token_id=1, do_sample=True, temperature=0.6, top_p=0.95,
            transformers_version="4.39.3")}
    for name, value in files.items():
        with open(os.path.join(out, name), "w") as file:
            json.dump(value, file, ensure_ascii=False, indent=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    with open(os.path.join(options.data, "docs.jsonl")) as file:
        tokenizer = train(training_texts([json.loads(line) for line in file]))
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise SystemExit(f"the vocabulary has {tokenizer.get_vocab_size()} entries, not {VOCABULARY}: too little text")
    sample = "func héllo() -> Int { return 12345 }\n\n\tlet x = \"日本語\" // 🎉"
    if tokenizer.decode(tokenizer.encode(sample, add_special_tokens=False).ids) != sample:
        raise SystemExit("decoding an encoded text did not give it back")
    write(tokenizer, options.out)


if __name__ == "__main__":
    main()
