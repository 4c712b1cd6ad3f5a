"""Providers that another package brings: loaded when they are named, and not before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace import AIGateway
from headrace.errors import ConfigError
from headrace.providers import load_provider

MODULE = """
from collections.abc import AsyncIterator
from headrace import AIStreamChunk
from headrace.providers.base import BaseProvider

class MillProvider(BaseProvider):
    name = "mill"
    async def _raw_chat_stream(self, messages, config=None):
        yield AIStreamChunk("Flour.", finish_reason="stop")

no_provider = 3
"""
POINTS = """
[headrace.providers]
mill = headrace_mill:MillProvider
number = headrace_mill:no_provider
broken = headrace_not_there:Provider
openai = headrace_mill:MillProvider
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution, as pip would leave it."""
    info = tmp_path / "headrace_mill-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: headrace-mill\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "headrace_mill.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("headrace_mill", None)


async def test_it_is_loaded_when_it_is_named_and_answers(tmp_path: Path) -> None:
    load_provider("anthropic")
    assert "headrace_mill" not in sys.modules
    (tmp_path / "gateway.toml").write_text('[providers.mine]\nkind = "mill"\nmodel = "stone"\n')
    async with AIGateway.from_config(tmp_path / "gateway.toml") as gateway:
        assert "headrace_mill" in sys.modules
        answer = await gateway.generate("What do you make?")
    assert (answer.content, answer.provider, answer.model) == ("Flour.", "mine", "stone")


def test_a_name_of_headraces_own_cannot_be_taken() -> None:
    assert load_provider("openai").__module__ == "headrace.providers.openai"
    assert "headrace_mill" not in sys.modules


def test_what_cannot_be_used_is_told() -> None:
    with pytest.raises(ValueError, match=r"'broken' cannot be loaded from 'headrace_not_there:Provider': ModuleNot"):
        load_provider("broken")
    with pytest.raises(TypeError, match=r"'number' at 'headrace_mill:no_provider' is 3, no subclass of BaseProvider"):
        load_provider("number")


def test_one_that_nobody_brings_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no provider 'mil': there are anthropic, .*, broken, mill, number"):
        load_provider("mil")
    (tmp_path / "gateway.toml").write_text("[providers.broken]\n")
    with pytest.raises(ConfigError, match=r"\[providers.broken\]: the provider 'broken' cannot be loaded"):
        AIGateway.from_config(tmp_path / "gateway.toml")
