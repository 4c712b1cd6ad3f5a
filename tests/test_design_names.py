"""The names and figures that are fixed: whoever wrote against them finds them here."""

from __future__ import annotations

import copy
import importlib
import pickle
import time
from collections.abc import AsyncIterator

import pytest

import headrace.errors
from headrace import _clock
from headrace.gateway import (
    AICapability,
    AIGateway,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    GenerationConfig,
    RateLimitInfo,
    StreamInterruptedError,
)
from headrace.providers.base import BaseProvider

NAMES = (
    "AIGateway",
    "AICapability",
    "AIMessage",
    "AIResponse",
    "AIStreamChunk",
    "GenerationConfig",
    "RateLimitInfo",
    "StreamInterruptedError",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_fixed_name_stands_in_the_gateway_and_in_the_package(name: str) -> None:
    gateway, package = importlib.import_module("headrace.gateway"), importlib.import_module("headrace")
    assert getattr(gateway, name) is getattr(package, name)
    assert name in gateway.__all__ and name in package.__all__


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("anthropic", "AnthropicProvider"),
        ("openai", "OpenAIProvider"),
        ("gemini", "GeminiProvider"),
        ("grok", "GrokProvider"),
    ],
)
def test_each_provider_stands_in_its_module_and_streams(module: str, name: str) -> None:
    provider = getattr(importlib.import_module(f"headrace.providers.{module}"), name)
    assert issubclass(provider, BaseProvider) and provider.name == module
    assert callable(provider.chat_stream) and callable(provider._raw_chat_stream)


def test_capabilities_are_their_words() -> None:
    assert [str(one) for one in AICapability] == [
        "text_generation",
        "chat",
        "embeddings",
        "image_generation",
        "image_analysis",
        "code_generation",
        "function_calling",
    ]


# ---------------------------------------------------------------- RateLimitInfo


def test_usage_is_85_percent_exactly() -> None:
    info = RateLimitInfo(limit_requests=100, remaining_requests=15)
    assert info.usage_percentage == 0.85
    assert info.is_approaching_limit


@pytest.mark.parametrize(("remaining", "approaching"), [(21, False), (20, True), (0, True)])
def test_a_limit_is_approached_at_exactly_80_percent(remaining: int, approaching: bool) -> None:
    assert RateLimitInfo(limit_requests=100, remaining_requests=remaining).is_approaching_limit is approaching


def test_usage_of_an_unknown_limit_is_zero() -> None:
    assert RateLimitInfo().usage_percentage == 0.0
    assert RateLimitInfo(limit_tokens=100, remaining_tokens=0).usage_percentage == 0.0


def test_seconds_until_reset_is_never_negative_and_none_when_unknown() -> None:
    assert RateLimitInfo().seconds_until_reset is None
    with _clock.replaced(lambda: 1000.0):
        assert RateLimitInfo(reset_time=1030.0).seconds_until_reset == 30.0
        assert RateLimitInfo(reset_time=970.0).seconds_until_reset == 0.0
    assert 29.0 < (RateLimitInfo(reset_time=time.time() + 30.0).seconds_until_reset or 0.0) <= 30.0


# ---------------------------------------------------------------- the error


def test_the_interrupted_error_has_text_and_cause() -> None:
    cause = ConnectionError("peer closed")
    error = StreamInterruptedError("Hello wor", cause)
    assert (error.partial_content, error.cause, error.__cause__, error.response) == ("Hello wor", cause, cause, None)
    assert str(error) == "Stream interrupted after 9 chars: peer closed"
    assert isinstance(error, headrace.errors.HeadraceError)


