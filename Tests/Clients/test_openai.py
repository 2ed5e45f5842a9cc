"""OpenAI's package as its users have it."""

import json
import time
from typing import Literal

import openai
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from asking import QUESTION, chat, complete, joined, texts
from conftest import ask
from server import PATIENCE


# Models


def test_models(client):
    models = client.models.list().data
    assert len(models) == 1
    assert client.models.retrieve(models[0].id) == models[0]
    assert models[0].created > 0 and models[0].max_model_len >= 2048
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt/6 ü")
    assert caught.value.code == "model_not_found" and 'there is no model "gpt/6 ü"' in caught.value.message


# Chat


def test_chat_whole(client):
    raw = client.chat.completions.with_raw_response.create(model=None, messages=QUESTION, max_tokens=24, seed=5)
    assert raw.headers["content-type"] == "application/json"
    answer = ChatCompletion.model_validate_json(raw.content, strict=True)
    assert answer.id == "chatcmpl-" + raw.headers["x-request-id"]
    assert answer.model == client.models.list().data[0].id
    assert abs(answer.created - time.time()) < PATIENCE
    choice, usage = answer.choices[0], answer.usage
    assert choice.message.role == "assistant" and choice.message.content and choice.message.tool_calls is None
    assert choice.finish_reason in ("stop", "length")
    assert usage.completion_tokens == 24 or choice.finish_reason == "stop"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens == ask("/tokenize", {"messages": QUESTION})["count"]


def test_seeds(client):
    first = texts(chat(client))
    assert texts(chat(client)) == first
    assert texts(chat(client, seed=6)) != first
    assert texts(chat(client, temperature=0, seed=1)) == texts(chat(client, temperature=0, seed=2))
    drawn = chat(client, seed=None)
    assert texts(chat(client, seed=drawn.foretoken["seed"])) == texts(drawn), "a seed that was drawn is told"


def test_chat_streamed(client):
    whole = chat(client)
    roles, parts, ends = joined(chat(client, stream=True))
    assert (parts, ends) == (texts(whole), [whole.choices[0].finish_reason])
    assert roles[0][0] == "assistant" and not any(roles[0][1:])


def test_stream_helper(client):
    """The package's own reader of streams, which checks their order."""
    whole = chat(client)
    with client.chat.completions.stream(model=whole.model, messages=QUESTION, max_tokens=24, seed=5) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert "content.delta" in kinds and kinds[-1] == "content.done"
    assert [events[-1].content] == texts(whole) == texts(stream.current_completion_snapshot)


def test_usage_of_streams(client):
    whole = chat(client, n=2)
    with client.chat.completions.with_streaming_response.create(
            model=None, messages=QUESTION, max_tokens=24, seed=5, n=2, stream=True,
            stream_options={"include_usage": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert lines.pop() == "data: [DONE]"
    chunks = [ChatCompletionChunk.model_validate_json(line[6:], strict=True) for line in lines]
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks[:-1])
    assert all('"usage":null' in line for line in lines[:-1])
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chat(client, stream=True))


def test_several_answers(client):
    alone = chat(client)
    many = chat(client, n=4)
    assert [choice.index for choice in many.choices] == [0, 1, 2, 3]
    assert texts(many)[0] == texts(alone)[0] and len(set(texts(many))) > 1
    assert many.usage.prompt_tokens == alone.usage.prompt_tokens
    roles, parts, ends = joined(chat(client, n=4, stream=True), 4)
    assert parts == texts(many) and ends == [choice.finish_reason for choice in many.choices]
    assert all(role[0] == "assistant" for role in roles)
    for index, figures in enumerate(many.foretoken["choices"]):
        assert texts(chat(client, seed=figures["seed"]))[0] == texts(many)[index], "each answer can be repeated"


