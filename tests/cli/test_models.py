"""`headrace models` as a process."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from headrace import ModelInfo
from headrace.commands.models import _row

from .conftest import KEY, headrace, of


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("vendor", ["anthropic", "openai", "gemini", "grok"])
def test_a_row_for_each_model_and_a_mark_for_the_usual_one(sim: Mapping[str, str], vendor: str, backend: str) -> None:
    done = headrace("models", vendor, *of(vendor, sim), "--backend", backend, THE_TEST_KEY=KEY)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {6}
    assert {row[0] for row in rows} == {vendor}
    assert [row[2] for row in rows].count("*") == 1


def test_json_is_a_line_a_model(sim: Mapping[str, str]) -> None:
    done = headrace("models", "anthropic", *of("anthropic", sim), "--json", THE_TEST_KEY=KEY)
    models = [json.loads(line) for line in done.stdout.splitlines()]
    assert [model["provider"] for model in models] == ["anthropic"] * len(models)
    assert [model["id"] for model in models if model["default"]] == ["claude-sonnet-5-5"]


def test_one_that_fails_hides_nobody(sim: Mapping[str, str]) -> None:
    done = headrace("models", OLLAMA_HOST=sim["ollama"], OPENAI_API_KEY=KEY, HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout.startswith("ollama\t")
    assert done.stderr.startswith("headrace models: openai: ConnectionFailedError: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["opennai"], "there is no provider 'opennai'"),
        ([], "set one of these variables"),
        (["openai", "anthropic"], "name the one that holds the key by --key-env"),
        (["openai", "--key-env", "NOT_SET"], "--key-env NOT_SET: there is no such variable"),
        (["openai", "groq", "--base-url", "http://h"], "--base-url and --key-env are of one provider"),
        (["--config", "none.toml"], "none.toml: it cannot be read"),
    ],
    ids=["provider", "no key", "no key of two", "variable", "two", "file"],
)
def test_nobody_to_ask_is_exit_code_2(arguments: list[str], words: str) -> None:
    done = headrace("models", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_no_name_moves_the_cursor_or_makes_a_line() -> None:
    model = ModelInfo("m\nopenai\tgpt", "compatible", "\x1b[2Jname")
    assert _row(model, is_default=False) == ("compatible", "m\\nopenai\\tgpt", "", "?", "?", "\\x1b[2Jname")
