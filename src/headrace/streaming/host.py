"""
A session's task group, and the tasks it hosts.

What runs in a hosted task is shielded and ended by its owner alone; its outcome crosses by value. So a native
`Task.cancel()` of a caller never reaches the HTTP stack (where it leaks connections), and no ExceptionGroup can arise.
The group is entered and left by one task, and shows nobody an exception that is not its own. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from anyio import (
    CancelScope,
    Event,
    create_task_group,
    current_effective_deadline,
    current_time,
    get_cancelled_exc_class,
    get_current_task,
)
from anyio.lowlevel import checkpoint_if_cancelled, current_token

from .._recorder import Tape
from .._types import Deadlines
from ..errors import HeadraceError, SessionClosedError, is_busy
from ..limits.pacer import Pacer
from ..limits.pacing import AnyPacing
from ..limits.policy import RateLimitPolicy
from .attempts import Need, Place
from .deadlines import Watch
from .patience import Patience, unasked

__all__ = ("CLOSE", "FLIGHT", "Call", "Flight", "Host", "Hosted", "Keeper")

T = TypeVar("T")

CLOSE: Final = 2.0  # seconds for closing a response or a client; a peer that stalls here is dropped


@dataclass(slots=True)
class Flight:
    """
    What a raw stream needs of the task that drives it: the session to send through and the clocks to stamp. What it
    leaves there: the tape of its exchange, for the task to finish.
    """

    host: Host
    watch: Watch
    tape: Tape | None = None

    def recorded(self, error: BaseException | None) -> None:
        """The exchange has ended."""
        if self.tape is not None:
            self.tape.finish(error)


FLIGHT: ContextVar[Flight | None] = ContextVar("headrace_flight", default=None)


class Hosted:
    """One task of a session. Subclasses say what it does; `stop` is for its owner."""

    scope: CancelScope
    done: Event

    def __init__(self, label: str) -> None:
        # Without the shield an outer cancellation may hit this task before its consumer, and look like a broken stream.
        self.scope, self.done = CancelScope(shield=True), Event()
        self.label = label

    async def main(self) -> None:
        """The work. What it raises goes to `failed`."""
        raise TypeError(f"{type(self).__name__} has no work")

    def failed(self, exc: Exception) -> None:
        """Keep the error. Called by `main`'s failure or by `stop`, whichever comes first; an ended task is deaf."""

    def ended(self) -> None:
        """Called once, whatever happened, before `done` is set."""

    async def run(self, host: Host) -> None:
        """The task itself."""
        try:
            with self.scope:
                await self.main()
        except Exception as exc:  # noqa: BLE001  # by value: it never raises into the group
            self.failed(exc)  # outside of the scope, which may leave an error of a group that it took Cancelled out of
        except get_cancelled_exc_class():  # noqa: ASYNC103  # let out, it would make the group cancel all others
            pass  # not the scope's, but asyncio's: the loop shuts down, or a future was cancelled that was awaited here
        finally:  # also for KeyboardInterrupt and a loop that shuts down
            host.hosted.discard(self)
            self.ended()
            self.done.set()

    def stop(self, reason: Exception) -> None:
        """The reason first, then the scope: whoever sees the task end can see why."""
        self.failed(reason)
        self.scope.cancel()


class Call(Hosted, Generic[T]):
    """
    One exchange that is no stream, in its place in the pacer; the same again, up to `attempts`, while it is refused.

    `work` is given the place, to tell it of the head of the answer; `on_sent` is told of each request, with the seconds
    that it waited for its place, `on_failed` of each that is followed by another, with the seconds until then.
    """

    def __init__(
        self,
        work: Callable[[Place], Awaitable[T]],
        label: str,
        *,
        host: Host,
        need: Need,
        deadlines: Deadlines,
        attempts: int = 1,
        on_sent: Callable[[float], None] | None = None,
        on_failed: Callable[[Exception, float], None] | None = None,
    ) -> None:
        super().__init__(label)
        self._work, self._host, self._need, self._deadlines, self._attempts = work, host, need, deadlines, attempts
        self._caller_deadline, self._on_sent, self._on_failed = current_effective_deadline(), on_sent, on_failed
        self.result: tuple[T] | None = None
        self.error: Exception | None = None

    async def main(self) -> None:
        pacer, patience = self._host.pacer, Patience(self._need.max_wait, self._caller_deadline)
        refusal: Exception | None = None
        ticket, at = None, None
        for left in reversed(range(self._attempts)):
            try:
                place = await Place.take(pacer, self._need, self.label, patience, again=ticket, not_before=at)
            except HeadraceError as exc:
                if refusal is None:
                    raise
                raise unasked(refusal, exc) from None
            try:
                result = await self._attempt(place)
            except Exception as exc:
                if not left or not is_busy(exc) or (again_at := patience.again_at(exc, place)) is None:
                    raise
                refusal, ticket, at = exc, place.ticket, again_at
                if self._on_failed is not None:
                    self._on_failed(exc, max(0.0, at - current_time()))
            else:
                if self.error is None:
                    self.result = (result,)
                return

    async def _attempt(self, place: Place) -> T:
        watch, error = Watch(self._deadlines), None
        if (on_sent := self._on_sent) is not None:
            watch.on_sent = lambda: on_sent(place.waited)
        flight = Flight(self._host, watch)
        FLIGHT.set(flight)  # in this task's own context
        try:
            with watch.scope:
                return await self._work(place)
            raise watch.late(self._host.name)
        except BaseException as exc:
            error = exc
            raise
        finally:
            flight.recorded(error)
            place.settle(error, sent=watch.is_sent)

    def failed(self, exc: Exception) -> None:
        if self.result is None and self.error is None:
            self.error = exc


