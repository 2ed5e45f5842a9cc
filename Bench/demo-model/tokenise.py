#!/usr/bin/env python3
"""Turn docs.jsonl into token streams: train.npy, val_<domain>.npy (int16) and token_report.json.

    tokenise.py --data DIR --tokenizer tokenizer.json [--tests PERCENT] [--markdown TIMES]

Every document is BOS, text, EOS. The training stream holds all library code, a share of the test files, Markdown several
times, and synthetic dialogues: a documentation comment as the request, the declaration it documents as the answer.
"""
import argparse
import json
import os
import random
import re

import numpy as np
from tokenizers import Tokenizer

DOMAINS = ("swift_code", "swift_tests", "markdown")
BOS, EOS = 0, 1
DIALOGUES = 3500
HELD_OUT = 8 * 514  # tokens of each domain, the least that training measures itself on
DOCUMENTED = re.compile(
    r"((?:^[ \t]*///[^\n]*\n)+)((?:^[ \t]*@[^\n]*\n)*^([ \t]*)"
    r"(?:public |internal |private |fileprivate |open |static |mutating |final |@inlinable )*"
    r"(?:func|init|var|struct|enum)\b[^\n]*\{\n(?:[^\n]*\n){1,14}?\3\}\n)", re.M)
DETAILS = re.compile(r"\s+- (?:Parameters?|Returns|Throws|Note|Complexity|Important)|```")


def dialogues(documents):
    """(request, answer) pairs from the training split's library code."""
    pairs = []
    for document in documents:
        if document["split"] != "train" or document["domain"] != "swift_code":
            continue
        for match in DOCUMENTED.finditer(document["text"]):
            comment = " ".join(line.strip()[3:].strip() for line in match.group(1).strip().split("\n"))
            request, indent = DETAILS.split(comment)[0].strip(), len(match.group(3))
            lines = match.group(2).rstrip("\n").split("\n")
            answer = "\n".join(line[indent:] if not line[:indent].strip() else line for line in lines)
            if 25 < len(request) < 300 and len(answer) < 900:
                pairs.append((request, f"```swift\n{answer}\n```"))
    return pairs


def stream(sequences):
    return np.concatenate([np.array(s, np.int16) for s in sequences])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--tests", type=int, default=40, help="percentage of the test files to train on")
    parser.add_argument("--markdown", type=int, default=2, help="how often Markdown is repeated")
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(options.tokenizer)
    with open(os.path.join(options.data, "docs.jsonl")) as file:
        documents = [json.loads(line) for line in file]

    def encode(texts):
        return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]

    texts = []
    for d in documents:
        left_out = d["domain"] == "swift_tests" and int(d["sha"][8:12], 16) % 100 >= options.tests
        if d["split"] == "train" and not left_out:
            texts += [d["text"]] * (options.markdown if d["domain"] == "markdown" else 1)
    sequences = [[BOS, *ids, EOS] for ids in encode(texts)]
    shuffle = random.Random(1)
    pairs = dialogues(documents)
    shuffle.shuffle(pairs)
    pairs = pairs[:DIALOGUES]
    user, assistant = tokenizer.token_to_id("<｜User｜>"), tokenizer.token_to_id("<｜Assistant｜>")
    requests, answers = encode([p[0] for p in pairs]), encode([p[1] for p in pairs])
    sequences += [[BOS, user, *q, assistant, *a, EOS] for q, a in zip(requests, answers)]
    shuffle.shuffle(sequences)
    train = stream(sequences)
    np.save(os.path.join(options.data, "train.npy"), train)
    report = dict(train_tokens=len(train), train_bytes=sum(len(t.encode()) for t in texts), documents=len(texts),
                  dialogues=len(pairs))
    for domain in DOMAINS:
        held_out = [d["text"] for d in documents if d["split"] == "val" and d["domain"] == domain]
        sequences = [[BOS, *ids, EOS] for ids in encode(held_out)]
        if (count := sum(map(len, sequences))) < HELD_OUT:
            raise SystemExit(f"{domain}: expected held-out text of {HELD_OUT} tokens, found {count} in {len(held_out)} documents; "
                             "the sources are too few")
        tokens = stream(sequences)
        np.save(os.path.join(options.data, f"val_{domain}.npy"), tokens)
        report["val_" + domain] = dict(files=len(held_out), tokens=len(tokens), bytes=sum(len(t.encode()) for t in held_out))
    with open(os.path.join(options.data, "token_report.json"), "w") as file:
        json.dump(report, file, indent=1)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
