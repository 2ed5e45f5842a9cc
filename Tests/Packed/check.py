"""Compares a folder that `foretoken convert --to int4` made with what compressed-tensors reads in it.

check.py INT4 BF16: the folder, and what `foretoken convert --to bf16` made of it.
"""

import json
import pathlib
import sys

import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.utils.match import is_match
from safetensors import safe_open

PARTS = ("weight_packed", "weight_scale", "weight_shape")


def tensors(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():
                found[name] = file.get_tensor(name)
    return found


def main(packed_folder, plain_folder):
    torch.set_num_threads(1)
    text = json.loads((pathlib.Path(packed_folder) / "config.json").read_text())["quantization_config"]
    config = QuantizationConfig.model_validate(text)
    (scheme,) = config.config_groups.values()
    assert config.format == "pack-quantized" and scheme.weights.group_size == 32 and scheme.weights.symmetric
    packed, plain = tensors(packed_folder), tensors(plain_folder)
    modules = {name.removesuffix(".weight_packed") for name in packed if name.endswith(".weight_packed")}
    assert modules and all(".mlp.experts." in name for name in modules)

    linear = torch.nn.Linear(1, 1, device="meta")
    for name, weight in plain.items():
        module = name.removesuffix(".weight")
        if weight.dim() == 2 and name.endswith(".weight") and not module.endswith("embed_tokens"):
            # Other programs quantise what the targets match and the list does not.
            is_quantised = is_match(module, linear, scheme.targets, config.ignore)
            assert is_quantised == (module in modules), module
        if module not in modules:
            assert torch.equal(weight, packed[name]), name
            continue
        state = {part: packed[f"{module}.{part}"] for part in PARTS}
        read = PackedQuantizationCompressor.decompress(state, scheme)["weight"]
        assert read.dtype == weight.dtype == torch.bfloat16 and torch.equal(read, weight), name
        # The scales in FP32 give the products themselves, which the BF16 ones are rounded from.
        state["weight_scale"] = state["weight_scale"].float()
        exact = PackedQuantizationCompressor.decompress(state, scheme)["weight"]
        assert torch.equal(exact.bfloat16(), weight), name
        # Packed again, the same bytes come out.
        again = PackedQuantizationCompressor.compress({"weight": exact, "weight_scale": state["weight_scale"]}, scheme)
        assert torch.equal(again["weight_packed"], packed[f"{module}.weight_packed"]), name
    print(f"compressed-tensors reads {len(modules)} packed matrices with the same values")


if __name__ == "__main__":
    main(*sys.argv[1:])
