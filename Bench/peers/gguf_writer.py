"""Writes a DeepSeek-V3 checkpoint as a GGUF file for llama.cpp: matrices in Q8_0, norms and router in F32.

The MTP module goes to a file of its own, as the last layer of a model without the others: what llama.cpp's converter writes of
GLM-4.7-Flash, whose graph is the same, while it leaves out DeepSeek-V3's. llama.cpp stores kv_b_proj as two tensors (attn_k_b
transposed per head, attn_v_b), so that attention runs on the latent cache as it does in Foretoken; rotary pairs stay interleaved."""
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
from gguf.constants import ExpertGatingFuncType, RopeScalingType

from checkpoint import Checkpoint, CheckpointError

Q8_0, F32 = GGMLQuantizationType.Q8_0, GGMLQuantizationType.F32
Q8_BLOCK, Q8_BLOCK_BYTES = 32, 34
# Layer counts by which this version of llama.cpp takes a deepseek2 file for a model without query compression.
WITHOUT_QUERY_RANK = (26, 27)


@dataclass
class Tensor:
    """One tensor to write. `parts` yields FP32 arrays that follow one another in memory; `shape` has the rows' width last."""
    name: str
    shape: list[int]
    kind: GGMLQuantizationType
    parts: Callable[[], Iterator[np.ndarray]]

    @property
    def bytes(self) -> int:
        elements = int(np.prod(self.shape))
        return elements // Q8_BLOCK * Q8_BLOCK_BYTES if self.kind == Q8_0 else elements * 4


def _refuse(condition: bool, reason: str) -> None:
    if condition:
        raise CheckpointError(reason)


def check(config: dict[str, Any]) -> None:
    """Refuses what llama.cpp's deepseek2 graph would compute differently."""
    kind = config.get("model_type")
    _refuse(kind not in ("deepseek_v3", "kimi_k2"), f"model_type is {kind}; only deepseek_v3 and kimi_k2 can be written")
    scoring = config.get("scoring_func", "sigmoid")
    _refuse(scoring != "sigmoid", f"scoring_func is {scoring}; only sigmoid can be written")
    lite = config["num_hidden_layers"] in WITHOUT_QUERY_RANK
    _refuse(lite == (config.get("q_lora_rank") is not None),
            f"llama.cpp tells models without q_lora_rank by having {WITHOUT_QUERY_RANK} layers, which this one contradicts")
    scaling = config.get("rope_scaling") or {}
    same = scaling.get("mscale", 1) == scaling.get("mscale_all_dim", 0)
    _refuse(bool(scaling) and not same, "llama.cpp needs mscale and mscale_all_dim to be equal")


def ik_overrides(c: dict[str, Any]) -> dict[str, int]:
    """What ik_llama.cpp wants to read in place of `_metadata`'s sizes of the latent cache: those of the heads themselves. From
    them it knows latent attention of any size; as they stand in the file it takes them of DeepSeek's own size alone."""
    sizes = {"head_count_kv": c["num_attention_heads"], "key_length": c["qk_nope_head_dim"] + c["qk_rope_head_dim"],
             "value_length": c["v_head_dim"]}
    return {f"deepseek2.attention.{name}": size for name, size in sizes.items()}


