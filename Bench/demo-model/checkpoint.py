"""Checkpoints as tensors with the official names: FP8 blocks, conversion to and from the training model, reading folders."""
import json
import os

import torch
from safetensors import safe_open

from model import Model

BLOCK = 128
FP8_MAX = 448.0


def quantised(w):
    """w [R, C] → (F8_E4M3 [R, C], F32 scales [⌈R/128⌉, ⌈C/128⌉]); w ≈ fp8 × scale. Edge blocks are padded with zeros."""
    rows, columns = w.shape
    block_rows, block_columns = -(-rows // BLOCK), -(-columns // BLOCK)
    padded = torch.zeros(block_rows * BLOCK, block_columns * BLOCK)
    padded[:rows, :columns] = w
    largest = padded.view(block_rows, BLOCK, block_columns, BLOCK).abs().amax((1, 3))
    scale = torch.where(largest > 0, largest / FP8_MAX, torch.ones_like(largest))
    q = (w / spread(scale, w.shape)).clamp(-FP8_MAX, FP8_MAX)
    return q.to(torch.float8_e4m3fn).contiguous(), scale.contiguous()


def spread(scale, shape):
    """The scale of every weight: that of block ⌊row/128⌋, ⌊column/128⌋."""
    return scale.repeat_interleave(BLOCK, 0)[:shape[0]].repeat_interleave(BLOCK, 1)[:, :shape[1]]


def dequantised(q, scale):
    return q.float() * spread(scale, q.shape)


def named_tensors(model):
    """{official name: FP32 tensor} in file order, the fused training tensors taken apart."""
    c, p, out = model.c, {name: t.detach() for name, t in model.p.items()}, {}
    q_rank, q_rows = c["q_lora_rank"], c["num_attention_heads"] * (c["qk_nope_head_dim"] + c["qk_rope_head_dim"])

    def copy(*names):
        for name in names:
            out[name + ".weight"] = p[name + ".weight"]

    def swiglu(name, gate_up, down):
        out[name + "gate_proj.weight"], out[name + "up_proj.weight"] = gate_up.chunk(2, 0)
        out[name + "down_proj.weight"] = down

    def attention(a):
        rows = q_rank or q_rows
        out[a + ("q_a_proj.weight" if q_rank else "q_proj.weight")] = p[a + "qkv_a"][:rows]
        if q_rank:
            copy(a + "q_a_layernorm", a + "q_b_proj")
        out[a + "kv_a_proj_with_mqa.weight"] = p[a + "qkv_a"][rows:]
        copy(a + "kv_a_layernorm", a + "kv_b_proj", a + "o_proj")

    def experts(i, m):
        copy(m + "gate")
        out[m + "gate.e_score_correction_bias"] = model.bias[i].clone()
        for e in range(c["n_routed_experts"]):
            swiglu(f"{m}experts.{e}.", p[m + "experts.gate_up"][e], p[m + "experts.down_proj"][e])
        if c["n_shared_experts"]:
            swiglu(m + "shared_experts.", p[m + "shared_experts.gate_up"], p[m + "shared_experts.down_proj.weight"])

    copy("model.embed_tokens")
    for i in range(model.main_layers + model.modules):
        prefix = f"model.layers.{i}."
        if i >= model.main_layers:
            out[prefix + "embed_tokens.weight"] = p["model.embed_tokens.weight"].clone()
            copy(*(prefix + name for name in ("enorm", "hnorm", "eh_proj", "shared_head.norm")))
            out[prefix + "shared_head.head.weight"] = p["lm_head.weight"].clone()
        attention(prefix + "self_attn.")
        if i in model.moe_layers:
            experts(i, prefix + "mlp.")
        else:
            swiglu(prefix + "mlp.", p[prefix + "mlp.gate_up"], p[prefix + "mlp.down_proj.weight"])
        copy(prefix + "input_layernorm", prefix + "post_attention_layernorm")
    copy("model.norm", "lm_head")
    return out


def model_from(c, tensors):
    """The inverse of `named_tensors`; an MTP module's own embedding or head is kept where it differs from the main one.
    Tensors are taken out of `tensors` as they are copied, so that nothing large is held twice."""
    model = Model(c)

    take = tensors.pop

    def joined(prefix, *names):
        return torch.cat([take(f"{prefix}{name}.weight") for name in names], 0)

    for name, shape, _, _ in model.specs:
        prefix = name[:name.rfind(".") + 1]
        if name.endswith("self_attn.qkv_a"):
            value = joined(prefix, "q_a_proj" if c["q_lora_rank"] else "q_proj", "kv_a_proj_with_mqa")
        elif name.endswith("experts.gate_up") and "shared" not in name:
            value = torch.stack([joined(f"{prefix}{e}.", "gate_proj", "up_proj") for e in range(shape[0])])
        elif name.endswith("experts.down_proj"):
            value = torch.stack([take(f"{prefix}{e}.down_proj.weight") for e in range(shape[0])])
        elif name.endswith("gate_up"):
            value = joined(prefix, "gate_proj", "up_proj")
        elif name == "lm_head.weight" and c.get("tie_word_embeddings"):
            value = model.p["model.embed_tokens.weight"]  # comes first in the specs
        else:
            value = take(name)
        model.p[name].copy_(value)
    for i in model.moe_layers:
        model.bias[i] = take(f"model.layers.{i}.mlp.gate.e_score_correction_bias")
    for j in range(model.modules):
        prefix = f"model.layers.{model.main_layers + j}."
        copies = ((model.own_embedding, "embed_tokens", "model.embed_tokens"), (model.own_head, "shared_head.head", "lm_head"))
        for own, copy, main in copies:
            mine, shared = tensors.get(f"{prefix}{copy}.weight"), model.p[f"{main}.weight"]
            if mine is not None and not torch.equal(mine, shared):
                own[j] = mine
    return model


def weight_files(folder):
    """Names of the folder's safetensors files."""
    index = os.path.join(folder, "model.safetensors.index.json")
    if os.path.exists(index):
        with open(index) as file:
            return sorted(set(json.load(file)["weight_map"].values()))
    return sorted(name for name in os.listdir(folder) if name.endswith(".safetensors"))


def read_tensors(folder):
    """{name: FP32 tensor} of a folder, FP8 weights dequantised."""
    raw, suffix = {}, "_scale_inv"
    for name in weight_files(folder):
        with safe_open(os.path.join(folder, name), "pt") as file:
            raw |= {key: file.get_tensor(key) for key in file.keys()}
    return {name: dequantised(t, raw[name + suffix]) if name + suffix in raw else t.float()
            for name, t in raw.items() if not name.endswith(suffix)}


def raw_config(folder):
    """config.json as it is."""
    path = os.path.join(folder, "config.json")
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} cannot be read: {error}")


