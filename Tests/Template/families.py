"""Compares whole prompts, in tokens, with PyPI's renderers, which writes families' prompts without templates. See `run`.

For each family the published template, or our shape of it, is rendered by ForetokenTokenizer with a small tokenizer that has the
family's markers; the ids must be those of renderers, and the text that of jinja2. Names of markers in the texts of messages must
change no marker's count, which is checked without renderers: it takes such names for markers."""

import argparse
import collections
import itertools
import json
import random
import subprocess
import sys

import tokenizers
import tokenizers.decoders
import tokenizers.models
import tokenizers.pre_tokenizers
import tokenizers.trainers
from renderers import configs, deepseek_r1, deepseek_v3, glm5, glm45, kimi_k2, kimi_k25

import compare
from conversations import TIME, WEATHER, call, say

GLM = ["[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<|endoftext|>", "<think>", "</think>",
       "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"]
KIMI = ["[BOS]", "[EOS]", "<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<think>", "</think>",
        "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>",
        "<|tool_call_end|>", "<|media_begin|>", "<|media_content|>", "<|media_end|>", "<|media_pad|>"]
DEEPSEEK = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>",
            "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
            "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "<tool_call>",
            "</tool_call>"]
GIGACHAT = ["<s>", "</s>", "<|role_sep|>", "<|message_sep|>", "<|function_call|>"]
WORDS = ["Be brief.", "What is it?", "Köln 🦖, 你好", "a\nb\n\n c", "  two  blanks ", "12:00, 345", "{\"x\": [1, 2]}", "don't <b>"]

# Template, markers, the token that ends a turn, tools, thinking, and what renderers takes for it: nothing where it has none.
Family = collections.namedtuple("Family", "markers bos ends tools switches renderer config")
FAMILIES = {
    **{f"published {name}": Family(GLM, None, ["<|user|>", "<|observation|>"], True, True, glm5.GLM5Renderer, configs.GLM5RendererConfig)
       for name in ["glm-5", "GLM-4.7", "GLM-4.7-Flash"]},
    "published glm-5.1": Family(GLM, None, ["<|user|>", "<|observation|>"], True, True, glm5.GLM51Renderer, configs.GLM51RendererConfig),
    "published glm-5.2": Family(GLM, None, ["<|user|>", "<|observation|>"], True, False, None, None),
    "published glm-5.3": Family(GLM, None, ["<|user|>", "<|observation|>"], True, False, glm5.GLM53Renderer, configs.GLM53RendererConfig),
    "published GLM-4.6": Family(GLM, None, ["<|user|>", "<|observation|>"], True, True, None, None),
    "shape glm-4.5": Family(GLM, None, ["<|user|>", "<|observation|>"], True, True, glm45.GLM45Renderer, configs.GLM45RendererConfig),
    "shape kimi-k2": Family(KIMI, "[BOS]", ["<|im_end|>"], True, False, kimi_k2.KimiK2Renderer, configs.KimiK2RendererConfig),
    # renderers declares tools in TypeScript, which the template takes from whoever calls it.
    "published Kimi-K2.5": Family(KIMI, "[BOS]", ["<|im_end|>"], False, True, kimi_k25.KimiK25Renderer, configs.KimiK25RendererConfig),
    "published moonlight-16b-a3b-instruct": Family(KIMI, "[BOS]", ["<|im_end|>"], False, False, None, None),
    "published deepseek-v3-0324": Family(DEEPSEEK, DEEPSEEK[0], [DEEPSEEK[1]], False, False, deepseek_v3.DeepSeekV3Renderer, configs.DeepSeekV3RendererConfig),
    "published deepseek-r1": Family(DEEPSEEK, DEEPSEEK[0], [DEEPSEEK[1]], False, False, deepseek_r1.DeepSeekR1Renderer, configs.DeepSeekR1RendererConfig),
    **{f"published {name}": Family(DEEPSEEK, DEEPSEEK[0], [DEEPSEEK[1]], False, False, None, None)
       for name in ["deepseek-v2-chat", "deepseek-v2.5", "Deepseek-V3.1", "DeepSeek-V3.2-Exp"]},
    "shape coder": Family(DEEPSEEK, DEEPSEEK[0], [DEEPSEEK[1]], True, True, None, None),
    "shape gigachat3": Family(GIGACHAT, "<s>", ["<|message_sep|>"], True, False, None, None),
}


class Tokenizer:
    """What renderers asks of a tokenizer."""

    name_or_path, unk_token_id, eos_token_id = "small", None, None

    def __init__(self, inner):
        self.inner = inner

    def encode(self, text, *_, **__):
        return self.inner.encode(text, add_special_tokens=False).ids

    def decode(self, ids, *_, **__):
        return self.inner.decode(ids, skip_special_tokens=False)

    def convert_tokens_to_ids(self, token):
        return self.inner.token_to_id(token)


