"""Several readers of one response: bounded by the slowest, the last one out closes the source."""

from __future__ import annotations

import gc

import pytest
from anyio import (
    BusyResourceError,
    CancelScope,
    ClosedResourceError,
    create_task_group,
    fail_after,
    wait_all_tasks_blocked,
)

from headrace import AIMessage, AIStreamChunk, StreamInterruptedError, StreamPart
from headrace.errors import ServerError
from headrace.testing import assert_idle

from ..leaks import soon
from .foreign import DONE, FINISH, HANG, A, B, C, Scripted
from .words import drain, text

pytestmark = pytest.mark.usefixtures("leak_check")
HI = [AIMessage("user", "hi")]
MANY = tuple(AIStreamChunk(str(n % 10)) for n in range(200))
WORDS = "".join(chunk.content for chunk in MANY)


async def into(part: StreamPart, got: list[AIStreamChunk]) -> None:
    async for chunk in part:
        got.append(chunk)


async def test_each_part_is_the_whole_response_with_one_final_chunk() -> None:
    async with Scripted(*MANY, FINISH, DONE) as provider:
        stream = provider.chat_stream(HI)
        parts = stream.split(3, buffer=5)
        heard: list[list[AIStreamChunk]] = [[], [], []]
        async with create_task_group() as tasks:
            for part, got in zip(parts, heard, strict=True):
                tasks.start_soon(into, part, got)
        for part, got in zip(parts, heard, strict=True):
            assert text(got) == WORDS
            assert [chunk.is_final for chunk in got].count(True) == 1
            assert part.state == stream.state == "finished"
            part.raise_for_interruption()
            with pytest.raises(StopAsyncIteration):
                await anext(part)
        assert provider.opened == provider.closed == 1
        await assert_idle(provider)


async def test_none_is_further_ahead_of_the_slowest_than_the_buffer() -> None:
    async with Scripted(*MANY, FINISH, DONE) as provider:
        fast, slow = provider.chat_stream(HI).split(2, buffer=5)
        got: list[AIStreamChunk] = []
        async with create_task_group() as tasks:
            tasks.start_soon(into, fast, got)
            await wait_all_tasks_blocked()
            assert text(got) == WORDS[:5]
            assert (await anext(slow)).content + (await anext(slow)).content == WORDS[:2]
            await wait_all_tasks_blocked()
            assert text(got) == WORDS[:7]
            assert text(await drain(slow)) == WORDS[2:]
        assert text(got) == WORDS


@pytest.mark.parametrize("how", ["aclose", "block", "cancel", "drop"])
async def test_one_that_goes_holds_up_nobody(how: str) -> None:
    async with Scripted(*MANY, FINISH, DONE) as provider:
        stream = provider.chat_stream(HI)
        parts = list(stream.split(2, buffer=5))
        stays = parts.pop()
        got: list[AIStreamChunk] = []
        async with create_task_group() as tasks:
            tasks.start_soon(into, stays, got)
            await wait_all_tasks_blocked()
            assert text(got) == WORDS[:5]
            if how == "aclose":
                await parts[0].aclose()
                assert parts[0].state == "closed"
                with pytest.raises(ClosedResourceError, match="was left"):
                    await anext(parts[0])
            elif how == "block":
                async with parts[0]:
                    pass
            elif how == "cancel":
                with CancelScope() as scope:
                    scope.cancel()
                    await anext(parts[0])
                assert (scope.cancelled_caught, parts[0].state) == (True, "cancelled")
            else:
                parts.clear()
                gc.collect()
        assert text(got) == WORDS and stream.state == "finished"


@pytest.mark.parametrize("who", [0, 1], ids=["the one that waits for the pump", "another"])
async def test_a_cancelled_reader_loses_no_word_for_the_others(who: int) -> None:
    async with Scripted(A, 0.01, B, 0.01, C, FINISH, DONE) as provider:
        parts = provider.chat_stream(HI).split(2)
        got: list[list[AIStreamChunk]] = [[], []]
        scopes = [CancelScope(), CancelScope()]

        async def read(index: int) -> None:
            with scopes[index]:
                await into(parts[index], got[index])

        async with create_task_group() as tasks:
            tasks.start_soon(read, 0)
            await soon(lambda: bool(got[0]))
            tasks.start_soon(read, 1)
            await soon(lambda: bool(got[1]))
            scopes[who].cancel()
        assert text(got[1 - who]) == "abc"
        assert "abc".startswith(text(got[who])) and parts[who].state == "cancelled"


