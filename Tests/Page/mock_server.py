"""A stand-in for `foretoken serve` that answers by script: what the last message begins with chooses what happens.

    echo TEXT    TEXT as the answer, word by word, with drafts and their fates
    think TEXT   the same after a thought
    plain TEXT   the same as OpenAI's own server would send it: no fates, no figures
    slow TEXT    after a queue and a prompt's progress, with a pause at every word
    break TEXT   an error chunk after half of the answer;  cut TEXT: the connection just ends there
    busy         429;  refuse: 400;  random: another text each time

Run alone (mock_server.py [PORT]) it can be looked at with a browser.
"""

import base64
import hashlib
import json
import random
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "Sources/CForetokenPage/CForetokenPage.c"


def page() -> str:
    """The page as the server has it: its parts, one after the other."""
    parts = re.findall('^#embed "(.+)"$', SOURCE.read_text(), re.MULTILINE)
    return "".join((SOURCE.parent / part).read_text() for part in parts)


def policy(text: str) -> str:
    """The Content-Security-Policy that the server sends: only the page's own script and style, by their hashes."""

    def hashed(tag):
        element = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        return "'sha256-" + base64.b64encode(hashlib.sha256(element.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; script-src {hashed('script')}; style-src {hashed('style')}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def traced(text, seed):
    """Rounds of tokens with their fates, as drawn with the seed: each is what a chunk tells of it, as the server does."""
    draw = random.Random(seed)
    words = re.findall(r"\s*\S+|\s+$", text)
    while words:
        source = draw.choice(["mtp", "mtp", "mtp", "lookup", "prediction"])
        count = min(draw.choice([0, 1, 1, 2, 2, 3, 4]), len(words) - 1)
        pieces = [{"text": word, "source": source, "draft": i + 1} for i, word in enumerate(words[:count])]
        pieces.append({"text": words[count], "source": "own", "draft": 0})
        own = {"tokens": [[i, piece["source"], piece["draft"]] for i, piece in enumerate(pieces)], "pieces": pieces}
        if draw.random() < 0.4:
            wrong = draw.choice([" perhaps", " and", " the", "\n"])
            own["rejected"] = [{"at": count, "text": wrong, "source": source, "draft": count + 1}]
        yield own
        words = words[count + 1 :]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port=0, key=None, loading_seconds=0.0, model={}):
        self.key, self.ready_at, self.loading_seconds = key, time.time() + loading_seconds, loading_seconds
        self.model = model  # members that the list of models has, too
        self.requests, self.stopped = [], threading.Event()  # bodies of the questions; set once a reader has gone
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_):
        pass

    def reply(self, status, body, content_type="application/json", **headers):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def refused(self):
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self.reply(401, {"error": {"message": "no such key", "code": "invalid_api_key"}})
            return True

    def do_GET(self):
        if self.path == "/":
            text = page()
            self.reply(200, text, "text/html; charset=utf-8", Content_Security_Policy=policy(text), Cache_Control="no-cache")
        elif self.path == "/health":
            left = self.server.ready_at - time.time()
            if left > 0:
                self.reply(503, {"status": "loading", "progress": 1 - left / self.server.loading_seconds})
            else:
                self.reply(200, {"status": "ok"})
        elif self.path == "/v1/models":
            if not self.refused():
                self.reply(200, {"object": "list", "data": [{"id": "mock-v3", "max_model_len": 4096, **self.server.model}]})
        else:
            self.reply(404, {"error": {"message": "not here"}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.refused():
            return
        request = json.loads(body)
        self.server.requests.append(request)
        kind, _, text = request["messages"][-1]["content"].partition(" ")
        if kind == "busy":
            self.reply(429, {"error": {"message": "64 are waiting."}}, Retry_After="3")
        elif kind == "refuse":
            self.reply(400, {"error": {"message": "`top_p` must be in 0...1", "param": "top_p"}})
        else:
            if kind == "random":
                text = str(random.random())
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                self.stream(kind, text, request)
            except (BrokenPipeError, ConnectionResetError):
                self.server.stopped.set()

    def event(self, delta=None, finish=None, **more):
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        data = "data: " + json.dumps({"object": "chat.completion.chunk", "choices": choices, **more}) + "\n\n"
        half = len(data) // 2  # an event may come in pieces
        for piece in (data[:half], data[half:]):
            self.wfile.write(piece.encode())
            self.wfile.flush()

    def stream(self, kind, text, request):
        seed = request["seed"]
        self.wfile.write(b": ping\r\n\r\n")
        if kind == "slow":
            for place in (2, 1):
                self.event(foretoken={"queue": {"before": place}})
                time.sleep(0.3)
            for done in (256, 768, 1280):
                self.event(foretoken={"prompt": {"done": done, "of": 1300, "cached": 256}})
                time.sleep(0.3)
        if kind == "plain":
            self.event({"role": "assistant", "content": ""})
        counts = {"drafted": [0] * 5, "accepted": [0] * 5}
        parts = [("content", text)]
        if kind == "think":
            parts.insert(0, ("reasoning_content", "The user wants an echo. Nothing is simpler than that."))
        sent = 0
        for field, whole in parts:
            for own in traced(whole, seed):
                if sent > len(text) / 2 and kind == "cut":
                    return
                if sent > len(text) / 2 and kind == "break":
                    self.wfile.write(b'data: {"error": {"message": "the engine stumbled"}}\n\ndata: [DONE]\n\n')
                    return
                held = len(own["pieces"]) - 1
                for depth in range(held + len(own.get("rejected", []))):
                    counts["drafted"][depth] += 1
                    counts["accepted"][depth] += depth < held
                joined = "".join(piece["text"] for piece in own["pieces"])
                self.event({field: joined}, **({} if kind == "plain" else {"foretoken": own}))
                sent += len(joined)
                time.sleep(0.3 if kind == "slow" else 0.02)
        last = {} if kind == "plain" else {
            "foretoken": {"seed": seed, **counts, "queue_ms": 600 if kind == "slow" else 0, "bits": "exact"},
            "timings": {"predicted_per_second": 23.4, "draft_n": sum(counts["drafted"]), "draft_n_accepted": sum(counts["accepted"])},
        }
        self.event({}, "length" if request.get("max_tokens") == 1 else "stop", **last)
        self.event(usage={"prompt_tokens": 40, "completion_tokens": len(text.split()), "prompt_tokens_details": {"cached_tokens": 16}})
        self.wfile.write(b"data: [DONE]\n\n")


if __name__ == "__main__":
    server = Server(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    print(server.url)
    threading.Event().wait()
