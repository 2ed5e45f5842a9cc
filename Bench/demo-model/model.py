"""The DeepSeek-V3 architecture in FP32 torch: MLA, YaRN, group-limited sigmoid routing with a correction bias, MTP modules.

All parameters are views of one flat buffer, which two training processes share. Fused tensors, undone by checkpoint.py:
`self_attn.qkv_a` = [q_a_proj (or q_proj) ; kv_a_proj_with_mqa], `*.gate_up` = [gate_proj ; up_proj].
Shapes: B sequences, T rows, H hidden, E experts, K chosen.
"""
import math

import torch
import torch.nn.functional as F

import kernels

CONFIG = dict(
    vocab_size=4096, hidden_size=256, num_hidden_layers=6, first_k_dense_replace=1, num_attention_heads=8, q_lora_rank=128,
    kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, intermediate_size=704, moe_intermediate_size=64,
    n_routed_experts=32, num_experts_per_tok=4, n_group=4, topk_group=2, n_shared_experts=1, norm_topk_prob=True,
    routed_scaling_factor=2.5, rms_norm_eps=1e-6, rope_theta=10000.0, max_position_embeddings=4096, num_nextn_predict_layers=1,
    rope_scaling=dict(type="yarn", factor=8, original_max_position_embeddings=512, beta_fast=32, beta_slow=1, mscale=1.0,
                      mscale_all_dim=1.0))


