#!/usr/bin/env python3
"""Reference values for `foretoken score`, by Hugging Face transformers in FP32: what held-out texts cost model and MTP module.

    score_golden.py FOLDER --data DIR --out FILE

A text longer than the context slides: the first window is as long as the context, every later one goes on by half of that
and holds BOS and the latest tokens, up to the context; its new tokens alone count. Positions start at 0 in every window.
"""
import argparse
import json

import torch

import reference
from prompts import documents_of, tokenizer_of
from tokenise import BOS

LONG, SHORT, CONTEXT = 900, 48, 256
DECIMALS = 6


def windows(count, context):
    """(first own token, end, first new token) of every window; all but the first have BOS before their own tokens."""
    end = min(count, context)
    out = [(0, end, 1)]
    while end < count:
        new, end = end, min(end + context // 2, count)
        out.append((max(1, end - (context - 1)), end, new))
    return out


def logarithms(logits):
    return logits.double().log_softmax(-1)


@torch.no_grad()
def score(hf, ids, context):
    """Per text position: (log-probability, MTP log-probability, MTP guess, margin of that guess); None where there is none."""
    main, mtp = [None] * len(ids), [None] * len(ids)
    guesses, margins = [], []
    for start, end, new in windows(len(ids), context):
        own = ids[start:end] if start == 0 else [ids[0], *ids[start:end]]
        shift = start - (start > 0)  # row r stands at text position r + shift
        text = torch.tensor([own])
        rows = logarithms(hf(text).logits[0])
        for position in range(new, end):
            main[position] = float(rows[position - 1 - shift, ids[position]])
        drafts = hf.lm_head(reference.mtp_states(hf, text)[0])[0]
        rows, top = logarithms(drafts), drafts.topk(2, -1)
        # The row at position t has read token t + 1 and guesses token t + 2, which may lie behind the window.
        for row in range(new - 1 - shift, end - 1 - shift):
            guesses.append(int(top.indices[row, 0]))
            margins.append(float(top.values[row, 0] - top.values[row, 1]))
            target = row + shift + 2
            if target < len(ids):
                mtp[target] = float(rows[row, ids[target]])
    return main, mtp, guesses, margins


def mean_cost(logarithms_of_tokens):
    known = [x for x in logarithms_of_tokens if x is not None]
    return -sum(known) / len(known)


def entry(name, document, ids, context, hf):
    main, mtp, guesses, margins = score(hf, ids, context)
    if None in main[1:] or None in mtp[2:] or len(guesses) != len(ids) - 1:
        raise SystemExit(f"the windows of {name} do not cover every position once")
    print(f"{name}: {len(ids)} tokens, windows {len(windows(len(ids), context))}, {mean_cost(main):.6f} nats, "
          f"MTP {mean_cost(mtp):.6f} nats; smallest margin of a guess {min(margins):.5f}")
    return dict(
        name=name, source=f"{document['repo']}/{document['path']}", context=context,
        windows=len(windows(len(ids), context)), ids=ids, logprobs=[None, *(round(x, DECIMALS) for x in main[1:])],
        nll=mean_cost(main), mtp_nll=mean_cost(mtp), mtp_argmax=guesses,
        mtp_min_margin=round(min(margins), DECIMALS))


def beginning(documents, domain, length, tokenizer):
    """(document, BOS and its first tokens) of the first held-out document, by hash, that is long enough."""
    for document in sorted((d for d in documents if d["domain"] == domain), key=lambda d: d["sha"]):
        ids = [BOS, *tokenizer.encode(document["text"], add_special_tokens=False).ids[:length - 1]]
        if len(ids) == length:
            return document, ids
    raise SystemExit(f"no held-out file of domain {domain} has {length} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    hf, tokenizer, documents = reference.load(options.folder), tokenizer_of(options.folder), documents_of(options.data, "val")
    code, long = beginning(documents, "swift_code", LONG, tokenizer)
    prose, short = beginning(documents, "markdown", SHORT, tokenizer)
    texts = [entry("short", prose, short, CONTEXT, hf), entry("long", code, long, 4096, hf),
             entry("long, sliding", code, long, CONTEXT, hf)]
    reference.discard(hf)
    with open(options.out, "w") as file:
        json.dump(dict(model="foretoken-demo", reference=reference.versions(), texts=texts), file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
