"""schemathesis: makes requests along the server's description of its API, good ones and bad ones, and checks the answers."""

import json
from collections import Counter

import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from conftest import URL, ask
from server import PATIENCE

# Made from the seed alone, not from what was answered before. What two fields say together, a schema does not tell: so
# good requests may be refused, but bad ones not taken.
CONFIG = SchemathesisConfig.from_dict({
    "seed": 1,
    "generation": {"database": "none"},
    # Otherwise long streams are cut.
    "max-stream-events": 10000,
    "phases": {
        "coverage": {"extra-data-sources": {"responses": False}},
        "fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}},
    },
    "checks": {
        name: {"enabled": False} for name in ("positive_data_acceptance", "ignored_auth", "missing_required_header")},
})
schema = schemathesis.openapi.from_url(URL + "/openapi.json", config=CONFIG)
# Statuses by operation.
seen = {}


def within(ids):
    """The same ids, as far as they are some, within the embedded model's vocabulary."""
    if isinstance(ids, list):
        return [within(one) for one in ids]
    return ids % 4096 if type(ids) is int and ids >= 0 else ids


def leave_calls_out(parts):
    """Leaves out what the embedded model's template cannot write, where there is something else."""
    if isinstance(parts, list):
        kinds = ("tool_use", "tool_result", "function_call", "function_call_output")
        parts[:] = [part for part in parts if not (isinstance(part, dict) and part.get("type") in kinds)]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Keeps answers short and, but for one time in eight, changes what would have the request refused at once."""
    body = case.body
    if not isinstance(body, dict):
        return
    lengths = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    for name in lengths:
        if type(body.get(name)) is int and body[name] > 8:
            body[name] = 8
    # A message has to say it itself.
    if all(body.get(name) is None for name in lengths) and "/messages" not in case.path:
        body["max_output_tokens" if case.path == "/v1/responses" else "max_tokens"] = 8
    if len(json.dumps(body, default=str)) % 8 == 0:
        return
    if isinstance(body.get("model"), str):
        del body["model"]
    for name in ("best_of", "tools", "tool_choice", "continue_final_message", "add_generation_prompt", "suffix"):
        body.pop(name, None)
    for name in ("prompt", "tokens", "stop_token_ids"):
        if name in body:
            body[name] = within(body[name])
    for message in body["messages"] if isinstance(body.get("messages"), list) else []:
        # The embedded model's template writes nothing of tools.
        if isinstance(message, dict) and message.get("role") == "tool":
            message["role"] = "user"
        if isinstance(message, dict):
            leave_calls_out(message.get("content"))
    leave_calls_out(body.get("input"))
    # Chance alone may draw hardly a stream.
    if len(json.dumps(body, default=str)) % 3 == 0:
        body["stream"] = True
    if body.get("stream") is not True:
        body.pop("stream_options", None)
    if body.get("logprobs") is not True:
        body.pop("top_logprobs", None)
    if body.get("echo") is not True and 0 in [body.get(name) for name in lengths]:
        body["echo"] = True


def events(text):
    """The data of a stream's events."""
    assert text.endswith("data: [DONE]\n\n")
    for event in text.split("\n\n")[:-2]:
        assert event.startswith((": ", "data: ")) and "\n" not in event
        if event.startswith("data: "):
            yield json.loads(event[6:])


def named_events(text):
    """The data of a stream's events that have names."""
    assert text.endswith("\n\n")
    for event in text.split("\n\n")[:-1]:
        if event.startswith(": "):
            continue
        name, data = event.split("\n")
        data = json.loads(data.removeprefix("data: "))
        assert name == "event: " + data["type"]
        yield data


def validator(name):
    """What checks one of the description's schemas."""
    whole = ask("/openapi.json")
    return jsonschema_rs.validator_for(whole | {"$ref": f"#/components/schemas/{name}"})


CHUNKS = {"/v1/chat/completions": validator("ChatChunk"), "/v1/completions": validator("CompletionChunk")}
# What the last events of others are called.
ENDS = {"/v1/messages": ["message_stop"], "/v1/responses": ["response.completed", "response.incomplete"]}
RESPONSE = validator("ResponseAnswer")


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_operation(case):
    response = case.call(timeout=PATIENCE)
    case.validate_response(response)
    seen.setdefault(case.operation.label, Counter())[response.status_code] += 1
    if response.headers.get("content-type", [""])[0].startswith("text/event-stream"):
        seen[case.operation.label]["streams"] += 1
        if case.path in CHUNKS:
            for event in events(response.text):
                CHUNKS[case.path].validate(event)
        else:
            last = list(named_events(response.text))[-1]
            assert last["type"] in ENDS[case.path]
            if "response" in last:
                RESPONSE.validate(last["response"])


def test_much_was_answered():
    """The requests were not all refused for the first thing that is wrong in them."""
    posts = {label: count for label, count in seen.items() if label.startswith("POST")}
    described = {
        f"{method.upper()} {path}" for path, methods in ask("/openapi.json")["paths"].items() for method in methods}
    # The description itself may be left out: it has been read.
    assert seen.keys() | {"GET /openapi.json"} == described
    for label, count in posts.items():
        assert count[200] >= 10 and count[400] >= 10, (label, count)
        assert count["streams"] >= 1 or label.removeprefix("POST ") not in CHUNKS | ENDS, (label, count)


def test_every_path_is_there():
    """Each path, with /v1 and without, and nothing but its methods."""
    for path, methods in ask("/openapi.json")["paths"].items():
        if "{" in path:
            continue
        bare = path.removeprefix("/v1")
        for spelling in {path, bare, "/v1" + bare}:
            for method in ("get", "post", "put", "delete", "patch"):
                response = requests.request(method, URL + spelling, timeout=PATIENCE, data="{")
                assert (response.status_code == 405) == (method not in methods), (method, spelling)
                assert response.status_code != 404
                if response.status_code == 405:
                    assert response.headers["allow"].split(", ")[0].lower() in methods
