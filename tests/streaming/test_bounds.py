"""Rule 12: a stream is bounded, has one consumer, and can be closed from any task. And the slots of a session."""

from __future__ import annotations

import logging

import anyio.lowlevel
import pytest
from anyio import BusyResourceError, ClosedResourceError, create_task_group, fail_after, sleep

from headrace import AIStreamChunk, GenerationConfig
from headrace.errors import ConcurrencyLimitError, ServerError
from headrace.limits.policy import RateLimitPolicy
from headrace.streaming.pump import AHEAD
from headrace.testing import assert_idle

from ..leaks import session, soon
from ..rawserver import Fault, RawServer
from . import foreign
from .conftest import Make
from .foreign import HANG, Scripted
from .words import DONE, FINISH, MESSAGES, A, B, C, drain, text, word

pytestmark = pytest.mark.usefixtures("leak_check")


async def test_rule_12_backpressure_reaches_the_vendors_socket(server: RawServer, make: Make) -> None:
    before, large = server.sent, word("x" * 40_000)
    async with session(make(server.play(*[large] * 500))) as provider, provider.chat_stream(MESSAGES) as stream:
        await anext(stream)
        sent = -1
        while sent != server.sent:  # until the server is stuck
            sent = server.sent
            await sleep(0.05)
        assert server.sent - before < 15_000_000  # of 20,000,000; the kernel's buffers took the most
        assert len(stream.partial_content) <= 40_000 * (AHEAD + 1)


async def test_rule_12_the_pump_waits_when_it_is_ahead() -> None:
    provider = Scripted(*[foreign.A] * (5 * AHEAD), foreign.FINISH)
    async with session(provider):
        stream = provider.chat_stream(MESSAGES)
        got = [await anext(stream)]
        await anyio.lowlevel.checkpoint()
        assert len(provider.handed) <= AHEAD + 1
        got += await drain(stream)
        assert (len(got), stream.state) == (5 * AHEAD + 1, "finished")


@pytest.mark.parametrize("second", ["anext", "collect"])
async def test_rule_12_a_second_reader_is_refused_and_the_first_is_unharmed(
    server: RawServer, make: Make, second: str
) -> None:
    gate = server.gate()
    async with session(make(server.play(gate, A, B, C, FINISH, DONE))) as provider, create_task_group() as tasks:
        stream, got = provider.chat_stream(MESSAGES), list[AIStreamChunk]()

        async def read() -> None:
            got.extend(await drain(stream))

        tasks.start_soon(read)
        await soon(lambda: stream._busy)
        with pytest.raises(BusyResourceError):
            await (anext(stream) if second == "anext" else stream.collect())
        gate.open()
        await soon(lambda: len(got) == 4)
        assert (text(got), stream.state) == ("abc", "finished")


async def test_rule_12_a_second_reader_that_is_refused_does_not_silence_the_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with session(Scripted(foreign.A, 0.02, ServerError("boom"))) as provider, create_task_group() as tasks:
        stream = provider.chat_stream(MESSAGES)
        await anext(stream)
        tasks.start_soon(drain, stream)
        await soon(lambda: stream._busy)
        with pytest.raises(BusyResourceError):
            await stream.collect()
    assert [record.levelno for record in caplog.records if record.name == "headrace"] == [logging.WARNING]


async def test_rule_12_aclose_from_another_task_returns_when_the_response_is_closed(
    server: RawServer, make: Make
) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider, create_task_group() as tasks:
        stream, raised = provider.chat_stream(MESSAGES), list[ClosedResourceError]()

        async def read() -> None:
            try:
                await drain(stream)
            except ClosedResourceError as exc:
                raised.append(exc)

        tasks.start_soon(read)
        await soon(lambda: stream.partial_content == "abc")
        await stream.aclose()
        await assert_idle(provider, within=0)
        await stream.aclose()
        await soon(lambda: bool(raised))
        assert stream.state == "closed"


@pytest.mark.parametrize("way", ["aclose", "block", "dropped"])
async def test_rule_12_a_stream_whose_last_words_and_end_are_one_chunk_can_be_left_unread(way: str) -> None:
    """The pump is ahead as far as it may be, and the response has ended: it must not wait for a reader that is gone."""
    provider = Scripted(*[foreign.A] * (AHEAD - 1), AIStreamChunk("z", True, finish_reason="stop"))
    with fail_after(5):
        async with session(provider):
            stream = provider.chat_stream(MESSAGES)
            await anext(stream)
            if way == "aclose":
                await soon(lambda: provider.handed.endswith("z"))
                await stream.aclose()
            elif way == "block":
                async with stream:
                    await soon(lambda: provider.handed.endswith("z"))
            else:
                await soon(lambda: provider.handed.endswith("z"))
                del stream


async def test_rule_12_such_a_stream_is_read_to_its_end() -> None:
    provider = Scripted(*[foreign.A] * (AHEAD - 1), AIStreamChunk("z", True, finish_reason="stop"))
    async with session(provider):
        assert (await provider.chat(MESSAGES)).content == "a" * (AHEAD - 1) + "z"


# ---------------------------------------------------------------- slots


async def test_no_slot_within_max_wait_names_the_holders() -> None:
    async with session(
        Scripted(foreign.A, HANG, max_requests=2, limits=RateLimitPolicy(pace=False, max_wait=0.02), model="big")
    ) as provider:
        holders = [provider.chat_stream(MESSAGES) for _ in range(2)]
        for holder in holders:
            await anext(holder)
        refused = provider.chat_stream(MESSAGES)
        with pytest.raises(
            ConcurrencyLimitError, match=r"no slot within 0\.02 s, all 2 are held by stream foreign/big"
        ) as e:
            await anext(refused)
        assert (e.value.limit, e.value.waited, len(e.value.holders), refused.state) == (2, 0.02, 2, "failed")
        assert isinstance(e.value, TimeoutError)
        for holder in holders:
            await holder.aclose()
        assert provider.opened == 2


@pytest.mark.parametrize("asked", ["provider", "call"])
async def test_max_wait_0_refuses_at_once(asked: str) -> None:
    provider = Scripted(
        foreign.A, HANG, max_requests=1, limits=RateLimitPolicy(pace=False, max_wait=0 if asked == "provider" else 60)
    )
    config = GenerationConfig(max_wait=0) if asked == "call" else None
    async with session(provider):
        holder = provider.chat_stream(MESSAGES)
        await anext(holder)
        with fail_after(1), pytest.raises(ConcurrencyLimitError):
            await provider.chat_stream(MESSAGES, config).collect()
        await holder.aclose()


async def test_slots_are_given_in_the_order_of_asking() -> None:
    provider = Scripted(0.001, foreign.A, foreign.FINISH, foreign.DONE, max_requests=1)
    async with session(provider), create_task_group() as tasks:
        ended: list[int] = []

        async def read(turn: int) -> None:
            await drain(provider.chat_stream(MESSAGES))
            ended.append(turn)

        for turn in range(6):
            tasks.start_soon(read, turn)
            await soon(lambda turn=turn: len(provider._session.hosted) + len(ended) == turn + 1)
        await soon(lambda: len(ended) == 6)
        assert ended == [0, 1, 2, 3, 4, 5]
