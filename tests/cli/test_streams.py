"""Standard streams as a shell may hand them over: of an encoding that lacks letters, closed, not to be read."""

from __future__ import annotations

import json
import sys

import anyio
import pytest

from headrace.simulator import Script, Simulator

from .conftest import environment

TEXT = "Grüße, 水車 🎶 and so on"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such shell")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def chat(*arguments: str, shell: str = "", stdin: bytes = b"", **variables: str) -> tuple[int, str, str]:
    """Exit code, output and error of `headrace chat`, in a shell that redirects as `shell` says."""
    command = [sys.executable, "-m", "headrace", "chat", "-m", "ollama/any", *arguments]
    async with Simulator() as sim:
        sim.play("ollama", Script(text=TEXT))
        done = await anyio.run_process(
            ["bash", "-c", f'exec "$0" "$@" {shell}', *command],
            input=stdin,
            check=False,
            env=environment(OLLAMA_HOST=sim.base_url("ollama"), **variables),
        )
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode()


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("ascii", "Gr\\xfc\\xdfe, \\u6c34\\u8eca \\U0001f3b6 and so on\n"),
        ("latin-1", "Grüße, \\u6c34\\u8eca \\U0001f3b6 and so on\n"),
        ("ascii:replace", "Gr??e, ?? ? and so on\n"),  # as the caller chose
    ],
)
async def test_a_letter_that_the_encoding_lacks_is_an_escape(encoding: str, printed: str) -> None:
    assert await chat("Hello", PYTHONIOENCODING=encoding) == (0, printed, "")


async def test_json_stays_json() -> None:
    code, printed, told = await chat("--json", "Hello", PYTHONIOENCODING="ascii")
    assert (code, told, printed.isascii()) == (0, "", True)
    assert "".join(json.loads(line)["content"] for line in printed.splitlines()) == TEXT


@pytest.mark.parametrize(("closed", "printed"), [(">&-", ""), ("2>&-", f"{TEXT}\n"), ("<&- >&- 2>&-", "")])
async def test_a_closed_stream_is_no_traceback(closed: str, printed: str) -> None:
    code, out, told = await chat("Hello", shell=closed)
    assert (code, out.encode("latin-1").decode(), told) == (0, printed, "")


@pytest.mark.parametrize(
    ("shell", "words"),
    [("<&-", "there is no question"), ("0>/dev/null", "standard input: Bad file descriptor")],  # as `nohup` does
)
async def test_a_question_that_cannot_be_read_is_told(shell: str, words: str) -> None:
    code, printed, told = await chat(shell=shell)
    assert (code, printed, "Traceback" in told) == (2, "", False)
    assert told.startswith(f"headrace chat: {words}")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
async def test_a_question_that_is_no_text_is_told(errors: str) -> None:
    code, printed, told = await chat(stdin=b"Gr\xfc\xdfe", PYTHONIOENCODING=f"utf-8:{errors}")
    assert (code, printed) == (2, "")
    assert told == "headrace chat: the question has bytes that are no text in this locale: convert it, as by iconv\n"
