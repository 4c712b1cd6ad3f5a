"""
The bound on how many exchanges of a session run at once.

Waiters are served by priority, and in order of arrival among equals, for at most as long as each is willing to wait.
Never in httpcore's pool: a waiter that is cancelled there leaves the pool unusable (httpcore #1093).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

from anyio import Event, current_time, move_on_after

from ..errors import ConcurrencyLimitError

__all__ = ("Slots",)


class Holder(Protocol):
    """Whoever holds a slot; `label` says what for."""

    @property
    def label(self) -> str:
        """A few words, for the error of those who wait in vain."""
        ...


class Slots:
    """`limit` slots; `name` is the session's, for the error."""

    def __init__(self, limit: int, name: str = "") -> None:
        if limit < 1:
            raise ValueError(f"max_requests is {limit!r}: at least one exchange must be possible")
        self.limit, self._name = limit, name
        self._held: dict[Holder, float] = {}  # since when
        self._waiting: list[
            tuple[int, int, Event, Holder]
        ] = []  # a heap: the highest priority, then the first, comes out
        self._arrivals = count()

    @property
    def taken(self) -> int:
        """How many are held."""
        return len(self._held)

    async def take(self, holder: Holder, *, max_wait: float, priority: int = 0) -> None:
        """
        Take a slot; wait at most `max_wait` seconds for it, 0 refuses instead.

        Raises:
            ConcurrencyLimitError: none became free; the message names the holders.
        """
        if len(self._held) < self.limit:
            self._held[holder] = current_time()
            return
        if max_wait > 0:
            turn = (-priority, next(self._arrivals), Event(), holder)
            heappush(self._waiting, turn)
            try:
                with move_on_after(max_wait):
                    await turn[2].wait()
            except BaseException:
                self.free(holder)  # it may have been granted in the same moment
                raise
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    heapify(self._waiting)
        if holder not in self._held:
            raise self._refusal(max_wait)

    def free(self, holder: Holder) -> None:
        """Give the slot back, if it was taken; the next in line has it at once."""
        if self._held.pop(holder, None) is not None and self._waiting:
            _, _, granted, following = heappop(self._waiting)
            self._held[following] = current_time()
            granted.set()

    def _refusal(self, waited: float) -> ConcurrencyLimitError:
        now = current_time()
        longest = sorted((since, holder.label) for holder, since in self._held.items())
        holders = tuple(f"{label} (open {now - since:.1f} s)" for since, label in longest)
        shown = ", ".join(holders[:3]) + (f" and {len(holders) - 3} more" if len(holders) > 3 else "")
        return ConcurrencyLimitError(
            f"{self._name or 'session'}: no slot within {waited:g} s, all {self.limit} are held by {shown}. "
            "Close streams that are no longer read, raise max_requests, or give a longer max_wait.",
            limit=self.limit,
            waited=waited,
            holders=holders,
        )
