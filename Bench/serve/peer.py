"""llama.cpp's server on the same weights in 8 bits: writes them as GGUF unless that was done before, then serves them.

Runs in an environment that has requirements.txt. `Bench/peers/models.py` says how and where weights are written."""
import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

import models  # noqa: E402
from checkpoint import CheckpointError  # noqa: E402
import xllamacpp  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--forget-prompts", action="store_true", help="reads every prompt, also one that was asked before")
    parser.add_argument("--module", type=Path, help="GGUF file of the MTP module")
    parser.add_argument("--draft", type=int, default=1, help="most tokens to draft with it")
    arguments = parser.parse_args()
    try:
        file, _ = models.write_gguf(arguments.model, arguments.cache)
    except (CheckpointError, OSError) as error:
        raise SystemExit(f"the model cannot be written for llama.cpp: {error}") from error
    settings = xllamacpp.CommonParams()
    settings.model.path = str(file)
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_parallel = arguments.parallel
    # Each slot has its own share: as much as prompts of 3,584 tokens and their answers need.
    settings.n_ctx = arguments.parallel * 4096
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = arguments.threads
    settings.cache_prompt = not arguments.forget_prompts
    if arguments.module:
        settings.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_MTP]
        settings.speculative.draft.mparams.path = str(arguments.module)
        settings.speculative.draft.n_max = arguments.draft
    settings.endpoint_metrics = True
    server = xllamacpp.Server(settings)
    print(f"llama.cpp serves on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    # Threads of the server would otherwise take them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
