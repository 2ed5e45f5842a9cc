"""Random weights of a family under the published names, in file order."""
import torch

ROUTER_BIAS = 0.25


def attention(family, p, layer):
    c = family.config
    heads, nope, rope, value = (c[k] for k in ("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    width, rank, q_rank = c["hidden_size"], c["kv_lora_rank"], c["q_lora_rank"]
    if q_rank:
        yield p + "q_a_proj.weight", (q_rank, width)
        yield p + "q_a_layernorm.weight", (q_rank,)
        yield p + "q_b_proj.weight", (heads * (nope + rope), q_rank)
    else:
        yield p + "q_proj.weight", (heads * (nope + rope), width)
    yield p + "kv_a_proj_with_mqa.weight", (rank + rope, width)
    yield p + "kv_a_layernorm.weight", (rank,)
    yield p + "kv_b_proj.weight", (heads * (nope + value), rank)
    yield p + "o_proj.weight", (width, heads * value)
    if family.has_indexer(layer):
        size, count = c["index_head_dim"], c["index_n_heads"]
        yield p + "indexer.wq_b.weight", (count * size, q_rank)
        yield p + "indexer.wk.weight", (size, width)
        yield p + "indexer.k_norm.weight", (size,)
        yield p + "indexer.k_norm.bias", (size,)
        yield p + "indexer.weights_proj.weight", (count, width)


def swiglu(p, width, inner):
    yield p + "gate_proj.weight", (inner, width)
    yield p + "up_proj.weight", (inner, width)
    yield p + "down_proj.weight", (width, inner)


def block(family, p, layer):
    c = family.config
    width, inner = c["hidden_size"], c["moe_intermediate_size"]
    yield p + "input_layernorm.weight", (width,)
    yield from attention(family, p + "self_attn.", layer)
    yield p + "post_attention_layernorm.weight", (width,)
    if family.is_dense(layer):
        yield from swiglu(p + "mlp.", width, c["intermediate_size"])
        return
    yield p + "mlp.gate.weight", (c["n_routed_experts"], width)
    if c["topk_method"] == "noaux_tc":
        yield p + "mlp.gate.e_score_correction_bias", (c["n_routed_experts"],)
    for expert in range(c["n_routed_experts"]):
        yield from swiglu(f"{p}mlp.experts.{expert}.", width, inner)
    yield from swiglu(p + "mlp.shared_experts.", width, inner * c["n_shared_experts"])


def shapes(family):
    """(name, shape) of every tensor."""
    c = family.config
    table, width = (c["vocab_size"], c["hidden_size"]), c["hidden_size"]
    yield "model.embed_tokens.weight", table
    for layer in range(family.layer_count()):
        yield from block(family, f"model.layers.{layer}.", layer)
    yield "model.norm.weight", (width,)
    yield "lm_head.weight", table
    for layer in range(family.layer_count(), family.layer_count() + family.modules()):
        p = f"model.layers.{layer}."
        yield p + "enorm.weight", (width,)
        yield p + "hnorm.weight", (width,)
        yield p + "eh_proj.weight", (width, 2 * width)
        yield from block(family, p, layer)
        yield p + "shared_head.norm.weight", (width,)
        if family.own_copies:
            yield p + "embed_tokens.weight", table
            yield p + "shared_head.head.weight", table


def random_weights(family, seed):
    """{name: FP32 tensor}: activations are about 1, logits have deviation about 2, router scores spread over (0, 1)."""
    g, out = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes(family):
        t = torch.randn(shape, generator=g)
        if name.endswith("e_score_correction_bias"):
            t = (torch.rand(shape, generator=g) - 0.5) * 2 * ROUTER_BIAS
        elif name.endswith(".bias"):
            t *= 0.2
        elif len(shape) == 1:
            t = 1 + 0.2 * t
        else:
            t *= deviation(name, shape[1])
        for end, gain in family.gains.items():
            if name.endswith(end):
                t *= gain
        out[name] = t
    return out


def deviation(name, fan_in):
    if name.endswith("embed_tokens.weight"):
        return 0.5
    if name.endswith(("head.weight", "down_proj.weight", "o_proj.weight")):
        return 2 / fan_in ** 0.5
    if name.endswith(("mlp.gate.weight", "indexer.weights_proj.weight")):
        return 1.5 / fan_in ** 0.5
    return 1.2 / fan_in ** 0.5
