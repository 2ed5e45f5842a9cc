"""Recursive drafting with one MTP module: the arithmetic of the engine, for all starting rows at once.

A chain starts at row t from (h_t, token t+1) and drafts tokens t+2, t+3, …. Draft d is computed at position t+d−1 from the
previous draft's token and the module's own previous state; its keys are those of the true rows 0…t and of its own chain.
"""
import torch
import torch.nn.functional as F

import kernels

POST, PRE = "post", "pre"  # state fed back: after shared_head.norm, or the block's output before it


def chain_attention(model, prefix, q, keys, values, own, mask):
    """Attention of chain rows q [B, R, heads, d] over the true rows (keys, values [B, heads, T, d]; mask [R, T]) and over
    the chain's own rows: `own` holds (k, v) [B, R, heads, d] of each draft so far after the first."""
    scores = torch.matmul(q.transpose(1, 2), keys.transpose(2, 3)) + mask
    extra = [(q * k).sum(-1).transpose(1, 2)[..., None] for k, _ in own]
    weights = torch.softmax(torch.cat([scores, *extra], -1), -1)
    T = scores.shape[-1]
    o = torch.matmul(weights[..., :T], values)
    for n, (_, v) in enumerate(own):
        o = o + weights[..., T + n:T + n + 1] * v.transpose(1, 2)
    o = o.transpose(1, 2).flatten(2)
    return F.linear(o, model.p[prefix + "self_attn.o_proj.weight"])


class Chain:
    """Chains of module 0 from every row of `cache` (the true rows' keys and values), or from one row a sequence (`start`)."""

    def __init__(self, model, cache, start=None):
        self.model, self.layer = model, model.main_layers
        self.prefix = f"model.layers.{self.layer}."
        self.keys, self.values = (t.transpose(1, 2) for t in cache)
        T = self.keys.shape[2]
        mask = torch.full((T, T), float("-inf")).triu_(1)
        self.rows = torch.arange(T) if start is None else start
        self.mask = mask if start is None else mask[start][:, None, None, :]
        self.start, self.own, self.depth = start, [], 1

    def qkv(self, x):
        positions = self.rows + self.depth - 1
        if self.start is None:
            return self.model.qkv(self.prefix, x, positions)
        one = [self.model.qkv(self.prefix, x[b:b + 1], positions[b:b + 1]) for b in range(x.shape[0])]
        return [torch.cat(parts) for parts in zip(*one)]

    def step(self, state, embedded):
        """The next draft's state before and after shared_head.norm, from the previous state and the embedded previous draft,
        [B, R, H] each."""
        m, p = self.model, self.prefix
        self.depth += 1
        x = m.mtp_input(0, state, embedded)
        q, k, v = self.qkv(m.norm(x, p + "input_layernorm"))
        self.own.append((k, v))
        x = x + chain_attention(m, p, q, self.keys, self.values, self.own, self.mask)
        x = x + m.mlp(self.layer, p, m.norm(x, p + "post_attention_layernorm"))
        return x, m.norm(x, p + "shared_head.norm")


@torch.no_grad()
def draft(model, ids, h, depth, feedback=POST, pick=None, start=None):
    """Drafts from every row, or from row start[b] only. ids [B, T]; h [B, T, H]: main states after model.norm.

    Returns `depth` pairs (tokens [B, R], logits [B, R, V]); pick(logits, d) chooses the tokens (default: argmax)."""
    cache, R = [], ids.shape[1] - 1
    pre, post = model.mtp(0, h[:, :R], ids[:, 1:], cache)
    if start is not None:
        pre, post = (t[torch.arange(len(t)), start][:, None] for t in (pre, post))
    chain, out = Chain(model, cache, start), []
    for d in range(1, depth + 1):
        if d > 1:
            pre, post = chain.step(post if feedback == POST else pre, model.mtp_embed(0, out[-1][0]))
        logits = model.mtp_head(0, post)
        out.append((logits.argmax(-1) if pick is None else pick(logits, d), logits))
    return out


def distillation(model, ids, h, depth, temperature, tv):
    """Losses of drafts 1…depth against the main model's distribution, along the true text.

    A draft matters only while the drafts before it were right, so the chain is fed the true tokens, but its own states.
    ids [B, T + 1] (row T − 1 needs its next token); h [B, T, H], detached. Embedding and head get no gradient.
    tv as in kernels.HeadDistillation; None: the losses are 1 − Σ min(p, q) alone."""
    T = h.shape[1]
    embedding, head = model.p["model.embed_tokens.weight"].detach(), model.p["lm_head.weight"].detach()
    with torch.no_grad():
        target = torch.softmax(h @ head.t() / temperature, -1)
    cache, losses = [], []
    x = model.mtp_input(0, h, embedding[ids[:, 1:T + 1]])
    x = model.layer(model.main_layers, x, torch.arange(T), cache)
    state, chain = model.norm(x, f"model.layers.{model.main_layers}.shared_head.norm"), Chain(model, cache)
    for d in range(1, depth + 1):
        if d > 1:
            # Row t now consumes token t + d; rows past the text repeat its last token and are left out of the loss.
            following = ids[:, torch.arange(d, T + d).clamp(max=ids.shape[1] - 1)]
            _, state = chain.step(state, embedding[following])
        rows = T - d  # row t is judged by the main model's row t + d
        flat = state[:, :rows].flatten(0, 1)
        p = target[:, d:].flatten(0, 1)
        if tv is None:
            q = torch.softmax(flat @ head.t() / temperature, -1)
            losses.append(1 - torch.minimum(p, q).sum(-1).mean())
        else:
            losses.append(kernels.HeadDistillation.apply(flat, head, p, temperature, tv))
    return losses


@torch.no_grad()
def acceptance(model, ids, h, depth, temperature):
    """mean Σ min(p, q) of drafts 1…depth along the true text; arguments as for `distillation`."""
    return [1 - loss.item() for loss in distillation(model, ids, h, depth, temperature, tv=None)]
