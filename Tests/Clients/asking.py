"""How tests ask with OpenAI's package."""

import openai

from server import PATIENCE

QUESTION = [{"role": "system", "content": "You write Swift."}, {"role": "user", "content": "Sum a list of numbers."}]


def connect(server, **options):
    return openai.OpenAI(base_url=server.url + "/v1", **{"api_key": "none", "timeout": PATIENCE} | options)


def chat(client, **fields):
    return client.chat.completions.create(**{"model": None, "messages": QUESTION, "max_tokens": 24, "seed": 5} | fields)


def complete(client, prompt="let values = [", **fields):
    return client.completions.create(**{"model": None, "prompt": prompt, "max_tokens": 16, "seed": 5} | fields)


def texts(answer):
    return [choice.message.content if hasattr(choice, "message") else choice.text for choice in answer.choices]


def joined(stream, count=1):
    """Choices of a stream: role, text, why it ended."""
    roles, parts, ends = [[] for _ in range(count)], [""] * count, [None] * count
    for chunk in stream:
        for choice in chunk.choices:
            piece = choice.delta if hasattr(choice, "delta") else choice
            roles[choice.index].append(getattr(piece, "role", None))
            parts[choice.index] += (piece.content if hasattr(piece, "content") else piece.text) or ""
            assert ends[choice.index] is None, "nothing comes behind the end"
            ends[choice.index] = choice.finish_reason
    return roles, parts, ends
