"""Requests that mean harm, each made from a number alone, and what may be answered to them."""

import copy
import json
import random
import socket
import struct
import time

PATIENCE = 60

MESSAGES = [{"role": "user", "content": "Hi"}]
# Requests that are in order, each with the field whose loss is felt.
SOUND = [
    ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 2, "seed": 1}),
    ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 2, "stream": True, "logprobs": True, "top_logprobs": 2,
                              "stream_options": {"include_usage": True}, "stop": ["a", "b"]}),
    ("/v1/chat/completions", {"messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *MESSAGES,
        {"role": "assistant", "content": "so", "reasoning_content": "hm", "prefix": True}],
        "max_tokens": 1, "temperature": 0, "tools": [], "thinking": {"type": "disabled"}, "logit_bias": {"5": -3}}),
    ("/v1/completions", {"prompt": "let a", "max_tokens": 2, "n": 2, "top_p": 0.5, "min_p": 0.1, "top_k": 3}),
    ("/v1/completions", {"prompt": [[5, 6], [7]], "max_tokens": 1, "echo": True, "logprobs": 2, "stop_token_ids": [9]}),
    ("/beta/completions", {"prompt": "a", "suffix": "b", "max_tokens": 1, "stream": True,
                           "prediction": {"type": "content", "content": "c"}, "foretoken": {"trace": True}}),
    ("/tokenize", {"prompt": "some text", "return_token_strs": True}),
    ("/tokenize", {"messages": MESSAGES}),
    ("/detokenize", {"tokens": [5, 6, 7]}),
    ("/v1/messages", {"model": "foretoken-demo", "max_tokens": 2, "messages": MESSAGES, "system": "s", "stream": True}),
    ("/v1/messages/count_tokens", {"messages": MESSAGES}),
    ("/v1/responses", {"input": "Hi", "max_output_tokens": 2, "stream": True}),
]
READ = [
    "/", "/health", "/version", "/v1/models", "/models/foretoken-demo", "/tokenizer_info", "/foretoken/status", "/metrics",
    "/openapi.json", "/nothing", "/v1/models/%ff%00%", "/..%2f..%2fetc/passwd", "/v1//models", "/beta/health", "*", "",
    "\\", "http://127.0.0.1/health", "//health", "/health?a=b#c", "/" + "a" * 5000, "/v1/models/" + "%C3%BC" * 300,
]


class Raw(bytes):
    """JSON, or nearly, as it is to be sent."""


STRANGE = [
    None, True, False, 0, -1, 1, 2, 3, 64, 65, 0.5, -0.0, 2**31, 2**53 + 1, 2**63, 2**64 - 1, 2**64, -2**63 - 1, 10**400,
    "", "x", "\0", "\ud800", "\u202e", "a" * 300, "漢字🙂" * 100, "<｜end▁of▁sentence｜>", "<｜Assistant｜>", "<think>",
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>", "none", "auto", "required", [], {}, [[]], [None], [{}], {"": ""},
    ["a"] * 20, [0] * 300, [4095, 4096, -1], {"type": "text"}, {"type": "json_object"},
    {"type": "function", "function": {"name": "f"}},
    *map(Raw, [
        b"1e400", b"1e-400", b"-1e400", b"NaN", b"Infinity", b"01", b"1.", b"-", b"+1", b"1" * 3000, b"0." + b"0" * 3000 + b"1",
        b'"\xff\xfe"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\\ud800\\udc00"', b'"\\udc00"', b'"\\x41"', b'"\\u12"', b'"\n"',
        b"'a'", b"undefined", b"[" * 63 + b"]" * 63, b"[" * 100, b"[" * 20000, b'{"a":' * 62 + b"1" + b"}" * 62,
        b'{"a":' * 5000, b"[1,]", b'{"a":1,}', b"// no\n1", b'{"a":1,"a":2}', b"",
    ]),
]
FIELDS = ["n", "seed", "temperature", "max_tokens", "stop", "x", ""]
LENGTHS = [
    b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 5, 6", b"Content-Length: +5",
    b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Content-Length: x",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Content-Length: 17000000",
]
HEADERS = [
    b"Host: evil.example", b"Origin: http://evil.example", b"Origin: null", b"X: " + b"a" * 40000, b" folded", b": none",
    b"X\xff: y", b"X: \xff\xfe\0", b"Authorization: Bearer \xff", b"Expect: 100-continue", b"Expect: 7", b"Upgrade: h2c",
    b"Connection: Upgrade\r\nUpgrade: websocket", b"Connection: close", b"X-Api-Key:", b"Range: bytes=0-1",
]
NO_REQUESTS = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /health\r\n", b"\r\n" * 50,
    b"GET /health HTTP/0.9\r\n\r\n", b"GET /health HTTP/1.0\r\n\r\n", b"GET /health HTTP/3.7\r\n\r\n", b"\0" * 100,
    b"GET  /health  HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\nHost: a\n\n", b"SSH-2.0-a\r\n", b"a" * 70000,
]
METHODS = ["HEAD", "OPTIONS", "DELETE", "PUT", "TRACE", "get", "PRI", "CONNECT"]


