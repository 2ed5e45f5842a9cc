"""Prompts from held-out documents."""
import json
import os

import numpy as np
from tokenizers import Tokenizer

from tokenise import BOS, DOMAINS

REQUEST = "Returns the number of elements in the collection that satisfy the given predicate."


def tokenizer_of(folder):
    return Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))


def dialogue(tokenizer):
    """The ids of REQUEST as a user's turn, ready for the answer."""
    ids = tokenizer.encode(REQUEST, add_special_tokens=False).ids
    return [BOS, tokenizer.token_to_id("<｜User｜>"), *ids, tokenizer.token_to_id("<｜Assistant｜>")]


def documents_of(data, split):
    with open(os.path.join(data, "docs.jsonl")) as file:
        return [d for d in map(json.loads, file) if d["split"] == split]


def held_out_prompts(data, tokenizer, per_domain, length, seed=0):
    """`per_domain` prompts of BOS and length − 1 tokens each: even ones from the head of a file, odd ones from a line of its
    first half."""
    documents, generator, out = documents_of(data, "val"), np.random.default_rng(seed), []
    for domain in DOMAINS:
        files = sorted((d for d in documents if d["domain"] == domain), key=lambda d: d["sha"])
        found = n = 0
        while found < per_domain:
            if n == 50 * per_domain:
                raise SystemExit(f"too few held-out files of {length} tokens in domain {domain}")
            document, n = files[n % len(files)], n + 1
            text = document["text"]
            if found % 2:
                lines = text.split("\n")
                text = "\n".join(lines[int(generator.integers(0, max(1, len(lines) // 2))):])
            ids = [BOS, *tokenizer.encode(text, add_special_tokens=False).ids[:length - 1]]
            if len(ids) == length:
                out.append(dict(domain=domain, repo=document["repo"], path=document["path"], mid_file=bool(found % 2), ids=ids))
                found += 1
    return out
