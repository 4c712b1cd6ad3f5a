"""
Vendor time: every deadline of a stream in one cancel scope, in the pump's own frame.

A scope around each read costs 7 to 11 us, and httpx has a read for every HTTP chunk, thus for every event; a stamp
costs under 1. So the scope's deadline follows the stamps lazily: never early, late by at most an eighth of itself or
0.5 s. No generator may hold this scope. Knows no HTTP and no machine.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final, cast

from anyio import CancelScope
from anyio.lowlevel import current_token

from .._types import Deadlines
from ..errors import DeadlineKind, StreamTimeoutError
from .machine import Due

__all__ = ("TAIL", "Watch")

TAIL: Final = 0.25  # after the proof: late usage and the end of the body come within milliseconds, or never
SLACK: Final = 0.5  # by which a deadline may be late

_WORDS: Final = {
    "first_chunk": "no content came within {:g} s",
    "next_chunk": "no further content came within {:g} s",
    "idle": "not a byte came for {:g} s",
    "total": "the answer took more than {:g} s",
    "tail": "the response stayed open {:g} s after its end",
}


def _clock() -> Callable[[], float]:
    """The loop's own clock. Asked once a chunk, so without the two lookups of `anyio.current_time()`."""
    token = current_token()
    own: object = getattr(token.native_token, "time", None)  # an asyncio loop's; trio's token has none
    return cast("Callable[[], float]", own) if callable(own) else token.backend_class.current_time


class Watch:
    """The clocks of one stream. `scope` is entered by the pump around all its reading."""

    def __init__(self, deadlines: Deadlines) -> None:
        self.scope: CancelScope = CancelScope()
        self.stamped: bool = False  # whether the source stamps by itself, byte by byte; else the pump stamps each chunk
        self._now = _clock()
        self._span: dict[DeadlineKind, float] = {
            "first_chunk": deadlines.first_chunk,
            "next_chunk": deadlines.next_chunk,
            "idle": deadlines.idle,
            "total": math.inf if deadlines.total is None else deadlines.total,
            "tail": TAIL,
        }
        self._slack = {kind: min(SLACK, span / 8) for kind, span in self._span.items()}
        self.is_sent: bool = False  # whether the request was handed to the wire
        self.on_sent: Callable[[], None] | None = None
        self.kind: Due = "first_chunk"
        self._start = self._began = self._last = self._mark = self._now()
        self._arm()

    @property
    def elapsed(self) -> float:
        """Seconds since the request was handed to the wire."""
        return self._now() - self._start

    def handed_over(self) -> None:
        """The request goes to the wire now: what was done before it, such as asking for a key, is not the vendor's."""
        self._last = self._mark = self._now()
        if not self.is_sent:
            self._start = self._began = self._last
            self.sent()
        self._arm()

    def sent(self) -> None:
        """The request went to the wire, at some time before: all that is known of a source that does not tell."""
        self.is_sent = True
        if self.on_sent is not None:
            self.on_sent()

    def restart(self, kind: Due) -> None:
        """Content has come, or the phase has changed: this deadline counts from the last bytes on."""
        self._mark = self._last
        if self._mark > self._remark or kind != self.kind:
            self.kind = kind
            self._arm()  # also: the tail's is earlier than the one that is armed

    def stamp(self) -> None:
        """Bytes have come."""
        self._last = self._now()
        if self._last >= self._rearm:
            self._arm()

    def _dues(self) -> tuple[tuple[float, DeadlineKind], ...]:
        return (
            (self._mark + self._span[self.kind], self.kind),
            (self._last + self._span["idle"], "idle"),
            (self._began + self._span["total"], "total"),
        )

    def _arm(self) -> None:
        """Later by the slack: never early as long as what a deadline counts from has not moved by more than that."""
        slack = self._slack
        self._rearm, self._remark = self._last + slack["idle"], self._mark + slack[self.kind]
        self.scope.deadline = min(due + slack[kind] for due, kind in self._dues())

    def off(self) -> None:
        """The clocks stand still: what follows has a bound of its own, or is not the vendor's doing."""
        self.scope.deadline = self._rearm = self._remark = math.inf

    async def excuse(self, wait: Awaitable[None]) -> None:
        """Await the consumer: meanwhile the vendor's clocks stand still."""
        self.off()
        stopped = self._now()
        await wait
        paused = self._now() - stopped
        self._last += paused
        self._mark += paused
        self._began += paused
        self._arm()

    def late(self, provider: str) -> StreamTimeoutError:
        """The error for the deadline that has passed."""
        _, kind = min(self._dues())
        seconds = self._span[kind]
        return StreamTimeoutError(
            f"{provider or 'stream'}: {_WORDS[kind].format(seconds)} (deadline {kind!r}). "
            "The request may be sent again.",
            kind=kind,
            seconds=seconds,
            provider=provider,
        )
