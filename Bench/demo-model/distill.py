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
from checkpoint import named_tensors, quantised, read_config, read_model, weight_files

REPORT_STEPS = 20


class Text:
    """Token ids of all files in a row, and where each document of them begins and ends."""

    def __init__(self, folder, config, files):
        self.folder, self.config, self.tokenizer, parts = folder, config, None, []
        for name in files:
            try:
                parts += self.documents(name)
            except (OSError, ValueError) as error:  # a JSON or UTF-8 error is a ValueError
                raise SystemExit(f"{name} cannot be read: {error}")
        self.ids = torch.from_numpy(np.concatenate(parts).astype(np.int64))
        self.ends = np.cumsum([len(part) for part in parts])
        self.begins = self.ends - [len(part) for part in parts]
        low, high, vocabulary = int(self.ids.min()), int(self.ids.max()), config["vocab_size"]
        if low < 0 or high >= vocabulary:
            raise SystemExit(f"{', '.join(files)}: expected token ids 0…{vocabulary - 1}, found {low}…{high}")

    def documents(self, name):
        if name.endswith(".npy"):
            return [np.load(name)]
        if name.endswith(".jsonl"):
            return generated(name)
        with open(name, encoding="utf-8") as file:
            return [np.array(self.encoded(file.read()))]

    def encoded(self, text):
        if self.tokenizer is None:
            self.tokenizer = Tokenizer.from_file(os.path.join(self.folder, "tokenizer.json"))
        bos, eos = self.config.get("bos_token_id"), self.config.get("eos_token_id")
        eos = eos[0] if isinstance(eos, list) else eos
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in (bos, *ids, eos) if token is not None]

    def windows(self, length, count, generator):
        """`count` random windows of length + 1 tokens. Each begins inside a document, at its very beginning where the document
        is no longer than the window; long documents are chosen more often."""
        starts = torch.randint(0, len(self.ids), (count,), generator=generator).tolist()
        chosen = []
        for start in starts:
            document = int(np.searchsorted(self.ends, start, side="right"))
            start = max(int(self.begins[document]), min(start, int(self.ends[document]) - length - 1))
            chosen.append(min(start, len(self.ids) - length - 1))
        return torch.stack([self.ids[s:s + length + 1] for s in chosen])


