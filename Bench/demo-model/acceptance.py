"""How many drafts the main model accepts: greedy, and with lossless speculative sampling. Nothing is cached: slow and plain."""
import numpy as np
import torch

import drafts
from tokenise import DOMAINS, EOS

GROUP = 12  # prompts computed together


@torch.no_grad()
def generate(model, ids, count, temperature=0.0, generator=None):
    """ids [B, T] → [B, T + count], recomputing everything for each token."""
    ids = torch.as_tensor(ids)
    for _ in range(count):
        z = model.head(model.body(ids)[:, -1])
        if temperature == 0:
            new = z.argmax(-1, keepdim=True)
        else:
            new = torch.multinomial(torch.softmax(z / temperature, -1), 1, generator=generator)
        ids = torch.cat([ids, new], 1)
    return ids


class GreedyTally:
    def __init__(self, depth):
        self.depth, self.positions = depth, 0
        self.hits, self.runs, self.rounds, self.tokens = (np.zeros(depth) for _ in range(4))

    def add(self, right, prompt_length, end):
        """right[t][d]: draft d + 1 started at row t equals the greedy token; `end`: length of the text with its EOS."""
        for t in range(prompt_length - 1, end - 1 - self.depth):
            self.positions += 1
            self.hits += right[t]
            self.runs += np.cumprod(right[t])
        for k in range(1, self.depth + 1):  # real rounds: k drafts each, accepted + 1 tokens out
            t = prompt_length - 1
            while t + 1 + k < end:
                accepted = int(np.cumprod(right[t][:k]).sum())
                self.rounds[k - 1] += 1
                self.tokens[k - 1] += accepted + 1
                t += accepted + 1

    def summary(self):
        before = np.concatenate([[self.positions], self.runs[:-1]])
        return dict(positions=self.positions, marginal=(self.hits / max(1, self.positions)).tolist(),
                    given_earlier=(self.runs / np.maximum(1, before)).tolist(),
                    tokens_per_round=(self.tokens / np.maximum(1, self.rounds)).tolist())


@torch.no_grad()
def greedy(model, prompts, count, depth, feedback):
    """Per domain and "all": every position of the greedy continuation is the start of a possible round. Continuations are
    kept in the prompts ("text") for the next call."""
    tallies = {name: GreedyTally(depth) for name in (*DOMAINS, "all")}
    T = len(prompts[0]["ids"])
    for begin in range(0, len(prompts), GROUP):
        group = prompts[begin:begin + GROUP]
        if "text" not in group[0]:
            for prompt, text in zip(group, generate(model, [p["ids"] for p in group], count)):
                prompt["text"] = text.tolist()
        text = torch.tensor([p["text"] for p in group])
        drafted = [t for t, _ in drafts.draft(model, text, model.body(text), depth, feedback)]
        for b, prompt in enumerate(group):
            new = prompt["text"][T:]
            end = T + (new.index(EOS) + 1 if EOS in new else len(new))
            right = np.zeros((text.shape[1], depth))
            for d in range(depth):
                rows = end - 2 - d
                right[:rows, d] = (drafted[d][b, :rows] == text[b, 2 + d:end]).numpy()
            for name in (prompt["domain"], "all"):
                tallies[name].add(right, T, end)
    return {name: tally.summary() for name, tally in tallies.items()}


class SampledTally:
    def __init__(self, depth):
        self.rounds, self.accepted, self.overlap = 0, np.zeros(depth + 1), 0.0

    def add(self, accepted, overlap):
        self.rounds += 1
        self.accepted[accepted] += 1
        self.overlap += overlap

    def summary(self):
        reached = self.accepted[::-1].cumsum()[::-1]  # rounds with at least d accepted drafts
        rounds = max(1, self.rounds)
        return dict(rounds=self.rounds, given_earlier=(reached[1:] / np.maximum(1, reached[:-1])).tolist(),
                    overlap_1=self.overlap / rounds, tokens_per_round=(1 + reached[1:].cumsum() / rounds).tolist())


def verify(p, q, drafted, generator):
    """Lossless rejection sampling. p [k + 1, V], q [k, V]: (tokens to emit, number of drafts accepted)"""
    for n, token in enumerate(drafted):
        if float(torch.rand(1, generator=generator)) >= float(p[n, token] / q[n, token]):
            rest = (p[n] - q[n]).clamp_(min=0)
            return drafted[:n] + [int(torch.multinomial(rest / rest.sum(), 1, generator=generator))], n
    return drafted + [int(torch.multinomial(p[-1], 1, generator=generator))], len(drafted)


def sampled_round(model, sequences, depth, temperature, generator):
    """One round for sequences of any lengths: [(new tokens, accepted, Σ min(p, q) of draft 1)]."""
    lengths = [len(s) for s in sequences]
    ids = torch.zeros(len(sequences), max(lengths) + depth, dtype=torch.long)
    for b, s in enumerate(sequences):
        ids[b, :len(s)] = torch.tensor(s)
    qs = []

    def pick(logits, _):
        qs.append(torch.softmax(logits[:, 0] / temperature, -1))
        return torch.multinomial(qs[-1], 1, generator=generator)

    known = ids[:, :max(lengths)]
    drafted = drafts.draft(model, known, model.body(known), depth, pick=pick, start=torch.tensor(lengths) - 2)
    tokens = torch.cat([t for t, _ in drafted], 1)
    for b, n in enumerate(lengths):
        ids[b, n:n + depth] = tokens[b]
    h, out = model.body(ids), []
    for b, n in enumerate(lengths):
        p = torch.softmax(model.head(h[b, n - 1:n + depth]) / temperature, -1)
        q = torch.stack([step[b] for step in qs])
        new, accepted = verify(p, q, tokens[b].tolist(), generator)
        out.append((new, accepted, float(torch.minimum(p[0], q[0]).sum())))
    return out


@torch.no_grad()
def sampled(model, prompts, count, depth, temperature, seed=0):
    """Real rounds of `depth` drafts until `count` tokens or EOS; results for fewer drafts by truncation."""
    generator = torch.Generator().manual_seed(seed)
    tallies = {name: SampledTally(depth) for name in (*DOMAINS, "all")}
    T = len(prompts[0]["ids"])
    sequences = [generate(model, [p["ids"]], 1, temperature, generator)[0].tolist() for p in prompts]
    active = list(range(len(prompts)))
    while active:
        for begin in range(0, len(active), GROUP):
            group = active[begin:begin + GROUP]
            rounds = sampled_round(model, [sequences[i] for i in group], depth, temperature, generator)
            for i, (new, accepted, overlap) in zip(group, rounds):
                sequences[i] += new
                for name in (prompts[i]["domain"], "all"):
                    tallies[name].add(accepted, overlap)
        active = [i for i in active if len(sequences[i]) < T + count and EOS not in sequences[i][T:]]
    return {name: tally.summary() for name, tally in tallies.items()}
