"""The two random checkpoints of DeepSeek-V3 itself, in many types and shapes that fill no block.

Recursive drafts and routing are those of the torch model in Bench/demo-model, which must agree with transformers first.
"""
import os

import torch
from safetensors.torch import save_file

import drafts
import reference
from checkpoint import named_tensors, quantised, read_model
from export import hugging_face_config, is_fp8
from model import Model
from storage import write_json

BOS = 0
NEW_TOKENS = 32
ROUTER_MARGIN, GREEDY_MARGIN, TOLERANCE = 2e-5, 5e-3, 1e-4
SHARED = dict(num_attention_heads=6, norm_topk_prob=True, rms_norm_eps=1e-6, hidden_size=192)

# Head and expert widths that fill no vector register, no groups, a query without low-rank factor, a tied head.
BF16_PLAIN = dict(
    SHARED, vocab_size=420, num_hidden_layers=4, first_k_dense_replace=2, num_attention_heads=4, q_lora_rank=None,
    kv_lora_rank=48, qk_nope_head_dim=24, qk_rope_head_dim=8, v_head_dim=20, intermediate_size=200, moe_intermediate_size=20,
    n_routed_experts=12, num_experts_per_tok=3, n_group=1, topk_group=1, n_shared_experts=2, routed_scaling_factor=1.5,
    rope_theta=50000.0, rope_scaling=None, max_position_embeddings=256, num_nextn_predict_layers=2)

# No dimension is a multiple of 128: partial edge blocks everywhere; heads of 72 query rows and 88
# key-value rows straddle scale blocks; YaRN with a factor on cos and sin that is not 1.
FP8_RAGGED = dict(
    SHARED, vocab_size=360, num_hidden_layers=3, first_k_dense_replace=1, q_lora_rank=136, kv_lora_rank=56,
    qk_nope_head_dim=48, qk_rope_head_dim=24, v_head_dim=40, intermediate_size=328, moe_intermediate_size=40,
    n_routed_experts=16, num_experts_per_tok=3, n_group=4, topk_group=2, n_shared_experts=1, routed_scaling_factor=2.5,
    rope_theta=10000.0, max_position_embeddings=128, num_nextn_predict_layers=1,
    rope_scaling=dict(type="yarn", factor=4, original_max_position_embeddings=32, beta_fast=32, beta_slow=1, mscale=1.0,
                      mscale_all_dim=0.707))

# Tensors of fp8-ragged that are not FP8, and a scale that lies in another shard than its weight.
OTHER_TYPES = {
    "model.layers.0.mlp.down_proj.weight": torch.bfloat16,
    "model.layers.1.self_attn.o_proj.weight": torch.float16,
    "model.layers.2.self_attn.q_a_proj.weight": torch.float32,
    "model.norm.weight": torch.float32}
DISPLACED_SCALE = "model.layers.1.mlp.experts.3.down_proj.weight_scale_inv"


@torch.no_grad()
def random_model(config, seed, tied):
    """Weights under which activations are about 1, logits have deviation about 2 and router scores spread over (0, 1)."""
    model, g = Model(config), torch.Generator().manual_seed(seed)

    def normal(t, deviation):
        t.copy_(torch.randn(t.shape, generator=g) * deviation)

    for name, t in model.p.items():
        fan_in = t.shape[-1]
        if t.dim() == 1:
            t.copy_(1 + 0.2 * torch.randn(t.shape, generator=g))
        elif name.endswith("embed_tokens.weight"):
            normal(t, 2 / fan_in ** 0.5 if tied else 0.5)
        elif name == "lm_head.weight":
            normal(t, 2 / fan_in ** 0.5)
        elif name.endswith("gate.weight"):
            normal(t, 1.5 / fan_in ** 0.5)
        elif "down_proj" in name or "o_proj" in name:
            normal(t, 2 / fan_in ** 0.5)
        else:
            normal(t, 1.2 / fan_in ** 0.5)
    model.bias.copy_((torch.rand(model.bias.shape, generator=g) - 0.5) * 0.5)
    if tied:
        model.p["lm_head.weight"].copy_(model.p["model.embed_tokens.weight"])
    return model, g


