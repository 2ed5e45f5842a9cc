#!/usr/bin/env python3
"""Make the random checkpoints of this folder and their reference results; README.md explains the files.

    make_fixtures.py [--out FOLDER] [NAME…]

Needs the packages in Bench/demo-model/requirements.txt and compressed-tensors 0.20.1. The results are those of Hugging Face
transformers in FP32 on dequantised weights. Seeds are tried in order until no choice of an expert, a key or a token is a
near-tie, so that an engine with other rounding cannot be right and differ.
"""
import argparse
import os
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "maker"), os.path.join(HERE, "..", "..", "..", "Bench", "demo-model")]

import first_two  # noqa: E402
import golden  # noqa: E402
from families import FAMILIES  # noqa: E402


def main():
    names = [*first_two.CHECKPOINTS, *FAMILIES]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *names], metavar="NAME", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--out", default=HERE, help="where the folders are made; beside this file by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    golden.check_method(HERE)
    for name in options.names or names:
        if name in FAMILIES:
            golden.make(FAMILIES[name], options.out)
        else:
            first_two.make(name, options.out)


if __name__ == "__main__":
    main()
