"""OpenAI's package as many use it at once: keys, crowds, cached beginnings, clients that go, company."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from asking import QUESTION, chat, complete, connect, joined, texts
from conftest import URL, ask
from server import wait_for


def test_keys(server):
    kept = server(FORETOKEN_API_KEY="secret")
    with pytest.raises(openai.AuthenticationError) as caught:
        chat(connect(kept, api_key="wrong", max_retries=3))
    assert caught.value.code == "invalid_api_key" and caught.value.type == "authentication_error"
    # What is refused before all of it was sent is refused, and no broken connection.
    long = [{"role": "user", "content": "word " * 600_000}]
    with pytest.raises(openai.AuthenticationError):
        chat(connect(kept, api_key="wrong", max_retries=0), messages=long)
    assert texts(chat(connect(kept, api_key="secret"))) == texts(chat(openai.OpenAI(
        base_url=URL + "/v1", api_key="none"))), "a key changes nothing of the answer"


def test_crowd(server):
    """Who finds no room is told so, tries again as often as asked, and gets in when there is room."""
    small = server("--parallel", "1", "--max-queue", "0")
    client = connect(small, max_retries=0)
    long = {"max_tokens": None, "stream": True, "extra_body": {"ignore_eos": True}}
    first = chat(client, **long)
    next(iter(first))
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    assert caught.value.code == "rate_limit_exceeded" and int(caught.value.response.headers["retry-after"]) >= 1
    refused = lambda: small.metric('foretoken_rejected_total{reason="rate_limit_exceeded"}')
    before = refused()
    assert before == 1
    with pytest.raises(openai.RateLimitError):
        chat(connect(small, max_retries=1))
    assert refused() == before + 2, "tried again once, no more"
    with pytest.raises(openai.BadRequestError) as caught:
        # What is too many at once will never fit, however long one waits.
        chat(client, n=2)
    assert caught.value.param == "n"
    timer = threading.Timer(0.3, first.close)
    timer.start()
    assert texts(chat(connect(small, max_retries=20))), "gets in at last"
    timer.join()
    small.wait_until_idle()


def test_queue_is_in_order(server):
    """Nobody is overtaken."""
    small = server("--parallel", "1", "--max-queue", "8")
    client, line = connect(small, max_retries=0), []
    for place in range(7):
        line.append(chat(client, max_tokens=None, stream=True, extra_body={"ignore_eos": True}))
        wait_for(lambda: small.get("/foretoken/status")["waiting"] == place, "a request does not wait")
    for place, stream in enumerate(line):
        next(iter(stream))
        # Nobody else has had a turn before.
        assert small.get("/foretoken/status")["waiting"] == len(line) - 1 - place
        stream.close()
    small.wait_until_idle()


# Cached beginnings


def test_cached_beginnings(client):
    """A chat's beginning outlives requests that clients make beside it, and is nobody's without the same salt."""
    story = "".join(f"let value{number} = values[{number}]\n" for number in range(90))
    turns = [{"role": "user", "content": story}]
    fields = {"max_tokens": 8, "temperature": 0, "extra_body": {"cache_salt": str(time.time())}}
    first = chat(client, messages=turns, **fields)
    assert first.usage.prompt_tokens > 600 and first.usage.prompt_tokens_details.cached_tokens == 0
    for task in ("Write a title of this chat.", "Write three tags.", "Suggest a question."):
        chat(client, messages=[{"role": "user", "content": task}], **fields)
    turns += [{"role": "assistant", "content": texts(first)[0]}, {"role": "user", "content": "Go on."}]
    second = chat(client, messages=turns, **fields)
    assert second.usage.prompt_tokens_details.cached_tokens >= 512
    assert second.usage.prompt_cache_hit_tokens == second.usage.prompt_tokens_details.cached_tokens
    elsewhere = chat(client, messages=turns, **fields | {"extra_body": {"cache_salt": f"other {time.time()}"}})
    assert elsewhere.usage.prompt_tokens_details.cached_tokens == 0
    assert texts(elsewhere) == texts(second), "found or read, the same bits"


def test_line_that_changes_with_every_request():
    """Claude Code's first line is not part of the prompt, or no beginning would be found again."""
    lines = [f"x-anthropic-billing-header: cc_version=2.1; cch={number};\nYou help." for number in (1, 2)]
    counts = [ask("/tokenize", {"messages": [{"role": "system", "content": line}, QUESTION[1]]}) for line in lines]
    assert counts[0] == counts[1]


# Clients that go


def idle_after(what):
    def idle():
        status = ask("/foretoken/status")
        return status["running"] == status["waiting"] == 0
    wait_for(idle, what)


@pytest.mark.parametrize("count", [1, 8, 40])
def test_leaving_a_stream(client, count):
    streams = [chat(client, stream=True, max_tokens=None, extra_body={"ignore_eos": True}) for _ in range(count)]
    for stream in streams[:16]:
        next(iter(stream))
    for stream in streams:
        stream.close()
    idle_after(f"{count} streams were left")


def test_leaving_a_whole_answer(client):
    impatient = client.with_options(timeout=0.4)
    with pytest.raises(openai.APITimeoutError):
        chat(impatient, max_tokens=None, n=16, extra_body={"ignore_eos": True})
    idle_after("an answer was not waited for")


def test_cancelled_tasks():
    async def main():
        async with openai.AsyncOpenAI(base_url=URL + "/v1", api_key="none", max_retries=0) as client:
            async def one(place):
                stream = await client.chat.completions.create(
                    model=None, messages=QUESTION, max_tokens=3000, seed=place, stream=True,
                    extra_body={"ignore_eos": True})
                async for _ in stream:
                    pass
            tasks = [asyncio.create_task(one(place)) for place in range(6)]
            await asyncio.sleep(0.5)
            for task in tasks:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in asyncio.run(main()))
    idle_after("tasks were cancelled")


# Company


def test_company_changes_nothing(client):
    """Eight clients at once, all kinds of requests: each gets what it gets alone."""
    orders = [
        lambda: texts(chat(client, max_tokens=60)),
        lambda: joined(chat(client, max_tokens=50, seed=9, n=3, stream=True), 3)[1],
        lambda: texts(complete(client, "struct Point {", max_tokens=40, temperature=0)),
        lambda: complete(client, "import ", max_tokens=20, logprobs=5, echo=True).choices[0].logprobs.token_logprobs,
        lambda: joined(complete(client, "for index in ", max_tokens=80, temperature=0.5, stream=True))[1],
        lambda: [e.logprob for e in chat(client, logprobs=True, seed=3).choices[0].logprobs.content],
        lambda: texts(complete(client, ["/// A", "/// B", "/// C"], n=2, max_tokens=30, temperature=1.2)),
        lambda: texts(complete(client, "let text = \"" + "word " * 700, max_tokens=10)),
    ]
    alone = [order() for order in orders]
    for _ in range(3):
        with ThreadPoolExecutor(len(orders)) as pool:
            assert [future.result() for future in [pool.submit(order) for order in orders]] == alone


def test_everybody_is_served(client):
    """More requests than there is room for, in order, with none left behind."""
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda place: texts(complete(client, max_tokens=30, seed=place))[0], range(40)))
    assert answers[5] == texts(complete(client, max_tokens=30, seed=5))[0] and len(set(answers)) > 10
    idle_after("all were answered")
