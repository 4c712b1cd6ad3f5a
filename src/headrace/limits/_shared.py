"""
A scope's model in a store: what happened here is told there, and places are given there.

One task a scope. It loads the model, tells it what happened since, asks places for the first of the line, and puts it
back if nobody else did in between. What was put back without an answer is known by its step at the next contact, so
that nothing is told twice and no place is lost. While the store is away the scope's own model decides alone; it was
told the same all the time, and has learned what others take.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from anyio import CancelScope, Event, current_time, move_on_after

from ._sound import is_sound
from .cost import Amounts
from .line import Turn
from .model import LEASE, PLACE, Model, Place, Receipt, Wait
from .store import Store, Stored, StoreError

if TYPE_CHECKING:
    from ._lane import Lane, Waiter

__all__ = ("Shared",)

News: TypeAlias = Callable[[Model, float], None]

AWAY: Final = 2.0  # seconds before it is tried again
POLL: Final = 3.0  # seconds the first of the line sleeps at most: others may have given back what they had
START: Final = 0.05  # the same while the first answers are awaited, which come to others too
LINGER: Final = 3.0  # seconds that news wait for the next change, while nobody here waits for a place
AT_ONCE: Final = 16  # places asked for at once
TRIES: Final = 20
HAIR: Final = 1e-4

_STEPS: Final = count(1)  # of all changes of this process: a scope that was forgotten and comes again repeats none

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Model).decode


class Shared:
    """
    The shared model of `lane`, under `key` in `store`; `member` is this pacer's name among those who share it.

    `new` makes the first model, `away` is told when the store fails.
    """

    def __init__(
        self,
        lane: Lane,
        store: Store,
        key: str,
        member: str,
        *,
        new: Callable[[float], Model],
        away: Callable[[Lane, Exception], None],
    ) -> None:
        self._lane, self._store, self._key, self._member, self._new, self._away = lane, store, key, member, new, away
        self._stored: Stored | None = None  # what is thought to lie there; None: it must be loaded
        self._ahead = 0.0  # the store's clock less ours
        self._news: list[News] = []
        self._step, self._posted, self._taken = 0, 0, list[Receipt]()  # the last change: its number and what is in it
        self._due, self._near_from, self._bell = math.inf, -math.inf, Event()
        self._renewed, self._lost = -math.inf, False
        self._first: Turn[Waiter] | None = None  # whose place is in there
        self.problem: StoreError | None = None  # why the store is away
        self._scope: CancelScope | None = None  # of the task that keeps in step
        self._forgotten = False

    @property
    def is_near(self) -> bool:
        """Whether the store is thought to answer."""
        return current_time() >= self._near_from

    def post(self, news: News, *, urgent: bool = False) -> None:
        """Tell the store, at once or soon."""
        self._news.append(news)
        self._by(-math.inf if urgent else current_time() + LINGER)

    def ask(self, first: Turn[Waiter] | None) -> None:
        """
        A place is wanted for the first of the line; at once, if it was not asked for before. None: for nobody. The
        others must not wait behind one that has left.
        """
        if first is not self._first:
            self._by(-math.inf)

    def _by(self, at: float) -> None:
        if at < self._due:
            self._due = at
            self._bell.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be told, and no place is held."""
        return not (self._news or self._taken or self._first is not None)

    def forget(self) -> None:
        """The scope is known no more: nobody keeps in step."""
        self._forgotten = True
        if self._scope is not None:
            self._scope.cancel()

    async def run(self) -> None:
        """Keep the two in step, until cancelled or forgotten."""
        with CancelScope() as self._scope:
            await self._run()

    async def _run(self) -> None:
        while not self._forgotten:
            self._bell, now = Event(), current_time()
            due = max(self._due, self._near_from)
            if now < due:
                with move_on_after(due - now):
                    await self._bell.wait()
                continue
            self._due = math.inf
            try:
                pause, self.problem = await self._change(), None
                self._lane.news.store(None, current_time())
            except StoreError as exc:
                self.problem = exc
                self._stored, self._near_from, pause, self._lost = None, current_time() + AWAY, AWAY, True
                self._lane.news.store(exc, current_time())
                self._away(self._lane, exc)
            except BaseException:
                self._due = -math.inf  # in the middle of a change: who runs next looks at once
                raise
            self._by(current_time() + pause)

    async def part(self) -> None:
        """The last word of one that stops: what waits to be told is told now, and its place is given up."""
        if self.is_near and not self.is_idle:
            with suppress(StoreError):
                await self._change()

    async def _change(self) -> float:
        """One change of the stored model, if there is one to make. Returns seconds until the next look."""
        loaded = False
        for _ in range(TRIES):
            if self._stored is None:
                self._stored, loaded = await self._asked(self._store.load(self._key)), True
            now = current_time() + self._ahead
            found = _read(self._stored.blob, now)
            model = self._new(now) if found is None else found
            if self._lost or found is None:
                model.heal(self._lane.model, now, self._ahead)
            self._reconcile(model)
            member = model.renew(self._member, now)
            held, shown = (-math.inf, None) if member.place is None else (member.place.until, _shown(member.place))
            for news in self._news:
                news(model, now)
            taken, wait = self._take(model, now)
            if wait is None:
                member.place = None
            is_other = shown != (None if member.place is None else _shown(member.place))  # the one before has left
            due = (
                bool(taken or self._news or is_other)
                or (wait is not None and held < now + PLACE / 3)
                or self._lapses(now)
            )
            if wait is None:
                pause = LEASE / 3 if self._lane.flying else LEASE
            else:
                pause = START if wait.seconds == math.inf else min(wait.seconds + HAIR, POLL)
            if not due:
                if loaded:
                    self._hold(wait)
                    return pause
                self._stored = None
                continue
            self._step = next(_STEPS)
            member.step, self._posted, self._taken = self._step, len(self._news), [receipt for _, receipt in taken]
            blob = _encode(model)
            stored = self._stored
            self._stored = None  # unknown until it is answered
            self._stored, loaded = await self._asked(self._store.swap(self._key, stored.version, blob)), True
            if not self._stored.won:
                self._posted, self._taken = 0, []
                continue
            self._renewed, self._lost = now, False
            del self._news[: self._posted]
            self._posted, self._taken = 0, []
            for turn, receipt in taken:
                self._grant(turn, receipt)
            self._hold(wait)
            return 0.0 if len(taken) == AT_ONCE else pause
        raise StoreError(f"{self._key}: {TRIES} changes in a row came too late: too many share this limit")

    async def _asked(self, answer: Awaitable[Stored]) -> Stored:
        """The store's answer; it tells the store's clock too."""
        before = current_time()
        stored = await answer
        after = current_time()
        self._ahead = stored.now - (before + after) / 2
        return stored

    def _reconcile(self, model: Model) -> None:
        """A change that was never answered: if it is in there, its news are told; nobody was given its places."""
        if not self._posted and not self._taken:
            return
        member = model.members.get(self._member)
        if member is not None and member.step == self._step:
            del self._news[: self._posted]
            for receipt in self._taken:
                self._news.append(partial(_cancelled, receipt))
        self._posted, self._taken = 0, []

    def _take(self, model: Model, now: float) -> tuple[list[tuple[Turn[Waiter], Receipt]], Wait | None]:
        """Places for the first of the line, and the wait of the next of them; None where nobody waits for one."""
        taken: list[tuple[Turn[Waiter], Receipt]] = []
        self._first = None
        for turn, _ in islice(self._lane.line.in_order(), min(AT_ONCE, self._lane.slots())):
            receipt = model.take(self._member, turn.price, now, priority=turn.priority)
            if isinstance(receipt, Wait):
                self._first = turn
                return taken, receipt
            taken.append((turn, receipt))
        return taken, None

    def _grant(self, turn: Turn[Waiter], receipt: Receipt) -> None:
        if turn.is_open and self._lane.slots() > 0:
            self._lane.grant(turn, receipt)
        else:  # it went while the store was asked, or another scope took the last slot
            self.post(partial(_cancelled, receipt))

    def _hold(self, wait: Wait | None) -> None:
        """The first of the line must wait, as the store has said just now."""
        if wait is not None and self._first is not None:
            self._lane.hold(self._first, wait, current_time())

    def _lapses(self, now: float) -> bool:
        """Whether the lease must be renewed, since answers are open."""
        return self._lane.flying > 0 and now - self._renewed > LEASE / 3


def _read(blob: bytes, now: float) -> Model | None:
    """The model; None where there is none, or what cannot be one: another one takes its place."""
    try:
        model = _decode(blob)
    except msgspec.DecodeError:
        return None
    return model if is_sound(model, now) else None


def _shown(place: Place) -> tuple[int, Amounts]:
    """What of a place counts for those behind it."""
    return place.priority, place.charge


def _cancelled(receipt: Receipt, model: Model, now: float) -> None:
    model.cancel(receipt, now)
