"""The engines as processes: what to run goes in, what they measured with their own clocks comes out."""
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import Server

HERE = Path(__file__).resolve().parent
# Foretoken pins its threads; those of the others, which OpenMP runs, are pinned the same way.
PINNED = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
CLIENTS = [1, 4, 16]
ANSWER = 32


class EngineError(Exception):
    """An engine failed; the text holds what it said."""


def others_seconds() -> float:
    """Processor seconds since the start of the machine that went to anything but this process and its finished children,
    those that the hypervisor kept included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    used = os.times()
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - sum(used[:4])


def _output(command: list[str], text: str | None = None, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, input=text, text=True, capture_output=True, env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        raise EngineError(f"{Path(command[0]).name} {command[1]} failed ({done.returncode}):\n{done.stderr.strip()[-2000:]}")
    return done.stdout


@dataclass(frozen=True)
class Foretoken:
    """One way to run Foretoken on one checkpoint."""
    program: Path
    model: Path
    threads: int
    weights: str = "stored"
    isa: str | None = None

    def _command(self, verb: str, *arguments: str) -> list[str]:
        isa = ["--isa", self.isa] if self.isa else []
        return [str(self.program), verb, "--model", str(self.model), "--threads", str(self.threads), "--weights", self.weights,
                *isa, *arguments]

    def generate(self, prompts: list[tuple[list[int], int]], draft: str = "off", parallel: int = 1) -> list[dict[str, Any]]:
        """Greedy answers to (prompt, number of tokens) in one load, each with its timings."""
        lines = "\n".join(json.dumps({"prompt_tokens": tokens, "max_tokens": count}) for tokens, count in prompts)
        command = self._command("generate", "--input-file", "-", "--ignore-eos", "--draft", draft, "--parallel", str(parallel))
        return [json.loads(line) for line in _output(command, lines).splitlines()]

    def company(self, prompts: list[list[int]], steps: int) -> float:
        """Tokens a second of several texts at once. Their prompts fill one step, so that they begin and end nearly together."""
        answers = self.generate([(prompt, steps + 1) for prompt in prompts], parallel=len(prompts))
        return sum((a["timings"]["predicted_n"] - 1) / a["timings"]["predicted_ms"] * 1000 for a in answers)

    def score(self, tokens: list[int]) -> dict[str, Any]:
        return json.loads(_output(self._command("score", "--tokens", ",".join(map(str, tokens)), "--json")))

    def tokens(self, text: str) -> list[int]:
        return json.loads(_output(self._command("score", "--text-file", "-", "--json"), text))["tokens"]

    def bench(self, seconds: int) -> dict[str, Any]:
        return json.loads(_output(self._command("bench", "--seconds", str(seconds), "--json")))

    def server(self, draft: str) -> list[str]:
        return self._command("serve", "--port", "0", "--draft", draft, "--parallel", str(max(CLIENTS)))


@dataclass(frozen=True)
class Peer:
    """Another engine on one GGUF file, weights in anonymous memory; `load` is what bindings.py wants to know at loading."""
    name: str
    model: Path
    threads: int
    load: dict[str, Any]

    def run(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._ask([{"flash": False, **task} for task in tasks])["results"]

    def system(self) -> str:
        """What the engine says of its instruction sets."""
        return self._ask([])["system"]

    def _ask(self, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        job = {"library": self.name, "model": str(self.model), "threads": self.threads, "load": self.load, "tasks": tasks}
        return json.loads(_output([sys.executable, str(HERE / "llama.py")], json.dumps(job), PINNED))


@dataclass(frozen=True)
class LlamaServer:
    """llama.cpp's own server, on the GGUF file that `store` holds of a checkpoint; with a module it drafts with that."""
    model: Path
    store: Path
    threads: int
    module: Path | None = None
    draft: int = 0

    def command(self) -> list[str]:
        module = ["--module", str(self.module), "--draft", str(self.draft)] if self.module else []
        return [sys.executable, str(HERE.parent / "serve/peer.py"), "--model", str(self.model), "--cache", str(self.store),
                "--parallel", str(max(CLIENTS)), "--threads", str(self.threads), "--forget-prompts", *module]


def complete(server: Server, prompt: list[int], count: int) -> dict[str, Any]:
    """What llama.cpp's server says of the time of one greedy answer."""
    body = {"prompt": prompt, "n_predict": count, "temperature": 0, "ignore_eos": True}
    request = urllib.request.Request(f"{server.url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)["timings"]
    except (urllib.error.URLError, KeyError, ValueError) as error:
        raise EngineError(f"{server.name} does not answer: {error}") from error


def ask(program: Path, server: Server, prompts: list[list[int]]) -> list[dict[str, Any]]:
    """Lets `foretoken bench --serve` ask a server: what it found with each number of clients."""
    with tempfile.TemporaryDirectory() as folder:
        lines, figures = Path(folder) / "prompts.jsonl", Path(folder) / "figures.json"
        lines.write_text("".join(json.dumps({"prompt_tokens": prompt}) + "\n" for prompt in prompts))
        _output([str(program), "bench", "--serve", server.url, "--trials", "levels", "--prompts", str(lines),
                 "--prompt-tokens", str(len(prompts[0])), "--requests", str(len(prompts)), "--max-tokens", str(ANSWER),
                 "--concurrency", ",".join(map(str, CLIENTS)), "--json-out", str(figures)])
        return json.loads(figures.read_text())["levels"]
