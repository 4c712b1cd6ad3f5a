"""Rules 9 and 10: a cancellation is never a marker and never lost, and the body's exception leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress

import anyio
import pytest
from anyio import CancelScope, ClosedResourceError, create_task_group, fail_after, move_on_after
from anyio.lowlevel import checkpoint

from headrace import AIStreamChunk, ChatStream
from headrace.errors import ServerError
from headrace.testing import assert_idle

from ..leaks import session, soon
from ..rawserver import Fault, RawServer
from . import foreign
from .conftest import Make
from .foreign import HANG, Scripted
from .suspend import stepped
from .words import DONE, FINISH, MESSAGES, A, B, C, drain, text

pytestmark = pytest.mark.usefixtures("leak_check")
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])

# ---------------------------------------------------------------- 9: cancellation


@pytest.mark.parametrize("block", [True, False], ids=["in a block", "plain"])
@pytest.mark.parametrize("where", ["before", "read", "body"])
async def test_rule_09_a_cancellation_is_no_marker_and_ends_the_stream(
    server: RawServer, make: Make, block: bool, where: str
) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        stream, got = provider.chat_stream(MESSAGES), list[AIStreamChunk]()

        async def read(stream: ChatStream) -> None:
            async for chunk in stream:
                got.append(chunk)
                if len(got) == 3 and where == "body":
                    scope.cancel()
                    await checkpoint()
                elif len(got) == 3:
                    scope.deadline = anyio.current_time() + 0.01  # while it waits for the next

        with CancelScope() as scope:
            if where == "before":
                scope.cancel()
            if block:
                async with stream:
                    await read(stream)
            else:
                await read(stream)
        assert scope.cancelled_caught
        assert text(got) == stream.partial_content == ("" if where == "before" else "abc")
        assert not any(chunk.is_final for chunk in got)
        assert stream.interruption is None
        if where == "body" and not block:  # nobody could know; it ends when the handle is dropped
            assert stream.state == "streaming"
            del stream
        else:
            assert stream.state == "cancelled"
            stream.raise_for_interruption()
            with pytest.raises(ClosedResourceError, match="was cancelled"):
                await anext(stream)


async def test_rule_09_a_pending_cancellation_is_honoured_although_chunks_lie_ready() -> None:
    provider = Scripted(foreign.A, foreign.B, foreign.FINISH, foreign.DONE)
    async with session(provider):
        stream = provider.chat_stream(MESSAGES)
        await anext(stream)
        await soon(lambda: provider.closed == 1)
        with CancelScope() as scope:
            scope.cancel()
            await anext(stream)
        assert scope.cancelled_caught
        assert (stream.state, stream.response.state, stream.partial_content) == ("cancelled", "finished", "ab")


@pytest.mark.parametrize("order", ["failure first", "cancellation first"])
async def test_rule_09_a_cancellation_wins_over_a_failure_of_the_same_moment(order: str) -> None:
    async with session(Scripted(foreign.A, HANG)) as provider, create_task_group() as tasks:
        stream, got = provider.chat_stream(MESSAGES), list[AIStreamChunk]()
        with CancelScope() as scope:

            async def strike() -> None:
                while not (got and stream._pump and stream._pump.news.waiter):
                    await checkpoint()
                assert stream._pump is not None
                if order == "cancellation first":
                    scope.cancel()
                stream._pump.failed(ServerError("boom"))
                stream._pump.over = True
                stream._pump.news.ring()
                if order == "failure first":
                    scope.cancel()

            tasks.start_soon(strike)
            async for chunk in stream:
                got.append(chunk)
        assert scope.cancelled_caught
        assert [chunk.content for chunk in got] == ["a"]
        assert stream.state == "cancelled"
        assert stream._pump is not None
        stream._pump.scope.cancel()  # `strike` played its end


ENDINGS: dict[str, tuple[foreign.Step, ...]] = {
    "good": (foreign.A, foreign.FINISH),
    "marker": (foreign.A, ServerError("boom")),
    "error": (ServerError("boom"),),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_rule_09_there_is_a_real_checkpoint_before_an_ending_is_told(ending: str) -> None:
    """The pump is long done and nothing is waited for; still the loop gets its turn, and with it a cancellation."""
    async with session(Scripted(*ENDINGS[ending])) as provider:
        stream, suspensions = provider.chat_stream(MESSAGES), list[str]()
        with suppress(ServerError):
            await anext(stream)
        await assert_idle(stream)

        async def read() -> AIStreamChunk:
            return await anext(stream)

        with pytest.raises(ServerError) if ending == "error" else nullcontext():
            assert (await stepped(read(), lambda: suspensions.append("here"))).is_final
        assert suspensions


async def test_rule_09_the_pump_obeys_its_owner_only(server: RawServer, make: Make) -> None:
    """The session's surroundings are cancelled while a consumer reads on in a shield of its own."""
    gate = server.gate()
    with CancelScope() as outer:
        async with make(server.play(A, B, gate, C, FINISH, DONE)) as provider:
            with CancelScope(shield=True):
                stream = provider.chat_stream(MESSAGES)
                got = [await anext(stream), await anext(stream)]
                outer.cancel()
                for _ in range(5):
                    await checkpoint()
                gate.open()
                got += await drain(stream)
                await assert_idle(provider)
            assert (text(got), stream.state) == ("abc", "finished")
            await checkpoint()
    assert outer.cancelled_caught


