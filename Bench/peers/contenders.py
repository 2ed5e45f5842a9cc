"""Who runs, in which order, and what their runs add up to."""
import time
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from engines import UBATCH, Foretoken, Llama, others_seconds
from figures import Spread, ratio
from models import Pair

STEPS = 128
ROWS = [1, 2, 4, 8]
THEIRS = "llama.cpp Q8_0"
STORED, INT8, AUTO = "Foretoken, as stored", "Foretoken, int8", "Foretoken, --draft auto"


@dataclass
class Runs:
    """What one contender measured, a value for each round."""
    decode: list[float] = field(default_factory=list)
    prompt: list[float] = field(default_factory=list)
    widths: dict[str, list[float]] = field(default_factory=dict)
    # Tokens drafted and accepted.
    drafts: list[tuple[int, int]] = field(default_factory=list)
    # Cores that other processes kept busy meanwhile.
    others: list[float] = field(default_factory=list)


class Contest:
    """All contenders on one model. Every run is a process of its own: it loads, warms up, then measures."""

    def __init__(self, ours: Foretoken, theirs: Llama, text: list[int], prompts: list[list[int]], pair: Pair) -> None:
        self.ours, self.theirs, self.text, self.prompts, self.pair = ours, theirs, text, prompts, pair
        self.benches: dict[str, dict[str, Any]] = {}
        self.flash = {"generate": False, "prompt": False}
        self.trials: dict[str, dict[str, float]] = {}
        self.system = ""
        self.runs: dict[str, Runs] = {}
        self.variants = {STORED: ours, INT8: replace(ours, weights="int8")}

    def weigh(self, seconds: int) -> None:
        """The read roof, the bytes of one token, T(rows); and whether there is an instruction set above AVX2 to leave out."""
        self.benches = {weights: replace(self.ours, weights=weights).bench(seconds) for weights in ("stored", "int8")}
        if not self.ours.isa and self.benches["stored"]["subject"]["instruction_set"] != "avx2":
            self.variants |= {f"{name}, avx2": replace(engine, isa="avx2") for name, engine in self.variants.items()}

    def choose(self) -> None:
        """llama.cpp's better attention for each kind of work, from runs in turns in one process."""
        tasks = [self._warm_up()]
        for _ in range(2):
            for flash in (False, True):
                tasks.append({"kind": "generate", "prompt": self.prompts[0], "steps": 48, "flash": flash})
        for _ in range(2):
            for flash in (False, True):
                tasks.append({"kind": "prompt", "prompt": self.text, "flash": flash})
        done = self.theirs.run(tasks)
        self.system = done["system"]
        speeds: dict[str, dict[bool, list[float]]] = {kind: {False: [], True: []} for kind in self.flash}
        for task, result in list(zip(tasks, done["results"]))[1:]:
            speeds[task["kind"]][task["flash"]].append(result["steps"] / result["seconds"])
        for kind, by_flash in speeds.items():
            self.flash[kind] = median(by_flash[True]) > median(by_flash[False])
            self.trials[kind] = {f"flash {'on' if on else 'off'}": median(values) for on, values in by_flash.items()}

    def run(self, turn: int) -> None:
        """Every contender once; whoever was first goes last in the next round."""
        order = [THEIRS, *self.variants, *([AUTO] if self.pair.mtp_modules else [])]
        turn %= len(order)
        for name in order[turn:] + order[:turn]:
            runs = self.runs.setdefault(name, Runs())
            start, others = time.monotonic(), others_seconds()
            if name == THEIRS:
                self._run_theirs(runs)
            elif name == AUTO:
                self._run_ours(runs, self.ours, "auto")
            else:
                self._run_ours(runs, self.variants[name], "off")
            runs.others.append((others_seconds() - others) / (time.monotonic() - start))

    def _warm_up(self) -> dict[str, Any]:
        return {"kind": "generate", "prompt": self.prompts[0][:32], "steps": 8}

    def _run_ours(self, runs: Runs, engine: Foretoken, draft: str) -> None:
        jobs = [(self.prompts[0][:32], 8)] + [(prompt, STEPS + 1) for prompt in self.prompts]
        if draft == "off":
            jobs.append((self.text, 1))
        timings = [answer["timings"] for answer in engine.generate(jobs, draft)][1:]
        decoded = timings[: len(self.prompts)]
        # The prompt's last row gives the first token, so that 129 tokens are 128 steps.
        runs.decode.append(sum(t["predicted_n"] - 1 for t in decoded) / sum(t["predicted_ms"] for t in decoded) * 1000)
        if draft != "off":
            runs.drafts.append((sum(t["draft_n"] for t in decoded), sum(t["draft_n_accepted"] for t in decoded)))
        else:
            runs.prompt.append(timings[-1]["prompt_per_second"])

    def _run_theirs(self, runs: Runs) -> None:
        tasks = [self._warm_up()]
        tasks += [{"kind": "generate", "prompt": p, "steps": STEPS, "flash": self.flash["generate"]} for p in self.prompts]
        tasks.append({"kind": "prompt", "prompt": self.text, "flash": self.flash["prompt"]})
        tasks.append({"kind": "widths", "prompt": self.text[:128], "text": self.text[128:], "rows": ROWS, "repeats": 8,
                      "flash": self.flash["generate"]})
        *decoded, whole, wide = self.theirs.run(tasks)["results"][1:]
        runs.decode.append(sum(d["steps"] for d in decoded) / sum(d["seconds"] for d in decoded))
        runs.prompt.append(whole["steps"] / whole["seconds"])
        for rows, times in wide["times"].items():
            runs.widths.setdefault(rows, []).append(median(times) / median(wide["times"]["1"]))

    def _bytes(self, name: str) -> int:
        if name == THEIRS:
            return self.pair.gguf_bytes_per_token
        return self.benches["int8" if name.startswith(INT8) else "stored"]["subject"]["bytes_per_step"]

    def results(self) -> dict[str, Any]:
        roof = max(point["per_second"] for point in self.benches["stored"]["roofs"]["read"])
        decode, prompt, theirs = {}, {}, self.runs[THEIRS]
        for name, runs in self.runs.items():
            decode[name] = {"tokens_per_second": Spread.of(runs.decode).json(),
                            "over_llama.cpp": ratio(runs.decode, theirs.decode).json()}
            if name == AUTO:
                decode[name] |= {"over_off": ratio(runs.decode, self.runs[STORED].decode).json(), "drafts": list(runs.drafts)}
            else:
                speed = decode[name]["tokens_per_second"]["median"] * self._bytes(name)
                decode[name] |= {"bytes_per_token": self._bytes(name), "bytes_per_second": speed, "roof_share": speed / roof}
            if runs.prompt:
                prompt[name] = {"tokens_per_second": Spread.of(runs.prompt).json(),
                                "over_llama.cpp": ratio(runs.prompt, theirs.prompt).json()}
        widths = {"llama.cpp": {rows: Spread.of(runs).json() for rows, runs in theirs.widths.items()}, **self._our_widths()}
        settings = {"ubatch": UBATCH, "mmap": False, "cache": "F16", "threads pinned": True, "trials, tokens/s": self.trials,
                    "flash": self.flash}
        return {"settings of llama.cpp": settings, "decode": decode, "prompt": prompt, "prompt_tokens": len(self.text),
                "widths": widths, "cores taken by others": {name: list(runs.others) for name, runs in self.runs.items()}}

    def _our_widths(self) -> dict[str, Any]:
        """T(rows)/T(1) as `foretoken bench` measured it, beside the bytes that the same steps touch."""
        found: dict[str, Any] = {}
        for weights, bench in self.benches.items():
            # The first context length is the short one; a bench that ran out of time has none.
            points = {str(p["rows"]): p for steps in bench["steps"][:1] for p in steps["points"]}
            found[f"foretoken {weights}"] = {rows: points[rows]["relative"] for rows in map(str, ROWS) if rows in points}
            found["bytes"] = {rows: points[rows]["relative_bytes"] for rows in map(str, ROWS) if rows in points}
        return found
