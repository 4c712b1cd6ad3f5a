"""`headrace doctor` as a process: what it finds, what it never shows."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from .conftest import KEY, headrace, of


def line(text: str, name: str) -> str:
    (found,) = [row for row in text.splitlines() if row[8:].split() and row[8:].split()[0] == name]
    return found


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_all_that_is_configured_works(sim: Mapping[str, str], backend: str) -> None:
    done = headrace("doctor", "--backend", backend, OLLAMA_HOST=sim["ollama"])
    assert (done.returncode, done.stderr) == (0, "")
    assert line(done.stdout, "ollama").startswith("  ok    ollama")
    assert "answers; 2 models" in line(done.stdout, "ollama")
    assert line(done.stdout, "rich").startswith("  ok ")
    assert "anthropic, openai" in line(done.stdout, "not")


def test_one_that_cannot_be_reached_is_told_and_the_others_as_well(sim: Mapping[str, str]) -> None:
    done = headrace("doctor", OLLAMA_HOST=sim["ollama"], OPENAI_API_KEY=KEY, HTTPS_PROXY="http://user:pass@127.0.0.1:9")
    assert done.returncode == 1
    assert line(done.stdout, "openai").startswith("  FAIL  openai")
    assert "OPENAI_API_KEY is set: ConnectionFailedError" in line(done.stdout, "openai")
    assert line(done.stdout, "ollama").startswith("  ok ")
    assert "is set" in line(done.stdout, "HTTPS_PROXY")
    assert "user:pass" not in done.stdout


def test_one_that_does_not_answer_is_bounded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = headrace("doctor", "--timeout", "0.2", OLLAMA_HOST=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert done.returncode == 1
    assert line(done.stdout, "ollama").endswith("no answer within 0.2 s")


def test_offline_asks_nobody() -> None:
    done = headrace("doctor", "--offline", OPENAI_API_KEY=KEY, OLLAMA_HOST="http://127.0.0.1:9")
    assert done.returncode == 0
    assert "has a key, or needs none" in line(done.stdout, "openai")


def test_nothing_configured_is_told() -> None:
    done = headrace("doctor")
    assert done.returncode == 1
    assert "set one of these variables" in done.stdout


def test_a_key_that_is_named_goes_where_it_is_sent(sim: Mapping[str, str]) -> None:
    done = headrace("doctor", "openai", *of("openai", sim), THE_TEST_KEY=KEY)
    assert done.returncode == 0
    assert "answers; 4 models, usually asked: gpt-6.1-terra" in line(done.stdout, "openai")


def test_broken_model_rules_are_told(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("[[")
    done = headrace("doctor", "--offline", OPENAI_API_KEY=KEY, HEADRACE_MODELS=str(tmp_path / "rules.toml"))
    assert done.returncode == 1
    assert line(done.stdout, "HEADRACE_MODELS").startswith("  FAIL ")


def test_a_file_with_mistakes_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("[providers.openai]\nmodle = 'x'\n")
    done = headrace("doctor", "--config", str(tmp_path / "gateway.toml"), OPENAI_API_KEY=KEY)
    assert done.returncode == 2
    assert "unknown key 'modle': did you mean 'model'?" in done.stderr


def test_a_proxy_that_cannot_be_is_told_for_each_provider() -> None:
    done = headrace("doctor", OPENAI_API_KEY=KEY, HTTPS_PROXY="socks9://user:pass@x")
    assert done.returncode == 1
    assert "CallerError: openai: no HTTP client can be made (ValueError)" in line(done.stdout, "openai")
    assert "user:pass" not in done.stdout + done.stderr


@pytest.mark.parametrize("named", [(), ("openai", "ollama")])
def test_an_address_of_the_environment_that_cannot_be_is_a_row_among_others(
    sim: Mapping[str, str], named: tuple[str, ...]
) -> None:
    done = headrace("doctor", *named, OPENAI_API_KEY=KEY, OPENAI_BASE_URL="nonsense", OLLAMA_HOST=sim["ollama"])
    assert (done.returncode, done.stderr) == (1, "")
    assert line(done.stdout, "openai").startswith(
        "  FAIL  openai          openai: the base_url that OPENAI_BASE_URL gives"
    )
    assert line(done.stdout, "ollama").startswith("  ok ")


def test_the_only_one_may_be_one_that_cannot_be() -> None:
    done = headrace("doctor", OPENAI_API_KEY=KEY, OPENAI_BASE_URL="nonsense")
    assert (done.returncode, done.stderr) == (1, "")
    assert line(done.stdout, "openai").startswith("  FAIL ")


@pytest.mark.parametrize("offline", [("--offline",), ()])
def test_a_key_with_a_line_break_is_told(offline: tuple[str, ...]) -> None:
    done = headrace("doctor", *offline, OPENAI_API_KEY=f"{KEY}\n{KEY}")
    assert done.returncode == 1
    assert line(done.stdout, "openai").startswith("  FAIL  openai")
    assert "has a line break" in line(done.stdout, "openai")
