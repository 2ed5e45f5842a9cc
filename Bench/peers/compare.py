"""The comparison: models, agreement, the other engines' better settings, then runs in turns."""
import datetime
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

# Servers are started and ended as Bench/serve does it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serve"))

import agreement  # noqa: E402
import report  # noqa: E402
from checkpoint import CheckpointError  # noqa: E402
from contenders import STORED, Contest  # noqa: E402
from engines import EngineError, Foretoken, Peer  # noqa: E402
from models import DEMO, prepare  # noqa: E402
from options import parser  # noqa: E402
from servers import ServerError  # noqa: E402

HERE = Path(__file__).resolve().parent
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


def instruction_set(systems: list[str]) -> str | None:
    """Foretoken's, so that it uses no wider vectors than the engines were compiled for; none names the best."""
    words = " ".join(systems)
    return "avx2" if "AVX2 = 1" in words and "AVX512 = 1" not in words else None


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text)
    beside.replace(path)


def agree(ours: Foretoken, peers: list[tuple[Peer, Foretoken]]) -> dict[str, Any]:
    """The token ids to run on, and the engines' agreement on them; kept for the next run of the same programs on the same model."""
    parts = [ours.program, *sorted(HERE.glob("*.py")), HERE / "requirements.txt"]
    programs = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:10]
    gguf = peers[0][0].model
    kept = gguf.with_name(f"{gguf.stem}-{programs}-{ours.isa or 'native'}.json")
    if not kept.exists():
        texts = held_out()
        text, prompts = ours.tokens("".join(texts))[:PROMPT], [ours.tokens(prompt) for prompt in texts[:3]]
        found = {"text": text, "prompts": prompts, "agreement": agreement.compare(ours, peers, text, prompts)}
        write(kept, json.dumps(found))
    return json.loads(kept.read_text())


def versions(program: Path, systems: dict[str, str]) -> dict[str, str]:
    root = Path(__file__).resolve().parents[2]
    commit = subprocess.run(["git", "-C", str(root), "rev-parse", "--short", "HEAD"], text=True, capture_output=True).stdout.strip()
    version = subprocess.run([str(program), "--version"], text=True, capture_output=True).stdout.strip()
    packages = [f"{name} {metadata.version(name)}" for name in ("xllamacpp", "ik-llama-cpp-python", "gguf", "numpy")]
    return {"Foretoken": f"{version} ({commit or 'no commit known'})", "packages": ", ".join(packages), **systems}


def measure(contest: Contest, arguments: Any, found: dict[str, Any]) -> dict[str, Any]:
    """All rounds; stopped early, those that were finished."""
    contest.weigh(BENCH)
    contest.choose()
    found |= {"date": datetime.date.today().isoformat(), "machine": machine(contest.benches[STORED])}
    try:
        for turn in range(arguments.rounds):
            print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            contest.run(turn)
            found |= {"rounds": turn + 1} | contest.results()
            if arguments.json:
                write(arguments.json, json.dumps(found, indent=1) + "\n")
    except KeyboardInterrupt:
        print("stopped; these are the finished rounds", file=sys.stderr)
    return found


def compare(arguments: Any) -> None:
    pair = prepare(arguments.foretoken, arguments.model, arguments.grow, arguments.cache)
    peers = [Peer("llama.cpp", pair.gguf, arguments.threads, {}),
             Peer("ik_llama.cpp", pair.gguf, arguments.threads, {"repack": True, "overrides": pair.ik_overrides})]
    systems = {peer.name: peer.system() for peer in peers}
    ours = Foretoken(arguments.foretoken, pair.folder, arguments.threads, isa=arguments.isa or instruction_set(list(systems.values())))
    # ik_llama.cpp does not route DeepSeek-V3 by groups.
    same = agree(ours, [(peers[0], ours), (peers[1], replace(ours, model=pair.without_groups))])
    print(report.agreement(same["agreement"]), flush=True)
    if arguments.prepare:
        return
    contest = Contest(ours, peers, same["text"], same["prompts"], pair)
    contest.serving = not arguments.no_servers
    found = measure(contest, arguments, {"model": pair.name, "agreement": same["agreement"],
                                         "versions": versions(arguments.foretoken, systems)})
    if "rounds" in found:
        print(report.speeds(found))


def main() -> None:
    arguments = parser().parse_args()
    if not arguments.foretoken.exists():
        raise SystemExit(f"{arguments.foretoken} does not exist; build it with swift build -c release")
    if arguments.json and not arguments.json.absolute().parent.is_dir():
        raise SystemExit(f"{arguments.json} cannot be written: there is no folder {arguments.json.parent}")
    try:
        compare(arguments)
    except (CheckpointError, EngineError, ServerError, agreement.Disagreement) as error:
        raise SystemExit(f"Bench/peers: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
