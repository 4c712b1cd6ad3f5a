"""
No refusal, seen from outside: bursts through the real providers, against the simulator's own buckets, in virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from anyio import create_task_group, current_time, fail_after, move_on_after, sleep

from headrace import AIMessage, GenerationConfig
from headrace.errors import ConcurrencyLimitError, RateLimitError, RequestTooLargeError
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.base import BaseProvider
from headrace.simulator import Limits, Script, Simulator, faults
from headrace.testing import assert_idle

from .rows import MESSAGES, PROVIDERS
from .test_in_memory import PREFIX

pytestmark = [pytest.mark.virtual, pytest.mark.usefixtures("leak_check")]

BURST = 30
SHORT = GenerationConfig(max_tokens=20)


@asynccontextmanager
async def paced(sim: Simulator, vendor: str, **options: object) -> AsyncIterator[BaseProvider]:
    """A provider as it is by default, on the simulator without sockets."""
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        url = f"http://sim{PREFIX[vendor]}"
        async with PROVIDERS[vendor]("k", base_url=url, http_client=client, **options) as provider:
            yield provider
            await assert_idle(provider)


def refusals(sim: Simulator) -> int:
    return sum(exchange.status == 429 for exchange in sim.exchanges)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
async def test_a_burst_above_the_limit_is_let_in_as_the_bucket_refills_and_never_refused(
    vendor: str, stream: bool
) -> None:
    sim = Simulator(limits={vendor: Limits(requests=20, window=60.0)})
    sim.play(vendor, *[Script(text="Yes.")] * BURST)
    order: list[int] = []
    policy = RateLimitPolicy(max_wait=600)
    async with paced(sim, vendor, limits=policy) as provider, create_task_group() as tasks:
        began = current_time()

        async def ask(number: int) -> None:
            answer = await provider.chat(MESSAGES, GenerationConfig(max_tokens=20, stream=stream))
            order.append(number)
            assert answer.content == "Yes."

        for number in range(BURST):
            tasks.start_soon(ask, number)
            await sleep(0.001)
    took = current_time() - began
    assert (refusals(sim), sim.requests) == (0, BURST)
    assert order == list(range(BURST))
    # 20 at once and a third of one a second: the other 10 need 30 s, and what stays in the bucket as a reserve.
    assert 30.0 <= took < 36.0


async def test_the_forecast_that_is_longer_than_one_would_wait_is_refused_at_once_and_says_it_all() -> None:
    sim = Simulator(limits={"openai": Limits(requests=5, window=60.0)})
    async with paced(sim, "openai") as provider:
        for _ in range(4):
            await provider.chat(MESSAGES, SHORT)
        used = [await _refusal(provider, GenerationConfig(max_wait=wait)) for wait in (2.0, 0.0)]
    assert refusals(sim) == 0
    for error in used:
        assert (error.sent, error.source, error.kind, error.dimension) == (False, "pacer", "rate", "requests")
        assert (error.limit, error.provider, error.status) == (5, "openai", None)
        assert error.retry_after is not None
        assert 2.0 < error.retry_after <= 24.0
        assert error.retry_at is not None
        text = str(error)
        assert "requests" in text
        assert "othing was sent" in text or "not sent" in text
        assert "max_wait" in text


async def _refusal(provider: BaseProvider, config: GenerationConfig) -> RateLimitError:
    began = current_time()
    with pytest.raises(RateLimitError) as caught:
        await provider.chat(MESSAGES, config)
    assert current_time() == began
    return caught.value


async def test_the_callers_own_deadline_counts_as_well() -> None:
    sim = Simulator(limits={"openai": Limits(requests=5, window=60.0)})
    async with paced(sim, "openai") as provider:
        for _ in range(4):
            await provider.chat(MESSAGES, SHORT)
        began = current_time()
        with pytest.raises(RateLimitError), fail_after(3.0):
            for _ in range(3):
                await provider.chat(MESSAGES, SHORT)
        assert current_time() - began < 3.0
    assert refusals(sim) == 0


async def test_a_request_that_is_larger_than_the_limit_is_refused_before_it_is_sent() -> None:
    sim = Simulator(limits={"openai": Limits(tokens=1000, window=60.0)})
    async with paced(sim, "openai") as provider:
        await provider.chat(MESSAGES, SHORT)
        with pytest.raises(RequestTooLargeError, match=r"1,000"):
            await provider.chat([AIMessage("user", "word " * 5000)], SHORT)
    assert sim.requests == 1


@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
async def test_a_waiter_that_is_cancelled_gives_its_place_back(vendor: str) -> None:
    sim = Simulator(limits={vendor: Limits(requests=5, window=60.0)})
    async with paced(sim, vendor) as provider:
        for _ in range(4):
            await provider.chat(MESSAGES, SHORT)
        async with create_task_group() as tasks:
            with move_on_after(1.0):
                for _ in range(3):
                    tasks.start_soon(provider.chat, MESSAGES, SHORT)
                await sleep(5)
            tasks.cancel_scope.cancel()
        await assert_idle(provider)
        await provider.chat(MESSAGES, SHORT)
    assert refusals(sim) == 0


async def test_two_providers_of_one_account_can_share_a_pacer() -> None:
    sim = Simulator(limits={"openai": Limits(requests=20, window=60.0)})
    pacer = Pacer(RateLimitPolicy(max_wait=600), name="openai")
    async with paced(sim, "openai", limits=pacer) as one, paced(sim, "openai", limits=pacer) as other:
        async with create_task_group() as tasks:
            for _ in range(BURST // 2):
                tasks.start_soon(one.chat, MESSAGES, SHORT)
                tasks.start_soon(other.chat, MESSAGES, SHORT)
    assert (refusals(sim), sim.requests, pacer.taken) == (0, BURST, 0)


async def test_without_pacing_the_vendor_refuses() -> None:
    """The control: what the others are compared with."""
    sim = Simulator(limits={"openai": Limits(requests=5, window=60.0)})
    async with paced(sim, "openai", limits=RateLimitPolicy(pace=False)) as provider:
        for _ in range(5):
            await provider.chat(MESSAGES, SHORT)
        with pytest.raises(RateLimitError) as caught:
            await provider.chat(MESSAGES, SHORT)
    assert (refusals(sim), caught.value.sent) == (1, True)


async def test_a_slot_counts_as_one_more_dimension() -> None:
    sim = Simulator()
    sim.play("openai", Script(text="Slow.", fault=faults.LateFirst(seconds=20.0)))
    async with paced(sim, "openai", max_requests=1) as provider:
        async with provider.chat_stream(MESSAGES) as holder, create_task_group() as tasks:
            tasks.start_soon(anext, holder)
            await sleep(1)
            with pytest.raises(ConcurrencyLimitError, match="raise max_requests"):
                await provider.chat(MESSAGES, GenerationConfig(max_wait=5.0))
