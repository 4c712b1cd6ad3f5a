"""With the garbage collector off: what a failed stream and its caller held is free as soon as nobody has the error."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from weakref import ref

import pytest
from anyio.lowlevel import checkpoint

from headrace import AIMessage, AIStreamChunk, StreamInterruptedError
from headrace.errors import HeadraceError, ServerError
from headrace.providers.base import BaseProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults
from headrace.streaming.stream import ChatStream

from ..leaks import soon

MESSAGES = [AIMessage("user", "Hello")]
# From 3.12 on a frame that has ended holds the one below it, so an error's traceback leads to the pump's: its record
# waits for the collector then, and nothing of the caller's does.
WAITS = {"Pump"} if sys.version_info >= (3, 12) else set()
REFUSED, CUT = faults.Refuse(status=500), faults.CutFin(after_pieces=1)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Local:
    """Something of the caller's, such as a large file."""


async def iterate(stream: ChatStream) -> None:
    async for _ in stream:
        pass


async def iterate_in_a_block(stream: ChatStream) -> None:
    async with stream:
        await iterate(stream)


async def iterate_and_raise(stream: ChatStream) -> None:
    await iterate(stream)
    stream.raise_for_interruption()


async def collect(stream: ChatStream) -> None:
    await stream.collect()


async def read_by_parts(stream: ChatStream) -> None:
    one, two = stream.split(2)
    with pytest.raises(HeadraceError):
        await anext(one)
    await anext(two)


WAYS: list[tuple[Callable[[ChatStream], Awaitable[None]], faults.Fault]] = [
    (iterate, REFUSED),
    (iterate_in_a_block, REFUSED),
    (collect, REFUSED),
    (read_by_parts, REFUSED),
    (iterate_and_raise, CUT),
    (collect, CUT),
]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(("way", "fault"), WAYS, ids=[f"{way.__name__}-{fault.NAME}" for way, fault in WAYS])
async def test_nothing_of_a_failed_stream_or_of_its_caller_waits_for_the_collector(
    way: Callable[[ChatStream], Awaitable[None]], fault: faults.Fault
) -> None:
    async with Simulator() as sim, OpenAIProvider("key", base_url=sim.base_url("openai")) as provider:
        sim.play("openai", Script(pieces=("a", "b"), fault=fault))

        async def use() -> list[ref[object]]:
            local, stream = Local(), provider.chat_stream(MESSAGES)
            error: Exception | None = None
            try:
                await way(stream)
            except HeadraceError as exc:
                error = exc
            assert error is not None
            kept: list[ref[object]] = [ref(local), ref(stream), ref(stream._pump), ref(error)]
            error = None
            return kept

        kept = await use()
        await soon(lambda: not provider._session.hosted)
        for _ in range(3):
            await checkpoint()
        assert {type(one()).__name__ for one in kept if one() is not None} <= WAITS


@pytest.mark.skipif(bool(WAITS), reason="the raw stream runs in the caller's frames, which wait like the pump's")
@pytest.mark.usefixtures("no_collector")
async def test_a_literal_recovery_holds_nobody_either() -> None:
    async def source() -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk("a")
        raise OSError("gone")

    async def use() -> ref[object]:
        local, recovered = Local(), BaseProvider()._stream_with_recovery(source())
        with pytest.raises(StreamInterruptedError):
            while local:
                await anext(recovered)
        return ref(local)

    assert (await use())() is None


async def test_whoever_keeps_the_error_is_told_the_same_again_and_where_it_arose() -> None:
    async with Simulator() as sim, OpenAIProvider("key", base_url=sim.base_url("openai")) as provider:
        sim.play("openai", Script(fault=REFUSED))
        stream, depths = provider.chat_stream(MESSAGES), set()
        with pytest.raises(ServerError) as first:
            await anext(stream)
        for _ in range(3):
            with pytest.raises(ServerError) as again:
                await anext(stream)
            assert again.value is first.value
            depths.add(len(again.traceback))
        names = [frame.name for frame in traceback.extract_tb(first.value.__traceback__)]
    assert len(depths) == 1
    assert names[-2:] == ["_raw_chat_stream", "_open"]  # and none of the pump's, which hold the record
    assert "main" not in names


async def test_one_who_has_let_the_error_go_is_told_all_of_it_again() -> None:
    async with Simulator() as sim, OpenAIProvider("key", base_url=sim.base_url("openai")) as provider:
        sim.play("openai", Script(fault=faults.Refuse(status=429)))
        stream, told = provider.chat_stream(MESSAGES), []
        for _ in range(2):
            try:
                await anext(stream)
            except HeadraceError as exc:
                told.append((type(exc), str(exc), repr(vars(exc)), repr(exc.__cause__)))
        assert told[0] == told[1]
