"""Conversations that chat templates are rendered with: every order of roles, tools, thoughts, missing contents."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a \"place\" <now> & here.\nTwo lines, é.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A town", "enum": ["Rome", "Oslo"]},
                "days": {"type": "integer", "default": 3},
                "exact": {"type": "boolean"},
                "parts": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["place"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}}


def call(name, arguments, as_text, number=0):
    import json

    return {
        "id": f"functions.{name}:{number}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments) if as_text else arguments},
    }


def say(role, content, **more):
    return {"role": role, "content": content, **more}


def conversations():
    """Name and variables of each."""
    user, answer = say("user", " one <｜Assistant｜> "), say("assistant", "Hm.</think>\n\nYes, {{ it }} is.\n")
    yield "one", [user], {}
    yield "two turns", [user, answer, say("user", "two")], {}
    yield "system", [say("system", "Be brief."), user, answer, say("user", "b\n\nc")], {}
    yield "users in a row", [user, say("user", "two")], {}
    yield "late system", [say("user", "a"), say("system", "s"), say("user", "b")], {}
    yield "answers in a row", [say("user", "a"), say("assistant", "b"), say("assistant", "c"), say("user", "d")], {}
    yield "answer first", [say("assistant", "Welcome."), say("user", "Hi")], {}
    yield "two systems", [say("system", "s"), say("system", "t"), user], {}
    yield "developer", [say("developer", "d"), user], {}
    yield "empty", [say("user", "")], {}
    yield "nobody", [], {}
    yield "reasoning", [user, say("assistant", "fine", reasoning_content="Let me see\n"), say("user", "two")], {}
    yield "thoughts", [user, say("assistant", "<think>\nA\n</think>\n\nB"), say("user", "two")], {}
    yield "list content", [say("user", [{"type": "text", "text": "part"}])], {}
    for thinking in (True, False):
        yield f"thinking {thinking}", [say("system", "s"), user], {"thinking": thinking, "enable_thinking": thinking}
    for as_text in (True, False):
        kind = "text" if as_text else "object"
        calls = [call("get_weather", {"place": "Rome", "days": 2, "exact": True}, as_text), call("now", {}, as_text, 1)]
        asked = say("assistant", None, tool_calls=calls)
        results = [
            say("tool", '{"sky": "blue"}', tool_call_id="functions.get_weather:0", name="get_weather"),
            say("tool", "12:00", tool_call_id="functions.now:1", name="now"),
        ]
        tools = {"tools": [WEATHER, TIME]}
        yield f"tools {kind}", [user], tools
        yield f"called {kind}", [user, asked, *results], tools
        yield f"one call {kind}", [user, say("assistant", "Wait.", tool_calls=calls[:1]), results[0]], tools
        yield f"after calls {kind}", [say("system", "s"), user, asked, *results, say("assistant", "Blue."), say("user", "?")], tools
        yield f"calls without tools {kind}", [user, asked, *results], {}


def contexts():
    for name, messages, more in conversations():
        for opens in (True, False):
            yield f"{name}, {'opened' if opens else 'closed'}", {
                "messages": messages,
                "tools": None,
                "documents": None,
                "add_generation_prompt": opens,
                "bos_token": "<BOS>",
                "eos_token": "<EOS>",
                **more,
            }