def write_bf16(folder, config, seed):
    """One file without an index; the MTP modules have no copies of embedding and head, and there is no lm_head."""
    model, _ = random_model(config, seed, tied=True)
    absent = ("lm_head.weight", "shared_head.head.weight")
    tensors = {
        name: t.contiguous() if name.endswith("bias") else t.to(torch.bfloat16).contiguous()
        for name, t in named_tensors(model).items()
        if not name.endswith(absent) and not (name.startswith("model.layers.") and name.endswith("embed_tokens.weight"))}
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    write_json(folder, "config.json", dict(hugging_face_config(config, fp8=False), tie_word_embeddings=True))


def write_fp8(folder, config, seed):
    """Two shards; the MTP module's embedding and head differ from the main ones."""
    model, g = random_model(config, seed, tied=False)
    tensors = {}
    for name, t in named_tensors(model).items():
        if name.startswith("model.layers.") and name.endswith(("embed_tokens.weight", "head.head.weight")):
            t = t + 0.3 * t.std() * torch.randn(t.shape, generator=g)
        if is_fp8(name) and name not in OTHER_TYPES:
            tensors[name], tensors[name + "_scale_inv"] = quantised(t.contiguous())
        elif name.endswith("e_score_correction_bias"):
            tensors[name] = t
        else:
            tensors[name] = t.to(OTHER_TYPES.get(name, torch.bfloat16)).contiguous()
    shards = ({}, {})
    for name, t in tensors.items():
        second = name == DISPLACED_SCALE or not name.startswith(("model.embed", "model.layers.0.", "model.layers.1."))
        shards[second][name] = t
    files = [f"model-{n}-of-00002.safetensors" for n in ("00001", "00002")]
    for file, shard in zip(files, shards):
        save_file(shard, os.path.join(folder, file), metadata={"format": "pt"})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    weight_map = {name: file for file, shard in zip(files, shards) for name in shard}
    write_json(folder, "model.safetensors.index.json", dict(metadata=dict(total_size=size), weight_map=weight_map))
    write_json(folder, "config.json", hugging_face_config(config, fp8=True))


