"""Who runs, in which order, and what their runs add up to."""
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from engines import Foretoken, Peer, ask, llama_server, others_seconds
from figures import Spread, ratio
from models import Pair

STEPS = 96
ROWS = [1, 2, 4, 8, 16]
# Texts at once, and the steps of one row of each. Their prompts fill one step of at most 16 rows.
COMPANY, COMPANY_STEPS, WINDOW = [4, 16], 48, 16
SERVED_PROMPT = 64
STORED, INT8, AUTO = "Foretoken, as stored", "Foretoken, int8", "Foretoken, --draft auto"
DECODE, PROMPT = "decoding", "prompt"


def clients(count: int) -> str:
    return f"server, {count} client{'s' if count > 1 else ''}"


class Contest:
    """All contenders on one model. Every run is a process of its own: it loads, warms up, then measures."""

    def __init__(self, ours: Foretoken, peers: list[Peer], text: list[int], prompts: list[list[int]], pair: Pair) -> None:
        self.peers, self.text, self.prompts, self.pair = {peer.name: peer for peer in peers}, text, prompts, pair
        self.ours = {STORED: ours, INT8: replace(ours, weights="int8")}
        self.contenders = [*self.peers, *self.ours, *([AUTO] if pair.mtp_modules else [])]
        self.company = {size: [text[i * 61 : i * 61 + WINDOW // size] for i in range(size)] for size in COMPANY}
        self.served = [text[i : i + SERVED_PROMPT] for i in range(0, len(text) - SERVED_PROMPT + 1, SERVED_PROMPT)]
        # Where the servers' model file is; None leaves servers out.
        self.store: Path | None = None
        self.benches: dict[str, dict[str, Any]] = {}
        # By peer and kind of work: flash attention or not; and the speeds that decided it.
        self.flash: dict[str, dict[str, bool]] = {}
        self.trials: dict[str, dict[str, float]] = {name: {} for name in self.peers}
        # By contender and measure, a value for each round; and the time steps of several rows over one of one.
        self.runs: dict[str, dict[str, list[float]]] = {name: {} for name in self.contenders}
        self.widths: dict[str, dict[str, list[float]]] = {name: {} for name in self.peers}
        self.drafts: list[tuple[int, int]] = []
        # Cores that other processes kept busy meanwhile.
        self.others: dict[str, list[float]] = {name: [] for name in self.contenders}

    def weigh(self, seconds: int) -> None:
        """The read roof, the bytes of one token, T(rows)."""
        self.benches = {name: engine.bench(seconds) for name, engine in self.ours.items()}

    def choose(self) -> None:
        """Each peer's better attention for each kind of work, and whether it repacks its weights where it leaves the choice."""
        for name, peer in self.peers.items():
            loads = [peer.load | {"repack": repack} for repack in (False, True)] if "repack" in peer.load else [peer.load]
            found = [(self._try(replace(peer, load=load)), load) for load in loads]
            speeds, load = max(found, key=lambda pair: max(pair[0][DECODE]) * max(pair[0][PROMPT]))
            self.peers[name] = replace(peer, load=load)
            self.flash[name] = {kind: on > off for kind, (off, on) in speeds.items()}
            for tried, with_load in found:
                packed = ", repacked" if with_load.get("repack") else ""
                for kind, pair in tried.items():
                    self.trials[name] |= {f"{kind}, flash attention {state}{packed}": speed
                                          for state, speed in zip(("off", "on"), pair)}

    def _try(self, peer: Peer) -> dict[str, tuple[float, float]]:
        """Speeds without and with flash attention, from runs in turns in one process."""
        work = {DECODE: {"kind": "generate", "prompt": self.prompts[0], "steps": 32},
                PROMPT: {"kind": "prompt", "prompt": self.text[:512]}}
        tasks = [(kind, task | {"flash": flash}) for kind, task in work.items() for _ in range(2) for flash in (False, True)]
        results = peer.run([self._warm_up(), *(task for _, task in tasks)])[1:]
        speeds = {kind: [r["steps"] / r["seconds"] for (k, _), r in zip(tasks, results) if k == kind] for kind in work}
        return {kind: (median(values[0::2]), median(values[1::2])) for kind, values in speeds.items()}

    def run(self, turn: int) -> None:
        """Every contender once; whoever was first goes last in the next round."""
        turn %= len(self.contenders)
        for name in self.contenders[turn:] + self.contenders[:turn]:
            start, others = time.monotonic(), others_seconds()
            if name in self.peers:
                self._run_peer(name)
            else:
                self._run_ours(name)
            self._serve(name)
            self.others[name].append((others_seconds() - others) / (time.monotonic() - start))

    def _warm_up(self) -> dict[str, Any]:
        return {"kind": "generate", "prompt": self.prompts[0][:32], "steps": 8}

    def _add(self, name: str, measure: str, value: float) -> None:
        self.runs[name].setdefault(measure, []).append(value)

    def _run_ours(self, name: str) -> None:
        engine, drafting = self.ours.get(name, self.ours[STORED]), name == AUTO
        jobs = [(self.prompts[0][:32], 8)] + [(prompt, STEPS + 1) for prompt in self.prompts]
        if not drafting:
            jobs.append((self.text, 1))
        timings = [answer["timings"] for answer in engine.generate(jobs, "auto" if drafting else "off")][1:]
        decoded = timings[: len(self.prompts)]
        # The prompt's last row gives the first token, so that 97 tokens are 96 steps.
        self._add(name, DECODE, sum(t["predicted_n"] - 1 for t in decoded) / sum(t["predicted_ms"] for t in decoded) * 1000)
        if drafting:
            self.drafts.append((sum(t["draft_n"] for t in decoded), sum(t["draft_n_accepted"] for t in decoded)))
            return
        self._add(name, PROMPT, timings[-1]["prompt_per_second"])
        for size, prompts in self.company.items():
            self._add(name, f"{size} texts at once", engine.company(prompts, COMPANY_STEPS))

    def _run_peer(self, name: str) -> None:
        flash = self.flash[name]
        decoding, reading = {"flash": flash[DECODE]}, {"flash": flash[PROMPT]}
        tasks = [self._warm_up() | decoding]
        tasks += [{"kind": "generate", "prompt": p, "steps": STEPS} | decoding for p in self.prompts]
        tasks.append({"kind": "prompt", "prompt": self.text} | reading)
        tasks.append({"kind": "widths", "prompt": self.text[:128], "text": self.text[128:], "rows": ROWS, "repeats": 6} | decoding)
        tasks += [{"kind": "company", "prompts": prompts, "steps": COMPANY_STEPS} | decoding for prompts in self.company.values()]
        results = self.peers[name].run(tasks)[1:]
        decoded, (whole, wide, *together) = results[: len(self.prompts)], results[len(self.prompts) :]
        self._add(name, DECODE, sum(d["steps"] for d in decoded) / sum(d["seconds"] for d in decoded))
        self._add(name, PROMPT, whole["steps"] / whole["seconds"])
        for rows, times in wide["times"].items():
            self.widths[name].setdefault(rows, []).append(median(times) / median(wide["times"]["1"]))
        for size, found in zip(self.company, together, strict=True):
            self._add(name, f"{size} texts at once", found["steps"] / found["seconds"])

    def _serve(self, name: str) -> None:
        """Those that have a server: llama.cpp, and Foretoken with and without drafts."""
        ours = self.ours[STORED]
        if self.store is None or name not in ("llama.cpp", STORED, AUTO):
            return
        command = llama_server(self.pair.folder, self.store, ours.threads) if name in self.peers \
            else ours.server("auto" if name == AUTO else "off")
        for count, speed in ask(ours.program, command, name, self.served).items():
            self._add(name, clients(count), speed)

    def _bytes(self, name: str) -> int:
        if name in self.peers:
            return self.pair.gguf_bytes_per_token
        return self.benches[name]["subject"]["bytes_per_step"]

    def results(self) -> dict[str, Any]:
        roof = max(point["per_second"] for point in self.benches[STORED]["roofs"]["read"])
        measures = dict.fromkeys(measure for runs in self.runs.values() for measure in runs)
        speeds: dict[str, Any] = {measure: {} for measure in measures}
        for name, runs in self.runs.items():
            for measure, values in runs.items():
                others = {peer: self.runs[peer][measure] for peer in self.peers if measure in self.runs[peer]}
                speeds[measure][name] = {"tokens_per_second": Spread.of(values).json(),
                                         "over": {peer: ratio(values, theirs).json() for peer, theirs in others.items()}}
            if name != AUTO:
                speed = speeds[DECODE][name]["tokens_per_second"]["median"] * self._bytes(name)
                speeds[DECODE][name] |= {"bytes_per_token": self._bytes(name), "bytes_per_second": speed, "roof_share": speed / roof}
        if self.drafts:
            off = self.runs[STORED][DECODE]
            speeds[DECODE][AUTO] |= {"over_off": ratio(self.runs[AUTO][DECODE], off).json(), "drafts": list(self.drafts)}
        settings = {name: {"load": peer.load, "flash attention": self.flash[name], "trials, tokens/s": self.trials[name]}
                    for name, peer in self.peers.items()}
        return {"settings": settings, "speeds": speeds, "prompt_tokens": len(self.text), "widths": self._widths(),
                "cores taken by others": {name: list(values) for name, values in self.others.items()}}

    def _widths(self) -> dict[str, Any]:
        """T(rows)/T(1): of ours as `foretoken bench` measured it, beside the bytes that the same steps touch."""
        found: dict[str, Any] = {name: {rows: Spread.of(runs).json() for rows, runs in widths.items()}
                                 for name, widths in self.widths.items()}
        for name, bench in self.benches.items():
            # The first context length is the short one; a bench that ran out of time has none.
            points = {str(p["rows"]): p for steps in bench["steps"][:1] for p in steps["points"]}
            found[name] = {rows: points[rows]["relative"] for rows in map(str, ROWS) if rows in points}
            found["bytes"] = {rows: points[rows]["relative_bytes"] for rows in map(str, ROWS) if rows in points}
        return found
