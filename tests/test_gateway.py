"""The gateway's door: it opens and closes its providers together, and sends a call to the one that it names."""

from __future__ import annotations

import time

import pytest
from anyio import CancelScope, create_task_group, fail_after, sleep

from headrace import AIGateway, AIMessage, Budget, GenerationConfig, StreamInterruptedError, Usage
from headrace.errors import BudgetExceededError, CallerError, ConnectionFailedError, MissingKeyError, RateLimitError
from headrace.gateway import get_gateway
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Limits, Script, Simulator, Tokens, faults
from headrace.telemetry import Event
from headrace.testing import assert_idle

CLASSES = {"anthropic": AnthropicProvider, "openai": OpenAIProvider, "gemini": GeminiProvider, "grok": GrokProvider}
MESSAGES = [AIMessage("user", "hi")]


class Unopenable(OpenAIProvider):
    name = "unopenable"

    async def initialize(self) -> None:
        raise OSError("no such thing")


def gateway_to(sim: Simulator) -> AIGateway:
    return AIGateway(*(kind("k", base_url=sim.base_url(name)) for name, kind in CLASSES.items()))


async def test_four_providers_stream_at_once_through_one_gateway() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        said: dict[str, str] = {}

        async def ask(name: str) -> None:
            async with gateway.chat_stream(MESSAGES, provider=name) as stream:
                said[name] = "".join([chunk.content async for chunk in stream])

        for name in CLASSES:
            sim.play(name, Script(text=f"{name} says hello"))
        async with create_task_group() as tasks:
            for name in CLASSES:
                tasks.start_soon(ask, name)
        assert said == {name: f"{name} says hello" for name in CLASSES}
        await assert_idle(gateway)


async def test_the_model_names_vendor_and_model() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        answer = await gateway.generate("hi", GenerationConfig(max_tokens=5), model="openai/team/gpt-x")
        assert (answer.provider, sim.exchanges[-1].vendor, sim.exchanges[-1].body["model"]) == (
            "openai",
            "openai",
            "team/gpt-x",
        )
        assert sim.exchanges[-1].body["max_completion_tokens"] == 5


async def test_the_default_is_the_first_registered_until_another_is_set() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        assert (await gateway.generate("hi")).provider == "anthropic"
        gateway.set_default_provider("grok")
        assert (await gateway.generate("hi")).provider == "grok"


async def test_a_cut_reaches_the_caller_of_chat_with_its_words() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        sim.play("gemini", Script(pieces=("one ", "two ", "three"), fault=faults.CutFin(after_pieces=2)))
        with pytest.raises(StreamInterruptedError) as cut:
            await gateway.chat(MESSAGES, provider="gemini")
        assert cut.value.partial_content == "one two "
        assert cut.value.response is not None and cut.value.response.state == "interrupted"
        await assert_idle(gateway)


async def test_an_open_gateway_is_not_entered_again_and_a_closed_one_not_at_all() -> None:
    async with Simulator() as sim:
        gateway = gateway_to(sim)
        async with gateway:
            with pytest.raises(RuntimeError, match="already open"):
                await gateway.__aenter__()
        with pytest.raises(RuntimeError, match="closed, and is not opened again"):
            await gateway.__aenter__()
        with pytest.raises(RuntimeError, match="closed: make a new one"):
            gateway.register_provider(OpenAIProvider("k"))


async def test_an_open_gateway_takes_another_provider() -> None:
    opened: list[str] = []

    class Late(OpenAIProvider):
        name = "late"

        async def initialize(self) -> None:
            await sleep(0.01)
            opened.append(self.name)

    async with Simulator() as sim, AIGateway() as gateway:
        late = Late("k", base_url=sim.base_url("openai"))
        gateway.register_provider(late)
        sim.play("openai", Script(text="Here."))
        assert (await gateway.generate("hi")).content == "Here."
        assert opened == ["late"]
        await assert_idle(gateway)
    assert late._session is None


async def test_one_that_cannot_open_late_is_a_failed_attempt() -> None:
    class Broken(OpenAIProvider):
        name = "broken"

        async def initialize(self) -> None:
            raise ConnectionFailedError("no such thing", provider="broken")

    async with Simulator() as sim, AIGateway(AnthropicProvider("k", base_url=sim.base_url("anthropic"))) as gateway:
        gateway.register_provider(Broken("k"), priority=1)
        answer = await gateway.generate("hi")
        assert [attempt.error for attempt in answer.attempts] == ["ConnectionFailedError", None]


