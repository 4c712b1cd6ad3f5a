"""A gateway from the environment: who has a variable is there, nobody else, and no value is ever shown."""

from __future__ import annotations

import os

import pytest

from headrace import AIGateway
from headrace.errors import MissingKeyError
from headrace.providers._environment import variables_by_provider
from headrace.simulator import Simulator


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {name for names in variables_by_provider().values() for name in names} & os.environ.keys():
        monkeypatch.delenv(name)


def names(gateway: AIGateway) -> list[str]:
    return [provider.name for provider in gateway._in_order()]


@pytest.mark.parametrize(
    ("set_", "expected"),
    [
        ({"OPENAI_API_KEY": "k"}, ["openai"]),
        ({"GROQ_API_KEY": "k", "XAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, ["anthropic", "grok", "groq"]),
        ({"GEMINI_API_KEY": "k"}, ["gemini"]),
        ({"OLLAMA_HOST": "127.0.0.1:1"}, ["ollama"]),
        ({"OPENAI_API_KEY": "  ", "MISTRAL_API_KEY": "k"}, ["mistral"]),
    ],
    ids=["one", "several, in order", "gemini", "an address", "an empty one is not set"],
)
def test_who_has_a_variable_is_there(
    set_: dict[str, str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    gateway = AIGateway.from_env(fallback=None)
    assert names(gateway) == expected
    assert gateway.get_provider().name == expected[0]


def test_nobody_is_an_error_that_names_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_OTHER_KEY", "sk-secret")
    with pytest.raises(MissingKeyError, match=r"anthropic: ANTHROPIC_API_KEY; .*groq: GROQ_API_KEY") as caught:
        AIGateway.from_env()
    assert "sk-secret" not in str(caught.value)


async def test_it_works_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator() as sim:
        monkeypatch.setenv("OLLAMA_HOST", sim.base_url("ollama"))
        async with AIGateway.from_env() as gateway:
            answer = await gateway.generate("hi", model="ollama/llama3.3")
        assert (answer.provider, answer.state, sim.requests) == ("ollama", "finished", 1)
