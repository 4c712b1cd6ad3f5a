"""
A budget: so much money, or so many tokens, in a window of time or for good.

It is asked before a request is sent, and told what an exchange took when that has ended. What it promises follows from
this, and no more: nothing is sent once what is known to be spent has reached the budget. So it can be passed by what is
under way at that moment, and by nothing else. Pure: `now` is an argument, in Unix seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from ._checks import check_number
from .errors import BudgetExceededError

__all__ = ("Budget", "Unit")

Unit: TypeAlias = Literal["USD", "tokens"]

SLOTS: Final = 60  # parts of a window: what was spent in one is forgotten together, late by a 60th and never early


@dataclass(slots=True)
class _Slot:
    """What was spent in one part of the window. `index` counts these parts since 1970."""

    index: int
    cost: float = 0.0
    tokens: int = 0


class Budget:
    """
    The most that may be spent.

    One budget may be given to several gateways: it is then theirs together.

    Args:
        cost: US dollars.
        tokens: all tokens that are billed, prompt and completion.
        per: seconds of a sliding window; None is for good. Room comes back up to a sixtieth of it late, never early.

    Raises:
        ValueError: neither `cost` nor `tokens` is given, or a number is not above 0.
    """

    cost: float | None
    tokens: int | None
    per: float | None

    def __init__(self, cost: float | None = None, tokens: int | None = None, per: float | None = None) -> None:
        if cost is None and tokens is None:
            raise ValueError("a budget needs cost= (US dollars) or tokens=")
        for name, value in (("cost", cost), ("tokens", tokens), ("per", per)):
            if value is not None:
                check_number(name, value, "a number above 0", above=0)
        self.cost, self.tokens, self.per = cost, tokens, per
        self._slots: deque[_Slot] = deque()

    def __repr__(self) -> str:
        return f"Budget(cost={self.cost!r}, tokens={self.tokens!r}, per={self.per!r})"

    def check(self, *, now: float) -> None:
        """
        Whether a request may be sent.

        Raises:
            BudgetExceededError: what is known to be spent has reached the budget; of two that are spent, the one that
                has room again last is told.
        """
        spent = [error for unit in ("USD", "tokens") if (error := self._refusal(unit, now)) is not None]
        if spent:
            raise max(spent, key=lambda error: error.retry_at or float("inf"))

    def spend(self, *, cost: float | None, tokens: int | None, now: float) -> None:
        """An exchange ended and took this much. What is None is not known, and not counted."""
        self._forget(now)
        index = 0 if self.per is None else int(now // (self.per / SLOTS))
        if not self._slots or self._slots[-1].index < index:  # a clock that was put back opens no slot
            self._slots.append(_Slot(index))
        self._slots[-1].cost += cost or 0.0
        self._slots[-1].tokens += tokens or 0

    def spent(self, unit: Unit, *, now: float) -> float:
        """What is known to be spent in the window."""
        self._forget(now)
        return sum(_of(slot, unit) for slot in self._slots)

    def _refusal(self, unit: Unit, now: float) -> BudgetExceededError | None:
        limit = self.cost if unit == "USD" else self.tokens
        if limit is None or (spent := self.spent(unit, now=now)) < limit:
            return None
        retry_at = self._room_at(unit, limit, spent)
        whole = f"the budget of {_amount(limit, unit)}"
        if self.per is None or retry_at is None:
            text = f"{whole} is spent ({_amount(spent, unit)})"
        else:
            when = datetime.fromtimestamp(retry_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            text = (
                f"{whole} per {self.per:g} s is spent ({_amount(spent, unit)}). "
                f"There is room again in {retry_at - now:.0f} s, at {when}"
            )
        return BudgetExceededError(
            f"{text}. Nothing was sent: this is your own limit; raise it in Budget(...) if the call matters more.",
            unit=unit,
            limit=limit,
            spent=spent,
            per=self.per,
            retry_at=retry_at,
            retry_after=None if retry_at is None else retry_at - now,
        )

    def _room_at(self, unit: Unit, limit: float, spent: float) -> float | None:
        """When enough of the window is forgotten."""
        if self.per is None:
            return None
        for slot in self._slots:
            spent -= _of(slot, unit)
            if spent < limit:
                return self._end(slot)
        return None

    def _forget(self, now: float) -> None:
        while self.per is not None and self._slots and self._end(self._slots[0]) <= now:
            self._slots.popleft()

    def _end(self, slot: _Slot) -> float:
        """When the last that may have been spent in it is out of the window."""
        assert self.per is not None, "what is for good has no end"
        return (slot.index + 1) * self.per / SLOTS + self.per


def _of(slot: _Slot, unit: Unit) -> float:
    return slot.cost if unit == "USD" else slot.tokens


def _amount(value: float, unit: Unit) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".") + " USD" if unit == "USD" else f"{value:,.0f} tokens"