async def test_a_provider_that_was_open_stays_its_openers() -> None:
    async with Simulator() as sim, AnthropicProvider("k", base_url=sim.base_url("anthropic")) as provider:
        async with AIGateway(provider) as gateway:
            await gateway.generate("hi")
        assert provider._session is not None
        assert (await provider.generate("hi")).state == "finished"


async def test_a_provider_does_not_keep_the_accounts_of_gateways_that_were_closed() -> None:
    """Such as one gateway for each request of a web application."""
    async with Simulator() as sim, AnthropicProvider("k", base_url=sim.base_url("anthropic")) as provider:
        for _ in range(3):
            async with AIGateway(provider) as gateway:
                await provider.generate("hi")
                under_way = provider.chat_stream(MESSAGES)
                await anext(under_way)
            assert not provider._observers
            await under_way.collect()
            (row,) = gateway.get_usage_summary().models
            assert row.requests == 2
            await provider.generate("hi")
            assert gateway.get_usage_summary().models == (row,)
        with pytest.raises(OSError, match="no such thing"):
            await AIGateway(provider, Unopenable("k")).__aenter__()
        assert not provider._observers


async def test_get_gateway_is_the_one_that_is_open() -> None:
    with pytest.raises(RuntimeError, match="no gateway is open"):
        get_gateway()
    async with AIGateway() as gateway:
        assert get_gateway() is gateway
        async with AIGateway() as inner:
            assert get_gateway() is inner
        assert get_gateway() is gateway, "it is still open"
    with pytest.raises(RuntimeError, match="no gateway is open"):
        get_gateway()


async def test_providers_of_one_account_share_a_pacer() -> None:
    class Twin(OpenAIProvider):
        name = "twin"

    class Other(OpenAIProvider):
        name = "other"

    async with AIGateway(OpenAIProvider("k"), Twin("k"), Other("another key")) as gateway:
        sessions = [gateway.get_provider(name)._session for name in ("openai", "twin", "other")]
        first, second, third = (session.pacer for session in sessions if session is not None)
        assert first is second
        assert first is not third


async def test_a_provider_that_cannot_open_leaves_none_open() -> None:
    first = AnthropicProvider("k")
    gateway = AIGateway(first, Unopenable("k"))
    with pytest.raises(OSError, match="no such thing"):
        await gateway.__aenter__()
    await assert_idle(gateway)
    assert first._session is None


def test_names_are_unique_and_not_empty() -> None:
    gateway = AIGateway(OpenAIProvider("k"))
    with pytest.raises(ValueError, match="registered already"):
        gateway.register_provider(OpenAIProvider("k"))
    nameless = OpenAIProvider("k")
    nameless.name = ""
    with pytest.raises(ValueError, match="has no name"):
        gateway.register_provider(nameless)
    with pytest.raises(CallerError, match="has no provider"):
        AIGateway().get_provider()


async def test_without_a_key_nothing_is_sent() -> None:
    async with Simulator() as sim, AIGateway(OpenAIProvider(base_url=sim.base_url("openai"))) as gateway:
        with pytest.raises(MissingKeyError, match="OPENAI_API_KEY"):
            await gateway.generate("hi")
        assert sim.requests == 0


async def test_assert_idle_names_what_is_open() -> None:
    async with Simulator() as sim, OpenAIProvider("k", base_url=sim.base_url("openai")) as provider:
        sim.play("openai", Script(fault=faults.Stall(after_events=3)))
        async with provider.chat_stream(MESSAGES) as stream:
            await anext(stream)
            for subject in (provider, stream):
                with pytest.raises(AssertionError, match="still holds stream openai/"):
                    await assert_idle(subject, within=0.0)
        await assert_idle(provider)
        await assert_idle(stream)


async def test_a_cancelled_look_at_the_limits_keeps_what_is_new_for_the_next() -> None:
    async with AIGateway(OpenAIProvider("k")) as gateway:
        watch = gateway.watch_limits(every=0.01)
        with CancelScope() as scope:
            scope.cancel()
            await anext(watch)
        with fail_after(1):
            assert await anext(watch) == {"openai": {}}


