"""`headrace limits` as a process, and its lines."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from headrace import LimitDimension, RateLimitInfo
from headrace.commands.limits import lines

from .conftest import KEY, headrace, of


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_the_answer_told_is_printed_once(sim: Mapping[str, str], backend: str) -> None:
    done = headrace("limits", "anthropic", *of("anthropic", sim), "--backend", backend, THE_TEST_KEY=KEY)
    assert (done.returncode, done.stderr) == (0, "")
    told = [line.split()[:2] for line in done.stdout.splitlines()]
    assert ["anthropic/claude-sonnet-5-5", "requests"] in told
    assert ["anthropic/claude-sonnet-5-5", "tokens"] in told


def test_a_model_that_is_named_is_asked(sim: Mapping[str, str]) -> None:
    done = headrace("limits", "openai/gpt-6-luna", *of("openai", sim), THE_TEST_KEY=KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"openai/gpt-6-luna"}


def test_who_tells_nothing_is_named(sim: Mapping[str, str]) -> None:
    done = headrace("limits", OLLAMA_HOST=sim["ollama"])
    assert (done.returncode, done.stdout) == (0, "ollama/llama3.2:latest told no limits\n")


def test_one_that_fails_is_told_and_hides_nobody(sim: Mapping[str, str]) -> None:
    done = headrace("limits", OLLAMA_HOST=sim["ollama"], OPENAI_API_KEY=KEY, HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "ollama/llama3.2:latest told no limits" in done.stdout
    assert "headrace limits: openai: ConnectionFailedError: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["opennai"], "there is no provider 'opennai'"),
        (["--every", "0"], "--every is 0.0: it must be a number of seconds above 0"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2(arguments: list[str], words: str) -> None:
    done = headrace("limits", *arguments, OPENAI_API_KEY=KEY)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_line_has_bar_numbers_and_reset() -> None:
    info = RateLimitInfo(
        dimensions=(
            LimitDimension("requests", 50, 25, 1100.0),
            LimitDimension("tokens_day", 1000, 0, 1000.0 + 3 * 86400),
            LimitDimension("tokens", 8000),
        ),
        observed_at=1000.0,
    )
    assert lines({"openai": {"m": info}}, 1000.0) == [
        "openai/m  requests    [############............]   50%  25 of 50, whole again in 100 s",
        "openai/m  tokens_day  [########################]  100%  1,000 of 1,000, whole again in 3.0 days",
        "openai/m  tokens      [????????????????????????]  of 8,000",
    ]
    assert lines({"openai": {"m": info}}, 1050.0)[0] == (
        "openai/m  requests    [######..................]   25%  12 of 50, whole again in 50 s"
    )


def test_no_name_moves_the_cursor_or_makes_a_line() -> None:
    info = RateLimitInfo(dimensions=(LimitDimension("requests:\x1b[2J", 50, 25),), observed_at=1000.0)
    (line,) = lines({"compatible": {"m\nn": info}}, 1000.0)
    assert line.startswith("compatible/m\\nn  requests:\\x1b[2J  [")
