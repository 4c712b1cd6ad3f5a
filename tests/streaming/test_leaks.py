"""Rule 13: however a stream is left, nothing stays. (The check itself runs after every test of this folder.)"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import httpx
import pytest
from anyio import ClosedResourceError, create_task_group, move_on_after, to_thread

from headrace import ChatStream, Deadlines
from headrace._http import Session
from headrace.errors import ConcurrencyLimitError, SessionClosedError
from headrace.limits.cost import Cost
from headrace.streaming.attempts import Need
from headrace.streaming.host import Call
from headrace.streaming.pump import AHEAD
from headrace.testing import assert_idle

from ..leaks import session, soon
from ..loops import ON_UVLOOP_TOO
from ..rawserver import Fault, RawServer
from . import foreign
from .conftest import Make
from .foreign import HANG, Scripted
from .words import DONE, FINISH, MESSAGES, A, B, C, drain, word

T = TypeVar("T")

pytestmark = [pytest.mark.usefixtures("leak_check"), ON_UVLOOP_TOO]

# ---------------------------------------------------------------- left early


async def test_rule_13_left_by_break(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        async for _ in provider.chat_stream(MESSAGES):
            break
        await soon(lambda: server.open == 0)


async def test_rule_13_left_by_an_exception(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        with pytest.raises(ZeroDivisionError):
            async for _ in provider.chat_stream(MESSAGES):
                raise ZeroDivisionError
        await soon(lambda: server.open == 0)


async def test_rule_13_left_by_the_block(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        async with provider.chat_stream(MESSAGES) as stream:
            await anext(stream)
        await assert_idle(provider, within=0)


@pytest.mark.parametrize("way", ["block", "break", "session"])
async def test_rule_13_left_while_the_pump_waits_for_its_consumer(server: RawServer, make: Make, way: str) -> None:
    """It does not read then, so no cancellation runs through httpx's generators: they are closed from the inside."""
    many = [word(f"{i} ") for i in range(3 * AHEAD)]
    async with make(server.play(*many, Fault.HANG)) as provider:
        stream = provider.chat_stream(MESSAGES)
        if way == "block":
            async with stream:
                await anext(stream)
                await soon(lambda: stream.partial_content.count(" ") >= AHEAD)
        else:
            await anext(stream)
            await soon(lambda: stream.partial_content.count(" ") >= AHEAD)
        if way == "break":
            del stream
        if way != "session":
            await assert_idle(provider)


async def test_rule_13_never_read(server: RawServer, make: Make) -> None:
    requests = server.requests
    async with session(make(server.play(A))) as provider:
        provider.chat_stream(MESSAGES)
        async with provider.chat_stream(MESSAGES):
            pass
    assert server.requests == requests


