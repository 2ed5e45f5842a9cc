"""OpenAI's own client against the stateless responses of a server at $FORETOKEN_URL, as Codex uses them."""

import os

import openai
import pytest

URL = os.environ["FORETOKEN_URL"].rstrip("/").removesuffix("/v1")
QUESTION = "Write a func that adds two numbers."
TOOL = {
    "type": "function", "name": "get_weather", "description": "Tells the weather of a city.", "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALLED = [
    {"role": "user", "content": [{"type": "input_text", "text": "How is it in Köln?"}]},
    {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Köln"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    {"role": "user", "content": "And so?"},
]


@pytest.fixture(scope="module")
def client():
    return openai.OpenAI(
        base_url=URL + "/v1", api_key=os.environ.get("FORETOKEN_API_KEY", "none"), max_retries=0)


@pytest.fixture(scope="module")
def model(client):
    return client.models.list().data[0].id


def ask(client, name, **settings):
    return client.responses.create(
        **{"model": name, "input": QUESTION, "max_output_tokens": 40, "store": False, **settings})


def test_a_conversation_goes_on(client, model):
    items = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": QUESTION}]
    for turn in range(3):
        answer = ask(
            client, model, input=items, instructions="You write Swift.", temperature=0.7, extra_body={"seed": turn},
            include=["reasoning.encrypted_content"], reasoning={"effort": "low"}, prompt_cache_key="k")
        assert answer.object == "response" and answer.id.startswith("resp_") and answer.error is None
        assert answer.status in ("completed", "incomplete") and answer.store is False
        assert (answer.status == "incomplete") == (answer.incomplete_details is not None)
        assert answer.output_text and answer.instructions == "You write Swift."
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
        items += [item.to_dict() for item in answer.output] + [{"role": "user", "content": "More."}]


def test_a_stream_is_the_whole_answer(client, model):
    whole = ask(client, model, temperature=0)
    events = list(ask(client, model, temperature=0, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[:4] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert types[-4:-1] == [
        "response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert types[-1] in ("response.completed", "response.incomplete")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens == whole.usage.output_tokens


def test_the_clients_own_stream(client, model):
    with client.responses.stream(
        model=model, input=QUESTION, extra_body={"temperature": 0, "max_output_tokens": 40, "store": False}
    ) as stream:
        events = [event.type for event in stream]
    assert "response.output_text.delta" in events


def test_a_probe_is_answered(client, model):
    assert ask(client, model, input=[], max_output_tokens=1).usage.output_tokens <= 1


def test_tools(client, model):
    tools = [TOOL, {"type": "web_search"}]
    try:
        answer = ask(client, model, input=CALLED, tools=tools, tool_choice="auto", parallel_tool_calls=True)
    except openai.BadRequestError as error:
        # The embedded model's chat template writes no calls.
        assert error.param == "tools"
        pytest.skip("this model calls no tools")
    assert answer.tools[0].name == "get_weather" and answer.tool_choice == "auto" and answer.parallel_tool_calls
    assert all(item.type in ("message", "function_call", "reasoning") for item in answer.output)
    assert list(ask(client, model, input=CALLED, tools=tools, stream=True))[-1].response.output


@pytest.mark.parametrize("settings, error, param", [
    ({"previous_response_id": "resp_1"}, openai.BadRequestError, "previous_response_id"),
    ({"conversation": "conv_1"}, openai.BadRequestError, "conversation"),
    ({"background": True}, openai.BadRequestError, "background"),
    ({"temperature": -1}, openai.BadRequestError, "temperature"),
    ({"max_output_tokens": 0}, openai.BadRequestError, "max_output_tokens"),
    ({"model": "gpt-unknown"}, openai.NotFoundError, "model"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}]},
     openai.BadRequestError, "input[0].content[0]"),
])
def test_what_is_wrong_is_told(client, model, settings, error, param):
    with pytest.raises(error) as found:
        ask(client, model, **settings)
    assert found.value.param == param
