#!/usr/bin/env python3
"""Train the demo model on two CPU cores; the same command resumes an interrupted run.

    train.py --work DIR --tokens N [--init CHECKPOINT]

Two processes of one thread each share one flat buffer of parameters and one of each optimiser moment. Each computes the
gradient of half of the batch; then each averages and updates its share of the tensors. (Two OpenMP threads in one process are
slower: with this many small products they spend their time in barriers.)

DIR/data holds the token streams. Written to DIR: latest.pt (weights, moments, position), loss.csv, and pids or the file that
--pids names (of the two processes; STOP and CONT pause and resume them, TERM makes them save and end). Exit codes: 0 the end of
the training was reached, 75 it was asked to end before.
"""
import argparse
import contextlib
import json
import math
import os
import signal
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.multiprocessing as mp

import drafts
import kernels
from model import CONFIG, Model
from optimizer import Optimizer

RANKS = 2
DOMAINS = ("swift_code", "swift_tests", "markdown")
SAVE_SECONDS = 600
REPORT_STEPS = 20
DRAFTS = 4
STOP = -1.0  # published in place of the progress
STOPPED = 75  # exit code
GRACE_SECONDS = 60  # for one process to end if the other has failed


class Shared:
    """What both processes see: parameters, gradients, moments, router bias, expert loads and a few numbers."""

    def __init__(self, model):
        def zeros(*shape):
            return torch.zeros(*shape).share_memory_()

        self.flat, self.bias = model.flat.share_memory_(), model.bias.share_memory_()
        self.gradients = [zeros(model.n) for _ in range(RANKS)]
        self.moments = [zeros(model.n) for _ in range(2)]
        self.counts = [zeros(*model.counts.shape) for _ in range(RANKS)]
        self.numbers = zeros(RANKS, 64)
        self.progress, self.norm, self.ready = zeros(1), zeros(RANKS), zeros(RANKS)


class Batches:
    """Windows of T + 2 tokens; what batch n holds depends on n alone, so that a resumed run repeats nothing."""

    def __init__(self, path, T, per_step, seed=1234):
        self.stream = torch.from_numpy(np.load(path).astype(np.int64))
        self.T, self.per_step, self.seed = T, per_step, seed
        self.windows = (len(self.stream) - 2 - T) // T - 1
        self.epoch_steps = self.windows // per_step
        self.epoch, self.order, self.offset = None, None, 0

    def at(self, number, rank):
        epoch, place = divmod(number, self.epoch_steps)
        if epoch != self.epoch:  # every epoch cuts the stream at another offset
            generator = torch.Generator().manual_seed(self.seed + epoch)
            self.offset = int(torch.randint(0, self.T, (1,), generator=generator))
            self.order, self.epoch = torch.randperm(self.windows, generator=generator).tolist(), epoch
        share = self.per_step // RANKS
        begin = place * self.per_step + rank * share
        starts = [self.offset + i * self.T for i in self.order[begin:begin + share]]
        return torch.stack([self.stream[s:s + self.T + 2] for s in starts])


def gradient(model, tokens, mtp_weight):
    """Runs one backward pass of the published objective; returns [main, MTP, balance] losses."""
    T = tokens.shape[1] - 2
    head = model.p["lm_head.weight"]
    model.balance = []
    h = model.body(tokens[:, :T])
    main = kernels.HeadCrossEntropy.apply(h.flatten(0, 1), head, tokens[:, 1:T + 1].reshape(-1), head.grad, 1.0)
    _, post = model.mtp(0, h, tokens[:, 1:T + 1])
    mtp = kernels.HeadCrossEntropy.apply(post.flatten(0, 1), head, tokens[:, 2:].reshape(-1), head.grad, mtp_weight)
    balance = sum(model.balance)
    (main + mtp + model.balance_weight * balance).backward()
    return [main.item(), mtp.item() / mtp_weight, balance.item() / len(model.moe_layers)]


@torch.no_grad()
def held_out(model, streams, rank, options):
    """Per domain: main and MTP cross entropy, then Σ min(p, q) of drafts 1…4."""
    T, out = options.window, []
    for stream in streams:
        stride = (len(stream) - T - 2) // options.held_out
        starts = [i * stride for i in range(rank, options.held_out, RANKS)]
        tokens = torch.stack([stream[s:s + T + 2] for s in starts])
        h = model.body(tokens[:, :T])
        _, post = model.mtp(0, h, tokens[:, 1:T + 1])
        for state, shift in ((h, 1), (post, 2)):
            logits, target = model.head(state).flatten(0, 1), tokens[:, shift:T + shift].reshape(-1)
            out.append(torch.nn.functional.cross_entropy(logits, target).item())
        out += drafts.acceptance(model, tokens, h, DRAFTS, options.temperature)
    return out


