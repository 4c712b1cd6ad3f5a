"""
Who is asked for a response, in which order, and what each request takes of its pacer.

A route is a generator: it yields a candidate, is sent the error that the attempt ended with (None where one that was to
be asked again could not be, in time), and yields the next one or returns. It is asked only while nothing has come: what
has begun is never repeated. Knows no HTTP and no machine.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from anyio import current_time, sleep_until

from .._routing import asked_again
from .._types import AIStreamChunk, Attempt, Deadlines, RateLimitInfo, Usage
from ..errors import UNAVAILABLE, OverloadedError, RateLimitError, RefusedError
from ..limits.cost import Cost
from ..limits.pacing import AnyPacing
from ..telemetry import Asked
from .patience import Patience

if TYPE_CHECKING:
    from .host import Host

__all__ = ("Candidate", "Need", "Place", "Route", "repeated")

UNKNOWN: Final = RateLimitInfo()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """
    What a request takes of its pacer, and how long it may wait for that.

    `scope` has limits of its own, such as a model; `max_wait` None is the policy's. `allowed` is asked when its turn
    has come, and raises where nothing may be sent any more.
    """

    cost: Cost
    scope: str = ""
    priority: int = 0
    max_wait: float | None = None
    allowed: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """
    One who can be asked.

    `open` gives the raw stream of chunks; `asked` describes the request, for those who watch; `host` is the session
    that it is sent through, None where that is the pump's. `ready` is awaited first; `passed` are those that were
    passed over for it. `again`: it was asked just before, and had no room for now.
    """

    open: Callable[[], AsyncIterator[AIStreamChunk]]
    asked: Callable[[], Asked]
    need: Need
    deadlines: Deadlines
    provider: str = ""
    model: str = ""
    host: Host | None = None
    ready: Callable[[], Awaitable[None]] | None = None
    passed: tuple[Attempt, ...] = ()
    again: bool = False


Route: TypeAlias = Generator[Candidate, Exception | None, Exception | None]
"""Returns the error to tell in place of the last attempt's, or None."""


def repeated(candidate: Candidate, most: int) -> Route:
    """The same one again, while it has no room for now, up to `most` attempts."""
    yield from asked_again(candidate, replace(candidate, again=True), most)
    return None


class Place:
    """The place of one request in its pacer, from its taking to its settling `ended_at`. `waited` seconds for it."""

    __slots__ = ("ended_at", "is_answered", "pacer", "ticket", "waited")
    pacer: AnyPacing
    ticket: object
    waited: float
    ended_at: float
    is_answered: bool

    def __init__(self, pacer: AnyPacing, ticket: object, waited: float) -> None:
        self.pacer, self.ticket, self.waited = pacer, ticket, waited
        self.ended_at, self.is_answered = math.inf, False

    @classmethod
    async def take(
        cls,
        pacer: AnyPacing,
        need: Need,
        label: str,
        patience: Patience,
        *,
        again: object = None,
        not_before: float | None = None,
    ) -> Self:
        """Wait for that time, then for the place; see `Pacing.take`. Both count for the patience."""
        began, left = current_time(), patience.left(pacer)
        try:
            if not_before is not None:
                await sleep_until(not_before)
            ticket = await pacer.take(
                need.cost,
                scope=need.scope,
                priority=need.priority,
                max_wait=None if left is None else max(0.0, left - (current_time() - began)),
                deadline=patience.deadline,
                label=label,
                again=again,
            )
        finally:
            waited = current_time() - began
            patience.waited += waited
        if need.allowed is not None:
            try:
                need.allowed()
            except BaseException:
                pacer.cancel(ticket)
                raise
        return cls(pacer, ticket, waited)

    def head(self, told: RateLimitInfo | None) -> None:
        """The head of the answer: the vendor let it in."""
        self.is_answered = True
        self.pacer.sample(self.ticket, told or UNKNOWN)

    def settle(self, error: BaseException | None, usage: Usage | None = None, *, sent: bool) -> None:
        """The end, whatever it is; `sent` tells whether the request was handed to the wire."""
        # Before the pacer hears of a refusal: who waits for as long as that told does not stand behind the others then.
        self.ended_at = current_time()
        pacer, ticket = self.pacer, self.ticket
        if isinstance(error, RefusedError):  # somebody answered; a source with an HTTP stack of its own does not tell
            sent = sent or not isinstance(error, RateLimitError) or error.sent
        if not sent:
            pacer.cancel(ticket)
        elif isinstance(error, RateLimitError) and not self.is_answered:
            pacer.limited(ticket, error)
        elif isinstance(error, RefusedError) and error.status == UNAVAILABLE and not self.is_answered:
            pacer.limited(ticket, OverloadedError(str(error), kind="overload", retry_after=error.retry_after))
        else:
            pacer.finish(ticket, usage)