def generated(name):
    """The ids of each prompt and its continuation."""
    parts = []
    with open(name, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            entry = json.loads(line)
            if not isinstance(entry, dict) or not {"prompt_tokens", "tokens"} <= entry.keys():
                raise SystemExit(f"{name}, line {number}: expected an object with prompt_tokens and tokens")
            parts.append(np.array(entry["prompt_tokens"] + entry["tokens"]))
    return parts


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


def measure(model, text, options):
    """mean Σ min(p, q) of every draft over the same windows each time"""
    generator, sums = torch.Generator().manual_seed(1), np.zeros(options.drafts)
    for _ in range(options.held_out_windows):
        tokens = text.windows(options.window, 1, generator)
        sums += drafts.acceptance(model, tokens, states(model, tokens), options.drafts, options.temperature)
    return sums / options.held_out_windows


def shown(values):
    return " ".join(f"{x:.3f}" for x in values)


def fit(model, text, held_out, options):
    matrices, norms = trainable(model)
    groups = [dict(params=matrices, weight_decay=0.01), dict(params=norms, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.97), eps=1e-9)
    generator, began = torch.Generator().manual_seed(options.seed), time.time()
    for step in range(1, options.steps + 1):
        tokens = text.windows(options.window, options.batch, generator)
        model.balance = []
        losses = drafts.distillation(
            model, tokens, states(model, tokens), options.drafts, options.temperature, options.tv)
        total = sum(losses) + model.balance_weight * sum(model.balance)
        if not torch.isfinite(total):
            raise SystemExit(f"step {step}: the loss is {total.item()}; nothing was written (--lr is {options.lr})")
        total.backward()
        torch.nn.utils.clip_grad_norm_(matrices + norms, 1.0)
        warm_up, left = min(1.0, step / 20), 1 - (step - 1) / options.steps
        for group in optimizer.param_groups:
            group["lr"] = options.lr * warm_up * left
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        if step % REPORT_STEPS == 0 or step == options.steps:
            print(f"step {step}, {time.time() - began:.0f} s: loss " + shown(x.item() for x in losses)
                  + f", acceptance {shown(measure(model, held_out, options))}", flush=True)


def write(model, folder, new_folder):
    """Copies the folder's files with the module's tensors replaced, each in the type it had."""
    prefix = f"model.layers.{model.main_layers}."
    copies = (prefix + "embed_tokens.weight", prefix + "shared_head.head.weight")
    fitted = {n: t for n, t in named_tensors(model).items() if n.startswith(prefix) and n not in copies}
    scales, weights = {}, weight_files(folder)
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and name not in weights:
            shutil.copy(path, new_folder)
    # Twice over the files, since a scale may lie in an earlier one than its weight.
    for is_written in (False, True):
        for name in weights:
            path, target = os.path.join(folder, name), os.path.join(new_folder, name)
            with safe_open(path, "pt") as file:
                keys = set(file.keys())
                replaced = {n for n in keys if n in fitted or n in scales}
                if not is_written:
                    for key in replaced:
                        if file.get_tensor(key).dtype == torch.float8_e4m3fn:
                            fitted[key], scales[key + "_scale_inv"] = quantised(fitted[key].contiguous())
                    continue
                if not replaced:
                    shutil.copy(path, target)
                    continue
                tensors = {key: file.get_tensor(key) for key in keys - replaced}
                for key in replaced:
                    new = scales[key] if key in scales else fitted[key]
                    tensors[key] = new.to(file.get_tensor(key).dtype).contiguous()
            save_file(tensors, target, metadata={"format": "pt"})
            shutil.copymode(path, target)


def positive(kind):
    def parse(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
        return value
    return parse


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("folder")
    add("new_folder", help="must not exist yet")
    add("--text", nargs="+", required=True)
    add("--held-out", nargs="+", help="text for the acceptance shown on the way (default: the training text)")
    add("--steps", type=positive(int), default=300)
    add("--batch", type=positive(int), default=4, help="windows a step")
    add("--window", type=positive(int), default=512)
    add("--drafts", type=positive(int), default=4)
    add("--lr", type=positive(float), default=3e-4)
    add("--temperature", type=positive(float), default=0.8)
    add("--tv", type=float, default=1.0, help="weight of 1 − Σ min(p, q) beside the KL divergence")
    add("--held-out-windows", type=positive(int), default=8)
    add("--threads", type=positive(int), default=os.cpu_count())
    add("--seed", type=int, default=0)
    options = parser.parse_args()
    if os.path.exists(options.new_folder):
        parser.error(f"{options.new_folder} exists")
    return options


def texts(options):
    """The training and the held-out text, checked against the model."""
    config = read_config(options.folder)
    modules, positions = config["num_nextn_predict_layers"], config["max_position_embeddings"]
    if modules != 1:
        raise SystemExit(f"{options.folder} has {modules} MTP modules; recursive drafting needs exactly 1")
    if options.window + options.drafts - 1 > positions:
        raise SystemExit(f"windows of {options.window} and {options.drafts} drafts need more than the model's {positions} positions")
    text = Text(options.folder, config, options.text)
    held_out = Text(options.folder, config, options.held_out) if options.held_out else text
    for found in (text, held_out):
        if len(found.ids) < options.window + 2:
            raise SystemExit(f"{len(found.ids)} tokens of text are too few for a window of {options.window}")
    return text, held_out


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    text, held_out = texts(options)
    unfinished = options.new_folder.rstrip("/") + ".new"
    os.makedirs(unfinished)
    try:
        model = read_model(options.folder)
        before = measure(model, held_out, options)
        print(f"before: acceptance of drafts 1…{options.drafts} {shown(before)}", flush=True)
        fit(model, text, held_out, options)
        write(model, options.folder, unfinished)
        del model
        after = measure(read_model(unfinished), held_out, options)
        print(f"as written: acceptance {shown(after)}")
        if after.sum() <= before.sum():
            raise SystemExit("the drafts have become no better, so nothing is kept: more text, more --steps or a lower --lr")
        note = dict(vars(options), text=list(map(os.path.basename, options.text)), folder=None, new_folder=None, held_out=None)
        with open(os.path.join(unfinished, "distillation.json"), "w") as file:
            json.dump({k: v for k, v in note.items() if v is not None}, file, indent=1)
        os.rename(unfinished, options.new_folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


if __name__ == "__main__":
    main()