def small(markers):
    """A tokenizer of bytes, some merges and the markers."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    inner.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    inner.train_from_iterator(WORDS * 3 + ["You may call one or more functions, user system assistant tool function parameters\n"] * 3, trainer)
    inner.add_special_tokens([tokenizers.AddedToken(text, special=True, normalized=False) for text in markers])
    return inner


def conversations(family, rng):
    """40 conversations: systems, several turns, thoughts, calls and their results, and whether to think."""
    def word():
        return rng.choice(WORDS)

    for number in range(40):
        messages = [say("system", word())] if number % 2 else []
        for turn in range(1 + number % 3):
            messages.append(say("user", word()))
            if turn == number % 3:
                break
            if family.tools and rng.random() < 0.5:
                calls = [call("get_weather", {"place": word(), "days": rng.randrange(9), "exact": True}, False)]
                calls += [call("now", {}, False, 1)] if rng.random() < 0.5 else []
                messages.append(say("assistant", rng.choice(["", "Wait."]), tool_calls=calls))
                # Where results follow a text of the template's, a break in their beginning would be one with its own.
                messages += [say("tool", rng.choice(["blue", "12:00"]), tool_call_id=one["id"], name=one["function"]["name"]) for one in calls]
            more = {"reasoning_content": "Let me see."} if family.switches and rng.random() < 0.5 else {}
            messages.append(say("assistant", word().strip() or "Yes.", **more))
        tools = [WEATHER, TIME] if family.tools and (number % 4 > 1 or any(m["role"] == "tool" for m in messages)) else []
        yield messages, tools, [None, True, False][number % 3] if family.switches else None


def variables(family, messages, tools, thinking):
    switches = {} if thinking is None else {"thinking": thinking, "enable_thinking": thinking}
    tokens = {"bos_token": family.bos, "eos_token": family.ends[0] if family.bos else None}
    return {"messages": messages, "tools": tools or None, "documents": None, "add_generation_prompt": True, **tokens, **switches}


def rendered(family, tokenizer, messages, tools, thinking):
    """The ids as renderers has them; nil where it has none."""
    if not family.renderer:
        return None
    fields = family.config.model_fields
    switch = next((name for name in ("enable_thinking", "thinking") if name in fields and family.switches), None)
    config = family.config(**({switch: thinking} if switch and thinking is not None else {}))
    return family.renderer(Tokenizer(tokenizer), config).render_ids(messages, tools=tools or None, add_generation_prompt=True)


def injected(messages, markers, rng):
    """The same with names of markers in all that strangers write."""
    def evil(text):
        # Templates leave out what is empty.
        return "x".join([text, *rng.sample(markers, 3), "y"]) if text else text

    def change(message):
        message = {**message, "content": evil(message["content"])}
        if "tool_calls" in message:
            message["tool_calls"] = [
                {**one, "function": {**one["function"], "arguments": {
                    key: evil(value) if isinstance(value, str) else value for key, value in one["function"]["arguments"].items()}}}
                for one in message["tool_calls"]]
        return message

    return [change(message) for message in messages]


def asked(probe, lines):
    answers = subprocess.run([probe], input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True)
    if answers.returncode:
        sys.exit(f"the probe ended with {answers.returncode}")
    return [json.loads(line) for line in answers.stdout.split("\n")[:-1]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("probe")
    parser.add_argument("shapes")
    parser.add_argument("packages")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, env = random.Random(options.seed), compare.environment()
    sources = dict(itertools.chain(compare.published(options.packages), compare.shapes(options.shapes)))
    passed, failed = 0, 0

    def check(good, *words):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        if not good and failed <= 20:
            print("FAILED", *words, sep="\n  ")

    for name, family in FAMILIES.items():
        if name not in sources:
            check(False, f"{name}: the package does not have it")
            continue
        tokenizer = small(family.markers)
        settings = {key: value for key, value in [("bos_token", family.bos), ("eos_token", family.ends[0])] if value and family.bos}
        work = list(conversations(family, rng))
        evil = [injected(messages, family.markers, rng) for messages, _, _ in work]
        lines = [{"chat": sources[name], "tokenizer": tokenizer.to_str(), "settings": json.dumps(settings), "messages": messages,
                  "tools": tools, "thinking": thinking} for messages, tools, thinking in work]
        good = asked(options.probe, lines)
        bad = asked(options.probe, [{**line, "messages": messages} for line, messages in zip(lines, evil)])
        oracle = 0
        for (messages, tools, thinking), ours, worse in zip(work, good, bad, strict=True):
            if "ids" not in ours or "ids" not in worse:
                check(False, name, json.dumps(messages)[:500], tools and "tools", thinking, ours, worse)
                continue
            text = compare.expected(env, sources[name], variables(family, messages, tools, thinking))
            check(ours["text"] == text[0], name, f"text {ours['text']!r}", f"jinja2 {text}")
            expected = rendered(family, tokenizer, messages, tools, thinking)
            if expected is not None:
                oracle += 1
                check(ours["ids"] == expected, name, json.dumps(messages), f"ours {ours['text']!r}",
                      f"renderers {tokenizer.decode(expected, skip_special_tokens=False)!r}")
            added = set(ours["added"])
            check([i for i in ours["ids"] if i in added] == [i for i in worse["ids"] if i in added], name, "markers of strangers",
                  worse["text"][:1000])
        ends = [tokenizer.token_to_id(text) for text in family.ends]
        check(good[0].get("ends") == ends[:1 if not family.tools else 2], name, f"turns end by {good[0].get('ends')}, expected {ends}")
        print(f"{name}: {len(work)} conversations, {oracle} of them with renderers; calls: {good[0].get('calls') or 'none'}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
