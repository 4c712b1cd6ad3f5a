"""
Rules 9 and 13 at every point: a cancellation strikes at the n-th suspension, for every n.

Of the consumer or of the pump; by a scope as the task suspends, by a scope as it goes on (the wake-up was on its way),
or by `Task.cancel()`. Whatever it meets: the words are a prefix, no marker comes, and the pool works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from itertools import count

import pytest
from anyio import CancelScope, current_effective_deadline

from headrace import AIStreamChunk
from headrace.providers.base import BaseProvider
from headrace.streaming import stream as stream_module
from headrace.streaming.pump import Pump
from headrace.testing import assert_idle

from ..rawserver import RawServer
from .conftest import Make
from .suspend import nothing, stepped
from .words import DONE, FINISH, MESSAGES, ROLE, USAGE, text, word

pytestmark = [pytest.mark.usefixtures("leak_check"), pytest.mark.slow]

WORDS = "abcd"
PAUSE = 0.001  # so that each word is a read of its own


async def _awaited(wrapped: Awaitable[None]) -> None:
    """As a coroutine of its own: from Python 3.12 on a task takes nothing else."""
    await wrapped


class Striker:
    """Cancels the consumer at one suspension."""

    def __init__(self, at: int, how: str) -> None:
        self.at, self.how = at, how
        self.scope = CancelScope()
        self.task: asyncio.Task[None] | None = None
        self.steps = 0
        self.reached = self.armed = False

    def strike(self) -> None:
        self.reached = True
        if self.task is None:
            self.scope.cancel()
        else:
            asyncio.get_running_loop().call_soon(self.task.cancel)

    def suspended(self) -> None:
        if self.steps == self.at:
            if self.how == "late":
                self.armed = True
            else:
                self.strike()
        self.steps += 1

    def resumed(self) -> None:
        if self.armed:
            self.armed = False
            self.strike()


async def struck(
    provider: BaseProvider, striker: Striker, *, whose: str, block: bool
) -> tuple[list[AIStreamChunk], bool]:
    """Read a stream to its end or to the strike: what came, and whether the consumer was cancelled."""
    stream, got = provider.chat_stream(MESSAGES), list[AIStreamChunk]()

    async def read() -> None:
        if block:
            async with stream:
                async for chunk in stream:
                    got.append(chunk)
        else:
            async for chunk in stream:
                got.append(chunk)

    async def run() -> None:
        await (read() if whose == "pump" else stepped(read(), striker.suspended, striker.resumed))

    caught = False
    if striker.how == "native":
        striker.task = asyncio.create_task(run())
        try:
            await striker.task
        except asyncio.CancelledError:
            caught = True
    else:
        with striker.scope:
            await run()
        caught = striker.scope.cancelled_caught

    words = text(got)
    assert WORDS.startswith(words)
    assert stream.partial_content.startswith(words)
    assert stream.interruption is None
    assert not any(chunk.is_marker for chunk in got)
    if caught:
        entered_only = block and not got and stream._pump is None
        assert stream.state in {"cancelled", "finished"} or (entered_only and stream.state == "closed")
    else:
        assert stream.state == "finished"
        assert [chunk.is_final for chunk in got] == [*[False] * len(WORDS), True]
    return got, caught


@pytest.mark.parametrize("host", ["plain", "block", "private"])
@pytest.mark.parametrize("whose", ["consumer", "pump"])
@pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", "scope"), ("asyncio", "late"), ("asyncio", "native"), ("trio", "scope"), ("trio", "late")],
)
async def test_rules_09_and_13_hold_for_a_cancellation_at_every_suspension(
    server: RawServer, make: Make, monkeypatch: pytest.MonkeyPatch, host: str, whose: str, how: str
) -> None:
    url = server.play(ROLE, *[step for one in WORDS for step in (word(one), PAUSE)], FINISH, USAGE, DONE)
    block = host != "plain"
    for at in count():
        striker = Striker(at, how)

        class Counted(Pump):
            async def main(self, striker: Striker = striker) -> None:
                hooks = (striker.suspended, striker.resumed) if whose == "pump" else (nothing, nothing)
                await stepped(super().main(), *hooks)

        monkeypatch.setattr(stream_module, "Pump", Counted)
        provider = make(url)
        if host == "private":
            await struck(provider, striker, whose=whose, block=block)
        else:
            async with provider:
                await struck(provider, striker, whose=whose, block=block)
                await assert_idle(provider)
                if at % 3 == 0:
                    monkeypatch.setattr(stream_module, "Pump", Pump)
                    assert (await provider.chat_stream(MESSAGES).collect()).content == WORDS
        if not striker.reached:
            break
    assert at > 1, "a stream has more suspensions than that, even where all comes in one read"
    assert current_effective_deadline() == float("inf")


@pytest.mark.parametrize(("anyio_backend", "how"), [("asyncio", "scope"), ("asyncio", "native"), ("trio", "scope")])
async def test_rule_13_a_session_closes_all_whenever_a_cancellation_strikes(
    server: RawServer, make: Make, how: str
) -> None:
    """Its client as well, with the connection that is kept: a native cancellation does not reach httpcore."""
    url = server.play(ROLE, *map(word, WORDS), FINISH, USAGE, DONE)

    async def use() -> None:
        async with make(url) as provider:
            await provider.chat_stream(MESSAGES).collect()

    for at in count():
        striker = Striker(at, how)
        if how == "native":
            striker.task = asyncio.create_task(_awaited(stepped(use(), striker.suspended)))
            with suppress(asyncio.CancelledError):
                await striker.task
        else:
            with striker.scope:
                await stepped(use(), striker.suspended)
        if not striker.reached:
            break
    assert at > 2
