"""llama.cpp's server on the same weights in 8 bits: writes them as GGUF unless that was done before, then serves them.

Runs in an environment that has requirements.txt. `Bench/peers/gguf_writer.py` says how weights are written."""
import argparse
import hashlib
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

import gguf_writer  # noqa: E402
from checkpoint import Checkpoint, CheckpointError  # noqa: E402
import xllamacpp  # noqa: E402


def fingerprint(folder: Path) -> str:
    """Changes when the files do."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        digest.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:10]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    try:
        source = Checkpoint(arguments.model)
        arguments.cache.mkdir(parents=True, exist_ok=True)
        file = arguments.cache / f"{arguments.model.resolve().name}-{fingerprint(arguments.model)}-served-q8_0.gguf"
        gguf_writer.write(source, file, vocabulary=True)
    except (CheckpointError, KeyError, OSError) as error:
        raise SystemExit(f"the model cannot be written for llama.cpp: {error}") from error
    settings = xllamacpp.CommonParams()
    settings.model.path = str(file)
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_parallel = arguments.parallel
    # Each slot has its own share: as much as prompts of 3,584 tokens and their answers need.
    settings.n_ctx = arguments.parallel * 4096
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = arguments.threads
    settings.endpoint_metrics = True
    server = xllamacpp.Server(settings)
    print(f"llama.cpp serves on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    # Threads of the server would otherwise take them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