class Trainer:
    """One of the two processes."""

    def __init__(self, rank, options, config, shared, barrier, first_step):
        torch.set_num_threads(1)
        self.rank, self.options, self.config, self.shared, self.barrier = rank, options, config, shared, barrier
        self.step, self.stopping = first_step, False
        self.model = Model(config, shared.flat, shared.gradients[rank], shared.bias)
        self.optimizer = Optimizer(self.model, rank, shared.gradients[rank], shared.moments, first_step, options.decay)
        data = os.path.join(options.work, "data")
        self.batches = Batches(os.path.join(data, "train.npy"), options.window, options.batch)
        paths = [os.path.join(data, f"val_{d}.npy") for d in DOMAINS]
        self.streams = [torch.from_numpy(np.load(p).astype(np.int64)) for p in paths]
        self.total_steps = options.tokens // (options.batch * options.window)
        self.batches_before = options.tokens_before // (options.batch * options.window)
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)  # Ctrl-C, and what torch sends when the parent has died
        shared.ready[rank] = 1

    def stop(self, *_):
        self.stopping = True

    def rate(self, progress):
        o = self.options
        rate = o.lr * min(1.0, (self.step + 1) / o.warmup)
        if progress > o.decay_from:
            rate *= max(o.floor, 1 - (progress - o.decay_from) / (1 - o.decay_from) * (1 - o.floor))
        return rate

    def train_step(self, progress):
        """Returns (this rank's losses, gradient norm, learning rate)."""
        model, shared = self.model, self.shared
        rate = self.rate(progress)
        model.grad.zero_()
        model.counts.zero_()
        tokens = self.batches.at(self.batches_before + self.step, self.rank)  # goes on in the text where the checkpoint ended
        losses = gradient(model, tokens, 0.3 if progress < self.options.decay_from else 0.1)
        shared.counts[self.rank].copy_(model.counts)
        self.barrier.wait()  # both gradients are ready
        mine, other, square = shared.gradients[self.rank], shared.gradients[1 - self.rank], 0.0
        for begin, end in self.optimizer.parts:
            part = mine[begin:end].add_(other[begin:end]).mul_(0.5)
            square += float(part.dot(part))
        shared.norm[self.rank] = square
        self.barrier.wait()
        norm = math.sqrt(float(shared.norm.sum()))
        if not math.isfinite(norm):
            raise RuntimeError(f"step {self.step}: the gradient's norm is {norm}; latest.pt is from before")
        if norm > self.options.clip:
            for begin, end in self.optimizer.parts:
                mine[begin:end].mul_(self.options.clip / norm)
        self.optimizer.step(rate)
        if self.rank == 0 and progress < 0.96:  # balancing without a loss: towards experts with less than the mean load
            load = (shared.counts[0] + shared.counts[1])[model.moe_layers]
            shared.bias[model.moe_layers] += self.options.bias_speed * torch.sign(load.mean(-1, keepdim=True) - load)
        self.step += 1
        self.barrier.wait()
        return losses, norm, rate

    def averaged(self, values):
        """The mean over both ranks of a list of numbers."""
        self.shared.numbers[self.rank, :len(values)] = torch.tensor(values)
        self.barrier.wait()
        mean = self.shared.numbers[:, :len(values)].mean(0).tolist()
        self.barrier.wait()
        return mean

    def run(self):
        saved = reported = time.time()
        first, sums, steps = self.step, None, 0
        while True:
            if self.rank == 0:
                self.shared.progress[0] = STOP if self.stopping else self.step / self.total_steps
            self.barrier.wait()
            progress = float(self.shared.progress)
            if progress == STOP or progress >= 1:
                break
            losses, norm, rate = self.train_step(progress)
            sums, steps = np.add(losses + [norm], sums if steps else 0), steps + 1
            evaluate = self.step % self.options.evaluate_every == 0 or self.step == self.total_steps
            if evaluate or self.step % REPORT_STEPS == 0:
                means = self.averaged((sums / steps).tolist())
                speed = steps * self.options.batch * self.options.window / (time.time() - reported)
                scores = self.averaged(held_out(self.model, self.streams, self.rank, self.options)) if evaluate else []
                if self.rank == 0:
                    self.report(rate, speed, means, scores)
                steps, reported = 0, time.time()
            if self.rank == 0 and time.time() - saved > SAVE_SECONDS:
                self.save()
                saved = time.time()
        if self.rank == 0:
            if self.step > first:
                self.save()
            print("stopped" if progress == STOP else "done", "at step", self.step, flush=True)

    @property
    def tokens(self):
        """Tokens seen, those of the checkpoint it started from included."""
        return self.options.tokens_before + self.step * self.options.batch * self.options.window

    def report(self, rate, speed, means, scores):
        load = (self.shared.counts[0] + self.shared.counts[1])[self.model.moe_layers]
        peak = float((load.max(-1)[0] / load.mean(-1)).mean())
        row = [self.step, self.tokens, f"{rate:.2e}", f"{speed:.0f}", f"{peak:.2f}"] + [f"{x:.4f}" for x in means + scores]
        path = os.path.join(self.options.work, "loss.csv")
        new = not os.path.exists(path)
        with open(path, "a") as file:
            if new:
                names = ["main", "mtp", "balance", "norm"]
                per_domain = ["main", "mtp"] + [f"accept_{d + 1}" for d in range(DRAFTS)]
                names += [f"{domain}_{x}" for domain in DOMAINS for x in per_domain]
                file.write(",".join(["step", "tokens", "rate", "tokens_per_second", "peak_load"] + names) + "\n")
            file.write(",".join(map(str, row)) + "\n")
        print(" ".join(map(str, row)), flush=True)

    def save(self):
        """Atomic: the file is complete under another name before it takes the place of the last one."""
        path = os.path.join(self.options.work, "latest.pt")
        torch.save(dict(config=self.config, flat=self.shared.flat, bias=self.shared.bias, moments=self.shared.moments,
                        step=self.step, tokens=self.tokens, options=vars(self.options)), path + ".new")
        os.replace(path + ".new", path)


