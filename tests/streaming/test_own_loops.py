"""Rules 9 and 13 where a loop ends: exits that strike the pump, handles that outlive it. On loops of their own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import anyio
import anyio.to_thread
import pytest
from anyio import sleep

from headrace import AIMessage, AIStreamChunk, ChatStream, StreamInterruptedError
from headrace.errors import SessionClosedError
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Simulator

from . import foreign
from .foreign import HANG, Scripted
from .words import MESSAGES


class Struck(Scripted):
    """Its stream is struck after a word."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self.kind = kind

    async def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk("a")
        await sleep(0.01)
        raise self.kind


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_rule_09_an_exit_in_the_pump_passes_bare_and_is_no_marker(
    kind: type[BaseException], backend: Literal["asyncio", "trio"]
) -> None:
    got: list[AIStreamChunk] = []

    async def main() -> None:
        async with Struck(kind) as provider, provider.chat_stream(MESSAGES) as stream:
            async for chunk in stream:
                got.append(chunk)

    with pytest.raises(kind) as caught:
        anyio.run(main, backend=backend)
    assert type(caught.value) is kind
    assert [chunk.content for chunk in got] == ["a"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_rule_13_a_handle_that_outlives_its_loop_is_silent(backend: Literal["asyncio", "trio"]) -> None:
    kept: list[ChatStream] = []

    async def main() -> None:
        async with Scripted(foreign.A, HANG) as provider:
            kept.append(provider.chat_stream(MESSAGES))
            await anext(kept[0])
            kept.append(provider.chat_stream(MESSAGES))

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        unraisable: list[object] = []
        patch.setattr(sys, "unraisablehook", unraisable.append)
        warnings.simplefilter("error")
        anyio.run(main, backend=backend)
        assert kept[0].response.state == "interrupted"
        kept.clear()
        gc.collect()
        assert not unraisable


def test_rule_13_a_loop_that_is_stopped_without_its_sessions_end_is_no_silence() -> None:
    """asyncio cancels what is left when it shuts down; the stream's record stays, and says why it ended."""
    kept: list[ChatStream] = []

    async def main() -> None:
        provider = Scripted(foreign.A, HANG)
        await provider.__aenter__()
        kept.append(provider.chat_stream(MESSAGES))
        await anext(kept[0])

    asyncio.run(main())
    assert (kept[0].response.state, kept[0].partial_content) == ("interrupted", "a")
    assert "the event loop was shut down" in str(kept[0].interruption)
    kept.clear()
    gc.collect()


@pytest.mark.parametrize("before", ["", "a"])
def test_rule_13_a_future_that_is_cancelled_under_a_stream_ends_that_stream_alone(before: str) -> None:
    """asyncio: whoever awaits a cancelled future is told so by CancelledError, as if it were cancelled itself."""

    class Awaits(Scripted):
        async def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
            yield AIStreamChunk(messages[0].text)
            if messages is MESSAGES:
                await sleep(0.01)
                yield AIStreamChunk("", finish_reason="stop")
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async def main() -> None:
        async with Awaits() as provider:
            beside = provider.chat_stream(MESSAGES)
            await anext(beside)
            stream = provider.chat_stream([AIMessage("user", before)])
            with pytest.raises(StreamInterruptedError if before else SessionClosedError, match="was cancelled"):
                await stream.collect()
            assert (await beside.collect()).state == "finished"  # and this task is not cancelled

    asyncio.run(main())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_session_is_of_the_loop_that_opened_it(backend: Literal["asyncio", "trio"]) -> None:
    """Another loop would take connections of this one, and leave them in the pool when it ends."""

    async def main() -> None:
        async with Simulator() as sim, OpenAIProvider("key", base_url=sim.base_url("openai")) as provider:
            await provider.chat(MESSAGES)

            def elsewhere(ask: Callable[[], Awaitable[object]]) -> None:
                with pytest.raises(RuntimeError, match=r"^openai was opened in another event loop: nothing was sent"):
                    anyio.run(ask, backend=backend)

            await anyio.to_thread.run_sync(elsewhere, lambda: provider.chat(MESSAGES))
            await anyio.to_thread.run_sync(elsewhere, provider.list_models)
            assert sim.requests == 1
            await provider.chat(MESSAGES)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(
    ("backend", "entered_by"), [("asyncio", "this"), ("trio", "this"), ("asyncio", "one that ended")]
)
def test_rule_01_a_session_left_in_another_task_is_closed_and_says_so(
    entered_by: str, backend: Literal["asyncio", "trio"]
) -> None:
    """As a fixture of pytest-asyncio does it. anyio told of a cancel scope, and trio of an internal error."""
    told: list[str] = []

    async def main() -> None:
        async with Simulator() as sim:
            provider = OpenAIProvider("k", base_url=sim.base_url("openai"))

            async def leave() -> None:
                try:
                    await provider.__aexit__(None, None, None)
                except RuntimeError as exc:
                    told.append(str(exc))

            if entered_by == "this":
                await provider.__aenter__()
            else:
                await asyncio.create_task(provider.__aenter__())
            stream = provider.chat_stream(MESSAGES)
            await anext(stream)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(leave)
            await sim.wait_all_closed()
            [*_, last] = [chunk async for chunk in stream]
            assert last.error is not None
            told.append(last.error["type"])

    with contextlib.suppress(RuntimeError):  # trio: the task ends within its nursery
        anyio.run(main, backend=backend)
    why, error = told
    assert why.startswith("openai: its `async with` was left in another task than it was entered in.")
    assert error == "SessionClosedError"
