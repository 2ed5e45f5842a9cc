"""Starts servers, lets `foretoken bench --serve` ask them, and prints its tables with a comparison at the end."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import overhead
import prompts
from servers import Server, ServerError

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "Sources/CForetokenDemo/model"
# Four times of it are asked of the server at once.
QUEUE = 16
PARALLEL = 16


def options() -> argparse.Namespace:
    own, servers = sys.argv[1:], []
    if "--" in own:
        split = own.index("--")
        own, servers = own[:split], own[split + 1 :]
    parser = argparse.ArgumentParser(
        prog="Bench/serve/run", description="Measures what `foretoken serve` gives its clients on this machine.",
        epilog="What stands behind -- goes to the server, and to generate where its overhead is measured: -- --weights int8")
    parser.add_argument("--foretoken", help="the program (default: built here)")
    parser.add_argument("--model", type=Path, default=os.environ.get("MODEL"), help="a model's folder (default: $MODEL, or the embedded one)")
    parser.add_argument("--drafts", default="off,1,auto", help="values of --draft, separated by commas (default: off,1,auto)")
    parser.add_argument("--quick", action="store_true", help="measures less: a minute with the embedded model")
    parser.add_argument("--peer", action="store_true", help="also measures llama.cpp's server on the same weights in 8 bits")
    parser.add_argument("--requests", type=int, help="different requests at each concurrency (default: 16); large models want fewer")
    parser.add_argument("--max-tokens", type=int, help="tokens of their answers (default: 128)")
    parser.add_argument("--no-overhead", action="store_true", help="leaves out the comparison with generate")
    parser.add_argument("--json", type=Path, help="writes all figures to a file")
    arguments = parser.parse_args(own)
    arguments.drafts = arguments.drafts.split(",")
    arguments.sizes = ["--quick"] if arguments.quick else []
    for name in ("requests", "max_tokens"):
        if getattr(arguments, name) is not None:
            arguments.sizes += ["--" + name.replace("_", "-"), str(getattr(arguments, name))]
    arguments.server = ([] if arguments.model is None else ["--model", str(arguments.model)]) + servers
    return arguments


class Run:
    """Everything that one call of this script measures."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.prompts = folder / "prompts.jsonl"
        self.found: dict[str, Any] = {"servers": {}}

    def ask(self, server: Server, trials: str) -> None:
        """Lets the bench measure a server and show its tables."""
        print(f"\n== {server.name}\n", flush=True)
        if not self.prompts.exists():
            prompts.write(server.url, self.prompts)
        file = self.folder / "figures.json"
        subprocess.run(
            [self.arguments.foretoken, "bench", "--serve", server.url, "--trials", trials, "--prompts", str(self.prompts),
             "--prompt-tokens", str(prompts.TOKENS), "--server-pid", str(server.process.pid), "--json-out", str(file),
             *self.arguments.sizes],
            check=True)
        self.found["servers"][server.name] = json.loads(file.read_text())

    def foretoken(self) -> None:
        for draft in self.arguments.drafts:
            # What is not a matter of drafts is measured once.
            trials = "levels,prefix,stall,cancel,overload" if draft == self.arguments.drafts[-1] else "levels"
            command = [self.arguments.foretoken, "serve", "--port", "0", "--draft", draft, "--max-queue", str(QUEUE),
                       *self.arguments.server]
            with Server(command, f"foretoken, --draft {draft}") as server:
                self.ask(server, trials)

    def overhead(self) -> None:
        if self.arguments.no_overhead:
            return
        self.found["overhead"] = overhead.measure(
            self.arguments.foretoken, self.arguments.server, self.prompts, self.folder, self.arguments.quick)

    def peer(self) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foretoken/peers/models"
        venv = self.folder / "venv"
        print("\nInstalling llama.cpp (xllamacpp) for this run", file=sys.stderr)
        for command in ([sys.executable, "-m", "venv", venv],
                        [venv / "bin/pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"]):
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
            if done.returncode != 0:
                print(f"\nleft out: llama.cpp, which cannot be installed: {done.stderr.strip()[-300:]}")
                return
        model = self.arguments.model or DEMO
        command = [venv / "bin/python", HERE / "peer.py", "--model", model, "--cache", cache, "--parallel", PARALLEL,
                   "--threads", len(os.sched_getaffinity(0))]
        try:
            with Server([str(part) for part in command], "llama.cpp, 8 bits") as server:
                self.ask(server, "levels,prefix,stall,cancel")
        except ServerError as error:
            print(f"\nleft out: {error}")

    def summary(self) -> str:
        """Total speed by concurrency, side by side, and what else is judged."""
        servers = self.found["servers"]
        levels = [level["concurrency"] for level in next(iter(servers.values()))["levels"]]
        rows = [["output tok/s at once", *(str(level) for level in levels), "identical"]]
        for name, figures in servers.items():
            equality = [level["equality"] for level in figures["levels"]]
            rows.append([name, *(f"{level['tokens_per_second']:.1f}" for level in figures["levels"]),
                         f"{sum(e['identical'] for e in equality)} of {sum(e['compared'] for e in equality)}"])
        peer = servers.get("llama.cpp, 8 bits")
        if peer:
            for name, figures in servers.items():
                if figures is not peer:
                    ratios = [ours["tokens_per_second"] / theirs["tokens_per_second"]
                              for ours, theirs in zip(figures["levels"], peer["levels"])]
                    rows.append([f"{name} over llama.cpp", *(f"{ratio:.2f}×" for ratio in ratios), ""])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
                 for row in rows]
        cost = self.found.get("overhead")
        if cost:
            lines += ["", f"A token takes {cost['served_ms']:.3f} ms from the server and {cost['generate_ms']:.3f} ms from generate, one "
                      f"worker each: {cost['ratio']:.3f}× ({', '.join(f'{ratio:.3f}' for ratio in cost['ratios'])})"]
        return "\n".join(lines)


def main() -> None:
    arguments = options()
    folder = Path(tempfile.mkdtemp(prefix="foretoken-serve-"))
    run = Run(arguments, folder)
    try:
        run.foretoken()
        run.overhead()
        if arguments.peer:
            run.peer()
        print(f"\n== All\n\n{run.summary()}")
        if arguments.json:
            arguments.json.write_text(json.dumps(run.found, indent=1) + "\n")
    except (ServerError, prompts.PromptError) as error:
        raise SystemExit(str(error)) from error
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