def test_stops(client):
    whole = texts(complete(client, max_tokens=64, temperature=0))[0]
    middle = whole[len(whole) // 2:][:3]
    for stop in (middle, [middle, "never there"], [None, middle]):
        answer = complete(client, max_tokens=64, temperature=0, stop=stop)
        assert texts(answer)[0] == whole[:whole.index(middle)]
        assert answer.choices[0].finish_reason == "stop"
        _, parts, ends = joined(complete(client, max_tokens=64, temperature=0, stop=stop, stream=True))
        assert (parts, ends) == (texts(answer), ["stop"])
    assert texts(complete(client, max_tokens=64, temperature=0, stop=["never there"])) == [whole]


def test_chat_logprobs(client):
    answer = chat(client, logprobs=True, top_logprobs=3)
    entries = answer.choices[0].logprobs.content
    assert len(entries) == answer.usage.completion_tokens
    said = b"".join(bytes(entry.bytes) for entry in entries).decode()
    assert said.startswith(answer.choices[0].message.content)
    for entry in entries:
        ranked = [other.logprob for other in entry.top_logprobs]
        assert ranked == sorted(ranked, reverse=True) and len(ranked) == 3 and entry.logprob <= ranked[0] <= 0
        same = [other for other in entry.top_logprobs if other.bytes == entry.bytes]
        assert all(other.logprob == entry.logprob for other in same)
    streamed = [
        entry for chunk in chat(client, logprobs=True, top_logprobs=3, stream=True) for choice in chunk.choices
        if choice.logprobs for entry in choice.logprobs.content]
    assert streamed == entries
    plain = chat(client, logprobs=True).choices[0].logprobs.content
    assert [entry.logprob for entry in plain] == [entry.logprob for entry in entries]
    assert all(entry.top_logprobs == [] for entry in plain)


def test_fields_that_change_nothing(client):
    """What clients send by habit."""
    extra = {"foretoken": {"trace": True}, "chat_template_kwargs": {"thinking": None}, "unknown": [1], "top_k": -1,
             "cache_salt": "mine", "repetition_penalty": 1.0, "continue_final_message": False}
    answer = chat(
        client, user="me", metadata={"a": "b"}, store=False, tools=[], tool_choice="none", parallel_tool_calls=True,
        response_format={"type": "text"}, logit_bias={}, presence_penalty=0, frequency_penalty=0, top_p=1,
        service_tier="auto", extra_body=extra, extra_headers={"OpenAI-Organization": "us"},
        extra_query={"api-version": "7"})
    assert texts(answer) == texts(chat(client))
    parts = [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in QUESTION]
    assert texts(chat(client, messages=parts)) == texts(answer)
    predicted = chat(client, prediction={"type": "content", "content": texts(answer)[0]})
    assert texts(predicted) == texts(answer)
    assert predicted.usage.completion_tokens_details.accepted_prediction_tokens > 0


def test_sampling_fields(client):
    first = ask("/tokenize", {"content": texts(complete(client, temperature=0, max_tokens=1))[0]})["tokens"][0]
    banned = complete(client, temperature=0, max_tokens=1, logit_bias={str(first): -100})
    assert texts(banned) != texts(complete(client, temperature=0, max_tokens=1))
    forced = complete(client, max_tokens=4, logit_bias={str(first): 100}, extra_body={"return_token_ids": True})
    assert forced.choices[0].token_ids == [first] * 4
    assert texts(complete(client, max_tokens=32, top_p=1e-9)) == texts(complete(client, max_tokens=32, temperature=0))
    assert texts(complete(client, max_tokens=32, temperature=0, frequency_penalty=2)) != texts(
        complete(client, max_tokens=32, temperature=0))


def test_answer_that_is_gone_on_with(client):
    whole = texts(chat(client, temperature=0))[0]
    begun = QUESTION + [{"role": "assistant", "content": whole[:10], "prefix": True}]
    assert texts(chat(client, messages=begun, temperature=0))[0], "DeepSeek's clients go on with an answer"


def test_tools(client):
    tool = {"type": "function", "function": {"name": "sum", "parameters": {"type": "object", "properties": {}}}}
    assert texts(chat(client, tools=[tool], tool_choice="none")) == texts(chat(client))
    wrong = [
        ({"tools": [tool]}, "tools"),  # the embedded model's template knows of none
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [tool | {"function": {"name": ""}}]}, "tools"),
        ({"tools": [tool | {"function": {"name": "a", "parameters": []}}]}, "tools"),
        ({"tools": tool}, "tools"),
        ({"tools": [tool], "tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
    ]
    for fields, param in wrong:
        with pytest.raises(openai.BadRequestError) as caught:
            chat(client, **fields)
        assert caught.value.param == param and caught.value.type == "invalid_request_error", fields


class Declaration(BaseModel):
    """Something that the embedded model, which knows nothing of JSON, cannot go on with for ever."""

    kind: Literal["func", "let"]
    is_open: bool
    words: tuple[Literal["a", "b"], Literal["c"]]


def test_answers_that_must_be_json(client):
    answer = client.chat.completions.parse(
        model=None, messages=QUESTION, max_tokens=300, seed=5, response_format=Declaration)
    assert answer.choices[0].message.parsed.kind in ("func", "let") and answer.choices[0].finish_reason == "stop"
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}, "required": ["name"],
              "additionalProperties": False}
    fields = {"max_tokens": 300,
              "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}
    whole = chat(client, n=2, **fields)
    assert [choice.finish_reason for choice in whole.choices] == ["stop", "stop"]
    for text in texts(whole):
        value = json.loads(text)
        assert list(value) == ["name"] and len(value["name"]) <= 9
    assert joined(chat(client, n=2, stream=True, **fields), 2)[1] == texts(whole)
    cut = chat(client, max_tokens=2, response_format={"type": "json_object"})
    assert cut.choices[0].finish_reason == "length" and "{" in texts(cut)[0]


# Completions


def test_completion_whole_and_streamed(client):
    raw = client.completions.with_raw_response.create(model=None, prompt="let values = [", max_tokens=16, seed=5)
    answer = Completion.model_validate_json(raw.content, strict=True)
    _, parts, ends = joined(complete(client, stream=True))
    assert (parts, ends) == (texts(answer), [answer.choices[0].finish_reason])
    assert complete(client, max_tokens=None).usage.completion_tokens <= 16, "OpenAI's default"


def test_kinds_of_prompts(client):
    words = ["let values = [", "func sum(", "/// Ü — 漢字 🙂"]
    ids = [ask("/tokenize", {"prompt": text})["tokens"] for text in words]
    alone = [texts(complete(client, text))[0] for text in words]
    assert [texts(complete(client, one))[0] for one in ids] == alone, "ids are taken as they are"
    for prompts in (words, ids):
        many = complete(client, prompts, n=2)
        assert [choice.index for choice in many.choices] == list(range(6))
        assert texts(many)[::2] == alone
        assert many.usage.prompt_tokens == sum(map(len, ids))
        assert joined(complete(client, prompts, n=2, stream=True), 6)[1] == texts(many)
    assert ask("/detokenize", {"tokens": ids[2]})["prompt"].endswith(words[2])


@pytest.mark.parametrize("prompt", ["/// Ü — 漢字 🙂\nlet", "\n\n  \t", "a"])
def test_echo(client, prompt):
    fields = {"echo": True, "logprobs": 4, "temperature": 0, "max_tokens": 8}
    answer = complete(client, prompt, **fields)
    text, logprobs = answer.choices[0].text, answer.choices[0].logprobs
    count = answer.usage.total_tokens
    assert text.startswith(prompt)
    assert [len(one) for one in vars(logprobs).values() if isinstance(one, list)] == [count] * 4
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    for token, value, top in list(zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs))[1:]:
        assert top[token] == value <= 0 and 4 <= len(top) <= 5
        if not token.startswith("bytes:"):
            assert max(top.values()) >= value
    for token, offset, end in zip(logprobs.tokens, logprobs.text_offset, logprobs.text_offset[1:] + [len(text)]):
        # A part of a character has a name of its own, and the tokenizer's first token no text.
        assert token.startswith(("bytes:", "<｜")) or text[offset:end] == token
    prompt_only = complete(client, prompt, **fields | {"max_tokens": 0})
    length = answer.usage.prompt_tokens
    assert prompt_only.usage.completion_tokens == 0
    assert prompt_only.choices[0].logprobs.token_logprobs == logprobs.token_logprobs[:length]
    assert text.startswith(prompt_only.choices[0].text)
    pieces = [chunk.choices[0] for chunk in complete(client, prompt, **fields, stream=True)]
    assert "".join(piece.text for piece in pieces) == text
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        assert [one for piece in pieces if piece.logprobs for one in getattr(piece.logprobs, name)] == getattr(
            logprobs, name), name


