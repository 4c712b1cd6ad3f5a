"""
One call sends one request, unless it was asked for more; and nothing is asked for again once content has come.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from anyio import current_time

from headrace import Deadlines, GenerationConfig
from headrace.errors import (
    AuthenticationError,
    ConnectionFailedError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TruncatedStreamError,
)
from headrace.simulator import Script, Simulator, faults
from headrace.telemetry import Event, add_hook

from .rows import MESSAGES, PROVIDERS
from .test_in_memory import in_memory

pytestmark = [pytest.mark.virtual, pytest.mark.usefixtures("leak_check")]

REFUSED = Script(fault=faults.Refuse(status=429, retry_after=7.0))
WORDS = Script(text="Hello there.")
TWICE, THRICE = GenerationConfig(max_attempts=2), GenerationConfig(max_attempts=3)


@pytest.fixture
def told() -> Iterator[list[Event]]:
    """The events of the test."""
    events: list[Event] = []
    remove = add_hook(events.append)
    yield events
    remove()


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_call_sends_one_request(vendor: str) -> None:
    sim = Simulator()
    sim.play(vendor, REFUSED, WORDS)
    async with in_memory(sim, vendor) as provider:
        stream = provider.chat_stream(MESSAGES)
        with pytest.raises(RateLimitError):
            await stream.collect()
    assert sim.requests == 1
    assert [attempt.error for attempt in stream.response.attempts] == ["RateLimitError"]


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_refusal_for_now_stands_in_line_again_and_is_seen(vendor: str, told: list[Event]) -> None:
    sim = Simulator()
    sim.play(vendor, REFUSED, WORDS)
    async with in_memory(sim, vendor) as provider:
        began = current_time()
        response = await provider.chat(MESSAGES, TWICE)
        waited = current_time() - began
    assert (response.content, response.state, sim.requests) == ("Hello there.", "finished", 2)
    if vendor != "ollama":  # which tells no waits
        assert 7.0 <= waited < 9.0
    first, second = response.attempts
    assert (first.provider, first.error, second.provider, second.error) == (vendor, "RateLimitError", vendor, None)
    (event,) = [event for event in told if event.name == "attempt_failed"]
    assert (event.provider, event.data["error"], event.data["next_provider"]) == (vendor, "RateLimitError", vendor)
    assert "asking it again" in event.message


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (faults.Refuse(status=503), OverloadedError),
        (faults.Refuse(status=529), OverloadedError),
        (faults.Refuse(status=429, body="html"), RateLimitError),
    ],
    ids=["503", "529", "429 of a proxy"],
)
async def test_these_are_tried_again_as_often_as_was_asked_and_no_more(
    refusal: faults.Refuse, error: type[RateLimitError]
) -> None:
    sim = Simulator()
    sim.play("openai", *[Script(fault=refusal)] * 4)
    async with in_memory(sim, "openai") as provider:
        stream = provider.chat_stream(MESSAGES, THRICE)
        with pytest.raises(error):
            await stream.collect()
    assert sim.requests == 3
    assert [attempt.error for attempt in stream.response.attempts] == [error.__name__] * 3
    assert (stream.state, stream.partial_content) == ("failed", "")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.Refuse(status=401), AuthenticationError),
        (faults.Refuse(status=500), ServerError),
        (faults.NoHead(), ConnectionFailedError),
        (faults.CutFin(after_events=0), TruncatedStreamError),
    ],
    ids=["401", "500", "no connection", "no answer"],
)
async def test_other_failures_are_not_tried_again(fault: faults.Fault, error: type[Exception]) -> None:
    sim = Simulator()
    sim.play("openai", Script(fault=fault), WORDS)
    async with in_memory(sim, "openai") as provider:
        with pytest.raises(error):
            await provider.chat(MESSAGES, THRICE)
    assert sim.requests == 1


async def test_a_vendor_that_says_no_is_not_asked_again() -> None:
    asked: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"x-should-retry": "false"}, json={"error": {"message": "Slow down."}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        async with PROVIDERS["openai"]("k", http_client=client) as provider:
            with pytest.raises(RateLimitError) as caught:
                await provider.chat(MESSAGES, THRICE)
    assert (len(asked), caught.value.retryable) == (1, False)


async def test_nothing_is_tried_again_once_content_has_come() -> None:
    sim = Simulator()
    sim.play("anthropic", Script(text="Hello there.", fault=faults.ErrorEvent(after_pieces=1)), WORDS)
    async with in_memory(sim, "anthropic") as provider:
        stream = provider.chat_stream(MESSAGES, THRICE)
        with pytest.raises(StreamInterruptedError) as cut:
            await stream.collect()
    assert isinstance(cut.value.cause, OverloadedError)
    assert cut.value.partial_content
    assert sim.requests == 1


async def test_all_attempts_together_wait_no_longer_than_max_wait() -> None:
    sim = Simulator()
    sim.play("openai", REFUSED, REFUSED, REFUSED, WORDS)
    async with in_memory(sim, "openai") as provider:
        began = current_time()
        stream = provider.chat_stream(MESSAGES, GenerationConfig(max_attempts=5, max_wait=10.0))
        with pytest.raises(RateLimitError) as caught:
            await stream.collect()
        waited = current_time() - began
    assert sim.requests == 2  # 7 s, and another 7 would be too many
    assert waited < 10.0
    assert (caught.value.sent, caught.value.source) == (False, "pacer")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 3.0
    assert stream.response.attempts[0].error == "RateLimitError"


@pytest.mark.parametrize("vendor", ["anthropic", "gemini", "openai"])
async def test_a_provider_can_say_it_for_all_its_calls(vendor: str) -> None:
    sim = Simulator()
    sim.play(vendor, REFUSED, WORDS)
    async with in_memory(sim, vendor) as given:
        url, client = given.base_url, given._http_client
        async with PROVIDERS[vendor]("k", base_url=url, http_client=client, max_attempts=2) as provider:
            assert (await provider.chat(MESSAGES)).content == "Hello there."
    assert sim.requests == 2


async def test_at_least_one_request_is_sent() -> None:
    with pytest.raises(ValueError, match="max_attempts is 0: it must be a whole number of at least 1"):
        PROVIDERS["openai"]("k", max_attempts=0)
    with pytest.raises(ValueError, match="max_attempts is 0"):
        PROVIDERS["openai"]("k").chat_stream(MESSAGES, GenerationConfig(max_attempts=0))


async def test_a_late_vendor_is_given_its_whole_deadline_each_time() -> None:
    sim = Simulator()
    sim.play("openai", REFUSED, Script(text="Late.", fault=faults.LateFirst(seconds=50.0)))
    config = GenerationConfig(max_attempts=2, deadlines=Deadlines(first_chunk=55.0))
    async with in_memory(sim, "openai") as provider:
        assert (await provider.chat(MESSAGES, config)).content == "Late."


async def test_embeddings_stand_in_line_again_too() -> None:
    sim = Simulator()
    sim.play("openai", REFUSED)
    async with in_memory(sim, "openai") as given:
        openai = PROVIDERS["openai"]
        async with openai("k", base_url=given.base_url, http_client=given._http_client, max_attempts=2) as provider:
            began = current_time()
            answer = await provider.embed(["a", "b"])
            assert 7.0 <= current_time() - began < 9.0
    assert (len(answer.vectors), sim.requests) == (2, 2)