async def test_limits_are_seen_across_all_providers_as_they_change() -> None:
    limits = {"openai": Limits(requests=50, tokens=60_000), "anthropic": Limits(requests=40)}
    async with Simulator(limits=limits) as sim, gateway_to(sim) as gateway:
        watch = gateway.watch_limits(every=0.01)
        with fail_after(5):
            assert not any((await anext(watch)).values())
            await gateway.generate("hi", provider="openai")
            seen = await anext(watch)
            assert {name for name, models in seen.items() if models} == {"openai"}
            (info,) = seen["openai"].values()
            assert (info.limit_requests, info.limit_tokens, info.source) == (50, 60_000, "pacer")
            await gateway.generate("hi", provider="anthropic")
            while not (seen := await anext(watch))["anthropic"]:
                pass
        assert gateway.limits()["anthropic"].keys() == seen["anthropic"].keys()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_the_hook_of_a_gateway_hears_of_its_own_providers_only_while_it_is_open() -> None:
    heard: list[Event] = []
    async with Simulator(limits={"openai": Limits(requests=5)}) as sim:
        gateway = AIGateway(OpenAIProvider("k", base_url=sim.base_url("openai")), on_rate_limit=heard.append)
        async with gateway, AnthropicProvider("k", base_url=sim.base_url("anthropic")) as stranger:
            await gateway.generate("hi")
            await stranger.generate("hi")
            with pytest.raises(RateLimitError):
                for _ in range(5):
                    await gateway.generate("hi", GenerationConfig(max_wait=0))
            sim.play("openai", Script(fault=faults.Refuse(status=429)))
        told = len(heard)
        async with OpenAIProvider("k", base_url=sim.base_url("openai")) as later:
            with pytest.raises(RateLimitError):
                await later.generate("hi")
    assert {event.provider for event in heard} == {"openai"}
    assert "limits_learned" in {event.name for event in heard}
    assert len(heard) == told


async def test_tokens_are_counted_for_the_model_that_is_named_anywhere() -> None:
    async with Simulator() as sim, gateway_to(sim) as gateway:
        haiku = GenerationConfig(model="claude-haiku-4-5")
        await gateway.count_tokens(MESSAGES, haiku)
        await gateway.count_tokens(MESSAGES, haiku, provider="anthropic")
        await gateway.count_tokens(MESSAGES, haiku, model="anthropic/claude-opus-4-5")
        assert [one.body["model"] for one in sim.exchanges] == ["claude-haiku-4-5"] * 2 + ["claude-opus-4-5"]


async def test_a_budget_refuses_before_the_request_and_usage_is_summed_up() -> None:
    async with Simulator() as sim:
        provider = OpenAIProvider("k", base_url=sim.base_url("openai"))
        async with AIGateway(provider, budget=Budget(tokens=40)) as gateway:
            sim.play("openai", Script(text="One.", usage=Tokens(prompt=30, completion=12)))
            await gateway.generate("hi")
            with pytest.raises(BudgetExceededError, match="42"):
                await gateway.generate("hi")
            assert sim.requests == 1
            total = gateway.get_usage_summary().total
            assert (total.requests, total.prompt_tokens.known, total.completion_tokens.known) == (1, 30, 12)


async def test_a_budget_in_money_knows_the_usual_embedding_model() -> None:
    asked: list[str] = []

    def prices(_: str, model: str, __: Usage) -> float | None:
        asked.append(model)
        return 0.001 if model else None

    async with Simulator() as sim:
        provider = OpenAIProvider("k", base_url=sim.base_url("openai"))
        async with AIGateway(provider, budget=Budget(cost=1), prices=prices) as gateway:
            answer = await gateway.embed("hi")
        assert asked[0] == answer.model == sim.exchanges[-1].body["model"]


async def test_what_waits_while_the_budget_is_spent_is_not_sent() -> None:
    async with Simulator() as sim:
        provider = OpenAIProvider("k", base_url=sim.base_url("openai"), max_requests=1)
        async with AIGateway(provider, budget=Budget(tokens=5)) as gateway:
            ended: list[str] = []

            async def ask() -> None:
                try:
                    ended.append((await gateway.generate("hi")).state)
                except BudgetExceededError as error:
                    ended.append(error.unit)

            async with create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(ask)
            assert (sorted(ended), sim.requests) == (["finished", "tokens", "tokens"], 1)
            await assert_idle(gateway)


async def test_a_budget_that_is_spent_before_an_attempt_is_repeated_leaves_the_refusal() -> None:
    budget = Budget(tokens=5)
    async with Simulator() as sim:
        provider = OpenAIProvider("k", base_url=sim.base_url("openai"), max_attempts=2)
        async with AIGateway(provider, budget=budget) as gateway, create_task_group() as tasks:
            sim.play("openai", Script(fault=faults.Refuse(status=429, retry_after=0.1)))

            async def spend() -> None:
                while not sim.requests:
                    await sleep(0.01)
                await sleep(0.05)
                budget.spend(cost=None, tokens=9, now=time.time())

            tasks.start_soon(spend)
            with pytest.raises(RateLimitError) as refused:
                await gateway.generate("hi")
            assert "the budget of 5 tokens is spent" in "".join(refused.value.__notes__)
            assert sim.requests == 1