def _metadata(writer: GGUFWriter, c: dict[str, Any], modules: int) -> None:
    nope, rope, latent = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["kv_lora_rank"]
    writer.add_block_count(c["num_hidden_layers"] + modules)
    if modules:
        writer.add_nextn_predict_layers(modules)
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_leading_dense_block_count(c["first_k_dense_replace"])
    writer.add_vocab_size(c["vocab_size"])
    # On the latent cache all heads share one key of latent + rope elements, whose first `latent` are the value.
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(1)
    writer.add_key_length(latent + rope)
    writer.add_value_length(latent)
    writer.add_key_length_mla(nope + rope)
    writer.add_value_length_mla(c["v_head_dim"])
    writer.add_kv_lora_rank(latent)
    if c.get("q_lora_rank"):
        writer.add_q_lora_rank(c["q_lora_rank"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_expert_count(c["n_routed_experts"])
    writer.add_expert_used_count(c["num_experts_per_tok"])
    writer.add_expert_shared_count(c["n_shared_experts"])
    writer.add_expert_feed_forward_length(c["moe_intermediate_size"])
    writer.add_expert_gating_func(ExpertGatingFuncType.SIGMOID)
    writer.add_expert_weights_norm(c["norm_topk_prob"])
    writer.add_expert_weights_scale(c["routed_scaling_factor"])
    writer.add_expert_group_count(c["n_group"])
    writer.add_expert_group_used_count(c["topk_group"])
    _rope_metadata(writer, c)


def _rope_metadata(writer: GGUFWriter, c: dict[str, Any]) -> None:
    writer.add_rope_dimension_count(c["qk_rope_head_dim"])
    writer.add_rope_freq_base(float(c.get("rope_theta", 10000)))
    scaling = c.get("rope_scaling")
    if not scaling:
        return
    kind = scaling.get("type") or scaling.get("rope_type")
    _refuse(kind != "yarn", f"rope_scaling is of type {kind}; only yarn can be written")
    writer.add_rope_scaling_type(RopeScalingType.YARN)
    writer.add_rope_scaling_factor(float(scaling["factor"]))
    writer.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
    writer.add_rope_scaling_yarn_beta_fast(float(scaling.get("beta_fast", 32)))
    writer.add_rope_scaling_yarn_beta_slow(float(scaling.get("beta_slow", 1)))
    # llama.cpp multiplies what a deepseek2 file says by ten.
    writer.add_rope_scaling_yarn_log_mul(0.1 * scaling["mscale_all_dim"])


def _vocabulary(writer: GGUFWriter, folder: Path, size: int) -> None:
    """The vocabulary of tokenizer.json, cut as DeepSeek-V3's is."""
    try:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: tokenizer.json cannot be read ({error})") from error
    # Ids without a token are never chosen; each needs a name of its own.
    names, kinds = [f"[unused {token}]" for token in range(size)], [TokenType.UNUSED] * size
    for name, token in tokenizer["model"]["vocab"].items():
        names[token], kinds[token] = name, TokenType.NORMAL
    ids = {}
    for added in tokenizer["added_tokens"]:
        names[added["id"]], ids[added["content"]] = added["content"], added["id"]
        kinds[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("deepseek-v3")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    begin, end = ids.get("<｜begin▁of▁sentence｜>"), ids.get("<｜end▁of▁sentence｜>")
    _refuse(begin is None or end is None, "tokenizer.json lacks the tokens that begin and end a sentence")
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(True)


class Plan:
    """The list of tensors, in file order."""

    def __init__(self, source: Checkpoint, is_module: bool = False) -> None:
        self.source, self.config = source, source.config
        self.tensors: list[Tensor] = []
        self._copy("token_embd.weight", "model.embed_tokens.weight", Q8_0)
        tied = self.config.get("tie_word_embeddings", False)
        self._copy("output.weight", "model.embed_tokens.weight" if tied else "lm_head.weight", Q8_0)
        self._copy("output_norm.weight", "model.norm.weight", F32)
        layers = self.config["num_hidden_layers"]
        if is_module:
            self._module(f"blk.{layers}.", f"model.layers.{layers}.")
            return
        for layer in range(layers):
            self._attention(f"blk.{layer}.", f"model.layers.{layer}.")
            if layer < self.config["first_k_dense_replace"]:
                self._network(f"blk.{layer}.ffn_", "", f"model.layers.{layer}.mlp.")
            else:
                self._experts(f"blk.{layer}.", f"model.layers.{layer}.mlp.")

    def _add(self, name: str, shape: list[int], kind: GGMLQuantizationType, parts: Callable[[], Iterator[np.ndarray]]) -> None:
        _refuse(kind == Q8_0 and shape[-1] % Q8_BLOCK != 0,
                f"{name}: rows of {shape[-1]} weights cannot be Q8_0, whose blocks hold {Q8_BLOCK}")
        self.tensors.append(Tensor(name, shape, kind, parts))

    def _copy(self, name: str, origin: str, kind: GGMLQuantizationType) -> None:
        self._add(name, self.source.shape(origin), kind, lambda: iter([self.source.tensor(origin)]))

    def _attention(self, block: str, layer: str) -> None:
        attention, c = layer + "self_attn.", self.config
        heads, nope, value, latent = c["num_attention_heads"], c["qk_nope_head_dim"], c["v_head_dim"], c["kv_lora_rank"]
        self._copy(block + "attn_norm.weight", layer + "input_layernorm.weight", F32)
        self._copy(block + "ffn_norm.weight", layer + "post_attention_layernorm.weight", F32)
        if c.get("q_lora_rank"):
            self._copy(block + "attn_q_a.weight", attention + "q_a_proj.weight", Q8_0)
            self._copy(block + "attn_q_a_norm.weight", attention + "q_a_layernorm.weight", F32)
            self._copy(block + "attn_q_b.weight", attention + "q_b_proj.weight", Q8_0)
        else:
            self._copy(block + "attn_q.weight", attention + "q_proj.weight", Q8_0)
        self._copy(block + "attn_kv_a_mqa.weight", attention + "kv_a_proj_with_mqa.weight", Q8_0)
        self._copy(block + "attn_kv_a_norm.weight", attention + "kv_a_layernorm.weight", F32)
        self._copy(block + "attn_output.weight", attention + "o_proj.weight", Q8_0)

        def per_head() -> np.ndarray:
            return self.source.tensor(attention + "kv_b_proj.weight").reshape(heads, nope + value, latent)

        self._add(block + "attn_k_b.weight", [heads, latent, nope], Q8_0,
                  lambda: iter([per_head()[:, :nope].transpose(0, 2, 1)]))
        self._add(block + "attn_v_b.weight", [heads, value, latent], Q8_0, lambda: iter([per_head()[:, nope:]]))

    def _network(self, start: str, end: str, origin: str) -> None:
        for part in ("gate", "up", "down"):
            self._copy(f"{start}{part}{end}.weight", f"{origin}{part}_proj.weight", Q8_0)

    def _experts(self, block: str, origin: str) -> None:
        count = self.config["n_routed_experts"]
        self._copy(block + "ffn_gate_inp.weight", origin + "gate.weight", F32)
        bias = origin + "gate.e_score_correction_bias"
        if bias in self.source:
            self._copy(block + "exp_probs_b.bias", bias, F32)
        self._network(block + "ffn_", "_shexp", origin + "shared_experts.")
        for part in ("gate", "up", "down"):
            names = [f"{origin}experts.{expert}.{part}_proj.weight" for expert in range(count)]
            self._add(f"{block}ffn_{part}_exps.weight", [count, *self.source.shape(names[0])], Q8_0,
                      lambda names=names: (self.source.tensor(name) for name in names))

    def _module(self, block: str, layer: str) -> None:
        """Embedding and head are the model's own."""
        self._attention(block, layer)
        self._experts(block, layer + "mlp.")
        self._copy(block + "nextn.eh_proj.weight", layer + "eh_proj.weight", Q8_0)
        for name, origin in (("enorm", "enorm"), ("hnorm", "hnorm"), ("shared_head_norm", "shared_head.norm")):
            self._copy(f"{block}nextn.{name}.weight", f"{layer}{origin}.weight", F32)

    def bytes_per_token(self) -> int:
        """Bytes of weights that one decoded token takes: its experts' share, and one row of the embedding."""
        used, count = self.config["num_experts_per_tok"], self.config["n_routed_experts"]
        total = 0
        for tensor in self.tensors:
            if tensor.name == "token_embd.weight":
                total += tensor.bytes // tensor.shape[0]
            elif tensor.name.endswith("_exps.weight"):
                total += tensor.bytes // count * used
            else:
                total += tensor.bytes
        return total


def _stored(tensor: Tensor) -> np.ndarray:
    """The tensor as bytes (Q8_0) or FP32 values."""
    if tensor.kind == F32:
        return np.concatenate([part.ravel() for part in tensor.parts()])
    return np.concatenate([quants.quantize(np.ascontiguousarray(part), Q8_0).ravel() for part in tensor.parts()])


def write(source: Checkpoint, file: Path, is_module: bool = False) -> Plan:
    """Writes `file`, unless it is there, and says what is in it. An interrupted run leaves no half file behind."""
    check(source.config)
    plan = Plan(source, is_module)
    if file.exists():
        return plan
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    writer = GGUFWriter(unfinished, "deepseek2")
    try:
        _metadata(writer, source.config, int(is_module))
        _vocabulary(writer, source.folder, source.config["vocab_size"])
        for tensor in plan.tensors:
            writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, tensor.kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in plan.tensors:
            writer.write_tensor_data(_stored(tensor))
        writer.close()
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return plan
