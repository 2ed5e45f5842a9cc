"""Do both engines compute the same model? Greedy continuations and log-probabilities, before anything is timed."""
import math
from dataclasses import replace
from typing import Any

from engines import Foretoken, Llama

CONTINUATION = 64
# Different 8-bit formats of the same weights shift a text's perplexity by far less; a wrong graph shifts it by far more.
LIMIT = 0.02


class Disagreement(Exception):
    """The engines do not compute the same model, so that times would compare different work."""


def _perplexity(logprobs: list[float]) -> float:
    return math.exp(-sum(logprobs) / len(logprobs))


def _common(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def compare(ours: Foretoken, theirs: Llama, text: list[int], prompts: list[list[int]]) -> dict[str, Any]:
    """Figures of the text's tokens and of the prompts' greedy continuations.

    Raises Disagreement if the perplexities are more than LIMIT apart."""
    tasks = [{"kind": "score", "prompt": text, "flash": flash} for flash in (False, True)]
    tasks += [{"kind": "generate", "prompt": prompt, "steps": CONTINUATION - 1} for prompt in prompts]
    plain, flash, *continued = theirs.run(tasks)["results"]
    logprobs = ours.score(text)["logprobs"][1:]
    distance = [abs(a - b) for a, b in zip(logprobs, plain["logprobs"], strict=True)]
    int8 = replace(ours, weights="int8")
    jobs = [(prompt, CONTINUATION) for prompt in prompts]
    answers, rounded = ours.generate(jobs), int8.generate(jobs)
    found = {
        "tokens": len(text),
        "perplexity": {
            "foretoken": _perplexity(logprobs),
            "foretoken int8": _perplexity(int8.score(text)["logprobs"][1:]),
            "llama.cpp": _perplexity(plain["logprobs"]),
            "llama.cpp, flash attention": _perplexity(flash["logprobs"]),
        },
        "logprob_distance": {"mean": sum(distance) / len(distance), "largest": max(distance)},
        "continuation": CONTINUATION,
        "same_tokens": {
            "llama.cpp": [_common(a["tokens"], b["tokens"]) for a, b in zip(answers, continued, strict=True)],
            "foretoken int8": [_common(a["tokens"], b["tokens"]) for a, b in zip(answers, rounded, strict=True)],
        },
    }
    base = found["perplexity"]["foretoken"]
    for name, value in found["perplexity"].items():
        if abs(math.log(value / base)) > LIMIT:
            raise Disagreement(f"perplexity of the same {len(text)} tokens: {value:.3f} with {name}, {base:.3f} with "
                               "Foretoken; the engines do not compute the same model")
    return found