def written(value):
    """JSON text."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, dict):
        return b"{" + b",".join(written(key) + b":" + written(member) for key, member in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(written, value)) + b"]"
    return json.dumps(value).encode()


def places(value, found):
    """All members of lists and objects, as what holds them and key."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            found.append((value, key))
            places(value[key], found)
    return found


def damaged(text, dice, most=4):
    """Some bytes lost, doubled, changed or put in."""
    text = bytearray(text)
    for _ in range(dice.randint(1, most)):
        if not text:
            break
        at, length = dice.randrange(len(text)), dice.choice([1, 1, 1, 2, 5, 30])
        match dice.randrange(5):
            case 0: del text[at:at + length]
            case 1: text[at:at] = text[at:at + length]
            case 2: text[at] ^= 1 << dice.randrange(8)
            case 3: text[at:at] = dice.randbytes(length)
            case 4: text[at:at] = dice.choice([b"\r\n", b"\0", b"{", b'"', b"\\", b",", b"\xf0\x9f", b"\r", b"\n", b" "])
    return bytes(text)


def strange_body(dice):
    path, body = dice.choice(SOUND)
    body = copy.deepcopy(body)
    for _ in range(dice.choice([0, 1, 1, 1, 2, 4])):
        holder, key = dice.choice(places(body, []) or [(body, "x")])
        match dice.randrange(6):
            case 0 if isinstance(holder, dict):
                holder.pop(key, None)
            case 1:
                holder[key] = copy.deepcopy(dice.choice(SOUND)[1])
            case 2 if isinstance(holder, dict):
                holder[dice.choice(FIELDS)] = copy.deepcopy(dice.choice(STRANGE))
            case _:
                holder[key] = copy.deepcopy(dice.choice(STRANGE))
    text = written(body)
    if dice.random() < 0.25:
        text = damaged(text, dice)
    return path, text


def head(method, path, *lines):
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", *lines, b"", b""])


def post(path, body, *lines):
    return head("POST", path, b"Content-Length: %d" % len(body), *lines) + body


def chunked(path, body, dice):
    """The same in chunks, some of which are none."""
    text = head("POST", path, b"Transfer-Encoding: chunked")
    while body:
        length = dice.randint(1, 200)
        text += dice.choice([b"%x", b"%X", b"%x;a=b", b"00%x"]) % len(body[:length]) + b"\r\n" + body[:length] + b"\r\n"
        body = body[length:]
    return text + b"0\r\n\r\n"


def strange_head(dice):
    path, body = dice.choice(SOUND)
    body = json.dumps(body).encode()
    match dice.randrange(9):
        case 0:
            return damaged(post(path, body)[:200], dice, 8)
        case 1:
            return damaged(head("GET", dice.choice(READ)), dice)
        case 2:
            return head(dice.choice(METHODS), dice.choice(READ))
        case 3:
            return head("POST", path, dice.choice(LENGTHS)) + body
        case 4:
            text = chunked(path, body, dice)
            return text if dice.random() < 0.5 else damaged(text, dice)
        case 5:
            value = b"v" * dice.choice([1, 100])
            return head("GET", dice.choice(READ), *[b"X-%d: " % n + value for n in range(dice.choice([1, 50, 400]))])
        case 6:
            return head("GET", "/health", dice.choice(HEADERS))
        case 7:
            return dice.choice(NO_REQUESTS)
        case 8:
            several = [head("GET", "/version"), post(path, body), head("GET", "/nothing")]
            return b"".join(dice.choice(several) for _ in range(dice.randint(2, 5)))


class Wrong(Exception):
    """An answer that may not be."""


def sound(text):
    """The value of a JSON text, which must not have Python's own words."""
    def refuse(word):
        raise Wrong(f"{word} in JSON: {text[:500]!r}")
    return json.loads(text, parse_constant=refuse)


