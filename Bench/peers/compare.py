"""The comparison: models, agreement, llama.cpp's better setting, then runs in turns."""
import datetime
import hashlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import agreement
import report
from checkpoint import CheckpointError
from contenders import Contest
from engines import EngineError, Foretoken, Llama
from models import DEMO, prepare
from options import parser

PROMPT = 1024
# Seconds for `foretoken bench`, which gives the read roof, the bytes of a token, and T(rows).
BENCH = 6


def held_out() -> list[str]:
    """The prompts of Foretoken's built-in suite that have no answers, held out from the embedded model's training; code comes first."""
    lines = map(json.loads, (DEMO.parent / "suite.jsonl").read_text().splitlines())
    return [line["prompt"] for line in lines if "answer" not in line]


def machine(bench: dict[str, Any]) -> dict[str, Any]:
    pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {"processor": bench["subject"]["processor"], "threads": bench["subject"]["threads"], "roofs": bench["roofs"],
            "transparent_huge_pages": pages.read_text().split("[")[-1].split("]")[0] if pages.exists() else "none"}


def agree(ours: Foretoken, theirs: Llama) -> dict[str, Any]:
    """The token ids to run on, and the engines' agreement on them; kept for the next run with the same program and model."""
    program = hashlib.sha256(ours.program.read_bytes()).hexdigest()[:10]
    kept = theirs.model.with_name(f"{theirs.model.stem}-{program}-{ours.isa or 'native'}.json")
    if not kept.exists():
        texts = held_out()
        text, prompts = ours.tokens("".join(texts))[:PROMPT], [ours.tokens(prompt) for prompt in texts[:3]]
        found = {"text": text, "prompts": prompts, "agreement": agreement.compare(ours, theirs, text, prompts)}
        kept.write_text(json.dumps(found))
    return json.loads(kept.read_text())


def versions(program: Path, compiled_with: Path, system: str) -> dict[str, str]:
    root = Path(__file__).resolve().parents[2]
    commit = subprocess.run(["git", "-C", str(root), "rev-parse", "--short", "HEAD"], text=True, capture_output=True).stdout.strip()
    version = subprocess.run([str(program), "--version"], text=True, capture_output=True).stdout.strip()
    packages = [f"{name} {metadata.version(name)}" for name in ("llama-cpp-python", "gguf", "numpy")]
    return {"foretoken": f"{version} ({commit or 'no commit known'})", "packages": ", ".join(packages),
            "llama.cpp compiled with": compiled_with.read_text().strip(), "llama.cpp": system}


def measure(contest: Contest, arguments: Any, found: dict[str, Any]) -> dict[str, Any]:
    """All rounds; stopped early, those that were finished."""
    contest.weigh(BENCH)
    contest.choose()
    found |= {"date": datetime.date.today().isoformat(), "machine": machine(contest.benches["stored"]),
              "versions": versions(arguments.foretoken, arguments.compiled_with, contest.system)}
    try:
        for turn in range(arguments.rounds):
            print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            contest.run(turn)
            found |= {"rounds": turn + 1} | contest.results()
            if arguments.json:
                arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    except KeyboardInterrupt:
        print("stopped; these are the finished rounds", file=sys.stderr)
    return found


def main() -> None:
    arguments = parser().parse_args()
    if not arguments.foretoken.exists():
        raise SystemExit(f"{arguments.foretoken} does not exist; build it with swift build -c release")
    if arguments.json and not arguments.json.absolute().parent.is_dir():
        raise SystemExit(f"{arguments.json} cannot be written: there is no folder {arguments.json.parent}")
    try:
        pair = prepare(arguments.foretoken, arguments.model, arguments.grow, arguments.cache)
        ours = Foretoken(arguments.foretoken, pair.folder, arguments.threads, isa="avx2" if arguments.avx2 else None)
        theirs = Llama(pair.gguf, arguments.threads)
        same = agree(ours, theirs)
        print(report.agreement(same["agreement"]), flush=True)
        if not arguments.prepare:
            contest = Contest(ours, theirs, same["text"], same["prompts"], pair)
            found = measure(contest, arguments, {"model": pair.name, "agreement": same["agreement"]})
            if "rounds" in found:
                print(report.speeds(found))
    except (CheckpointError, EngineError, agreement.Disagreement) as error:
        raise SystemExit(f"Bench/peers: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
