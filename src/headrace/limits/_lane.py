"""
One scope: its line, its model, and the hand that gives places.

Nothing here awaits: waiting is done in `pacer`, talking to a store in `_shared`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from anyio import Event, current_time

from .._types import Usage
from ._news import News
from .cost import INPUT, TOTAL, Cost, Estimator, Price
from .line import Line, Turn
from .model import Model, Receipt, Wait

if TYPE_CHECKING:
    from ._shared import Shared

__all__ = ("Lane", "Ticket", "Waiter")

HAIR: Final = 1e-4  # seconds: timers may be a little early, and then the bucket could not pay
LOOK: Final = 1.0  # seconds between two looks at everybody's forecast,
LOOK_EACH: Final = 0.001  # and this for each who waits: so it never takes more than a few per cent of the time


@dataclass(slots=True, eq=False)
class Ticket:
    """A place that was given: `label` says what for, `since` is the loop's time, `arrival` its order in the line."""

    label: str
    lane: Lane
    cost: Cost
    price: Price
    arrival: int
    since: float
    own: Receipt | None
    shared: Receipt | None = None
    is_open: bool = True


@dataclass(slots=True, eq=False)
class Waiter:
    """
    One who waits for the limits until `until` at most, for the store's word of them until `ends`, and looks again at
    `looks_at`.
    """

    label: str
    cost: Cost
    until: float
    ends: float
    since: float
    looks_at: float = math.inf
    bell: Event = field(default_factory=Event)
    ticket: Ticket | None = None
    error: Exception | None = None

    def ring(self) -> None:
        """Something has become of it, or it is the first now."""
        self.bell.set()


class Lane:
    """
    One scope of a pacer.

    `slots` says how many more exchanges may run, `opened` is told of each ticket, `refusal` makes the error for one
    whose forecast has become too long behind so many, `news` tells the world.
    """

    scope: str
    model: Model
    paces: bool
    slots: Callable[[], int]

    def __init__(
        self,
        scope: str,
        model: Model,
        *,
        paces: bool,
        news: News,
        slots: Callable[[], int],
        opened: Callable[[Ticket], None],
        refusal: Callable[[Lane, Waiter, Wait, int], Exception],
    ) -> None:
        self.scope, self.model, self.paces = scope, model, paces
        self.line: Line[Waiter] = Line()
        self.estimator: Estimator = Estimator()
        self.news = news
        self.shared: Shared | None = None
        self.flying: int = 0
        self.asked_at: float = current_time()  # last for a place
        self.let_in: dict[int, float] = {}  # the most in each measure, by the vendor's own count of the prompt
        self.slots, self._opened, self._refusal = slots, opened, refusal
        self._next_look = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nobody is out, nobody waits, and all is told."""
        return not (self.flying or self.line.length) and (self.shared is None or self.shared.is_idle)

    def at_once(
        self, label: str, cost: Cost, price: Price, now: float, *, priority: int, arrival: int
    ) -> Ticket | None:
        """A place for one that need not stand in line."""
        if self.line.length or self.slots() <= 0 or (self.shared is not None and self.shared.is_near):
            return None
        receipt = self.model.take("", price, now, priority=priority) if self.paces else None
        if isinstance(receipt, Wait):
            return None
        return self._open(Ticket(label, self, cost, price, arrival, now, receipt))

    def advance(self, now: float) -> None:
        """Give places to those whose turn it is; the next one is told when to look again."""
        if self.shared is not None and self.shared.is_near:
            self.shared.ask(self.line.first())
            return
        while (turn := self.line.first()) is not None:
            wait = self._try(turn, now)
            if wait is None:
                continue
            looks_at = now + wait + HAIR
            if looks_at < turn.owner.looks_at:
                turn.owner.ring()
            turn.owner.looks_at = looks_at
            return

    def _try(self, turn: Turn[Waiter], now: float) -> float | None:
        """Seconds until the first one has its place, None if it has it now. A freed slot calls `advance` again."""
        if self.slots() <= 0:
            return math.inf
        receipt = self.model.take("", turn.price, now, priority=turn.priority) if self.paces else None
        if isinstance(receipt, Wait):
            return receipt.seconds
        self._give(turn, receipt, None, now)
        return None

    def grant(self, turn: Turn[Waiter], shared: Receipt) -> None:
        """The store has given a place: the own model is told."""
        now = current_time()
        own = self.model.take("", turn.price, now, force=True)
        assert isinstance(own, Receipt)
        self._give(turn, own, shared, now)

    def _give(self, turn: Turn[Waiter], own: Receipt | None, shared: Receipt | None, now: float) -> None:
        waiter = turn.owner
        waiter.ticket = self._open(Ticket(waiter.label, self, waiter.cost, turn.price, turn.arrival, now, own, shared))
        self.line.leave(turn)
        waiter.ring()

    def _open(self, ticket: Ticket) -> Ticket:
        self.flying += 1
        self._opened(ticket)
        return ticket

    def hold(self, turn: Turn[Waiter], wait: Wait, now: float) -> None:
        """The store foretells the wait of one: too long, and it is refused."""
        if turn.is_open and now + (0.0 if wait.seconds == math.inf else wait.seconds) > turn.owner.until:
            self._refuse(turn, wait, 0)

    def _refuse(self, turn: Turn[Waiter], wait: Wait, ahead: int) -> None:
        turn.owner.error = self._refusal(self, turn.owner, wait, ahead)
        self.line.leave(turn)
        turn.owner.ring()

    def look(self, now: float) -> None:
        """Refuse those who would wait longer than they want to; they need not wait to learn that."""
        if now < self._next_look or not self.line.length:
            return
        self._next_look = now + LOOK + LOOK_EACH * self.line.length
        stay = 0
        for turn, ahead in self.line.in_order():
            wait = self.model.forecast(turn.price, ahead, now)
            if wait is not None and now + wait.seconds > turn.owner.until:
                self._refuse(turn, wait, stay)
            else:
                stay += 1

    # ---------------------------------------------------------------- what became of a ticket

    def remember(self, ticket: Ticket, usage: Usage) -> None:
        """So large a request was let in, whatever the limit says: some vendors do not count what they had cached."""
        prompt, charge = usage["prompt_tokens"] or 0, ticket.price.charge
        for measure, amount in ((INPUT, prompt), (TOTAL, prompt + charge[TOTAL] - charge[INPUT])):
            if prompt and amount > self.let_in.get(measure, 0.0):
                self.let_in[measure] = amount

    def tell(
        self, ticket: Ticket, event: Callable[[Model, Receipt, float], None], now: float, *, urgent: bool = False
    ) -> None:
        """Tell it to the own model, and to the shared one."""
        if ticket.own is not None:
            event(self.model, ticket.own, now)
        if self.shared is not None and (receipt := ticket.shared) is not None:
            self.shared.post(lambda model, at: event(model, receipt, at), urgent=urgent)
