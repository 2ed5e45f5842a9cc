"""Do the engines compute the same model? Greedy continuations and log-probabilities, before anything is timed."""
import math
from dataclasses import replace
from typing import Any

from engines import Foretoken, Peer

CONTINUATION = 64
# Different 8-bit formats of the same weights shift a text's perplexity by far less; a wrong graph shifts it by far more.
LIMIT = 0.02
# Nats by which a token's log-probability differs on average; other experts for one token in ten come to more.
DISTANCE = 0.1


class Disagreement(Exception):
    """The engines do not compute the same model, so that times would compare different work."""


def _perplexity(logprobs: list[float]) -> float:
    return math.exp(-sum(logprobs) / len(logprobs))


def _common(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def compare(ours: Foretoken, peers: list[tuple[Peer, Foretoken]], text: list[int], prompts: list[list[int]]) -> dict[str, Any]:
    """Figures of the text's tokens and of the prompts' greedy continuations; beside each peer what it is compared with.

    Raises Disagreement if perplexities are more than LIMIT or log-probabilities more than DISTANCE apart."""
    int8 = replace(ours, weights="int8")
    jobs = [(prompt, CONTINUATION) for prompt in prompts]
    logprobs, rounded = (engine.score(text)["logprobs"][1:] for engine in (ours, int8))
    answers, continued = ([answer["tokens"] for answer in engine.generate(jobs)] for engine in (ours, int8))
    perplexity = {"Foretoken": _perplexity(logprobs), "Foretoken int8": _perplexity(rounded)}
    # By engine: the perplexity that its own is held against.
    bases = {"Foretoken int8": perplexity["Foretoken"]}
    distance, same = {}, {"Foretoken int8": list(map(_common, answers, continued))}
    for peer, reference in peers:
        tasks = [{"kind": "score", "prompt": text, "flash": flash} for flash in (False, True)]
        tasks += [{"kind": "generate", "prompt": prompt, "steps": CONTINUATION - 1} for prompt in prompts]
        plain, flash, *others = peer.run(tasks)
        expected, answers_expected = logprobs, answers
        if reference != ours:
            expected = reference.score(text)["logprobs"][1:]
            answers_expected = [answer["tokens"] for answer in reference.generate(jobs)]
            perplexity["Foretoken, without groups"] = _perplexity(expected)
        found = {peer.name: _perplexity(plain["logprobs"]), f"{peer.name}, flash attention": _perplexity(flash["logprobs"])}
        perplexity |= found
        bases |= dict.fromkeys(found, _perplexity(expected))
        apart = [abs(a - b) for a, b in zip(expected, plain["logprobs"], strict=True)]
        distance[peer.name] = {"mean": sum(apart) / len(apart), "largest": max(apart)}
        same[peer.name] = [_common(a, b["tokens"]) for a, b in zip(answers_expected, others, strict=True)]
    _judge(perplexity, bases, distance, len(text))
    return {"tokens": len(text), "perplexity": perplexity, "logprob_distance": distance, "continuation": CONTINUATION,
            "same_tokens": same}


def _judge(
    perplexity: dict[str, float], bases: dict[str, float], distance: dict[str, dict[str, float]], count: int
) -> None:
    for name, base in bases.items():
        if not abs(math.log(perplexity[name] / base)) <= LIMIT:
            raise Disagreement(f"perplexity of the same {count} tokens: {perplexity[name]:.3f} with {name}, {base:.3f} with "
                               "Foretoken; the engines do not compute the same model")
    for name, value in distance.items():
        if not value["mean"] <= DISTANCE:
            raise Disagreement(f"log-probabilities of {name} differ by {value['mean']:.3f} nats on average from Foretoken's; the "
                               "engines do not compute the same model")
