"""Anthropic's own client against a server at $FORETOKEN_URL, as Claude Code uses it."""

import os

import anthropic
import pytest

URL = os.environ["FORETOKEN_URL"].rstrip("/").removesuffix("/v1")
QUESTION = [{"role": "user", "content": "Write a func that adds two numbers."}]
TOOL = {
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "cache_control": {"type": "ephemeral"},
}
# Two turns behind a call of the tool.
CALLED = [
    {"role": "user", "content": [{"type": "text", "text": "How is it in Köln?"}]},
    {"role": "assistant", "content": [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln"}}]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"}]},
        {"type": "text", "text": "And so?"}]},
]


@pytest.fixture(scope="module")
def client():
    return anthropic.Anthropic(
        base_url=URL, api_key=os.environ.get("FORETOKEN_API_KEY", "none"), max_retries=0,
        default_headers={"anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14"})


@pytest.fixture(scope="module")
def model(client):
    page = client.models.list()
    assert page.data[0].type == "model" and page.data[0].created_at is not None and not page.has_more
    return page.data[0].id


# The client itself knows no temperature any more.
GREEDY = {"extra_body": {"temperature": 0}}


def ask(client, name, **settings):
    return client.messages.create(**{"model": name, "max_tokens": 40, "messages": QUESTION, **settings})


def input_tokens(usage):
    return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens


def test_a_conversation_goes_on(client, model):
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1f;"},
        {"type": "text", "text": "You write Swift.", "cache_control": {"type": "ephemeral"}},
    ]
    messages = list(QUESTION)
    for turn in range(3):
        answer = ask(client, model, system=system, messages=messages, extra_body={"temperature": 0.7, "seed": turn})
        assert answer.type == "message" and answer.role == "assistant" and answer.id.startswith("msg_")
        assert answer.stop_reason in ("end_turn", "max_tokens") and answer.stop_sequence is None
        assert [block.type for block in answer.content] == ["text"]
        assert 0 < answer.usage.output_tokens <= 40
        counted = client.messages.count_tokens(model=model, system=system, messages=messages)
        assert counted.input_tokens == input_tokens(answer.usage)
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": "More."}]


def test_the_line_that_differs_is_no_part_of_the_prompt(client, model):
    def count(line):
        system = [{"type": "text", "text": text} for text in line + ["You write Swift."]]
        return client.messages.count_tokens(model=model, system=system, messages=QUESTION).input_tokens

    assert count(["x-anthropic-billing-header: cch=0123456789abcdef;"]) == count([])


def test_a_stream_is_the_whole_answer(client, model):
    settings = {"stop_sequences": ["nothing like this"], **GREEDY}
    whole = ask(client, model, **settings)
    events = []
    with client.messages.stream(model=model, max_tokens=40, messages=QUESTION, **settings) as stream:
        for event in stream:
            events.append(event.type)
        final = stream.get_final_message()
    assert events[0] == "message_start" and events[-1] == "message_stop"
    assert [block.text for block in final.content] == [block.text for block in whole.content]
    assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    assert input_tokens(final.usage) == input_tokens(whole.usage)
    with client.messages.stream(model=model, max_tokens=40, messages=QUESTION, **settings) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
    raw = [event.type for event in ask(client, model, stream=True, **settings)]
    assert raw[:2] == ["message_start", "content_block_start"]
    assert raw[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_a_stop_sequence_is_told(client, model):
    text = ask(client, model, **GREEDY).content[0].text
    stop = text[10:13]
    answer = ask(client, model, stop_sequences=["never in there", stop], **GREEDY)
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", stop)
    assert answer.content[0].text == text[: text.index(stop)]


@pytest.mark.parametrize("thinking", [{"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}, {"type": "disabled"}])
def test_thinking_is_a_hint(client, model, thinking):
    answer = ask(client, model, thinking=thinking)
    assert all(block.type in ("thinking", "text") for block in answer.content)


def test_an_answer_is_gone_on_with(client, model):
    begun = QUESTION + [{"role": "assistant", "content": "func add("}]
    assert ask(client, model, messages=begun, **GREEDY).usage.output_tokens > 0


def test_tools(client, model):
    try:
        answer = ask(client, model, messages=CALLED, tools=[TOOL], tool_choice={"type": "auto"})
    except anthropic.BadRequestError as error:
        # The embedded model's chat template writes no calls.
        assert "tools" in str(error)
        pytest.skip("this model calls no tools")
    assert answer.stop_reason in ("end_turn", "max_tokens", "tool_use")
    assert (answer.stop_reason == "tool_use") == any(block.type == "tool_use" for block in answer.content)
    with client.messages.stream(model=model, max_tokens=40, messages=CALLED, tools=[TOOL]) as stream:
        assert stream.get_final_message().stop_reason in ("end_turn", "max_tokens", "tool_use")
    count = client.messages.count_tokens(model=model, messages=CALLED, tools=[TOOL])
    assert count.input_tokens == input_tokens(answer.usage)


@pytest.mark.parametrize("settings, error, words", [
    ({"messages": []}, anthropic.BadRequestError, "`messages`"),
    ({"max_tokens": 0}, anthropic.BadRequestError, "`max_tokens`"),
    ({"extra_body": {"temperature": 1.5}}, anthropic.BadRequestError, "`temperature`"),
    ({"model": "claude-unknown"}, anthropic.NotFoundError, "claude-unknown"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, anthropic.BadRequestError, "`tools[0]`"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "AA=="}}]}]},
     anthropic.BadRequestError, "`messages[0].content[0]`"),
])
def test_what_is_wrong_is_told(client, model, settings, error, words):
    with pytest.raises(error) as found:
        ask(client, model, **settings)
    body = found.value.body
    assert body["type"] == "error" and body["request_id"] == found.value.request_id
    assert words in body["error"]["message"]
