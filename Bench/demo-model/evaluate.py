#!/usr/bin/env python3
"""Measure an exported folder on held-out text: loss, routing, acceptance, samples. FP32 on dequantised weights.

    evaluate.py FOLDER --data DIR --out stats.json [--quick] [--only PART...]
"""
import argparse
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import acceptance
import drafts
from checkpoint import read_model
from prompts import dialogue, held_out_prompts, tokenizer_of
from tokenise import BOS, DOMAINS, EOS

WINDOW = 512
SAMPLE_PROMPTS = (
    "import Foundation\n\n/// A thread-safe counter.\npublic final class Counter {\n",
    "import XCTest\n@testable import NIOCore\n\nfinal class ByteBufferTests: XCTestCase {\n",
    "# Getting Started\n\nThis package provides")


def stream(data, domain):
    return torch.from_numpy(np.load(os.path.join(data, f"val_{domain}.npy")).astype(np.int64))


def bytes_per_token(data, domain):
    with open(os.path.join(data, "token_report.json")) as file:
        report = json.load(file)["val_" + domain]
    return report["bytes"] / report["tokens"]


@torch.no_grad()
def held_out_loss(model, data, domain, windows):
    tokens, sums = stream(data, domain), np.zeros(5)
    count = min((len(tokens) - 2) // WINDOW, windows)
    for i in range(count):
        text = tokens[i * WINDOW:i * WINDOW + WINDOW + 2][None]
        h = model.body(text[:, :WINDOW])
        _, post = model.mtp(0, h, text[:, 1:WINDOW + 1])
        z, z2, next1, next2 = model.head(h)[0], model.mtp_head(0, post)[0], text[0, 1:-1], text[0, 2:]
        best, best2 = z.argmax(-1), z2.argmax(-1)
        sums += [F.cross_entropy(z, next1).item(), F.cross_entropy(z2, next2).item(), (best == next1).float().mean().item(),
                 (best2 == next2).float().mean().item(), (best2[:-1] == best[1:]).float().mean().item()]
    loss, mtp_loss, top1, mtp_top1, agreement = (sums / count).tolist()
    return dict(tokens=count * WINDOW, loss=loss, perplexity=math.exp(loss), top1=top1, mtp_loss=mtp_loss, mtp_top1=mtp_top1,
                bits_per_byte=loss / math.log(2) / bytes_per_token(data, domain), agreement=agreement)


def layer_routing(chosen, E):
    """chosen [B, T, K] of one layer: load balance, and distinct experts needed by 1…4 consecutive tokens."""
    B, T, K = chosen.shape
    hot = torch.zeros(B, T, E).scatter_(2, chosen, 1.0)
    load = hot.sum((0, 1))
    share = (load / load.sum()).sort()[0]
    distinct, used = [], hot
    for n in range(1, 5):
        distinct.append(dict(mean=float(used.sum(-1).mean()), uniform=E * (1 - (1 - K / E) ** n)))
        used = torch.maximum(used[:, :-1], hot[:, n:])
    return dict(
        max_over_mean=float(load.max() / load.mean()), min_over_mean=float(load.min() / load.mean()),
        gini=float(((2 * torch.arange(1, E + 1) - E - 1) * share).sum() / E),
        shared_with_next_token=float((hot[:, 1:] * hot[:, :-1]).sum(-1).mean() / K), distinct=distinct,
        load=[int(x) for x in load])


@torch.no_grad()
def routing(model, data, windows):
    model.record = {}
    for domain in DOMAINS:
        tokens = stream(data, domain)
        stride = (len(tokens) - WINDOW - 1) // windows
        text = torch.stack([tokens[i * stride:i * stride + WINDOW + 1] for i in range(windows)])
        model.mtp(0, model.body(text[:, :-1]), text[:, 1:])
    record, model.record = model.record, None
    return {layer: layer_routing(torch.cat(chosen), model.c["n_routed_experts"]) for layer, chosen in sorted(record.items())}


def samples(model, tokenizer, count):
    generator, out = torch.Generator().manual_seed(7), []
    cases = [([BOS, *tokenizer.encode(text, add_special_tokens=False).ids], t) for text in SAMPLE_PROMPTS for t in (0.0, 0.7)]
    for ids, temperature in cases + [(dialogue(tokenizer), 0.0)]:
        new = acceptance.generate(model, [ids], count, temperature, generator)[0, len(ids):].tolist()
        new = new[:new.index(EOS)] if EOS in new else new
        prompt, text = (tokenizer.decode(x, skip_special_tokens=False) for x in (ids[1:], new))
        out.append(dict(prompt=prompt, temperature=temperature, text=text))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--quick", action="store_true", help="a small part of everything, to see that it works")
    parser.add_argument("--only", nargs="+", help="these parts, by their names in the output")
    options = parser.parse_args()
    torch.set_num_threads(1)
    quick, started = options.quick, time.time()
    model, tokenizer, results = read_model(options.folder), tokenizer_of(options.folder), {}
    text_prompts = held_out_prompts(options.data, tokenizer, 2 if quick else 16, 64, seed=3)
    parts = {
        "held_out": lambda: {d: held_out_loss(model, options.data, d, 4 if quick else 160) for d in DOMAINS},
        "routing": lambda: routing(model, options.data, 2 if quick else 12),
        "greedy_post": lambda: acceptance.greedy(model, text_prompts, 24 if quick else 96, 4, drafts.POST),
        "greedy_pre": lambda: acceptance.greedy(model, text_prompts, 24 if quick else 96, 4, drafts.PRE),
        "sampled_0.8": lambda: acceptance.sampled(model, text_prompts, 16 if quick else 64, 4, 0.8),
        "samples": lambda: samples(model, tokenizer, 24 if quick else 120)}
    if unknown := set(options.only or ()) - set(parts):
        parser.error(f"there is no part {' or '.join(sorted(unknown))}; there are {', '.join(parts)}")
    for name, part in parts.items():
        if options.only and name not in options.only:
            continue
        results[name] = part()
        with open(options.out, "w") as file:
            json.dump(results, file, indent=1, ensure_ascii=False)
        print(f"{name} after {time.time() - started:.0f} s", flush=True)
    print(json.dumps({k: results[k] for k in ("held_out", "greedy_post", "sampled_0.8") if k in results}, indent=1))


if __name__ == "__main__":
    main()
