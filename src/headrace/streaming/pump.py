"""
The pump: a hosted task that moves one response from its raw stream into the machine.

It asks whom its plan's route names, until something comes: what has begun is never asked for again.

The words stay in the machine's record and are taken from there; what passes between the two tasks is only a ring of a
bell. So nothing can be lost or doubled in transit, which a channel's `send()` cannot promise under cancellation: it
raises both when the item was taken and when it was not. (It also costs more: a checkpoint and an exception for each
chunk that is waited for.) The pump is at most `AHEAD` chunks before its consumer. It does not know the handle, so a
forgotten handle can end it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, Literal, Protocol, cast

from anyio import Event, current_effective_deadline, current_time
from anyio.lowlevel import current_token

from .._schema import OutputFormat
from .._types import AIStreamChunk
from ..errors import HeadraceError, TruncatedStreamError
from ..telemetry import Event as Happening
from ..telemetry import Observation, Observer, emit, observe
from .attempts import Candidate, Place, Route
from .deadlines import Watch
from .host import FLIGHT, Flight, Host, Hosted, struck
from .machine import MARKER, StreamMachine
from .patience import Patience, unasked
from .retold import without_frames_of

__all__ = ("AHEAD", "Bell", "Plan", "Pump")

AHEAD: Final = 64  # chunks the pump may be ahead; also how many a consumer can take without yielding to other tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    One response that is wanted: who is asked for it, and where.

    `route` makes the route when the first chunk is asked for; `host` gives the provider's open session, if any;
    `new_host` a private one; `observers` watch this response beside those who watch all.
    `provider` and `model` are those that the caller named.
    """

    route: Callable[[Host], Route]
    host: Callable[[], Host | None]
    new_host: Callable[[], Host]
    provider: str = ""
    model: str = ""
    marker: str = MARKER
    response_format: OutputFormat | None = None
    observers: Sequence[Observer] = ()


class _Future(Protocol):
    """What is used of an asyncio loop's future."""

    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...
    def __await__(self) -> Generator[object, None, None]: ...


class Bell:
    """
    Wakes the one task that waits for it; ringing without a waiter is nothing. Check the condition, then wait.

    `waiter` is not None while somebody waits. Each wait has an event of its own; on asyncio a future of the loop, for
    which an event is a second wrapping: 1.9 us more for each chunk that is waited for.
    """

    __slots__ = ("_new", "waiter")

    def __init__(self) -> None:
        token = current_token()
        new: object = getattr(token.native_token, "create_future", None)  # an asyncio loop's; trio's token has none
        # `Event()` looks up the loop each time.
        self._new = cast("Callable[[], _Future | Event]", new or token.backend_class.create_event)
        self.waiter: _Future | Event | None = None

    def ring(self) -> None:
        """Wake the waiter."""
        waiter, self.waiter = self.waiter, None
        if waiter is None:
            return
        if isinstance(waiter, Event):
            waiter.set()
        elif not waiter.done():  # a wait that was cancelled, and has not been told yet
            waiter.set_result(None)

    async def wait(self) -> None:
        """Until the next ring."""
        self.waiter = waiter = self._new()
        try:
            await (waiter.wait() if isinstance(waiter, Event) else waiter)
        finally:
            self.waiter = None