def read_config(folder):
    """config.json in the spelling of DeepSeek's own, whichever of the published ones it has. What this model does not compute
    is refused."""
    c = raw_config(folder)

    def refuse(what, expected):
        raise SystemExit(f"{folder}/config.json: expected {expected}, found {what}")

    for name, only in (("scoring_func", "sigmoid"), ("topk_method", "noaux_tc"), ("attention_bias", False), ("hidden_act", "silu")):
        if c.get(name) not in (None, only):
            refuse(f"{name} {c[name]}", only)
    block = (c.get("quantization_config") or {}).get("weight_block_size", [BLOCK, BLOCK])
    if block != [BLOCK, BLOCK]:
        refuse(f"weight_block_size {block}", [BLOCK, BLOCK])
    for name, alias in (("num_nextn_predict_layers", "num_mtp_layers"), ("n_routed_experts", "num_local_experts")):
        c.setdefault(name, c.get(alias))
    c["num_nextn_predict_layers"] = c["num_nextn_predict_layers"] or 0
    for name in ("n_group", "topk_group"):
        c[name] = c.get(name) or 1
    if not c["n_routed_experts"]:
        refuse("no n_routed_experts", "a mixture of experts")
    rope = c.pop("rope_parameters", None) or c.get("rope_scaling") or {}
    c["rope_theta"] = c.get("rope_theta") or rope.get("rope_theta") or 10000.0
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "yarn"):
        refuse(f"rope type {kind}", "yarn or default")
    c["rope_scaling"] = dict(beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=0.0) | rope if kind == "yarn" else None
    return c


def read_model(folder):
    try:
        return model_from(read_config(folder), read_tensors(folder))
    except KeyError as error:
        raise SystemExit(f"{folder}: {error.args[0]} is missing in config.json or among the tensors")
