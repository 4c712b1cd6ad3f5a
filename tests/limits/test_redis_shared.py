"""Pacers that share a limit over a real Redis: each place is given once, and an outage stops nobody."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest
from anyio import create_task_group, fail_after, move_on_after, sleep, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from headrace import AIMessage
from headrace.errors import RateLimitError
from headrace.limits.cost import Cost
from headrace.limits.model import Model
from headrace.limits.pacer import Pacer, Ticket
from headrace.limits.policy import RateLimitPolicy
from headrace.limits.redis import RedisStore
from headrace.limits.store import StoreError
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Simulator
from headrace.telemetry import add_hook

from ..leaks import nothing_left, soon
from ..redis_server import RedisServer, redis, redis_server, require_redis

__all__ = ("redis", "redis_server")  # fixtures

COST = Cost(10, 10)
KEY = "headrace:{key}:"


@pytest.fixture(autouse=True)
async def leak_check() -> AsyncIterator[None]:
    async with nothing_left():
        yield


def pacer(store: RedisStore, requests: int, **options: object) -> Pacer:
    return Pacer(RateLimitPolicy(limits={"requests": requests}, store=store, **options), key="key")  # type: ignore[arg-type]  # options of the policy


@asynccontextmanager
async def running(*pacers: Pacer) -> AsyncIterator[None]:
    async with create_task_group() as tasks:
        for each in pacers:
            tasks.start_soon(each.run)
        await wait_all_tasks_blocked()
        yield
        tasks.cancel_scope.cancel()


def stored(server: RedisServer, key: str = KEY) -> Model:
    """The model that lies there."""
    value = server.ask("--no-raw", "GET", key)
    raw = value[1:-1].encode().decode("unicode_escape").encode("latin-1")
    return msgspec.msgpack.decode(raw.partition(b"\n")[2], type=Model)


async def until_full(pacers: list[Pacer]) -> list[Ticket]:
    """Take in turns until there is nothing left."""
    tickets = []
    while True:
        for each in pacers:
            try:
                tickets.append(await each.take(COST, max_wait=0.5))
            except RateLimitError:
                return tickets


# ---------------------------------------------------------------- shared


@pytest.mark.parametrize("together", [True, False], ids=["one store", "a store each"])
async def test_two_pacers_have_one_limit(redis: RedisServer, together: bool) -> None:
    stores = [RedisStore(redis.url)] * 2 if together else [RedisStore(redis.url), RedisStore(redis.url)]
    pacers = [pacer(store, 10) for store in stores]
    async with running(*pacers):
        assert len(await until_full(pacers)) == 10
        for each in pacers:
            with pytest.raises(RateLimitError):
                await each.take(COST, max_wait=0)
        assert redis.clients() == (1 if together else 2)
        assert len(stored(redis).members) == 2
    await soon(lambda: redis.clients() == 0)


async def test_who_comes_later_knows_what_was_taken(redis: RedisServer) -> None:
    first = pacer(RedisStore(redis.url), 10)
    async with running(first):
        for _ in range(6):
            first.finish(await first.take(COST))
    second = pacer(RedisStore(redis.url), 10)
    async with running(second):
        assert len(await until_full([second])) == 4


async def test_a_cancelled_take_gives_its_place_back_to_all(redis: RedisServer) -> None:
    one, other = pacers = [pacer(RedisStore(redis.url), 10), pacer(RedisStore(redis.url), 10)]
    async with running(*pacers):
        for steps in range(40):
            async with create_task_group() as tasks:
                tasks.start_soon(one.take, COST)
                for _ in range(steps):
                    await checkpoint()
                if steps % 2:
                    await sleep(0.0003)
                tasks.cancel_scope.cancel()
            for ticket in list(one._held):
                one.cancel(ticket)
        assert one.taken == one.waiting == 0
        shared = one._lanes[""].shared
        assert shared is not None
        with fail_after(5):  # what was on its way when its waiter left takes its place first, and gives it back then
            while shared._taken or shared._news or stored(redis).members[one._member].flying:
                await sleep(0.05)
        assert len(await until_full([other])) == 10


async def test_one_that_has_left_the_line_has_no_place_in_the_store(redis: RedisServer) -> None:
    one = pacer(RedisStore(redis.url), 10)
    async with running(one):
        assert len(await until_full([one])) == 10
        async with create_task_group() as tasks:
            tasks.start_soon(partial(one.take, COST, max_wait=100))  # the next place comes in a minute
            await soon(lambda: stored(redis).members[one._member].place is not None)
            tasks.cancel_scope.cancel()
        await soon(lambda: stored(redis).members[one._member].place is None, within=1)
        assert one._lanes[""].shared is not None and one._lanes[""].shared._first is None


async def test_the_last_answer_of_a_pacer_that_stops_reaches_the_others(redis: RedisServer) -> None:
    one = pacer(RedisStore(redis.url), 10)
    async with running(one):
        one.finish(await one.take(COST))
    assert stored(redis).members[one._member].flying == 0


# ---------------------------------------------------------------- without it


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The names of events that tell of the store."""
    names: list[str] = []
    remove = add_hook(lambda event: names.append(event.name) if event.name.startswith("store_") else None)
    yield names
    remove()