async def test_rule_13_collected_in_a_cycle(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        gc.disable()
        try:
            box: dict[str, object] = {}
            box["itself"], box["stream"] = box, (stream := provider.chat_stream(MESSAGES))
            await anext(stream)
            del box, stream
            assert server.open == 1
        finally:
            gc.enable()
        gc.collect()
        await soon(lambda: server.open == 0)


async def test_rule_13_collected_in_another_thread(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        box = [provider.chat_stream(MESSAGES)]
        await anext(box[0])
        await to_thread.run_sync(box.clear)
        await soon(lambda: server.open == 0)


async def test_rule_13_dropped_after_all_had_come(server: RawServer, make: Make) -> None:
    """What has ended well is left to its drain: the connection is kept."""
    connections = server.connections
    async with session(make(server.play(A, FINISH, DONE))) as provider:
        for _ in range(3):
            stream = provider.chat_stream(MESSAGES)
            await anext(stream)
            await soon(lambda stream=stream: stream.response.state == "finished")
            del stream
            await assert_idle(provider)
    assert server.connections == connections + 1


async def test_rule_13_abandoned_while_it_waits_for_its_slot() -> None:
    async with session(Scripted(foreign.A, HANG, max_requests=1)) as provider:
        holder, waiter = provider.chat_stream(MESSAGES), provider.chat_stream(MESSAGES)
        await anext(holder)
        with move_on_after(0.01):
            await anext(waiter)
        del waiter
        await holder.aclose()
    assert provider.opened == 1


# ---------------------------------------------------------------- the session is left


@pytest.mark.parametrize("received", ["nothing", "content", "proof"])
async def test_rule_13_the_session_is_left_under_an_open_stream(server: RawServer, make: Make, received: str) -> None:
    script = {"nothing": (), "content": (A, B), "proof": (A, B, FINISH)}[received]
    gate = server.gate()
    before = server.requests
    async with create_task_group() as tasks:
        async with make(server.play(*script, gate, Fault.HANG)) as provider:
            stream = provider.chat_stream(MESSAGES)
            if received == "nothing":
                tasks.start_soon(_expect, SessionClosedError, stream)
                await soon(lambda: server.requests > before)
            else:
                await anext(stream)
                await soon(lambda: stream.partial_content == "ab")
            if received == "proof":
                await soon(lambda: stream._machine.due == "tail")
    gate.open()
    if received == "nothing":
        assert stream.state == "failed"
        return
    *_, last = await drain(stream)
    assert (stream.state, last.is_marker) == (("interrupted", True) if received == "content" else ("finished", False))
    assert stream.partial_content == "ab"
    if received == "content":
        assert stream.interruption is not None
        assert "session was closed while stream openai/" in str(stream.interruption)


async def _expect(kind: type[Exception], stream: ChatStream) -> None:
    with pytest.raises(kind):
        await drain(stream)


# ---------------------------------------------------------------- connections


async def test_rule_13_a_connection_serves_the_next_request_at_once(server: RawServer, make: Make) -> None:
    connections, requests = server.connections, server.requests
    async with session(make(server.play(A, B, C, FINISH, DONE))) as provider:
        for _ in range(5):
            assert (await provider.chat_stream(MESSAGES).collect()).content == "abc"
    assert (server.connections, server.requests) == (connections + 1, requests + 5)


async def test_rule_13_a_pool_that_was_left_in_every_way_still_works(server: RawServer, make: Make) -> None:
    """More streams at once than slots, each left in its own way: httpcore's pool never sees a waiter."""
    hang, good = server.play(A, Fault.HANG), server.play(A, B, C, FINISH, DONE)
    async with session(make(hang, max_requests=3)) as provider:

        async def use(turn: int) -> None:
            with move_on_after(0.02 + 0.005 * (turn % 3)), suppress(ConcurrencyLimitError):  # a slot may be too far off
                async for _ in provider.chat_stream(MESSAGES):
                    if turn % 2:
                        break

        async with create_task_group() as tasks:
            for turn in range(12):
                tasks.start_soon(use, turn)
        await assert_idle(provider)
        provider.base_url = good
        for _ in range(3):
            assert (await provider.chat_stream(MESSAGES).collect()).content == "abc"


# ---------------------------------------------------------------- a call is hosted, too


async def test_rule_13_a_call_comes_back_by_value(server: RawServer, make: Make) -> None:
    async with session(make("http://127.0.0.1:9")) as provider:

        async def value() -> int:
            return 5

        async def error() -> int:
            raise OSError("no")

        assert provider._session is not None
        assert await call_in(provider._session, value) == 5
        with pytest.raises(OSError, match="no"):
            await call_in(provider._session, error)


async def call_in(session: Session, work: Callable[[], Awaitable[T]]) -> T:
    call = Call(lambda _: work(), "exchange", host=session, need=Need(cost=Cost(0.0)), deadlines=Deadlines())
    return await session.call(call)


async def _get(provider, url: str) -> None:
    async with await provider._session.open("GET", url, headers={}) as exchange:
        await exchange.body()


@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.parametrize("where", ["head", "body"])
async def test_rule_13_a_call_that_is_cancelled_leaves_the_pool_whole(
    server: RawServer, make: Make, how: str, where: str, anyio_backend_name: str
) -> None:
    if how == "native" and anyio_backend_name != "asyncio":
        how = "scope"
    url = server.play(Fault.NO_HEAD) if where == "head" else server.play(A, Fault.HANG)
    async with session(make(url)) as provider:
        assert provider._session is not None
        before = server.requests

        async def call() -> None:
            assert provider._session is not None
            await call_in(provider._session, lambda: _get(provider, url + "/"))

        if how == "native":
            task = asyncio.create_task(call())
            await soon(lambda: server.requests > before)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            async with create_task_group() as tasks:
                tasks.start_soon(call)
                await soon(lambda: server.requests > before)
                tasks.cancel_scope.cancel()
        await assert_idle(provider)
        await soon(lambda: server.open == 0)


async def test_rule_13_assert_idle_names_what_is_open(server: RawServer, make: Make) -> None:
    async with make(server.play(A, Fault.HANG)) as provider:
        stream = provider.chat_stream(MESSAGES)
        await anext(stream)
        with pytest.raises(AssertionError, match=r"still holds stream openai/.*, 1 slots, .*ACTIVE"):
            await assert_idle(provider, within=0.01)
        with pytest.raises(AssertionError, match="still holds stream openai/"):
            await assert_idle(stream, within=0.01)
        await stream.aclose()
        await assert_idle(provider)


async def test_rule_13_left_between_a_connections_connecting_and_its_first_request(
    server: RawServer, make: Make
) -> None:
    """There is a suspension between the two, and httpcore would keep for ever what is cancelled there."""
    async with make(server.play(FINISH, DONE)) as provider:
        assert provider._session is not None
        client = provider._session.client
        stream = provider.chat_stream(MESSAGES)

        async def trace(name: str, info: object) -> None:
            if name == "connection.connect_tcp.complete":
                stream._leave()

        async def traced(request: httpx.Request) -> None:
            request.extensions["trace"] = trace

        client.event_hooks = {"request": [traced]}
        with pytest.raises(ClosedResourceError):
            await anext(stream)
        client.event_hooks = {}
        await assert_idle(provider)
        assert client._transport._pool.connections == []  # type: ignore[attr-defined]
        assert (await provider.chat_stream(MESSAGES).collect()).state == "finished"