async def test_the_last_one_out_closes_the_source() -> None:
    async with Scripted(A, HANG) as provider:
        stream = provider.chat_stream(HI)
        one, other = stream.split(2)
        assert (await anext(one)).content == "a"
        await one.aclose()
        assert (provider.closed, stream.state) == (0, "streaming")
        await other.aclose()
        assert (provider.closed, stream.state) == (1, "closed")
        await assert_idle(provider)


async def test_parts_that_are_dropped_close_the_source() -> None:
    async with Scripted(A, HANG) as provider:
        parts = list(provider.chat_stream(HI).split(2))  # the stream's own handle is gone: the parts keep it
        gc.collect()
        assert (await anext(parts[0])).content == "a"
        parts.clear()
        gc.collect()
        await soon(lambda: provider.closed == 1)


async def test_the_marker_and_the_error_reach_each() -> None:
    async with Scripted(A, B, ServerError("boom")) as provider:
        stream = provider.chat_stream(HI)
        for part in stream.split(2):
            got = await drain(part)
            assert (text(got), got[-1].is_marker, part.state) == ("ab", True, "interrupted")
            with pytest.raises(StreamInterruptedError) as caught:
                part.raise_for_interruption()
            assert caught.value.partial_content == "ab"


async def test_a_failure_before_the_first_content_is_raised_by_each_again_and_again() -> None:
    async with Scripted(ServerError("boom")) as provider:
        for part in provider.chat_stream(HI).split(2):
            for _ in range(2):
                with pytest.raises(ServerError, match="boom"):
                    await anext(part)
            assert part.state == "failed"


async def test_what_was_read_before_is_not_repeated_and_the_stream_is_read_by_its_parts_alone() -> None:
    async with Scripted(A, B, C, FINISH, DONE) as provider:
        stream = provider.chat_stream(HI)
        assert (await anext(stream)).content == "a"
        (part,) = stream.split(1)
        for read in (stream.__anext__, stream.collect):
            with pytest.raises(BusyResourceError):
                await read()
        with pytest.raises(BusyResourceError):
            stream.split(2)
        assert text(await drain(part)) == "bc"
        assert part.response.content == "abc"


async def test_leaving_the_stream_ends_its_parts() -> None:
    async with Scripted(A, HANG) as provider:
        async with provider.chat_stream(HI) as stream:
            one, other = stream.split(2)
            assert (await anext(one)).content == "a"
            async with create_task_group() as tasks:
                failed: list[Exception] = []

                async def read() -> None:
                    try:
                        await anext(one)
                    except ClosedResourceError as exc:
                        failed.append(exc)

                tasks.start_soon(read)
                await wait_all_tasks_blocked()
                await stream.aclose()
            assert len(failed) == 1
        assert (await anext(other)).content == "a"  # it lay before it already
        with pytest.raises(ClosedResourceError):
            await anext(other)


async def test_leaving_the_stream_ends_a_part_that_waits_for_the_slowest() -> None:
    async with Scripted(*MANY, HANG) as provider:
        stream = provider.chat_stream(HI)
        fast, slow = stream.split(2, buffer=5)
        got: list[AIStreamChunk] = []

        async def read() -> None:
            with pytest.raises(ClosedResourceError):
                await into(fast, got)

        with fail_after(5):
            async with create_task_group() as tasks:
                tasks.start_soon(read)
                await wait_all_tasks_blocked()
                assert text(got) == WORDS[:5]
                await stream.aclose()
        assert fast.state == "closed"
        assert slow.state == "streaming"  # not told yet: what lies before it is read first
        await assert_idle(provider)


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 2, "buffer": 0}], ids=["n", "buffer"])
async def test_less_than_one_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="of at least 1"):
        Scripted().chat_stream(HI).split(**options)


async def test_two_tasks_may_not_read_one_part() -> None:
    async with Scripted(A, HANG) as provider:
        one, _ = provider.chat_stream(HI).split(2)
        await anext(one)
        async with create_task_group() as tasks:
            tasks.start_soon(anext, one)
            await wait_all_tasks_blocked()
            with pytest.raises(BusyResourceError):
                await anext(one)
            tasks.cancel_scope.cancel()