class Margins:
    """Watches the router: the smallest distance between a chosen and the best refused expert, and likewise for groups."""

    def __init__(self, model):
        self.model, self.least, self.route = model, float("inf"), model.route
        model.route = self.watch

    def watch(self, i, prefix, x, B):
        c, m = self.model.c, self.model
        biased = torch.sigmoid(x @ m.p[prefix + "mlp.gate.weight"].t()) + m.bias[i]
        if c["n_group"] > 1:
            group = biased.view(-1, c["n_group"], c["n_routed_experts"] // c["n_group"])
            best = group.topk(2, -1)[0].sum(-1).sort(descending=True)
            kept = best[1][:, :c["topk_group"]]
            self.note(best[0], c["topk_group"])
            biased = group.gather(1, kept[..., None].expand(-1, -1, group.shape[2])).flatten(1)
        self.note(biased.sort(descending=True)[0], c["num_experts_per_tok"])
        return self.route(i, prefix, x, B)

    def note(self, ordered, k):
        self.least = min(self.least, float((ordered[:, k - 1] - ordered[:, k]).min()))


def agree(what, ours, theirs):
    """Largest difference, relative to the reference's root mean square."""
    difference = float((ours - theirs).abs().max() / theirs.square().mean().sqrt())
    if not difference < TOLERANCE:
        raise SystemExit(f"{what}: our torch model and transformers differ by {difference:.1e} of the root mean square")
    return difference


@torch.no_grad()
def layers_of(model, hf, ids):
    """Residual stream, norms and routing of a prompt, each layer checked against transformers."""
    states, model.record = [], {}
    final = model.body(ids, states)
    theirs = hf(ids, output_hidden_states=True).hidden_states
    worst = max(agree(f"input of layer {i}", a, b) for i, (a, b) in enumerate(zip(states[:-1], theirs)))
    worst = max(worst, agree("final state", final, theirs[-1]))
    # transformers reports the last layer only after model.norm, so that one is ours.
    hidden = torch.stack([*(b[0] for b in theirs[:-1]), states[-1][0]])
    out = {"hidden": hidden, "hidden_norms": hidden.norm(dim=-1), "final_hidden": theirs[-1][0]}
    for layer, chosen in model.record.items():
        out[f"layer{layer}.experts"] = torch.cat(chosen)[0].sort(-1)[0].to(torch.int32)
    model.record = None
    return out, worst


@torch.no_grad()
def drafts_of(model, hf, text):
    """(drafts for golden.json, logits [module][rows, V] of transformers, worst difference)"""
    h = state = model.body(text)
    greedy, logits, worst, margin = [], [], 0.0, float("inf")
    for j, theirs in enumerate(reference.mtp_states(hf, text, model.own_embedding)):
        n = text.shape[1] - 1 - j
        _, state = model.mtp(j, state[:, :n], text[:, 1 + j:])
        worst = max(worst, agree(f"state of MTP module {j}", state, theirs))
        z = (theirs @ model.own_head[j].t() if j in model.own_head else hf.lm_head(theirs))[0]
        worst = max(worst, agree(f"logits of MTP module {j}", model.mtp_head(j, state)[0], z))
        logits.append(z)
        greedy.append(z.argmax(-1).tolist())
        margin = min(margin, smallest_gap(z))
    out = dict(mtp_greedy_drafts=greedy, mtp_recursive_drafts=None)
    if model.modules == 1:
        chain = drafts.draft(model, text, h, 4, drafts.POST)
        margin = min([margin] + [smallest_gap(z[0]) for _, z in chain])
        out["mtp_recursive_drafts"] = dict(post=[tokens[0].tolist() for tokens, _ in chain])
    return dict(out, min_draft_margin=margin), logits, worst


def smallest_gap(logits):
    best = logits.topk(2, -1)[0]
    return float((best[:, 0] - best[:, 1]).min())


def golden(folder, seed, lengths):
    """(golden.json's content, tensors, smallest router margin, smallest greedy margin, worst difference)"""
    model, hf = read_model(folder), reference.load(folder)
    margins, g = Margins(model), torch.Generator().manual_seed(1000 + seed)
    entries, tensors, worst = [], {}, 0.0
    for i, length in enumerate(lengths):
        ids = torch.cat([torch.tensor([BOS]), torch.randint(2, model.c["vocab_size"], (length - 1,), generator=g)])[None]
        new, logits = reference.greedy(hf, ids, NEW_TOKENS)
        text = torch.cat([ids, torch.tensor([new])], 1)
        with torch.no_grad():
            worst = max(worst, agree("main logits", model.head(model.body(text))[0], logits))
        drafted, mtp_logits, difference = drafts_of(model, hf, text)
        worst = max(worst, difference)
        more, difference = layers_of(model, hf, ids)
        worst = max(worst, difference)
        if i > 0:
            more = {"hidden_norms": more["hidden_norms"]}
        else:
            more |= {f"mtp{j}_logits": z for j, z in enumerate(mtp_logits)}
        more["logits"] = logits[:length]
        tensors |= {f"p{i}.{name}": t.contiguous().clone() for name, t in more.items()}
        entries.append(dict(prompt_ids=ids[0].tolist(), greedy_ids=new, min_greedy_margin=smallest_gap(logits[length - 1:-1]),
                            **drafted))
    reference.discard(hf)
    least = min(e["min_greedy_margin"] for e in entries)
    content = dict(reference=reference.versions(), seed=seed, min_router_margin=margins.least, prompts=entries)
    return content, tensors, margins.least, least, worst


def make(name, root, seeds=100):
    """Writes the folder `name` in `root` from the first seed that is clear."""
    write, config, lengths = CHECKPOINTS[name]
    folder = os.path.join(root, name)
    os.makedirs(folder, exist_ok=True)
    for seed in range(seeds):
        write(folder, config, seed)
        content, tensors, router, greedy, worst = golden(folder, seed, lengths)
        print(f"{name}, seed {seed}: router margin {router:.1e}, greedy margin {greedy:.1e}, difference {worst:.1e}", flush=True)
        if router >= ROUTER_MARGIN and greedy >= GREEDY_MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no seed gave clear margins")
    save_file(tensors, os.path.join(folder, "golden.safetensors"), metadata={"format": "pt"})
    write_json(folder, "golden.json", content)


CHECKPOINTS = {
    "bf16-plain": (write_bf16, BF16_PLAIN, (40, 48, 64)),
    "fp8-ragged": (write_fp8, FP8_RAGGED, (40, 64, 92)),
}
