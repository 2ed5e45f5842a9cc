"""Autograd functions for training on CPU cores, where torch's stock versions lose time to copies and small products.

Several of them write weight gradients straight into the flat gradient buffer (arguments named grad_*), which the trainer
clears before each step; they add to it, so a weight may be used more than once in a step.
"""
import torch
import torch.nn.functional as F


class RMSNorm(torch.autograd.Function):
    """y = w ⊙ x / sqrt(mean(x²) + eps)"""

    @staticmethod
    def forward(ctx, x, w, eps):
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        r = (norm * norm / x.shape[-1] + eps).rsqrt_()
        ctx.save_for_backward(x, w, r)
        return (x * r).mul_(w)

    @staticmethod
    def backward(ctx, dy):
        x, w, r = ctx.saved_tensors
        unit = x * r
        dw = (dy * unit).reshape(-1, w.numel()).sum(0)
        g = dy * w
        mean = torch.linalg.vecdot(g, unit).unsqueeze_(-1).div_(w.numel())
        return g.sub_(unit.mul_(mean)).mul_(r), dw, None


def swiglu_forward(h):
    gate, up = h.chunk(2, -1)
    return F.silu(gate).mul_(up)


def swiglu_backward(h, da):
    gate, up = h.chunk(2, -1)
    s = torch.sigmoid(gate)
    silu = gate * s
    dh = torch.empty_like(h)
    dgate, dup = dh.chunk(2, -1)
    torch.mul(da, silu, out=dup)
    torch.addcmul(s, silu, 1 - s, out=dgate)  # silu' = s + silu·(1 − s)
    dgate.mul_(up).mul_(da)
    return dh


class SwiGLU(torch.autograd.Function):
    """[gate ; up] → silu(gate) ⊙ up"""

    @staticmethod
    def forward(ctx, h):
        ctx.save_for_backward(h)
        return swiglu_forward(h)

    @staticmethod
    def backward(ctx, da):
        return swiglu_backward(ctx.saved_tensors[0], da.contiguous())


class CausalAttention(torch.autograd.Function):
    """softmax(q kᵀ + causal mask) v, where block i of the queries touches keys of blocks 0…i only.

    q, k: [batch·heads, T, d], q already scaled; v: [batch·heads, T, dv]; T divisible by `blocks`.
    """

    @staticmethod
    def forward(ctx, q, k, v, blocks):
        T = q.shape[1]
        b = T // blocks
        mask = torch.full((b, b), float("-inf")).triu_(1)
        out = torch.empty(q.shape[0], T, v.shape[2])
        probabilities = []
        for i in range(blocks):
            end = (i + 1) * b
            s = torch.bmm(q[:, i * b:end], k[:, :end].transpose(1, 2))
            s[:, :, end - b:] += mask
            p = torch.softmax(s, -1)
            probabilities.append(p)
            out[:, i * b:end] = torch.bmm(p, v[:, :end])
        ctx.save_for_backward(q, k, v, *probabilities)
        return out

    @staticmethod
    def backward(ctx, dout):
        q, k, v, *probabilities = ctx.saved_tensors
        b = q.shape[1] // len(probabilities)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for i, p in enumerate(probabilities):
            end = (i + 1) * b
            d = dout[:, i * b:end]
            dv[:, :end].baddbmm_(p.transpose(1, 2), d)
            ds = torch._softmax_backward_data(torch.bmm(d, v[:, :end].transpose(1, 2)), p, -1, torch.float32)
            dq[:, i * b:end] = torch.bmm(ds, k[:, :end])
            dk[:, :end].baddbmm_(ds.transpose(1, 2), q[:, i * b:end])
        return dq, dk, dv, None


def slices(counts):
    """(expert, begin, end) of the non-empty runs in rows sorted by expert."""
    begin = 0
    for expert, count in enumerate(counts):
        if count:
            yield expert, begin, begin + count
        begin += count