async def test_a_killed_server_stops_nobody_and_is_shared_again_when_it_is_back(told: list[str]) -> None:
    require_redis()
    with RedisServer() as server:
        one, other = pacers = [pacer(RedisStore(server.url), 100), pacer(RedisStore(server.url), 100)]
        async with running(*pacers):
            tickets = [await each.take(COST) for each in pacers]
            server.kill()
            began = time.monotonic()
            with fail_after(5):
                tickets += [await each.take(COST) for each in pacers * 5]
            assert time.monotonic() - began < 1
            server.start()
            with fail_after(10):  # it is tried again every 2 s
                while server.ask("EXISTS", KEY) == "0" or len(stored(server).members) < 2:
                    for each in pacers:
                        each.finish(await each.take(COST))
                    await sleep(0.1)
            assert sorted(told) == ["store_degraded"] * 2 + ["store_recovered"] * 2  # each pacer, once
            for ticket in tickets:
                one.finish(ticket) if ticket in one._held else other.finish(ticket)


async def test_a_server_that_stands_still_costs_one_deadline() -> None:
    require_redis()
    with RedisServer() as server:
        only = pacer(RedisStore(server.url, timeout=0.1), 100)
        async with running(only):
            only.finish(await only.take(COST))
            server.pause()
            began = time.monotonic()
            for _ in range(10):
                only.finish(await only.take(COST))
            assert time.monotonic() - began < 0.5
            server.resume()


async def test_a_server_that_never_was_there_stops_nobody() -> None:
    only = pacer(RedisStore("unix:///nowhere"), 100)
    async with running(only):
        with fail_after(1):
            for _ in range(10):
                only.finish(await only.take(COST))


async def test_who_asks_for_it_is_told_that_the_store_is_away() -> None:
    only = pacer(RedisStore("unix:///nowhere"), 100, on_store_failure="raise")
    async with running(only):
        for _ in range(3):
            with pytest.raises(StoreError, match="unix:///nowhere"):
                await only.take(COST)


@pytest.mark.parametrize(
    "blob", [b"not msgpack at all", msgspec.msgpack.encode({"epoch": "yesterday"}), msgspec.msgpack.encode([1, 2])]
)
async def test_what_is_no_model_is_replaced(redis: RedisServer, blob: bytes) -> None:
    version = int(time.time() * 1e6)
    redis.ask("SET", KEY, stdin=b"headrace 1 %d %d\n" % (version, len(blob)) + blob)
    only = pacer(RedisStore(redis.url), 100)
    async with running(only):
        with fail_after(1):
            only.finish(await only.take(COST))
        assert list(stored(redis).members) == [only._member]


# ---------------------------------------------------------------- a provider


async def test_a_provider_shares_with_those_of_its_key_and_leaves_no_secret_behind(redis: RedisServer) -> None:
    async def ask(key: str, simulator: Simulator) -> None:
        limits = RateLimitPolicy(store=RedisStore(redis.url))
        async with OpenAIProvider(key, model="m", base_url=simulator.base_url("openai"), limits=limits) as provider:
            await provider.chat([AIMessage("user", "hunter2 in a prompt")])
            assert redis.clients() == 1
        await soon(lambda: redis.clients() == 0)

    async with Simulator() as simulator:
        await ask("sk-hunter2", simulator)
        await ask("sk-hunter2", simulator)
        (key,) = redis.ask("KEYS", "*").splitlines()
        assert len(stored(redis, key).members) == 2
        await ask("sk-hunter3", simulator)
    keys = redis.ask("KEYS", "*").splitlines()
    assert len(keys) == 2
    for key in keys:
        assert re.fullmatch(r"headrace:\{[^{}]*:[0-9a-f]{16}\}:m", key)
        assert "hunter" not in redis.ask("--no-raw", "GET", key)


# ---------------------------------------------------------------- both at once


async def test_many_tasks_of_two_pacers_all_come_to_an_end(redis: RedisServer) -> None:
    pacers = [pacer(RedisStore(redis.url), 10_000), pacer(RedisStore(redis.url), 10_000)]

    async def request(each: Pacer) -> None:
        ticket = await each.take(COST)
        await checkpoint()
        each.finish(ticket)

    async with running(*pacers):
        with move_on_after(20) as scope:
            async with create_task_group() as tasks:
                for number in range(300):
                    tasks.start_soon(request, pacers[number % 2])
        assert not scope.cancelled_caught
        assert [(each.taken, each.waiting) for each in pacers] == [(0, 0), (0, 0)]