async def test_rule_09_a_cancelled_wait_for_a_slot_is_a_cancellation() -> None:
    async with session(Scripted(foreign.A, HANG, max_requests=1)) as provider:
        holder, waiter = provider.chat_stream(MESSAGES), provider.chat_stream(MESSAGES)
        await anext(holder)
        with move_on_after(0.01) as scope:
            await anext(waiter)
        assert scope.cancelled_caught
        assert (waiter.state, provider.opened) == ("cancelled", 1)
        await holder.aclose()
        async with provider.chat_stream(MESSAGES) as third:  # the slot is free
            assert (await anext(third)).content == "a"


@on_asyncio
@pytest.mark.parametrize("how", ["asyncio.timeout", "wait_for", "Task.cancel"])
async def test_rule_09_a_native_cancellation_is_one(server: RawServer, make: Make, how: str) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        stream = provider.chat_stream(MESSAGES)
        got = [await anext(stream), await anext(stream), await anext(stream)]
        if how == "asyncio.timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(stream)
        elif how == "wait_for":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(drain(stream), 0.01)
        else:
            task = asyncio.create_task(drain(stream))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (text(got), stream.state) == ("abc", "cancelled")
        await assert_idle(stream)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_rule_09_an_exit_in_the_body_passes_bare(
    server: RawServer, make: Make, kind: type[BaseException]
) -> None:
    got: list[AIStreamChunk] = []
    with pytest.raises(kind):
        async with make(server.play(A, Fault.HANG)) as provider, provider.chat_stream(MESSAGES) as stream:
            async for chunk in stream:
                got.append(chunk)
                raise kind
    assert [chunk.content for chunk in got] == ["a"]
    assert stream.state == "closed"


# ---------------------------------------------------------------- 10: the body's exception


@pytest.mark.parametrize("host", ["provider", "stream", "both"])
@pytest.mark.parametrize("kind", ["one", "group"])
@pytest.mark.parametrize("also", ["nothing", "cancelled", "interrupted"])
async def test_rule_10_the_bodys_exception_leaves_alone_and_unreplaced(
    server: RawServer, make: Make, host: str, kind: str, also: str
) -> None:
    cause = OSError("the cause")
    mine: Exception = ValueError("mine") if kind == "one" else ExceptionGroup("mine", [ValueError("1")])
    provider = make(server.play(A, B, Fault.FIN if also == "interrupted" else Fault.HANG))

    async def body(stream: ChatStream) -> None:
        await anext(stream)
        if also == "interrupted":
            await soon(lambda: stream.response.state == "interrupted")
        elif also == "cancelled":
            scope.cancel()
        raise mine from cause

    with CancelScope() as scope:
        with pytest.raises(type(mine)) as caught:
            if host == "provider":
                async with provider:
                    await body(provider.chat_stream(MESSAGES))
            elif host == "stream":
                async with provider.chat_stream(MESSAGES) as stream:
                    await body(stream)
            else:
                async with provider, provider.chat_stream(MESSAGES) as stream:
                    await body(stream)
    assert caught.value is mine
    assert (mine.__cause__, mine.__context__) == (cause, None)
    assert "body" in [entry.name for entry in caught.traceback]


@on_asyncio
@pytest.mark.parametrize("host", ["provider", "stream"])
async def test_rule_10_a_native_cancel_while_leaving_keeps_the_exception_as_context(
    server: RawServer, make: Make, host: str
) -> None:
    """An await in a `finally` on the way out would lose it (seen on 3.11)."""
    provider = make(server.play(A, Fault.HANG))

    async def run() -> None:
        async with provider if host == "provider" else provider.chat_stream(MESSAGES) as entered:
            stream = entered if isinstance(entered, ChatStream) else entered.chat_stream(MESSAGES)
            await anext(stream)
            asyncio.get_running_loop().call_soon(task.cancel)
            raise ValueError("mine")

    task = asyncio.create_task(run())
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    chain: list[BaseException] = [caught.value]
    while (context := chain[-1].__context__) is not None:
        chain.append(context)
    assert "mine" in [str(exc) for exc in chain]


async def test_rule_10_a_task_groups_own_error_beside_a_stream_is_a_group_of_one() -> None:
    """The group is the user's; the provider adds no layer to it."""
    async with Scripted(foreign.A, HANG) as provider:
        with pytest.raises(ExceptionGroup) as caught:
            async with create_task_group() as tasks:
                tasks.start_soon(drain, provider.chat_stream(MESSAGES))
                await checkpoint()
                raise ValueError("mine")
        assert [type(exc) for exc in caught.value.exceptions] == [ValueError]


async def test_rule_10_a_raw_stream_that_fails_while_it_is_cancelled_never_hurts_its_session() -> None:
    class Clumsy(Scripted):
        async def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
            yield AIStreamChunk("a")

            async def fail_on_cancel() -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    raise ValueError("clumsy")

            async with create_task_group() as tasks:  # leaves as a group: of the error, and of the cancellation
                tasks.start_soon(fail_on_cancel)
                await anyio.sleep_forever()

    with fail_after(5):
        async with session(Clumsy()) as provider:
            async with provider.chat_stream(MESSAGES) as stream:
                await anext(stream)
            assert stream.state == "closed"
            assert text([await anext(provider.chat_stream(MESSAGES))]) == "a"
