#!/usr/bin/env python3
"""Write prompts whose continuations by the model itself will train its drafts (distill.py): beginnings and insides of training
documents, in turn at temperature 0 and 0.8.

    own_text.py --data DIR --out prompts.jsonl [--tokens N]
    foretoken generate --model FOLDER --input-file prompts.jsonl --ignore-eos > own.jsonl
"""
import argparse
import json
import os

import numpy as np

from tokenise import BOS, EOS

PROMPT, WINDOW = 64, 512  # tokens; prompt and continuation fill a window
TEMPERATURES = (0.0, 0.8)


def prompts(stream, count, generator):
    """`count` prompts of BOS and PROMPT − 1 tokens, each of another document."""
    begins = np.flatnonzero(stream == BOS) + 1
    ends = np.flatnonzero(stream == EOS)
    ends = ends[np.searchsorted(ends, begins)]
    fits = ends - begins >= PROMPT - 1
    begins, ends = begins[fits], ends[fits]
    if count > len(begins):
        raise SystemExit(f"{len(begins)} documents are long enough for a prompt; {count} are wanted: lower --tokens")
    for n, document in enumerate(generator.choice(len(begins), count, replace=False)):
        last = ends[document] - (PROMPT - 1)
        start = begins[document] if n // 2 % 2 else generator.integers(begins[document], last + 1)
        yield [BOS, *map(int, stream[start:start + PROMPT - 1])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--tokens", type=int, default=400_000, help="prompts and continuations together")
    options = parser.parse_args()
    stream = np.load(os.path.join(options.data, "train.npy"))
    found = prompts(stream, options.tokens // WINDOW, np.random.default_rng(0))
    with open(options.out, "w") as file:
        for n, ids in enumerate(found):
            line = dict(id=n, prompt_tokens=ids, max_tokens=WINDOW - PROMPT, temperature=TEMPERATURES[n % 2], seed=n)
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
