"""Both engines as processes: what to run goes in, what they measured with their own clocks comes out."""
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Foretoken pins its threads; llama.cpp's, which OpenMP runs, are pinned the same way.
PINNED = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
UBATCH = 512


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

    def _run(self, verb: str, *arguments: str, text: str | None = None) -> str:
        isa = ["--isa", self.isa] if self.isa else []
        return _output([str(self.program), verb, "--model", str(self.model), "--threads", str(self.threads),
                        "--weights", self.weights, *isa, *arguments], text)

    def generate(self, prompts: list[tuple[list[int], int]], draft: str = "off") -> list[dict[str, Any]]:
        """Greedy answers to (prompt, number of tokens) in one load, each with its timings."""
        lines = "\n".join(json.dumps({"prompt_tokens": tokens, "max_tokens": count}) for tokens, count in prompts)
        return [json.loads(line) for line in
                self._run("generate", "--input-file", "-", "--ignore-eos", "--draft", draft, text=lines).splitlines()]

    def score(self, tokens: list[int]) -> dict[str, Any]:
        return json.loads(self._run("score", "--tokens", ",".join(map(str, tokens)), "--json"))

    def tokens(self, text: str) -> list[int]:
        return json.loads(self._run("score", "--text-file", "-", "--json", text=text))["tokens"]

    def bench(self, seconds: int) -> dict[str, Any]:
        return json.loads(self._run("bench", "--seconds", str(seconds), "--json"))


@dataclass(frozen=True)
class Llama:
    """llama.cpp on one GGUF file, weights in anonymous memory."""
    model: Path
    threads: int

    def run(self, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        job = {"model": str(self.model), "threads": self.threads, "mmap": False,
               "tasks": [{"ubatch": UBATCH, "flash": False, **task} for task in tasks]}
        return json.loads(_output([sys.executable, str(HERE / "llama.py")], json.dumps(job), PINNED))