class Experts(torch.autograd.Function):
    """Σ over the chosen experts of weight × SwiGLU expert, one product per expert on rows sorted by expert.

    x: [N, H]; chosen, weights: [N, K]; gate_up: [E, 2·I, H]; down: [E, H, I].
    """

    @staticmethod
    def forward(ctx, x, chosen, weights, gate_up, down, grad_gate_up, grad_down):
        N, K = chosen.shape
        E, I2, H = gate_up.shape
        flat = chosen.reshape(-1)
        order = torch.argsort(flat, stable=True)
        counts = torch.bincount(flat, minlength=E).tolist()
        inverse = torch.empty_like(order)
        inverse[order] = torch.arange(N * K)
        row = order // K
        xs = x.index_select(0, row)
        h, y = torch.empty(N * K, I2), torch.empty(N * K, H)
        for e, s, t in slices(counts):
            torch.mm(xs[s:t], gate_up[e].t(), out=h[s:t])
        a = swiglu_forward(h)
        for e, s, t in slices(counts):
            torch.mm(a[s:t], down[e].t(), out=y[s:t])
        ctx.save_for_backward(xs, h, a, y, weights, order, inverse, row, gate_up, down)
        ctx.counts, ctx.gradients, ctx.shape = counts, (grad_gate_up, grad_down), (N, K)
        return F.embedding_bag(inverse.view(N, K), y, per_sample_weights=weights, mode="sum")

    @staticmethod
    def backward(ctx, dout):
        xs, h, a, y, weights, order, inverse, row, gate_up, down = ctx.saved_tensors
        grad_gate_up, grad_down = ctx.gradients
        N, K = ctx.shape
        dy = dout.index_select(0, row)
        dweights = torch.linalg.vecdot(dy, y).index_select(0, inverse).view(N, K)
        dy.mul_(weights.reshape(-1).index_select(0, order).unsqueeze(-1))
        da = torch.empty_like(a)
        for e, s, t in slices(ctx.counts):
            torch.mm(dy[s:t], down[e], out=da[s:t])
            grad_down[e].addmm_(dy[s:t].t(), a[s:t])
        dh = swiglu_backward(h, da)
        dxs = dy  # no longer needed, so its memory serves again
        for e, s, t in slices(ctx.counts):
            grad_gate_up[e].addmm_(dh[s:t].t(), xs[s:t])
            torch.mm(dh[s:t], gate_up[e], out=dxs[s:t])
        dx = F.embedding_bag(inverse.view(N, K), dxs, mode="sum")
        return dx, None, dweights, None, None, None, None


class HeadCrossEntropy(torch.autograd.Function):
    """scale × mean cross entropy of softmax(h wᵀ) against `target`; the gradient is formed in the forward pass, chunk by
    chunk, so that the logits never exist at once. h: [N, H]; w: [V, H]; target: [N]."""

    @staticmethod
    def forward(ctx, h, w, target, grad_w, scale, chunk=512):
        N = h.shape[0]
        dh, total = torch.empty_like(h), 0.0
        for s in range(0, N, chunk):
            rows, t = h[s:s + chunk], target[s:s + chunk]
            z = rows @ w.t()
            lse = torch.logsumexp(z, -1)
            total += (lse - z.gather(1, t[:, None]).squeeze(1)).sum().item()
            z.sub_(lse[:, None]).exp_()
            z[torch.arange(len(t)), t] -= 1.0
            z.mul_(scale / N)
            torch.mm(z, w, out=dh[s:s + chunk])
            grad_w.addmm_(z.t(), rows)
        ctx.save_for_backward(dh)
        return torch.tensor(total / N * scale)

    @staticmethod
    def backward(ctx, g):
        return ctx.saved_tensors[0], None, None, None, None, None


class HeadDistillation(torch.autograd.Function):
    """Mean over rows of KL(p ‖ q) + tv × (1 − Σ min(p, q)), with q = softmax(h wᵀ / temperature); the second term is the
    probability that lossless speculative sampling rejects the draft. h: [N, H]; w: [V, H], not trained; p: [N, V]. Chunks as
    in HeadCrossEntropy."""

    @staticmethod
    def forward(ctx, h, w, p, temperature, tv, chunk=512):
        N = h.shape[0]
        dh, total = torch.empty_like(h), torch.zeros(())
        for s in range(0, N, chunk):
            target = p[s:s + chunk]
            logq = torch.log_softmax((h[s:s + chunk] @ w.t()).div_(temperature), -1)
            q = logq.exp()
            rejected = 1 - torch.minimum(target, q).sum(-1)
            kl = torch.xlogy(target, target).sum(-1) - (target * logq).sum(-1)
            total += (kl + tv * rejected).sum()
            # d KL / dz = q − p; d(−Σ min) / dz = −q ⊙ (below − Σ below·q)
            slope = (q < target).float().mul_(q)
            dz = (q - target) - tv * (slope - q * slope.sum(-1, keepdim=True))
            torch.mm(dz, w, out=dh[s:s + chunk])
        ctx.save_for_backward(dh.div_(temperature * N))
        return total / N

    @staticmethod
    def backward(ctx, g):
        return ctx.saved_tensors[0] * g, None, None, None, None, None


class Embedding(torch.autograd.Function):
    """w[ids], its gradient added to `grad_w` in place."""

    @staticmethod
    def forward(ctx, w, ids, grad_w):
        ctx.ids, ctx.grad_w = ids, grad_w
        return w[ids]

    @staticmethod
    def backward(ctx, d):
        ctx.grad_w.index_add_(0, ctx.ids.reshape(-1), d.reshape(-1, d.shape[-1]))
        return None, None, None