def test_parts_of_characters(client):
    """Tokens that end within a character: the answer is text all the same, streamed as whole."""
    part = next(token for token in range(4096) if ask("/detokenize", {"tokens": [token]})["prompt"] == "\ufffd")
    fields = {"logit_bias": {str(part): 100}, "max_tokens": 5, "logprobs": 2, "extra_body": {"return_token_ids": True}}
    whole = complete(client, **fields)
    assert whole.choices[0].token_ids == [part] * 5
    assert set(texts(whole)[0]) == {"\ufffd"} and whole.choices[0].logprobs.tokens[0].startswith("bytes:\\x")
    assert joined(complete(client, **fields, stream=True))[1] == texts(whole)


def test_gap(client):
    answer = complete(client, "func twice(_ x: Int) -> Int {", suffix="}", max_tokens=8, temperature=0)
    assert answer.choices[0].finish_reason in ("stop", "length")


# Errors


@pytest.mark.parametrize("fields, error, code, param", [
    ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
    ({"messages": [{"role": "king", "content": "x"}]}, openai.BadRequestError, "invalid_value", "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
     openai.BadRequestError, "invalid_value", "messages"),
    ({"messages": [{"role": "user", "content": "word " * 9000}]}, openai.BadRequestError, "context_length_exceeded",
     "messages"),
    ({"model": "gpt-6"}, openai.NotFoundError, "model_not_found", "model"),
    ({"temperature": -1}, openai.BadRequestError, "invalid_value", "temperature"),
    ({"temperature": "hot"}, openai.BadRequestError, "invalid_value", "temperature"),
    ({"max_tokens": 0}, openai.BadRequestError, "invalid_value", "max_tokens"),
    ({"max_tokens": 1.5}, openai.BadRequestError, "invalid_value", "max_tokens"),
    ({"n": 65}, openai.BadRequestError, "invalid_value", "n"),
    ({"seed": 2 ** 64}, openai.BadRequestError, "invalid_value", "seed"),
    ({"seed": 0.5}, openai.BadRequestError, "invalid_value", "seed"),
    ({"stop": [""]}, openai.BadRequestError, "invalid_value", "stop"),
    ({"logit_bias": {"x": 1}}, openai.BadRequestError, "invalid_value", "logit_bias"),
    ({"top_logprobs": 5}, openai.BadRequestError, "invalid_value", "top_logprobs"),
    ({"stream_options": {"include_usage": True}}, openai.BadRequestError, "invalid_value", "stream_options"),
    ({"modalities": ["audio"], "audio": {"voice": "alloy", "format": "wav"}}, openai.BadRequestError,
     "unsupported_parameter", "modalities"),
    ({"web_search_options": {}}, openai.BadRequestError, "unsupported_parameter", "web_search_options"),
    ({"extra_body": {"guided_regex": "a*"}}, openai.BadRequestError, "unsupported_parameter", "guided_regex"),
    ({"extra_body": {"min_tokens": -1}}, openai.BadRequestError, "invalid_value", "min_tokens"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"not": {}}}}},
     openai.BadRequestError, "invalid_json_schema", "response_format"),
], ids=lambda value: ",".join(value) if isinstance(value, dict) else None)
def test_refusals(client, fields, error, code, param):
    for stream in (False, True):
        if stream and "stream_options" in fields:
            continue
        with pytest.raises(error) as caught:
            chat(client, **{"stream": stream} | fields)
        fault = caught.value
        assert (fault.code, fault.param, fault.type) == (code, param, "invalid_request_error")
        assert len(fault.body["message"]) > 10 and fault.request_id and "\n" not in fault.body["message"]


def test_too_much(client):
    with pytest.raises(openai.APIStatusError) as caught:
        chat(client, messages=[{"role": "user", "content": "word " * 4_000_000}])
    assert caught.value.status_code == 413 and caught.value.code == "request_too_large"


def test_what_is_not_there(client):
    for ask_for in (lambda: client.embeddings.create(model="x", input="a"), client.files.list,
                    lambda: client.images.generate(prompt="a cat")):
        with pytest.raises(openai.NotFoundError) as caught:
            ask_for()
        assert caught.value.code == "not_found"
