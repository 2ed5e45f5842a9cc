#!/usr/bin/env python3
"""Write a training checkpoint as a Hugging Face folder in the official DeepSeek-V3 layout.

    export.py CHECKPOINT FOLDER --tokenizer DIR [--bf16] [--no-copies]

FP8: every projection of attention, MLPs and experts is F8_E4M3 with F32 `weight_scale_inv` of 128×128 blocks; embedding,
head, norms, router, eh_proj are BF16; the router bias is F32.
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

from checkpoint import BLOCK, named_tensors, quantised
from model import Model

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")
GEOMETRY = (
    "first_k_dense_replace", "hidden_size", "intermediate_size", "kv_lora_rank", "max_position_embeddings",
    "moe_intermediate_size", "n_group", "n_routed_experts", "n_shared_experts", "norm_topk_prob", "num_attention_heads",
    "num_experts_per_tok", "num_hidden_layers", "num_nextn_predict_layers", "q_lora_rank", "qk_nope_head_dim",
    "qk_rope_head_dim", "rms_norm_eps", "rope_scaling", "routed_scaling_factor", "topk_group", "v_head_dim", "vocab_size")


def is_fp8(name):
    return name.endswith(("_proj.weight", "kv_a_proj_with_mqa.weight")) and (".self_attn." in name or ".mlp." in name)


def hugging_face_config(c, fp8):
    config = dict(
        architectures=["DeepseekV3ForCausalLM"], attention_bias=False, attention_dropout=0.0, aux_loss_alpha=0.0001,
        bos_token_id=0, eos_token_id=1, ep_size=1, hidden_act="silu", initializer_range=0.02, model_type="deepseek_v3",
        moe_layer_freq=1, num_key_value_heads=c["num_attention_heads"], pretraining_tp=1, rope_theta=int(c["rope_theta"]),
        scoring_func="sigmoid", seq_aux=True, tie_word_embeddings=False, topk_method="noaux_tc", torch_dtype="bfloat16",
        transformers_version="4.33.1", use_cache=True, **{key: c.get(key) for key in GEOMETRY})
    if fp8:
        config["quantization_config"] = dict(
            activation_scheme="dynamic", fmt="e4m3", quant_method="fp8", weight_block_size=[BLOCK, BLOCK])
    return dict(sorted(config.items()))


def stored(tensors, fp8=True):
    """The tensors as they go to the file, each scale right after its weight."""
    out = {}
    for name, t in tensors.items():
        if name.endswith("e_score_correction_bias"):
            out[name] = t.float().contiguous()
        elif fp8 and is_fp8(name):
            out[name], out[name + "_scale_inv"] = quantised(t.contiguous())
        else:
            out[name] = t.to(torch.bfloat16).contiguous().clone()
    return out


def byte_count(t):
    return t.numel() * t.element_size()


def write_folder(folder, config, tensors, shards=2):
    """Writes config.json, the shards and their index; a shard never ends between a weight and its scale."""
    os.makedirs(folder)
    total, parts, size = sum(map(byte_count, tensors.values())), [{}], 0
    for name, t in tensors.items():
        if size > total / shards and not name.endswith("_scale_inv") and len(parts) < shards:
            parts.append({})
            size = 0
        parts[-1][name] = t
        size += byte_count(t)
    weight_map = {}
    for n, part in enumerate(parts):
        file_name = f"model-{n + 1:05d}-of-{len(parts):06d}.safetensors"
        save_file(part, os.path.join(folder, file_name), metadata={"format": "pt"})
        weight_map |= {name: file_name for name in part}
    for name, value in (("config.json", config),
                        ("model.safetensors.index.json", dict(metadata=dict(total_size=total), weight_map=weight_map))):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(value, file, indent=2)
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("folder")
    parser.add_argument("--tokenizer", required=True, help="folder with the tokenizer's files")
    parser.add_argument("--bf16", action="store_true", help="no FP8")
    parser.add_argument("--no-copies", action="store_true", help="leave out the MTP modules' copies of embedding and head")
    options = parser.parse_args()
    if os.path.exists(options.folder):
        parser.error(f"{options.folder} exists")
    saved = torch.load(options.checkpoint, weights_only=True)
    model = Model(saved["config"], saved["flat"], bias=saved["bias"])
    tensors = named_tensors(model)
    if options.no_copies:
        tensors = {name: t for name, t in tensors.items()
                   if not (name.startswith("model.layers.") and name.endswith(("embed_tokens.weight", "head.head.weight")))}
    config = hugging_face_config(model.c, not options.bf16)
    total = write_folder(options.folder, config, stored(tensors, not options.bf16))
    for name in TOKENIZER_FILES:
        shutil.copy(os.path.join(options.tokenizer, name), options.folder)
    print(f"{options.folder}: {total:,} bytes of tensors after {saved['tokens']:,} tokens")


if __name__ == "__main__":
    main()
