"""lm-evaluation-harness as its users run it, with tasks of our own, beside what `foretoken score` and `generate` say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import URL, ask
from server import PATIENCE

pytest.importorskip("lm_eval")
TASKS = Path(__file__).parent / "harness"


def run(folder, *options, tasks="foretoken_choices,foretoken_reading,foretoken_writing", **arguments):
    """What the harness found, by task and number of the document."""
    arguments = {"base_url": URL + "/v1/completions", "model": ask("/v1/models")["data"][0]["id"]} | arguments
    # Nothing is to be fetched, and nothing kept.
    offline = {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": ""}
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", "--model", "local-completions", "--tasks", tasks,
         "--model_args", ",".join(f"{key}={value}" for key, value in arguments.items()),
         "--include_path", str(TASKS), "--output_path", str(folder), "--log_samples", *options],
        capture_output=True, text=True, env=os.environ | offline, timeout=PATIENCE, cwd=TASKS.parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "request failed" not in done.stderr, done.stderr[-2000:]
    found = {}
    for file in folder.rglob("samples_*.jsonl"):
        task = file.name.split("_")[2]
        for line in file.read_text().splitlines():
            sample = json.loads(line)
            found[task, sample["doc_id"]] = sample
    return found


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """By its own defaults: one request after the other, one text each."""
    return run(tmp_path_factory.mktemp("harness"))


def tokens(text):
    return ask("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]


def scored(foretoken, context, continuation):
    """What the harness ought to find: the sum, and whether each token is the likeliest."""
    ids = context + continuation
    score = foretoken("score", "--tokens", ",".join(map(str, ids)), "--top", "1")
    likeliest = [top[0][0] for top in score["top"]]
    places = range(len(context), len(ids))
    # The logits at a place are about the token behind it.
    return sum(score["logprobs"][place] for place in places), all(likeliest[p - 1] == ids[p] for p in places)


def pair(context, continuation):
    """Tokens of both as the harness cuts them: white space between them belongs to what comes."""
    blank = len(context) - len(context.rstrip())
    if blank:
        context, continuation = context[:-blank], context[-blank:] + continuation
    first, both = tokens(context), tokens(context + continuation)
    return first, both[len(first):]


def test_choices_are_those_of_score(samples, foretoken):
    documents = [sample for (task, _), sample in samples.items() if task == "choices"]
    assert len(documents) == 9
    greedy = 0
    for sample in documents:
        for (answer,), arguments in zip(sample["resps"], sample["arguments"].values(), strict=True):
            total, is_greedy = scored(foretoken, *pair(arguments["arg_0"], arguments["arg_1"]))
            assert (float(answer[0]), answer[1]) == (total, str(is_greedy)), arguments
            greedy += is_greedy
    assert greedy > 0, "some answer is what the model would write itself"
    assert sum(sample["acc"] for sample in documents) >= 7, "far from chance"


def test_whole_texts_are_those_of_score(samples, foretoken):
    eos = tokens(ask("/tokenizer_info")["eos_token"])
    bos = tokens(ask("/tokenizer_info")["bos_token"])
    assert len(eos) == len(bos) == 1
    documents = [sample for (task, _), sample in samples.items() if task == "reading"]
    assert len(documents) == 5
    for sample in documents:
        # The harness takes a first token with the id 0 for none.
        first = bos if bos[0] != 0 else eos
        total, _ = scored(foretoken, first, tokens(sample["doc"]["text"]))
        assert float(sample["resps"][0][0]) == total


def test_written_texts_are_those_of_generate(samples, foretoken, tmp_path):
    documents = [sample for (task, _), sample in sorted(samples.items()) if task == "writing"]
    assert len(documents) == 5
    for sample in documents:
        ids = ",".join(map(str, tokens(sample["doc"]["text"])))
        answer = foretoken(
            "generate", "--prompt-tokens", ids, "--temperature", "0", "--max-tokens", "40", "--stop", "\n}")
        assert sample["resps"][0] == [answer["text"]]


def test_company_changes_nothing(samples, tmp_path):
    again = run(tmp_path, "--batch_size", "4", num_concurrent=8)
    assert {key: sample["resps"] for key, sample in again.items()} == {
        key: sample["resps"] for key, sample in samples.items()}


def test_texts_in_place_of_ids(tmp_path):
    """The harness can also send texts. They get the tokenizer's first token, so these are other answers."""
    answers = run(tmp_path, tasks="foretoken_writing", tokenized_requests=False, num_concurrent=2)
    for (_, place), sample in answers.items():
        prompt = sample["doc"]["text"]
        fields = {"prompt": prompt, "max_tokens": 40, "temperature": 0, "stop": "\n}"}
        assert sample["resps"][0] == [ask("/v1/completions", fields)["choices"][0]["text"]], place
