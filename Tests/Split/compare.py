"""Compares the cuts of ForetokenTokenizer with those of PyPI's tokenizers. See `run`.

Published expressions must be accepted and cut every text alike. Random ones must be refused, or cut alike."""

import argparse
import json
import random
import subprocess
import sys

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


class Probe:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def cut(self, patterns, texts):
        self.process.stdin.write(json.dumps({"patterns": patterns, "texts": texts}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the probe ended at {patterns}")
        return json.loads(line)


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
    arguments.add_argument("--texts", type=int, default=2000, help="for each published expression")
    arguments.add_argument("--expressions", type=int, default=3000, help="random ones")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    texts, probe = Texts(rng), Probe(options.probe)
    passed, failed, taken = 0, 0, 0
    for name, patterns in PUBLISHED.items():
        good, bad = compare(name, patterns, [texts.text() for _ in range(options.texts)], probe, True)
        passed, failed = passed + good, failed + bad
    print(f"{len(PUBLISHED)} published expressions, {passed + failed} texts")
    for number in range(options.expressions):
        samples = [texts.text(12) for _ in range(10)] + ["".join(rng.choices("abxs' k\n1é中", k=10)) for _ in range(15)]
        good, bad = compare(f"random {number}", [expression(rng)], samples, probe, False)
        passed, failed, taken = passed + good, failed + bad, taken + (good + bad > 0)
    print(f"{options.expressions} random expressions, {taken} taken, the others refused")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
