"""What tests of the server have in common. FORETOKEN_URL is where it is, FORETOKEN_PROGRAM the program itself."""

import json
import os
import subprocess
import urllib.request

import openai
import pytest

from server import PATIENCE, Server

PROGRAM = os.environ["FORETOKEN_PROGRAM"]
URL = os.environ["FORETOKEN_URL"]
PROBE = {"prompt": "/// The sum of all", "max_tokens": 24, "seed": 7, "temperature": 0.8, "logprobs": 2, "echo": True}


def ask(path, body=None):
    """What the server answers, as JSON."""
    request = urllib.request.Request(URL + path, None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)


@pytest.fixture(scope="session")
def probe():
    """What one request is answered before anything else happens."""
    return ask("/v1/completions", PROBE)["choices"]


@pytest.fixture(scope="module", autouse=True)
def same_answer_afterwards(probe):
    """Whatever the tests of a file do to the server: it answers as it did before."""
    yield
    assert ask("/v1/completions", PROBE)["choices"] == probe


@pytest.fixture(scope="session")
def foretoken():
    """Runs the program and gives what its --json prints."""
    def run(*arguments):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FORETOKEN_")}
        done = subprocess.run(
            [PROGRAM, *arguments, "--json"], capture_output=True, text=True, env=kept, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return run


@pytest.fixture
def server():
    """Starts a server with other flags than the common one."""
    running = []
    def start(*flags, **environment):
        running.append(Server(PROGRAM, *flags, **environment))
        return running[-1]
    yield start
    for one in running:
        with one:
            pass


@pytest.fixture(scope="module")
def client():
    return openai.OpenAI(base_url=URL + "/v1", api_key="none", timeout=PATIENCE, max_retries=0)
