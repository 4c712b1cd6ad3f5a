"""
The pump: a hosted task that moves one response from its raw stream into the machine.

The words stay in the machine's record and are taken from there; what passes between the two tasks is only a ring of a
bell. So nothing can be lost or doubled in transit, which a channel's `send()` cannot promise under cancellation: it
raises both when the item was taken and when it was not. (It also costs more: a checkpoint and an exception for each
chunk that is waited for.) The pump is at most `AHEAD` chunks before its consumer. It does not know the handle, so a
forgotten handle can end it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, Literal, cast

from anyio import Event, current_effective_deadline
from anyio.lowlevel import current_token

from .._schema import OutputFormat
from .._types import AIStreamChunk, Deadlines
from ..errors import SessionClosedError, TruncatedStreamError
from .deadlines import Watch
from .host import FLIGHT, Flight, Host, Hosted
from .machine import MARKER, StreamMachine

__all__ = ("AHEAD", "Bell", "Plan", "Pump")

AHEAD: Final = 64  # chunks the pump may be ahead; also how many a consumer can take without yielding to other tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    One response that is wanted: what to open, and where.

    `open` gives the raw stream of chunks; `host` the provider's open session, if any; `new_host` a private one.
    """

    open: Callable[[], AsyncIterator[AIStreamChunk]]
    host: Callable[[], Host | None]
    new_host: Callable[[], Host]
    provider: str = ""
    model: str = ""
    marker: str = MARKER
    deadlines: Deadlines
    max_wait: float
    priority: int = 0
    response_format: OutputFormat | None = None


class Bell:
    """
    Wakes the one task that waits for it; ringing without a waiter is nothing. Check the condition, then wait.

    `waiter` is not None while somebody waits.
    """

    __slots__ = ("_new", "waiter")

    def __init__(self) -> None:
        self._new = current_token().backend_class.create_event  # `Event()` looks up the loop each time
        self.waiter: Event | None = None

    def ring(self) -> None:
        """Wake the waiter."""
        if self.waiter is not None:
            self.waiter.set()

    async def wait(self) -> None:
        """Until the next ring."""
        self.waiter = event = self._new()
        try:
            await event.wait()
        finally:
            self.waiter = None


class Pump(Hosted):
    """
    Moves one response into its machine.

    `news` is rung when there is a chunk to take, and at the end; `room` by the consumer when it has caught up.
    """

    def __init__(self, host: Host, plan: Plan, machine: StreamMachine) -> None:
        super().__init__(f"stream {plan.provider}/{plan.model}".rstrip("/"))
        self.host, self.plan, self.machine = host, plan, machine
        self.caller_deadline = current_effective_deadline()  # the caller's task only; native timeouts are invisible
        self.token = current_token().native_token
        self.news, self.room = Bell(), Bell()
        self.over = False  # the response is closed: what remains stands in the record
        machine.queue()  # first: an eager loop runs the task at once
        host.start(self)

    async def main(self) -> None:
        await self.host.slots.take(self, max_wait=self.plan.max_wait, priority=self.plan.priority)
        try:
            self.machine.sent()
            watch = Watch(self.plan.deadlines)
            FLIGHT.set(Flight(self.host, watch))  # in this task's own context
            with watch.scope:
                await self._read(watch)
            if watch.scope.cancelled_caught:
                raise watch.late(self.plan.provider)
        finally:
            self.host.slots.free(self)

    async def _read(self, watch: Watch) -> None:
        """Read to the end: an ended machine is deaf, so reading on within the tail's deadline is the whole drain."""
        machine, ring, pending = self.machine, self.news.ring, self.machine.pending
        # Any async iterator will do; a generator is closed here, in the task that ran it.
        raw = cast("AsyncGenerator[AIStreamChunk, None]", self.plan.open())
        async with aclosing(raw if hasattr(raw, "aclose") else _Closeable(raw)) as chunks:
            async for chunk in chunks:
                new = machine.feed(chunk)
                if machine.error is not None:
                    return
                if not watch.stamped:
                    watch.stamp()
                if new:
                    watch.restart(machine.due)
                    ring()
                    if len(pending) >= AHEAD and not machine.ended:
                        await watch.excuse(self.room.wait())
                elif machine.due != watch.kind:
                    watch.restart(machine.due)
            machine.fail(self._truncated(watch))

    def _truncated(self, watch: Watch) -> TruncatedStreamError:
        provider, length = self.plan.provider, len(self.machine.partial_content)
        return TruncatedStreamError(
            f"{provider or 'stream'}: the stream ended after {length} characters without a finish reason "
            f"(peer closed {watch.elapsed:.1f} s in). The text so far is in .partial_content; "
            "the request may be sent again.",
            provider=provider,
        )

    def failed(self, exc: Exception) -> None:
        self.machine.fail(exc)

    def ended(self) -> None:
        # Deaf to it by now in every other case.
        self.machine.fail(SessionClosedError("the event loop was shut down", provider=self.plan.provider))
        self.over = True  # last: the final chunk is told when the response is closed
        self.news.ring()

    def caught_up(self) -> None:
        """The consumer took a chunk while the pump waits: it goes on when half of what it was ahead is gone."""
        if len(self.machine.pending) <= AHEAD // 2:
            self.room.ring()

    def leave(self, how: Literal["cancelled", "closed"]) -> None:
        """The consumer goes. A response that has ended well is left to its drain, so that the connection is kept."""
        draining = self.machine.ended
        self.machine.leave(how)
        self.news.ring()
        if not draining:
            self.scope.cancel()

    def forget(self) -> None:
        """The handle was collected: any thread, any moment, so only ask the loop (asyncio's way or trio's)."""
        if self.done.is_set():
            return
        soon: Callable[..., object] | None = getattr(self.token, "run_sync_soon", None)
        if soon is None:
            soon = cast("Callable[..., object]", getattr(self.token, "call_soon_threadsafe"))  # noqa: B009  # of object
        with suppress(RuntimeError):  # the loop is gone, and the pump with it
            soon(self.leave, "closed")


class _Closeable:
    """An async iterator that has nothing to close, for `aclosing`."""

    def __init__(self, source: AsyncIterator[AIStreamChunk]) -> None:
        self._source = aiter(source)

    def __aiter__(self) -> AsyncIterator[AIStreamChunk]:
        return self._source

    async def aclose(self) -> None:
        """Nothing to do."""
