"""Starts a server and lets the tests beside this file use it: main.py PROGRAM [arguments of pytest]."""

import os
import sys
from pathlib import Path

import pytest

from server import Server


class Count:
    """Counts tests as pytest goes."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def pytest_runtest_logreport(self, report):
        self.passed += report.when == "call" and report.passed
        self.failed += report.failed
        self.skipped += report.skipped

    def pytest_collectreport(self, report):
        self.failed += report.failed
        self.skipped += report.skipped


def main(program, *arguments):
    count = Count()
    try:
        with Server(program) as server:
            os.environ |= {"FORETOKEN_URL": server.url, "FORETOKEN_PROGRAM": program}
            folder = str(Path(__file__).parent)
            quiet = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "--durations=5", "--durations-min=5"]
            status = pytest.main([folder, *quiet, *arguments], plugins=[count])
        count.passed += 1
    except (AssertionError, RuntimeError) as fault:
        print(f"FAILED: {fault}")
        count.failed += 1
        status = 1
    if count.skipped:
        print(f"{count.skipped} skipped")
    print(f"{count.passed} passed, {count.failed} failed")
    return int(status != 0 or count.failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
