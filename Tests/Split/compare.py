"""Compares the cuts of ForetokenTokenizer with those of PyPI's tokenizers, and its ids with those of tiktoken. See `run`.

Published expressions must be accepted and cut every text alike. Random ones must be refused, or cut alike."""

import argparse
import base64
import json
import random
import subprocess
import sys

import tiktoken
from tokenizers import Regex, pre_tokenizers

ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
UPPER_NOT_HAN, LOWER_NOT_HAN = UPPER[:-1] + r"&&[^\p{Han}]]", LOWER[:-1] + r"&&[^\p{Han}]]"


def words(upper, lower):
    """Words that may begin with a sign, as GPT-4o and Kimi have them."""
    return (rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{ENDINGS}?|[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{ENDINGS}?")


PUBLISHED = {
    "deepseek": [
        r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
        r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""],
    "llama3, gigachat": [ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL],
    "glm": [r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL],
    "kimi": [r"[\p{Han}]+|" + words(UPPER_NOT_HAN, LOWER_NOT_HAN) + r"|\p{N}{1,3}" + TAIL],
    "qwen": [ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL],
    "qwen3.5": [ENDINGS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "gpt4o": [words(UPPER, LOWER) + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "cl100k": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
               r"|\s+(?!\S)|\s"],
    "gpt2": [r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"],
    "digits, gpt2": [r"\p{N}", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"],
}

KINDS = [
    "abcdefstSTſKk'’", "ABCDELMabcdetv'sd", " \t\n\r\n  \v\f\x85\u00a0\u3000\u2028\u180e\u200b", "  \n \r\n\t", "xab",
    "0123456789²Ⅷ٣𝟗", "!?.,:;-_/\\()[]{}<>$+=^|~`\"#@%&*", "Привет мир ёЁ", "你好世界，。龥龦㐀𠀀", "こんにちはカタカナーゝ",
    "한국어", "éàñßŁǅʰªﬆ", "\u0301\u0300\u20dd\u0903\u0e31", "🩷🫨😀👍🏽\u200d\ufe0f", "ทดสอบ", "مرحبا", "हिन्दी",
]


class Texts:
    """Random mixtures: runs of one kind, any character now and then, new and unassigned ones more often than their due."""

    def __init__(self, rng):
        self.rng, self.kind = rng, KINDS[0]

    def character(self):
        rng, chance = self.rng, self.rng.random()
        if chance < 0.75:
            if rng.random() < 0.3:
                self.kind = rng.choice(KINDS)
            return rng.choice(self.kind)
        low, high = (0x20, 0x3000) if chance < 0.85 else (0, 0x110000) if chance < 0.92 else rng.choice(
            [(0xA000, 0x20000), (0x1F000, 0x20000), (0x30000, 0x33000), (0x10000, 0x1F000)])
        code = rng.randrange(low, high)
        return self.character() if 0xD800 <= code < 0xE000 else chr(code)

    def text(self, most=40):
        return "".join(self.character() for _ in range(self.rng.randrange(1, most)))


ATOMS = ["a", "b", "x", "'", " ", "é", "中", ".", r"\s", r"\S", r"\d", r"\D", r"\h", r"\p{L}", r"\p{^L}", r"\P{Lu}", r"\p{Han}",
         r"\p{M}", "[ab]", "[^a]", r"[a-x]", r"[^\s\p{L}]", r"[\p{L}&&[^b]]", "[a[b]x]", "[]a]", "[-a]", "[a-]", "[^&&a]", r"\n",
         r"\x61", r"\u4E00", r"\x{1F600}", "^", "$", r"\A", r"\z", r"\Z", r"(?<=a)", r"(?<!\s)", r"(?=b)", r"(?!a)", "(?i:s)",
         "(?i:k|t)", "(?i:[^k])", "(?i:ss)", "(?i:é)", r"\w", r"\b", "{", "}", "]", "&&", "-", "(?:)", r"\-", r"\v", r"\e"]
QUANTIFIERS = ["?", "*", "+", "??", "*?", "+?", "?+", "*+", "++", "{2}", "{1,2}", "{,2}", "{2,}", "{1,2}?", "{1,2}+", "{2}?",
               "{,}", "{0}", "{2,1}"]


def expression(rng, depth=0):
    """A random expression, often an unsound one."""
    def piece():
        chance = rng.random()
        if depth < 3 and chance < 0.3:
            opening = rng.choice(["(", "(?:", "(?:", "(?>", "(?i:", "(?=", "(?!", "(?<=", "(?<!"])
            text = opening + expression(rng, depth + 1) + ")"
        else:
            text = rng.choice(ATOMS)
        while rng.random() < 0.3:
            text += rng.choice(QUANTIFIERS)
        return text

    return "|".join("".join(piece() for _ in range(rng.randrange(1, 4))) for _ in range(rng.choice([1, 1, 2, 3])))


def random_ranks(rng):
    """Every byte and random joints of tokens, in any order: also such that no merges make, or only ranks above their own."""
    tokens = [bytes([byte]) for byte in range(256)]
    words = [character.encode() for kind in KINDS for character in kind if character.isprintable()]
    for _ in range(rng.randrange(50, 3000)):
        parts = rng.choices(tokens[-400:] if rng.random() < 0.6 else words, k=rng.choice([2, 2, 2, 3, 4]))
        tokens.append(b"".join(parts)[:60])
    tokens = list(dict.fromkeys(tokens))
    if rng.random() < 0.7:
        rng.shuffle(tokens)
    return {token: rank for rank, token in enumerate(tokens)}


NAMES = ["[BOS]", "[EOS]", "<|im_end|>", "<think>", "</think>", "<|tool_calls_section_begin|>", "龘靐齉", "Qzxqz"]


def compare_ids(name, ranks, texts, probe):
    """How many texts have the same ids, with special tokens and without, and the same bytes again; and how many have not."""
    named = {len(ranks) + place: text for place, text in zip(range(0, 256, 7), NAMES)}
    special = {named.get(i, f"<|reserved_token_{i}|>"): i for i in range(len(ranks), len(ranks) + 256)}
    encoding = tiktoken.Encoding(name, pat_str=PUBLISHED["kimi"][0], mergeable_ranks=ranks, special_tokens=special)
    lines = "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())
    settings = {"tokenizer_class": "TikTokenTokenizer",
                "added_tokens_decoder": {str(i): {"content": text, "special": True} for i, text in named.items()}}
    found = probe.ask({"ranks": lines, "settings": json.dumps(settings), "texts": texts})
    if "error" in found:
        print(f"FAILED {name}: {found['error']}")
        return 0, 1
    failures = 0
    for text, ids, plain in zip(texts, found["ids"], found["plain"], strict=True):
        expected = encoding.encode(text, allowed_special="all"), encoding.encode(text, disallowed_special=())
        if (ids, plain) != expected:
            failures += 1
            if failures == 1:
                print(f"FAILED {name}: {text!r} is {ids} and {plain}, expected {expected}")
    together = b"".join(encoding.decode_bytes(ids) for ids in found["ids"])
    if together.hex() != found["bytes"] or together != "".join(texts).encode():
        failures += 1
        print(f"FAILED {name}: ids do not become the same bytes again")
    return len(texts) - failures, failures


def all_ids(path, texts, count, rng, probe):
    """The published ranks, which are of another family, and random ones."""
    with open(path, "rb") as file:
        published = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in file if line.strip())}

    def sample(number):
        found = [texts.text() for _ in range(number)]
        # Names of special tokens, whole and broken, and long runs.
        for place in range(0, number, 5):
            found[place] += rng.choice(NAMES)[rng.choice([0, 0, 1]):] + texts.text(5)
        return found + [rng.choice(["a", "你", " ", "é🦖", "\n"]) * 3000]

    passed, failed = compare_ids("published ranks", published, sample(4000), probe)
    for number in range(count):
        good, bad = compare_ids(f"random ranks {number}", random_ranks(rng), sample(100), probe)
        passed, failed = passed + good, failed + bad
    print(f"{count + 1} files of ranks, {passed + failed} texts")
    return passed, failed


class Probe:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the probe ended at {str(question)[:1000]}")
        return json.loads(line)

    def cut(self, patterns, texts):
        return self.ask({"patterns": patterns, "texts": texts})


def reference(splits, text):
    """The ends of the pieces, in bytes."""
    ends, total = [], 0
    for piece, _ in splits.pre_tokenize_str(text):
        total += len(piece.encode())
        ends.append(total)
    return ends


def compare(name, patterns, texts, probe, mustBeTaken):
    """How many texts are cut alike and how many are not; (0, 0) for an expression that is refused."""
    found = probe.cut(patterns, texts)
    if "error" in found:
        # Too many steps is an honest answer for an expression that no one publishes.
        if mustBeTaken or not found["refusal"] and "too many" not in found["error"]:
            print(f"FAILED {name}: {found['error']}")
            return 0, 1
        return 0, 0
    try:
        splits = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(one), "isolated") for one in patterns])
    except Exception as error:
        print(f"FAILED {name}: {patterns} is taken, but the reference library says {error}")
        return 0, 1
    failures = 0
    for text, cuts in zip(texts, found["cuts"], strict=True):
        expected = reference(splits, text)
        if cuts != expected:
            failures += 1
            if failures == 1:
                print(f"FAILED {name}: {patterns} cuts {text!r} at {cuts}, expected {expected}")
    return len(texts) - failures, failures


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("probe")
    arguments.add_argument("ranks", help="a published file of ranks")
    arguments.add_argument("--texts", type=int, default=2000, help="for each published expression")
    arguments.add_argument("--expressions", type=int, default=3000, help="random ones")
    arguments.add_argument("--ranks-files", type=int, default=40, help="random files of ranks")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    texts, probe = Texts(rng), Probe(options.probe)
    passed, failed = all_ids(options.ranks, texts, options.ranks_files, rng, probe)
    taken = 0
    for name, patterns in PUBLISHED.items():
        good, bad = compare(name, patterns, [texts.text() for _ in range(options.texts)], probe, True)
        passed, failed = passed + good, failed + bad
    print(f"{len(PUBLISHED)} published expressions, {options.texts} texts each")
    for number in range(options.expressions):
        samples = [texts.text(12) for _ in range(10)] + ["".join(rng.choices("abxs' k\n1é中", k=10)) for _ in range(15)]
        good, bad = compare(f"random {number}", [expression(rng)], samples, probe, False)
        passed, failed, taken = passed + good, failed + bad, taken + (good + bad > 0)
    print(f"{options.expressions} random expressions, {taken} taken, the others refused")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
