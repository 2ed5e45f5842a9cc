"""A server to be tested, with the embedded model."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

# Seconds in which everything has happened, however busy the machine is.
PATIENCE = 120


def wait_for(condition, what):
    """Waits until a condition holds; its last value otherwise tells why it does not."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: {value!r}"
        time.sleep(0.02)
    return value


class Server:
    """`foretoken serve` at a port of its own, ready for requests."""

    def __init__(self, program, *flags, **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="foretoken-clients-")
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FORETOKEN_")}
        self.process = subprocess.Popen(
            [program, "serve", "--port", "0", *flags], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=kept | {"XDG_CACHE_HOME": self.folder.name} | environment)
        self.pid = self.process.pid
        self.errors = []
        self.reader = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.reader.start()
        line = self.process.stdout.readline()
        found = re.fullmatch(r"foretoken serves on (http://127\.0\.0\.1:\d+)\n", line)
        if not found:
            self.process.kill()
            self.reader.join()
            raise RuntimeError(f"the server does not begin: {line!r} {''.join(self.errors)}")
        self.url = found[1]
        self.key = environment.get("FORETOKEN_API_KEY")
        assert self.get("/health") == {"status": "ok"}

    def request(self, path, body=None):
        """The bytes of an answer."""
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode())
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.read()

    def get(self, path):
        return json.loads(self.request(path))

    def post(self, path, body):
        return json.loads(self.request(path, body))

    def metric(self, name):
        """A sample of /metrics, named with its labels."""
        values = dict(line.rsplit(" ", 1) for line in self.request("/metrics").decode().splitlines() if line[0] != "#")
        return float(values.get(name, 0))

    def wait_until_idle(self):
        """Waits until nothing is generated, nothing waits, and no page is in use."""
        def idle():
            status = self.get("/foretoken/status")
            return status["running"] == status["waiting"] == 0
        wait_for(idle, "requests go on")
        wait_for(lambda: self.metric('foretoken_pages{state="used"}') == 0, "pages are in use")

    def stop(self):
        """Ends it as a service manager would; a server that does not end in order fails."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the server does not end") from None
        self.reader.join()
        said = "".join(self.errors)
        assert status == 0, f"the server ended with {status}: {said}"
        assert not re.search(r"error|Fatal|crash", said), said

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        try:
            self.stop()
        finally:
            self.process.kill()
            self.process.wait()
            self.folder.cleanup()
