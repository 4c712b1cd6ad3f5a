"""`headrace replay` as a process: what goes to which stream, and every exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from headrace import AIMessage, Recorder, Recording
from headrace.errors import AuthenticationError
from headrace.providers.anthropic import AnthropicProvider
from headrace.simulator import Script, Simulator, faults

KEY = "sk-ant-0123456789"


async def made(path: Path, script: Script) -> None:
    recorder = Recorder()
    async with Simulator() as sim:
        sim.play("anthropic", script)
        provider = AnthropicProvider(KEY, base_url=sim.base_url("anthropic"), recorder=recorder)
        stream = provider.chat_stream([AIMessage("user", "Hello")])
        try:
            async with stream:
                async for _ in stream:
                    pass
        except AuthenticationError:
            pass
    recorder.recordings[0].save(path)


def played(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headrace", "replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_the_words_are_standard_output_and_the_rest_is_said_beside(tmp_path: Path, backend: str) -> None:
    await made(tmp_path / "a.jsonl", Script(pieces=("Grüße, ", "世界!")))
    done = played(tmp_path / "a.jsonl", "--backend", backend)
    assert (done.returncode, done.stdout) == (0, "Grüße, 世界!\n")
    assert "anthropic/claude-sonnet-5-5 at " in done.stderr
    assert "finished, 10 characters, finish reason end_turn" in done.stderr


async def test_a_cut_is_told_as_it_was(tmp_path: Path) -> None:
    await made(tmp_path / "a.jsonl", Script(pieces=("one ", "two ", "three"), fault=faults.CutFin(after_pieces=2)))
    done = played(tmp_path / "a.jsonl")
    assert (done.returncode, done.stdout) == (3, "one two \n")
    assert "the connection was lost" in done.stderr
    assert "cut after 8 characters: TruncatedStreamError" in done.stderr


async def test_json_is_a_line_a_chunk(tmp_path: Path) -> None:
    await made(tmp_path / "a.jsonl", Script(pieces=("one ", "two")))
    lines = [json.loads(line) for line in played(tmp_path / "a.jsonl", "--json").stdout.splitlines()]
    assert [line["content"] for line in lines] == ["one ", "two", ""]
    assert lines[-1]["finish_reason"] == "stop"


async def test_frames_are_shown_as_they_came(tmp_path: Path) -> None:
    await made(tmp_path / "a.jsonl", Script(pieces=("one ", "two")))
    shown = played(tmp_path / "a.jsonl", "--frames").stdout.splitlines()
    assert len(shown) == len(Recording.load(tmp_path / "a.jsonl").frames)
    assert "event: message_start" in shown[0]


async def test_a_refusal_is_told(tmp_path: Path) -> None:
    await made(tmp_path / "a.jsonl", Script(fault=faults.Refuse(status=401)))
    done = played(tmp_path / "a.jsonl")
    assert (done.returncode, done.stdout) == (1, "")
    assert "before any of the answer had come: AuthenticationError" in done.stderr


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    done = played(tmp_path / "none.jsonl")
    assert (done.returncode, done.stderr) == (2, f"headrace replay: {tmp_path}/none.jsonl: No such file or directory\n")
    (tmp_path / "bad.jsonl").write_text("hello\n")
    done = played(tmp_path / "bad.jsonl")
    assert done.returncode == 2
    assert "line 1 is not that of a recording" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--frames",)], ids=["words", "json", "frames"])
async def test_what_a_file_names_neither_moves_the_cursor_nor_makes_a_line(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A recording may be another's, who sent it with a report."""
    await made(tmp_path / "a.jsonl", Script(pieces=("one ", "two"), fault=faults.CutFin(after_pieces=1)))
    evil = "\x1b]0;evil\x07\nheadrace replay: finished"
    recording = replace(Recording.load(tmp_path / "a.jsonl"), provider=evil, model=evil, message=evil, request=evil)
    recording.save(tmp_path / "b.jsonl")
    done = played(tmp_path / "b.jsonl", *arguments)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\nheadrace replay: finished" not in done.stderr
    assert "\\x1b]0;evil" in done.stderr
