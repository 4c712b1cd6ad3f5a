"""The commands in a real terminal (tmux): what a person sees, and what Ctrl-C does."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from headrace import Recording
from headrace._types import Frame

from .conftest import KEY, environment, of, simulator

PATIENCE = 20.0  # seconds until a text must have been seen
RECORDED = (
    b'{"model":"llama3.2","message":{"role":"assistant","content":"A channel, "},"done":false}\n',
    b'{"model":"llama3.2","message":{"role":"assistant","content":"and"},"done":false}\n',
)

if shutil.which("tmux") is None:
    if os.environ.get("HEADRACE_REQUIRE_TMUX"):
        pytest.fail("tmux is required here and is not installed", pytrace=False)
    pytest.skip("tmux is not installed", allow_module_level=True)


class Terminal:
    """One terminal of 110 columns and 40 lines, which runs one command and then says its exit code."""

    def __init__(self, socket: Path) -> None:
        self._tmux = ["tmux", "-S", str(socket)]

    def start(self, *arguments: str, **variables: str) -> None:
        command = shlex.join([sys.executable, "-m", "headrace", *arguments])
        session = [*self._tmux, "-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "40"]
        session += ["sh", "-c", f'trap : INT; {command}; echo "exit code $?"; sleep 60']
        subprocess.run(session, check=True, env={**environment(**variables), "TERM": "xterm-256color"})

    def screen(self) -> str:
        shown = subprocess.run(
            [*self._tmux, "capture-pane", "-p", "-S", "-"], capture_output=True, text=True, check=True
        )
        return shown.stdout

    def until(self, *texts: str) -> str:
        """The screen, once all of these are on it."""
        end = time.monotonic() + PATIENCE
        while not all(text in (shown := self.screen()) for text in texts):
            assert time.monotonic() < end, f"{texts} not seen in:\n{shown}"
            time.sleep(0.05)
        assert KEY not in shown
        return shown

    def press(self, key: str) -> None:
        subprocess.run([*self._tmux, "send-keys", key], check=True)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tmux")
    yield made
    made.close()


@pytest.fixture(scope="module")
def slow() -> Iterator[Mapping[str, str]]:
    with simulator("--pace", "0.3") as urls:
        yield urls


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
def test_chat_is_live_and_ctrl_c_keeps_what_came(terminal: Terminal, slow: Mapping[str, str], backend: str) -> None:
    terminal.start("chat", "-m", "ollama/llama3.2", "--backend", backend, "Hello", OLLAMA_HOST=slow["ollama"])
    end = time.monotonic() + PATIENCE
    while len(early := terminal.screen().strip()) < 10:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "exit code" not in early  # words are seen while others are still to come
    terminal.press("C-c")
    shown = terminal.until("headrace chat: stopped after", "all that came is printed", "exit code 130")
    assert shown.startswith(early[:10])
    assert "Traceback" not in shown


@BACKENDS
def test_limits_are_live_meters_until_ctrl_c(terminal: Terminal, sim: Mapping[str, str], backend: str) -> None:
    terminal.start("limits", "anthropic", *of("anthropic", sim), "--backend", backend, THE_TEST_KEY=KEY)
    shown = terminal.until("anthropic/claude-sonnet-5-5", "requests", "tokens ", "[...", "Ctrl-C ends")
    assert "exit code" not in shown
    terminal.press("C-c")
    shown = terminal.until("exit code 0")
    assert shown.count(" tokens ") == 1  # drawn in place
    assert "Traceback" not in shown


@BACKENDS
def test_models_are_a_table_with_a_heading(terminal: Terminal, sim: Mapping[str, str], backend: str) -> None:
    terminal.start("models", "openai", *of("openai", sim), "--backend", backend, THE_TEST_KEY=KEY)
    shown = terminal.until("exit code 0")
    assert shown.splitlines()[0].split() == ["provider", "model", "default", "input", "output", "name"]
    assert "gpt-6.1-terra" in shown


def test_the_demo_is_drawn_in_place(terminal: Terminal) -> None:
    terminal.start("demo")
    terminal.until("anthropic", "openai", "gemini", "grok", "streaming")
    shown = terminal.until("exit code 0", "interrupted", "requests used")
    assert "[Response interrupted]" in shown


def test_the_doctor_reports(terminal: Terminal, sim: Mapping[str, str]) -> None:
    terminal.start("doctor", OLLAMA_HOST=sim["ollama"])
    shown = terminal.until("exit code 0", "ollama", "answers; 2 models")
    assert "optional parts" in shown


@BACKENDS
def test_a_recording_is_replayed(terminal: Terminal, tmp_path: Path, backend: str) -> None:
    frames = tuple(Frame(0.1 * number, line) for number, line in enumerate(RECORDED, 1))
    Recording(
        provider="ollama",
        vendor="ollama",
        model="llama3.2",
        api=None,
        kind="stream",
        request="POST /api/chat",
        sent_at=1_790_000_000.0,
        answered=0.05,
        status=200,
        headers={"content-type": "application/x-ndjson"},
        frames=frames,
        ending="cut",
        error="TruncatedStreamError",
        message="the peer went",
    ).save(tmp_path / "cut.jsonl")
    terminal.start("replay", str(tmp_path / "cut.jsonl"), "--speed", "1", "--backend", backend)
    shown = terminal.until("exit code 3")
    assert "A channel, and" in shown
    assert "cut after 14 characters" in shown


@BACKENDS
def test_the_simulator_runs_until_ctrl_c(terminal: Terminal, backend: str) -> None:
    terminal.start("sim", "--backend", backend)
    shown = terminal.until("anthropic ", "ollama ", "curl -N http://127.0.0.1:")
    assert "exit code" not in shown
    terminal.press("C-c")
    assert "Traceback" not in terminal.until("exit code 0")
