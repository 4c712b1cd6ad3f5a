"""`headrace chat` as a process: what goes to which stream, and every exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping

import anyio
import pytest

from headrace.simulator import Script, Simulator, faults

pytestmark = pytest.mark.parametrize("backend", ["asyncio", "trio"])  # of the process; the test's own loop is anyio's
SLOW = Script(text="one two three four five six seven eight", first_delay=0.0, delay=0.5)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def command(backend: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "headrace", "chat", "--backend", backend, *arguments]


def environment(**variables: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN", "_HOST"))}
    return kept | variables


async def asked(
    backend: str, script: Script, *arguments: str, stdin: bytes = b"", ollama: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    async with Simulator() as sim:
        sim.play("ollama", script)
        return await anyio.run_process(
            command(backend, *arguments),
            input=stdin,
            check=False,
            env=environment(OLLAMA_HOST=ollama or sim.base_url("ollama")),
        )


async def test_the_words_and_nothing_else_are_standard_output(backend: str) -> None:
    done = await asked(backend, Script(text="Grüße, 世界!"), "-m", "ollama/llama3.3", "-s", "Be brief.", "Hello")
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, "Grüße, 世界!\n", b"")


async def test_the_question_may_come_by_standard_input_and_the_provider_from_the_environment(backend: str) -> None:
    done = await asked(backend, Script(text="Yes.\n"), stdin=b"Hello?")
    assert (done.returncode, done.stdout) == (0, b"Yes.\n")


async def test_json_is_a_line_a_chunk(backend: str) -> None:
    done = await asked(backend, Script(text="one two"), "-m", "ollama/llama3.3", "--json", "Hello")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(line["content"] for line in lines) == "one two"
    assert [line.get("is_final", False) for line in lines].count(True) == 1
    assert (lines[-1]["finish_reason"], done.returncode) == ("stop", 0)


async def test_a_cut_answer_is_printed_and_exit_code_3(backend: str) -> None:
    script = Script(text="one two three four five", fault=faults.CutFin(after_events=3))
    done = await asked(backend, script, "-m", "ollama/llama3.3", "Hello")
    assert done.returncode == 3
    text = done.stdout.decode().rstrip("\n")
    assert text and "one two three four five".startswith(text)
    assert f"the answer was cut after {len(text)} characters".encode() in done.stderr


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        pytest.param(Script(fault=faults.Refuse(status=429)), 4, b"headrace chat: ", id="rate limit"),
        pytest.param(Script(fault=faults.Refuse(status=500)), 1, b"headrace chat: ", id="server error"),
    ],
)
async def test_a_refusal_has_its_exit_code(script: Script, code: int, words: bytes, backend: str) -> None:
    done = await asked(backend, script, "-m", "ollama/llama3.3", "Hello")
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(words) and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["-m", "opennai/x", "Hi"], "there is no provider 'opennai': there are anthropic", id="provider"),
        pytest.param(["-m", "openai", "Hi"], "OPENAI_API_KEY", id="key"),
        pytest.param(["-m", "openai", "Hi"], "name the one that holds the key by --key-env", id="key, what next"),
        pytest.param(["-m", "grog/x", "Hi"], "compatible, groq,", id="hosts are named"),
        pytest.param(["Hi"], "set one of these variables", id="no key at all"),
        pytest.param(["  "], "there is no question", id="question"),
        pytest.param(["--temperature", "hot", "Hi"], "invalid float value: 'hot'", id="option"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2(arguments: list[str], words: str, backend: str) -> None:
    done = subprocess.run(command(backend, *arguments), capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
async def test_ctrl_c_keeps_what_came(backend: str) -> None:
    async with Simulator() as sim:
        sim.play("ollama", SLOW)
        async with await anyio.open_process(
            command(backend, "-m", "ollama/llama3.3", "Hello"),
            env=environment(OLLAMA_HOST=sim.base_url("ollama")),
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            first = await process.stdout.receive()
            process.send_signal(signal.SIGINT)
            rest = b"".join([data async for data in process.stdout])
            told = b"".join([data async for data in process.stderr])
            assert await process.wait() == 130
    text = (first + rest).decode()
    assert text.endswith("\n") and SLOW.text.startswith(text.rstrip("\n"))
    assert told.startswith(b"headrace chat: stopped after ") and b"Traceback" not in told


async def test_a_reader_that_goes_away_is_no_traceback(backend: str) -> None:
    async with Simulator() as sim:
        sim.play("ollama", Script(text="word " * 2000, first_delay=0.0, delay=0.001))
        pipe = " ".join(command(backend, "-m", "ollama/llama3.3", "Hello")) + " | head -c 4"
        done = await anyio.run_process(
            ["bash", "-o", "pipefail", "-c", pipe], check=False, env=environment(OLLAMA_HOST=sim.base_url("ollama"))
        )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGPIPE, b"word", b"")
