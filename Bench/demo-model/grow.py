#!/usr/bin/env python3
"""Deepen a checkpoint without changing its function: copies of its layers, output projections zero, between the old ones.

    grow.py OLD NEW.pt --layers N [--seen TOKENS]

OLD is a checkpoint of train.py or an exported folder.
"""
import argparse
import os

import torch

from checkpoint import read_model
from model import Model

SILENT = ("self_attn.o_proj.weight", "mlp.down_proj.weight", "mlp.experts.down_proj", "mlp.shared_experts.down_proj.weight")


def plan(old, new, dense):
    """[(source layer, is a copy)] for each new layer: every expert layer is followed by its copies, spread evenly, the
    later layers first where the division leaves a rest."""
    moe = list(range(dense, old))
    extra, rest = divmod(new - old, len(moe))
    layers = [(i, False) for i in range(dense)]
    for place, i in enumerate(moe):
        layers += [(i, False)] + [(i, True)] * (extra + (place >= len(moe) - rest))
    return layers


@torch.no_grad()
def grow(checkpoint, layers):
    c = checkpoint["config"]
    old_layers = c["num_hidden_layers"]
    if layers < old_layers:
        raise SystemExit(f"the checkpoint has {old_layers} layers already")
    old, new = Model(c, checkpoint["flat"]), Model(dict(c, num_hidden_layers=layers))
    sources = plan(old_layers, layers, c["first_k_dense_replace"])
    sources += [(old_layers + j, False) for j in range(c["num_nextn_predict_layers"])]
    for name, tensor in new.p.items():
        if not name.startswith("model.layers."):
            tensor.copy_(old.p[name])
            continue
        _, _, layer, rest = name.split(".", 3)
        source, copy = sources[int(layer)]
        if not (copy and rest in SILENT):
            tensor.copy_(old.p[f"model.layers.{source}.{rest}"])
    new.bias.copy_(checkpoint["bias"][[source for source, _ in sources]])
    return dict(config=new.c, flat=new.flat, bias=new.bias, step=0, tokens=checkpoint["tokens"])


def load(path, seen):
    """A checkpoint, or what stands for it where there is an exported folder."""
    if not os.path.isdir(path):
        return torch.load(path, weights_only=True)
    model = read_model(path)
    if model.own_embedding or model.own_head:
        raise SystemExit(f"{path}: the MTP module has an embedding or a head of its own, which this training does not support")
    return dict(config=model.c, flat=model.flat, bias=model.bias, tokens=seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--seen", type=int, default=0, help="tokens that the model of an exported folder was trained on")
    options = parser.parse_args()
    grown = grow(load(options.old, options.seen), options.layers)
    torch.save(grown, options.new + ".new")
    os.replace(options.new + ".new", options.new)
    print(f"{options.new}: {options.layers} layers, {grown['flat'].numel():,} parameters")


if __name__ == "__main__":
    main()
