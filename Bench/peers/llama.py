"""llama.cpp or ik_llama.cpp, one process: a job as JSON on standard input, its results as JSON on standard output.

A job is {"library": name, "model": GGUF or "", "threads": N, "load": {...}, "tasks": [...]}; every task names its "kind" (a
function below) and "flash" (flash attention). Python only calls llama_decode and takes the argmax of rows of logits, which is
some ten microseconds a row; the clock runs around that."""
import json
import os
import sys
import time
from typing import Any

import numpy as np

from bindings import LIBRARIES, LOG, LOG_ERROR, LayoutError, Library

CONTEXT = 2048


class Session:
    """A context of one model, its texts at position 0."""

    def __init__(self, library: Library, model: int, threads: int, flash: bool, texts: int = 1) -> None:
        self.library, self.c = library, library.c
        self.context = library.context(model, threads, CONTEXT, texts, flash)
        if not self.context:
            raise SystemExit(f"{library.name} could not make a context")
        self.vocabulary = self.c.llama_vocab_n_tokens(self.c.llama_model_get_vocab(model))
        self.batch = self.c.llama_batch_init(CONTEXT, 0, 1)
        self.positions = [0] * texts

    def close(self) -> None:
        self.c.llama_batch_free(self.batch)
        self.c.llama_free(self.context)

    def decode(self, tokens: list[int], all_logits: bool = False) -> None:
        """One call of llama_decode on the first text; logits of the last token, or of all."""
        wanted = [all_logits or row == len(tokens) - 1 for row in range(len(tokens))]
        self.step([(0, token, wants) for token, wants in zip(tokens, wanted)])

    def step(self, rows: list[tuple[int, int, bool]]) -> None:
        """One call of llama_decode: of each row its text, its token, and whether its logits are wanted."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for row, (text, token, wants) in enumerate(rows):
            batch.token[row], batch.pos[row] = token, self.positions[text]
            batch.n_seq_id[row], batch.seq_id[row][0], batch.logits[row] = 1, text, wants
            self.positions[text] += 1
        status = self.c.llama_decode(self.context, batch)
        if status != 0:
            raise SystemExit(f"llama_decode of {self.library.name} returned {status}")
        self.c.llama_synchronize(self.context)

    def logits(self, row: int = -1) -> np.ndarray:
        values = self.c.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(values, shape=(self.vocabulary,))

    def rewind(self, position: int) -> None:
        self.library.forget(self.context, 0, position)
        self.positions[0] = position


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
    start, times = session.positions[0], {str(rows): [] for rows in task["rows"]}
    for repeat in range(task["repeats"] + 1):
        for rows in task["rows"]:
            begin = time.perf_counter()
            at = repeat * max(task["rows"]) % (len(task["text"]) - rows + 1)
            session.decode(task["text"][at : at + rows], all_logits=True)
            if repeat:
                times[str(rows)].append(time.perf_counter() - begin)
            session.rewind(start)
    return {"times": times}


def company(session: Session, task: dict[str, Any]) -> dict[str, Any]:
    """Greedy decoding of several texts at once: steps of one row of each, after their prompts."""
    texts = range(len(task["prompts"]))
    session.step([(text, token, row == len(task["prompts"][text]) - 1)
                  for text in texts for row, token in enumerate(task["prompts"][text])])
    ends = np.cumsum([len(prompt) for prompt in task["prompts"]]) - 1
    tokens = [int(session.logits(int(end)).argmax()) for end in ends]
    start = time.perf_counter()
    for _ in range(task["steps"]):
        session.step([(text, tokens[text], True) for text in texts])
        tokens = [int(session.logits(text).argmax()) for text in texts]
    return {"seconds": time.perf_counter() - start, "steps": task["steps"] * len(texts)}


def score(session: Session, task: dict[str, Any]) -> dict[str, Any]:
    """Natural-log probabilities of all tokens of a text but the first, and the likeliest token in each place."""
    tokens = task["prompt"]
    session.decode(tokens, all_logits=True)
    logits = np.stack([session.logits(row) for row in range(len(tokens) - 1)]).astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    return {"logprobs": logits[np.arange(len(tokens) - 1), tokens[1:]].tolist(), "best": logits.argmax(1).tolist()}


KINDS = {"generate": generate, "prompt": prompt, "widths": widths, "company": company, "score": score}


@LOG
def quiet(level: int, text: bytes, _: int | None) -> None:
    """Only errors reach the terminal."""
    if level == LOG_ERROR:
        sys.stderr.write(text.decode(errors="replace"))


def results(library: Library, job: dict[str, Any]) -> list[dict[str, Any]]:
    model = library.load(job["model"], job["load"])
    if not model:
        raise SystemExit(f"{library.name} could not load the GGUF file")
    found = []
    for task in job["tasks"]:
        session = Session(library, model, job["threads"], task["flash"], len(task.get("prompts", [0])))
        found.append(KINDS[task["kind"]](session, task))
        session.close()
    return found


def main() -> None:
    # What the library itself writes to standard output must not stand among the results.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    try:
        library = LIBRARIES[job["library"]]()
    except LayoutError as error:
        raise SystemExit(str(error)) from error
    library.c.llama_log_set(quiet, None)
    library.c.llama_backend_init()
    found = results(library, job) if job["tasks"] else []
    json.dump({"system": library.c.llama_print_system_info().decode().strip(" |\n"), "results": found}, output)
    output.close()


if __name__ == "__main__":
    main()