@pytest.mark.parametrize(
    "way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_the_interrupted_error_survives_a_journey(way: object) -> None:
    error = StreamInterruptedError("abc", headrace.errors.TruncatedStreamError("cut", provider="openai"))
    error.response = AIResponse("abc", "openai", "m", state="interrupted")
    again = way(error)
    assert (again.partial_content, str(again), again.response) == ("abc", str(error), error.response)
    assert (type(again.cause), again.cause.provider) == (headrace.errors.TruncatedStreamError, "openai")


class Unpicklable(Exception):
    def __reduce__(self) -> str:
        raise TypeError("holds a socket")


def test_a_cause_that_cannot_travel_travels_as_its_words() -> None:
    again = pickle.loads(pickle.dumps(StreamInterruptedError("abc", Unpicklable("gone"))))
    assert again.partial_content == "abc"
    assert str(again.cause) == "Unpicklable: gone"


# ---------------------------------------------------------------- a subclass of somebody else's


class Foreign(BaseProvider):
    name = "foreign"

    async def initialize(self) -> bool:
        return True

    async def is_available(self) -> bool:
        return True

    async def generate(self, prompt: str, config: GenerationConfig | None = None) -> AIResponse:
        return AIResponse(prompt, "foreign", "m")

    async def chat(self, messages: object, config: GenerationConfig | None = None) -> AIResponse:
        return AIResponse("chatted", "foreign", "m", None, "stop")


async def test_recovery_of_three_chunks_with_a_custom_marker() -> None:
    async def source() -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk(content="Hello ")
        yield AIStreamChunk(content="wor")
        raise ConnectionError("lost")

    got: list[AIStreamChunk] = []
    with pytest.raises(StreamInterruptedError) as info:
        async for chunk in Foreign()._stream_with_recovery(source(), interrupt_marker=" [cut]"):
            got.append(chunk)
    assert [chunk.content for chunk in got] == ["Hello ", "wor", " [cut]"]
    assert [chunk.is_final for chunk in got] == [False, False, True]
    assert got[2].error is not None
    assert (got[2].error["type"], got[2].error["message"], got[2].error["partial_content_length"]) == (
        "ConnectionError",
        "lost",
        9,
    )
    assert info.value.partial_content == "Hello wor"
    assert isinstance(info.value.cause, ConnectionError)


async def test_recovery_of_a_good_stream_changes_nothing() -> None:
    async def source() -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk(content="a")
        yield AIStreamChunk(content="b", is_final=True)

    got = [chunk async for chunk in BaseProvider()._stream_with_recovery(source())]
    assert [(chunk.content, chunk.is_final) for chunk in got] == [("a", False), ("b", True)]


async def test_a_provider_with_only_chat_streams_its_answer() -> None:
    async with Foreign() as provider, provider.chat_stream([AIMessage("user", "hi")]) as stream:
        got = [chunk async for chunk in stream]
    assert [chunk.content for chunk in got] == ["chatted", ""]
    assert (stream.state, got[-1].finish_reason) == ("finished", "stop")


# ---------------------------------------------------------------- headers


def test_headers_are_parsed() -> None:
    with _clock.replaced(lambda: 1000.0):
        info = BaseProvider()._parse_rate_limit_headers(
            {
                "X-RateLimit-Limit-Requests": "100",
                "x-ratelimit-remaining-requests": "15",
                "x-ratelimit-reset-requests": "30s",
                "x-ratelimit-limit-tokens": "4000",
                "x-ratelimit-remaining-tokens": "3000",
            }
        )
    assert (info.limit_requests, info.remaining_requests, info.reset_time) == (100, 15, 1030.0)
    assert (info.limit_tokens, info.remaining_tokens) == (4000, 3000)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": ""},
        {"x-ratelimit-limit-requests": "-1", "x-ratelimit-remaining-requests": "-1"},
        {"x-ratelimit-limit-requests": "100"},
        {"x-ratelimit-limit-requests": "9" * 400, "x-ratelimit-remaining-requests": "\x00"},
    ],
    ids=["none", "words", "minus one", "no remaining", "absurd"],
)
def test_missing_and_broken_headers_are_unknown(headers: dict[str, str]) -> None:
    info = BaseProvider()._parse_rate_limit_headers(headers)
    assert (info.limit_requests, info.remaining_requests, info.reset_time) == (0, 0, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("30", 1030.0),
        (30, 1030.0),
        ("1790814600", 1790814600.0),
        ("1790814600000", 1790814600.0),
        ("6m0s", 1360.0),
        ("120ms", 1000.12),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1792567680.0),
        ("2026-11-22T10:15:00Z", 1795342500.0),
        ("soon", None),
        ("", None),
        (None, None),
        ("-5", None),
    ],
)
def test_reset_times(value: object, expected: float | None) -> None:
    with _clock.replaced(lambda: 1000.0):
        assert BaseProvider()._parse_reset_time(value) == expected


# ---------------------------------------------------------------- the gateway's registry


def test_the_registry_answers_by_name_priority_and_capability() -> None:
    low, high = Foreign(), Foreign()
    high.name = "high"
    gateway = AIGateway(low)
    gateway.register_provider(high, priority=5)
    assert gateway.get_provider() is high
    assert gateway.get_provider("foreign") is low
    assert gateway.get_providers_for_capability(AICapability.CHAT) == [high, low]
    assert gateway.get_providers_for_capability(AICapability.EMBEDDINGS) == []
    gateway.set_default_provider("foreign")
    assert gateway.get_provider() is low
    with pytest.raises(headrace.errors.CallerError, match="'nobody': there are foreign, high"):
        gateway.get_provider("nobody")


async def test_the_gateway_routes_by_the_vendor_before_the_first_slash() -> None:
    async with AIGateway(Foreign()) as gateway:
        answer = await gateway.chat([AIMessage("user", "hi")], model="foreign/a/b")
    assert answer.content == "chatted"
    with pytest.raises(headrace.errors.CallerError, match="names no provider"):
        gateway.chat_stream([], model="a")
