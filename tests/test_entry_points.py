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
from headrace.errors import MissingKeyError
from headrace.providers.base import BaseProvider

class MillProvider(BaseProvider):
    name = "mill"
    async def _raw_chat_stream(self, messages, config=None):
        yield AIStreamChunk("Flour.", finish_reason="stop")

class KeyedProvider(MillProvider):
    def __init__(self, api_key=None, base_url="https://mill.example", **options):
        if api_key is None:
            raise MissingKeyError("there is no key at the mill")
        super().__init__(**options)

no_provider = 3
"""
POINTS = """
[headrace.providers]
mill = headrace_mill:MillProvider
keyed = headrace_mill:KeyedProvider
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


def test_no_key_of_the_code_goes_where_a_file_leads_it(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[providers.keyed]\nbase_url = "https://evil.example/v1"\n')
    with pytest.raises(ConfigError, match=r"\[providers.keyed\]: this key goes to the vendor's own hosts .* at 'https"):
        AIGateway.from_config(file, keys={"keyed": "a-key"})
    gateway = AIGateway.from_config(file, keys={"keyed": "a-key"}, key_hosts={"keyed": "evil.example"})
    assert gateway.get_provider().name == "keyed"
    file.write_text("[providers.keyed]\n")
    assert AIGateway.from_config(file, keys={"keyed": "a-key"}).get_provider().name == "keyed"


def test_what_its_class_says_against_its_options_is_told_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[providers.mill]\napi = 'chat'\n[providers.keyed]\n")
    with pytest.raises(ConfigError) as caught:
        AIGateway.from_config(file)
    assert str(caught.value).splitlines() == [
        f"{file}: [providers.mill]: MillProvider has no option 'api'",
        f"{file}: [providers.keyed]: there is no key at the mill",
    ]


def test_a_name_of_headraces_own_cannot_be_taken() -> None:
    assert load_provider("openai").__module__ == "headrace.providers.openai"
    assert "headrace_mill" not in sys.modules


def test_what_cannot_be_used_is_told() -> None:
    with pytest.raises(ValueError, match=r"'broken' cannot be loaded from 'headrace_not_there:Provider': ModuleNot"):
        load_provider("broken")
    with pytest.raises(TypeError, match=r"'number' at 'headrace_mill:no_provider' is 3, no subclass of BaseProvider"):
        load_provider("number")


def test_one_that_nobody_brings_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"there is no provider 'mil': there are anthropic, .*, broken, keyed, mill, number"
    ):
        load_provider("mil")
    (tmp_path / "gateway.toml").write_text("[providers.mil]\n")
    with pytest.raises(ConfigError, match=r"\[providers.mil\]: there is no provider 'mil': did you mean 'mill'\?"):
        AIGateway.from_config(tmp_path / "gateway.toml")
    assert "headrace_mill" not in sys.modules
    (tmp_path / "gateway.toml").write_text("[providers.broken]\n")
    with pytest.raises(ConfigError, match=r"\[providers.broken\]: the provider 'broken' cannot be loaded"):
        AIGateway.from_config(tmp_path / "gateway.toml")
