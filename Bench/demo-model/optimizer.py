"""The optimiser of two processes that share flat buffers: Muon for the matrices of the layers, AdamW for everything else.

Muon (Keller Jordan, 2024) replaces a matrix's momentum by the nearest orthogonal matrix, found by Newton–Schulz iterations;
scaled by 0.2·sqrt(max(rows, columns)) its entries are as large as AdamW's, so both share one learning rate (Liu et al., 2025,
arXiv:2502.16982). Stacks of experts are cut in two; each process updates tensors that cost about half of the time.
"""
import math

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonal(x, iterations=5):
    """Each matrix of x [N, rows, columns], rows ≤ columns, with its singular values moved close to 1."""
    a, b, c = NEWTON_SCHULZ
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-12)
    for _ in range(iterations):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def is_layer_matrix(name, shape):
    """Whether Muon updates it; embedding, head, norms and routers are AdamW's."""
    return name.startswith("model.layers.") and len(shape) > 1 and not name.endswith("mlp.gate.weight")


class Stack:
    """Matrices of one shape that lie one behind another in the flat buffers."""

    def __init__(self, begin, count, rows, columns):
        self.begin, self.end = begin, begin + count * rows * columns
        self.shape = (count, rows, columns)
        self.scale = 0.2 * math.sqrt(max(rows, columns))

    @staticmethod
    def of(name, begin, shape):
        """The stacks of a tensor, each to be updated by one process. Gate and up projections are matrices of their own; `qkv_a` is taken as
        one."""
        *experts, rows, columns = shape
        if name.endswith("gate_up"):
            rows, experts = rows // 2, [*experts, 2]
        count = math.prod(experts)
        shares = [count // 2, count - count // 2] if count > 1 else [1]
        return [Stack(begin + sum(shares[:i]) * rows * columns, n, rows, columns) for i, n in enumerate(shares)]

    @property
    def cost(self):
        count, *sides = self.shape
        return count * min(sides) ** 2 * (2 * max(sides) + min(sides))

    def update(self, weights, gradients, momentum, rate, decay, beta=0.95):
        w, g, m = (flat[self.begin:self.end].view(self.shape) for flat in (weights, gradients, momentum))
        m.mul_(beta).add_(g)
        direction = g.add(m, alpha=beta)
        if self.shape[1] > self.shape[2]:
            direction = orthogonal(direction.transpose(1, 2)).transpose(1, 2)
        else:
            direction = orthogonal(direction)
        w.mul_(1 - rate * decay).add_(direction, alpha=-rate * self.scale)


class Optimizer:
    """One process's half of the work. `moments`: two flat buffers; Muon uses the first one only.

    `parts` lists the intervals of the flat buffers that this process updates: of their gradients it needs the mean."""

    def __init__(self, model, rank, gradients, moments, step, decay):
        self.weights, self.gradients, self.moments, self.decay = model.flat, gradients, moments, decay
        stacks, rest, offset = [], [], 0
        for name, shape, _, decayed in model.specs:
            end = offset + math.prod(shape)
            if is_layer_matrix(name, shape):
                stacks += Stack.of(name, offset, shape)
            else:
                middle = (offset + end) // 2
                rest.append(((offset, middle) if rank == 0 else (middle, end), decayed))
            offset = end
        self.stacks = self.share(stacks, rank)
        self.adam = self.make_adam(rest, step)
        self.parts = [(stack.begin, stack.end) for stack in self.stacks] + [interval for interval, _ in rest]

    @staticmethod
    def share(stacks, rank):
        """This process's stacks: the costliest first, each to the process that has less to do."""
        mine, load = [], [0, 0]
        for stack in sorted(stacks, key=lambda stack: (-stack.cost, stack.begin)):
            owner = int(load[1] < load[0])
            load[owner] += stack.cost
            if owner == rank:
                mine.append(stack)
        return mine

    def make_adam(self, rest, step):
        groups = [dict(params=[], weight_decay=self.decay), dict(params=[], weight_decay=0.0)]
        states = {}
        for (begin, end), decayed in rest:
            parameter = torch.nn.Parameter(self.weights[begin:end])
            parameter.grad = self.gradients[begin:end]
            groups[0 if decayed else 1]["params"].append(parameter)
            m, v = (moment[begin:end] for moment in self.moments)
            states[parameter] = dict(step=torch.tensor(float(step)), exp_avg=m, exp_avg_sq=v)
        adam = torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.97), eps=1e-9, fused=True)
        adam.state.update(states)
        return adam

    @torch.no_grad()
    def step(self, rate):
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        for stack in self.stacks:
            stack.update(self.weights, self.gradients, self.moments[0], rate, self.decay)
