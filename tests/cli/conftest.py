"""What the tests of the commands share: a simulator that is a process, and an environment without anybody's keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

KEY = "sk-0123456789-of-the-test"


def environment(**variables: str) -> Mapping[str, str]:
    """Of the test's own process, less what would configure a provider, or a size that is not the terminal's."""
    left = ("_KEY", "_TOKEN", "_HOST", "_URL", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.endswith(left)}
    return kept | variables


@contextmanager
def simulator(*arguments: str) -> Iterator[Mapping[str, str]]:
    """The base URL of each vendor's simulator, which runs in a process of its own."""
    command = [sys.executable, "-m", "headrace", "sim", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        urls = {}
        while line := process.stdout.readline().split():
            urls[line[0]] = line[1]
        try:
            yield urls
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def sim() -> Iterator[Mapping[str, str]]:
    with simulator("--pace", "0") as urls:
        yield urls


def headrace(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, piped; no output of it may show a key."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=environment(**variables),
    )
    assert KEY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def of(vendor: str, urls: Mapping[str, str]) -> tuple[str, ...]:
    """The options that send a vendor's provider, with the test's key, to the simulator."""
    return ("--base-url", urls[vendor], "--key-env", "THE_TEST_KEY")
