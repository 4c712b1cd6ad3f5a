"""
One call sends one request, unless it was asked for more; and nothing is asked for again once content has come.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx
import pytest
from anyio import create_task_group, current_time, fail_after, sleep

from headrace import AIGateway, AIMessage, Deadlines, GenerationConfig
from headrace.errors import (
    AllProvidersFailedError,
    AuthenticationError,
    ConnectionFailedError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TruncatedStreamError,
)
from headrace.limits.pacer import Pacer, Ticket
from headrace.limits.pacing import AnyPacing
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.base import BaseProvider
from headrace.simulator import Script, Simulator, faults
from headrace.telemetry import Event, add_hook
from headrace.testing import assert_idle

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
    assert "asking it again in" in event.message
    if vendor != "ollama":
        assert event.data["seconds"] == 7.0


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
    assert (caught.value.sent, caught.value.retry_after) == (True, 7.0)
    assert "Not asked again: that would be in 7.0 s" in caught.value.__notes__[0]
    assert [attempt.error for attempt in stream.response.attempts] == ["RateLimitError"] * 2


PACINGS = [RateLimitPolicy(), RateLimitPolicy(pace=False)]


@asynccontextmanager
async def refusing(
    *answers: httpx.Response, limits: AnyPacing | RateLimitPolicy | None = None, max_attempts: int = 1
) -> AsyncIterator[tuple[BaseProvider, list[float]]]:
    """A provider whose vendor gives these answers, the last one again and again; and when it was asked."""
    asked: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(current_time())
        return answers[min(len(asked), len(answers)) - 1]

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with PROVIDERS["openai"]("k", http_client=client, limits=limits, max_attempts=max_attempts) as provider:
            yield provider, asked
            await assert_idle(provider)


def told_to_wait(seconds: str) -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": seconds}, json={"error": {"message": "Slow down."}})


def silent(status: int) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": "Not now."}})


def gaps(asked: list[float]) -> list[float]:
    return [later - sooner for sooner, later in pairwise(asked)]


@pytest.mark.parametrize("limits", PACINGS, ids=["paced", "at once"])
@pytest.mark.parametrize("how", ["chat", "embed"])
async def test_nobody_is_asked_again_before_the_time_that_it_told(limits: RateLimitPolicy, how: str) -> None:
    async with refusing(told_to_wait("2"), limits=limits, max_attempts=3) as (provider, asked):
        with pytest.raises(RateLimitError) as caught:
            await (provider.chat(MESSAGES) if how == "chat" else provider.embed(["a"]))
    assert caught.value.sent
    assert [2.0 <= gap < 2.1 for gap in gaps(asked)] == [True, True]


async def test_an_overload_is_waited_for_beyond_the_minute_that_others_wait() -> None:
    overload = httpx.Response(503, headers={"retry-after": "90"}, json={"error": {"message": "Down."}})
    async with refusing(overload, max_attempts=2) as (provider, asked):
        with pytest.raises(OverloadedError):
            await provider.chat(MESSAGES, GenerationConfig(max_wait=100.0))
    assert [90.0 <= gap < 90.1 for gap in gaps(asked)] == [True]


async def test_whoever_was_refused_goes_before_those_who_came_later() -> None:
    answers = [told_to_wait("2"), silent(404)]
    bodies: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content)["messages"][0]["content"])
        return answers[min(len(bodies), len(answers)) - 1]

    async def ask(words: str) -> None:
        with pytest.raises(NotFoundError):
            await provider.chat([AIMessage("user", words)], TWICE)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with PROVIDERS["openai"]("k", http_client=client) as provider, create_task_group() as tasks:
            tasks.start_soon(ask, "first")
            await sleep(1.0)
            tasks.start_soon(ask, "second")
    assert bodies == ["first", "first", "second"]


@pytest.mark.parametrize("limits", PACINGS, ids=["paced", "at once"])
@pytest.mark.parametrize("status", [503, 529])
async def test_without_a_time_each_rest_is_twice_the_one_before(limits: RateLimitPolicy, status: int) -> None:
    async with refusing(silent(status), limits=limits, max_attempts=7) as (provider, asked):
        with pytest.raises(OverloadedError):
            await provider.chat(MESSAGES)
    assert len(asked) == 7
    for gap, most in zip(gaps(asked), [0.5, 1.0, 2.0, 4.0, 8.0, 8.0], strict=True):
        assert 0.75 * most <= gap <= most + 0.05


async def test_those_who_were_refused_together_do_not_come_back_together() -> None:
    async with refusing(silent(503), limits=RateLimitPolicy(pace=False), max_attempts=2) as (provider, asked):
        async with create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(_refused, provider)
    again = sorted(asked)[20:]
    assert len(set(again)) == 20
    assert again[-1] - again[0] > 0.02


async def _refused(provider: BaseProvider) -> None:
    with pytest.raises(OverloadedError):
        await provider.chat(MESSAGES)


@pytest.mark.parametrize("limits", PACINGS, ids=["paced", "at once"])
@pytest.mark.parametrize("how", ["max_wait", "the policy's", "the caller's deadline"])
async def test_a_wait_that_is_too_long_leaves_the_vendors_own_refusal_at_once(
    limits: RateLimitPolicy, how: str, told: list[Event]
) -> None:
    if how == "the policy's":
        limits = replace(limits, max_wait=10.0)
    config = GenerationConfig(max_attempts=3, max_wait=10.0 if how == "max_wait" else None)
    async with refusing(told_to_wait("20"), limits=limits) as (provider, asked):
        began, stream = current_time(), provider.chat_stream(MESSAGES, config)
        with fail_after(10.0 if how == "the caller's deadline" else 1000.0):
            with pytest.raises(RateLimitError) as caught:
                await stream.collect()
    error = caught.value
    assert (error.sent, error.retry_after, error.source, error.status) == (True, 20.0, "headers", 429)
    assert "Not asked again: that would be in 20.0 s" in error.__notes__[0]
    assert [attempt.error for attempt in stream.response.attempts] == ["RateLimitError"]
    assert (len(asked), current_time() - began < 1.0) == (1, True)
    assert [event.name for event in told if event.name == "attempt_failed"] == []


async def test_who_does_not_wait_at_all_is_told_the_refusal_of_the_vendor() -> None:
    async with refusing(silent(503), max_attempts=3) as (provider, asked):
        with pytest.raises(OverloadedError) as caught:
            await provider.chat(MESSAGES, GenerationConfig(max_wait=0))
    assert (len(asked), caught.value.sent) == (1, True)


class NoSecondPlace(Pacer):
    """Its line is too long for one who was refused."""

    async def take(self, *args: Any, again: Ticket | None = None, **options: Any) -> Ticket:
        if again is not None:
            raise RateLimitError("no place within 3 s", source="pacer", sent=False)
        return await super().take(*args, again=again, **options)


@pytest.mark.parametrize("how", ["chat", "embed"])
async def test_a_pacer_without_a_place_for_another_attempt_leaves_the_vendors_own_refusal(how: str) -> None:
    async with refusing(told_to_wait("2"), limits=NoSecondPlace(), max_attempts=3) as (provider, asked):
        stream = provider.chat_stream(MESSAGES)
        with pytest.raises(RateLimitError) as caught:
            await (stream.collect() if how == "chat" else provider.embed(["a"]))
    assert (caught.value.sent, caught.value.retry_after, len(asked)) == (True, 2.0, 1)
    assert caught.value.__notes__ == ["The attempt after this refusal was not made: no place within 3 s"]
    if how == "chat":
        assert [attempt.error for attempt in stream.response.attempts] == ["RateLimitError"]


@pytest.mark.parametrize("limits", [NoSecondPlace, lambda: RateLimitPolicy(max_wait=1.0)], ids=["line", "max_wait"])
async def test_a_gateway_tells_the_refusal_of_the_last_one_too(limits: Callable[[], Any]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return told_to_wait("2") if "openai" in request.url.host else silent(503)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        claude = PROVIDERS["anthropic"]("k", http_client=client, max_attempts=3)
        openai = PROVIDERS["openai"]("k", http_client=client, limits=limits())
        async with AIGateway(claude, openai) as gateway:
            stream = gateway.chat_stream(MESSAGES)
            with pytest.raises(AllProvidersFailedError) as caught:
                await stream.collect()
    assert isinstance(caught.value.cause, RateLimitError)
    assert (caught.value.cause.sent, caught.value.cause.retry_after) == (True, 2.0)
    attempts = [(attempt.provider, attempt.error) for attempt in stream.response.attempts]
    assert attempts == [("anthropic", "OverloadedError"), ("openai", "RateLimitError")]


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
