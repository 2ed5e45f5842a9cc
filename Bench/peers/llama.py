"""llama.cpp through its C interface, one process: a job as JSON on standard input, its results as JSON on standard output.

A job is {"model": GGUF, "threads": N, "mmap": bool, "tasks": [...]}; every task names its "kind" (a function below), "flash"
(flash attention) and "ubatch" (rows computed at once). Python only calls llama_decode and takes the argmax of a row of logits,
which is some ten microseconds; the clock runs around that."""
import ctypes
import json
import sys
import time
from typing import Any

import llama_cpp as api
import numpy as np

CONTEXT = 2048
LOG_ERROR = 4


class Session:
    """A context of one model, at position 0."""

    def __init__(self, model: Any, threads: int, flash: bool, ubatch: int) -> None:
        settings = api.llama_context_default_params()
        settings.n_ctx = settings.n_batch = CONTEXT
        settings.n_ubatch = ubatch
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = int(flash)
        settings.no_perf = True
        self.context = api.llama_init_from_model(model, settings)
        if not self.context:
            raise SystemExit("llama.cpp could not make a context")
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
        self.memory = api.llama_get_memory(self.context)
        self.batch = api.llama_batch_init(CONTEXT, 0, 1)
        self.position = 0

    def close(self) -> None:
        api.llama_batch_free(self.batch)
        api.llama_free(self.context)

    def decode(self, tokens: list[int], all_logits: bool = False) -> None:
        """One call of llama_decode; logits of the last token, or of all."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for row, token in enumerate(tokens):
            batch.token[row], batch.pos[row] = token, self.position + row
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, 0
            batch.logits[row] = all_logits or row == len(tokens) - 1
        status = api.llama_decode(self.context, batch)
        if status != 0:
            raise SystemExit(f"llama_decode returned {status}")
        api.llama_synchronize(self.context)
        self.position += len(tokens)

    def logits(self, row: int = -1) -> np.ndarray:
        values = api.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(values, shape=(self.vocabulary,))

    def rewind(self, position: int) -> None:
        api.llama_memory_seq_rm(self.memory, 0, position, -1)
        self.position = position


def generate(session: Session, task: dict[str, Any]) -> dict[str, Any]:
    """Greedy decoding: `steps` steps of one row after the prompt, whose last row gives the first token."""
    session.decode(task["prompt"])
    tokens = [int(session.logits().argmax())]
    start = time.perf_counter()
    for _ in range(task["steps"]):
        session.decode(tokens[-1:])
        tokens.append(int(session.logits().argmax()))
    return {"tokens": tokens, "seconds": time.perf_counter() - start, "steps": task["steps"]}


def prompt(session: Session, task: dict[str, Any]) -> dict[str, Any]:
    """The time of a whole prompt, up to its first token."""
    start = time.perf_counter()
    session.decode(task["prompt"])
    int(session.logits().argmax())
    return {"seconds": time.perf_counter() - start, "steps": len(task["prompt"])}


def widths(session: Session, task: dict[str, Any]) -> dict[str, Any]:
    """Times of steps of several rows over the same continuation of a prompt, as a verifying step would compute them."""
    session.decode(task["prompt"])
    start, times = session.position, {str(rows): [] for rows in task["rows"]}
    for repeat in range(task["repeats"] + 1):
        for rows in task["rows"]:
            begin = time.perf_counter()
            at = repeat * max(task["rows"]) % (len(task["text"]) - rows + 1)
            session.decode(task["text"][at : at + rows], all_logits=True)
            if repeat:
                times[str(rows)].append(time.perf_counter() - begin)
            session.rewind(start)
    return {"times": times}


def score(session: Session, task: dict[str, Any]) -> dict[str, Any]:
    """Natural-log probabilities of all tokens of a text but the first, and the likeliest token in each place."""
    tokens = task["prompt"]
    session.decode(tokens, all_logits=True)
    logits = np.stack([session.logits(row) for row in range(len(tokens) - 1)]).astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    return {"logprobs": logits[np.arange(len(tokens) - 1), tokens[1:]].tolist(), "best": logits.argmax(1).tolist()}


KINDS = {"generate": generate, "prompt": prompt, "widths": widths, "score": score}


@api.llama_log_callback
def quiet(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    """Only errors reach the terminal."""
    if level == LOG_ERROR:
        sys.stderr.write(text.decode(errors="replace"))


def main() -> None:
    job = json.load(sys.stdin)
    api.llama_log_set(quiet, ctypes.c_void_p(0))
    api.llama_backend_init()
    settings = api.llama_model_default_params()
    settings.use_mmap = job["mmap"]
    model = api.llama_model_load_from_file(job["model"].encode(), settings)
    if not model:
        raise SystemExit("llama.cpp could not load the GGUF file")
    results = []
    for task in job["tasks"]:
        session = Session(model, job["threads"], task["flash"], task["ubatch"])
        results.append(KINDS[task["kind"]](session, task))
        session.close()
    json.dump({"system": api.llama_print_system_info().decode().strip(), "results": results}, sys.stdout)


if __name__ == "__main__":
    main()