def worker(rank, *arguments):
    try:
        Trainer(rank, *arguments).run()
    except BaseException:
        arguments[3].abort()  # so that the other process ends too
        raise


def start(options):
    os.makedirs(options.work, exist_ok=True)
    latest = os.path.join(options.work, "latest.pt")
    source = latest if os.path.exists(latest) else options.init
    checkpoint = torch.load(source, weights_only=True) if source else None
    if checkpoint:
        config = checkpoint["config"]
    elif options.config:
        with open(options.config) as file:
            config = json.load(file)
    else:
        config = CONFIG
    model, first_step, options.tokens_before = Model(config), 0, 0
    model.initialise(options.seed)
    if checkpoint:
        model.flat.copy_(checkpoint["flat"])
        model.bias.copy_(checkpoint["bias"])
        options.tokens_before = checkpoint["tokens"]
    shared = Shared(model)
    if source == latest:
        before = checkpoint["options"]
        first_step, options.tokens_before = checkpoint["step"], before["tokens_before"]
        for name in ("window", "batch"):  # the position in the text counts in these
            if getattr(options, name) != before[name]:
                raise SystemExit(f"{latest} was trained with --{name} {before[name]}, not {getattr(options, name)}")
        for moment, kept in zip(shared.moments, checkpoint["moments"]):
            moment.copy_(kept)
    print(f"{model.n:,} parameters from {source or 'a random start'}, step {first_step}", flush=True)
    context = mp.get_context("spawn")
    arguments = (options, config, shared, context.Barrier(RANKS), first_step)
    processes = mp.start_processes(worker, arguments, nprocs=RANKS, join=False, start_method="spawn")
    while not shared.ready.all():  # before, a signal to stop would kill them
        processes.join(timeout=0.2, grace_period=GRACE_SECONDS)
    pids = options.pids or os.path.join(options.work, "pids")
    with open(pids, "w") as file:
        file.write("".join(f"{pid}\n" for pid in processes.pids()))

    def stop(*_):
        for pid in processes.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        while not processes.join(grace_period=GRACE_SECONDS):
            pass
    finally:
        os.remove(pids)
    if float(shared.progress) == STOP:
        sys.exit(STOPPED)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--work", required=True, help="folder with data/; checkpoint, log and pids are written to it")
    add("--tokens", type=int, default=6_000_000, help="length of the run; the rate decays over it")
    add("--init", help="checkpoint to start from (weights and router bias)")
    add("--pids", help="where the processes' ids are written")
    add("--config", help="JSON file with another geometry")
    add("--seed", type=int, default=0)
    add("--window", type=int, default=512)
    add("--batch", type=int, default=8, help="windows a step, both processes together")
    add("--lr", type=float, default=3e-3)
    add("--warmup", type=int, default=100, help="steps")
    add("--decay-from", type=float, default=0.35, help="share of the run after which the rate falls linearly")
    add("--floor", type=float, default=0.02, help="final rate as a share of --lr")
    add("--decay", type=float, default=0.1, help="weight decay")
    add("--clip", type=float, default=1.0)
    add("--bias-speed", type=float, default=1e-3)
    add("--temperature", type=float, default=0.8, help="at which drafts are judged")
    add("--evaluate-every", type=int, default=200, help="steps")
    add("--held-out", type=int, default=8, help="windows a domain")
    options = parser.parse_args()
    if options.batch < 2 or options.batch % RANKS or options.held_out < RANKS or options.warmup < 1:
        parser.error(f"--batch is a multiple of {RANKS}, --held-out at least {RANKS}, --warmup at least 1")
    if options.tokens < options.batch * options.window:
        parser.error(f"--tokens {options.tokens} is less than one step of {options.batch * options.window}")
    start(options)


if __name__ == "__main__":
    main()
