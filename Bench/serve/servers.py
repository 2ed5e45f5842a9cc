"""Servers as processes: each says in one line that it is ready, with its address at the end."""
import os
import re
import signal
import subprocess
import tempfile
import time
from types import TracebackType
from typing import IO


class ServerError(Exception):
    """A server did not come up."""


class Server:
    """A running server; leaving its `with` ends it."""

    def __init__(self, command: list[str], name: str) -> None:
        self.name = name
        # Files, since nobody reads what a server says later on.
        self.output, self.errors = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.errors, text=True)
        while True:
            has_ended = self.process.poll() is not None
            found = re.search(r" serves on (http://\S+)\n", self._text(self.output))
            if found:
                break
            if has_ended:
                raise ServerError(f"{name} did not start: {self._text(self.errors).strip()[-500:]}")
            time.sleep(0.05)
        self.url = found[1]

    @staticmethod
    def _text(file: IO[str]) -> str:
        # The server's own place in the file is the same one: it must not be moved.
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), size, 0).decode(errors="replace")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
