"""Pacers that share a model in a store that takes its time: in virtual time, so that every moment can be met."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest
from anyio import CancelScope, create_task_group, current_time, get_running_tasks, sleep, wait_all_tasks_blocked

from headrace import AIMessage, AIStreamChunk, GenerationConfig, RateLimitInfo
from headrace._types import LimitDimension
from headrace.errors import RateLimitError
from headrace.limits import pacer as pacer_module
from headrace.limits.cost import Cost
from headrace.limits.model import Member, Model
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.limits.store import MemoryStore, Stored
from headrace.providers.base import BaseProvider

pytestmark = pytest.mark.virtual

COST = Cost(10, 10)
T = 1_790_000_000.0
LEFT = RateLimitInfo(dimensions=(LimitDimension("requests", 10, 9, T + 6),), observed_at=T)
ON_ITS_WAY = 0.01  # seconds, of each word to the store and back


class SlowStore(MemoryStore):
    """A store at some distance."""

    async def load(self, key: str) -> Stored:
        await sleep(ON_ITS_WAY)
        stored = await super().load(key)
        await sleep(ON_ITS_WAY)
        return stored

    async def swap(self, key: str, version: int, blob: bytes) -> Stored:
        await sleep(ON_ITS_WAY)
        stored = await super().swap(key, version, blob)
        await sleep(ON_ITS_WAY)
        return stored

    @property
    def model(self) -> Model:
        (_, blob), *_ = self._kept.values()
        return msgspec.msgpack.decode(blob, type=Model)

    def at(self, scope: str) -> Model:
        blob = next(blob for key, (_, blob) in self._kept.items() if key.endswith(f":{scope}"))
        return msgspec.msgpack.decode(blob, type=Model)

    @property
    def first(self) -> Member:
        return next(iter(self.model.members.values()))


@asynccontextmanager
async def running(*pacers: Pacer) -> AsyncIterator[None]:
    async with create_task_group() as tasks:
        for each in pacers:
            tasks.start_soon(each.run)
        await wait_all_tasks_blocked()
        yield
        tasks.cancel_scope.cancel()


async def test_two_scopes_that_ask_the_store_at_once_do_not_share_the_last_slot() -> None:
    pacer = Pacer(RateLimitPolicy(store=SlowStore()), max_requests=1)
    most, served = 0, 0

    async def call(scope: str) -> None:
        nonlocal most, served
        ticket = await pacer.take(COST, scope=scope)
        most, served = max(most, pacer.taken), served + 1
        await sleep(1)
        pacer.finish(ticket)

    async with running(pacer), create_task_group() as tasks:
        for scope in "abc":
            tasks.start_soon(call, scope)
    assert (most, served) == (1, 3)


@pytest.mark.parametrize("when", [0.005, 0.015, 0.025, 0.035, 0.045])
async def test_who_takes_the_pacer_over_in_the_middle_of_a_change_looks_at_once(when: float) -> None:
    pacer, waited = Pacer(RateLimitPolicy(store=SlowStore())), -1.0

    async def take() -> None:
        nonlocal waited
        pacer.finish(await pacer.take(COST))
        waited = current_time() - began

    async with create_task_group() as tasks:
        first = CancelScope()
        with first:
            async with create_task_group() as keeping:
                keeping.start_soon(pacer.run)
                await wait_all_tasks_blocked()
                tasks.start_soon(pacer.run)
                began = current_time()
                tasks.start_soon(take)
                await sleep(when)
                first.cancel()
        await sleep(1)
        tasks.cancel_scope.cancel()
    assert 0 < waited < 0.2


async def test_max_wait_0_waits_for_the_word_of_the_store_and_for_no_place() -> None:
    pacer = Pacer(RateLimitPolicy(store=SlowStore(), limits={"requests": 2}))
    async with running(pacer):
        began = current_time()
        for _ in range(2):
            pacer.finish(await pacer.take(COST, max_wait=0))
        with pytest.raises(RateLimitError):
            await pacer.take(COST, max_wait=0)
        assert current_time() - began < 0.2


async def test_what_the_store_foretells_is_told_at_once() -> None:
    store = SlowStore()
    one, other = [Pacer(RateLimitPolicy(store=store, limits={"requests": 2})) for _ in range(2)]
    async with running(one, other):
        for _ in range(2):
            one.finish(await one.take(COST))
        began = current_time()
        with pytest.raises(RateLimitError) as told:
            await other.take(COST, max_wait=30)  # of which it knows nothing by itself
        assert current_time() - began < 0.2
    assert told.value.dimension == "requests"
    assert told.value.retry_after == pytest.approx(60, abs=1)


async def test_a_pacer_that_does_not_pace_asks_no_store() -> None:
    pacer = Pacer(RateLimitPolicy(store=SlowStore(), pace=False))
    async with running(pacer):
        began = current_time()
        for _ in range(20):
            await pacer.take(COST)
        assert current_time() == began


async def test_a_refusal_for_days_is_known_to_all() -> None:
    store = MemoryStore()
    one, other = (Pacer(RateLimitPolicy(store=store), name=name) for name in ("one", "other"))
    async with running(one), running(other):
        one.limited(await one.take(COST), RateLimitError("this week's", retry_after=3 * 86_400.0))
        await sleep(5)
        for pacer in (one, other):
            with pytest.raises(RateLimitError, match="Next place in 2591"):
                await pacer.take(COST)


async def test_a_store_that_lost_all_learns_how_long_a_refusal_holds() -> None:
    store = MemoryStore()
    pacer = Pacer(RateLimitPolicy(store=store))
    async with running(pacer):
        pacer.limited(await pacer.take(COST), RateLimitError("slow down", retry_after=50.0))
        await sleep(5)
        store._kept.clear()
        began = current_time()
        pacer.finish(await pacer.take(COST))
        assert current_time() - began == pytest.approx(45, abs=1)


async def test_the_next_of_a_line_does_not_inherit_the_charge_of_the_one_that_left() -> None:
    store = SlowStore()
    pacer = Pacer(RateLimitPolicy(store=store, limits={"input_tokens": 1000}))
    async with running(pacer), create_task_group() as tasks:
        pacer.finish(await pacer.take(Cost(900, 1)))
        with CancelScope() as large:
            async with create_task_group() as waiting:
                waiting.start_soon(partial(pacer.take, Cost(901, 1), max_wait=100))
                await sleep(1)
                tasks.start_soon(partial(pacer.take, Cost(200, 1), max_wait=200))
                await sleep(1)
                assert store.first.place is not None
                assert store.first.place.charge[1] == 901
                large.cancel()
        await sleep(1)
        assert store.first.place is not None and store.first.place.charge[1] == 200
        tasks.cancel_scope.cancel()


# ---------------------------------------------------------------- the end


async def test_a_pacer_that_stops_tells_what_came_last() -> None:
    store = SlowStore()
    pacer = Pacer(RateLimitPolicy(store=store))
    async with running(pacer):
        ticket = await pacer.take(COST)
        pacer.sample(ticket, LEFT)
        pacer.finish(ticket)
    assert store.model.answers == 1
    assert list(store.model.buckets) == ["requests"]
    assert store.first.flying == 0


async def test_a_pacer_that_stops_while_one_waits_leaves_no_place() -> None:
    store = SlowStore()
    pacer = Pacer(RateLimitPolicy(store=store, limits={"requests": 1}))
    async with create_task_group() as tasks:
        tasks.start_soon(pacer.run)
        pacer.finish(await pacer.take(COST))
        tasks.start_soon(partial(pacer.take, COST, max_wait=100))
        await sleep(1)
        assert store.first.place is not None
        tasks.cancel_scope.cancel()
    assert store.first.place is None


async def test_the_least_used_scopes_are_forgotten_and_nobody_keeps_in_step_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names of models may come from anywhere."""
    monkeypatch.setattr(pacer_module, "SCOPES", 10)
    store = SlowStore()
    async with running(pacer := Pacer(RateLimitPolicy(store=store))):
        kept = await pacer.take(COST, scope="in use")
        for number in range(50):
            pacer.cancel(await pacer.take(COST, scope=f"name {number}"))
            main = await pacer.take(COST, scope="main")
            pacer.finish(main, None)
            await sleep(5)  # so that all is told
            assert len(pacer._lanes) <= 10
            assert len([task for task in get_running_tasks() if (task.name or "").startswith("pacer ")]) <= 10
        assert {"in use", "main"} <= pacer._lanes.keys()
        pacer.finish(kept, None)
        again = await pacer.take(COST, scope="name 0")  # and comes again as it was left
        assert not [member for member in store.at("name 0").members.values() if member.place is not None]
        pacer.finish(again, None)


