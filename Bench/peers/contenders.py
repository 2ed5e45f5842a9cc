"""Who runs, in which order, and what their runs add up to."""
import time
from dataclasses import replace
from statistics import median
from typing import Any

from engines import CLIENTS, Foretoken, LlamaServer, Peer, ask, complete, others_seconds
from figures import Spread, ratio
from models import Pair
from servers import Server

STEPS = 96
ROWS = [1, 2, 4, 8, 16]
# Texts at once, and the steps of one row of each. Their prompts fill one step of at most 16 rows.
COMPANY, COMPANY_STEPS, WINDOW = [4, 16], 32, 16
SERVED_PROMPT = 32
STORED, INT8, AUTO = "Foretoken, as stored", "Foretoken, int8", "Foretoken, --draft auto"
LLAMA, LLAMA_MTP = "llama.cpp", "llama.cpp, MTP"
DRAFTS = [1, 2, 3]
DECODE, PROMPT = "decoding", "prompt"


def clients(count: int) -> str:
    return f"server, {count} client{'s' if count > 1 else ''}"


def _together(timings: list[dict[str, Any]]) -> float:
    """Tokens a second of several answers. A prompt's last row gives the first token, so that 97 tokens are 96 steps."""
    return sum(t["predicted_n"] - 1 for t in timings) / sum(t["predicted_ms"] for t in timings) * 1000


class Contest:
    """All contenders on one model. Every run is a process of its own: it loads, warms up, then measures."""

    def __init__(self, ours: Foretoken, peers: list[Peer], text: list[int], prompts: list[list[int]], pair: Pair) -> None:
        self.peers, self.text, self.prompts, self.pair = {peer.name: peer for peer in peers}, text, prompts, pair
        self.ours = {STORED: ours, INT8: replace(ours, weights="int8")}
        self.server = LlamaServer(pair.folder, pair.gguf.parent, ours.threads)
        self.baselines = [*self.peers, *([LLAMA_MTP] if pair.module else [])]
        self.contenders = [*self.baselines, *self.ours, *([AUTO] if pair.mtp_modules else [])]
        self.company = {size: [text[i * 61 : i * 61 + WINDOW // size] for i in range(size)] for size in COMPANY}
        self.served = [text[i * 61 : i * 61 + SERVED_PROMPT] for i in range(max(CLIENTS))]
        # Whether servers are asked, too.
        self.serving = True
        self.benches: dict[str, dict[str, Any]] = {}
        # By peer and kind of work: flash attention or not; and the speeds that decided it.
        self.flash: dict[str, dict[str, bool]] = {}
        self.trials: dict[str, dict[str, float]] = {name: {} for name in self.baselines}
        # By contender and measure, a value for each round; and the time steps of several rows over one of one.
        self.runs: dict[str, dict[str, list[float]]] = {name: {} for name in self.contenders}
        self.widths: dict[str, dict[str, list[float]]] = {name: {} for name in self.peers}
        # Drafted and accepted tokens.
        self.drafts: dict[str, list[tuple[int, int]]] = {}
        # Answers to several clients that were those to the same request alone, and how many were compared.
        self.identical: dict[str, tuple[int, int]] = {}
        # Cores that other processes kept busy meanwhile.
        self.others: dict[str, list[float]] = {name: [] for name in self.contenders}
        self.draft = 0

    def weigh(self, seconds: int) -> None:
        """The read roof, the bytes of one token, T(rows)."""
        self.benches = {name: engine.bench(seconds) for name, engine in self.ours.items()}

    def choose(self) -> None:
        """Each peer's better attention for each kind of work, whether it repacks its weights where it leaves the choice, and
        how many tokens llama.cpp drafts."""
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

        if self.pair.module:
            for draft in DRAFTS:
                with self._llama_server(draft) as server:
                    timings = [complete(server, prompt, STEPS // 2) for prompt in [self.prompts[0][:32], *self.prompts[:2]]][1:]
                self.trials[LLAMA_MTP][str(draft)] = _together(timings)
            self.draft = int(max(self.trials[LLAMA_MTP], key=self.trials[LLAMA_MTP].get))

    def _llama_server(self, draft: int) -> Server:
        """Without a draft, plain decoding."""
        drafting = replace(self.server, module=self.pair.module, draft=draft) if draft else self.server
        return Server(drafting.command(), "llama.cpp's server")

    def _try(self, peer: Peer) -> dict[str, tuple[float, float]]:
        """Speeds without and with flash attention, from runs in turns in one process."""
        work = {DECODE: {"kind": "generate", "prompt": self.prompts[0], "steps": 32},
                PROMPT: {"kind": "prompt", "prompt": self.text[:256]}}
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
            elif name != LLAMA_MTP:
                self._run_ours(name)
            self._run_server(name)
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
        self._add(name, DECODE, _together(decoded))
        if drafting:
            self._add_drafts(name, decoded)
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

    def _run_server(self, name: str) -> None:
        """llama.cpp's, and Foretoken's with and without drafts. With its module llama.cpp decodes in its server alone."""
        ours = self.ours[STORED]
        if name == LLAMA_MTP:
            server = self._llama_server(self.draft)
        elif name not in (LLAMA, STORED, AUTO) or not self.serving:
            return
        else:
            server = self._llama_server(0) if name == LLAMA else Server(ours.server("auto" if name == AUTO else "off"), name)
        with server:
            if name == LLAMA_MTP:
                decoded = [complete(server, p, n) for p, n in
                           [(self.prompts[0][:32], 8), *((prompt, STEPS + 1) for prompt in self.prompts)]][1:]
                self._add(name, DECODE, _together(decoded))
                self._add_drafts(name, decoded)
            if self.serving:
                for level in ask(ours.program, server, self.served):
                    self._add(name, clients(level["concurrency"]), level["tokens_per_second"])
                    same, compared = self.identical.get(name, (0, 0))
                    equality = level["equality"]
                    self.identical[name] = same + equality["identical"], compared + equality["compared"]

    def _add_drafts(self, name: str, timings: list[dict[str, Any]]) -> None:
        counts = (sum(t["draft_n"] for t in timings), sum(t["draft_n_accepted"] for t in timings))
        self.drafts.setdefault(name, []).append(counts)

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
                others = {peer: self.runs[peer][measure] for peer in self.baselines if measure in self.runs[peer]}
                speeds[measure][name] = {"tokens_per_second": Spread.of(values).json(),
                                         "over": {peer: ratio(values, theirs).json() for peer, theirs in others.items()}}
            if name not in (AUTO, LLAMA_MTP):
                speed = speeds[DECODE][name]["tokens_per_second"]["median"] * self._bytes(name)
                speeds[DECODE][name] |= {"bytes_per_token": self._bytes(name), "bytes_per_second": speed, "roof_share": speed / roof}
        for name, drafts in self.drafts.items():
            off = self.runs[LLAMA if name == LLAMA_MTP else STORED][DECODE]
            speeds[DECODE][name] |= {"over_off": ratio(self.runs[name][DECODE], off).json(), "drafts": list(drafts)}
        settings = {name: {"load": peer.load, "flash attention": self.flash[name], "trials, tokens/s": self.trials[name]}
                    for name, peer in self.peers.items()}
        if self.draft:
            settings[LLAMA_MTP] = {"tokens drafted": self.draft, "trials, tokens/s": self.trials[LLAMA_MTP]}
        return {"settings": settings, "speeds": speeds, "prompt_tokens": len(self.text), "widths": self._widths(),
                "identical answers": dict(self.identical),
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
