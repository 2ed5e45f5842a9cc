"""How clear the reference's choices are: an engine with other rounding must not be able to be right and differ."""
import torch
import torch.nn.functional as F


class Watch:
    """Watches the routers and indexers of a model: the smallest distance between what was chosen and the best that was
    refused, and, while `lists` is a dict, what each layer chose. `rows`: which rows count, None for all."""

    def __init__(self, family, model):
        self.c, self.router, self.index, self.rows, self.lists = family.config, float("inf"), float("inf"), None, None
        for name, module in model.named_modules():
            if name.endswith(".mlp.gate"):
                module.register_forward_hook(lambda m, i, out, name=name: self.routed(name, m, out))
            elif name.endswith(".indexer"):
                self.interleaved = self.c["model_type"] == "glm_moe_dsa"
                module.register_forward_hook(
                    lambda m, args, kwargs, out, name=name: self.indexed(name, m, args, out), with_kwargs=True)

    # Routers

    def routed(self, name, gate, out):
        logits, _, chosen = out
        if self.lists is not None:
            self.lists[f"layer{layer_of(name)}.experts"] = chosen.sort(-1)[0].to(torch.int32)
        for gap in self.router_gaps(logits, gate):
            self.router = min(self.router, float(self.counted(gap).min()))

    def router_gaps(self, logits, gate):
        c = self.c
        softmax = c["topk_method"] != "noaux_tc"
        scores = logits.softmax(-1) if softmax else torch.sigmoid(logits) + gate.e_score_correction_bias
        if c["n_group"] > 1:
            group = scores.unflatten(-1, (c["n_group"], -1))
            best = group.amax(-1) if softmax else group.topk(2, -1)[0].sum(-1)
            yield gap_at(best, c["topk_group"])
            kept = best.topk(c["topk_group"], -1)[1]
            scores = group.gather(1, kept[..., None].expand(-1, -1, group.shape[2])).flatten(1)
        yield gap_at(scores, c["num_experts_per_tok"])

    def counted(self, values):
        """Those of the rows that count; none gives one that is infinitely clear."""
        if self.rows is None:
            return values
        chosen = values[self.rows.flatten()]
        return chosen if len(chosen) else torch.tensor([float("inf")])

    # Indexers

    def indexed(self, name, indexer, args, out):
        x, q_latent, (cos, sin) = args[:3]
        scores = self.index_scores(indexer, x, q_latent, cos, sin)
        B, T, _ = scores.shape
        visible = torch.ones(T, T, dtype=torch.bool).tril()
        scores = scores.masked_fill(~visible, float("-inf"))
        k = self.c["index_topk"]
        mine = lists_of(scores.topk(min(k, T), -1)[1], k)
        theirs = lists_of(out.long(), k)
        counts = torch.ones(B, T, dtype=torch.bool) if self.rows is None else self.rows
        if T > k:
            late = counts & (torch.arange(T) >= k)
            gap = gap_at(scores, k)[late]
            self.index = min(self.index, float(gap.min())) if len(gap) else self.index
        if self.index > 1e-6 and not torch.equal(mine[counts], theirs[counts]):
            raise SystemExit(f"{name}: the formula and transformers choose different keys")
        if self.lists is not None:
            self.lists[f"layer{layer_of(name)}.index"] = theirs[0].to(torch.int32)

    def index_scores(self, m, x, q_latent, cos, sin):
        """I[t, s] = Σ_h w_h · ReLU(q_h·k_s / √d), written from the formula."""
        rope, half = m.qk_rope_head_dim, m.qk_rope_head_dim // 2
        cos, sin = cos[..., :half], sin[..., :half]
        q = m.wq_b(q_latent).unflatten(-1, (m.n_heads, -1))
        k = F.layer_norm(m.wk(x), (m.head_dim,), m.k_norm.weight, m.k_norm.bias, 1e-6)[..., None, :]

        def turned(v):
            v, rest = v[..., :rope], v[..., rope:]
            a, b = (v[..., 0::2], v[..., 1::2]) if self.interleaved else (v[..., :half], v[..., half:])
            c, s = cos[..., None, :], sin[..., None, :]
            return torch.cat([a * c - b * s, b * c + a * s, rest], -1)

        products = torch.einsum("bthd,bsd->bhts", turned(q), turned(k)[..., 0, :]) * m.head_dim ** -0.5
        return torch.einsum("bth,bhts->bts", m.weights_proj(x) * m.n_heads ** -0.5, products.relu())


def gap_at(scores, k):
    """Distance of the k-th and the next of each row; infinite where there is no next."""
    best = scores.sort(-1, descending=True)[0]
    return best[..., k - 1] - best[..., k] if k < best.shape[-1] else torch.full(best.shape[:-1], float("inf"))


def lists_of(indices, k):
    """indices [B, T, ≤ k] → [B, T, k] ascending, without those after the row; −1 fills up."""
    T = indices.shape[1]
    row = torch.arange(T)[:, None]
    indices = F.pad(indices, (0, k - indices.shape[-1]), value=T)
    ordered = torch.where(indices > row, T, indices).sort(-1)[0]
    return torch.where(ordered == T, -1, ordered)


def layer_of(name):
    return int(name.split("layers.")[1].split(".")[0])
