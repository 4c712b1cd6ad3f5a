"""What a newcomer runs: the README's program, the examples, the demo. Each as it stands, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .redis_server import require_redis

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXAMPLES = sorted({*(ROOT / "examples").glob("*.py")} - {ROOT / "examples" / "web.py"})  # a server: tests/web

pytestmark = pytest.mark.slow


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)


def programs(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_readmes_program_runs_as_it_stands(backend: str, tmp_path: Path) -> None:
    (program,) = programs(README)
    if backend == "trio":
        assert "anyio.run(main)" in program
        program = program.replace("anyio.run(main)", 'anyio.run(main, backend="trio")')
    file = tmp_path / "program.py"
    file.write_text(program)
    done = run(str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) > 30
    assert "'source': 'reported'" in done.stdout and "RateLimitInfo(limit_requests=" in done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_runs(example: Path) -> None:
    if example.stem == "shared_limit":
        require_redis()
    done = run(str(example))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if example.stem == "four_at_once":
        states = dict(line.split()[:2] for line in done.stdout.splitlines())
        assert states == {"anthropic": "finished", "openai": "finished", "gemini": "interrupted", "grok": "finished"}


def test_the_example_of_fallback_asks_the_other_before_the_first_word_and_nobody_after_it() -> None:
    assert run("examples/fallback.py").stdout.splitlines() == [
        "openai: A channel that feeds a mill.",
        "  anthropic: OverloadedError",
        "  openai: answered",
        "cut: 'Water goes' is kept, and nobody else was asked",
        "3 requests",
    ]


def test_the_batch_goes_on_where_it_was_and_repeats_what_failed(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    said, _ = run("examples/batch.py", "--prompts", "30", "--file", str(file)).stdout.splitlines()[-2:]
    assert said == "30 of 30 answered, 0 of them before; 0 refusals"
    rows = file.read_text().splitlines()
    assert {json.loads(row)["number"] for row in rows} == set(range(30))
    file.write_text("\n".join(rows[:20]) + '\n{"number": 40, "error": "ServerError: it failed"}\n')
    said, _ = run("examples/batch.py", "--prompts", "45", "--file", str(file)).stdout.splitlines()[-2:]
    assert said == "45 of 45 answered, 20 of them before; 0 refusals"
    assert len([row for row in map(json.loads, file.read_text().splitlines()) if "text" in row]) == 45


def test_processes_that_share_a_redis_are_refused_nothing() -> None:
    require_redis()
    *processes, last = run("examples/shared_limit.py").stdout.splitlines()
    assert sorted(processes) == ["a process on asyncio: 25 answers"] * 2 + ["a process on trio: 25 answers"]
    assert last == "75 requests under a limit of 50 at once; 0 refusals"


def test_the_examples_of_tools_and_types_say_what_they_should() -> None:
    called, answer = run("examples/tool_loop.py").stdout.splitlines()
    assert called == 'weather({"city": "Rome"}) -> {"city":"Rome","sky":"clear","days":1}'
    assert answer == "The sky over Rome is clear."
    typed, failed = run("examples/structured_output.py").stdout.splitlines()
    assert typed.startswith("City(name=")
    assert failed.startswith("at $.inhabitants: the answer is not as asked for: Expected `int`, got `str`")


def test_the_templates_check_themselves() -> None:
    assert run("examples/own_provider.py").stdout == "MillProvider keeps every rule.\n"
    assert run("examples/own_format.py").stdout == "BrookProvider keeps every rule.\n"
    assert run("examples/own_pacer.py").stdout == "Turnstile keeps every rule.\n8 requests, 3 at once\n"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_demo_shows_all_it_promises_in_under_15_seconds(backend: str) -> None:
    began = time.monotonic()
    done = run("-m", "headrace", "demo", "--backend", backend)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 15
    for words in (
        "[Response interrupted]",  # the marker, in the text
        "gemini was cut. Nothing that it said is lost: .partial_content has ",
        "gemini, why: gemini: the connection was lost",
        "grok refused a second call. RateLimitError: grok: a rate limit is reached",
        "Come back in 2 s.",
        "openai was not asked a third time. RateLimitError: openai",
        "openai, in numbers: sent=False, retry_after=",
    ):
        assert words in done.stdout
    table = done.stdout.rpartition("\n\n")[2].splitlines()
    assert table[0].split("  ")[0] == "provider"
    assert [line.split()[:2] for line in table[1:]] == [
        ["anthropic", "finished"],
        ["openai", "finished"],
        ["gemini", "interrupted"],
        ["grok", "finished"],
    ]


def test_help_names_every_command() -> None:
    done = run("-m", "headrace", "--help")
    assert done.returncode == 0
    assert "demo" in done.stdout and "sim" in done.stdout


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        if target.startswith("../src/") and not (ROOT / "src").exists():
            continue  # the wheel is tested without it
        assert (page.parent / target).exists(), target


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert len(targets) >= 5
    for target in targets:
        assert (ROOT / target).exists(), target
