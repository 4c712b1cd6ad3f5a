"""
What the simulator's buckets tell, as a caller sees it: with every answer, and with a refusal that they really gave.
"""

from __future__ import annotations

import time
from typing import Final

import pytest

from headrace import GenerationConfig, RateLimitInfo
from headrace.errors import QuotaExceededError, RateLimitError
from headrace.providers.base import BaseProvider
from headrace.simulator import Limits, Script, Simulator

from .rows import MESSAGES, PIECES, PROVIDERS, UNPACED

pytestmark = pytest.mark.usefixtures("leak_check")

HOUR: Final = 3600.0  # buckets that hardly refill while a test runs
TELLING: Final = ("anthropic", "grok", "openai")  # Gemini and Ollama have no such headers


async def told(provider: BaseProvider) -> RateLimitInfo:
    """The limits on the final chunk, which are those of the stream and of the response."""
    stream = provider.chat_stream(MESSAGES)
    *words, last = [chunk async for chunk in stream]
    assert not any(chunk.rate_limit for chunk in words)
    assert last.rate_limit is not None
    assert last.rate_limit is stream.rate_limit is stream.response.rate_limit
    return last.rate_limit


@pytest.mark.parametrize("vendor", TELLING)
async def test_the_count_goes_down_from_call_to_call(vendor: str) -> None:
    limits = Limits(requests=5, tokens=1_000_000, window=HOUR)
    async with Simulator(limits={vendor: limits}) as sim:
        async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor), limits=UNPACED) as provider:
            infos = [await told(provider) for _ in range(5)]
    assert [info.limit_requests for info in infos] == [5] * 5
    assert [info.remaining_requests for info in infos] == [4, 3, 2, 1, 0]
    assert [info.usage_percentage for info in infos] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert [info.is_approaching_limit for info in infos] == [False, False, False, True, True]
    assert {info.limit_tokens for info in infos} == {1_000_000}
    assert 990_000 <= infos[-1].remaining_tokens <= 1_000_000
    assert {(info.source, info.observed_at is None) for info in infos} == {("headers", False)}
    for used, info in enumerate(infos, 1):
        if vendor == "grok":
            assert info.reset_time is None
        else:  # whole again when what was used has come back: a fifth of the hour each
            assert info.reset_time == pytest.approx(time.time() + used * HOUR / 5, abs=30)


async def test_every_dimension_that_is_counted_is_told() -> None:
    limits = Limits(requests=50, tokens=None, input_tokens=30_000, output_tokens=8_000, window=HOUR)
    async with Simulator(limits={"anthropic": limits}) as sim:
        async with PROVIDERS["anthropic"]("k", base_url=sim.base_url("anthropic"), limits=UNPACED) as provider:
            info = await told(provider)
    assert {one.name: (one.limit, one.remaining) for one in info.dimensions} == {
        "requests": (50, 49),
        "input_tokens": (30_000, 30_000),  # to the nearest thousand
        "output_tokens": (8_000, 8_000),
        "tokens": (38_000, 38_000),
    }


async def test_gemini_tells_nothing_until_it_refuses() -> None:
    async with Simulator(limits={"gemini": Limits(requests=5, window=HOUR)}) as sim:
        async with PROVIDERS["gemini"]("k", base_url=sim.base_url("gemini")) as provider:
            assert await told(provider) == RateLimitInfo()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("vendor", [*TELLING, "gemini"])
async def test_an_empty_bucket_says_what_ran_out_and_when_to_come_back(vendor: str, stream: bool) -> None:
    config = GenerationConfig(stream=stream)
    async with Simulator(limits={vendor: Limits(requests=2, window=20.0)}) as sim:
        async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor), limits=UNPACED) as provider:
            await provider.chat(MESSAGES, config)
            await provider.chat(MESSAGES, config)
            with pytest.raises(RateLimitError) as caught:
                await provider.chat(MESSAGES, config)
        assert [exchange.status for exchange in sim.exchanges] == [200, 200, 429]
    error = caught.value
    assert type(error) is RateLimitError
    assert (error.status, error.provider, error.kind, error.sent, error.retryable) == (429, vendor, "rate", True, True)
    assert error.dimension == "requests"
    assert error.source == ("body" if vendor in {"gemini", "openai"} else "headers")
    assert error.retry_after is not None
    if vendor == "gemini":
        assert 0.0 < error.retry_after <= 20.0  # the next window, of which nobody knows when it begins
    else:
        assert 5.0 < error.retry_after <= 10.0  # one of two comes back in half the window
    assert error.retry_at == pytest.approx(time.time() + error.retry_after, abs=5)
    assert error.rate_limit is not None
    if vendor == "gemini":
        assert error.rate_limit == RateLimitInfo()
    else:
        assert (error.rate_limit.limit_requests, error.rate_limit.remaining_requests) == (2, 0)


@pytest.mark.parametrize(
    "limits", [Limits(requests_day=1), Limits(requests=0), Limits(tokens=0)], ids=["day", "none", "no tokens"]
)
async def test_waiting_does_not_help_against_a_day_of_gemini_or_a_limit_of_nothing(limits: Limits) -> None:
    async with Simulator(limits={"gemini": limits}) as sim:
        async with PROVIDERS["gemini"]("k", base_url=sim.base_url("gemini"), limits=UNPACED) as provider:
            for _ in range(limits.requests_day or 0):
                await provider.chat(MESSAGES)
            with pytest.raises(QuotaExceededError) as caught:
                await provider.chat(MESSAGES)
    assert (caught.value.status, caught.value.retryable, caught.value.retry_after) == (429, False, None)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_wait_that_comes_with_a_good_answer_means_nothing(sim: Simulator, vendor: str, stream: bool) -> None:
    headers = {"retry-after": "30", "retry-after-ms": "30000"}
    sim.play(vendor, Script(pieces=PIECES, headers=headers))
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor), limits=UNPACED) as provider:
        answer = await provider.chat(MESSAGES, GenerationConfig(stream=stream))
    assert (answer.content, answer.state) == ("".join(PIECES), "finished")
    assert answer.rate_limit is not None
    assert answer.rate_limit.reset_time is None or answer.rate_limit.reset_time < time.time() + 20


@pytest.mark.parametrize("vendor", TELLING)
async def test_headers_that_say_nothing_cost_no_reply(sim: Simulator, vendor: str) -> None:
    broken = {
        "x-ratelimit-remaining-requests": "soon",
        "x-ratelimit-reset-requests": "-1",
        "anthropic-ratelimit-requests-remaining": "soon",
        "anthropic-ratelimit-requests-reset": "yesterday-ish",
    }
    sim.play(vendor, Script(pieces=PIECES, headers=broken))
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor), limits=UNPACED) as provider:
        info = await told(provider)
    assert (info.limit_requests, info.remaining_requests) == (0, 0)
    assert (info.limit_tokens, info.usage_percentage) == (100_000_000, 0.0)
