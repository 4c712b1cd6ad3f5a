"""What a hostile server, a careless address or words from outside can do to the border: nothing but a typed error."""

from __future__ import annotations

import contextlib
import logging

import pytest

from headrace import AIMessage, GenerationConfig
from headrace.errors import HeadraceError, ProviderError
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.ollama import OllamaProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator
from headrace.wire._codec import Codec, SaidThenFailed
from headrace.wire.anthropic import AnthropicCodec
from headrace.wire.gemini import GeminiCodec
from headrace.wire.ollama import OllamaCodec
from headrace.wire.openai import ChatCodec
from headrace.wire.responses import ResponsesCodec

PROVIDERS = {
    "anthropic": AnthropicProvider,
    "openai": OpenAIProvider,
    "gemini": GeminiProvider,
    "grok": GrokProvider,
    "ollama": OllamaProvider,
}
CODECS = [AnthropicCodec(), ChatCodec("openai"), ResponsesCodec("openai"), GeminiCodec(), OllamaCodec()]
DEEP = ["[" * 200_000, '{"a":' * 200_000, '{"choices":[{"delta":' * 50_000, '{"candidates":[{"content":' * 50_000]
HUGE = ['{"usage":{"input_tokens":' + "9" * 5000 + "}}", '{"usage":{"input_tokens":1e999999}}']


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_head_of_a_megabyte_is_a_typed_error(vendor: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(text="x", headers={"x-large": "a" * 1_000_000}))
        provider = PROVIDERS[vendor]("key-0123456789", base_url=sim.base_url(vendor), model="m")
        with pytest.raises(ProviderError) as caught:
            await provider.generate("Hello")
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: type(codec).__name__)
@pytest.mark.parametrize("data", DEEP + HUGE, ids=["lists", "objects", "choices", "parts", "digits", "exponent"])
def test_depth_and_numbers_beyond_all_bounds_are_a_typed_error_or_nothing(codec: Codec, data: str) -> None:
    for decode in (
        lambda: codec.decoder().feed("message", data),
        lambda: codec.decode_body(data.encode()),
    ):
        with contextlib.suppress(ProviderError, SaidThenFailed):
            decode()
    error = codec.decode_error(400, {}, data, now=0.0)
    assert isinstance(error, ProviderError)
    assert len(str(error)) < 5000


@pytest.mark.parametrize("model", ["../../v1/files", "m?key=x", "m#x", "m%2f..%2fx", "m\r\nx-evil: 1", "a b"])
async def test_the_name_of_a_model_reaches_no_other_path(model: str) -> None:
    async with Simulator() as sim:
        provider = GeminiProvider("key-0123456789", base_url=sim.base_url("gemini"), limits=RateLimitPolicy(pace=False))
        with contextlib.suppress(HeadraceError):
            await provider.chat([AIMessage("user", "Hello")], GenerationConfig(model=model))
        for exchange in sim.exchanges:
            assert "/models/" in exchange.path
            assert exchange.path.split("?")[0].endswith(":streamGenerateContent")
            assert ".." not in exchange.path.split("/")
            assert "x-evil" not in exchange.headers


@pytest.mark.parametrize(
    ("base_url", "warned"),
    [
        ("http://models.example/v1", True),
        ("http://192.168.1.5:8000", True),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("https://models.example/v1", False),
    ],
)
def test_a_key_without_encryption_is_warned_of(base_url: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "headrace"):
        OpenAIProvider("key-0123456789", base_url=base_url)
    assert ("unencrypted" in caplog.text) is warned
    assert "key-0123456789" not in caplog.text


def test_without_a_key_nothing_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "headrace"):
        OllamaProvider(base_url="http://gpu-box:11434")
    assert caplog.text == ""


@pytest.mark.parametrize("port", ["zz", "99999", "-1"])
def test_a_port_that_cannot_be_is_told_when_the_provider_is_made(port: str) -> None:
    with pytest.raises(ValueError, match="openai: the base_url must begin with http:// or https:// and a host"):
        OpenAIProvider("key-0123456789", base_url=f"https://models.example:{port}/v1")


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_vendors_cookie_is_neither_kept_nor_sent_back(vendor: str) -> None:
    """Two requests of a session may bear two keys, of two people: nothing of the first may go with the second."""
    async with Simulator() as sim:
        cookie = Script(text="x", headers={"set-cookie": "sid=42; Path=/"})
        sim.play(vendor, cookie, cookie)
        async with PROVIDERS[vendor]("key-0123456789", base_url=sim.base_url(vendor), model="m") as provider:
            await provider.generate("Hello")
            await provider.generate("Hello")
            assert len(provider._session.client.cookies) == 0
        assert sim.requests == 2
        assert not any("cookie" in exchange.headers for exchange in sim.exchanges)
