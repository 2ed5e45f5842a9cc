"""The same prompts, as token ids, for every server and for `foretoken generate`."""
import json
import urllib.error
import urllib.request
from pathlib import Path

SUITE = Path(__file__).resolve().parents[2] / "Sources/CForetokenDemo/suite.jsonl"
TOKENS = 64
"""Of one prompt."""


class PromptError(Exception):
    """There is no text that gives prompts."""


def _tokenize(url: str, text: str) -> list[int]:
    request = urllib.request.Request(
        f"{url}/tokenize", json.dumps({"prompt": text}).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["tokens"]
    except (urllib.error.URLError, KeyError, ValueError) as error:
        raise PromptError(f"{url}/tokenize does not tell tokens: {error}") from error


def write(url: str, file: Path) -> int:
    """Cuts the suite's prompts into lines of TOKENS ids, each with what begins a text. Returns the number of lines."""
    lines = [json.loads(line) for line in SUITE.read_text().splitlines() if line]
    text = "\n".join(line["prompt"] for line in lines if line.get("prompt") and not line.get("answer"))
    first = _tokenize(url, "")
    tokens = _tokenize(url, text)[len(first):]
    size = TOKENS - len(first)
    prompts = [first + tokens[start : start + size] for start in range(0, len(tokens) - size + 1, size)]
    if not prompts:
        raise PromptError("the suite has too little text")
    file.write_text("".join(json.dumps({"prompt_tokens": prompt}) + "\n" for prompt in prompts))
    return len(prompts)
