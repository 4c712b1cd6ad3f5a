"""
Those who wait for their turn, in order: priority first, then arrival.

Knows how much is asked for before any place, so that a wait can be foretold. No clock, no loop, no limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from .cost import Amounts, Price

__all__ = ("Line", "Turn")

T = TypeVar("T")

SLACK: Final = 64  # of those who left, that are kept in any case


class Turn(Generic[T]):
    """One place. `owner` is whose it is, `arrival` orders those of one priority."""

    __slots__ = ("arrival", "is_open", "owner", "price", "priority")
    owner: T
    price: Price
    priority: int
    arrival: int
    is_open: bool

    def __init__(self, owner: T, price: Price, priority: int, arrival: int) -> None:
        self.owner, self.price, self.priority, self.arrival = owner, price, priority, arrival
        self.is_open = True

    def __lt__(self, other: Turn[T]) -> bool:
        return (-self.priority, self.arrival) < (-other.priority, other.arrival)


class Line(Generic[T]):
    """A queue that can be left anywhere."""

    __slots__ = ("_heap", "_totals", "length")

    def __init__(self) -> None:
        self._heap: list[Turn[T]] = []  # those who left are skipped
        self._totals: dict[int, list[float]] = {}  # what is asked for in each priority, and by how many
        self.length: int = 0

    def join(self, turn: Turn[T]) -> None:
        """Stand in line."""
        heappush(self._heap, turn)
        self._count(turn, 1)

    def leave(self, turn: Turn[T]) -> None:
        """Served, or gone: any other time it is nothing."""
        if turn.is_open:
            turn.is_open = False
            self._count(turn, -1)
            if len(self._heap) > 2 * self.length + SLACK:  # the first may stay for hours, while others come and go
                self._heap = sorted(turn for turn in self._heap if turn.is_open)

    def first(self) -> Turn[T] | None:
        """Whose turn it is."""
        heap = self._heap
        while heap and not heap[0].is_open:
            heappop(heap)
        return heap[0] if heap else None

    def ahead(self, priority: int) -> Amounts:
        """What is asked for by all that a newcomer of this priority would stand behind."""
        sums = [0.0] * 4
        for other, totals in self._totals.items():
            if other >= priority:
                for measure in range(4):
                    sums[measure] += totals[measure]
        return sums[0], sums[1], sums[2], sums[3]

    def count_ahead(self, priority: int) -> int:
        """How many they are."""
        return int(sum(totals[4] for other, totals in self._totals.items() if other >= priority))

    def before(self, turn: Turn[T]) -> tuple[Amounts, int]:
        """The same of one that came back to where it stood, and may be ahead of its equals."""
        sums, count = [0.0] * 4, 0
        for other in self._heap:
            if other.is_open and other < turn:
                count += 1
                for measure in range(4):
                    sums[measure] += other.price.charge[measure]
        return (sums[0], sums[1], sums[2], sums[3]), count

    def in_order(self) -> Iterator[tuple[Turn[T], Amounts]]:
        """Everybody, each with what is asked for before it; who leaves meanwhile is before nobody."""
        sums = [0.0] * 4
        for turn in sorted(turn for turn in self._heap if turn.is_open):
            yield turn, (sums[0], sums[1], sums[2], sums[3])
            for measure in range(4) if turn.is_open else ():
                sums[measure] += turn.price.charge[measure]

    def _count(self, turn: Turn[T], sign: int) -> None:
        totals = self._totals.setdefault(turn.priority, [0.0] * 5)
        for measure, amount in enumerate((*turn.price.charge, 1.0)):
            totals[measure] += sign * amount
        self.length += sign
        if not totals[4]:
            del self._totals[turn.priority]  # so that rounding does not add up
