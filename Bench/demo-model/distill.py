#!/usr/bin/env python3
"""Fit a checkpoint's MTP module to its main model, for more accepted drafts at the same cost.

    distill.py FOLDER NEW_FOLDER --text FILE... [--held-out FILE...] [--steps N]

Works on any folder of the DeepSeek-V3 architecture with one MTP module whose weights fit in memory as FP32. The main model
stays as it is, and so does everything the engine outputs; only the drafts change. The module learns drafts 1 to D along the
text given, each from its own recursive state (see drafts.py), against the main model's distribution. Texts like those the
model will be used on serve best; better still, texts it wrote itself. FILE is UTF-8 text, .npy with token ids, or .jsonl with
what `foretoken generate --input-file` wrote (prompt_tokens and tokens of each line).
"""
import argparse
import json
import os
import shutil
import time

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer

import drafts
from checkpoint import named_tensors, quantised, read_config, read_model

REPORT_STEPS = 20


def generated(name):
    """The ids of each prompt and its continuation."""
    with open(name, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    for number, line in enumerate(lines, 1):
        if not {"prompt_tokens", "tokens"} <= line.keys():
            raise SystemExit(f"{name}, line {number}: expected prompt_tokens and tokens, found {', '.join(line)}")
    return [np.array(line["prompt_tokens"] + line["tokens"]) for line in lines]


def token_stream(folder, files):
    """All files' ids in a row; each text file starts with BOS and ends with EOS."""
    config = read_config(folder)
    tokenizer, parts = Tokenizer.from_file(os.path.join(folder, "tokenizer.json")), []
    for name in files:
        if name.endswith(".npy"):
            parts.append(np.load(name).astype(np.int64))
        elif name.endswith(".jsonl"):
            parts += generated(name)
        else:
            with open(name, encoding="utf-8") as file:
                ids = tokenizer.encode(file.read(), add_special_tokens=False).ids
            parts.append(np.array([config["bos_token_id"], *ids, config["eos_token_id"]]))
    return torch.from_numpy(np.concatenate(parts))


def windows(stream, length, count, generator):
    """`count` random windows of length + 1 tokens."""
    if len(stream) < length + 2:
        raise SystemExit(f"the text has {len(stream)} tokens, too few for a window of {length}; add text or lower --window")
    starts = torch.randint(0, len(stream) - length, (count,), generator=generator).tolist()
    return torch.stack([stream[s:s + length + 1] for s in starts])


def trainable(model):
    """Makes leaves with gradients of the module's parameters; returns them in two lists, matrices and norms."""
    prefix, matrices, norms = f"model.layers.{model.main_layers}.", [], []
    for name, t in model.p.items():
        if name.startswith(prefix):
            leaf = t.detach().requires_grad_(True)
            leaf.grad = torch.zeros_like(t)
            model.p[name] = leaf
            (norms if t.dim() == 1 else matrices).append(leaf)
    return matrices, norms


def states(model, tokens):
    with torch.no_grad():
        return model.body(tokens[:, :-1])


def measure(model, stream, options):
    """mean Σ min(p, q) of every draft over the same windows each time"""
    generator, sums = torch.Generator().manual_seed(1), np.zeros(options.drafts)
    for _ in range(options.held_out_windows):
        tokens = windows(stream, options.window, 1, generator)
        sums += drafts.acceptance(model, tokens, states(model, tokens), options.drafts, options.temperature)
    return " ".join(f"{x:.3f}" for x in sums / options.held_out_windows)


def fit(model, stream, held_out, options):
    matrices, norms = trainable(model)
    groups = [dict(params=matrices, weight_decay=0.01), dict(params=norms, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.97), eps=1e-9)
    generator, began = torch.Generator().manual_seed(options.seed), time.time()
    print(f"before: acceptance of drafts 1…{options.drafts} {measure(model, held_out, options)}", flush=True)
    for step in range(1, options.steps + 1):
        tokens = windows(stream, options.window, options.batch, generator)
        model.balance = []
        losses = drafts.distillation(
            model, tokens, states(model, tokens), options.drafts, options.temperature, options.tv)
        (sum(losses) + model.balance_weight * sum(model.balance)).backward()
        torch.nn.utils.clip_grad_norm_(matrices + norms, 1.0)
        warm_up, left = min(1.0, step / 20), 1 - (step - 1) / options.steps
        for group in optimizer.param_groups:
            group["lr"] = options.lr * warm_up * left
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        if step % REPORT_STEPS == 0 or step == options.steps:
            print(f"step {step}, {time.time() - began:.0f} s: loss " + " ".join(f"{x.item():.3f}" for x in losses)
                  + f", acceptance {measure(model, held_out, options)}", flush=True)


def write(model, folder, new_folder):
    """Copies the folder with the module's tensors replaced, each in the type it had."""
    os.makedirs(new_folder, exist_ok=True)
    prefix = f"model.layers.{model.main_layers}."
    copies = (prefix + "embed_tokens.weight", prefix + "shared_head.head.weight")
    fitted = {n: t for n, t in named_tensors(model).items() if n.startswith(prefix) and n not in copies}
    scales = {}
    names = [n for n in sorted(os.listdir(folder)) if os.path.isfile(os.path.join(folder, n))]
    shards = {}
    for name in names:
        if not name.endswith(".safetensors"):
            shutil.copy(os.path.join(folder, name), new_folder)
            continue
        with safe_open(os.path.join(folder, name), "pt") as file:
            shards[name] = {key: file.get_tensor(key) for key in file.keys()}
        for key, old in shards[name].items():
            if key in fitted and old.dtype == torch.float8_e4m3fn:
                shards[name][key], scales[key + "_scale_inv"] = quantised(fitted[key].contiguous())
            elif key in fitted:
                shards[name][key] = fitted[key].to(old.dtype).contiguous()
    for name, tensors in shards.items():  # after all weights, since a scale may lie in an earlier shard than its weight
        tensors |= {key: scales[key] for key in tensors if key in scales}
        save_file(tensors, os.path.join(new_folder, name), metadata={"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("folder")
    add("new_folder")
    add("--text", nargs="+", required=True)
    add("--held-out", nargs="+", help="text for the acceptance shown on the way (default: the training text)")
    add("--steps", type=int, default=400)
    add("--batch", type=int, default=4, help="windows a step")
    add("--window", type=int, default=512)
    add("--drafts", type=int, default=4)
    add("--lr", type=float, default=3e-4)
    add("--temperature", type=float, default=0.8)
    add("--tv", type=float, default=1.0, help="weight of 1 − Σ min(p, q) beside the KL divergence")
    add("--held-out-windows", type=int, default=8)
    add("--threads", type=int, default=os.cpu_count())
    add("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    modules = read_config(options.folder).get("num_nextn_predict_layers")
    if modules != 1:
        parser.error(f"{options.folder} has {modules} MTP modules; recursive drafting needs exactly 1")
    if os.path.exists(options.new_folder) and os.path.samefile(options.folder, options.new_folder):
        parser.error("the new folder must be another one than the old")
    model = read_model(options.folder)
    stream = token_stream(options.folder, options.text)
    held_out = token_stream(options.folder, options.held_out) if options.held_out else stream
    fit(model, stream, held_out, options)
    write(model, options.folder, options.new_folder)
    note = dict(vars(options), text=list(map(os.path.basename, options.text)), folder=None, new_folder=None, held_out=None)
    with open(os.path.join(options.new_folder, "distillation.json"), "w") as file:
        json.dump({k: v for k, v in note.items() if v is not None}, file, indent=1)


if __name__ == "__main__":
    main()
