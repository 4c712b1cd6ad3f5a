"""How every command ends when nobody reads on, and what it says of numbers that cannot be: never a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", [name for name in COMMANDS if "help" not in name])
def test_a_full_disk_is_told(sim: Mapping[str, str], name: str, backend: str) -> None:
    command = [*COMMANDS[name], *(of("openai", sim) if "openai" in COMMANDS[name] else ())]
    command += [] if "--list-faults" in name else ["--backend", backend]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "headrace", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
            env=environment(THE_TEST_KEY=KEY),
        )
    told = "headrace: the output cannot be written: [Errno 28] No space left on device\n"
    assert (done.returncode, done.stderr) == (74, told)


def heard() -> None:
    """What runs in the background of a shell inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", ["models", "doctor", "demo"])
def test_ctrl_c_is_no_traceback(name: str, backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        there = ("--plain",) if name == "demo" else ("openai", "--base-url", url, "--key-env", "THE_TEST_KEY")
        with subprocess.Popen(
            [sys.executable, "-m", "headrace", name, *there, "--backend", backend],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(THE_TEST_KEY=KEY),
            preexec_fn=heard,
        ) as process:
            assert process.stdout is not None
            if name == "demo":
                process.stdout.readline()
                process.stdout.readline()  # the streams are on their way
                process.send_signal(signal.SIGINT)
            else:
                asking, _ = silent.accept()
                with asking:
                    asking.recv(1)  # so is the request
                    time.sleep(0.3)  # trio raises where it waits, in the group; a task that runs would be hit itself
                    process.send_signal(signal.SIGINT)
                    process.wait(timeout=20)
            _, told = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in told) == (130, False), told


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


def test_a_simulator_without_an_address_is_told() -> None:
    done = headrace("sim", "--host", "")  # a socket would take it as every address of the machine
    assert (done.returncode, done.stdout) == (2, "")
    assert "headrace sim: --host is empty: leave it out" in done.stderr


@pytest.mark.parametrize("option", ["--config", "--base-url", "--key-env"])
@pytest.mark.parametrize(
    "command", [("chat", "-m", "openai", "Hi"), ("models", "openai"), ("limits", "openai"), ("doctor", "openai")]
)
def test_an_option_that_is_empty_sends_nothing_elsewhere(command: tuple[str, ...], option: str) -> None:
    done = headrace(*command, option, "", OPENAI_API_KEY=KEY, HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 2
    assert f"headrace {command[0]}: {option} is empty: leave it out, or give it a value" in done.stderr


def test_an_answer_of_less_than_nothing_is_told() -> None:
    done = headrace("chat", "--max-tokens", "-1", "Hello", OPENAI_API_KEY=KEY)
    assert (done.returncode, done.stdout) == (2, "")
    assert "max_tokens is -1: it must be a whole number of at least 0" in done.stderr
