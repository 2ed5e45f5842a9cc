#!/usr/bin/env python3
"""Write the suite that `foretoken measure` has built in: held-out prompts, one {"id", "domain", "prompt"} a line, some with "answer".

    suite.py --data DIR [--out FILE]

The texts of the demo's goldens come first. The others are new documents, of as many packages as there are, and alternate
between the start of a file and a line of its first half. An id is package/path#offset, the offset in bytes of the prepared text.

The model is too small to copy. So the domains of copied text have answers, which `measure` makes it say: `edit` the first lines of a
held-out file, and the same lines again with a name changed; `agent` made-up records (see agent.py). Both are cut behind some lines of
what is repeated: before the cut it is the prompt.
"""
import argparse
import collections
import json
import os
import re

import numpy as np

from agent import transcripts
from prompts import documents_of, tokenizer_of
from tokenise import DOMAINS

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
NAMES = dict(zip(DOMAINS, ("code", "tests", "prose")))
PER_DOMAIN = 16
TOKENS = 64  # BOS included
LONG_LINE = 24
SEED = 21
EDITS = 8
EDITED_TOKENS = (260, 340)  # of the lines that are repeated
BEGUN_TOKENS = 24  # of the repetition, in the prompt, at least


def round_trips(tokenizer, ids):
    text = tokenizer.decode(ids, skip_special_tokens=False)
    return "\ufffd" not in text and tokenizer.encode(text, add_special_tokens=False).ids == ids


def cut(tokenizer, text):
    """The longest beginning of `text` of less than TOKENS tokens that is read back as the same tokens; None if `text` is short."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids[:TOKENS - 1]
    if len(ids) < TOKENS - 1:
        return None
    while not round_trips(tokenizer, ids):
        ids.pop()
    return tokenizer.decode(ids, skip_special_tokens=False)


class TrainedLines:
    """The long lines of all training documents. A held-out file may still quote a training file."""

    def __init__(self, documents):
        self.owners = collections.defaultdict(set)
        for index, document in enumerate(documents):
            for line in self.long_lines(document["text"]):
                self.owners[line].add(index)

    @staticmethod
    def long_lines(text):
        return {line.strip() for line in text.split("\n") if len(line.strip()) > LONG_LINE}

    def know(self, text):
        """Whether one training document has more than half of the text's long lines."""
        lines = self.long_lines(text)
        counts = collections.Counter(owner for line in lines for owner in self.owners.get(line, ()))
        return bool(counts) and counts.most_common(1)[0][1] * 2 > len(lines)


def spread(documents):
    """Every package's first document by hash, then every package's second, and so on."""
    seen, ranked = collections.Counter(), []
    for document in sorted(documents, key=lambda d: d["sha"]):
        ranked.append((seen[document["repo"]], document["sha"], document))
        seen[document["repo"]] += 1
    return [document for _, _, document in sorted(ranked, key=lambda r: r[:2])]


def line(document, offset, text):
    package = document["repo"].removesuffix(".git").replace("_", "/", 1)
    start = len(document["text"][:offset].encode())
    return dict(id=f"{package}/{document['path']}#{start}", domain=NAMES[document["domain"]], prompt=text)


def golden_lines(path, documents):
    """The goldens' held-out texts, found again in their documents, which may be of another package name today."""
    with open(path) as file:
        prompts = [p for p in json.load(file)["prompts"] if p["domain"] in NAMES]
    for prompt in prompts:
        text = prompt["prompt_text"]
        owner = [d for d in documents if d["path"] == prompt["path"] and text in d["text"]]
        if len(owner) != 1:
            raise SystemExit(f"the golden text of {prompt['path']} is in {len(owner)} held-out documents, not in one")
        yield owner[0], line(owner[0], owner[0]["text"].index(text), text)


def starts(text, from_head, generator):
    """Offsets to try: the head, or a line of the first half and then the head."""
    lines = text.split("\n")
    middle = sum(len(l) + 1 for l in lines[:int(generator.integers(1, max(2, len(lines) // 2)))])
    return [0] if from_head else [middle, 0]


def choose(data, golden, tokenizer):
    held_out, trained = documents_of(data, "val"), TrainedLines(documents_of(data, "train"))
    generator, goldens = np.random.default_rng(SEED), list(golden_lines(golden, held_out))
    used, out = {d["sha"] for d, _ in goldens}, []
    for domain in DOMAINS:
        chosen = [entry for d, entry in goldens if d["domain"] == domain]
        documents = spread(d for d in held_out if d["domain"] == domain and d["sha"] not in used)
        # Where there are too few documents, the longest are used once more, from the middle on.
        halves = [dict(d, skipped=len(d["text"]) // 2) for d in sorted(documents, key=lambda d: -len(d["text"]))]
        for document in documents + halves:
            if len(chosen) == PER_DOMAIN:
                break
            skipped = document.get("skipped", 0)
            rest = document["text"][skipped:]
            for offset in starts(rest, len(chosen) % 2 == 0 and not skipped, generator)[:1 if skipped else 2]:
                prompt = cut(tokenizer, rest[offset:])
                if prompt and not trained.know(prompt):
                    chosen.append(line(document, skipped + offset, prompt))
                    break
        if len(chosen) < PER_DOMAIN:
            raise SystemExit(f"only {len(chosen)} held-out texts of domain {domain} are long and new enough")
        out += chosen
    return out


def passage(tokenizer, text):
    """The first whole lines of a text, as many as EDITED_TOKENS allows; None if they are too few."""
    taken = ""
    for part in text.splitlines(keepends=True):
        if len(tokenizer.encode(taken + part, add_special_tokens=False).ids) > EDITED_TOKENS[1]:
            break
        taken += part
    return taken if len(tokenizer.encode(taken, add_special_tokens=False).ids) >= EDITED_TOKENS[0] else None


def changed(original):
    """The passage with its first declared type or function renamed throughout; None where it declares none."""
    name = re.search(r"\b(?:struct|class|enum|protocol|extension|actor|func)\s+([A-Za-z]\w{3,})", original)
    return name and re.sub(rf"\b{name[1]}\b", name[1] + "V2", original)


def edits(data, tokenizer):
    """EDITS lines of the domain `edit`, each of another package."""
    trained, packages, out = TrainedLines(documents_of(data, "train")), set(), []
    for document in spread(d for d in documents_of(data, "val") if d["domain"] != "markdown"):
        original = passage(tokenizer, document["text"]) if document["repo"] not in packages and len(out) < EDITS else None
        copy = original and not trained.know(original) and changed(original)
        if copy:
            packages.add(document["repo"])
            begun, lines = "", copy.splitlines(keepends=True)
            while len(tokenizer.encode(begun, add_special_tokens=False).ids) < BEGUN_TOKENS:
                begun += lines.pop(0)
            entry = line(document, 0, original + "\n" + begun)
            out.append(dict(entry, id="edit/" + entry["id"], domain="edit", answer="".join(lines)))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder of docs.jsonl")
    parser.add_argument("--out", default=os.path.join(ROOT, "Sources/CForetokenDemo/suite.jsonl"))
    options = parser.parse_args()
    tokenizer = tokenizer_of(os.path.join(ROOT, "Sources/CForetokenDemo/model"))
    golden = os.path.join(ROOT, "Tests/ForetokenModelTests/Fixtures/demo/golden.json")
    entries = choose(options.data, golden, tokenizer) + edits(options.data, tokenizer)
    for name, prompt, answer in transcripts():
        entries.append(dict(id=f"agent/made-up#{name}", domain="agent", prompt=prompt, answer=answer))
    with open(options.out, "w") as file:
        for entry in entries:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