def yarn(c):
    """(inverse frequencies [rope_dim / 2], factor on cos and sin, softmax scale)"""
    d, base, scaling = c["qk_rope_head_dim"], c["rope_theta"], c.get("rope_scaling")
    wavelength = base ** (torch.arange(0, d, 2, dtype=torch.float32) / d)
    scale = (c["qk_nope_head_dim"] + d) ** -0.5
    if not scaling:
        return 1.0 / wavelength, 1.0, scale
    factor, original = scaling["factor"], scaling["original_max_position_embeddings"]

    def dimension(turns):
        return d * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    def magnitude(m):
        return 0.1 * m * math.log(factor) + 1.0 if factor > 1 else 1.0

    low = max(math.floor(dimension(scaling["beta_fast"])), 0)
    high = min(math.ceil(dimension(scaling["beta_slow"])), d - 1)
    ramp = ((torch.arange(d // 2, dtype=torch.float32) - low) / max(high - low, 0.001)).clamp(0, 1)
    inverse = ramp / (factor * wavelength) + (1 - ramp) / wavelength
    m, all_dim = scaling["mscale"], scaling["mscale_all_dim"]
    return inverse, magnitude(m) / magnitude(all_dim), scale * magnitude(all_dim) ** 2


def parameter_specs(c):
    """[(name, shape, initial deviation or None for ones, weight decay)], decayed tensors first."""
    H, V, L = c["hidden_size"], c["vocab_size"], c["num_hidden_layers"]
    heads, nope, rope, dv = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    q_rank, rank = c["q_lora_rank"], c["kv_lora_rank"]
    I, MI, E = c["intermediate_size"], c["moe_intermediate_size"], c["n_routed_experts"]
    residual = 1.0 / math.sqrt(2 * (L + 1))
    specs = [("model.embed_tokens.weight", (V, H), 0.3, True), ("lm_head.weight", (V, H), 0.02, True)]

    def linear(name, out, into, gain=1.0, experts=()):
        specs.append((name, (*experts, out, into), gain * 0.7 / math.sqrt(into), True))

    def norm(name, width):
        specs.append((name + ".weight", (width,), None, False))

    def layer(p, moe):
        a = p + "self_attn."
        linear(a + "qkv_a", (q_rank or heads * (nope + rope)) + rank + rope, H)
        if q_rank:
            linear(a + "q_b_proj.weight", heads * (nope + rope), q_rank)
        linear(a + "kv_b_proj.weight", heads * (nope + dv), rank)
        linear(a + "o_proj.weight", H, heads * dv, residual)
        if moe:
            specs.append((p + "mlp.gate.weight", (E, H), 0.02, True))
            if c["n_shared_experts"]:
                S = MI * c["n_shared_experts"]
                linear(p + "mlp.shared_experts.gate_up", 2 * S, H)
                linear(p + "mlp.shared_experts.down_proj.weight", H, S, residual)
            linear(p + "mlp.experts.gate_up", 2 * MI, H, experts=(E,))
            linear(p + "mlp.experts.down_proj", H, MI, residual, experts=(E,))
        else:
            linear(p + "mlp.gate_up", 2 * I, H)
            linear(p + "mlp.down_proj.weight", H, I, residual)
        norm(p + "input_layernorm", H)
        norm(p + "post_attention_layernorm", H)
        norm(a + "kv_a_layernorm", rank)
        if q_rank:
            norm(a + "q_a_layernorm", q_rank)

    for i in range(L):
        layer(f"model.layers.{i}.", i >= c["first_k_dense_replace"])
    norm("model.norm", H)
    for j in range(c["num_nextn_predict_layers"]):
        p = f"model.layers.{L + j}."
        for name in ("enorm", "hnorm", "shared_head.norm"):
            norm(p + name, H)
        linear(p + "eh_proj.weight", H, 2 * H)
        layer(p, True)
    return sorted(specs, key=lambda spec: not spec[3])


class Model:
    """Functional model: `p` maps names to views of `flat` (leaves with gradients in `grad` if that is given); `bias` holds
    e_score_correction_bias [layers, E]. `counts` sums the experts' loads, `record` their choices where it is a dict."""

    balance_weight = 1e-4  # of the sequence-wise balance loss

    def __init__(self, c, flat=None, grad=None, bias=None):
        self.c, self.specs = c, parameter_specs(c)
        self.n = sum(math.prod(shape) for _, shape, _, _ in self.specs)
        self.flat, self.grad = torch.zeros(self.n) if flat is None else flat, grad
        self.p, offset = {}, 0
        for name, shape, _, _ in self.specs:
            end = offset + math.prod(shape)
            view = self.flat[offset:end].view(shape)
            if grad is not None:
                view = view.detach().requires_grad_(True)
                view.grad = grad[offset:end].view(shape)
            self.p[name], offset = view, end
        self.main_layers, self.modules = c["num_hidden_layers"], c["num_nextn_predict_layers"]
        total = self.main_layers + self.modules
        self.moe_layers = list(range(c["first_k_dense_replace"], total))
        self.bias = torch.zeros(total, c["n_routed_experts"]) if bias is None else bias
        self.counts = torch.zeros(total, c["n_routed_experts"])
        inverse, magnitude, self.scale = yarn(c)
        angle = torch.arange(c["max_position_embeddings"], dtype=torch.float32)[:, None] * inverse
        self.cos, self.sin = angle.cos() * magnitude, angle.sin() * magnitude
        self.balance, self.record = [], None
        self.own_embedding, self.own_head = {}, {}  # of MTP modules whose copies differ from the main tensors

    @torch.no_grad()
    def initialise(self, seed=0):
        generator = torch.Generator().manual_seed(seed)
        for name, _, deviation, _ in self.specs:
            if deviation is None:
                self.p[name].fill_(1.0)
            else:
                torch.nn.init.trunc_normal_(self.p[name], 0, deviation, -3 * deviation, 3 * deviation, generator=generator)

    def norm(self, x, name):
        return kernels.RMSNorm.apply(x, self.p[name + ".weight"], self.c["rms_norm_eps"])

    def rope(self, x, positions):
        """x: [B, T, heads, rope_dim] in interleaved pairs; the result has all even outputs first, then all odd ones."""
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.cat([even * cos - odd * sin, odd * cos + even * sin], -1)

    def qkv(self, prefix, x, positions):
        """Scaled queries, keys and values, [B, T, heads, dim] each."""
        c, p, a = self.c, self.p, prefix + "self_attn."
        B, T, _ = x.shape
        heads, nope, rope, dv = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
        q_rank, rank = c["q_lora_rank"], c["kv_lora_rank"]
        q, latent, k_rope = F.linear(x, p[a + "qkv_a"]).split([q_rank or heads * (nope + rope), rank, rope], -1)
        if q_rank:
            q = F.linear(self.norm(q, a + "q_a_layernorm"), p[a + "q_b_proj.weight"])
        q = q.reshape(B, T, heads, nope + rope)
        kv = F.linear(self.norm(latent, a + "kv_a_layernorm"), p[a + "kv_b_proj.weight"]).view(B, T, heads, nope + dv)
        q = torch.cat([q[..., :nope], self.rope(q[..., nope:], positions)], -1) * self.scale
        k_rope = self.rope(k_rope.view(B, T, 1, rope), positions).expand(B, T, heads, rope)
        return q, torch.cat([kv[..., :nope], k_rope], -1), kv[..., nope:]

    def attention(self, prefix, x, positions, cache=None):
        """Causal attention over the rows given; keys and values are appended to `cache` if that is a list."""
        B, T, _ = x.shape
        q, k, v = self.qkv(prefix, x, positions)
        if cache is not None:
            cache += [k, v]
        flat = [t.transpose(1, 2).reshape(-1, T, t.shape[-1]) for t in (q, k, v)]
        blocks = next(b for b in (8, 4, 2, 1) if T % b == 0)
        o = kernels.CausalAttention.apply(*flat, blocks)
        o = o.view(B, -1, T, o.shape[-1]).transpose(1, 2).reshape(B, T, -1)
        return F.linear(o, self.p[prefix + "self_attn.o_proj.weight"])

    def route(self, i, prefix, x, B):
        """noaux_tc: sigmoid scores; the bias acts on the selection only; a group's score is the sum of its two best."""
        c = self.c
        E, G, K = c["n_routed_experts"], c["n_group"], c["num_experts_per_tok"]
        scores = torch.sigmoid(F.linear(x, self.p[prefix + "mlp.gate.weight"]))
        with torch.no_grad():
            biased = scores + self.bias[i]
            if G > 1:
                group = biased.view(-1, G, E // G).topk(2, -1)[0].sum(-1)
                kept = torch.zeros_like(group).scatter_(1, group.topk(c["topk_group"], -1, sorted=False)[1], 1.0)
                biased = biased.view(-1, G, E // G).masked_fill((kept == 0).unsqueeze(-1), float("-inf")).view(-1, E)
            chosen = biased.topk(K, -1, sorted=False)[1]
            self.counts[i] += torch.bincount(chosen.reshape(-1), minlength=E)
            if self.record is not None:
                self.record.setdefault(i, []).append(chosen.view(B, -1, K).clone())
        weights = scores.gather(1, chosen)
        if c["norm_topk_prob"]:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        if torch.is_grad_enabled() and self.balance_weight:
            self.balance.append(self.sequence_balance(scores, chosen, B))
        return chosen, weights * c["routed_scaling_factor"]

    def sequence_balance(self, scores, chosen, B):
        """mean over sequences of Σ_e (share of choices × E/K) · (mean normalised score)"""
        E, K, T = scores.shape[1], chosen.shape[1], scores.shape[0] // B
        with torch.no_grad():
            offset = (torch.arange(B).repeat_interleave(T) * E)[:, None]
            load = torch.bincount((chosen + offset).reshape(-1), minlength=B * E).view(B, E).float() * (E / (K * T))
        mean = (scores / scores.sum(-1, keepdim=True)).view(B, T, E).mean(1)
        return (load * mean).sum(-1).mean()

    def mlp(self, i, prefix, x):
        p, (B, T, H) = self.p, x.shape
        m, x = prefix + "mlp.", x.reshape(-1, H)

        def dense(name):
            return F.linear(kernels.SwiGLU.apply(F.linear(x, p[name + "gate_up"])), p[name + "down_proj.weight"])

        if i < self.c["first_k_dense_replace"]:
            return dense(m).view(B, T, H)
        chosen, weights = self.route(i, prefix, x, B)
        gate_up, down = p[m + "experts.gate_up"], p[m + "experts.down_proj"]
        y = kernels.Experts.apply(x, chosen, weights, gate_up.detach(), down.detach(), gate_up.grad, down.grad)
        if self.c["n_shared_experts"]:
            y = y + dense(m + "shared_experts.")
        return y.view(B, T, H)

    def layer(self, i, x, positions, cache=None):
        p = f"model.layers.{i}."
        x = x + self.attention(p, self.norm(x, p + "input_layernorm"), positions, cache)
        return x + self.mlp(i, p, self.norm(x, p + "post_attention_layernorm"))

    def embed(self, ids):
        w = self.p["model.embed_tokens.weight"]
        return kernels.Embedding.apply(w, ids, w.grad) if torch.is_grad_enabled() else w[ids]

    def body(self, ids, states=None):
        """ids [B, T] → hidden state after model.norm [B, T, H], which head and MTP modules read. `states` collects the
        embedding and every layer's output."""
        positions, x = torch.arange(ids.shape[1]), self.embed(ids)
        if states is not None:
            states.append(x)
        for i in range(self.main_layers):
            x = self.layer(i, x, positions)
            if states is not None:
                states.append(x)
        return self.norm(x, "model.norm")

    def head(self, h):
        return h @ self.p["lm_head.weight"].t()

    def mtp_embed(self, j, ids):
        return self.own_embedding[j][ids] if j in self.own_embedding else self.embed(ids)

    def mtp_head(self, j, h):
        return h @ self.own_head[j].t() if j in self.own_head else self.head(h)

    def mtp_input(self, j, h, embedded):
        """Row t of module j: the state h_t joined with the embedding of token t + 1 + j. Order: [embedding ; state]."""
        p = f"model.layers.{self.main_layers + j}."
        pair = [self.norm(embedded, p + "enorm"), self.norm(h, p + "hnorm")]
        return F.linear(torch.cat(pair, -1), self.p[p + "eh_proj.weight"])

    def mtp(self, j, h, following, cache=None):
        """Module j on h [B, T, H] and the tokens that follow each row; the last layer's output before and after
        shared_head.norm. Row t predicts token t + 2 + j."""
        i = self.main_layers + j
        x = self.mtp_input(j, h, self.mtp_embed(j, following))
        x = self.layer(i, x, torch.arange(following.shape[1]), cache)
        return x, self.norm(x, f"model.layers.{i}.shared_head.norm")