async def test_short_sessions_hold_nobody_up() -> None:
    store, waits = SlowStore(), list[float]()
    for _ in range(8):
        pacer = Pacer(RateLimitPolicy(store=store))
        async with running(pacer):
            began = current_time()
            pacer.finish(await pacer.take(COST))
            waits.append(current_time() - began)
    assert max(waits) < 0.2


async def test_a_pacer_that_is_cancelled_twice_ends(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("a native cancellation")
    store = SlowStore()
    pacer = Pacer(RateLimitPolicy(store=store))
    task = asyncio.create_task(pacer.run())
    pacer.finish(await pacer.take(COST))
    task.cancel()
    await sleep(ON_ITS_WAY / 2)  # it is telling the store
    task.cancel()
    assert await asyncio.wait([task], timeout=5) == ({task}, set())


class Endless(BaseProvider):
    """Says one word, and then nothing."""

    name, model = "endless", "m"

    async def _raw_chat_stream(
        self, messages: object, config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk("word", rate_limit=LEFT)
        await sleep(3600)


async def test_a_session_that_is_closed_under_a_stream_tells_the_store_of_its_end() -> None:
    store = SlowStore()
    async with Endless(limits=RateLimitPolicy(store=store)) as provider:
        stream = provider.chat_stream([AIMessage("user", "?")])
        assert (await anext(stream)).content == "word"
    assert store.model.answers == 1
    assert store.first.flying == 0
