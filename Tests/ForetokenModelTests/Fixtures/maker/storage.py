"""One writer for each way in which checkpoints are stored, and the reader that gives their values back in FP32."""
import json
import os

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from checkpoint import dequantised, quantised
from export import is_fp8

INDEX = "model.safetensors.index.json"


def in_bf16(tensors):
    """As published; the router's bias is F32."""
    return {name: t.float() if name.endswith("correction_bias") else t.to(torch.bfloat16) for name, t in tensors.items()}


def in_fp8(tensors):
    """Projections F8_E4M3 with F32 scales of 128 × 128 blocks, each block with a largest value of its own; the rest BF16."""
    out = {}
    for name, t in tensors.items():
        if is_fp8(name):
            out[name], out[name + "_scale_inv"] = quantised(blocks_apart(t))
        else:
            out |= in_bf16({name: t})
    return out


def blocks_apart(t):
    """t with neighbouring 128 × 128 blocks scaled apart, by up to 1.5 each way, so that a wrong block shows."""
    rows, columns = torch.arange(t.shape[0]) // 128, torch.arange(t.shape[1]) // 128
    return t * 1.5 ** ((rows[:, None] * 2 + columns[None]) % 3 - 1)


def in_int4(tensors):
    """Routed experts packed by compressed-tensors itself, symmetric in groups of 32 columns; the rest BF16."""
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    out = {}
    for name, t in tensors.items():
        if ".mlp.experts." in name:
            groups = t.unflatten(1, (-1, 32))
            scale = (groups.abs().amax(-1) / 7).to(torch.bfloat16)
            codes = (groups / scale.float()[..., None]).round().clamp(-8, 7).flatten(1).to(torch.int8)
            stem = name.removesuffix("weight")
            out[stem + "weight_packed"] = pack_to_int32(codes, 4)
            out[stem + "weight_scale"], out[stem + "weight_shape"] = scale, torch.tensor(t.shape)
        else:
            out |= in_bf16({name: t})
    return out


WRITERS = dict(bf16=in_bf16, fp8=in_fp8, int4=in_int4)


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def write_golden(folder, content):
    """golden.json, a prompt's every list on a line of its own."""
    def members(value, indent):
        lines = [f'{indent}"{key}": {json.dumps(item)}' for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + indent[1:] + "}"

    prompts = ", ".join(members(prompt, "  ") for prompt in content["prompts"])
    head = members({key: item for key, item in content.items() if key != "prompts"}, " ")
    with open(os.path.join(folder, "golden.json"), "w") as file:
        file.write(head[:-2] + ',\n "prompts": [' + prompts + "]\n}\n")


def write(folder, family, tensors):
    """The checkpoint: config.json and one file of weights, or two, of which an index lists only the first."""
    os.makedirs(folder, exist_ok=True)
    stored = {name: t.contiguous() for name, t in WRITERS[family.storage](tensors).items()}
    write_json(folder, "config.json", dict(sorted(family.config.items())))
    if not family.module_file:
        save(stored, os.path.join(folder, "model.safetensors"))
        return
    module = f"model.layers.{family.layer_count()}."
    main = {name: t for name, t in stored.items() if not name.startswith(module)}
    file = "model-1-of-1.safetensors"
    save(main, os.path.join(folder, file))
    save({name: t for name, t in stored.items() if name.startswith(module)}, os.path.join(folder, family.module_file))
    size = sum(t.numel() * t.element_size() for t in main.values())
    write_json(folder, INDEX, dict(metadata=dict(total_size=size), weight_map=dict.fromkeys(sorted(main), file)))


def save(tensors, path):
    save_file(tensors, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)


def read(folder):
    """{published name: FP32 values} of all safetensors files beside golden.safetensors."""
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    raw, out = {}, {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors") and name != "golden.safetensors":
            with safe_open(os.path.join(folder, name), "pt") as file:
                raw |= {key: file.get_tensor(key) for key in file.keys()}
    for name, t in raw.items():
        if name.endswith("weight_packed"):
            stem = name.removesuffix("_packed")
            codes = unpack_from_int32(t, 4, torch.Size(raw[stem + "_shape"].tolist()))
            out[stem] = codes.float() * raw[stem + "_scale"].float().repeat_interleave(32, 1)
        elif name + "_scale_inv" in raw:
            out[name] = dequantised(t, raw[name + "_scale_inv"])
        elif not name.endswith(("_scale_inv", "weight_scale", "weight_shape")):
            out[name] = t.float()
    return out
