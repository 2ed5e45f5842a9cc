"""What a token costs more from a server than from `generate`: the same prompts, one client, one worker each, the client on
another core than the worker."""
import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

from servers import Server

ROUNDS = 3


def _generate(command: list[str], prompts: Path, tokens: int) -> float:
    """Milliseconds of a token after the first, the median over the prompts."""
    lines = subprocess.run(
        [*command, "--input-file", str(prompts), "--parallel", "1", "--max-tokens", str(tokens), "--ignore-eos", "--json"],
        text=True, capture_output=True, check=True).stdout.splitlines()
    timings = [json.loads(line)["timings"] for line in lines]
    return statistics.median(t["predicted_ms"] / (t["predicted_n"] - 1) for t in timings)


def measure(program: str, model: list[str], prompts: Path, folder: Path, quick: bool) -> dict[str, Any]:
    """Both take turns; figures are medians of rounds."""
    count, tokens = (4, 48) if quick else (8, 96)
    few = folder / "few.jsonl"
    few.write_text("".join(line + "\n" for line in prompts.read_text().splitlines()[:count]))
    one = ["--threads", "1", "--draft", "off", *model]
    cores = sorted(os.sched_getaffinity(0))
    # Workers take the first core.
    client = ["taskset", "-c", str(cores[-1])] if len(cores) > 1 else []
    file = folder / "overhead.json"
    own, served = [], []
    with Server([program, "serve", "--port", "0", *one], "foretoken serve") as server:
        for _ in range(1 if quick else ROUNDS):
            own.append(_generate([program, "generate", *one], few, tokens))
            subprocess.run(
                [*client, program, "bench", "--serve", server.url, "--trials", "levels", "--concurrency", "1",
                 "--requests", str(count), "--max-tokens", str(tokens), "--prompts", str(few), "--json-out", str(file)],
                check=True, stdout=subprocess.DEVNULL)
            served.append(json.loads(file.read_text())["levels"][0]["per_token"]["p50"])
    ratios = [theirs / ours for ours, theirs in zip(own, served)]
    return {"generate_ms": statistics.median(own), "served_ms": statistics.median(served),
            "ratio": statistics.median(ratios), "ratios": ratios}