class Client:
    """A connection that is kept as long as the server lets it."""

    def __init__(self, port):
        self.port = port
        self.socket = self.stream = None
        # Who has said that nothing more comes counts as gone, and is answered that way.
        self.is_gone = False

    def connect(self):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            self.stream = self.socket.makefile("rb")
            self.is_gone = False

    def close(self, abruptly=False):
        if self.socket is not None:
            if abruptly:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.stream.close()
            self.socket.close()
        self.socket = self.stream = None

    def attack(self, number, seed):
        """Sends what the number stands for and checks what is answered: its status, None where there is no answer."""
        dice = random.Random(f"{seed} {number}")
        kind = dice.random()
        if kind < 0.6:
            path, body = strange_body(dice)
            return self.exchange(post(path, body, *dice.choice([[], [], [b"Content-Type: text/plain"]])))
        if kind < 0.85:
            return self.shout(strange_head(dice))
        path, body = strange_body(dice)
        request = post(path, body)
        if kind < 0.9:
            return self.drip(request, dice)
        return self.leave(request, dice)

    def exchange(self, request):
        """A request that is whole: there must be an answer."""
        for fresh in (self.socket is None, True):
            try:
                self.connect()
                self.socket.sendall(request)
                return self.answer()
            except (ConnectionError, EOFError):
                # A connection that was kept may have ended meanwhile.
                self.close()
                if fresh:
                    raise Wrong("no answer") from None

    def shout(self, request):
        """What may be no request: it is answered, or the connection is closed."""
        self.close()
        self.connect()
        status = None
        try:
            self.socket.sendall(request)
            self.socket.shutdown(socket.SHUT_WR)
            self.is_gone = True
            while self.socket is not None:
                status = self.answer(is_head=request.startswith(b"HEAD"))
        except (ConnectionError, EOFError, OSError) as end:
            if isinstance(end, TimeoutError):
                raise Wrong("the connection is neither used nor closed") from None
        self.close()
        return status

    def drip(self, request, dice):
        """A request in small pieces."""
        try:
            self.close()
            self.connect()
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            cuts = sorted(dice.randrange(len(request)) for _ in range(6))
            for start, end in zip([0, *cuts], [*cuts, len(request)]):
                self.socket.sendall(request[start:end])
                time.sleep(0.001)
            return self.answer()
        except (ConnectionError, EOFError):
            raise Wrong("no answer") from None

    def leave(self, request, dice):
        """Goes at some point: in the request, before the answer, or in it."""
        self.close()
        self.connect()
        try:
            self.socket.sendall(request[:dice.choice([len(request), dice.randrange(len(request))])])
            time.sleep(dice.choice([0, 0, 0.002]))
            if dice.random() < 0.3:
                self.socket.shutdown(socket.SHUT_WR)
                self.stream.read(dice.choice([1, 100, -1]))
        except (ConnectionError, OSError):
            pass
        self.close(abruptly=dice.random() < 0.5)

    def answer(self, is_head=False):
        """Reads one answer; EOFError where the connection ends instead."""
        line = self.stream.readline(1000)
        if not line:
            raise EOFError
        parts = line.split(b" ", 2)
        if parts[0] != b"HTTP/1.1" or len(parts) != 3 or not line.endswith(b"\r\n"):
            raise Wrong(f"a line that is none: {line!r}")
        status = int(parts[1])
        headers = {}
        while (line := self.stream.readline(70000)) != b"\r\n":
            name, colon, value = line.partition(b":")
            if not colon:
                raise Wrong(f"a header that is none: {line!r}")
            headers[name.lower()] = value.strip()
        if status == 100:
            return self.answer(is_head)
        body = b"" if is_head or status in (204, 304) else self.body(headers)
        self.check(status, headers, body, is_head)
        if headers.get(b"connection") == b"close" or b"event-stream" in headers.get(b"content-type", b""):
            self.close()
        return status

    def body(self, headers):
        if headers.get(b"transfer-encoding") == b"chunked":
            body = b""
            while length := int(self.line(), 16):
                body += self.exactly(length)
                self.line()
            self.line()
            return body
        return self.exactly(int(headers[b"content-length"]))

    def line(self):
        line = self.stream.readline(1000)
        if not line.endswith(b"\r\n"):
            raise EOFError
        return line[:-2]

    def exactly(self, length):
        found = self.stream.read(length)
        if len(found) < length:
            raise EOFError
        return found

    def check(self, status, headers, body, is_head):
        if not 200 <= status < 500 and not (self.is_gone and status in (503, 529)):
            raise Wrong(f"status {status}: {body[:500]!r}")
        kind = headers.get(b"content-type", b"")
        if kind == b"application/json" and not is_head:
            value = sound(body)
            if status >= 400:
                error = value.get("error", {})
                anthropic = {"type", "message"} == set(error) and value["type"] == "error"
                if not anthropic and set(error) != {"message", "type", "param", "code"} or not error["message"]:
                    raise Wrong(f"an error of another shape: {body!r}")
                if any(ord(letter) < 32 for letter in error["message"]) or len(error["message"]) > 601:
                    raise Wrong(f"a message that cannot be shown: {body!r}")
        elif b"event-stream" in kind:
            # Anthropic's events and those of responses begin with their names.
            for line in body.decode().split("\n"):
                data = line.removeprefix("data: ")
                if data == line or data == "[DONE]":
                    continue
                value = sound(data)
                error = value.get("error") or (value.get("response") or {}).get("error")
                if error and not self.is_gone:
                    raise Wrong(f"an error in the stream: {data[:500]}")
        elif status >= 400 and not is_head:
            raise Wrong(f"status {status} of type {kind!r}")
