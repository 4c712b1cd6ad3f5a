"""Who is asked, and who is asked instead: by `next()` and `.send()`, and then through a gateway."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Sequence

import pytest

from headrace import AIGateway, AIMessage, Deadlines, GenerationConfig, ImagePart, Tool
from headrace._routing import RULES, FallbackPolicy, Option, Step, route
from headrace.errors import (
    AllProvidersFailedError,
    AuthenticationError,
    CallerError,
    ConnectionFailedError,
    ContentRefusedError,
    ContextLengthError,
    HeadraceError,
    InvalidRequestError,
    MissingKeyError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SessionClosedError,
    StreamTimeoutError,
    TruncatedStreamError,
    UnsupportedOptionError,
)
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.base import BaseProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Limits, Script, Simulator, faults
from headrace.testing import assert_idle

MESSAGES = [AIMessage("user", "Tell me of the mill.")]
PLAIN = FallbackPolicy()
BUSY = RateLimitError("busy")
DOWN = ConnectionFailedError("down")


def options(*waits: float, attempts: int = 1) -> list[Option]:
    return [Option(f"p{index}", "m", lambda wait=wait: wait, attempts) for index, wait in enumerate(waits)]  # type: ignore[misc]  # mypy on defaults of a lambda


def end(steps: Generator[Step, Exception | None, Exception | None], error: Exception | None) -> Exception | None:
    with pytest.raises(StopIteration) as stopped:
        steps.send(error)
    value: Exception | None = stopped.value.value
    return value


# ---------------------------------------------------------------- pure


def test_the_preferred_one_is_asked_first_and_the_others_in_order() -> None:
    steps = route(options(0, 0, 0), PLAIN)
    assert next(steps) == Step(0)
    assert steps.send(DOWN) == Step(1)
    assert steps.send(BUSY) == Step(2)
    error = end(steps, DOWN)
    assert isinstance(error, AllProvidersFailedError)
    assert [(one.provider, one.error) for one in error.attempts] == [
        ("p0", "ConnectionFailedError"),
        ("p1", "RateLimitError"),
        ("p2", "ConnectionFailedError"),
    ]
    assert error.__cause__ is error.cause is DOWN


def test_one_that_is_alone_keeps_its_own_error() -> None:
    steps = route(options(0), PLAIN)
    next(steps)
    assert end(steps, DOWN) is None


@pytest.mark.parametrize(
    ("error", "leads_on"),
    [
        (BUSY, True),
        (OverloadedError("x"), True),
        (QuotaExceededError("x"), True),
        (AuthenticationError("x"), True),
        (ServerError("x"), True),
        (DOWN, True),
        (TruncatedStreamError("x"), True),
        (StreamTimeoutError("x"), True),
        (ContextLengthError("x"), True),
        (MissingKeyError("x"), True),
        (UnsupportedOptionError("x"), True),
        (InvalidRequestError("x"), False),
        (ContentRefusedError("x"), False),
        (SessionClosedError("x"), False),
        (HeadraceError("x"), False),
        (ZeroDivisionError("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_leads_on(error: Exception, leads_on: bool) -> None:
    steps = route(options(0, 0), PLAIN)
    next(steps)
    if leads_on:
        assert steps.send(error) == Step(1)
    else:
        assert end(steps, error) is None


def test_a_rule_of_the_callers_goes_over_the_table_by_the_nearest_class() -> None:
    policy = FallbackPolicy(rules={ContentRefusedError: True, RateLimitError: False})
    assert policy.leads_on(ContentRefusedError("x"))
    assert not policy.leads_on(OverloadedError("x"))
    assert policy.leads_on(ContextLengthError("x"))
    assert RULES[ContentRefusedError] is False


def test_who_would_let_one_wait_is_passed_over_and_asked_later() -> None:
    steps = route(options(12.0, 0.5, 0.0), PLAIN)
    assert next(steps) == Step(1, ((0, 12.0),))
    assert steps.send(DOWN) == Step(2, ((0, 12.0),))
    assert steps.send(DOWN) == Step(0)


def test_only_the_last_one_is_asked_again() -> None:
    steps = route(options(0, 0, attempts=3), PLAIN)
    assert next(steps) == Step(0)
    assert steps.send(BUSY) == Step(1)
    assert steps.send(BUSY) == Step(1, again=True)
    assert steps.send(BUSY) == Step(1, again=True)
    assert isinstance(end(steps, BUSY), AllProvidersFailedError)


def test_one_that_cannot_be_asked_again_in_time_has_failed_with_its_refusal() -> None:
    steps = route(options(0, 0, attempts=3), PLAIN)
    next(steps)
    steps.send(DOWN)
    refusal = RateLimitError("in an hour")
    assert steps.send(refusal) == Step(1, again=True)
    told = end(steps, None)
    assert isinstance(told, AllProvidersFailedError)
    assert told.cause is refusal
    assert [one.error for one in told.attempts] == ["ConnectionFailedError", "RateLimitError"]


def test_the_soonest_time_to_come_back_is_told() -> None:
    steps = route(options(0, 0), PLAIN)
    next(steps)
    steps.send(RateLimitError("x", retry_at=2000.0))
    error = end(steps, RateLimitError("y", retry_at=1000.0))
    assert isinstance(error, AllProvidersFailedError)
    assert error.retry_at == 1000.0
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.retry_at, copied.attempts) == (str(error), 1000.0, error.attempts)
    assert isinstance(copied.__cause__, RateLimitError)


# ---------------------------------------------------------------- through a gateway


def gateway_to(sim: Simulator, **given: object) -> AIGateway:
    kinds: Sequence[type[BaseProvider]] = (AnthropicProvider, OpenAIProvider, GeminiProvider)
    return AIGateway(*[kind("k", base_url=sim.base_url(kind.name)) for kind in kinds], **given)  # type: ignore[call-arg, arg-type]  # of vendors' providers


REFUSED = Script(fault=faults.Refuse(status=529))
EMPTY = Script(fault=faults.CutFin(after_events=0))


@pytest.mark.parametrize(
    ("script", "error", "billed"),
    [
        (REFUSED, "OverloadedError", False),
        (EMPTY, "TruncatedStreamError", True),
        (Script(fault=faults.Refuse(status=401)), "AuthenticationError", False),
        (Script(fault=faults.NoHead()), "ConnectionFailedError", False),
    ],
    ids=["529", "cut before content", "401", "no head"],
)
async def test_another_is_asked_and_the_answer_says_who_was(script: Script, error: str, billed: bool) -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        sim.play("anthropic", script)
        sim.play("openai", Script(text="Here."))
        answer = await gateway.chat(MESSAGES)
        assert (answer.content, answer.provider, answer.state) == ("Here.", "openai", "finished")
        first, second = answer.attempts
        assert (first.provider, first.error, first.billed) == ("anthropic", error, billed)
        assert (second.provider, second.error, second.billed) == ("openai", None, True)
        assert sim.requests == 2
        usage = gateway.get_usage_summary()
        assert {row.provider for row in usage.models} == {"anthropic", "openai"}
        await assert_idle(gateway)


@pytest.mark.parametrize(("first", "last"), [(3, 1), (1, 3)])
async def test_the_last_one_is_asked_as_often_as_it_says_itself(first: int, last: int) -> None:
    async with Simulator() as sim:
        claude = AnthropicProvider("k", base_url=sim.base_url("anthropic"), max_attempts=first)
        gpt = OpenAIProvider("k", base_url=sim.base_url("openai"), max_attempts=last)
        sim.play("anthropic", Script(fault=faults.Refuse(status=529)))
        for _ in range(3):
            sim.play("openai", Script(fault=faults.Refuse(status=429, retry_after=0.01)))
        async with AIGateway(claude, gpt) as gateway:
            with pytest.raises(AllProvidersFailedError):
                await gateway.chat(MESSAGES)
            await assert_idle(gateway)
        assert [one.vendor for one in sim.exchanges] == ["anthropic"] + ["openai"] * last


async def test_once_content_has_come_nobody_else_is_asked() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        sim.play("anthropic", Script(pieces=("one ", "two "), fault=faults.CutFin(after_pieces=1)))
        async with gateway.chat_stream(MESSAGES) as stream:
            chunks = [chunk async for chunk in stream]
        assert chunks[-1].is_marker
        assert (stream.partial_content, stream.response.provider, sim.requests) == ("one ", "anthropic", 1)


async def test_all_failed_is_one_error_with_all_attempts() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        for vendor in ("anthropic", "openai", "gemini"):
            sim.play(vendor, REFUSED)
        stream = gateway.chat_stream(MESSAGES)
        with pytest.raises(AllProvidersFailedError, match="all 3 providers that were asked failed") as caught:
            await stream.collect()
        assert [one.provider for one in caught.value.attempts] == ["anthropic", "openai", "gemini"]
        assert isinstance(caught.value.__cause__, OverloadedError)
        assert [one.error for one in stream.response.attempts] == ["OverloadedError"] * 3
        assert stream.state == "failed"


@pytest.mark.parametrize(
    "named", [{"provider": "anthropic"}, {"model": "anthropic/claude-sonnet-5-5"}], ids=["provider", "model"]
)
async def test_who_names_one_gets_that_one_or_its_error(named: dict[str, str]) -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        sim.play("anthropic", REFUSED)
        with pytest.raises(OverloadedError):
            await gateway.chat(MESSAGES, **named)  # type: ignore[arg-type]  # words of the call
        assert sim.requests == 1


async def test_a_call_can_say_who_is_asked_instead() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        sim.play("anthropic", REFUSED)
        answer = await gateway.chat(MESSAGES, provider="anthropic", fallback=["gemini/gemini-3.8-flash"])
        assert (answer.provider, sim.exchanges[-1].vendor) == ("gemini", "gemini")
        sim.play("anthropic", REFUSED)
        with pytest.raises(OverloadedError):
            await gateway.chat(MESSAGES, fallback=())


async def test_fallback_none_asks_nobody_else() -> None:
    async with Simulator() as sim, gateway_to(sim, fallback=None) as gateway:
        sim.play("anthropic", REFUSED)
        with pytest.raises(OverloadedError):
            await gateway.chat(MESSAGES)
        sim.play("anthropic", REFUSED)
        assert (await gateway.chat(MESSAGES, fallback=["openai"])).provider == "openai"  # but whom the call names
        with pytest.raises(CallerError, match="there is no provider 'opennai'"):
            await gateway.chat(MESSAGES, fallback=["opennai"])


async def test_fields_of_one_vendor_do_not_go_to_another_unless_asked() -> None:
    config = GenerationConfig(extra={"tools": [{"type": "web_search_20250305", "name": "web_search"}]})
    async with Simulator() as sim, gateway_to(sim) as gateway:
        sim.play("anthropic", REFUSED)
        with pytest.raises(OverloadedError):
            await gateway.chat(MESSAGES, config)
        assert sim.requests == 1


async def test_who_must_wait_longer_is_passed_over() -> None:
    limits = {"anthropic": Limits(requests=5, window=60.0)}
    async with Simulator(limits=limits) as sim, gateway_to(sim) as gateway:
        answers = [await gateway.chat(MESSAGES) for _ in range(6)]
        assert answers[0].provider == "anthropic"
        last = answers[-1]
        assert last.provider == "openai"
        assert (last.attempts[0].provider, last.attempts[0].error) == ("anthropic", "PassedOver")
        assert "would wait" in (last.attempts[0].message or "")
        assert not [exchange for exchange in sim.exchanges if exchange.status == 429]


async def test_what_a_provider_cannot_do_is_known_before_it_is_chosen() -> None:
    class Words(OpenAIProvider):
        name = "words"
        capabilities = BaseProvider.capabilities

    picture = [AIMessage("user", [ImagePart(b"\x89PNG", "image/png")])]
    tools = GenerationConfig(tools=[Tool(name="f", description="", parameters={"type": "object"})])
    async with Simulator() as sim:
        words, openai = (kind("k", base_url=sim.base_url("openai")) for kind in (Words, OpenAIProvider))
        async with AIGateway(words, openai) as gateway:
            assert (await gateway.chat(MESSAGES)).provider == "words"
            assert (await gateway.chat(picture)).provider == "openai"
            assert (await gateway.chat(MESSAGES, tools)).provider == "openai"
            with pytest.raises(UnsupportedOptionError, match="words has no image_analysis"):
                gateway.chat_stream(picture, provider="words")
        async with AIGateway(Words("k")) as alone:
            with pytest.raises(UnsupportedOptionError, match="no registered provider has all of"):
                alone.chat_stream(picture)


async def test_a_gateway_that_was_not_entered_answers_and_falls_back() -> None:
    async with Simulator() as sim:
        gateway = gateway_to(sim)
        sim.play("anthropic", REFUSED)
        assert (await gateway.chat(MESSAGES)).provider == "openai"
        async with gateway.chat_stream(MESSAGES) as stream:
            assert (await stream.collect()).provider == "anthropic"
        await sim.wait_all_closed()


async def test_a_late_vendor_is_left_for_another_at_its_own_deadline() -> None:
    config = GenerationConfig(deadlines=Deadlines(first_chunk=0.2))
    async with Simulator() as sim, gateway_to(sim) as gateway:
        sim.play("anthropic", Script(text="late", fault=faults.LateFirst(seconds=30)))
        answer = await gateway.chat(MESSAGES, config)
        assert (answer.provider, answer.attempts[0].error) == ("openai", "StreamTimeoutError")
        await assert_idle(gateway)


async def test_the_pacers_refusal_leads_on_without_a_request() -> None:
    limits = {"anthropic": Limits(requests=5, window=60.0)}
    async with Simulator(limits=limits) as sim:
        first = AnthropicProvider("k", base_url=sim.base_url("anthropic"), limits=RateLimitPolicy(max_wait=0))
        async with AIGateway(
            first, OpenAIProvider("k", base_url=sim.base_url("openai")), fallback=FallbackPolicy(patience=1000.0)
        ) as gateway:
            providers = [(await gateway.chat(MESSAGES)).provider for _ in range(6)]
        assert (providers[0], providers[-1]) == ("anthropic", "openai")
        assert [exchange.status for exchange in sim.exchanges] == [200] * 6