class Keeper(Hosted):
    """Keeps the session's pacer in step with the store that it shares."""

    def __init__(self, pacer: Pacer) -> None:
        super().__init__("pacer")
        self._pacer = pacer

    async def main(self) -> None:
        await self._pacer.run()


class Host:
    """
    A session: the task group that hosts every exchange, and the pacer that gives each its place.

    Enter and leave it in one task. Leaving ends what is still open with `SessionClosedError`.
    """

    name: str
    pacer: AnyPacing
    is_open: bool

    def __init__(self, name: str = "", *, pacer: AnyPacing | None = None) -> None:
        self.name, self.pacer = name, pacer or Pacer(RateLimitPolicy(pace=False), name=name)
        self.hosted: set[Hosted] = set()
        self.bound: list[Host] = []  # sessions that live in this one's group
        self.is_open = False

    async def __aenter__(self) -> Self:
        self._tasks, self._task_id = create_task_group(), get_current_task().id
        await self._tasks.__aenter__()
        self._open()
        return self

    def _open(self) -> None:
        self.is_open, self._loop = True, current_token()
        if isinstance(self.pacer, Pacer) and self.pacer.policy.store is not None:
            self.start(Keeper(self.pacer))

    def bind(self, parent: Host) -> None:
        """Live in the group of an open session, which closes this one with itself."""
        if not parent.is_open:
            raise not_open()
        self._tasks = parent._tasks
        parent.bound.append(self)
        self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # The group is not shown the body's exception, so it cannot wrap it: that one leaves the block by itself.
        self.is_open = False
        for session in self.bound:
            session.is_open = False
        hosted = [task for session in (self, *self.bound) for task in session.hosted]
        keepers = tuple(task for task in hosted if isinstance(task, Keeper))  # the last: they tell how the others ended
        tasks = tuple(task for task in hosted if not isinstance(task, Keeper))
        for task in tasks:
            task.stop(
                SessionClosedError(
                    f"{self.name or 'session'}: the session was closed while {task.label} was open. "
                    "Keep the `async with` block of the provider around all use of its streams.",
                    provider=self.name,
                )
            )
        closed = Event()
        self._tasks.start_soon(self._close, tasks, keepers, closed)
        if get_current_task().id != self._task_id:  # trio would fail by an internal error
            with CancelScope(shield=True):
                await closed.wait()
            raise elsewhere(self.name)
        try:
            # Ours end soon; a cancellation must not replace the body's exception.
            self._tasks.cancel_scope.shield = True
            await self._tasks.__aexit__(None, None, None)  # noqa: ASYNC102  # shielded by the line above
        except RuntimeError as error:  # asyncio, where a task that has ended has given its id to this one
            raise elsewhere(self.name) from error
        except BaseExceptionGroup as group:  # a KeyboardInterrupt or SystemExit that struck a hosted task
            if len(group.exceptions) > 1:
                raise
            raise group.exceptions[0] from None  # noqa: ASYNC123  # its traceback is kept, the group is only ours

    async def _close(self, tasks: tuple[Hosted, ...], keepers: tuple[Keeper, ...], closed: Event) -> None:
        """The last task of the group: here too, a native cancellation of the caller must not reach the HTTP stack."""
        try:
            with CancelScope(shield=True):
                for task in tasks:
                    await task.done.wait()
                for keeper in keepers:
                    keeper.scope.cancel()
                for keeper in keepers:
                    await keeper.done.wait()
                for session in (*self.bound, self):
                    await session.aclose_resources()
        finally:
            closed.set()

    async def aclose_resources(self) -> None:
        """Close what outlives the tasks. For subclasses; must be bounded."""

    def start(self, task: Hosted) -> None:
        """
        Run `task` in the group. It inherits the context variables of the caller.

        Raises:
            RuntimeError: the session is not open, or not in this event loop.
        """
        if not self.is_open:
            raise not_open()
        if current_token() != self._loop:  # its connections live there: one that is used here is lost to both
            raise RuntimeError(
                f"{self.name or 'the session'} was opened in another event loop: nothing was sent. Use it in the loop "
                "that its `async with` runs in, or make and open one provider for each loop."
            )
        self.hosted.add(task)
        self._tasks.start_soon(task.run, self, name=task.label)

    async def call(self, call: Call[T]) -> T:
        """Make it in a task of the session; its result or exception comes back by value."""
        await checkpoint_if_cancelled()  # else the request is on its way before the first wait
        self.start(call)
        try:
            await call.done.wait()
        except BaseException:
            call.scope.cancel()
            raise
        if call.result is None:
            raise call.error or struck(self.name)
        return call.result[0]


def struck(provider: str) -> SessionClosedError:
    """The error of a task that was cancelled, and not by its owner."""
    return SessionClosedError(
        f"{provider or 'stream'}: cancelled from outside: the event loop was shut down, or what was awaited here was "
        "cancelled",
        provider=provider,
    )


def not_open() -> RuntimeError:
    """The error for use outside of a block; it names the block."""
    return RuntimeError("the provider is not open: missing `async with provider:` (or `async with stream:`)")


def elsewhere(name: str) -> RuntimeError:
    """The error of a session that another task leaves than entered it. All but the task group is closed by then."""
    return RuntimeError(
        f"{name or 'session'}: its `async with` was left in another task than it was entered in. All is closed; but it "
        "holds a task group, so enter and leave it in one task. Fixtures of pytest-asyncio and async generators that "
        "are dropped do not."
    )
