"""Made-up records such as agents and tools write: one shape again and again, with other values. Nothing of them is anybody's."""
import json
import random

BEFORE, AFTER = 4, 9  # records of the prompt and of the answer
FILES = ["Router", "Session", "Parser", "Cache", "Planner", "Writer", "Index", "Queue"]
CITIES = ["Aarhus", "Bergen", "Ghent", "Graz", "Lyon", "Porto", "Turin", "Vilnius"]


def call(i, r):
    name = r.choice(FILES)
    return "\n".join([
        '{"role": "assistant", "tool_calls": [{"id": "call_%03d", "type": "function", "function": {"name": "read_file", '
        '"arguments": {"path": "Sources/App/%s.swift", "first_line": 1, "last_line": %d}}}]}' % (i, name, r.randrange(20, 400)),
        '{"role": "tool", "tool_call_id": "call_%03d", "content": {"status": "ok", "lines": %d}}' % (i, r.randrange(20, 400))])


def request(i, r):
    return ('2026-03-14T09:%02d:%02d.%03dZ INFO  http.server request finished method=GET path=/api/v1/items/%d status=%d '
            'duration_ms=%d') % (i, r.randrange(60), r.randrange(1000), r.randrange(1000), r.choice([200, 200, 200, 404]), r.randrange(90))


def test(i, r):
    name = f"{r.choice(FILES)}Tests.test{r.choice(FILES)}{i}"
    return (f"Test Case '{name}' started at 2026-03-14 09:{i:02d}:{r.randrange(60):02d}.{r.randrange(1000):03d}\n"
            f"Test Case '{name}' passed ({r.randrange(1, 900) / 1000:.3f} seconds)")


def build(i, r):
    return f"[{i + 11}/64] Compiling AppCore {r.choice(FILES)}.swift\n[{i + 11}/64] Emitting module for AppCore, {r.randrange(2, 90)} files"


def reading(i, r):
    return json.dumps(dict(station=r.choice(CITIES), sequence=1000 + i, temperature_celsius=round(r.uniform(-9, 30), 1),
                           humidity_percent=r.randrange(20, 99), quality="verified"), indent=2) + ","


def edit(i, r):
    name = r.choice(FILES)
    return (f'<tool name="replace_in_file">\n  <path>Sources/App/{name}.swift</path>\n  <old>let limit = {r.randrange(8, 99)}</old>\n'
            f'  <new>let limit = configuration.limit</new>\n</tool>\n<result status="ok">1 replacement in {name}.swift</result>')


def metric(i, r):
    return (f'requests_total{{service="checkout",instance="node-{i:02d}",code="200"}} {r.randrange(100, 9999)}\n'
            f'requests_total{{service="checkout",instance="node-{i:02d}",code="500"}} {r.randrange(9)}')


def step(i, r):
    return (f"- step: {i + 1}\n  action: run_command\n  arguments:\n    command: swift test --filter {r.choice(FILES)}Tests\n"
            f"    timeout_seconds: {r.choice([30, 60, 120])}\n  result: passed")


def transcripts():
    """(name, prompt, answer) of each shape."""
    for record in (call, request, test, build, reading, edit, metric, step):
        generator = random.Random(record.__name__)
        records = [record(i, generator) + "\n" for i in range(BEFORE + AFTER)]
        yield record.__name__, "".join(records[:BEFORE]), "".join(records[BEFORE:])
