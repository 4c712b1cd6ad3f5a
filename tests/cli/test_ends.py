"""How every command ends when nobody reads on, and what it says of numbers that cannot be: never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from .conftest import KEY, environment, headrace, of

COMMANDS = {
    "help": ("--help",),
    "help of one": ("chat", "--help"),
    "chat": ("chat", "-m", "openai", "Hello"),
    "chat --json": ("chat", "--json", "-m", "openai", "Hello"),
    "models": ("models", "openai"),
    "limits": ("limits", "openai", "--no-watch"),
    "limits --watch": ("limits", "openai", "--watch"),
    "doctor": ("doctor", "openai"),
    "doctor --offline": ("doctor", "--offline"),
    "sim": ("sim",),
    "sim --list-faults": ("sim", "--list-faults"),
    "demo": ("demo", "--plain"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_goes_away_ends_it_quietly(sim: Mapping[str, str], name: str, backend: str) -> None:
    command = list(COMMANDS[name])
    if command[-1] == "openai" or "openai" in command:
        command += of("openai", sim)
    if "help" not in name and "--list-faults" not in name:
        command += ["--backend", backend]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "headrace", *command],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
            env=environment(THE_TEST_KEY=KEY),
        )
    finally:
        os.close(write)
    codes = {0, 141} if "help" in name else {141}  # argparse drops the error of its own printing
    assert (done.returncode in codes, done.stderr) == (True, ""), done


@pytest.mark.parametrize("number", ["-1", "0", "nan", "inf"])
@pytest.mark.parametrize("command", [("doctor", "--offline", "--timeout"), ("limits", "ollama", "--every")])
def test_seconds_that_cannot_be_are_told(command: tuple[str, ...], number: str) -> None:
    done = headrace(*command, number)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{command[-1]} is {float(number)!r}: it must be a number of seconds above 0" in done.stderr


@pytest.mark.parametrize(
    ("option", "number"), [("--port", "65536"), ("--port", "-1"), ("--pace", "nan"), ("--pace", "-1")]
)
def test_a_simulator_that_cannot_be_is_told(option: str, number: str) -> None:
    done = headrace("sim", option, number)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"headrace sim: {option} is {number}" in done.stderr


def test_an_answer_of_less_than_nothing_is_told() -> None:
    done = headrace("chat", "--max-tokens", "-1", "Hello", OPENAI_API_KEY=KEY)
    assert (done.returncode, done.stdout) == (2, "")
    assert "max_tokens is -1: it must be a whole number of at least 0" in done.stderr