class Pump(Hosted):
    """
    Moves one response into its machine.

    `news` is rung when there is a chunk to take, and at the end; `room` by the consumer when it has caught up.
    """

    host: Host
    plan: Plan
    machine: StreamMachine
    news: Bell
    room: Bell

    def __init__(self, host: Host, plan: Plan, machine: StreamMachine) -> None:
        super().__init__(f"stream {plan.provider}/{plan.model}".rstrip("/"))
        self.host, self.plan, self.machine = host, plan, machine
        self.caller_deadline: float = (
            current_effective_deadline()
        )  # the caller's task only; native timeouts are invisible
        self.token: object = current_token().native_token
        self.news, self.room = Bell(), Bell()
        self.observation: Observation | None = None
        self.over: bool = False  # the response is closed: what remains stands in the record
        machine.queue()  # first: an eager loop runs the task at once
        host.start(self)

    async def main(self) -> None:
        """Ask one after the other, until something comes or nobody is left."""
        machine, route = self.machine, self.plan.route(self.host)
        candidate = next(route)
        place: Place | None = None
        error: Exception | None = None
        at: float | None = None
        patience = Patience(candidate.need.max_wait, self.caller_deadline)
        self.observation = observe(candidate.asked, self.plan.observers)
        while True:
            machine.ask(candidate.provider, candidate.model, candidate.passed)
            last, place, is_asked = place, None, True
            try:
                place = await self._place(candidate, patience, last, at)
                await self._attempt(candidate, place)
            except Exception as exc:  # noqa: BLE001  # whatever it is, the route says what follows
                exc.__traceback__ = without_frames_of(exc.__traceback__, __file__)  # they hold the machine
                if place is None and candidate.again and error is not None and isinstance(exc, HeadraceError):
                    machine.stand(unasked(error, exc))
                    is_asked = False
                else:
                    machine.fail(exc)
            if (error := machine.refused) is None:
                return
            try:
                following, at = route.send(error if is_asked else None), None
                if following.again and place is not None:
                    at = patience.again_at(error, place)
                    if at is None:
                        following = route.send(None)
            except StopIteration as end:
                machine.replace(end.value)
                return
            _tell(candidate, following, error, at)
            if self.observation is not None:
                self.observation.failed(error)
            machine.again()
            candidate = following

    async def _place(self, candidate: Candidate, patience: Patience, last: Place | None, at: float | None) -> Place:
        """A place in the pacer, not before `at`; one who was refused there stands where it stood."""
        if candidate.ready is not None:
            await candidate.ready()
        pacer = (candidate.host or self.host).pacer
        again = last.ticket if last is not None and last.pacer is pacer else None
        return await Place.take(pacer, candidate.need, self.label, patience, again=again, not_before=at)

    async def _attempt(self, candidate: Candidate, place: Place) -> None:
        """One request, to the end of its response. Its failure is in the machine, or raised."""
        machine, watch, error = self.machine, Watch(candidate.deadlines), None
        flight = Flight(candidate.host or self.host, watch)
        if (observation := self.observation) is not None:
            watch.on_sent = lambda: observation.sent(place.waited, candidate.asked())
        try:
            machine.sent()
            FLIGHT.set(flight)  # in this task's own context
            with watch.scope:
                await self._read(candidate, place, watch)
            if watch.scope.cancelled_caught:
                raise watch.late(candidate.provider)
        except BaseException as exc:
            error = exc
            raise
        finally:
            flight.recorded(error or machine.error)
            place.settle(error or machine.error, machine.usage, sent=watch.is_sent)

    async def _read(self, candidate: Candidate, place: Place, watch: Watch) -> None:
        """Read to the end: an ended machine is deaf, so reading on within the tail's deadline is the whole drain."""
        machine, ring, pending, observation = self.machine, self.news.ring, self.machine.pending, self.observation
        # Any async iterator will do; a generator is closed here, in the task that ran it.
        raw = cast("AsyncGenerator[AIStreamChunk, None]", candidate.open())
        if not hasattr(raw, "__aiter__"):
            raise _no_chunk(candidate.provider, raw)
        async with aclosing(raw if hasattr(raw, "aclose") else _Closeable(raw)) as chunks:
            async for chunk in chunks:
                if not place.is_answered:
                    if not isinstance(chunk, AIStreamChunk):  # of each attempt the first: looking at all would cost
                        raise _no_chunk(candidate.provider, chunk)
                    place.head(chunk.rate_limit)
                    machine.answered = True
                    if not watch.is_sent:
                        watch.sent()
                new = machine.feed(chunk)
                if machine.error is not None:
                    return
                if not watch.stamped:
                    watch.stamp()
                if new:
                    if observation is not None:
                        observation.begun()
                        observation = None
                    watch.restart(machine.due)
                    ring()
                    if len(pending) >= AHEAD and not machine.ended:
                        await watch.excuse(self.room.wait())
                elif machine.due != watch.kind:
                    watch.restart(machine.due)
            machine.fail(self._truncated(candidate.provider, watch))

    def _truncated(self, provider: str, watch: Watch) -> TruncatedStreamError:
        length = len(self.machine.partial_content)
        return TruncatedStreamError(
            f"{provider or 'stream'}: the stream ended after {length} characters without a finish reason "
            f"(peer closed {watch.elapsed:.1f} s in). The request may be sent again.",
            provider=provider,
        )

    def failed(self, exc: Exception) -> None:
        self.machine.fail(exc)

    def ended(self) -> None:
        # Deaf to it by now in every other case.
        self.machine.fail(struck(self.plan.provider))
        if self.observation is not None:
            self.observation.ended(self.machine.response, self.machine.error)
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
        """The handle was collected."""
        self.soon(self.leave, "closed")

    def soon(self, act: Callable[..., object], *args: object) -> None:
        """Do it in the loop: for any thread at any moment, so only ask the loop (asyncio's way or trio's)."""
        if self.done.is_set():
            return
        ask: Callable[..., object] | None = getattr(self.token, "run_sync_soon", None)
        if ask is None:
            ask = cast("Callable[..., object]", getattr(self.token, "call_soon_threadsafe"))  # noqa: B009  # of object
        with suppress(RuntimeError):  # the loop is gone, and the pump with it
            ask(act, *args)


def _tell(candidate: Candidate, following: Candidate, error: Exception, at: float | None) -> None:
    """Every further request that a call makes is seen; it comes at once, or not before `at`."""
    asked, then = (f"{one.provider}/{one.model}".rstrip("/") for one in (candidate, following))
    kind = type(error).__name__
    seconds = 0.0 if at is None else max(0.0, at - current_time())
    what = f"asking it again in {seconds:.1f} s" if following.again else f"now asking {then}"
    emit(
        Happening(
            "attempt_failed",
            candidate.provider,
            candidate.model,
            f"{asked} failed before any content ({kind}); {what}",
            {"error": kind, "next_provider": following.provider, "next_model": following.model, "seconds": seconds},
        )
    )


class _Closeable:
    """An async iterator that has nothing to close, for `aclosing`."""

    def __init__(self, source: AsyncIterator[AIStreamChunk]) -> None:
        self._source = aiter(source)

    def __aiter__(self) -> AsyncIterator[AIStreamChunk]:
        return self._source

    async def aclose(self) -> None:
        """Nothing to do."""


def _no_chunk(provider: str, given: object) -> TypeError:
    what = f"{provider or 'provider'}: _raw_chat_stream() gives {type(given).__name__}"
    return TypeError(f"{what}: it must be an `async def` that yields AIStreamChunk")
